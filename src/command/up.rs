//! `up`: bring the platform up and prove that it is.

use std::time::Duration;

use super::Context;
use crate::domain::level::Goal;
use crate::engine;
use crate::error::{Failure, Outcome};

/// Start the platform and prove that it runs
///
/// From `powered-down`, Terraform first brings the load balancer back. Starts one task, then waits until every condition of `running` holds on a fresh look: the containers are healthy,
/// the load balancer reaches them, the name resolves, browsers trust the certificate, the pages are Jitsi's and
/// signalling answers. A start that is already under way is continued; when everything holds, nothing is changed.
///
/// Example: `meetctl up --timeout 10m`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// A start takes three to six minutes; past this something is wrong.
const LIMIT: Duration = Duration::from_mins(15);
/// From powered-down, the load balancer comes first.
pub(super) const LONGEST: Duration = Duration::from_mins(30);

pub async fn run(_: &Args, cx: &Context) -> Result<Outcome, Failure> {
    engine::reach(cx.job(LIMIT), Goal::Running).await
}
