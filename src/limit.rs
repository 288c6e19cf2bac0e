//! How long a command may take: one limit around all of its work, whatever that is.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, Kind};
use crate::event::{Awaited, Waiting};
use crate::world::LONGEST_LOOK;

/// Whoever keeps the same limit and can say more about what is missing comes first.
const HAIR: Duration = Duration::from_millis(100);
/// How long work may take to leave what it is in the middle of: a room, a change, a program of its own.
const LEAVING: Duration = Duration::from_millis(4_500);
/// No command ends later after its limit than this.
pub const LATEST: Duration = Duration::from_secs(5);

/// Below this, nobody could answer.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

/// The limit of a command, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    whole: Option<Duration>,
    end: Option<Instant>,
}

impl Limit {
    /// `None` is as long as it is wanted.
    pub fn from_now(whole: Option<Duration>) -> Self {
        Self { whole, end: whole.and_then(|whole| Instant::now().checked_add(whole + HAIR)) }
    }

    /// How long one look may take, so that an answer with what could be seen comes within the limit.
    pub fn look(&self) -> Duration {
        self.whole.map_or(LONGEST_LOOK, |whole| (whole / 2).clamp(SHORTEST_LOOK, LONGEST_LOOK))
    }

    /// Works within the limit. When it is over, the work is asked to stop, then dropped.
    pub async fn hold<T>(
        &self,
        stop: &CancellationToken,
        awaited: &Awaited,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some((whole, end)) = self.whole.zip(self.end) else { return work.await };
        let mut work = Box::pin(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep_until(end) => {}
        }
        // What is waited for now, not while leaving.
        let waiting = awaited.now();
        stop.cancel();
        match timeout(LEAVING, work).await {
            Ok(Err(failure)) if failure.kind == Kind::Interrupted => {
                let late = over(whole, &waiting);
                Err(Failure { why: late.why.into_iter().chain(failure.why).collect(), ..late })
            }
            Ok(ended) => ended,
            Err(_) => Err(over(whole, &waiting)),
        }
    }
}

/// That the time is over, and what was still awaited.
pub fn over(whole: Duration, waiting: &Waiting) -> Failure {
    let failure = if waiting.unanswered {
        Failure::new(Kind::Outside, format!("no answer within {}", spoken(whole)))
    } else {
        Failure::new(Kind::TimedOut, format!("not done within {}", spoken(whole)))
    };
    let failure = failure.because(format!("still awaited: {}", waiting.what));
    let failure = if waiting.unanswered { failure.next("check this machine's network") } else { failure };
    failure.next(
        "give it more time with a longer `--timeout`, and run the same command again; it continues where it stopped",
    )
}

fn spoken(whole: Duration) -> String {
    match whole.as_secs() {
        _ if whole.subsec_nanos() > 0 => format!("{:.1} s", whole.as_secs_f64()),
        seconds if seconds >= 120 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
