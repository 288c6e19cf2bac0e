//! Synthetic participants that prove that a meeting works.

mod ask;
mod board;
mod discovery;
mod peer;
mod plan;
mod prove;
mod reach;
mod report;
mod seat;
mod session;
mod talk;
mod tally;
mod verdict;

pub use self::ask::{Ask, DtlsRole, Limits, Load, ROOM_PREFIX, Speakers, Thresholds};
pub use self::discovery::discover;
pub use self::prove::prove;
