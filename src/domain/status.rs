//! The answer of `status`: one screen about where the platform stands.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::condition::{Condition, Judged, people};
use super::cost::{Cost, Money};
use super::goal::Level;
use super::observed::{Observed, Reading, TargetGroup, Task};
use super::ownership::{stray, strays};
use super::plan::Counted;
use super::standing::Standing;
use super::view::View;

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
    pub dns: Judged,
    pub certificate_until: Option<Timestamp>,
    pub certificate: Judged,
    /// `None` where there is no platform.
    pub cost: Option<Cost>,
    /// What costs beside the platform and carries its tags.
    pub strays: Vec<Stray>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

const WHAT_ELSE: &str = "what else costs";

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

/// A thing with the project's tags that costs, and is not a known part of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stray {
    pub arn: String,
    /// `None`: at a price that is not in our table.
    pub per_hour: Option<Money>,
    /// What it is, with its price, and whether it is shown to be ours.
    pub what: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    pub what: &'static str,
    pub why: String,
}

impl Status {
    /// Whether it stands at this level; `None` when that cannot be told. Nothing has to be left that costs where the
    /// level is one at which nothing does.
    pub fn is_at(&self, level: Level) -> Option<bool> {
        let stands = match &self.standing {
            Standing::Unknown { .. } => return None,
            Standing::NoSuchPlatform(nowhere) => level == Level::Destroyed && nowhere.theirs.is_none(),
            standing => standing.level() == Some(level),
        };
        if !stands || matches!(level, Level::Running | Level::Standby) {
            return Some(stands);
        }
        let unread = self.unread.iter().any(|unread| unread.what == WHAT_ELSE);
        if self.strays.is_empty() && unread { None } else { Some(self.strays.is_empty()) }
    }

    pub fn of(view: &View<'_>, platform: &str, url: &str) -> Self {
        let standing = Standing::of(view);
        let strays = listed(view);
        let seen = view.seen;
        let unread = unread(seen);
        let nothing = Observed { identity: seen.identity.clone(), ..Observed::nothing(seen.at) };
        let nowhere = matches!(standing, Standing::NoSuchPlatform(_));
        // What somebody else has under the same name is not the platform's, nor is it without a price.
        let view = View { seen: if nowhere { &nothing } else { seen }, ..*view };
        let seen = view.seen;
        let service = seen.service.present();
        let running = service.is_some_and(|s| s.desired > 0);
        let mark =
            service.and_then(|s| s.mark.as_ref()).filter(|m| running && Some(&m.deployment) == seen.deployment());
        Self {
            platform: platform.to_owned(),
            url: url.to_owned(),
            since: since(seen),
            started_by: mark.map(|m| m.by.clone()),
            people: People::of(&view),
            task: seen.task().cloned(),
            targets: seen.targets.present().cloned(),
            addresses: seen.names.present().and_then(|n| n.local.clone().ok()),
            dns: Condition::NameResolves.judge(&view),
            certificate_until: seen.tls.present().and_then(|t| t.shown.as_ref().ok()).map(|c| c.not_after),
            certificate: Condition::CertificateTrusted.judge(&view),
            cost: (!nowhere).then(|| Cost::of(seen)),
            strays,
            unread,
            standing,
        }
    }
}

fn listed(view: &View<'_>) -> Vec<Stray> {
    let listed = strays(view.seen).into_iter().map(|thing| Stray {
        arn: thing.arn.clone(),
        per_hour: thing.kind.per_hour(),
        what: stray(thing, view),
    });
    listed.collect()
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
    fn of(view: &View<'_>) -> Self {
        if view.policy.counted == Counted::ByNobody {
            return Self::NobodyCounts;
        }
        if let Some(why) = view.seen.tasks.unreadable() {
            return Self::Unknown { why: why.to_string() };
        }
        if view.seen.live_tasks().next().is_none() {
            return Self::NoTask;
        }
        match people(view) {
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
        of(WHAT_ELSE, &seen.billed),
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
