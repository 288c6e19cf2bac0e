//! `meetctl`: an infrastructure control plane for a scale-to-zero Jitsi Meet on AWS ECS.
//!
//! The program looks at the platform, judges conditions, plans, changes one thing, and looks again.
//!
//! * `domain`: what the platform is and when it is right; pure.
//! * `engine`: the loop: observe, plan, act.
//! * `probe`: DNS, TLS, HTTPS and XMPP, spoken over bytes.
//! * `world`: the outside: AWS, the network, and the sandbox that stands in for both.
//! * `command`: one file per subcommand; `answer` is what it was asked for, `event` what it says meanwhile.
//! * `config`: defaults, files, environment and flags, each value with its origin.
//! * `fuzz`: every parser of outside bytes, for the fuzz targets.
//! * `render`: how the stream of events looks.
//! * `session`: one command in its place (`outside`), from its first word to its last.
//! * `limit`, `signal`: what ends a command from outside: its time, signals, a closed pipe.

pub mod answer;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod domain;
pub mod engine;
pub mod error;
pub mod event;
pub mod files;
#[doc(hidden)]
pub mod fuzz;
pub mod limit;
pub mod options;
pub mod outside;
pub mod probe;
pub mod render;
pub mod session;
pub mod signal;
pub mod world;
