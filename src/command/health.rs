//! `meetctl health`

use super::Context;
use crate::error::{Failure, Kind, Outcome};

/// Judge every condition of a running platform
#[derive(clap::Args)]
pub struct Args {}

pub async fn run(_args: &Args, _cx: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(Kind::Bug, "`meetctl health` is not in this build"))
}
