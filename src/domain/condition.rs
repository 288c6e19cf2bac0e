//! Statements about the platform that can be judged.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::action::Action;
use super::billed::{Billed, Kind, Witness};
use super::cause::{self, Cause};
use super::changes::Recordings;
use super::meeting::{Proof, Weight};
use super::observed::{
    Authority, BalancerState, Blindness, Certificate, Health, Observed, Page, Reading, Resolution, Service,
    ServiceStatus, Target, TargetState, Task, Unreadable, between,
};
use super::plan::{Counted, Meetings, Policy, people};

/// A statement about the platform. Each is judged in one place, wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    SignedIn,
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
    /// What Terraform has made is gone.
    StackGone,
    /// Nothing with an hourly price is left.
    NothingBills,
}

/// What a condition is, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    /// Holds, and there is something to say about it.
    Warns(String),
    /// Does not hold yet; waiting may be enough.
    Waits(String),
    /// Does not hold, and waiting will not help.
    Fails(String),
    /// Could not be judged.
    Unseen(Unreadable),
}

impl Verdict {
    /// Whether it is as it should be.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Holds | Self::Warns(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Warns(why) | Self::Waits(why) | Self::Fails(why) => f.write_str(why),
            Self::Unseen(why) => write!(f, "unknown: {why}"),
        }
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
}

/// Java services report success before their first check has run; this long of it is believed.
pub const STEADY: Duration = Duration::from_secs(15);
/// A task this old has long had its first health checks.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);
/// From here on a certificate's end is a warning.
pub const CERTIFICATE_WARNING: SignedDuration = SignedDuration::from_hours(21 * 24);

impl Condition {
    pub const ALL: [Self; 18] = [
        Self::SignedIn,
        Self::ServiceActive,
        Self::BalancerActive,
        Self::Started,
        Self::ContainersHealthy,
        Self::TargetsHealthy,
        Self::NameResolves,
        Self::CertificateTrusted,
        Self::PagesServed,
        Self::SignallingWorks,
        Self::Steady,
        Self::MediaFlows,
        Self::RoomsEmpty,
        Self::Unprotected,
        Self::Stopped,
        Self::IngressRemoved,
        Self::StackGone,
        Self::NothingBills,
    ];

    /// One word for tables and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "credentials",
            Self::ServiceActive => "service",
            Self::BalancerActive => "load-balancer",
            Self::Started => "task",
            Self::ContainersHealthy => "containers",
            Self::TargetsHealthy => "targets",
            Self::NameResolves => "dns",
            Self::CertificateTrusted => "certificate",
            Self::PagesServed => "https",
            Self::SignallingWorks => "signalling",
            Self::Steady => "steady",
            Self::MediaFlows => "media",
            Self::RoomsEmpty => "people",
            Self::Unprotected => "protection",
            Self::Stopped => "stopped",
            Self::IngressRemoved => "ingress-removed",
            Self::StackGone => "stack-gone",
            Self::NothingBills => "nothing-bills",
        }
    }

    /// Where to look to judge this.
    pub const fn needs(self) -> &'static [Source] {
        match self {
            Self::SignedIn => &[Source::Identity],
            Self::ServiceActive => &[Source::Service],
            Self::BalancerActive => &[Source::Balancer, Source::Service],
            Self::Started | Self::ContainersHealthy | Self::Steady | Self::Unprotected | Self::Stopped => {
                &[Source::Service, Source::Tasks]
            }
            Self::TargetsHealthy => &[Source::Targets],
            Self::NameResolves => &[Source::Balancer, Source::Record, Source::Names],
            Self::CertificateTrusted => &[Source::Tls],
            Self::PagesServed => &[Source::Web],
            Self::SignallingWorks => &[Source::Signalling],
            Self::MediaFlows => &[Source::Media],
            Self::RoomsEmpty => &[Source::Service, Source::Tasks, Source::Occupancy],
            Self::IngressRemoved => &[Source::Balancer],
            Self::StackGone => &[Source::Service, Source::Balancer, Source::Secret, Source::Managed],
            Self::NothingBills => &[Source::Balancer, Source::Tasks, Source::Billed],
        }
    }

    /// How long it may take before it counts as stuck.
    pub const fn within(self) -> Duration {
        let seconds = match self {
            Self::SignedIn | Self::ServiceActive | Self::Unprotected => 30,
            Self::BalancerActive
            | Self::NameResolves
            | Self::MediaFlows
            | Self::Stopped
            | Self::IngressRemoved
            | Self::StackGone
            | Self::NothingBills => 300,
            Self::Started | Self::ContainersHealthy | Self::TargetsHealthy => 420,
            Self::CertificateTrusted | Self::Steady => 60,
            Self::PagesServed | Self::SignallingWorks => 120,
            Self::RoomsEmpty => 6 * 3600,
        };
        Duration::from_secs(seconds)
    }

    /// How often it is worth looking while waiting for it.
    pub const fn every(self) -> Duration {
        let millis = match self {
            Self::TargetsHealthy => 1_500,
            Self::Started | Self::ContainersHealthy | Self::Steady => 2_000,
            Self::NameResolves | Self::Unprotected | Self::Stopped => 3_000,
            Self::SignedIn | Self::ServiceActive | Self::BalancerActive | Self::MediaFlows | Self::IngressRemoved => {
                5_000
            }
            Self::StackGone | Self::NothingBills => 10_000,
            Self::CertificateTrusted | Self::PagesServed | Self::SignallingWorks => 1_000,
            Self::RoomsEmpty => 30_000,
        };
        Duration::from_millis(millis)
    }

    /// Whether looking at it is a matter of a few calls to AWS.
    pub const fn is_cheap(self) -> bool {
        matches!(
            self,
            Self::ServiceActive | Self::BalancerActive | Self::Started | Self::ContainersHealthy | Self::TargetsHealthy
        )
    }

    /// What a person can do about what was seen.
    pub fn next(self, seen: &Observed) -> Vec<String> {
        let finding = seen.media.present().and_then(|p| p.finding.as_ref()).filter(|_| self == Self::MediaFlows);
        match finding {
            Some(finding) => vec![finding.remedy().to_owned()],
            None => self.advice().iter().map(|&next| next.to_owned()).collect(),
        }
    }

    /// What a person can do when this does not hold.
    const fn advice(self) -> &'static [&'static str] {
        match self {
            Self::SignedIn => &["sign in again: `aws sso login`, or set AWS_PROFILE to the right profile"],
            Self::ServiceActive => &["create the platform: `meetctl deploy`"],
            Self::BalancerActive => &["bring the load balancer back: `meetctl up`, or `meetctl deploy`"],
            Self::Started | Self::ContainersHealthy | Self::Steady => {
                &["`meetctl why` names the cause; `meetctl up` starts afresh"]
            }
            Self::TargetsHealthy => &[
                "check the health checks of the target groups: web on 8000 at /, the bridge on 8080 at /about/health",
                "check that the task's security group admits the load balancer",
            ],
            Self::NameResolves => &[
                "point the name's alias record to the load balancer: `meetctl deploy`",
                "a resolver that keeps an old answer forgets it within minutes",
            ],
            Self::CertificateTrusted => &[
                "check the certificate of the load balancer's listener in ACM: its names, its dates, its validation records",
            ],
            Self::PagesServed => &["check that the name leads to this platform, and read the web container's log"],
            Self::SignallingWorks => {
                &["read the prosody container's log; ENABLE_XMPP_WEBSOCKET must be 1 for web and prosody"]
            }
            Self::MediaFlows => {
                &["check that UDP port 10000 is open to the world, and which address the bridge advertises"]
            }
            Self::RoomsEmpty => {
                &["wait for them: `meetctl down --when-empty`", "or end their meeting: `meetctl down --cut-meetings`"]
            }
            Self::Unprotected => &["ask for the permission ecs:UpdateTaskProtection"],
            Self::IngressRemoved => &["run `meetctl power-down` again; it continues where it stopped"],
            Self::StackGone => &["run `meetctl destroy` again; it continues where it stopped"],
            Self::NothingBills => &[
                "delete what is listed, in the AWS console or with the tool that made it; then run the same command again",
            ],
            Self::Stopped => &["look at the service's tasks; a protected task needs `meetctl down --cut-meetings`"],
        }
    }

    /// The change that brings this about, or `None` when waiting is all there is to do.
    pub fn remedy(self, seen: &Observed, policy: &Policy) -> Option<Action> {
        match self {
            Self::Started => {
                let service = seen.service.present()?;
                // A read that does not know our start yet is an old one.
                if seen
                    .run
                    .asked
                    .as_ref()
                    .is_some_and(|asked| service.deployments.iter().all(|d| d.id != asked.deployment))
                {
                    return None;
                }
                (service.desired == 0 || start_failure(seen).is_some()).then_some(Action::Start)
            }
            Self::Unprotected => Some(Action::Unprotect),
            Self::Stopped => {
                seen.service.present().filter(|s| s.desired > 0)?;
                Some(Action::Stop)
            }
            Self::BalancerActive => {
                let missing = match &seen.balancer {
                    Reading::Present(balancer) => balancer.listeners.is_empty() || is_detached(seen),
                    Reading::Absent => true,
                    Reading::Unreadable(_) => false,
                };
                (missing && seen.run.terraformed.is_none()).then_some(Action::Restore)
            }
            Self::NameResolves => {
                // Until the load balancer is whole there is nothing to point to.
                let whole = Self::BalancerActive.judge(seen, policy).is_good();
                let wrong = whole && matches!(self.judge(seen, policy), Verdict::Fails(_));
                (wrong && seen.run.terraformed.is_none()).then_some(Action::Restore)
            }
            Self::IngressRemoved => seen.run.terraformed.is_none().then_some(Action::PowerDown),
            Self::StackGone => Some(match policy.recordings {
                Recordings::Kept => Action::RemoveKeepingRecordings,
                Recordings::Deleted => Action::RemoveWithRecordings,
            }),
            Self::NothingBills => nothing_bills_remedy(seen),
            Self::SignedIn
            | Self::ServiceActive
            | Self::ContainersHealthy
            | Self::TargetsHealthy
            | Self::CertificateTrusted
            | Self::PagesServed
            | Self::SignallingWorks
            | Self::Steady
            | Self::MediaFlows
            | Self::RoomsEmpty => None,
        }
    }

    pub fn judge(self, seen: &Observed, policy: &Policy) -> Verdict {
        match self {
            Self::SignedIn => signed_in(seen, policy),
            Self::ServiceActive => {
                with(&seen.service, "there is no ECS service of this platform", |service| match service.status {
                    ServiceStatus::Active => Verdict::Holds,
                    ServiceStatus::Draining | ServiceStatus::Inactive => {
                        Verdict::Fails("the service is being deleted".into())
                    }
                })
            }
            Self::BalancerActive => {
                with(&seen.balancer, "there is no load balancer: the platform is powered down", |balancer| {
                    match balancer.state {
                        BalancerState::Active if balancer.listeners.is_empty() => {
                            Verdict::Fails("the load balancer has no listener".into())
                        }
                        BalancerState::Active if is_detached(seen) => {
                            Verdict::Fails("the service does not register its tasks with the load balancer".into())
                        }
                        BalancerState::Active => Verdict::Holds,
                        BalancerState::Impaired => Verdict::Warns("AWS calls the load balancer active_impaired".into()),
                        BalancerState::Provisioning => Verdict::Waits("AWS is still creating the load balancer".into()),
                        BalancerState::Failed => Verdict::Fails("AWS calls the load balancer failed".into()),
                    }
                })
            }
            Self::Started => with(&seen.service, "there is no service to start", |service| started(seen, service)),
            Self::ContainersHealthy => healthy(seen),
            Self::TargetsHealthy => targets_healthy(seen),
            Self::NameResolves => name_resolves(seen),
            Self::CertificateTrusted => {
                with(&seen.tls, "there is nothing to shake hands with", |tls| match &tls.shown {
                    Err(how) => Verdict::Waits(format!("no TLS at {}: {how}", tls.address)),
                    Ok(certificate) => certificate_trusted(certificate, seen.at),
                })
            }
            Self::PagesServed => {
                with(&seen.web, "there is nothing to ask", |web| worst([&web.index, &web.config, &web.api].map(page)))
            }
            Self::SignallingWorks => with(&seen.signalling, "there is nothing to ask", |signalling| {
                worst([&signalling.bosh, &signalling.websocket].map(page))
            }),
            Self::Steady => steady(seen),
            Self::MediaFlows if !policy.media => Verdict::Warns("not proven: [probe] media is off".into()),
            Self::MediaFlows => {
                with(&seen.media, "there is no bridge to ask", |proof| media_flows(proof, seen.run.waits))
            }
            Self::RoomsEmpty => rooms_empty(seen, policy),
            Self::Unprotected => unprotected(seen, policy),
            Self::Stopped => stopped(seen),
            Self::IngressRemoved => ingress_removed(seen),
            Self::StackGone => stack_gone(seen),
            Self::NothingBills => nothing_bills(seen),
        }
    }
}

/// The sentence that a condition is.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignedIn => "the credentials are good, and for the right account",
            Self::ServiceActive => "the ECS service is active",
            Self::BalancerActive => "the load balancer is active",
            Self::Started => "exactly the task of this start runs",
            Self::ContainersHealthy => "every container is healthy",
            Self::TargetsHealthy => "the load balancer reaches the task",
            Self::NameResolves => "the name resolves to the load balancer",
            Self::CertificateTrusted => "browsers trust the certificate",
            Self::PagesServed => "the web pages are Jitsi's",
            Self::SignallingWorks => "signalling answers",
            Self::Steady => "it has stayed healthy for 15 s",
            Self::MediaFlows => "a meeting's media crosses the bridge",
            Self::RoomsEmpty => "nobody is in a meeting",
            Self::Unprotected => "no task is protected from being stopped",
            Self::Stopped => "nothing runs",
            Self::IngressRemoved => "the load balancer is gone",
            Self::StackGone => "the platform's resources are gone",
            Self::NothingBills => "nothing with an hourly price is left",
        })
    }
}

fn with<T>(reading: &Reading<T>, absent: &str, judge: impl FnOnce(&T) -> Verdict) -> Verdict {
    match reading {
        Reading::Present(it) => judge(it),
        Reading::Absent => Verdict::Fails(absent.to_owned()),
        Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
    }
}

/// The verdict that matters most: what fails, then what cannot be seen, then what is awaited.
fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let rank = |v: &Verdict| match v {
        Verdict::Holds => 0,
        Verdict::Warns(_) => 1,
        Verdict::Waits(_) => 2,
        Verdict::Unseen(_) => 3,
        Verdict::Fails(_) => 4,
    };
    verdicts.into_iter().fold(Verdict::Holds, |worst, next| if rank(&next) > rank(&worst) { next } else { worst })
}

fn signed_in(seen: &Observed, policy: &Policy) -> Verdict {
    with(&seen.identity, "there are no credentials", |identity| {
        if let Some(wanted) = policy.account.as_ref().filter(|w| **w != identity.account) {
            return Verdict::Fails(format!(
                "the credentials belong to account {}, the platform to {wanted}",
                identity.account
            ));
        }
        match identity.expires {
            Some(end) if end <= seen.at => Verdict::Fails(format!("the credentials ended at {}", clock_time(end))),
            Some(end) if between(seen.at, end) < policy.session => {
                Verdict::Warns(format!("the credentials end at {}, before a session that starts now", clock_time(end)))
            }
            Some(_) | None => Verdict::Holds,
        }
    })
}

/// Why the current start cannot succeed any more.
pub fn start_failure(seen: &Observed) -> Option<Cause> {
    let service = seen.service.present()?;
    let deployment = seen.deployment()?;
    cause::of(service, seen.tasks.present().map_or(&[], Vec::as_slice), deployment).filter(|c| c.certain)
}

fn started(seen: &Observed, service: &Service) -> Verdict {
    let Some(tasks) = seen.tasks.present() else {
        return Verdict::Unseen(seen.tasks.unreadable().cloned().unwrap_or_else(not_asked));
    };
    let Some(deployment) = seen.deployment() else {
        return Verdict::Waits("the service has no deployment".into());
    };
    if seen.run.asked.is_some() && !service.deployments.iter().any(|d| d.id == *deployment) {
        return Verdict::Waits("ECS does not show the new deployment yet".into());
    }
    if service.desired == 0 {
        return Verdict::Waits("the desired count is 0".into());
    }
    if let Some(cause) = start_failure(seen) {
        return Verdict::Fails(cause.what);
    }
    let live: Vec<&Task> = tasks.iter().filter(|t| t.stopped.is_none()).collect();
    let ours: Vec<&&Task> = live.iter().filter(|t| t.deployment.as_ref() == Some(deployment)).collect();
    match (ours.as_slice(), live.len()) {
        ([], 0) => Verdict::Waits("0 tasks, 1 wanted".into()),
        ([], n) => Verdict::Waits(format!("{n} task(s) of an earlier start, none of this one yet")),
        ([task], 1) if task.is_running() => Verdict::Holds,
        ([task], 1) => Verdict::Waits(format!("the task is {}", task.last_status)),
        ([_], n) => Verdict::Waits(format!("{} task(s) of an earlier start still there", n - 1)),
        (many, _) => Verdict::Waits(format!("{} tasks of this start, 1 wanted", many.len())),
    }
}

fn healthy(seen: &Observed) -> Verdict {
    if let Some(why) = seen.tasks.unreadable() {
        return Verdict::Unseen(why.clone());
    }
    if let Some(cause) = start_failure(seen) {
        return Verdict::Fails(cause.what);
    }
    let Some(task) = seen.task() else { return Verdict::Waits("no task runs".into()) };
    let ill: Vec<&str> =
        task.containers.iter().filter(|c| c.health == Health::Unhealthy).map(|c| c.name.as_str()).collect();
    if !ill.is_empty() {
        return Verdict::Waits(format!("unhealthy: {}", ill.join(", ")));
    }
    match task.health {
        Health::Healthy if task.is_running() => Verdict::Holds,
        Health::Healthy => Verdict::Waits(format!("the task is {}", task.last_status)),
        Health::Unhealthy => Verdict::Waits("the task is unhealthy".into()),
        Health::Unknown => Verdict::Waits(match unchecked(task).as_slice() {
            [] => "no health check has answered yet".into(),
            names => format!("no health yet: {}", names.join(", ")),
        }),
    }
}

fn unchecked(task: &Task) -> Vec<&str> {
    const ESSENTIAL: [&str; 4] = ["web", "prosody", "jicofo", "jvb"];
    task.containers
        .iter()
        .filter(|c| c.health == Health::Unknown && ESSENTIAL.contains(&c.name.as_str()))
        .map(|c| c.name.as_str())
        .collect()
}

fn steady(seen: &Observed) -> Verdict {
    let Some(task) = seen.task() else { return healthy(seen) };
    match healthy(seen) {
        Verdict::Holds => {}
        other => return other,
    }
    if task.started.is_some_and(|at| seen.at.duration_since(at) >= SETTLED) {
        return Verdict::Holds;
    }
    match &seen.run.healthy_since {
        // A single look cannot wait for the second one.
        _ if seen.run.asked.is_none() => {
            Verdict::Warns("the task is young: its Java services call themselves healthy early".into())
        }
        Some((id, since)) if *id == task.id && between(*since, seen.at) >= STEADY => Verdict::Holds,
        Some((id, since)) if *id == task.id => {
            Verdict::Waits(format!("healthy since {}; 15 s of it are believed", since.strftime("%H:%M:%S UTC")))
        }
        Some(_) | None => Verdict::Waits("healthy only just now; 15 s of it are believed".into()),
    }
}

fn targets_healthy(seen: &Observed) -> Verdict {
    with(&seen.targets, "the service has no target group: the platform is powered down", |groups| {
        if groups.is_empty() {
            return Verdict::Fails("the service is attached to no target group".into());
        }
        let address = seen.task().and_then(|t| t.address);
        let long_healthy = has_long_been_healthy(seen);
        worst(groups.iter().map(|group| {
            let label = format!("{}:{}", group.container, group.port);
            match target_of(&group.targets, address) {
                None => Verdict::Waits(format!("{label}: the task is not registered yet")),
                Some(target) => target_healthy(&label, target, long_healthy),
            }
        }))
    })
}

/// The target that is this task's; when the task's address is not known, the only one that is not draining.
fn target_of(targets: &[Target], task: Option<IpAddr>) -> Option<&Target> {
    match task {
        Some(address) => targets.iter().find(|t| t.address == address.to_string()),
        None => targets.iter().find(|t| t.state != TargetState::Draining),
    }
}

/// A task that calls itself healthy for this long, and is still unhealthy to the load balancer, will stay so.
const LONG_HEALTHY: Duration = Duration::from_secs(90);

fn has_long_been_healthy(seen: &Observed) -> bool {
    let Some(task) = seen.task().filter(|t| t.is_running() && t.health == Health::Healthy) else { return false };
    let watched = seen.run.healthy_since.as_ref().filter(|(id, _)| *id == task.id).map(|(_, since)| *since);
    let settled = task.started.map(|at| at + SETTLED);
    [watched, settled].into_iter().flatten().any(|since| between(since, seen.at) >= LONG_HEALTHY)
}

fn target_healthy(label: &str, target: &Target, long_healthy: bool) -> Verdict {
    let reason = target.reason.as_deref().unwrap_or("no reason given");
    match target.state {
        TargetState::Healthy => Verdict::Holds,
        TargetState::Initial => Verdict::Waits(format!("{label}: initial ({reason})")),
        TargetState::Unhealthy if long_healthy => Verdict::Fails(format!(
            "{label}: the containers call themselves healthy, and the load balancer finds the task unhealthy ({reason})"
        )),
        TargetState::Unhealthy => Verdict::Waits(format!("{label}: unhealthy ({reason})")),
        TargetState::Unused => Verdict::Waits(format!("{label}: unused ({reason})")),
        TargetState::Draining => Verdict::Waits(format!("{label}: draining ({reason})")),
        TargetState::Unavailable => Verdict::Waits(format!("{label}: its health is unavailable ({reason})")),
    }
}

fn name_resolves(seen: &Observed) -> Verdict {
    if let (Some(record), Some(balancer)) = (seen.record.present(), seen.balancer.present())
        && let [target] = record.targets.as_slice()
        && bare(target) != bare(&balancer.dns_name)
    {
        return Verdict::Fails(format!(
            "the record points to {}, the load balancer is {}",
            bare(target),
            bare(&balancer.dns_name)
        ));
    }
    if seen.record.is_absent() {
        return Verdict::Fails("Route 53 has no record of this name".into());
    }
    with(&seen.names, "the name does not exist", resolves)
}

/// A DNS name without its final dot, in lower case, without the prefix that aliases may carry.
fn bare(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.strip_prefix("dualstack.").map(str::to_owned).unwrap_or(name)
}

fn resolves(names: &Resolution) -> Verdict {
    let balancer = match &names.balancer {
        None => return Verdict::Waits("there is no load balancer to compare with".into()),
        Some(Err(why)) => return Verdict::Unseen(why.clone()),
        Some(Ok(addresses)) if addresses.is_empty() => {
            return Verdict::Waits("the load balancer's own name has no address yet".into());
        }
        Some(Ok(addresses)) => addresses,
    };
    let local = match &names.local {
        Err(why) => Verdict::Unseen(why.clone()),
        Ok(addresses) => points_to("this machine's resolver", addresses, balancer),
    };
    let known = names.authoritative.iter().filter_map(|a: &Authority| a.answer.as_ref().ok().map(|found| (a, found)));
    let authoritative: Vec<Verdict> = known.map(|(a, found)| points_to(&a.server, found, balancer)).collect();
    if authoritative.is_empty() {
        let why = names.authorities_unseen.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
        return worst([local, Verdict::Warns(format!("the zone's own name servers could not be asked: {why}"))]);
    }
    worst(authoritative.into_iter().chain([local]))
}

fn points_to(who: &str, found: &[IpAddr], balancer: &[IpAddr]) -> Verdict {
    if found.is_empty() {
        Verdict::Waits(format!("{who} knows no address of the name"))
    } else if found.iter().all(|a| balancer.contains(a)) {
        Verdict::Holds
    } else {
        Verdict::Waits(format!("{who} says {}, the load balancer is at {}", addresses(found), addresses(balancer)))
    }
}

pub fn addresses(of: &[IpAddr]) -> String {
    of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn certificate_trusted(certificate: &Certificate, now: Timestamp) -> Verdict {
    let left = certificate.not_after.duration_since(now);
    let day = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M UTC");
    if left.is_negative() {
        Verdict::Fails(format!("the certificate expired on {}", day(certificate.not_after)))
    } else if certificate.not_before > now {
        Verdict::Fails(format!("the certificate is not valid before {}", day(certificate.not_before)))
    } else if !certificate.name_matches {
        Verdict::Fails(format!("the certificate is for {}", certificate.names.join(", ")))
    } else if let Some(why) = &certificate.untrusted {
        Verdict::Fails(format!("browsers do not trust the certificate of {}: {why}", certificate.issuer))
    } else if left < CERTIFICATE_WARNING {
        Verdict::Warns(format!(
            "the certificate ends on {}, in {} days",
            day(certificate.not_after),
            left.as_hours() / 24
        ))
    } else if certificate.private_root {
        Verdict::Warns("trusted only through the private root of [tls] ca_file: browsers without it refuse".into())
    } else {
        Verdict::Holds
    }
}

/// So often a meeting is tried before it counts as impossible: a platform that has just started may need another try.
const MEETING_TRIES: u32 = 3;

/// `waits`: whether a run may try again, in a fresh room.
fn media_flows(proof: &Proof, waits: bool) -> Verdict {
    let Some(finding) = &proof.finding else {
        return match proof.warnings.first() {
            None => Verdict::Holds,
            Some(warning) => Verdict::Warns(warning.to_string()),
        };
    };
    match finding.weight() {
        Weight::Warning => Verdict::Warns(finding.to_string()),
        Weight::NotApplicable => Verdict::Unseen(Unreadable {
            because: Blindness::Unprovable,
            why: format!("{finding}: {}", finding.remedy()),
        }),
        Weight::Failure if waits && proof.tries < MEETING_TRIES => Verdict::Waits(finding.to_string()),
        Weight::Failure => Verdict::Fails(finding.to_string()),
    }
}

/// A page that a starting platform may still mend is awaited; a page that is somebody else's is a failure.
fn page(page: &Page) -> Verdict {
    match (&page.wrong, page.status) {
        (None, _) => Verdict::Holds,
        (Some(why), None | Some(500..)) => Verdict::Waits(format!("{}: {why}", page.path)),
        (Some(why), Some(_)) => Verdict::Fails(format!("{}: {why}", page.path)),
    }
}

fn rooms_empty(seen: &Observed, policy: &Policy) -> Verdict {
    if policy.meetings == Meetings::Cut || policy.counted == Counted::ByNobody {
        return Verdict::Holds;
    }
    if let Some(why) = seen.service.unreadable().or(seen.tasks.unreadable()) {
        return Verdict::Unseen(why.clone());
    }
    let asked_to_run = seen.service.present().is_some_and(|s| s.desired > 0);
    if !asked_to_run || !seen.live_tasks().any(Task::is_running) {
        return Verdict::Holds;
    }
    match people(seen) {
        Ok(line) if line.conferences == 0 => Verdict::Holds,
        Ok(line) => Verdict::Waits(format!(
            "{} in {}",
            count(line.participants, "person", "people"),
            count(line.conferences, "room", "rooms")
        )),
        Err(why) => Verdict::Unseen(Unreadable { because: Blindness::Garbled, why }),
    }
}

fn unprotected(seen: &Observed, policy: &Policy) -> Verdict {
    let could_be = policy.meetings == Meetings::Cut && seen.live_tasks().any(Task::is_running);
    if could_be && !seen.run.unprotected {
        Verdict::Waits("the task protects itself while it counts people".into())
    } else {
        Verdict::Holds
    }
}

fn count(n: u32, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

fn stopped(seen: &Observed) -> Verdict {
    if let Some(why) = seen.tasks.unreadable() {
        return Verdict::Unseen(why.clone());
    }
    let live = seen.live_tasks().count();
    match &seen.service {
        Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
        Reading::Present(service) if service.desired > 0 => {
            Verdict::Waits(format!("the desired count is {}", service.desired))
        }
        // A task that moves from one of ECS's lists to the other is in neither for a moment.
        Reading::Present(service) if live == 0 && service.running + service.pending > 0 => {
            Verdict::Waits(format!("ECS still counts {} task(s)", service.running + service.pending))
        }
        Reading::Present(_) | Reading::Absent if live > 0 => Verdict::Waits(format!("{live} task(s) still stopping")),
        Reading::Present(_) | Reading::Absent => Verdict::Holds,
    }
}

/// Terraform attaches the service to the target groups after it has made the load balancer.
fn is_detached(seen: &Observed) -> bool {
    seen.service.present().is_some_and(|s| s.target_groups.is_empty())
}

fn ingress_removed(seen: &Observed) -> Verdict {
    match &seen.balancer {
        Reading::Absent => Verdict::Holds,
        Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
        // Terraform has removed what it knows; what is left is judged as a leftover.
        Reading::Present(_) if seen.run.terraformed.is_some() => {
            Verdict::Warns("a load balancer of the platform's name is there that Terraform does not know".into())
        }
        Reading::Present(balancer) => Verdict::Waits(format!("there is a load balancer, {}", balancer.dns_name)),
    }
}

fn stack_gone(seen: &Observed) -> Verdict {
    fn there<T>(what: &str, reading: &Reading<T>) -> Verdict {
        match reading {
            Reading::Present(_) => Verdict::Waits(format!("{what} is still there")),
            Reading::Absent => Verdict::Holds,
            Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
        }
    }
    let secret = match &seen.secret {
        Reading::Present(secret) if secret.deleted.is_some() => Verdict::Warns(format!(
            "AWS keeps {} for its recovery window: its name cannot be used until then",
            secret.name
        )),
        other => there("the secret", other),
    };
    let managed = match &seen.managed {
        Reading::Present(managed) if managed.is_empty() => Verdict::Holds,
        Reading::Present(managed) => {
            Verdict::Waits(format!("Terraform still manages {}", count_of(managed.len(), "resource", "resources")))
        }
        Reading::Absent => Verdict::Holds,
        Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
    };
    // A load balancer that Terraform does not know is judged as a leftover.
    worst([there("the service", &seen.service), secret, managed])
}

fn count_of(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// The list of tags may name a thing for a while after it was deleted.
const TAGS_LINGER: SignedDuration = SignedDuration::from_mins(3);

fn nothing_bills(seen: &Observed) -> Verdict {
    let billed = match &seen.billed {
        Reading::Unreadable(why) => return Verdict::Unseen(why.clone()),
        Reading::Absent => &[],
        Reading::Present(billed) => billed.as_slice(),
    };
    if let Some(why) = seen.balancer.unreadable().or(seen.tasks.unreadable()) {
        return Verdict::Unseen(why.clone());
    }
    let mut left: Vec<String> = billed.iter().map(ToString::to_string).collect();
    let listed = billed.iter().any(|b| b.kind == Kind::Balancer);
    left.extend(seen.balancer.present().filter(|_| !listed).map(|b| format!("load balancer {}", b.dns_name)));
    if left.is_empty() {
        return Verdict::Holds;
    }
    let fresh = |at: Option<Timestamp>| at.is_some_and(|at| seen.at.duration_since(at) < TAGS_LINGER);
    if fresh(seen.run.balancers_removed) {
        return Verdict::Waits(format!("still there: {}", left.join("; ")));
    }
    let only_tags = seen.balancer.is_absent() && billed.iter().all(|b| b.witness == Witness::TagsOnly);
    if fresh(seen.run.terraformed) && only_tags {
        return Verdict::Waits(format!("its tags still list {}", left.join("; ")));
    }
    Verdict::Fails(left.join("; "))
}

/// A load balancer with our tags that its owner confirms is removed; an address goes with Terraform's plan, once.
fn nothing_bills_remedy(seen: &Observed) -> Option<Action> {
    let billed = seen.billed.present()?;
    let terraformed = seen.run.terraformed.is_some();
    if seen.balancer.present().is_some() && !terraformed {
        // Not a leftover: it goes with an earlier step.
        return None;
    }
    if leftover_balancers(billed).next().is_some() {
        return seen.run.balancers_removed.is_none().then_some(Action::RemoveBalancers);
    }
    let address = billed.iter().any(|b| b.kind == Kind::Address);
    (address && !terraformed && seen.service.present().is_some()).then_some(Action::PowerDown)
}

/// The load balancers with the project's tags that elbv2 itself confirms.
pub fn leftover_balancers(billed: &[Billed]) -> impl Iterator<Item = &Billed> {
    billed.iter().filter(|b| b.kind == Kind::Balancer && b.witness == Witness::Owner)
}

fn not_asked() -> Unreadable {
    Unreadable { because: Blindness::NotAsked, why: "not looked at".into() }
}

fn clock_time(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}
