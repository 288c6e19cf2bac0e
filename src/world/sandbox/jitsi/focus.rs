//! The focus: holds conferences, learns what participants can do, invites them.

use std::time::Duration;

use roxmltree::Node;
use tokio::time::Instant;

use super::prosody::escaped;
use super::room::{Asked, Room};
use super::setup::Move;
use super::state::{SessionId, State, Timer};

const FOCUS: &str = "http://jitsi.org/protocol/focus";
const DISCO: &str = "http://jabber.org/protocol/disco#info";
const JINGLE: &str = "urn:xmpp:jingle:1";
/// What a participant can do that did not say so.
const DEFAULT_FEATURES: [&str; 3] =
    ["urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video", "urn:xmpp:jingle:transports:dtls-sctp:1"];
const JOINING: Duration = Duration::from_millis(60);
const ALLOCATING: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(15);
const LONELINESS: Duration = Duration::from_secs(20);
/// From a bridge's death until the focus has noticed and found it again.
pub(super) const NOTICING: Duration = Duration::from_secs(2);

impl State {
    pub(super) fn conference_request(&mut self, id: SessionId, iq: Node<'_, '_>, now: Instant) {
        let faults = self.setup.faults.clone();
        if iq.attribute("type") != Some("set") || faults.focus_hangs {
            return;
        }
        if faults.focus_down {
            return self.refuse_iq(id, iq, "service-unavailable", "", "");
        }
        if let Some(refusal) = faults.request {
            return self.refuse_iq(id, iq, refusal.condition, refusal.text, refusal.extra);
        }
        let conference = iq.children().find(|c| c.has_tag_name((FOCUS, "conference")));
        let room = conference.and_then(|c| c.attribute("room")).and_then(|r| r.split_once('@'));
        let Some((name, domain)) = room else {
            return self.refuse_iq(id, iq, "bad-request", "", "");
        };
        if domain != faults.focus_rooms.map_or_else(|| self.setup.muc(), str::to_owned) {
            // It waits for its own join of a room where it never gets in.
            return;
        }
        if conference.and_then(|c| c.attribute("machine-uid")).is_none() {
            return self.refuse_iq(id, iq, "not-acceptable", "", "<session-invalid xmlns='http://jitsi.org/jitmeet'/>");
        }
        let ready = faults.not_ready == 0;
        self.setup.faults.not_ready = faults.not_ready.saturating_sub(1);
        let node = faults.visitor_node.map(|node| format!(" vnode='{node}'")).unwrap_or_default();
        let answer = format!(
            "<iq xmlns='jabber:client' type='result' id='{}' from='{}'><conference xmlns='{FOCUS}' \
             room='{name}@{}' ready='{ready}' focusjid='{}'{node}><property name='authentication' value='false'/>\
             <property name='visitors-supported' value='false'/></conference></iq>",
            escaped(iq.attribute("id").unwrap_or_default()),
            self.setup.focus(),
            self.setup.muc(),
            self.setup.focus_jid(),
        );
        if ready {
            let timer = Timer::FocusReady { session: id, room: name.to_owned(), answer };
            self.later(now + JOINING, timer);
        } else {
            self.say(id, answer);
        }
    }

    /// The focus is in the room, and answers.
    pub(super) fn focus_ready(&mut self, session: SessionId, room: &str, answer: String, now: Instant) {
        if !self.sessions.contains_key(&session) {
            return;
        }
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.to_owned(), Room::default());
            self.later(now + PATIENCE, Timer::Unjoined(room.to_owned()));
        }
        self.say(session, answer);
    }

    pub(super) fn unjoined(&mut self, room: &str) {
        if self.rooms.get(room).is_some_and(|r| r.occupants.is_empty()) {
            self.rooms.remove(room);
        }
    }

    /// Somebody has come in.
    pub(super) fn focus_meets(&mut self, room: &str, nick: &str, now: Instant) {
        let Some(place) = self.rooms.get_mut(room) else { return };
        let Some(caps) = place.occupant(nick).map(|occupant| occupant.caps.clone()) else { return };
        let known = caps.as_ref().and_then(|caps| place.known_hashes.get(caps).cloned());
        if known.is_some() {
            if let Some(occupant) = place.occupant(nick) {
                occupant.features = known;
            }
            return self.invite_if_company(room, now);
        }
        let node = caps.map(|c| format!(" node='{}'", escaped(&c))).unwrap_or_default();
        self.focus_asks(room, nick, "get", &format!("<query xmlns='{DISCO}'{node}/>"), Asked::Disco(nick.to_owned()));
        self.later(now + PATIENCE, Timer::DiscoSilent { room: room.to_owned(), nick: nick.to_owned() });
    }

    pub(super) fn disco_silent(&mut self, room: &str, nick: &str, now: Instant) {
        let Some(occupant) = self.rooms.get_mut(room).and_then(|r| r.occupant(nick)) else { return };
        if occupant.features.is_none() {
            occupant.features = Some(DEFAULT_FEATURES.map(str::to_owned).to_vec());
            self.invite_if_company(room, now);
        }
    }

    /// Somebody has gone.
    pub(super) fn focus_loses(&mut self, room: &str, now: Instant) {
        match self.rooms.get(room).map(|r| r.occupants.len()) {
            Some(0) => {
                self.rooms.remove(room);
            }
            Some(1) => self.later(now + LONELINESS, Timer::Lone(room.to_owned())),
            _ => {}
        }
    }

    pub(super) fn lone(&mut self, room: &str) {
        let Some(place) = self.rooms.get_mut(room) else { return };
        let [only] = place.occupants.as_mut_slice() else { return };
        let Some(sid) = only.sid.take() else { return };
        let nick = only.nick.clone();
        self.take_back(room, &nick, &sid, "expired");
    }

    fn take_back(&mut self, room: &str, nick: &str, sid: &str, reason: &str) {
        self.expire(room, nick);
        let text = if reason == "general-error" { "<text>jingle session failed</text>" } else { "" };
        let jingle = format!(
            "<jingle xmlns='{JINGLE}' action='session-terminate' sid='{sid}'><reason><{reason}/>{text}</reason></jingle>"
        );
        self.focus_asks(room, nick, "set", &jingle, Asked::Other);
    }

    /// With two in the room, everybody who can is invited.
    fn invite_if_company(&mut self, room: &str, now: Instant) {
        let faults = self.setup.faults.clone();
        let Some(place) = self.rooms.get_mut(room) else { return };
        if place.occupants.len() < 2 {
            return;
        }
        if faults.no_bridge {
            if !std::mem::replace(&mut place.no_bridge, true) {
                self.tell_of_bridge(room);
                if let Some(after) = faults.bridge_after {
                    self.later(now + after, Timer::BridgeAppears);
                }
            }
            return;
        }
        let waiting = place.occupants.iter().filter(|o| o.features.is_some() && o.sid.is_none());
        let mut nicks: Vec<String> = waiting.map(|o| o.nick.clone()).collect();
        if faults.invites_first_only {
            let first = place.occupants.first().map(|o| o.nick.clone());
            nicks.retain(|nick| Some(nick) == first.as_ref());
        }
        for nick in nicks.into_iter().filter(|_| !faults.allocation_hangs) {
            self.later(now + ALLOCATING, Timer::Invite { room: room.to_owned(), nick });
        }
    }

    fn tell_of_bridge(&mut self, room: &str) {
        let presence = self.focus_presence(room);
        let sessions: Vec<SessionId> =
            self.rooms.get(room).into_iter().flat_map(|r| &r.occupants).map(|o| o.session).collect();
        for session in sessions {
            self.say(session, presence.clone());
        }
    }

    pub(super) fn bridge_appears(&mut self, now: Instant) {
        self.setup.faults.no_bridge = false;
        let names: Vec<String> = self.rooms.keys().cloned().collect();
        for name in names {
            if let Some(room) = self.rooms.get_mut(&name) {
                room.no_bridge = false;
            }
            self.tell_of_bridge(&name);
            self.invite_if_company(&name, now);
        }
    }

    /// The bridge is gone, and there is no other to invite anybody to.
    pub(super) fn bridge_missed(&mut self) {
        let names: Vec<String> = self.rooms.keys().cloned().collect();
        for name in names {
            let Some(room) = self.rooms.get_mut(&name) else { continue };
            room.no_bridge = true;
            let invited: Vec<(String, String)> =
                room.occupants.iter_mut().filter_map(|o| Some((o.nick.clone(), o.sid.take()?))).collect();
            for (nick, sid) in invited {
                self.take_back(&name, &nick, &sid, "success");
            }
            self.tell_of_bridge(&name);
        }
    }

    pub(super) fn invite_everybody_anew(&mut self, now: Instant) {
        let mut again = Vec::new();
        for (name, room) in &mut self.rooms {
            for occupant in &mut room.occupants {
                occupant.sid = None;
                again.push(Timer::Invite { room: name.clone(), nick: occupant.nick.clone() });
            }
        }
        for timer in again {
            self.later(now + NOTICING, timer);
        }
    }

    /// The load is moved: the first participant of each room comes to another bridge.
    pub(super) fn move_first(&mut self, now: Instant) {
        let Some((_, how)) = self.setup.faults.moves else { return };
        let at = now + self.setup.faults.moving.max(ALLOCATING);
        let firsts =
            self.rooms.iter().filter_map(|(name, room)| Some((name.clone(), room.occupants.first()?.nick.clone())));
        for (room, nick) in firsts.collect::<Vec<_>>() {
            let Some(occupant) = self.rooms.get_mut(&room).and_then(|r| r.occupant(&nick)) else { continue };
            let Some(sid) = occupant.sid.clone() else { continue };
            if how != Move::Replace {
                occupant.sid = None;
            }
            match how {
                Move::Restart => self.take_back(&room, &nick, &sid, "success"),
                Move::Marked => {
                    self.expire(&room, &nick);
                    let jingle = format!(
                        "<jingle xmlns='{JINGLE}' action='session-terminate' sid='{sid}'><reason><gone/></reason>\
                         <bridge-session xmlns='{FOCUS}' restart='true'/></jingle>"
                    );
                    self.focus_asks(&room, &nick, "set", &jingle, Asked::Other);
                }
                Move::Initiate | Move::Replace => self.expire(&room, &nick),
            }
            match how {
                Move::Replace => self.later(at, Timer::Replace { room, nick }),
                Move::Restart | Move::Marked | Move::Initiate => self.later(at, Timer::Invite { room, nick }),
            }
        }
    }

    /// The other bridge has allocated: its transport goes out, in the same session.
    pub(super) fn replace(&mut self, room: &str, nick: &str, now: Instant) {
        let sid = self.rooms.get_mut(room).and_then(|r| r.occupant(nick)).and_then(|o| o.sid.clone());
        let Some(sid) = sid else { return };
        let key = self.allocate(room, nick, now);
        let jingle = self.bridge.endpoints.get(&key).map(|e| self.offer(e, &sid, &[])).unwrap_or_default();
        let jingle = jingle.replace("session-initiate", "transport-replace");
        self.focus_asks(room, nick, "set", &jingle, Asked::Other);
    }

    /// The bridge has allocated: the offer goes out.
    pub(super) fn invite(&mut self, room: &str, nick: &str, now: Instant) {
        let sid = self.word(12);
        let Some(occupant) = self.rooms.get_mut(room).and_then(|r| r.occupant(nick)) else { return };
        if occupant.sid.replace(sid.clone()).is_some() {
            occupant.sid = Some(sid);
            return;
        }
        let features = occupant.features.clone().unwrap_or_default();
        let key = self.allocate(room, nick, now);
        let jingle = match self.setup.faults.offer.clone() {
            Some(offer) => offer.replace("SID", &sid),
            None => self.bridge.endpoints.get(&key).map(|e| self.offer(e, &sid, &features)).unwrap_or_default(),
        };
        self.focus_asks(room, nick, "set", &jingle, Asked::Invite(nick.to_owned()));
        if let Some(reason) = self.setup.faults.takes_back {
            self.take_back(room, nick, &sid, reason);
        }
    }

    /// What a participant asks or answers.
    pub(super) fn focus_iq(&mut self, id: SessionId, room: &str, nick: &str, iq: Node<'_, '_>, now: Instant) {
        match iq.attribute("type") {
            Some("result" | "error") => self.answered(room, iq, now),
            Some("set") => match iq.children().find(|c| c.has_tag_name((JINGLE, "jingle"))) {
                Some(jingle) => self.jingle(id, room, nick, iq, jingle, now),
                None => self.refuse_iq(id, iq, "service-unavailable", "", ""),
            },
            _ => self.refuse_iq(id, iq, "service-unavailable", "", ""),
        }
    }

    fn answered(&mut self, room: &str, iq: Node<'_, '_>, now: Instant) {
        let failed = iq.attribute("type") == Some("error");
        let Some(place) = self.rooms.get_mut(room) else { return };
        // An id that was changed on the way is nobody's.
        match place.asked.remove(iq.attribute("id").unwrap_or_default()) {
            Some(Asked::Disco(nick)) => {
                let features: Vec<String> = iq
                    .descendants()
                    .filter(|n| n.has_tag_name((DISCO, "feature")))
                    .filter_map(|n| n.attribute("var").map(str::to_owned))
                    .collect();
                let caps = place.occupant(&nick).and_then(|occupant| {
                    occupant.features = Some(features.clone());
                    occupant.caps.clone()
                });
                place.known_hashes.extend(caps.map(|caps| (caps, features)));
                self.invite_if_company(room, now);
            }
            Some(Asked::Invite(nick)) if failed => {
                if let Some(occupant) = place.occupant(&nick) {
                    occupant.sid = None;
                }
                self.expire(room, &nick);
            }
            Some(Asked::Invite(_) | Asked::Other) | None => {}
        }
    }

    fn jingle(&mut self, id: SessionId, room: &str, nick: &str, iq: Node<'_, '_>, jingle: Node<'_, '_>, now: Instant) {
        let Some(occupant) = self.rooms.get_mut(room).and_then(|r| r.occupant(nick)) else { return };
        if occupant.sid.is_none() || jingle.attribute("sid") != occupant.sid.as_deref() {
            return self.refuse_iq(id, iq, "item-not-found", "unknown session", "");
        }
        match jingle.attribute("action") {
            Some("session-accept") => self.session_accept(id, room, nick, iq, jingle, now),
            Some("transport-accept") => {
                let (ssrc, video) = (occupant.ssrc.unwrap_or_default(), occupant.video);
                match super::offer::transport_answer(jingle, ssrc, video) {
                    Ok(answer) => {
                        self.acknowledge(id, iq);
                        self.bridge_accepts(room, nick, answer, now);
                    }
                    Err(why) => self.refuse_iq(id, iq, "bad-request", why, ""),
                }
            }
            Some("session-terminate") => {
                occupant.sid = None;
                self.expire(room, nick);
                self.acknowledge(id, iq);
            }
            _ => self.acknowledge(id, iq),
        }
    }

    fn acknowledge(&mut self, id: SessionId, iq: Node<'_, '_>) {
        let question = escaped(iq.attribute("id").unwrap_or_default());
        let from = escaped(iq.attribute("to").unwrap_or_default());
        self.say(id, format!("<iq xmlns='jabber:client' type='result' id='{question}' from='{from}'/>"));
    }

    fn session_accept(
        &mut self,
        id: SessionId,
        room: &str,
        nick: &str,
        iq: Node<'_, '_>,
        jingle: Node<'_, '_>,
        now: Instant,
    ) {
        if self.setup.faults.accept_hangs {
            return;
        }
        if let Some(refusal) = self.setup.faults.accept {
            return self.refuse_iq(id, iq, refusal.condition, refusal.text, refusal.extra);
        }
        let answer = match super::offer::answer(jingle) {
            Ok(answer) => answer,
            Err(why) => return self.refuse_iq(id, iq, "bad-request", why, ""),
        };
        let Some(place) = self.rooms.get_mut(room) else { return };
        if place.occupants.iter().any(|o| o.nick != nick && o.ssrc == Some(answer.ssrc)) {
            return self.refuse_iq(id, iq, "bad-request", "SSRC is in use", "");
        }
        let (ssrc, video) = (answer.ssrc, answer.video);
        if let Some(occupant) = place.occupant(nick) {
            (occupant.ssrc, occupant.video) = (Some(ssrc), video);
        }
        let accepted = place.occupants.iter().filter(|o| o.nick != nick && o.ssrc.is_some());
        let others: Vec<(String, String)> = accepted.filter_map(|o| Some((o.nick.clone(), o.sid.clone()?))).collect();
        self.acknowledge(id, iq);
        self.bridge_accepts(room, nick, answer, now);
        for (other, sid) in others {
            let added = super::offer::source_add(&sid, nick, ssrc, video);
            self.focus_asks(room, &other, "set", &added, Asked::Other);
        }
    }
}
