pub mod jitsi;
