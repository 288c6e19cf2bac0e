//! The answer of `status`: one screen about where the platform stands.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::condition::{Condition, Verdict};
use super::cost::Cost;
use super::level::Standing;
use super::observed::{Observed, Reading, TargetGroup, Task};
use super::plan::{Counted, Policy, people};

/// Where the platform stands, since when, by whom, and what it costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub platform: String,
    pub url: String,
    #[serde(flatten)]
    pub standing: Standing,
    pub since: Option<Timestamp>,
    pub started_by: Option<String>,
    pub people: People,
    pub task: Option<Task>,
    pub targets: Option<Vec<TargetGroup>>,
    pub addresses: Option<Vec<IpAddr>>,
    pub dns: Verdict,
    pub certificate_until: Option<Timestamp>,
    pub certificate: Verdict,
    pub cost: Cost,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// Who is in a meeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "people", rename_all = "kebab-case")]
pub enum People {
    /// Nothing runs in which people could be.
    NoTask,
    Counted {
        participants: u32,
        conferences: u32,
    },
    Unknown {
        why: String,
    },
    /// `[occupancy] source = "none"`
    NobodyCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub what: &'static str,
    pub why: String,
}

impl Status {
    pub fn of(seen: &Observed, policy: &Policy, platform: &str, host: &str) -> Self {
        let standing = Standing::of(seen, policy);
        let service = seen.service.present();
        let running = service.is_some_and(|s| s.desired > 0);
        let mark =
            service.and_then(|s| s.mark.as_ref()).filter(|m| running && Some(&m.deployment) == seen.deployment());
        Self {
            platform: platform.to_owned(),
            url: format!("https://{host}"),
            since: since(seen),
            started_by: mark.map(|m| m.by.clone()),
            people: People::of(seen, policy),
            task: seen.task().cloned(),
            targets: seen.targets.present().cloned(),
            addresses: seen.names.present().and_then(|n| n.local.clone().ok()),
            dns: Condition::NameResolves.judge(seen, policy),
            certificate_until: seen.tls.present().and_then(|t| t.shown.as_ref().ok()).map(|c| c.not_after),
            certificate: Condition::CertificateTrusted.judge(seen, policy),
            cost: Cost::of(seen),
            unread: unread(seen),
            standing,
        }
    }
}

/// Since when it stands there: the task's start while it is on, the last stop while it is off.
fn since(seen: &Observed) -> Option<Timestamp> {
    let service = seen.service.present()?;
    if service.desired > 0 {
        seen.task().and_then(|t| t.started).or_else(|| service.primary().map(|d| d.created))
    } else {
        let stops = seen.tasks.present()?.iter().filter_map(|t| t.stopped.as_ref().map(|s| s.at));
        stops.max()
    }
}

impl People {
    fn of(seen: &Observed, policy: &Policy) -> Self {
        if policy.counted == Counted::ByNobody {
            return Self::NobodyCounts;
        }
        if let Some(why) = seen.tasks.unreadable() {
            return Self::Unknown { why: why.to_string() };
        }
        if seen.live_tasks().next().is_none() {
            return Self::NoTask;
        }
        match people(seen) {
            Ok(line) => Self::Counted { participants: line.participants, conferences: line.conferences },
            Err(why) => Self::Unknown { why },
        }
    }
}

fn unread(seen: &Observed) -> Vec<Unread> {
    fn of<T>(what: &'static str, reading: &Reading<T>) -> Option<Unread> {
        let why = reading.unreadable()?;
        (why.because != super::observed::Blindness::NotAsked).then(|| Unread { what, why: why.to_string() })
    }
    [
        of("credentials", &seen.identity),
        of("service", &seen.service),
        of("tasks", &seen.tasks),
        of("load balancer", &seen.balancer),
        of("targets", &seen.targets),
        of("DNS record", &seen.record),
        of("secret", &seen.secret),
        of("people", &seen.occupancy),
        of("DNS", &seen.names),
        of("certificate", &seen.tls),
        of("web pages", &seen.web),
        of("signalling", &seen.signalling),
    ]
    .into_iter()
    .flatten()
    .collect()
}
