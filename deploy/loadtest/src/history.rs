//! How fast a long room is read.
//!
//! Owns one measurement: readers page through a room's log from its end to its beginning, again and again. Promises that
//! a page counts only if it is what comes right before the last one. Never follows the room.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, future::try_join_all, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Mark, Meter, Quantiles, Usage, make_rooms},
    config::History,
    installation::Installation,
};

/// How many messages are sent at once, before.
const SENDING: usize = 64;

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    messages: u64,
    readers: u64,
    /// Messages of one page.
    page: u64,
    seconds: f64,
    /// Pages within that time.
    pages: u64,
    pages_per_second: f64,
    /// From a request until its page was there, in milliseconds.
    latency_ms: Quantiles,
    /// Of the measured processes, user and system.
    cpu_seconds: f64,
    cpu_us_per_page: f64,
    /// Pages that were not what they should have been.
    repeated_or_reordered: u64,
}

impl Outcome {
    /// Whether each page was the right one.
    pub(crate) fn is_sound(&self) -> bool {
        self.repeated_or_reordered == 0 && self.pages > 0
    }
}

/// Measures.
pub(crate) async fn run(settings: &History, stop: CancellationToken) -> anyhow::Result<Outcome> {
    let rooms = make_rooms(&settings.url, 1).await?;
    let room = rooms.first().context("there is a room")?;
    tokio::select! {
        () = stop.cancelled() => bail!("told to stop"),
        filled = fill(settings, room) => filled?,
    }
    let (meter, wrong, quiet) = (Meter::new(), AtomicU64::new(0), stop.child_token());
    let reading = (0..settings.readers).map(|_| {
        let reader = Reader { installation: Installation::new(vec![settings.url.clone()]), room, settings };
        reader.reads(&meter, &wrong, &quiet)
    });
    let measuring = async {
        tokio::time::sleep(settings.warmup).await;
        meter.is_measuring.store(true, Ordering::Relaxed);
        let (start, before) = (Usage::of(&settings.pids)?, meter.heard());
        tokio::time::sleep(settings.seconds).await;
        let (end, after) = (Usage::of(&settings.pids)?, meter.heard());
        quiet.cancel();
        anyhow::Ok((start, end, after - before))
    };
    let (_, (start, end, pages)) = tokio::try_join!(try_join_all(reading), measuring)?;
    let seconds = (end.at - start.at).as_secs_f64();
    let cpu = (end.cpu - start.cpu).as_secs_f64();
    Ok(Outcome {
        messages: settings.messages,
        readers: settings.readers,
        page: settings.page,
        seconds,
        pages,
        pages_per_second: pages as f64 / seconds,
        latency_ms: meter.quantiles(),
        cpu_seconds: cpu,
        cpu_us_per_page: cpu * 1e6 / pages.max(1) as f64,
        repeated_or_reordered: wrong.into_inner(),
    })
}

/// Makes the room as long as it is to be.
async fn fill(settings: &History, room: &str) -> anyhow::Result<()> {
    let installation = Installation::new(vec![settings.url.clone()]);
    let text = "x".repeat(settings.content);
    let sending = (0..settings.messages).map(|nth| {
        let (installation, text) = (&installation, &text);
        async move { installation.say(room, &format!("{room}-{nth}"), text).await }
    });
    let mut sending = stream::iter(sending).buffer_unordered(SENDING);
    while let Some(sent) = sending.next().await {
        sent.context("the room cannot be filled")?;
    }
    Ok(())
}

/// One who reads.
struct Reader<'a> {
    installation: Installation,
    room: &'a str,
    settings: &'a History,
}

impl Reader<'_> {
    /// Reads page after page until it is quiet.
    async fn reads(self, meter: &Meter, wrong: &AtomicU64, quiet: &CancellationToken) -> anyhow::Result<()> {
        let History { messages, page, .. } = *self.settings;
        let mut before = messages + 1;
        while !quiet.is_cancelled() {
            let mark = Mark { speaker: 0, number: 0, due: meter.now() };
            let read = self.installation.page_before(self.room, before, page).await?;
            let first = before.saturating_sub(page).max(1);
            if read.iter().map(|message| message.seq).eq(first..before) {
                meter.hear(0, mark);
            } else {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
            // At the beginning, from the end again.
            before = if first == 1 { messages + 1 } else { first };
        }
        Ok(())
    }
}
