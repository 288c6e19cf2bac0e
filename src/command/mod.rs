//! The subcommands: one file each, and the dispatch.

mod ask;
pub mod completions;
pub mod config;
pub mod cost;
pub mod deploy;
pub mod destroy;
pub mod down;
pub mod generate;
pub mod health;
pub mod init;
mod load;
pub mod man;
pub mod power_down;
pub mod probe;
pub mod sandbox;
pub mod status;
pub mod test_platform;
mod token;
pub mod up;
pub mod why;

pub use self::token::token;

use std::time::Duration;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Environment, Flags};
use crate::domain::plan::Policy;
use crate::engine::{Job, sign_in};
use crate::error::{Failure, Kind, Outcome};
use crate::event::Events;
use crate::outside::Hold;
use crate::probe::Sight;
use crate::world::{Street, World};

#[derive(Subcommand)]
pub enum Command {
    #[command(flatten)]
    OnPlatform(OnPlatform),
    #[command(flatten)]
    OnStreet(OnStreet),
    #[command(flatten)]
    AtDesk(AtDesk),
}

/// What looks at the platform, or changes it.
#[derive(Subcommand)]
pub enum OnPlatform {
    #[command(visible_aliases = ["scale-up", "start"])]
    Up(up::Args),
    #[command(visible_aliases = ["scale-down", "stop"])]
    Down(down::Args),
    PowerDown(power_down::Args),
    Deploy(deploy::Args),
    Destroy(destroy::Args),
    Status(status::Args),
    #[command(visible_alias = "check")]
    Health(health::Args),
    TestPlatform(test_platform::Args),
    Why(why::Args),
}

/// What looks at a deployment from outside, whoever's it is.
#[derive(Subcommand)]
pub enum OnStreet {
    Probe(probe::Args),
}

/// What needs no platform.
#[derive(Subcommand)]
pub enum AtDesk {
    Cost(cost::Args),
    Config(config::Args),
    Init(init::Args),
    Sandbox(sandbox::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Generate(generate::Args),
}

/// All that a command on the platform may use.
pub struct Context {
    pub world: World,
    pub sight: Sight,
    pub policy: Policy,
    pub config: Config,
    pub say: Events,
    /// Cancelled when the user asks to stop.
    pub stop: CancellationToken,
    /// Whether there is somebody to ask.
    pub interactive: bool,
    /// `--yes`
    pub yes: bool,
    /// `--timeout`
    pub timeout: Option<Duration>,
    /// Whether to wait for the proof.
    pub wait: bool,
}

/// All that a command on the street may use.
pub struct Visit {
    pub street: Street,
    pub environment: Environment,
    pub say: Events,
    /// Cancelled when the user asks to stop.
    pub stop: CancellationToken,
}

/// All that a command without a platform may use.
pub struct Desk {
    pub say: Events,
    pub flags: Flags,
    pub environment: Environment,
    /// The whole command line.
    pub tree: clap::Command,
    /// Whether `--sandbox` was given.
    pub sandbox: bool,
    pub seed: Option<u64>,
    /// Whether there is somebody to ask.
    pub interactive: bool,
    /// `--timeout`
    pub timeout: Option<Duration>,
}

impl Context {
    /// What the loop works with; `limit` counts unless `--timeout` says otherwise.
    pub fn job(&self, limit: Duration) -> Job<'_> {
        Job {
            world: &self.world,
            sight: &self.sight,
            policy: &self.policy,
            say: &self.say,
            stop: &self.stop,
            timeout: self.timeout.unwrap_or(limit),
            shown: None,
            wait: self.wait,
        }
    }
}

impl Command {
    /// How long it may take unless `--timeout` says otherwise; `None`: as long as it is wanted.
    pub fn limit(&self) -> Option<Duration> {
        match self {
            Self::OnPlatform(command) => command.limit(),
            Self::OnStreet(OnStreet::Probe(args)) => Some(args.limit()),
            Self::AtDesk(_) => None,
        }
    }

    /// Whether it only looks: whoever goes away meanwhile misses nothing.
    pub fn only_looks(&self) -> bool {
        match self {
            Self::OnPlatform(OnPlatform::Status(_) | OnPlatform::Health(_) | OnPlatform::Why(_))
            | Self::OnStreet(_)
            | Self::AtDesk(_) => true,
            Self::OnPlatform(_) => false,
        }
    }
}

impl OnPlatform {
    /// How long it keeps other commands out of the sandbox's story.
    pub const fn hold(&self) -> Hold {
        match self {
            Self::Status(_) => Hold::WhileRead,
            Self::Up(_)
            | Self::Down(_)
            | Self::PowerDown(_)
            | Self::Deploy(_)
            | Self::Destroy(_)
            | Self::Health(_)
            | Self::TestPlatform(_)
            | Self::Why(_) => Hold::UntilKept,
        }
    }

    fn limit(&self) -> Option<Duration> {
        match self {
            Self::Up(_) => Some(up::LONGEST),
            Self::Down(args) => Some(args.limit()),
            Self::PowerDown(_) => Some(power_down::LIMIT),
            Self::Deploy(_) => Some(deploy::LIMIT),
            Self::Destroy(_) => Some(destroy::LIMIT),
            Self::Status(args) => args.limit(),
            Self::Health(_) => Some(health::LIMIT),
            Self::TestPlatform(args) => Some(args.limit()),
            Self::Why(_) => Some(why::LIMIT),
        }
    }

    /// Whether it changes something in whatever account it is signed in to. What takes something away asks for the
    /// account itself.
    const fn changes(&self) -> bool {
        match self {
            Self::Up(_) | Self::Down(_) | Self::Deploy(_) | Self::TestPlatform(_) => true,
            Self::PowerDown(_) | Self::Destroy(_) | Self::Status(_) | Self::Health(_) | Self::Why(_) => false,
        }
    }

    pub async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        if self.changes() && cx.policy.account.is_none() {
            tell_account(cx).await?;
        }
        match self {
            Self::Up(args) => Box::pin(up::run(args, cx)).await,
            Self::Down(args) => Box::pin(down::run(args, cx)).await,
            Self::PowerDown(args) => Box::pin(power_down::run(args, cx)).await,
            Self::Deploy(args) => Box::pin(deploy::run(args, cx)).await,
            Self::Destroy(args) => Box::pin(destroy::run(args, cx)).await,
            Self::Status(args) => unless_stopped(&cx.stop, Box::pin(status::run(args, cx))).await,
            Self::Health(args) => Box::pin(health::run(args, cx)).await,
            Self::TestPlatform(args) => Box::pin(test_platform::run(args, cx)).await,
            Self::Why(args) => unless_stopped(&cx.stop, Box::pin(why::run(args, cx))).await,
        }
    }
}

impl OnStreet {
    pub async fn run(&self, visit: &Visit) -> Result<Outcome, Failure> {
        match self {
            Self::Probe(args) => Box::pin(probe::run(args, visit)).await,
        }
    }
}

impl AtDesk {
    pub fn run(&self, desk: &Desk) -> Result<Outcome, Failure> {
        match self {
            Self::Cost(args) => Ok(cost::run(args, desk)),
            Self::Config(args) => config::run(args, desk),
            Self::Init(args) => init::run(args, desk),
            Self::Sandbox(args) => sandbox::run(args, desk),
            Self::Completions(args) => Ok(completions::run(args, desk)),
            Self::Man(args) => man::run(args, desk),
            Self::Generate(args) => Ok(generate::run(args, desk)),
        }
    }
}

/// Nobody has said which account it has to be: then at least everybody knows.
async fn tell_account(cx: &Context) -> Result<(), Failure> {
    let identity = unless_stopped(&cx.stop, sign_in(&cx.world, &cx.policy)).await?;
    if let Some(it) = identity.present() {
        cx.say.note(format!(
            "This acts on account {} in {}, as {}; `platform.account` would refuse any other.",
            it.account, cx.config.region, it.arn
        ));
    }
    Ok(())
}

/// A command that changes nothing is dropped as soon as it is asked to stop.
async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        result = work => result,
        () = stop.cancelled() => Err(unanswered()),
    }
}

fn unanswered() -> Failure {
    Failure::new(Kind::Interrupted, "stopped before the answer was complete")
        .because("you asked for it")
        .next("run the same command again; nothing was changed")
}
