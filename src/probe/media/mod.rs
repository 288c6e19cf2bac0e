//! Synthetic participants that prove that a meeting works.

mod ask;
mod board;
mod channel;
mod discovery;
mod gauge;
mod peer;
mod plan;
mod prove;
mod ramp;
mod reach;
mod report;
mod seat;
mod session;
mod talk;
mod tally;
mod verdict;
mod video;
mod websocket;

pub use self::ask::{Ask, Limits, Load, ROOM_PREFIX, Speakers, Thresholds};
pub use self::discovery::discover;
pub use self::prove::prove;
pub use self::ramp::climb;
