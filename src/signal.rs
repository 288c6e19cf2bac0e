//! The first Ctrl-C asks to stop, the second leaves at once.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, Kind, Outcome};
use crate::event::Events;

/// Works, and passes signals on meanwhile.
pub async fn heeding(
    stop: &CancellationToken,
    say: &Events,
    work: impl Future<Output = Result<Outcome, Failure>>,
) -> Result<Outcome, Failure> {
    let asked = Asked::default();
    let result = tokio::select! {
        biased;
        result = work => result,
        never = asked.listen(stop, say) => match never {},
    };
    asked.named(result)
}

/// Which signal came first.
#[derive(Debug, Default)]
struct Asked(Cell<Option<Kind>>);

impl Asked {
    /// Passes the signals on. Never ends: a second one ends the process.
    async fn listen(&self, stop: &CancellationToken, say: &Events) -> Infallible {
        let mut interrupt = signal(SignalKind::interrupt()).ok();
        let mut terminate = signal(SignalKind::terminate()).ok();
        loop {
            let kind = tokio::select! {
                () = next(&mut interrupt) => Kind::Interrupted,
                () = next(&mut terminate) => Kind::Terminated,
            };
            if self.0.get().is_some() {
                leave(kind);
            }
            self.0.set(Some(kind));
            say.note("Stopping after the current change; press Ctrl-C again to leave now.");
            stop.cancel();
        }
    }

    /// The engine knows that it was asked to stop, not by which signal.
    fn named(&self, result: Result<Outcome, Failure>) -> Result<Outcome, Failure> {
        result.map_err(|failure| match self.0.get() {
            Some(kind) if failure.kind == Kind::Interrupted => Failure { kind, ..failure },
            Some(_) | None => failure,
        })
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

#[expect(clippy::disallowed_methods, reason = "somebody wants to leave now, whatever is under way")]
fn leave(kind: Kind) -> ! {
    std::process::exit(i32::from(kind.exit_code()))
}
