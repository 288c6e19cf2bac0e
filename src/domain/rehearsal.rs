//! The ten phases of a rehearsal, and how each can come out.

use std::fmt;

use serde::Serialize;

use super::condition::{Condition, Verdict};

/// What a rehearsal does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Prerequisites,
    Status,
    Up,
    Health,
    Certificate,
    Https,
    Meeting,
    StatusUp,
    Down,
    NothingLeft,
}

/// What AWS alone has to answer for.
pub const OF_AWS: &[Condition] = &[
    Condition::SignedIn,
    Condition::ServiceActive,
    Condition::BalancerActive,
    Condition::Started,
    Condition::TargetsHealthy,
    Condition::RoomsEmpty,
];

/// The stack that a meeting is held on, and the two proofs of it, the weaker one first.
pub const MEETING: [Condition; 4] =
    [Condition::ServiceActive, Condition::BalancerActive, Condition::SignallingWorks, Condition::MediaFlows];

impl Phase {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What it has to see, and looks at again while it cannot.
    pub const fn conditions(self) -> &'static [Condition] {
        use Condition::*;
        match self {
            Self::Prerequisites => &[SignedIn, ServiceActive, BalancerActive],
            Self::Certificate => &[CertificateTrusted],
            Self::Https => &[PagesServed],
            Self::Meeting => &MEETING,
            Self::Status | Self::Up | Self::Health | Self::StatusUp | Self::Down | Self::NothingLeft => OF_AWS,
        }
    }

    /// From 1 to 10.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerequisites => "prerequisites",
            Self::Status => "status",
            Self::Up => "up",
            Self::Health => "health",
            Self::Certificate => "certificate",
            Self::Https => "HTTPS",
            Self::Meeting => "meeting",
            Self::StatusUp => "status, running",
            Self::Down => "down",
            Self::NothingLeft => "nothing left running",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a phase came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "grade", content = "why", rename_all = "snake_case")]
pub enum Grade {
    Good,
    /// Good, and there is something to say about it.
    Warned(String),
    Bad(String),
    /// Could not be judged.
    Unseen(String),
    /// Was not done, or not to its end.
    Skipped(String),
}

impl Grade {
    /// What it says besides its name.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Warned(why) | Self::Bad(why) | Self::Unseen(why) | Self::Skipped(why) => Some(why),
        }
    }
}

/// What does not hold after a whole rehearsal is bad, whether or not waiting might have helped.
impl From<Verdict> for Grade {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Holds => Self::Good,
            Verdict::Warns(why) => Self::Warned(why),
            Verdict::Waits(why) | Verdict::Fails(why) => Self::Bad(why),
            Verdict::Unseen(why) => Self::Unseen(why.to_string()),
        }
    }
}
