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
use crate::domain::condition::{Code, Condition, Judged, LEAVING, Verdict, spares_meetings, start_failure, successor};
use crate::domain::goal::Goal;
use crate::domain::observed::{Asked, Blindness, Observed, Rollout};
use crate::domain::plan::{Plan, Policy, Refusal, Step, contested, plan, shared_start};
use crate::domain::view::{Memory, View};
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

/// What a run has seen last, and what it remembers besides.
pub(super) struct Watch {
    pub(super) seen: Observed,
    pub(super) memory: Memory,
}

impl Watch {
    fn begin(job: Job<'_>) -> Self {
        Self { seen: Observed::nothing(job.world.clock.now()), memory: Memory::NONE }
    }

    pub(super) fn view<'a>(&'a self, policy: &'a Policy) -> View<'a> {
        View { seen: &self.seen, memory: &self.memory, policy }
    }

    /// Looks again, where it is told to. What was seen stays, should the look be dropped half-way.
    async fn look(&mut self, job: Job<'_>, look: &Look) {
        self.seen = observe(job.world, job.sight, look, self.seen.clone(), job.stop).await;
        self.memory.note(&self.seen);
    }
}

/// One whole look for a goal. Changes nothing.
pub async fn survey(job: Job<'_>, to: Goal) -> Result<Observed, Failure> {
    let deadline = Instant::now() + job.timeout;
    let mut watch = Watch::begin(job);
    look(job, to, &mut watch, deadline.min(Instant::now() + PATIENCE)).await?.ok();
    Ok(watch.seen)
}

/// So long it is made again when the work is under way: AWS slows callers down for seconds, and is out of order for minutes.
const PATIENCE_AT_WORK: Duration = Duration::from_mins(5);

/// One whole look, and the plan that follows from it; made again while what stands in its way may pass.
async fn look(job: Job<'_>, to: Goal, watch: &mut Watch, until: Instant) -> Result<Result<Plan, Refusal>, Failure> {
    let everything = Look::everything_for(to.conditions());
    let mut told = None;
    loop {
        let began = Instant::now();
        if watch.seen.identity.present().is_none() {
            watch.seen.identity = sign_in(job.world, job.policy).await?;
        }
        unless_stopped(job, to, watch.look(job, &everything)).await?;
        // Another look takes as long as this one.
        let next = Instant::now() + began.elapsed() + PAUSE;
        adopt(job, watch, to);
        let view = watch.view(job.policy);
        let planned = plan(&view, to);
        // `deploy` replaces the task, and looks at it as `down` does.
        let sparing = (to == Goal::AtLeastStandby).then(|| spares_meetings(&view).err()).flatten();
        let refusal = match planned.as_ref().err().or(sparing.as_ref()) {
            Some(refusal) if refusal.may_pass() && next < until => Failure::from(refusal.clone()),
            Some(_) | None => return Ok(planned),
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
    let mut watch = Watch::begin(job);
    watch.memory.waits = true;
    let mut diary = Diary { since: job.world.clock.now(), last: None };
    let mut acted: Vec<Condition> = Vec::new();
    let mut patience = PATIENCE;
    let mut ran = None;
    loop {
        let plan = look(job, to, &mut watch, deadline.min(Instant::now() + patience)).await??;
        patience = PATIENCE_AT_WORK;
        if let Some(adopted) = watch.memory.asked.as_ref().filter(|_| acted.is_empty()) {
            diary.since = diary.since.min(adopted.at);
        }
        let ran = *ran.get_or_insert_with(|| is_proven_by_one_more_look(&plan));
        job.say.emit(Event::Planned { observed: Box::new(watch.seen.clone()), plan: plan.clone() });
        let Some(step) = plan.steps.first() else {
            let outcome = if acted.is_empty() && ran { Outcome::NothingToDo } else { Outcome::Done };
            if to == Goal::Running {
                remark(job, &watch, outcome);
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
        keep_mark(job, &watch).await;
        take(job, to, step, &mut watch, &mut diary, deadline).await?;
    }
}

/// What is worth saying of a platform that runs: what is not wrong yet, and that it ran before.
fn remark(job: Job<'_>, watch: &Watch, outcome: Outcome) {
    let view = watch.view(job.policy);
    for condition in Goal::Running.conditions() {
        if let Verdict::Warns(why) = condition.judge(&view).verdict {
            job.say.warn(format!("{}: {why}", condition.name()));
        }
    }
    let since = view.task().and_then(|task| task.started).filter(|_| outcome == Outcome::NothingToDo);
    if let Some(since) = since {
        let since = since.strftime("%Y-%m-%d %H:%M UTC");
        job.say.note(format!("already running since {since}"));
    }
}

/// Whether nothing is left to do or to wait for, but a proof for which nobody has looked yet.
fn is_proven_by_one_more_look(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| !step.until.rule().first_look && step.action.is_none())
}

/// Counts on a start that is already under way, rather than making another one; and on one that somebody else's `up`
/// has made in place of ours.
fn adopt(job: Job<'_>, watch: &mut Watch, to: Goal) {
    if to != Goal::Running {
        return;
    }
    let service = watch.seen.service.present();
    if let Some(asked) = shared_start(&watch.view(job.policy)) {
        job.say.note(format!("Somebody else has started the platform at the same time: {} counts.", asked.deployment));
        watch.memory.asked = Some(asked);
    } else if watch.memory.asked.is_none() {
        watch.memory.asked = service.filter(|s| s.desired > 0).and_then(|s| {
            let primary = s.primary().filter(|d| d.rollout == Rollout::InProgress)?;
            Some(Asked { deployment: primary.id.clone(), at: primary.created })
        });
    }
    if let Some(asked) = &mut watch.memory.asked
        && let Some(shown) = service.and_then(|s| s.deployments.iter().find(|d| d.id == asked.deployment))
    {
        asked.at = shown.created;
    }
    let newer = successor(&watch.view(job.policy)).map(|d| d.id.clone());
    watch.memory.note_successor(newer, watch.seen.at);
}

/// Two starts at once write over each other's mark: the one that counts writes its own again.
async fn keep_mark(job: Job<'_>, watch: &Watch) {
    let Some(service) = watch.seen.service.present() else { return };
    let Some(mark) = &watch.memory.mark else { return };
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
    watch: &mut Watch,
    diary: &mut Diary,
    deadline: Instant,
) -> Result<(), Failure> {
    let limit = step.until.rule().within;
    let started = Instant::now();
    job.say.emit(Event::StepStarted { until: step.until, limit });
    if let Some(action) = step.action {
        diary.since = job.world.clock.now();
        if let Err(failure) = perform(job, action, watch, deadline).await {
            job.say.emit(Event::StepFailed { until: step.until, message: failure.what.clone(), code: failure.code });
            return Err(failure);
        }
        if !job.wait {
            return Ok(());
        }
    }
    // The limit is for the waiting: how long a change takes is not ours to cut short.
    let acted = Instant::now();
    let mut awaited = Awaited { note: step.why.clone(), code: step.code, blind: None };
    let ended = tokio::select! {
        ended = timeout_at(deadline.min(acted + limit), wait(job, to, step, watch, diary, &mut awaited)) => ended,
        () = stopped(job.stop, step.until.rule().leave_after) => return Err(interrupted(to)),
    };
    let failure = match ended {
        Ok(Ok(Waited::NeedsMore)) => return Ok(()),
        Ok(Ok(Waited::Reached)) => {
            job.say.emit(Event::StepFinished { until: step.until, took: started.elapsed() });
            return Ok(());
        }
        Ok(Err(failure)) => failure,
        Err(_) => timed_out(step.until, started.elapsed(), &awaited, &watch.view(job.policy), deadline < acted + limit),
    };
    let message = reason(&failure, step.until);
    job.say.emit(Event::StepFailed { until: step.until, message, code: failure.code });
    Err(failure)
}

/// Why a condition did not come true, in one sentence; that it did not is said already.
fn reason(failure: &Failure, until: Condition) -> String {
    let names_a_cause = !failure.what.ends_with(until.opposite());
    failure.why.first().filter(|_| !names_a_cause).unwrap_or(&failure.what).clone()
}

/// Does work that may hold a meeting, until it is to stop: whoever is in a room leaves it first. `None` when it stopped.
pub async fn unless_interrupted<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::select! {
        biased;
        done = work => Some(done),
        () = stopped(stop, LEAVING) => None,
    };
    done.filter(|_| !stop.is_cancelled())
}

/// Ends when the run is to stop now: a wait is dropped, but participants of a meeting leave first.
async fn stopped(stop: &CancellationToken, leaving: Duration) {
    stop.cancelled().await;
    sleep(leaving).await;
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
    watch: &mut Watch,
    diary: &mut Diary,
    awaited: &mut Awaited,
) -> Result<Waited, Failure> {
    let until = step.until;
    let before: Vec<Condition> = to.conditions().iter().copied().take_while(|c| *c != until).collect();
    let narrow = Look::at([&until]);
    let wide = Look::at(before.iter().filter(|c| c.rule().cheap).chain([&until]));
    let mut looked_back = Instant::now();
    loop {
        let look_back = looked_back.elapsed() >= LOOK_BACK;
        if look_back {
            looked_back = Instant::now();
        }
        watch.look(job, if look_back { &wide } else { &narrow }).await;
        if job.stop.is_cancelled() {
            return Err(interrupted(to));
        }
        diary.read_on(&watch.seen, job.say);
        adopt(job, watch, to);
        if look_back {
            keep_mark(job, watch).await;
        }
        let view = watch.view(job.policy);
        if let Some(why) = contested(&view, to) {
            return Err(Refusal::Contested { why }.into());
        }
        for &earlier in before.iter().filter(|_| look_back) {
            let Judged { verdict, code } = earlier.judge(&view);
            if let Verdict::Fails(why) = verdict {
                return Err(broken(job.world, earlier, why, code, &view).await);
            }
        }
        let Judged { verdict, code } = until.judge(&view);
        let next = until.remedy(&view).filter(|_| !verdict.is_good() && step.action.is_some());
        if next.is_some() && next != step.action {
            return Ok(Waited::NeedsMore);
        }
        let (note, blind) = match verdict {
            Verdict::Holds | Verdict::Warns(_) => return Ok(Waited::Reached),
            Verdict::Fails(why) => return Err(broken(job.world, until, why, code, &view).await),
            Verdict::Unseen(unseen) if unseen.because.is_sign_in() => {
                return Err(Failure::new(unseen.because.into(), "the credentials ended during the work")
                    .because(unseen.why)
                    .next(advice(unseen.because))
                    .next("then run the same command again; it continues where it stopped"));
            }
            Verdict::Unseen(unseen) if unseen.because == Blindness::Unprovable => {
                return Err(Failure::new(Kind::Unseen, format!("cannot tell whether {until}"))
                    .because(unseen.why)
                    .coded(code)
                    .next(advice(Blindness::Unprovable)));
            }
            Verdict::Unseen(unseen) => (format!("cannot see: {unseen}"), Some(unseen.because)),
            Verdict::Waits(why) => (why, None),
        };
        if note != awaited.note {
            job.say.emit(Event::StepProgress { until, note: note.clone() });
        }
        *awaited = Awaited { note, code, blind };
        sleep(until.rule().every).await;
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
async fn broken(world: &World, until: Condition, why: String, code: Option<Code>, view: &View<'_>) -> Failure {
    let Some(cause) = until.rule().explains_start.then(|| start_failure(view)).flatten() else {
        let failure = Failure::new(Kind::Broken, until.opposite()).because(why).coded(code);
        return until.advice(view).into_iter().fold(failure, Failure::next);
    };
    let mut failure = Failure::new(Kind::Broken, cause.what.clone()).because(cause.evidence.clone()).coded(code);
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
    code: Option<Code>,
    /// Why it could not even be seen.
    blind: Option<Blindness>,
}

/// `hurried`: it was the whole run's time that was over, not this wait's, and nothing need be wrong.
fn timed_out(until: Condition, after: Duration, awaited: &Awaited, view: &View<'_>, hurried: bool) -> Failure {
    let (kind, what) = match awaited.blind {
        None => (Kind::TimedOut, format!("after {} s: {}", after.as_secs(), until.opposite())),
        Some(because) => (because.into(), format!("cannot tell any more whether {until}")),
    };
    let failure = Failure::new(kind, what).because(awaited.note.clone()).coded(awaited.code);
    let failure = match awaited.blind {
        Some(because) => failure.next(advice(because)),
        None if hurried => failure.next("give it more time, with a longer `--timeout`"),
        None => until.advice(view).into_iter().fold(failure, Failure::next),
    };
    failure.next("then run the same command again; it continues where it stopped")
}

fn undone(step: &Step) -> Failure {
    Failure::new(Kind::Refused, format!("something else keeps undoing it: {}", step.until.opposite()))
        .because(step.why.clone())
        .next("find out who it is (`meetctl status`), then run the same command again")
}

fn interrupted(to: Goal) -> Failure {
    Failure::new(Kind::Interrupted, format!("interrupted before the platform was {}", to.reached()))
        .next("run the same command again; it continues where it stopped")
        .next("or see where the platform stands: `meetctl status`")
}
