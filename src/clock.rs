//! Wall time anchored to tokio's clock, so that it can be simulated.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Wall time that advances with `tokio::time`.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Timestamp,
    origin: Instant,
}

impl Clock {
    /// A clock that shows `epoch` now.
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { epoch, origin: Instant::now() }
    }

    /// The machine's own time.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
        Self::starting_at(Timestamp::now())
    }

    pub fn now(&self) -> Timestamp {
        self.at(Instant::now())
    }

    pub fn at(&self, instant: Instant) -> Timestamp {
        self.epoch + SignedDuration::try_from(instant.duration_since(self.origin)).unwrap_or(SignedDuration::MAX)
    }
}

impl rustls::time_provider::TimeProvider for Clock {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since_epoch = Duration::from_secs(u64::try_from(self.now().as_second()).ok()?);
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since_epoch))
    }
}
