//! The sandbox: that its stories are what they say, the same every time, and kept between two invocations.

mod judged;
mod kept;
mod net;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use meetctl::domain::cause;
use meetctl::domain::name::Host;
use meetctl::domain::observed::{Health, PLACEHOLDER, Rollout, TargetState, Task};
use meetctl::world::sandbox::{self, EPOCH, Handle, Story};
use meetctl::world::{Cloud, CloudErrorKind, World};
use tokio::time::sleep;

use crate::contract;
use crate::story;

const SEED: u64 = 7;

fn open(story: Story) -> (World, Handle) {
    sandbox::world(story, None, SEED)
}

fn host() -> Host {
    sandbox::HOST.parse().expect("a host")
}

/// Starts, and waits until all of it truly works.
async fn start(world: &World, handle: &Handle) {
    world.cloud.start().await.expect("a start is accepted");
    for _ in 0..600 {
        if handle.ready_at().is_some_and(|at| at <= world.clock.now()) {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("it was never ready");
}

async fn live(cloud: &dyn Cloud) -> Vec<Task> {
    cloud.tasks().await.expect("readable").into_iter().filter(|task| task.stopped.is_none()).collect()
}

mod contracts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_a_fresh_account() {
        let (world, _) = open(story("fresh"));
        contract::absent_is_none(&*world.cloud).await;
        contract::absent_cannot_be_changed(&*world.cloud).await;
        contract::identity_has_an_account(&*world.cloud).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_platform() {
        let (world, _) = open(story("standby"));
        contract::identity_has_an_account(&*world.cloud).await;
        contract::groups_are_known(&*world.cloud).await;
        contract::start_is_read_back(&*world.cloud).await;
        contract::starts_differ(&*world.cloud).await;
        contract::mark_is_read_back(&*world.cloud).await;
        contract::nothing_is_unprotected(&*world.cloud).await;
        contract::stop_is_idempotent(&*world.cloud).await;
        sleep(Duration::from_mins(2)).await;
        assert_eq!(live(&*world.cloud).await, []);
    }
}

mod time {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_through_the_states_of_a_task() {
        let (world, handle) = open(story("standby"));
        assert_eq!(world.clock.now().to_string(), "2026-11-20T18:50:00Z");
        let deployment = world.cloud.start().await.expect("accepted");
        let mut seen = Vec::new();
        for _ in 0..300 {
            for task in live(&*world.cloud).await {
                assert_eq!(task.deployment.as_ref(), Some(&deployment));
                if seen.last() != Some(&(task.last_status.clone(), task.health)) {
                    seen.push((task.last_status, task.health));
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
        let expected = [
            ("PROVISIONING", Health::Unknown),
            ("PENDING", Health::Unknown),
            ("ACTIVATING", Health::Unknown),
            ("RUNNING", Health::Unknown),
            ("RUNNING", Health::Healthy),
        ];
        assert_eq!(seen, expected.map(|(status, health)| (status.to_owned(), health)));
        let took = handle.ready_at().expect("ready").duration_since(EPOCH);
        assert!((SignedDuration::from_secs(120)..SignedDuration::from_secs(260)).contains(&took), "{took}");
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!((service.running, service.pending), (1, 0));
        assert_eq!(service.primary().map(|p| p.rollout), Some(Rollout::Completed));
        assert!(service.events[0].message.ends_with("has reached a steady state."), "{:?}", service.events);
    }

    #[tokio::test(start_paused = true)]
    async fn targets_are_registered_before_they_are_healthy_and_drain_in_the_end() {
        let (world, handle) = open(story("standby"));
        let service = world.cloud.service().await.expect("readable").expect("a service");
        let group = &service.target_groups[0].group;
        world.cloud.start().await.expect("accepted");
        let mut seen = Vec::new();
        for second in 0..400 {
            if second == 300 {
                assert!(handle.ready_at().is_some_and(|at| at < world.clock.now()));
                world.cloud.stop().await.expect("accepted");
            }
            let targets = world.cloud.targets(group).await.expect("readable").expect("a group");
            let state = targets.first().map(|target| target.state);
            if seen.last() != Some(&state) {
                seen.push(state);
            }
            sleep(Duration::from_secs(1)).await;
        }
        let states = [TargetState::Initial, TargetState::Healthy, TargetState::Draining].map(Some);
        assert_eq!(seen, [&[None][..], &states, &[None]].concat());
        let stopped = &world.cloud.tasks().await.expect("readable")[0];
        let stop = stopped.stopped.as_ref().expect("it has stopped");
        assert!(stop.reason.starts_with("Scaling activity initiated by (deployment ecs-svc/"), "{stop:?}");
        sleep(Duration::from_secs(3700)).await;
        assert_eq!(world.cloud.tasks().await, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_forced_deployment_stops_the_old_task_first() {
        let (world, handle) = open(story("running"));
        let old = live(&*world.cloud).await[0].id.clone();
        let deployment = world.cloud.start().await.expect("accepted");
        for _ in 0..300 {
            let tasks = live(&*world.cloud).await;
            assert!(tasks.len() <= 1, "never two at once: {tasks:?}");
            sleep(Duration::from_secs(1)).await;
        }
        let tasks = live(&*world.cloud).await;
        assert_ne!(tasks[0].id, old);
        assert_eq!(tasks[0].deployment, Some(deployment));
        assert!(handle.ready_at().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn looking_seldom_or_often_shows_the_same() {
        let mut shown = BTreeSet::new();
        for step in [1, 7, 300] {
            let (world, handle) = open(story("image-gone"));
            world.cloud.start().await.expect("accepted");
            let began = world.clock.now();
            let mut at = 0;
            while at < 300 {
                sleep(Duration::from_secs(step)).await;
                at += step;
                handle.saved();
            }
            let end = began + SignedDuration::from_secs(300);
            let now = world.clock.now();
            sleep(Duration::try_from(end.duration_since(now)).unwrap_or_default()).await;
            let model = handle.saved().model;
            shown.insert(format!("{:?}", model.jobs));
        }
        assert_eq!(shown.len(), 1, "{shown:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_meeting_protects_its_task_until_it_ends() {
        let (world, _) = open(story("meeting"));
        let count = world.cloud.occupancy(EPOCH - SignedDuration::from_secs(90)).await.expect("readable");
        let count = count.expect("a line");
        assert_eq!((count.conferences, count.participants), (2, 7));
        world.cloud.stop().await.expect("accepted");
        sleep(Duration::from_mins(5)).await;
        assert_eq!(live(&*world.cloud).await.len(), 1, "it is protected");
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert!(service.events[0].message.ends_with("(reason 1 tasks under protection)"), "{:?}", service.events);
        sleep(Duration::from_mins(10)).await;
        assert_eq!(live(&*world.cloud).await, [], "everybody has left");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unprotected_task_stops_at_once() {
        let (world, _) = open(story("meeting"));
        let task = live(&*world.cloud).await[0].id.clone();
        world.cloud.unprotect(&[task]).await.expect("accepted");
        world.cloud.stop().await.expect("accepted");
        sleep(Duration::from_mins(1)).await;
        assert_eq!(live(&*world.cloud).await, []);
    }
}

mod same_every_time {
    use super::*;

    async fn run(seed: u64) -> String {
        let (world, handle) = sandbox::world(story("slow-start"), None, seed);
        world.cloud.start().await.expect("accepted");
        let mut shown = String::new();
        for _ in 0..60 {
            let (service, tasks) = (world.cloud.service().await, world.cloud.tasks().await);
            writeln!(shown, "{service:?}\n{tasks:?}").expect("a string takes it");
            sleep(Duration::from_secs(7)).await;
        }
        shown + &serde_json::to_string(&handle.saved()).expect("it can be written")
    }

    #[tokio::test(start_paused = true)]
    async fn one_seed_one_story() {
        let first = run(1).await;
        assert_eq!(first, run(1).await);
        assert_ne!(first, run(2).await);
    }
}

mod stories {
    use super::*;

    /// What the cause of a failed start is called, and when it was certain, in seconds after it was asked for.
    async fn failure(story: Story, within: u64) -> (String, bool, i64) {
        let (world, handle) = open(story);
        let deployment = world.cloud.start().await.expect("accepted");
        let asked = world.clock.now();
        let mut cause = None;
        for _ in 0..within {
            let service = world.cloud.service().await.expect("readable").expect("a service");
            let tasks = world.cloud.tasks().await.expect("readable");
            cause = cause::of(&service, &tasks, &deployment, world.clock.now());
            if cause.as_ref().is_some_and(|c| c.certain) {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(handle.ready_at(), None, "it never works");
        let cause = cause.unwrap_or_else(|| panic!("{story} fails"));
        (cause.what, cause.certain, world.clock.now().duration_since(asked).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn failed_starts_are_recognised_by_their_words() {
        let expected = [
            (story("image-gone"), "the image ghcr.io/jitsi/jvb:stable-11146-2x does not exist", 60..=72),
            (story("secret-denied"), "the execution role may not read the task's secret", 40..=75),
            (story("out-of-memory"), "the container jvb ran out of memory", 100..=260),
            (story("crash-loop"), "the container prosody ended by itself (exit code 1)", 90..=240),
            (story("no-capacity"), "AWS has no Fargate capacity free in these zones", 95..=110),
            (story("vcpu-quota"), "the account's quota of Fargate vCPUs is used up", 185..=195),
            (story("unhealthy-target"), "the load balancer found the task unhealthy", 600..=900),
        ];
        for (story, what, when) in expected {
            let (found, certain, seconds) = failure(story, 900).await;
            assert_eq!((found.as_str(), certain), (what, true), "{story}");
            assert!(when.contains(&seconds), "{story}: {seconds} s");
        }
    }

    /// A refusal or two are no reason to give up; what has come settles them.
    #[tokio::test(start_paused = true)]
    async fn capacity_that_returns_is_waited_for() {
        let (world, handle) = open(story("capacity-returns"));
        let deployment = world.cloud.start().await.expect("accepted");
        let mut attempts = 0;
        for _ in 0..400 {
            let service = world.cloud.service().await.expect("readable").expect("a service");
            let tasks = world.cloud.tasks().await.expect("readable");
            let now = world.clock.now();
            let cause = cause::of(&service, &tasks, &deployment, now);
            assert!(cause.is_none_or(|cause| !cause.certain), "at {now}");
            let refused = cause::refused(&service, &tasks, &deployment, now).map_or(0, |refused| refused.attempts);
            assert!(refused == 0 || tasks.is_empty(), "at {now}");
            attempts = attempts.max(refused);
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(attempts, 2);
        assert!(handle.ready_at().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn ecs_gives_up_after_three_failures() {
        let (world, _) = open(story("image-gone"));
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_mins(10)).await;
        let service = world.cloud.service().await.expect("readable").expect("a service");
        let primary = service.primary().expect("a deployment");
        assert_eq!((primary.rollout, primary.failed), (Rollout::Failed, 3));
        assert!(service.events[0].message.contains("deployment failed: tasks failed to start"));
        assert_eq!(live(&*world.cloud).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_of_a_crash_says_why() {
        let (world, _) = open(story("crash-loop"));
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(100)).await;
        let task = world.cloud.tasks().await.expect("readable")[0].id.clone();
        let log = world.cloud.log_tail(&task, "prosody", 20).await.expect("readable").expect("a stream");
        assert!(log.iter().any(|line| line.starts_with("FATAL ERROR")), "{log:?}");
        let log = world.cloud.log_tail(&task, "occupancy", 20).await.expect("readable").expect("a stream");
        assert!(log.iter().all(|line| line.starts_with('{')), "{log:?}");
        assert_eq!(world.cloud.log_tail(&task, "no-such-container", 20).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_refused_as_the_story_says() {
        for story in [story("token-expired"), story("aws-unreachable"), story("throttled"), story("denied")] {
            let (world, _) = open(story);
            let identity = world.cloud.identity().await.map_err(|e| e.kind);
            let service = world.cloud.service().await.map_err(|e| e.kind);
            let group = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/x/0".parse().expect("an ARN");
            let targets = world.cloud.targets(&group).await.map_err(|e| e.kind);
            match story.name {
                "token-expired" => assert_eq!(identity.err(), Some(CloudErrorKind::SignIn)),
                "aws-unreachable" => assert_eq!(identity.err(), Some(CloudErrorKind::Unreachable)),
                "throttled" => assert_eq!(service.err(), Some(CloudErrorKind::Throttled)),
                _ => assert_eq!((service.is_ok(), targets.err()), (true, Some(CloudErrorKind::Denied))),
            }
        }
        let (world, _) = open(story("wrong-account"));
        assert_eq!(world.cloud.identity().await.expect("signed in").account.as_str(), "444455556666");
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_else_scales_down_meanwhile() {
        let (world, _) = open(story("tug-of-war"));
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 1);
        sleep(Duration::from_mins(1)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 0);
        assert_eq!(live(&*world.cloud).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn stale_reads_end() {
        let (world, _) = open(story("stale-reads"));
        let deployment = world.cloud.start().await.expect("accepted");
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!(service.desired, 0, "what was before");
        assert!(service.deployments.iter().all(|d| d.id != deployment));
        sleep(Duration::from_secs(9)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn powered_down_has_nothing_with_an_hourly_price() {
        let (world, _) = open(story("powered-down"));
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!((service.desired, service.target_groups.len()), (0, 0));
        assert_eq!(world.cloud.balancer().await, Ok(None));
        assert!(world.cloud.record().await.expect("readable").expect("a record").is_placeholder());
        assert!(world.cloud.secret().await.expect("readable").is_some());
        assert_eq!(world.net.resolve(&host()).await, Ok(vec![PLACEHOLDER.into()]));
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_of_people_may_be_old() {
        for (story, age) in [(story("running"), 0..=35), (story("occupancy-stale"), 360..=390)] {
            let (world, _) = open(story);
            let line = world.cloud.occupancy(EPOCH - SignedDuration::from_hours(1)).await.expect("readable");
            let seconds = world.clock.now().duration_since(line.expect("a line").time).as_secs();
            assert!(age.contains(&seconds), "{story}: {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_starts_lie_for_a_while_and_are_ready_in_the_end() {
        let mut flapped = 0;
        for seed in 0..40 {
            let (world, handle) = sandbox::world(story("slow-start"), None, seed);
            world.cloud.start().await.expect("accepted");
            let (mut was_healthy, mut took_back) = (false, false);
            for _ in 0..500 {
                let healthy = live(&*world.cloud).await.first().map(|task| task.health);
                took_back |= was_healthy && healthy == Some(Health::Unhealthy);
                was_healthy |= healthy == Some(Health::Healthy);
                sleep(Duration::from_secs(1)).await;
            }
            flapped += u32::from(took_back);
            let ready = handle.ready_at().expect("it works in the end");
            assert!(ready < world.clock.now(), "seed {seed}: {ready}");
        }
        assert!(flapped > 0, "some call themselves healthy too soon");
    }

    #[test]
    fn every_story_has_a_name_and_a_line() {
        let names: BTreeSet<&str> = Story::all().map(|story| story.name).collect();
        assert_eq!(names.len(), Story::all().len());
        for story in Story::all() {
            assert_eq!(story.name.parse(), Ok(story));
            assert_eq!(serde_json::to_value(story).expect("a word"), story.name);
            assert!(!story.about.is_empty());
        }
        assert!("no-such-story".parse::<Story>().is_err());
        assert_eq!(Story::default(), story("standby"));
    }
}
