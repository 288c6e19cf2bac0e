//! Rooms: who is in, who hears of whom, and questions between occupants.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use roxmltree::Node;
use tokio::time::Instant;

use super::prosody::{error, escaped};
use super::state::{SessionId, State, Timer};

/// A room; it lives as long as the focus is in it.
#[derive(Default)]
pub(super) struct Room {
    pub(super) occupants: Vec<Occupant>,
    /// What the focus has asked, by the id that crossed the room.
    pub(super) asked: BTreeMap<String, Asked>,
    pub(super) no_bridge: bool,
    /// Capabilities that are known by their hash.
    pub(super) known_hashes: BTreeMap<String, Vec<String>>,
}

pub(super) struct Occupant {
    pub(super) session: SessionId,
    pub(super) nick: String,
    pub(super) jid: String,
    pub(super) caps: Option<String>,
    /// What it can do, once the focus knows.
    pub(super) features: Option<Vec<String>>,
    pub(super) sid: Option<String>,
    pub(super) ssrc: Option<u32>,
    /// The SSRC of its camera.
    pub(super) video: Option<u32>,
}

/// What an answer to the focus is about.
#[derive(Clone)]
pub(super) enum Asked {
    Disco(String),
    Invite(String),
    Other,
}

impl Room {
    pub(super) fn occupant(&mut self, nick: &str) -> Option<&mut Occupant> {
        self.occupants.iter_mut().find(|o| o.nick == nick)
    }
}

impl State {
    pub(super) fn room_presence(&mut self, id: SessionId, presence: Node<'_, '_>, now: Instant) {
        let to = presence.attribute("to").unwrap_or_default().to_owned();
        let Some((address, nick)) = to.split_once('/') else { return };
        let name = address.split('@').next().unwrap_or_default().to_owned();
        if presence.attribute("type") == Some("unavailable") {
            return self.leave_room(id, &name, now);
        }
        let inside = self.rooms.get(&name).is_some_and(|r| r.occupants.iter().any(|o| o.session == id));
        if inside || self.setup.faults.join_hangs {
            return;
        }
        if let Some((condition, text, extra)) = self.join_refusal(id, &name, nick) {
            let from = escaped(&to);
            let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
            let error = error(condition, text, extra);
            return self
                .say(id, format!("<presence xmlns='jabber:client' type='error' from='{from}'>{x}{error}</presence>"));
        }
        let caps = presence.children().find(|c| c.has_tag_name(("http://jabber.org/protocol/caps", "c")));
        let caps = caps.and_then(|c| Some(format!("{}#{}", c.attribute("node")?, c.attribute("ver")?)));
        self.enter_room(id, &name, nick, caps, now);
    }

    fn join_refusal(
        &self,
        id: SessionId,
        name: &str,
        nick: &str,
    ) -> Option<(&'static str, &'static str, &'static str)> {
        if let Some(refusal) = self.setup.faults.join {
            return Some((refusal.condition, refusal.text, refusal.extra));
        }
        let Some(room) = self.rooms.get(name) else {
            return Some(("not-allowed", "Room creation is restricted", ""));
        };
        let jid = self.sessions.get(&id).map(|s| s.jid.clone()).unwrap_or_default();
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let plain = nick.bytes().all(word) && nick.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !plain {
            return Some(("not-allowed", "Invalid resource", ""));
        }
        // What the strict check insists on.
        if !self.setup.faults.odd_addresses && !jid.starts_with(nick) {
            return Some(("not-allowed", "Invalid anonymous user ID", ""));
        }
        if room.occupants.iter().any(|o| o.nick == nick) {
            return Some(("conflict", "", ""));
        }
        let full = self.setup.faults.room_limit.is_some_and(|limit| room.occupants.len() >= limit);
        full.then_some(("service-unavailable", "", ""))
    }

    fn enter_room(&mut self, id: SessionId, name: &str, nick: &str, caps: Option<String>, now: Instant) {
        let jid = self.sessions.get(&id).map(|s| s.jid.clone()).unwrap_or_default();
        let Some(room) = self.rooms.get_mut(name) else { return };
        let features = None;
        room.occupants.push(Occupant {
            session: id,
            nick: nick.to_owned(),
            jid: jid.clone(),
            caps,
            features,
            sid: None,
            ssrc: None,
            video: None,
        });
        let others: Vec<(SessionId, String, String)> = room
            .occupants
            .iter()
            .filter(|o| o.session != id)
            .map(|o| (o.session, o.nick.clone(), o.jid.clone()))
            .collect();
        let focus = self.focus_presence(name);
        self.say(id, focus);
        for (session, other, other_jid) in others {
            let theirs = self.presence(name, &other, &other_jid, "");
            self.say(id, theirs);
            let ours = self.presence(name, nick, &jid, "");
            self.say(session, ours);
        }
        let domain = self.setup.domain.clone();
        self.say(
            id,
            format!(
                "<message xmlns='jabber:client' from='metadata.{domain}'>\
                 <room_metadata xmlns='http://jitsi.org/jitmeet'>{{&quot;metadata&quot;:{{}}}}</room_metadata></message>"
            ),
        );
        let ours = self.presence(name, nick, &jid, "<status code='100'/><status code='110'/>");
        self.say(id, ours);
        if let Some(after) = self.setup.faults.thrown_after {
            self.later(now + after, Timer::Throw { room: name.to_owned(), nick: nick.to_owned() });
        }
        self.focus_meets(name, nick, now);
    }

    fn presence(&self, room: &str, nick: &str, jid: &str, status: &str) -> String {
        let muc = self.setup.muc();
        format!(
            "<presence xmlns='jabber:client' from='{room}@{muc}/{nick}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='participant' jid='{jid}'/>{status}</x></presence>"
        )
    }

    pub(super) fn focus_presence(&self, room: &str) -> String {
        let (muc, focus) = (self.setup.muc(), self.setup.focus_jid());
        let no_bridge = self.rooms.get(room).is_some_and(|r| r.no_bridge);
        let marker = if no_bridge { "<bridgeNotAvailable xmlns='http://jitsi.org/protocol/focus'/>" } else { "" };
        format!(
            "<presence xmlns='jabber:client' from='{room}@{muc}/focus'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='owner' role='moderator' jid='{focus}/focus'/></x>{marker}</presence>"
        )
    }

    pub(super) fn throw(&mut self, room: &str, nick: &str, now: Instant) {
        let session = self.rooms.get_mut(room).and_then(|r| r.occupant(nick)).map(|o| o.session);
        if let Some(session) = session {
            self.leave_room(session, room, now);
        }
    }

    pub(super) fn leave_all_rooms(&mut self, id: SessionId, now: Instant) {
        let names: Vec<String> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.occupants.iter().any(|o| o.session == id))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.leave_room(id, &name, now);
        }
    }

    fn leave_room(&mut self, id: SessionId, name: &str, now: Instant) {
        let muc = self.setup.muc();
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(at) = room.occupants.iter().position(|o| o.session == id) else { return };
        let gone = room.occupants.remove(at);
        let others: Vec<SessionId> = room.occupants.iter().map(|o| o.session).collect();
        let nick = gone.nick;
        let unavailable = |status: &str| {
            format!(
                "<presence xmlns='jabber:client' type='unavailable' from='{name}@{muc}/{nick}'>\
                 <x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' role='none'/>{status}</x></presence>"
            )
        };
        self.say(id, unavailable("<status code='110'/>"));
        for other in others {
            self.say(other, unavailable(""));
        }
        self.expire(name, &nick);
        self.focus_loses(name, now);
    }

    /// A question to an occupant, or an answer to one.
    pub(super) fn room_iq(&mut self, id: SessionId, iq: Node<'_, '_>, now: Instant) {
        let to = iq.attribute("to").unwrap_or_default().to_owned();
        let Some((address, target)) = to.split_once('/') else { return };
        let name = address.split('@').next().unwrap_or_default().to_owned();
        let nick =
            self.rooms.get(&name).and_then(|r| r.occupants.iter().find(|o| o.session == id)).map(|o| o.nick.clone());
        match (nick, target) {
            (Some(nick), "focus") => self.focus_iq(id, &name, &nick, iq, now),
            (Some(_), _) => self.refuse_iq(id, iq, "service-unavailable", "", ""),
            (None, _) if matches!(iq.attribute("type"), Some("get" | "set")) => {
                self.refuse_iq(id, iq, "not-acceptable", "You are not currently connected to this chat", "");
            }
            (None, _) => {}
        }
    }

    /// Sends a question of the focus across the room, with an id that only the room understands.
    pub(super) fn focus_asks(&mut self, room: &str, nick: &str, kind: &str, payload: &str, about: Asked) {
        let noise: [u8; 24] = self.chance.random();
        // Such ids hold "+", "/" and "=": they are to be given back byte for byte.
        let id = format!("{}+/=", STANDARD.encode(noise));
        let muc = self.setup.muc();
        let Some(place) = self.rooms.get_mut(room) else { return };
        place.asked.insert(id.clone(), about);
        let Some(occupant) = place.occupant(nick) else { return };
        let (session, jid) = (occupant.session, occupant.jid.clone());
        self.say(
            session,
            format!(
                "<iq xmlns='jabber:client' type='{kind}' id='{id}' from='{room}@{muc}/focus' to='{jid}'>{payload}</iq>"
            ),
        );
    }
}
