//! The simulated platform at a moment, as AWS's answers tell it.

use jiff::Timestamp;

use super::chance::{after, between, rng};
use super::model::{Ask, Groups, Model, PLATFORM};
use super::task::PORTS;
use super::words;
use crate::domain::billed::Placement;
use crate::domain::name::{DeploymentId, TargetGroupArn};
use crate::domain::observed::{
    Attachment, Balancer, BalancerState, Deployment, DeploymentStatus, Listener, Record, Rollout, Secret, Service,
    ServiceStatus, Target, Task,
};
use crate::domain::ownership::Tags;

impl Model {
    /// The tags of everything that the platform's Terraform has made.
    pub(super) fn tags() -> Tags {
        Tags::of(&PLATFORM.parse().expect("a platform's name"), "production")
    }

    pub fn service(&self, now: Timestamp) -> Option<Service> {
        if !self.stack.service {
            return None;
        }
        let live = || self.jobs.iter().filter(|j| j.created <= now && !j.is_over(now));
        let running = live().filter(|j| j.last_status(now) == "RUNNING").count();
        let pending = live().filter(|j| !j.is_ending(now) && j.last_status(now) != "RUNNING").count();
        Some(Service {
            status: ServiceStatus::Active,
            desired: self.desired(now),
            running: count(running),
            pending: count(pending),
            deployments: self.deployments(now),
            events: self.diary(now),
            target_groups: self.attachments(),
            subnets: vec![SUBNET.into()],
            tags: Self::tags(),
            mark: self.marks.iter().rev().find(|(at, _)| *at <= now).map(|(_, mark)| mark.clone()),
        })
    }

    /// How far back a read of the service looks, in the story in which it does.
    pub fn stale_view(&self, now: Timestamp) -> Timestamp {
        let Some(ask) = self.governing(now) else { return now };
        let mut rng = rng(self.seed, &format!("ecs.stale.{}", ask.at));
        let lag = between(&mut rng, 3_000..=8_000);
        if now < after(ask.at, lag) { before(ask.at) } else { now }
    }

    pub fn tasks(&self, now: Timestamp) -> Vec<Task> {
        if !self.stack.service {
            return Vec::new();
        }
        self.jobs.iter().filter(|job| job.is_shown(now)).map(|job| job.task(now)).collect()
    }

    pub fn attachments(&self) -> Vec<Attachment> {
        if self.stack.groups != Groups::Attached {
            return Vec::new();
        }
        PORTS
            .iter()
            .map(|&(container, port)| Attachment { group: words::group(container), container: container.into(), port })
            .collect()
    }

    pub fn targets(&self, group: &TargetGroupArn, now: Timestamp) -> Option<Vec<Target>> {
        let (container, port) = PORTS.into_iter().find(|(container, _)| words::group(container) == *group)?;
        match self.stack.groups {
            Groups::Gone => None,
            Groups::Detached => Some(Vec::new()),
            Groups::Attached => Some(self.jobs.iter().filter_map(|job| job.target(container, port, now)).collect()),
        }
    }

    pub fn balancer(&self) -> Option<Balancer> {
        let balancer = self.stack.balancer.as_ref()?;
        Some(Balancer {
            arn: balancer.arn(),
            placement: at_home(),
            allocations: vec![ALLOCATION.into()],
            dns_name: balancer.dns_name.clone(),
            state: BalancerState::Active,
            created: Some(balancer.created),
            zones: 2,
            addresses: 2,
            listeners: vec![
                Listener { protocol: "TLS".into(), port: 443 },
                Listener { protocol: "UDP".into(), port: 10000 },
            ],
        })
    }

    pub fn record(&self) -> Option<Record> {
        let target = self.stack.record.as_ref()?;
        Some(Record {
            zone: super::dns::ZONE.into(),
            targets: vec![if self.stack.rests() { target.clone() } else { format!("{target}.") }],
        })
    }

    pub fn secret(&self) -> Option<Secret> {
        let name = "jitsi-video-platform-jitsi-secrets".to_owned();
        self.stack.secret.then_some(Secret { name, deleted: None })
    }

    fn deployments(&self, now: Timestamp) -> Vec<Deployment> {
        let mut made: Vec<(&Ask, &DeploymentId)> =
            self.asks.iter().filter(|a| a.at <= now).filter_map(|a| Some((a, a.deployment.as_ref()?))).collect();
        let Some((primary, id)) = made.pop() else { return Vec::new() };
        let older = made.into_iter().rev().filter(|(_, id)| {
            self.jobs.iter().any(|job| job.deployment == **id && job.created <= now && !job.is_over(now))
        });
        let older = older.map(|(ask, id)| self.deployment(ask, id, DeploymentStatus::Active, 0, now));
        let first = self.deployment(primary, id, DeploymentStatus::Primary, self.desired(now), now);
        std::iter::once(first).chain(older).collect()
    }

    fn deployment(
        &self,
        ask: &Ask,
        id: &DeploymentId,
        status: DeploymentStatus,
        desired: u32,
        now: Timestamp,
    ) -> Deployment {
        let own = self.jobs.iter().filter(|job| job.deployment == *id && job.created <= now);
        let running = own.filter(|job| job.last_status(now) == "RUNNING").count();
        let (rollout, reason) = if self.given_up(id, now).is_some() {
            (Rollout::Failed, "ECS deployment circuit breaker: tasks failed to start.".to_owned())
        } else if desired == 0 || self.completed(id, now).is_some() {
            (Rollout::Completed, format!("ECS deployment {id} completed."))
        } else {
            (Rollout::InProgress, format!("ECS deployment {id} in progress."))
        };
        Deployment {
            id: id.clone(),
            status,
            rollout,
            rollout_reason: Some(reason),
            desired,
            running: count(running),
            failed: count(self.failures(id, now).len()),
            created: ask.at,
        }
    }

    /// When a deployment was complete: its task ran, and was healthy everywhere.
    pub(super) fn completed(&self, id: &DeploymentId, now: Timestamp) -> Option<Timestamp> {
        let own = self.jobs.iter().filter(|job| job.deployment == *id);
        own.filter_map(super::task::Job::ready_at).find(|at| *at <= now)
    }
}

/// Where the platform stands.
const SUBNET: &str = "subnet-0a1b2c3d4e5f60718";
const VPC: &str = "vpc-0a1b2c3d4e5f60718";
pub(super) const ALLOCATION: &str = "eipalloc-0a1b2c3d4e5f60718";

pub(super) fn at_home() -> Placement {
    Placement { network: true, vpc: Some(VPC.into()), subnets: vec![SUBNET.into()] }
}

fn before(moment: Timestamp) -> Timestamp {
    moment.saturating_sub(jiff::SignedDuration::from_millis(1)).unwrap_or(Timestamp::MIN)
}

fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}
