//! The TLS connection under the WebSocket and under the one page that is read.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::clock::Clock;
use crate::domain::finding::{Code, Finding};
use crate::world::{Duplex, Net, NetError, Trust};

/// How the platform's web door is reached.
#[derive(Clone, Copy)]
pub struct Door<'a> {
    pub net: &'a dyn Net,
    pub trust: &'a Trust,
    pub clock: &'a Clock,
    pub host: &'a str,
    pub port: u16,
    pub addresses: &'a [IpAddr],
}

pub type Secured = TlsStream<Box<dyn Duplex>>;

impl Door<'_> {
    /// Connects to the first address that takes the connection, and shakes hands.
    pub async fn enter(&self) -> Result<Secured, Finding> {
        let stream = self.connect().await?;
        let name = ServerName::try_from(self.host.to_string())
            .map_err(|error| Finding::new(Code::TlsFailed).detail(error.to_string()))?;
        TlsConnector::from(Arc::new(self.config()?))
            .connect(name, stream)
            .await
            .map_err(|error| Finding::new(Code::TlsFailed).detail(error.to_string()))
    }

    async fn connect(&self) -> Result<Box<dyn Duplex>, Finding> {
        let mut last = Finding::new(Code::NameUnresolved).detail(self.host.to_string());
        for address in self.addresses {
            let error = match self.net.tcp((*address, self.port).into()).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            let code = if matches!(error, NetError::NoRoute(_)) { Code::NoRoute } else { Code::WebUnreachable };
            last = Finding::new(code).detail(format!("{address} port {}: {error}", self.port));
        }
        Err(last)
    }

    fn config(&self) -> Result<ClientConfig, Finding> {
        let mut roots = RootCertStore::clone(&self.trust.browsers);
        roots.add_parsable_certificates(self.trust.private.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(*self.clock))
            .with_safe_default_protocol_versions()
            .map_err(|error| Finding::new(Code::LocalTrouble).detail(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
