//! The levels of the platform, the conditions of each, and which one an observation shows.

use std::fmt;

use jiff::SignedDuration;
use serde::Serialize;

use super::condition::{Condition, Verdict};
use super::observed::{BalancerState, Observed, Reading, Service, ServiceStatus};
use super::ownership::{NoPlatform, Presence, presence};
use super::plan::Policy;

/// How much of the platform exists, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Running,
    Standby,
    PoweredDown,
    Destroyed,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Running, Self::Standby, Self::PoweredDown, Self::Destroyed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Standby => "standby",
            Self::PoweredDown => "powered-down",
            Self::Destroyed => "destroyed",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Level {
    type Err = String;
    fn from_str(given: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|l| l.name() == given)
            .ok_or_else(|| format!("{given:?} is not a level; the levels are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// What a subcommand brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// `running`, from wherever it is.
    Running,
    /// At least `standby`: the stack exists. Never starts or stops anything.
    AtLeastStandby,
    /// At most `standby`: nothing runs. Never creates anything.
    AtMostStandby,
    /// At most `powered-down`: nothing is left that has an hourly price.
    AtMostPoweredDown,
    /// Nothing is left, but what is kept on purpose.
    Destroyed,
}

impl Goal {
    pub const ALL: [Self; 5] =
        [Self::Running, Self::AtLeastStandby, Self::AtMostStandby, Self::AtMostPoweredDown, Self::Destroyed];

    /// What holds when the goal is reached, in the order in which it is brought about.
    pub const fn conditions(self) -> &'static [Condition] {
        use Condition::*;
        match self {
            Self::Running => &[
                SignedIn,
                PlatformThere,
                ServiceActive,
                BalancerActive,
                Started,
                ContainersHealthy,
                TargetsHealthy,
                NameResolves,
                CertificateTrusted,
                PagesServed,
                SignallingWorks,
                Steady,
                MediaFlows,
            ],
            Self::AtLeastStandby => &[SignedIn, ServiceActive, BalancerActive],
            Self::AtMostStandby => &[SignedIn, PlatformThere, RoomsEmpty, Unprotected, Stopped],
            Self::AtMostPoweredDown => &[
                SignedIn,
                PlatformThere,
                RoomsEmpty,
                Unprotected,
                Stopped,
                IngressRemoved,
                LeftoversGone,
                NothingBills,
            ],
            // A VPC is only removed when nothing stands in it any more.
            Self::Destroyed => {
                &[SignedIn, PlatformThere, RoomsEmpty, Unprotected, Stopped, LeftoversGone, StackGone, NothingBills]
            }
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::AtLeastStandby => "at least standby",
            Self::AtMostStandby => "at most standby",
            Self::AtMostPoweredDown => "at most powered-down",
            Self::Destroyed => "destroyed",
        })
    }
}

/// Where the platform stands, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "level", rename_all = "kebab-case")]
pub enum Standing {
    Running,
    Standby,
    PoweredDown,
    Destroyed,
    /// There is no such platform, and nothing shows that there ever was one.
    NoSuchPlatform(NoPlatform),
    /// On the way to a level.
    Changing {
        toward: Level,
        awaited: Vec<String>,
    },
    /// At a level of which a condition is broken.
    Degraded {
        of: Level,
        broken: Vec<String>,
    },
    /// Something that the answer needs could not be read.
    Unknown {
        unread: Vec<String>,
    },
}

/// A start that takes longer than this is not "changing" any more.
const START_LIMIT: SignedDuration = SignedDuration::from_mins(15);

impl Standing {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Standby => "standby",
            Self::PoweredDown => "powered-down",
            Self::Destroyed => "destroyed",
            Self::NoSuchPlatform(_) => "no such platform",
            Self::Changing { .. } => "changing",
            Self::Degraded { .. } => "degraded",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The level that it is at, when it is at one.
    pub const fn level(&self) -> Option<Level> {
        match self {
            Self::Running => Some(Level::Running),
            Self::Standby => Some(Level::Standby),
            Self::PoweredDown => Some(Level::PoweredDown),
            Self::Destroyed => Some(Level::Destroyed),
            Self::NoSuchPlatform(_) | Self::Changing { .. } | Self::Degraded { .. } | Self::Unknown { .. } => None,
        }
    }

    /// Where the platform stands in an observation. Media is judged only where it was looked at.
    pub fn of(seen: &Observed, policy: &Policy) -> Self {
        if let Presence::Nowhere(nowhere) = presence(seen, policy) {
            return Self::NoSuchPlatform(nowhere);
        }
        match &seen.service {
            Reading::Unreadable(why) => Self::Unknown { unread: vec![format!("service: {why}")] },
            Reading::Absent => Self::without_service(seen, policy),
            Reading::Present(service) if service.status != ServiceStatus::Active => {
                Self::Changing { toward: Level::Destroyed, awaited: vec!["the service is being deleted".into()] }
            }
            Reading::Present(service) if service.desired == 0 => Self::at_rest(seen),
            Reading::Present(service) => Self::switched_on(seen, service, policy),
        }
    }

    fn without_service(seen: &Observed, policy: &Policy) -> Self {
        match presence(seen, policy) {
            Presence::Parts(parts) => {
                let broken = parts.into_iter().map(|part| format!("there is {part}, but no service")).collect();
                Self::Degraded { of: Level::Standby, broken }
            }
            Presence::Unknown(why) => Self::Unknown { unread: vec![format!("what is left of the platform: {why}")] },
            Presence::Nowhere(nowhere) => Self::NoSuchPlatform(nowhere),
            Presence::There | Presence::Removed(_) => Self::Destroyed,
        }
    }

    fn at_rest(seen: &Observed) -> Self {
        let live = seen.live_tasks().count();
        if let Some(why) = seen.tasks.unreadable() {
            return Self::Unknown { unread: vec![format!("tasks: {why}")] };
        }
        if live > 0 {
            return Self::Changing { toward: Level::Standby, awaited: vec![format!("{live} task(s) still stopping")] };
        }
        match &seen.balancer {
            Reading::Unreadable(why) => Self::Unknown { unread: vec![format!("load balancer: {why}")] },
            Reading::Absent => Self::PoweredDown,
            Reading::Present(balancer) => match balancer.state {
                BalancerState::Active | BalancerState::Impaired => Self::Standby,
                BalancerState::Provisioning => Self::Changing {
                    toward: Level::Standby,
                    awaited: vec!["the load balancer is being created".into()],
                },
                BalancerState::Failed => {
                    Self::Degraded { of: Level::Standby, broken: vec!["the load balancer has failed".into()] }
                }
            },
        }
    }

    fn switched_on(seen: &Observed, service: &Service, policy: &Policy) -> Self {
        let (mut broken, mut awaited, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for &condition in Goal::Running.conditions() {
            match condition.judge(seen, policy) {
                Verdict::Holds | Verdict::Warns(_) => {}
                Verdict::Fails(why) => broken.push(format!("{}: {why}", condition.name())),
                Verdict::Waits(why) => awaited.push(format!("{}: {why}", condition.name())),
                Verdict::Unseen(_) if condition == Condition::MediaFlows => {}
                Verdict::Unseen(unseen) => unread.push(format!("{}: {unseen}", condition.name())),
            }
        }
        let young = service.primary().is_some_and(|d| seen.at.duration_since(d.created) < START_LIMIT);
        if !broken.is_empty() {
            Self::Degraded { of: Level::Running, broken }
        } else if !awaited.is_empty() && young {
            Self::Changing { toward: Level::Running, awaited }
        } else if !awaited.is_empty() {
            Self::Degraded { of: Level::Running, broken: awaited }
        } else if !unread.is_empty() {
            Self::Unknown { unread }
        } else {
            Self::Running
        }
    }
}
