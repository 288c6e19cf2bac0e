//! One change to the outside.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::observe::PAUSE;
use super::reach::{Job, Watch};
use crate::domain::action::Action;
use crate::domain::changes::{Change, Changes, Recordings, Wanted, guard};
use crate::domain::name::TaskId;
use crate::domain::observed::{Asked, Mark, Observed, Service, Task};
use crate::domain::ownership::agreed_leftovers;
use crate::domain::plan::{Meetings, Policy, Refusal};
use crate::error::{Failure, Kind};
use crate::event::Event;
use crate::world::{CloudError, CloudErrorKind, Errand, Planned, TerraformError};

/// Makes one change, and remembers what has been asked for. Never dropped half-way.
///
/// A change that is the same when it is made twice is made again while AWS does not answer, until the deadline.
pub(super) async fn perform(job: Job<'_>, action: Action, watch: &mut Watch, deadline: Instant) -> Result<(), Failure> {
    match action {
        Action::Start => start(job, watch, deadline).await,
        Action::Stop => Ok(again(job, deadline, || job.world.cloud.stop()).await?),
        Action::Unprotect => unprotect(job, watch, deadline).await,
        Action::Restore => terraform(job, &[Wanted::Restored], watch).await,
        Action::PowerDown => terraform(job, &[Wanted::PoweredDown], watch).await,
        Action::RemoveKeepingRecordings => {
            terraform(job, &[Wanted::Removed { recordings: Recordings::Kept }], watch).await
        }
        Action::RemoveWithRecordings => {
            // Terraform empties a bucket only if its state says so: what is to be deleted is first made deletable.
            let removed = Wanted::Removed { recordings: Recordings::Deleted };
            let is_recordings = |address: &String| address == "aws_s3_bucket.recordings";
            let there = watch.seen.managed.present().is_some_and(|m| m.iter().any(is_recordings));
            let wishes = if there { &[Wanted::RecordingsDeletable, removed][..] } else { &[removed][..] };
            terraform(job, wishes, watch).await
        }
        Action::RemoveBalancers => remove_balancers(job, watch, deadline).await,
    }
}

async fn unprotect(job: Job<'_>, watch: &mut Watch, deadline: Instant) -> Result<(), Failure> {
    let tasks: Vec<TaskId> = watch.seen.live_tasks().map(|t| t.id.clone()).collect();
    again(job, deadline, || job.world.cloud.unprotect(&tasks)).await?;
    watch.memory.unprotected = true;
    Ok(())
}

/// One start, also when somebody else makes one at the same time, or when it is not known whether AWS has taken it.
async fn start(job: Job<'_>, watch: &mut Watch, deadline: Instant) -> Result<(), Failure> {
    let cloud = &job.world.cloud;
    if job.policy.meetings == Meetings::Cut && watch.seen.live_tasks().any(Task::is_running) {
        unprotect(job, watch, deadline).await?;
    }
    // The look at the whole platform took seconds: somebody may have started it meanwhile.
    if let Some(asked) = started_meanwhile(job, &watch.seen, deadline).await? {
        watch.memory.asked = Some(asked);
        return Ok(());
    }
    let at = job.world.clock.now();
    let deployment = loop {
        match cloud.start().await {
            Ok(deployment) => break deployment,
            Err(error) if error.kind.may_pass() && Instant::now() + SHOWN < deadline => {
                job.say.note(format!("whether the start was accepted is not known ({error}); looking for it"));
                pause(job, SHOWN, &error).await?;
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(asked) = started_meanwhile(job, &watch.seen, deadline).await? {
            break asked.deployment;
        }
    };
    let before = watch.seen.service.present().and_then(Service::primary).map_or(at, |primary| primary.created);
    watch.memory.asked = Some(Asked { deployment: deployment.clone(), at: before });
    let by = watch.seen.identity.present().map_or_else(|| "unknown".to_owned(), |i| i.arn.clone());
    let mark = Mark { by, at, deployment };
    match again(job, deadline, || cloud.mark(&mark)).await {
        Ok(()) => watch.memory.mark = Some(mark),
        // A platform that runs without a note of who started it still runs.
        Err(error) => job.say.warn(format!("`status` will not know who started the platform: {error}")),
    }
    Ok(())
}

/// The start that was made since this was seen, whoever made it.
async fn started_meanwhile(job: Job<'_>, seen: &Observed, deadline: Instant) -> Result<Option<Asked>, Failure> {
    let before = seen.service.present().and_then(Service::primary);
    let Some(now) = again(job, deadline, || job.world.cloud.service()).await? else { return Ok(None) };
    let primary = now.primary().filter(|_| now.desired > 0);
    let newer = primary.filter(|d| before.is_none_or(|before| d.id != before.id && d.created > before.created));
    Ok(newer.map(|d| Asked { deployment: d.id.clone(), at: d.created }))
}

/// So long ECS may show what was before a change.
const SHOWN: Duration = Duration::from_secs(15);
/// How often a call is tried in all: the SDK has tried each of them three times.
const TRIES: u32 = 6;

/// Makes a call that is the same when it is made twice, again while AWS is busy or its answer is lost on the way.
pub async fn again<T, F>(job: Job<'_>, deadline: Instant, call: impl Fn() -> F) -> Result<T, CloudError>
where
    F: Future<Output = Result<T, CloudError>>,
{
    for _ in 1..TRIES {
        match call().await {
            Err(error) if error.kind.may_pass() && Instant::now() + PAUSE < deadline => {
                pause(job, PAUSE, &error).await?;
            }
            other => return other,
        }
    }
    call().await
}

/// Waits before another try; whoever is to stop does not try again.
async fn pause(job: Job<'_>, time: Duration, after: &CloudError) -> Result<(), CloudError> {
    tokio::select! {
        () = sleep(time) => Ok(()),
        () = job.stop.cancelled() => Err(after.clone()),
    }
}

/// Plans, refuses what goes too far, and applies exactly what was planned, one wish after the other.
async fn terraform(job: Job<'_>, wishes: &[Wanted], watch: &mut Watch) -> Result<(), Failure> {
    for &wanted in wishes {
        if let Some(planned) = preview(job, wanted, &watch.seen).await? {
            refuse_unnamed(&planned.changes, job.policy)?;
            apply(job, planned, &watch.seen).await?;
        }
    }
    watch.memory.terraformed = Some(job.world.clock.now());
    Ok(())
}

/// Another plan than the one that was agreed to is another question.
fn refuse_unnamed(changes: &Changes, policy: &Policy) -> Result<(), Refusal> {
    let Some(agreed) = &policy.agreed else { return Ok(()) };
    let is_named = |change: &Change| agreed.by_terraform.contains(change.arn.as_ref().unwrap_or(&change.address));
    let unnamed = changes.resources.iter().filter(|change| change.deletes() && !is_named(change));
    let addresses: Vec<String> = unnamed.map(ToString::to_string).collect();
    if addresses.is_empty() { Ok(()) } else { Err(Refusal::NotNamed { addresses }) }
}

/// What Terraform would do, said and guarded; `None` when there is nothing to remove because it never made anything.
pub async fn preview(job: Job<'_>, wanted: Wanted, seen: &Observed) -> Result<Option<Planned>, Failure> {
    let said = |said| job.say.emit(Event::TerraformSaid { said });
    let errand = errand(job, seen, &said)?;
    let planned = match job.world.terraform.plan(wanted, errand).await {
        Ok(planned) => planned,
        Err(TerraformError::StateGone { .. }) if is_nothing(seen) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if job.shown != Some(&planned.changes) {
        job.say.emit(Event::ChangesPlanned { wanted, changes: planned.changes.clone() });
    }
    guard(&planned.changes, wanted, job.world.terraform.platform().as_str())?;
    Ok(Some(planned))
}

/// Whether nothing of the platform is there, for certain.
fn is_nothing(seen: &Observed) -> bool {
    seen.service.is_absent() && seen.balancer.is_absent() && seen.secret.is_absent()
}

/// Applies exactly what was planned.
pub async fn apply(job: Job<'_>, planned: Planned, seen: &Observed) -> Result<Changes, Failure> {
    let changes = planned.changes.clone();
    if !changes.is_empty() {
        let said = |said| job.say.emit(Event::TerraformSaid { said });
        job.world.terraform.apply(planned, errand(job, seen, &said)?).await?;
    }
    Ok(changes)
}

fn errand<'a>(
    job: Job<'a>,
    seen: &'a Observed,
    said: &'a (dyn Fn(crate::domain::said::Said) + Send + Sync),
) -> Result<Errand<'a>, Failure> {
    let Some(identity) = seen.identity.present() else {
        return Err(Failure::new(Kind::NoAccess, "it is not known whose credentials these are")
            .because(seen.identity.unreadable().map(ToString::to_string).unwrap_or_default())
            .next("sign in, then run the same command again"));
    };
    Ok(Errand { account: &identity.account, said, stop: job.stop })
}

/// Deletes leftovers that were agreed to. What Terraform still manages, and its plan would not delete, is none.
async fn remove_balancers(job: Job<'_>, watch: &mut Watch, deadline: Instant) -> Result<(), Failure> {
    let said = |said| job.say.emit(Event::TerraformSaid { said });
    let managed = job.world.terraform.managed(errand(job, &watch.seen, &said)?).await?.unwrap_or_default();
    let is_agreed =
        |address: &String| job.policy.agreed.as_ref().is_some_and(|agreed| agreed.by_terraform.contains(address));
    let balancers = managed.into_iter().filter(|address| address.starts_with("aws_lb."));
    let known: Vec<String> = balancers.filter(|address| !is_agreed(address)).collect();
    if !known.is_empty() {
        return Err(Refusal::StillManaged { addresses: known }.into());
    }
    for leftover in agreed_leftovers(&watch.view(job.policy)) {
        job.say.note(format!("Deleting what was left over: {leftover}: {}", leftover.arn));
        match again(job, deadline, || job.world.cloud.remove_balancer(&leftover.arn)).await {
            Ok(()) => {}
            Err(error) if error.kind == CloudErrorKind::Denied => {
                return Err(Failure::new(Kind::Broken, format!("something that costs is left: {leftover}"))
                    .because(error.to_string())
                    .next(format!("ask for {} on it, or let somebody delete it who may: {}", error.what, leftover.arn))
                    .next("then run the same command again; it continues where it stopped"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    watch.memory.balancers_removed = Some(job.world.clock.now());
    Ok(())
}
