//! Prosody: sessions from the opening of the stream to its end, and where their stanzas go.

use std::collections::VecDeque;
use std::fmt::Write;

use rand::RngExt;
use roxmltree::{Document, Node, ParsingOptions};
use tokio::time::Instant;

use super::setup::SignIn;
use super::state::{SessionId, State, Timer};

const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Before SASL; afterwards the WebSocket's own limit counts.
const LIMIT_BEFORE_LOGIN: usize = 10_000;

/// A client's session.
pub(super) struct Session {
    token: Option<String>,
    stage: Stage,
    pub(super) jid: String,
    /// What is to be said to the client.
    pub(super) outbox: VecDeque<String>,
    /// The server has ended it.
    pub(super) over: bool,
    /// When something was last said, by either side.
    pub(super) active: Instant,
    bound: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opened,
    Authenticated,
    Bound,
}

impl State {
    pub(super) fn open_session(&mut self, token: Option<String>, now: Instant) -> SessionId {
        let id = self.number();
        let session = Session {
            token,
            stage: Stage::Opened,
            jid: String::new(),
            outbox: VecDeque::new(),
            over: false,
            active: now,
            bound: None,
        };
        self.sessions.insert(id, session);
        self.watch_quiet(id);
        id
    }

    /// The proxy's own clock for a connection over which nothing goes.
    pub(super) fn watch_quiet(&mut self, id: SessionId) {
        let (Some(session), Some(limit)) = (self.sessions.get(&id), self.setup.faults.read_limit) else { return };
        self.later(session.active + limit, Timer::Quiet(id));
    }

    /// The proxy's time may be over; when something was said meanwhile, it begins anew.
    pub(super) fn quiet(&mut self, id: SessionId, now: Instant) {
        let Some(limit) = self.setup.faults.read_limit else { return };
        match self.sessions.get(&id).map(|session| session.active + limit <= now) {
            Some(true) => self.cut(id),
            Some(false) => self.watch_quiet(id),
            None => {}
        }
    }

    /// The client's connection is gone, with or without a farewell.
    pub(super) fn close_session(&mut self, id: SessionId, now: Instant) {
        if self.sessions.remove(&id).is_some() {
            self.leave_all_rooms(id, now);
            self.news = true;
        }
    }

    pub(super) fn say(&mut self, id: SessionId, text: String) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.outbox.push_back(text);
            self.news = true;
        }
    }

    pub(super) fn cut(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.over = true;
            self.news = true;
        }
    }

    fn end_stream(&mut self, id: SessionId, condition: &str) {
        self.say(
            id,
            format!(
                "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
            ),
        );
        self.say(id, format!("<close xmlns='{FRAMING}'/>"));
        self.cut(id);
    }

    /// A message of a client: exactly one element, or the stream ends.
    pub(super) fn message(&mut self, id: SessionId, text: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.active = now;
        let stage = session.stage;
        if stage == Stage::Opened && text.len() > LIMIT_BEFORE_LOGIN {
            return self.end_stream(id, "policy-violation");
        }
        let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
        let Ok(document) = Document::parse_with_options(text, options) else {
            return self.end_stream(id, "not-well-formed");
        };
        let element = document.root_element();
        match (stage, element.tag_name().namespace(), element.tag_name().name()) {
            (Stage::Opened | Stage::Authenticated, Some(FRAMING), "open") => self.opened(id, element),
            (_, Some(FRAMING), "close") => {
                self.say(id, format!("<close xmlns='{FRAMING}'/>"));
                self.cut(id);
            }
            (Stage::Opened, Some(SASL), "auth") => self.authenticate(id, element),
            (Stage::Authenticated, Some("jabber:client"), "iq") => self.bind(id, element, now),
            (Stage::Bound, Some("jabber:client"), "iq" | "presence" | "message") => self.route(id, element, now),
            (Stage::Opened, Some("jabber:client"), _) => self.end_stream(id, "not-authorized"),
            _ => self.end_stream(id, "invalid-namespace"),
        }
    }

    fn opened(&mut self, id: SessionId, open: Node<'_, '_>) {
        let domain = self.setup.domain.clone();
        let number = self.number();
        self.say(id, format!("<open xmlns='{FRAMING}' from='{domain}' id='s{number}' version='1.0'/>"));
        if open.attribute("to") != Some(&domain) {
            return self.end_stream(id, "host-unknown");
        }
        let authenticated = self.sessions.get(&id).is_some_and(|s| s.stage != Stage::Opened);
        if authenticated {
            return self.say(
                id,
                format!(
                    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='{BIND}'><required/>\
                     </bind><session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>\
                     <sm xmlns='urn:xmpp:sm:3'/></stream:features>"
                ),
            );
        }
        if let Some(features) = self.setup.faults.features.clone() {
            return self.say(id, features);
        }
        let mechanisms = match self.setup.faults.sign_in {
            SignIn::Anonymous | SignIn::Token(_) => "<mechanism>ANONYMOUS</mechanism>",
            SignIn::Password => "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>",
        };
        self.say(
            id,
            format!(
                "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>\
                 <mechanisms xmlns='{SASL}'>{mechanisms}</mechanisms></stream:features>"
            ),
        );
    }

    fn authenticate(&mut self, id: SessionId, auth: Node<'_, '_>) {
        let token = self.sessions.get(&id).and_then(|s| s.token.clone());
        let refusal = match &self.setup.faults.sign_in {
            SignIn::Password => Some(("invalid-mechanism", "")),
            _ if auth.attribute("mechanism") != Some("ANONYMOUS") => Some(("invalid-mechanism", "")),
            SignIn::Anonymous => None,
            SignIn::Token(wanted) => match token {
                None => Some(("not-allowed", "token required")),
                Some(given) if given != *wanted => Some(("not-allowed", "Invalid signature")),
                Some(_) => None,
            },
        };
        if let Some((condition, text)) = refusal {
            let text = if text.is_empty() { String::new() } else { format!("<text>{text}</text>") };
            return self.say(id, format!("<failure xmlns='{SASL}'><{condition}/>{text}</failure>"));
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.stage = Stage::Authenticated;
        }
        self.say(id, format!("<success xmlns='{SASL}'/>"));
    }

    fn bind(&mut self, id: SessionId, iq: Node<'_, '_>, now: Instant) {
        let wanted = iq.children().any(|c| c.has_tag_name((BIND, "bind")));
        let question = iq.attribute("id").unwrap_or_default();
        if !wanted {
            return self.end_stream(id, "not-authorized");
        }
        let local = if self.setup.faults.odd_addresses { self.word(22) } else { self.uuid() };
        let resource = self.word(8);
        let jid = format!("{local}@{}/{resource}", self.setup.domain);
        self.say(
            id,
            format!(
                "<iq xmlns='jabber:client' type='result' id='{}'><bind xmlns='{BIND}'><jid>{jid}</jid></bind></iq>",
                escaped(question)
            ),
        );
        if let Some(session) = self.sessions.get_mut(&id) {
            session.stage = Stage::Bound;
            session.bound = Some(now);
            session.jid = jid;
        }
        if let Some(condition) = self.setup.faults.stream_error {
            self.end_stream(id, condition);
        }
        if let Some(after) = self.setup.faults.cut_after {
            self.later(now + after, Timer::Cut(id));
        }
    }

    fn uuid(&mut self) -> String {
        let mut text = String::new();
        for length in [8, 4, 4, 4, 12] {
            if !text.is_empty() {
                text.push('-');
            }
            for _ in 0..length {
                // Writing to a string does not fail.
                let _ = write!(text, "{:x}", self.chance.random_range(0..16));
            }
        }
        text
    }

    fn route(&mut self, id: SessionId, stanza: Node<'_, '_>, now: Instant) {
        let to = stanza.attribute("to").unwrap_or_default();
        let domain = to.split('/').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        match stanza.tag_name().name() {
            "iq" if domain == self.setup.focus() => self.conference_request(id, stanza, now),
            "iq" if domain == self.setup.muc() => self.room_iq(id, stanza, now),
            "presence" if domain == self.setup.muc() => self.room_presence(id, stanza, now),
            "iq" if is_ping(stanza) && (domain.is_empty() || domain == self.setup.domain) => self.pong(id, stanza, now),
            "iq" if matches!(stanza.attribute("type"), Some("get" | "set")) => {
                let condition = if domain.is_empty() || domain == self.setup.domain {
                    "service-unavailable"
                } else {
                    "remote-server-not-found"
                };
                self.refuse_iq(id, stanza, condition, "", "");
            }
            _ => {}
        }
    }

    fn pong(&mut self, id: SessionId, iq: Node<'_, '_>, now: Instant) {
        let bound = self.sessions.get(&id).and_then(|session| session.bound);
        let deaf = self.setup.faults.deaf_after.zip(bound).is_some_and(|(after, bound)| now >= bound + after);
        if !deaf {
            let (question, from) = (escaped(iq.attribute("id").unwrap_or_default()), self.setup.domain.clone());
            self.say(id, format!("<iq xmlns='jabber:client' type='result' id='{question}' from='{from}'/>"));
        }
    }

    pub(super) fn refuse_iq(&mut self, id: SessionId, iq: Node<'_, '_>, condition: &str, text: &str, extra: &str) {
        let from = escaped(iq.attribute("to").unwrap_or_default());
        let question = escaped(iq.attribute("id").unwrap_or_default());
        let error = error(condition, text, extra);
        self.say(id, format!("<iq xmlns='jabber:client' type='error' id='{question}' from='{from}'>{error}</iq>"));
    }
}

fn is_ping(iq: Node<'_, '_>) -> bool {
    iq.attribute("type") == Some("get") && iq.children().any(|c| c.has_tag_name(("urn:xmpp:ping", "ping")))
}

/// The `<error>` of a stanza.
pub(super) fn error(condition: &str, text: &str, extra: &str) -> String {
    let text = if text.is_empty() {
        String::new()
    } else {
        format!("<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{}</text>", escaped(text))
    };
    format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{text}{extra}</error>")
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}
