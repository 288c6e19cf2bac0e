//! The web container in front: the pages that matter here, and the way to the WebSocket.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Jitsi, Setup, channel};
use crate::world::sandbox::duplex::Driven;
use crate::world::sandbox::servers::Meeting;
use crate::world::{Datagrams, Duplex};

const APP: &str = "<!DOCTYPE html><html><head><title>Jitsi Meet</title></head><body></body></html>";

/// An upgrade that was promised, and its URL.
type Promised = Arc<Mutex<Option<(OnUpgrade, Uri)>>>;

#[async_trait]
impl Meeting for Jitsi {
    async fn websocket(&self, asked: Parts, stream: TokioIo<hyper::upgrade::Upgraded>) {
        self.upgraded(Upgraded(Mutex::new(stream)), &asked.uri).await;
    }

    fn channel_refusal(&self, uri: &Uri) -> Option<StatusCode> {
        Self::channel_refusal(self, uri)
    }

    fn udp(&self, local: SocketAddr, _toward: IpAddr) -> Option<Box<dyn Datagrams>> {
        Some(self.datagrams(local))
    }
}

impl Jitsi {
    /// Serves one connection: pages, or a WebSocket until its end.
    pub async fn serve(&self, stream: impl Duplex + 'static) {
        let promised = Promised::default();
        let service = service_fn(|request: Request<Incoming>| {
            let response = self.page(request, &promised);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        if connection.await.is_err() {
            return;
        }
        let taken = promised.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((upgrade, uri)) = taken
            && let Ok(stream) = upgrade.await
        {
            self.upgraded(Upgraded(Mutex::new(TokioIo::new(stream))), &uri).await;
        }
    }

    /// Serves a WebSocket: Prosody's, or the bridge's own.
    async fn upgraded(&self, stream: impl Duplex, uri: &Uri) {
        if channel::is_channel(uri) {
            self.channel(stream, uri).await;
        } else {
            self.websocket(stream, uri.query().unwrap_or_default()).await;
        }
    }

    /// Serves one connection over TLS.
    pub async fn serve_tls(&self, stream: impl Duplex + 'static, tls: Arc<ServerConfig>) {
        if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
            self.serve(stream).await;
        }
    }

    /// The client's end of a connection over TLS in memory. Reading and writing drive the server.
    pub fn connect(&self, tls: Arc<ServerConfig>) -> Box<dyn Duplex> {
        let jitsi = self.clone();
        Box::new(Driven::to(|server| async move { jitsi.serve_tls(server, tls).await }))
    }

    /// What the web container answers to one request.
    fn page(&self, request: Request<Incoming>, promised: &Promised) -> Response<Full<Bytes>> {
        let (faults, config) = self.with(|state, _| (state.setup.faults.clone(), config_js(&state.setup)));
        let html = |text: &str| respond(StatusCode::OK, "text/html", text.to_owned());
        let path = request.uri().path();
        match path {
            "/config.js" => respond(StatusCode::OK, "application/javascript", config),
            "/external_api.js" => respond(StatusCode::OK, "application/javascript", "var JitsiMeetExternalAPI;".into()),
            "/xmpp-websocket" if !faults.passes_websockets() => html(APP),
            "/xmpp-websocket" | "/http-bind" if faults.prosody_down => {
                respond(StatusCode::BAD_GATEWAY, "text/html", "<html><title>502 Bad Gateway</title></html>".into())
            }
            "/http-bind" => html("<html><title>Prosody BOSH endpoint</title></html>"),
            "/xmpp-websocket" => match request.headers().get(header::SEC_WEBSOCKET_KEY).cloned() {
                Some(key) if request.method() == Method::GET => upgrade(request, &key, promised, Some("xmpp")),
                _ => html("<html><title>Prosody WebSocket endpoint</title></html>"),
            },
            _ if channel::is_channel(request.uri()) => {
                let key = request.headers().get(header::SEC_WEBSOCKET_KEY).cloned();
                match (self.channel_refusal(request.uri()), key) {
                    (None, Some(key)) => upgrade(request, &key, promised, None),
                    (refusal, _) => respond(refusal.unwrap_or(StatusCode::BAD_REQUEST), "text/html", String::new()),
                }
            }
            _ => html(APP),
        }
    }
}

fn config_js(setup: &Setup) -> String {
    let domain = &setup.domain;
    let websocket = setup.faults.websocket_line();
    let prefer_sctp = !setup.faults.prefers_websocket;
    format!(
        "var subdomain = '';\nvar subdir = '';\nvar config = {{}};\nconfig.hosts = {{}};\n\
         config.hosts.domain = '{domain}';\nconfig.hosts.muc = 'muc.' + subdomain + '{domain}';\n\
         {websocket}config.bridgeChannel = {{\n    preferSctp: {prefer_sctp}\n}};\n"
    )
}

fn respond(status: StatusCode, kind: &str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// `protocol`: the sub-protocol without which nobody is let in.
fn upgrade(
    mut request: Request<Incoming>,
    key: &header::HeaderValue,
    promised: &Promised,
    protocol: Option<&'static str>,
) -> Response<Full<Bytes>> {
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    if protocol.is_some_and(|protocol| offered.is_none_or(|p| p != protocol)) {
        return respond(StatusCode::NOT_IMPLEMENTED, "text/plain", "xmpp is the only protocol here".into());
    }
    let uri = request.uri().clone();
    let upgrade = hyper::upgrade::on(&mut request);
    *promised.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, uri));
    let mut response = respond(StatusCode::SWITCHING_PROTOCOLS, "text/plain", String::new());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Some(protocol) = protocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(protocol));
    }
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Makes a stream that may only be used by one at a time shareable, as `Duplex` asks.
struct Upgraded<T>(Mutex<T>);

impl<T> Upgraded<T> {
    fn inner(self: Pin<&mut Self>) -> &mut T
    where
        T: Unpin,
    {
        self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Upgraded<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(self.inner()).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Upgraded<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(self.inner()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(self.inner()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(self.inner()).poll_shutdown(cx)
    }
}
