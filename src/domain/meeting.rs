//! What a proof of a meeting has shown: facts, and what a failure means to an operator.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

pub use super::finding::{Code, Finding, Weight};
use super::ramp::{Ramp, Sender};
use super::{maybe_seconds, seconds};

/// How far a participant has come; in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Names, TCP, TLS and the WebSocket.
    Connect,
    /// SASL and binding.
    Login,
    /// The conference request.
    Request,
    /// The room.
    Join,
    /// The bridge's offer, brought by the focus.
    Invite,
    /// L1: an authenticated answer of the bridge over UDP.
    Reach,
    /// Our answer to the offer.
    Accept,
    /// L2: ICE and DTLS.
    Secure,
    /// The bridge channel.
    Channel,
    /// L3: packets from one participant to another.
    Media,
    /// Out of the room again.
    Leave,
}

impl Stage {
    pub const fn next(self) -> Option<Self> {
        Some(match self {
            Self::Connect => Self::Login,
            Self::Login => Self::Request,
            Self::Request => Self::Join,
            Self::Join => Self::Invite,
            Self::Invite => Self::Reach,
            Self::Reach => Self::Accept,
            Self::Accept => Self::Secure,
            // The channel is opened beside the media.
            Self::Secure | Self::Channel => Self::Media,
            Self::Media => Self::Leave,
            Self::Leave => return None,
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Login => "login",
            Self::Request => "request",
            Self::Join => "join",
            Self::Invite => "invite",
            Self::Reach => "reach",
            Self::Accept => "accept",
            Self::Secure => "secure",
            Self::Channel => "channel",
            Self::Media => "media",
            Self::Leave => "leave",
        }
    }
}

/// A stage that one participant has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// `a`, `b`, …
    pub participant: String,
    pub stage: Stage,
    /// Since the beginning of the proof.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
}

/// What became of one advertised candidate (L1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    pub participant: String,
    pub address: SocketAddr,
    pub outcome: Answer,
    #[serde(serialize_with = "maybe_seconds")]
    pub round_trip: Option<Duration>,
    /// How the bridge sees us.
    pub mapped: Option<SocketAddr>,
}

/// The answer to an authenticated STUN request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// With the bridge's password.
    Answered,
    /// Answered, but not by somebody who holds the bridge's password.
    Unauthentic,
    /// 401: the path works, the password is not the bridge's.
    WrongPassword,
    /// 487.
    RoleConflict,
    /// Another STUN error.
    Refused {
        code: u16,
    },
    /// ICMP: the host is there, nothing listens on that port.
    Unreachable,
    /// This machine has no way there.
    NoRoute {
        why: String,
    },
    /// Very many datagrams, none of which is an answer.
    Floods,
    Silent,
}

/// How media became secure for one participant (L2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secured {
    pub participant: String,
    /// From the answer to the offer until ICE selected a pair.
    #[serde(serialize_with = "seconds")]
    pub ice: Duration,
    /// From there until DTLS was done.
    #[serde(serialize_with = "seconds")]
    pub dtls: Duration,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// As ICE measures it.
    #[serde(serialize_with = "maybe_seconds")]
    pub round_trip: Option<Duration>,
}

/// What carries the bridge channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// A data channel, beside the media.
    Sctp,
    /// The bridge's own WebSocket.
    WebSocket,
}

impl Carrier {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sctp => "SCTP",
            Self::WebSocket => "WebSocket",
        }
    }
}

/// How one participant's channel to the bridge opened: by it a receiver asks for video.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channeled {
    pub participant: String,
    pub carrier: Carrier,
    /// From the beginning of the opening until the bridge has answered our hello.
    #[serde(serialize_with = "seconds")]
    pub answered: Duration,
    /// As the bridge says it.
    pub version: Option<String>,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    #[default]
    Audio,
    Video,
}

/// Packets of one participant, as they arrived at another (L3).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flow {
    pub from: String,
    pub to: String,
    pub medium: Medium,
    pub sent: u32,
    pub received: u32,
    pub lost: u32,
    pub reordered: u32,
    pub duplicated: u32,
    /// By RTCP, at the sender.
    #[serde(serialize_with = "maybe_seconds")]
    pub round_trip: Option<Duration>,
    #[serde(serialize_with = "maybe_seconds")]
    pub transit_median: Option<Duration>,
    #[serde(serialize_with = "maybe_seconds")]
    pub transit_p95: Option<Duration>,
    /// From the first packet that was sent to the first that arrived.
    #[serde(serialize_with = "maybe_seconds")]
    pub audible_after: Option<Duration>,
    /// When nothing of it arrived for a second or more, and when the focus moved somebody.
    pub silences: Vec<Silence>,
}

/// A time in which nothing of a stream arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Since the first packet was sent.
    #[serde(serialize_with = "seconds")]
    pub from: Duration,
    /// `None`: to the end.
    #[serde(serialize_with = "maybe_seconds")]
    pub lasted: Option<Duration>,
    /// The focus invited a participant anew meanwhile.
    pub moved: bool,
}

impl Flow {
    /// In percent of what was sent.
    pub fn loss(&self) -> f64 {
        if self.sent == 0 { 100.0 } else { f64::from(self.lost) * 100.0 / f64::from(self.sent) }
    }
}

/// All that a proof has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Proof {
    /// The room's local part.
    pub room: String,
    pub stages: Vec<Passed>,
    /// Candidates that were advertised and left alone, such as private addresses.
    pub left_out: Vec<String>,
    pub reached: Vec<Reached>,
    pub secured: Vec<Secured>,
    pub channels: Vec<Channeled>,
    pub flows: Vec<Flow>,
    /// How the machine that sends has kept up, once anybody has spoken.
    pub sender: Option<Sender>,
    /// What a growing load has shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// The first thing that went wrong; `None` when packets crossed the bridge.
    pub finding: Option<Finding>,
    pub warnings: Vec<Finding>,
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// How many fresh rooms it took.
    pub tries: u32,
    /// The proof before this one, in the same run, failed in the same way.
    pub repeated: bool,
}

impl Proof {
    /// When each participant passed a stage, from the first to the last.
    pub fn passed(&self, stage: Stage) -> Vec<Duration> {
        let mut all: Vec<Duration> = self.stages.iter().filter(|p| p.stage == stage).map(|p| p.at).collect();
        all.sort_unstable();
        all
    }

    /// How many participants there are, as far as they have come in.
    pub fn participants(&self) -> usize {
        let all: std::collections::BTreeSet<_> = self.stages.iter().map(|p| &p.participant).collect();
        all.len()
    }

    /// Whether everybody has passed a stage.
    pub fn is_past(&self, stage: Stage) -> bool {
        let passed = self.passed(stage).len();
        passed > 0 && passed == self.participants()
    }

    /// The addresses that were tried over UDP.
    pub fn tried(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = self.reached.iter().map(|r| r.address.ip()).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
