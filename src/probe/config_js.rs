//! The names of a deployment, read from its `config.js` without running it.

use crate::probe::meeting::Names;

/// More than a hundred times what docker-jitsi-meet serves.
pub const SIZE_LIMIT: usize = 4 * 1024 * 1024;

/// What `config.js` says about the signalling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub names: Names,
    /// Where guests without a login sign in.
    pub guests: Option<String>,
    /// The WebSocket's address, if it is on.
    pub websocket: Option<String>,
    /// Which bridge channel browsers open when the bridge offers both kinds.
    pub prefer_sctp: bool,
}

/// Why a `config.js` is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    #[error("it has no assignment to config.{0}")]
    Missing(&'static str),
    #[error("config.{name} is not a chain of quoted strings")]
    Unreadable { name: &'static str },
    #[error("config.{name} is {value:?}")]
    NotAName { name: &'static str, value: String },
}

/// Reads assignments of the shape `config.NAME = 'a' + subdomain + 'b';`; the last one of a name counts.
pub fn read(script: &str) -> Result<Deployment, BadConfig> {
    let domain = domain(script, "hosts.domain")?.ok_or(BadConfig::Missing("hosts.domain"))?;
    let muc = self::domain(script, "hosts.muc")?.ok_or(BadConfig::Missing("hosts.muc"))?;
    let focus = self::domain(script, "hosts.focus")?.unwrap_or_else(|| format!("focus.{domain}"));
    Ok(Deployment {
        guests: self::domain(script, "hosts.anonymousdomain")?,
        websocket: value(script, "websocket")?,
        prefer_sctp: prefers_sctp(script),
        names: Names { domain, muc, focus },
    })
}

/// `config.bridgeChannel = { preferSctp: … };` or `config.bridgeChannel.preferSctp = …;`: on, unless it is switched off.
fn prefers_sctp(script: &str) -> bool {
    let code = script.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut settings = code.filter_map(|line| {
        let (before, after) = line.split_once("preferSctp")?;
        let value = after.trim_start_matches(['"', '\'', ' ']).strip_prefix([':', '='])?.trim_start();
        (!before.ends_with(|c: char| c.is_alphanumeric() || c == '_')).then(|| value.starts_with("false"))
    });
    !settings.next_back().unwrap_or(false)
}

fn domain(script: &str, name: &'static str) -> Result<Option<String>, BadConfig> {
    let Some(value) = value(script, name)? else { return Ok(None) };
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if value.len() <= 253 && value.split('.').all(label) {
        Ok(Some(value.to_ascii_lowercase()))
    } else {
        let value = value.chars().take(80).collect();
        Err(BadConfig::NotAName { name, value })
    }
}

fn value(script: &str, name: &'static str) -> Result<Option<String>, BadConfig> {
    match script.lines().filter_map(|line| assigned(line, name)).next_back() {
        None => Ok(None),
        Some(expression) => chain(expression).map(Some).ok_or(BadConfig::Unreadable { name }),
    }
}

/// The right side of `config.NAME = …` when the line is one.
fn assigned<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.trim_start().strip_prefix("config.")?.strip_prefix(name)?;
    let right = rest.trim_start().strip_prefix('=')?;
    (!right.starts_with('=')).then_some(right)
}

/// Adds up quoted strings and the identifiers that are empty by default.
fn chain(expression: &str) -> Option<String> {
    let mut rest = expression.trim();
    let mut sum = String::new();
    loop {
        rest = match rest.chars().next()? {
            quote @ ('\'' | '"') => {
                let (text, after) = rest[1..].split_once(quote)?;
                if text.contains('\\') {
                    return None;
                }
                sum.push_str(text);
                after
            }
            _ => rest.strip_prefix("subdomain").or_else(|| rest.strip_prefix("subdir"))?,
        }
        .trim_start();
        match rest.strip_prefix('+') {
            Some(more) => rest = more.trim_start(),
            None => break,
        }
    }
    let end = rest.strip_prefix(';').unwrap_or(rest).trim_start();
    (end.is_empty() || end.starts_with("//")).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "
        var subdomain = '';
        var config = {};
        config.hosts = {};
        config.hosts.domain = 'meet.jitsi';
        config.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';
        config.bosh = 'https://meet.example.org/' + subdir + 'http-bind';
        config.websocket = 'wss://meet.example.org/' + subdir + 'xmpp-websocket';
    ";

    #[test]
    fn the_default_of_the_images() {
        let found = read(DEFAULT).expect("a good file");
        assert_eq!(found.names, Names::under("meet.jitsi"));
        assert_eq!(found.websocket.as_deref(), Some("wss://meet.example.org/xmpp-websocket"));
        assert_eq!(found.guests, None);
    }

    #[test]
    fn sctp_is_preferred_unless_it_is_switched_off() {
        for (more, wanted) in [
            ("", true),
            ("config.bridgeChannel = {\n    preferSctp: true\n};", true),
            ("config.bridgeChannel = {\n    preferSctp: false\n};", false),
            ("config.bridgeChannel.preferSctp = false;", false),
            ("config.bridgeChannel = { 'preferSctp' : false, };", false),
            ("// config.bridgeChannel.preferSctp = false;", true),
            ("config.bridgeChannel.preferSctp = false;\nconfig.bridgeChannel.preferSctp = true;", true),
            ("config.dontpreferSctp = false;", true),
        ] {
            assert_eq!(read(&format!("{DEFAULT}\n{more}")).map(|d| d.prefer_sctp), Ok(wanted), "{more}");
        }
    }

    #[test]
    fn the_last_assignment_counts() {
        let more = "config.hosts.domain = \"a.example\"; // ours\nconfig.hosts.focus='focus.b.example'\n\
                    config.hosts.anonymousdomain = 'guest.a.example';";
        let found = read(&format!("{DEFAULT}\n{more}")).expect("a good file");
        assert_eq!(found.names.domain, "a.example");
        assert_eq!(found.names.focus, "focus.b.example");
        assert_eq!(found.guests.as_deref(), Some("guest.a.example"));
    }

    #[test]
    fn what_would_have_to_be_run_is_refused() {
        for bad in [
            "window.location.hostname",
            "'a' + b",
            "'a'.replace('a', 'b')",
            "`a`",
            "'a' +",
            "'a",
            "",
            "'a\\x41'",
            "subdomainer + 'a'",
            "'a'; evil()",
        ] {
            let script = format!("{DEFAULT}\nconfig.hosts.domain = {bad}");
            assert_eq!(read(&script), Err(BadConfig::Unreadable { name: "hosts.domain" }), "{bad}");
        }
        for bad in ["''", "'a b'", "'a/../b'", "'a@b'", "'..'"] {
            let script = format!("{DEFAULT}\nconfig.hosts.domain = {bad};");
            assert!(matches!(read(&script), Err(BadConfig::NotAName { .. })), "{bad}");
        }
        assert_eq!(read("<!DOCTYPE html>"), Err(BadConfig::Missing("hosts.domain")));
        assert_eq!(read("config.hosts.domain == 'a'"), Err(BadConfig::Missing("hosts.domain")));
    }
}
