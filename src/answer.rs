//! What a command was asked for: the last thing that it says.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::cause::{Cause, LogTail};
use crate::domain::condition::{Code, Condition, Verdict};
use crate::domain::cost::Money;
use crate::domain::estimate::{LevelCost, Month, SeedRow, Usage};
use crate::domain::goal::Level;
use crate::domain::ladder::{Climbed, ladder};
use crate::domain::meeting::{Finding, Proof, Weight};
use crate::domain::rehearsal::{Grade, Phase};
use crate::domain::seconds;
use crate::domain::status::Status;

/// The answer of a subcommand.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status(Status),
    Health(Health),
    Probe(Probe),
    Rehearsal(Rehearsal),
    Why(Why),
    /// What a deployment, a power-down or a removal has come to.
    Settled(Settled),
    Costs(Costs),
    Config {
        settings: Vec<Setting>,
        /// Whether people asked to see where each value comes from.
        #[serde(skip)]
        origins: bool,
    },
    Stories {
        stories: Vec<Story>,
    },
    /// Text made for a program to read: completions, a man page, a configuration file.
    Text {
        text: String,
    },
}

/// Every condition of a level, judged now.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    pub level: String,
    pub judged: Vec<JudgedCondition>,
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// One condition with what was found.
#[derive(Clone, Debug, Serialize)]
pub struct JudgedCondition {
    pub condition: Condition,
    pub sentence: String,
    pub verdict: Verdict,
    /// Why it is not simply good, for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What it was judged from: addresses, dates, milliseconds.
    pub evidence: String,
    /// What to do about it; empty when it holds.
    pub next: Vec<String>,
}

/// What a probe of a deployment has found.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    pub url: String,
    pub levels: Vec<Climbed>,
    /// What stands in the way of a meeting, or of proving it.
    pub finding: Option<Told>,
    pub warnings: Vec<Told>,
    pub proof: Proof,
}

impl Probe {
    pub fn of(url: String, proof: Proof) -> Self {
        Self {
            url,
            levels: ladder(&proof),
            finding: proof.finding.as_ref().map(Told::from),
            warnings: proof.warnings.iter().map(Told::from).collect(),
            proof,
        }
    }
}

/// A finding with what it means and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    pub finding: Finding,
    pub weight: Weight,
    pub sentence: &'static str,
    pub remedy: &'static str,
}

impl From<&Finding> for Told {
    fn from(finding: &Finding) -> Self {
        Self {
            finding: finding.clone(),
            weight: finding.weight(),
            sentence: finding.code.sentence(),
            remedy: finding.remedy(),
        }
    }
}

/// A rehearsal of the whole platform.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    pub platform: String,
    pub url: String,
    pub began: Timestamp,
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Where the platform stood before, and where it stands now.
    pub found: &'static str,
    pub left: &'static str,
    /// Whether it was left as it was found, or as was asked for.
    pub restored: bool,
    pub phases: Vec<Part>,
}

/// One phase of a rehearsal, as it came out.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    pub phase: Phase,
    pub number: usize,
    /// Since the rehearsal began.
    #[serde(serialize_with = "seconds")]
    pub after: Duration,
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    #[serde(flatten)]
    pub grade: Grade,
    /// What it was judged from.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub next: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<JudgedCondition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Box<Probe>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogTail>,
}

/// The root cause of the last failed start.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    pub deployment: Option<String>,
    pub cause: Option<Cause>,
    pub log: Option<LogTail>,
    /// Why there is no cause to name, or what was not to be seen.
    pub note: Option<String>,
}

/// What is so after a deployment, a power-down or a removal.
#[derive(Clone, Debug, Serialize)]
pub struct Settled {
    pub level: Level,
    pub before: Money,
    pub per_hour: Money,
    /// What a month costs if nothing else happens; traffic and storage aside.
    pub per_month: Money,
    /// What was kept on purpose.
    pub kept: Vec<String>,
    /// How to go on, and how long that takes.
    pub back: String,
}

/// What levels, months and meetings cost.
#[derive(Clone, Debug, Serialize)]
pub struct Costs {
    /// The region and the date of the rates.
    pub rates: &'static str,
    pub levels: Vec<LevelCost>,
    /// The table that the project began with, next to what the months really cost.
    pub seed: Vec<SeedRow>,
    pub usage: Usage,
    pub month: Month,
    /// What no figure here contains.
    pub not_counted: &'static str,
}

/// One setting with where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub key: String,
    /// As TOML writes it; `None` when nobody says it.
    pub value: Option<String>,
    pub origin: String,
}

/// One story of the sandbox.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    pub name: &'static str,
    pub about: &'static str,
}
