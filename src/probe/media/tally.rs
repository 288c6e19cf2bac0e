//! Counting packets: sent, received, lost, out of order, and how long they took.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::meeting::{Flow, Medium, Silence};

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

/// How many packets make a stream, and how many are sent in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    pub all: u32,
    pub second: u32,
}

impl Pace {
    pub(super) fn new(lasting: Duration, each: Duration, packets: u32) -> Self {
        let times = |span: Duration| u32::try_from(span.as_millis() / each.as_millis()).unwrap_or(u32::MAX);
        let of = |span| times(span).saturating_mul(packets);
        Self { all: of(lasting), second: of(Duration::from_secs(1)) }
    }

    /// Within so many packets the first one of a stream has to arrive: in 10 s.
    fn opening(self) -> u32 {
        self.second * 10
    }

    /// So many packets are still sent once a stream is heard again after a move.
    fn again(self) -> u32 {
        (self.second * 5 / 2).min(self.all)
    }
}

/// All streams of a run.
#[derive(Default)]
pub(super) struct Tally {
    pace: Pace,
    sent: BTreeMap<usize, Sent>,
    heard: BTreeMap<(usize, usize), Heard>,
    /// How often each participant was invited anew.
    renewals: BTreeMap<usize, u32>,
}

#[derive(Default)]
struct Sent {
    at: Vec<Instant>,
    /// The first packet after each new invitation.
    since: Vec<u32>,
    round_trip: Option<Duration>,
}

/// A stream, as one participant hears it.
#[derive(Default)]
struct Heard {
    seen: Vec<bool>,
    /// One for each invitation in which something was heard.
    spans: Vec<Span>,
    /// How many packets had been sent when the present invitation began.
    began: u32,
    highest: Option<u32>,
    reordered: u32,
    duplicated: u32,
    transits: Vec<Duration>,
}

/// What was heard in one invitation. It opens when its first packet arrives.
struct Span {
    /// How often sender and receiver had been invited anew.
    epoch: (u32, u32),
    first: u32,
    last: u32,
    opened: Instant,
    ended: Instant,
    /// How many of the packets that count have arrived.
    received: u32,
}

impl Tally {
    /// Nothing has been sent yet; these will be heard.
    pub(super) fn begin(&mut self, flows: impl IntoIterator<Item = (usize, usize)>, pace: Pace) {
        let heard = flows.into_iter().map(|flow| (flow, Heard::default())).collect();
        *self = Self { pace, heard, ..Self::default() };
    }

    pub(super) fn sent(&mut self, from: usize, at: Instant) {
        self.sent.entry(from).or_default().at.push(at);
    }

    /// How many packets this participant has to send: until everybody who listens has heard a whole stream, and again
    /// for a while after a move; not for ever when nobody hears anything.
    pub(super) fn to_send(&self, from: usize) -> u32 {
        let flows = self.heard.range((from, 0)..=(from, usize::MAX));
        flows.map(|(flow, heard)| self.end(*flow, heard)).max().unwrap_or(self.pace.all)
    }

    /// Where the part of a stream ends that counts.
    fn end(&self, flow: (usize, usize), heard: &Heard) -> u32 {
        match (heard.spans.first(), heard.spans.last().filter(|span| span.epoch == self.epoch(flow))) {
            (Some(first), Some(last)) => (first.first + self.pace.all).max(last.first + self.pace.again()),
            _ => heard.began + self.pace.opening(),
        }
    }

    fn epoch(&self, (from, to): (usize, usize)) -> (u32, u32) {
        let renewed = |seat| self.renewals.get(&seat).copied().unwrap_or_default();
        (renewed(from), renewed(to))
    }

    /// A participant was invited anew in the middle: what it sends and hears from now on is counted by itself.
    pub(super) fn renewed(&mut self, seat: usize) {
        *self.renewals.entry(seat).or_default() += 1;
        let voice = self.sent.entry(seat).or_default();
        voice.since.push(count(&voice.at));
        for ((from, _), heard) in self.heard.iter_mut().filter(|((from, to), _)| [*from, *to].contains(&seat)) {
            heard.began = self.sent.get(from).map_or(0, |sent| count(&sent.at));
        }
    }

    pub(super) fn round_trip(&mut self, from: usize, round_trip: Duration) {
        self.sent.entry(from).or_default().round_trip = Some(round_trip);
    }

    pub(super) fn heard(&mut self, from: usize, to: usize, number: u32, at: Instant) {
        let Some(sent) = self.sent.get(&from) else { return };
        let Some(sent_at) = sent.at.get(number as usize) else { return };
        let epoch = (sent.renewals_before(number), self.epoch((from, to)).1);
        let pace = self.pace;
        let Some(heard) = self.heard.get_mut(&(from, to)) else { return };
        if heard.seen.len() <= number as usize {
            heard.seen.resize(number as usize + 1, false);
        }
        if std::mem::replace(&mut heard.seen[number as usize], true) {
            heard.duplicated += 1;
            return;
        }
        if heard.spans.last().is_none_or(|span| span.epoch < epoch) {
            let span = Span { epoch, first: number, last: number, opened: at, ended: at, received: 0 };
            heard.spans.push(span);
        }
        let whole = heard.spans.first().map_or(0, |span| span.first + pace.all);
        let Some(span) = heard.spans.last_mut().filter(|span| span.epoch == epoch) else { return };
        span.last = span.last.max(number);
        span.ended = span.ended.max(at);
        if number < span.first + WARM_UP || number >= whole.max(span.first + pace.again()) {
            return;
        }
        span.received += 1;
        heard.reordered += u32::from(heard.highest.is_some_and(|highest| number < highest));
        heard.highest = heard.highest.max(Some(number));
        heard.transits.push(at.saturating_duration_since(*sent_at));
    }

    /// Whether all that counts has arrived, in the present invitation.
    pub(super) fn is_whole(&self, from: usize, to: usize) -> bool {
        let Some(heard) = self.heard.get(&(from, to)) else { return true };
        let Some(span) = heard.spans.last().filter(|span| span.epoch == self.epoch((from, to))) else { return false };
        span.received >= self.end((from, to), heard).saturating_sub(span.first + WARM_UP)
    }

    /// When anything was heard last, since the first packet was sent.
    pub(super) fn heard_until(&self) -> Option<Duration> {
        let last = self.heard.values().filter_map(|heard| heard.spans.last()).map(|span| span.ended).max()?;
        Some(last.saturating_duration_since(self.began()?))
    }

    /// When the first packet of all was sent.
    pub(super) fn began(&self) -> Option<Instant> {
        self.sent.values().filter_map(|sent| sent.at.first()).min().copied()
    }

    pub(super) fn flow(&self, medium: Medium, from: usize, to: usize, label: impl Fn(usize) -> String) -> Flow {
        let nothing = (Sent::default(), Heard::default());
        let sent = self.sent.get(&from).unwrap_or(&nothing.0);
        let heard = self.heard.get(&(from, to)).unwrap_or(&nothing.1);
        let end = self.end((from, to), heard).min(count(&sent.at));
        let (mut counted, mut received) = (0, 0);
        for number in heard.counted(end).flatten() {
            counted += 1;
            received += u32::from(heard.has(number));
        }
        if heard.spans.is_empty() {
            counted = end.saturating_sub(WARM_UP);
        }
        let mut transits = heard.transits.clone();
        transits.sort_unstable();
        Flow {
            from: label(from),
            to: label(to),
            medium,
            sent: counted,
            received,
            lost: counted - received,
            reordered: heard.reordered,
            duplicated: heard.duplicated,
            round_trip: sent.round_trip,
            transit_median: quantile(&transits, 50),
            transit_p95: quantile(&transits, 95),
            audible_after: heard.audible_after(sent),
            silences: heard.silences(sent, end, self.pace.second),
        }
    }
}

impl Sent {
    fn renewals_before(&self, number: u32) -> u32 {
        u32::try_from(self.since.partition_point(|first| *first <= number)).unwrap_or(u32::MAX)
    }
}

impl Heard {
    fn audible_after(&self, sent: &Sent) -> Option<Duration> {
        let (span, began) = (self.spans.first()?, sent.at.first()?);
        Some(span.opened.saturating_duration_since(*began))
    }

    fn has(&self, number: u32) -> bool {
        self.seen.get(number as usize).copied().unwrap_or_default()
    }

    /// The packets that count: of each invitation those after the warm-up, until the invitation ended.
    fn counted(&self, end: u32) -> impl Iterator<Item = Range<u32>> {
        let ends = self.spans.iter().skip(1).zip(&self.spans).map(|(_, span)| span.last + 1).chain([end]);
        self.spans.iter().zip(ends).map(|(span, end)| span.first + WARM_UP..end)
    }

    /// When nothing was heard for a second, and between two invitations.
    fn silences(&self, sent: &Sent, end: u32, second: u32) -> Vec<Silence> {
        let since = |number: u32| {
            let at = sent.at.get(number as usize).or(sent.at.last());
            at.zip(sent.at.first()).map_or(Duration::ZERO, |(at, first)| at.saturating_duration_since(*first))
        };
        let mut silences = Vec::new();
        for (span, next) in self.spans.iter().zip(self.spans.iter().skip(1).map(Some).chain([None])) {
            let last = next.map_or(end, |_| span.last + 1);
            let mut hole = span.first..span.first;
            for number in span.first..=last {
                if number < last && !self.has(number) {
                    hole.end = number + 1;
                    continue;
                }
                if hole.end - hole.start >= second {
                    let lasted = (number < last).then(|| since(number).saturating_sub(since(hole.start)));
                    silences.push(Silence { from: since(hole.start), lasted, moved: false });
                }
                hole = number + 1..number + 1;
            }
            silences.extend(next.map(|next| Silence {
                from: since(span.last + 1),
                lasted: Some(next.opened.saturating_duration_since(span.ended)),
                moved: true,
            }));
        }
        silences
    }
}

fn count<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
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
        tally.begin([(0, 1)], Pace { all: 125, second: 50 });
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
        assert_eq!(flow.audible_after, Some(Duration::ZERO));
        assert_eq!(flow.silences, []);
        assert_eq!(tally.flow(Medium::Audio, 1, 0, |n| n.to_string()).transit_median, None);
    }

    /// A packet every 20 ms, of which these arrive at once.
    fn heard(tally: &mut Tally, start: Instant, sent: Range<u32>, arrives: impl Fn(u32) -> bool) {
        for number in sent {
            let at = start + Duration::from_millis(20) * number;
            tally.sent(0, at);
            if arrives(number) {
                tally.heard(0, 1, number, at);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_invitation_is_counted_by_itself() {
        for renewed in [0, 1] {
            let mut tally = Tally::default();
            let start = Instant::now();
            tally.begin([(0, 1)], Pace { all: 400, second: 50 });
            assert_eq!(tally.to_send(0), 500);
            heard(&mut tally, start, 0..300, |number| (10..200).contains(&number));
            assert_eq!(tally.to_send(0), 410);
            tally.renewed(renewed);
            assert_eq!(tally.to_send(0), 300 + 500);
            assert!(!tally.is_whole(0, 1));
            heard(&mut tally, start, 300..420, |number| number >= 320 && number != 380);
            assert_eq!(tally.to_send(0), 320 + 125);
            heard(&mut tally, start, 420..445, |_| true);
            let flow = tally.flow(Medium::Audio, 0, 1, |n| n.to_string());
            assert_eq!((flow.sent, flow.received), (200 - 35 + 445 - 345, 200 - 35 + 445 - 345 - 1), "{flow:?}");
            assert_eq!(flow.audible_after, Some(Duration::from_millis(200)));
            let [pause] = flow.silences.as_slice() else { panic!("{flow:?}") };
            assert_eq!((pause.from, pause.moved), (Duration::from_secs(4), true));
            assert_eq!(pause.lasted, Some(Duration::from_millis(20 * (320 - 199))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silences_inside_and_at_the_end() {
        let mut tally = Tally::default();
        let start = Instant::now();
        tally.begin([(0, 1)], Pace { all: 500, second: 50 });
        heard(&mut tally, start, 0..500, |number| {
            !(100..149).contains(&number) && !(200..250).contains(&number) && number < 400
        });
        let flow = tally.flow(Medium::Audio, 0, 1, |n| n.to_string());
        let seconds = |silence: &Silence| (silence.from.as_secs(), silence.lasted.map(|l| l.as_secs()));
        assert_eq!(flow.silences.iter().map(seconds).collect::<Vec<_>>(), [(4, Some(1)), (8, None)]);
        assert_eq!(flow.lost, 49 + 50 + 100);
    }
}
