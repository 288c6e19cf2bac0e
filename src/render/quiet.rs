//! The answer on stdout, failures on stderr, that it is the sandbox, and nothing else.

use std::io;

use super::{Notice, Out, Page, Render, Shown, table};
use crate::event::{Event, Stamped};

pub struct Quiet {
    out: Out,
    err: Out,
    answer: Page,
    talk: Page,
    notice: Notice,
}

impl Quiet {
    pub fn new(out: Out, err: Out, answer: Page, talk: Page) -> Self {
        Self { out, err, answer, talk, notice: Notice::default() }
    }
}

impl Quiet {
    fn notify(&mut self) {
        if let Some(line) = self.notice.before_talk() {
            self.err.write(&Shown::line(line));
        }
    }
}

impl Render for Quiet {
    fn event(&mut self, event: &Stamped) {
        match &event.event {
            Event::Hello { .. } => self.notice.due = event.sandbox,
            Event::Answer(answer) => self.out.write(&self.notice.answer(event, answer, &self.answer)),
            Event::Finished { .. } => self.notify(),
            Event::Failed { failure, .. } => {
                self.notify();
                self.err.write(&table::failure(failure, &self.talk));
            }
            _ => {}
        }
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
