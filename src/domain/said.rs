//! What Terraform says while it works.

use std::time::Duration;

use serde::Serialize;

use super::changes::Deed;
use super::seconds;

/// One thing that Terraform reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub enum Said {
    /// What it is about to do as a whole: prepare, plan, apply.
    Doing {
        what: String,
    },
    Started {
        address: String,
        deed: Deed,
    },
    /// Still at it.
    Working {
        address: String,
        #[serde(serialize_with = "seconds")]
        after: Duration,
    },
    Finished {
        address: String,
        deed: Deed,
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    Failed {
        address: String,
    },
    Warned {
        summary: String,
    },
}

/// `aws_lb.this[0]: created after 124 s`
impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Doing { what } => f.write_str(what),
            Self::Started { address, deed } => write!(f, "{address}: {deed}"),
            Self::Working { address, after } => write!(f, "{address}: still at it after {} s", after.as_secs()),
            Self::Finished { address, deed, took } => write!(f, "{address}: {deed}, done in {} s", took.as_secs()),
            Self::Failed { address } => write!(f, "{address}: failed"),
            Self::Warned { summary } => write!(f, "warns: {summary}"),
        }
    }
}
