//! Statements about the platform that can be judged: each is one [`Rule`], in the file of its family.

mod access;
mod certificate;
mod dns;
mod judged;
mod meeting;
mod pages;
mod people;
mod removal;
mod service;
mod targets;
mod task;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

pub use self::certificate::CERTIFICATE_WARNING;
pub use self::dns::addresses;
pub use self::judged::{Code, Judged, Verdict};
pub use self::meeting::LEAVING;
pub use self::pages::is_shut;
pub(super) use self::people::spare_a_meeting;
pub use self::people::{COUNT_EVERY, STALE, counted, people, rooms_empty, spares_meetings};
pub use self::service::is_detached;
pub use self::task::{STEADY, start_failure, successor};
use super::action::Action;
use super::goal::Goal;
use super::plan::Refusal;
use super::view::View;

/// A statement about the platform. Each is judged in one place, wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    SignedIn,
    /// What was found is this platform.
    PlatformThere,
    ServiceActive,
    BalancerActive,
    /// Exactly the task of this start runs.
    Started,
    ContainersHealthy,
    TargetsHealthy,
    NameResolves,
    CertificateTrusted,
    PagesServed,
    SignallingWorks,
    /// The task has been healthy for long enough to believe it.
    Steady,
    MediaFlows,
    /// Nobody is in a meeting that a stop would end.
    RoomsEmpty,
    /// No task is protected from being stopped, where the user has decided to end a meeting.
    Unprotected,
    /// Nothing runs, and nothing is asked to.
    Stopped,
    /// The load balancer that Terraform makes is gone.
    IngressRemoved,
    /// What was named for deletion, and Terraform does not know, is gone.
    LeftoversGone,
    /// What Terraform has made is gone.
    StackGone,
    /// Nothing with an hourly price is left.
    NothingBills,
}

/// All that there is to a condition.
pub struct Rule {
    /// One word for tables and options.
    pub name: &'static str,
    /// The sentence that is true when it holds, and the one that is true when it does not.
    pub says: &'static str,
    pub unsays: &'static str,
    /// Where to look to judge it.
    pub needs: &'static [Source],
    /// How long it may take before it counts as stuck.
    pub within: Duration,
    /// How often it is worth looking while waiting for it.
    pub every: Duration,
    /// Whether looking at it is a matter of a few calls to AWS.
    pub cheap: bool,
    /// What a plan does that cannot see it.
    pub when_unseen: WhenUnseen,
    /// Why a plan for a goal must not be made at all, whatever may be done about the condition.
    pub refusal: fn(&View<'_>, Goal) -> Option<Refusal>,
    /// Whether the cause of a failed start explains why it does not hold.
    pub explains_start: bool,
    /// Whether a first look goes there. What takes seconds and enters a room is looked at alone, when all else holds.
    pub first_look: bool,
    /// How long a look needs to end well when it is interrupted: participants leave their room.
    pub leave_after: Duration,
    pub judge: fn(&View<'_>) -> Judged,
    /// What it was judged from, in one line: addresses, dates, milliseconds.
    pub evidence: fn(&View<'_>) -> Option<String>,
    /// The change that brings it about, or `None` when waiting is all there is to do.
    pub remedy: fn(&View<'_>) -> Option<Action>,
    /// What a person can do when it does not hold.
    pub advice: fn(&View<'_>) -> Vec<String>,
}

/// What a plan does when a condition cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenUnseen {
    Refuse,
    /// Waits until it can be seen.
    Wait,
}

/// What most rules have in common.
const PLAIN: Rule = Rule {
    name: "",
    says: "",
    unsays: "",
    needs: &[],
    within: Duration::from_mins(5),
    every: Duration::from_secs(5),
    cheap: false,
    when_unseen: WhenUnseen::Refuse,
    refusal: |_, _| None,
    explains_start: false,
    first_look: true,
    leave_after: Duration::ZERO,
    judge: |_| Verdict::Holds.into(),
    evidence: |_| None,
    remedy: |_| None,
    advice: |_| Vec::new(),
};

impl Condition {
    /// The one place that lists them all; the compiler holds it.
    pub const fn rule(self) -> &'static Rule {
        match self {
            Self::SignedIn => &access::SIGNED_IN,
            Self::PlatformThere => &access::PLATFORM_THERE,
            Self::ServiceActive => &service::ACTIVE,
            Self::BalancerActive => &service::BALANCER_ACTIVE,
            Self::Started => &task::STARTED,
            Self::ContainersHealthy => &task::CONTAINERS_HEALTHY,
            Self::TargetsHealthy => &targets::HEALTHY,
            Self::NameResolves => &dns::RESOLVES,
            Self::CertificateTrusted => &certificate::TRUSTED,
            Self::PagesServed => &pages::SERVED,
            Self::SignallingWorks => &pages::SIGNALLING,
            Self::Steady => &task::STEADILY_HEALTHY,
            Self::MediaFlows => &meeting::MEDIA,
            Self::RoomsEmpty => &people::ROOMS_EMPTY,
            Self::Unprotected => &people::UNPROTECTED,
            Self::Stopped => &task::STOPPED,
            Self::IngressRemoved => &removal::INGRESS,
            Self::LeftoversGone => &removal::LEFTOVERS,
            Self::StackGone => &removal::STACK,
            Self::NothingBills => &removal::NOTHING_BILLS,
        }
    }

    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// The sentence that is true when the condition is not.
    pub const fn opposite(self) -> &'static str {
        self.rule().unsays
    }

    pub fn judge(self, view: &View<'_>) -> Judged {
        (self.rule().judge)(view)
    }

    /// What was found, whatever the verdict; empty when nothing was.
    pub fn evidence(self, view: &View<'_>) -> String {
        (self.rule().evidence)(view).unwrap_or_default()
    }

    pub fn remedy(self, view: &View<'_>) -> Option<Action> {
        (self.rule().remedy)(view)
    }

    pub fn advice(self, view: &View<'_>) -> Vec<String> {
        (self.rule().advice)(view)
    }
}

/// The sentence that a condition is.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule().says)
    }
}

/// One place to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Identity,
    Service,
    Tasks,
    Balancer,
    Targets,
    Record,
    Secret,
    Occupancy,
    Names,
    Tls,
    Web,
    Signalling,
    Media,
    Billed,
    Managed,
    Kept,
}

/// The task has not run for long enough to believe what it says of itself.
pub const TASK_YOUNG: Code = Code("task-young");
/// There is no load balancer, as a power-down leaves it.
pub const POWERED_DOWN: Code = Code("powered-down");

/// Advice that is the same whatever was seen.
fn lines(of: &[&str]) -> Vec<String> {
    of.iter().map(|&line| line.to_owned()).collect()
}
