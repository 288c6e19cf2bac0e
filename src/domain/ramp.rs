//! A load that grows until something gives: what each step measured, and how far it was good.

use std::time::Duration;

use serde::Serialize;

use super::finding::Finding;
use super::{maybe_seconds, seconds};

/// How the machine that sends has kept up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Sender {
    /// How late packets went out; all but one in twenty were no later.
    #[serde(serialize_with = "seconds")]
    pub late: Duration,
    /// Of one core, as much as the program can use; `None` where that cannot be read.
    pub cores: Option<f64>,
}

impl Sender {
    /// A packet is due every 20 ms: whoever is later than that sends another load than the one that was asked for.
    const LATEST: Duration = Duration::from_millis(20);
    const BUSIEST: f64 = 0.9;

    /// Whether what was measured may be this machine's doing.
    pub fn is_at_its_limit(&self) -> bool {
        self.late > Self::LATEST || self.cores.is_some_and(|cores| cores > Self::BUSIEST)
    }

    pub fn words(&self) -> String {
        let cores = self.cores.map_or_else(String::new, |cores| format!(", {cores:.2} of a core"));
        format!("packets went out up to {} late{cores}", millis(self.late))
    }
}

/// What was measured while so many were there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub participants: u32,
    /// Packets, times those who should receive them.
    pub sent: u64,
    pub lost: u64,
    #[serde(serialize_with = "maybe_seconds")]
    pub transit_median: Option<Duration>,
    #[serde(serialize_with = "maybe_seconds")]
    pub transit_p95: Option<Duration>,
    pub sender: Sender,
}

impl Step {
    /// In percent of what was sent.
    pub fn loss(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let (sent, lost) = (self.sent as f64, self.lost as f64);
        if self.sent == 0 { 100.0 } else { lost * 100.0 / sent }
    }

    pub fn figures(&self) -> String {
        let transit = self.transit_median.map_or_else(String::new, |median| {
            let p95 = self.transit_p95.map_or_else(String::new, |p95| format!(" (p95 {})", millis(p95)));
            format!(", {} through the bridge{p95}", millis(median))
        });
        format!("{:.1} % lost{transit}", self.loss())
    }
}

/// Why no more were added.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Limit {
    /// More was lost than may be.
    Loss { at: u32 },
    /// Packets began to wait in the bridge.
    Delay { at: u32 },
    /// The machine that sends did not keep up: nothing is said about the bridge.
    ThisMachine { at: u32 },
    /// Somebody could not come in, or not stay.
    Refused { at: u32, finding: Finding },
    /// It was stopped, or its time was over.
    Stopped,
}

/// A whole ramp.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Ramp {
    pub room_size: u16,
    pub wanted: u32,
    pub steps: Vec<Step>,
    /// `None`: all that were asked for were there, and all was good.
    pub limit: Option<Limit>,
}

/// So much longer than at the first step, and packets wait for each other.
const DELAY: Duration = Duration::from_millis(25);

impl Ramp {
    /// What a step means, seen from the first one.
    pub fn judge(&self, step: &Step, max_loss: f64) -> Option<Limit> {
        let at = step.participants;
        let usual = self.steps.first().and_then(|first| first.transit_median);
        let waits = usual.zip(step.transit_median).is_some_and(|(usual, now)| now > usual + DELAY);
        let lossy = step.loss() > max_loss;
        match (lossy || waits, step.sender.is_at_its_limit()) {
            (false, _) => None,
            (true, true) => Some(Limit::ThisMachine { at }),
            (true, false) if lossy => Some(Limit::Loss { at }),
            (true, false) => Some(Limit::Delay { at }),
        }
    }

    /// The last step at which all was good.
    pub fn good(&self) -> Option<&Step> {
        let ended_at = match &self.limit {
            Some(Limit::Loss { at } | Limit::Delay { at } | Limit::ThisMachine { at }) => *at,
            Some(Limit::Refused { .. } | Limit::Stopped) | None => u32::MAX,
        };
        self.steps.iter().rev().find(|step| step.participants < ended_at)
    }

    /// `good up to 140 in rooms of 5; the bridge's transit rose from 2.0 ms to 40 ms at 160`
    pub fn sentence(&self) -> String {
        let good = self.good().map_or_else(
            || "not good with the first rooms".to_owned(),
            |step| format!("good up to {} in rooms of {}", step.participants, self.room_size),
        );
        let last = self.steps.last();
        let transit = |step: Option<&Step>| step.and_then(|s| s.transit_median).map(millis).unwrap_or_default();
        match &self.limit {
            None => format!("{good}, which is all that was asked for"),
            Some(Limit::Loss { at }) => {
                format!("{good}; {:.1} % of the packets were lost at {at}", last.map_or(100.0, Step::loss))
            }
            Some(Limit::Delay { at }) => {
                let (from, to) = (transit(self.steps.first()), transit(last));
                format!("{good}; the bridge's transit rose from {from} to {to} at {at}")
            }
            Some(Limit::ThisMachine { at }) => {
                let words = last.map(|step| step.sender.words()).unwrap_or_default();
                format!("{good}; at {at} this machine did not keep up ({words}), which says nothing about the bridge")
            }
            Some(Limit::Refused { at, finding }) => format!("{good}; at {at}: {finding}"),
            Some(Limit::Stopped) => format!("{good}; then it was stopped"),
        }
    }
}

/// Whole milliseconds, and tenths below ten.
pub(super) fn millis(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::Code;

    fn step(participants: u32, lost: u64, median: u64, late: u64) -> Step {
        let ms = Duration::from_millis;
        let sender = Sender { late: ms(late), cores: None };
        Step { participants, sent: 1000, lost, transit_median: Some(ms(median)), transit_p95: None, sender }
    }

    fn ramp(steps: Vec<Step>, limit: Option<Limit>) -> Ramp {
        Ramp { room_size: 5, wanted: 200, steps, limit }
    }

    #[test]
    fn loss_and_delay_are_the_bridges_unless_this_machine_is_late() {
        let first = ramp(vec![step(20, 0, 2, 0)], None);
        for (next, wanted) in [
            (step(40, 20, 27, 0), None),
            (step(40, 21, 2, 0), Some(Limit::Loss { at: 40 })),
            (step(40, 0, 28, 0), Some(Limit::Delay { at: 40 })),
            (step(40, 0, 28, 21), Some(Limit::ThisMachine { at: 40 })),
            (step(40, 500, 2, 21), Some(Limit::ThisMachine { at: 40 })),
            (step(40, 0, 2, 21), None),
        ] {
            assert_eq!(first.judge(&next, 2.0), wanted, "{next:?}");
        }
        let mut busy = step(40, 500, 2, 0);
        busy.sender.cores = Some(0.97);
        assert_eq!(first.judge(&busy, 2.0), Some(Limit::ThisMachine { at: 40 }));
        // Without a first step there is no usual delay, but loss is loss.
        assert_eq!(ramp(Vec::new(), None).judge(&step(20, 0, 400, 0), 2.0), None);
        assert_eq!(ramp(Vec::new(), None).judge(&step(20, 30, 2, 0), 2.0), Some(Limit::Loss { at: 20 }));
    }

    #[test]
    fn it_says_how_far_it_was_good() {
        let steps = || vec![step(140, 0, 2, 0), step(160, 300, 40, 33)];
        for (limit, wanted) in [
            (None, "good up to 160 in rooms of 5, which is all that was asked for"),
            (
                Some(Limit::Delay { at: 160 }),
                "good up to 140 in rooms of 5; the bridge's transit rose from 2.0 ms to 40 ms at 160",
            ),
            (Some(Limit::Loss { at: 160 }), "good up to 140 in rooms of 5; 30.0 % of the packets were lost at 160"),
            (
                Some(Limit::ThisMachine { at: 160 }),
                "good up to 140 in rooms of 5; at 160 this machine did not keep up (packets went out up to 33 ms late), \
                 which says nothing about the bridge",
            ),
            (
                Some(Limit::Refused { at: 180, finding: Finding::new(Code::RoomFull) }),
                "good up to 160 in rooms of 5; at 180: the room takes no more participants",
            ),
            (Some(Limit::Stopped), "good up to 160 in rooms of 5; then it was stopped"),
        ] {
            assert_eq!(ramp(steps(), limit).sentence(), wanted);
        }
        let none = ramp(vec![step(20, 300, 2, 0)], Some(Limit::Loss { at: 20 }));
        assert_eq!(none.sentence(), "not good with the first rooms; 30.0 % of the packets were lost at 20");
    }
}
