//! What the measured processes use.
//!
//! Owns the reading of `/proc`. Promises the processor time and memory of some processes and all below them. Never
//! counts a process twice.

use std::{
    collections::BTreeSet,
    fs, io,
    time::{Duration, Instant},
};

/// What some processes have used so far, and hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) at: Instant,
    /// User and system time, those children included that have ended.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) memory_kib: u64,
}

impl Usage {
    /// Of each of these processes, with all below it.
    ///
    /// # Errors
    /// One of them is not there.
    pub(crate) fn of_each(pids: &[u32]) -> io::Result<Vec<Self>> {
        pids.iter().map(|pid| Self::of(&[*pid])).collect()
    }

    /// Of these processes and all below them.
    ///
    /// # Errors
    /// One of them is not there.
    pub(crate) fn of(pids: &[u32]) -> io::Result<Self> {
        let mut usage = Self { at: Instant::now(), cpu: Duration::ZERO, memory_kib: 0 };
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<_> = pids.iter().map(|pid| (*pid, true)).collect();
        while let Some((pid, is_named)) = waiting.pop() {
            if !seen.insert(pid) {
                continue;
            }
            match of_one(pid) {
                Ok((cpu, memory_kib)) => {
                    usage.cpu += cpu;
                    usage.memory_kib += memory_kib;
                }
                Err(error) if is_named => {
                    return Err(io::Error::new(error.kind(), format!("process {pid}: {error}")));
                }
                // It ended since it was found; its parent has its time.
                Err(_) => continue,
            }
            waiting.extend(children(pid).into_iter().map(|pid| (pid, false)));
        }
        Ok(usage)
    }
}

fn of_one(pid: u32) -> io::Result<(Duration, u64)> {
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "not as proc(5) says");
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').ok_or_else(nonsense)?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    // utime, stime, cutime and cstime are fields 14 to 17; the first of `rest` is field 3.
    let times = fields.get(11..15).ok_or_else(nonsense)?;
    let ticks = times.iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    let pages = fields.get(21).and_then(|field| field.parse::<u64>().ok()).ok_or_else(nonsense)?;
    let cpu = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    Ok((cpu, pages * rustix::param::page_size() as u64 / 1024))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_and_what_is_below_it_are_counted_once() {
        let me = std::process::id();
        let alone = Usage::of(&[me]).unwrap();
        assert!(alone.memory_kib > 100);
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (both, once) = (Usage::of(&[me, me, child.id()]).unwrap(), Usage::of(&[child.id()]).unwrap());
        assert!(both.memory_kib >= alone.memory_kib / 2 + once.memory_kib);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Usage::of(&[child.id()]).is_err());
        while Usage::of(&[me]).unwrap().cpu <= alone.cpu {
            std::hint::spin_loop();
        }
    }
}
