//! What the errors of Prosody and of the focus mean.

use crate::domain::finding::{Code, Finding};
use crate::probe::xmpp::Element;
use crate::probe::xmpp::stanza::StanzaError;

/// An error in answer to the conference request.
pub(super) fn of_request(stanza: &Element) -> Finding {
    let error = StanzaError::of(stanza);
    let code = match error.condition.as_str() {
        _ if error.has("reservation-error") => Code::ReservationRefused,
        "service-unavailable" | "remote-server-timeout" => Code::FocusAbsent,
        "item-not-found" | "remote-server-not-found" => Code::FocusUnknown,
        "not-authorized" => Code::RequestNotAuthorized,
        "not-acceptable" => Code::SessionInvalid,
        "bad-request" => Code::RequestMalformed,
        _ => Code::RequestRefused,
    };
    finding(code, &error, stanza)
}

/// An error in answer to the join.
pub(super) fn of_join(stanza: &Element) -> Finding {
    let error = StanzaError::of(stanza);
    let text = error.text.to_ascii_lowercase();
    let code = match error.condition.as_str() {
        "not-allowed" if error.has("room-does-not-exist") => Code::RoomMissing,
        "not-allowed" if error.has("room-mismatch") || text.contains("token") => Code::TokenRoomMismatch,
        "not-allowed" if text.contains("invalid resource") || text.contains("invalid anonymous") => Code::NickRefused,
        "not-allowed" => Code::RoomRestricted,
        "registration-required" if error.has("waiting-for-host") => Code::WaitingForHost,
        "registration-required" => Code::LobbyForced,
        "not-acceptable" if error.has("displayname-required") => Code::NameRequired,
        "not-authorized" => Code::RoomPassword,
        "service-unavailable" => Code::RoomFull,
        "conflict" => Code::NickConflict,
        "resource-constraint" => Code::JoinRateLimited,
        _ => Code::JoinRefused,
    };
    finding(code, &error, stanza)
}

/// An error in answer to the session-accept.
pub(super) fn of_accept(stanza: &Element) -> Finding {
    let error = StanzaError::of(stanza);
    let code = match error.condition.as_str() {
        "gone" | "item-not-found" => Code::SessionGone,
        "forbidden" => Code::AcceptForbidden,
        _ => Code::AcceptRefused,
    };
    finding(code, &error, stanza)
}

fn finding(code: Code, error: &StanzaError, stanza: &Element) -> Finding {
    Finding::new(code).detail(error.words()).evidence(stanza.to_string())
}
