//! Certificates for the sandbox's web server, minted for the story. The same bytes every time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};

use super::model::EPOCH;
use super::stories::{Certified, Story};
use crate::clock::Clock;
use crate::world::Trust;

/// What an Ed25519 private key looks like in PKCS #8, up to its 32 bytes.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const ROOT_KEY: u8 = 0x52;
const LEAF_KEY: u8 = 0x4c;

/// What browsers trust in the sandbox, and the TLS server that shows the story's certificate.
pub(super) fn mint(story: Story, clock: Clock) -> Result<(Trust, Arc<ServerConfig>), rcgen::Error> {
    let root_key = key(ROOT_KEY)?;
    let root = root()?;
    let root_certificate = root.self_signed(&root_key)?;
    let leaf = leaf(story)?.signed_by(&key(LEAF_KEY)?, &Issuer::from_params(&root, &root_key))?;

    let mut browsers = RootCertStore::empty();
    browsers.add_parsable_certificates([root_certificate.der().clone()]);
    let trust = Trust { browsers: Arc::new(browsers), private: Vec::new() };
    Ok((trust, Arc::new(server(vec![leaf.der().clone()], clock))))
}

/// What a load balancer agrees on under the policy `ELBSecurityPolicy-TLS13-1-2-2021-06`, in its order.
fn policy() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        ],
        kx_groups: vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

fn server(chain: Vec<CertificateDer<'static>>, clock: Clock) -> ServerConfig {
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8(LEAF_KEY)));
    let mut config = ServerConfig::builder_with_details(Arc::new(policy()), Arc::new(clock))
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .expect("the key is the certificate's");
    config.ignore_client_order = true;
    // A load balancer that passes requests on to nginx must not agree on HTTP/2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn root() -> Result<CertificateParams, rcgen::Error> {
    let mut root = CertificateParams::new(Vec::new())?;
    root.distinguished_name = name("Sandbox Root CA");
    root.not_before = date_time_ymd(2020, 1, 1);
    root.not_after = date_time_ymd(2200, 1, 1);
    root.serial_number = Some(SerialNumber::from(1));
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(root)
}

fn leaf(story: Story) -> Result<CertificateParams, rcgen::Error> {
    let Certified { host, days: (from, until) } = story.certificate;
    let mut leaf = CertificateParams::new(vec![host.to_owned()])?;
    leaf.distinguished_name = name(host);
    let ((year, month, first), (last_year, last_month, last)) = (day(from), day(until));
    leaf.not_before = date_time_ymd(year, month, first);
    leaf.not_after = date_time_ymd(last_year, last_month, last);
    leaf.serial_number = Some(SerialNumber::from(2));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    Ok(leaf)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// The day that is some days from the beginning of the story: year, month, day.
fn day(days: i64) -> (i32, u8, u8) {
    let day: Timestamp = EPOCH + SignedDuration::from_hours(24 * days);
    let date = day.to_zoned(jiff::tz::TimeZone::UTC).date();
    (date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
}

fn key(seed: u8) -> Result<KeyPair, rcgen::Error> {
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8(seed)), &PKCS_ED25519)
}

fn pkcs8(seed: u8) -> Vec<u8> {
    [PKCS8.as_slice(), &[seed; 32]].concat()
}
