//! Who is in the room, and whether we are.

use super::{Act, Participant, State};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::Stage;
use crate::probe::meeting::errors;
use crate::probe::xmpp::stanza::{bare, is_error, split};
use crate::probe::xmpp::{Element, ns};

impl Participant {
    pub(super) fn presence(&mut self, presence: &Element) -> Vec<Act> {
        let (local, domain, resource) = split(presence.attribute("from").unwrap_or_default());
        if local != Some(&self.seat.room) || domain != self.seat.names.muc {
            return Vec::new();
        }
        let gone = presence.attribute("type") == Some("unavailable");
        let myself = resource == Some(self.nick.as_str()) || has_status(presence, "110");
        match resource {
            _ if is_error(presence) => self.join_refused(presence),
            _ if myself && gone => self.out_of_room(presence),
            _ if myself => self.in_room(),
            Some("focus") if gone => self.focus_left(),
            Some("focus") => self.focus_seen(presence),
            Some(_) if !gone => {
                self.company = true;
                Vec::new()
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn join_refused(&self, presence: &Element) -> Vec<Act> {
        match self.state {
            State::Joining => vec![Act::Failed(errors::of_join(presence))],
            _ => Vec::new(),
        }
    }

    fn in_room(&mut self) -> Vec<Act> {
        if self.state != State::Joining {
            return Vec::new();
        }
        self.state = State::InRoom;
        if self.focus_here {
            vec![Act::Passed(Stage::Join)]
        } else {
            vec![Act::Failed(Finding::new(Code::RoomRestricted).detail("joined, and the focus is not in the room"))]
        }
    }

    fn out_of_room(&mut self, presence: &Element) -> Vec<Act> {
        if self.state == State::Leaving {
            self.state = State::Left;
            return vec![Act::Left];
        }
        self.state = State::Left;
        vec![Act::Failed(Finding::new(Code::Thrown).evidence(presence.to_string()))]
    }

    fn focus_seen(&mut self, presence: &Element) -> Vec<Act> {
        let item = presence.child("x", ns::MUC_USER).and_then(|x| x.child("item", ns::MUC_USER));
        let real = item.and_then(|i| i.attribute("jid"));
        if let (Some(real), Some(known)) = (real, self.focus_jid.as_deref())
            && bare(real) != bare(known)
        {
            // Somebody who only calls itself so.
            return Vec::new();
        }
        self.focus_here = true;
        self.no_bridge = presence.child("bridgeNotAvailable", ns::FOCUS).is_some();
        Vec::new()
    }

    fn focus_left(&mut self) -> Vec<Act> {
        if !self.focus_here || matches!(self.state, State::Leaving | State::Left) {
            return Vec::new();
        }
        self.focus_here = false;
        vec![Act::Failed(Finding::new(Code::InviteFailed).detail("the focus left the room"))]
    }
}

fn has_status(presence: &Element, code: &str) -> bool {
    presence
        .child("x", ns::MUC_USER)
        .is_some_and(|x| x.children("status", ns::MUC_USER).any(|s| s.attribute("code") == Some(code)))
}
