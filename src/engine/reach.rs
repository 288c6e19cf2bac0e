//! The loop that reaches a goal; the body of `up` and `down`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::act::perform;
use super::observe::{Look, PATIENCE, PAUSE, observe, sign_in};
use crate::domain::action::Action;
use crate::domain::cause::{Cause, LogTail};
use crate::domain::changes::Changes;
use crate::domain::condition::{Condition, Verdict, start_failure};
use crate::domain::level::Goal;
use crate::domain::observed::{Asked, Blindness, Observed, Rollout};
use crate::domain::plan::{Plan, Policy, Refusal, Step, contested, plan, shared_start, spares_meetings, successor};
use crate::error::{Failure, Kind, Outcome, advice};
use crate::event::{Event, Events};
use crate::probe::Sight;
use crate::world::World;

/// What a run of the loop works with.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub world: &'a World,
    pub sight: &'a Sight,
    pub policy: &'a Policy,
    pub say: &'a Events,
    pub stop: &'a CancellationToken,
    /// For the whole run; each wait has its own limit besides.
    pub timeout: Duration,
    /// What Terraform would change, as it was shown already: the same is not shown twice.
    pub shown: Option<&'a Changes>,
    /// `--no-wait` ends after the changes are made.
    pub wait: bool,
}

/// One whole look for a goal. Changes nothing.
pub async fn survey(job: Job<'_>, to: Goal) -> Result<Observed, Failure> {
    let deadline = Instant::now() + job.timeout;
    let seen = Observed::nothing(job.world.clock.now());
    Ok(look(job, to, seen, deadline.min(Instant::now() + PATIENCE)).await?.0)
}

/// So long it is made again when the work is under way: AWS slows callers down for seconds, and is out of order for minutes.
const PATIENCE_AT_WORK: Duration = Duration::from_mins(5);

/// One whole look, and the plan that follows from it; made again while what stands in its way may pass.
async fn look(
    job: Job<'_>,
    to: Goal,
    mut seen: Observed,
    until: Instant,
) -> Result<(Observed, Result<Plan, Refusal>), Failure> {
    let everything = Look::everything_for(to.conditions());
    let mut told = None;
    loop {
        let began = Instant::now();
        if seen.identity.present().is_none() {
            seen.identity = sign_in(job.world, job.policy).await?;
        }
        seen = unless_stopped(job, to, observe(job.world, job.sight, &everything, seen, job.stop)).await?;
        // Another look takes as long as this one.
        let next = Instant::now() + began.elapsed() + PAUSE;
        adopt(job, &mut seen, to);
        let planned = plan(&seen, to, job.policy);
        // `deploy` replaces the task, and looks at it as `down` does.
        let sparing = (to == Goal::AtLeastStandby).then(|| spares_meetings(&seen, job.policy).err()).flatten();
        let refusal = match planned.as_ref().err().or(sparing.as_ref()) {
            Some(refusal) if refusal.may_pass() && next < until => Failure::from(refusal.clone()),
            Some(_) | None => return Ok((seen, planned)),
        };
        let why = format!("{}: {}; looking again", refusal.what, refusal.why.join(": "));
        if told.as_ref() != Some(&why) {
            job.say.note(why.clone());
            told = Some(why);
        }
        unless_stopped(job, to, sleep(PAUSE)).await?;
    }
}

async fn unless_stopped<T>(job: Job<'_>, to: Goal, work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        done = work => Ok(done),
        () = job.stop.cancelled() => Err(interrupted(to)),
    }
}

/// How much longer a start takes when Terraform has to bring the load balancer back first.
const RESTORING: Duration = Duration::from_mins(15);

/// Looks, plans, takes the first step, looks again. Ends well when a fresh plan is empty.
pub async fn reach(job: Job<'_>, to: Goal) -> Result<Outcome, Failure> {
    let mut deadline = Instant::now() + job.timeout;
    let mut seen = Observed::nothing(job.world.clock.now());
    seen.run.waits = true;
    let mut diary = Diary { since: job.world.clock.now(), last: None };
    let mut acted: Vec<Condition> = Vec::new();
    let mut patience = PATIENCE;
    let mut ran = None;
    loop {
        let (now, planned) = look(job, to, seen, deadline.min(Instant::now() + patience)).await?;
        seen = now;
        patience = PATIENCE_AT_WORK;
        if let Some(adopted) = seen.run.asked.as_ref().filter(|_| acted.is_empty()) {
            diary.since = diary.since.min(adopted.at);
        }
        let plan = planned?;
        let ran = *ran.get_or_insert_with(|| is_proven_by_one_more_look(&plan));
        job.say.emit(Event::Planned { observed: Box::new(seen.clone()), plan: plan.clone() });
        let Some(step) = plan.steps.first() else {
            let outcome = if acted.is_empty() && ran { Outcome::NothingToDo } else { Outcome::Done };
            if to == Goal::Running {
                remark(job, &seen, outcome);
            }
            return Ok(outcome);
        };
        if step.action.is_some() {
            if acted.iter().filter(|c| **c == step.until).count() == 2 {
                return Err(undone(step));
            }
            acted.push(step.until);
            if step.action == Some(Action::Restore) {
                deadline += RESTORING;
            }
        } else if !job.wait {
            return Ok(Outcome::Done);
        }
        keep_mark(job, &seen).await;
        take(job, to, step, &mut seen, &mut diary, deadline).await?;
    }
}

/// What is worth saying of a platform that runs: what is not wrong yet, and that it ran before.
fn remark(job: Job<'_>, seen: &Observed, outcome: Outcome) {
    for condition in Goal::Running.conditions() {
        if let Verdict::Warns(why) = condition.judge(seen, job.policy) {
            job.say.warn(format!("{}: {why}", condition.name()));
        }
    }
    let since = seen.task().and_then(|task| task.started).filter(|_| outcome == Outcome::NothingToDo);
    if let Some(since) = since {
        let since = since.strftime("%Y-%m-%d %H:%M UTC");
        job.say.note(format!("already running since {since}"));
    }
}

/// Whether nothing is left to do or to wait for, but a proof for which nobody has looked yet.
fn is_proven_by_one_more_look(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| step.until == Condition::MediaFlows && step.action.is_none())
}

/// Counts on a start that is already under way, rather than making another one; and on one that somebody else's `up`
/// has made in place of ours.
fn adopt(job: Job<'_>, seen: &mut Observed, to: Goal) {
    if to != Goal::Running {
        return;
    }
    if let Some(asked) = shared_start(seen) {
        job.say.note(format!("Somebody else has started the platform at the same time: {} counts.", asked.deployment));
        seen.run.asked = Some(asked);
    } else if seen.run.asked.is_none() {
        seen.run.asked = seen.service.present().filter(|s| s.desired > 0).and_then(|s| {
            let primary = s.primary().filter(|d| d.rollout == Rollout::InProgress)?;
            Some(Asked { deployment: primary.id.clone(), at: primary.created })
        });
    }
    let service = seen.service.present();
    if let Some(asked) = &mut seen.run.asked
        && let Some(shown) = service.and_then(|s| s.deployments.iter().find(|d| d.id == asked.deployment))
    {
        asked.at = shown.created;
    }
    let newer = successor(seen).map(|d| d.id.clone());
    let before = seen.run.replaced.take();
    seen.run.replaced = newer.map(|id| match before {
        Some((same, since)) if same == id => (id, since),
        Some(_) | None => (id, seen.at),
    });
}

/// Two starts at once write over each other's mark: the one that counts writes its own again.
async fn keep_mark(job: Job<'_>, seen: &Observed) {
    let Some(service) = seen.service.present() else { return };
    let Some(mark) = &seen.run.mark else { return };
    let counts = service.desired > 0 && service.primary().is_some_and(|primary| primary.id == mark.deployment);
    if counts && service.mark.as_ref().is_none_or(|other| other.deployment != mark.deployment) {
        // It is tried again at the next look, and nobody's start depends on it.
        let _ = job.world.cloud.mark(mark).await;
    }
}

/// An action is never dropped half-way; a wait always may be.
async fn take(
    job: Job<'_>,
    to: Goal,
    step: &Step,
    seen: &mut Observed,
    diary: &mut Diary,
    deadline: Instant,
) -> Result<(), Failure> {
    let limit = step.until.within();
    let started = Instant::now();
    job.say.emit(Event::StepStarted { until: step.until, limit });
    if let Some(action) = step.action {
        diary.since = job.world.clock.now();
        if let Err(failure) = perform(job, action, seen, deadline).await {
            job.say.emit(Event::StepFailed { until: step.until, message: failure.what.clone() });
            return Err(failure);
        }
        if !job.wait {
            return Ok(());
        }
    }
    // The limit is for the waiting: how long a change takes is not ours to cut short.
    let acted = Instant::now();
    let mut awaited = Awaited { note: step.why.clone(), blind: None };
    let ended = tokio::select! {
        ended = timeout_at(deadline.min(acted + limit), wait(job, to, step, seen, diary, &mut awaited)) => ended,
        () = stopped(job.stop, step.until) => return Err(interrupted(to)),
    };
    let failure = match ended {
        Ok(Ok(Waited::NeedsMore)) => return Ok(()),
        Ok(Ok(Waited::Reached)) => {
            job.say.emit(Event::StepFinished { until: step.until, took: started.elapsed() });
            return Ok(());
        }
        Ok(Err(failure)) => failure,
        Err(_) => timed_out(step.until, started.elapsed(), &awaited, seen, deadline < acted + limit),
    };
    job.say.emit(Event::StepFailed { until: step.until, message: reason(&failure, step.until) });
    Err(failure)
}

/// Why a condition did not come true, in one sentence; that it did not is said already.
fn reason(failure: &Failure, until: Condition) -> String {
    let names_a_cause = !failure.what.ends_with(until.opposite());
    failure.why.first().filter(|_| !names_a_cause).unwrap_or(&failure.what).clone()
}

/// How long the synthetic participants may take to leave their room.
const LEAVING: Duration = Duration::from_secs(4);

/// Does work that may hold a meeting, until it is to stop: whoever is in a room leaves it first. `None` when it stopped.
pub async fn unless_interrupted<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::select! {
        biased;
        done = work => Some(done),
        () = stopped(stop, Condition::MediaFlows) => None,
    };
    done.filter(|_| !stop.is_cancelled())
}

/// Ends when the run is to stop now: a wait is dropped, but participants of a meeting leave first.
async fn stopped(stop: &CancellationToken, until: Condition) {
    stop.cancelled().await;
    if until == Condition::MediaFlows {
        sleep(LEAVING).await;
    }
}

/// While one condition is awaited, those before it are looked at again this often.
const LOOK_BACK: Duration = Duration::from_secs(12);

/// How a wait ended well.
enum Waited {
    Reached,
    /// What was done is not all: the plan has to be made anew.
    NeedsMore,
}

/// Looks until the condition holds. Ends early when it, or one before it, cannot hold any more, and when another change
/// is needed after the one that was made.
async fn wait(
    job: Job<'_>,
    to: Goal,
    step: &Step,
    seen: &mut Observed,
    diary: &mut Diary,
    awaited: &mut Awaited,
) -> Result<Waited, Failure> {
    let until = step.until;
    let before: Vec<Condition> = to.conditions().iter().copied().take_while(|c| *c != until).collect();
    let narrow = Look::at([&until]);
    let wide = Look::at(before.iter().filter(|c| c.is_cheap()).chain([&until]));
    let mut looked_back = Instant::now();
    loop {
        let look_back = looked_back.elapsed() >= LOOK_BACK;
        if look_back {
            looked_back = Instant::now();
        }
        let last = std::mem::replace(seen, Observed::nothing(seen.at));
        *seen = observe(job.world, job.sight, if look_back { &wide } else { &narrow }, last, job.stop).await;
        if job.stop.is_cancelled() {
            return Err(interrupted(to));
        }
        diary.read_on(seen, job.say);
        adopt(job, seen, to);
        if look_back {
            keep_mark(job, seen).await;
        }
        if let Some(why) = contested(seen, to) {
            return Err(Refusal::Contested { why }.into());
        }
        for &earlier in before.iter().filter(|_| look_back) {
            if let Verdict::Fails(why) = earlier.judge(seen, job.policy) {
                return Err(broken(job.world, earlier, why, seen).await);
            }
        }
        let verdict = until.judge(seen, job.policy);
        let next = until.remedy(seen, job.policy).filter(|_| !verdict.is_good() && step.action.is_some());
        if next.is_some() && next != step.action {
            return Ok(Waited::NeedsMore);
        }
        let (note, blind) = match verdict {
            Verdict::Holds | Verdict::Warns(_) => return Ok(Waited::Reached),
            Verdict::Fails(why) => return Err(broken(job.world, until, why, seen).await),
            Verdict::Unseen(unseen) if unseen.because.is_sign_in() => {
                return Err(Failure::new(unseen.because.into(), "the credentials ended during the work")
                    .because(unseen.why)
                    .next(advice(unseen.because))
                    .next("then run the same command again; it continues where it stopped"));
            }
            Verdict::Unseen(unseen) if unseen.because == Blindness::Unprovable => {
                return Err(Failure::new(Kind::Unseen, format!("cannot tell whether {until}"))
                    .because(unseen.why)
                    .next(advice(Blindness::Unprovable)));
            }
            Verdict::Unseen(unseen) => (format!("cannot see: {unseen}"), Some(unseen.because)),
            Verdict::Waits(why) => (why, None),
        };
        if note != awaited.note {
            job.say.emit(Event::StepProgress { until, note: note.clone() });
        }
        *awaited = Awaited { note, blind };
        sleep(until.every()).await;
    }
}

/// The service's own events, each told once.
struct Diary {
    since: Timestamp,
    last: Option<String>,
}

impl Diary {
    fn read_on(&mut self, seen: &Observed, say: &Events) {
        let Some(service) = seen.service.present() else { return };
        let news: Vec<_> = service
            .events
            .iter()
            .take_while(|e| Some(&e.id) != self.last.as_ref())
            .filter(|e| e.at >= self.since)
            .collect();
        for event in news.iter().rev() {
            say.emit(Event::ServiceSaid { at: event.at, message: event.message.clone() });
        }
        if let Some(newest) = service.events.first() {
            self.last = Some(newest.id.clone());
        }
    }
}

/// How much of a container's log goes with a failure.
const LOG_LINES: u16 = 20;

/// A condition that cannot hold any more, with its cause and the log of the container concerned.
async fn broken(world: &World, until: Condition, why: String, seen: &Observed) -> Failure {
    let cause = matches!(until, Condition::Started | Condition::ContainersHealthy | Condition::Steady)
        .then(|| start_failure(seen))
        .flatten();
    let Some(cause) = cause else {
        let failure = Failure::new(Kind::Broken, until.opposite()).because(why);
        return until.next(seen).into_iter().fold(failure, Failure::next);
    };
    let mut failure = Failure::new(Kind::Broken, cause.what.clone()).because(cause.evidence.clone());
    failure.next.clone_from(&cause.next);
    failure.log = log_of(world, &cause).await.ok().flatten();
    failure.next("it keeps trying, and costs money: `meetctl down` ends that")
}

/// The last lines of the container that a cause names.
pub async fn log_of(world: &World, cause: &Cause) -> Result<Option<LogTail>, Failure> {
    let (Some(task), Some(container)) = (&cause.task, &cause.container) else { return Ok(None) };
    let lines = world.cloud.log_tail(task, container, LOG_LINES).await?;
    Ok(lines.map(|lines| LogTail { container: container.clone(), lines }))
}

/// What the last look at a condition has found.
struct Awaited {
    note: String,
    /// Why it could not even be seen.
    blind: Option<Blindness>,
}

/// `hurried`: it was the whole run's time that was over, not this wait's, and nothing need be wrong.
fn timed_out(until: Condition, after: Duration, awaited: &Awaited, seen: &Observed, hurried: bool) -> Failure {
    let (kind, what) = match awaited.blind {
        None => (Kind::TimedOut, format!("after {} s: {}", after.as_secs(), until.opposite())),
        Some(because) => (because.into(), format!("cannot tell any more whether {until}")),
    };
    let failure = Failure::new(kind, what).because(awaited.note.clone());
    let failure = match awaited.blind {
        Some(because) => failure.next(advice(because)),
        None if hurried => failure.next("give it more time, with a longer `--timeout`"),
        None => until.next(seen).into_iter().fold(failure, Failure::next),
    };
    failure.next("then run the same command again; it continues where it stopped")
}

fn undone(step: &Step) -> Failure {
    Failure::new(Kind::Refused, format!("somebody undoes it again and again that {}", step.until))
        .because(step.why.clone())
        .next("find out who it is (`meetctl status`), then run the same command again")
}

fn interrupted(to: Goal) -> Failure {
    Failure::new(Kind::Interrupted, format!("interrupted before it was {to}"))
        .next("run the same command again; it continues where it stopped")
        .next("or see where the platform stands: `meetctl status`")
}
