//! Counting packets: sent, received, lost, out of order, and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::meeting::{Flow, Medium};

/// The first packets of a stream are not counted: they meet caches that are still cold.
pub(super) const WARM_UP: u32 = 25;
const MAGIC: [u8; 4] = *b"mctl";
/// The first byte of an Opus packet: a mono CELT frame of 20 ms.
const TOC: u8 = 0xF8;
/// How long a stamp is.
pub(super) const STAMP: usize = 19;

/// What is in a packet, so that it can be known when it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub run: u64,
    pub seat: u16,
    pub number: u32,
}

impl Stamp {
    pub(super) fn payload(self) -> [u8; STAMP] {
        let mut payload = [0; STAMP];
        payload[0] = TOC;
        payload[1..5].copy_from_slice(&MAGIC);
        payload[5..13].copy_from_slice(&self.run.to_be_bytes());
        payload[13..17].copy_from_slice(&self.number.to_be_bytes());
        payload[17..].copy_from_slice(&self.seat.to_be_bytes());
        payload
    }

    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let [TOC, m1, m2, m3, m4, rest @ ..] = payload else { return None };
        let (run, rest) = rest.split_first_chunk::<8>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let seat = rest.first_chunk::<2>()?;
        ([*m1, *m2, *m3, *m4] == MAGIC && rest.len() == 2).then(|| Self {
            run: u64::from_be_bytes(*run),
            seat: u16::from_be_bytes(*seat),
            number: u32::from_be_bytes(*number),
        })
    }
}

/// All streams of a run.
#[derive(Default)]
pub(super) struct Tally {
    sent: BTreeMap<usize, Sent>,
    heard: BTreeMap<(usize, usize), Heard>,
}

#[derive(Default)]
struct Sent {
    at: Vec<Instant>,
    round_trip: Option<Duration>,
}

#[derive(Default)]
struct Heard {
    seen: Vec<bool>,
    highest: Option<u32>,
    received: u32,
    reordered: u32,
    duplicated: u32,
    transits: Vec<Duration>,
}

impl Tally {
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(super) fn sent(&mut self, from: usize, at: Instant) {
        self.sent.entry(from).or_default().at.push(at);
    }

    pub(super) fn round_trip(&mut self, from: usize, round_trip: Duration) {
        self.sent.entry(from).or_default().round_trip = Some(round_trip);
    }

    pub(super) fn heard(&mut self, from: usize, to: usize, number: u32, at: Instant) {
        let sent_at = self.sent.get(&from).and_then(|sent| sent.at.get(number as usize));
        let (Some(sent_at), false) = (sent_at, number < WARM_UP) else { return };
        let heard = self.heard.entry((from, to)).or_default();
        let place = (number - WARM_UP) as usize;
        if heard.seen.len() <= place {
            heard.seen.resize(place + 1, false);
        }
        if std::mem::replace(&mut heard.seen[place], true) {
            heard.duplicated += 1;
            return;
        }
        heard.received += 1;
        heard.reordered += u32::from(heard.highest.is_some_and(|highest| number < highest));
        heard.highest = heard.highest.max(Some(number));
        heard.transits.push(at.saturating_duration_since(*sent_at));
    }

    /// How many counted packets have arrived.
    pub(super) fn received(&self, from: usize, to: usize) -> u32 {
        self.heard.get(&(from, to)).map_or(0, |heard| heard.received)
    }

    pub(super) fn flow(&self, medium: Medium, from: usize, to: usize, label: impl Fn(usize) -> String) -> Flow {
        let nothing = Heard::default();
        let heard = self.heard.get(&(from, to)).unwrap_or(&nothing);
        let counted = self.sent.get(&from).map_or(0, |sent| sent.at.len()).saturating_sub(WARM_UP as usize);
        let sent = u32::try_from(counted).unwrap_or(u32::MAX);
        let mut transits = heard.transits.clone();
        transits.sort_unstable();
        Flow {
            from: label(from),
            to: label(to),
            medium,
            sent,
            received: heard.received,
            lost: sent.saturating_sub(heard.received),
            reordered: heard.reordered,
            duplicated: heard.duplicated,
            round_trip: self.sent.get(&from).and_then(|sent| sent.round_trip),
            transit_median: quantile(&transits, 50),
            transit_p95: quantile(&transits, 95),
        }
    }
}

/// The smallest value that at least this percentage of values does not exceed.
fn quantile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back() {
        let stamp = Stamp { run: 0x0123_4567_89ab_cdef, seat: 49, number: 3000 };
        assert_eq!(Stamp::read(&stamp.payload()), Some(stamp));
        assert_eq!(Stamp::read(&stamp.payload()[..STAMP - 1]), None);
        assert_eq!(Stamp::read(&[]), None);
    }

    #[tokio::test(start_paused = true)]
    async fn loss_order_and_transit_are_counted() {
        let mut tally = Tally::default();
        let start = Instant::now();
        let ms = Duration::from_millis;
        for n in 0..125 {
            tally.sent(0, start + ms(n * 20));
        }
        // Two are lost, one comes late, one twice; the warm-up does not count.
        for n in (0..125_u32).filter(|n| ![30, 31, 40].contains(n)) {
            tally.heard(0, 1, n, start + ms(u64::from(n) * 20 + u64::from(n % 100)));
        }
        tally.heard(0, 1, 40, start + ms(5000));
        tally.heard(0, 1, 41, start + ms(5000));
        tally.heard(0, 1, 9999, start);
        let flow = tally.flow(Medium::Audio, 0, 1, |n| n.to_string());
        assert_eq!((flow.sent, flow.received, flow.lost), (100, 98, 2));
        assert_eq!((flow.reordered, flow.duplicated), (1, 1));
        assert_eq!(flow.transit_median, Some(ms(51)));
        assert!(flow.transit_p95 > flow.transit_median);
        assert!((flow.loss() - 2.0).abs() < 0.001);
        assert_eq!(tally.flow(Medium::Audio, 1, 0, |n| n.to_string()).transit_median, None);
    }
}
