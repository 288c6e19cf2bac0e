//! `destroy`: remove the platform, and prove that nothing of it bills.

use std::time::Duration;

use tokio::time::Instant;

use super::{Context, Subcommand, ask};
use crate::answer::{Answer, Settled};
use crate::domain::changes::{Recordings, Wanted};
use crate::domain::cost::{Cost, Money};
use crate::domain::goal::{Goal, Level};
use crate::domain::observed::Observed;
use crate::domain::plan::{Policy, plan};
use crate::domain::view::View;
use crate::engine::{self, Job};
use crate::error::{Failure, Outcome};
use crate::outside::Platform;

/// Remove the platform, and prove that nothing of it bills
///
/// Stops the platform first, and refuses (exit code 5) while people are in a meeting. Needs the platform's account.
/// Recordings are kept unless --delete-recordings says otherwise; the bucket with Terraform's state is always kept. A
/// network load balancer that is shown to be the platform's, and that Terraform does not know, is named in the question
/// and deleted first. In the end everything with an
/// hourly price that carries the project's tags is looked for; what is left, or not shown to be ours, is listed, not
/// touched, and ends with exit code 8.
///
/// Example: `meetctl destroy --confirm jitsi-video-platform`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The platform's name, instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,

    /// Delete the recordings, too. They cannot be brought back
    #[arg(long)]
    delete_recordings: bool,
}

/// Removing everything takes about five minutes; Terraform may need longer.
const LIMIT: Duration = Duration::from_mins(30);
const GOAL: Goal = Goal::Destroyed;

impl Subcommand for Args {
    const NAME: &'static str = "destroy";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        ask::account(cx, "destroy")?;
        let recordings = if self.delete_recordings { Recordings::Deleted } else { Recordings::Kept };
        let policy = Policy { recordings, ..cx.at.policy.clone() };
        let job = Job { policy: &policy, ..cx.job(LIMIT) };
        let seen = engine::survey(job, GOAL).await?;
        let steps = plan(&View::single(&seen, &policy), GOAL)?.steps;
        let planned = engine::preview(job, Wanted::Removed { recordings }, &seen).await?;
        let shown = planned.map(|p| p.changes);
        let named = ask::Named::of(&seen, &policy, shown.as_ref());
        let policy = Policy { agreed: Some(named.agreed.clone()), ..policy.clone() };
        let job = Job { policy: &policy, shown: shown.as_ref(), ..job };
        let nothing = shown.as_ref().is_none_or(|c| c.resources.is_empty()) && !named.has_leftovers();
        if nothing && steps.iter().all(|step| step.action.is_none()) {
            return engine::reach(job, GOAL).await;
        }
        let fate = match recordings {
            Recordings::Kept => "Its recordings are kept.",
            Recordings::Deleted => "Its recordings are deleted, too, and cannot be brought back.",
        };
        let before = Cost::of(&seen).per_hour;
        let question =
            format!("Remove {} and everything above? It costs {before} an hour now. {fate}", cx.at.config.name);
        ask::type_name(cx, self.confirm.as_deref(), &named.told(cx, &question)).await?;
        let outcome = engine::reach(job, GOAL).await?;
        let bucket = kept(recordings, cx, job, &seen).await?;
        cx.say.answer(Answer::Settled(Settled {
            level: Level::Destroyed,
            before,
            per_hour: Money(0),
            per_month: Money(0),
            kept: bucket.into_iter().chain(["the bucket with Terraform's state".to_owned()]).collect(),
            back: "`meetctl deploy` makes it anew, and takes kept recordings over".into(),
        }));
        Ok(outcome)
    }
}

/// A bucket that an earlier removal kept is not Terraform's any more, and stays.
async fn kept(recordings: Recordings, cx: &Context, job: Job<'_>, seen: &Observed) -> Result<Option<String>, Failure> {
    let managed = seen.managed.present().is_some_and(|m| m.iter().any(|a| a == "aws_s3_bucket.recordings"));
    if recordings == Recordings::Deleted && managed {
        return Ok(None);
    }
    let kept = engine::again(job, Instant::now() + job.timeout, || cx.at.world.cloud.kept()).await?;
    Ok(kept.recordings.map(|bucket| format!("the bucket with recordings, {bucket}")))
}
