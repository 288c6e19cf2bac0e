//! `deploy`: create or update the platform with Terraform.

use std::time::Duration;

use tokio::time::Instant;

use super::{Context, Subcommand, ask};
use crate::answer::{Answer, Settled};
use crate::domain::changes::{Changes, Data, Deed, Wanted};
use crate::domain::condition::spares_meetings;
use crate::domain::cost::Cost;
use crate::domain::estimate::levels;
use crate::domain::goal::{Goal, Level};
use crate::domain::observed::{Architecture, Observed};
use crate::domain::view::View;
use crate::engine::{self, Job};
use crate::error::{Failure, Kind, Outcome};
use crate::outside::Platform;
use crate::world::{Planned, TerraformError};

/// Create or update the platform with Terraform
///
/// Shows Terraform's plan, asks, and applies exactly that plan. Nothing is started or stopped. Finds `terraform` or
/// `tofu` (1.11 or newer) on the PATH; the modules ship inside meetctl. The first time, a bucket is made for
/// Terraform's state. A plan that would delete data, or touch what is another project's, is refused (exit code 5).
///
/// Example: `meetctl deploy --yes`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Apply a plan even if it deletes recordings, secrets, logs or the zone
    #[arg(long)]
    allow_destroying_data: bool,

    /// Take over the recordings bucket that an earlier platform left, though its tags do not name it
    #[arg(long)]
    adopt_recordings: bool,
}

/// A certificate is issued within minutes; a first deployment takes about five. When the name's zone has yet to be
/// delegated, it may take longer, and the same command continues.
const LIMIT: Duration = Duration::from_mins(30);
const GOAL: Goal = Goal::AtLeastStandby;

impl Subcommand for Args {
    const NAME: &'static str = "deploy";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.tell_account().await?;
        let job = cx.job(LIMIT);
        let seen = engine::survey(job, GOAL).await?;
        if let Some(why) = seen.service.unreadable() {
            return Err(Failure::new(why.because.into(), "whether there is a platform could not be read")
                .because(why.to_string())
                .next(crate::error::advice(why.because)));
        }
        let planned = if let Some(planned) = planned(self, cx, job, &seen).await? {
            planned
        } else {
            make_state_bucket(cx, job, &seen).await?;
            planned_again(self, cx, job, &seen).await?
        };
        refuse_a_lost_state(&planned.changes, &seen)?;
        spare_a_meeting(&planned.changes, &seen, cx)?;
        let before = Cost::of(&seen).per_hour;
        let standby = &levels(ZONES, Architecture::X86)[1];
        let changed = !planned.changes.resources.is_empty();
        if changed {
            let question = format!(
                "Apply exactly this plan ({})? At rest the platform costs {before} an hour now, and {} an hour then: {} a \
                 month, until it is powered down.",
                planned.changes, standby.per_hour, standby.per_month
            );
            ask::agree(cx, "deploy", &question).await?;
        }
        engine::apply(job, planned, &seen).await?;
        let outcome = engine::reach(job, GOAL).await?;
        if !changed {
            return Ok(outcome);
        }
        cx.say.answer(Answer::Settled(Settled {
            level: Level::Standby,
            before,
            per_hour: standby.per_hour,
            per_month: standby.per_month,
            kept: Vec::new(),
            back: "`meetctl up` starts it; `meetctl power-down` rests it at almost no cost".into(),
        }));
        Ok(Outcome::Done)
    }
}

/// The load balancer's zones, unless the module's variables say otherwise.
const ZONES: u32 = 2;

/// The plan; `None` when there is no state bucket, and nothing that one could have known of.
async fn planned(args: &Args, cx: &Context, job: Job<'_>, seen: &Observed) -> Result<Option<Planned>, Failure> {
    let data = if args.allow_destroying_data { Data::MayGo } else { Data::Stays };
    let adopt_recordings =
        args.adopt_recordings || (seen.service.is_absent() && kept_recordings(cx, job).await?.is_some());
    let wanted = Wanted::Deployed { adopt_recordings, data };
    match engine::preview(job, wanted, seen).await {
        // The list of tags may name a bucket for a while after it was deleted.
        Err(failure) if adopt_recordings && !args.adopt_recordings && failure.what == nothing_to_adopt() => {
            engine::preview(job, Wanted::Deployed { adopt_recordings: false, data }, seen).await
        }
        other => other,
    }
}

async fn kept_recordings(cx: &Context, job: Job<'_>) -> Result<Option<String>, Failure> {
    Ok(engine::again(job, Instant::now() + job.timeout, || cx.at.world.cloud.kept()).await?.recordings)
}

fn nothing_to_adopt() -> String {
    Failure::from(TerraformError::of("Cannot import non-existent remote object")).what
}

async fn planned_again(args: &Args, cx: &Context, job: Job<'_>, seen: &Observed) -> Result<Planned, Failure> {
    planned(args, cx, job, seen).await?.ok_or_else(|| {
        Failure::new(Kind::Outside, "the bucket for Terraform's state was made, and cannot be seen yet")
            .next("wait a minute, then run the same command again; it continues where it stopped")
    })
}

/// Before everything else, and with a state of its own: `destroy` cannot take away the ground it stands on.
async fn make_state_bucket(cx: &Context, job: Job<'_>, seen: &Observed) -> Result<(), Failure> {
    let Some(planned) = engine::preview(job, Wanted::StateBucket, seen).await? else { return Ok(()) };
    let question = "Make a bucket for Terraform's state? It costs cents a year, and outlives the platform.";
    ask::agree(cx, "deploy", question).await?;
    engine::apply(job, planned, seen).await?;
    Ok(())
}

/// A state that does not know what is there would make everything a second time, and fail half-way.
fn refuse_a_lost_state(changes: &Changes, seen: &Observed) -> Result<(), Failure> {
    let creates_service =
        changes.resources.iter().any(|c| c.address == "aws_ecs_service.this" && c.deed == Deed::Create);
    if !creates_service || seen.service.present().is_none() {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, "Terraform's state does not know the platform that is there")
        .because("it would create an ECS service that exists already")
        .next("check account, region and name: `meetctl config show --origin`")
        .next("if the state was lost: docs/restore.md tells how to bring it back"))
}

/// A new task definition, or a change of the service, replaces the running task.
fn spare_a_meeting(changes: &Changes, seen: &Observed, cx: &Context) -> Result<(), Failure> {
    let restarts = changes.resources.iter().any(|c| c.kind == "aws_ecs_service" || c.kind == "aws_ecs_task_definition");
    if restarts && seen.live_tasks().next().is_some() {
        spares_meetings(&View::single(seen, &cx.at.policy))?;
        cx.say.warn("the platform runs: this replaces its task, which takes some minutes");
    }
    Ok(())
}
