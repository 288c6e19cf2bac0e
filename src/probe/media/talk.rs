//! The media of one participant, from the first ICE check to the last counted packet.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ask::Limits;
use super::board::Shared;
use super::channel::Channel;
use super::peer::{Peer, Said};
use super::plan::{PACKET_INTERVAL, Place, Voice};
use super::report::{Counts, Report};
use super::tally::Stamp;
use super::video::{self, Film};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Carrier, Medium, Secured, Stage};
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
    pub film: &'a mut Film,
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
    /// From when on it speaks and films, and which packets are the first.
    from: Option<First>,
    /// How many packets of audio it has to send.
    to_speak: u32,
    /// How many of video.
    to_film: u32,
    /// When the last packet of the whole meeting was sent.
    finished: Option<Instant>,
    /// Somebody has asked for a key frame.
    key_wanted: bool,
    /// We have hung up.
    over: bool,
    strays: u32,
    errors: u32,
    /// Packets in a row that this machine did not send.
    unsent: u32,
}

/// Where what is sent on this connection begins.
#[derive(Clone, Copy)]
struct First {
    at: Instant,
    spoken: u32,
    filmed: u32,
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
                    self.film.connected_anew(Instant::now());
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
        let (from, to) = (usize::from(stamp.seat), self.place.index);
        if stamp.run != self.place.run || !self.place.room.contains(&from) || from == to {
            return;
        }
        if let Counts::Steps { from: before } = self.report.counts {
            return self.report.gauge.heard(before + from, medium, stamp.number);
        }
        let complete = self.report.board.note(|s| {
            s.tally_of(medium).heard(from, to, stamp.number, now);
            !s.seats[to].heard_all && self.place.speakers.iter().all(|speaker| s.is_whole(*speaker, to))
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
            let at = start.max(secure + self.limits.settle);
            progress.from.get_or_insert(First { at, spoken: self.voice.spoken, filmed: self.film.sent });
            progress.to_speak = shared.tally.to_send(self.place.index);
            progress.to_film = self.place.video.map_or(0, |_| shared.video.to_send(self.place.index));
            progress.finished = shared.finished();
            let owes = self.owes_audio(progress) || self.owes_video(progress);
            self.place.speaks && !owes && shared.seats[self.place.index].finished.is_none()
        };
        if done {
            self.report.board.tell(|s| s.seats[self.place.index].finished = Some(Instant::now()));
            progress.finished = self.report.board.look().finished();
        }
        let Some(finished) = progress.finished else { return false };
        let (heard_all, settled) = {
            let shared = changes.borrow_and_update();
            (shared.heard_all(), shared.seats[self.place.index].channel_settled)
        };
        settled && (Instant::now() >= finished + self.limits.listening || (heard_all && progress.reported))
    }

    /// Whether there is a packet still to be sent.
    fn owes_audio(&self, progress: &Progress) -> bool {
        self.place.speaks && self.voice.spoken < progress.to_speak
    }

    fn owes_video(&self, progress: &Progress) -> bool {
        self.place.speaks && self.film.sent < progress.to_film
    }

    fn speak_if_due(&mut self, progress: &mut Progress) -> bool {
        let now = Instant::now();
        let Some(due) = self.due(progress).filter(|due| *due <= now) else { return false };
        let seat = u16::try_from(self.place.index).unwrap_or(u16::MAX);
        let stamp = Stamp { run: self.place.run, seat, number: self.voice.spoken };
        self.report.sent(self.place, Medium::Audio, stamp.number, due);
        self.peer.speak(now.into_std(), self.voice, &stamp.payload());
        self.voice.goes_on(now);
        progress.ticked = None;
        true
    }

    fn film_if_due(&mut self, progress: &mut Progress) -> bool {
        let now = Instant::now();
        let Some(due) = self.picture_due(progress).filter(|due| *due <= now) else { return false };
        let seat = u16::try_from(self.place.index).unwrap_or(u16::MAX);
        let stamp = Stamp { run: self.place.run, seat, number: self.film.sent };
        let wanted = video::is_first(stamp.number) && std::mem::take(&mut progress.key_wanted);
        self.report.sent(self.place, Medium::Video, stamp.number, due);
        let part = video::part(stamp, wanted || video::is_key(video::picture(stamp.number)));
        self.peer.film(now.into_std(), self.film, &part);
        self.film.goes_on(now);
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
        // Later than that only the channel is awaited.
        let end = progress.finished.map(|finished| finished + self.limits.listening).filter(|end| *end > now);
        let channel = self.channel.as_ref().and_then(Channel::deadline);
        // The peer may ask for a time that has passed; time must go on all the same.
        let timeout = if timeout <= now && progress.ticked == Some(now) { now + SHORTEST } else { timeout };
        let wanted = [limit.map(|(at, _)| at), self.due(progress), self.picture_due(progress), end, channel];
        Ok(wanted.into_iter().flatten().fold(timeout, Instant::min))
    }

    /// When the next packet is to be sent; not all participants at once.
    fn due(&self, progress: &Progress) -> Option<Instant> {
        let first = progress.from.filter(|_| self.owes_audio(progress))?;
        let phase = PACKET_INTERVAL.mul_f64(self.place.phase);
        Some(first.at + PACKET_INTERVAL * (self.voice.spoken - first.spoken) + phase)
    }

    /// The same for the next packet of a picture.
    fn picture_due(&self, progress: &Progress) -> Option<Instant> {
        let first = progress.from.filter(|_| self.owes_video(progress))?;
        let phase = video::PICTURE_INTERVAL.mul_f64(self.place.phase);
        let pictures = video::picture(self.film.sent) - video::picture(first.filmed);
        Some(first.at + video::PICTURE_INTERVAL * pictures + phase)
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
            from: None,
            to_speak: 0,
            to_film: 0,
            finished: None,
            // A decoder that begins anew needs one first.
            key_wanted: true,
            over: false,
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

    /// One error of a UDP socket says little; very many mean that it does not work.
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
