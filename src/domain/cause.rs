//! Why a start failed: ECS's words, put plainly, with what to do.
//!
//! The words are those of the ECS developer guide's pages `stopped-task-error-codes` and
//! `service-event-messages-list`.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::name::{DeploymentId, TaskId};
use super::observed::{Container, Deployment, Rollout, Service, ServiceEvent, Stop, Task, between};

/// A root cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
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

/// A kind of failure: what its text contains (all of one alternative), what it means, what to do.
struct Row {
    any: &'static [&'static [&'static str]],
    what: &'static str,
    next: &'static [&'static str],
}

/// How much one line of ECS's says about a start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It cannot succeed any more.
    Certain,
    /// ECS could not make a task, and goes on trying by itself.
    Refusal,
    /// It may explain what is seen otherwise.
    Hint,
}

/// ECS spells it in both ways.
const NO_INTERFACE: &[&[&str]] = &[&["Network Interface"], &["network interface"], &["RESOURCE:ENI"]];

/// Why a task that was made could not be given its place: as much a refusal as one that a service event tells of.
const REFUSED_STOPS: &[Row] = &[
    Row {
        any: NO_INTERFACE,
        what: "no network interface could be made for the task",
        next: &["check that the subnet has free addresses, and the account's quota of network interfaces"],
    },
    Row {
        any: &[&["Capacity is unavailable at this time"]],
        what: "AWS has no Fargate capacity free in these zones",
        next: &["try again in a few minutes", "or use other availability zones, or the other CPU architecture"],
    },
];

/// Why tasks stop. The first row that fits is the one; `{container}` and `{image}` are filled in.
const STOPS: &[Row] = &[
    Row {
        any: &[&["OutOfMemory"], &["memory usage"]],
        what: "the container {container} ran out of memory",
        next: &["give the task more memory, or lower the Java heaps (JICOFO_MAX_MEMORY, VIDEOBRIDGE_MAX_MEMORY)"],
    },
    Row {
        any: &[&["CannotPull", "toomanyrequests"], &["CannotPull", "429"]],
        what: "the registry refuses to serve the image {image} so often",
        next: &["wait a few minutes, or copy the images to ECR in the same region"],
    },
    Row {
        any: &[&["CannotPull", "manifest unknown"], &["CannotPull", "not found"], &["CannotPull", "does not exist"]],
        what: "the image {image} does not exist",
        next: &["check the image's registry, name and tag in the task definition; Jitsi's are at ghcr.io/jitsi"],
    },
    Row {
        any: &[&["CannotPull", "denied"], &["CannotPull", "unauthorized"], &["CannotPull", "403"]],
        what: "the registry does not give out the image {image}",
        next: &["check the image's name, and the registry's access rights"],
    },
    Row {
        any: &[&["CannotPull"]],
        what: "the image {image} could not be pulled",
        next: &["check that the task has a public IP address and its subnet a route to an internet gateway"],
    },
    Row {
        any: &[
            &["ResourceInitializationError", "secret"],
            &["ResourceInitializationError", "registry auth"],
            &["ResourceInitializationError", "AccessDenied"],
        ],
        what: "the task's secrets could not be read",
        next: &[
            "check that the secret exists and has the keys that the task definition names",
            "check that the execution role allows secretsmanager:GetSecretValue on it",
            "check that the task has a public IP address",
        ],
    },
    Row {
        any: &[&["ResourceInitializationError", "logger"]],
        what: "the task's log group cannot be written to",
        next: &["check that the log group exists and that the execution role may write to it"],
    },
    Row {
        any: &[&["ResourceInitializationError"]],
        what: "the task could not be prepared",
        next: &["read AWS's words above; then run `meetctl up` once more"],
    },
    Row {
        any: &[&["SpotInterruption"], &["Spot"]],
        what: "AWS took the Spot capacity back",
        next: &["run meetings on Fargate On-Demand, not on Spot"],
    },
    Row {
        any: &[&["ELB health checks"]],
        what: "the load balancer found the task unhealthy",
        next: &[
            "check the target group's health check: web answers on port 8000 at /, the bridge on 8080 at /about/health",
        ],
    },
    Row {
        any: &[&["failed container health checks"]],
        what: "the container {container} failed its health checks",
        next: &["read the container's log above"],
    },
    Row {
        any: &[&["Essential container"]],
        what: "the container {container} ended by itself{exit}",
        next: &["read the container's log above; an init script that gives up says FATAL ERROR"],
    },
    Row {
        any: &[
            &["CannotStartContainer"],
            &["CannotCreateVolume"],
            &["CannotInspectContainer"],
            &["CannotStopContainer"],
            &["ContainerRuntime"],
            &["InternalError"],
        ],
        what: "AWS could not run the task",
        next: &["run `meetctl up` once more; when it happens again, ask AWS support with the task's id"],
    },
];

/// What the service's own events say.
const EVENTS: &[(Row, Weight)] = &[
    (
        Row {
            any: &[&["reached the limit on the number of vCPU"], &["limit on the number of vCPUs"]],
            what: "the account's quota of Fargate vCPUs is used up",
            next: &[
                "stop other Fargate tasks of the account",
                "or ask for more: Service Quotas, AWS Fargate, \"Fargate On-Demand vCPU resource count\" (L-3032A538)",
            ],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: &[&["reached the limit on the number of"]],
            what: "the account's quota of Fargate tasks is used up",
            next: &["stop other Fargate tasks of the account, or ask for more in Service Quotas"],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: &[&["Capacity is unavailable at this time"]],
            what: "AWS has no Fargate capacity free in these zones",
            next: &["try again in a few minutes", "or use other availability zones, or the other CPU architecture"],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: &[&["configuration is above your limit"]],
            what: "the task is larger than the account may run",
            next: &["ask for more in Service Quotas, or make the task smaller"],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: NO_INTERFACE,
            what: "no network interface could be made for the task",
            next: &["check that the subnet has free addresses, and the account's quota of network interfaces"],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: &[&["unable to place a task"]],
            what: "ECS could not place the task",
            next: &["read AWS's words above; then run `meetctl up` once more"],
        },
        Weight::Refusal,
    ),
    (
        Row {
            any: &[&["target group", "not found"], &["TARGET GROUP IS NOT FOUND"]],
            what: "the service names a target group that does not exist",
            next: &["bring the stack up to date with Terraform"],
        },
        Weight::Certain,
    ),
    (
        Row {
            any: &[&["unable to assume", "role"], &["role", "not found"]],
            what: "ECS cannot use the service's role",
            next: &["bring the stack up to date with Terraform"],
        },
        Weight::Certain,
    ),
    (
        Row {
            any: &[&["service deployment configuration"]],
            what: "the deployment percentages leave ECS no room to start a task",
            next: &["set minimumHealthyPercent to 0 and maximumPercent to 100 or more"],
        },
        Weight::Certain,
    ),
    (
        Row {
            any: &[&["deployment failed"]],
            what: "ECS has given up on this start",
            next: &["mend the cause, then run `meetctl up` again"],
        },
        Weight::Certain,
    ),
    (
        Row {
            any: &[&["unable to consistently start tasks"]],
            what: "tasks keep failing, and ECS waits longer before each new try",
            next: &["mend the cause, then run `meetctl up` again: it starts a new deployment at once"],
        },
        Weight::Certain,
    ),
    (
        Row {
            any: &[&["operations are being throttled"]],
            what: "ECS slows the service's operations down",
            next: &["wait a minute, then run `meetctl up` again"],
        },
        Weight::Hint,
    ),
    (
        Row {
            any: &[&["is unhealthy in (target-group"]],
            what: "the load balancer found the task unhealthy",
            next: &[
                "check the target group's health check: web answers on port 8000 at /, the bridge on 8080 at /about/health",
            ],
        },
        Weight::Hint,
    ),
    (
        Row {
            any: &[&["failed container health checks"]],
            what: "a container failed its health checks",
            next: &["run `meetctl why` for its log"],
        },
        Weight::Hint,
    ),
];

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
    let stopped = stops.last().map(|(task, stop)| of_stop(task, stop));
    let refused = start.refused(now);
    let event = start.events(Weight::Certain).map(|(event, row)| of_event(event, row)).next();
    let given_up = start.made.rollout == Rollout::Failed;
    let certain = given_up
        || event.is_some()
        || stops.len() >= STOPS_UNTIL_CERTAIN
        || refused.as_ref().is_some_and(|refused| refused.cause.certain);
    // ECS's "deployment failed" and "unable to start consistently" only repeat what the tasks say better.
    let best = [stopped, refused.map(|refused| refused.cause)].into_iter().flatten().max_by_key(|cause| cause.at);
    let best = best
        .or(event)
        .or_else(|| given_up.then(|| start.given_up()))
        .or_else(|| start.events(Weight::Hint).map(|(event, row)| of_event(event, row)).next())?;
    Some(Cause { certain, ..best })
}

/// The refusals of a start for which no task has come yet.
pub fn refused(service: &Service, tasks: &[Task], deployment: &DeploymentId, now: Timestamp) -> Option<Refused> {
    Start::of(service, tasks, deployment).filter(|start| !start.is_well())?.refused(now)
}

/// The newest failure that a start has outlived: a task of it stopped, and the one that replaced it is well.
pub fn outlived(service: &Service, tasks: &[Task], deployment: &DeploymentId) -> Option<Cause> {
    let start = Start::that_is_well(service, tasks, deployment)?;
    start.failures().last().map(|(task, stop)| of_stop(task, stop))
}

/// The newest thing that stood in the way of a start that is well now, refusals too.
pub fn overcome(service: &Service, tasks: &[Task], deployment: &DeploymentId) -> Option<Cause> {
    let start = Start::that_is_well(service, tasks, deployment)?;
    let refusals = start.events(Weight::Refusal).map(|(event, row)| of_event(event, row));
    let stops = start.stops().into_iter().map(|(task, stop)| of_stop(task, stop));
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

    /// Those of them that weigh so much, newest first, each with what it means.
    fn events(&self, weight: Weight) -> impl Iterator<Item = (&'a ServiceEvent, &'static Row)> {
        self.own_events().filter_map(move |event| {
            let (row, own) = EVENTS.iter().find(|(row, _)| row.fits(&event.message))?;
            (*own == weight).then_some((event, row))
        })
    }

    /// What was refused since a task last came.
    fn refused(&self, now: Timestamp) -> Option<Refused> {
        let came = self.own().filter(|task| !task.stopped.as_ref().is_some_and(|stop| is_refused(task, stop)));
        let came = came.map(|task| task.created).max();
        let stops = self.stops().into_iter().filter(|(task, stop)| is_refused(task, stop));
        let stops = stops.map(|(task, stop)| of_stop(task, stop));
        let events = self.events(Weight::Refusal).map(|(event, row)| of_event(event, row));
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
    let evidence = evidence(task, stop);
    REFUSED_STOPS.iter().any(|row| row.fits(&evidence))
}

fn of_event(event: &ServiceEvent, row: &Row) -> Cause {
    Cause {
        what: row.what.into(),
        evidence: event.message.clone(),
        at: event.at,
        container: None,
        task: None,
        next: row.next.iter().map(|&n| n.to_owned()).collect(),
        certain: false,
    }
}

/// AWS's words about a stop: the task's, and the guilty container's where they say more.
fn evidence(task: &Task, stop: &Stop) -> String {
    match guilty(task, stop).and_then(|c| c.reason.as_deref()) {
        Some(reason) if !stop.reason.contains(reason) => format!("{}; {reason}", stop.reason),
        Some(_) | None => stop.reason.clone(),
    }
}

fn of_stop(task: &Task, stop: &Stop) -> Cause {
    let guilty = guilty(task, stop);
    let evidence = evidence(task, stop);
    let row = REFUSED_STOPS.iter().chain(STOPS).find(|row| row.fits(&evidence));
    let fill = |text: &str| {
        let image = guilty.and_then(|c| c.image.as_deref()).or_else(|| image_in(&evidence));
        let exit = guilty.and_then(|c| c.exit_code).map(|code| format!(" ({})", exit_words(code)));
        text.replace("{container}", guilty.map_or("(unknown)", |c| c.name.as_str()))
            .replace("{image}", image.unwrap_or("of a container"))
            .replace("{exit}", exit.as_deref().unwrap_or(""))
    };
    Cause {
        what: row.map_or_else(|| "the task stopped".to_owned(), |row| fill(row.what)),
        at: stop.at,
        container: guilty.map(|c| c.name.clone()),
        task: Some(task.id.clone()),
        next: row.map_or_else(
            || vec!["read AWS's words above".to_owned()],
            |row| row.next.iter().map(|&n| n.to_owned()).collect(),
        ),
        evidence,
        certain: false,
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

/// The image reference in the words of a failed pull: what follows `ref` or `image`.
fn image_in(evidence: &str) -> Option<&str> {
    evidence
        .split_whitespace()
        .map(|word| word.trim_end_matches([':', ',', ';']))
        .find(|word| word.contains('/') && word.contains([':', '@']) && !word.contains("://"))
}

fn exit_words(code: i32) -> String {
    match code {
        137 => "exit code 137, killed: often out of memory".into(),
        139 => "exit code 139, a crash".into(),
        143 => "exit code 143, asked to stop".into(),
        other => format!("exit code {other}"),
    }
}

impl Row {
    fn fits(&self, text: &str) -> bool {
        self.any.iter().any(|all| all.iter().all(|part| text.contains(part)))
    }
}
