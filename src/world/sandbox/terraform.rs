//! The sandbox's Terraform: plans over the model, and changes it one resource after the other, each in its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::estate::Bucket;
use super::ground::Ground;
use super::model::{PLATFORM, REGION};
use super::stories::TerraformFault;
use crate::domain::changes::{Change, Deed, Wanted};
use crate::domain::name::PlatformName;
use crate::domain::said::Said;
use crate::world::terraform::Lock;
use crate::world::{Errand, Outputs, Planned, Terraform, TerraformError};

/// How long a plan takes.
const COMPARING: Duration = Duration::from_secs(9);

/// The sandbox as `Terraform`.
pub(super) struct SandboxTerraform {
    ground: Arc<Ground>,
    platform: PlatformName,
}

impl SandboxTerraform {
    pub(super) fn new(ground: Arc<Ground>, other: Option<&PlatformName>) -> Self {
        let own = || PLATFORM.parse().expect("a platform's name");
        Self { ground, platform: other.cloned().unwrap_or_else(own) }
    }

    /// What every call begins with: the program, its version, and its state.
    async fn begin(&self, errand: &Errand<'_>, wanted: Option<Wanted>) -> Result<(), TerraformError> {
        match self.ground.story.terraform {
            Some(TerraformFault::Missing) => return Err(TerraformError::Missing),
            Some(TerraformFault::TooOld) => {
                return Err(TerraformError::TooOld {
                    program: "Terraform".into(),
                    found: "1.5".into(),
                    wanted: "1.11".into(),
                });
            }
            _ => {}
        }
        (errand.said)(Said::Doing { what: "Preparing Terraform's working folder.".into() });
        sleep(Duration::from_secs(3)).await;
        let has_state = self.ground.change_account(|model, _| model.stack.estate.kept.contains(&Bucket::State));
        if self.ground.is_elsewhere() && wanted == Some(Wanted::StateBucket) {
            return Err(TerraformError::Other {
                summary: "the sandbox has only its own platform".into(),
                detail: format!("{PLATFORM} in {REGION}: another one can neither be made nor kept here"),
                address: None,
            });
        }
        if !has_state && wanted != Some(Wanted::StateBucket) {
            return Err(TerraformError::StateGone { bucket: format!("{}-tfstate-{}", self.platform, errand.account) });
        }
        Ok(())
    }

    /// What the story has against a change.
    fn objection(&self, change: &Change) -> Option<TerraformError> {
        let making_balancer = change.kind == "aws_lb" && change.deed == Deed::Create;
        match self.ground.story.terraform {
            Some(TerraformFault::BalancersRefused) if making_balancer => Some(TerraformError::of(
                "OperationNotPermitted: This AWS account currently does not support creating load balancers. \
                 For more information, please contact AWS Support.",
            )),
            Some(TerraformFault::BreaksOff) if change.address == "aws_lb_listener.https[0]" => {
                let first = self.ground.change(|model, _| {
                    model.stack.estate.broken_off += 1;
                    model.stack.estate.broken_off == 1
                });
                first.then(|| TerraformError::Other {
                    summary: "creating ELBv2 Listener".into(),
                    detail: "api error ServiceUnavailable: the service is unavailable, please try again".into(),
                    address: Some(change.address.clone()),
                })
            }
            _ => None,
        }
    }
}

#[async_trait]
impl Terraform for SandboxTerraform {
    fn platform(&self) -> &PlatformName {
        &self.platform
    }

    async fn plan(&self, wanted: Wanted, errand: Errand<'_>) -> Result<Planned, TerraformError> {
        self.begin(&errand, Some(wanted)).await?;
        if self.ground.story.terraform == Some(TerraformFault::Locked) {
            sleep(Duration::from_secs(20)).await;
            return Err(TerraformError::Locked {
                lock: Lock {
                    id: "6b1a0a4e-8b3c-7d6b-0d2e-2f3c1b0a9d8e".into(),
                    who: "ada@workstation".into(),
                    operation: "apply".into(),
                    created: "2026-11-20 18:48:12 UTC".into(),
                },
            });
        }
        (errand.said)(Said::Doing { what: "Terraform compares what is with what should be.".into() });
        sleep(COMPARING).await;
        let changes = self.ground.change_account(|model, _| model.changes(wanted));
        Ok(Planned { wanted, changes, file: "plan".into() })
    }

    async fn apply(&self, planned: Planned, errand: Errand<'_>) -> Result<(), TerraformError> {
        for change in &planned.changes.resources {
            if errand.stop.is_cancelled() {
                return Err(TerraformError::Interrupted { saved: true });
            }
            let (address, deed) = (change.address.clone(), change.deed);
            let started = Instant::now();
            (errand.said)(Said::Started { address: address.clone(), deed });
            for _ in 0..how_long(change).as_secs() / 10 {
                sleep(Duration::from_secs(10)).await;
                (errand.said)(Said::Working { address: address.clone(), after: started.elapsed() });
            }
            sleep(Duration::from_secs(how_long(change).as_secs() % 10)).await;
            if let Some(objection) = self.objection(change) {
                (errand.said)(Said::Failed { address });
                return Err(objection);
            }
            self.ground.change_account(|model, now| model.carry_out(change, now));
            (errand.said)(Said::Finished { address, deed, took: started.elapsed() });
        }
        Ok(())
    }

    async fn managed(&self, errand: Errand<'_>) -> Result<Option<Vec<String>>, TerraformError> {
        match self.begin(&errand, None).await {
            Ok(()) => {}
            Err(TerraformError::StateGone { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        Ok(Some(self.ground.change_account(|model, _| model.stack.estate.made.iter().cloned().collect())))
    }

    async fn outputs(&self, errand: Errand<'_>) -> Result<Option<Outputs>, TerraformError> {
        let managed = self.managed(errand).await?;
        Ok(managed.filter(|m| !m.is_empty()).map(|_| Outputs {
            recordings_bucket: Some(format!("{}-recordings-{}", self.platform, errand.account)),
            name_servers: Vec::new(),
        }))
    }
}

/// About as long as AWS takes.
fn how_long(change: &Change) -> Duration {
    let seconds = match (change.kind.as_str(), change.deed) {
        ("aws_lb", Deed::Create) => 134,
        ("aws_acm_certificate", Deed::Create) => 62,
        ("aws_lb", Deed::Delete) => 18,
        ("aws_route53_record", _) => 31,
        (_, Deed::Keep | Deed::Adopt) => 0,
        _ => 2,
    };
    Duration::from_secs(seconds)
}
