//! The loop: look, plan, change one thing, look again.

mod act;
mod judge;
mod observe;
mod reach;
mod rehearse;
mod restore;

pub use act::{again, apply, preview};
pub use judge::judge;
pub use observe::{Look, observe, sign_in};
pub use reach::{Job, log_of, reach, survey, unless_interrupted};
pub use rehearse::{Rehearsed, Script, rehearse};
