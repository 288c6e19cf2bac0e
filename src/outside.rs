//! Builds the world that the options ask for: AWS and the network, or a story of the sandbox.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{self, AwsProfile, Config, Environment, roots_in, token};
use crate::domain::name::Names;
use crate::domain::plan::Policy;
use crate::error::{Failure, Kind};
use crate::event::Waiting;
use crate::files;
use crate::options::Options;
use crate::probe::Sight;
use crate::world::aws::{self, Settings};
use crate::world::net::Internet;
use crate::world::sandbox::store::{Lock, Store, StoreError};
use crate::world::sandbox::{Handle, Saved, Story, world_for};
use crate::world::terraform::{self, Program};
use crate::world::{LONGEST_LOOK, Street, Trust, World};

/// The place where a command works, and what is to be kept of it when the command is over.
pub struct Outside<P> {
    pub place: P,
    pub clock: Clock,
    /// What is waited for first.
    pub awaited: Waiting,
    pub warnings: Vec<String>,
    played: Option<Arc<Played>>,
}

/// What a command at the desk has: no platform.
pub struct Desk {
    /// The whole command line.
    pub tree: clap::Command,
}

/// A platform, and the world that it is in.
pub struct Platform {
    pub world: World,
    pub sight: Sight,
    pub policy: Policy,
    pub config: Config,
}

impl Platform {
    pub fn new(config: Config, environment: &Environment, world: World) -> Result<Self, Failure> {
        Ok(Self { policy: config.policy(), world, sight: sight(&config, environment)?, config })
    }
}

fn sight(config: &Config, environment: &Environment) -> Result<Sight, Failure> {
    Ok(Sight { token: token(None, environment)?, ..config.sight()? })
}

/// A story in play.
struct Played {
    store: Store,
    handle: Handle,
    /// Held until the story is kept; a command that only reads has given it back, and has kept what it read.
    held: Result<Lock, Option<Saved>>,
}

/// How long a command keeps the others out of its story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// From before it is read until it is kept: the command may change it.
    UntilKept,
    /// Only while it is read.
    WhileRead,
}

impl Hold {
    /// How long to wait for another command, unless `--timeout` says so.
    const fn patience(self) -> Duration {
        match self {
            Self::UntilKept => Duration::from_mins(10),
            Self::WhileRead => Duration::from_secs(15),
        }
    }
}

impl Outside<Desk> {
    pub fn desk(tree: clap::Command) -> Self {
        let awaited = Waiting { what: "an answer at the terminal".into(), unanswered: false };
        Self { place: Desk { tree }, clock: Clock::system(), awaited, warnings: Vec::new(), played: None }
    }
}

impl Outside<Street> {
    /// The way to any deployment: needs no configuration and no account.
    pub fn street(options: &Options, environment: &Environment) -> Result<Self, Failure> {
        let (place, played) = match options.story() {
            Some(name) => {
                let (world, played) = play(name, options, environment, &Config::sandbox(), Hold::UntilKept)?;
                (world.into(), Some(Arc::new(played)))
            }
            None => (real_street(options, environment)?, None),
        };
        let awaited = Waiting { what: "an answer of the deployment".into(), unanswered: true };
        Ok(Self { clock: place.clock, place, awaited, warnings: Vec::new(), played })
    }
}

impl Outside<Platform> {
    /// A platform as it is configured; one look at it may take as long as `look`.
    pub async fn platform(
        options: &Options,
        environment: &Environment,
        hold: Hold,
        look: Duration,
    ) -> Result<Self, Failure> {
        let config = match options.story() {
            Some(_) => Config::sandbox_with(&options.flags)?,
            None => Config::load(&options.flags, environment)?,
        };
        let sight = sight(&config, environment)?;
        // A second installation is refused, and changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (world, played) = match options.story() {
            Some(name) => {
                let (world, played) = play(name, options, environment, &config, hold)?;
                (world, Some(Arc::new(played)))
            }
            None => (real(&config, environment).await?, None),
        };
        let awaited = Waiting { what: "AWS, to say whose credentials these are".into(), unanswered: true };
        let (clock, warnings) = (world.clock, config.warnings.clone());
        let place = Platform { policy: config.policy(), world: World { look, ..world }, sight, config };
        Ok(Self { place, clock, awaited, warnings, played })
    }
}

/// Plays a story from where it was left.
fn play(
    name: &str,
    options: &Options,
    environment: &Environment,
    config: &Config,
    hold: Hold,
) -> Result<(World, Played), Failure> {
    let story = story(name)?;
    let folder = store(environment)?;
    let lock = folder.lock(story, options.timeout.unwrap_or(hold.patience()))?;
    let saved = folder.load(story)?;
    let kept = match hold {
        Hold::UntilKept => Ok(lock),
        Hold::WhileRead => Err(saved.clone()),
    };
    let (world, handle) = world_for(story, saved, options.seed.unwrap_or(0), &config.name, &config.region);
    Ok((world, Played { store: folder, handle, held: kept }))
}

fn real_street(options: &Options, environment: &Environment) -> Result<Street, Failure> {
    let given = options.flags.ca_file.as_ref().map(PathBuf::from);
    let roots = match given.or_else(|| environment.path("MEETCTL_CA_FILE")) {
        Some(path) => roots_in(&path)?,
        None => Vec::new(),
    };
    let trust = Trust::browsers().and_private(roots);
    Ok(Street { net: Box::new(Internet), clock: Clock::system(), trust, seed: seed() })
}

impl<P> Outside<P> {
    /// What keeps the story for the next command.
    pub fn keeper(&self) -> impl Fn() -> Result<(), Failure> + use<P> {
        let played = self.played.clone();
        move || match &played {
            Some(played) => Ok(played.keep()?),
            None => Ok(()),
        }
    }
}

impl Played {
    /// Keeps the story. Of a command that only reads it is no more than the time that has passed, and that counts only
    /// where nobody else has played meanwhile.
    fn keep(&self) -> Result<(), StoreError> {
        let Err(read) = &self.held else { return self.store.save(&self.handle.saved()) };
        let story = self.handle.story();
        let _lock = match self.store.lock(story, Duration::ZERO) {
            Err(StoreError::Busy { .. }) => return Ok(()),
            lock => lock?,
        };
        if self.store.load(story)? == *read { self.store.save(&self.handle.saved()) } else { Ok(()) }
    }
}

/// Where the stories of the sandbox are kept between two commands.
pub fn store(environment: &Environment) -> Result<Store, Failure> {
    if let Some(named) = environment.path("MEETCTL_STATE_DIR") {
        return Ok(Store::new(named));
    }
    let found = environment.state_folder().map(|folder| ours(folder, "MEETCTL_STATE_DIR")).transpose()?;
    found.map(Store::new).ok_or_else(|| {
        Failure::new(Kind::Configuration, "there is no folder to keep the sandbox in")
            .because("neither MEETCTL_STATE_DIR nor XDG_STATE_HOME nor HOME is set")
            .next("set MEETCTL_STATE_DIR to a folder")
    })
}

/// A story by its name; without one, the platform at rest.
pub fn story(name: &str) -> Result<Story, Failure> {
    if name.is_empty() {
        return Ok(Story::default());
    }
    Story::named(name).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("the sandbox has no story {name:?}")).next("`meetctl sandbox` lists them")
    })
}

async fn real(config: &Config, environment: &Environment) -> Result<World, Failure> {
    config::aws::check(environment, config.profile.as_deref())?;
    let profile = config.profile.as_deref().or_else(|| environment.value("AWS_PROFILE")).unwrap_or("default");
    let settings = Settings {
        names: Names::new(config.name.clone()),
        host: config.host()?.clone(),
        region: Some(config.region.clone()),
        profile: config.profile.clone(),
        mfa: AwsProfile::of(environment, profile).mfa,
    };
    let cloud = aws::cloud(settings).await?;
    Ok(World {
        terraform: Box::new(Program::new(terraform::Settings {
            platform: config.name.clone(),
            domain: config.host()?.clone(),
            region: config.region.clone(),
            environment: environment.variables.clone(),
            data: folder(environment.data_folder(), "XDG_DATA_HOME")?,
            cache: folder(environment.cache_folder(), "XDG_CACHE_HOME")?.join("terraform"),
            own: config.terraform_dir.clone(),
            variables: config.terraform_variables.clone(),
            keys: cloud.keys(),
            pause: None,
        })),
        cloud: Box::new(cloud),
        net: Box::new(Internet),
        clock: Clock::system(),
        trust: Trust::browsers().and_private(config.private_roots()?),
        seed: seed(),
        look: LONGEST_LOOK,
    })
}

/// The standard library's hash keys are random for each process.
fn seed() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

fn folder(found: Option<PathBuf>, variable: &str) -> Result<PathBuf, Failure> {
    let found = found.ok_or_else(|| {
        Failure::new(Kind::Configuration, "there is no folder to work in")
            .because(format!("neither {variable} nor HOME is set"))
            .next(format!("set {variable} to a folder"))
    })?;
    ours(found, variable)
}

/// A folder that nobody named is not worked in when somebody else can write into it.
fn ours(folder: PathBuf, variable: &str) -> Result<PathBuf, Failure> {
    match files::check_found_folder(&folder) {
        Ok(()) => Ok(folder),
        Err(error) => Err(Failure::new(Kind::Configuration, format!("{} is not worked in", folder.display()))
            .because(error.to_string())
            .next(format!("make it yours alone: `chmod go-w {}` (and `chown`)", folder.display()))
            .next(format!("or set {variable} to another folder"))),
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if let StoreError::Busy { path, .. } = &error {
            return Self::new(Kind::TimedOut, error.to_string())
                .because(format!("it holds {} until it is done", path.display()))
                .next("wait until it is done, then run the same command again; a longer `--timeout` waits for it")
                .next("or play in a folder of your own: set MEETCTL_STATE_DIR");
        }
        let why = std::error::Error::source(&error).map(ToString::to_string);
        let kind = if matches!(error, StoreError::Unusable { .. }) { Kind::Outside } else { Kind::Configuration };
        let failure = Self::new(kind, error.to_string()).next(
            "set the story back with `meetctl sandbox --reset STORY`, or set MEETCTL_STATE_DIR to another folder",
        );
        why.into_iter().fold(failure, Self::because)
    }
}
