//! What is asked of a proof, and within which limits.

use std::net::IpAddr;
use std::time::Duration;

use crate::probe::Sight;
use crate::probe::entrance::Resolver;
use crate::probe::meeting::{Names, Policy, Token};
use crate::probe::site::Site;

/// Rooms of the probe begin like this, so that nobody counts them as people.
pub const ROOM_PREFIX: &str = "meetctl-probe-";

/// What to prove, and where.
#[derive(Clone, Debug)]
pub struct Ask {
    pub site: Site,
    /// Where to connect to; empty: where the host name leads.
    pub addresses: Vec<IpAddr>,
    /// `None`: as the deployment's `config.js` says.
    pub names: Option<Names>,
    /// For the address that `config.js` gives, when it is another host's.
    pub resolver: Resolver,
    pub token: Option<Token>,
    pub candidates: Policy,
    /// The platform's public addresses, when known: the bridge should advertise one of them, and no other.
    pub expected: Vec<IpAddr>,
    pub room_prefix: String,
    pub participants: u16,
    pub room_size: u16,
    pub speakers: Speakers,
    /// Whether speakers have a camera as well.
    pub video: bool,
    pub limits: Limits,
    pub thresholds: Thresholds,
}

impl Ask {
    /// Two participants, of whom the first speaks for three seconds.
    pub fn new(site: Site) -> Self {
        Self {
            site,
            addresses: Vec::new(),
            names: None,
            resolver: Resolver::default(),
            token: None,
            candidates: Policy::Public,
            expected: Vec::new(),
            room_prefix: ROOM_PREFIX.to_owned(),
            participants: 2,
            room_size: 2,
            speakers: Speakers::First,
            video: false,
            limits: Limits::default(),
            thresholds: Thresholds::default(),
        }
    }

    /// What a platform's own proof asks for.
    pub fn at(sight: &Sight) -> Self {
        let resolver = Resolver { servers: sight.dns_servers.clone(), port: sight.dns_port };
        let ask = Self { resolver, token: sight.token.clone(), ..Self::new(sight.site.clone()) };
        match &sight.load {
            Some(load) => ask.under(load),
            None => ask,
        }
    }

    /// A rehearsal under a load, which decides how much may be lost.
    #[must_use]
    pub fn under(self, load: &Load) -> Self {
        let mut ask = self.rehearsal(load.participants, load.room_size, load.lasting);
        ask.video = load.video;
        ask.thresholds.loss_failure = load.max_loss;
        ask.thresholds.loss_warning = ask.thresholds.loss_warning.min(load.max_loss);
        ask
    }

    /// A load rehearsal: rooms of a given size, everybody speaks.
    #[must_use]
    pub fn rehearsal(mut self, participants: u16, room_size: u16, lasting: Duration) -> Self {
        self.participants = participants.max(2);
        self.room_size = room_size.clamp(2, self.participants);
        self.speakers = Speakers::Everybody;
        self.limits.speaking = lasting;
        self
    }

    /// A proof for whoever cannot wait as long: no step takes more than its part of the time.
    #[must_use]
    pub fn within(mut self, whole: Duration) -> Self {
        let limits = &mut self.limits;
        let step = whole * 2 / 3;
        limits.whole = limits.whole.min(whole);
        for limit in [
            &mut limits.connect,
            &mut limits.login,
            &mut limits.request,
            &mut limits.join,
            &mut limits.invite,
            &mut limits.accept,
            &mut limits.ice,
            &mut limits.dtls,
        ] {
            *limit = (*limit).min(step);
        }
        self
    }

    /// How many participants there are in fact: nobody is left alone in a room.
    pub fn seats(&self) -> usize {
        let (all, size) = (usize::from(self.participants.max(2)), usize::from(self.room_size.max(2)));
        if all % size == 1 { all + 1 } else { all }
    }
}

/// How many people are played in a rehearsal, and how much of what they say may be lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub participants: u16,
    pub room_size: u16,
    pub lasting: Duration,
    pub video: bool,
    /// In percent.
    pub max_loss: f64,
}

/// Who sends packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speakers {
    /// The first participant of each room.
    First,
    Everybody,
}

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All but speaking and the spacing of joins.
    pub whole: Duration,
    /// TCP, TLS and the WebSocket's upgrade.
    pub connect: Duration,
    /// Each answer in the login.
    pub login: Duration,
    /// Each conference request.
    pub request: Duration,
    /// How long to wait for a focus that is not ready, and for a bridge that is not there.
    pub wait: Duration,
    pub join: Duration,
    /// Between two joins: Prosody may allow three per second from one address.
    pub join_spacing: Duration,
    /// From being in company until the offer.
    pub invite: Duration,
    /// For each advertised address.
    pub reach: Duration,
    pub accept: Duration,
    pub ice: Duration,
    pub dtls: Duration,
    /// For the bridge channel, from its opening until the bridge's answer; beside the media.
    pub channel: Duration,
    /// After everybody is connected: the bridge may need a little longer than we do.
    pub settle: Duration,
    pub speaking: Duration,
    /// After the last packet was sent.
    pub listening: Duration,
    pub leave: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        let ms = Duration::from_millis;
        Self {
            whole: s(60),
            connect: s(10),
            login: s(5),
            request: s(20),
            wait: s(5),
            join: s(10),
            join_spacing: ms(400),
            invite: s(35),
            reach: s(3),
            accept: s(10),
            ice: s(15),
            dtls: s(10),
            channel: s(10),
            settle: ms(300),
            speaking: s(3),
            listening: s(1),
            leave: s(3),
        }
    }
}

/// From where on figures are bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// In percent.
    pub loss_warning: f64,
    pub loss_failure: f64,
    pub round_trip_warning: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { loss_warning: 5.0, loss_failure: 20.0, round_trip_warning: Duration::from_millis(300) }
    }
}
