//! Parses, builds the world, runs one command, and sets the exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::CommandFactory;
use meetctl::cli::{Cli, Options};
use meetctl::clock::Clock;
use meetctl::command::{AtDesk, Command, Context, Desk, OnPlatform, OnStreet, Visit, token};
use meetctl::config::{Config, Environment};
use meetctl::error::{Failure, Kind};
use meetctl::event::{Event, Events};
use meetctl::outside::Outside;
use meetctl::probe::Sight;
use meetctl::render;
use meetctl::signal::heeding;
use meetctl::world::sandbox::pace::paced;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let cli = Cli::read();
    let begun = catch_unwind(AssertUnwindSafe(|| begin(&cli)));
    ExitCode::from(begun.unwrap_or(Kind::Bug.exit_code()))
}

fn begin(cli: &Cli) -> u8 {
    cli.options.log();
    let environment = Environment::of_process();
    let simulated = cli.options.story().is_some() && !matches!(cli.command, Command::AtDesk(_));
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let Ok(runtime) = builder.enable_all().start_paused(simulated).build() else { return Kind::Bug.exit_code() };
    let code = match &cli.command {
        Command::AtDesk(command) => runtime.block_on(at_desk(command, &cli.options, environment)),
        Command::OnStreet(command) => runtime.block_on(on_street(command, &cli.options, environment)),
        Command::OnPlatform(command) => runtime.block_on(on_platform(command, &cli.options, &environment)),
    };
    runtime.shutdown_background();
    code
}

async fn at_desk(command: &AtDesk, options: &Options, environment: Environment) -> u8 {
    let look = options.look(&environment);
    let (say, said) = Events::new(Clock::system());
    let desk = Desk {
        say,
        flags: options.flags.clone(),
        environment,
        tree: Cli::command(),
        sandbox: options.story().is_some(),
        seed: options.seed,
        interactive: options.may_ask(),
    };
    let work = async {
        desk.say.emit(Event::hello(desk.sandbox));
        desk.say.finish(command.run(&desk))
    };
    render::tell(work, said, &look, Clock::system()).await
}

async fn on_street(command: &OnStreet, options: &Options, environment: Environment) -> u8 {
    let look = options.look(&environment);
    let opened = Outside::street(options, &environment);
    let clock = opened.as_ref().map_or_else(|_| Clock::system(), |outside| outside.world.clock);
    let (say, said) = Events::new(clock);
    let work = async {
        say.emit(Event::hello(options.story().is_some()));
        let outside = match opened {
            Ok(opened) => opened,
            Err(failure) => return say.finish(Err(failure)),
        };
        let keep = outside.keeper();
        let stop = CancellationToken::new();
        let visit = Visit { street: outside.world, environment, say, stop, timeout: options.timeout };
        let result = heeding(&visit.stop, &visit.say, command.run(&visit)).await;
        let kept = keep();
        visit.say.finish(result.and_then(|outcome| kept.map(|()| outcome)))
    };
    let pace = options.story().and_then(|_| options.pace());
    paced(pace, render::tell(work, said, &look, clock)).await
}

async fn on_platform(command: &OnPlatform, options: &Options, environment: &Environment) -> u8 {
    let opened = open(options, environment).await;
    let clock = opened.as_ref().map_or_else(|_| Clock::system(), |(_, _, outside)| outside.world.clock);
    let (say, said) = Events::new(clock);
    let work = async {
        say.emit(Event::hello(options.story().is_some()));
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
            world: outside.world,
            sight,
            config,
            say,
        };
        let result = heeding(&cx.stop, &cx.say, command.run(&cx)).await;
        // What has happened in the sandbox has happened, however the job ended.
        let kept = keep();
        cx.say.finish(result.and_then(|outcome| kept.map(|()| outcome)))
    };
    let pace = options.story().and_then(|_| options.pace());
    paced(pace, render::tell(work, said, &options.look(environment), clock)).await
}

/// The configuration of a platform, what the probes look at, and the world that it is in.
async fn open(options: &Options, environment: &Environment) -> Result<(Config, Sight, Outside), Failure> {
    let config = match options.story() {
        Some(_) => Config::sandbox_with(&options.flags)?,
        None => Config::load(&options.flags, environment)?,
    };
    let sight = Sight { token: token(None, environment)?, ..config.sight()? };
    // A second installation is refused, and changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outside = Outside::open(options, &config, environment).await?;
    Ok((config, sight, outside))
}
