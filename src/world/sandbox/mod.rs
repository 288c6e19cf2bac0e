
pub mod jitsi;
