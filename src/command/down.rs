//! `down`: stop the platform, unless people are in a meeting.

use std::time::Duration;

use super::{Context, Subcommand};
use crate::domain::goal::Goal;
use crate::domain::plan::{Meetings, Policy};
use crate::engine::{self, Job};
use crate::error::{Failure, Outcome};
use crate::outside::Platform;

/// Stop the platform, unless people are in a meeting
///
/// Sets the desired count to 0 and waits until no task is left. Refuses (exit code 5) while people are in a meeting,
/// and when that cannot be told. Never creates anything: what is powered down stays powered down.
///
/// Example: `meetctl down --when-empty --timeout 2h`
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["scale-down", "stop"])]
pub struct Args {
    /// Wait until nobody is in a meeting, then stop
    #[arg(long, conflicts_with = "cut_meetings")]
    when_empty: bool,

    /// Stop although people are in a meeting, or may be
    #[arg(long)]
    cut_meetings: bool,
}

const LIMIT: Duration = Duration::from_mins(10);
/// Meetings last; then it stops.
const LIMIT_WHEN_EMPTY: Duration = Duration::from_hours(6).saturating_add(LIMIT);

impl Args {
    fn longest(&self) -> Duration {
        if self.when_empty { LIMIT_WHEN_EMPTY } else { LIMIT }
    }

    fn meetings(&self) -> Meetings {
        match (self.when_empty, self.cut_meetings) {
            (true, _) => Meetings::Await,
            (_, true) => Meetings::Cut,
            (false, false) => Meetings::Respect,
        }
    }
}

impl Subcommand for Args {
    const NAME: &'static str = "down";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(self.longest())
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.tell_account().await?;
        let policy = Policy { meetings: self.meetings(), ..cx.at.policy.clone() };
        engine::reach(Job { policy: &policy, ..cx.job(self.longest()) }, Goal::AtMostStandby).await
    }
}
