//! The bridge: one UDP port, behind it the endpoints.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha1::Sha1;
use str0m::IceCreds;
use str0m::ice::{StunMessage, StunMessageBuilder};
use str0m::rtp::RtpPacket;
use tokio::time::Instant;

use super::endpoint::{Answer, Endpoint, Given};
use super::focus::NOTICING;
use super::setup::{Cut, Faults};
use super::state::{State, Timer};

/// The endpoints, and which address belongs to which of them.
#[derive(Default)]
pub(super) struct Bridge {
    pub(super) endpoints: BTreeMap<u64, Endpoint>,
    /// An address stays with the first endpoint it has talked to.
    pinned: BTreeMap<SocketAddr, u64>,
    /// When the first packet of all came.
    media_seen: Option<Instant>,
    /// When the first participant came.
    started: Option<Instant>,
    dead: bool,
    /// When the first endpoint is due, if that is known. Everybody who waits asks for it, at every event.
    earliest: Cell<Option<Instant>>,
    known: Cell<bool>,
}

impl Bridge {
    /// Whether UDP does not get through now.
    pub(super) fn is_cut(&self, cut: Cut, now: Instant) -> bool {
        self.media_seen.is_some_and(|seen| (seen + cut.after..seen + cut.after + cut.lasts).contains(&now))
    }

    pub(super) fn next_event(&self) -> Option<Instant> {
        if !self.known.replace(true) {
            self.earliest.set(self.endpoints.values().filter_map(|e| e.next).min());
        }
        self.earliest.get()
    }

    fn find(&self, room: &str, id: &str) -> Option<u64> {
        self.endpoints.iter().find(|(_, e)| e.room == room && e.id == id).map(|(key, _)| *key)
    }
}

impl State {
    /// Makes an endpoint, and returns its key.
    pub(super) fn allocate(&mut self, room: &str, nick: &str, now: Instant) -> u64 {
        let credentials = IceCreds { ufrag: self.word(9), pass: self.word(26) };
        let endpoint = Endpoint::allocate(nick, room, credentials, &self.setup, now);
        let key = self.number();
        self.bridge.endpoints.insert(key, endpoint);
        self.bridge.started.get_or_insert(now);
        self.bridge.known.set(false);
        key
    }

    pub(super) fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        (0..length).map(|_| char::from(LETTERS[self.chance.random_range(0..LETTERS.len())])).collect()
    }

    pub(super) fn expire(&mut self, room: &str, nick: &str) {
        while let Some(key) = self.bridge.find(room, nick) {
            self.bridge.endpoints.remove(&key);
            self.bridge.known.set(false);
            self.bridge.pinned.retain(|_, pinned| *pinned != key);
        }
    }

    pub(super) fn bridge_accepts(&mut self, room: &str, nick: &str, answer: Answer, now: Instant) {
        let Some(key) = self.bridge.find(room, nick) else { return };
        let given = self.bridge.endpoints.get_mut(&key).map(|e| e.accept(answer, now));
        self.give(key, given, now);
    }

    /// Lets the endpoints that are due act.
    pub(super) fn bridge_time(&mut self, now: Instant) {
        let due: Vec<u64> =
            self.bridge.endpoints.iter().filter(|(_, e)| e.next.is_some_and(|at| at <= now)).map(|(k, _)| *k).collect();
        for key in due {
            let given = self.bridge.endpoints.get_mut(&key).map(|e| e.time(now));
            self.give(key, given, now);
        }
    }

    /// A datagram arrives. From an unknown source only a check with a known ufrag counts; the rest gets no answer.
    pub(super) fn bridge_receives(&mut self, from: SocketAddr, at: SocketAddr, datagram: &[u8], now: Instant) {
        if self.bridge.dead {
            return;
        }
        for _ in 0..self.setup.faults.flood {
            self.answer(at, from, vec![0x40; 64], now);
        }
        let key = match self.bridge.pinned.get(&from) {
            Some(key) => *key,
            None => match self.stranger(datagram) {
                Some(key) => key,
                None => return,
            },
        };
        self.bridge.pinned.insert(from, key);
        let wrong_password = self.setup.faults.wrong_password;
        let Some(endpoint) = self.bridge.endpoints.get_mut(&key) else { return };
        endpoint.door = at;
        let given = if endpoint.accepted.is_some() && !wrong_password {
            endpoint.receive(from, datagram, now)
        } else {
            let pwd = if wrong_password { "another-password-entirely" } else { &endpoint.pwd };
            let answer = check_answer(datagram, pwd, from);
            Given { datagrams: answer.into_iter().map(|a| (from, a)).collect(), ..Given::default() }
        };
        self.give(key, Some(given), now);
    }

    fn stranger(&self, datagram: &[u8]) -> Option<u64> {
        let message = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
        let (ours, _) = message.split_username()?;
        self.bridge.endpoints.iter().find(|(_, e)| e.ufrag == ours).map(|(key, _)| *key)
    }

    /// Sends what an endpoint gives out, and forwards its packets.
    pub(super) fn give(&mut self, key: u64, given: Option<Given>, now: Instant) {
        self.bridge.known.set(false);
        let Some(given) = given else { return };
        let door = self.bridge.endpoints.get(&key).map(|e| e.door);
        for (to, datagram) in given.datagrams {
            if let Some(door) = door {
                self.answer(door, to, datagram, now);
            }
        }
        for heard in given.heard {
            self.channel_heard(key, heard, now);
        }
        for packet in given.packets {
            self.media_seen(now);
            let loud = self.is_loud(key);
            let Some(sender) = self.bridge.endpoints.get_mut(&key) else { continue };
            if !sender.lets_through(&packet) || self.setup.faults.forwarding_off || !loud {
                continue;
            }
            match self.held_back(key, now) {
                Some(Duration::ZERO) => self.forward(key, &packet, now),
                Some(late) => self.later(now + late, Timer::Forward { sender: key, packet: Box::new(packet) }),
                None => {}
            }
        }
    }

    /// Sends a packet on to everybody else in the room.
    pub(super) fn forward(&mut self, sender: u64, packet: &RtpPacket, now: Instant) {
        let of = self.bridge.endpoints.get(&sender).map(|e| (e.room.clone(), e.is_video(packet)));
        let Some((room, is_video)) = of else { return };
        let others = self.bridge.endpoints.iter().filter(|(k, e)| **k != sender && e.room == room && e.connected);
        // Nobody is sent video that nobody has asked for.
        let others = others.filter(|(_, e)| e.wants_video || !is_video);
        for other in others.map(|(k, _)| *k).collect::<Vec<_>>() {
            let given = self.bridge.endpoints.get_mut(&other).map(|e| e.forward(packet, now));
            self.give(other, given, now);
        }
    }

    /// How long a bridge that is not warm yet keeps a packet; `None`: it is lost.
    fn held_back(&mut self, sender: u64, now: Instant) -> Option<Duration> {
        let Faults { cold, late, .. } = self.setup.faults;
        if self.bridge.started.is_some_and(|started| now < started + cold) {
            return None;
        }
        let heard = *self.bridge.endpoints.get_mut(&sender)?.heard.get_or_insert(now);
        match (heard + late).saturating_duration_since(now) {
            wait if wait > late / 2 => None,
            wait => Some(wait),
        }
    }

    /// Whether a bridge that forwards the loudest only would choose this one.
    fn is_loud(&self, key: u64) -> bool {
        let Some(most) = self.setup.faults.loudest else { return true };
        let room = self.bridge.endpoints.get(&key).map(|e| &e.room);
        self.bridge.endpoints.iter().filter(|(_, e)| Some(&e.room) == room).take(most).any(|(k, _)| *k == key)
    }

    fn media_seen(&mut self, now: Instant) {
        if self.bridge.media_seen.is_some() {
            return;
        }
        self.bridge.media_seen = Some(now);
        let faults = &self.setup.faults;
        let restart = (faults.restarts > 0).then_some((faults.restart_after, Timer::BridgeRestarts));
        let moves = faults.moves.map(|(after, _)| (after, Timer::Moves));
        let dies = faults.bridge_dies.map(|after| (after, Timer::BridgeDies));
        for (after, timer) in [restart, moves, dies].into_iter().flatten() {
            self.later(now + after, timer);
        }
    }

    /// The bridge is gone; the focus notices, and has no other.
    pub(super) fn bridge_dies(&mut self, now: Instant) {
        self.bridge = Bridge { dead: true, ..Bridge::default() };
        self.setup.faults.no_bridge = true;
        self.later(now + NOTICING, Timer::BridgeMissed);
    }

    /// The bridge forgets everybody; the focus notices and invites anew.
    pub(super) fn bridge_restarts(&mut self, now: Instant) {
        self.setup.faults.restarts = self.setup.faults.restarts.saturating_sub(1);
        self.bridge = Bridge::default();
        self.invite_everybody_anew(now);
    }
}

/// What the bridge's check server answers before it knows the participant's credentials.
fn check_answer(datagram: &[u8], pwd: &str, from: SocketAddr) -> Option<Vec<u8>> {
    let message = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
    let builder = StunMessageBuilder::new().binding();
    let id = message.trans_id();
    let (answer, signed) = if message.prio().is_none() {
        (builder.failure().error_code(400, "Bad Request").build(id), false)
    } else if !message.verify(pwd.as_bytes(), sign) {
        (builder.failure().error_code(401, "Unauthorized").build(id), false)
    } else if message.ice_controlling().is_some() {
        (builder.failure().error_code(487, "Role Conflict").build(id), true)
    } else {
        (builder.success().xor_mapped_address(from).build(id), true)
    };
    let mut buffer = vec![0; 256];
    let length = answer.to_bytes(signed.then_some(pwd.as_bytes()), &mut buffer, sign).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return [0; 20] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
