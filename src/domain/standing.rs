//! Where the platform stands: which goal's conditions hold, in one observation.

use jiff::SignedDuration;
use serde::Serialize;

use super::condition::{Code, Condition, Judged, Verdict};
use super::goal::{Goal, Level};
use super::observed::{Service, ServiceStatus};
use super::ownership::{NoPlatform, Presence, presence};
use super::view::View;

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
        /// The same for a program.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        codes: Vec<Code>,
    },
    /// At a level of which a condition is broken.
    Degraded {
        of: Level,
        broken: Vec<String>,
        /// The same for a program.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        codes: Vec<Code>,
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

    /// Where the platform stands in an observation. What no first look goes to is judged only where it was looked at.
    pub fn of(view: &View<'_>) -> Self {
        if let Some(why) = view.seen.service.unreadable() {
            return Self::Unknown { unread: vec![format!("service: {why}")] };
        }
        match presence(view) {
            Presence::Nowhere(nowhere) => return Self::NoSuchPlatform(nowhere),
            Presence::Unknown(why) => {
                return Self::Unknown { unread: vec![format!("what is left of the platform: {why}")] };
            }
            Presence::Parts(parts) => {
                let broken = parts.into_iter().map(|part| format!("there is {part}, but no service")).collect();
                return Self::Degraded { of: Level::Standby, broken, codes: vec![Code("no-service")] };
            }
            Presence::Removed(_) | Presence::There => {}
        }
        match view.seen.service.present() {
            None => Self::Destroyed,
            Some(service) if service.status != ServiceStatus::Active => Self::Changing {
                toward: Level::Destroyed,
                awaited: vec!["the service is being deleted".into()],
                codes: vec![Code("service-deleted")],
            },
            Some(service) => Self::judged(view, service),
        }
    }

    /// By the conditions of the level that it was brought to.
    fn judged(view: &View<'_>, service: &Service) -> Self {
        let (level, goals): (_, &[Goal]) = match service.desired {
            0 if view.seen.balancer.is_absent() => (Level::PoweredDown, &[Goal::AtMostStandby]),
            0 => (Level::Standby, &[Goal::AtMostStandby, Goal::AtLeastStandby]),
            _ => (Level::Running, &[Goal::Running]),
        };
        let (mut broken, mut awaited, mut unread) = (Reasons::default(), Reasons::default(), Reasons::default());
        // Who asks is no part of where it stands.
        let conditions = goals.iter().flat_map(|goal| goal.conditions()).filter(|c| **c != Condition::SignedIn);
        for condition in conditions {
            let Judged { verdict, code } = condition.judge(view);
            let (reasons, why) = match verdict {
                Verdict::Holds | Verdict::Warns(_) => continue,
                Verdict::Unseen(_) if !condition.rule().first_look => continue,
                Verdict::Fails(why) => (&mut broken, why),
                Verdict::Waits(why) => (&mut awaited, why),
                Verdict::Unseen(unseen) => (&mut unread, unseen.why),
            };
            reasons.add(condition.name(), why, code);
        }
        let young = service.primary().is_some_and(|d| view.seen.at.duration_since(d.created) < START_LIMIT);
        let changing = level != Level::Running || young;
        match (level, broken, awaited, unread) {
            (of, broken, _, _) if broken.any() => Self::Degraded { of, broken: broken.said, codes: broken.codes },
            (toward, _, awaited, _) if awaited.any() && changing => {
                Self::Changing { toward, awaited: awaited.said, codes: awaited.codes }
            }
            (of, _, awaited, _) if awaited.any() => Self::Degraded { of, broken: awaited.said, codes: awaited.codes },
            (_, _, _, unread) if unread.any() => Self::Unknown { unread: unread.said },
            (Level::Running, ..) => Self::Running,
            (Level::Standby, ..) => Self::Standby,
            (Level::PoweredDown, ..) => Self::PoweredDown,
            (Level::Destroyed, ..) => Self::Destroyed,
        }
    }
}

/// Why it is not at a level, each reason once: with the first condition that gives it.
#[derive(Default)]
struct Reasons {
    whys: Vec<String>,
    said: Vec<String>,
    codes: Vec<Code>,
}

impl Reasons {
    fn add(&mut self, name: &str, why: String, code: Option<Code>) {
        if !self.whys.contains(&why) {
            self.said.push(format!("{name}: {why}"));
            self.codes.extend(code);
            self.whys.push(why);
        }
    }

    const fn any(&self) -> bool {
        !self.said.is_empty()
    }
}
