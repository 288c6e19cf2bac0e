//! Every change that meetctl can make to the outside.

use std::fmt;

use serde::Serialize;

use super::condition::is_detached;
use super::view::View;

/// One change to the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Desired count 1, with a forced new deployment.
    Start,
    /// Desired count 0.
    Stop,
    /// Terraform brings what has an hourly price back.
    Restore,
    /// Terraform takes away what has an hourly price.
    PowerDown,
    /// Deletes load balancers that carry the project's tags and that Terraform does not know.
    RemoveBalancers,
    /// Terraform removes the platform; recordings are kept.
    RemoveKeepingRecordings,
    /// Terraform removes the platform with its recordings.
    RemoveWithRecordings,
    /// Lift the tasks' scale-in protection, so that they can be stopped during a meeting.
    Unprotect,
}

impl Action {
    /// Whether a start is what takes the place of the tasks that are there: by a new deployment, or by attaching the
    /// service to other target groups, which makes one.
    pub(super) fn replaces_tasks(self, view: &View<'_>) -> bool {
        match self {
            Self::Start => true,
            Self::Restore => is_detached(view),
            Self::Stop
            | Self::PowerDown
            | Self::RemoveBalancers
            | Self::RemoveKeepingRecordings
            | Self::RemoveWithRecordings
            | Self::Unprotect => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start one task with a new deployment",
            Self::Stop => "set the desired count to 0",
            Self::Restore => "restore the load balancer with Terraform",
            Self::PowerDown => "remove what has an hourly price with Terraform",
            Self::RemoveBalancers => "delete the load balancers that were left over",
            Self::RemoveKeepingRecordings => "remove the platform with Terraform, and keep its recordings",
            Self::RemoveWithRecordings => "remove the platform and its recordings with Terraform",
            Self::Unprotect => "lift the task's scale-in protection",
        })
    }
}
