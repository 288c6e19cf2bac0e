//! What the participants of one run know of each other.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::tally::Tally;
use crate::domain::finding::Finding;
use crate::domain::meeting::{Channeled, Medium, Passed, Reached, Secured};

/// Shared by all participants; each writes its own part.
pub(super) struct Board {
    shared: watch::Sender<Shared>,
    pub began: Instant,
}

/// The state of a run.
#[derive(Default)]
pub(super) struct Shared {
    pub seats: Vec<SeatState>,
    /// When the next join may be asked for.
    next_join: Option<Instant>,
    /// When everybody speaks; moves when somebody had to connect anew.
    pub window: Option<Window>,
    generation: u32,
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
    /// Whether anybody speaks to this one.
    pub listens: bool,
    pub heard_all: bool,
    pub focus_jid: Option<String>,
}

/// The time in which packets are sent and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub start: Instant,
    pub generation: u32,
}

impl Board {
    /// A board for so many participants, of whom these listen.
    pub(super) fn new(listens: impl IntoIterator<Item = bool>) -> Self {
        let seats = listens.into_iter().map(|listens| SeatState { listens, ..SeatState::default() }).collect();
        let shared = Shared { seats, ..Shared::default() };
        Self { shared: watch::Sender::new(shared), began: Instant::now() }
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

    /// This participant is connected; the last one opens the window.
    pub(super) fn connected(&self, seat: usize, settle: Duration) {
        self.tell(|s| {
            s.seats[seat].connected = true;
            if s.window.is_none() && s.seats.iter().all(|seat| seat.connected) {
                s.window = Some(Window { start: Instant::now() + settle, generation: s.generation });
                s.tally.begin();
                s.video.begin();
                s.seats.iter_mut().for_each(|seat| seat.heard_all = false);
            }
        });
    }

    /// This participant has to connect anew: whatever was counted does not count.
    pub(super) fn disconnected(&self, seat: usize) {
        self.tell(|s| {
            s.seats[seat].connected = false;
            s.window = None;
            s.generation += 1;
        });
    }
}
