//! A Jitsi in memory.
