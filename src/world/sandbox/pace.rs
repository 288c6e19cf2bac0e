//! Lets simulated time pass at a pace that people can watch.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

/// How much real time passes between two steps of the simulated clock.
const STEP: Duration = Duration::from_millis(10);

/// Does some work on the paused clock, `pace` simulated seconds for each real one; without a pace, at once.
pub async fn paced<T>(pace: Option<NonZeroU32>, work: impl Future<Output = T>) -> T {
    let Some(pace) = pace else { return work.await };
    tokio::select! {
        biased;
        done = work => done,
        never = keep(pace) => match never {},
    }
}

/// While a blocking task runs, tokio does not jump to the next timer by itself.
async fn keep(pace: NonZeroU32) -> Infallible {
    loop {
        #[expect(clippy::disallowed_methods, reason = "the one place where simulated time waits for real time")]
        let nap = tokio::task::spawn_blocking(|| std::thread::sleep(STEP));
        // A nap that could not be taken only makes the pace faster.
        let _ = nap.await;
        tokio::time::advance(STEP * pace.get()).await;
    }
}
