//! The ECS service and the load balancer.

use std::time::Duration;

use super::judged::with;
use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::action::Action;
use crate::domain::observed::{BalancerState, Reading, ServiceStatus};
use crate::domain::text::list;

pub(super) const ACTIVE: Rule = Rule {
    name: "service",
    says: "the ECS service is active",
    unsays: "the ECS service is not active",
    needs: &[Source::Service],
    within: Duration::from_secs(30),
    cheap: true,
    judge: active,
    evidence: |view| view.seen.service.present().map(|s| format!("desired {}, running {}", s.desired, s.running)),
    advice: |_| lines(&["create the platform: `meetctl deploy`"]),
    ..PLAIN
};

fn active(view: &View<'_>) -> Judged {
    let absent = ("no-service", "there is no ECS service of this platform");
    with(&view.seen.service, absent, |service| match service.status {
        ServiceStatus::Active => Verdict::Holds.into(),
        ServiceStatus::Draining | ServiceStatus::Inactive => {
            Verdict::Fails("the service is being deleted".into()).code("service-deleted")
        }
    })
}

pub(super) const BALANCER_ACTIVE: Rule = Rule {
    name: "load-balancer",
    says: "the load balancer is active",
    unsays: "the load balancer is not active",
    needs: &[Source::Balancer, Source::Service],
    cheap: true,
    judge: balancer_active,
    evidence: |view| {
        view.seen.balancer.present().map(|b| {
            let listeners: Vec<String> = b.listeners.iter().map(|l| format!("{} {}", l.protocol, l.port)).collect();
            format!("{}: {}", b.dns_name, list(listeners, ", "))
        })
    },
    remedy: |view| {
        let missing = match &view.seen.balancer {
            Reading::Present(balancer) => balancer.listeners.is_empty() || is_detached(view),
            Reading::Absent => true,
            Reading::Unreadable(_) => false,
        };
        (missing && view.memory.terraformed.is_none()).then_some(Action::Restore)
    },
    advice: |_| lines(&["bring the load balancer back: `meetctl up`, or `meetctl deploy`"]),
    ..PLAIN
};

pub(super) fn balancer_active(view: &View<'_>) -> Judged {
    let absent = ("powered-down", "there is no load balancer: the platform is powered down");
    with(&view.seen.balancer, absent, |balancer| match balancer.state {
        BalancerState::Active if balancer.listeners.is_empty() => {
            Verdict::Fails("the load balancer has no listener".into()).code("no-listener")
        }
        BalancerState::Active if is_detached(view) => {
            Verdict::Fails("the service does not register its tasks with the load balancer".into())
                .code("service-detached")
        }
        BalancerState::Active => Verdict::Holds.into(),
        BalancerState::Impaired => {
            Verdict::Warns("AWS calls the load balancer active_impaired".into()).code("balancer-impaired")
        }
        BalancerState::Provisioning => {
            Verdict::Waits("AWS is still creating the load balancer".into()).code("balancer-provisioning")
        }
        BalancerState::Failed => Verdict::Fails("AWS calls the load balancer failed".into()).code("balancer-failed"),
    })
}

/// Terraform attaches the service to the target groups after it has made the load balancer.
pub fn is_detached(view: &View<'_>) -> bool {
    view.seen.service.present().is_some_and(|s| s.target_groups.is_empty())
}
