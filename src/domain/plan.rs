//! From what is seen to what is to be done.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::changes::{Recordings, Wanted};
use super::condition::{Code, Condition, Judged, Verdict, WhenUnseen, spare_a_meeting, successor};
use super::goal::Goal;
use super::name::{AccountId, PlatformName, Region};
use super::observed::{Asked, Blindness, Unreadable, between};
use super::ownership::{NoPlatform, Presence, presence};
use super::view::View;

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
    /// The same for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
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
    pub(super) fn blind(until: Condition, unseen: &Unreadable) -> Self {
        Self::Blind { until, because: unseen.because, why: unseen.why.clone() }
    }

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
pub fn plan(view: &View<'_>, to: Goal) -> Result<Plan, Refusal> {
    if let Some(why) = contested(view, to) {
        return Err(Refusal::Contested { why });
    }
    let mut steps = Vec::new();
    for &until in to.conditions() {
        if let Some(refusal) = (until.rule().refusal)(view, to) {
            return Err(refusal);
        }
        let Judged { verdict, code } = until.judge(view);
        let mut step = |action, why| steps.push(Step { until, action, why, code });
        match verdict {
            Verdict::Holds | Verdict::Warns(_) => {}
            // Nobody has looked yet: looking is the step.
            Verdict::Unseen(Unreadable { because: Blindness::NotAsked, .. }) => step(None, "not proven yet".into()),
            Verdict::Unseen(_) if until.rule().when_unseen == WhenUnseen::Wait => step(None, verdict.to_string()),
            Verdict::Unseen(unseen) => return Err(Refusal::blind(until, &unseen)),
            Verdict::Waits(why) | Verdict::Fails(why) => {
                let action = until.remedy(view);
                if action.is_some_and(|action| action.replaces_tasks(view)) {
                    spare_a_meeting(view, to)?;
                }
                step(action, why);
            }
        }
    }
    Ok(Plan { to, steps })
}

/// Refuses where there is no such platform, for certain: that is an answer of its own.
pub fn exists(view: &View<'_>) -> Result<(), Refusal> {
    match presence(view) {
        Presence::Nowhere(nowhere) => Err(Refusal::NoPlatform(Box::new(nowhere))),
        Presence::There | Presence::Parts(_) | Presence::Removed(_) | Presence::Unknown(_) => Ok(()),
    }
}

/// The start that somebody else's `up` has made in place of ours: the same wish, so it is ours as well.
pub fn shared_start(view: &View<'_>) -> Option<Asked> {
    let newer = successor(view)?;
    let service = view.seen.service.present()?;
    let marked = service.mark.as_ref().is_some_and(|mark| mark.deployment == newer.id);
    (marked && service.desired > 0).then(|| Asked { deployment: newer.id.clone(), at: newer.created })
}

/// Who starts the platform writes that on the service, within this time.
const UNMARKED: Duration = Duration::from_secs(30);

/// Whether somebody else has undone what this run asked for. Certain: only reads that postdate the request count.
pub fn contested(view: &View<'_>, to: Goal) -> Option<String> {
    if to != Goal::Running {
        return None;
    }
    let asked = view.memory.asked.as_ref()?;
    let service = view.seen.service.present()?;
    let newer = successor(view);
    let ours_is_known = service.deployments.iter().any(|d| d.id == asked.deployment);
    if (ours_is_known || newer.is_some()) && service.desired == 0 {
        return Some("the desired count was set back to 0 while the platform was starting".into());
    }
    let newer = newer.filter(|_| shared_start(view).is_none())?;
    let since = view.memory.replaced.as_ref().filter(|(id, _)| *id == newer.id).map(|(_, since)| *since)?;
    (between(since, view.seen.at) >= UNMARKED)
        .then(|| format!("the deployment {} has replaced ours, {}", newer.id, asked.deployment))
}
