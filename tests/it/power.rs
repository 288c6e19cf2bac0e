//! Deploying, powering down and removing, as users see it: the binary in the sandbox.

#![expect(clippy::disallowed_methods, reason = "these tests run the binary")]

use std::process::Command;

use tempfile::TempDir;

/// A sandbox of its own.
struct Sandbox {
    state: TempDir,
    story: &'static str,
}

struct Ran {
    code: i32,
    answer: String,
    talk: String,
}

impl Sandbox {
    fn of(story: &'static str) -> Self {
        Self { state: tempfile::tempdir().expect("a folder"), story }
    }

    fn run(&self, line: &str) -> Ran {
        let out = Command::new(env!("CARGO_BIN_EXE_meetctl"))
            .args([&format!("--sandbox={}", self.story), "--no-input"])
            .args(line.split(' '))
            .env_clear()
            .env("TZ", "UTC")
            .env("MEETCTL_STATE_DIR", self.state.path())
            .output()
            .expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: out.status.code().unwrap_or(-1), answer: text(&out.stdout), talk: text(&out.stderr) }
    }
}

impl Ran {
    #[track_caller]
    fn ends(self, code: i32, parts: &[&str]) -> Self {
        let all = format!("{}{}", self.answer, self.talk);
        // As it is read, not as it is wrapped.
        let flat = all.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(self.code, code, "{all}");
        for part in parts {
            assert!(flat.contains(part), "{part:?} is not in:\n{all}");
        }
        self
    }

    #[track_caller]
    fn never_says(self, part: &str) -> Self {
        assert!(
            !self.talk.contains(part) && !self.answer.contains(part),
            "{part:?} is in:\n{}{}",
            self.answer,
            self.talk
        );
        self
    }
}

const NOTHING: &str = "Nothing to do: nothing with an hourly price is left.";

#[test]
fn power_down_and_up_again() {
    let it = Sandbox::of("standby");
    it.run("power-down").ends(5, &["asks before it acts", "meetctl power-down --yes"]).never_says("done in");
    it.run("power-down --yes").ends(0, &["saves $0.0325 an hour", "$0.90 a month", "5 to 10 minutes"]);
    it.run("status --expect powered-down").ends(0, &[]);
    it.run("power-down --yes").ends(0, &[NOTHING]).never_says("Terraform");
    it.run("power-down").ends(0, &[NOTHING]);
    it.run("up").ends(0, &["restore the load balancer", "The platform is running"]);
    it.run("up").ends(0, &[]).never_says("Terraform");
    it.run("down").ends(0, &[]);
}

#[test]
fn power_down_stops_first_and_spares_meetings() {
    let it = Sandbox::of("meeting");
    it.run("power-down --yes").ends(5, &["people are in a meeting: 7"]).never_says("Terraform");
    it.run("destroy --confirm jitsi-video-platform").ends(5, &["people are in a meeting"]).never_says("done in");
    Sandbox::of("running").run("power-down --yes").ends(0, &["set the desired count to 0", "Powered-down costs"]);
}

#[test]
fn what_was_left_over_is_removed_or_named_with_its_price() {
    const ARN: &str =
        "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/tuesday-test-nlb/0ddba11c0ffee123";
    let foreign = Sandbox::of("leftover-balancer");
    for _ in 0..2 {
        foreign
            .run("power-down --yes")
            .ends(8, &[ARN, "$0.0275 an hour", "not shown to be ours"])
            .never_says("Deleting");
    }
    foreign.run("status").ends(0, &["Also costs", ARN, "$0.0275 an hour"]);
    foreign.run("status --expect powered-down").ends(8, &[ARN]);
    foreign.run("status --output json").ends(0, &["\"level\":\"powered-down\"", "\"per_hour\":0.0275"]);
    foreign.run("up").ends(0, &[]);
    foreign.run("status --expect running").ends(0, &[ARN]);
    foreign.run("destroy --confirm jitsi-video-platform").ends(8, &[ARN]).never_says("Deleting");
    foreign.run("status --expect destroyed").ends(8, &[ARN]);

    let ours = Sandbox::of("leftover-balancer-ours");
    ours.run("power-down").ends(5, &["asks before it acts", "Deleted besides", ARN]);
    ours.run("power-down --yes").ends(0, &["Deleted besides", "Deleting what was left over", ARN]);
    ours.run("status --expect powered-down").ends(0, &[]).never_says(ARN);
    let ours = Sandbox::of("leftover-balancer-ours");
    ours.run("destroy --confirm jitsi-video-platform")
        .ends(0, &["Deleting what was left over", ARN, "The platform is gone"]);

    let denied = Sandbox::of("leftover-balancer-denied");
    let price = "load balancer tuesday-test-nlb, $0.0275 an hour";
    denied.run("power-down --yes").ends(8, &[price, "elasticloadbalancing:DeleteLoadBalancer"]);
    // And again, as long as it is there.
    denied.run("power-down --yes").ends(8, &[price]);
}

#[test]
fn a_plan_that_touches_too_much_changes_nothing() {
    let it = Sandbox::of("plan-touches-too-much");
    let refused = ["replace aws_s3_bucket.recordings, change aws_vpc.this"];
    it.run("power-down --yes").ends(5, &refused).never_says("done in");
    it.run("status --expect standby").ends(0, &[]);
}

#[test]
fn bad_days_of_terraform() {
    Sandbox::of("terraform-missing").run("power-down --yes").ends(3, &["neither `terraform` nor `tofu`"]);
    Sandbox::of("terraform-old").run("deploy --yes").ends(3, &["too old: 1.5"]);
    Sandbox::of("state-locked").run("power-down --yes").ends(7, &["locked by ada@workstation", "force-unlock"]);
    let refused = Sandbox::of("balancers-not-allowed");
    refused.run("deploy --yes").ends(7, &["does not let this account create load balancers", "support case"]);
    // Its bucket for the state shows that it was begun.
    refused.run("destroy --confirm jitsi-video-platform").ends(0, &["The platform is gone"]);
}

#[test]
fn a_restoration_that_broke_off_is_continued() {
    let it = Sandbox::of("apply-fails-halfway");
    it.run("up").ends(7, &["aws_lb_listener.https[0]", "it continues where it stopped"]);
    it.run("up").ends(0, &["2 to create, 2 to change, 1 to replace", "The platform is running"]);
}

#[test]
fn a_life_from_nothing_to_nothing() {
    let it = Sandbox::of("fresh");
    let nowhere = "no platform jitsi-video-platform in us-west-2 of account 111122223333";
    let destroy = "destroy --confirm jitsi-video-platform";
    for line in ["status", "health", "down", "up", "power-down --yes", destroy, "test-platform", "why"] {
        it.run(line).ends(8, &[nowhere, "meetctl deploy"]).never_says("othing to do").never_says("$0");
    }
    it.run("status --expect destroyed").ends(0, &[]);
    it.run("deploy").ends(5, &["asks before it acts"]).never_says("done in");
    it.run("deploy --yes").ends(0, &["aws_s3_bucket.state", "18 to create", "Standby costs"]);
    it.run("deploy").ends(0, &["Nothing to do: the platform is deployed."]);
    it.run("power-down --yes").ends(0, &["Powered-down costs"]);
    // A deployment from powered-down brings the load balancer back.
    it.run("deploy --yes").ends(0, &["4 to create, 2 to change, 1 to replace"]);
    it.run("destroy --yes").ends(5, &["--confirm jitsi-video-platform"]).never_says("done in");
    it.run("destroy --confirm another-platform").ends(5, &["another-platform"]).never_says("done in");
    it.run("destroy --confirm jitsi-video-platform").ends(0, &["the bucket with recordings", "The platform is gone"]);
    it.run("status --expect destroyed").ends(0, &[]);
    // That it was destroyed can be shown: its buckets are kept.
    it.run("down").ends(0, &["Nothing to do: nothing runs."]);
    it.run(destroy).ends(0, &["Nothing to do: the platform is gone."]);
    it.run("up").ends(8, &["there is no ECS service"]);
    it.run("deploy --yes").ends(0, &["1 to take over"]);
    it.run("destroy --delete-recordings --confirm jitsi-video-platform")
        .ends(0, &["18 to delete"])
        .never_says("with recordings,");
}

/// Another name, region or account than the one that is there: nothing is off, gone or free of charge.
#[test]
fn another_platform_is_not_this_one_at_rest() {
    let it = Sandbox::of("running");
    let nowhere = "no platform other in us-west-2 of account 111122223333";
    let hint = "meet.example.org answers all the same";
    for line in ["down", "up", "status", "health", "power-down --yes", "destroy --confirm other", "test-platform"] {
        it.run(&format!("{line} --platform other")).ends(8, &[nowhere, hint]).never_says("othing to do");
    }
    it.run("down --region eu-central-1").ends(8, &["no platform jitsi-video-platform in eu-central-1 of account"]);
    it.run("down --account 999988887777").ends(4, &["999988887777", "111122223333"]);
    it.run("down --account nonsense").ends(2, &["--account"]);
    it.run("down --platform other --domain other.example.org").ends(8, &[nowhere]).never_says("all the same");
    it.run("deploy --yes --platform other").ends(7, &["the sandbox has only its own platform"]);
    it.run("status --expect running").ends(0, &[]);
    it.run("config show --origin --account 111122223333").ends(0, &["--account"]);
}

/// What cannot be read is unknown; it is not nowhere.
#[test]
fn what_cannot_be_read_is_not_nowhere() {
    for (story, code) in [("throttled", 9), ("aws-unreachable", 9), ("token-expired", 4)] {
        Sandbox::of(story).run("status").ends(code, &[]).never_says("no platform");
    }
}

/// The promise of the tool: a run that is dropped or stopped at any second is continued by running it again.
mod converging {
    use std::time::Duration;

    use meetctl::domain::changes::Recordings;
    use meetctl::domain::goal::Goal;
    use meetctl::domain::observed::Observed;
    use meetctl::domain::plan::{Agreed, Counted, Meetings, Policy, plan};
    use meetctl::domain::view::View;
    use meetctl::engine::{self, Job};
    use meetctl::error::{Failure, Kind, Outcome};
    use meetctl::event::Events;
    use meetctl::probe::Sight;
    use meetctl::probe::site::Site;
    use meetctl::world::World;
    use meetctl::world::sandbox::{self, Story};
    use tokio::time::{sleep, timeout};
    use tokio_util::sync::CancellationToken;

    use crate::story;

    struct Desk {
        world: World,
        handle: sandbox::Handle,
        sight: Sight,
        policy: Policy,
        say: Events,
    }

    impl Desk {
        fn of(story: Story) -> Self {
            let (world, handle) = sandbox::world(story, None, 7);
            let (say, _) = Events::new(world.clock);
            let sight = Sight::of(Site::of(sandbox::HOST.parse().expect("a host")));
            let policy = Policy {
                platform: "jitsi-video-platform".parse().expect("a name"),
                region: "us-west-2".parse().expect("a region"),
                agreed: None,
                account: None,
                session: Duration::from_hours(3),
                media: false,
                counted: Counted::BySidecar,
                meetings: Meetings::Respect,
                recordings: Recordings::Kept,
            };
            Self { world, handle, sight, policy, say }
        }

        /// What a question would name: the leftover, and all that Terraform's plan may delete.
        async fn agreed(story: Story) -> Self {
            let mut desk = Self::of(story);
            let made = desk.handle.saved().model.stack.estate.made;
            let billed = desk.world.cloud.billed().await.expect("readable").into_iter().map(|billed| billed.arn);
            let (leftovers, terraforms): (Vec<String>, Vec<String>) =
                billed.partition(|arn| arn.contains("tuesday-test-nlb"));
            desk.policy.agreed = Some(Agreed {
                by_terraform: made.into_iter().chain(terraforms).collect(),
                leftovers: leftovers.into_iter().collect(),
            });
            desk
        }

        fn job<'a>(&'a self, stop: &'a CancellationToken) -> Job<'a> {
            let Self { world, sight, policy, say, .. } = self;
            Job { world, sight, policy, say, stop, timeout: Duration::from_hours(1), shown: None, wait: true }
        }

        async fn reach(&self, to: Goal) -> Result<Outcome, Failure> {
            engine::reach(self.job(&CancellationToken::new()), to).await
        }

        async fn look(&self, to: Goal) -> Observed {
            engine::survey(self.job(&CancellationToken::new()), to).await.expect("readable")
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum End {
        /// As when the process is killed.
        Dropped,
        /// As with Ctrl-C.
        Stopped,
    }

    async fn continued(story: Story, to: Goal, seconds: u64, end: End) {
        let desk = Desk::agreed(story).await;
        let limit = Duration::from_secs(seconds);
        match end {
            End::Dropped => drop(timeout(limit, desk.reach(to)).await),
            End::Stopped => {
                let stop = CancellationToken::new();
                let stopping = async {
                    sleep(limit).await;
                    stop.cancel();
                };
                let (result, ()) = tokio::join!(engine::reach(desk.job(&stop), to), stopping);
                if let Err(failure) = result {
                    assert_eq!(failure.kind, Kind::Interrupted, "{failure:?}");
                }
            }
        }
        let second = desk.reach(to).await;
        assert!(second.is_ok(), "{story} to {to}, {end:?} after {seconds} s: {second:?}");
        let seen = desk.look(to).await;
        let left = plan(&View::single(&seen, &desk.policy), to).expect("a plan");
        assert_eq!(left.steps, [], "{story} to {to}, {end:?} after {seconds} s");
        if to == Goal::Destroyed {
            assert!(seen.service.is_absent() && seen.balancer.is_absent() && seen.secret.is_absent());
            assert_eq!(desk.world.cloud.billed().await.expect("readable"), []);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn from_many_seconds() {
        let ways = [
            (story("standby"), Goal::AtMostPoweredDown, 90, 3),
            (story("running"), Goal::AtMostPoweredDown, 150, 5),
            (story("leftover-balancer-ours"), Goal::AtMostPoweredDown, 95, 3),
            (story("standby"), Goal::Destroyed, 110, 3),
            (story("powered-down"), Goal::Running, 400, 40),
        ];
        for (story, to, longest, every) in ways {
            for seconds in (0..longest).step_by(every) {
                continued(story, to, seconds, End::Dropped).await;
                continued(story, to, seconds + 1, End::Stopped).await;
            }
        }
    }

    /// Whichever call to the outside fails: a second run ends where it should.
    #[tokio::test(start_paused = true)]
    async fn whichever_call_fails() {
        let Desk { world, handle, sight, policy, .. } = Desk::agreed(story("leftover-balancer-ours")).await;
        let (world, tally) = sandbox::tallied(world, None);
        let (say, _) = Events::new(world.clock);
        let desk = Desk { world, handle, sight, policy, say };
        desk.reach(Goal::AtMostPoweredDown).await.expect("a run in which nothing fails");
        for nth in 1..=tally.total() {
            let Desk { world, handle, sight, policy, .. } = Desk::agreed(story("leftover-balancer-ours")).await;
            let (world, _) = sandbox::tallied(world, Some(nth));
            let (say, _) = Events::new(world.clock);
            let desk = Desk { world, handle, sight, policy, say };
            let _ = desk.reach(Goal::AtMostPoweredDown).await;
            desk.reach(Goal::AtMostPoweredDown).await.expect("the second run");
            let seen = desk.look(Goal::AtMostPoweredDown).await;
            assert_eq!(
                plan(&View::single(&seen, &desk.policy), Goal::AtMostPoweredDown).expect("a plan").steps,
                [],
                "{nth}"
            );
        }
    }
}

#[test]
fn costs_are_told_without_a_platform() {
    let it = Sandbox::of("standby");
    let parts =
        ["as claimed", "$163.93", "8 meetings of 2 h with 10 people", "229 GB out", "us-west-2, September 2026"];
    it.run("cost --participants 10 --hours 2 --meetings 8").ends(0, &parts);
    it.run("cost --ingress task --zones 1 --rest standby --codec av1")
        .ends(0, &["straight to the task", "on standby between"]);
    it.run("cost --codec mp3").ends(2, &["vp8"]);
    it.run("cost --output json").ends(0, &["\"answer\":\"costs\""]);
}
