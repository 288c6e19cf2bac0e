//! One participant, driven: its WebSocket, its state machine, its sockets.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::ask::{Ask, Limits};
use super::board::Board;
use super::plan::Place;
use super::report::Report;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::Stage;
use crate::probe::meeting::accept::Answering;
use crate::probe::meeting::{Act, Offer, Participant, Waiting};
use crate::probe::wire::Door;
use crate::probe::xmpp::Element;
use crate::probe::xmpp::login::stream_end;
use crate::probe::xmpp::socket::Socket;

/// How long the room may take to say that we are out of it.
const OWN_ECHO: Duration = Duration::from_secs(2);

/// How often an open stream is pinged, whatever is waited for: browsers do the same, and proxies end a WebSocket that is
/// quiet for a minute.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// Longer than any run.
const NEVER: Duration = Duration::from_hours(24);

/// How long a broken connection is read for the reason.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a participant stops what it does.
pub(super) enum Halt {
    Failed(Box<Finding>),
    /// The focus has made a new offer.
    Replaced(Box<Offer>),
    /// The focus has taken its offer back to make a new one.
    Withdrawn,
}

impl From<Finding> for Halt {
    fn from(finding: Finding) -> Self {
        Self::Failed(Box::new(finding))
    }
}

/// A participant with its connection.
pub(super) struct Seat<'a> {
    pub ask: &'a Ask,
    pub board: &'a Board,
    pub report: &'a Report<'a>,
    pub place: &'a Place,
    participant: Participant,
    socket: Socket,
    waiting: (Waiting, Instant),
    next_ping: Instant,
    passed: Option<Stage>,
    ask_again: bool,
    offer: Option<Box<Offer>>,
    left: bool,
}

impl<'a> Seat<'a> {
    /// Connects and opens the stream.
    pub(super) async fn take(
        door: &Door<'_>,
        path: &str,
        ask: &'a Ask,
        board: &'a Board,
        report: &'a Report<'a>,
        place: &'a Place,
    ) -> Result<Self, Finding> {
        let participant = Participant::new(place.seat.clone());
        let opening = Socket::open(door, path, &place.seat.room, place.seat.token.as_ref());
        let mut socket =
            timeout(ask.limits.connect, opening).await.unwrap_or_else(|_| Err(Finding::new(Code::WebsocketSilent)))?;
        report.passed(place, Stage::Connect);
        socket.send(&participant.open()).await?;
        let waiting = (participant.waiting(), Instant::now());
        Ok(Self {
            ask,
            board,
            report,
            place,
            participant,
            socket,
            waiting,
            next_ping: Instant::now() + NEVER,
            passed: None,
            ask_again: false,
            offer: None,
            left: false,
        })
    }

    fn limits(&self) -> &'a Limits {
        &self.ask.limits
    }

    /// From the login to the offer.
    pub(super) async fn enter(&mut self) -> Result<Box<Offer>, Halt> {
        self.until(Stage::Login).await?;
        if self.place.first {
            self.turn().await?;
            self.request().await?;
        } else {
            self.others_first().await?;
            self.turn().await?;
            if self.place.seat.token.is_some() {
                self.request().await?;
            }
        }
        let join = self.participant.join();
        self.send(&join).await?;
        self.until(Stage::Join).await?;
        let (index, focus) = (self.place.index, self.participant.focus_jid().map(str::to_owned));
        self.board.tell(|s| {
            s.seats[index].in_room = true;
            s.seats[index].focus_jid = focus;
        });
        self.offered().await
    }

    /// Waits until the first participant is in the room, and learns from it who the focus is.
    async fn others_first(&mut self) -> Result<(), Halt> {
        let (board, first) = (self.board, self.place.room.start);
        self.attend(board.until(|s| s.seats[first].in_room)).await?;
        let focus = board.look().seats[first].focus_jid.clone();
        if let Some(jid) = focus {
            self.participant.trust_focus(&jid);
        }
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Halt> {
        let turn = self.board.join_turn(self.limits().join_spacing);
        self.attend(sleep_until(turn)).await
    }

    /// Asks for the conference until it is ready, with growing pauses.
    async fn request(&mut self) -> Result<(), Halt> {
        let give_up = Instant::now() + self.limits().wait;
        let mut pause = Duration::from_secs(1);
        loop {
            let request = self.participant.request();
            self.send(&request).await?;
            self.ask_again = false;
            while self.passed < Some(Stage::Request) && !self.ask_again {
                self.next().await?;
            }
            if !self.ask_again {
                return Ok(());
            }
            if Instant::now() + pause > give_up {
                return Err(Finding::new(Code::FocusNeverReady).into());
            }
            self.attend(tokio::time::sleep(pause)).await?;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    /// Waits for the next offer.
    pub(super) async fn offered(&mut self) -> Result<Box<Offer>, Halt> {
        loop {
            if let Some(offer) = self.offer.take() {
                let index = self.place.index;
                self.board.tell(|s| s.seats[index].invited = true);
                return Ok(offer);
            }
            match self.next().await {
                Err(Halt::Replaced(offer)) => self.offer = Some(offer),
                Err(Halt::Withdrawn) => {}
                other => other?,
            }
        }
    }

    /// Answers the offer; the focus's own answer is awaited while the media is already under way.
    pub(super) async fn accept(&mut self, ours: &Answering) -> Result<(), Halt> {
        match self.participant.accept(ours) {
            Some(stanza) => self.send(&stanza).await,
            None => Ok(()),
        }
    }

    /// Goes on with the signalling until this work is done.
    pub(super) async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Halt> {
        let mut work = pin!(work);
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                message = self.socket.receive() => self.take_in(message?).await?,
                () = sleep_until(due) => self.time_is_up().await?,
            }
        }
    }

    async fn until(&mut self, stage: Stage) -> Result<(), Halt> {
        while self.passed < Some(stage) {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits for one more message.
    async fn next(&mut self) -> Result<(), Halt> {
        let due = self.due();
        let message = tokio::select! {
            biased;
            message = self.socket.receive() => message?,
            () = sleep_until(due) => return self.time_is_up().await,
        };
        self.take_in(message).await
    }

    fn due(&self) -> Instant {
        self.deadline().min(self.next_ping)
    }

    /// Either what is waited for is late, or the stream is to be pinged.
    async fn time_is_up(&mut self) -> Result<(), Halt> {
        let now = Instant::now();
        if self.deadline() <= now {
            return Err(self.participant.too_late().into());
        }
        self.next_ping = now + PING_INTERVAL;
        let ping = self.participant.ping()?;
        self.send(&ping).await
    }

    async fn take_in(&mut self, message: Element) -> Result<(), Halt> {
        let mut halt = Ok(());
        for act in self.participant.receive(&message) {
            match act {
                Act::Send(stanza) => self.send(&stanza).await?,
                Act::Passed(stage) => {
                    self.passed = self.passed.max(Some(stage));
                    if stage == Stage::Login {
                        self.next_ping = Instant::now() + PING_INTERVAL;
                    }
                    self.report.passed(self.place, stage);
                }
                Act::Offered(offer) => halt = Err(Halt::Replaced(offer)),
                Act::Withdrawn => halt = Err(Halt::Withdrawn),
                Act::AskAgain => self.ask_again = true,
                Act::Warn(finding) => self.board.note(|s| s.warnings.push(finding.of(&self.place.seat.label))),
                Act::Failed(finding) => return Err(finding.into()),
                Act::Left => self.left = true,
            }
        }
        self.note_waiting();
        halt
    }

    async fn send(&mut self, stanza: &Element) -> Result<(), Halt> {
        self.note_waiting();
        match self.socket.send(stanza).await {
            Ok(()) => Ok(()),
            Err(broken) => Err(self.last_words().await.unwrap_or(broken).into()),
        }
    }

    /// What the server said before it closed the connection under our hands.
    async fn last_words(&mut self) -> Option<Finding> {
        let reading = async {
            loop {
                match self.socket.receive().await.map(|message| stream_end(&message)) {
                    Ok(Some(end)) => return Some(end),
                    Ok(None) => {}
                    Err(_) => return None,
                }
            }
        };
        timeout(LAST_WORDS, reading).await.ok().flatten()
    }

    fn note_waiting(&mut self) {
        let waiting = self.participant.waiting();
        if waiting != self.waiting.0 {
            self.waiting = (waiting, Instant::now());
        }
    }

    /// When what is waited for is late.
    fn deadline(&self) -> Instant {
        let limits = self.limits();
        let limit = match self.waiting.0 {
            Waiting::Login(_) => limits.login,
            Waiting::Request(_) => limits.request,
            Waiting::Join => limits.join,
            Waiting::Invite => limits.invite,
            Waiting::Bridge => limits.wait,
            Waiting::Accept => limits.accept,
            Waiting::Left => limits.leave,
            Waiting::Nothing | Waiting::Company => NEVER,
        };
        self.waiting.1 + limit
    }

    /// Says farewell, whatever has happened, and waits a little for it to be heard.
    pub(super) async fn leave(&mut self) {
        let limit = self.limits().leave;
        // Whoever does not answer is left all the same; the closed WebSocket ends the session.
        let _ = timeout(limit, self.farewell()).await;
    }

    async fn farewell(&mut self) -> Result<(), Finding> {
        let parting = self.participant.leave();
        let joined = self.participant.waiting() == Waiting::Left;
        for stanza in &parting {
            self.socket.send(stanza).await?;
        }
        let heard = async {
            while joined && !self.left {
                let message = self.socket.receive().await?;
                for act in self.participant.receive(&message) {
                    match act {
                        Act::Send(stanza) => self.socket.send(&stanza).await?,
                        Act::Left => self.left = true,
                        _ => {}
                    }
                }
            }
            Ok::<_, Finding>(())
        };
        let heard = timeout(OWN_ECHO, heard).await;
        self.socket.send(&Participant::close()).await?;
        self.socket.close().await;
        heard.unwrap_or(Ok(()))
    }
}
