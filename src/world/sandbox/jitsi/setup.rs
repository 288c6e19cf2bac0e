//! How the emulated Jitsi is set up, and what is wrong with it.

use std::net::SocketAddr;
use std::time::Duration;

use super::super::model::HOST;
use super::super::stories::Story;

/// The deployment.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `XMPP_DOMAIN`; all other names follow from it.
    pub domain: String,
    /// Host, and port if it is another than 443, of the web container.
    pub web: String,
    /// The bridge's own address: inside of its network.
    pub inside: SocketAddr,
    /// The addresses from which the network brings datagrams to the bridge.
    pub doors: Vec<SocketAddr>,
    /// What the bridge advertises.
    pub advertised: Vec<Advertised>,
    /// The payload types of Opus and of VP8, and the id of the audio level's header extension.
    pub opus: u8,
    pub vp8: u8,
    pub level_id: u8,
    /// How long a datagram is on its way when nothing is wrong; none on real sockets.
    pub way: Duration,
    pub seed: u64,
    pub faults: Faults,
}

/// An address that the bridge tells everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// As written in the candidate: need not be an address at all.
    pub ip: String,
    pub port: String,
    /// `host` or `srflx`.
    pub kind: &'static str,
}

impl Advertised {
    pub fn host(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_string(), port: address.port().to_string(), kind: "host" }
    }

    pub fn public(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_string(), port: address.port().to_string(), kind: "srflx" }
    }
}

impl Setup {
    /// A bridge at `inside`, reachable and advertised at `public` as well.
    pub fn new(inside: SocketAddr, public: SocketAddr) -> Self {
        Self {
            domain: "meet.jitsi".into(),
            web: "meet.example.org".into(),
            inside,
            doors: vec![inside, public],
            advertised: vec![Advertised::host(inside), Advertised::public(public)],
            opus: 111,
            vp8: 100,
            level_id: 1,
            way: Duration::from_millis(9),
            seed: 1,
            faults: Faults::default(),
        }
    }

    #[must_use]
    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    pub(super) fn muc(&self) -> String {
        format!("muc.{}", self.domain)
    }

    pub(super) fn focus(&self) -> String {
        format!("focus.{}", self.domain)
    }

    pub(super) fn focus_jid(&self) -> String {
        format!("focus@auth.{}", self.domain)
    }
}

/// An answer that refuses: a condition, a text, and an element beside the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub condition: &'static str,
    pub text: &'static str,
    pub extra: &'static str,
}

impl Refusal {
    pub const fn new(condition: &'static str, text: &'static str, extra: &'static str) -> Self {
        Self { condition, text, extra }
    }
}

/// How a focus brings a participant to another bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A `session-terminate` that says "success", and a new `session-initiate`: jicofo's default.
    Restart,
    /// The same, with another reason and the mark that asks to come again.
    Marked,
    /// A new `session-initiate` without a word about the old session.
    Initiate,
    /// A `transport-replace` in the same session.
    Replace,
}

/// A time in which UDP does not get through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub after: Duration,
    pub lasts: Duration,
    /// Toward the bridge.
    pub there: bool,
    /// And back.
    pub back: bool,
}

/// How participants sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SignIn {
    #[default]
    Anonymous,
    /// Anonymous, with this token.
    Token(String),
    /// With a user name and a password only.
    Password,
}

/// What the bridge offers as its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOffer {
    /// A data channel, to those who can open one.
    #[default]
    Sctp,
    WebSocket,
    /// Both; the browser has the choice.
    Both,
    Nothing,
}

/// What becomes of a channel that is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelFault {
    #[default]
    Works,
    /// It is closed at once, or not let in.
    Refuses,
    /// It is never answered.
    Silent,
    /// It answers with something else than the bridge's words.
    Garbles,
}

/// What is wrong; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Faults {
    /// nginx answers 502 for Prosody.
    pub prosody_down: bool,
    /// `config.js` names no WebSocket, and nginx answers `/xmpp-websocket` with the app's page.
    pub websocket_off: bool,
    /// nginx answers `/xmpp-websocket` with the app's page although `config.js` names it.
    pub websocket_blocked: bool,
    pub channel: ChannelOffer,
    pub channel_fault: ChannelFault,
    /// The address of the bridge's WebSocket, up to its path, when it is not the page's own.
    pub channel_at: Option<&'static str>,
    /// `config.js` lets browsers prefer the bridge's WebSocket.
    pub prefers_websocket: bool,
    pub sign_in: SignIn,
    /// Local parts are not UUIDs, as stock Prosody gives them.
    pub odd_addresses: bool,
    /// Every element comes in fragments, with pings in between.
    pub fragments: bool,
    /// Said instead of the first stream features.
    pub features: Option<String>,
    /// nginx ends a WebSocket over which nothing has gone either way for so long (`proxy_read_timeout`).
    pub read_limit: Option<Duration>,
    /// Prosody does not answer pings from so long after the login on.
    pub deaf_after: Option<Duration>,
    /// Prosody ends the stream with this condition once the session is bound.
    pub stream_error: Option<&'static str>,

    pub focus_down: bool,
    pub focus_hangs: bool,
    /// So many requests are answered with `ready='false'`.
    pub not_ready: u32,
    pub request: Option<Refusal>,
    pub visitor_node: Option<&'static str>,

    pub join: Option<Refusal>,
    /// The room answers nothing.
    pub join_hangs: bool,
    pub room_limit: Option<usize>,
    /// Everybody is put out of the room so long after joining.
    pub thrown_after: Option<Duration>,

    pub no_bridge: bool,
    /// A missing bridge appears after this time.
    pub bridge_after: Option<Duration>,
    pub allocation_hangs: bool,
    pub invites_first_only: bool,
    /// The invitation is taken back at once, with this reason.
    pub takes_back: Option<&'static str>,
    /// Sent instead of the `<jingle>` of a session-initiate.
    pub offer: Option<String>,
    pub start_muted: bool,
    pub accept: Option<Refusal>,
    pub accept_hangs: bool,

    /// Datagrams do not get to the bridge.
    pub blocked_in: bool,
    /// Datagrams do not get back from the bridge.
    pub blocked_out: bool,
    /// Whoever sends to an advertised address is told that nothing listens there.
    pub port_closed: bool,
    /// The bridge has another password than it says.
    pub wrong_password: bool,
    pub dtls_dropped: bool,
    pub wrong_fingerprint: bool,
    pub forwarding_off: bool,
    /// The offer has no video, whatever participants can do.
    pub video_off: bool,
    /// Up to so many participants the bridge keeps up; each one more costs every packet two milliseconds.
    pub slow_above: Option<usize>,
    /// The part of the media that gets lost on the way to the bridge.
    pub loss: f64,
    /// Each way, on top of the usual.
    pub delay: Duration,
    /// At most so much more, differently for each datagram.
    pub jitter: Duration,
    /// For each datagram that comes in, so many meaningless ones go out.
    pub flood: u32,

    /// The focus moves the first participant to another bridge so long after the first media, in this way.
    pub moves: Option<(Duration, Move)>,
    /// How long the focus takes from taking an offer back until the next one.
    pub moving: Duration,
    /// UDP ends so long after the first media, in these directions, for so long.
    pub cut_udp: Option<Cut>,
    /// The bridge dies so long after the first media, and no other is there.
    pub bridge_dies: Option<Duration>,
    /// Nothing is forwarded until so long after the first participant came to the bridge.
    pub cold: Duration,
    /// The first packets of each new participant are forwarded at once when so much time is over; the first half of them
    /// is lost.
    pub late: Duration,
    /// Only so many participants of a room are forwarded: those who were announced first.
    pub loudest: Option<usize>,
    /// The bridge offers its addresses to every participant in another order.
    pub shuffled: bool,
    /// The room domain of the focus, when it is not the one that everybody else uses.
    pub focus_rooms: Option<&'static str>,
    /// The address that `config.js` names for the WebSocket, instead of the deployment's own.
    pub websocket: Option<&'static str>,

    /// The bridge forgets everybody so long after the first media, and the focus invites anew. So many times.
    pub restarts: u32,
    pub restart_after: Duration,
    /// Every WebSocket is cut so long after it was bound.
    pub cut_after: Option<Duration>,
}

impl Faults {
    /// Whether nginx passes `/xmpp-websocket` on to Prosody.
    pub(in super::super) fn passes_websockets(&self) -> bool {
        !self.websocket_off && !self.websocket_blocked
    }

    /// The line of `config.js` that names the WebSocket.
    pub(in super::super) fn websocket_line(&self) -> String {
        if self.websocket_off {
            return String::new();
        }
        let own = format!("wss://{HOST}/' + subdir + 'xmpp-websocket");
        format!("config.websocket = '{}';\n", self.websocket.unwrap_or(&own))
    }
}

impl Setup {
    /// This deployment as the story has it.
    #[must_use]
    pub fn story(mut self, story: Story) -> Self {
        (story.jitsi)(&mut self);
        self
    }
}
