//! The web container behind the load balancer: real TLS and real HTTP/1.1 on an in-memory stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::ground::Ground;
use super::pages::{self, Page};
use super::stories::WebServer;
use crate::world::Datagrams;

/// From the load balancer to the container and back, with what nginx does in between.
const ANSWERS_AFTER: Duration = Duration::from_millis(9);

/// What lives behind the web container once people meet: the one place where an emulator of Prosody, the focus
/// and the bridge is handed what reaches them.
#[async_trait]
pub trait Meeting: Send + Sync {
    /// Serves a WebSocket until it ends. `asked` is the request for it; 101 has been answered, and the sub-protocol
    /// `xmpp` agreed on when it was offered.
    async fn websocket(&self, asked: Parts, stream: TokioIo<Upgraded>);

    /// How the bridge refuses its own WebSocket at this address; `None` when it lets it in.
    fn channel_refusal(&self, uri: &Uri) -> Option<StatusCode> {
        let _ = uri;
        Some(StatusCode::NOT_FOUND)
    }

    /// A UDP socket at `local` whose datagrams reach the bridge; `None` when they vanish.
    fn udp(&self, local: std::net::SocketAddr, toward: std::net::IpAddr) -> Option<Box<dyn Datagrams>>;
}

/// Work that outlives an HTTP exchange on the same connection: an upgraded stream.
type Upgrade = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one connection to its end.
pub(super) async fn serve(stream: DuplexStream, ground: Arc<Ground>) {
    let acceptor = TlsAcceptor::from(Arc::clone(&ground.tls));
    let Ok(tls) = acceptor.accept(stream).await else { return };
    if ground.front().is_none_or(|front| !front.web) {
        // The load balancer speaks TLS by itself, and finds nobody behind it.
        return;
    }
    let (hand_over, mut handed_over) = unbounded_channel::<Upgrade>();
    let service = service_fn(|request| answer(request, Arc::clone(&ground), hand_over.clone()));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.auto_date_header(false).header_read_timeout(None);
    // A client that goes away in mid-sentence is no concern of the server's.
    let _ = http.serve_connection(TokioIo::new(tls), service).with_upgrades().await;
    if let Ok(upgraded) = handed_over.try_recv() {
        upgraded.await;
    }
}

async fn answer(
    request: Request<Incoming>,
    ground: Arc<Ground>,
    hand_over: UnboundedSender<Upgrade>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(ANSWERS_AFTER).await;
    let prosody = ground.front().is_some_and(|front| front.prosody);
    if request.uri().path() == "/xmpp-websocket"
        && wants_websocket(&request)
        && prosody
        && page(&request, &ground, true).status == StatusCode::OK
        && ground.faults.passes_websockets()
    {
        return Ok(dated(upgrade(request, &ground, &hand_over), &ground));
    }
    let page = match channel(&request, &ground) {
        Channel::LetsIn => return Ok(dated(upgrade(request, &ground, &hand_over), &ground)),
        Channel::Refuses(status) => pages::nginx(status.as_u16(), status.canonical_reason().unwrap_or_default()),
        Channel::NotAskedFor => page(&request, &ground, prosody),
    };
    let mut response = Response::new(Full::from(page.body));
    *response.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(page.kind));
    Ok(dated(response, &ground))
}

/// What becomes of a request for the bridge's own WebSocket.
enum Channel {
    NotAskedFor,
    LetsIn,
    Refuses(StatusCode),
}

fn channel(request: &Request<Incoming>, ground: &Ground) -> Channel {
    if !request.uri().path().starts_with("/colibri-ws/") || !wants_websocket(request) {
        return Channel::NotAskedFor;
    }
    let bridge = ground.meeting.as_ref().filter(|_| ground.front().is_some_and(|front| front.bridge));
    let refusal = bridge.map_or(Some(StatusCode::BAD_GATEWAY), |bridge| bridge.channel_refusal(request.uri()));
    refusal.map_or(Channel::LetsIn, Channel::Refuses)
}

/// The page of a path, as the story has it.
fn page(request: &Request<Incoming>, ground: &Ground, prosody: bool) -> Page {
    match ground.story.web {
        WebServer::BadGateway => return pages::nginx(502, "Bad Gateway"),
        WebServer::Unconfigured => return pages::welcome_to_nginx(),
        WebServer::Jitsi => {}
    }
    match request.uri().path() {
        "/config.js" => pages::config(&ground.faults),
        "/external_api.js" => pages::external_api(),
        // Without the proxying, nginx takes the path for a room's name.
        "/xmpp-websocket" if !ground.faults.passes_websockets() => pages::app(),
        "/xmpp-websocket" | "/http-bind" if !prosody => pages::nginx(502, "Bad Gateway"),
        "/xmpp-websocket" => pages::websocket(),
        "/http-bind" if request.method() == Method::GET => pages::bosh(),
        "/http-bind" => pages::nginx(501, "Not Implemented"),
        // nginx answers any single segment with the app.
        path if path.trim_start_matches('/').contains(['/', '.']) => pages::nginx(404, "Not Found"),
        _ => pages::app(),
    }
}

fn wants_websocket(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers 101, and hands the stream to the meeting's emulator.
fn upgrade(
    mut request: Request<Incoming>,
    ground: &Ground,
    hand_over: &UnboundedSender<Upgrade>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (Some(meeting), Some(key)) = (ground.meeting.clone(), key) else {
        *response.status_mut() =
            if ground.meeting.is_none() { StatusCode::NOT_IMPLEMENTED } else { StatusCode::BAD_REQUEST };
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(&key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    if offered.is_some_and(|list| list.split(',').any(|one| one.trim() == "xmpp")) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("xmpp"));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let (asked, _) = request.into_parts();
    let work = async move {
        if let Ok(stream) = upgraded.await {
            meeting.websocket(asked, TokioIo::new(stream)).await;
        }
    };
    // The receiver lives as long as the connection.
    let _ = hand_over.send(Box::pin(work));
    response
}

/// nginx's headers, with the simulated time.
fn dated(mut response: Response<Full<Bytes>>, ground: &Ground) -> Response<Full<Bytes>> {
    let now = ground.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(now) = HeaderValue::from_str(&now) {
        response.headers_mut().insert(header::DATE, now);
    }
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static("nginx"));
    response
}
