//! `meetctl up`

use super::Context;
use crate::error::{Failure, Kind, Outcome};

/// Start the platform and prove that a meeting can be held
#[derive(clap::Args)]
pub struct Args {}

pub async fn run(_args: &Args, _cx: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(Kind::Bug, "`meetctl up` is not in this build"))
}
