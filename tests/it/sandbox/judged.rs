//! The domain's verdicts on what the sandbox's account shows.

use std::time::Duration;

use jiff::SignedDuration;
use meetctl::domain::changes::Recordings;
use meetctl::domain::condition::{Condition, Verdict};
use meetctl::domain::condition::{STALE, people};
use meetctl::domain::observed::{Observed, Reading, TargetGroup};
use meetctl::domain::plan::{Counted, Meetings, Policy};
use meetctl::domain::standing::Standing;
use meetctl::domain::view::View;
use meetctl::world::World;
use meetctl::world::sandbox;
use tokio::time::sleep;

use super::open;

use crate::story;

/// What the account alone can show.
const OF_THE_ACCOUNT: [Condition; 7] = [
    Condition::SignedIn,
    Condition::ServiceActive,
    Condition::BalancerActive,
    Condition::Started,
    Condition::ContainersHealthy,
    Condition::TargetsHealthy,
    Condition::Steady,
];

fn policy() -> Policy {
    Policy {
        platform: "jitsi-video-platform".parse().expect("a name"),
        region: "us-west-2".parse().expect("a region"),
        agreed: None,
        account: Some(sandbox::ACCOUNT.parse().expect("an account")),
        session: Duration::from_hours(3),
        media: false,
        counted: Counted::BySidecar,
        meetings: Meetings::Respect,
        recordings: Recordings::Kept,
    }
}

async fn observe(world: &World) -> Observed {
    let cloud = &*world.cloud;
    let mut seen = Observed::nothing(world.clock.now());
    seen.identity = cloud.identity().await.map(Some).into();
    seen.service = cloud.service().await.into();
    seen.tasks = cloud.tasks().await.map(Some).into();
    seen.balancer = cloud.balancer().await.into();
    seen.record = cloud.record().await.into();
    seen.secret = cloud.secret().await.into();
    seen.kept = cloud.kept().await.map(|kept| Some(kept.recordings.into_iter().chain(kept.state).collect())).into();
    let since = world.clock.now() - SignedDuration::try_from(STALE).expect("short");
    seen.occupancy = cloud.occupancy(since).await.into();
    if let Some(service) = seen.service.present().filter(|service| !service.target_groups.is_empty()) {
        let mut groups = Vec::new();
        for it in service.target_groups.clone() {
            match cloud.targets(&it.group).await {
                Ok(targets) => groups.push(TargetGroup {
                    group: it.group,
                    container: it.container,
                    port: it.port,
                    targets: targets.unwrap_or_default(),
                }),
                Err(why) => {
                    seen.targets = Reading::Unreadable(why.into());
                    return seen;
                }
            }
        }
        seen.targets = Reading::Present(groups);
    }
    seen.at = world.clock.now();
    seen
}

fn unmet(seen: &Observed) -> Vec<(Condition, Verdict)> {
    let verdicts = OF_THE_ACCOUNT.map(|condition| (condition, condition.judge(&View::single(seen, &policy())).verdict));
    verdicts.into_iter().filter(|(_, verdict)| !matches!(verdict, Verdict::Holds)).collect()
}

#[tokio::test(start_paused = true)]
async fn stories_open_at_their_level() {
    for (story, level) in [
        (story("standby"), "standby"),
        (story("fresh"), "no such platform"),
        (story("powered-down"), "powered-down"),
        (story("slow-start"), "standby"),
        (story("throttled"), "unknown"),
        (story("token-expired"), "unknown"),
        (story("aws-unreachable"), "unknown"),
    ] {
        let seen = observe(&open(story).0).await;
        assert_eq!(Standing::of(&View::single(&seen, &policy())).name(), level, "{story}");
    }
}

#[tokio::test(start_paused = true)]
async fn running_stories_hold_as_far_as_the_account_shows() {
    for story in [
        story("running"),
        story("meeting"),
        story("expired-certificate"),
        story("https-502"),
        story("occupancy-stale"),
        story("old-refusal"),
    ] {
        let seen = observe(&open(story).0).await;
        assert_eq!(unmet(&seen), [], "{story}");
        assert_eq!(people(&View::single(&seen, &policy())).is_ok(), story.name != "occupancy-stale", "{story}");
    }
    let seen = observe(&open(story("denied")).0).await;
    assert!(matches!(unmet(&seen).as_slice(), [(Condition::TargetsHealthy, Verdict::Unseen(_))]));
    let seen = observe(&open(story("wrong-account")).0).await;
    assert!(matches!(unmet(&seen).first(), Some((Condition::SignedIn, Verdict::Fails(_)))));
    let seen = observe(&open(story("dns-stale")).0).await;
    assert!(matches!(Condition::NameResolves.judge(&View::single(&seen, &policy())).verdict, Verdict::Fails(_)));
}

/// The account never shows everything as good before it is, and does soon after.
#[tokio::test(start_paused = true)]
async fn what_is_shown_follows_what_is_true() {
    let not_yet = |verdicts: &[(Condition, Verdict)]| verdicts.iter().any(|(c, _)| *c != Condition::Steady);
    for (story, seeds) in [(story("standby"), 0..10), (story("slow-start"), 0..30)] {
        for seed in seeds {
            let (world, handle) = sandbox::world(story, None, seed);
            world.cloud.start().await.expect("accepted");
            let mut seen = observe(&world).await;
            for _ in 0..600 {
                if !not_yet(&unmet(&seen)) {
                    break;
                }
                sleep(Duration::from_secs(1)).await;
                seen = observe(&world).await;
            }
            let ready = handle.ready_at().expect("it works in the end");
            let late = seen.at.duration_since(ready).as_secs();
            assert!((0..=3).contains(&late), "{story}, seed {seed}: {late} s");
        }
    }
}
