//! Why a start failed: ECS's words, put plainly, with what to do.
//!
//! The words are those of the ECS developer guide's pages `stopped-task-error-codes` and
//! `service-event-messages-list`.

use jiff::Timestamp;
use serde::Serialize;

use super::name::{DeploymentId, TaskId};
use super::observed::{Container, Rollout, Service, Stop, Task};

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
        any: &[&["Network Interface"]],
        what: "no network interface could be made for the task",
        next: &["check that the subnet has free addresses, and the account's quota of network interfaces"],
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

/// What the service's own events say. A capacity event is certain at once: no task is made at all.
const EVENTS: &[(Row, bool)] = &[
    (
        Row {
            any: &[&["reached the limit on the number of vCPU"], &["limit on the number of vCPUs"]],
            what: "the account's quota of Fargate vCPUs is used up",
            next: &[
                "stop other Fargate tasks of the account",
                "or ask for more: Service Quotas, AWS Fargate, \"Fargate On-Demand vCPU resource count\" (L-3032A538)",
            ],
        },
        true,
    ),
    (
        Row {
            any: &[&["reached the limit on the number of"]],
            what: "the account's quota of Fargate tasks is used up",
            next: &["stop other Fargate tasks of the account, or ask for more in Service Quotas"],
        },
        true,
    ),
    (
        Row {
            any: &[&["Capacity is unavailable at this time"]],
            what: "AWS has no Fargate capacity free in these zones",
            next: &["try again in a few minutes", "or use other availability zones, or the other CPU architecture"],
        },
        true,
    ),
    (
        Row {
            any: &[&["configuration is above your limit"]],
            what: "the task is larger than the account may run",
            next: &["ask for more in Service Quotas, or make the task smaller"],
        },
        true,
    ),
    (
        Row {
            any: &[&["unable to place a task"]],
            what: "ECS could not place the task",
            next: &["read AWS's words above; then run `meetctl up` once more"],
        },
        true,
    ),
    (
        Row {
            any: &[&["target group", "not found"], &["TARGET GROUP IS NOT FOUND"]],
            what: "the service names a target group that does not exist",
            next: &["bring the stack up to date with Terraform"],
        },
        true,
    ),
    (
        Row {
            any: &[&["unable to assume", "role"], &["role", "not found"]],
            what: "ECS cannot use the service's role",
            next: &["bring the stack up to date with Terraform"],
        },
        true,
    ),
    (
        Row {
            any: &[&["service deployment configuration"]],
            what: "the deployment percentages leave ECS no room to start a task",
            next: &["set minimumHealthyPercent to 0 and maximumPercent to 100 or more"],
        },
        true,
    ),
    (
        Row {
            any: &[&["deployment failed"]],
            what: "ECS has given up on this start",
            next: &["mend the cause, then run `meetctl up` again"],
        },
        true,
    ),
    (
        Row {
            any: &[&["unable to consistently start tasks"]],
            what: "tasks keep failing, and ECS waits longer before each new try",
            next: &["mend the cause, then run `meetctl up` again: it starts a new deployment at once"],
        },
        true,
    ),
    (
        Row {
            any: &[&["operations are being throttled"]],
            what: "ECS slows the service's operations down",
            next: &["wait a minute, then run `meetctl up` again"],
        },
        false,
    ),
    (
        Row {
            any: &[&["is unhealthy in (target-group"]],
            what: "the load balancer found the task unhealthy",
            next: &[
                "check the target group's health check: web answers on port 8000 at /, the bridge on 8080 at /about/health",
            ],
        },
        false,
    ),
    (
        Row {
            any: &[&["failed container health checks"]],
            what: "a container failed its health checks",
            next: &["run `meetctl why` for its log"],
        },
        false,
    ),
];

/// How often the same start must stop before it is hopeless: once can be bad luck.
const STOPS_UNTIL_CERTAIN: usize = 2;

/// The root cause of a deployment's failure, as far as ECS still shows it.
pub fn of(service: &Service, tasks: &[Task], deployment: &DeploymentId) -> Option<Cause> {
    let made = service.deployments.iter().find(|d| d.id == *deployment)?;
    let from_event = of_events(service, made.created);
    let mut stops: Vec<(&Task, &Stop)> = tasks
        .iter()
        .filter(|t| t.deployment.as_ref() == Some(deployment))
        .filter_map(|t| Some((t, t.stopped.as_ref()?)))
        .filter(|(_, stop)| !is_orderly(stop))
        .collect();
    stops.sort_by_key(|(_, stop)| stop.at);
    let given_up = made.rollout == Rollout::Failed;
    let from_stop = stops
        .last()
        .map(|(task, stop)| Cause { certain: given_up || stops.len() >= STOPS_UNTIL_CERTAIN, ..of_stop(task, stop) });
    match (from_stop, from_event) {
        // ECS's "deployment failed" and "unable to start consistently" only repeat what the tasks say better.
        (Some(stop), Some(event)) => Some(Cause { certain: stop.certain || event.certain, ..stop }),
        (None, None) if given_up => Some(Cause {
            what: "ECS has given up on this start".into(),
            evidence: made.rollout_reason.clone().unwrap_or_default(),
            at: made.created,
            container: None,
            task: None,
            next: vec!["run `meetctl up` again: it starts a new deployment".into()],
            certain: true,
        }),
        (stop, event) => stop.or(event),
    }
}

/// The newest failed start of which ECS still shows something.
pub fn last(service: &Service, tasks: &[Task]) -> Option<(DeploymentId, Cause)> {
    let causes = service.deployments.iter().filter_map(|d| Some((d.id.clone(), of(service, tasks, &d.id)?)));
    causes.max_by_key(|(_, cause)| cause.at)
}

/// A stop that somebody asked for is not a failure.
fn is_orderly(stop: &Stop) -> bool {
    stop.code.as_deref() == Some("UserInitiated") || stop.reason.starts_with("Scaling activity initiated")
}

fn of_events(service: &Service, since: Timestamp) -> Option<Cause> {
    service.events.iter().filter(|e| e.at >= since).find_map(|event| {
        let (row, certain) = EVENTS.iter().find(|(row, _)| row.fits(&event.message))?;
        Some(Cause {
            what: row.what.into(),
            evidence: event.message.clone(),
            at: event.at,
            container: None,
            task: None,
            next: row.next.iter().map(|&n| n.to_owned()).collect(),
            certain: *certain,
        })
    })
}

fn of_stop(task: &Task, stop: &Stop) -> Cause {
    let guilty = guilty(task, stop);
    let evidence = match guilty.and_then(|c| c.reason.as_deref()) {
        Some(reason) if !stop.reason.contains(reason) => format!("{}; {reason}", stop.reason),
        Some(_) | None => stop.reason.clone(),
    };
    let row = STOPS.iter().find(|row| row.fits(&evidence));
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
