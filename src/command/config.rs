//! `meetctl config`

use super::Desk;
use crate::answer::Answer;
use crate::config::Config;
use crate::error::{Failure, Outcome};

/// Show the configuration as it is in force
#[derive(clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    deed: Deed,
}

#[derive(clap::Subcommand)]
enum Deed {
    Show(Show),
}

/// Show every key with its value
///
/// A flag wins over the environment, that over the project's `meetctl.toml` (in this folder or the nearest above),
/// that over the user's `~/.config/meetctl/config.toml`, that over the default. The region is that of the AWS profile
/// where nothing but the default says one.
///
/// Example: `meetctl config show --origin`
#[derive(clap::Args)]
struct Show {
    /// Also show where each value comes from
    #[arg(long)]
    origin: bool,
}

pub(super) fn run(args: &Args, desk: &Desk) -> Result<Outcome, Failure> {
    let Deed::Show(show) = &args.deed;
    let config =
        if desk.sandbox { Config::sandbox_with(&desk.flags)? } else { Config::load(&desk.flags, &desk.environment)? };
    for warning in config.warnings {
        desk.say.warn(warning);
    }
    desk.say.answer(Answer::Config { settings: config.settings, origins: show.origin });
    Ok(Outcome::Done)
}
