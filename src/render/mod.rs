//! Readers of the stream of events: how things look, and nothing else.

mod costs;
mod json;
mod meetings;
mod plain;
mod quiet;
pub mod report;
mod shown;
pub mod style;
pub mod table;
mod tty;
pub mod words;

use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

pub use self::json::Json;
pub use self::plain::Plain;
pub use self::quiet::Quiet;
pub use self::shown::Shown;
pub use self::style::{Page, Style};
pub use self::tty::{Screen, Tty};
use crate::answer::Answer;
use crate::clock::Clock;
use crate::error::{Failure, Kind};
use crate::event::Stamped;

/// One way for the events to look.
pub trait Render {
    fn event(&mut self, event: &Stamped);

    /// Called after so much silence; `ticks` says how much.
    fn tick(&mut self) {}

    fn ticks(&self) -> Option<Duration> {
        None
    }

    /// Why a part of the answer has not reached its reader.
    fn lost(&self) -> Option<&io::Error> {
        None
    }
}

/// Runs `work` to its end while `render` reads what it says. Nothing is spawned.
pub async fn narrate<T>(
    work: impl Future<Output = T>,
    mut said: UnboundedReceiver<Stamped>,
    render: &mut dyn Render,
) -> T {
    let mut work = pin!(work);
    let period = render.ticks();
    let mut ticks = tokio::time::interval(period.unwrap_or(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        tokio::select! {
            biased;
            Some(event) = said.recv() => {
                render.event(&event);
                ticks.reset();
            }
            done = &mut work => {
                while let Ok(event) = said.try_recv() {
                    render.event(&event);
                }
                return done;
            }
            _ = ticks.tick(), if period.is_some() => render.tick(),
        }
    }
}

/// Runs a whole command with the renderer that its look asks for, and returns the exit code.
pub async fn tell(work: impl Future<Output = u8>, said: UnboundedReceiver<Stamped>, look: &Look, clock: Clock) -> u8 {
    let mut render = choose(look, clock);
    let code = narrate(work, said, render.as_mut()).await;
    match render.lost() {
        None => code,
        Some(error) => {
            let failure = Failure::new(Kind::Outside, "the answer could not be written").because(error.to_string());
            Out::new(io::stderr()).write(&table::failure(&failure.next("check where stdout goes"), &look.talk));
            Kind::Outside.exit_code()
        }
    }
}

/// What was asked for, and what is there to show it on.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub form: Form,
    /// The answer's page, on stdout.
    pub answer: Page,
    /// The talk's page, on stderr.
    pub talk: Page,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Quiet,
    Plain,
    /// Rows that move.
    Tty,
}

/// The one renderer of this run.
fn choose(look: &Look, clock: Clock) -> Box<dyn Render> {
    let out = Out::new(io::stdout());
    match look.form {
        Form::Json => Box::new(Json::new(out)),
        Form::Quiet => Box::new(Quiet::new(out, Out::new(io::stderr()), look.answer, look.talk)),
        Form::Plain => Box::new(Plain::new(out, Out::new(io::stderr()), look.answer, look.talk, clock)),
        Form::Tty => {
            let fallback = look.talk.width;
            let screen = Screen {
                target: indicatif::ProgressDrawTarget::stderr(),
                width: Box::new(move || style::width_of_stderr().unwrap_or(fallback)),
                err: Out::new(io::stderr()),
                style: look.talk.style,
            };
            Box::new(Tty::new(screen, out, look.answer, clock))
        }
    }
}

/// Says of the sandbox that it is one: once before all talk, and with each answer, wherever its reader keeps it.
#[derive(Default)]
struct Notice {
    due: bool,
}

impl Notice {
    /// The line that comes before the next words of talk.
    fn before_talk(&mut self) -> Option<&'static str> {
        std::mem::take(&mut self.due).then_some(words::SANDBOX)
    }

    /// An answer as it is written to stdout. What is made for a program to read stays as it is.
    fn answer(&mut self, event: &Stamped, answer: &Answer, page: &Page) -> Shown {
        let text = table::answer(answer, event.at, page);
        if !event.sandbox || matches!(answer, Answer::Text { .. }) {
            return text;
        }
        self.due = false;
        let mut noted = Shown::line(words::SANDBOX);
        noted += text;
        noted
    }
}

/// Where text is written. A reader that is gone never stops the work.
pub struct Out {
    to: Box<dyn Write>,
    lost: Option<io::Error>,
}

impl Out {
    pub fn new(to: impl Write + 'static) -> Self {
        Self { to: Box::new(to), lost: None }
    }

    fn write(&mut self, text: &Shown) {
        if self.lost.is_none() {
            self.lost = self.to.write_all(text.as_bytes()).and_then(|()| self.to.flush()).err();
        }
    }

    /// A closed pipe is no loss: its reader has read enough.
    fn lost(&self) -> Option<&io::Error> {
        self.lost.as_ref().filter(|e| e.kind() != io::ErrorKind::BrokenPipe)
    }
}
