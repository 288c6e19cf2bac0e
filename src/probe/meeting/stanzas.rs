//! The stanzas that bring a participant into the room and out of it.

use super::participant::Seat;
use super::{NODE, caps};
use crate::probe::xmpp::stanza::question;
use crate::probe::xmpp::{Element, ns};

/// Asks the focus to hold a conference in the room.
pub(super) fn conference_request(seat: &Seat, id: &str) -> Element {
    let mut conference = Element::new("conference", ns::FOCUS)
        .with("room", format!("{}@{}", seat.room, seat.names.muc))
        .with("machine-uid", seat.machine_uid.clone());
    if let Some(token) = &seat.token {
        conference = conference.with("token", token.reveal());
    }
    let property = Element::new("property", ns::FOCUS).with("name", "rtcstatsEnabled").with("value", "false");
    question("set", id, Some(&seat.names.focus), conference.and(property))
}

/// Joins the room as a participant that looks like any other.
pub(super) fn join(seat: &Seat, nick: &str) -> Element {
    let caps = Element::new("c", ns::CAPS)
        .with("hash", "sha-1")
        .with("node", NODE)
        .with("ver", caps(seat.video.is_some()).hash());
    Element::new("presence", ns::CLIENT)
        .with("to", format!("{}@{}/{nick}", seat.room, seat.names.muc))
        .and(Element::new("x", ns::MUC))
        .and(caps)
        .and(Element::new("stats-id", ns::CLIENT).saying(format!("meetctl-probe-{}", seat.label)))
        .and(Element::new("nick", ns::NICK).saying(format!("meetctl probe {}", seat.label.to_uppercase())))
        .and(Element::new("SourceInfo", ns::CLIENT).saying(sources(nick, seat.video.is_some())))
}

/// What the participant sends, as jicofo counts unmuted senders by it.
fn sources(nick: &str, video: bool) -> String {
    let camera = format!(r#","{nick}-v0":{{"muted":false,"videoType":"camera"}}"#);
    format!(r#"{{"{nick}-a0":{{"muted":false}}{}}}"#, if video { &camera } else { "" })
}

/// Leaves the room.
pub(super) fn leave(seat: &Seat, nick: &str) -> Element {
    Element::new("presence", ns::CLIENT)
        .with("type", "unavailable")
        .with("to", format!("{}@{}/{nick}", seat.room, seat.names.muc))
}
