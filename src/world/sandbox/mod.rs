//! The sandbox: the same ports over a small model of the platform, in memory and on simulated time.
//!
//! | Where | What |
//! |---|---|
//! | `stories` | the situations that can be played; a new one is a new row |
//! | `ground` | what the ports share, and the way in: `world` |
//! | `model`, `estate`, `task` | the platform: what was asked for, what Terraform made, how a task lives |
//! | `view`, `diary`, `logs`, `words` | what AWS says of the model: descriptions, ECS's events, logs |
//! | `cloud`, `terraform`, `net` | the ports over the model |
//! | `dns`, `servers`, `pages`, `certificates`, `duplex` | what the network leads to: name servers and the web container |
//! | `jitsi` | Prosody, the focus and the bridge behind it |
//! | `chance`, `pace` | the seed's draws, and how simulated time passes |
//! | `store` | a story kept between two commands |
//! | `tally` | counts the calls to the ports |

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
