//! Everything that can be wrong with a Jitsi, and what the proof says about it.
