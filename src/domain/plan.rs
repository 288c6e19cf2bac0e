//! From what is seen to what is to be done.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::changes::{Recordings, Wanted};
use super::condition::{Condition, Verdict};
use super::level::Goal;
use super::name::{AccountId, PlatformName, Region};
use super::observed::{Blindness, Observed, Occupancy, Reading, Unreadable, between};
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
    MeetingInProgress { participants: u32, conferences: u32 },
    #[error("whether people are in a meeting cannot be told")]
    MeetingUnknown { why: String },
    #[error("Terraform would change more than it was asked to")]
    TouchesTooMuch { wanted: Wanted, touched: Vec<String> },
    #[error("Terraform still manages a load balancer, so none is a leftover")]
    StillManaged { addresses: Vec<String> },
    #[error("somebody else is changing the platform")]
    Contested { why: String },
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
        refuse_to_cut_a_meeting(until, &verdict, seen, policy)?;
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
                steps.push(Step { until, action: until.remedy(seen, policy), why });
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
    let until = Condition::RoomsEmpty;
    refuse_to_cut_a_meeting(until, &until.judge(seen, policy), seen, policy)
}

/// People in a meeting, or not knowing whether there are any, are a refusal unless told otherwise.
fn refuse_to_cut_a_meeting(
    until: Condition,
    verdict: &Verdict,
    seen: &Observed,
    policy: &Policy,
) -> Result<(), Refusal> {
    if until != Condition::RoomsEmpty || policy.meetings == Meetings::Await {
        return Ok(());
    }
    match verdict {
        Verdict::Holds | Verdict::Warns(_) => Ok(()),
        // Without the service and its tasks there is more to say than that people cannot be seen.
        Verdict::Unseen(_) if seen.service.unreadable().is_some() || seen.tasks.unreadable().is_some() => Ok(()),
        Verdict::Unseen(unseen) => Err(Refusal::MeetingUnknown { why: unseen.why.clone() }),
        Verdict::Waits(why) | Verdict::Fails(why) => match people(seen) {
            Ok(line) => {
                Err(Refusal::MeetingInProgress { participants: line.participants, conferences: line.conferences })
            }
            Err(_) => Err(Refusal::MeetingUnknown { why: why.clone() }),
        },
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

/// Whether somebody else has undone what this run asked for. Certain: only reads that postdate the request count.
pub fn contested(seen: &Observed, to: Goal) -> Option<String> {
    if to != Goal::Running {
        return None;
    }
    let asked = seen.run.asked.as_ref()?;
    let service = seen.service.present()?;
    let primary = service.primary()?;
    let ours_is_known = service.deployments.iter().any(|d| d.id == asked.deployment);
    if ours_is_known && service.desired == 0 {
        Some("the desired count was set back to 0 while the platform was starting".into())
    } else if primary.id != asked.deployment && primary.created > asked.at {
        Some(format!("the deployment {} has replaced ours, {}", primary.id, asked.deployment))
    } else {
        None
    }
}
