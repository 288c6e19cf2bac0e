//! The loop: look, plan, change one thing, look again.

mod act;
mod observe;
mod reach;

pub use act::{apply, preview};
pub use observe::{Look, observe, sign_in};
pub use reach::{Job, log_of, reach, survey};
