//! `meetctl why`

use super::Context;
use crate::error::{Failure, Kind, Outcome};

/// Name the cause of the last failed start
#[derive(clap::Args)]
pub struct Args {}

pub async fn run(_args: &Args, _cx: &Context) -> Result<Outcome, Failure> {
    Err(Failure::new(Kind::Bug, "`meetctl why` is not in this build"))
}
