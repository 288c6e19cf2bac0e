//! Every event as one line of JSON on stdout.

use std::io;

use super::{Out, Render};
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
        if let Ok(line) = serde_json::to_string(event) {
            self.out.write(&format!("{line}\n"));
        }
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
