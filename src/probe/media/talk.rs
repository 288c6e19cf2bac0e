//! The media of one participant, from the first ICE check to the last counted packet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ask::Limits;
use super::board::{Shared, Window};
use super::channel::Channel;
use super::peer::{Peer, Said};
use super::plan::Place;
use super::report::{Counts, Report};
use super::tally::{Stamp, WARM_UP};
use super::video;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Carrier, Medium, Secured, Stage};
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
    /// Whether the bridge channel goes beside the media.
    pub sctp: bool,
    /// That channel, once it is being opened.
    pub channel: Option<Channel<'a>>,
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
    /// Packets of video that have been sent.
    filmed: u32,
    /// Somebody has asked for a key frame.
    key_wanted: bool,
    /// We have hung up.
    over: bool,
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
            if self.speak_if_due(&mut progress) || self.film_if_due(&mut progress) {
                continue;
            }
            let wake = self.wake(&progress, timeout)?;
            tokio::select! {
                biased;
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    progress.ticked = Some(now);
                    self.peer.time_is(now.into_std())?;
                    if let Some(channel) = self.channel.as_mut().filter(|c| c.deadline().is_some_and(|at| at <= now)) {
                        channel.too_late();
                    }
                }
                _ = changes.changed() => {}
                received = self.socket.receive(&mut buffer) => match received {
                    Ok((length, from)) => self.take_in(&mut progress, from, &buffer[..length])?,
                    Err(error) => progress.trouble(&error)?,
                },
            }
        }
        progress.over = true;
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
                    if self.sctp && self.channel.is_none() {
                        let limit = self.limits.channel;
                        self.channel = Some(Channel::opening(self.report, self.place, Carrier::Sctp, limit));
                        self.peer.open_channel();
                    }
                }
                Said::ChannelOpen => self.greet(),
                Said::ChannelText(text) => self.channel.iter_mut().for_each(|channel| channel.hear(&text)),
                Said::ChannelClosed => self.channel.iter_mut().for_each(|channel| channel.refused("it was closed")),
                Said::KeyWanted => progress.key_wanted = true,
                Said::Packet(payload) => self.hear(Stamp::read(&payload), Medium::Audio),
                Said::Picture(payload) => self.hear(video::stamp(&payload), Medium::Video),
                Said::Pair { local, remote, round_trip } => self.note_pair(progress, local, remote, round_trip),
                Said::RoundTrip(time) => {
                    let time = rounded(time);
                    self.report.board.note(|s| s.tally.round_trip(self.place.index, time));
                }
                Said::Over => self.association_lost(progress)?,
                Said::Nothing => {}
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

    fn greet(&mut self) {
        let Some(channel) = &mut self.channel else { return };
        if !channel.greeting().all(|text| self.peer.tell(text)) {
            channel.refused("it takes no message");
        }
    }

    /// The other side has ended it all: with the association of the data channel the media ends too.
    fn association_lost(&mut self, progress: &Progress) -> Result<(), Finding> {
        match &mut self.channel {
            Some(channel) if !progress.over && !channel.is_settled() => {
                Err(channel.broken("the bridge has aborted the association"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn hear(&self, stamp: Option<Stamp>, medium: Medium) {
        let now = Instant::now();
        let Some(stamp) = stamp else { return };
        let from = usize::from(stamp.seat);
        let window = self.report.board.look().window;
        let current = window.is_some_and(|w| stamp.run == self.run_of(w));
        if !current || !self.place.room.contains(&from) || from == self.place.index {
            return;
        }
        if let Counts::Steps { from: before } = self.report.counts {
            return self.report.gauge.heard(before + from, medium, stamp.number);
        }
        let all = self.packets().saturating_sub(WARM_UP);
        let pictures = self.place.video.map_or(0, |_| self.parts().saturating_sub(WARM_UP));
        let to = self.place.index;
        let complete = self.report.board.note(|s| {
            s.tally_of(medium).heard(from, to, stamp.number, now);
            let whole =
                |speaker: &usize| s.tally.received(*speaker, to) >= all && s.video.received(*speaker, to) >= pictures;
            self.place.speakers.iter().all(whole)
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
            progress.filmed = 0;
        }
        let Some(window) = shared.window else { return false };
        let everybody_done = shared.seats.iter().all(|seat| seat.heard_all || !seat.listens);
        let last_packet = window.start + PACKET_INTERVAL * self.packets();
        let end = last_packet + self.limits.listening;
        let over = Instant::now() >= end || (everybody_done && Instant::now() >= last_packet && progress.reported);
        over && shared.seats[self.place.index].channel_settled
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
        self.report.sent(self.place, Medium::Audio, progress.spoken, self.due(window, progress.spoken));
        self.peer.speak(now.into_std(), &stamp.payload());
        progress.spoken += 1;
        progress.ticked = None;
        true
    }

    fn film_if_due(&mut self, progress: &mut Progress) -> bool {
        let films = self.place.speaks && self.place.video.is_some() && progress.filmed < self.parts();
        let Some(window) = progress.window.filter(|_| films) else { return false };
        let now = Instant::now();
        if now < self.picture_due(window, progress.filmed) {
            return false;
        }
        let seat = u16::try_from(self.place.index).unwrap_or(u16::MAX);
        let stamp = Stamp { run: self.run_of(window), seat, number: progress.filmed };
        let wanted = video::is_first(stamp.number) && std::mem::take(&mut progress.key_wanted);
        self.report.sent(self.place, Medium::Video, progress.filmed, self.picture_due(window, progress.filmed));
        self.peer.film(now.into_std(), &video::part(stamp, wanted || video::is_key(video::picture(stamp.number))));
        progress.filmed += 1;
        progress.ticked = None;
        true
    }

    fn picture_due(&self, window: Window, number: u32) -> Instant {
        let picture = video::picture(number);
        window.start + video::PICTURE_INTERVAL * picture + video::PICTURE_INTERVAL.mul_f64(self.place.phase)
    }

    /// All packets of video in a window.
    fn parts(&self) -> u32 {
        let pictures = self.limits.speaking.as_millis() / video::PICTURE_INTERVAL.as_millis();
        u32::try_from(pictures).unwrap_or(u32::MAX).saturating_mul(video::PARTS)
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
                (true, _) => Some(packet),
                (false, true) => Some(end),
                // Later than that only the channel is awaited.
                (false, false) => Some(end + self.limits.listening).filter(|at| *at > now),
            }
        });
        let films = self.place.speaks && self.place.video.is_some() && progress.filmed < self.parts();
        let picture = progress.window.filter(|_| films).map(|window| self.picture_due(window, progress.filmed));
        let channel = self.channel.as_ref().and_then(Channel::deadline);
        // The peer may ask for a time that has passed; time must go on all the same.
        let timeout = if timeout <= now && progress.ticked == Some(now) { now + SHORTEST } else { timeout };
        let wanted = [limit.map(|(at, _)| at), next.flatten(), picture, channel];
        Ok(wanted.into_iter().flatten().fold(timeout, Instant::min))
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
            filmed: 0,
            key_wanted: false,
            over: false,
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
