//! `up`: bring the platform up and prove that it is.

use std::time::Duration;

use super::{Context, Subcommand};
use crate::domain::goal::Goal;
use crate::domain::plan::{Meetings, Policy};
use crate::engine::{self, Job};
use crate::error::{Failure, Outcome};
use crate::outside::Platform;

/// Start the platform and prove that it runs
///
/// From `powered-down`, Terraform first brings the load balancer back. Starts one task, then waits until every condition of `running` holds on a fresh look: the containers are healthy,
/// the load balancer reaches them, the name resolves, browsers trust the certificate, the pages are Jitsi's and
/// signalling answers. A start that is already under way is continued, whoever made it; when everything holds, nothing
/// is changed. A task that runs and is healthy is never replaced; where one that runs has to be, `up` refuses (exit code
/// 5) while people are in a meeting, and when that cannot be told.
///
/// Example: `meetctl up --timeout 10m`
#[derive(Debug, clap::Args)]
#[command(visible_aliases = ["scale-up", "start"])]
pub struct Args {
    /// Replace a task that does not work although people are in a meeting, or may be
    #[arg(long)]
    cut_meetings: bool,
}

/// A start takes three to six minutes; past this something is wrong.
const LIMIT: Duration = Duration::from_mins(15);
/// From powered-down, the load balancer comes first.
const LONGEST: Duration = Duration::from_mins(30);

impl Subcommand for Args {
    const NAME: &'static str = "up";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(LONGEST)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.tell_account().await?;
        let meetings = if self.cut_meetings { Meetings::Cut } else { Meetings::Respect };
        let policy = Policy { meetings, ..cx.at.policy.clone() };
        engine::reach(Job { policy: &policy, ..cx.job(LIMIT) }, Goal::Running).await
    }
}
