//! A proof as a ladder: signalling, then the three levels, each with its figures in one line.

use std::time::Duration;

use serde::Serialize;

use super::condition::addresses;
use super::meeting::{Answer, Proof, Stage};
use super::ramp::millis;
use super::text::list;

/// What a proof climbs; each rung stands on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::VariantArray)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// From the host name to the bridge's invitation.
    Signalling,
    /// L1: packets travel to the bridge and back on UDP.
    Reach,
    /// L2: ICE and DTLS are up.
    Secure,
    /// The bridge channel: receivers can ask for video.
    Channel,
    /// L3: the bridge forwards.
    Media,
}

/// How far a rung was climbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Climb {
    Shown,
    Failed,
    /// Nobody got there.
    NotReached,
}

/// One rung with what was measured on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Climbed {
    pub level: Rung,
    pub result: Climb,
    pub figures: String,
}

impl Rung {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    pub const fn name(self) -> &'static str {
        match self {
            Self::Signalling => "signalling",
            Self::Reach => "L1 reach",
            Self::Secure => "L2 secure",
            Self::Channel => "channel",
            Self::Media => "L3 media",
        }
    }

    /// The rung on which a stage is passed.
    pub const fn of(stage: Stage) -> Self {
        match stage {
            Stage::Connect | Stage::Login | Stage::Request | Stage::Join | Stage::Invite => Self::Signalling,
            Stage::Reach => Self::Reach,
            Stage::Accept | Stage::Secure => Self::Secure,
            Stage::Channel => Self::Channel,
            Stage::Media | Stage::Leave => Self::Media,
        }
    }

    /// Whether everybody has got past it.
    fn is_shown(self, proof: &Proof) -> bool {
        proof.is_past(match self {
            Self::Signalling => Stage::Invite,
            Self::Reach => Stage::Reach,
            Self::Secure => Stage::Secure,
            Self::Channel => Stage::Channel,
            Self::Media => Stage::Media,
        })
    }

    fn figures(self, proof: &Proof) -> String {
        match self {
            Self::Signalling => signalling(proof),
            Self::Reach => reach(proof),
            Self::Secure => secure(proof),
            Self::Channel => channel(proof),
            Self::Media => media(proof),
        }
        .unwrap_or_default()
    }
}

/// Every rung of a proof. What everybody has passed stays shown, whatever came afterwards; what was not reached has no
/// figures of the few who were faster.
pub fn ladder(proof: &Proof) -> Vec<Climbed> {
    let broke = proof.finding.as_ref().map(|finding| Rung::of(finding.stage));
    let climbed = Rung::ALL.iter().map(|&level| {
        let result = match broke {
            Some(broke) if level == broke => Climb::Failed,
            Some(broke) if level > broke && !level.is_shown(proof) => Climb::NotReached,
            Some(_) | None => Climb::Shown,
        };
        let figures = if result == Climb::NotReached { String::new() } else { level.figures(proof) };
        Climbed { level, result, figures }
    });
    climbed.collect()
}

fn signalling(proof: &Proof) -> Option<String> {
    let last = proof.stages.iter().filter(|p| p.stage <= Stage::Invite).max_by_key(|p| p.stage)?.stage;
    let passed = proof.passed(last);
    let slowest = millis(*passed.last()?);
    let median = passed[(passed.len() - 1) / 2];
    // The slowest counts; of many, half came so much earlier.
    let median = if passed.len() > 2 { format!(" (median {})", millis(median)) } else { String::new() };
    let all = proof.participants();
    let some = if passed.len() < all { format!(", {} of {all}", passed.len()) } else { String::new() };
    Some(match last {
        Stage::Invite => format!("joined and invited after {slowest}{median}{some}"),
        other => format!("as far as {} after {slowest}{median}{some}", other.name()),
    })
}

fn reach(proof: &Proof) -> Option<String> {
    let answered = proof.reached.iter().filter(|r| r.outcome == Answer::Answered);
    let best = answered.filter_map(|r| Some((r.round_trip?, r.address))).min();
    let tried = proof.tried();
    match best {
        Some((took, address)) => Some(format!("{address} answers in {}", millis(took))),
        None if !tried.is_empty() => Some(format!("tried {}", addresses(&tried))),
        None if !proof.left_out.is_empty() => Some(format!("left out {}", list(&proof.left_out, ", "))),
        None => None,
    }
}

fn secure(proof: &Proof) -> Option<String> {
    let slowest = proof.secured.iter().max_by_key(|s| s.ice + s.dtls)?;
    let round_trip = slowest.round_trip.map_or_else(String::new, |time| format!(", round trip {}", millis(time)));
    Some(format!("ICE in {}, DTLS in {}{round_trip}", millis(slowest.ice), millis(slowest.dtls)))
}

fn channel(proof: &Proof) -> Option<String> {
    let slowest = proof.channels.iter().max_by_key(|c| c.answered)?;
    Some(format!("{}, answered in {}", slowest.carrier.name(), millis(slowest.answered)))
}

fn media(proof: &Proof) -> Option<String> {
    let sum = |of: fn(&super::meeting::Flow) -> u32| proof.flows.iter().map(|f| u64::from(of(f))).sum::<u64>();
    let (sent, received, reordered) = (sum(|f| f.sent), sum(|f| f.received), sum(|f| f.reordered));
    if let Some(step) = proof.ramp.as_ref().and_then(|ramp| ramp.good().or(ramp.steps.last())) {
        return Some(format!("{} participants, {}", step.participants, step.figures()));
    }
    let worst = proof.flows.iter().max_by(|a, b| a.loss().total_cmp(&b.loss()))?;
    let transit = |of: fn(&super::meeting::Flow) -> Option<Duration>| proof.flows.iter().filter_map(of).max();
    let mut parts = vec![match proof.flows.len() {
        1 => format!("{received} of {sent} packets, {:.1} % lost", worst.loss()),
        streams => format!(
            "{received} of {sent} packets in {streams} streams, worst {} to {}: {:.1} % lost",
            worst.from,
            worst.to,
            worst.loss()
        ),
    }];
    let audible = proof.flows.iter().filter_map(|f| f.audible_after).max();
    parts.extend(audible.map(|after| format!("audible after {}", brief(after))));
    parts.extend((reordered > 0).then(|| format!("{reordered} out of order")));
    parts.extend(transit(|f| f.transit_median).map(|median| {
        let p95 = transit(|f| f.transit_p95).map_or_else(String::new, |p95| format!(" (p95 {})", millis(p95)));
        format!("{} through the bridge{p95}", millis(median))
    }));
    Some(parts.join(", "))
}

/// In seconds from a tenth on: `0.4 s`.
fn brief(span: Duration) -> String {
    if span < Duration::from_millis(100) { millis(span) } else { format!("{:.1} s", span.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::finding::{Code, Finding};
    use crate::domain::meeting::{Flow, Medium, Passed};

    #[test]
    fn a_ladder_ends_where_it_broke() {
        use Climb::*;
        let results = |proof: &Proof| ladder(proof).iter().map(|c| c.result).collect::<Vec<_>>();
        assert_eq!(results(&Proof::default()), [Shown; 5]);
        for &code in Code::ALL {
            let proof = Proof { finding: Some(Finding::new(code)), ..Proof::default() };
            let failed = results(&proof).iter().filter(|r| **r == Failed).count();
            assert_eq!(failed, 1, "{code}");
        }
        let proof = Proof { finding: Some(Finding::new(Code::UdpBlocked)), ..Proof::default() };
        assert_eq!(results(&proof), [Shown, Failed, NotReached, NotReached, NotReached]);
    }

    #[test]
    fn figures_are_sums_and_worsts() {
        let flow = |from: &str, lost: u32| Flow {
            from: from.into(),
            to: "c".into(),
            medium: Medium::Audio,
            sent: 200,
            received: 200 - lost,
            lost,
            reordered: 1,
            duplicated: 0,
            round_trip: None,
            transit_median: Some(Duration::from_micros(2_300)),
            transit_p95: Some(Duration::from_millis(31)),
            audible_after: Some(Duration::from_millis(400)),
            silences: Vec::new(),
        };
        let proof = Proof {
            stages: vec![Passed { participant: "a".into(), stage: Stage::Login, at: Duration::from_millis(80) }],
            flows: vec![flow("a", 0), flow("b", 20)],
            ..Proof::default()
        };
        let climbed = ladder(&proof);
        assert_eq!(climbed[0].figures, "as far as login after 80 ms");
        assert_eq!(
            climbed[4].figures,
            "380 of 400 packets in 2 streams, worst b to c: 10.0 % lost, audible after 0.4 s, 2 out of order, 2.3 ms through the bridge \
             (p95 31 ms)"
        );
    }
}
