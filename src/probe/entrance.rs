//! Whether guests get to where a deployment sends their browsers, and at which addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::meeting::candidates::is_public;
use super::site::{Endpoint, Site};
use super::wire::Door;
use super::{Sight, dns, unreachable};
use crate::domain::name::Host;
use crate::domain::observed::Unreadable;
use crate::world::Net;

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

/// The addresses where guests get in, as those who opened the page at this door do.
pub async fn addresses(endpoint: &Endpoint, door: &Door<'_>, resolver: &Resolver) -> Result<Vec<IpAddr>, Shut> {
    if !endpoint.is_secure() {
        return Err(Shut::ToEverybody("browsers open nothing unencrypted from an encrypted page".into()));
    }
    let page = door.addresses;
    if endpoint.host.eq_ignore_ascii_case(door.site.host.as_str()) {
        return Ok(page.to_vec());
    }
    let found = resolve(endpoint.name(), door.wire.net, resolver).await?;
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
async fn resolve(name: &str, net: &dyn Net, resolver: &Resolver) -> Result<Vec<IpAddr>, Shut> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
    }
    let host: Host = name.parse().map_err(|_| Shut::ToEverybody("no name of the Internet".into()))?;
    let sight =
        Sight { dns_servers: resolver.servers.clone(), dns_port: resolver.port, ..Sight::of(Site::of(host.clone())) };
    match dns::local(net, &sight, &host).await.map_err(Shut::Unseen)? {
        found if !found.is_empty() => Ok(found),
        _ if dns::has_no_address(net, &sight).await.map_err(Shut::Unseen)? => {
            Err(Shut::ToEverybody(format!("{host} has no address, its zone's own name servers say")))
        }
        _ => Err(Shut::Unseen(unreachable(format!("{host} has an address that is not seen from here")))),
    }
}
