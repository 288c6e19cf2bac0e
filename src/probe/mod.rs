//! Protocols spoken over `Net`: bytes in, facts out.

use std::net::SocketAddr;

use crate::domain::name::Host;

/// What the probes look at, and through which name servers.
#[derive(Clone, Debug)]
pub struct Sight {
    pub host: Host,
    /// 443 but for tests on a machine where that is not free.
    pub https_port: u16,
    /// `[dns] servers`: instead of the system's resolver.
    pub dns_servers: Vec<SocketAddr>,
    /// The port of the zone's own name servers: 53 but for tests.
    pub dns_port: u16,
}
pub mod dns;
pub mod https;
pub mod signalling;
pub mod tls;
