//! The proof of a meeting, against the emulated Jitsi.

mod channel;
mod ending;
mod faults;
mod load;
mod manners;
mod proof;
mod ramp;
mod support;
