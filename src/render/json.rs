//! Every event as one line of JSON on stdout.

use std::io;

use super::{Out, Render, Shown};
use crate::event::Stamped;

pub struct Json {
    out: Out,
}

impl Json {
    pub fn new(out: Out) -> Self {
        Self { out }
    }
}

impl Render for Json {
    fn event(&mut self, event: &Stamped) {
        if let Some(line) = Shown::json(event) {
            self.out.write(&line);
        }
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
