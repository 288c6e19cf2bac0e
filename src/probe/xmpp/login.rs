//! Opening the stream, SASL ANONYMOUS and binding (RFC 7395, RFC 6120): stanzas in, stanzas out.

use super::stanza::{is_error, question};
use super::{Element, ns};
use crate::domain::finding::{Code, Finding};
use crate::domain::text::list;

const BIND_ID: &str = "bind1";

/// The login of one participant.
#[derive(Debug)]
pub struct Login {
    domain: String,
    with_token: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Authenticating,
    Reopening,
    Binding,
    Bound,
}

/// What follows from a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Wait,
    Send(Vec<Element>),
    /// The full address of the session.
    Bound(String),
    Failed(Box<Finding>),
}

impl Login {
    pub fn new(domain: &str, with_token: bool) -> Self {
        Self { domain: domain.to_owned(), with_token, state: State::Opening }
    }

    /// The first message of the stream, and once more after SASL.
    pub fn open(&self) -> Element {
        Element::new("open", ns::FRAMING).with("to", self.domain.clone()).with("version", "1.0")
    }

    pub fn receive(&mut self, message: &Element) -> Step {
        match (self.state, message.ns.as_str(), message.name.as_str()) {
            (State::Opening, ns::STREAMS, "features") => self.authenticate(message),
            (State::Authenticating, ns::SASL, "success") => {
                self.state = State::Reopening;
                Step::Send(vec![self.open()])
            }
            (State::Authenticating, ns::SASL, "failure") => Step::Failed(Box::new(self.refused(message))),
            (State::Authenticating, ns::SASL, "challenge") => {
                failed(Finding::new(Code::LoginFailed).detail("a challenge, in an anonymous login"))
            }
            (State::Reopening, ns::STREAMS, "features") => self.bind(message),
            (State::Binding, ns::CLIENT, "iq") if message.attribute("id") == Some(BIND_ID) => self.bound(message),
            _ => Step::Wait,
        }
    }

    fn authenticate(&mut self, features: &Element) -> Step {
        let offered: Vec<&str> = features
            .children("mechanisms", ns::SASL)
            .flat_map(|m| m.children("mechanism", ns::SASL))
            .map(|m| m.text.trim())
            .collect();
        if !offered.contains(&"ANONYMOUS") {
            let detail =
                format!("offered: {}", if offered.is_empty() { "nothing".into() } else { list(offered, ", ") });
            return failed(Finding::new(Code::LoginRequired).detail(detail));
        }
        self.state = State::Authenticating;
        Step::Send(vec![Element::new("auth", ns::SASL).with("mechanism", "ANONYMOUS")])
    }

    fn refused(&self, failure: &Element) -> Finding {
        let text = failure.child("text", ns::SASL).map(|t| t.text.trim().to_owned()).unwrap_or_default();
        let condition = failure.children.iter().find(|c| c.name != "text").map_or("", |c| c.name.as_str());
        let code = match condition {
            "not-allowed" | "not-authorized" | "account-disabled" | "credentials-expired" if self.with_token => {
                Code::TokenRejected
            }
            "not-allowed" | "not-authorized" => Code::TokenRequired,
            _ => Code::LoginFailed,
        };
        let words = if text.is_empty() { condition.to_owned() } else { text };
        Finding::new(code).detail(words).evidence(failure.to_string())
    }

    fn bind(&mut self, features: &Element) -> Step {
        if features.child("bind", ns::BIND).is_none() {
            return failed(Finding::new(Code::BindFailed).evidence(features.to_string()));
        }
        self.state = State::Binding;
        Step::Send(vec![question("set", BIND_ID, None, Element::new("bind", ns::BIND))])
    }

    fn bound(&mut self, answer: &Element) -> Step {
        let jid = answer.child("bind", ns::BIND).and_then(|b| b.child("jid", ns::BIND)).map(|j| j.text.trim());
        match jid {
            Some(jid) if !is_error(answer) && jid.contains('@') && jid.len() <= 1024 => {
                self.state = State::Bound;
                Step::Bound(jid.to_owned())
            }
            Some(_) | None => failed(Finding::new(Code::BindFailed).evidence(answer.to_string())),
        }
    }
}

fn failed(finding: Finding) -> Step {
    Step::Failed(Box::new(finding))
}

/// What it means that the server ends the stream with this message; `None` when it does not.
pub fn stream_end(message: &Element) -> Option<Finding> {
    if message.is("error", ns::STREAMS) {
        let condition = message.children.iter().find(|c| c.ns == ns::STREAM_ERRORS && c.name != "text");
        let condition = condition.map_or("", |c| c.name.as_str());
        let text = message.child("text", ns::STREAM_ERRORS).map_or("", |t| t.text.trim());
        let code = if condition == "host-unknown" { Code::XmppDomainUnknown } else { Code::StreamError };
        let words = if text.is_empty() { condition.to_owned() } else { format!("{condition}: {text}") };
        return Some(Finding::new(code).detail(words).evidence(message.to_string()));
    }
    message.is("close", ns::FRAMING).then(|| Finding::new(Code::SignallingLost).detail("Prosody closed the stream"))
}
