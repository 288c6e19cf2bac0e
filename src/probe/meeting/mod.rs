//! A participant's part in a meeting, up to the media: a state machine over stanzas, with no I/O.

pub mod accept;
pub mod candidates;
mod errors;
pub mod offer;
mod participant;
mod stanzas;

pub use self::candidates::{Policy, Sorted};
pub use self::offer::{Candidate, Offer};
pub use self::participant::{Act, Participant, Seat, Waiting};

use crate::probe::xmpp::caps::Caps;

/// Where a deployment's parts are, in XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// `meet.jitsi`
    pub domain: String,
    /// `muc.meet.jitsi`
    pub muc: String,
    /// `focus.meet.jitsi`
    pub focus: String,
}

impl Names {
    /// The names that docker-jitsi-meet derives from its XMPP domain.
    pub fn under(domain: &str) -> Self {
        Self { domain: domain.to_owned(), muc: format!("muc.{domain}"), focus: format!("focus.{domain}") }
    }
}

/// A bearer token; never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where the probe's capabilities are said to be described.
pub(crate) const NODE: &str = "https://github.com/jitsi/meetctl-probe";

/// What is left out decides the offer: no video but on demand, no rewriting of SSRCs, no JSON, no retransmission.
const FEATURES: [&str; 12] = [
    "urn:xmpp:jingle:apps:rtp:video",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/caps",
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:transports:ice-udp:1",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:xmpp:jingle:apps:dtls:0",
    "urn:ietf:rfc:5761",
    "urn:ietf:rfc:5888",
    "http://jitsi.org/source-name",
];

/// What a participant can do.
pub(crate) fn caps(video: bool) -> Caps {
    let features = if video { &FEATURES[..] } else { &FEATURES[1..] };
    Caps { category: "client", kind: "bot", name: "meetctl probe", features }
}

/// Takes what is secret out of a piece of evidence, and shortens it.
pub fn redact(evidence: &str, token: Option<&Token>) -> String {
    const LONGEST: usize = 2000;
    let mut clean = match token {
        Some(token) if !token.0.is_empty() => evidence.replace(token.0.as_str(), "…"),
        Some(_) | None => evidence.to_owned(),
    };
    for name in [" pwd='", " token='", " pwd=\"", " token=\"", "?token=", "&token=", "?pwd=", "&pwd=", ";pwd="] {
        clean = without_value(&clean, name);
    }
    if let Some((end, _)) = clean.char_indices().nth(LONGEST) {
        clean.truncate(end);
        clean.push('…');
    }
    clean
}

fn without_value(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['\'', '"', '&', ' ']).unwrap_or(part.len());
        clean.push_str(before);
        clean.push('…');
        clean.push_str(&part[end..]);
    }
    clean
}

#[cfg(test)]
mod tests;
