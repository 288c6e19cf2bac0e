//! The options that every subcommand understands.

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, ValueEnum};

use crate::config::Flags;

/// What every subcommand understands.
#[derive(Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(next_help_heading = "Global options")]
pub struct Options {
    #[command(flatten)]
    pub flags: Flags,

    /// A platform that lives in memory, perhaps in a named story (see `meetctl sandbox`)
    #[arg(long, global = true, env = "MEETCTL_SANDBOX", hide_env_values = true, value_name = "STORY", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "")]
    pub sandbox: Option<String>,

    /// How the answer is written
    #[arg(
        long,
        global = true,
        env = "MEETCTL_OUTPUT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub output: Output,

    /// When to use colours
    #[arg(
        long,
        global = true,
        env = "MEETCTL_COLOR",
        hide_env_values = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub color: Color,

    /// Answer every question with yes
    #[arg(long, global = true, env = "MEETCTL_YES", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub yes: bool,

    /// Never ask; where an answer is needed, fail
    #[arg(long, global = true, env = "MEETCTL_NO_INPUT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub no_input: bool,

    /// Wait until the deed is done and proven (the default)
    #[arg(long, global = true, overrides_with = "no_wait")]
    pub wait: bool,

    /// Return as soon as the change has been accepted; nothing is proven then
    #[arg(long, global = true, env = "MEETCTL_NO_WAIT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    #[arg(overrides_with = "wait")]
    pub no_wait: bool,

    /// The longest that the whole command may take, such as `10m`
    #[arg(long, global = true, env = "MEETCTL_TIMEOUT", hide_env_values = true, value_name = "DURATION", value_parser = crate::config::span)]
    pub timeout: Option<Duration>,

    /// Simulated seconds per real one in the sandbox, up to 1000; 0 does not wait [default: 60 on a terminal, else 0]
    #[arg(long, global = true, env = "MEETCTL_PACE", hide_env_values = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1_000))]
    pub pace: Option<u32>,

    /// Seed of the sandbox's chance
    #[arg(long, global = true, env = "MEETCTL_SEED", hide_env_values = true, value_name = "N", hide = true)]
    pub seed: Option<u64>,

    /// Print the answer and failures only
    #[arg(short, long, global = true, conflicts_with = "verbose", env = "MEETCTL_QUIET", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    pub quiet: bool,

    /// Show on stderr what meetctl asks of AWS; twice for more
    #[arg(short, long, global = true, action = ArgAction::Count, env = "MEETCTL_VERBOSE", hide_env_values = true)]
    pub verbose: u8,
}

impl Options {
    /// The story to play; `Some("")` is the one without a name, the platform at rest.
    pub fn story(&self) -> Option<&str> {
        self.sandbox.as_deref().map(|story| if matches!(story, "1" | "true") { "" } else { story })
    }

    /// Whether there is somebody to ask.
    pub fn may_ask(&self) -> bool {
        !self.no_input && io::stdin().is_terminal()
    }

    /// Whether to wait for the proof.
    pub fn waits(&self) -> bool {
        self.wait || !self.no_wait
    }

    /// Simulated seconds per real one; `None` does not wait for anybody.
    pub fn pace(&self) -> Option<NonZeroU32> {
        const WATCHED: u32 = 60;
        let by_default = if io::stderr().is_terminal() { WATCHED } else { 0 };
        NonZeroU32::new(self.pace.unwrap_or(by_default))
    }
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// JSON Lines: one event a line, the last one the outcome
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}
