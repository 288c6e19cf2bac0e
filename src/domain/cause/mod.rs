//! Why a start failed: ECS's words, put plainly, with what to do.

mod table;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use self::table::{ROWS, Row, Says, UNKNOWN_STOP, of_event, of_stop};
pub use self::words::Words;
use super::name::{DeploymentId, TaskId};
use super::observed::{Container, Deployment, Rollout, Service, ServiceEvent, Stop, Task, between};

/// A root cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// Which it is, for programs.
    pub code: &'static str,
    /// In plain words, one sentence.
    pub what: String,
    /// In AWS's words.
    pub evidence: String,
    pub at: Timestamp,
    /// The container concerned, whose log may say more.
    pub container: Option<String>,
    pub task: Option<TaskId>,
    pub next: Vec<String>,
    /// Whether the start cannot succeed any more without a change.
    pub certain: bool,
}

/// The last lines of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogTail {
    pub container: String,
    pub lines: Vec<String>,
}

/// How often the same start must stop before it is hopeless: once can be bad luck.
const STOPS_UNTIL_CERTAIN: usize = 2;
/// ECS goes on trying for as long as it is asked to; from this attempt on nobody should wait for it.
const LAST_ATTEMPT: usize = 3;
/// Nor when nothing has come for so long: ECS does not tell of every attempt.
const NOTHING_COMES: Duration = Duration::from_mins(3);

/// ECS's refusals to place a task, as long as none has come.
pub struct Refused {
    pub cause: Cause,
    pub attempts: usize,
}

/// The root cause of a deployment's failure, as far as ECS still shows it.
///
/// What runs now outweighs what once failed: while a task of the deployment is well, there is none, and what happened
/// before the deployment last came good is history.
pub fn of(service: &Service, tasks: &[Task], deployment: &DeploymentId, now: Timestamp) -> Option<Cause> {
    let start = Start::of(service, tasks, deployment)?;
    if start.is_well() {
        return None;
    }
    let stops = start.failures();
    let stop = stops.last().map(|(task, stop)| stopped(task, stop));
    let refused = start.refused(now);
    let event = start.events(Says::Hopeless).map(|(event, row)| told(event, row)).next();
    let given_up = start.made.rollout == Rollout::Failed;
    let certain = given_up
        || event.is_some()
        || stops.len() >= STOPS_UNTIL_CERTAIN
        || refused.as_ref().is_some_and(|refused| refused.cause.certain);
    // ECS's "deployment failed" and "unable to start consistently" only repeat what the tasks say better.
    let best = [stop, refused.map(|refused| refused.cause)].into_iter().flatten().max_by_key(|cause| cause.at);
    let best = best
        .or(event)
        .or_else(|| given_up.then(|| start.given_up()))
        .or_else(|| start.events(Says::Hint).map(|(event, row)| told(event, row)).next())?;
    Some(Cause { certain, ..best })
}

/// The refusals of a start for which no task has come yet.
pub fn refused(service: &Service, tasks: &[Task], deployment: &DeploymentId, now: Timestamp) -> Option<Refused> {
    Start::of(service, tasks, deployment).filter(|start| !start.is_well())?.refused(now)
}

/// The newest failure that a start has outlived: a task of it stopped, and the one that replaced it is well.
pub fn outlived(service: &Service, tasks: &[Task], deployment: &DeploymentId) -> Option<Cause> {
    let start = Start::that_is_well(service, tasks, deployment)?;
    start.failures().last().map(|(task, stop)| stopped(task, stop))
}

/// The newest thing that stood in the way of a start that is well now, refusals too.
pub fn overcome(service: &Service, tasks: &[Task], deployment: &DeploymentId) -> Option<Cause> {
    let start = Start::that_is_well(service, tasks, deployment)?;
    let refusals = start.events(Says::Refused).map(|(event, row)| told(event, row));
    let stops = start.stops().into_iter().map(|(task, stop)| stopped(task, stop));
    refusals.chain(stops).max_by_key(|cause| cause.at)
}

/// The newest failed start of which ECS still shows something.
pub fn last(service: &Service, tasks: &[Task], now: Timestamp) -> Option<(DeploymentId, Cause)> {
    let causes = service.deployments.iter().filter_map(|d| Some((d.id.clone(), of(service, tasks, &d.id, now)?)));
    causes.max_by_key(|(_, cause)| cause.at)
}

/// What ECS shows of one deployment.
struct Start<'a> {
    made: &'a Deployment,
    service: &'a Service,
    /// All that are shown, of whichever deployment.
    tasks: &'a [Task],
    /// What is older says nothing about it.
    since: Timestamp,
}

impl<'a> Start<'a> {
    fn of(service: &'a Service, tasks: &'a [Task], deployment: &DeploymentId) -> Option<Self> {
        let made = service.deployments.iter().find(|d| d.id == *deployment)?;
        let start = Self { made, service, tasks, since: made.created };
        // At rest ECS calls everything steady, also after a start that failed.
        let on = service.desired > 0;
        let came_good = start.own_events().find(|event| on && is_good_news(&event.message)).map(|event| event.at);
        Some(Self { since: came_good.map_or(made.created, |at| at.max(made.created)), ..start })
    }

    /// A start that is well, with all its history.
    fn that_is_well(service: &'a Service, tasks: &'a [Task], deployment: &DeploymentId) -> Option<Self> {
        let start = Self::of(service, tasks, deployment).filter(Self::is_well)?;
        Some(Self { since: start.made.created, ..start })
    }

    fn own(&self) -> impl Iterator<Item = &'a Task> {
        let id = &self.made.id;
        self.tasks.iter().filter(move |task| task.deployment.as_ref() == Some(id))
    }

    fn is_well(&self) -> bool {
        self.own().any(Task::is_well)
    }

    /// Its tasks that stopped without having been asked to, oldest first.
    fn stops(&self) -> Vec<(&'a Task, &'a Stop)> {
        let stopped = self.own().filter_map(|task| Some((task, task.stopped.as_ref()?)));
        let mut stops: Vec<_> = stopped.filter(|(_, stop)| stop.at >= self.since && !is_orderly(stop)).collect();
        stops.sort_by_key(|(_, stop)| stop.at);
        stops
    }

    /// Those of them that had a place to run in.
    fn failures(&self) -> Vec<(&'a Task, &'a Stop)> {
        let mut stops = self.stops();
        stops.retain(|(task, stop)| !is_refused(task, stop));
        stops
    }

    /// The service's lines that may speak of it, newest first.
    fn own_events(&self) -> impl Iterator<Item = &'a ServiceEvent> {
        let (since, id, tasks) = (self.since, &self.made.id, self.tasks);
        self.service.events.iter().filter(move |e| e.at >= since && may_speak_of(&e.message, id, tasks))
    }

    /// Those of them that say so much, newest first, each with what it means.
    fn events(&self, much: Says) -> impl Iterator<Item = (&'a ServiceEvent, &'static Row)> {
        self.own_events().filter_map(move |event| {
            let (row, says) = of_event(&Words::of(&event.message))?;
            (says == much).then_some((event, row))
        })
    }

    /// What was refused since a task last came.
    fn refused(&self, now: Timestamp) -> Option<Refused> {
        let came = self.own().filter(|task| !task.stopped.as_ref().is_some_and(|stop| is_refused(task, stop)));
        let came = came.map(|task| task.created).max();
        let stops = self.stops().into_iter().filter(|(task, stop)| is_refused(task, stop));
        let stops = stops.map(|(task, stop)| stopped(task, stop));
        let events = self.events(Says::Refused).map(|(event, row)| told(event, row));
        let mut refusals: Vec<Cause> =
            events.chain(stops).filter(|refusal| came.is_none_or(|came| refusal.at > came)).collect();
        refusals.sort_by_key(|refusal| refusal.at);
        let (first, newest) = (refusals.first()?, refusals.last()?);
        let attempts = refusals.len();
        let certain = attempts >= LAST_ATTEMPT || between(first.at, now) >= NOTHING_COMES;
        Some(Refused { cause: Cause { certain, ..newest.clone() }, attempts })
    }

    fn given_up(&self) -> Cause {
        Cause {
            code: "given-up",
            what: "ECS has given up on this start".into(),
            evidence: self.made.rollout_reason.clone().unwrap_or_default(),
            at: self.made.created,
            container: None,
            task: None,
            next: vec!["run `meetctl up` again: it starts a new deployment".into()],
            certain: true,
        }
    }
}

/// Whether a line tells that all is as it was asked to be.
fn is_good_news(message: &str) -> bool {
    message.contains("has reached a steady state") || message.contains("deployment completed")
}

/// A line that names another deployment, or a task of one, does not speak of this one.
fn may_speak_of(message: &str, deployment: &DeploymentId, tasks: &[Task]) -> bool {
    const PREFIX: &str = "ecs-svc/";
    let named: Vec<&str> = message
        .match_indices(PREFIX)
        .map(|(at, _)| {
            let rest = &message[at..];
            let digits = rest[PREFIX.len()..].find(|c: char| !c.is_ascii_digit());
            digits.map_or(rest, |end| &rest[..PREFIX.len() + end])
        })
        .collect();
    let names_another = !named.is_empty() && !named.contains(&deployment.as_str());
    let of_another =
        |task: &Task| task.deployment.as_ref() != Some(deployment) && message.contains(&format!("(task {})", task.id));
    !names_another && !tasks.iter().any(of_another)
}

/// A stop that somebody asked for is not a failure.
fn is_orderly(stop: &Stop) -> bool {
    stop.code.as_deref() == Some("UserInitiated") || stop.reason.starts_with("Scaling activity initiated")
}

/// Whether ECS could not give the task its place.
fn is_refused(task: &Task, stop: &Stop) -> bool {
    known(task, stop).is_some_and(|row| row.says == Says::Refused)
}

/// What the table has of a stop: of its code and of AWS's words.
fn known(task: &Task, stop: &Stop) -> Option<&'static Row> {
    let code = stop.code.as_deref().unwrap_or_default();
    of_stop(&Words::of(&format!("{code} {}", evidence(task, stop))))
}

fn told(event: &ServiceEvent, row: &Row) -> Cause {
    Cause {
        code: row.code,
        what: filled(row.what, None, &event.message),
        evidence: event.message.clone(),
        at: event.at,
        container: None,
        task: None,
        next: advice(row),
        certain: false,
    }
}

fn stopped(task: &Task, stop: &Stop) -> Cause {
    let guilty = guilty(task, stop);
    let evidence = evidence(task, stop);
    let row = known(task, stop);
    Cause {
        code: row.map_or(UNKNOWN_STOP, |row| row.code),
        what: row.map_or_else(
            || "the task stopped, for a reason that meetctl does not know".to_owned(),
            |row| filled(row.what, guilty, &evidence),
        ),
        at: stop.at,
        container: guilty.map(|c| c.name.clone()),
        task: Some(task.id.clone()),
        next: row.map_or_else(|| vec!["read AWS's words above".to_owned()], advice),
        evidence,
        certain: false,
    }
}

fn advice(row: &Row) -> Vec<String> {
    row.next.iter().map(|&next| next.to_owned()).collect()
}

/// A sentence of the table, about this container and this image.
fn filled(what: &str, guilty: Option<&Container>, evidence: &str) -> String {
    let image = image_in(evidence).or_else(|| guilty.and_then(|c| c.image.as_deref()));
    let exit = guilty.and_then(|c| c.exit_code).map(|code| format!(" ({})", exit_words(code)));
    what.replace("{container}", guilty.map_or("(unknown)", |c| c.name.as_str()))
        .replace("{image}", image.unwrap_or("of a container"))
        .replace("{exit}", exit.as_deref().unwrap_or(""))
}

/// AWS's words about a stop: the task's, and the guilty container's where they say more.
fn evidence(task: &Task, stop: &Stop) -> String {
    match guilty(task, stop).and_then(|c| c.reason.as_deref()) {
        Some(reason) if !stop.reason.contains(reason) => format!("{}; {reason}", stop.reason),
        Some(_) | None => stop.reason.clone(),
    }
}

/// The container to blame: one with a reason of its own, else one whose health or exit code is bad.
fn guilty<'t>(task: &'t Task, stop: &Stop) -> Option<&'t Container> {
    let bad_exit = |c: &&Container| c.exit_code.is_some_and(|code| code != 0);
    task.containers
        .iter()
        .find(|c| c.reason.is_some())
        .or_else(|| {
            task.containers.iter().find(|c| c.image.as_deref().is_some_and(|image| stop.reason.contains(image)))
        })
        .or_else(|| task.containers.iter().find(|c| c.health == super::observed::Health::Unhealthy))
        .or_else(|| task.containers.iter().find(|c| bad_exit(c) && !matches!(c.exit_code, Some(137 | 143))))
        .or_else(|| task.containers.iter().find(bad_exit))
}

/// The image that a failed pull names.
fn image_in(evidence: &str) -> Option<&str> {
    evidence
        .split(|c: char| c.is_whitespace() || "\"'`()[],;".contains(c))
        .map(|word| word.trim_end_matches([':', '.']))
        .find(|word| is_image(word))
}

/// Written as `registry/name:tag` or `registry/name@digest`.
fn is_image(word: &str) -> bool {
    let Some((registry, rest)) = word.split_once('/') else { return false };
    registry.contains('.') && !registry.contains(':') && rest.contains([':', '@']) && !rest.contains("://")
}

fn exit_words(code: i32) -> String {
    match code {
        137 => "exit code 137, killed: often out of memory".into(),
        139 => "exit code 139, a crash".into(),
        143 => "exit code 143, asked to stop".into(),
        other => format!("exit code {other}"),
    }
}
