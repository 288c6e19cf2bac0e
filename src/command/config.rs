//! `meetctl config`

use super::{Context, Subcommand};
use crate::answer::Answer;
use crate::config::Config;
use crate::error::{Failure, Outcome};
use crate::outside::Desk;

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

impl Subcommand for Args {
    const NAME: &'static str = "config";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let Deed::Show(show) = &self.deed;
        let config = if desk.options.story().is_some() {
            Config::sandbox_with(&desk.options.flags)?
        } else {
            Config::load(&desk.options.flags, &desk.environment)?
        };
        for warning in config.warnings {
            desk.say.warn(warning);
        }
        desk.say.answer(Answer::Config { settings: config.settings, origins: show.origin });
        Ok(Outcome::Done)
    }
}
