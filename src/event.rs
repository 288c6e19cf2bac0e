//! Everything the program says while it works: one stream, one enum, one order.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::Clock;
use crate::domain::cause::{Cause, LogTail};
use crate::domain::condition::{Condition, Verdict};
use crate::domain::observed::Observed;
use crate::domain::plan::Plan;
use crate::domain::status::Status;
use crate::error::{Failure, Outcome};

/// One thing that happened, or was found.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Always first.
    Hello {
        meetctl: &'static str,
        schema: u32,
        sandbox: bool,
    },
    /// After each whole look; the last one's plan is empty.
    Planned {
        observed: Box<Observed>,
        plan: Plan,
    },
    StepStarted {
        until: Condition,
        limit: Duration,
    },
    /// On change, not on every look.
    StepProgress {
        until: Condition,
        note: String,
    },
    StepFinished {
        until: Condition,
        took: Duration,
    },
    StepFailed {
        until: Condition,
        message: String,
    },
    /// A line of the ECS service's own diary, as it appears.
    ServiceSaid {
        at: Timestamp,
        message: String,
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

/// The answer of a subcommand.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Status(Status),
    Health(Health),
    Why(Why),
    Config {
        settings: Vec<Setting>,
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
    pub judged: Vec<Judged>,
    pub took: Duration,
}

/// One condition with what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    pub condition: Condition,
    pub sentence: String,
    pub verdict: Verdict,
    /// What it was judged from: addresses, dates, milliseconds.
    pub evidence: String,
    /// What to do about it; empty when it holds.
    pub next: Vec<String>,
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

/// One setting with where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub key: String,
    pub value: String,
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
    #[serde(flatten)]
    pub event: Event,
}

/// Where events are said.
pub struct Events {
    clock: Clock,
    seq: std::sync::atomic::AtomicU64,
    out: UnboundedSender<Stamped>,
}

impl Events {
    pub fn new(clock: Clock) -> (Self, UnboundedReceiver<Stamped>) {
        let (out, said) = unbounded_channel();
        (Self { clock, seq: 0.into(), out }, said)
    }

    /// Says an event. A reader that is gone never stops the work.
    pub fn emit(&self, event: Event) {
        let seq = self.seq.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let _ = self.out.send(Stamped { seq, at: self.clock.now(), event });
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
}
