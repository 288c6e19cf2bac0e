//! `meetctl down`

use super::Context;
use crate::error::{Failure, Kind, Outcome};

/// Stop the platform
#[derive(clap::Args)]
pub struct Args {}

pub async fn run(_args: &Args, _cx: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(Kind::Bug, "`meetctl down` is not in this build"))
}
