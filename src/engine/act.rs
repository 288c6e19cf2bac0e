//! One change to the outside.

use crate::domain::action::Action;
use crate::domain::name::TaskId;
use crate::domain::observed::{Asked, Mark, Observed};
use crate::error::Failure;
use crate::event::Events;
use crate::world::World;

/// Makes one change, and notes in the observation's run what has been asked for. Never dropped half-way.
pub(super) async fn perform(world: &World, say: &Events, action: Action, seen: &mut Observed) -> Result<(), Failure> {
    match action {
        Action::Start => start(world, say, seen).await,
        Action::Stop => Ok(world.cloud.stop().await?),
        Action::Unprotect => {
            let tasks: Vec<TaskId> = seen.live_tasks().map(|t| t.id.clone()).collect();
            world.cloud.unprotect(&tasks).await?;
            seen.run.unprotected = true;
            Ok(())
        }
    }
}

async fn start(world: &World, say: &Events, seen: &mut Observed) -> Result<(), Failure> {
    let at = world.clock.now();
    let deployment = world.cloud.start().await?;
    seen.run.asked = Some(Asked { deployment: deployment.clone(), at });
    let by = seen.identity.present().map_or_else(|| "unknown".to_owned(), |i| i.arn.clone());
    // A platform that runs without a note of who started it still runs.
    if let Err(error) = world.cloud.mark(&Mark { by, at, deployment }).await {
        say.warn(format!("`status` will not know who started the platform: {error}"));
    }
    Ok(())
}
