//! The answer on stdout, failures on stderr, and nothing else.

use std::io;

use super::{Out, Page, Render, table};
use crate::event::{Event, Stamped};

pub struct Quiet {
    out: Out,
    err: Out,
    answer: Page,
    talk: Page,
}

impl Quiet {
    pub fn new(out: Out, err: Out, answer: Page, talk: Page) -> Self {
        Self { out, err, answer, talk }
    }
}

impl Render for Quiet {
    fn event(&mut self, event: &Stamped) {
        if let Event::Answer(answer) = &event.event {
            self.out.write(&table::answer(answer, event.at, &self.answer));
        } else if let Event::Failed { failure, .. } = &event.event {
            self.err.write(&table::failure(failure, &self.talk));
        }
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
