//! The sandbox: the same ports over a small model of the platform, in memory and on simulated time.

mod certificates;
mod chance;
mod cloud;
mod diary;
mod dns;
mod duplex;
mod estate;
mod ground;
pub mod jitsi;
mod logs;
mod model;
mod net;
pub mod pace;
mod pages;
mod servers;
pub mod store;
mod stories;
mod tally;
mod task;
mod terraform;
mod view;
mod words;

pub use self::dns::{AUTHORITIES, RESOLVER};
pub use self::estate::{Bucket, Estate};
pub use self::ground::{Front, Handle, Saved, jitsi_of, world, world_for, world_with};
pub use self::model::{ACCOUNT, EPOCH, Groups, HOST, Model, PLATFORM, REGION, SERVICE, Stack, StandingBalancer};
pub use self::net::BALANCER;
pub use self::servers::Meeting;
pub use self::stories::Story;
pub use self::tally::{Tally, tallied};
