//! The bridge channel: on a data channel beside the media, or on the bridge's own WebSocket.

use futures_util::{SinkExt, StreamExt};
use hyper::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Jitsi;
use super::endpoint::Heard;
use super::setup::{ChannelFault, ChannelOffer};
use super::state::State;
use crate::world::Duplex;

const PATH: &str = "/colibri-ws/";

/// Whether this is the way to the bridge's WebSocket.
pub(super) fn is_channel(uri: &Uri) -> bool {
    uri.path().starts_with(PATH)
}

impl State {
    pub(super) fn offers_sctp(&self) -> bool {
        matches!(self.setup.faults.channel, ChannelOffer::Sctp | ChannelOffer::Both)
    }

    /// The address of an endpoint's WebSocket, when the bridge has one.
    pub(super) fn channel_url(&self, room: &str, endpoint: &str, ufrag: &str) -> Option<String> {
        let own = || format!("wss://{}", self.setup.web);
        let base = self.setup.faults.channel_at.map_or_else(own, str::to_owned);
        matches!(self.setup.faults.channel, ChannelOffer::WebSocket | ChannelOffer::Both)
            .then(|| format!("{base}{PATH}jvb1/{room}/{endpoint}?pwd={ufrag}"))
    }

    /// The endpoint that a WebSocket's address is for.
    fn channel_of(&self, uri: &Uri) -> Option<u64> {
        let mut parts = uri.path().strip_prefix(PATH)?.split('/').skip(1);
        let (room, id) = (parts.next()?, parts.next()?);
        let password = uri.query()?.strip_prefix("pwd=")?;
        let mut all = self.bridge.endpoints.iter();
        all.find(|(_, e)| e.room == room && e.id == id && e.ufrag == password).map(|(key, _)| *key)
    }

    /// What an endpoint has heard on its data channel.
    pub(super) fn channel_heard(&mut self, key: u64, heard: Heard, now: Instant) {
        let faults = &self.setup.faults;
        let given = match heard {
            Heard::Opened(channel) if faults.channel_fault == ChannelFault::Refuses => {
                self.bridge.endpoints.get_mut(&key).map(|e| e.close_channel(channel, now))
            }
            Heard::Opened(_) => None,
            Heard::Said(channel, text) => {
                let answer = self.channel_answer(key, &text);
                answer.and_then(|text| self.bridge.endpoints.get_mut(&key).map(|e| e.tell(channel, &text, now)))
            }
        };
        self.give(key, given, now);
    }

    /// What the bridge answers, whatever carries it.
    fn channel_answer(&mut self, key: u64, text: &str) -> Option<String> {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        match message["colibriClass"].as_str() {
            Some("ClientHello") => self.server_hello(),
            Some("ReceiverVideoConstraints") => {
                if let Some(endpoint) = self.bridge.endpoints.get_mut(&key) {
                    endpoint.wants_video = message["lastN"] != 0;
                }
                None
            }
            Some(_) | None => None,
        }
    }

    fn server_hello(&self) -> Option<String> {
        match self.setup.faults.channel_fault {
            ChannelFault::Works | ChannelFault::Refuses => {
                Some(json!({"colibriClass": "ServerHello", "version": "2.3.324"}).to_string())
            }
            ChannelFault::Silent => None,
            ChannelFault::Garbles => Some("<html><title>Welcome</title></html>".into()),
        }
    }
}

impl Jitsi {
    /// How the bridge refuses this WebSocket; `None` when it lets it in.
    pub(super) fn channel_refusal(&self, uri: &Uri) -> Option<StatusCode> {
        let (known, fault) = self.with(|state, _| (state.channel_of(uri), state.setup.faults.channel_fault));
        match known {
            Some(_) if fault != ChannelFault::Refuses => None,
            Some(_) | None => Some(StatusCode::FORBIDDEN),
        }
    }

    /// Serves an endpoint's WebSocket until it ends. The bridge greets first.
    pub(super) async fn channel(&self, stream: impl Duplex, uri: &Uri) {
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let Some(key) = self.with(|state, _| state.channel_of(uri)) else { return };
        let mut answer = self.with(|state, _| state.server_hello());
        loop {
            if let Some(text) = answer.take()
                && socket.send(Message::text(text)).await.is_err()
            {
                return;
            }
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    answer = self.with(|state, _| state.channel_answer(key, text.as_str()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(_) | Err(_)) | None => return,
            }
        }
    }
}
