//! The proof of a meeting, against the emulated Jitsi.

mod ending;
mod faults;
mod load;
mod manners;
mod proof;
mod support;
