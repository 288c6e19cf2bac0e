//! Load that grows: rooms are added, and everybody keeps talking, until loss or delay shows.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::gauge::Gauge;
use super::plan::{Place, places};
use super::prove::{Hold, chance, find, judge, outside};
use super::report::Counts;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Proof, Stage};
use crate::domain::ramp::{Limit, Ramp, Step};
use crate::probe::wire::Wire;

/// A ramp has so many steps, if there are rooms enough.
const STEPS: usize = 10;
/// Longer than any ramp.
const ALL_ALONG: Duration = Duration::from_hours(24);
/// After somebody has come in; the first packets meet caches that are still cold.
const SETTLING: Duration = Duration::from_secs(1);
/// For the last packets of a slice to arrive.
const LISTENING: Duration = Duration::from_secs(1);

/// Adds rooms until something gives, and leaves no trace. `progress` is told of each step.
///
/// `ask.limits.speaking` is how long each step is watched, `ask.thresholds.loss_failure` how much may be lost in it.
pub async fn climb(wire: &Wire<'_>, ask: &Ask, stop: &CancellationToken, progress: impl Fn(&Step) + Sync) -> Proof {
    let began = Instant::now();
    let mut chance = chance(wire.seed, wire.clock);
    let door = outside(wire, ask);
    let mut proof = match find(door, ask, stop).await {
        Err(finding) => Proof { finding: Some(finding), ..Proof::default() },
        Ok(found) => {
            let groups = groups(ask).into_iter().map(|group| {
                let places = places(&group, &found.names, &mut chance);
                (group, places, Notify::new())
            });
            let gauge = Gauge::new(wire.net);
            let climb = Climb { ask, stop, gauge: &gauge, groups: groups.collect() };
            climb.run(Hold::behind(door, &found, &gauge), &progress).await
        }
    };
    judge(&mut proof, ask);
    proof.took = began.elapsed();
    proof.tries = 1;
    proof
}

struct Climb<'a> {
    ask: &'a Ask,
    stop: &'a CancellationToken,
    gauge: &'a Gauge<'a>,
    groups: Vec<(Ask, Vec<Place>, Notify)>,
}

impl Climb<'_> {
    async fn run(&self, hold: Hold<'_>, progress: &(dyn Fn(&Step) + Sync)) -> Proof {
        let enough = self.stop.child_token();
        let mut meetings = FuturesUnordered::new();
        let mut proofs = Vec::new();
        let mut ramp = Ramp { room_size: self.ask.room_size, wanted: count(self.ask.seats()), ..Ramp::default() };
        let mut there = 0;
        for (number, (group, places, connected)) in self.groups.iter().enumerate() {
            let tell = |stage| {
                if stage == Stage::Secure {
                    connected.notify_one();
                }
            };
            let hold = hold.counting(Counts::Steps { from: there });
            let enough = &enough;
            meetings.push(async move { (number, hold.meeting(group, places, enough, &tell).await) });
            there += places.len();
            let at = count(there);
            let stepping = self.step(connected, at, &ramp);
            tokio::select! {
                biased;
                // A meeting ends before it is told to only when something is wrong with it.
                Some((ended, proof)) = meetings.next() => {
                    ramp.limit = Some(self.ended(at, &proof));
                    proofs.push((ended, proof));
                }
                (step, limit) = stepping => {
                    progress(&step);
                    ramp.steps.push(step);
                    ramp.limit = limit;
                }
            }
            if ramp.limit.is_some() {
                break;
            }
        }
        enough.cancel();
        while let Some(ended) = meetings.next().await {
            proofs.push(ended);
        }
        self.sum_up(proofs, ramp)
    }

    /// What a meeting that has ended by itself means.
    fn ended(&self, at: u32, proof: &Proof) -> Limit {
        match &proof.finding {
            Some(finding) if !self.stop.is_cancelled() => {
                Limit::Refused { at, finding: Finding { participant: None, ..finding.clone() } }
            }
            Some(_) | None => Limit::Stopped,
        }
    }

    /// Watches for a while once everybody is there. What looks bad is looked at again: once says little.
    async fn step(&self, connected: &Notify, at: u32, ramp: &Ramp) -> (Step, Option<Limit>) {
        connected.notified().await;
        sleep(SETTLING).await;
        let first = self.look(at).await;
        let max_loss = self.ask.thresholds.loss_failure;
        if ramp.judge(&first, max_loss).is_none() {
            return (first, None);
        }
        let second = self.look(at).await;
        let limit = ramp.judge(&second, max_loss);
        (second, limit)
    }

    async fn look(&self, at: u32) -> Step {
        let lasting = self.ask.limits.speaking;
        self.gauge.open(lasting);
        sleep(lasting + LISTENING).await;
        self.gauge.step(at)
    }

    /// The first rooms show the levels; how far it was good is the answer.
    fn sum_up(&self, mut proofs: Vec<(usize, Proof)>, ramp: Ramp) -> Proof {
        proofs.sort_by_key(|(number, _)| *number);
        let stopped = self.stop.is_cancelled();
        let mut all = proofs.into_iter().map(|(_, proof)| proof);
        let mut proof = all.next().unwrap_or_default();
        proof.warnings.extend(all.flat_map(|proof| proof.warnings));
        proof.warnings.sort_by_key(|w| w.code);
        proof.warnings.dedup_by_key(|w| w.code);
        proof.finding = match &ramp.limit {
            _ if stopped => Some(Finding::new(Code::Interrupted)),
            Some(limit) if ramp.good().is_none() => Some(finding(limit, &ramp)),
            Some(Limit::ThisMachine { .. }) => {
                proof.warnings.push(Finding::new(Code::SenderLate).detail(ramp.sentence()));
                None
            }
            Some(_) | None => None,
        };
        proof.sender = ramp.steps.last().map(|step| step.sender);
        proof.ramp = Some(ramp);
        proof
    }
}

/// When nothing was good, not even with the first rooms.
fn finding(limit: &Limit, ramp: &Ramp) -> Finding {
    let code = match limit {
        Limit::Refused { finding, .. } => return finding.clone(),
        Limit::Loss { .. } | Limit::Delay { .. } => Code::MediaLossy,
        Limit::ThisMachine { .. } => Code::SenderLimit,
        Limit::Stopped => Code::Interrupted,
    };
    Finding::new(code).detail(ramp.sentence())
}

/// What is asked of each group of rooms; whole rooms, and the last group what is left.
fn groups(ask: &Ask) -> Vec<Ask> {
    let size = usize::from(ask.room_size.max(2));
    let all = ask.seats();
    let at_once = all.div_ceil(size).div_ceil(STEPS) * size;
    let mut limits = ask.limits;
    limits.speaking = ALL_ALONG;
    (0..all)
        .step_by(at_once)
        .map(|start| {
            let participants = u16::try_from(at_once.min(all - start)).unwrap_or(u16::MAX);
            Ask { participants, limits, ..ask.clone() }
        })
        .collect()
}

fn count(participants: usize) -> u32 {
    u32::try_from(participants).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::site::Site;

    #[test]
    fn rooms_are_added_in_ten_steps_at_most() {
        let sizes = |participants, room_size| {
            let ask = Ask::new(Site::of("meet.example.org".parse().expect("a host")));
            let ask = ask.rehearsal(participants, room_size, Duration::from_secs(5));
            groups(&ask).iter().map(Ask::seats).collect::<Vec<_>>()
        };
        assert_eq!(sizes(200, 5), [20; 10]);
        assert_eq!(sizes(60, 2), [6; 10]);
        assert_eq!(sizes(6, 2), [2; 3]);
        assert_eq!(sizes(7, 2), [2; 4]);
        assert_eq!(sizes(23, 5), [5, 5, 5, 5, 3]);
        assert_eq!(sizes(2, 2), [2]);
    }
}
