//! The way to a deployment's door: one TLS connect, for every protocol that is spoken behind it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, ProtocolVersion,
    RootCertStore, SignatureScheme,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::site::{Endpoint, Site};
use super::{Limits, dns, quoted, seconds, unreachable};
use crate::clock::Clock;
use crate::domain::observed::Unreadable;
use crate::domain::text::line;
use crate::world::{Duplex, Net, NetError, Street, Trust, World};

/// What every probe is made of.
#[derive(Clone, Copy)]
pub struct Wire<'a> {
    pub net: &'a dyn Net,
    pub clock: &'a Clock,
    pub trust: &'a Trust,
    /// Where chance begins.
    pub seed: u64,
}

impl<'a> From<&'a World> for Wire<'a> {
    fn from(world: &'a World) -> Self {
        Self { net: world.net.as_ref(), clock: &world.clock, trust: &world.trust, seed: world.seed }
    }
}

impl<'a> From<&'a Street> for Wire<'a> {
    fn from(street: &'a Street) -> Self {
        Self { net: street.net.as_ref(), clock: &street.clock, trust: &street.trust, seed: street.seed }
    }
}

/// Which certificates a connection is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// Those that a browser accepts, or the user's own root does.
    Trusted,
    /// Whatever is shown: the certificate is a finding of its own, and whoever goes on wants to know what lies behind.
    Any,
}

/// The web door of a deployment.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    pub wire: Wire<'a>,
    pub site: &'a Site,
    /// Instead of the site's own host and port: an address that the deployment sends browsers to.
    pub endpoint: Option<&'a Endpoint>,
    /// Where its name leads; the first one that takes the connection is used.
    pub addresses: &'a [IpAddr],
    pub certificates: Certificates,
    pub limits: Limits,
}

pub type Secured = TlsStream<Box<dyn Duplex>>;

/// An open TLS connection.
pub struct Session {
    pub stream: Secured,
    /// What the server has shown, its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Such as `TLSv1.3`.
    pub version: String,
}

/// Why there is no TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTls {
    /// The fault may be this machine's.
    Blind(Unreadable),
    /// No TCP connection to any address: the last one, and how that ended, in a sentence about the other side.
    Tcp(Option<SocketAddr>, String),
    /// No handshake: how it ended, in a sentence about the other side.
    Handshake(String),
}

impl Door<'_> {
    pub fn host(&self) -> &str {
        self.endpoint.map_or(self.site.host.as_str(), Endpoint::name)
    }

    pub fn port(&self) -> u16 {
        self.endpoint.map_or(self.site.port, |endpoint| endpoint.port)
    }

    /// What the header `Host` says.
    pub fn authority(&self) -> String {
        self.endpoint.map_or_else(|| self.site.authority(), Endpoint::authority)
    }

    /// Connects to the first address that takes the connection, and shakes hands.
    pub async fn enter(&self) -> Result<Session, NoTls> {
        let deadline = Instant::now() + self.limits.whole;
        let name = ServerName::try_from(self.host().to_owned())
            .map_err(|_| NoTls::Handshake(format!("{} is no name for TLS", self.host())))?;
        let stream = self.connect().await?;
        let stream = timeout_at(deadline, TlsConnector::from(Arc::new(self.config())).connect(name, stream))
            .await
            .map_err(|_| {
                let limit = seconds(self.limits.whole);
                NoTls::Handshake(format!("the connection opens, but the TLS handshake does not end within {limit}"))
            })?
            .map_err(|error| NoTls::Handshake(ended(&error)))?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned()).collect();
        let version = version(connection.protocol_version());
        Ok(Session { stream, chain, version })
    }

    async fn connect(&self) -> Result<Box<dyn Duplex>, NoTls> {
        let limit = self.limits.connect.min(self.limits.whole);
        let mut wait = Duration::ZERO;
        let tries = in_turn(self.addresses).into_iter().map(|ip| {
            let after = wait;
            wait += HEAD_START;
            async move {
                if !after.is_zero() {
                    sleep(after).await;
                }
                connect(self.wire.net, SocketAddr::new(ip, self.port()), limit).await
            }
        });
        let none = || NoTls::Tcp(None, "the name has no address".to_owned());
        // A family of addresses that this machine lacks says nothing where one of the other was tried: what was seen
        // of the other side comes first.
        dns::first(tries, |failure| matches!(failure, NoTls::Blind(_))).await.unwrap_or_else(|| Err(none()))
    }

    fn config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(*self.wire.clock))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3");
        let mut config = match self.certificates {
            Certificates::Trusted => config.with_root_certificates(roots(self.wire.trust)).with_no_client_auth(),
            Certificates::Any => {
                config.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        config
    }
}

/// How long an address is given before the next one is tried besides (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);
/// The most addresses of a name that are tried.
const MOST: usize = 8;

/// Addresses of the two families by turns, so that one that leads nowhere costs one head start.
fn in_turn(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let (mut v4, mut v6) = (addresses.iter().filter(|a| a.is_ipv4()), addresses.iter().filter(|a| a.is_ipv6()));
    let pairs = std::iter::from_fn(|| Some([v4.next(), v6.next()]).filter(|pair| pair.iter().any(Option::is_some)));
    pairs.flatten().flatten().copied().take(MOST).collect()
}

fn roots(trust: &Trust) -> RootCertStore {
    let mut roots = RootCertStore::clone(&trust.browsers);
    roots.add_parsable_certificates(trust.private.iter().cloned());
    roots
}

async fn connect(net: &dyn Net, address: SocketAddr, limit: Duration) -> Result<Box<dyn Duplex>, NoTls> {
    let ended = |how: &str| NoTls::Tcp(Some(address), how.to_owned());
    match timeout(limit, net.tcp(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(NetError::Refused)) => Err(ended("the connection is refused")),
        Ok(Err(NetError::Reset)) => Err(ended("the connection is reset")),
        Ok(Err(NetError::TimedOut)) => Err(ended("no answer to the connection")),
        Err(_) => Err(ended(&format!("no answer to the connection within {}", seconds(limit)))),
        Ok(Err(error @ (NetError::NoRoute(_) | NetError::Other(_)))) => {
            Err(NoTls::Blind(unreachable(format!("{address}: {error}"))))
        }
    }
}

/// Lets every certificate pass, so that one can report on a bad one. That the server holds the certificate's key is
/// still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn version(version: Option<ProtocolVersion>) -> String {
    match version {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".into(),
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".into(),
        other => format!("{other:?}"),
    }
}

/// How a handshake ended, in a sentence.
fn ended(error: &io::Error) -> String {
    if let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        return misspoken(error);
    }
    match error.kind() {
        ErrorKind::UnexpectedEof => "the other side closes the connection during the TLS handshake".into(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "the other side resets the connection during the TLS handshake".into()
        }
        _ => format!("the TLS handshake breaks off: {}", quoted(&error.to_string())),
    }
}

fn misspoken(error: &rustls::Error) -> String {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, PeerIncompatible as Incompatible};
    match error {
        Incompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        | AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks only TLS 1.0 or 1.1, which browsers refuse".into()
        }
        InvalidMessage(_) => "what answers does not speak TLS (plain HTTP, or another protocol)".into(),
        AlertReceived(alert) => format!("the server refuses the handshake: {alert:?}"),
        InvalidCertificate(CertificateError::BadSignature) => {
            "the server's certificate does not fit its handshake".into()
        }
        InvalidCertificate(_) => line(&error.to_string()),
        other => format!("the TLS handshake fails: {}", quoted(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_handshake_has_a_sentence() {
        let of = |error: rustls::Error| ended(&io::Error::new(ErrorKind::InvalidData, error));
        let old = "the server speaks only TLS 1.0 or 1.1, which browsers refuse";
        assert_eq!(of(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)), old);
        assert_eq!(of(PeerIncompatible::ServerDoesNotSupportTls12Or13.into()), old);
        assert_eq!(
            of(rustls::Error::AlertReceived(AlertDescription::HandshakeFailure)),
            "the server refuses the handshake: HandshakeFailure"
        );
        assert!(of(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)).contains("plain HTTP"));
        assert!(ended(&ErrorKind::ConnectionReset.into()).contains("resets"));
        assert!(ended(&ErrorKind::UnexpectedEof.into()).contains("closes"));
    }
}
