//! What the platform is and when it is right: no I/O, no clock, no environment.

pub mod action;
pub mod billed;
pub mod cause;
pub mod changes;
pub mod condition;
pub mod cost;
pub mod estimate;

pub mod finding;

pub mod goal;
pub mod ladder;
pub mod meeting;
pub mod name;
pub mod observed;
pub mod ownership;
pub mod plan;
pub mod price;
pub mod ramp;
pub mod rehearsal;
pub mod said;
pub mod stack;
pub mod standing;
pub mod status;
pub mod text;
pub mod view;

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
/// How a duration is written for programs: in seconds.
pub(crate) fn seconds<S: serde::Serializer>(span: &std::time::Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(span.as_secs_f64())
}

/// The same where there may be none.
#[expect(clippy::ref_option, reason = "serde's own form")]
pub(crate) fn maybe_seconds<S: serde::Serializer>(
    span: &Option<std::time::Duration>,
    out: S,
) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => seconds(span, out),
        None => out.serialize_none(),
    }
}
