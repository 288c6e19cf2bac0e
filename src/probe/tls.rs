//! TLS: what a server shows, also when it is not to be trusted.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use tokio::time::Instant;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::wire::{Door, NoTls};
use super::{quoted, unreachable};
use crate::domain::name::Host;
use crate::domain::observed::{Certificate, Reading, Tls};
use crate::world::Trust;

/// The most names of a certificate that are repeated.
const NAMES: usize = 100;

/// Shakes hands at a door that takes any certificate, and judges what is shown.
pub async fn shake(door: &Door<'_>) -> Reading<Tls> {
    let start = Instant::now();
    let Some(address) = door.addresses.first().map(|ip| SocketAddr::new(*ip, door.port())) else {
        return Reading::Unreadable(unreachable("the name has no address"));
    };
    let shown = match door.enter().await {
        Ok(session) => judge(&session.chain, &door.site.host, door.wire.trust, door.wire.clock.now())
            .map(|certificate| Certificate { version: session.version, ..certificate }),
        Err(NoTls::Tcp(_, how) | NoTls::Handshake(how)) => Err(how),
        Err(NoTls::Blind(why)) => return Reading::Unreadable(why),
    };
    Reading::Present(Tls { address, shown, took: start.elapsed() })
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
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

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
