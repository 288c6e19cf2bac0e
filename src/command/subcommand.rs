//! What makes a file of this folder a subcommand.

use std::pin::Pin;
use std::time::Duration;

use clap::{ArgMatches, Args};

use super::Context;
use crate::error::{Failure, Outcome};
use crate::outside::{Desk, Hold, Platform};
use crate::world::Street;

/// A subcommand, implemented by its arguments.
pub trait Subcommand: Args {
    const NAME: &'static str;
    /// Where it works: at a desk, on the street, or on a platform.
    type Place;
    /// Whether it only looks: whoever goes away meanwhile misses nothing.
    const ONLY_LOOKS: bool = false;
    /// How long it keeps other commands out of the sandbox's story.
    const HOLD: Hold = Hold::UntilKept;

    /// How long it may take unless `--timeout` says otherwise; `None`: as long as it is wanted.
    fn limit(&self) -> Option<Duration> {
        None
    }

    fn run(&self, cx: &Context<Self::Place>) -> impl Future<Output = Result<Outcome, Failure>>;
}

/// The work of a subcommand under way.
type Work<'a> = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + 'a>>;

/// A subcommand with its arguments, whichever it is.
pub trait Ready<P> {
    fn limit(&self) -> Option<Duration>;
    fn only_looks(&self) -> bool;
    fn hold(&self) -> Hold;
    fn run<'a>(&'a self, cx: &'a Context<P>) -> Work<'a>;
}

impl<C: Subcommand> Ready<C::Place> for C {
    fn limit(&self) -> Option<Duration> {
        Subcommand::limit(self)
    }

    fn only_looks(&self) -> bool {
        C::ONLY_LOOKS
    }

    fn hold(&self) -> Hold {
        C::HOLD
    }

    fn run<'a>(&'a self, cx: &'a Context<C::Place>) -> Work<'a> {
        Box::pin(Subcommand::run(self, cx))
    }
}

/// What was asked for, by the place where it works.
pub enum Command {
    /// Looks at the platform, or changes it.
    OnPlatform(Box<dyn Ready<Platform>>),
    /// Looks at a deployment from outside, whoever's it is.
    OnStreet(Box<dyn Ready<Street>>),
    /// Needs no platform.
    AtDesk(Box<dyn Ready<Desk>>),
}

impl Command {
    /// How long it may take unless `--timeout` says otherwise; `None`: as long as it is wanted.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Self::OnPlatform(command) => command.limit(),
            Self::OnStreet(command) => command.limit(),
            Self::AtDesk(command) => command.limit(),
        }
    }
}

/// The line of a subcommand in the command line's tree.
pub struct Entry {
    pub name: &'static str,
    pub tree: fn() -> clap::Command,
    pub read: fn(&ArgMatches) -> Result<Command, clap::Error>,
}

impl Entry {
    pub const fn platform<C: Subcommand<Place = Platform> + 'static>() -> Self {
        Self::of::<C>(|given| Ok(Command::OnPlatform(Box::new(C::from_arg_matches(given)?))))
    }

    pub const fn street<C: Subcommand<Place = Street> + 'static>() -> Self {
        Self::of::<C>(|given| Ok(Command::OnStreet(Box::new(C::from_arg_matches(given)?))))
    }

    pub const fn desk<C: Subcommand<Place = Desk> + 'static>() -> Self {
        Self::of::<C>(|given| Ok(Command::AtDesk(Box::new(C::from_arg_matches(given)?))))
    }

    const fn of<C: Subcommand>(read: fn(&ArgMatches) -> Result<Command, clap::Error>) -> Self {
        Self { name: C::NAME, tree: || C::augment_args(clap::Command::new(C::NAME)), read }
    }
}
