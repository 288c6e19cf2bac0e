//! Parses, builds the world, runs one command, and sets the exit code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::CommandFactory;
use meetctl::cli::Cli;
use meetctl::command::Command;
use meetctl::config::Environment;
use meetctl::error::Kind;
use meetctl::event::Awaited;
use meetctl::limit::{LATEST, Limit};
use meetctl::outside::Outside;
use meetctl::session::{self, Run, session};
use meetctl::signal::{Rules, Watch};

fn main() -> ExitCode {
    let code = catch_unwind(AssertUnwindSafe(|| match Cli::read() {
        Ok(cli) => begin(cli),
        Err(code) => code,
    }));
    ExitCode::from(code.unwrap_or(Kind::Bug.exit_code()))
}

fn begin(Cli { options, command }: Cli) -> u8 {
    session::log(options.verbose);
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
        run(&command, &Run { options, environment: Environment::of_process(), limit, awaited, watch, simulated }).await
    });
    runtime.shutdown_background();
    code
}

/// Opens the place where the command works, and works there.
async fn run(command: &Command, run: &Run) -> u8 {
    let (options, environment) = (&run.options, &run.environment);
    match command {
        Command::AtDesk(command) => session(&**command, Ok(Outside::desk(Cli::command())), run).await,
        Command::OnStreet(command) => session(&**command, Outside::street(options, environment), run).await,
        Command::OnPlatform(command) => {
            let opening = Outside::platform(options, environment, command.hold(), run.limit.look());
            let outside = run.open(Box::pin(opening)).await;
            session(&**command, outside, run).await
        }
    }
}
