//! Where browsers open the signalling: the address that `config.js` gives, and whether guests get there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::meeting::candidates::is_public;
use super::{Limits, Sight, dns, quoted};
use crate::domain::name::Host;
use crate::domain::observed::Unreadable;
use crate::world::Net;

/// The address of a WebSocket or of BOSH, as a browser understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    pub host: String,
    pub port: u16,
    /// With its query, if there is one.
    pub path: String,
    secure: bool,
}

/// Why guests cannot get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// For certain: nobody can.
    ToEverybody(String),
    /// Whether they can was not to be seen.
    Unseen(Unreadable),
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Instead of the system's.
    pub servers: Vec<SocketAddr>,
    /// The port of a zone's own name servers: 53 but for tests.
    pub port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { servers: Vec::new(), port: 53 }
    }
}

impl Entrance {
    /// The WebSocket where docker-jitsi-meet serves it.
    pub fn usual(host: &Host, port: u16) -> Self {
        Self { host: host.to_string(), port, path: "/xmpp-websocket".into(), secure: true }
    }

    /// Reads the address that the page of this host gives; a relative one belongs to the page's own site.
    pub fn read(given: &str, host: &Host, port: u16) -> Result<Self, String> {
        let nonsense = || format!("{} is no address", quoted(given));
        let given = given.trim().split('#').next().unwrap_or_default();
        let (scheme, rest) = match given.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
            None if given.starts_with("//") => ("wss".to_owned(), &given[2..]),
            None if given.is_empty() || given.contains(':') => return Err(nonsense()),
            None => {
                let path = format!("/{}", given.trim_start_matches('/'));
                return Ok(Self { host: host.to_string(), port, path, secure: true });
            }
        };
        let secure = match scheme.as_str() {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return Err(nonsense()),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (name, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((name, port)) => (name, port.parse().ok().filter(|port| *port > 0).ok_or_else(nonsense)?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        let name = name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let plain = |b: u8| b.is_ascii_graphic();
        if name.is_empty() || !name.bytes().all(fits) || !path.bytes().all(plain) {
            return Err(nonsense());
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { host: name, port, path, secure })
    }

    /// Whether it is on the page's own site.
    pub fn is_at(&self, host: &Host, port: u16) -> bool {
        self.port == port && self.host.eq_ignore_ascii_case(host.as_str())
    }

    /// The addresses where guests get in, as those who opened the page at `page` do.
    pub async fn addresses(
        &self,
        net: &dyn Net,
        resolver: &Resolver,
        host: &Host,
        page: &[IpAddr],
    ) -> Result<Vec<IpAddr>, Shut> {
        if !self.secure {
            return Err(Shut::ToEverybody("browsers open nothing unencrypted from an encrypted page".into()));
        }
        if self.host.eq_ignore_ascii_case(host.as_str()) {
            return Ok(page.to_vec());
        }
        let found = self.resolve(net, resolver).await?;
        let (public, private): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(|address| is_public(**address));
        if !public.is_empty() || !page.iter().any(|address| is_public(*address)) {
            return Ok(if public.is_empty() { private } else { public });
        }
        Err(Shut::ToEverybody(if private.iter().all(IpAddr::is_loopback) {
            "that is each guest's own machine".into()
        } else {
            format!("{} is an address of a private network", private[0])
        }))
    }

    /// A name of which only the machine's own resolver says that it does not exist may exist all the same.
    async fn resolve(&self, net: &dyn Net, resolver: &Resolver) -> Result<Vec<IpAddr>, Shut> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        if self.host == "localhost" || self.host.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
        }
        let host: Host = self.host.parse().map_err(|_| Shut::ToEverybody("no name of the Internet".into()))?;
        let sight = Sight {
            dns_servers: resolver.servers.clone(),
            dns_port: resolver.port,
            limits: Limits::default(),
            ..Sight::of(host.clone())
        };
        match dns::local(net, &sight, &host).await.map_err(Shut::Unseen)? {
            found if !found.is_empty() => Ok(found),
            _ if dns::has_no_address(net, &sight).await.map_err(Shut::Unseen)? => {
                Err(Shut::ToEverybody(format!("{host} has no address, its zone's own name servers say")))
            }
            _ => Err(Shut::Unseen(super::unreachable(format!("{host} has an address that is not seen from here")))),
        }
    }
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let path = self.path.split('?').next().unwrap_or_default();
        match self.port {
            443 if self.secure => write!(f, "{scheme}://{host}{path}"),
            port => write!(f, "{scheme}://{host}:{port}{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_browsers_read_them() {
        let host: Host = "meet.example.org".parse().expect("a host");
        let read = |given: &str| Entrance::read(given, &host, 8443);
        for (given, shown) in [
            ("wss://meet.example.org/xmpp-websocket", "wss://meet.example.org/xmpp-websocket"),
            ("wss://localhost:8443/xmpp-websocket", "wss://localhost:8443/xmpp-websocket"),
            ("WSS://XMPP.example.org.:5281/ws?a=b#c", "wss://xmpp.example.org:5281/ws"),
            ("https://xmpp.example.org", "wss://xmpp.example.org/"),
            ("//xmpp.example.org/ws", "wss://xmpp.example.org/ws"),
            ("/tenant/xmpp-websocket", "wss://meet.example.org:8443/tenant/xmpp-websocket"),
            ("xmpp-websocket", "wss://meet.example.org:8443/xmpp-websocket"),
            ("wss://[fd00::1]:5281/ws", "wss://[fd00::1]:5281/ws"),
            ("ws://meet.example.org/ws", "ws://meet.example.org:80/ws"),
        ] {
            assert_eq!(read(given).map(|entrance| entrance.to_string()), Ok(shown.to_owned()), "{given}");
        }
        assert_eq!(read("wss://x.example.org/ws?a=b").map(|entrance| entrance.path), Ok("/ws?a=b".to_owned()));
        for given in ["", " ", "ftp://a/b", "wss://", "wss:///ws", "wss://a:0/", "wss://a:b/", "wss://a b/", "mailto:a"]
        {
            assert!(read(given).is_err(), "{given}");
        }
    }
}
