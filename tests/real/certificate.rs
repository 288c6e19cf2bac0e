//! A throw-away certificate authority, and certificates good and bad.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::process::Result;

/// What is wrong with the certificate that a site shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Trusted through the authority, for the name, valid for 90 days.
    Good,
    /// Good, but ends in ten days.
    EndsSoon,
    /// Ended yesterday.
    Expired,
    /// For another name.
    WrongName,
    /// Signed by itself.
    SelfSigned,
}

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "throw-away root of a test");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid(&mut params, -400, 400);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    /// Writes the root as `root.pem`: what goes into `[tls] ca_file`.
    pub(crate) fn write_root(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join("root.pem");
        std::fs::write(&file, &self.root)?;
        Ok(file)
    }

    /// Writes `site.pem` (with the root behind it, as servers send a chain) and `site.key`.
    pub(crate) fn write_site(&self, kind: Certificate, domain: &str, folder: &Path) -> Result<()> {
        let name = if kind == Certificate::WrongName { "elsewhere.invalid" } else { domain };
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        match kind {
            Certificate::Expired => valid(&mut params, -91, -1),
            Certificate::EndsSoon => valid(&mut params, -80, 10),
            _ => valid(&mut params, -1, 89),
        }
        let key = KeyPair::generate()?;
        let chain = match kind {
            Certificate::SelfSigned => params.self_signed(&key)?.pem(),
            _ => params.signed_by(&key, &self.issuer)?.pem() + &self.root,
        };
        std::fs::write(folder.join("site.pem"), chain)?;
        std::fs::write(folder.join("site.key"), key.serialize_pem())?;
        Ok(())
    }
}

/// Valid between these days, counted from now.
fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let day =
        |days: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.saturating_add_signed(days * 86_400));
    (params.not_before, params.not_after) = (day(from), day(to));
}
