//! The load balancer reaches the task, by its own health checks.

use std::net::IpAddr;
use std::time::Duration;

use super::judged::with;
use super::task::SETTLED;
use super::{Judged, PLAIN, Rule, Source, Verdict, View};
use crate::domain::observed::{Health, Target, TargetState, between};
use crate::domain::stack;
use crate::domain::text::list;

pub(super) const HEALTHY: Rule = Rule {
    name: "targets",
    says: "the load balancer reaches the task",
    unsays: "the load balancer does not reach the task",
    needs: &[Source::Targets],
    within: Duration::from_mins(7),
    every: Duration::from_millis(1_600),
    cheap: true,
    judge: healthy,
    evidence: |view| {
        view.seen.targets.present().map(|groups| {
            let each = groups.iter().flat_map(|g| {
                g.targets.iter().map(move |t| format!("{} {}:{} {}", g.container, t.address, t.port, t.state))
            });
            list(each, "; ")
        })
    },
    advice: |_| {
        vec![
            format!("check the health checks of the target groups: {}", stack::HEALTH_CHECKS),
            "check that the task's security group admits the load balancer".into(),
        ]
    },
    ..PLAIN
};

fn healthy(view: &View<'_>) -> Judged {
    let absent = ("no-target-group", "the service has no target group: the platform is powered down");
    with(&view.seen.targets, absent, |groups| {
        if groups.is_empty() {
            return Verdict::Fails("the service is attached to no target group".into()).code("no-target-group");
        }
        let address = view.task().and_then(|t| t.address);
        let long_healthy = has_long_been_healthy(view);
        Judged::worst(groups.iter().map(|group| {
            let label = format!("{}:{}", group.container, group.port);
            match target_of(&group.targets, address) {
                None => Verdict::Waits(format!("{label}: the task is not registered yet")).code("target-missing"),
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

fn has_long_been_healthy(view: &View<'_>) -> bool {
    let Some(task) = view.task().filter(|t| t.is_running() && t.health == Health::Healthy) else { return false };
    let watched = view.memory.healthy_since.as_ref().filter(|(id, _)| *id == task.id).map(|(_, since)| *since);
    let settled = task.started.map(|at| at + SETTLED);
    [watched, settled].into_iter().flatten().any(|since| between(since, view.seen.at) >= LONG_HEALTHY)
}

fn target_healthy(label: &str, target: &Target, long_healthy: bool) -> Judged {
    let reason = target.reason.as_deref().unwrap_or("no reason given");
    let waits = |state: &str, code| Verdict::Waits(format!("{label}: {state} ({reason})")).code(code);
    match target.state {
        TargetState::Healthy => Verdict::Holds.into(),
        TargetState::Initial => waits("initial", "target-initial"),
        TargetState::Unhealthy if long_healthy => Verdict::Fails(format!(
            "{label}: the containers call themselves healthy, and the load balancer finds the task unhealthy ({reason})"
        ))
        .code("target-unhealthy"),
        TargetState::Unhealthy => waits("unhealthy", "target-unhealthy"),
        TargetState::Unused => waits("unused", "target-unused"),
        TargetState::Draining => waits("draining", "target-draining"),
        TargetState::Unavailable => waits("its health is unavailable", "target-health-unavailable"),
    }
}
