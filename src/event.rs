//! Everything the program says while it works: one stream, one enum, one order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::Clock;
use crate::domain::cause::{Cause, LogTail};
use crate::domain::changes::{Changes, Wanted};
use crate::domain::condition::{Code, Condition, Verdict};
use crate::domain::cost::Money;
use crate::domain::estimate::{LevelCost, Month, SeedRow, Usage};
use crate::domain::goal::{Goal, Level};
use crate::domain::ladder::{Climbed, ladder};
use crate::domain::meeting::{Finding, Proof, Weight};
use crate::domain::observed::Observed;
use crate::domain::plan::Plan;
use crate::domain::rehearsal::{Grade, Phase};
use crate::domain::said::Said;
use crate::domain::seconds;
use crate::domain::status::Status;
use crate::error::{Failure, Outcome};

/// Counts the changes of the events that break their readers.
pub const SCHEMA: u32 = 1;

/// One thing that happened, or was found.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Always first.
    Hello {
        meetctl: &'static str,
        schema: u32,
    },
    /// After each whole look; the last one's plan is empty.
    Planned {
        observed: Box<Observed>,
        plan: Plan,
    },
    StepStarted {
        until: Condition,
        #[serde(serialize_with = "seconds")]
        limit: Duration,
    },
    /// On change, not on every look.
    StepProgress {
        until: Condition,
        note: String,
    },
    StepFinished {
        until: Condition,
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    StepFailed {
        until: Condition,
        message: String,
        /// The same for a program.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<Code>,
    },
    /// A line of the ECS service's own diary, as it appears.
    ServiceSaid {
        /// Not `at`: that is when it was passed on.
        #[serde(rename = "said_at")]
        at: Timestamp,
        message: String,
    },
    /// What Terraform would change.
    ChangesPlanned {
        #[serde(flatten)]
        wanted: Wanted,
        changes: Changes,
    },
    /// What Terraform reports while it works.
    TerraformSaid {
        #[serde(flatten)]
        said: Said,
    },
    /// A phase of a rehearsal begins.
    PhaseStarted {
        phase: Phase,
        number: usize,
        of: usize,
    },
    PhaseFinished {
        phase: Phase,
        number: usize,
        #[serde(flatten)]
        grade: Grade,
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    /// Somebody is asked, and the work waits for the answer.
    Question {
        question: String,
    },
    Warning {
        message: String,
    },
    /// A sentence worth telling while the work goes on.
    Note {
        message: String,
    },
    /// What was asked for.
    Answer(Box<Answer>),
    /// Last, when the job was done, whatever its answer.
    Finished {
        outcome: Outcome,
        exit_code: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        level: Option<String>,
    },
    /// Last, when the job could not be done.
    Failed {
        failure: Failure,
        exit_code: u8,
    },
}

impl Event {
    /// The first event.
    pub const fn hello() -> Self {
        Self::Hello { meetctl: env!("CARGO_PKG_VERSION"), schema: SCHEMA }
    }

    /// What the event says, for the reference page.
    pub const fn about(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "Always first: the version, and the schema of what follows.",
            Self::Planned { .. } => "A whole look with the plan that follows from it; the last plan of a run is empty.",
            Self::StepStarted { .. } => {
                "A condition is being brought about or awaited, and for how many seconds at most."
            }
            Self::StepProgress { .. } => "What is awaited has changed.",
            Self::StepFinished { .. } => "The condition holds; `took` is in seconds.",
            Self::StepFailed { .. } => "The condition cannot come true, and why.",
            Self::ServiceSaid { .. } => "A line of the ECS service's own diary.",
            Self::ChangesPlanned { .. } => "What Terraform would change, before anything is changed.",
            Self::TerraformSaid { .. } => "What Terraform reports while it works.",
            Self::PhaseStarted { .. } => "A phase of `test-platform` begins.",
            Self::PhaseFinished { .. } => {
                "How a phase of `test-platform` came out: `good`, `warned`, `bad`, `unseen` or `skipped`."
            }
            Self::Question { .. } => "Somebody is asked; the work waits for the answer.",
            Self::Warning { .. } => "Something that is not wrong yet.",
            Self::Note { .. } => "A sentence worth telling while the work goes on.",
            Self::Answer(_) => {
                "What was asked for. `answer` says which: `status`, `health`, `probe`, `rehearsal`, `why`, `settled`, `costs`, `config`, `stories` or `text`."
            }
            Self::Finished { .. } => "Last, when the job was done, whatever its answer.",
            Self::Failed { .. } => "Last, when the job could not be done: what, why, and what to do next.",
        }
    }

    /// What is waited for once this has been said.
    fn awaits(&self) -> Option<String> {
        Some(match self {
            Self::Planned { .. } | Self::StepFinished { .. } | Self::PhaseFinished { .. } | Self::Answer(_) => {
                "the next look at the platform".to_owned()
            }
            Self::StepStarted { until, .. } => until.to_string(),
            Self::StepProgress { until, note } => format!("{until}: {note}"),
            Self::PhaseStarted { phase, .. } => format!("the phase {}", phase.name()),
            Self::ChangesPlanned { .. } => "Terraform".to_owned(),
            Self::TerraformSaid { said: Said::Doing { what } } => format!("Terraform: {what}"),
            Self::TerraformSaid { said: Said::Started { address, .. } | Said::Working { address, .. } } => {
                format!("Terraform: {address}")
            }
            Self::Question { .. } => "an answer to the question".to_owned(),
            Self::Hello { .. }
            | Self::StepFailed { .. }
            | Self::ServiceSaid { .. }
            | Self::TerraformSaid { .. }
            | Self::Warning { .. }
            | Self::Note { .. }
            | Self::Finished { .. }
            | Self::Failed { .. } => return None,
        })
    }

    /// The level of the platform that the event tells of.
    fn level(&self) -> Option<&'static str> {
        match self {
            Self::Planned { plan: Plan { to: Goal::Running, steps }, .. } if steps.is_empty() => {
                Some(Level::Running.name())
            }
            Self::Answer(answer) if let Answer::Status(status) = answer.as_ref() => Some(status.standing.name()),
            Self::Answer(answer) if let Answer::Rehearsal(rehearsal) = answer.as_ref() => Some(rehearsal.left),
            Self::Answer(answer) if let Answer::Settled(settled) = answer.as_ref() => Some(settled.level.name()),
            _ => None,
        }
    }
}

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

/// An event with its number and its time.
#[derive(Clone, Debug, Serialize)]
pub struct Stamped {
    pub seq: u64,
    pub at: Timestamp,
    /// Whether it happened in the sandbox: each line says so, wherever it ends up.
    pub sandbox: bool,
    #[serde(flatten)]
    pub event: Event,
}

/// What a command waits for just now, for whoever ends it before it is done.
#[derive(Clone, Debug, Default)]
pub struct Awaited(Arc<Mutex<Option<Waiting>>>);

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub what: String,
    /// Whether nobody outside has given any answer so far.
    pub unanswered: bool,
}

impl Awaited {
    /// The first answer of the outside is waited for.
    pub fn first_answer(&self, what: impl Into<String>) {
        self.set(Waiting { what: what.into(), unanswered: true });
    }

    /// The outside has answered, and this comes next.
    pub fn next(&self, what: impl Into<String>) {
        self.set(Waiting { what: what.into(), unanswered: false });
    }

    fn set(&self, waiting: Waiting) {
        *self.0.lock() = Some(waiting);
    }

    pub fn now(&self) -> Waiting {
        let waiting = self.0.lock().clone();
        waiting.unwrap_or_else(|| Waiting { what: "meetctl's own work".to_owned(), unanswered: false })
    }
}

/// Where events are said.
pub struct Events {
    clock: Clock,
    sandbox: bool,
    awaited: Awaited,
    seq: std::sync::atomic::AtomicU64,
    out: UnboundedSender<Stamped>,
    level: Mutex<Option<&'static str>>,
}

impl Events {
    pub fn new(clock: Clock) -> (Self, UnboundedReceiver<Stamped>) {
        let (out, said) = unbounded_channel();
        let (sandbox, awaited) = (false, Awaited::default());
        (Self { clock, sandbox, awaited, seq: 0.into(), out, level: None.into() }, said)
    }

    /// Events of the sandbox, or not.
    #[must_use]
    pub fn of_sandbox(self, sandbox: bool) -> Self {
        Self { sandbox, ..self }
    }

    /// Notes there what is waited for.
    #[must_use]
    pub fn noting(self, awaited: Awaited) -> Self {
        Self { awaited, ..self }
    }

    /// What is waited for.
    pub fn awaited(&self) -> &Awaited {
        &self.awaited
    }

    /// Says an event. A reader that is gone never stops the work.
    pub fn emit(&self, event: Event) {
        if let Some(level) = event.level() {
            *self.level.lock() = Some(level);
        }
        if let Some(what) = event.awaits() {
            self.awaited.next(what);
        }
        let seq = self.seq.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let _ = self.out.send(Stamped { seq, at: self.clock.now(), sandbox: self.sandbox, event });
    }

    pub fn answer(&self, answer: Answer) {
        self.emit(Event::Answer(Box::new(answer)));
    }

    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning { message: message.into() });
    }

    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note { message: message.into() });
    }

    /// Says how the job ended, and returns its exit code. Nothing is said after it.
    pub fn finish(&self, result: Result<Outcome, Failure>) -> u8 {
        match result {
            Ok(outcome) => {
                let level = self.level.lock().map(str::to_owned);
                let exit_code = outcome.exit_code();
                self.emit(Event::Finished { outcome, exit_code, level });
                exit_code
            }
            Err(failure) => {
                let exit_code = failure.kind.exit_code();
                self.emit(Event::Failed { failure, exit_code });
                exit_code
            }
        }
    }
}
