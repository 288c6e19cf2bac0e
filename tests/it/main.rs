//! The offline tests: one binary that links once and starts fast. No network but loopback, no AWS.

mod causes;
mod config;
mod contract;
mod converge;
mod docs;
mod hostile;
mod layers;
mod limits;
mod meeting;
mod power;
mod probes;
mod rehearsal;
mod render;
mod replies;
mod sandbox;
mod stable;
mod terraform;
mod transcripts;

/// The sandbox's story of this name.
fn story(name: &str) -> meetctl::world::sandbox::Story {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}
