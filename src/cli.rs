//! The command line: global options, and the subcommands of `command`.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, ValueEnum};

use crate::command::Command;
use crate::config::{Environment, Flags};
use crate::domain::name::without_passwords;
use crate::error::Kind;
use crate::render::{Form, Look, Page, Style, style};

/// Start, prove and stop a Jitsi Meet that costs nothing to run while nobody meets
///
/// The platform is an ECS service on AWS Fargate behind a network load balancer. `meetctl up` starts it and says
/// "running" only when a meeting can be held; `meetctl down` stops it; `meetctl status` says where it stands.
///
/// Try everything without an account: `meetctl --sandbox up`
#[derive(Parser)]
#[command(name = "meetctl", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process; otherwise what help, and a wrong one, end with, when it has been said.
    pub fn read() -> Result<Self, u8> {
        let given: Vec<OsString> = std::env::args_os().collect();
        Self::parse_with(&given, Variables::NotEmpty).map_err(|error| {
            // Given options alone, also in the environment, clap lists subcommands without a word about them.
            let bare = || Self::parse_with(&["meetctl".into()], Variables::None).err();
            let help = (error.kind() == ErrorKind::MissingSubcommand).then(bare).flatten();
            let culprit = Self::culprit(&given, &error);
            let error = help.unwrap_or(error);
            // Nobody may be there to read it.
            let _ = error.print();
            match culprit {
                None => u8::try_from(error.exit_code()).unwrap_or(Kind::Usage.exit_code()),
                Some(variable) => {
                    let _ =
                        writeln!(io::stderr(), "\nThe value comes from the variable {variable}: mend it, or unset it.");
                    Kind::Configuration.exit_code()
                }
            }
        })
    }

    fn parse_with(given: &[OsString], variables: Variables<'_>) -> Result<Self, clap::Error> {
        let matches = heeding(Self::command(), variables).try_get_matches_from(given)?;
        Self::from_arg_matches(&matches)
    }

    /// The variable without which the command line would be right.
    fn culprit(given: &[OsString], error: &clap::Error) -> Option<String> {
        let by_value = matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation);
        if !by_value || Self::parse_with(given, Variables::None).is_err() {
            return None;
        }
        let mut names = Vec::new();
        list_variables(&Self::command(), &mut names);
        names.into_iter().find(|name| Self::parse_with(given, Variables::Only(name)).is_err())
    }
}

/// Which variables of the environment count.
#[derive(Clone, Copy)]
enum Variables<'a> {
    NotEmpty,
    Only(&'a str),
    None,
}

impl Variables<'_> {
    fn count(self, name: &str, value: &OsStr) -> bool {
        match self {
            Self::NotEmpty => Environment::counts(&value.to_string_lossy()),
            Self::Only(only) => only == name && Environment::counts(&value.to_string_lossy()),
            Self::None => false,
        }
    }
}

/// The command line as it would be without the other variables. Clap itself takes an empty one for a value.
#[expect(clippy::disallowed_methods, reason = "clap reads these variables itself; here it is told which of them count")]
fn heeding(tree: clap::Command, variables: Variables<'_>) -> clap::Command {
    let names: Vec<String> = tree.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let tree = tree.mut_args(|arg| {
        let value = arg.get_env().and_then(|name| Some((name.to_str()?.to_owned(), std::env::var_os(name)?)));
        match value {
            Some((name, value)) if !variables.count(&name, &value) => arg.env(None),
            Some(_) | None => arg,
        }
    });
    names.into_iter().fold(tree, |tree, name| tree.mut_subcommand(name, |command| heeding(command, variables)))
}

fn list_variables(tree: &clap::Command, names: &mut Vec<String>) {
    names.extend(tree.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned())));
    tree.get_subcommands().for_each(|command| list_variables(command, names));
}

/// What every subcommand understands.
#[derive(Args)]
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
    #[arg(long, global = true, env = "MEETCTL_TIMEOUT", hide_env_values = true, value_name = "DURATION", value_parser = span)]
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

    /// What is shown, and where.
    pub fn look(&self, environment: &Environment) -> Look {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let moves = err && !environment.is("TERM", "dumb") && environment.value("CI").is_none() && self.verbose == 0;
        let form = match self.output {
            Output::Json => Form::Json,
            Output::Text if self.quiet => Form::Quiet,
            Output::Text if moves => Form::Tty,
            Output::Text => Form::Plain,
        };
        let columns = environment.value("COLUMNS").and_then(|c| c.trim().parse().ok()).filter(|c| *c >= 20);
        let page = |terminal: bool, width: Option<usize>| Page {
            width: width.filter(|_| terminal).or(columns).unwrap_or(100),
            style: self.style(terminal, environment),
        };
        Look { form, answer: page(out, style::width_of_stdout()), talk: page(err, style::width_of_stderr()) }
    }

    fn style(&self, terminal: bool, environment: &Environment) -> Style {
        let forced = environment.value("CLICOLOR_FORCE").is_some_and(|v| v != "0");
        let coloured = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if environment.value("NO_COLOR").is_some() => false,
            Color::Auto => forced || terminal && !environment.is("TERM", "dumb"),
        };
        if coloured { Style::Colour } else { Style::Plain }
    }

    /// Sends what the developers of meetctl want to know to stderr, when asked.
    pub fn log(&self) {
        let filter = match self.verbose {
            0 => return,
            1 => "meetctl=debug,aws_config=info,aws_smithy_runtime=info",
            2 => "debug",
            _ => "trace",
        };
        tracing_subscriber::fmt().with_writer(|| Veil(io::stderr())).with_env_filter(filter).init();
    }
}

/// Where the developers' log is written: without passwords in addresses. A reader that is gone never stops the work.
struct Veil(io::Stderr);

impl Write for Veil {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(without_passwords(&String::from_utf8_lossy(line)).as_bytes());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
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

pub(crate) fn span(given: &str) -> Result<Duration, String> {
    crate::config::span(given)
}
