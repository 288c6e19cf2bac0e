//! Ctrl-C at any time: the platform is as it was found, and nobody is left in a room.

use super::*;

use crate::story;

#[tokio::test(start_paused = true)]
async fn in_every_phase() {
    for phase in 1..=10 {
        for after in [60, 2_500] {
            let after = Duration::from_millis(after);
            let script = Script { interrupt: Some((phase, after)), ..Script::default() };
            let ran = rehearse(Stage::of(story("standby")), "", script).await;
            let shown = plain(&ran.said);
            ran.is_at_rest().await;
            let late = phase == 10 && ran.code() == 0;
            if late {
                continue;
            }
            // Phases that take less than that are over, and the next one is interrupted.
            assert_eq!(ran.code(), 130, "phase {phase} after {after:?}\n{shown}");
            if let Err(failure) = &ran.result
                && !ran.said.iter().any(|event| matches!(event.event, Event::Answer(_)))
            {
                panic!("no report of what was done: {failure:?}\n{shown}");
            }
            assert!(ran.rehearsal().restored, "phase {phase} after {after:?}\n{shown}");
            assert_eq!((ran.rehearsal().phases.len(), ran.rehearsal().left), (10, "standby"), "{shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn at_every_moment_of_a_start() {
    for story in [story("standby"), story("stale-reads"), story("crash-loop")] {
        for second in (0..200).step_by(19) {
            let script = Script { interrupt: Some((3, Duration::from_secs(second))), ..Script::default() };
            let ran = rehearse(Stage::of(story), "", script).await;
            assert!(matches!(ran.code(), 8 | 130), "{story} after {second} s: {:?}", ran.result);
            assert_eq!(ran.rehearsal().left, "standby", "{story} after {second} s\n{}", plain(&ran.said));
            ran.is_at_rest().await;
            sleep(Duration::from_mins(2)).await;
            ran.is_at_rest().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_terraform_works() {
    for second in [1, 60, 250] {
        let script = Script { interrupt: Some((3, Duration::from_secs(second))), ..Script::default() };
        let ran = rehearse(Stage::of(story("powered-down")), "", script).await;
        let shown = plain(&ran.said);
        assert_eq!((ran.code(), ran.rehearsal().left), (130, "powered-down"), "after {second} s\n{shown}");
        assert_eq!(ran.world.cloud.balancer().await.expect("readable"), None, "after {second} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_running_is_not_stopped() {
    for phase in 1..=10 {
        let script = Script { interrupt: Some((phase, Duration::from_millis(50))), ..Script::default() };
        let ran = rehearse(Stage::of(story("running")), "", script).await;
        let service = ran.world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!((service.desired, service.running), (1, 1), "phase {phase}");
        ran.has_left();
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_for_it_may_be_over() {
    let ran = rehearse(Stage::of(story("standby")), "--timeout 100s", Script::default()).await;
    assert_eq!((ran.code(), ran.rehearsal().left), (6, "standby"), "{}", plain(&ran.said));
    assert_eq!(ran.grades(), "ggssssssgg");
    ran.is_at_rest().await;
}

#[tokio::test(start_paused = true)]
async fn participants_leave_within_four_seconds() {
    let url = "https://meet.example.org";
    for millis in (0..4_000).step_by(390) {
        let after = Duration::from_millis(millis);
        let ran = probe(Stage::of(story("running")), url, &[], Some(after)).await;
        assert!(ran.took <= after + Duration::from_secs(4), "after {after:?}: {:?}", ran.took);
        assert!(matches!(ran.code(), 0 | 130), "after {after:?}: {:?}", ran.result);
        ran.has_left();
    }
    let ran = probe(Stage::of(story("running")), &format!("{url} --for 60s --timeout 5s"), &[], None).await;
    assert_eq!(ran.code(), 6, "{:?}", ran.result);
    ran.has_left();
}
