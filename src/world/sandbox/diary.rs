//! The ECS service's own diary.

use jiff::Timestamp;

use super::chance::{after, between, rng};
use super::model::Model;
use super::task::{Fault, Job, PORTS};
use super::words;
use crate::domain::observed::ServiceEvent;

/// ECS shows the newest hundred lines.
const SHOWN: usize = 100;

/// Lines with their times, in any order.
#[derive(Default)]
struct Lines(Vec<(Timestamp, String)>);

impl Lines {
    fn note(&mut self, at: Timestamp, rest: &str) {
        self.0.push((at, words::diary(rest)));
    }
}

impl Model {
    /// The service's events, newest first.
    pub(super) fn diary(&self, now: Timestamp) -> Vec<ServiceEvent> {
        let mut lines = Lines::default();
        for job in &self.jobs {
            note_life(job, &mut lines);
            note_end(job, &mut lines);
            if let Some(at) = self.not_stopped(job, now) {
                lines.0.push((at, words::protected(&job.deployment)));
            }
        }
        self.note_deployments(now, &mut lines);
        let Lines(mut lines) = lines;
        lines.retain(|(at, _)| *at <= now);
        lines.sort();
        let events = lines.into_iter().rev().take(SHOWN).map(|(at, message)| ServiceEvent {
            id: self.id_of(&format!("event {at} {message}")),
            at,
            message,
        });
        events.collect()
    }

    fn note_deployments(&self, now: Timestamp, lines: &mut Lines) {
        for ask in &self.asks {
            let Some(id) = &ask.deployment else { continue };
            if let Some(at) = self.completed(id, now) {
                lines.note(at, &format!("(deployment {id}) deployment completed."));
                lines.note(after(at, 10), "has reached a steady state.");
            }
            if let Some(at) = self.given_up(id, now) {
                lines.note(after(at, 1_000), &format!("(deployment {id}) deployment failed: tasks failed to start."));
            }
            if let Some(refusals) = self.story.refusals.as_ref().filter(|_| ask.desired > 0) {
                for seconds in refusals.seconds_after {
                    let mut rng = rng(self.seed, &format!("ecs.placement.{id}.{seconds}"));
                    let at = after(ask.at, seconds * 1_000 + between(&mut rng, 0..=2_000));
                    // Nothing is tried any more once something else is asked for.
                    if self.governing(at).is_some_and(|governs| governs == ask) {
                        lines.note(at, &format!("was unable to place a task. Reason: {}", refusals.why));
                    }
                }
            }
        }
    }
}

fn note_life(job: &Job, lines: &mut Lines) {
    lines.note(after(job.created, 300), &format!("has started 1 tasks: (task {}).", job.id));
    if job.reached(job.path.activating, Timestamp::MAX) {
        for (container, _) in PORTS {
            let line = format!("registered 1 targets in (target-group {})", words::group(container));
            lines.note(job.at(job.path.activating), &line);
        }
    }
    if let Some((_, Fault::Unreached)) = job.path.fate
        && let Some(at) = job.path.reached.get("jvb").filter(|at| job.reached(**at, Timestamp::MAX))
    {
        let group = words::group("jvb");
        let line = format!("(port 10000) is unhealthy in (target-group {group}) due to (reason Health checks failed).");
        lines.note(job.at(*at), &line);
    }
}

fn note_end(job: &Job, lines: &mut Lines) {
    let Some(ending) = &job.ending else { return };
    if ending.draining > 0 {
        lines.note(ending.at, "has begun draining connections on 1 tasks.");
        for (container, _) in PORTS {
            let line = format!("deregistered 1 targets in (target-group {})", words::group(container));
            lines.note(after(ending.at, 200), &line);
        }
    }
    if ending.fault.is_none() {
        lines.note(ending.at, &format!("has stopped 1 running tasks: (task {}).", job.id));
        lines.note(after(ending.stopped(), 500), "has reached a steady state.");
    }
}
