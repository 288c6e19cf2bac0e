//! The bridge's WebSocket, where the offer names one: reached the way a browser does.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Channel;
use crate::domain::finding::{Code, Finding, Weight};
use crate::probe::entrance::{self, Resolver, Shut};
use crate::probe::wire::{Door, Secured};

/// A bridge greets as soon as it is open. Only what comes after that can be the answer to our hello.
const GREETING: Duration = Duration::from_secs(1);
/// A bridge's messages grow with its rooms; the probe's are small.
const MESSAGE_LIMIT: usize = 256 * 1024;

/// The WebSocket of one participant.
pub(in super::super) struct WebSocket<'a> {
    /// The page's.
    pub door: Door<'a>,
    pub resolver: &'a Resolver,
    pub url: &'a str,
}

impl WebSocket<'_> {
    /// Opens it and holds the conversation. It never ends by itself: the bridge may have more to say.
    pub(in super::super) async fn converse(&self, channel: &mut Channel<'_>) -> Infallible {
        let late = channel.late;
        match timeout_at(late, self.open()).await {
            Err(_) => channel.too_late(),
            Ok(Err(finding)) => channel.failed(finding),
            Ok(Ok(mut stream)) => {
                if let Err(why) = talk(&mut stream, channel).await {
                    channel.refused(&why);
                }
            }
        }
        std::future::pending().await
    }

    async fn open(&self) -> Result<WebSocketStream<Secured>, Finding> {
        let refused = |why: &str| Finding::new(Code::ChannelRefused).detail(format!("{}: {why}", self.shown()));
        let endpoint = self.door.site.endpoint("wss", self.url).ok_or_else(|| refused("that is no address"))?;
        let addresses = match entrance::addresses(&endpoint, &self.door, self.resolver).await {
            Ok(addresses) => addresses,
            Err(Shut::ToEverybody(why)) => return Err(refused(&why)),
            Err(Shut::Unseen(why)) => {
                let detail = format!("{} cannot be looked up: {}", endpoint.host, why.why);
                return Err(Finding::new(Code::LocalTrouble).detail(detail));
            }
        };
        let door = Door { endpoint: Some(&endpoint), addresses: &addresses, ..self.door };
        let session = door.enter().await.map_err(Finding::from).map_err(|finding| match finding.weight() {
            Weight::NotApplicable => finding,
            Weight::Failure | Weight::Warning => refused(&finding.to_string()),
        })?;
        let url = format!("wss://{}{}", endpoint.authority(), endpoint.path);
        let request = url.into_client_request().map_err(|_| refused("that is no address"))?;
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_LIMIT)).read_buffer_size(8 * 1024);
        match client_async_with_config(request, session.stream, Some(config)).await {
            Ok((stream, _)) => Ok(stream),
            Err(Error::Http(response)) => Err(refused(&format!("HTTP {}", response.status()))),
            Err(error) => Err(refused(&error.to_string())),
        }
    }

    /// As far as it is the same for everybody: behind that come the room, the participant and a password.
    fn shown(&self) -> String {
        const PARTS: usize = 5;
        let open = self.url.split(['?', '#']).next().unwrap_or_default();
        crate::probe::quoted(&open.split('/').take(PARTS).collect::<Vec<_>>().join("/"))
    }
}

/// Says hello and listens; `Err` says how the bridge has ended it.
async fn talk(stream: &mut WebSocketStream<Secured>, channel: &mut Channel<'_>) -> Result<(), String> {
    let greeted = timeout_at(Instant::now() + GREETING, next(stream)).await;
    if let Ok(greeting) = greeted {
        channel.greeted(&greeting?);
    }
    for text in channel.greeting() {
        stream.send(Message::text(text)).await.map_err(|error| error.to_string())?;
    }
    loop {
        tokio::select! {
            biased;
            text = next(stream) => channel.hear(&text?),
            () = until(channel.deadline()) => channel.too_late(),
        }
    }
}

/// The next message; pings are answered on the way.
async fn next(stream: &mut WebSocketStream<Secured>) -> Result<String, String> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Binary(_))) => return Err("it answers with a binary message".into()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(Some(frame)))) => {
                let reason = crate::probe::quoted(&frame.reason);
                return Err(format!("it was closed with {} {reason}", u16::from(frame.code)).trim_end().to_owned());
            }
            Some(Ok(Message::Close(None))) | None => return Err("it was closed".into()),
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
