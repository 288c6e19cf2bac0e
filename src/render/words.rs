//! One sentence for each thing; durations, money, times and plurals.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::action::Action;
use crate::domain::changes::Changes;
use crate::domain::condition::{Condition, Verdict};
use crate::domain::cost::{Cost, Money};
use crate::domain::goal::Goal;
use crate::domain::observed::{Observed, Reading};
use crate::domain::plan::{Plan, Step};
use crate::domain::rehearsal::{Grade, Phase};
use crate::domain::said::Said;
use crate::domain::text::{count, line};
use crate::error::Outcome;
use crate::event::Event;

/// `2m 55s`
pub fn duration(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0 if span.is_zero() => "0s".into(),
        0 => format!("{}ms", span.as_millis().max(1)),
        1..60 => format!("{s}s"),
        60..3_600 => with_rest(s / 60, 'm', s % 60, 's'),
        3_600..172_800 => with_rest(s / 3_600, 'h', s / 60 % 60, 'm'),
        _ => with_rest(s / 86_400, 'd', s / 3_600 % 24, 'h'),
    }
}

fn with_rest(whole: u64, unit: char, rest: u64, smaller: char) -> String {
    if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit} {rest:02}{smaller}") }
}

/// `$0.2350/hour`
pub fn per_hour(money: Money) -> String {
    format!("{}/hour", dollars(money))
}

/// `$0.2350`
pub fn dollars(money: Money) -> String {
    let sign = if money.0 < 0 { "-" } else { "" };
    let tenths_of_mills = (money.0.unsigned_abs() + 50) / 100;
    format!("{sign}${}.{:04}", tenths_of_mills / 10_000, tenths_of_mills % 10_000)
}

/// The cost per hour, never lower than it may be: what is not known is said.
pub fn cost(cost: &Cost) -> String {
    let unknown = cost.unknown.join(" and ");
    match (cost.items.is_empty(), cost.unknown.is_empty()) {
        (_, true) => per_hour(cost.per_hour),
        (true, false) => format!("unknown ({unknown} could not be read)"),
        (false, false) => format!("at least {} ({unknown} unknown)", per_hour(cost.per_hour)),
    }
}

/// `2026-11-20 19:03:30 UTC`
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `2026-11-20 19:03 UTC`
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `2026-11-20T19:03:30Z`: the stamp of a line.
pub fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A first letter made large.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What a verdict adds to its condition.
pub fn why(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Holds => None,
        Verdict::Warns(why) | Verdict::Waits(why) | Verdict::Fails(why) => Some(why.clone()),
        Verdict::Unseen(unseen) => Some(unseen.why.clone()),
    }
}

/// `+` start, `-` stop, `~` change, `…` wait
pub fn sign(action: Option<Action>) -> &'static str {
    match action {
        Some(Action::Start | Action::Restore) => "+",
        Some(
            Action::Stop
            | Action::PowerDown
            | Action::RemoveBalancers
            | Action::RemoveKeepingRecordings
            | Action::RemoveWithRecordings,
        ) => "-",
        Some(Action::Unprotect) => "~",
        None => "…",
    }
}

/// A step of a plan as one line.
pub fn step(step: &Step) -> String {
    match step.action {
        Some(action) => format!("{} {action}, so that {}", sign(step.action), step.until),
        None => format!("{} {}", sign(None), step.until),
    }
}

/// What a plan amounts to: changes, waits and what they cost.
pub fn plan(plan: &Plan, observed: &Observed) -> String {
    let changes = plan.steps.iter().filter(|s| s.action.is_some()).count();
    let waits = plan.steps.len() - changes;
    let parts = [(changes, "change", "changes"), (waits, "condition to wait for", "conditions to wait for")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| count(n, one, many)).collect();
    format!("plan for {}: {}; {}", plan.to, parts.join(", "), price(plan, observed))
}

fn price(plan: &Plan, observed: &Observed) -> String {
    let now = cost(&Cost::of(observed));
    let nothing_runs = observed.tasks.unreadable().is_none() && observed.live_tasks().next().is_none();
    match plan.to {
        Goal::Running if nothing_runs => format!("costs {now} now, and the task on top"),
        Goal::Running | Goal::AtLeastStandby => format!("costs {now}"),
        Goal::AtMostPoweredDown | Goal::Destroyed => {
            let after = Observed { tasks: Reading::Present(Vec::new()), balancer: Reading::Absent, ..observed.clone() };
            format!("costs {now} now, {} then", cost(&Cost::of(&after)))
        }
        Goal::AtMostStandby => {
            let after = Observed { tasks: Reading::Present(Vec::new()), ..observed.clone() };
            format!("costs {now} now, then {}", cost(&Cost::of(&after)))
        }
    }
}

/// Why a condition did not hold when it was planned; nothing when that is about to be changed.
pub fn awaited(plan: Option<&Plan>, until: Condition) -> Option<String> {
    let step = plan?.steps.iter().find(|s| s.until == until && s.action.is_none())?;
    Some(step.why.clone())
}

/// How a job ended, in one sentence; nothing when its answer says it all.
pub fn ended(outcome: Outcome, last: Option<&Plan>, took: Duration) -> Option<String> {
    let plan = last?;
    let reached = match plan.to {
        Goal::Running => "the platform is running",
        Goal::AtLeastStandby => "the platform is deployed",
        Goal::AtMostStandby => "nothing runs",
        Goal::AtMostPoweredDown => "nothing with an hourly price is left",
        Goal::Destroyed => "the platform is gone",
    };
    match outcome {
        Outcome::Done if !plan.steps.is_empty() => Some("The change was accepted; nothing is proven yet.".into()),
        Outcome::Done => Some(format!("{}, after {}.", sentence(reached), duration(took))),
        Outcome::NothingToDo => Some(format!("Nothing to do: {reached}.")),
        Outcome::Unhealthy | Outcome::CannotTell => None,
    }
}

/// What the sandbox says of itself.
pub const SANDBOX: &str = "this is the sandbox: nothing outside of this machine is touched";

/// An event as one line of talk. Answers and failures are more than a line.
pub fn event(event: &Event) -> Option<String> {
    match event {
        Event::Hello { .. }
        | Event::Planned { .. }
        | Event::Answer(_)
        | Event::Finished { .. }
        | Event::Failed { .. } => None,
        Event::StepStarted { until, limit } => Some(format!("waiting: {until} (limit {})", duration(*limit))),
        Event::StepProgress { until, note } => Some(format!("waiting: {until}: {note}")),
        Event::StepFinished { until, took } => Some(format!("done: {until} ({})", duration(*took))),
        Event::StepFailed { until, message, .. } => Some(format!("failed: {until}: {message}")),
        Event::ServiceSaid { message, .. } => Some(format!("ECS: {message}")),
        Event::ChangesPlanned { changes, .. } => Some(changes_planned(changes)),
        Event::TerraformSaid { said } => terraform_said(said),
        Event::PhaseStarted { phase, number, of } => Some(format!("phase {number} of {of}: {phase}")),
        Event::PhaseFinished { phase, number, grade, took } => Some(phase_finished(*phase, *number, grade, *took)),
        Event::Question { question } => Some(question.clone()),
        Event::Warning { message } => Some(format!("warning: {message}")),
        Event::Note { message } => Some(message.clone()),
    }
}

/// `phase 3, up: good (4m 10s)`
fn phase_finished(phase: Phase, number: usize, grade: &Grade, took: Duration) -> String {
    let why = grade.why().map_or_else(String::new, |why| format!(": {why}"));
    format!("phase {number}, {phase}: {}{why} ({})", self::grade(grade).1, duration(took))
}

/// The symbol and the word of a grade.
pub fn grade(grade: &Grade) -> (&'static str, &'static str) {
    match grade {
        Grade::Good => ("✔", "good"),
        Grade::Warned(_) => ("!", "warning"),
        Grade::Bad(_) => ("✘", "failed"),
        Grade::Unseen(_) => ("?", "unknown"),
        Grade::Skipped(_) => ("·", "skipped"),
    }
}

/// `Terraform's plan: 5 to create, 1 to change`, with a line for each.
fn changes_planned(changes: &Changes) -> String {
    let mut text = format!("Terraform's plan: {changes}");
    for change in &changes.resources {
        // One line each, whatever the address holds: this is what somebody agrees to.
        let _ = write!(text, "\n  {} {}", change.deed.mark(), line(&change.address));
        if let Some(arn) = change.arn.as_ref().filter(|_| change.deletes()) {
            let _ = write!(text, ": {}", line(arn));
        }
    }
    text
}

/// What Terraform has begun is told when it is done; what takes long is told once more meanwhile.
fn terraform_said(said: &Said) -> Option<String> {
    match said {
        Said::Started { .. } => None,
        Said::Working { after, .. } if after.as_secs() % 60 != 0 => None,
        Said::Doing { .. } => Some(said.to_string()),
        _ => Some(format!("Terraform: {said}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, text) in [
            (0, "0s"),
            (400, "400ms"),
            (1_000, "1s"),
            (59_999, "59s"),
            (60_000, "1m"),
            (175_000, "2m 55s"),
            (3_600_000, "1h"),
            (5_460_000, "1h 31m"),
            (266_400_000, "3d 02h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn money_and_plurals() {
        assert_eq!(per_hour(Money(235_000)), "$0.2350/hour");
        assert_eq!(dollars(Money(1_234_567)), "$1.2346");
        assert_eq!(dollars(Money(-50_000)), "-$0.0500");
        assert_eq!(count(1_u64, "room", "rooms"), "1 room");
        assert_eq!(count(0_u64, "room", "rooms"), "0 rooms");
    }

    #[test]
    fn an_unknown_cost_is_never_zero() {
        let of = |items: &[i64], unknown: &[&str]| {
            cost(&Cost {
                per_hour: items.iter().map(|i| Money(*i)).sum(),
                items: items
                    .iter()
                    .map(|i| crate::domain::cost::Item { what: "x".into(), per_hour: Money(*i) })
                    .collect(),
                unknown: unknown.iter().map(|&u| u.to_owned()).collect(),
                not_counted: "",
            })
        };
        assert_eq!(of(&[22_500], &[]), "$0.0225/hour");
        assert_eq!(of(&[], &[]), "$0.0000/hour");
        assert_eq!(of(&[22_500], &["tasks"]), "at least $0.0225/hour (tasks unknown)");
        assert_eq!(of(&[], &["tasks", "load balancer"]), "unknown (tasks and load balancer could not be read)");
        assert_eq!(of(&[], &["load balancer"]), "unknown (load balancer could not be read)");
    }
}
