//! What a rule may see: an observation, what the run remembers, and what the user has decided.

use jiff::Timestamp;
use serde::Serialize;

use super::name::{DeploymentId, TaskId};
use super::observed::{Asked, Mark, Observed, Task};
use super::ownership::vpc;
use super::plan::Policy;

/// An observation, what the run remembers, and what the user has decided.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub seen: &'a Observed,
    pub memory: &'a Memory,
    pub policy: &'a Policy,
}

impl<'a> View<'a> {
    /// Of a single look, before which nothing was asked for.
    pub const fn single(seen: &'a Observed, policy: &'a Policy) -> Self {
        Self { seen, memory: &Memory::NONE, policy }
    }

    /// The deployment that this run counts on, else the service's current one.
    pub fn deployment(&self) -> Option<&'a DeploymentId> {
        self.memory.deployment(self.seen)
    }

    /// The live task of the current start.
    pub fn task(&self) -> Option<&'a Task> {
        self.seen.task_of(self.deployment())
    }
}

/// What a run has asked for and seen before. It is not part of the world, and nothing of it is needed to continue with a
/// new run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Memory {
    /// The start that this run made, or found under way and counts on.
    pub asked: Option<Asked>,
    /// What this run has written on the service about the start that it made.
    pub mark: Option<Mark>,
    /// The deployment that has replaced the one that this run counts on, and since when it is seen.
    pub replaced: Option<(DeploymentId, Timestamp)>,
    /// Since when the running task has been healthy in every look.
    pub healthy_since: Option<(TaskId, Timestamp)>,
    /// Whether this run will look again at what does not hold yet; a single look cannot wait.
    pub waits: bool,
    /// Whether this run has lifted the scale-in protection.
    pub unprotected: bool,
    /// When Terraform, asked by this run, had restored or removed what has an hourly price, or all.
    pub terraformed: Option<Timestamp>,
    /// When this run had asked for the deletion of leftover load balancers.
    pub balancers_removed: Option<Timestamp>,
    /// The VPC in which the platform was seen to stand.
    pub vpc: Option<String>,
}

impl Memory {
    /// Of a run that has neither asked for anything nor seen anything yet.
    pub const NONE: Self = Self {
        asked: None,
        mark: None,
        replaced: None,
        healthy_since: None,
        waits: false,
        unprotected: false,
        terraformed: None,
        balancers_removed: None,
        vpc: None,
    };

    fn deployment<'a>(&'a self, seen: &'a Observed) -> Option<&'a DeploymentId> {
        self.asked.as_ref().map(|asked| &asked.deployment).or_else(|| seen.deployment())
    }

    /// Takes in what only several looks together show.
    pub fn note(&mut self, seen: &Observed) {
        let healthy = seen.task_of(self.deployment(seen)).filter(|task| task.is_well()).map(|task| task.id.clone());
        self.healthy_since = since(healthy, self.healthy_since.take(), seen.at);
        self.vpc = vpc(seen).map(str::to_owned).or(self.vpc.take());
    }

    /// Takes in which deployment has replaced the one that this run counts on.
    pub fn note_successor(&mut self, newer: Option<DeploymentId>, at: Timestamp) {
        self.replaced = since(newer, self.replaced.take(), at);
    }
}

/// Since when it is this one: as before, where it was the same.
fn since<T: PartialEq>(now: Option<T>, before: Option<(T, Timestamp)>, at: Timestamp) -> Option<(T, Timestamp)> {
    now.map(|now| match before {
        Some((same, since)) if same == now => (same, since),
        Some(_) | None => (now, at),
    })
}
