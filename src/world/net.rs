//! The real network: the only place that opens a socket.

use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use resolv_conf::ScopedIp;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::sync::watch;

use super::{Datagrams, Duplex, Net, NetError};
use crate::domain::name::Host;

/// Where this machine says which name servers it uses.
const RESOLVER: &str = "/etc/resolv.conf";
/// The port that a route is looked up for; nothing is sent to it.
const DISCARD: u16 = 9;

/// The network of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

#[async_trait]
impl Net for Internet {
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError> {
        match lookup_host((host.as_str(), 0)).await {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.map(|a| a.ip()).collect();
                addresses.sort_unstable();
                addresses.dedup();
                Ok(addresses)
            }
            Err(error) if says_no_such_name(&error) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        std::fs::read(RESOLVER).map(|text| name_servers(&text)).unwrap_or_default()
    }

    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        #[expect(clippy::disallowed_methods, reason = "the one place where TCP connections are opened")]
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        let anywhere: IpAddr =
            if toward.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let scout = bind(anywhere).await?;
        scout.connect((toward, DISCARD)).await?;
        let spare = bind(scout.local_addr()?.ip()).await?;
        let local = spare.local_addr()?;
        let (spare, to) = (Mutex::new(Some(spare)), watch::Sender::new(Vec::new()));
        Ok(Box::new(Lines { local, spare, to, refused_by: Mutex::default() }))
    }

    fn cpu_time(&self) -> Option<Duration> {
        cpu_time(&std::fs::read_to_string("/proc/self/stat").ok()?)
    }
}

/// User and system time of a line of `/proc/PID/stat`, which counts in hundredths of a second. Linux alone has it.
fn cpu_time(stat: &str) -> Option<Duration> {
    // The program's name, which may hold anything, is in parentheses.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

async fn bind(address: IpAddr) -> io::Result<UdpSocket> {
    #[expect(clippy::disallowed_methods, reason = "the one place where UDP sockets are opened")]
    UdpSocket::bind((address, 0)).await
}

/// One socket for each peer, each connected.
///
/// Linux tells of an ICMP "unreachable" only on a connected socket, and a connected one hears nobody else. The first
/// peer gets the socket whose address is `local`; most callers have one peer only.
struct Lines {
    local: SocketAddr,
    spare: Mutex<Option<UdpSocket>>,
    to: watch::Sender<Vec<Line>>,
    refused_by: Mutex<Option<SocketAddr>>,
}

#[derive(Clone)]
struct Line {
    peer: SocketAddr,
    socket: Arc<UdpSocket>,
}

impl Lines {
    async fn line(&self, peer: SocketAddr) -> Result<Line, NetError> {
        if let Some(line) = self.to.borrow().iter().find(|l| l.peer == peer) {
            return Ok(line.clone());
        }
        let spare = self.spare.lock().take();
        let socket = match spare {
            Some(socket) => socket,
            None => bind(self.local.ip()).await?,
        };
        socket.connect(peer).await?;
        let line = Line { peer, socket: Arc::new(socket) };
        self.to.send_modify(|lines| lines.push(line.clone()));
        Ok(line)
    }
}

#[async_trait]
impl Datagrams for Lines {
    fn local(&self) -> SocketAddr {
        self.local
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        let line = self.line(to).await?;
        match line.socket.send(datagram).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        let mut news = self.to.subscribe();
        loop {
            let lines = news.borrow_and_update().clone();
            tokio::select! {
                heard = hear(&lines, buffer) => return heard.map_err(|(peer, error)| {
                    *self.refused_by.lock() = peer;
                    error.into()
                }),
                // The sender lives as long as `self`: this ends only when a peer has come.
                _ = news.changed() => {}
            }
        }
    }

    fn refused_by(&self) -> Option<SocketAddr> {
        *self.refused_by.lock()
    }
}

/// Waits for a datagram of any peer, or for the word that one is unreachable.
async fn hear(lines: &[Line], buffer: &mut [u8]) -> Result<(usize, SocketAddr), (Option<SocketAddr>, io::Error)> {
    loop {
        some_ready(lines).await.map_err(|error| (None, error))?;
        for Line { peer, socket } in lines {
            match socket.try_recv(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                heard => return heard.map(|length| (length, *peer)).map_err(|error| (Some(*peer), error)),
            }
            let unreachable = || socket.take_error()?.map_or(Err(ErrorKind::WouldBlock.into()), Err::<(), _>);
            match socket.try_io(Interest::ERROR, unreachable) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err((Some(*peer), error)),
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// Waits until one of the sockets has a datagram or an error. An error alone does not count as readable.
async fn some_ready(lines: &[Line]) -> io::Result<()> {
    let mut ready: Vec<_> =
        lines.iter().map(|line| Box::pin(line.socket.ready(Interest::READABLE | Interest::ERROR))).collect();
    poll_fn(|cx| {
        for socket in &mut ready {
            if let Poll::Ready(done) = socket.as_mut().poll(cx) {
                return Poll::Ready(done.map(drop));
            }
        }
        Poll::Pending
    })
    .await
}

impl From<io::Error> for NetError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Reset,
            ErrorKind::TimedOut => Self::TimedOut,
            // Also what a local firewall (EPERM) and a kernel without IPv6 (EAFNOSUPPORT) say. A router that says
            // "host unreachable" may be near or far; that is no proof against the platform.
            ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::PermissionDenied
            | ErrorKind::Unsupported => Self::NoRoute(error.to_string()),
            _ if matches!(error.raw_os_error(), Some(NO_FAMILY_LINUX | NO_FAMILY_BSD)) => {
                Self::NoRoute(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

/// EAFNOSUPPORT, for which `ErrorKind` has no name.
const NO_FAMILY_LINUX: i32 = 97;
const NO_FAMILY_BSD: i32 = 47;

/// Whether the resolver says that there is no such name or no address of it, which is an answer and not a failure.
///
/// `getaddrinfo` has codes for it, the standard library passes on only their text: glibc's, musl's and macOS's.
fn says_no_such_name(error: &io::Error) -> bool {
    const ANSWERS: [&str; 5] = [
        "Name or service not known",
        "No address associated with hostname",
        "Name does not resolve",
        "Name has no usable address",
        "nodename nor servname provided",
    ];
    let text = error.to_string();
    ANSWERS.iter().any(|answer| text.contains(answer))
}

/// The name servers of a resolver configuration. A line that makes no sense is passed over, as resolvers do.
fn name_servers(text: &[u8]) -> Vec<SocketAddr> {
    let (config, _) = resolv_conf::Config::parse_with_errors(text);
    let mut servers = Vec::new();
    for server in config.nameservers {
        let address: IpAddr = match server {
            ScopedIp::V4(address) => address.into(),
            ScopedIp::V6(address, None) => address.into(),
            // A link-local address needs the number of its interface, which is not written here.
            ScopedIp::V6(_, Some(_)) => continue,
        };
        let server = SocketAddr::new(address, 53);
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_behind_its_name() {
        let stat = "7 (a ) 9) S 1 7 7 0 -1 4194560 9 0 0 0 123 45 0 0 20 0 1 0 5 0 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1680)));
        assert_eq!(cpu_time("7 (short) S 1"), None);
        assert_eq!(cpu_time(""), None);
    }

    #[test]
    fn errors_of_the_system_become_ours() {
        for (kind, wanted) in [
            (ErrorKind::ConnectionRefused, NetError::Refused),
            (ErrorKind::ConnectionReset, NetError::Reset),
            (ErrorKind::BrokenPipe, NetError::Reset),
            (ErrorKind::UnexpectedEof, NetError::Reset),
            (ErrorKind::TimedOut, NetError::TimedOut),
        ] {
            assert_eq!(NetError::from(io::Error::from(kind)), wanted);
        }
        for kind in [ErrorKind::NetworkUnreachable, ErrorKind::HostUnreachable, ErrorKind::PermissionDenied] {
            assert!(matches!(NetError::from(io::Error::from(kind)), NetError::NoRoute(_)), "{kind:?}");
        }
        #[cfg(target_os = "linux")]
        assert!(matches!(NetError::from(io::Error::from_raw_os_error(97)), NetError::NoRoute(_)));
        assert!(matches!(NetError::from(io::Error::other("odd")), NetError::Other(_)));
    }

    #[test]
    fn no_such_name_is_an_answer_and_no_resolver_is_not() {
        let says =
            |text: &str| says_no_such_name(&io::Error::other(format!("failed to lookup address information: {text}")));
        assert!(says("Name or service not known"));
        assert!(says("No address associated with hostname"));
        assert!(says("nodename nor servname provided, or not known"));
        assert!(!says("Temporary failure in name resolution"));
        assert!(!says("Non-recoverable failure in name resolution"));
    }

    #[test]
    fn name_servers_of_a_resolver_configuration() {
        let text = b"# by hand\nnameserver 192.0.2.53\nnonsense\nnameserver 2001:db8::53\nnameserver fe80::1%eth0\n\
            nameserver 192.0.2.53\noptions edns0 trust-ad\nsearch example.org\n";
        let wanted: Vec<SocketAddr> =
            ["192.0.2.53:53", "[2001:db8::53]:53"].iter().filter_map(|a| a.parse().ok()).collect();
        assert_eq!(name_servers(text), wanted);
        assert!(name_servers(b"").is_empty());
    }

    proptest! {
        #[test]
        fn any_resolver_configuration_is_survived(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            name_servers(&text);
        }
    }
}
