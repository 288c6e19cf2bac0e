//! `why`: the root cause of the last failed start.

use std::time::Duration;

use super::{Context, Subcommand};
use crate::answer::{Answer, Why};
use crate::domain::cause;
use crate::domain::condition::Condition;
use crate::domain::observed::{Observed, Reading};
use crate::domain::plan::exists;
use crate::domain::view::View;
use crate::engine::{Look, log_of, observe, sign_in};
use crate::error::{Failure, Kind, Outcome, advice};
use crate::outside::Platform;

/// Name the root cause of the last failed start
///
/// Reads what ECS still shows of the service, its events and its stopped tasks, and says in plain words what went
/// wrong, with the last lines of the container concerned and what to do. ECS forgets a stopped task after about an
/// hour.
///
/// Example: `meetctl why`
#[derive(Debug, clap::Args)]
pub struct Args {}

const LIMIT: Duration = Duration::from_secs(30);

impl Subcommand for Args {
    const NAME: &'static str = "why";
    type Place = Platform;
    const ONLY_LOOKS: bool = true;

    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.unless_stopped(Box::pin(self.explained(cx))).await
    }
}

impl Args {
    async fn explained(&self, cx: &Context) -> Result<Outcome, Failure> {
        let mut seen = Observed::nothing(cx.at.world.clock.now());
        seen.identity = sign_in(&cx.at.world, &cx.at.policy).await?;
        let seen = observe(
            &cx.at.world,
            &cx.at.sight,
            &Look::at([&Condition::Started, &Condition::PlatformThere]),
            seen,
            &cx.stop,
        )
        .await;
        if let Some(unseen) = seen.service.unreadable().or(seen.tasks.unreadable()) {
            return Err(Failure::new(Kind::Unseen, "the service and its tasks could not be read")
                .because(unseen.why.clone())
                .next(advice(unseen.because)));
        }
        exists(&View::single(&seen, &cx.at.policy))?;
        cx.say.answer(Answer::Why(answer(cx, &seen).await));
        Ok(Outcome::Done)
    }
}

/// Without a failed start: what stood in the way of the one that runs well now, or that nothing is to be seen.
fn nothing_failed(seen: &Observed) -> String {
    let overcome = || {
        let (service, tasks, deployment) = (seen.service.present()?, seen.tasks.present()?, seen.deployment()?);
        cause::overcome(service, tasks, deployment)
    };
    match overcome() {
        Some(cause) => format!(
            "the platform runs, and its task is healthy; before that, at {}: {} ({})",
            cause.at.strftime("%H:%M UTC"),
            cause.what,
            cause.evidence
        ),
        None => "no failed start is to be seen; ECS shows stopped tasks for about an hour only".into(),
    }
}

async fn answer(cx: &Context, seen: &Observed) -> Why {
    let found = match (&seen.service, &seen.tasks) {
        (Reading::Present(service), Reading::Present(tasks)) => cause::last(service, tasks, seen.at),
        _ => None,
    };
    let Some((deployment, cause)) = found else {
        return Why { deployment: None, cause: None, log: None, note: Some(nothing_failed(seen)) };
    };
    let (log, note) = match log_of(&cx.at.world, &cause).await {
        Ok(log) => (log, None),
        Err(failure) => (None, Some(format!("the container's log could not be read: {}", failure.what))),
    };
    Why { deployment: Some(deployment.to_string()), cause: Some(cause), log, note }
}
