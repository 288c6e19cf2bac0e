//! The rehearsal: ten phases over the same loop. Whatever happens, the platform is left as it was found.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::judge::judge;
use super::observe::{Look, observe_well, sign_in};
use super::reach::{Job, reach, unless_interrupted};
use super::restore::{Home, restore};
use crate::answer::{JudgedCondition, Part, Probe, Rehearsal};
use crate::domain::cause::LogTail;
use crate::domain::condition::{Condition, POWERED_DOWN, TASK_YOUNG, Verdict, counted, rooms_empty};
use crate::domain::cost::Cost;
use crate::domain::goal::Goal;
use crate::domain::observed::{Identity, Observed, Reading};
use crate::domain::plan::exists;
use crate::domain::rehearsal::{Grade, MEETING, OF_AWS, Phase};
use crate::domain::standing::Standing;
use crate::domain::view::View;
use crate::error::{Failure, Kind, Outcome, advice};
use crate::event::Event;
use crate::probe::Sight;
use crate::probe::media::Load;

/// What is rehearsed.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    pub platform: &'a str,
    /// The people to play in the meeting; `None`: two.
    pub load: Option<&'a Load>,
    /// Whether the platform stays up when everything went well.
    pub keep_up: bool,
}

/// A rehearsal that has ended.
#[derive(Debug)]
pub struct Rehearsed {
    pub rehearsal: Rehearsal,
    /// Why the platform is not as it was found.
    pub unrestored: Option<Failure>,
    /// Whether the time for it was over before its phases were.
    pub late: bool,
}

/// A start from powered-down takes ten minutes when all goes well.
const STARTING: Duration = Duration::from_mins(25);

/// Plays all phases. When it is to stop, or out of time, it goes on with putting the platform back.
pub async fn rehearse(job: Job<'_>, script: Script<'_>) -> Result<Rehearsed, Failure> {
    let stop = job.stop.child_token();
    let mut playing = Box::pin(play(Job { stop: &stop, wait: true, ..job }, script));
    tokio::select! {
        biased;
        played = &mut playing => played,
        () = sleep(job.timeout) => {
            stop.cancel();
            let played = playing.await?;
            Ok(Rehearsed { late: !job.stop.is_cancelled(), ..played })
        }
    }
}

async fn play(job: Job<'_>, script: Script<'_>) -> Result<Rehearsed, Failure> {
    let identity = unless_interrupted(job.stop, sign_in(job.world, job.policy)).await.ok_or_else(|| {
        Failure::new(Kind::Interrupted, "interrupted before anything was done").next("nothing was changed")
    })??;
    let mut stage = Stage { job, script, began: Instant::now(), at: job.world.clock.now(), parts: Vec::new() };
    stage.run(Phase::Prerequisites, unless_interrupted(job.stop, prerequisites(job, identity.clone()))).await;
    let mut found = None;
    stage.run(Phase::Status, unless_interrupted(job.stop, status(job, identity.clone(), &mut found))).await;
    let home = match &found {
        Some(seen) => Some(may_begin(job, seen)?),
        None => None,
    };
    let standing = found.as_ref().map(|seen| Standing::of(&View::single(seen, job.policy)));
    let mut begun = false;
    if let Some(obstacle) = stage.obstacle(home.flatten()) {
        for phase in &Phase::ALL[2..8] {
            stage.skip(*phase, obstacle);
        }
    } else {
        begun = true;
        stage.run(Phase::Up, up(job)).await;
        stage.proofs(&identity).await;
    }
    let home = home.flatten().unwrap_or(Home::Nowhere);
    let fresh = CancellationToken::new();
    let back = Job { stop: &fresh, ..job };
    let mut unrestored = None;
    if let Some(why) = stage.leaves_it(home, begun) {
        stage.skip(Phase::Down, why);
    } else {
        if job.stop.is_cancelled() {
            job.say.note("The platform is put back as it was found first; leaving now would leave it running.");
        }
        stage.run(Phase::Down, down(back, home, &mut unrestored)).await;
    }
    let stays = stage.stays_up(begun);
    let wanted = if stays { Home::Running } else { home };
    let mut left = None;
    stage.run(Phase::NothingLeft, nothing_left(back, identity, begun.then_some(wanted), &mut left)).await;
    Ok(stage.end(standing.as_ref(), left.as_ref(), begun.then_some(wanted), unrestored))
}

/// Where to bring it back to; refuses when it may not be touched now.
fn may_begin(job: Job<'_>, seen: &Observed) -> Result<Option<Home>, Failure> {
    let refused = |what: &str, why: String| Failure::new(Kind::Refused, what).because(why);
    let view = View::single(seen, job.policy);
    exists(&view)?;
    let standing = Standing::of(&view);
    if let Standing::Changing { toward, awaited, .. } = &standing {
        let why = format!("it is on its way to {toward}: {}", awaited.join("; "));
        return Err(refused("the platform is changing, so it could not be left as it was found", why)
            .next("wait until it has settled (`meetctl status --watch`), then run the same command again"));
    }
    let home = Home::of(&standing);
    match rooms_empty(&view).verdict {
        _ if home != Some(Home::Running) => Ok(home),
        Verdict::Holds | Verdict::Warns(_) => Ok(home),
        Verdict::Waits(why) | Verdict::Fails(why) => {
            Err(refused("people are in a meeting, and a rehearsal would disturb them", why)
                .next("wait until they have left, then run the same command again"))
        }
        Verdict::Unseen(why) => Err(refused("whether people are in a meeting cannot be told", why.to_string())
            .next("ask whether anybody is still in a meeting; `meetctl health` looks without changing anything")),
    }
}

/// The phases so far.
struct Stage<'a> {
    job: Job<'a>,
    script: Script<'a>,
    began: Instant,
    at: jiff::Timestamp,
    parts: Vec<Part>,
}

/// What a phase has found.
#[derive(Default)]
struct Found {
    grade: Option<Grade>,
    evidence: Vec<String>,
    next: Vec<String>,
    judged: Vec<JudgedCondition>,
    probe: Option<Box<Probe>>,
    log: Option<LogTail>,
}

impl Found {
    fn graded(grade: Grade, evidence: Vec<String>) -> Self {
        Self { grade: Some(grade), evidence, ..Self::default() }
    }

    fn failed(failure: &Failure) -> Self {
        let grade = match failure.kind {
            Kind::NoAccess | Kind::Outside | Kind::Unseen => Grade::Unseen(failure.what.clone()),
            Kind::Bug
            | Kind::Usage
            | Kind::Configuration
            | Kind::Refused
            | Kind::TimedOut
            | Kind::Broken
            | Kind::Interrupted
            | Kind::Terminated => Grade::Bad(failure.what.clone()),
        };
        let (evidence, next, log) = (failure.why.clone(), failure.next.clone(), failure.log.clone());
        Self { evidence, next, log, ..Self::graded(grade, Vec::new()) }
    }

    fn of(judged: JudgedCondition) -> Self {
        let evidence = if judged.evidence.is_empty() { Vec::new() } else { vec![judged.evidence] };
        Self { next: judged.next, ..Self::graded(judged.verdict.into(), evidence) }
    }
}

impl Stage<'_> {
    /// Plays one phase; nothing found means that it was stopped.
    async fn run(&mut self, phase: Phase, work: impl Future<Output = Option<Found>>) {
        let (number, of) = (phase.number(), Phase::ALL.len());
        self.job.say.emit(Event::PhaseStarted { phase, number, of });
        let began = Instant::now();
        let found = work.await.unwrap_or_else(|| Found::graded(Grade::Skipped("interrupted".into()), Vec::new()));
        self.note(phase, found, began);
    }

    fn skip(&mut self, phase: Phase, why: &str) {
        self.note(phase, Found::graded(Grade::Skipped(why.into()), Vec::new()), Instant::now());
    }

    fn note(&mut self, phase: Phase, found: Found, began: Instant) {
        let (number, took) = (phase.number(), began.elapsed());
        let grade = found.grade.unwrap_or(Grade::Good);
        self.job.say.emit(Event::PhaseFinished { phase, number, grade: grade.clone(), took });
        self.parts.push(Part {
            phase,
            number,
            after: began - self.began,
            took,
            grade,
            evidence: found.evidence,
            next: found.next,
            judged: found.judged,
            probe: found.probe,
            log: found.log,
        });
    }

    fn was_good(&self, phase: Phase) -> bool {
        self.parts.iter().any(|part| part.phase == phase && matches!(part.grade, Grade::Good | Grade::Warned(_)))
    }

    /// Why nothing can be started.
    fn obstacle(&self, home: Option<Home>) -> Option<&'static str> {
        if self.job.stop.is_cancelled() {
            Some("interrupted")
        } else if home.is_none() {
            Some("it is not known where the platform stands")
        } else if !self.was_good(Phase::Prerequisites) {
            Some("the prerequisites are not met")
        } else {
            None
        }
    }

    /// What is looked at while the platform runs.
    async fn proofs(&mut self, identity: &Reading<Identity>) {
        let job = self.job;
        let up = self.was_good(Phase::Up);
        // Without a platform, what stands in its way is still worth a look at everything.
        for phase in [Phase::Health, Phase::Certificate, Phase::Https, Phase::Meeting, Phase::StatusUp] {
            let is_diagnosis = matches!(phase, Phase::Health | Phase::StatusUp);
            if job.stop.is_cancelled() {
                self.skip(phase, "interrupted");
            } else if !up && !is_diagnosis {
                self.skip(phase, "the platform did not come up");
            } else {
                let identity = identity.clone();
                let load = self.script.load;
                let work = async {
                    match phase {
                        Phase::Health => health(job, identity, up).await,
                        Phase::Certificate | Phase::Https => judged_alone(job, phase).await,
                        Phase::Meeting => meeting(job, load).await,
                        _ => status_up(job, identity).await,
                    }
                };
                self.run(phase, unless_interrupted(job.stop, work)).await;
            }
        }
    }

    /// Why the platform is not stopped.
    fn leaves_it(&self, home: Home, begun: bool) -> Option<&'static str> {
        match home {
            Home::Running => Some("it was running before, and stays so"),
            Home::Nowhere => Some("there is nothing to stop"),
            Home::Standby | Home::PoweredDown if !begun => Some("nothing was started"),
            Home::Standby | Home::PoweredDown if self.stays_up(begun) => Some("--keep-up: everything went well"),
            Home::Standby | Home::PoweredDown => None,
        }
    }

    /// A rehearsal that went wrong, or was stopped, leaves nothing running.
    fn stays_up(&self, begun: bool) -> bool {
        let before = self.parts.iter().filter(|part| part.phase < Phase::Down);
        let good = before.into_iter().all(|part| matches!(part.grade, Grade::Good | Grade::Warned(_)));
        self.script.keep_up && begun && good && !self.job.stop.is_cancelled()
    }

    /// `wanted`: where it has to stand now, if it was touched at all.
    fn end(
        self,
        found: Option<&Standing>,
        left: Option<&Standing>,
        wanted: Option<Home>,
        unrestored: Option<Failure>,
    ) -> Rehearsed {
        let astray = wanted.filter(|home| !left.is_some_and(|standing| home.is(standing)));
        let unrestored = unrestored.or_else(|| astray.map(|home| not_as_found(home, left)));
        let name = |standing: Option<&Standing>| standing.map_or("unknown", Standing::name);
        let rehearsal = Rehearsal {
            platform: self.script.platform.to_owned(),
            url: self.job.sight.site.to_string(),
            began: self.at,
            took: self.began.elapsed(),
            found: name(found),
            left: name(left),
            restored: unrestored.is_none(),
            phases: self.parts,
        };
        Rehearsed { rehearsal, unrestored, late: false }
    }
}

fn not_as_found(home: Home, left: Option<&Standing>) -> Failure {
    let (kind, stands) = match left {
        None | Some(Standing::Unknown { .. }) => (Kind::Unseen, "it cannot be told where it stands".to_owned()),
        Some(standing) => (Kind::Broken, format!("it is {}", standing.name())),
    };
    let failure = Failure::new(kind, "the platform is not as it was found").because(stands);
    match home {
        Home::PoweredDown => failure.next("look at it (`meetctl status`), then `meetctl power-down`"),
        Home::Standby | Home::Nowhere => failure.next("look at it (`meetctl status`), then `meetctl down`"),
        Home::Running => failure.next("look at it (`meetctl status`), then `meetctl up`"),
    }
}

fn blank(job: Job<'_>, identity: Reading<Identity>) -> Observed {
    Observed { identity, ..Observed::nothing(job.world.clock.now()) }
}

/// A fresh look, made again while something that these conditions need could not be seen, and may be the next time.
async fn look(job: Job<'_>, look: &Look, conditions: &[Condition], identity: Reading<Identity>) -> Observed {
    Box::pin(observe_well(job, look, conditions, blank(job, identity))).await
}

/// Credentials, the service and its secret. A load balancer that is powered down is brought back.
async fn prerequisites(job: Job<'_>, identity: Reading<Identity>) -> Found {
    let seen = look(job, &Look::everything(), OF_AWS, identity).await;
    let view = View::single(&seen, job.policy);
    let mut evidence = Vec::new();
    let mut found = Found::default();
    for &condition in Phase::Prerequisites.conditions() {
        let judged = judge(condition, &view);
        evidence.extend(Some(judged.evidence.clone()).filter(|e| !e.is_empty()));
        if judged.code == Some(POWERED_DOWN) {
            evidence.extend(seen.service.present().map(|_| "no load balancer: `up` brings it back".to_owned()));
            continue;
        }
        if is_worse(&judged.verdict, found.grade.as_ref()) {
            found = Found::of(judged);
        }
    }
    match &seen.secret {
        Reading::Present(secret) if secret.deleted.is_none() => evidence.push("the secret exists".into()),
        Reading::Present(_) | Reading::Absent if !matches!(found.grade, Some(Grade::Bad(_) | Grade::Unseen(_))) => {
            found.grade = Some(Grade::Bad("the secret with Jitsi's passwords does not exist".into()));
            found.next = vec!["create it with Terraform: `meetctl deploy`".into()];
        }
        Reading::Present(_) | Reading::Absent | Reading::Unreadable(_) => {}
    }
    Found { evidence, ..found }
}

fn is_worse(verdict: &Verdict, than: Option<&Grade>) -> bool {
    let bad = !verdict.is_good();
    let warns = matches!(verdict, Verdict::Warns(_));
    match than {
        None | Some(Grade::Good) => bad || warns,
        Some(Grade::Warned(_)) => bad,
        Some(Grade::Bad(_) | Grade::Unseen(_) | Grade::Skipped(_)) => false,
    }
}

/// Where it stands before anything is done.
async fn status(job: Job<'_>, identity: Reading<Identity>, found: &mut Option<Observed>) -> Found {
    let seen = look(job, &Look::everything(), OF_AWS, identity).await;
    let standing = Standing::of(&View::single(&seen, job.policy));
    let grade = match &standing {
        Standing::Running | Standing::Standby | Standing::PoweredDown => Grade::Good,
        Standing::Destroyed => Grade::Bad("there is no platform".into()),
        Standing::NoSuchPlatform(nowhere) => Grade::Bad(nowhere.to_string()),
        Standing::Changing { toward, awaited, .. } => {
            Grade::Warned(format!("on its way to {toward}: {}", awaited.join("; ")))
        }
        Standing::Degraded { of, broken, .. } => Grade::Warned(format!("{of}, but: {}", broken.join("; "))),
        Standing::Unknown { unread } => Grade::Unseen(unread.join("; ")),
    };
    let next = match &standing {
        Standing::Destroyed | Standing::NoSuchPlatform(_) => vec!["create it: `meetctl deploy`".to_owned()],
        Standing::Unknown { .. } => {
            seen.service.unreadable().map(|u| advice(u.because).to_owned()).into_iter().collect()
        }
        Standing::Running
        | Standing::Standby
        | Standing::PoweredDown
        | Standing::Changing { .. }
        | Standing::Degraded { .. } => Vec::new(),
    };
    let evidence = standing_evidence(&standing, &seen);
    *found = Some(seen);
    Found { next, ..Found::graded(grade, evidence) }
}

fn standing_evidence(standing: &Standing, seen: &Observed) -> Vec<String> {
    let cost = Cost::of(seen);
    let cost = if cost.unknown.is_empty() { format!("{} an hour", cost.per_hour) } else { "cost unknown".into() };
    let people = counted(seen).filter(|_| seen.live_tasks().next().is_some());
    let people = people.map_or_else(String::new, |people| format!(", {people}"));
    vec![format!("{}: {cost}{people}", standing.name())]
}

async fn up(job: Job<'_>) -> Option<Found> {
    match Box::pin(reach(Job { timeout: STARTING, ..job }, Goal::Running)).await {
        Ok(_) => Some(Found::graded(Grade::Good, vec!["every condition of running holds on a fresh look".into()])),
        Err(failure) if failure.kind == Kind::Interrupted => None,
        Err(failure) => Some(Found::failed(&failure)),
    }
}

/// Every condition of `running` at once.
async fn health(job: Job<'_>, identity: Reading<Identity>, proven: bool) -> Found {
    let seen = look(job, &Look::at_all(job.policy), OF_AWS, identity).await;
    let view = View::single(&seen, job.policy);
    let mut judged: Vec<JudgedCondition> =
        Goal::Running.conditions().iter().map(|&condition| judge(condition, &view)).collect();
    for one in judged.iter_mut().filter(|one| one.code == Some(TASK_YOUNG) && one.verdict.is_good() && proven) {
        // A single look cannot know what `up` has just watched.
        (one.verdict, one.code) = (Verdict::Holds, None);
    }
    let good = judged.iter().filter(|one| one.verdict.is_good()).count();
    let mut found = Found::default();
    for one in &judged {
        if is_worse(&one.verdict, found.grade.as_ref()) {
            found = Found::of(one.clone());
            found.grade = found.grade.map(|grade| named(one.condition, grade));
        }
    }
    let evidence = vec![format!("{good} of {} conditions hold", judged.len())];
    let probe = seen.media.present().map(|proof| Box::new(Probe::of(job.sight.site.to_string(), proof.clone())));
    Found { evidence, judged, probe, ..found }
}

fn named(condition: Condition, grade: Grade) -> Grade {
    let name = condition.name();
    match grade {
        Grade::Good => Grade::Good,
        Grade::Warned(why) => Grade::Warned(format!("{name}: {why}")),
        Grade::Bad(why) => Grade::Bad(format!("{name}: {why}")),
        Grade::Unseen(why) => Grade::Unseen(format!("{name}: {why}")),
        Grade::Skipped(why) => Grade::Skipped(why),
    }
}

/// The one condition of a phase.
async fn judged_alone(job: Job<'_>, phase: Phase) -> Found {
    let conditions = phase.conditions();
    let seen = look(job, &Look::at(conditions), &[], Reading::Absent).await;
    let view = View::single(&seen, job.policy);
    conditions.iter().map(|&condition| Found::of(judge(condition, &view))).next().unwrap_or_default()
}

/// Signalling, and a meeting of as many people as are asked for.
async fn meeting(job: Job<'_>, load: Option<&Load>) -> Found {
    let sight = Sight { load: load.copied(), ..job.sight.clone() };
    let job = Job { sight: &sight, ..job };
    let [service, balancer, signalling, media] = MEETING;
    let proven = |c: &&Condition| c.rule().first_look || job.policy.media;
    let seen = look(job, &Look::at(MEETING.iter().filter(proven)), &[service, balancer], Reading::Absent).await;
    let view = View::single(&seen, job.policy);
    let (signalling, media) = (judge(signalling, &view), judge(media, &view));
    let mut evidence = vec![signalling.evidence.clone()];
    let probe = seen.media.present().map(|proof| Box::new(Probe::of(job.sight.site.to_string(), proof.clone())));
    let rungs = probe.iter().flat_map(|probe| &probe.levels).filter(|rung| !rung.figures.is_empty());
    evidence.extend(rungs.map(|rung| format!("{}: {}", rung.level.name(), rung.figures)));
    // Media is the stronger proof, and says more about what is wrong.
    let worst = if media.verdict.is_good() && !signalling.verdict.is_good() { signalling } else { media };
    Found { evidence, probe, ..Found::of(worst) }
}

async fn status_up(job: Job<'_>, identity: Reading<Identity>) -> Found {
    let seen = look(job, &Look::everything(), OF_AWS, identity).await;
    let standing = Standing::of(&View::single(&seen, job.policy));
    let grade = match &standing {
        Standing::Running => Grade::Good,
        Standing::Unknown { unread } => Grade::Unseen(unread.join("; ")),
        Standing::Degraded { broken, .. } => Grade::Bad(format!("it is degraded: {}", broken.join("; "))),
        Standing::Standby
        | Standing::PoweredDown
        | Standing::Destroyed
        | Standing::NoSuchPlatform(_)
        | Standing::Changing { .. } => Grade::Bad(format!("it is {}, not running", standing.name())),
    };
    Found::graded(grade, standing_evidence(&standing, &seen))
}

async fn down(job: Job<'_>, home: Home, unrestored: &mut Option<Failure>) -> Option<Found> {
    Some(match Box::pin(restore(job, home)).await {
        Ok(()) => Found::graded(Grade::Good, vec![format!("{} again", home.goal())]),
        Err(failure) => {
            let found = Found::failed(&failure);
            *unrestored = Some(failure);
            found
        }
    })
}

/// A fresh look at what is left, and whether that is what is wanted.
async fn nothing_left(
    job: Job<'_>,
    identity: Reading<Identity>,
    wanted: Option<Home>,
    left: &mut Option<Standing>,
) -> Option<Found> {
    let goal = wanted.map_or(Goal::AtMostStandby, Home::goal);
    let seen = look(job, &Look::everything_for(goal.conditions()), goal.conditions(), identity).await;
    let standing = Standing::of(&View::single(&seen, job.policy));
    let mut evidence = standing_evidence(&standing, &seen);
    let grade = match (&standing, wanted) {
        (Standing::Unknown { unread }, _) => Grade::Unseen(unread.join("; ")),
        (_, None) => {
            evidence.push("nothing was started".into());
            Grade::Good
        }
        (_, Some(home)) if !home.is(&standing) => Grade::Bad(format!("it is {} now", standing.name())),
        (_, Some(Home::Running)) => {
            evidence.push("it runs, as it should".into());
            Grade::Good
        }
        (_, Some(home)) => {
            evidence.push("no task is left".into());
            let view = View::single(&seen, job.policy);
            let verdicts = home.goal().conditions().iter().map(|c| c.judge(&view).verdict);
            verdicts.fold(Grade::Good, |worst, v| if is_worse(&v, Some(&worst)) { v.into() } else { worst })
        }
    };
    *left = Some(standing);
    Some(Found::graded(grade, evidence))
}

impl Rehearsed {
    /// What the phases amount to.
    pub fn outcome(&self) -> Outcome {
        let any = |is: fn(&Grade) -> bool| self.rehearsal.phases.iter().any(|part| is(&part.grade));
        if any(|g| matches!(g, Grade::Bad(_))) {
            Outcome::Unhealthy
        } else if any(|g| matches!(g, Grade::Unseen(_))) {
            Outcome::CannotTell
        } else {
            Outcome::Done
        }
    }
}
