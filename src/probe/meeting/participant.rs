//! One participant: stanzas in, acts out. It holds no clock; `waiting` says what the driver should time.

mod presence;

use super::accept::{Answering, session_accept, session_terminate, transport_accept};
use super::offer::Offer;
use super::{Names, Token, caps, errors, stanzas};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::Stage;
use crate::probe::xmpp::login::{Login, Step, stream_end};
use crate::probe::xmpp::stanza::{self, is_error};
use crate::probe::xmpp::{Element, ns};

/// Who the participant is, and where it goes.
#[derive(Clone, Debug)]
pub struct Seat {
    pub names: Names,
    /// The room's local part.
    pub room: String,
    /// `a`, `b`, …
    pub label: String,
    /// The same for all participants of a run.
    pub machine_uid: String,
    pub token: Option<Token>,
    /// The SSRC of its video, when it sends and wants any.
    pub video: Option<u32>,
    /// Eight hex digits, for servers whose addresses do not begin with such.
    pub fallback_nick: String,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Act {
    Send(Element),
    Passed(Stage),
    /// Start the media with this offer; a second one replaces the first.
    Offered(Box<Offer>),
    /// The offer does not count any more; another one is on its way.
    Withdrawn,
    /// The conference is not ready: ask again after a while.
    AskAgain,
    Warn(Finding),
    Failed(Finding),
    /// Out of the room.
    Left,
}

/// What the participant waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The driver's next deed.
    Nothing,
    /// The next step of the login.
    Login(u8),
    Request(u32),
    Join,
    /// In the room, with nobody else but the focus.
    Company,
    Invite,
    /// In the room, and the focus says that it has no bridge.
    Bridge,
    Accept,
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Login,
    Bound,
    Requested,
    Ready,
    Joining,
    InRoom,
    Offered,
    Accepting,
    Accepted,
    Leaving,
    Left,
}

/// One participant's side of the signalling.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent things that it has seen")]
pub struct Participant {
    seat: Seat,
    login: Login,
    state: State,
    steps: u8,
    requests: u32,
    accepts: u32,
    pings: u32,
    /// The last ping has had no answer yet.
    pinged: bool,
    jid: String,
    nick: String,
    /// The real address of the focus, as the focus itself said.
    focus_jid: Option<String>,
    focus_here: bool,
    company: bool,
    no_bridge: bool,
    gone: bool,
    offer: Option<Offer>,
    /// The present offer came as another transport for the same session.
    same_session: bool,
    replaced: u32,
}

impl Participant {
    pub fn new(seat: Seat) -> Self {
        let login = Login::new(&seat.names.domain, seat.token.is_some());
        Self {
            login,
            nick: seat.fallback_nick.clone(),
            seat,
            state: State::Login,
            steps: 0,
            requests: 0,
            accepts: 0,
            pings: 0,
            pinged: false,
            jid: String::new(),
            focus_jid: None,
            focus_here: false,
            company: false,
            no_bridge: false,
            gone: false,
            offer: None,
            same_session: false,
            replaced: 0,
        }
    }

    #[cfg(test)]
    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// The name in the room: also the endpoint's id on the bridge.
    #[cfg(test)]
    pub(super) fn nick(&self) -> &str {
        &self.nick
    }

    pub fn focus_jid(&self) -> Option<&str> {
        self.focus_jid.as_deref()
    }

    /// Another participant has asked, and was told who the focus is.
    pub fn trust_focus(&mut self, jid: &str) {
        self.focus_jid = Some(jid.to_owned());
    }

    pub fn open(&self) -> Element {
        self.login.open()
    }

    pub fn request(&mut self) -> Element {
        self.state = State::Requested;
        self.requests += 1;
        stanzas::conference_request(&self.seat, &self.request_id())
    }

    pub fn join(&mut self) -> Element {
        self.state = State::Joining;
        stanzas::join(&self.seat, &self.nick)
    }

    /// Asks Prosody whether it is still there. An error is an answer too: only silence is none.
    pub fn ping(&mut self) -> Result<Element, Finding> {
        if self.pinged {
            return Err(Finding::new(Code::PingUnanswered));
        }
        self.pings += 1;
        self.pinged = true;
        let ping = Element::new("ping", ns::PING);
        Ok(stanza::question("get", &self.ping_id(), Some(&self.seat.names.domain), ping))
    }

    /// Answers the present offer; `None` when there is none.
    pub fn accept(&mut self, ours: &Answering) -> Option<Element> {
        let offer = self.offer.as_ref()?;
        let jingle = if self.same_session {
            transport_accept(offer, ours)
        } else {
            session_accept(offer, ours, &self.nick, &self.jid)
        };
        self.state = State::Accepting;
        self.accepts += 1;
        Some(stanza::question("set", &self.accept_id(), Some(&self.focus_in_room()), jingle))
    }

    /// All that is said when leaving, whatever has happened before.
    pub fn leave(&mut self) -> Vec<Element> {
        let mut farewell = Vec::new();
        if let Some(offer) = self.offer.take() {
            let jingle = session_terminate(&offer);
            farewell.push(stanza::question("set", "bye1", Some(&self.focus_in_room()), jingle));
        }
        self.state = match self.state {
            State::Login | State::Bound | State::Requested | State::Ready | State::Left => State::Left,
            State::Joining => {
                // Perhaps we are in already, perhaps we never will be: nobody may answer.
                farewell.push(stanzas::leave(&self.seat, &self.nick));
                State::Left
            }
            State::InRoom | State::Offered | State::Accepting | State::Accepted | State::Leaving => {
                farewell.push(stanzas::leave(&self.seat, &self.nick));
                State::Leaving
            }
        };
        farewell
    }

    /// The last message of the stream.
    pub fn close() -> Element {
        Element::new("close", ns::FRAMING)
    }

    pub fn waiting(&self) -> Waiting {
        match self.state {
            State::Login => Waiting::Login(self.steps),
            State::Requested => Waiting::Request(self.requests),
            State::Joining => Waiting::Join,
            State::InRoom if self.no_bridge => Waiting::Bridge,
            State::InRoom if !self.company => Waiting::Company,
            State::InRoom => Waiting::Invite,
            State::Accepting => Waiting::Accept,
            State::Leaving => Waiting::Left,
            State::Bound | State::Ready | State::Offered | State::Accepted | State::Left => Waiting::Nothing,
        }
    }

    /// What it means that nothing has come for too long.
    pub fn too_late(&self) -> Finding {
        let finding = Finding::new(match self.waiting() {
            Waiting::Nothing | Waiting::Left => Code::TimedOut,
            Waiting::Login(_) => Code::LoginSilent,
            Waiting::Request(_) => Code::FocusSilent,
            Waiting::Join => Code::JoinSilent,
            Waiting::Company | Waiting::Invite if self.gone => Code::SessionGone,
            Waiting::Company | Waiting::Invite => Code::InviteMissing,
            Waiting::Bridge => Code::NoBridge,
            Waiting::Accept => Code::AcceptSilent,
        });
        match finding.code {
            Code::FocusSilent => finding.detail(format!("asked for a room under {}", self.seat.names.muc)),
            _ => finding,
        }
    }

    pub fn receive(&mut self, message: &Element) -> Vec<Act> {
        if self.state != State::Leaving
            && let Some(end) = stream_end(message)
        {
            return vec![Act::Failed(end)];
        }
        if self.state == State::Login {
            return self.log_in(message);
        }
        if message.ns != ns::CLIENT {
            return Vec::new();
        }
        match message.name.as_str() {
            "iq" => self.iq(message),
            "presence" => self.presence(message),
            _ => Vec::new(),
        }
    }

    fn log_in(&mut self, message: &Element) -> Vec<Act> {
        match self.login.receive(message) {
            Step::Wait => Vec::new(),
            Step::Send(messages) => {
                self.steps += 1;
                messages.into_iter().map(Act::Send).collect()
            }
            Step::Failed(finding) => vec![Act::Failed(*finding)],
            Step::Bound(jid) => {
                self.state = State::Bound;
                self.nick = nick_of(&jid).unwrap_or_else(|| self.seat.fallback_nick.clone());
                self.jid = jid;
                vec![Act::Passed(Stage::Login)]
            }
        }
    }

    fn iq(&mut self, iq: &Element) -> Vec<Act> {
        let id = iq.attribute("id").unwrap_or_default();
        match iq.attribute("type") {
            Some("result" | "error") if self.state == State::Requested && id == self.request_id() => self.requested(iq),
            Some("result" | "error") if self.state == State::Accepting && id == self.accept_id() => self.accepted(iq),
            Some("result" | "error") if id == self.ping_id() => {
                self.pinged = false;
                Vec::new()
            }
            Some("get" | "set") => self.question(iq),
            Some(_) | None => Vec::new(),
        }
    }

    fn requested(&mut self, iq: &Element) -> Vec<Act> {
        if is_error(iq) {
            return vec![Act::Failed(errors::of_request(iq))];
        }
        let Some(conference) = iq.child("conference", ns::FOCUS) else {
            return vec![Act::Failed(Finding::new(Code::RequestRefused).evidence(iq.to_string()))];
        };
        if let Some(node) = conference.attribute("vnode") {
            return vec![Act::Failed(Finding::new(Code::VisitorRedirect).detail(node))];
        }
        if let Some(jid) = conference.attribute("focusjid") {
            self.focus_jid = Some(jid.to_owned());
        }
        if conference.attribute("ready") != Some("true") {
            self.state = State::Bound;
            return vec![Act::AskAgain];
        }
        self.state = State::Ready;
        vec![Act::Passed(Stage::Request)]
    }

    fn accepted(&mut self, iq: &Element) -> Vec<Act> {
        if !is_error(iq) {
            self.state = State::Accepted;
            return vec![Act::Passed(Stage::Accept)];
        }
        let finding = errors::of_accept(iq);
        if finding.code == Code::SessionGone {
            // Replaced: a new offer is on its way.
            self.gone = true;
            self.state = State::InRoom;
            return vec![Act::Withdrawn];
        }
        vec![Act::Failed(finding)]
    }

    fn question(&mut self, iq: &Element) -> Vec<Act> {
        if let Some(query) = iq.child("query", ns::DISCO_INFO) {
            let node = query.attribute("node");
            return vec![Act::Send(stanza::answer(iq).and(caps(self.seat.video.is_some()).disco(node)))];
        }
        if iq.child("ping", ns::PING).is_some() {
            return vec![Act::Send(stanza::answer(iq))];
        }
        match iq.child("jingle", ns::JINGLE) {
            Some(jingle) if self.is_of_focus(iq) => self.jingle(iq, jingle),
            Some(_) | None => vec![Act::Send(stanza::refusal(iq))],
        }
    }

    fn jingle(&mut self, iq: &Element, jingle: &Element) -> Vec<Act> {
        let action = jingle.attribute("action").unwrap_or_default();
        let known = self.offer.as_ref().is_some_and(|offer| jingle.attribute("sid") == Some(&offer.sid));
        if action == "transport-replace" && !known {
            return vec![Act::Send(stanza::refusal(iq))];
        }
        let mut acts = vec![Act::Send(stanza::answer(iq))];
        match action {
            "session-initiate" if !known => acts.extend(self.offered(Offer::read(jingle), jingle)),
            "transport-replace" => {
                let offer = self.offer.take().map_or_else(|| Offer::read(jingle), |offer| offer.moved(jingle));
                self.gone = true;
                acts.extend(self.offered(offer, jingle));
                self.same_session = true;
            }
            "session-terminate" => acts.extend(self.terminated(jingle)),
            _ => {}
        }
        acts
    }

    /// An offer is there: the first one, or one in the place of another.
    fn offered(&mut self, offer: Result<Offer, Box<Finding>>, jingle: &Element) -> Vec<Act> {
        if matches!(self.state, State::Leaving | State::Left) {
            return Vec::new();
        }
        let offer = match offer {
            Ok(offer) => offer,
            Err(finding) => return vec![Act::Failed(finding.evidence(jingle.to_string()))],
        };
        if self.offer.is_some() || self.gone {
            self.replaced += 1;
        }
        if self.replaced > 1 {
            return vec![Act::Failed(Finding::new(Code::BridgeUnstable))];
        }
        self.gone = false;
        self.same_session = false;
        self.no_bridge = false;
        self.state = State::Offered;
        self.offer = Some(offer.clone());
        let muted = offer.muted.then(|| Act::Warn(Finding::new(Code::MutedByPolicy)));
        muted.into_iter().chain([Act::Passed(Stage::Invite), Act::Offered(Box::new(offer))]).collect()
    }

    fn terminated(&mut self, jingle: &Element) -> Vec<Act> {
        let sid = jingle.attribute("sid");
        if matches!(self.state, State::Leaving | State::Left)
            || self.offer.as_ref().is_some_and(|o| Some(o.sid.as_str()) != sid)
        {
            return Vec::new();
        }
        let reason = jingle.child("reason", ns::JINGLE);
        let condition =
            reason.and_then(|r| r.children.iter().find(|c| c.name != "text")).map_or("", |c| c.name.as_str());
        let text = reason.and_then(|r| r.child("text", ns::JINGLE)).map_or("", |t| t.text.trim());
        self.offer = None;
        self.state = State::InRoom;
        let comes_again = jingle
            .child("bridge-session", ns::FOCUS)
            .is_some_and(|session| session.attribute("restart") == Some("true"));
        match condition {
            _ if comes_again => self.withdrawn(),
            "success" | "alternative-session" => self.withdrawn(),
            "expired" => vec![Act::Failed(Finding::new(Code::SessionExpired).detail(text))],
            _ => {
                let words = format!("{condition} {text}");
                let finding = Finding::new(Code::InviteFailed).detail(words.trim()).evidence(jingle.to_string());
                vec![Act::Failed(finding)]
            }
        }
    }

    /// The focus takes its offer back to make another: it moves the meeting to another bridge.
    fn withdrawn(&mut self) -> Vec<Act> {
        self.gone = true;
        vec![Act::Withdrawn]
    }

    fn is_of_focus(&self, iq: &Element) -> bool {
        self.focus_here && iq.attribute("from") == Some(&self.focus_in_room())
    }

    fn focus_in_room(&self) -> String {
        format!("{}@{}/focus", self.seat.room, self.seat.names.muc)
    }

    fn request_id(&self) -> String {
        format!("conf{}", self.requests)
    }

    fn ping_id(&self) -> String {
        format!("ping{}", self.pings)
    }

    fn accept_id(&self) -> String {
        format!("acc{}", self.accepts)
    }
}

/// What the web client does, and what the strict check of Prosody's module insists on.
fn nick_of(jid: &str) -> Option<String> {
    let first = jid.get(..8)?.to_ascii_lowercase();
    first.bytes().all(|b| b.is_ascii_hexdigit()).then_some(first)
}
