//! Whom a TLS probe trusts.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// The roots that participants' browsers trust, and perhaps one more.
#[derive(Clone, Debug)]
pub struct Trust {
    /// What a browser would trust.
    pub browsers: Arc<RootCertStore>,
    /// `[tls] ca_file`: trusted by us, not by a browser; always shown as a warning.
    pub private: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Mozilla's roots: the same answer on every machine.
    pub fn browsers() -> Self {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self { browsers: Arc::new(roots), private: Vec::new() }
    }

    /// Adds the user's own root.
    #[must_use]
    pub fn and_private(mut self, roots: Vec<CertificateDer<'static>>) -> Self {
        self.private.extend(roots);
        self
    }
}
