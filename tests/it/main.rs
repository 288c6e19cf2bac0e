//! The offline tests: one binary that links once and starts fast. No network but loopback, no AWS.

mod config;
mod contract;
mod converge;
mod layers;
mod probes;
mod render;
mod replies;
mod sandbox;
mod stable;
mod transcripts;
