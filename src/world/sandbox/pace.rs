//! Lets simulated time pass at a pace that people can watch.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The longest step of the simulated clock.
const STEP: Duration = Duration::from_millis(10);
/// Shorter naps take longer than they say.
const SHORTEST_NAP: Duration = Duration::from_millis(1);

/// Does some work on the paused clock, `pace` simulated seconds for each real one; without a pace, at once.
///
/// Nobody sets the clock: tokio moves it by itself to the next moment at which something happens, and only when
/// everybody waits, as it does without a pace. So the work meets the same moments at every pace.
pub async fn paced<T>(pace: Option<NonZeroU32>, work: impl Future<Output = T>) -> T {
    let Some(pace) = pace else { return work.await };
    #[expect(clippy::disallowed_methods, reason = "the work must not be woken by what only measures its time")]
    let pacer = tokio::spawn(keep(pace));
    let done = work.await;
    pacer.abort();
    done
}

/// Wakes at each step, and naps until as much real time has passed. While it naps, the clock stands still.
async fn keep(pace: NonZeroU32) -> Infallible {
    let (mut simulated, mut real) = (Instant::now(), real_time());
    let mut early = Duration::ZERO;
    loop {
        sleep(STEP).await;
        // Real time that went by while somebody thought about a question is not made up for.
        early = (early + simulated.elapsed() / pace.get()).saturating_sub(real.elapsed());
        (simulated, real) = (Instant::now(), real_time());
        if early >= SHORTEST_NAP {
            #[expect(clippy::disallowed_methods, reason = "the one place where simulated time waits for real time")]
            let nap = tokio::task::spawn_blocking(move || std::thread::sleep(early));
            // A nap that could not be taken only makes the pace faster.
            let _ = nap.await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pace is measured in real time")]
fn real_time() -> std::time::Instant {
    std::time::Instant::now()
}
