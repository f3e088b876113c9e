//! When messages are due.
//!
//! Owns the two loads: so many a second, whatever comes of them (open), and so many under way (windowed). Promises that a
//! message which is late counts from when it was due. Never says one.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::meter::Meter;

/// Messages that may be due at one speaker and not said yet: beyond, the pace itself waits, and they count from when they
/// were due.
const DUE: usize = 1_024;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// Nothing.
    Idle,
    /// In each room so many are under way: that many members say the next as soon as they hear their last.
    Window(u64),
    /// So many a second, in all rooms together.
    Rate(f64),
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Window(count) => write!(f, "window:{count}"),
            Self::Rate(rate) => write!(f, "rate:{rate}"),
        }
    }
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "idle" => Ok(Self::Idle),
            Some(("window", count)) => match count.parse() {
                Ok(count) if count > 0 => Ok(Self::Window(count)),
                _ => Err("the window is a number from 1".to_owned()),
            },
            Some(("rate", rate)) => match rate.parse() {
                Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(Self::Rate(rate)),
                _ => Err("the rate is a number above 0, a second".to_owned()),
            },
            _ => Err("one of idle, window:N, rate:N".to_owned()),
        }
    }
}

/// Where a member is told that it should say something.
pub(crate) struct Speaker {
    due_tx: mpsc::Sender<Duration>,
    /// How many hear it.
    members: u64,
}

impl Speaker {
    /// One of so many members; and where it hears that.
    pub(crate) fn new(members: u64) -> (Self, mpsc::Receiver<Duration>) {
        let (due_tx, due) = mpsc::channel(DUE);
        (Self { due_tx, members }, due)
    }

    /// Has it say something that is due then, which counts as said from here on: whoever waits until all has come waits
    /// for it, though its member has not been told yet. False: the member is gone.
    async fn speak(&self, due: Duration, meter: &Meter) -> bool {
        let Ok(place) = self.due_tx.reserve().await else { return false };
        meter.say(self.members);
        place.send(due);
        true
    }
}

/// Tells speakers when to speak, until it is quiet.
pub(crate) async fn drive(load: Load, speakers: Vec<Speaker>, meter: Arc<Meter>, quiet: CancellationToken) {
    match load {
        Load::Idle => {}
        Load::Window(_) => {
            for speaker in &speakers {
                // One that is gone has been counted as such.
                let _ = speaker.speak(meter.now(), &meter).await;
            }
            quiet.cancelled().await;
        }
        Load::Rate(rate) => {
            quiet.run_until_cancelled(at_rate(rate, &speakers, &meter)).await;
        }
    }
}

async fn at_rate(rate: f64, speakers: &[Speaker], meter: &Meter) {
    let start = meter.now();
    for (number, speaker) in (0_u32..).zip(speakers.iter().cycle()) {
        let due = start + Duration::from_secs_f64(f64::from(number) / rate);
        tokio::time::sleep(due.saturating_sub(meter.now())).await;
        if !speaker.speak(due, meter).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_read_as_it_is_written() {
        for text in ["idle", "window:64", "rate:0.5", "rate:100"] {
            assert_eq!(text.parse::<Load>().unwrap().to_string(), text);
        }
        for wrong in ["", "window", "window:0", "rate:0", "rate:x", "burst:1"] {
            assert!(wrong.parse::<Load>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_message_is_due_at_its_time_though_the_one_before_was_late() {
        let (speaker, mut due) = Speaker::new(1);
        let (meter, quiet) = (Arc::new(Meter::new()), CancellationToken::new());
        let pace = drive(Load::Rate(1e6), vec![speaker], meter, quiet.clone());
        let heard = async {
            let first = due.recv().await.unwrap();
            for number in 1..100 {
                tokio::task::yield_now().await;
                let late = due.recv().await.unwrap() - first;
                assert!(late.abs_diff(Duration::from_micros(number)) < Duration::from_nanos(10));
            }
            quiet.cancel();
        };
        tokio::join!(pace, heard);
    }

    #[tokio::test]
    async fn what_is_due_is_owed_before_its_member_hears_of_it() {
        let (speaker, mut due) = Speaker::new(2);
        let (meter, quiet) = (Arc::new(Meter::new()), CancellationToken::new());
        let pace = drive(Load::Rate(1e3), vec![speaker], Arc::clone(&meter), quiet.clone());
        let hearing = async {
            due.recv().await.unwrap();
            quiet.cancel();
        };
        tokio::join!(pace, hearing);
        let more = std::iter::from_fn(|| due.try_recv().ok()).count() as u64;
        assert_eq!(meter.missing(), 2 * (1 + more));
    }
}
