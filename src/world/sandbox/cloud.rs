//! The sandbox's AWS account.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rand_chacha::ChaCha8Rng;
use tokio::time::sleep;

use super::chance::{between, rng};
use super::estate::Bucket;
use super::ground::Ground;
use super::model::{ACCOUNT, Model, PLATFORM};
use super::stories::THROTTLED;
use crate::domain::billed::Billed;
use crate::domain::name::{DeploymentId, TargetGroupArn, TaskId};
use crate::domain::observed::{Balancer, Identity, Mark, Occupancy, Record, Secret, Service, Target, Task};
use crate::world::{Cloud, CloudError, CloudErrorKind, Kept};

/// How long a sign-in lasts.
const SIGNED_IN: SignedDuration = SignedDuration::from_hours(8);
/// How long the SDK tries before it says that it was asked to slow down.
const RETRIES: Duration = Duration::from_millis(1_600);
/// How long it waits for an endpoint that does not answer.
const SILENCE: Duration = Duration::from_secs(10);

/// The sandbox as `Cloud`.
pub(super) struct SandboxCloud {
    ground: Arc<Ground>,
    latency: Mutex<ChaCha8Rng>,
    signed_in: Timestamp,
}

impl SandboxCloud {
    pub(super) fn new(ground: Arc<Ground>, seed: u64) -> Self {
        let signed_in = ground.clock.now();
        Self { ground, latency: Mutex::new(rng(seed, "cloud.latency")), signed_in }
    }

    /// Makes a call: it takes its time, the story may refuse it, and half-way it meets the platform.
    async fn call<T>(
        &self,
        what: &str,
        meet: impl FnOnce(&mut Model, Timestamp) -> Result<T, CloudErrorKind> + Send,
    ) -> Result<T, CloudError> {
        let latency = between(&mut self.latency.lock().unwrap_or_else(PoisonError::into_inner), 40..=120);
        let half = Duration::from_millis(latency) / 2;
        if let Some(refusal) = self.refusal(what) {
            sleep(match refusal.kind {
                CloudErrorKind::Unreachable => SILENCE,
                CloudErrorKind::Throttled => RETRIES + half * 2,
                _ => half * 2,
            })
            .await;
            return Err(refusal);
        }
        sleep(half).await;
        let answer = self.ground.change_account(meet);
        sleep(half).await;
        answer.map_err(|kind| CloudError {
            kind,
            what: what.to_owned(),
            why: "ServiceNotFoundException: Service not found.".into(),
        })
    }

    /// How AWS refuses a call, when it does.
    fn refusal(&self, what: &str) -> Option<CloudError> {
        let slow = what.starts_with("ecs:") && self.ground.read(Model::is_throttled);
        let story = self.ground.story.aws.as_ref();
        if slow { Some(&THROTTLED) } else { story }?.of(what)
    }

    async fn read<T>(&self, what: &str, look: impl FnOnce(&Model, Timestamp) -> T + Send) -> Result<T, CloudError> {
        self.call(what, |model, now| Ok(look(model, now))).await
    }

    /// Changes the service, if there is one.
    async fn write<T>(
        &self,
        what: &str,
        change: impl FnOnce(&mut Model, Timestamp) -> T + Send,
    ) -> Result<T, CloudError> {
        let meet = |model: &mut Model, now| {
            if model.stack.service { Ok(change(model, now)) } else { Err(CloudErrorKind::Gone) }
        };
        self.call(what, meet).await
    }
}

#[async_trait]
impl Cloud for SandboxCloud {
    async fn identity(&self) -> Result<Identity, CloudError> {
        let account = self.ground.story.account;
        let role = "AWSReservedSSO_JitsiOperator_0123456789abcdef";
        let identity = Identity {
            account: account.parse().expect("twelve digits"),
            arn: format!("arn:aws:sts::{account}:assumed-role/{role}/operator@example.org"),
            expires: self.signed_in.saturating_add(SIGNED_IN).ok(),
        };
        self.read("sts:GetCallerIdentity", |_, _| identity).await
    }

    async fn service(&self) -> Result<Option<Service>, CloudError> {
        let story = self.ground.story;
        self.read("ecs:DescribeServices", |model, now| {
            model.service(if story.stale_reads { model.stale_view(now) } else { now })
        })
        .await
    }

    async fn tasks(&self) -> Result<Vec<Task>, CloudError> {
        self.read("ecs:ListTasks", Model::tasks).await
    }

    async fn balancer(&self) -> Result<Option<Balancer>, CloudError> {
        self.read("elasticloadbalancing:DescribeLoadBalancers", |model, _| model.balancer()).await
    }

    async fn targets(&self, group: &TargetGroupArn) -> Result<Option<Vec<Target>>, CloudError> {
        self.read("elasticloadbalancing:DescribeTargetHealth", |model, now| model.targets(group, now)).await
    }

    async fn record(&self) -> Result<Option<Record>, CloudError> {
        self.read("route53:ListResourceRecordSets", |model, _| model.record()).await
    }

    async fn secret(&self) -> Result<Option<Secret>, CloudError> {
        self.read("secretsmanager:DescribeSecret", |model, _| model.secret()).await
    }

    async fn occupancy(&self, since: Timestamp) -> Result<Option<Occupancy>, CloudError> {
        self.read("logs:FilterLogEvents", |model, now| model.occupancy(since, now)).await
    }

    async fn log_tail(&self, task: &TaskId, container: &str, lines: u16) -> Result<Option<Vec<String>>, CloudError> {
        self.read("logs:GetLogEvents", |model, now| model.log_tail(task, container, lines, now)).await
    }

    async fn start(&self) -> Result<DeploymentId, CloudError> {
        self.write("ecs:UpdateService", Model::start).await
    }

    async fn stop(&self) -> Result<(), CloudError> {
        self.write("ecs:UpdateService", Model::stop).await
    }

    async fn mark(&self, mark: &Mark) -> Result<(), CloudError> {
        self.write("ecs:TagResource", |model, now| model.mark(now, mark)).await
    }

    async fn billed(&self) -> Result<Vec<Billed>, CloudError> {
        self.read("tag:GetResources", |model, _| model.billed()).await
    }

    async fn kept(&self) -> Result<Kept, CloudError> {
        self.read("tag:GetResources", |model, _| {
            let estate = &model.stack.estate;
            let bucket = |there: bool, what: &str| there.then(|| format!("{PLATFORM}-{what}-{ACCOUNT}"));
            Kept {
                recordings: bucket(estate.has_recordings(), "recordings"),
                state: bucket(estate.kept.contains(&Bucket::State), "tfstate"),
            }
        })
        .await
    }

    async fn remove_balancer(&self, arn: &str) -> Result<(), CloudError> {
        self.call("elasticloadbalancing:DeleteLoadBalancer", |model, _| {
            model.stack.estate.strays.remove(arn);
            Ok(())
        })
        .await
    }

    async fn unprotect(&self, tasks: &[TaskId]) -> Result<(), CloudError> {
        self.write("ecs:UpdateTaskProtection", |model, now| model.unprotect(now, tasks)).await
    }
}
