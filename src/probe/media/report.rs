//! What is noted while a proof goes on.

use tokio::time::Instant;

use super::board::Board;
use super::gauge::Gauge;
use super::plan::Place;
use crate::domain::meeting::{Medium, Passed, Stage};

/// Notes stages, and tells whoever watches once every participant has passed one.
pub(super) struct Report<'a> {
    pub board: &'a Board,
    pub progress: &'a (dyn Fn(Stage) + Sync),
    pub seats: usize,
    /// All packets together, and how this machine keeps up with them.
    pub gauge: &'a Gauge<'a>,
    pub counts: Counts,
}

/// How packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Each stream by itself, from its beginning to its end.
    Streams,
    /// All together, for a while at a time; these participants come after so many others.
    Steps { from: usize },
}

impl Report<'_> {
    /// A packet has gone out that was due then.
    pub(super) fn sent(&self, place: &Place, medium: Medium, number: u32, due: Instant) {
        let (listeners, before) = (place.room.len() - 1, self.counts.before());
        self.gauge.sent(before + place.index, medium, number, due, listeners);
        if self.counts == Counts::Streams {
            self.board.note(|s| s.tally_of(medium).sent(place.index, Instant::now()));
        }
    }

    pub(super) fn passed(&self, place: &Place, stage: Stage) {
        let at = self.board.began.elapsed();
        let everybody = self.board.note(|s| {
            let known = s.stages.iter().any(|p| p.stage == stage && p.participant == place.label());
            if !known {
                s.stages.push(Passed { participant: place.label().to_owned(), stage, at });
            }
            !known && s.stages.iter().filter(|p| p.stage == stage).count() == self.seats
        });
        if everybody {
            (self.progress)(stage);
        }
    }
}

impl Counts {
    pub(super) const fn before(self) -> usize {
        match self {
            Self::Streams => 0,
            Self::Steps { from } => from,
        }
    }
}
