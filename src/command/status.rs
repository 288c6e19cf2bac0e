//! `status`: where the platform stands.

use std::time::Duration;

use tokio::time::sleep;

use super::{Context, Subcommand};
use crate::answer::Answer;
use crate::domain::goal::Level;
use crate::domain::observed::Observed;
use crate::domain::standing::Standing;
use crate::domain::status::Status;
use crate::domain::view::View;
use crate::engine::{Look, observe, sign_in};
use crate::error::{Failure, Outcome};
use crate::outside::{Hold, Platform};

/// Say where the platform stands, what it costs, and what could not be read
///
/// Answers in one screen: the level, since when and by whom, people, task and containers, targets, DNS, certificate,
/// and the cost of this hour; also what else costs and carries the project's tags. What could not be read is called
/// unknown, never off. Exit code 9 says that the level itself cannot be told, 8 that there is no such platform.
///
/// Example: `meetctl status --expect standby`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with code 8 unless the platform is at this level: running, standby, powered-down or destroyed
    #[arg(long, value_name = "LEVEL")]
    expect: Option<Level>,

    /// Look again and again until Ctrl-C; with --expect, until the level is reached
    #[arg(long)]
    watch: bool,

    /// How long to wait between two looks of --watch
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::config::span)]
    every: Duration,
}

const LIMIT: Duration = Duration::from_secs(15);

impl Subcommand for Args {
    const NAME: &'static str = "status";
    type Place = Platform;
    const ONLY_LOOKS: bool = true;
    const HOLD: Hold = Hold::WhileRead;

    /// Whoever watches ends it.
    fn limit(&self) -> Option<Duration> {
        (!self.watch).then_some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.unless_stopped(Box::pin(self.watched(cx))).await
    }
}

impl Args {
    async fn watched(&self, cx: &Context) -> Result<Outcome, Failure> {
        let mut seen = Observed::nothing(cx.at.world.clock.now());
        seen.identity = sign_in(&cx.at.world, &cx.at.policy).await?;
        loop {
            let status;
            (seen, status) = look(cx, seen).await;
            let outcome = judge(&status, self.expect);
            if !self.watch || (self.expect.is_some() && outcome == Outcome::Done) {
                return Ok(outcome);
            }
            sleep(self.every).await;
        }
    }
}

/// One look, told as an answer.
async fn look(cx: &Context, last: Observed) -> (Observed, Status) {
    let seen = observe(&cx.at.world, &cx.at.sight, &Look::with_billed(), last, &cx.stop).await;
    let status =
        Status::of(&View::single(&seen, &cx.at.policy), cx.at.config.name.as_str(), &cx.at.sight.site.to_string());
    cx.say.answer(Answer::Status(status.clone()));
    (seen, status)
}

fn judge(status: &Status, expected: Option<Level>) -> Outcome {
    let good = match (&status.standing, expected) {
        (Standing::Unknown { .. }, _) => None,
        (standing, None) => Some(!matches!(standing, Standing::NoSuchPlatform(_))),
        (_, Some(level)) => status.is_at(level),
    };
    match good {
        None => Outcome::CannotTell,
        Some(true) => Outcome::Done,
        Some(false) => Outcome::Unhealthy,
    }
}
