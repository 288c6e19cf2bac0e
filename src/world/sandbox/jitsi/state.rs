//! All that the emulated Jitsi knows, and its timers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use str0m::rtp::RtpPacket;
use tokio::time::Instant;

use super::Census;
use super::bridge::Bridge;
use super::hello;
use super::prosody::Session;
use super::room::Room;
use super::setup::Setup;

/// One of Prosody's client sessions.
pub(super) type SessionId = u64;

pub(super) struct State {
    pub(super) setup: Setup,
    pub(super) chance: StdRng,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) bridge: Bridge,
    /// The machines in memory, by the addresses of their sockets.
    pub(super) sockets: BTreeMap<SocketAddr, Inbox>,
    /// Datagrams for sockets that are not in memory.
    pub(super) outgoing: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Whether a real UDP socket takes what is outgoing.
    pub(super) real_network: bool,
    pub(super) strayed: Vec<SocketAddr>,
    /// Somebody may wait for what has just happened.
    pub(super) news: bool,
    timers: BTreeMap<(Instant, u64), Timer>,
    counter: u64,
}

/// What has arrived at a socket.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    /// ICMP "unreachable" messages, by the address that they are about.
    pub(super) refusals: VecDeque<SocketAddr>,
}

/// Something that happens later.
pub(super) enum Timer {
    Arrive {
        from: SocketAddr,
        at: SocketAddr,
        datagram: Vec<u8>,
    },
    Return {
        from: SocketAddr,
        to: SocketAddr,
        datagram: Vec<u8>,
    },
    FocusReady {
        session: SessionId,
        room: String,
        answer: String,
    },
    /// A conference that nobody has joined.
    Unjoined(String),
    /// Somebody did not say what it can do.
    DiscoSilent {
        room: String,
        nick: String,
    },
    Invite {
        room: String,
        nick: String,
    },
    /// Somebody is alone.
    Lone(String),
    Throw {
        room: String,
        nick: String,
    },
    BridgeAppears,
    BridgeRestarts,
    BridgeDies,
    BridgeMissed,
    /// The first participant of each room is brought to another bridge.
    Moves,
    Replace {
        room: String,
        nick: String,
    },
    /// A packet that the bridge was slow about.
    Forward {
        sender: u64,
        packet: Box<RtpPacket>,
    },
    Cut(SessionId),
    /// Nothing may have been said for too long.
    Quiet(SessionId),
}

impl State {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            chance: StdRng::seed_from_u64(setup.seed),
            bridge: Bridge::default(),
            setup,
            sessions: BTreeMap::new(),
            rooms: BTreeMap::new(),
            sockets: BTreeMap::new(),
            outgoing: VecDeque::new(),
            real_network: false,
            strayed: Vec::new(),
            news: false,
            timers: BTreeMap::new(),
            counter: 0,
        }
    }

    pub(super) fn census(&self) -> Census {
        Census { sessions: self.sessions.len(), rooms: self.rooms.len(), endpoints: self.bridge.endpoints.len() }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(super) fn later(&mut self, at: Instant, timer: Timer) {
        let number = self.number();
        self.timers.insert((at, number), timer);
    }

    /// When something happens next.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let timer = self.timers.first_key_value().map(|((at, _), _)| *at);
        [timer, self.bridge.next_event()].into_iter().flatten().min()
    }

    /// Lets everything happen that is due, each at its own time.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(at) = self.next_event().filter(|at| *at <= now) {
            match self.timers.first_key_value() {
                Some(((due, _), _)) if *due <= at => {
                    if let Some((_, timer)) = self.timers.pop_first() {
                        self.happen(timer, at);
                    }
                }
                Some(_) | None => self.bridge_time(at),
            }
        }
    }

    fn happen(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Arrive { from, at, datagram } => self.bridge_receives(from, at, &datagram, now),
            Timer::Return { from, to, datagram } => self.bring(from, to, datagram),
            Timer::FocusReady { session, room, answer } => self.focus_ready(session, &room, answer, now),
            Timer::Unjoined(room) => self.unjoined(&room),
            Timer::DiscoSilent { room, nick } => self.disco_silent(&room, &nick, now),
            Timer::Invite { room, nick } => self.invite(&room, &nick, now),
            Timer::Lone(room) => self.lone(&room),
            Timer::Throw { room, nick } => self.throw(&room, &nick, now),
            Timer::BridgeAppears => self.bridge_appears(now),
            Timer::BridgeRestarts => self.bridge_restarts(now),
            Timer::BridgeDies => self.bridge_dies(now),
            Timer::BridgeMissed => self.bridge_missed(),
            Timer::Moves => self.move_first(now),
            Timer::Replace { room, nick } => self.replace(&room, &nick, now),
            Timer::Forward { sender, packet } => self.forward(sender, &packet, now),
            Timer::Cut(session) => self.cut(session),
            Timer::Quiet(session) => self.quiet(session, now),
        }
    }

    /// A participant's machine sends a datagram.
    pub(super) fn datagram(&mut self, from: SocketAddr, at: SocketAddr, datagram: Vec<u8>, now: Instant) {
        let faults = &self.setup.faults;
        if !self.setup.doors.contains(&at) {
            if !self.strayed.contains(&at) {
                self.strayed.push(at);
            }
            return;
        }
        if faults.port_closed {
            if let Some(inbox) = self.sockets.get_mut(&from) {
                inbox.refusals.push_back(at);
                self.news = true;
            }
            return;
        }
        let is_media = matches!(datagram.first(), Some(128..=191));
        let lost = is_media && faults.loss > 0.0 && self.chance.random_bool(faults.loss);
        let cut = faults.cut_udp.is_some_and(|cut| cut.there && self.bridge.is_cut(cut, now));
        if faults.blocked_in || cut || lost || (faults.dtls_dropped && hello::is_dtls(&datagram)) {
            return;
        }
        match self.way(is_media) {
            Duration::ZERO => self.bridge_receives(from, at, &datagram, now),
            way => self.later(now + way, Timer::Arrive { from, at, datagram }),
        }
    }

    /// The bridge sends a datagram, from the address where it was talked to.
    pub(super) fn answer(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>, now: Instant) {
        let faults = &self.setup.faults;
        let cut = faults.cut_udp.is_some_and(|cut| cut.back && self.bridge.is_cut(cut, now));
        if faults.blocked_out || cut || (faults.dtls_dropped && hello::is_dtls(&datagram)) {
            return;
        }
        let is_media = matches!(datagram.first(), Some(128..=191));
        let slow = if is_media { self.slowness() } else { Duration::ZERO };
        match self.way(is_media) + slow {
            Duration::ZERO => self.bring(from, to, datagram),
            way => self.later(now + way, Timer::Return { from, to, datagram }),
        }
    }

    /// How long a datagram is on its way. Media alone jitters: the timers of SCTP hang on chance that is not ours.
    fn way(&mut self, is_media: bool) -> Duration {
        let (delay, jitter) = (self.setup.faults.delay, self.setup.faults.jitter);
        let delay = if self.real_network { delay } else { delay + self.setup.way };
        if jitter.is_zero() || !is_media { delay } else { delay + self.chance.random_range(Duration::ZERO..=jitter) }
    }

    /// How long the bridge takes over a packet when more people are there than it can serve.
    fn slowness(&self) -> Duration {
        let limit = self.setup.faults.slow_above.unwrap_or(usize::MAX);
        let beyond = self.bridge.endpoints.len().saturating_sub(limit);
        Duration::from_millis(2) * u32::try_from(beyond).unwrap_or(u32::MAX)
    }

    fn bring(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        self.news = true;
        match self.sockets.get_mut(&to) {
            Some(inbox) => inbox.datagrams.push_back((from, datagram)),
            None if self.real_network => self.outgoing.push_back((to, datagram)),
            // The socket was closed in the meantime.
            None => {}
        }
    }
}
