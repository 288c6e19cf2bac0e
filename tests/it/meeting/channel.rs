//! The bridge channel, of either kind: it works, is refused, stays silent, or is not there at all.

use std::time::Duration;

use meetctl::domain::ladder::{Climb, Rung, ladder};
use meetctl::domain::meeting::{Carrier, Proof, Stage};
use meetctl::world::sandbox::jitsi::{ChannelFault, ChannelOffer, Faults};

use super::support::{Proven, ask, prove_in_memory, proven, setup};

async fn proof(faults: Faults) -> Proof {
    prove_in_memory(setup().with(faults), &ask()).await.0
}

fn result(proof: &Proof, level: Rung) -> Climb {
    ladder(proof).into_iter().find(|climbed| climbed.level == level).expect("every level").result
}

fn code(proof: &Proof) -> &'static str {
    proof.finding.as_ref().map_or("none", |finding| finding.code.as_str())
}

#[tokio::test(start_paused = true)]
async fn the_channel_that_a_browser_would_open_is_opened() {
    for (channel, prefers_websocket, carrier) in [
        (ChannelOffer::Sctp, false, Carrier::Sctp),
        (ChannelOffer::Sctp, true, Carrier::Sctp),
        (ChannelOffer::WebSocket, false, Carrier::WebSocket),
        (ChannelOffer::Both, false, Carrier::Sctp),
        (ChannelOffer::Both, true, Carrier::WebSocket),
    ] {
        let proof = proof(Faults { channel, prefers_websocket, ..Faults::default() }).await;
        assert_eq!(code(&proof), "none", "{channel:?}: {proof:#?}");
        assert_eq!(proof.warnings, [], "{channel:?}");
        assert_eq!(proof.channels.len(), 2, "{proof:#?}");
        for one in &proof.channels {
            assert_eq!((one.carrier, one.version.as_deref()), (carrier, Some("2.3.324")), "{channel:?}");
        }
        assert_eq!(proof.stages.iter().filter(|passed| passed.stage == Stage::Channel).count(), 2);
        assert_eq!(result(&proof, Rung::Channel), Climb::Shown);
        // It goes on beside the media: nobody waits for it.
        assert!(proof.took < Duration::from_millis(4500), "{channel:?}: {:?}", proof.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_does_not_serve_leaves_cameras_black() {
    use ChannelFault::{Garbles, Refuses, Silent};
    for (channel, channel_fault, wanted, said) in [
        (ChannelOffer::WebSocket, Refuses, "channel-refused", "HTTP 403 Forbidden"),
        (ChannelOffer::WebSocket, Silent, "channel-silent", "WebSocket: no answer to our hello within 10 s"),
        (ChannelOffer::WebSocket, Garbles, "channel-refused", "<html><title>Welcome</title></html>"),
        (ChannelOffer::Sctp, Refuses, "channel-refused", "SCTP: it was closed"),
        (ChannelOffer::Sctp, Silent, "channel-silent", "SCTP: no answer to our hello within 10 s"),
        (ChannelOffer::Sctp, Garbles, "channel-refused", "<html><title>Welcome</title></html>"),
    ] {
        let proof = proof(Faults { channel, channel_fault, ..Faults::default() }).await;
        let case = format!("{channel:?} {channel_fault:?}: {:#?}", proof.finding);
        assert_eq!(code(&proof), wanted, "{case}");
        let finding = proof.finding.as_ref().expect("a finding");
        assert!(finding.detail.as_ref().is_some_and(|detail| detail.contains(said)), "{case}");
        assert!(!format!("{finding:?}").contains("pwd="), "a password is shown: {case}");
        // People hear each other: that is shown, and said.
        assert_eq!(proven(&proof), Some(Proven::Media), "{case}");
        assert!(proof.flows.iter().all(|flow| flow.lost == 0), "{case}");
        assert_eq!(result(&proof, Rung::Secure), Climb::Shown);
        assert_eq!(result(&proof, Rung::Channel), Climb::Failed);
        assert_eq!(result(&proof, Rung::Media), Climb::Shown);
        let longest = if channel_fault == Silent { 12_000 } else { 4_500 };
        assert!(proof.took < Duration::from_millis(longest), "{case}: {:?}", proof.took);
    }
}

#[tokio::test(start_paused = true)]
async fn an_offer_without_a_channel_is_a_warning() {
    let proof = proof(Faults { channel: ChannelOffer::Nothing, ..Faults::default() }).await;
    assert_eq!(code(&proof), "none", "{proof:#?}");
    let warnings: Vec<_> = proof.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(warnings, ["channel-not-offered"]);
    assert_eq!(proof.channels, []);
}

/// What the address says is what counts; and what is in it that others must not see is not repeated.
#[tokio::test(start_paused = true)]
async fn an_address_that_guests_cannot_reach_is_named() {
    for (address, said) in [
        ("ws://meet.example.org", "ws://meet.example.org/colibri-ws/jvb1"),
        ("wss://10.0.3.17", "wss://10.0.3.17/colibri-ws/jvb1"),
        ("wss://localhost:8443", "wss://localhost:8443/colibri-ws/jvb1"),
    ] {
        let channel = ChannelOffer::WebSocket;
        let proof = proof(Faults { channel, channel_at: Some(address), ..Faults::default() }).await;
        assert_eq!(code(&proof), "channel-refused", "{address}: {proof:#?}");
        let finding = format!("{:?}", proof.finding);
        assert!(finding.contains(said) && !finding.contains("pwd="), "{address}: {finding}");
    }
}

/// A meeting that is not heard is worse than one without cameras.
#[tokio::test(start_paused = true)]
async fn missing_media_outweighs_a_missing_channel() {
    let channel_fault = ChannelFault::Refuses;
    let proof = proof(Faults { channel_fault, forwarding_off: true, ..Faults::default() }).await;
    assert_eq!(code(&proof), "no-media", "{proof:#?}");
    assert!(proof.warnings.iter().any(|warning| warning.code.as_str() == "channel-refused"), "{proof:#?}");
}
