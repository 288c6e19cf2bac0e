//! TLS: what a server shows, also when it is not to be trusted.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, ProtocolVersion,
    RootCertStore, SignatureScheme,
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{Sight, quoted, seconds, unreachable};
use crate::clock::Clock;
use crate::domain::name::Host;
use crate::domain::observed::{Certificate, Reading, Tls, Unreadable};
use crate::world::{Duplex, Net, NetError, Trust};

/// The most names of a certificate that are repeated.
const NAMES: usize = 100;

/// Shakes hands with the host at one address, and judges what it shows.
pub async fn shake(net: &dyn Net, trust: &Trust, clock: &Clock, sight: &Sight, address: SocketAddr) -> Reading<Tls> {
    let start = Instant::now();
    let shown = match open(net, sight, address).await {
        Ok(session) => judge(&session.chain, &sight.host, trust, clock.now())
            .map(|certificate| Certificate { version: session.version, ..certificate }),
        Err(NoTls::Ended(how)) => Err(how),
        Err(NoTls::Blind(why)) => return Reading::Unreadable(why),
    };
    Reading::Present(Tls { address, shown, took: start.elapsed() })
}

/// An open TLS connection, to a server of which nothing has been judged yet.
pub struct Session {
    pub stream: TlsStream<Box<dyn Duplex>>,
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
    /// How it ended, in a sentence about the other side.
    Ended(String),
}

/// Opens a TLS connection to the host at one address, whatever certificate it shows.
///
/// The certificate is a finding of its own (`shake`); whoever goes on here wants to know what lies behind it.
pub async fn open(net: &dyn Net, sight: &Sight, address: SocketAddr) -> Result<Session, NoTls> {
    let deadline = Instant::now() + sight.limits.whole;
    let name = ServerName::try_from(sight.host.as_str().to_owned())
        .map_err(|_| NoTls::Ended(format!("{} is no name for TLS", sight.host)))?;
    let stream = connect(net, address, sight.limits.connect.min(sight.limits.whole)).await?;
    let stream = timeout_at(deadline, TlsConnector::from(Arc::new(config())).connect(name, stream))
        .await
        .map_err(|_| {
            let limit = seconds(sight.limits.whole);
            NoTls::Ended(format!("the connection opens, but the TLS handshake does not end within {limit}"))
        })?
        .map_err(|error| NoTls::Ended(ended(&error)))?;
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned()).collect();
    let version = version(connection.protocol_version());
    Ok(Session { stream, chain, version })
}

async fn connect(net: &dyn Net, address: SocketAddr, limit: Duration) -> Result<Box<dyn Duplex>, NoTls> {
    let ended = |how: &str| NoTls::Ended(how.to_owned());
    match timeout(limit, net.tcp(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(NetError::Refused)) => Err(ended("the connection is refused")),
        Ok(Err(NetError::Reset)) => Err(ended("the connection is reset")),
        Ok(Err(NetError::TimedOut)) => Err(ended("no answer to the connection")),
        Err(_) => Err(NoTls::Ended(format!("no answer to the connection within {}", seconds(limit)))),
        Ok(Err(error @ (NetError::NoRoute(_) | NetError::Other(_)))) => {
            Err(NoTls::Blind(unreachable(format!("{address}: {error}"))))
        }
    }
}

fn config() -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    config
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
        InvalidCertificate(why) => format!("the server's certificate does not fit its handshake: {why:?}"),
        other => format!("the TLS handshake fails: {}", quoted(&other.to_string())),
    }
}

/// What a chain of certificates is worth to a browser that asks for `host`. Its dates, its names and its issuers are
/// three findings; each is told on its own.
pub fn judge(chain: &[CertificateDer<'_>], host: &Host, trust: &Trust, now: Timestamp) -> Result<Certificate, String> {
    let Some((leaf, between)) = chain.split_first() else {
        return Err("the server shows no certificate".into());
    };
    let nonsense = || "the server's certificate makes no sense".to_owned();
    let (_, read) = X509Certificate::from_der(leaf).map_err(|_| nonsense())?;
    let date = |at: x509_parser::time::ASN1Time| Timestamp::from_second(at.timestamp()).map_err(|_| nonsense());
    let (not_before, not_after) = (date(read.validity().not_before)?, date(read.validity().not_after)?);
    let parsed = ParsedCertificate::try_from(leaf).map_err(|_| nonsense())?;
    let name = ServerName::try_from(host.as_str()).map_err(|_| format!("{host} is no name for TLS"))?;

    // An expired leaf is said to be expired, not to be untrusted: its issuers are judged at the nearest moment at
    // which it was valid. While it is valid that is now, so an expired certificate in between does count.
    let moment = if not_before <= not_after { now.clamp(not_before, not_after) } else { now };
    let by = |roots: &RootCertStore| trusted(&parsed, between, roots, moment);
    let browsers = by(&trust.browsers);
    let private_root = browsers.is_err() && !trust.private.is_empty() && by(&private(trust)).is_ok();
    let untrusted = match browsers {
        Err(error) if !private_root => {
            Some(distrust(&error, read.subject().as_raw() == read.issuer().as_raw(), between.len()))
        }
        Ok(()) | Err(_) => None,
    };
    Ok(Certificate {
        subject: quoted(&read.subject().to_string()),
        issuer: quoted(&read.issuer().to_string()),
        names: names(&read),
        not_before,
        not_after,
        name_matches: verify_server_name(&parsed, &name).is_ok(),
        untrusted,
        private_root,
        version: String::new(),
    })
}

fn trusted(
    leaf: &ParsedCertificate<'_>,
    between: &[CertificateDer<'_>],
    roots: &RootCertStore,
    at: Timestamp,
) -> Result<(), rustls::Error> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default()));
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(leaf, roots, between, at, algorithms)
}

fn private(trust: &Trust) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trust.private.iter().cloned());
    roots
}

/// Why a browser does not trust a chain.
fn distrust(error: &rustls::Error, self_signed: bool, between: usize) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidYet, NotValidYetContext,
        UnknownIssuer,
    };
    let rustls::Error::InvalidCertificate(error) = error else { return quoted(&error.to_string()) };
    match error {
        UnknownIssuer if self_signed => "it is self-signed".into(),
        UnknownIssuer if between == 0 => {
            "its issuer is none that browsers know, and the server sends no certificate in between".into()
        }
        UnknownIssuer => "its chain leads to no root that browsers know".into(),
        Expired | ExpiredContext { .. } => "a certificate between it and its root has expired".into(),
        NotValidYet | NotValidYetContext { .. } => "a certificate between it and its root is not valid yet".into(),
        BadSignature => "a signature in its chain is wrong".into(),
        InvalidPurpose | InvalidPurposeContext { .. } => "it is not meant for a server".into(),
        other => quoted(&format!("{other:?}")),
    }
}

/// The names a certificate is for; none when it makes no sense there.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let address = |bytes: &[u8]| {
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(quoted(name)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|a| a.to_string()),
        _ => None,
    };
    names.value.general_names.iter().filter_map(name).take(NAMES).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["meet.example.org".to_owned()]).expect("parameters");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    fn judged(leaf: Vec<u8>) -> Result<Certificate, String> {
        let host = "meet.example.org".parse().expect("a host");
        let trust = Trust { browsers: Arc::new(RootCertStore::empty()), private: Vec::new() };
        judge(&[leaf.into()], &host, &trust, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_missing_or_senseless_certificate_is_said_to_be_so() {
        let host = "meet.example.org".parse().expect("a host");
        assert!(judge(&[], &host, &Trust::browsers(), Timestamp::UNIX_EPOCH).is_err());
        assert!(judged(b"garbage".to_vec()).is_err_and(|w| w.contains("makes no sense")));
        assert!(judged(certificate()).is_ok_and(|c| c.untrusted.as_deref() == Some("it is self-signed")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = judged(bytes);
        }

        #[test]
        fn any_change_of_a_certificate_is_judged(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = certificate();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(certificate) = judged(bytes) {
                prop_assert!(certificate.untrusted.is_some());
            }
        }
    }
}
