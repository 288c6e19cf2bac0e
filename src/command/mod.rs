//! The subcommands: one file each, with its arguments, whose comments are its help, and what it does.

mod ask;
pub mod completions;
pub mod config;
mod context;
pub mod cost;
pub mod deploy;
pub mod destroy;
pub mod down;
pub mod generate;
pub mod health;
pub mod init;
mod load;
pub mod man;
pub mod power_down;
pub mod probe;
pub mod sandbox;
pub mod status;
mod subcommand;
pub mod test_platform;
pub mod up;
pub mod why;

pub use self::context::Context;
pub use self::subcommand::{Command, Entry, Ready, Subcommand};
