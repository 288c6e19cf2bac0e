//! The media of one participant, from the first ICE check to the last counted packet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ask::Limits;
use super::board::Shared;
use super::peer::{Peer, Said};
use super::plan::{PACKET_INTERVAL, Place, Voice};
use super::report::Report;
use super::tally::Stamp;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Secured, Stage};
use crate::world::{Datagrams, NetError};

/// Between two looks at the peer's clock.
const SHORTEST: Duration = Duration::from_millis(1);
/// Datagrams that do not belong to the conversation, before it counts as a flood.
const MOST_STRAYS: u32 = 20_000;
const MOST_SOCKET_ERRORS: u32 = 1_000;
/// So many packets in a row that this machine does not send mean that it refuses to.
const MOST_UNSENT: u32 = 50;

/// Who talks with whom, and by what.
pub(super) struct Talk<'a> {
    pub report: &'a Report<'a>,
    pub limits: &'a Limits,
    pub place: &'a Place,
    pub socket: &'a dyn Datagrams,
    pub peer: Peer,
    pub voice: &'a mut Voice,
}

/// How far a conversation is.
struct Progress {
    began: Instant,
    ice: Option<Instant>,
    secure: Option<Instant>,
    reported: bool,
    /// When the peer was last told the time.
    ticked: Option<Instant>,
    /// From when on it speaks, and which packet is the first.
    speaks_from: Option<(Instant, u32)>,
    /// How many packets it has to send.
    to_send: u32,
    /// When the last packet of the whole meeting was sent.
    finished: Option<Instant>,
    strays: u32,
    errors: u32,
    /// Packets in a row that this machine did not send.
    unsent: u32,
}

impl Talk<'_> {
    /// Talks until the window is over for everybody. A participant that has to connect anew drops this.
    pub(super) async fn run(mut self) -> Result<(), Finding> {
        let mut changes = self.report.board.subscribe();
        let mut buffer = [0; 2000];
        let mut progress = Progress::new();
        loop {
            let timeout = self.drain(&mut progress).await?;
            if self.is_over(&mut changes, &mut progress) {
                break;
            }
            let speaking = self.speak_if_due(&mut progress);
            if speaking {
                continue;
            }
            let wake = self.wake(&progress, timeout)?;
            tokio::select! {
                biased;
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    progress.ticked = Some(now);
                    self.peer.time_is(now.into_std())?;
                }
                _ = changes.changed() => {}
                received = self.socket.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.take_in(&mut progress, from, &buffer[..length])?,
                    Err(error) => progress.trouble(&error)?,
                },
            }
        }
        self.peer.close();
        self.drain(&mut progress).await.map(|_| ()).or(Ok(()))
    }

    /// Sends and notes all that the peer has to say; returns when it wants to be called again.
    async fn drain(&mut self, progress: &mut Progress) -> Result<Instant, Finding> {
        loop {
            match self.peer.poll()? {
                Said::Until(at) => return Ok(Instant::from_std(at)),
                Said::Send(to, datagram) => match self.socket.send(to, &datagram).await {
                    Ok(()) => progress.unsent = 0,
                    Err(error) => progress.not_sent(&error)?,
                },
                Said::Ice => {
                    progress.ice.get_or_insert_with(Instant::now);
                }
                Said::Secure => {
                    progress.secure.get_or_insert_with(Instant::now);
                    self.report.passed(self.place, Stage::Secure);
                    self.report.board.connected(self.place.index, self.limits.settle);
                    self.voice.connected_anew(Instant::now());
                }
                Said::Packet(payload) => self.hear(&payload),
                Said::Pair { local, remote, round_trip } => self.note_pair(progress, local, remote, round_trip),
                Said::RoundTrip(time) => {
                    let time = rounded(time);
                    self.report.board.note(|s| s.tally.round_trip(self.place.index, time));
                }
                Said::Over | Said::Nothing => {}
            }
        }
    }

    fn take_in(&mut self, progress: &mut Progress, from: SocketAddr, datagram: &[u8]) -> Result<(), Finding> {
        let now = Instant::now();
        if self.peer.receive(now.into_std(), from, datagram)? {
            self.report.board.note(|s| s.seats[self.place.index].reached = Some(now));
            return Ok(());
        }
        progress.strays += 1;
        if progress.strays > MOST_STRAYS {
            let detail = format!("{} datagrams, the last from {from}", progress.strays);
            return Err(Finding::new(Code::BridgeFloods).detail(detail));
        }
        Ok(())
    }

    fn hear(&self, payload: &[u8]) {
        let now = Instant::now();
        let Some(stamp) = Stamp::read(payload) else { return };
        let (from, to) = (usize::from(stamp.seat), self.place.index);
        if stamp.run != self.place.run || !self.place.room.contains(&from) || from == to {
            return;
        }
        let complete = self.report.board.note(|s| {
            s.tally.heard(from, to, stamp.number, now);
            !s.seats[to].heard_all && self.place.speakers.iter().all(|speaker| s.tally.is_whole(*speaker, to))
        });
        if complete {
            self.report.board.tell(|s| s.seats[to].heard_all = true);
        }
    }

    fn note_pair(&self, progress: &mut Progress, local: SocketAddr, remote: SocketAddr, round_trip: Option<Duration>) {
        let (Some(ice), Some(secure)) = (progress.ice, progress.secure) else { return };
        progress.reported = true;
        let secured = Secured {
            participant: self.place.label().to_owned(),
            ice: ice - progress.began,
            dtls: secure.saturating_duration_since(ice),
            local,
            remote,
            round_trip,
        };
        self.report.board.note(|s| {
            s.secured.retain(|known| known.participant != secured.participant);
            s.secured.push(secured);
        });
    }

    fn is_over(&self, changes: &mut watch::Receiver<Shared>, progress: &mut Progress) -> bool {
        let done = {
            let shared = changes.borrow_and_update();
            let (Some(start), Some(secure)) = (shared.window, progress.secure) else { return false };
            let from = start.max(secure + self.limits.settle);
            progress.speaks_from.get_or_insert((from, self.voice.spoken));
            progress.to_send = shared.tally.to_send(self.place.index);
            progress.finished = shared.finished();
            self.place.speaks && !self.owes(progress) && shared.seats[self.place.index].finished.is_none()
        };
        if done {
            self.report.board.tell(|s| s.seats[self.place.index].finished = Some(Instant::now()));
            progress.finished = self.report.board.look().finished();
        }
        let Some(finished) = progress.finished else { return false };
        let heard_all = changes.borrow_and_update().heard_all();
        Instant::now() >= finished + self.limits.listening || (heard_all && progress.reported)
    }

    /// Whether there is a packet still to be sent.
    fn owes(&self, progress: &Progress) -> bool {
        self.place.speaks && self.voice.spoken < progress.to_send
    }

    fn speak_if_due(&mut self, progress: &mut Progress) -> bool {
        let now = Instant::now();
        if self.due(progress).is_none_or(|due| now < due) {
            return false;
        }
        let seat = u16::try_from(self.place.index).unwrap_or(u16::MAX);
        let stamp = Stamp { run: self.place.run, seat, number: self.voice.spoken };
        self.report.board.note(|s| s.tally.sent(self.place.index, now));
        self.peer.speak(now.into_std(), self.voice, &stamp.payload());
        self.voice.goes_on(now);
        progress.ticked = None;
        true
    }

    fn wake(&self, progress: &Progress, timeout: Instant) -> Result<Instant, Finding> {
        let now = Instant::now();
        let limit = match (progress.ice, progress.secure) {
            (_, Some(_)) => None,
            (None, None) => Some((progress.began + self.limits.ice, Code::IceFailed)),
            (Some(ice), None) => Some((ice + self.limits.dtls, Code::DtlsFailed)),
        };
        if let Some((_, code)) = limit.filter(|(at, _)| *at <= now) {
            return Err(Finding::new(code));
        }
        let next = self.due(progress).or(progress.finished.map(|finished| finished + self.limits.listening));
        // The peer may ask for a time that has passed; time must go on all the same.
        let timeout = if timeout <= now && progress.ticked == Some(now) { now + SHORTEST } else { timeout };
        Ok([limit.map(|(at, _)| at), next].into_iter().flatten().fold(timeout, Instant::min))
    }

    /// When the next packet is to be sent; not all participants at once.
    fn due(&self, progress: &Progress) -> Option<Instant> {
        let (from, first) = progress.speaks_from.filter(|_| self.owes(progress))?;
        let phase = PACKET_INTERVAL.mul_f64(self.place.phase);
        Some(from + PACKET_INTERVAL * (self.voice.spoken - first) + phase)
    }
}

impl Progress {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            ice: None,
            secure: None,
            reported: false,
            ticked: None,
            speaks_from: None,
            to_send: 0,
            finished: None,
            strays: 0,
            errors: 0,
            unsent: 0,
        }
    }

    /// A network may drop packets; a machine that does not even send them says nothing about the platform.
    fn not_sent(&mut self, error: &NetError) -> Result<(), Finding> {
        self.unsent += 1;
        if self.unsent >= MOST_UNSENT {
            return Err(Finding::new(Code::NoRoute).detail(error.to_string()));
        }
        self.trouble(error)
    }

    /// One error of a UDP socket says little; very many mean that it is of no use.
    fn trouble(&mut self, error: &NetError) -> Result<(), Finding> {
        self.errors += 1;
        if self.errors > MOST_SOCKET_ERRORS {
            return Err(Finding::new(Code::LocalTrouble).detail(error.to_string()));
        }
        Ok(())
    }
}

/// To tenths of a millisecond: RTCP counts in steps of 15 µs that hang on the time of day.
fn rounded(time: Duration) -> Duration {
    let tenths = (time.as_micros() + 50) / 100;
    Duration::from_micros(u64::try_from(tenths).unwrap_or_default() * 100)
}
