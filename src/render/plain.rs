//! A time-stamped line for each change, for cron, pipes and logs; and a heartbeat in each minute of silence.

use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::{Notice, Out, Page, Render, Shown, table, words};
use crate::clock::Clock;
use crate::domain::condition::Condition;
use crate::domain::observed::between;
use crate::domain::plan::Plan;
use crate::event::{Event, Stamped};

pub struct Plain {
    out: Out,
    err: Out,
    answer: Page,
    page: Page,
    clock: Clock,
    begun: Timestamp,
    plan: Option<Plan>,
    waiting: Option<Waiting>,
    notice: Notice,
}

struct Waiting {
    until: Condition,
    since: Timestamp,
    limit: Duration,
    note: Option<String>,
}

impl Plain {
    pub fn new(out: Out, err: Out, answer: Page, page: Page, clock: Clock) -> Self {
        Self { out, err, answer, page, clock, begun: clock.now(), plan: None, waiting: None, notice: Notice::default() }
    }

    /// All talk passes here.
    fn talk(&mut self, text: &Shown) {
        if let Some(line) = self.notice.before_talk() {
            self.err.write(&Shown::line(line));
        }
        self.err.write(text);
    }

    fn line(&mut self, at: Timestamp, text: &str) {
        self.talk(&Shown::line(&format!("{} {text}", words::stamp(at))));
    }

    /// What is said before there is a plan is said at once, and needs no time.
    fn remark(&mut self, at: Timestamp, text: &str) {
        match &self.plan {
            None => self.talk(&Shown::line(text)),
            Some(_) => self.line(at, text),
        }
    }

    fn remember(&mut self, event: &Stamped) {
        match &event.event {
            Event::Hello { .. } => (self.begun, self.notice.due) = (event.at, event.sandbox),
            Event::StepStarted { until, limit } => {
                let note = words::awaited(self.plan.as_ref(), *until);
                self.waiting = Some(Waiting { until: *until, since: event.at, limit: *limit, note });
            }
            Event::StepProgress { note, .. } => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.note = Some(note.clone());
                }
            }
            Event::StepFinished { .. } | Event::StepFailed { .. } => self.waiting = None,
            // Each phase has plans of its own, and tells itself how it ended.
            Event::PhaseStarted { .. } | Event::PhaseFinished { .. } => (self.plan, self.waiting) = (None, None),
            Event::Planned { .. }
            | Event::ServiceSaid { .. }
            | Event::ChangesPlanned { .. }
            | Event::TerraformSaid { .. }
            | Event::Question { .. }
            | Event::Warning { .. }
            | Event::Note { .. }
            | Event::Answer(_)
            | Event::Finished { .. }
            | Event::Failed { .. } => {}
        }
    }
}

impl Render for Plain {
    fn event(&mut self, event: &Stamped) {
        self.remember(event);
        match &event.event {
            Event::Planned { observed, plan } => {
                let first = self.plan.is_none();
                self.plan = Some(plan.clone());
                if first && !plan.steps.is_empty() {
                    self.line(event.at, &words::plan(plan, observed));
                    for step in &plan.steps {
                        self.line(event.at, &format!("  {}", words::step(step)));
                    }
                }
            }
            Event::StepStarted { limit, .. } => {
                if let Some(Waiting { until, note, .. }) = &self.waiting {
                    let note = note.as_ref().map_or(String::new(), |n| format!(": {n}"));
                    let text = format!("waiting: {until}{note} (limit {})", words::duration(*limit));
                    self.line(event.at, &text);
                }
            }
            Event::Answer(answer) => self.out.write(&self.notice.answer(event, answer, &self.answer)),
            Event::Failed { failure, .. } => self.talk(&table::failure(failure, &self.page)),
            Event::Finished { outcome, .. } => {
                let ended = words::ended(*outcome, self.plan.as_ref(), between(self.begun, event.at));
                match ended {
                    Some(text) => self.line(event.at, &text),
                    None => self.talk(&Shown::default()),
                }
            }
            other => {
                if let Some(text) = words::event(other) {
                    match other {
                        Event::Warning { .. } | Event::Note { .. } => self.remark(event.at, &text),
                        // What is asked for is shown in full, one thing a line.
                        Event::ChangesPlanned { .. } | Event::Question { .. } => {
                            self.talk(&Shown::block(&format!("{} {text}", words::stamp(event.at))));
                        }
                        _ => self.line(event.at, &text),
                    }
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let text = match &self.waiting {
            None => "still at work".to_owned(),
            Some(Waiting { until, since, limit, note }) => {
                let note = note.as_ref().map_or(String::new(), |n| format!(": {n}"));
                let (so_far, limit) = (words::duration(between(*since, now)), words::duration(*limit));
                format!("still waiting: {until}{note} ({so_far} of {limit})")
            }
        };
        self.line(now, &text);
    }

    fn ticks(&self) -> Option<Duration> {
        Some(Duration::from_mins(1))
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
