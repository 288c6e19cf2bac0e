//! What the participants of one run know of each other.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::plan::Place;
use super::report::Counts;
use super::tally::{Pace, Tally};
use crate::domain::finding::Finding;
use crate::domain::meeting::{Channeled, Medium, Passed, Reached, Secured};

/// Shared by all participants; each writes its own part.
pub(super) struct Board {
    shared: watch::Sender<Shared>,
    pub began: Instant,
    audio: Pace,
    /// `None`: nobody has a camera.
    video: Option<Pace>,
}

/// The state of a run.
#[derive(Default)]
pub(super) struct Shared {
    pub seats: Vec<SeatState>,
    /// When the next join may be asked for.
    next_join: Option<Instant>,
    /// From when on everybody speaks: once all have been connected.
    pub window: Option<Instant>,
    pub tally: Tally,
    /// The same for cameras.
    pub video: Tally,
    pub stages: Vec<Passed>,
    pub left_out: Vec<String>,
    pub reached: Vec<Reached>,
    pub secured: Vec<Secured>,
    pub channels: Vec<Channeled>,
    /// Why channels do not serve; the media is proven all the same.
    pub channel_faults: Vec<Finding>,
    pub warnings: Vec<Finding>,
}

impl Shared {
    /// Whether all that counts has arrived.
    pub(super) fn is_whole(&self, from: usize, to: usize) -> bool {
        self.tally.is_whole(from, to) && self.video.is_whole(from, to)
    }

    pub(super) fn tally_of(&mut self, medium: Medium) -> &mut Tally {
        match medium {
            Medium::Audio => &mut self.tally,
            Medium::Video => &mut self.video,
        }
    }
}

#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent things that can be true of a participant")]
pub(super) struct SeatState {
    pub in_room: bool,
    pub invited: bool,
    pub connected: bool,
    /// Its channel has been answered, has failed, or there is none.
    pub channel_settled: bool,
    /// Those who speak to this one.
    pub speakers: Vec<usize>,
    pub heard_all: bool,
    pub speaks: bool,
    /// When it had sent all that it has to.
    pub finished: Option<Instant>,
    /// When the bridge last sent it anything at all.
    pub reached: Option<Instant>,
    pub focus_jid: Option<String>,
}

impl Board {
    /// A board for these places. Who is not listed as a speaker is not counted as a stream.
    pub(super) fn new(places: &[Place], counts: Counts, audio: Pace, video: Option<Pace>) -> Self {
        let seat = |place: &Place| SeatState {
            speakers: if counts == Counts::Streams { place.speakers.clone() } else { Vec::new() },
            speaks: place.speaks,
            ..SeatState::default()
        };
        let shared = Shared { seats: places.iter().map(seat).collect(), ..Shared::default() };
        Self { shared: watch::Sender::new(shared), began: Instant::now(), audio, video }
    }

    pub(super) fn look(&self) -> watch::Ref<'_, Shared> {
        self.shared.borrow()
    }

    /// Writes without waking anybody.
    pub(super) fn note<T>(&self, write: impl FnOnce(&mut Shared) -> T) -> T {
        let mut out = None;
        self.shared.send_if_modified(|shared| {
            out = Some(write(shared));
            false
        });
        out.expect("the closure was called")
    }

    /// Writes, and wakes those who wait for it.
    pub(super) fn tell(&self, write: impl FnOnce(&mut Shared)) {
        self.shared.send_modify(write);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Shared> {
        self.shared.subscribe()
    }

    pub(super) async fn until(&self, mut holds: impl FnMut(&Shared) -> bool) {
        let mut receiver = self.subscribe();
        // The sender lives as long as the board does.
        let _ = receiver.wait_for(|shared| holds(shared)).await;
    }

    /// When this join may be made; each call takes a turn of its own.
    pub(super) fn join_turn(&self, spacing: Duration) -> Instant {
        self.note(|s| {
            let turn = s.next_join.unwrap_or(self.began).max(Instant::now());
            s.next_join = Some(turn + spacing);
            turn
        })
    }

    /// This participant is connected; with the last one everybody begins to speak.
    pub(super) fn connected(&self, seat: usize, settle: Duration) {
        self.tell(|s| {
            s.seats[seat].connected = true;
            if s.window.is_none() && s.seats.iter().all(|seat| seat.connected) {
                s.window = Some(Instant::now() + settle);
                let heard =
                    |(to, seat): (usize, &SeatState)| seat.speakers.iter().map(move |from| (*from, to)).collect();
                let flows: Vec<Vec<_>> = s.seats.iter().enumerate().map(heard).collect();
                s.tally.begin(flows.iter().flatten().copied(), self.audio);
                if let Some(video) = self.video {
                    s.video.begin(flows.into_iter().flatten(), video);
                }
            }
        });
    }

    /// This participant has to connect anew. In the middle of the meeting, everybody in its room goes on until it is heard
    /// again, and hears.
    pub(super) fn disconnected(&self, seat: usize, room: &Range<usize>) {
        self.tell(|s| {
            s.seats[seat].connected = false;
            if s.window.is_some() {
                s.tally.renewed(seat);
                s.video.renewed(seat);
                for seat in &mut s.seats[room.clone()] {
                    seat.heard_all = false;
                    seat.finished = None;
                }
            }
        });
    }
}

impl Shared {
    /// When the last packet was sent, once everybody has sent all.
    pub(super) fn finished(&self) -> Option<Instant> {
        let mut last = None;
        for seat in self.seats.iter().filter(|seat| seat.speaks) {
            last = last.max(Some(seat.finished?));
        }
        last
    }

    /// Whether everybody has heard all there is to hear.
    pub(super) fn heard_all(&self) -> bool {
        self.seats.iter().all(|seat| seat.heard_all || seat.speakers.is_empty())
    }
}
