//! From what is seen to what is to be done.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::changes::{Recordings, Wanted};
use super::condition::{Condition, Verdict};
use super::judge::nobody_is_cut_off;
use super::level::Goal;
use super::name::{AccountId, PlatformName, Region};
use super::observed::{Asked, Blindness, Deployment, Observed, Occupancy, Reading, Unreadable, between};
use super::ownership::{NoPlatform, Presence, presence};

/// What the user has decided, as far as judging and planning depend on it.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which platform this is about: what it finds has to carry this name.
    pub platform: PlatformName,
    pub region: Region,
    /// The account that the credentials must belong to.
    pub account: Option<AccountId>,
    /// How long a session lasts: credentials should not end before it.
    pub session: Duration,
    /// Whether a meeting is proven with media.
    pub media: bool,
    /// Whether somebody counts the people.
    pub counted: Counted,
    pub meetings: Meetings,
    /// What `destroy` does with recordings.
    pub recordings: Recordings,
    /// What may be deleted. `None`: nobody was asked.
    pub agreed: Option<Agreed>,
}

/// What a question named for deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// By Terraform, by ARN and by address.
    pub by_terraform: BTreeSet<String>,
    /// Outside of Terraform, by ARN.
    pub leftovers: BTreeSet<String>,
}

/// `[occupancy] source`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    BySidecar,
    ByNobody,
}

/// What is done about people in a meeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meetings {
    /// A meeting, or not knowing whether there is one, is a refusal.
    Respect,
    /// `--when-empty`: wait until nobody is left.
    Await,
    /// `--cut-meetings`
    Cut,
}

/// A condition to reach, and the change that brings it about; without one, waiting is all there is to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    pub until: Condition,
    pub action: Option<Action>,
    /// Why the condition does not hold yet.
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub to: Goal,
    pub steps: Vec<Step>,
}

/// Why nothing is planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    NoPlatform(Box<NoPlatform>),
    #[error("Terraform would delete what was not named when this was agreed to")]
    NotNamed { addresses: Vec<String> },
    #[error("cannot tell whether {until}")]
    Blind { until: Condition, because: Blindness, why: String },
    #[error("people are in a meeting: {participants} in {conferences} room(s)")]
    MeetingInProgress { to: Goal, participants: u32, conferences: u32 },
    #[error("whether people are in a meeting cannot be told")]
    MeetingUnknown { to: Goal, because: Blindness, why: String },
    #[error("Terraform would change more than it was asked to")]
    TouchesTooMuch { wanted: Wanted, touched: Vec<String> },
    #[error("Terraform still manages a load balancer, so none is a leftover")]
    StillManaged { addresses: Vec<String> },
    #[error("somebody else is changing the platform")]
    Contested { why: String },
}

impl Refusal {
    /// Whether another look may show what this one could not.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Blind { because, .. } | Self::MeetingUnknown { because, .. } => because.may_pass(),
            Self::NoPlatform(_)
            | Self::NotNamed { .. }
            | Self::MeetingInProgress { .. }
            | Self::TouchesTooMuch { .. }
            | Self::StillManaged { .. }
            | Self::Contested { .. } => false,
        }
    }
}

/// The conditions of the goal that do not hold yet, each with the change that brings it about.
pub fn plan(seen: &Observed, to: Goal, policy: &Policy) -> Result<Plan, Refusal> {
    if let Some(why) = contested(seen, to) {
        return Err(Refusal::Contested { why });
    }
    let mut steps = Vec::new();
    for &until in to.conditions() {
        if until == Condition::PlatformThere {
            exists(seen, policy)?;
        }
        let verdict = until.judge(seen, policy);
        if until == Condition::RoomsEmpty && policy.meetings != Meetings::Await {
            refuse_to_cut_a_meeting(to, &verdict, seen)?;
        }
        match verdict {
            Verdict::Holds | Verdict::Warns(_) => {}
            // Nobody has looked yet: looking is the step.
            Verdict::Unseen(Unreadable { because: Blindness::NotAsked, .. }) => {
                steps.push(Step { until, action: None, why: "not proven yet".into() });
            }
            Verdict::Unseen(_) if until == Condition::RoomsEmpty && policy.meetings == Meetings::Await => {
                steps.push(Step { until, action: None, why: verdict.to_string() });
            }
            Verdict::Unseen(unseen) => {
                return Err(Refusal::Blind { until, because: unseen.because, why: unseen.why });
            }
            Verdict::Waits(why) | Verdict::Fails(why) => {
                let action = until.remedy(seen, policy);
                if action.is_some_and(|action| action.replaces_tasks(seen)) {
                    spare_a_meeting(to, seen, policy)?;
                }
                steps.push(Step { until, action, why });
            }
        }
    }
    Ok(Plan { to, steps })
}

/// Refuses where there is no such platform, for certain: that is an answer of its own.
pub fn exists(seen: &Observed, policy: &Policy) -> Result<(), Refusal> {
    match presence(seen, policy) {
        Presence::Nowhere(nowhere) => Err(Refusal::NoPlatform(Box::new(nowhere))),
        Presence::There | Presence::Parts(_) | Presence::Removed(_) | Presence::Unknown(_) => Ok(()),
    }
}

/// Whether the running task may be replaced or stopped, as far as people are concerned.
pub fn spares_meetings(seen: &Observed, policy: &Policy) -> Result<(), Refusal> {
    refuse_to_cut_a_meeting(Goal::AtMostStandby, &Condition::RoomsEmpty.judge(seen, policy), seen)
}

/// People in a meeting, or not knowing whether there are any, are a refusal unless told otherwise.
fn refuse_to_cut_a_meeting(to: Goal, verdict: &Verdict, seen: &Observed) -> Result<(), Refusal> {
    match verdict {
        Verdict::Holds | Verdict::Warns(_) => Ok(()),
        // Without the service and its tasks there is more to say than that people cannot be seen.
        Verdict::Unseen(_) if seen.service.unreadable().is_some() || seen.tasks.unreadable().is_some() => Ok(()),
        Verdict::Unseen(Unreadable { because, why }) => {
            Err(Refusal::MeetingUnknown { to, because: *because, why: why.clone() })
        }
        Verdict::Waits(why) | Verdict::Fails(why) => match people(seen) {
            Ok(line) => {
                let Occupancy { participants, conferences, .. } = *line;
                Err(Refusal::MeetingInProgress { to, participants, conferences })
            }
            Err(_) => Err(Refusal::MeetingUnknown { to, because: Blindness::Garbled, why: why.clone() }),
        },
    }
}

/// A start that takes the place of a task that runs keeps to the rule of `down`. Where somebody else has switched the
/// service off already, it is not this start that ends the task: only people who are known to be there count then.
fn spare_a_meeting(to: Goal, seen: &Observed, policy: &Policy) -> Result<(), Refusal> {
    let switched_off = seen.service.present().is_some_and(|service| service.desired == 0);
    match nobody_is_cut_off(seen, policy) {
        Verdict::Unseen(_) if switched_off => Ok(()),
        verdict => refuse_to_cut_a_meeting(to, &verdict, seen),
    }
}

/// An occupancy line older than this says nothing any more.
pub const STALE: Duration = Duration::from_secs(90);

/// The newest occupancy line of the running task, when there is one to believe.
pub fn people(seen: &Observed) -> Result<&Occupancy, String> {
    match &seen.occupancy {
        Reading::Unreadable(why) => Err(format!("the occupancy line could not be read: {why}")),
        Reading::Absent => Err(match seen.task().and_then(|task| task.started).map(|since| between(since, seen.at)) {
            Some(young) if young < STALE => {
                format!("the task runs for {} s, and the occupancy sidecar has not written yet", young.as_secs())
            }
            Some(_) | None => "the occupancy sidecar has written nothing for 90 s".into(),
        }),
        Reading::Present(line) => {
            let age = between(line.time, seen.at);
            if age > STALE {
                return Err(format!("the newest occupancy line is {} s old", age.as_secs()));
            }
            if !seen.live_tasks().any(|t| t.id == line.task) {
                return Err(format!("the newest occupancy line is of another task, {}", line.task));
            }
            Ok(line)
        }
    }
}

/// The primary deployment, when it was made after the one that this run counts on, and so has replaced it.
pub fn successor(seen: &Observed) -> Option<&Deployment> {
    let asked = seen.run.asked.as_ref()?;
    let primary = seen.service.present()?.primary()?;
    (primary.id != asked.deployment && primary.created > asked.at).then_some(primary)
}

/// The start that somebody else's `up` has made in place of ours: the same wish, so it is ours as well.
pub fn shared_start(seen: &Observed) -> Option<Asked> {
    let newer = successor(seen)?;
    let service = seen.service.present()?;
    let marked = service.mark.as_ref().is_some_and(|mark| mark.deployment == newer.id);
    (marked && service.desired > 0).then(|| Asked { deployment: newer.id.clone(), at: newer.created })
}

/// Who starts the platform writes that on the service, within this time.
const UNMARKED: Duration = Duration::from_secs(30);

/// Whether somebody else has undone what this run asked for. Certain: only reads that postdate the request count.
pub fn contested(seen: &Observed, to: Goal) -> Option<String> {
    if to != Goal::Running {
        return None;
    }
    let asked = seen.run.asked.as_ref()?;
    let service = seen.service.present()?;
    let newer = successor(seen);
    let ours_is_known = service.deployments.iter().any(|d| d.id == asked.deployment);
    if (ours_is_known || newer.is_some()) && service.desired == 0 {
        return Some("the desired count was set back to 0 while the platform was starting".into());
    }
    let newer = newer.filter(|_| shared_start(seen).is_none())?;
    let since = seen.run.replaced.as_ref().filter(|(id, _)| *id == newer.id).map(|(_, since)| *since)?;
    (between(since, seen.at) >= UNMARKED)
        .then(|| format!("the deployment {} has replaced ours, {}", newer.id, asked.deployment))
}
