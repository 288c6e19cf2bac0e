//! XMPP's WebSocket, from the server's side.

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Jitsi;
use super::state::SessionId;
use crate::world::Duplex;

/// What Prosody takes in one message after the login.
const LIMIT: usize = 256 * 1024;

/// Ends the session whatever ends the connection.
struct Ending<'a> {
    jitsi: &'a Jitsi,
    session: SessionId,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.jitsi.with(|state, now| state.close_session(self.session, now));
    }
}

enum News {
    Say(Vec<String>),
    Over(Vec<String>),
}

impl Jitsi {
    /// Serves one upgraded connection of `/xmpp-websocket` until it ends; `query` is that of its URL.
    pub async fn websocket(&self, stream: impl Duplex, query: &str) {
        let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).read_buffer_size(8 * 1024);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let token = parameter(query, "token");
        let session = self.with(|state, now| state.open_session(token, now));
        let ending = Ending { jitsi: self, session };
        // A client that has gone needs no more of us.
        let _ = self.converse(&mut socket, session).await;
        drop(ending);
        let _ = socket.close(None).await;
    }

    async fn converse<S: Duplex>(&self, socket: &mut WebSocketStream<S>, session: SessionId) -> Result<(), Error> {
        loop {
            tokio::select! {
                biased;
                news = self.until(|state, now| look(state, session, now)) => {
                    let (messages, over) = match news {
                        News::Say(messages) => (messages, false),
                        News::Over(messages) => (messages, true),
                    };
                    for message in messages {
                        self.send(socket, message).await?;
                    }
                    if over {
                        return Ok(());
                    }
                }
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        self.with(|state, now: Instant| state.message(session, text.as_str(), now));
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(_)) | None => return Ok(()),
                    Some(Err(error)) => return Err(error),
                }
            }
        }
    }

    async fn send<S: Duplex>(&self, socket: &mut WebSocketStream<S>, text: String) -> Result<(), Error> {
        if !self.with(|state, _| state.setup.faults.fragments) {
            return socket.send(Message::text(text)).await;
        }
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(7).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { Data::Text } else { Data::Continue };
            let last = number + 1 == pieces.len();
            let frame = Frame::message(piece.to_vec(), OpCode::Data(kind), last);
            socket.send(Message::Frame(frame)).await?;
            socket.send(Message::Ping(vec![7].into())).await?;
        }
        Ok(())
    }
}

fn look(state: &mut super::state::State, session: SessionId, now: Instant) -> Option<News> {
    let Some(found) = state.sessions.get_mut(&session) else { return Some(News::Over(Vec::new())) };
    let messages: Vec<String> = found.outbox.drain(..).collect();
    if !messages.is_empty() {
        found.active = now;
    }
    match (found.over, messages.is_empty()) {
        (true, _) => Some(News::Over(messages)),
        (false, false) => Some(News::Say(messages)),
        (false, true) => None,
    }
}

/// The value of a query's parameter, percent-decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = || u8::from_str_radix(std::str::from_utf8(more.get(..2)?).ok()?, 16).ok();
        if let (b'%', Some(byte)) = (first, hex()) {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}
