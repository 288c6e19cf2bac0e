//! Everything the program says while it works: one stream, one enum, one order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::answer::Answer;
use crate::clock::Clock;
use crate::domain::changes::{Changes, Wanted};
use crate::domain::condition::{Code, Condition};
use crate::domain::goal::{Goal, Level};
use crate::domain::observed::Observed;
use crate::domain::plan::Plan;
use crate::domain::rehearsal::{Grade, Phase};
use crate::domain::said::Said;
use crate::domain::seconds;
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

    pub fn set(&self, waiting: Waiting) {
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
