//! The promise of the tool: whatever ends a run, and whichever call fails, running it again reaches the goal, and
//! nothing was called true that was not.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use meetctl::config::Config;
use meetctl::domain::goal::{Goal, Level};
use meetctl::domain::observed::Observed;
use meetctl::domain::plan::Policy;
use meetctl::domain::standing::Standing;
use meetctl::domain::view::{Memory, View};
use meetctl::engine::{self, Job, Look};
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::Events;
use meetctl::probe::Sight;
use meetctl::world::World;
use meetctl::world::sandbox::{self, Handle, Saved, Story, Tally};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::story;

/// A platform that is ready soon, in 132 seconds: from each of them a run is played to its end.
const SEED: u64 = 12;

/// What does not change from run to run.
struct Setup {
    policy: Policy,
    sight: Sight,
}

impl Setup {
    /// Without the media proof: it takes longer than all the rest, and a run meets it once.
    fn new() -> Self {
        let Self { policy, sight } = Self::with_media();
        Self { policy: Policy { media: false, ..policy }, sight }
    }

    fn with_media() -> Self {
        let config = Config::sandbox();
        Self { policy: config.policy(), sight: config.sight().expect("the sandbox has a domain") }
    }

    async fn reach(&self, world: &World, to: Goal) -> Result<Outcome, Failure> {
        self.reach_unless(world, to, &CancellationToken::new()).await
    }

    async fn reach_unless(&self, world: &World, to: Goal, stop: &CancellationToken) -> Result<Outcome, Failure> {
        let (say, _said) = Events::new(world.clock);
        let Self { policy, sight } = self;
        let timeout = Duration::from_mins(25);
        let job = Job { world, sight, policy, say: &say, stop, timeout, shown: None, wait: true };
        Box::pin(engine::reach(job, to)).await
    }

    async fn look(&self, world: &World) -> Observed {
        let mut seen = Observed::nothing(world.clock.now());
        seen.identity = world.cloud.identity().await.map(Some).into();
        Box::pin(engine::observe(world, &self.sight, &Look::at_all(&self.policy), seen, &CancellationToken::new()))
            .await
    }

    /// Judges every condition of the goal on a fresh look, and compares that with what is true.
    async fn holds(&self, played: &Played, to: Goal, when: &str) {
        let seen = self.look(&played.world).await;
        for condition in to.conditions() {
            let verdict = condition.judge(&View::single(&seen, &self.policy));
            assert!(verdict.is_good(), "{when}: {condition}: {verdict}");
        }
        match to {
            Goal::Running => assert!(played.is_ready(), "{when}: it calls itself running and is not"),
            _ => assert_eq!(played.live_tasks(), 0, "{when}: it calls itself stopped and is not"),
        }
    }

    /// Runs to the end, and keeps the platform as it was at each of these steps.
    async fn watch(&self, played: &Played, to: Goal, steps: impl Iterator<Item = Duration>) -> Vec<Saved> {
        let mut kept = vec![played.handle.saved()];
        let run = self.reach(&played.world, to);
        let keep = async {
            for step in steps {
                sleep(step).await;
                kept.push(played.handle.saved());
            }
        };
        tokio::select! {
            biased;
            ended = run => ended.expect("nothing is in its way"),
            () = keep => panic!("it goes on for too long"),
        };
        kept
    }

    /// Runs again from where an earlier run was dropped: it reaches the goal, with one start at most in all.
    async fn goes_on(&self, from: &Saved, to: Goal, starts: u64) {
        let when = format!("dropped at {}, then {to}", from.now);
        let played = Played::on(from.clone(), None);
        let mut ended = self.reach(&played.world, to).await;
        // Nobody has counted the people yet: the first line comes soon after the task runs.
        while to == Goal::AtMostStandby
            && matches!(&ended, Err(failure) if failure.kind == Kind::Refused)
            && played.world.clock.now().duration_since(from.now) < SignedDuration::from_secs(90)
        {
            sleep(Duration::from_secs(10)).await;
            ended = self.reach(&played.world, to).await;
        }
        assert!(ended.is_ok(), "{when}: {ended:?}");
        self.holds(&played, to, &when).await;
        assert_eq!(played.handle.saved().model.deployed - BEGINNING, starts, "{when}: starts");
    }
}

/// How many deployments a platform at standby has had.
const BEGINNING: u64 = 1;

/// A story in play.
struct Played {
    world: World,
    handle: Handle,
    tally: Tally,
}

impl Played {
    fn of(story: Story) -> Self {
        Self::seeded(story, SEED)
    }

    fn seeded(story: Story, seed: u64) -> Self {
        Self::with(sandbox::world(story, None, seed), None)
    }

    /// From where it was left; the `fail_nth` call to the outside fails.
    fn on(saved: Saved, fail_nth: Option<u64>) -> Self {
        let (story, seed) = (saved.model.story, saved.model.seed);
        Self::with(sandbox::world(story, Some(saved), seed), fail_nth)
    }

    fn with((world, handle): (World, Handle), fail_nth: Option<u64>) -> Self {
        let (world, tally) = sandbox::tallied(world, fail_nth);
        Self { world, handle, tally }
    }

    fn is_ready(&self) -> bool {
        self.handle.ready_at().is_some_and(|at| at <= self.world.clock.now())
    }

    fn live_tasks(&self) -> usize {
        let saved = self.handle.saved();
        saved.model.jobs.iter().filter(|job| !job.is_over(saved.now)).count()
    }

    fn calls(&self, method: &str) -> u64 {
        self.tally.calls().get(method).copied().unwrap_or(0)
    }
}

/// Often at first, while the change is asked for, then every second.
fn every_second() -> impl Iterator<Item = Duration> {
    let often = std::iter::repeat_n(Duration::from_millis(50), 20);
    often.chain(std::iter::repeat_n(Duration::from_secs(1), 420))
}

/// The platform at standby.
fn standby() -> Played {
    Played::of(story("standby"))
}

/// The platform after `up`.
async fn up() -> Saved {
    let played = standby();
    Setup::new().reach(&played.world, Goal::Running).await.expect("it starts");
    played.handle.saved()
}

/// A run that is dropped leaves nothing but the platform: to drop it and to go on with what was kept is the same.
mod dropped {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn up_and_up_again() {
        let setup = Setup::new();
        for saved in setup.watch(&standby(), Goal::Running, every_second()).await {
            setup.goes_on(&saved, Goal::Running, 1).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn up_and_then_down() {
        let setup = Setup::new();
        for saved in setup.watch(&standby(), Goal::Running, every_second()).await {
            let starts = saved.model.deployed - BEGINNING;
            setup.goes_on(&saved, Goal::AtMostStandby, starts).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn down_and_down_again() {
        let setup = Setup::new();
        for saved in setup.watch(&Played::on(up().await, None), Goal::AtMostStandby, every_second()).await {
            setup.goes_on(&saved, Goal::AtMostStandby, 1).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn down_and_then_up() {
        let setup = Setup::new();
        for saved in setup.watch(&Played::on(up().await, None), Goal::AtMostStandby, every_second()).await {
            // Before the stop was asked for, there is nothing to start.
            let stopped = saved.model.desired(saved.now) == 0;
            setup.goes_on(&saved, Goal::Running, 1 + u64::from(stopped)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_to_be_done() {
        let setup = Setup::new();
        for (saved, to) in [
            (up().await, Goal::Running),
            (standby().handle.saved(), Goal::AtMostStandby),
            (Played::of(story("powered-down")).handle.saved(), Goal::AtMostStandby),
        ] {
            let starts = saved.model.deployed - BEGINNING;
            let played = Played::on(saved, None);
            for kept in setup.watch(&played, to, every_second()).await {
                setup.goes_on(&kept, to, starts).await;
            }
            assert_eq!((played.calls("cloud.start"), played.calls("cloud.stop")), (0, 0), "{to}");
        }
    }
}

/// For every n: the n-th call to the outside fails.
mod one_call_fails {
    use super::*;

    /// Tries these n, as far as the run comes to them. One lost answer ends no run.
    async fn each(setup: &Setup, saved: &Saved, to: Goal, starts: u64, calls: impl Iterator<Item = u64>) {
        for n in calls {
            let played = Played::on(saved.clone(), Some(n));
            let when = format!("{to}, call {n} fails");
            let ended = setup.reach(&played.world, to).await;
            if played.tally.total() < n {
                return;
            }
            let forbidden = if to == Goal::Running { "cloud.stop" } else { "cloud.start" };
            assert_eq!(played.calls(forbidden), 0, "{when}");
            assert!(ended.is_ok(), "{when}: {ended:?}");
            // A start whose answer was lost is looked for before another one is made.
            assert_eq!(played.handle.saved().model.deployed - BEGINNING, starts, "{when}: starts");
            match to {
                Goal::Running => assert!(played.is_ready() && played.live_tasks() == 1, "{when}"),
                _ => assert_eq!(played.live_tasks(), 0, "{when}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_up() {
        each(&Setup::new(), &standby().handle.saved(), Goal::Running, 1, 1..).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_up_when_it_runs() {
        each(&Setup::new(), &up().await, Goal::Running, 1, 1..).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_proof_with_media() {
        each(&Setup::with_media(), &up().await, Goal::Running, 1, 1..).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_down() {
        each(&Setup::new(), &up().await, Goal::AtMostStandby, 1, 1..).await;
    }

    /// People in a meeting are never cut off because something could not be seen.
    #[tokio::test(start_paused = true)]
    async fn of_down_during_a_meeting() {
        let setup = Setup::new();
        for n in 1.. {
            let played = Played::on(Played::of(story("meeting")).handle.saved(), Some(n));
            let failure = setup.reach(&played.world, Goal::AtMostStandby).await.expect_err("people are in a meeting");
            assert_eq!(failure.kind, Kind::Refused, "call {n} fails: {failure:?}");
            assert_eq!(played.calls("cloud.stop") + played.calls("cloud.unprotect"), 0, "call {n} fails");
            if played.tally.total() < n {
                break;
            }
        }
    }

    /// A connection to the platform that is reset is a fault of the platform, as far as can be seen.
    fn said_of_running(standing: &Standing) -> bool {
        use Level::Running;
        matches!(standing, Standing::Degraded { of: Running, .. } | Standing::Changing { toward: Running, .. })
    }

    /// What is there is never called gone or switched off.
    #[tokio::test(start_paused = true)]
    async fn of_status() {
        let setup = Setup::new();
        let running = up().await;
        for (saved, is) in [
            (running, "running"),
            (standby().handle.saved(), "standby"),
            (Played::of(story("powered-down")).handle.saved(), "powered-down"),
            (Played::of(story("fresh")).handle.saved(), "no such platform"),
        ] {
            for n in 1.. {
                let played = Played::on(saved.clone(), Some(n));
                let standing = Standing::of(&View::single(&setup.look(&played.world).await, &setup.policy));
                let said = standing.name();
                let allowed = said == is || said == "unknown" || is == "running" && said_of_running(&standing);
                assert!(allowed, "{is}, call {n} fails: {standing:?}");
                if played.tally.total() < n {
                    break;
                }
            }
        }
    }
}

/// `up` never says "running" before it is true, however slow or confused AWS is.
mod never_too_early {
    use super::*;

    async fn each(story: Story, seeds: std::ops::Range<u64>) {
        let setup = Setup::with_media();
        for seed in seeds {
            let played = Played::seeded(story, seed);
            let ended = setup.reach(&played.world, Goal::Running).await;
            assert_eq!(ended, Ok(Outcome::Done), "{story}, seed {seed}");
            assert!(played.is_ready(), "{story}, seed {seed}");
            assert_eq!(played.calls("cloud.start"), 1, "{story}, seed {seed}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_slow_starts() {
        each(story("slow-start"), 0..8).await;
    }

    #[tokio::test(start_paused = true)]
    async fn in_stale_reads() {
        each(story("stale-reads"), 0..5).await;
    }
}

/// The first Ctrl-C ends the wait, and leaves a platform with which a later run goes on.
mod interrupted {
    use super::*;

    async fn each(saved: &Saved, to: Goal, every: u64) {
        let setup = Setup::new();
        for second in (0..420).step_by(usize::try_from(every).expect("a few")) {
            let played = Played::on(saved.clone(), None);
            let stop = CancellationToken::new();
            let press = async {
                sleep(Duration::from_millis(second * 1000 + 10)).await;
                stop.cancel();
                // It ends soon: nothing is awaited any more.
                sleep(Duration::from_secs(5)).await;
                panic!("{to}: it goes on after second {second}");
            };
            let ended = tokio::select! {
                biased;
                ended = setup.reach_unless(&played.world, to, &stop) => ended,
                () = press => unreachable!(),
            };
            match ended {
                Ok(_) => return,
                Err(failure) => assert_eq!(failure.kind, Kind::Interrupted, "{failure:?}"),
            }
            setup.goes_on(&played.handle.saved(), to, 1).await;
        }
        panic!("{to}: it was never done");
    }

    #[tokio::test(start_paused = true)]
    async fn up_every_ten_seconds() {
        each(&standby().handle.saved(), Goal::Running, 10).await;
    }

    #[tokio::test(start_paused = true)]
    async fn down_every_two_seconds() {
        each(&up().await, Goal::AtMostStandby, 2).await;
    }

    /// An action is never dropped half-way.
    #[tokio::test(start_paused = true)]
    async fn during_the_start_itself() {
        let setup = Setup::new();
        for millis in (0..1_000).step_by(20) {
            let played = standby();
            let stop = CancellationToken::new();
            let press = async {
                sleep(Duration::from_millis(millis)).await;
                stop.cancel();
            };
            let (ended, ()) = tokio::join!(setup.reach_unless(&played.world, Goal::Running, &stop), press);
            assert_eq!(ended.expect_err("interrupted").kind, Kind::Interrupted);
            let model = played.handle.saved().model;
            assert_eq!(model.deployed - BEGINNING, played.calls("cloud.start"), "after {millis} ms");
            assert_eq!(played.calls("cloud.mark"), played.calls("cloud.start"), "after {millis} ms");
        }
    }
}

/// A platform that has just started may need another try at a meeting, in a fresh room; soon it counts as broken.
mod a_meeting_is_tried_again {
    use meetctl::domain::condition::{Condition, Verdict};
    use meetctl::domain::observed::Reading;
    use meetctl::world::sandbox::jitsi::{Faults, Jitsi, SignIn};

    use super::*;

    /// A look at meetings alone, as a run that waits for them makes it.
    async fn look(setup: &Setup, world: &World, last: Observed, memory: &Memory) -> (Observed, Verdict) {
        let look = Look::at([&Condition::MediaFlows]);
        let stop = CancellationToken::new();
        let seen = Box::pin(engine::observe(world, &setup.sight, &look, last, &stop)).await;
        let verdict = Condition::MediaFlows.judge(&View { seen: &seen, memory, policy: &setup.policy }).verdict;
        (seen, verdict)
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_platform_is_young_and_until_two_say_the_same() {
        let setup = Setup::with_media();
        let mut faulty = sandbox::jitsi_of(story("running"), 0);
        faulty.faults = Faults { focus_down: true, ..Faults::default() };
        let jitsi = Jitsi::new(faulty);
        let (world, _handle) = sandbox::world_with(story("running"), None, 0, Some(Arc::new(jitsi.clone())));
        let mut seen = setup.look(&world).await;
        let mut memory = Memory::NONE;
        let judge = |seen: &Observed, memory: &Memory| {
            Condition::MediaFlows.judge(&View { seen, memory, policy: &setup.policy }).verdict
        };
        let tries = |seen: &Observed| seen.media.present().map(|proof| proof.tries);
        assert_eq!(tries(&seen), Some(1));
        assert!(matches!(judge(&seen, &memory), Verdict::Fails(_)), "a single look");
        memory.waits = true;
        assert!(matches!(judge(&seen, &memory), Verdict::Fails(_)), "it has been running for 40 minutes");

        let at = seen.at;
        let started = |seen: &mut Observed, ago: i64| {
            if let Reading::Present(tasks) = &mut seen.tasks {
                for task in tasks.iter_mut() {
                    task.started = Some(at - SignedDuration::from_secs(ago));
                }
            }
        };
        started(&mut seen, 185);
        assert!(matches!(judge(&seen, &memory), Verdict::Fails(_)), "older than three minutes");
        started(&mut seen, 100);
        assert!(matches!(judge(&seen, &memory), Verdict::Waits(_)), "the first try");
        let (again, verdict) = look(&setup, &world, seen.clone(), &memory).await;
        assert!(matches!(verdict, Verdict::Fails(_)), "two in a row say the same: {verdict}");
        assert_eq!(tries(&again), Some(2));

        jitsi.change(|faults| (faults.focus_down, faults.blocked_in) = (false, true));
        let (other, verdict) = look(&setup, &world, seen, &memory).await;
        assert!(matches!(verdict, Verdict::Waits(_)), "another failure: {verdict}");
        jitsi.change(|faults| faults.blocked_in = false);
        let (mended, verdict) = look(&setup, &world, other, &memory).await;
        assert!(verdict.is_good(), "mended: {verdict}");
        assert_eq!(tries(&mended), Some(3));
        // What fails after a proof that held is a first try again.
        jitsi.change(|faults| faults.blocked_in = true);
        let (blocked, verdict) = look(&setup, &world, mended.clone(), &memory).await;
        assert!(matches!(verdict, Verdict::Waits(_)), "blocked: {verdict}");
        assert_eq!(tries(&blocked), Some(1));
        // What cannot be proven this way is not tried again.
        jitsi.change(|faults| faults.sign_in = SignIn::Password);
        let (unprovable, verdict) = look(&setup, &world, mended, &memory).await;
        assert!(matches!(verdict, Verdict::Unseen(_)), "nobody may in without a password: {verdict}");
        assert_eq!(tries(&unprovable), Some(1));
    }
}

/// Two `up` at once are one start, however long the second comes after the first.
mod two_hands {
    use super::*;

    async fn both(setup: &Setup, played: &Played, later: Duration) -> [Result<Outcome, Failure>; 2] {
        let second = async {
            sleep(later).await;
            setup.reach(&played.world, Goal::Running).await
        };
        let (first, second) = tokio::join!(setup.reach(&played.world, Goal::Running), second);
        [first, second]
    }

    #[tokio::test(start_paused = true)]
    async fn start_one_platform() {
        let setup = Setup::new();
        let often = (0..3_000).step_by(60);
        let later = (3_000..240_000).step_by(6_000);
        let mut doubled = 0;
        for millis in often.chain(later) {
            let played = standby();
            let ended = both(&setup, &played, Duration::from_millis(millis)).await;
            assert!(ended.iter().all(Result::is_ok), "{millis} ms: {ended:?}");
            assert!(played.is_ready(), "{millis} ms");
            assert_eq!(played.live_tasks(), 1, "{millis} ms");
            let service = played.world.cloud.service().await.expect("readable").expect("a service");
            assert_eq!(service.deployments.len(), 1, "{millis} ms: {:?}", service.deployments);
            let primary = service.primary().expect("a deployment");
            assert_eq!(service.mark.as_ref().map(|mark| &mark.deployment), Some(&primary.id), "{millis} ms: the mark");
            doubled += u64::from(played.handle.saved().model.deployed - BEGINNING == 2);
        }
        assert!(doubled > 0, "no two of them ever started at once, so nothing was tried");
    }

    /// Somebody stops while two start: neither of them fights.
    #[tokio::test(start_paused = true)]
    async fn do_not_fight_a_stop() {
        let setup = Setup::new();
        let played = standby();
        let stop = async {
            sleep(Duration::from_secs(40)).await;
            played.world.cloud.stop().await.expect("accepted");
        };
        let (ended, ()) = tokio::join!(both(&setup, &played, Duration::from_millis(100)), stop);
        for ended in ended {
            assert_eq!(ended.expect_err("it was stopped").kind, Kind::Refused);
        }
        assert_eq!(played.handle.saved().model.desired(played.world.clock.now()), 0);
    }
}

/// A platform on which people meet is not touched by `up`.
mod a_running_meeting {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_left_alone() {
        for story in [story("meeting"), story("old-refusal")] {
            let setup = Setup::with_media();
            let played = Played::of(story);
            let deployed = played.handle.saved().model.deployed;
            assert_eq!(setup.reach(&played.world, Goal::Running).await, Ok(Outcome::NothingToDo), "{story}");
            for change in ["cloud.start", "cloud.stop", "cloud.mark", "cloud.unprotect", "terraform.apply"] {
                assert_eq!(played.calls(change), 0, "{story}: {change}");
            }
            assert_eq!(played.handle.saved().model.deployed, deployed, "{story}");
            assert_eq!(played.live_tasks(), 1, "{story}");
        }
    }
}

/// Whoever is slow, or out of order for a while, ends no run.
mod not_too_early {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_up() {
        for story in [story("capacity-returns"), story("throttled-late")] {
            for seed in 0..6 {
                let setup = Setup::with_media();
                let played = Played::seeded(story, seed);
                let ended = setup.reach(&played.world, Goal::Running).await;
                assert_eq!(ended, Ok(Outcome::Done), "{story}, seed {seed}");
                assert!(played.is_ready(), "{story}, seed {seed}");
                assert_eq!(played.calls("cloud.start"), 1, "{story}, seed {seed}");
            }
        }
    }

    /// What does not come back is named, soon where nothing was done yet.
    #[tokio::test(start_paused = true)]
    async fn nor_too_late() {
        let setup = Setup::new();
        for (story, to) in [(story("throttled"), Goal::Running), (story("aws-unreachable"), Goal::AtMostStandby)] {
            let played = Played::of(story);
            let began = tokio::time::Instant::now();
            let failure = setup.reach(&played.world, to).await.expect_err("AWS does not answer");
            assert_eq!(failure.kind, Kind::Outside, "{story}: {failure:?}");
            assert!((30..90).contains(&began.elapsed().as_secs()), "{story}: {:?}", began.elapsed());
        }
    }
}
