//! The command line: global options, and the subcommands of `command`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::command::{
    Command, Entry, completions, config, cost, deploy, destroy, down, generate, health, init, man, power_down, probe,
    sandbox, status, test_platform, up, why,
};
use crate::config::Environment;
use crate::error::Kind;
use crate::options::Options;

/// The subcommands, in the order in which they are listed.
const SUBCOMMANDS: &[Entry] = &[
    Entry::platform::<up::Args>(),
    Entry::platform::<down::Args>(),
    Entry::platform::<power_down::Args>(),
    Entry::platform::<deploy::Args>(),
    Entry::platform::<destroy::Args>(),
    Entry::platform::<status::Args>(),
    Entry::platform::<health::Args>(),
    Entry::platform::<test_platform::Args>(),
    Entry::platform::<why::Args>(),
    Entry::street::<probe::Args>(),
    Entry::desk::<cost::Args>(),
    Entry::desk::<config::Args>(),
    Entry::desk::<init::Args>(),
    Entry::desk::<sandbox::Args>(),
    Entry::desk::<completions::Args>(),
    Entry::desk::<man::Args>(),
    Entry::desk::<generate::Args>(),
];

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

impl clap::Subcommand for Command {
    fn augment_subcommands(tree: clap::Command) -> clap::Command {
        SUBCOMMANDS.iter().fold(tree, |tree, entry| tree.subcommand((entry.tree)()))
    }

    fn augment_subcommands_for_update(tree: clap::Command) -> clap::Command {
        Self::augment_subcommands(tree)
    }

    fn has_subcommand(name: &str) -> bool {
        SUBCOMMANDS.iter().any(|entry| entry.name == name)
    }
}

impl FromArgMatches for Command {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.subcommand().and_then(|(name, given)| {
            SUBCOMMANDS.iter().find(|entry| entry.name == name).map(|entry| (entry.read)(given))
        });
        given.unwrap_or_else(|| Err(Cli::command().error(ErrorKind::MissingSubcommand, "a subcommand is needed")))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
