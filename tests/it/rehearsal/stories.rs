//! How a rehearsal ends, story by story.

use super::*;

use crate::story;

#[tokio::test(start_paused = true)]
async fn ten_phases_are_good() {
    let ran = rehearse(Stage::of(story("standby")), "", Script::default()).await;
    assert_eq!((ran.code(), ran.grades().as_str()), (0, "gggggggggg"), "{}", plain(&ran.said));
    assert_eq!((ran.rehearsal().found, ran.rehearsal().left), ("standby", "standby"));
    ran.is_at_rest().await;
    insta::assert_snapshot!("rehearsal-plain", plain(&ran.said));
}

#[tokio::test(start_paused = true)]
async fn what_was_powered_down_is_powered_down_again() {
    let ran = rehearse(Stage::of(story("powered-down")), "", Script::default()).await;
    assert_eq!((ran.code(), ran.grades().as_str()), (0, "gggggggggg"), "{}", plain(&ran.said));
    assert_eq!(ran.world.cloud.balancer().await.expect("readable"), None);
    ran.is_at_rest().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_running_stays_running() {
    let stage = Stage::of(story("running"));
    let before = stage.world.cloud.service().await.expect("readable").expect("a service");
    let ran = rehearse(stage, "", Script::default()).await;
    assert_eq!((ran.code(), ran.grades().as_str()), (0, "ggggggggsg"), "{}", plain(&ran.said));
    let after = ran.world.cloud.service().await.expect("readable").expect("a service");
    assert_eq!(before.primary(), after.primary());
    assert!(plain(&ran.said).contains("it was running before, and stays so"));
}

#[tokio::test(start_paused = true)]
async fn each_story_is_found_out_and_left_as_it_was() {
    for (story, code, grades, left) in [
        (story("slow-start"), 0, "gggggggggg", "standby"),
        (story("stale-reads"), 0, "gggggggggg", "standby"),
        (story("certificate-expiring"), 0, "", "running"),
        (story("old-release"), 0, "ggggggggsg", "running"),
        (story("jittery"), 0, "ggggggggsg", "running"),
        (story("image-gone"), 8, "ggbbsssbgg", "standby"),
        (story("out-of-memory"), 8, "ggbbsssbgg", "standby"),
        (story("secret-denied"), 8, "ggbbsssbgg", "standby"),
        (story("crash-loop"), 8, "ggbbsssbgg", "standby"),
        (story("no-capacity"), 8, "ggbbsssbgg", "standby"),
        (story("vcpu-quota"), 8, "ggbbsssbgg", "standby"),
        (story("tug-of-war"), 8, "ggbbsssbgg", "standby"),
        (story("unhealthy-target"), 8, "", "standby"),
        (story("expired-certificate"), 8, "", "degraded"),
        (story("https-502"), 8, "", ""),
        (story("udp-blocked"), 8, "ggbbsssgsg", "running"),
        (story("no-focus"), 8, "ggbbsssgsg", "running"),
        (story("no-bridge"), 8, "ggbbsssgsg", "running"),
        (story("dtls-fails"), 8, "ggbbsssgsg", "running"),
        (story("private-address-only"), 8, "ggbbsssgsg", "running"),
        (story("lobby-forced"), 9, "gguusssgsg", "running"),
        (story("auth-required"), 9, "gguusssgsg", "running"),
        (story("denied"), 9, "", "unknown"),
    ] {
        let ran = rehearse(Stage::of(story), "", Script::default()).await;
        let shown = plain(&ran.said);
        assert_eq!(ran.code(), code, "{story} {}\n{shown}", ran.grades());
        assert!(grades.is_empty() || ran.grades() == grades, "{story}: {}\n{shown}", ran.grades());
        assert!(left.is_empty() || ran.rehearsal().left == left, "{story}: {}", ran.rehearsal().left);
        assert!(ran.rehearsal().restored, "{story}\n{shown}");
        if ran.rehearsal().found == "standby" {
            ran.is_at_rest().await;
        }
        ran.has_left();
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_touched_is_refused_before_anything_is_done() {
    for (story, kind) in [
        (story("meeting"), Kind::Refused),
        (story("occupancy-stale"), Kind::Refused),
        (story("token-expired"), Kind::NoAccess),
        (story("wrong-account"), Kind::NoAccess),
    ] {
        let stage = Stage::of(story);
        let before = stage.handle.saved().model;
        let ran = rehearse(stage, "", Script::default()).await;
        let failure = ran.result.as_ref().expect_err("refused");
        assert_eq!(failure.kind, kind, "{story}: {failure:?}");
        assert!(!failure.next.is_empty(), "{story}");
        assert_eq!(ran.handle.saved().model.asks, before.asks, "{story}");
    }
    let stage = Stage::of(story("standby"));
    stage.world.cloud.start().await.expect("accepted");
    sleep(Duration::from_secs(20)).await;
    let ran = rehearse(stage, "", Script::default()).await;
    assert_eq!(ran.code(), 5, "somebody else is starting it: {:?}", ran.result);
    sleep(Duration::from_mins(5)).await;
    assert!(ran.handle.front().is_some(), "their start goes on");
}

#[tokio::test(start_paused = true)]
async fn people_who_join_meanwhile_are_not_thrown_out() {
    for interrupt in [None, Some((8, Duration::ZERO))] {
        let join = |handle: &Handle| handle.people_join(3, 30);
        let script = Script { meanwhile: Some((5, &join)), interrupt, ..Script::default() };
        // The load gives the sidecar time to write its next line.
        let ran = rehearse(Stage::of(story("standby")), "--participants 2 --for 40s", script).await;
        let failure = ran.result.as_ref().expect_err("it was left running");
        assert_eq!(failure.kind, Kind::Refused, "{failure:?}");
        assert!(failure.next.iter().any(|n| n.contains("down --when-empty")), "{failure:?}");
        assert_eq!((ran.rehearsal().left, ran.rehearsal().restored), ("running", false));
        assert_eq!(ran.grades().chars().nth(8), Some('b'));
        let service = ran.world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!(service.desired, 1);
        assert!(plain(&ran.said).contains("3 people in 1 room"), "{}", plain(&ran.said));
    }
}

#[tokio::test(start_paused = true)]
async fn keep_up_leaves_what_is_good_and_nothing_else() {
    let ran = rehearse(Stage::of(story("standby")), "--keep-up", Script::default()).await;
    assert_eq!((ran.code(), ran.grades().as_str(), ran.rehearsal().left), (0, "ggggggggsg", "running"));
    assert!(ran.rehearsal().restored);
    let ran = rehearse(Stage::of(story("crash-loop")), "--keep-up", Script::default()).await;
    assert_eq!((ran.code(), ran.rehearsal().left), (8, "standby"));
    ran.is_at_rest().await;
    let script = Script { interrupt: Some((7, Duration::from_secs(1))), ..Script::default() };
    let ran = rehearse(Stage::of(story("standby")), "--keep-up", script).await;
    assert_eq!((ran.code(), ran.rehearsal().left), (130, "standby"));
}

#[tokio::test(start_paused = true)]
async fn a_load_decides_about_its_own_losses() {
    let load = "--participants 6 --room-size 3 --for 4s";
    let ran = rehearse(Stage::of(story("running")), &format!("{load} --max-loss 0%"), Script::default()).await;
    assert_eq!(ran.code(), 0, "{}", plain(&ran.said));
    let meeting = &ran.rehearsal().phases[6];
    let flows = meeting.probe.as_ref().map(|probe| probe.proof.flows.len());
    assert_eq!(flows, Some(12), "everybody hears the two others");
    assert!((4..14).contains(&meeting.took.as_secs()), "{:?}", meeting.took);
    for (limit, code) in [("2%", 8), ("40%", 0)] {
        let ran = rehearse(Stage::of(story("lossy")), &format!("{load} --max-loss {limit}"), Script::default()).await;
        assert_eq!(ran.code(), code, "{limit}: {}", plain(&ran.said));
    }
}
