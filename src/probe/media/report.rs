//! What is noted while a proof goes on.

use super::board::Board;
use super::plan::Place;
use crate::domain::meeting::{Passed, Stage};

/// Notes stages, and tells whoever watches once every participant has passed one.
pub(super) struct Report<'a> {
    pub board: &'a Board,
    pub progress: &'a (dyn Fn(Stage) + Sync),
    pub seats: usize,
}

impl Report<'_> {
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
