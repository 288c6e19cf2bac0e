//! The platform as it was found: where a rehearsal has to leave it, and how it gets there.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::act::again;
use super::reach::{Job, reach, survey};
use crate::domain::condition::{COUNT_EVERY, Verdict, is_shut, rooms_empty};
use crate::domain::goal::{Goal, Level};
use crate::domain::plan::{Meetings, Policy};
use crate::domain::standing::Standing;
use crate::domain::view::View;
use crate::error::{Failure, Kind, Outcome};

/// Where the platform stood before it was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// It runs, well or not, and is not ours to stop.
    Running,
    Standby,
    PoweredDown,
    /// There is no platform.
    Nowhere,
}

impl Home {
    /// `None` when nobody could say how to bring it back there: it is not known, or on its way.
    pub(super) fn of(standing: &Standing) -> Option<Self> {
        match standing {
            Standing::Running | Standing::Degraded { of: Level::Running, .. } => Some(Self::Running),
            Standing::Standby | Standing::Degraded { .. } => Some(Self::Standby),
            Standing::PoweredDown => Some(Self::PoweredDown),
            Standing::Destroyed | Standing::NoSuchPlatform(_) => Some(Self::Nowhere),
            Standing::Changing { .. } | Standing::Unknown { .. } => None,
        }
    }

    /// Whether the platform stands there. What runs may have become better or worse by itself.
    pub(super) fn is(self, standing: &Standing) -> bool {
        match standing {
            Standing::Changing { toward: Level::Running, .. } => self == Self::Running,
            other => Self::of(other) == Some(self),
        }
    }

    /// What a look has to show there.
    pub(super) const fn goal(self) -> Goal {
        match self {
            Self::PoweredDown => Goal::AtMostPoweredDown,
            Self::Running | Self::Standby | Self::Nowhere => Goal::AtMostStandby,
        }
    }
}

const STOPPING: Duration = Duration::from_mins(10);
const POWERING_DOWN: Duration = Duration::from_mins(20);
/// ECS may show for some seconds what was before a change.
const STALE: Duration = Duration::from_secs(15);
/// A sidecar that has just started may need as long to write its first count.
const COUNTING: Duration = Duration::from_mins(3);

/// Brings the platform back to where it was, unless people have joined meanwhile.
pub(super) async fn restore(job: Job<'_>, home: Home) -> Result<(), Failure> {
    let meetings = may_stop(job).await?;
    let policy = Policy { meetings, ..job.policy.clone() };
    let job = Job { policy: &policy, wait: true, ..job };
    let stopping = Job { timeout: STOPPING, ..job };
    if Box::pin(reach(stopping, Goal::AtMostStandby)).await? == Outcome::NothingToDo {
        // A start that was cut short may not show yet: it is taken back all the same.
        again(job, Instant::now() + STOPPING, || job.world.cloud.stop()).await?;
        sleep(STALE).await;
        Box::pin(reach(stopping, Goal::AtMostStandby)).await?;
    }
    if home == Home::PoweredDown {
        Box::pin(reach(Job { timeout: POWERING_DOWN, ..job }, Goal::AtMostPoweredDown)).await?;
    }
    Ok(())
}

/// Whether the platform may be stopped. Nobody is in a meeting on a platform whose signalling does not answer.
async fn may_stop(job: Job<'_>) -> Result<Meetings, Failure> {
    let began = Instant::now();
    loop {
        let seen = Box::pin(survey(job, Goal::AtMostStandby)).await?;
        let view = View::single(&seen, job.policy);
        match rooms_empty(&view).verdict {
            Verdict::Holds | Verdict::Warns(_) => return Ok(Meetings::Respect),
            Verdict::Waits(why) | Verdict::Fails(why) => return Err(left_running(&why)),
            // What else could not be read, the loop says better.
            Verdict::Unseen(_) if seen.tasks.unreadable().is_some() => return Ok(Meetings::Respect),
            Verdict::Unseen(_) if began.elapsed() < COUNTING => sleep(COUNT_EVERY).await,
            Verdict::Unseen(_) if is_shut(&view) => return Ok(Meetings::Cut),
            Verdict::Unseen(why) => return Err(left_running(&format!("it cannot be told who is there: {why}"))),
        }
    }
}

fn left_running(why: &str) -> Failure {
    Failure::new(Kind::Refused, "the platform was left running: people may be in a meeting")
        .because(why)
        .next("stop it when they have left: `meetctl down --when-empty`")
}
