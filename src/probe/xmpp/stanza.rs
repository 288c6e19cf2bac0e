//! Stanzas: questions with their answers, errors, addresses.

use super::Element;
use super::ns;

/// Why a stanza was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StanzaError {
    /// Such as `not-allowed`.
    pub condition: String,
    pub text: String,
    /// Names of the elements beside the condition.
    pub extras: Vec<String>,
}

impl StanzaError {
    /// The error that a stanza of type `error` carries.
    pub fn of(stanza: &Element) -> Self {
        let Some(error) = stanza.children.iter().find(|c| c.name == "error") else { return Self::default() };
        let mut found = Self::default();
        for child in &error.children {
            match (child.ns.as_str(), child.name.as_str()) {
                (ns::STANZA_ERRORS, "text") => child.text.trim().clone_into(&mut found.text),
                (ns::STANZA_ERRORS, condition) => condition.clone_into(&mut found.condition),
                (_, extra) => found.extras.push(extra.to_owned()),
            }
        }
        let beside = stanza.children.iter().filter(|c| c.name != "error").map(|c| c.name.clone());
        found.extras.extend(beside);
        found
    }

    /// Whether an element of this name came with it.
    pub fn has(&self, extra: &str) -> bool {
        self.extras.iter().any(|e| e == extra)
    }

    /// The server's own words.
    pub fn words(&self) -> String {
        match (self.condition.as_str(), self.text.as_str()) {
            ("", "") => "no condition given".to_owned(),
            (condition, "") => condition.to_owned(),
            (condition, text) => format!("{condition}: {text}"),
        }
    }
}

pub fn is_error(stanza: &Element) -> bool {
    stanza.attribute("type") == Some("error")
}

/// A question; `kind` is `get` or `set`.
pub fn question(kind: &str, id: &str, to: Option<&str>, payload: Element) -> Element {
    let iq = Element::new("iq", ns::CLIENT).with("type", kind).with("id", id);
    match to {
        Some(to) => iq.with("to", to),
        None => iq,
    }
    .and(payload)
}

/// The empty answer to a question; its id and address are given back byte for byte.
pub fn answer(to: &Element) -> Element {
    reply(to, "result")
}

/// The answer that says that we do not know such questions.
pub fn refusal(to: &Element) -> Element {
    let condition = Element::new("service-unavailable", ns::STANZA_ERRORS);
    reply(to, "error").and(Element::new("error", ns::CLIENT).with("type", "cancel").and(condition))
}

fn reply(to: &Element, kind: &str) -> Element {
    let mut iq = Element::new("iq", ns::CLIENT).with("type", kind);
    if let Some(id) = to.attribute("id") {
        iq = iq.with("id", id);
    }
    match to.attribute("from") {
        Some(from) => iq.with("to", from),
        None => iq,
    }
}

/// The parts of an address: `local@domain/resource`.
pub fn split(jid: &str) -> (Option<&str>, &str, Option<&str>) {
    let (bare, resource) = match jid.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (jid, None),
    };
    match bare.split_once('@') {
        Some((local, domain)) => (Some(local), domain, resource),
        None => (None, bare, resource),
    }
}

/// The address without its resource.
pub fn bare(jid: &str) -> &str {
    jid.split_once('/').map_or(jid, |(bare, _)| bare)
}
