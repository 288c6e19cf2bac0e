//! One task of the simulated platform: a timeline that is drawn when it starts, and read at a moment.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::chance::{after, between, hex, rng};
use super::stories::Story;
use super::words;
use crate::domain::name::{DeploymentId, TaskId};
use crate::domain::observed::{Architecture, Container, Health, Stop, Target, TargetState, Task};

/// The containers of a task, the essential ones first.
pub(super) const CONTAINERS: [&str; 5] = ["web", "prosody", "jicofo", "jvb", "occupancy"];
const ESSENTIAL: [&str; 4] = ["web", "prosody", "jicofo", "jvb"];
/// The containers that are targets of the load balancer, with their ports.
pub(super) const PORTS: [(&str, u16); 2] = [("web", 8000), ("jvb", 10000)];
/// ECS gives a task this long before a bad health check counts.
const GRACE: u64 = 300_000;
/// The load balancer takes this long before it looks at a new target.
const REGISTERING: u64 = 20_000;
/// A stopped task is shown for an hour.
const SHOWN: u64 = 3_600_000;

/// What is wrong with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    ImageGone,
    SecretDenied,
    OutOfMemory,
    Crash,
    /// The load balancer's health check of the bridge fails.
    Unreached,
}

/// A task as recorded: all that ECS says of it follows from this and the time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: TaskId,
    pub deployment: DeploymentId,
    pub created: Timestamp,
    pub address: Ipv4Addr,
    pub path: Path,
    pub ending: Option<Ending>,
    /// Since when somebody has lifted its scale-in protection.
    pub unprotected: Option<Timestamp>,
}

/// What lies ahead of a task, in milliseconds after its creation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Path {
    /// PROVISIONING ends, the images are pulled.
    pub pull: u64,
    /// PENDING ends, it is registered with the load balancer.
    pub activating: u64,
    pub running: u64,
    pub lives: BTreeMap<String, Life>,
    /// From when on the load balancer calls it healthy, by container.
    pub reached: BTreeMap<String, u64>,
    pub fate: Option<(u64, Fault)>,
}

/// A container's life: when it truly serves, and what its health check says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    pub serves: u64,
    pub says: Vec<(u64, Health)>,
}

/// The end of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    pub at: Timestamp,
    /// How long each part takes: DEACTIVATING, STOPPING, DEPROVISIONING.
    pub draining: u64,
    pub stopping: u64,
    pub leaving: u64,
    pub code: String,
    pub reason: String,
    pub fault: Option<Fault>,
}

impl Ending {
    pub fn drained(&self) -> Timestamp {
        after(self.at, self.draining)
    }

    pub fn stopped(&self) -> Timestamp {
        after(after(self.drained(), self.stopping), self.leaving)
    }
}

/// The ranges from which a timeline is drawn, in milliseconds.
struct Pace {
    pull: RangeInclusive<u64>,
    pulling: RangeInclusive<u64>,
    activating: RangeInclusive<u64>,
    prosody: RangeInclusive<u64>,
    web: RangeInclusive<u64>,
    java: RangeInclusive<u64>,
    reached: RangeInclusive<u64>,
}

const USUAL: Pace = Pace {
    pull: 11_000..=13_000,
    pulling: 18_000..=28_000,
    activating: 8_000..=14_000,
    prosody: 0..=0,
    web: 1_000..=2_000,
    java: 5_000..=12_000,
    reached: 90_000..=180_000,
};

const SLOW: Pace = Pace {
    pull: 11_000..=45_000,
    pulling: 20_000..=90_000,
    activating: 8_000..=25_000,
    prosody: 0..=25_000,
    web: 1_000..=12_000,
    java: 12_000..=70_000,
    reached: 90_000..=290_000,
};

/// A failed pull ends soon, so that the second one is over about a minute after the start was asked for.
const PULL_FAILS: RangeInclusive<u64> = 11_000..=12_000;

impl Path {
    /// Draws the timeline of the `number`-th task.
    pub fn drawn(story: Story, seed: u64, number: u64) -> Self {
        let pace = if story.slow { SLOW } else { USUAL };
        let mut rng = rng(seed, &format!("ecs.task.{number}"));
        let pull = between(&mut rng, pace.pull);
        let activating = pull + between(&mut rng, pace.pulling);
        let running = activating + between(&mut rng, pace.activating);
        let prosody = activating.max(running.saturating_sub(4_000)) + between(&mut rng, pace.prosody);
        let web = running + between(&mut rng, pace.web);
        let jicofo = running + between(&mut rng, pace.java.clone());
        let jvb = running + between(&mut rng, pace.java);
        let mut lives = BTreeMap::new();
        for (name, serves) in [("web", web), ("prosody", prosody)] {
            let says = vec![(serves + between(&mut rng, 500..=9_500), Health::Healthy)];
            lives.insert(name.to_owned(), Life { serves, says });
        }
        for (name, serves) in [("jicofo", jicofo), ("jvb", jvb)] {
            let says = if story.slow {
                too_soon(&mut rng, running, serves)
            } else {
                vec![(serves + between(&mut rng, 500..=9_500), Health::Healthy)]
            };
            lives.insert(name.to_owned(), Life { serves, says });
        }
        let reached = [("web", web), ("jvb", jvb)].map(|(name, serves)| {
            let registered = activating + between(&mut rng, pace.reached.clone());
            (name.to_owned(), registered.max(serves + between(&mut rng, 10_000..=20_000)))
        });
        let fate = story.task.map(|fault| {
            let at = match fault {
                Fault::ImageGone => pull + between(&mut rng, PULL_FAILS),
                Fault::SecretDenied => pull + between(&mut rng, 4_000..=7_000),
                Fault::OutOfMemory => running + between(&mut rng, 15_000..=25_000),
                Fault::Crash => running + between(&mut rng, 6_000..=12_000),
                Fault::Unreached => running + GRACE,
            };
            (at, fault)
        });
        Self { pull, activating, running, lives, reached: reached.into(), fate }
    }

    /// From when on all of it truly works.
    fn ready(&self) -> u64 {
        let says = self.lives.values().filter_map(|l| l.says.last()).map(|(at, _)| *at);
        let serves = self.lives.values().map(|l| l.serves);
        says.chain(serves).chain(self.reached.values().copied()).chain([self.running]).max().unwrap_or(0)
    }
}

/// A Java service says "healthy" before its first own check, and takes that back when the check has run.
fn too_soon(rng: &mut ChaCha8Rng, running: u64, serves: u64) -> Vec<(u64, Health)> {
    let first = running + between(rng, 8_000..=12_000);
    let takes_back = first + between(rng, 10_000..=30_000);
    let at_last = serves.max(first) + between(rng, 500..=9_500);
    if takes_back < at_last {
        vec![(first, Health::Healthy), (takes_back, Health::Unhealthy), (at_last, Health::Healthy)]
    } else {
        vec![(first, Health::Healthy)]
    }
}

impl Job {
    pub fn launched(story: Story, seed: u64, number: u64, deployment: DeploymentId, created: Timestamp) -> Self {
        let id = hex(seed, &format!("ecs.task-id.{number}"), 32).parse().expect("hexadecimal digits are a task id");
        let mut rng = rng(seed, &format!("ecs.address.{number}"));
        let host = u8::try_from(between(&mut rng, 20..=250)).unwrap_or(20);
        Self {
            id,
            deployment,
            created,
            address: Ipv4Addr::new(10, 0, 1, host),
            path: Path::drawn(story, seed, number),
            ending: None,
            unprotected: None,
        }
    }

    /// The moment of an offset of its path.
    pub fn at(&self, offset: u64) -> Timestamp {
        after(self.created, offset)
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        self.ending.as_ref().is_some_and(|e| e.stopped() <= now)
    }

    /// Whether it has been asked to stop, or has begun to by itself.
    pub fn is_ending(&self, now: Timestamp) -> bool {
        self.ending.as_ref().is_some_and(|e| e.at <= now)
    }

    pub fn is_shown(&self, now: Timestamp) -> bool {
        self.created <= now && self.ending.as_ref().is_none_or(|e| after(e.stopped(), SHOWN) > now)
    }

    /// Whether an offset of its path was reached before it ended.
    pub fn reached(&self, offset: u64, now: Timestamp) -> bool {
        let at = self.at(offset);
        at <= now && self.ending.as_ref().is_none_or(|e| at < e.at)
    }

    /// From when on all of it truly works; `None` when that will not be.
    pub fn ready_at(&self) -> Option<Timestamp> {
        if matches!(self.path.fate, Some((_, Fault::Unreached))) {
            return None;
        }
        let at = self.at(self.path.ready());
        let dies = self.path.fate.map(|(offset, _)| self.at(offset));
        let ends = self.ending.as_ref().map(|e| e.at);
        (dies.is_none_or(|end| at < end) && ends.is_none_or(|end| at < end)).then_some(at)
    }

    /// Whether a container takes requests, and the load balancer sends it some.
    pub fn serves(&self, container: &str, now: Timestamp) -> bool {
        let up = self.path.lives.get(container).is_some_and(|life| self.reached(life.serves, now));
        up && self.ending.as_ref().is_none_or(|e| now < e.drained())
    }

    pub fn last_status(&self, now: Timestamp) -> &'static str {
        if let Some(ending) = self.ending.as_ref().filter(|e| e.at <= now) {
            return if now < ending.drained() {
                "DEACTIVATING"
            } else if now < after(ending.drained(), ending.stopping) {
                "STOPPING"
            } else if now < ending.stopped() {
                "DEPROVISIONING"
            } else {
                "STOPPED"
            };
        }
        match &self.path {
            path if now < self.at(path.pull) => "PROVISIONING",
            path if now < self.at(path.activating) => "PENDING",
            path if now < self.at(path.running) => "ACTIVATING",
            _ => "RUNNING",
        }
    }

    /// The task as `ecs:DescribeTasks` shows it.
    pub fn task(&self, now: Timestamp) -> Task {
        let containers: Vec<Container> = CONTAINERS.iter().map(|name| self.container(name, now)).collect();
        let essential = || containers.iter().filter(|c| ESSENTIAL.contains(&c.name.as_str()));
        let health = if essential().any(|c| c.health == Health::Unhealthy) {
            Health::Unhealthy
        } else if essential().all(|c| c.health == Health::Healthy) {
            Health::Healthy
        } else {
            Health::Unknown
        };
        let reached = |offset| self.reached(offset, now).then(|| self.at(offset));
        Task {
            id: self.id.clone(),
            deployment: Some(self.deployment.clone()),
            last_status: self.last_status(now).to_owned(),
            health,
            created: self.created,
            started: reached(self.path.running),
            pull_started: reached(self.path.pull),
            stopped: self.ending.as_ref().filter(|e| e.stopped() <= now).map(|e| Stop {
                at: e.stopped(),
                code: Some(e.code.clone()),
                reason: e.reason.clone(),
            }),
            // The network interface is attached while the task is provisioned, and shown with the task from then on.
            address: reached(self.path.pull).map(|_| self.address.into()),
            cpu: 4096,
            memory: 8192,
            architecture: Architecture::X86,
            containers,
        }
    }

    fn container(&self, name: &str, now: Timestamp) -> Container {
        let running = self.path.running;
        let gone = self.ending.as_ref().filter(|e| after(e.drained(), e.stopping) <= now);
        let said = self.path.lives.get(name).map_or(&[][..], |life| &life.says);
        let newest = said.iter().rfind(|(at, _)| self.reached(*at, now));
        let health = newest.map_or(Health::Unknown, |(_, health)| *health);
        let (exit_code, reason) = gone.map_or((None, None), |ending| {
            let started = self.reached(running, now);
            words::exit(name, ending.fault, started)
        });
        let last_status = match gone {
            Some(_) => "STOPPED",
            None if self.reached(running, now) => "RUNNING",
            None => "PENDING",
        };
        Container {
            name: name.to_owned(),
            image: Some(words::image(name, self.path.fate.map(|(_, fault)| fault))),
            last_status: last_status.to_owned(),
            health,
            exit_code,
            reason,
        }
    }

    /// What the load balancer knows of it in the target group of a container; `None` when it is not registered.
    pub fn target(&self, container: &str, port: u16, now: Timestamp) -> Option<Target> {
        if !self.reached(self.path.activating, now) {
            return None;
        }
        let healthy = self.path.reached.get(container).copied().unwrap_or(u64::MAX);
        let unreached = container == "jvb" && matches!(self.path.fate, Some((_, Fault::Unreached)));
        let (state, reason, description) = if self.is_ending(now) {
            self.ending.as_ref().filter(|e| now < e.drained())?;
            let text = "Target deregistration is in progress";
            (TargetState::Draining, Some("Target.DeregistrationInProgress"), Some(text))
        } else if now < self.at(self.path.activating.saturating_add(REGISTERING)) {
            let text = "Target registration is in progress";
            (TargetState::Initial, Some("Elb.RegistrationInProgress"), Some(text))
        } else if now < self.at(healthy) {
            let text = "Initial health checks in progress";
            (TargetState::Initial, Some("Elb.InitialHealthChecking"), Some(text))
        } else if unreached {
            (TargetState::Unhealthy, Some("Target.FailedHealthChecks"), Some("Health checks failed"))
        } else {
            (TargetState::Healthy, None, None)
        };
        Some(Target {
            address: self.address.to_string(),
            port,
            state,
            reason: reason.map(str::to_owned),
            description: description.map(str::to_owned),
        })
    }
}
