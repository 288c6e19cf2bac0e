//! How each condition is judged from what was seen.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::action::Action;
use super::billed::{Kind, Witness};
use super::cause::{self, Cause};
use super::condition::Verdict;
use super::finding::Code;
use super::meeting::{Proof, Weight};
use super::name::DeploymentId;
use super::observed::{
    Authority, Blindness, Certificate, Health, Observed, PLACEHOLDER, Page, Reading, Record, Resolution, Service,
    Target, TargetState, Task, Unreadable, between,
};
use super::ownership::{Presence, agreed_leftovers, presence, stray, strays};
use super::plan::{Counted, Meetings, Policy, people, successor};
use super::text::list;

/// Java services report success before their first check has run; this long of it is believed.
pub const STEADY: Duration = Duration::from_secs(15);
/// A task this old has long had its first health checks.
const SETTLED: SignedDuration = SignedDuration::from_mins(2);
/// From here on a certificate's end is a warning.
pub const CERTIFICATE_WARNING: SignedDuration = SignedDuration::from_hours(21 * 24);

pub(super) fn with<T>(reading: &Reading<T>, absent: &str, judge: impl FnOnce(&T) -> Verdict) -> Verdict {
    match reading {
        Reading::Present(it) => judge(it),
        Reading::Absent => Verdict::Fails(absent.to_owned()),
        Reading::Unreadable(why) => Verdict::Unseen(why.clone()),
    }
}

/// The verdict that matters most: what fails, then what cannot be seen, then what is awaited.
pub(super) fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let rank = |v: &Verdict| match v {
        Verdict::Holds => 0,
        Verdict::Warns(_) => 1,
        Verdict::Waits(_) => 2,
        Verdict::Unseen(_) => 3,
        Verdict::Fails(_) => 4,
    };
    verdicts.into_iter().fold(Verdict::Holds, |worst, next| if rank(&next) > rank(&worst) { next } else { worst })
}

pub(super) fn signed_in(seen: &Observed, policy: &Policy) -> Verdict {
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

/// Why the current start cannot succeed any more. While any task is well, also one of an earlier start, nothing has to.
pub fn start_failure(seen: &Observed) -> Option<Cause> {
    hopeless(seen).filter(|_| !seen.live_tasks().any(Task::is_well))
}

fn hopeless(seen: &Observed) -> Option<Cause> {
    let (service, tasks, deployment) = start_of(seen)?;
    cause::of(service, tasks, deployment, seen.at).filter(|c| c.certain)
}

fn start_of(seen: &Observed) -> Option<(&Service, &[Task], &DeploymentId)> {
    let tasks = seen.tasks.present().map_or(&[][..], Vec::as_slice);
    Some((seen.service.present()?, tasks, seen.deployment()?))
}

/// What ECS has refused so far, while it goes on trying. What it said is told with its events; a task's stop has none.
fn refusals(seen: &Observed) -> Option<String> {
    let (service, tasks, deployment) = start_of(seen)?;
    let refused = cause::refused(service, tasks, deployment, seen.at)?;
    let attempts = count_of(refused.attempts, "attempt", "attempts");
    let said = refused.cause.task.map_or_else(String::new, |_| format!(": {}", refused.cause.evidence));
    Some(format!("{}, after {attempts}; ECS tries again{said}", refused.cause.what))
}

/// What the task that runs well now has outlived: worth knowing, and no verdict.
fn outlived(seen: &Observed) -> Option<String> {
    let (service, tasks, deployment) = start_of(seen)?;
    let crash = cause::outlived(service, tasks, deployment)?;
    let when = crash.at.strftime("%H:%M UTC");
    Some(format!("a task of this start stopped at {when}: {}; the one that replaced it is healthy", crash.what))
}

pub(super) fn started(seen: &Observed, service: &Service) -> Verdict {
    let Some(tasks) = seen.tasks.present() else {
        return Verdict::Unseen(seen.tasks.unreadable().cloned().unwrap_or_else(not_asked));
    };
    let Some(deployment) = seen.deployment() else {
        return Verdict::Waits("the service has no deployment".into());
    };
    if successor(seen).is_some() {
        return Verdict::Waits("another start has replaced this one; whose it is has yet to show".into());
    }
    if seen.run.asked.is_some() && !service.deployments.iter().any(|d| d.id == *deployment) {
        return Verdict::Waits("ECS does not show the new deployment yet".into());
    }
    if service.desired == 0 {
        return Verdict::Waits("the desired count is 0".into());
    }
    if let Some(cause) = hopeless(seen) {
        return match seen.live_tasks().find(|task| task.is_well()) {
            Some(task) => Verdict::Warns(format!("{}; the task {} of an earlier start runs on", cause.what, task.id)),
            None => Verdict::Fails(cause.what),
        };
    }
    let live: Vec<&Task> = tasks.iter().filter(|t| t.stopped.is_none()).collect();
    let ours: Vec<&&Task> = live.iter().filter(|t| t.deployment.as_ref() == Some(deployment)).collect();
    match (ours.as_slice(), live.len()) {
        ([], 0) => Verdict::Waits(refusals(seen).unwrap_or_else(|| "0 tasks, 1 wanted".into())),
        ([], n) => Verdict::Waits(format!("{n} task(s) of an earlier start, none of this one yet")),
        ([task], 1) if task.is_running() => outlived(seen).map_or(Verdict::Holds, Verdict::Warns),
        ([task], 1) => Verdict::Waits(format!("the task is {}", task.last_status)),
        ([_], n) => Verdict::Waits(format!("{} task(s) of an earlier start still there", n - 1)),
        (many, _) => Verdict::Waits(format!("{} tasks of this start, 1 wanted", many.len())),
    }
}

pub(super) fn healthy(seen: &Observed) -> Verdict {
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

pub(super) fn steady(seen: &Observed) -> Verdict {
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

pub(super) fn targets_healthy(seen: &Observed) -> Verdict {
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

pub(super) fn name_resolves(seen: &Observed) -> Verdict {
    if seen.record.present().is_some_and(Record::is_placeholder) {
        return if seen.balancer.present().is_some() {
            Verdict::Fails(format!("the record is still the placeholder of a powered-down platform, {PLACEHOLDER}"))
        } else {
            Verdict::Waits(format!("the record is a placeholder, {PLACEHOLDER}, until the load balancer is back"))
        };
    }
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
    if found == [IpAddr::V4(PLACEHOLDER)] {
        Verdict::Waits(format!("{who} still says {PLACEHOLDER}, the placeholder: it forgets it within a minute"))
    } else if found.is_empty() {
        Verdict::Waits(format!("{who} knows no address of the name"))
    } else if found.iter().all(|a| balancer.contains(a)) {
        Verdict::Holds
    } else {
        Verdict::Waits(format!("{who} says {}, the load balancer is at {}", addresses(found), addresses(balancer)))
    }
}

pub fn addresses(of: &[IpAddr]) -> String {
    list(of, ", ")
}

pub(super) fn certificate_trusted(certificate: &Certificate, now: Timestamp) -> Verdict {
    let left = certificate.not_after.duration_since(now);
    let day = |t: Timestamp| t.strftime("%Y-%m-%d %H:%M UTC");
    if left.is_negative() {
        Verdict::Fails(format!("the certificate expired on {}", day(certificate.not_after)))
    } else if certificate.not_before > now {
        Verdict::Fails(format!("the certificate is not valid before {}", day(certificate.not_before)))
    } else if !certificate.name_matches {
        Verdict::Fails(format!("the certificate is for {}", list(&certificate.names, ", ")))
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

/// For so long a platform counts as young: its first meetings may fail while everything in it gets warm.
const YOUNG: SignedDuration = SignedDuration::from_mins(3);

/// So often a meeting is tried that this machine stands in the way of.
const LOCAL_TRIES: u32 = 3;

/// Since the task runs; where this run started it, since its containers were healthy.
fn is_young(seen: &Observed) -> bool {
    let started = seen.task().and_then(|task| task.started);
    let healthy = seen.run.healthy_since.as_ref().filter(|_| seen.run.asked.is_some()).map(|(_, since)| *since);
    started.max(healthy).is_some_and(|since| seen.at.duration_since(since) < YOUNG)
}

/// A run that waits holds a failed meeting of a young platform again, in a fresh room, until two in a row say the same.
pub(super) fn media_flows(proof: &Proof, seen: &Observed) -> Verdict {
    let Some(finding) = &proof.finding else {
        return match proof.warnings.first() {
            None => Verdict::Holds,
            Some(warning) => Verdict::Warns(warning.to_string()),
        };
    };
    match finding.weight() {
        Weight::Warning => Verdict::Warns(finding.to_string()),
        // What this machine's own network refused once it may grant the next time.
        Weight::NotApplicable if is_local(finding.code) && seen.run.waits && proof.tries < LOCAL_TRIES => {
            Verdict::Waits(finding.to_string())
        }
        Weight::NotApplicable => Verdict::Unseen(Unreadable {
            because: Blindness::Unprovable,
            why: format!("{finding}: {}", finding.remedy()),
        }),
        Weight::Failure if seen.run.waits && !proof.repeated && is_young(seen) => Verdict::Waits(finding.to_string()),
        Weight::Failure => Verdict::Fails(finding.to_string()),
    }
}

fn is_local(code: Code) -> bool {
    matches!(code, Code::LocalTrouble | Code::NoRoute | Code::WebsocketUnresolved)
}

/// A page that a starting platform may still mend is awaited; a page that is somebody else's is a failure.
pub(super) fn page(page: &Page) -> Verdict {
    match (&page.wrong, page.status) {
        (None, _) => Verdict::Holds,
        (Some(why), None | Some(500..)) => Verdict::Waits(format!("{}: {why}", page.path)),
        (Some(why), Some(_)) => Verdict::Fails(format!("{}: {why}", page.path)),
    }
}

pub(super) fn rooms_empty(seen: &Observed, policy: &Policy) -> Verdict {
    let asked_to_run = seen.service.present().is_some_and(|s| s.desired > 0);
    let blind = seen.service.unreadable().or(seen.tasks.unreadable()).is_some();
    if asked_to_run || blind { nobody_is_cut_off(seen, policy) } else { Verdict::Holds }
}

/// Whether nobody is in a room of a task that runs.
pub(super) fn nobody_is_cut_off(seen: &Observed, policy: &Policy) -> Verdict {
    if policy.meetings == Meetings::Cut || policy.counted == Counted::ByNobody {
        return Verdict::Holds;
    }
    if let Some(why) = seen.service.unreadable().or(seen.tasks.unreadable()) {
        return Verdict::Unseen(why.clone());
    }
    if !seen.live_tasks().any(Task::is_running) {
        return Verdict::Holds;
    }
    match people(seen) {
        Ok(line) if line.conferences == 0 => Verdict::Holds,
        Ok(line) => Verdict::Waits(format!(
            "{} in {}",
            count(line.participants, "person", "people"),
            count(line.conferences, "room", "rooms")
        )),
        Err(why) => {
            let unread = seen.occupancy.unreadable().map(|unread| unread.because);
            let because = unread.filter(|because| because.may_pass()).unwrap_or(Blindness::Garbled);
            Verdict::Unseen(Unreadable { because, why })
        }
    }
}

pub(super) fn unprotected(seen: &Observed, policy: &Policy) -> Verdict {
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

pub(super) fn stopped(seen: &Observed) -> Verdict {
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
pub(super) fn is_detached(seen: &Observed) -> bool {
    seen.service.present().is_some_and(|s| s.target_groups.is_empty())
}

pub(super) fn ingress_removed(seen: &Observed) -> Verdict {
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

pub(super) fn stack_gone(seen: &Observed) -> Verdict {
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

/// A deletion takes effect at once in elbv2's own answers; the list of tags is not asked for it.
pub(super) fn leftovers_gone(seen: &Observed, policy: &Policy) -> Verdict {
    if policy.agreed.is_none() {
        return Verdict::Holds;
    }
    if let Some(why) = seen.billed.unreadable() {
        return Verdict::Unseen(why.clone());
    }
    let left: Vec<&str> = agreed_leftovers(seen, policy).into_iter().map(|thing| thing.arn.as_str()).collect();
    if left.is_empty() { Verdict::Holds } else { Verdict::Waits(format!("still there: {}", left.join("; "))) }
}

/// Asked for once; after that there is only waiting.
pub(super) fn leftovers_gone_remedy(seen: &Observed, policy: &Policy) -> Option<Action> {
    let due = seen.run.balancers_removed.is_none() && !agreed_leftovers(seen, policy).is_empty();
    due.then_some(Action::RemoveBalancers)
}

pub(super) fn platform_there(seen: &Observed, policy: &Policy) -> Verdict {
    match presence(seen, policy) {
        Presence::There => Verdict::Holds,
        Presence::Parts(parts) => Verdict::Warns(format!("there is {}, but no service", parts.join(" and "))),
        Presence::Removed(how) => Verdict::Warns(format!("the platform was removed: {how}")),
        Presence::Nowhere(nowhere) => {
            let details = nowhere.theirs.iter().chain(&nowhere.answers).map(|detail| format!("; {detail}"));
            Verdict::Fails(format!("{nowhere}{}", details.collect::<String>()))
        }
        Presence::Unknown(why) => Verdict::Unseen(why),
    }
}

pub(super) fn nothing_bills(seen: &Observed, policy: &Policy) -> Verdict {
    let blind = seen.billed.unreadable().or(seen.balancer.unreadable()).or(seen.tasks.unreadable());
    if let Some(why) = blind {
        return Verdict::Unseen(why.clone());
    }
    // Terraform's own load balancer goes with an earlier step; what it does not know stays and is named.
    let strays = strays(seen);
    let mut left: Vec<String> =
        strays.iter().map(|thing| format!("{}: {}", stray(thing, seen, policy), thing.arn)).collect();
    left.extend(seen.balancer.present().map(|own| format!("load balancer {}: {}", own.dns_name, own.arn)));
    if left.is_empty() {
        return Verdict::Holds;
    }
    let fresh = |at: Option<Timestamp>| at.is_some_and(|at| seen.at.duration_since(at) < TAGS_LINGER);
    let only_tags = seen.balancer.is_absent() && strays.iter().all(|thing| thing.witness == Witness::TagsOnly);
    if fresh(seen.run.terraformed) && only_tags {
        return Verdict::Waits(format!("its tags still list {}", left.join("; ")));
    }
    Verdict::Fails(left.join("; "))
}

/// An address goes with Terraform's plan, once; what Terraform does not know is not ours to take.
pub(super) fn nothing_bills_remedy(seen: &Observed) -> Option<Action> {
    let untried = seen.run.terraformed.is_none() && seen.service.present().is_some() && seen.balancer.is_absent();
    let address = strays(seen).iter().any(|thing| thing.kind == Kind::Address);
    (address && untried).then_some(Action::PowerDown)
}

fn not_asked() -> Unreadable {
    Unreadable { because: Blindness::NotAsked, why: "not looked at".into() }
}

fn clock_time(at: Timestamp) -> impl fmt::Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}
