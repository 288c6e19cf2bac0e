//! Where a deployment is: the one place that reads and writes its URLs.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::name::Host;

/// The web door of a deployment: `https://meet.example.org`, `https://example.org:8443/meet/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub host: Host,
    /// 443 but for tests, and for those who say so.
    pub port: u16,
    pub path: Path,
}

/// The folder of a deployment's pages; begins and ends with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Default for Path {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Path {
    /// The folder in the path of a URL: what stands behind its last slash is a page, or a room.
    fn of(path: &str) -> Option<Self> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%/".contains(c);
        let here = !folder.contains("//") && !folder.split('/').any(|part| matches!(part, "." | ".."));
        (here && folder.chars().all(plain)).then(|| Self(folder.to_owned()))
    }
}

/// Why something is not the address of a deployment. What was given is not repeated: it may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSite {
    #[error("only https:// can be probed: browsers give no microphone to anything else")]
    Scheme,
    #[error("it holds a user name or a password")]
    Password,
    #[error("it holds a token, which everybody on this machine can see in the list of processes")]
    Token,
    #[error("its port is not a number from 1 to 65535")]
    Port,
    #[error("its host is no name with a dot in it; a certificate is checked against a name, not an IP address")]
    Host,
    #[error("its path holds characters that no path has")]
    Path,
}

impl Site {
    /// The root of a host, where browsers look.
    pub fn of(host: Host) -> Self {
        Self { host, port: 443, path: Path::default() }
    }

    /// Reads an address as people paste it. A room in it is not entered.
    pub fn read(given: &str) -> Result<Self, BadSite> {
        let given = given.trim();
        let rest = match given.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return Err(BadSite::Scheme),
            None => given,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(BadSite::Password);
        }
        if ["jwt=", "token="].iter().any(|secret| path.to_ascii_lowercase().contains(secret)) {
            return Err(BadSite::Token);
        }
        if authority.starts_with('[') {
            return Err(BadSite::Host);
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0).ok_or(BadSite::Port)?),
            None => (authority, 443),
        };
        let host = host.trim_end_matches('.').parse().map_err(|_| BadSite::Host)?;
        Ok(Self { host, port, path: Path::of(path).ok_or(BadSite::Path)? })
    }

    /// `meet.example.org`, `meet.example.org:8443`: what the header `Host` says.
    pub fn authority(&self) -> String {
        if self.port == 443 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The path of one of its pages.
    pub fn page(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// What a browser on one of its pages makes of an address in a script; `scheme` is that of one that says none.
    /// `None`: it is no address of a host.
    pub fn endpoint(&self, scheme: &str, given: &str) -> Option<Endpoint> {
        let given = given.trim().split('#').next().unwrap_or_default();
        let here = |path: String| Some((scheme.to_owned(), self.authority(), path));
        let (scheme, authority, path) = if let Some((scheme, rest)) = given.split_once("://") {
            split(&scheme.to_ascii_lowercase(), rest)
        } else if let Some(rest) = given.strip_prefix("//") {
            split(scheme, rest)
        } else if given.starts_with('/') {
            here(given.to_owned())
        } else if given.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            None
        } else {
            here(self.page(given))
        }?;
        let secure = match scheme.as_str() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return None,
        };
        let bracketed = authority.starts_with('[').then(|| authority.split_once(']')).flatten();
        let (host, port) = match (bracketed, authority.split_once(':')) {
            (Some((host, after)), _) => (format!("{host}]"), after.strip_prefix(':')),
            (None, Some((host, port))) => (host.to_ascii_lowercase(), Some(port)),
            (None, None) => (authority.to_ascii_lowercase(), None),
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
        };
        let host = host.trim_end_matches('.').to_owned();
        let name = |c: char| c.is_ascii_alphanumeric() || "-._[:]".contains(c);
        let plain = !host.is_empty() && host.chars().all(name) && path.chars().all(|c| c.is_ascii_graphic());
        plain.then_some(Endpoint { scheme, host, port, path })
    }

    /// The WebSocket where docker-jitsi-meet serves it.
    pub fn websocket(&self) -> Endpoint {
        let (host, path) = (self.host.to_string(), self.page("xmpp-websocket"));
        Endpoint { scheme: "wss".to_owned(), host, port: self.port, path }
    }
}

/// An address of a deployment's signalling, as its `config.js` gives it: perhaps of another host, perhaps of none that
/// guests can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `wss` or `https`; `ws` and `http` are not encrypted.
    pub scheme: String,
    /// A name, or an IP address; one of IPv6 in brackets.
    pub host: String,
    pub port: u16,
    /// With its query.
    pub path: String,
}

impl Endpoint {
    pub fn is_secure(&self) -> bool {
        matches!(self.scheme.as_str(), "wss" | "https")
    }

    /// The host without brackets.
    pub fn name(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// `meet.example.org`, `[2001:db8::1]:8443`: what the header `Host` says.
    pub fn authority(&self) -> String {
        let default = if self.is_secure() { 443 } else { 80 };
        if self.port == default { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// Whether it is at the site's own door.
    pub fn is_at(&self, site: &Site) -> bool {
        self.port == site.port && self.host.eq_ignore_ascii_case(site.host.as_str())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path)
    }
}

/// Scheme, authority and path of an address that has a host.
fn split(scheme: &str, rest: &str) -> Option<(String, String, String)> {
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (!authority.contains('@')).then(|| (scheme.to_owned(), authority.to_owned(), path))
}

/// The address that people type.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.0 == "/" { "" } else { &self.path.0 };
        write!(f, "https://{}{path}", self.authority())
    }
}

/// All but RFC 3986's unreserved characters.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub fn percent(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_paste_them() {
        for (given, url) in [
            ("https://meet.example.org", "https://meet.example.org"),
            ("https://meet.example.org/", "https://meet.example.org"),
            ("HTTPS://meet.example.org./SomeRoom?x=1#config.y=2", "https://meet.example.org"),
            ("meet.example.org", "https://meet.example.org"),
            ("https://meet.example.org:8443/a/b", "https://meet.example.org:8443/a/"),
            ("https://example.org/meet/", "https://example.org/meet/"),
            ("https://example.org?x=/y/", "https://example.org"),
            (" https://meet.example.org:443 ", "https://meet.example.org"),
        ] {
            assert_eq!(Site::read(given).expect(given).to_string(), url);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for (given, why) in [
            ("", BadSite::Host),
            ("https://", BadSite::Host),
            ("http://meet.example.org", BadSite::Scheme),
            ("wss://meet.example.org", BadSite::Scheme),
            ("https://ana:hunter2@meet.example.org", BadSite::Password),
            ("https://meet.example.org/room?jwt=hunter2.x.y", BadSite::Token),
            ("https://meet.example.org/room#JWT=hunter2", BadSite::Token),
            ("https://meet.example.org:0", BadSite::Port),
            ("https://meet.example.org:70000", BadSite::Port),
            ("https://203.0.113.10", BadSite::Host),
            ("https://[2001:db8::1]", BadSite::Host),
            ("https://localhost", BadSite::Host),
            ("https://meet.example.org/a b/", BadSite::Path),
            ("https://meet.example.org/../x/", BadSite::Path),
            ("https://meet.example.org//x/", BadSite::Path),
        ] {
            assert_eq!(Site::read(given), Err(why), "{given}");
            assert!(!why.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn every_url_comes_from_the_site() {
        let site = Site::read("https://example.org:8443/meet/").expect("a site");
        assert_eq!(site.authority(), "example.org:8443");
        assert_eq!(site.page("config.js"), "/meet/config.js");
        assert_eq!(site.websocket().to_string(), "wss://example.org:8443/meet/xmpp-websocket");
        assert!(site.websocket().is_at(&site));
        let root = Site::of("meet.example.org".parse().expect("a host"));
        assert_eq!(root.websocket().to_string(), "wss://meet.example.org/xmpp-websocket");
        assert!(!root.websocket().is_at(&site));
        assert_eq!(root.page(""), "/");
        assert_eq!(percent("a b/ä"), "a%20b%2F%C3%A4");
    }
}
