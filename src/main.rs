//! Parses, builds the world, runs one command, and sets the exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::CommandFactory;
use meetctl::cli::{Cli, Options};
use meetctl::clock::Clock;
use meetctl::command::{AtDesk, Command, Context, Desk, OnPlatform, OnStreet, Visit, token};
use meetctl::config::{Config, Environment};
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::{Awaited, Event, Events, Stamped};
use meetctl::limit::{LATEST, Limit};
use meetctl::outside::{Hold, Outside};
use meetctl::probe::Sight;
use meetctl::render;
use meetctl::signal::{Rules, Watch};
use meetctl::world::World;
use meetctl::world::sandbox::pace::paced;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let code = catch_unwind(AssertUnwindSafe(|| match Cli::read() {
        Ok(cli) => begin(&cli),
        Err(code) => code,
    }));
    ExitCode::from(code.unwrap_or(Kind::Bug.exit_code()))
}

/// What a run is made with, whatever its command.
struct Run<'a> {
    options: &'a Options,
    environment: Environment,
    limit: Limit,
    awaited: Awaited,
    watch: Watch,
    only_looks: bool,
}

fn begin(cli: &Cli) -> u8 {
    cli.options.log();
    let (options, command) = (&cli.options, &cli.command);
    let stops = !matches!(command, Command::AtDesk(_));
    let simulated = options.story().is_some() && stops;
    let whole = options.timeout.or_else(|| command.limit());
    let awaited = Awaited::default();
    // Work that cannot be asked to stop is ended when its time is over; other work gets a little longer to leave.
    let last = whole.map(|whole| (if stops { whole + LATEST } else { whole }, whole)).filter(|_| !simulated);
    let watch = Watch::begin(Rules { stops, last, awaited: awaited.clone() });
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = builder.enable_all().start_paused(simulated).build() else { return Kind::Bug.exit_code() };
    let code = runtime.block_on(async {
        let limit = Limit::from_now(whole);
        let only_looks = command.only_looks();
        let run = Run { options, environment: Environment::of_process(), limit, awaited, watch, only_looks };
        match command {
            Command::AtDesk(command) => at_desk(command, run).await,
            Command::OnStreet(command) => on_street(command, run).await,
            Command::OnPlatform(command) => Box::pin(on_platform(command, run)).await,
        }
    });
    runtime.shutdown_background();
    code
}

impl Run<'_> {
    fn events(&self, clock: Clock) -> (Events, UnboundedReceiver<Stamped>) {
        let (say, said) = Events::new(clock);
        (say.of_sandbox(self.options.story().is_some()).noting(self.awaited.clone()), said)
    }

    /// Opens the outside, within the limit.
    async fn open<T>(&self, opening: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.awaited.first_answer("AWS's settings, and whoever they name");
        self.limit.hold(&CancellationToken::new(), &self.awaited, opening).await
    }

    /// Does the command's work, until it is done, out of time, or not wanted any more.
    async fn work(
        &self,
        stop: &CancellationToken,
        say: &Events,
        work: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Result<Outcome, Failure> {
        let held = self.limit.hold(stop, &self.awaited, work);
        match self.watch.over(stop, say, held).await {
            // Its reader has read enough.
            Err(failure) if failure.kind == Kind::Interrupted && self.only_looks && self.watch.has_no_reader() => {
                Ok(Outcome::Done)
            }
            ended => ended,
        }
    }

    /// Tells what the work says, at the pace of the sandbox.
    async fn tell(&self, work: impl Future<Output = u8>, said: UnboundedReceiver<Stamped>, clock: Clock) -> u8 {
        let pace = self.options.story().and_then(|_| self.options.pace());
        paced(pace, render::tell(work, said, &self.options.look(&self.environment), clock)).await
    }
}

async fn at_desk(command: &AtDesk, run: Run<'_>) -> u8 {
    let options = run.options;
    let (say, said) = run.events(Clock::system());
    run.awaited.next("an answer at the terminal");
    let desk = Desk {
        say,
        flags: options.flags.clone(),
        environment: run.environment.clone(),
        tree: Cli::command(),
        sandbox: options.story().is_some(),
        seed: options.seed,
        interactive: options.may_ask(),
        timeout: options.timeout,
    };
    let work = async {
        desk.say.emit(Event::hello());
        desk.say.finish(command.run(&desk))
    };
    // Nothing here takes simulated time.
    render::tell(work, said, &options.look(&run.environment), Clock::system()).await
}

async fn on_street(command: &OnStreet, run: Run<'_>) -> u8 {
    let opened = Outside::street(run.options, &run.environment);
    let clock = opened.as_ref().map_or_else(|_| Clock::system(), |outside| outside.world.clock);
    let (say, said) = run.events(clock);
    let work = async {
        say.emit(Event::hello());
        let outside = match opened {
            Ok(opened) => opened,
            Err(failure) => return say.finish(Err(failure)),
        };
        let keep = outside.keeper();
        let stop = CancellationToken::new();
        let visit = Visit { street: outside.world, environment: run.environment.clone(), say, stop };
        let result = run.work(&visit.stop, &visit.say, command.run(&visit)).await;
        let kept = keep();
        visit.say.finish(result.and_then(|outcome| kept.map(|()| outcome)))
    };
    run.tell(Box::pin(work), said, clock).await
}

async fn on_platform(command: &OnPlatform, run: Run<'_>) -> u8 {
    let options = run.options;
    let opened = run.open(Box::pin(open(options, &run.environment, command.hold()))).await;
    let clock = opened.as_ref().map_or_else(|_| Clock::system(), |(_, _, outside)| outside.world.clock);
    let (say, said) = run.events(clock);
    let work = async {
        say.emit(Event::hello());
        let (config, sight, outside) = match opened {
            Ok(opened) => opened,
            Err(failure) => return say.finish(Err(failure)),
        };
        config.warnings.iter().for_each(|w| say.warn(w));
        let keep = outside.keeper();
        let cx = Context {
            policy: config.policy(),
            stop: CancellationToken::new(),
            interactive: options.may_ask(),
            yes: options.yes,
            timeout: options.timeout,
            wait: options.waits(),
            world: World { look: run.limit.look(), ..outside.world },
            sight,
            config,
            say,
        };
        run.awaited.first_answer("AWS, to say whose credentials these are");
        let result = run.work(&cx.stop, &cx.say, command.run(&cx)).await;
        // What has happened in the sandbox has happened, however the job ended.
        let kept = keep();
        cx.say.finish(result.and_then(|outcome| kept.map(|()| outcome)))
    };
    run.tell(Box::pin(work), said, clock).await
}

/// The configuration of a platform, what the probes look at, and the world that it is in.
async fn open(options: &Options, environment: &Environment, hold: Hold) -> Result<(Config, Sight, Outside), Failure> {
    let config = match options.story() {
        Some(_) => Config::sandbox_with(&options.flags)?,
        None => Config::load(&options.flags, environment)?,
    };
    let sight = Sight { token: token(None, environment)?, ..config.sight()? };
    // A second installation is refused, and changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outside = Outside::open(options, &config, environment, hold).await?;
    Ok((config, sight, outside))
}
