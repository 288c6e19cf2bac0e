//! `meetctl`: an infrastructure control plane for a scale-to-zero Jitsi Meet on AWS ECS.
//!
//! The program looks at the platform, judges conditions, plans, changes one thing, and looks again.
//!
//! * `domain`: what the platform is and when it is right; pure.
//! * `engine`: the loop: observe, plan, act.
//! * `probe`: DNS, TLS, HTTPS and XMPP, spoken over bytes.
//! * `world`: the outside: AWS, the network, and the sandbox that stands in for both.
//! * `command`: one file per subcommand.
//! * `render`: how the stream of events looks.

pub mod clock;
pub mod domain;
pub mod engine;
pub mod error;
pub mod event;
pub mod probe;
pub mod world;
