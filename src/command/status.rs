//! `meetctl status`

use super::Context;
use crate::error::{Failure, Kind, Outcome};

/// Show where the platform stands
#[derive(clap::Args)]
pub struct Args {}

pub async fn run(_args: &Args, _cx: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(Kind::Bug, "`meetctl status` is not in this build"))
}
