//! What ends a command from outside: signals, a reader that is gone, and time that is over.
//!
//! A thread of its own watches for them, with a runtime of its own: nothing that the work does, be it a long
//! computation or a pipe that nobody empties, can hold it up.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, Kind, Outcome};
use crate::event::{Awaited, Events};
use crate::limit::over;

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Signal(Kind),
    /// Whoever read the answer has gone.
    ReaderGone,
}

/// What the thread does about it.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether the work can stop by itself when it is asked to; otherwise the first signal ends the process.
    pub stops: bool,
    /// When the process is ended although the work goes on, and what its limit was: never in simulated time.
    pub last: Option<(Duration, Duration)>,
    pub awaited: Awaited,
}

/// The thread that watches.
#[derive(Clone, Debug)]
pub struct Watch {
    reason: watch::Receiver<Option<Reason>>,
}

impl Watch {
    /// Begins to watch. Where no thread can be had, signals do what they do to any program.
    pub fn begin(rules: Rules) -> Self {
        let (tell, reason) = watch::channel(None);
        // It ends with the process.
        let _ = thread::Builder::new().name("watch".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(look_out(&rules, &tell));
            }
        });
        Self { reason }
    }

    /// Works, and asks it to stop when there is a reason to.
    pub async fn over(
        &self,
        stop: &CancellationToken,
        say: &Events,
        work: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Result<Outcome, Failure> {
        let asked = Cell::new(None);
        let result = tokio::select! {
            biased;
            result = work => result,
            never = self.listen(stop, say, &asked) => match never {},
        };
        named(result, asked.get())
    }

    /// Whether whoever read the answer has gone.
    pub fn has_no_reader(&self) -> bool {
        *self.reason.borrow() == Some(Reason::ReaderGone)
    }

    async fn listen(&self, stop: &CancellationToken, say: &Events, asked: &Cell<Option<Reason>>) -> Infallible {
        let mut reason = self.reason.clone();
        let first = match reason.wait_for(Option::is_some).await {
            Ok(reason) => *reason,
            Err(_) => pending().await,
        };
        asked.set(first);
        if matches!(first, Some(Reason::Signal(_))) {
            say.note("Stopping after the current change; press Ctrl-C again to leave now.");
        }
        stop.cancel();
        pending().await
    }
}

/// The work knows that it was asked to stop, not by whom.
fn named(result: Result<Outcome, Failure>, reason: Option<Reason>) -> Result<Outcome, Failure> {
    result.map_err(|failure| match reason {
        Some(Reason::Signal(kind)) if failure.kind == Kind::Interrupted => Failure { kind, ..failure },
        Some(_) | None => failure,
    })
}

async fn look_out(rules: &Rules, tell: &watch::Sender<Option<Reason>>) {
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut asked = false;
    let mut gone = Box::pin(reader_gone());
    let mut read = true;
    let mut late = Box::pin(late(rules));
    loop {
        let reason = tokio::select! {
            () = next(&mut interrupt) => Reason::Signal(Kind::Interrupted),
            () = next(&mut terminate) => Reason::Signal(Kind::Terminated),
            () = &mut gone, if read => Reason::ReaderGone,
            failure = &mut late => end(&failure),
        };
        match reason {
            Reason::Signal(kind) if asked || !rules.stops => leave(kind),
            Reason::Signal(_) => asked = true,
            Reason::ReaderGone => read = false,
        }
        tell.send_if_modified(|known| {
            // A signal says more than a reader that is gone.
            let news = known.is_none() || matches!(reason, Reason::Signal(_));
            if news {
                *known = Some(reason);
            }
            news
        });
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

/// Waits until nobody can read any more what is written to stdout. A file or a terminal is always read.
async fn reader_gone() {
    #[expect(deprecated, reason = "its successor is unsafe; stdout stays open as long as the process lives")]
    let stdout = AsyncFd::try_with_interest(io::stdout(), Interest::ERROR);
    match stdout {
        // Only what goes wrong with the pipe is asked for, and nothing else wakes this.
        Ok(stdout) => match stdout.ready(Interest::ERROR).await {
            Ok(_) => {}
            Err(_) => pending().await,
        },
        Err(_) => pending().await,
    }
}

async fn late(rules: &Rules) -> Failure {
    match rules.last {
        Some((last, whole)) => {
            sleep(last).await;
            over(whole, &rules.awaited.now())
        }
        None => pending().await,
    }
}

/// How long a line on stderr may take; whoever does not read it does not hold the end up.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Ends the process although the work goes on: it has had its time, and more.
fn end(failure: &Failure) -> ! {
    let (done, said) = mpsc::channel();
    let text =
        [vec![format!("error: {}", failure.what)], failure.why.clone(), failure.next.clone()].concat().join("\n  ");
    let _ = thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{text}");
        let _ = done.send(());
    });
    let _ = said.recv_timeout(LAST_WORDS);
    leave(failure.kind)
}

#[expect(clippy::disallowed_methods, reason = "somebody wants to leave now, whatever is under way")]
fn leave(kind: Kind) -> ! {
    std::process::exit(i32::from(kind.exit_code()))
}
