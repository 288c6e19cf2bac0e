//! The task of this start: that it runs, is healthy, and stays so; and that nothing runs.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::action::Action;
use crate::domain::cause::{self, Cause};
use crate::domain::name::DeploymentId;
use crate::domain::observed::{Deployment, Health, Reading, Service, Task, between};
use crate::domain::stack;
use crate::domain::text::{count, list};

/// Java services report success before their first check has run; this long of it is believed.
pub const STEADY: Duration = Duration::from_secs(15);
/// A task this old has long had its first health checks.
pub(super) const SETTLED: SignedDuration = SignedDuration::from_mins(2);

const TASK: Rule = Rule {
    needs: &[Source::Service, Source::Tasks],
    within: Duration::from_mins(7),
    every: Duration::from_secs(2),
    cheap: true,
    explains_start: true,
    advice: |_| lines(&["`meetctl why` names the cause; `meetctl up` starts afresh"]),
    ..PLAIN
};

pub(super) const STARTED: Rule = Rule {
    name: "task",
    says: "the task of this start, and no other, is running",
    unsays: "the task of this start is not running",
    judge: started,
    evidence: the_task,
    remedy: |view| {
        let service = view.seen.service.present()?;
        // A read that does not know our start yet is an old one.
        if view.memory.asked.as_ref().is_some_and(|asked| service.deployments.iter().all(|d| d.id != asked.deployment))
        {
            return None;
        }
        (service.desired == 0 || start_failure(view).is_some()).then_some(Action::Start)
    },
    ..TASK
};

pub(super) const CONTAINERS_HEALTHY: Rule = Rule {
    name: "containers",
    says: "every container is healthy",
    unsays: "not every container is healthy",
    judge: healthy,
    evidence: |view| view.task().map(containers),
    ..TASK
};

pub(super) const STEADILY_HEALTHY: Rule = Rule {
    name: "steady",
    says: "the task stays healthy",
    unsays: "the task does not stay healthy",
    within: Duration::from_mins(1),
    cheap: false,
    judge: steady,
    evidence: CONTAINERS_HEALTHY.evidence,
    ..TASK
};

pub(super) const STOPPED: Rule = Rule {
    name: "stopped",
    says: "nothing runs",
    unsays: "something still runs",
    needs: TASK.needs,
    every: Duration::from_secs(3),
    judge: stopped,
    evidence: the_task,
    remedy: |view| view.seen.service.present().filter(|s| s.desired > 0).map(|_| Action::Stop),
    advice: |_| lines(&["look at the service's tasks; a protected task needs `meetctl down --cut-meetings`"]),
    ..PLAIN
};

/// Why the current start cannot succeed any more. While any task is well, also one of an earlier start, nothing has to.
pub fn start_failure(view: &View<'_>) -> Option<Cause> {
    hopeless(view).filter(|_| !view.seen.live_tasks().any(Task::is_well))
}

fn hopeless(view: &View<'_>) -> Option<Cause> {
    let (service, tasks, deployment) = start_of(view)?;
    cause::of(service, tasks, deployment, view.seen.at).filter(|cause| cause.certain)
}

fn start_of<'a>(view: &View<'a>) -> Option<(&'a Service, &'a [Task], &'a DeploymentId)> {
    let tasks = view.seen.tasks.present().map_or(&[][..], Vec::as_slice);
    Some((view.seen.service.present()?, tasks, view.deployment()?))
}

/// What ECS has refused so far, while it goes on trying. What it said is told with its events; a task's stop has none.
fn refused(view: &View<'_>) -> Option<Judged> {
    let (service, tasks, deployment) = start_of(view)?;
    let refused = cause::refused(service, tasks, deployment, view.seen.at)?;
    let attempts = count(refused.attempts, "attempt", "attempts");
    let said = refused.cause.task.map_or_else(String::new, |_| format!(": {}", refused.cause.evidence));
    let why = format!("{}, after {attempts}; ECS tries again{said}", refused.cause.what);
    Some(Verdict::Waits(why).code(refused.cause.code))
}

/// What the task that runs well now has outlived: worth knowing, and no failure.
fn outlived(view: &View<'_>) -> Option<Judged> {
    let (service, tasks, deployment) = start_of(view)?;
    let crash = cause::outlived(service, tasks, deployment)?;
    let (when, what) = (crash.at.strftime("%H:%M UTC"), crash.what);
    let why = format!("a task of this start stopped at {when}: {what}; the one that replaced it is healthy");
    Some(Verdict::Warns(why).code("task-replaced"))
}

/// The primary deployment, when it was made after the one that this run counts on, and so has replaced it.
pub fn successor<'a>(view: &View<'a>) -> Option<&'a Deployment> {
    let asked = view.memory.asked.as_ref()?;
    let primary = view.seen.service.present()?.primary()?;
    (primary.id != asked.deployment && primary.created > asked.at).then_some(primary)
}

fn failed(cause: Cause) -> Judged {
    Verdict::Fails(cause.what).code(cause.code)
}

fn started(view: &View<'_>) -> Judged {
    let waits = |code: &'static str, why: String| Verdict::Waits(why).code(code);
    let service = match &view.seen.service {
        Reading::Present(service) => service,
        Reading::Absent => return Verdict::Fails("there is no service to start".into()).code("no-service"),
        Reading::Unreadable(why) => return why.into(),
    };
    let tasks = match &view.seen.tasks {
        Reading::Present(tasks) => tasks.as_slice(),
        Reading::Absent => &[],
        Reading::Unreadable(why) => return why.into(),
    };
    let Some(deployment) = view.deployment() else {
        return waits("no-deployment", "the service has no deployment".into());
    };
    if successor(view).is_some() {
        return waits("start-replaced", "another start has replaced this one; whose it is has yet to show".into());
    }
    if view.memory.asked.is_some() && !service.deployments.iter().any(|d| d.id == *deployment) {
        return waits("deployment-not-shown", "ECS does not show the new deployment yet".into());
    }
    if service.desired == 0 {
        return waits("desired-zero", "the desired count is 0".into());
    }
    if let Some(cause) = hopeless(view) {
        return match view.seen.live_tasks().find(|task| task.is_well()) {
            Some(task) => {
                let why = format!("{}; the task {} of an earlier start runs on", cause.what, task.id);
                Verdict::Warns(why).code("old-task")
            }
            None => failed(cause),
        };
    }
    let live: Vec<&Task> = tasks.iter().filter(|t| t.stopped.is_none()).collect();
    let ours: Vec<&&Task> = live.iter().filter(|t| t.deployment.as_ref() == Some(deployment)).collect();
    match (ours.as_slice(), live.len()) {
        ([], 0) => refused(view).unwrap_or_else(|| waits("no-task", "0 tasks, 1 wanted".into())),
        ([], n) => waits("old-task", format!("{n} task(s) of an earlier start, none of this one yet")),
        ([task], 1) if task.is_running() => outlived(view).unwrap_or_else(|| Verdict::Holds.into()),
        ([task], 1) => waits("task-starting", format!("the task is {}", task.last_status)),
        ([_], n) => waits("old-task", format!("{} task(s) of an earlier start still there", n - 1)),
        (many, _) => waits("too-many-tasks", format!("{} tasks of this start, 1 wanted", many.len())),
    }
}

pub(super) fn healthy(view: &View<'_>) -> Judged {
    if let Some(why) = view.seen.tasks.unreadable() {
        return why.into();
    }
    if let Some(cause) = start_failure(view) {
        return failed(cause);
    }
    let Some(task) = view.task() else { return Verdict::Waits("no task runs".into()).code("no-task") };
    let ill: Vec<&str> =
        task.containers.iter().filter(|c| c.health == Health::Unhealthy).map(|c| c.name.as_str()).collect();
    if !ill.is_empty() {
        return Verdict::Waits(format!("unhealthy: {}", ill.join(", "))).code("container-unhealthy");
    }
    match task.health {
        Health::Healthy if task.is_running() => Verdict::Holds.into(),
        Health::Healthy => Verdict::Waits(format!("the task is {}", task.last_status)).code("task-starting"),
        Health::Unhealthy => Verdict::Waits("the task is unhealthy".into()).code("task-unhealthy"),
        Health::Unknown => Verdict::Waits(match unchecked(task).as_slice() {
            [] => "no health check has answered yet".into(),
            names => format!("no health yet: {}", names.join(", ")),
        })
        .code("health-unknown"),
    }
}

fn unchecked(task: &Task) -> Vec<&str> {
    task.containers
        .iter()
        .filter(|c| c.health == Health::Unknown && stack::ESSENTIAL.contains(&c.name.as_str()))
        .map(|c| c.name.as_str())
        .collect()
}

fn steady(view: &View<'_>) -> Judged {
    let Some(task) = view.task() else { return healthy(view) };
    let judged = healthy(view);
    if judged.verdict != Verdict::Holds {
        return judged;
    }
    let now = view.seen.at;
    if task.started.is_some_and(|at| now.duration_since(at) >= SETTLED) {
        return Verdict::Holds.into();
    }
    let believed = STEADY.as_secs();
    match &view.memory.healthy_since {
        // A single look cannot wait for the second one.
        _ if view.memory.asked.is_none() => {
            Verdict::Warns("the task is young: its Java services call themselves healthy early".into())
                .code("task-young")
        }
        Some((id, since)) if *id == task.id && between(*since, now) >= STEADY => Verdict::Holds.into(),
        Some((id, since)) if *id == task.id => {
            let since = since.strftime("%H:%M:%S UTC");
            Verdict::Waits(format!("healthy since {since}; it counts after {believed} s")).code("task-young")
        }
        Some(_) | None => {
            Verdict::Waits(format!("healthy only just now; it counts after {believed} s")).code("task-young")
        }
    }
}

fn stopped(view: &View<'_>) -> Judged {
    if let Some(why) = view.seen.tasks.unreadable() {
        return why.into();
    }
    let live = view.seen.live_tasks().count();
    match &view.seen.service {
        Reading::Unreadable(why) => why.into(),
        Reading::Present(service) if service.desired > 0 => {
            Verdict::Waits(format!("the desired count is {}", service.desired)).code("desired-not-zero")
        }
        // A task that moves from one of ECS's lists to the other is in neither for a moment.
        Reading::Present(service) if live == 0 && service.running + service.pending > 0 => {
            let counted = service.running + service.pending;
            Verdict::Waits(format!("ECS still counts {counted} task(s)")).code("task-stopping")
        }
        Reading::Present(_) | Reading::Absent if live > 0 => {
            Verdict::Waits(format!("{live} task(s) still stopping")).code("task-stopping")
        }
        Reading::Present(_) | Reading::Absent => Verdict::Holds.into(),
    }
}

fn the_task(view: &View<'_>) -> Option<String> {
    view.task().map(|t| format!("task {} {}", t.id, t.last_status))
}

fn containers(task: &Task) -> String {
    let each = task.containers.iter().map(|c| {
        let health = match c.health {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Unknown => "unchecked",
        };
        format!("{} {health}", c.name)
    });
    list(each, ", ")
}
