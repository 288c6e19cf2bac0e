//! The levels of the platform, the goals, and the conditions of each.

use std::fmt;

use serde::Serialize;

use super::condition::Condition;

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
