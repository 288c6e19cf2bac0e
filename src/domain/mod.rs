//! What the platform is and when it is right: no I/O, no clock, no environment.

pub mod action;
pub mod cause;
pub mod condition;
pub mod cost;
pub mod estimate;
mod evidence;
pub mod level;
pub mod name;
pub mod observed;
pub mod plan;
pub mod price;
pub mod status;

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
