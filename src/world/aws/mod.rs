//! The AWS account behind the port `Cloud`: the only place that names `aws_sdk_*`.

mod billed;
mod client;
mod convert;
mod ecs;
mod elb;
mod error;
mod identity;
mod logs;
mod route53;
mod secrets;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;

pub use self::client::{Settings, cloud, with_config};
use self::error::Explain;
use self::identity::Keeper;
pub use self::logs::occupancy_line;
use super::{Cloud, CloudError, Kept, Keys};
use crate::domain::billed::Billed;
use crate::domain::name::{DeploymentId, Host, Names, TargetGroupArn, TaskId};
use crate::domain::observed::{Balancer, Identity, Mark, Occupancy, Record, Secret, Service, Target, Task};

/// The account, region and platform that a run works on.
///
/// Not `Debug`: the SDK's configuration holds the text of the profiles, keys included.
pub struct Aws {
    names: Names,
    host: Host,
    explain: Explain,
    keeper: Arc<Keeper>,
    ecs: aws_sdk_ecs::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    route53: aws_sdk_route53::Client,
    secrets: aws_sdk_secretsmanager::Client,
    tags: aws_sdk_resourcegroupstagging::Client,
    sts: aws_sdk_sts::Client,
    /// The ARN of the service as it was last seen: tags are written by ARN.
    service_arn: Mutex<Option<String>>,
}

/// The IAM actions that each call of the port needs. The reference page of permissions is made of this.
pub const ACTIONS: &[(&str, &[&str])] = &[
    ("identity", &["sts:GetCallerIdentity"]),
    ("service", &["ecs:DescribeServices"]),
    ("tasks", &["ecs:DescribeTasks", "ecs:ListTasks"]),
    ("balancer", &["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeLoadBalancers"]),
    ("targets", &["elasticloadbalancing:DescribeTargetHealth"]),
    ("record", &["route53:ListHostedZonesByName", "route53:ListResourceRecordSets"]),
    ("secret", &["secretsmanager:DescribeSecret"]),
    ("occupancy", &["logs:FilterLogEvents"]),
    ("log_tail", &["logs:GetLogEvents"]),
    ("start", &["ecs:UpdateService"]),
    ("stop", &["ecs:UpdateService"]),
    ("mark", &["ecs:DescribeServices", "ecs:TagResource"]),
    ("billed", &["ecs:DescribeTasks", "elasticloadbalancing:DescribeLoadBalancers", "tag:GetResources"]),
    ("kept", &["tag:GetResources"]),
    ("remove_balancer", &["elasticloadbalancing:DeleteLoadBalancer"]),
    ("unprotect", &["ecs:UpdateTaskProtection"]),
];

impl Aws {
    /// The credentials that these calls are made with, for a program that acts for us.
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::<Keeper>::clone(&self.keeper)
    }
}

#[async_trait]
impl Cloud for Aws {
    async fn identity(&self) -> Result<Identity, CloudError> {
        identity::identity(self).await
    }

    async fn service(&self) -> Result<Option<Service>, CloudError> {
        ecs::service(self).await
    }

    async fn tasks(&self) -> Result<Vec<Task>, CloudError> {
        ecs::tasks(self).await
    }

    async fn balancer(&self) -> Result<Option<Balancer>, CloudError> {
        elb::balancer(self).await
    }

    async fn targets(&self, group: &TargetGroupArn) -> Result<Option<Vec<Target>>, CloudError> {
        elb::targets(self, group).await
    }

    async fn record(&self) -> Result<Option<Record>, CloudError> {
        route53::record(self).await
    }

    async fn secret(&self) -> Result<Option<Secret>, CloudError> {
        secrets::secret(self).await
    }

    async fn occupancy(&self, since: Timestamp) -> Result<Option<Occupancy>, CloudError> {
        logs::occupancy(self, since).await
    }

    async fn log_tail(&self, task: &TaskId, container: &str, lines: u16) -> Result<Option<Vec<String>>, CloudError> {
        logs::log_tail(self, task, container, lines).await
    }

    async fn start(&self) -> Result<DeploymentId, CloudError> {
        ecs::start(self).await
    }

    async fn stop(&self) -> Result<(), CloudError> {
        ecs::stop(self).await
    }

    async fn mark(&self, mark: &Mark) -> Result<(), CloudError> {
        ecs::mark(self, mark).await
    }

    async fn billed(&self) -> Result<Vec<Billed>, CloudError> {
        billed::billed(self).await
    }

    async fn kept(&self) -> Result<Kept, CloudError> {
        billed::kept(self).await
    }

    async fn remove_balancer(&self, arn: &str) -> Result<(), CloudError> {
        billed::remove_balancer(self, arn).await
    }

    async fn unprotect(&self, tasks: &[TaskId]) -> Result<(), CloudError> {
        ecs::unprotect(self, tasks).await
    }
}
