//! What all packets together look like for a while, and whether this machine keeps up with sending them.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::domain::meeting::Medium;
use crate::domain::ramp::{Sender, Step};
use crate::world::Net;

/// Packets of one sender that can still be known when they arrive: some three seconds.
const REMEMBERED: usize = 256;
/// Up to here in tenths of a millisecond, from here on in milliseconds.
const FINE: usize = 1_000;
const COARSE: usize = 3_000;

/// Counts within a slice of time. Its size does not grow with the run.
pub(super) struct Gauge<'a> {
    net: &'a dyn Net,
    slice: Mutex<Slice>,
}

struct Slice {
    start: Instant,
    end: Option<Instant>,
    /// CPU time of this process at the start.
    cpu: Option<Duration>,
    sent: u64,
    received: u64,
    transits: Histogram,
    late: Histogram,
    rings: BTreeMap<(usize, Medium), Vec<(u32, Instant)>>,
}

impl<'a> Gauge<'a> {
    pub(super) fn new(net: &'a dyn Net) -> Self {
        let slice = Slice {
            start: Instant::now(),
            end: None,
            cpu: net.cpu_time(),
            sent: 0,
            received: 0,
            transits: Histogram::default(),
            late: Histogram::default(),
            rings: BTreeMap::new(),
        };
        Self { net, slice: Mutex::new(slice) }
    }

    fn slice(&self) -> MutexGuard<'_, Slice> {
        self.slice.lock()
    }

    /// Begins anew, with what is sent from now on until then.
    pub(super) fn open(&self, lasting: Duration) {
        let now = Instant::now();
        let mut slice = self.slice();
        let rings = std::mem::take(&mut slice.rings);
        *slice = Slice { rings, ..Self::new(self.net).slice.into_inner() };
        slice.end = Some(now + lasting);
    }

    /// A packet has gone out that was due then, to so many.
    pub(super) fn sent(&self, sender: usize, medium: Medium, number: u32, due: Instant, listeners: usize) {
        let now = Instant::now();
        let mut slice = self.slice();
        slice.late.add(now.saturating_duration_since(due));
        let ring = slice.rings.entry((sender, medium)).or_insert_with(|| vec![(u32::MAX, now); REMEMBERED]);
        ring[number as usize % REMEMBERED] = (number, now);
        if slice.holds(now) {
            slice.sent += listeners as u64;
        }
    }

    pub(super) fn heard(&self, sender: usize, medium: Medium, number: u32) {
        let now = Instant::now();
        let mut slice = self.slice();
        let ring = slice.rings.get(&(sender, medium));
        let Some((known, at)) = ring.map(|ring| ring[number as usize % REMEMBERED]) else { return };
        if known == number && slice.holds(at) {
            slice.received += 1;
            slice.transits.add(now.saturating_duration_since(at));
        }
    }

    /// How this machine has kept up since the slice was opened.
    pub(super) fn sender(&self) -> Sender {
        let slice = self.slice();
        let wall = slice.start.elapsed();
        let used = self.net.cpu_time().zip(slice.cpu).map(|(now, then)| now.saturating_sub(then));
        let cores = used.filter(|_| !wall.is_zero()).map(|used| used.as_secs_f64() / wall.as_secs_f64());
        Sender { late: slice.late.quantile(95).unwrap_or_default(), cores }
    }

    /// What the slice has shown.
    pub(super) fn step(&self, participants: u32) -> Step {
        let sender = self.sender();
        let slice = self.slice();
        Step {
            participants,
            sent: slice.sent,
            lost: slice.sent.saturating_sub(slice.received),
            transit_median: slice.transits.quantile(50),
            transit_p95: slice.transits.quantile(95),
            sender,
        }
    }
}

impl Slice {
    fn holds(&self, at: Instant) -> bool {
        at >= self.start && self.end.is_some_and(|end| at < end)
    }
}

/// How often something took how long.
#[derive(Default)]
struct Histogram {
    counts: Vec<u32>,
    all: u64,
}

impl Histogram {
    fn add(&mut self, span: Duration) {
        let tenths = usize::try_from(span.as_micros() / 100).unwrap_or(usize::MAX);
        let place = if tenths < FINE { tenths } else { (FINE + (tenths - FINE) / 10).min(FINE + COARSE) };
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.all += 1;
    }

    /// What at least this percentage did not exceed, as exactly as it was kept.
    fn quantile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        })?;
        let tenths = if place < FINE { place } else { FINE + (place - FINE) * 10 };
        Some(Duration::from_micros(tenths as u64 * 100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_tenth_below_a_hundred_milliseconds() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(50), None);
        for tenths in 1..=100_u64 {
            histogram.add(Duration::from_micros(tenths * 100));
        }
        assert_eq!(histogram.quantile(50), Some(Duration::from_millis(5)));
        assert_eq!(histogram.quantile(95), Some(Duration::from_micros(9_500)));
        histogram.add(Duration::from_millis(1_234));
        histogram.add(Duration::from_hours(1));
        assert_eq!(histogram.quantile(99), Some(Duration::from_millis(1_234)));
        assert_eq!(histogram.quantile(100), Some(Duration::from_millis(3_100)));
    }
}
