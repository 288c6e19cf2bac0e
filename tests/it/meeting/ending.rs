//! No trace is left: however and whenever a proof ends.

use std::sync::Arc;
use std::time::Duration;

use meetctl::domain::finding::Code;
use meetctl::domain::meeting::Proof;
use meetctl::probe::media::{Ask, prove};
use meetctl::world::sandbox::jitsi::{Faults, Jitsi, Setup};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::support::{Memory, ask, clock, setup, tls, wire};

/// Proves, and asks for the end after a while.
async fn interrupted(setup: Setup, ask: &Ask, after: Duration) -> (Proof, Jitsi) {
    let (tls, trust) = tls();
    let jitsi = Jitsi::new(setup);
    let net = Memory { jitsi: jitsi.clone(), tls, ports: Arc::default() };
    let stop = CancellationToken::new();
    let clock = clock();
    let wire = wire(&net, &trust, &clock);
    let proving = prove(&wire, ask, &stop, |_| {});
    let (proof, ()) = tokio::join!(proving, async {
        sleep(after).await;
        stop.cancel();
    });
    (proof, jitsi)
}

#[tokio::test(start_paused = true)]
async fn an_interruption_at_any_moment_leaves_no_trace() {
    let delay = Duration::from_millis(15);
    for moment in (0..4_600).step_by(113) {
        let began = Instant::now();
        let moment = Duration::from_millis(moment);
        let (proof, jitsi) = interrupted(setup().with(Faults { delay, ..Faults::default() }), &ask(), moment).await;
        let census = jitsi.census();
        assert_eq!((census.sessions, census.endpoints), (0, 0), "after {moment:?}: {proof:#?}");
        assert!(began.elapsed() < moment.max(Duration::from_secs(4)) + Duration::from_secs(3), "after {moment:?}");
        let code = proof.finding.as_ref().map(|f| f.code);
        assert!(matches!(code, None | Some(Code::Interrupted)), "after {moment:?}: {code:?}");
        sleep(Duration::from_secs(16)).await;
        assert_eq!(jitsi.census().rooms, 0, "after {moment:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_proof_ends_its_sessions() {
    for moment in (0..4_000).step_by(210) {
        let (tls, trust) = tls();
        let jitsi = Jitsi::new(setup());
        let net = Memory { jitsi: jitsi.clone(), tls, ports: Arc::default() };
        let stop = CancellationToken::new();
        let (clock, ask) = (clock(), ask());
        let wire = wire(&net, &trust, &clock);
        let proving = prove(&wire, &ask, &stop, |_| {});
        let _ = tokio::time::timeout(Duration::from_millis(moment), proving).await;
        let census = jitsi.census();
        assert_eq!((census.sessions, census.endpoints), (0, 0), "after {moment} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_run_is_limited_and_left() {
    let mut ask = ask();
    ask.limits.whole = Duration::from_secs(2);
    ask.limits.wait = Duration::from_mins(10);
    let faults = Faults { no_bridge: true, ..Faults::default() };
    let began = Instant::now();
    let (proof, jitsi) = interrupted(setup().with(faults), &ask, Duration::from_hours(1)).await;
    assert_eq!(proof.finding.map(|f| f.code), Some(Code::TimedOut));
    assert!(proof.took < Duration::from_secs(10), "{:?}", proof.took);
    assert_eq!(jitsi.census().sessions, 0);
    assert!(began.elapsed() >= Duration::from_hours(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_goodbye_is_left_within_three_seconds() {
    let mut ask = ask();
    ask.limits.whole = Duration::from_secs(1);
    // Nothing gets an answer any more once the room is entered.
    let faults = Faults { join_hangs: true, focus_hangs: true, ..Faults::default() };
    let (proof, _) = interrupted(setup().with(faults), &ask, Duration::from_mins(1)).await;
    assert!(proof.took < Duration::from_secs(9), "{:?}", proof.took);
}
