//! One command, from its first word to its last.

use std::io::{self, IsTerminal, Write};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::command::{Context, Ready};
use crate::config::Environment;
use crate::domain::name::without_passwords;
use crate::error::{Failure, Kind, Outcome};
use crate::event::{Awaited, Event, Events, Stamped};
use crate::limit::Limit;
use crate::options::{Color, Options, Output};
use crate::outside::Outside;
use crate::render::{self, Form, Look, Page, Style, report, style};
use crate::signal::Watch;
use crate::world::sandbox::pace::paced;

/// What a run is made with, whatever its command.
pub struct Run {
    pub options: Options,
    pub environment: Environment,
    pub limit: Limit,
    pub awaited: Awaited,
    pub watch: Watch,
    /// Whether time is simulated.
    pub simulated: bool,
}

/// Does a command's work in its place, tells of it, and returns the exit code.
pub async fn session<P>(command: &dyn Ready<P>, outside: Result<Outside<P>, Failure>, run: &Run) -> u8 {
    let clock = outside.as_ref().map_or_else(|_| Clock::system(), |outside| outside.clock);
    let (say, said) = Events::new(clock);
    let say = say.of_sandbox(run.options.story().is_some()).noting(run.awaited.clone());
    let work = async {
        say.emit(Event::hello());
        let outside = match outside {
            Ok(opened) => opened,
            Err(failure) => return say.finish(Err(failure)),
        };
        outside.warnings.iter().for_each(|warning| say.warn(warning));
        run.awaited.set(outside.awaited.clone());
        let keep = outside.keeper();
        let cx = context(&run.options, &run.environment, outside.place, say);
        let result = run.work(command, &cx).await;
        // What has happened in the sandbox has happened, however the job ended.
        let kept = keep();
        cx.say.finish(result.and_then(|outcome| kept.map(|()| outcome)))
    };
    run.tell(Box::pin(work), said, clock).await
}

/// All that a command may use in its place.
pub fn context<P>(options: &Options, environment: &Environment, place: P, say: Events) -> Context<P> {
    Context {
        at: place,
        options: options.clone(),
        environment: environment.clone(),
        say,
        stop: CancellationToken::new(),
        page: report::page,
    }
}

impl Run {
    /// Opens the outside, within the limit.
    pub async fn open<T>(&self, opening: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.awaited.first_answer("AWS's settings, and whoever they name");
        self.limit.hold(&CancellationToken::new(), &self.awaited, opening).await
    }

    /// Does the command's work, until it is done, out of time, or not wanted any more.
    async fn work<P>(&self, command: &dyn Ready<P>, cx: &Context<P>) -> Result<Outcome, Failure> {
        let held = self.limit.hold(&cx.stop, &self.awaited, command.run(cx));
        match self.watch.over(&cx.stop, &cx.say, held).await {
            // Its reader has read enough.
            Err(failure) if failure.kind == Kind::Interrupted && command.only_looks() && self.watch.has_no_reader() => {
                Ok(Outcome::Done)
            }
            ended => ended,
        }
    }

    /// Tells what the work says, at the pace of the sandbox.
    async fn tell(&self, work: impl Future<Output = u8>, said: UnboundedReceiver<Stamped>, clock: Clock) -> u8 {
        let pace = self.options.pace().filter(|_| self.simulated);
        paced(pace, render::tell(work, said, &look(&self.options, &self.environment), clock)).await
    }
}

/// What is shown, and where.
fn look(options: &Options, environment: &Environment) -> Look {
    let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
    let moves = err && !environment.is("TERM", "dumb") && environment.value("CI").is_none() && options.verbose == 0;
    let form = match options.output {
        Output::Json => Form::Json,
        Output::Text if options.quiet => Form::Quiet,
        Output::Text if moves => Form::Tty,
        Output::Text => Form::Plain,
    };
    let columns = environment.value("COLUMNS").and_then(|c| c.trim().parse().ok()).filter(|c| *c >= 20);
    let page = |terminal: bool, width: Option<usize>| Page {
        width: width.filter(|_| terminal).or(columns).unwrap_or(100),
        style: style_of(options.color, terminal, environment),
    };
    Look { form, answer: page(out, style::width_of_stdout()), talk: page(err, style::width_of_stderr()) }
}

fn style_of(color: Color, terminal: bool, environment: &Environment) -> Style {
    let forced = environment.value("CLICOLOR_FORCE").is_some_and(|v| v != "0");
    let coloured = match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if environment.value("NO_COLOR").is_some() => false,
        Color::Auto => forced || terminal && !environment.is("TERM", "dumb"),
    };
    if coloured { Style::Colour } else { Style::Plain }
}

/// Sends what the developers of meetctl want to know to stderr, when asked.
pub fn log(verbose: u8) {
    let filter = match verbose {
        0 => return,
        1 => "aws_config=info,aws_smithy_runtime=info",
        2 => "debug",
        _ => "trace",
    };
    tracing_subscriber::fmt().with_writer(|| Veil(io::stderr())).with_env_filter(filter).init();
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
