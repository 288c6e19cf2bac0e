//! The WebSocket to Prosody (RFC 7395): each message is one element.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::parse::MESSAGE_LIMIT;
use super::xml::Element;
use crate::domain::finding::{Code, Finding};
use crate::probe::meeting::Token;
use crate::probe::site::percent;
use crate::probe::wire::{Door, Secured};

/// A room of a few participants needs some dozens of messages of a few kilobytes.
const MOST_MESSAGES: usize = 5_000;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A WebSocket over which elements go both ways.
pub struct Socket {
    stream: WebSocketStream<Secured>,
    messages: usize,
    bytes: usize,
}

impl Socket {
    /// Enters by the door and upgrades at this path.
    pub async fn open(door: &Door<'_>, path: &str, room: &str, token: Option<&Token>) -> Result<Self, Finding> {
        let stream = door.enter().await.map_err(Finding::from)?.stream;
        let request = request(door, path, room, token)?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT))
            .read_buffer_size(8 * 1024)
            .write_buffer_size(0);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((stream, _)) => Ok(Self { stream, messages: 0, bytes: 0 }),
            Err(error) => Err(refused(error)),
        }
    }

    pub async fn send(&mut self, element: &Element) -> Result<(), Finding> {
        self.stream.send(Message::text(element.to_string())).await.map_err(|error| lost(&error))
    }

    /// Waits for the next element; pings are answered on the way. Dropping it loses nothing.
    pub async fn receive(&mut self) -> Result<Element, Finding> {
        loop {
            let text = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Binary(_))) => return Err(Finding::new(Code::Garbled).detail("a binary message")),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.count(0)?;
                    continue;
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(Finding::new(Code::SignallingLost).detail("the WebSocket was closed"));
                }
                Some(Err(error)) => return Err(lost(&error)),
            };
            self.count(text.len())?;
            return Element::parse(text.as_str()).map_err(|error| {
                let shown: String = text.chars().take(500).collect();
                Finding::new(Code::Garbled).detail(error.to_string()).evidence(shown)
            });
        }
    }

    /// Says that it is over and lets go.
    pub async fn close(&mut self) {
        // Whoever has gone already needs no farewell.
        let _ = self.stream.close(None).await;
    }

    fn count(&mut self, bytes: usize) -> Result<(), Finding> {
        self.messages += 1;
        self.bytes += bytes;
        if self.messages > MOST_MESSAGES || self.bytes > MOST_BYTES {
            let detail = format!("{} messages, {} bytes", self.messages, self.bytes);
            return Err(Finding::new(Code::SignallingFloods).detail(detail));
        }
        Ok(())
    }
}

fn request(door: &Door<'_>, path: &str, room: &str, token: Option<&Token>) -> Result<Request, Finding> {
    let token = token.map_or_else(String::new, |token| format!("&token={}", percent(token.reveal())));
    let and = if path.contains('?') { '&' } else { '?' };
    let url = format!("wss://{}{path}{and}room={}{token}", door.authority(), percent(room));
    // The error would quote the URL, token and all.
    let bad = |_| Finding::new(Code::LocalTrouble).detail("the WebSocket's URL cannot be built");
    let mut request = url.into_client_request().map_err(bad)?;
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("xmpp"));
    Ok(request)
}

fn refused(error: Error) -> Finding {
    match error {
        Error::Http(response) => not_upgraded(&response),
        other => Finding::new(Code::WebsocketRefused).detail(other.to_string()),
    }
}

fn not_upgraded(response: &Response<Option<Vec<u8>>>) -> Finding {
    let status = response.status();
    let html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"));
    let code = match status.as_u16() {
        502..=504 => Code::ProsodyDown,
        200 if html => Code::WebsocketOff,
        _ => Code::WebsocketRefused,
    };
    let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let finding = Finding::new(code).detail(format!("HTTP {status}"));
    if body.is_empty() { finding } else { finding.evidence(body.chars().take(500).collect::<String>()) }
}

fn lost(error: &Error) -> Finding {
    match error {
        Error::Capacity(_) | Error::Utf8(_) | Error::Protocol(_) | Error::AttackAttempt => {
            let code =
                if error.to_string().contains("closing handshake") { Code::SignallingLost } else { Code::Garbled };
            Finding::new(code).detail(error.to_string())
        }
        other => Finding::new(Code::SignallingLost).detail(other.to_string()),
    }
}
