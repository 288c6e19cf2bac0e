//! Protocols spoken over `Net`: bytes in, facts out.

pub mod config_js;
pub mod dns;
pub mod entrance;
pub mod https;
pub mod media;
pub mod meeting;
pub mod signalling;
pub mod site;
pub mod stun;
pub mod tls;
pub mod wire;
pub mod xmpp;

use std::net::SocketAddr;
use std::time::Duration;

use self::site::Site;
use crate::domain::observed::{Blindness, Unreadable};
use crate::domain::text::shortened;

/// What the probes look at, and through which name servers.
#[derive(Clone, Debug)]
pub struct Sight {
    pub site: Site,
    /// `[dns] servers`: instead of the system's resolver.
    pub dns_servers: Vec<SocketAddr>,
    /// The port of the zone's own name servers: 53 but for tests.
    pub dns_port: u16,
    pub limits: Limits,
    /// For deployments that let nobody in without one.
    pub token: Option<meeting::Token>,
    /// How large a meeting is held; `None`: two people, of whom one speaks for three seconds.
    pub load: Option<media::Load>,
}

impl Sight {
    /// Looks at a deployment the way a browser does.
    pub fn of(site: Site) -> Self {
        Self { site, dns_servers: Vec::new(), dns_port: 53, limits: Limits::default(), token: None, load: None }
    }
}

/// How long a probe waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a TCP connection.
    pub connect: Duration,
    /// For a whole probe, its connections included.
    pub whole: Duration,
    /// For each of the two tries of a DNS query.
    pub query: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), whole: Duration::from_secs(10), query: Duration::from_millis(1500) }
    }
}

/// The longest text of the other side that is repeated to the user.
const QUOTE: usize = 120;

/// Words of the other side: short, and nothing but words.
fn quoted(words: &str) -> String {
    shortened(words.trim(), QUOTE)
}

fn unreachable(why: impl Into<String>) -> Unreadable {
    Unreadable { because: Blindness::Unreachable, why: why.into() }
}

fn garbled(why: impl Into<String>) -> Unreadable {
    Unreadable { because: Blindness::Garbled, why: why.into() }
}

fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_tame() {
        assert_eq!(quoted("CN=meet\u{1b}[31m.example.org\r\n"), "CN=meet.example.org");
        assert_eq!(quoted(&"é".repeat(QUOTE)).chars().count(), QUOTE);
        assert_eq!(quoted(&"é".repeat(9000)).chars().count(), QUOTE + 1);
    }
}
