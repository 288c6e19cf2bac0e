//! One row for each condition; the running one moves.

use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use unicode_width::UnicodeWidthStr;

use super::style::{Style, Tone, fit};
use super::{Notice, Out, Page, Render, Shown, table, words};
use crate::clock::Clock;
use crate::domain::action::Action;
use crate::domain::condition::Condition;
use crate::domain::observed::Observed;
use crate::domain::observed::between;
use crate::domain::plan::Plan;
use crate::domain::text::line;
use crate::event::{Event, Stamped};

/// A fold: events update the rows, and the rows are drawn.
pub struct Tty {
    bars: MultiProgress,
    rows: Vec<Row>,
    plan: Option<Plan>,
    out: Out,
    err: Out,
    answer: Page,
    style: Style,
    width: Box<dyn Fn() -> usize>,
    clock: Clock,
    begun: Timestamp,
    turns: usize,
    notice: Notice,
}

struct Row {
    until: Condition,
    action: Option<Action>,
    state: State,
    note: Option<String>,
    bar: ProgressBar,
}

enum State {
    Later,
    Waiting {
        since: Timestamp,
        limit: Duration,
    },
    /// Without a duration it has come true by itself.
    Done(Option<Duration>),
    Failed,
    /// The work ended before its turn came.
    Left,
}

/// The terminal to draw on.
pub struct Screen {
    pub target: ProgressDrawTarget,
    /// How many columns it has now.
    pub width: Box<dyn Fn() -> usize>,
    /// Where lines that stay are written.
    pub err: Out,
    pub style: Style,
}

impl Tty {
    pub fn new(screen: Screen, out: Out, answer: Page, clock: Clock) -> Self {
        let Screen { target, width, err, style } = screen;
        let bars = MultiProgress::with_draw_target(target);
        let begun = clock.now();
        let notice = Notice::default();
        Self { bars, rows: Vec::new(), plan: None, out, err, answer, style, width, clock, begun, turns: 0, notice }
    }

    /// Writes above the rows. Not with the bars' own `println`, which fills its lines with spaces.
    fn say(&mut self, text: &Shown) {
        if let Some(line) = self.notice.before_talk() {
            self.say_line(Tone::Dim, line);
        }
        let err = &mut self.err;
        self.bars.suspend(|| err.write(text));
    }

    /// A line of talk that stays above the rows.
    fn say_line(&mut self, tone: Tone, text: &str) {
        for line in super::style::wrap(text, (self.width)().max(20)) {
            self.say(&Shown::toned_block(self.style, tone, &line));
        }
    }

    fn planned(&mut self, observed: &Observed, plan: &Plan) {
        if self.plan.is_none() && !plan.steps.is_empty() {
            self.say_line(Tone::Strong, &words::sentence(&words::plan(plan, observed)));
        }
        for row in &mut self.rows {
            if !plan.steps.iter().any(|s| s.until == row.until) && !matches!(row.state, State::Done(_)) {
                row.state = State::Done(None);
            }
        }
        for step in &plan.steps {
            match self.row(step.until) {
                Some(row) if matches!(row.state, State::Done(_)) => row.state = State::Later,
                Some(_) => {}
                None => self.add(step.until, step.action),
            }
        }
        self.plan = Some(plan.clone());
    }

    fn add(&mut self, until: Condition, action: Option<Action>) {
        let template = ProgressStyle::with_template("{msg}").expect("the template is right");
        let bar = self.bars.add(ProgressBar::new(1).with_style(template));
        self.rows.push(Row { until, action, state: State::Later, note: None, bar });
    }

    fn row(&mut self, until: Condition) -> Option<&mut Row> {
        self.rows.iter_mut().find(|r| r.until == until)
    }

    /// The row of a condition; one that no plan has named is added.
    fn row_or_new(&mut self, until: Condition) -> &mut Row {
        let at = self.rows.iter().position(|r| r.until == until).unwrap_or_else(|| {
            self.add(until, None);
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    fn draw(&self) {
        let (width, now) = ((self.width)().max(20), self.clock.now());
        for row in &self.rows {
            row.bar.set_message(row.text(self.style, width, now, self.turns).trim_end().to_owned());
        }
    }

    /// Leaves the rows as they are, and writes below them from now on.
    fn rest(&mut self) {
        for row in &mut self.rows {
            if matches!(row.state, State::Later | State::Waiting { .. }) {
                row.state = State::Left;
            }
        }
        let (width, now) = ((self.width)().max(20), self.clock.now());
        let rows = std::mem::take(&mut self.rows);
        for row in &rows {
            row.bar.finish_and_clear();
            self.bars.remove(&row.bar);
        }
        for row in rows {
            let text = row.text(self.style, width, now, self.turns);
            self.say(&text);
        }
    }
}

impl Row {
    fn text(&self, style: Style, width: usize, now: Timestamp, turns: usize) -> Shown {
        const TURN: [&str; 4] = ["◐", "◓", "◑", "◒"];
        let (symbol, word, tone) = match &self.state {
            State::Later => ("·", "later", Tone::Dim),
            State::Waiting { .. } => (TURN[turns % TURN.len()], "waiting", Tone::Strong),
            State::Done(_) => ("✔", "done", Tone::Good),
            State::Failed => ("✘", "failed", Tone::Bad),
            State::Left => ("·", "left", Tone::Dim),
        };
        let time = match &self.state {
            State::Waiting { since, limit } => {
                format!("{} of {}", words::duration(between(*since, now)), words::duration(*limit))
            }
            State::Done(Some(took)) => words::duration(*took),
            State::Later | State::Done(None) | State::Failed | State::Left => String::new(),
        };
        let sentence = match self.action.filter(|_| matches!(self.state, State::Later)) {
            Some(action) => format!("{} ({action})", self.until),
            None => self.until.to_string(),
        };
        // One column stays free: some terminals wrap when the last one is written.
        let room = width.saturating_sub(HEAD + time.width() + 2);
        let sentence = fit(&sentence, room);
        let gap = " ".repeat(1 + room.saturating_sub(sentence.width()));
        let rest = format!("{sentence}{gap}{time}");
        let note = self.note.as_ref().filter(|_| matches!(self.state, State::Waiting { .. } | State::Failed));
        let note = note.map(|note| fit(&line(note), width.saturating_sub(HEAD + 1)));
        Shown::row((style, tone), &format!("{symbol} {word:<8}"), &rest, note.as_deref())
    }
}

/// The columns before a row's sentence.
const HEAD: usize = 11;

impl Render for Tty {
    fn event(&mut self, event: &Stamped) {
        match &event.event {
            Event::Hello { .. } => (self.begun, self.notice.due) = (event.at, event.sandbox),
            Event::Planned { observed, plan } => self.planned(observed, plan),
            Event::StepStarted { until, limit } => {
                let state = State::Waiting { since: event.at, limit: *limit };
                let why = words::awaited(self.plan.as_ref(), *until);
                let row = self.row_or_new(*until);
                (row.state, row.note) = (state, why);
            }
            Event::StepProgress { until, note } => self.row_or_new(*until).note = Some(note.clone()),
            Event::StepFinished { until, took } => self.row_or_new(*until).state = State::Done(Some(*took)),
            Event::StepFailed { until, message, .. } => {
                let row = self.row_or_new(*until);
                (row.state, row.note) = (State::Failed, Some(message.clone()));
            }
            Event::ServiceSaid { at, message } => {
                let text = line(&format!("  ECS {} {message}", at.strftime("%H:%M:%S UTC")));
                let text = fit(&text, (self.width)().saturating_sub(1).max(20));
                self.say(&Shown::toned_block(self.style, Tone::Dim, &text));
            }
            Event::ChangesPlanned { .. } | Event::TerraformSaid { .. } => {
                if let Some(text) = words::event(&event.event) {
                    self.say(&Shown::toned_block(self.style, Tone::Dim, &text));
                }
            }
            Event::PhaseStarted { .. } | Event::PhaseFinished { .. } => {
                self.rest();
                self.plan = None;
                let tone = if matches!(event.event, Event::PhaseStarted { .. }) { Tone::Strong } else { Tone::Dim };
                if let Some(text) = words::event(&event.event) {
                    self.say_line(tone, &words::sentence(&text));
                }
            }
            Event::Question { question } => question.split('\n').for_each(|line| self.say_line(Tone::Strong, line)),
            Event::Warning { message } => {
                self.say_line(Tone::Warning, &format!("! warning  {message}"));
            }
            Event::Note { message } => self.say_line(Tone::Strong, message),
            Event::Answer(answer) => {
                if !self.rows.iter().any(|row| matches!(row.state, State::Waiting { .. })) {
                    self.rest();
                }
                let text = self.notice.answer(event, answer, &self.answer);
                let out = &mut self.out;
                self.bars.suspend(|| out.write(&text));
            }
            Event::Finished { outcome, .. } => {
                self.rest();
                if let Some(text) = words::ended(*outcome, self.plan.as_ref(), between(self.begun, event.at)) {
                    self.say_line(Tone::Strong, &text);
                } else if let Some(line) = self.notice.before_talk() {
                    self.say_line(Tone::Dim, line);
                }
            }
            Event::Failed { failure, .. } => {
                self.rest();
                let page = Page { width: (self.width)(), style: self.style };
                self.say(&table::failure(failure, &page));
            }
        }
        self.draw();
    }

    fn tick(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        self.draw();
    }

    fn ticks(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn lost(&self) -> Option<&io::Error> {
        self.out.lost()
    }
}
