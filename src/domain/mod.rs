//! What the platform is and when it is right: no I/O, no clock, no environment.

pub mod action;
pub mod cause;
pub mod condition;
pub mod cost;
pub mod finding;
pub mod level;
pub mod meeting;
pub mod name;
pub mod observed;
pub mod plan;
pub mod status;
