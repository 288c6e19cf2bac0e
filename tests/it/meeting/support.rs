//! Networks on which an emulated Jitsi is found.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use meetctl::clock::Clock;
use meetctl::domain::meeting::{Answer, Proof, Stage};
use meetctl::domain::name::Host;
use meetctl::probe::media::{Ask, prove};
use meetctl::probe::site::Site;
use meetctl::probe::wire::Wire;
use meetctl::world::sandbox::jitsi::{Jitsi, Setup};
use meetctl::world::{Datagrams, Duplex, Net, NetError, Trust};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;

pub(super) const HOST: &str = "meet.example.org";
pub(super) const PUBLIC: &str = "203.0.113.10:10000";
pub(super) const INSIDE: &str = "10.0.3.17:10000";

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn setup() -> Setup {
    Setup::new(address(INSIDE), address(PUBLIC))
}

/// A server's side of TLS, and whom a client has to trust for it.
pub(super) fn tls() -> (Arc<ServerConfig>, Trust) {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a good pair");
    (Arc::new(config), Trust::browsers().and_private(vec![certificate]))
}

pub(super) fn clock() -> Clock {
    Clock::starting_at("2026-11-20T12:00:00Z".parse().expect("a time"))
}

pub(super) fn ask() -> Ask {
    Ask::new(Site::of(HOST.parse::<Host>().expect("a host")))
}

pub(super) fn wire<'a>(net: &'a dyn Net, trust: &'a Trust, clock: &'a Clock) -> Wire<'a> {
    Wire { net, clock, trust, seed: 7 }
}

/// A network in memory with one Jitsi on it.
pub(super) struct Memory {
    pub jitsi: Jitsi,
    pub tls: Arc<ServerConfig>,
    /// The ports of UDP sockets that are open. A port that is free again is given out again, as systems may do.
    pub ports: Arc<Mutex<BTreeSet<u16>>>,
}

/// A UDP socket whose port is free again once it is closed.
struct Lent {
    socket: Box<dyn Datagrams>,
    ports: Arc<Mutex<BTreeSet<u16>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.ports.lock().expect("ours").remove(&self.socket.local().port());
    }
}

#[async_trait]
impl Datagrams for Lent {
    fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        self.socket.send(to, datagram).await
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        self.socket.receive(buffer).await
    }

    fn refused_by(&self) -> Option<SocketAddr> {
        self.socket.refused_by()
    }
}

#[async_trait]
impl Net for Memory {
    async fn resolve(&self, _: &Host) -> Result<Vec<IpAddr>, NetError> {
        Ok(vec![address(PUBLIC).ip()])
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        if to.ip() == address(PUBLIC).ip() { Ok(self.jitsi.connect(self.tls.clone())) } else { Err(NetError::Refused) }
    }

    async fn udp(&self, _: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        let port = {
            let mut open = self.ports.lock().expect("ours");
            let port = (40_000..50_000).find(|port| !open.contains(port)).expect("a free port");
            open.insert(port);
            port
        };
        let socket = self.jitsi.datagrams(SocketAddr::from(([192, 0, 2, 50], port)));
        Ok(Box::new(Lent { socket, ports: Arc::clone(&self.ports) }))
    }
}

/// The sockets of this machine, whatever the address that is asked for.
pub(super) struct Loopback {
    pub to: SocketAddr,
}

struct Udp(tokio::net::UdpSocket);

#[async_trait]
impl Net for Loopback {
    async fn resolve(&self, _: &Host) -> Result<Vec<IpAddr>, NetError> {
        Ok(vec![self.to.ip()])
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    async fn tcp(&self, _: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        match tokio::net::TcpStream::connect(self.to).await {
            Ok(stream) => {
                stream.set_nodelay(true).expect("a TCP socket");
                Ok(Box::new(stream))
            }
            Err(error) => Err(NetError::Other(error.to_string())),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        match tokio::net::UdpSocket::bind((toward, 0)).await {
            Ok(socket) => Ok(Box::new(Udp(socket))),
            Err(error) => Err(NetError::Other(error.to_string())),
        }
    }
}

#[async_trait]
impl Datagrams for Udp {
    fn local(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket")
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        self.0.send_to(datagram, to).await.map(|_| ()).map_err(|error| NetError::Other(error.to_string()))
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        self.0.recv_from(buffer).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => NetError::Refused,
            _ => NetError::Other(error.to_string()),
        })
    }
}

/// Proves against a Jitsi in memory, and looks whether a trace is left.
pub(super) async fn prove_in_memory(setup: Setup, ask: &Ask) -> (Proof, Jitsi) {
    let (tls, trust) = tls();
    let jitsi = Jitsi::new(setup);
    let net = Memory { jitsi: jitsi.clone(), tls, ports: Arc::default() };
    let stop = CancellationToken::new();
    let proof = prove(&wire(&net, &trust, &clock()), ask, &stop, |_| {}).await;
    let census = jitsi.census();
    assert_eq!((census.sessions, census.endpoints), (0, 0), "a trace is left: {proof:#?}");
    // A conference that nobody could join is the focus's to end.
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(jitsi.census().rooms, 0, "a room is left: {proof:#?}");
    (proof, jitsi)
}

/// What is proven; each level is strictly stronger than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proven {
    Reach,
    Secure,
    Media,
}

/// The strongest level that was shown.
pub(super) fn proven(proof: &Proof) -> Option<Proven> {
    let forwards = proof.finding.as_ref().is_none_or(|finding| finding.stage == Stage::Channel);
    let climbed = proof.ramp.as_ref().is_some_and(|ramp| ramp.good().is_some());
    if (!proof.flows.is_empty() || climbed) && forwards {
        Some(Proven::Media)
    } else if !proof.secured.is_empty() {
        Some(Proven::Secure)
    } else {
        proof.reached.iter().any(|r| r.outcome == Answer::Answered).then_some(Proven::Reach)
    }
}
