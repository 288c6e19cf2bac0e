//! All that a command may use.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::answer::Rehearsal;
use crate::config::Environment;
use crate::engine::{Job, sign_in};
use crate::error::{Failure, Kind};
use crate::event::Events;
use crate::options::Options;
use crate::outside::Platform;

/// What a command was given, where it speaks, and the place where it works.
pub struct Context<P = Platform> {
    pub at: P,
    pub options: Options,
    pub environment: Environment,
    pub say: Events,
    /// Cancelled when the user asks to stop.
    pub stop: CancellationToken,
    /// How a rehearsal looks as a page for browsers.
    pub page: fn(&Rehearsal) -> String,
}

impl<P> Context<P> {
    /// A command that changes nothing is dropped as soon as it is asked to stop.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            result = work => result,
            () = self.stop.cancelled() => Err(unanswered()),
        }
    }
}

impl Context {
    /// What the loop works with; `limit` counts unless `--timeout` says otherwise.
    pub(super) fn job(&self, limit: Duration) -> Job<'_> {
        Job {
            world: &self.at.world,
            sight: &self.at.sight,
            policy: &self.at.policy,
            say: &self.say,
            stop: &self.stop,
            timeout: self.options.timeout.unwrap_or(limit),
            shown: None,
            wait: self.options.waits(),
        }
    }

    /// For what changes something in whatever account it is signed in to: nobody has said which one it has to be, then
    /// at least everybody knows. What takes something away asks for the account itself.
    pub(super) async fn tell_account(&self) -> Result<(), Failure> {
        if self.at.policy.account.is_some() {
            return Ok(());
        }
        let identity = self.unless_stopped(sign_in(&self.at.world, &self.at.policy)).await?;
        if let Some(it) = identity.present() {
            self.say.note(format!(
                "This acts on account {} in {}, as {}; `platform.account` would refuse any other.",
                it.account, self.at.config.region, it.arn
            ));
        }
        Ok(())
    }
}

pub(super) fn unanswered() -> Failure {
    Failure::new(Kind::Interrupted, "stopped before the answer was complete")
        .because("you asked for it")
        .next("run the same command again; nothing was changed")
}
