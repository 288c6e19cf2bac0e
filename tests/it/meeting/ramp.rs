//! Cameras, and load that grows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetctl::domain::meeting::{Medium, Proof};
use meetctl::domain::ramp::Limit;
use meetctl::probe::media::{Ask, climb};
use meetctl::world::sandbox::jitsi::{ChannelFault, Faults, Jitsi, Move, Setup};
use tokio_util::sync::CancellationToken;

use super::support::{Memory, ask, clock, prove_in_memory, setup, tls, wire};

fn filmed(participants: u16, room_size: u16) -> Ask {
    let mut ask = ask().rehearsal(participants, room_size, Duration::from_secs(2));
    ask.video = true;
    ask.limits.join_spacing = Duration::from_millis(20);
    ask.thresholds.loss_failure = 2.0;
    ask
}

/// Plays a ramp against a Jitsi in memory, with the participants of each step that was told of.
async fn climbed(setup: Setup, ask: &Ask, stop: &CancellationToken) -> (Proof, Vec<u32>) {
    let (tls, trust) = tls();
    let jitsi = Jitsi::new(setup);
    let net = Memory { jitsi: jitsi.clone(), tls, ports: Arc::default() };
    let told = Mutex::new(Vec::new());
    let tell = |step: &meetctl::domain::ramp::Step| told.lock().expect("ours").push(step.participants);
    let proof = climb(&wire(&net, &trust, &clock()), ask, stop, tell).await;
    let census = jitsi.census();
    assert_eq!((census.sessions, census.endpoints), (0, 0), "a trace is left: {proof:#?}");
    (proof, told.into_inner().expect("ours"))
}

#[tokio::test(start_paused = true)]
async fn cameras_are_seen_by_those_who_ask() {
    let (proof, _) = prove_in_memory(setup(), &filmed(3, 3)).await;
    assert_eq!(proof.finding, None, "{proof:#?}");
    let video: Vec<_> = proof.flows.iter().filter(|flow| flow.medium == Medium::Video).collect();
    assert_eq!((proof.flows.len(), video.len()), (12, 6));
    // 50 pictures of three packets each, of which the first 25 packets are not counted.
    assert!(video.iter().all(|flow| (flow.sent, flow.lost) == (125, 0)), "{video:#?}");
}

/// Numbers and times of a camera go on as those of a voice do, and its new channel asks for video again.
#[tokio::test(start_paused = true)]
async fn cameras_are_seen_again_after_a_move() {
    for how in [Move::Restart, Move::Marked, Move::Initiate, Move::Replace] {
        let moves = Some((Duration::from_secs(3), how));
        let mut ask = filmed(2, 2);
        ask.limits.speaking = Duration::from_secs(10);
        let (proof, _) = prove_in_memory(setup().with(Faults { moves, ..Faults::default() }), &ask).await;
        assert_eq!(proof.finding, None, "{how:?}: {:?}", proof.flows);
        for flow in proof.flows.iter().filter(|flow| flow.medium == Medium::Video) {
            assert_eq!(flow.lost, 0, "{how:?}: {flow:?}");
            assert!(flow.sent > 600, "{how:?}: {flow:?}");
            assert!(matches!(flow.silences.as_slice(), [pause] if pause.moved), "{how:?}: {flow:?}");
        }
    }
}

/// A bridge sends nobody video who has not asked for it, and without a channel nobody can.
#[tokio::test(start_paused = true)]
async fn without_a_channel_there_is_no_video() {
    let faults = Faults { channel_fault: ChannelFault::Refuses, ..Faults::default() };
    let (proof, _) = prove_in_memory(setup().with(faults), &filmed(2, 2)).await;
    assert_eq!(proof.finding.as_ref().map(|f| f.code.as_str()), Some("no-video"), "{proof:#?}");
    assert!(proof.warnings.iter().any(|w| w.code.as_str() == "channel-refused"), "{proof:#?}");
    let without = Faults { video_off: true, ..Faults::default() };
    let (proof, _) = prove_in_memory(setup().with(without), &filmed(2, 2)).await;
    assert_eq!(proof.finding.as_ref().map(|f| f.code.as_str()), Some("video-not-offered"), "{proof:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_ramp_says_that_all_was_good() {
    let (proof, told) = climbed(setup(), &filmed(6, 2), &CancellationToken::new()).await;
    assert_eq!(proof.finding, None, "{proof:#?}");
    assert_eq!(told, [2, 4, 6]);
    let ramp = proof.ramp.expect("a ramp");
    assert_eq!(ramp.limit, None, "{ramp:#?}");
    assert_eq!(ramp.sentence(), "good up to 6 in rooms of 2, which is all that was asked for");
    for step in &ramp.steps {
        // Two seconds of 50 packets of audio and 75 of video, from everybody to one other.
        let expected = u64::from(step.participants) * 250;
        assert!(step.sent.abs_diff(expected) <= u64::from(step.participants) * 3, "{step:#?}");
        assert_eq!(step.lost, 0, "{step:#?}");
        assert_eq!(step.transit_median, Some(Duration::from_millis(18)), "{step:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_slows_down_is_found() {
    let faults = Faults { slow_above: Some(2), ..Faults::default() };
    let mut ask = ask().rehearsal(20, 2, Duration::from_secs(2));
    ask.limits.join_spacing = Duration::from_millis(20);
    ask.thresholds.loss_failure = 2.0;
    let (proof, told) = climbed(setup().with(faults), &ask, &CancellationToken::new()).await;
    assert_eq!(proof.finding, None, "{proof:#?}");
    let ramp = proof.ramp.expect("a ramp");
    // Two milliseconds for each one beyond two: with 14 packets are 24 ms late, with 16 they are 28.
    assert_eq!(ramp.limit, Some(Limit::Delay { at: 16 }), "{ramp:#?}");
    assert_eq!(told, [2, 4, 6, 8, 10, 12, 14, 16]);
    assert_eq!(ramp.sentence(), "good up to 14 in rooms of 2; the bridge's transit rose from 18 ms to 46 ms at 16");
}

#[tokio::test(start_paused = true)]
async fn a_ramp_ends_where_people_cannot_come_in_or_packets_are_lost() {
    let faults = Faults { loss: 0.1, ..Faults::default() };
    let (proof, _) = climbed(setup().with(faults), &filmed(6, 2), &CancellationToken::new()).await;
    assert_eq!(proof.finding.as_ref().map(|f| f.code.as_str()), Some("media-lossy"), "{proof:#?}");
    let faults = Faults { room_limit: Some(1), ..Faults::default() };
    let (proof, told) = climbed(setup().with(faults), &filmed(6, 2), &CancellationToken::new()).await;
    assert_eq!(proof.finding.as_ref().map(|f| f.code.as_str()), Some("room-full"), "{proof:#?}");
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_is_stopped_says_how_far_it_was_good() {
    let stop = CancellationToken::new();
    let later = async {
        tokio::time::sleep(Duration::from_secs(12)).await;
        stop.cancel();
        std::future::pending().await
    };
    let asked = filmed(40, 2);
    let (proof, told) = tokio::select! {
        climbed = climbed(setup(), &asked, &stop) => climbed,
        never = later => never,
    };
    assert_eq!(proof.finding.as_ref().map(|f| f.code.as_str()), Some("interrupted"), "{proof:#?}");
    let ramp = proof.ramp.expect("a ramp");
    assert_eq!(ramp.limit, Some(Limit::Stopped));
    assert_eq!(ramp.good().map(|step| step.participants), told.last().copied());
    assert!(!told.is_empty() && told.len() < 10, "{told:?}");
}
