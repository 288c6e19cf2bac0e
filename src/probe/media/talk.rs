//! The media of one participant, from the first ICE check to the last counted packet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ask::Limits;
use super::board::{Shared, Window};
use super::peer::{Peer, Said};
use super::plan::Place;
use super::report::Report;
use super::tally::{Stamp, WARM_UP};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Secured, Stage};
use crate::world::{Datagrams, NetError};

/// Between two looks at the peer's clock.
const SHORTEST: Duration = Duration::from_millis(1);
const PACKET_INTERVAL: Duration = Duration::from_millis(20);
/// Datagrams that do not belong to the conversation, before it counts as a flood.
const MOST_STRAYS: u32 = 20_000;
const MOST_SOCKET_ERRORS: u32 = 1_000;

/// Who talks with whom, and by what.
pub(super) struct Talk<'a> {
    pub report: &'a Report<'a>,
    pub limits: &'a Limits,
    pub place: &'a Place,
    pub socket: &'a dyn Datagrams,
    pub peer: Peer,
}

/// How far a conversation is.
struct Progress {
    began: Instant,
    ice: Option<Instant>,
    secure: Option<Instant>,
    reported: bool,
    /// When the peer was last told the time.
    ticked: Option<Instant>,
    window: Option<Window>,
    spoken: u32,
    strays: u32,
    errors: u32,
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
                Said::Send(to, datagram) => {
                    if let Err(error) = self.socket.send(to, &datagram).await {
                        progress.trouble(&error)?;
                    }
                }
                Said::Ice => {
                    progress.ice.get_or_insert_with(Instant::now);
                }
                Said::Secure => {
                    progress.secure.get_or_insert_with(Instant::now);
                    self.report.passed(self.place, Stage::Secure);
                    self.report.board.connected(self.place.index, self.limits.settle);
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
        if self.peer.receive(Instant::now().into_std(), from, datagram)? {
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
        let from = usize::from(stamp.seat);
        let window = self.report.board.look().window;
        let current = window.is_some_and(|w| stamp.run == self.run_of(w));
        if !current || !self.place.room.contains(&from) || from == self.place.index {
            return;
        }
        let all = self.packets().saturating_sub(WARM_UP);
        let complete = self.report.board.note(|s| {
            s.tally.heard(from, self.place.index, stamp.number, now);
            self.place.speakers.iter().all(|speaker| s.tally.received(*speaker, self.place.index) >= all)
        });
        if complete {
            self.report.board.tell(|s| s.seats[self.place.index].heard_all = true);
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
        let shared = changes.borrow_and_update();
        if shared.window != progress.window {
            progress.window = shared.window;
            progress.spoken = 0;
        }
        let Some(window) = shared.window else { return false };
        let everybody_done = shared.seats.iter().all(|seat| seat.heard_all || !seat.listens);
        let last_packet = window.start + PACKET_INTERVAL * self.packets();
        let end = last_packet + self.limits.listening;
        Instant::now() >= end || (everybody_done && Instant::now() >= last_packet && progress.reported)
    }

    fn speak_if_due(&mut self, progress: &mut Progress) -> bool {
        let Some(window) = progress.window.filter(|_| self.place.speaks && progress.spoken < self.packets()) else {
            return false;
        };
        let now = Instant::now();
        if now < self.due(window, progress.spoken) {
            return false;
        }
        let seat = u16::try_from(self.place.index).unwrap_or(u16::MAX);
        let stamp = Stamp { run: self.run_of(window), seat, number: progress.spoken };
        self.report.board.note(|s| s.tally.sent(self.place.index, now));
        self.peer.speak(now.into_std(), &stamp.payload());
        progress.spoken += 1;
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
        let next = progress.window.map(|window| {
            let packet = self.due(window, progress.spoken);
            let end = window.start + PACKET_INTERVAL * self.packets();
            match (self.place.speaks && progress.spoken < self.packets(), now < end) {
                (true, _) => packet,
                (false, true) => end,
                (false, false) => end + self.limits.listening,
            }
        });
        // The peer may ask for a time that has passed; time must go on all the same.
        let timeout = if timeout <= now && progress.ticked == Some(now) { now + SHORTEST } else { timeout };
        Ok([limit.map(|(at, _)| at), next].into_iter().flatten().fold(timeout, Instant::min))
    }

    /// When a packet is to be sent; not all participants at once.
    fn due(&self, window: Window, number: u32) -> Instant {
        window.start + PACKET_INTERVAL * number + PACKET_INTERVAL.mul_f64(self.place.phase)
    }

    fn packets(&self) -> u32 {
        u32::try_from(self.limits.speaking.as_millis() / PACKET_INTERVAL.as_millis()).unwrap_or(u32::MAX)
    }

    fn run_of(&self, window: Window) -> u64 {
        self.place.run.wrapping_add(u64::from(window.generation))
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
            window: None,
            spoken: 0,
            strays: 0,
            errors: 0,
        }
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
