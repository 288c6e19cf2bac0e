//! What the focus offers for the bridge (session-initiate).

use std::net::{IpAddr, SocketAddr};

use super::candidates::{AMPLIFYING, is_special};
use crate::domain::finding::{Code, Finding};
use crate::probe::xmpp::{Element, ns};

const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// What an offer says that concerns us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub sid: String,
    pub initiator: Option<String>,
    pub ufrag: String,
    pub pwd: String,
    /// Such as `sha-256`.
    pub hash: String,
    pub fingerprint: String,
    /// The payload type of Opus.
    pub opus: u8,
    /// The id of the header extension for audio levels.
    pub level_id: Option<u8>,
    pub candidates: Vec<Candidate>,
    pub channels: Channels,
    /// The payload type of VP8; `None`: there is no video, or none in VP8.
    pub vp8: Option<u8>,
    pub bridge_session: Option<String>,
    /// The focus starts new participants muted.
    pub muted: bool,
}

/// Over what the bridge takes what a participant wants of it, as offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// A data channel over SCTP, on the way that media takes.
    pub sctp: bool,
    /// The address of a WebSocket. It holds a password.
    pub websocket: Option<String>,
}

/// The one that a browser opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    Sctp,
    WebSocket(&'a str),
}

impl Channels {
    /// As lib-jitsi-meet chooses: a data channel, unless `config.js` prefers the WebSocket and there is one.
    pub fn choose(&self, prefer_sctp: bool) -> Option<Channel<'_>> {
        match (&self.websocket, self.sctp) {
            (Some(url), sctp) if !(sctp && prefer_sctp) => Some(Channel::WebSocket(url)),
            (_, true) => Some(Channel::Sctp),
            (_, false) => None,
        }
    }
}

/// An address of the bridge, as advertised and not yet believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    pub component: String,
    pub protocol: String,
    pub ip: String,
    pub port: String,
}

impl Candidate {
    pub fn is_udp(&self) -> bool {
        self.component == "1" && self.protocol.eq_ignore_ascii_case("udp")
    }

    /// The address, or why nobody may send there.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let shown = || -> String { format!("{}:{}", self.ip, self.port).chars().take(80).collect() };
        let ip: IpAddr = self.ip.parse().map_err(|_| format!("{}: not an IP address", shown()))?;
        let port: u16 = self.port.parse().map_err(|_| format!("{}: not a port", shown()))?;
        match port {
            _ if is_special(ip) => Err(format!("{}: not the address of a host", shown())),
            // A bridge may use any port. Not those whose services answer strangers with more than they were sent.
            1.. if !AMPLIFYING.contains(&port) => Ok(SocketAddr::new(ip, port)),
            _ => Err(format!("{}: not a bridge's port", shown())),
        }
    }
}

impl Offer {
    /// Reads a `<jingle action='session-initiate'>`.
    pub fn read(jingle: &Element) -> Result<Self, Box<Finding>> {
        let sid = wanted(jingle.attribute("sid"), "sid")?;
        let audio = jingle.children("content", ns::JINGLE).find(|c| c.attribute("name") == Some("audio"));
        let audio = wanted(audio, "audio content")?;
        let description = wanted(audio.child("description", ns::RTP), "description")?;
        let transport = Transport::read(audio)?;
        Ok(Self {
            sid: sid.to_owned(),
            initiator: jingle.attribute("initiator").map(str::to_owned),
            ufrag: transport.ufrag,
            pwd: transport.pwd,
            hash: transport.hash,
            fingerprint: transport.fingerprint,
            opus: wanted(payload_type(description, "opus"), "payload type of Opus")?,
            level_id: extension(description, AUDIO_LEVEL),
            candidates: transport.candidates,
            channels: channels(jingle),
            vp8: vp8(jingle),
            bridge_session: bridge_session(jingle),
            muted: jingle
                .child("startmuted", ns::START_MUTED)
                .is_some_and(|muted| muted.attribute("audio") == Some("true")),
        })
    }

    /// This offer with the transport of a `<jingle action='transport-replace'>`: what is said stays, where to goes.
    pub fn moved(self, jingle: &Element) -> Result<Self, Box<Finding>> {
        let audio = jingle.children("content", ns::JINGLE).find(|c| c.attribute("name") == Some("audio"));
        let Transport { ufrag, pwd, hash, fingerprint, candidates } = Transport::read(wanted(audio, "audio content")?)?;
        let bridge_session = bridge_session(jingle).or(self.bridge_session);
        let websocket = self::channels(jingle).websocket.or(self.channels.websocket);
        let channels = Channels { websocket, ..self.channels };
        Ok(Self { ufrag, pwd, hash, fingerprint, candidates, channels, bridge_session, ..self })
    }
}

/// Where the bridge is, and how it shows that it is the one.
struct Transport {
    ufrag: String,
    pwd: String,
    hash: String,
    fingerprint: String,
    candidates: Vec<Candidate>,
}

impl Transport {
    fn read(content: &Element) -> Result<Self, Box<Finding>> {
        let transport = wanted(content.child("transport", ns::ICE_UDP), "transport")?;
        let fingerprint = wanted(transport.child("fingerprint", ns::DTLS), "fingerprint")?;
        Ok(Self {
            ufrag: wanted(credential(transport, "ufrag", 4), "ufrag")?,
            pwd: wanted(credential(transport, "pwd", 22), "pwd")?,
            hash: wanted(fingerprint.attribute("hash"), "fingerprint's hash")?.to_owned(),
            fingerprint: fingerprint.text.trim().to_owned(),
            candidates: transport.children("candidate", ns::ICE_UDP).map(candidate).collect(),
        })
    }
}

fn bridge_session(jingle: &Element) -> Option<String> {
    let session = jingle.child("bridge-session", ns::FOCUS)?;
    session.attribute("id").map(str::to_owned)
}

fn wanted<T>(found: Option<T>, what: &str) -> Result<T, Box<Finding>> {
    found.ok_or_else(|| Box::new(Finding::new(Code::OfferMalformed).detail(format!("no {what}"))))
}

/// An ICE credential: of at least `shortest` characters, and of a length that fits into a request.
fn credential(transport: &Element, name: &str, shortest: usize) -> Option<String> {
    let value = transport.attribute(name)?;
    let plain = value.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    (plain && (shortest..=256).contains(&value.len())).then(|| value.to_owned())
}

fn channels(jingle: &Element) -> Channels {
    let contents = || jingle.children("content", ns::JINGLE);
    let transports = contents().filter_map(|content| content.child("transport", ns::ICE_UDP));
    let mut urls = transports.filter_map(|t| t.child("web-socket", ns::COLIBRI)?.attribute("url"));
    Channels {
        sctp: contents().any(|content| content.attribute("name") == Some("data")),
        websocket: urls.next().map(str::to_owned),
    }
}

fn vp8(jingle: &Element) -> Option<u8> {
    let video = jingle.children("content", ns::JINGLE).find(|c| c.attribute("name") == Some("video"))?;
    payload_type(video.child("description", ns::RTP)?, "vp8")
}

fn payload_type(description: &Element, codec: &str) -> Option<u8> {
    description
        .children("payload-type", ns::RTP)
        .find(|p| p.attribute("name").is_some_and(|name| name.eq_ignore_ascii_case(codec)))?
        .attribute("id")?
        .parse()
        .ok()
        .filter(|id| *id < 128 && !(64..96).contains(id))
}

fn extension(description: &Element, uri: &str) -> Option<u8> {
    description
        .children("rtp-hdrext", ns::HDREXT)
        .find(|e| e.attribute("uri") == Some(uri))?
        .attribute("id")?
        .parse()
        .ok()
        .filter(|id| (1..=14).contains(id))
}

fn candidate(element: &Element) -> Candidate {
    let text = |name: &str| element.attribute(name).unwrap_or_default().to_owned();
    Candidate { component: text("component"), protocol: text("protocol"), ip: text("ip"), port: text("port") }
}
