//! The proof of a meeting, against the emulated Jitsi.

mod faults;
mod proof;
mod support;
