//! What a process asks of its system.
//!
//! Owns the limits and habits that are set once, at the start. Promises to go on where they cannot be. Never needs a
//! privilege.

/// Raises the soft limit of open files to the hard one and logs it; and asks for no huge pages: most of what a process of
/// ours holds is small and long-lived, and each 2 MiB that holds some of it would count as a whole.
pub fn prepare() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::info!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages are used");
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn p8_a_process_takes_no_huge_pages() {
        prepare();
        assert!(rustix::thread::transparent_huge_pages_are_disabled().expect("the system says"));
    }
}
