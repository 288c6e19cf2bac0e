//! Our answer to the offer (session-accept), and the end of a session.

use super::offer::Offer;
use crate::probe::xmpp::{Element, ns};

/// What a participant says about its own side.
#[derive(Clone, Debug)]
pub struct Answering {
    pub ufrag: String,
    pub pwd: String,
    pub hash: String,
    pub fingerprint: String,
    pub ssrc: u32,
    /// The payload type of VP8 and the SSRC of what is sent in it.
    pub video: Option<(u8, u32)>,
}

/// The `<jingle>` of a session-accept: no candidates, because the bridge learns ours from our checks.
pub(super) fn session_accept(offer: &Offer, ours: &Answering, nick: &str, jid: &str) -> Element {
    let video = ours.video.map(|(vp8, ssrc)| content("video", video(vp8, ssrc, nick), ours));
    jingle("session-accept", offer)
        .with("responder", jid)
        .and(content("audio", description(offer, ours, nick), ours))
        .and_all(video)
}

fn content(name: &str, description: Element, ours: &Answering) -> Element {
    Element::new("content", ns::JINGLE)
        .with("creator", "responder")
        .with("name", name)
        .with("senders", "both")
        .and(description)
        .and(transport(ours))
}

fn video(vp8: u8, ssrc: u32, nick: &str) -> Element {
    let vp8 = Element::new("payload-type", ns::RTP)
        .with("id", vp8.to_string())
        .with("name", "VP8")
        .with("clockrate", "90000");
    Element::new("description", ns::RTP)
        .with("media", "video")
        .and(vp8)
        .and(source(ssrc, &format!("{nick}-v0"), &format!("{nick}-video-0 {nick}-camera")))
        .and(Element::new("rtcp-mux", ns::RTP))
}

fn source(ssrc: u32, name: &str, msid: &str) -> Element {
    let msid = Element::new("parameter", ns::SSMA).with("name", "msid").with("value", msid);
    Element::new("source", ns::SSMA).with("ssrc", ssrc.to_string()).with("name", name).and(msid)
}

/// The `<jingle>` of a transport-accept: as browsers send it, without what has not changed.
pub(super) fn transport_accept(offer: &Offer, ours: &Answering) -> Element {
    let content =
        Element::new("content", ns::JINGLE).with("creator", "initiator").with("name", "audio").and(transport(ours));
    jingle("transport-accept", offer).and(content)
}

fn description(offer: &Offer, ours: &Answering, nick: &str) -> Element {
    let opus = Element::new("payload-type", ns::RTP)
        .with("id", offer.opus.to_string())
        .with("name", "opus")
        .with("clockrate", "48000")
        .with("channels", "2");
    let level = offer.level_id.map(|id| {
        Element::new("rtp-hdrext", ns::HDREXT)
            .with("id", id.to_string())
            .with("uri", "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
    });
    let source = source(ours.ssrc, &format!("{nick}-a0"), &format!("{nick}-audio-0 {nick}-probe"));
    Element::new("description", ns::RTP)
        .with("media", "audio")
        .and(opus)
        .and_all(level)
        .and(source)
        .and(Element::new("rtcp-mux", ns::RTP))
}

fn transport(ours: &Answering) -> Element {
    let fingerprint = Element::new("fingerprint", ns::DTLS)
        .with("hash", ours.hash.clone())
        .with("setup", "passive")
        .saying(ours.fingerprint.clone());
    Element::new("transport", ns::ICE_UDP)
        .with("ufrag", ours.ufrag.clone())
        .with("pwd", ours.pwd.clone())
        .and(fingerprint)
}

/// The `<jingle>` that ends a session.
pub(super) fn session_terminate(offer: &Offer) -> Element {
    let reason = Element::new("reason", ns::JINGLE).and(Element::new("success", ns::JINGLE));
    let bridge = offer
        .bridge_session
        .as_ref()
        .map(|id| Element::new("bridge-session", ns::FOCUS).with("id", id.clone()).with("restart", "false"));
    jingle("session-terminate", offer).and(reason).and_all(bridge)
}

fn jingle(action: &str, offer: &Offer) -> Element {
    let jingle = Element::new("jingle", ns::JINGLE).with("action", action).with("sid", offer.sid.clone());
    match &offer.initiator {
        Some(initiator) => jingle.with("initiator", initiator.clone()),
        None => jingle,
    }
}
