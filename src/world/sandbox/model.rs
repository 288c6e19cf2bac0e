//! The simulated platform: what was asked for and what was started, each with its time. Everything else follows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chance::{after, between, hex, rng};
use super::estate::Estate;
use super::stories::Story;
use super::task::{Ending, Fault, Job};
use super::words;
use crate::domain::name::{DeploymentId, TaskId};
use crate::domain::observed::Mark;

pub const ACCOUNT: &str = "111122223333";
pub const REGION: &str = "us-west-2";
pub const PLATFORM: &str = "jitsi-video-platform";
pub const HOST: &str = "meet.example.org";
pub const SERVICE: &str = "jitsi-video-platform-service";
/// When every story begins: ten minutes before an evening's meeting.
pub const EPOCH: Timestamp = Timestamp::constant(1_795_200_600, 0);
/// ECS's circuit breaker gives up after as many failures.
const BREAKER: usize = 3;
/// A state that is used for long forgets what nobody can see any more.
const KEPT_ASKS: usize = 16;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub seed: u64,
    pub story: Story,
    pub stack: Stack,
    /// In the order of their times; some may lie ahead.
    pub asks: Vec<Ask>,
    pub jobs: Vec<Job>,
    pub marks: Vec<(Timestamp, Mark)>,
    pub rooms: Vec<Room>,
    /// Since when the sidecar that counts people is silent.
    pub silent_since: Option<Timestamp>,
    pub launched: u64,
    pub deployed: u64,
    /// Up to when the scheduler's work is done.
    pub settled: Timestamp,
}

/// What Terraform has made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    pub service: bool,
    pub groups: Groups,
    pub balancer: Option<StandingBalancer>,
    /// Where the record of the platform's name points.
    pub record: Option<String>,
    pub secret: bool,
    pub estate: Estate,
}

/// The target groups, and whether the service registers its tasks with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    #[default]
    Gone,
    Detached,
    Attached,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingBalancer {
    pub dns_name: String,
    pub created: Timestamp,
}

impl StandingBalancer {
    /// The ARN ends as the first label of the DNS name does.
    pub(super) fn arn(&self) -> String {
        let label = self.dns_name.split('.').next().unwrap_or_default();
        let (name, id) = label.rsplit_once('-').unwrap_or((label, ""));
        format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/net/{name}/{id}")
    }
}

/// A change of the service that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub at: Timestamp,
    pub desired: u32,
    /// The deployment that it made, if it made one.
    pub deployment: Option<DeploymentId>,
}

/// People in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub task: TaskId,
    pub people: u32,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// What the scheduler does next.
enum Change {
    Launch(DeploymentId),
    End(usize, Option<Fault>),
}

impl Stack {
    /// The load balancer of before the last power-down; nothing answers there any more.
    pub const FORMER_BALANCER: &'static str = "jitsi-video-platform-nlb-5c0ffee5c0ffee55.elb.us-west-2.amazonaws.com";
    /// Where the name leads while there is no load balancer.
    pub const PLACEHOLDER: &'static str = "192.0.2.1";
    const BALANCER: &'static str = "jitsi-video-platform-nlb-7e1ab1e5ca1ab1e5.elb.us-west-2.amazonaws.com";

    fn whole(created: Timestamp) -> Self {
        let balancer = StandingBalancer { dns_name: Self::BALANCER.into(), created };
        Self {
            service: true,
            groups: Groups::Attached,
            record: Some(balancer.dns_name.clone()),
            balancer: Some(balancer),
            secret: true,
            estate: Estate::whole(),
        }
    }

    /// Whether the name only keeps its place.
    pub fn rests(&self) -> bool {
        self.record.as_deref() == Some(Self::PLACEHOLDER)
    }

    /// Takes away what has an hourly price; the target groups stay, detached.
    pub fn power_down(&mut self) {
        self.groups = Groups::Detached;
        self.balancer = None;
        self.record = Some(Self::PLACEHOLDER.into());
        self.estate.powered_down();
    }
}

impl Model {
    /// A platform that was deployed some weeks ago and rests.
    pub fn deployed(story: Story, seed: u64) -> Self {
        let created = back(EPOCH, 26 * 24 * 60);
        let mut model = Self {
            seed,
            story,
            stack: Stack::whole(created),
            asks: Vec::new(),
            jobs: Vec::new(),
            marks: Vec::new(),
            rooms: Vec::new(),
            silent_since: None,
            launched: 0,
            deployed: 0,
            settled: created,
        };
        let deployment = model.new_deployment();
        model.ask(Ask { at: created, desired: 0, deployment: Some(deployment) });
        model
    }

    /// The service has been made: its first deployment, of no task.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.settle(now);
        let deployment = self.new_deployment();
        self.ask(Ask { at: now, desired: 0, deployment: Some(deployment) });
    }

    /// Lets it have been started 40 minutes ago.
    pub fn has_been_running(&mut self) {
        let at = back(EPOCH, 40);
        let deployment = self.new_deployment();
        self.ask(Ask { at, desired: 1, deployment: Some(deployment.clone()) });
        self.marks.push((after(at, 400), Mark { by: "ana@example.org".into(), at, deployment }));
        self.settle(EPOCH);
    }

    /// Puts people into two rooms of the running task.
    pub fn people_meet(&mut self) {
        let Some(task) = self.jobs.last().map(|job| job.id.clone()) else { return };
        for (people, ago, minutes) in [(5, 25, 7), (2, 10, 12)] {
            let room =
                Room { task: task.clone(), people, from: back(EPOCH, ago), until: after(EPOCH, minutes * 60_000) };
            self.rooms.push(room);
        }
    }

    /// Puts people into a room of the newest task, from now on.
    pub fn people_join(&mut self, people: u32, minutes: i64, now: Timestamp) {
        let Some(task) = self.jobs.last().map(|job| job.id.clone()) else { return };
        let until = now.saturating_add(jiff::SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MAX);
        self.rooms.push(Room { task, people, from: now, until });
    }

    /// Desired count 1 with a forced new deployment.
    pub fn start(&mut self, now: Timestamp) -> DeploymentId {
        self.settle(now);
        let deployment = self.new_deployment();
        self.ask(Ask { at: now, desired: 1, deployment: Some(deployment.clone()) });
        if self.story.scaled_down {
            self.ask(Ask { at: after(now, 45_000), desired: 0, deployment: None });
        }
        deployment
    }

    /// Desired count 0.
    pub fn stop(&mut self, now: Timestamp) {
        self.settle(now);
        if self.desired(now) > 0 {
            self.ask(Ask { at: now, desired: 0, deployment: None });
        }
    }

    pub fn mark(&mut self, now: Timestamp, mark: &Mark) {
        self.marks.push((now, mark.clone()));
    }

    pub fn unprotect(&mut self, now: Timestamp, tasks: &[TaskId]) {
        self.settle(now);
        for job in self.jobs.iter_mut().filter(|job| tasks.contains(&job.id)) {
            job.unprotected.get_or_insert(now);
        }
    }

    /// The ask that counts at a moment.
    pub fn governing(&self, now: Timestamp) -> Option<&Ask> {
        self.asks.iter().rev().find(|ask| ask.at <= now)
    }

    pub fn desired(&self, now: Timestamp) -> u32 {
        self.governing(now).map_or(0, |ask| ask.desired)
    }

    /// People in rooms of a task.
    pub fn rooms<'m>(&'m self, task: &'m TaskId, now: Timestamp) -> impl Iterator<Item = &'m Room> {
        self.rooms.iter().filter(move |room| room.task == *task && room.from <= now && now < room.until)
    }

    /// The tasks of a deployment that failed and are gone.
    pub fn failures(&self, deployment: &DeploymentId, now: Timestamp) -> Vec<&Job> {
        let failed = |job: &&Job| job.ending.as_ref().is_some_and(|e| e.fault.is_some() && e.stopped() <= now);
        self.jobs.iter().filter(|job| job.deployment == *deployment).filter(failed).collect()
    }

    /// When the circuit breaker gave a deployment up.
    pub fn given_up(&self, deployment: &DeploymentId, now: Timestamp) -> Option<Timestamp> {
        let mut ends: Vec<Timestamp> =
            self.failures(deployment, now).iter().filter_map(|j| Some(j.ending.as_ref()?.stopped())).collect();
        ends.sort();
        ends.get(BREAKER - 1).copied()
    }

    /// From when on all of the current start truly works; `None` when it will not, or nothing was started.
    pub fn ready_at(&self, now: Timestamp) -> Option<Timestamp> {
        let current = self.asks.iter().rev().filter(|a| a.at <= now).find_map(|a| a.deployment.as_ref())?;
        self.jobs.iter().rev().find(|job| job.deployment == *current)?.ready_at()
    }

    /// Whether ECS asks to slow down: in one story for a minute, soon after all of a start works.
    pub(super) fn is_throttled(&self, now: Timestamp) -> bool {
        let Some(ready) = self.ready_at(now).filter(|_| self.story.throttled_late) else { return false };
        (after(ready, 4_000)..after(ready, 64_000)).contains(&now)
    }

    /// Does what the scheduler has done by now. Doing it again changes nothing.
    pub fn settle(&mut self, now: Timestamp) {
        for index in 0..self.asks.len() {
            let begins = self.asks[index].at;
            let ends = self.asks.get(index + 1).map_or(Timestamp::MAX, |next| next.at);
            if begins > now {
                break;
            }
            if ends < self.settled {
                continue;
            }
            while let Some((at, change)) = self.next_change(index)
                && at <= now
                && at < ends
            {
                self.apply(at, change);
            }
        }
        self.settled = self.settled.max(now);
        self.forget();
    }

    fn next_change(&self, index: usize) -> Option<(Timestamp, Change)> {
        let ends = self.jobs.iter().enumerate().filter(|(_, job)| job.ending.is_none()).filter_map(|(i, job)| {
            let dies = job.path.fate.map(|(offset, fault)| (job.at(offset), Change::End(i, Some(fault))));
            let told = self.told_to_stop(job, index).map(|at| (at, Change::End(i, None)));
            [dies, told].into_iter().flatten().min_by_key(|(at, _)| *at)
        });
        let launch = self.next_launch(index);
        ends.chain(launch).min_by_key(|(at, _)| *at)
    }

    /// When the scheduler tells a task to stop, as far as the asks up to `index` say.
    fn told_to_stop(&self, job: &Job, index: usize) -> Option<Timestamp> {
        let ask = self.unwanted(job, index)?;
        let mut rng = rng(self.seed, &format!("ecs.stop.{}", job.id));
        let from = self.protected_until(job).map_or(ask.at, |end| end.max(ask.at));
        Some(after(from, between(&mut rng, 1_200..=2_800)))
    }

    /// The ask after which a task is not wanted any more, as far as the asks up to `index` say.
    fn unwanted(&self, job: &Job, index: usize) -> Option<&Ask> {
        let own = self.asks.iter().position(|ask| ask.deployment.as_ref() == Some(&job.deployment))?;
        self.asks.get(own + 1..=index)?.first()
    }

    /// How long the sidecar protects a task from being stopped: while people are there, or until somebody lifts it.
    fn protected_until(&self, job: &Job) -> Option<Timestamp> {
        let last = self.rooms.iter().filter(|room| room.task == job.id).map(|room| room.until).max()?;
        Some(job.unprotected.map_or(last, |lifted| lifted.min(last)))
    }

    /// When ECS noted in its diary that it may not stop a task.
    pub fn not_stopped(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let index = self.asks.iter().rposition(|ask| ask.at <= now)?;
        let noted = after(self.unwanted(job, index)?.at, 3_000);
        (self.protected_until(job)? > noted && !job.is_ending(noted)).then_some(noted)
    }

    /// When the next task is made. The old one stops first: the percentages are 0 and 100.
    fn next_launch(&self, index: usize) -> Option<(Timestamp, Change)> {
        let ask = self.asks.get(index).filter(|ask| ask.desired > 0)?;
        let deployment = ask.deployment.clone()?;
        let gone = self.jobs.iter().map(|job| job.ending.as_ref().map(Ending::stopped));
        let last_gone = gone.collect::<Option<Vec<Timestamp>>>()?.into_iter().max();
        if self.given_up(&deployment, Timestamp::MAX).is_some() {
            return None;
        }
        let placed = match &self.story.refusals {
            Some(refusals) => after(ask.at, refusals.until? * 1_000),
            None => ask.at,
        };
        let mut rng = rng(self.seed, &format!("ecs.launch.{}", self.launched));
        let asked = after(placed, between(&mut rng, 2_000..=3_000));
        let at = last_gone.map_or(asked, |gone| asked.max(after(gone, between(&mut rng, 6_000..=8_000))));
        Some((at, Change::Launch(deployment)))
    }

    fn apply(&mut self, at: Timestamp, change: Change) {
        match change {
            Change::Launch(deployment) => {
                self.jobs.push(Job::launched(self.story, self.seed, self.launched, deployment, at));
                self.launched = self.launched.saturating_add(1);
            }
            Change::End(index, fault) => {
                let Some(job) = self.jobs.get_mut(index) else { return };
                let mut rng = rng(self.seed, &format!("ecs.end.{}", job.id));
                let (code, reason) = fault.map_or_else(|| words::scaled_in(&job.deployment), words::stop);
                let registered = job.reached(job.path.activating, at);
                let started = job.reached(job.path.running, at);
                job.ending = Some(Ending {
                    at,
                    draining: if registered { between(&mut rng, 10_000..=30_000) } else { 0 },
                    stopping: if started { between(&mut rng, 1_000..=4_000) } else { 0 },
                    leaving: between(&mut rng, 4_000..=4_500),
                    code: code.to_owned(),
                    reason,
                    fault,
                });
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        let place = self.asks.partition_point(|other| other.at <= ask.at);
        self.asks.insert(place, ask);
    }

    fn new_deployment(&mut self) -> DeploymentId {
        self.deployed = self.deployed.saturating_add(1);
        let mut rng = rng(self.seed, &format!("ecs.deployment.{}", self.deployed));
        let number = between(&mut rng, 1_000_000_000_000_000_000..=9_223_372_036_854_775_807);
        format!("ecs-svc/{number:019}").parse().expect("it is not empty")
    }

    /// An id that is always the same for the same thing.
    pub fn id_of(&self, what: &str) -> String {
        let digits = hex(self.seed, what, 32);
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }

    fn forget(&mut self) {
        if let Some(surplus) = self.asks.len().checked_sub(KEPT_ASKS) {
            self.asks.drain(..surplus);
            let asks = &self.asks;
            let settled = self.settled;
            self.jobs.retain(|job| {
                job.is_shown(settled) || asks.iter().any(|a| a.deployment.as_ref() == Some(&job.deployment))
            });
        }
    }
}

pub(super) fn back(from: Timestamp, minutes: i64) -> Timestamp {
    from.saturating_sub(jiff::SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MIN)
}
