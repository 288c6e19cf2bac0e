//! Every change that meetctl can make to the outside.

use std::fmt;

use serde::Serialize;

/// One change to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Desired count 1, with a forced new deployment.
    Start,
    /// Desired count 0.
    Stop,
    /// Lift the tasks' scale-in protection, so that they can be stopped during a meeting.
    Unprotect,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start one task with a new deployment",
            Self::Stop => "set the desired count to 0",
            Self::Unprotect => "lift the task's scale-in protection",
        })
    }
}
