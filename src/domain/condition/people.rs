//! Nobody is in a meeting that a stop would end.

use std::time::Duration;

use super::{Condition, Judged, PLAIN, Rule, Source, Verdict, View, WhenUnseen, lines};
use crate::domain::action::Action;
use crate::domain::goal::Goal;
use crate::domain::observed::{Blindness, Observed, Occupancy, Reading, Task, Unreadable, between};
use crate::domain::plan::{Counted, Meetings, Refusal};
use crate::domain::text::count;

/// How often the occupancy sidecar writes what it has counted.
pub const COUNT_EVERY: Duration = Duration::from_secs(30);

pub(super) const ROOMS_EMPTY: Rule = Rule {
    name: "people",
    says: "nobody is in a meeting",
    unsays: "people are in a meeting",
    needs: &[Source::Service, Source::Tasks, Source::Occupancy],
    within: Duration::from_hours(6),
    every: COUNT_EVERY,
    when_unseen: WhenUnseen::Wait,
    refusal: |view, to| match view.policy.meetings {
        Meetings::Await | Meetings::Cut => None,
        Meetings::Respect => match (rooms_empty(view).verdict, service_or_tasks_unread(view)) {
            (Verdict::Unseen(_), Some(why)) => Some(Refusal::blind(Condition::RoomsEmpty, why)),
            (verdict, _) => refuse_to_cut_a_meeting(view, to, verdict).err(),
        },
    },
    judge: rooms_empty,
    evidence: |view| counted(view.seen),
    advice: |_| {
        lines(&["wait for them: `meetctl down --when-empty`", "or end their meeting: `meetctl down --cut-meetings`"])
    },
    ..PLAIN
};

pub(super) const UNPROTECTED: Rule = Rule {
    name: "protection",
    says: "no task is protected from being stopped",
    unsays: "a task is protected from being stopped",
    needs: &[Source::Service, Source::Tasks],
    within: Duration::from_secs(30),
    every: Duration::from_secs(3),
    judge: |view| {
        let could_be = view.policy.meetings == Meetings::Cut && view.seen.live_tasks().any(Task::is_running);
        if could_be && !view.memory.unprotected {
            Verdict::Waits("the task protects itself while it counts people".into()).code("task-protected")
        } else {
            Verdict::Holds.into()
        }
    },
    evidence: |view| view.task().map(|t| format!("task {} {}", t.id, t.last_status)),
    remedy: |_| Some(Action::Unprotect),
    advice: |_| lines(&["ask for the permission ecs:UpdateTaskProtection"]),
    ..PLAIN
};

/// What the occupancy sidecar has counted, of whatever task.
pub fn counted(seen: &Observed) -> Option<String> {
    seen.occupancy.present().map(|o| format!("{} participants, {} rooms", o.participants, o.conferences))
}

/// Whether nobody is in a meeting that a stop would end.
pub fn rooms_empty(view: &View<'_>) -> Judged {
    let asked_to_run = view.seen.service.present().is_some_and(|s| s.desired > 0);
    if asked_to_run || service_or_tasks_unread(view).is_some() {
        nobody_is_cut_off(view)
    } else {
        Verdict::Holds.into()
    }
}

fn service_or_tasks_unread<'a>(view: &View<'a>) -> Option<&'a Unreadable> {
    view.seen.service.unreadable().or(view.seen.tasks.unreadable())
}

/// Whether nobody is in a room of a task that runs.
fn nobody_is_cut_off(view: &View<'_>) -> Judged {
    let View { seen, policy, .. } = view;
    if policy.meetings == Meetings::Cut || policy.counted == Counted::ByNobody {
        return Verdict::Holds.into();
    }
    if let Some(why) = service_or_tasks_unread(view) {
        return why.into();
    }
    if !seen.live_tasks().any(Task::is_running) {
        return Verdict::Holds.into();
    }
    match people(view) {
        Ok(line) if line.conferences == 0 => Verdict::Holds.into(),
        Ok(line) => Verdict::Waits(format!(
            "{} in {}",
            count(line.participants, "person", "people"),
            count(line.conferences, "room", "rooms")
        ))
        .code("meeting-in-progress"),
        Err(why) => {
            let unread = seen.occupancy.unreadable().map(|unread| unread.because);
            let because = unread.filter(|because| because.may_pass()).unwrap_or(Blindness::Garbled);
            Verdict::Unseen(Unreadable { because, why }).code("meeting-unknown")
        }
    }
}

/// An occupancy line older than this says nothing any more.
pub const STALE: Duration = Duration::from_secs(90);

/// The newest occupancy line of the running task, when there is one to believe.
pub fn people<'a>(view: &View<'a>) -> Result<&'a Occupancy, String> {
    let seen = view.seen;
    match &seen.occupancy {
        Reading::Unreadable(why) => Err(format!("the occupancy line could not be read: {why}")),
        Reading::Absent => Err(match view.task().and_then(|task| task.started).map(|since| between(since, seen.at)) {
            Some(young) if young < STALE => {
                format!("the task runs for {} s, and the occupancy sidecar has not written yet", young.as_secs())
            }
            Some(_) | None => format!("the occupancy sidecar has written nothing for {} s", STALE.as_secs()),
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

/// Whether the running task may be replaced or stopped, as far as people are concerned.
pub fn spares_meetings(view: &View<'_>) -> Result<(), Refusal> {
    refuse_to_cut_a_meeting(view, Goal::AtMostStandby, rooms_empty(view).verdict)
}

/// A start that takes the place of a task that runs keeps to the rule of `down`. Where somebody else has switched the
/// service off already, it is not this start that ends the task: only people who are known to be there count then.
pub(in crate::domain) fn spare_a_meeting(view: &View<'_>, to: Goal) -> Result<(), Refusal> {
    let switched_off = view.seen.service.present().is_some_and(|service| service.desired == 0);
    match nobody_is_cut_off(view).verdict {
        Verdict::Unseen(_) if switched_off => Ok(()),
        verdict => refuse_to_cut_a_meeting(view, to, verdict),
    }
}

/// People in a meeting, or not knowing whether there are any, are a refusal unless told otherwise.
fn refuse_to_cut_a_meeting(view: &View<'_>, to: Goal, verdict: Verdict) -> Result<(), Refusal> {
    match verdict {
        Verdict::Holds | Verdict::Warns(_) => Ok(()),
        // Without the service and its tasks there is more to say than that people cannot be seen.
        Verdict::Unseen(_) if service_or_tasks_unread(view).is_some() => Ok(()),
        Verdict::Unseen(Unreadable { because, why }) => Err(Refusal::MeetingUnknown { to, because, why }),
        Verdict::Waits(why) | Verdict::Fails(why) => match people(view) {
            Ok(&Occupancy { participants, conferences, .. }) => {
                Err(Refusal::MeetingInProgress { to, participants, conferences })
            }
            Err(_) => Err(Refusal::MeetingUnknown { to, because: Blindness::Garbled, why }),
        },
    }
}
