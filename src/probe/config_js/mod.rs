//! The names and addresses of a deployment, read from its `config.js` without running it.

mod lexer;
mod script;
#[cfg(test)]
mod tests;
mod value;

use self::script::Script;
use self::value::Value;
use super::site::{Endpoint, Site};
use crate::domain::text::list;
use crate::probe::meeting::Names;

/// What `config.js` says about the signalling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub names: Names,
    /// Where guests without a login sign in.
    pub guests: Option<String>,
    /// The WebSocket's address, if it is on.
    pub websocket: Option<Endpoint>,
    /// The address of BOSH, if it is given.
    pub bosh: Option<Endpoint>,
    /// Which bridge channel browsers open when the bridge offers both kinds.
    pub prefer_sctp: bool,
}

/// Why a `config.js` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// It is something else.
    #[error("assigns no config.{0}")]
    Missing(&'static str),
    #[error("config.{name} is {value:?}")]
    NotAName { name: &'static str, value: String },
    /// Browsers are sent nowhere.
    #[error("config.{name} is {value:?}, which is no address")]
    NotAnAddress { name: &'static str, value: String },
    /// A browser may know; we do not.
    #[error("config.{name} depends on what only a browser knows: it may be {}", list(candidates, ", or "))]
    Undecided { name: &'static str, candidates: Vec<String> },
    #[error("its line {line} cannot be followed: {why}")]
    NotUnderstood { line: usize, why: String },
    #[error("it is nested too deeply, or copies too much, to be followed")]
    TooDeep,
}

impl BadConfig {
    /// Whether the fault may be ours, who do not run it.
    pub fn is_undecided(&self) -> bool {
        match self {
            Self::Missing(_) | Self::NotAName { .. } | Self::NotAnAddress { .. } => false,
            Self::Undecided { .. } | Self::NotUnderstood { .. } | Self::TooDeep => true,
        }
    }
}

/// Reads what a browser on this site would find in `config` after the script has run.
pub fn read(script: &str, site: &Site) -> Result<Deployment, BadConfig> {
    let config = Config(Script::variable(script, [("location", location(site))], "config")?);
    let domain = config.domain("hosts.domain")?.ok_or(BadConfig::Missing("hosts.domain"))?;
    let muc = config.domain("hosts.muc")?.ok_or(BadConfig::Missing("hosts.muc"))?;
    let focus = config.domain("hosts.focus")?.unwrap_or_else(|| format!("focus.{domain}"));
    Ok(Deployment {
        guests: config.domain("hosts.anonymousdomain")?,
        websocket: config.endpoint("websocket", "wss", site)?,
        bosh: config.endpoint("bosh", "https", site)?,
        prefer_sctp: config.switch("bridgeChannel.preferSctp")?.unwrap_or(true),
        names: Names { domain, muc, focus },
    })
}

/// What a script on a page can ask about the page.
fn location(site: &Site) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    Value::object([
        ("protocol", text("https:")),
        ("host", text(&site.authority())),
        ("hostname", text(site.host.as_str())),
        ("port", text(&if site.port == 443 { String::new() } else { site.port.to_string() })),
        ("origin", text(&format!("https://{}", site.authority()))),
        // In which room somebody is, is not known here.
        ("href", Value::Computed),
        ("pathname", Value::Computed),
        ("search", Value::Computed),
        ("hash", Value::Computed),
    ])
}

struct Config(Value);

impl Config {
    /// What is at a place such as `hosts.domain`.
    fn value(&self, name: &str) -> Value {
        name.split('.').fold(self.0.clone(), |at, field| if at == Value::Nothing { at } else { at.field(field) })
    }

    /// The text there; `None` when there is none, or it is switched off.
    fn text(&self, name: &'static str) -> Result<Option<String>, BadConfig> {
        match self.value(name) {
            Value::Nothing | Value::Bool(false) => Ok(None),
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            value @ (Value::Either(_) | Value::Computed) => Err(undecided(name, &value)),
            Value::Number(_) | Value::Bool(true) | Value::Object(_) | Value::Thing => {
                Err(BadConfig::NotAName { name, value: "no text".to_owned() })
            }
        }
    }

    /// Whether it is switched on; `None`: nothing is said.
    fn switch(&self, name: &'static str) -> Result<Option<bool>, BadConfig> {
        match self.value(name) {
            Value::Nothing => Ok(None),
            value => value.truth().map(Some).ok_or_else(|| undecided(name, &value)),
        }
    }

    fn domain(&self, name: &'static str) -> Result<Option<String>, BadConfig> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        if value.len() <= 253 && value.split('.').all(label) {
            Ok(Some(value.to_ascii_lowercase()))
        } else {
            Err(BadConfig::NotAName { name, value: shown(&value) })
        }
    }

    fn endpoint(&self, name: &'static str, scheme: &str, site: &Site) -> Result<Option<Endpoint>, BadConfig> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        match site.endpoint(scheme, &value) {
            Some(endpoint) => Ok(Some(endpoint)),
            None => Err(BadConfig::NotAnAddress { name, value: shown(&value) }),
        }
    }
}

fn undecided(name: &'static str, value: &Value) -> BadConfig {
    BadConfig::Undecided { name, candidates: value.candidates().iter().map(|text| shown(text)).collect() }
}

/// As much of a value as is repeated.
fn shown(value: &str) -> String {
    value.chars().take(80).collect()
}

/// The text of a script, whatever it is written in: as its first bytes say, or its header, or else UTF-8.
pub fn decoded(body: &[u8], content_type: Option<&str>) -> String {
    let charset = content_type.and_then(|kind| {
        let (_, after) = kind.split_once("charset=")?;
        Some(after.split(';').next()?.trim().trim_matches('"').to_ascii_lowercase())
    });
    match (body, charset.as_deref()) {
        ([0xef, 0xbb, 0xbf, rest @ ..], _) => String::from_utf8_lossy(rest).into_owned(),
        ([0xff, 0xfe, rest @ ..], _) => utf16(rest, u16::from_le_bytes),
        ([0xfe, 0xff, rest @ ..], _) => utf16(rest, u16::from_be_bytes),
        (body, Some("utf-16le" | "utf-16")) => utf16(body, u16::from_le_bytes),
        (body, Some("utf-16be")) => utf16(body, u16::from_be_bytes),
        (body, Some("iso-8859-1" | "latin1" | "windows-1252" | "us-ascii" | "ascii")) => latin1(body),
        (body, _) => std::str::from_utf8(body).map_or_else(|_| latin1(body), str::to_owned),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Names are ASCII; what else there is in a script of an old encoding, are comments.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
