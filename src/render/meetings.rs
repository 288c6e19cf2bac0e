//! The answers of `probe` and `test-platform` as pages of text.

use super::shown::{Cell, Grid, Shown};
use super::style::{Page, Tone};
use super::table::bounded;
use super::words;
use crate::answer::{Part, Probe, Rehearsal, Told};
use crate::domain::ladder::{Climb, Climbed, Rung};
use crate::domain::meeting::{Stage, Weight};
use crate::domain::ramp::Ramp;
use crate::domain::rehearsal::Grade;
use crate::domain::text::{MOST, and_more, count};

/// Whether a meeting works, level by level.
pub(super) fn probe(of: &Probe, page: &Page) -> Shown {
    let (tone, head) = headline(of);
    let mut out = Shown::piece(&of.url);
    out += ": ";
    out += Shown::toned(page.style, tone, head);
    out += "\n\n";
    let mut grid = Grid::new(page);
    for (climbed, warned) in of.levels.iter().map(|level| (level, is_warned(level.level, of))) {
        let (symbol, word, tone) = mark(climbed, warned, of);
        let marked = Cell::toned(tone, format!("{symbol} {word}"));
        grid.row([marked, Cell::new(climbed.level.name()), Cell::new(&climbed.figures)]);
    }
    grid.fix(&[13, 10]);
    out += grid.shown();
    if let Some(ramp) = &of.proof.ramp {
        out += climbed(ramp, page);
    }
    for told in of.finding.iter().chain(of.warnings.iter().take(MOST)) {
        out += finding(told, page);
    }
    if let Some(more) = of.warnings.len().checked_sub(MOST).filter(|more| *more > 0) {
        out += "\n";
        out += Shown::line(&and_more(more));
    }
    let room = if of.proof.room.is_empty() { String::new() } else { format!("room {}, ", of.proof.room) };
    out += "\n";
    out += Shown::line(&format!("{room}{}", words::duration(of.proof.took)));
    out
}

/// The steps of a growing load, and what they amount to.
fn climbed(ramp: &Ramp, page: &Page) -> Shown {
    let mut grid = Grid::new(page);
    for step in &ramp.steps {
        grid.row([Cell::new(format!("{} participants", step.participants)), Cell::new(step.figures())]);
    }
    grid.fix(&[17]);
    let tone = if ramp.good().is_some() { Tone::Good } else { Tone::Bad };
    let mut out = Shown::default();
    out += "\n";
    out += grid.shown();
    out += "\n";
    out += Shown::toned_block(page.style, tone, &words::sentence(&ramp.sentence()));
    out
}

fn headline(of: &Probe) -> (Tone, &'static str) {
    match of.finding.as_ref().map(|told| told.weight) {
        Some(Weight::Failure) if of.finding.iter().all(|told| told.finding.stage == Stage::Channel) => {
            (Tone::Bad, "people hear each other, cameras stay black")
        }
        None if of.warnings.is_empty() => (Tone::Good, "a meeting works"),
        None | Some(Weight::Warning) => (Tone::Warning, "a meeting works, with a warning"),
        Some(Weight::NotApplicable) => (Tone::Warning, "whether a meeting works cannot be told"),
        Some(Weight::Failure) => (Tone::Bad, "a meeting does not work"),
    }
}

fn is_warned(level: Rung, of: &Probe) -> bool {
    of.warnings.iter().any(|told| Rung::of(told.finding.stage) == level)
}

fn mark(of: &Climbed, warned: bool, probe: &Probe) -> (&'static str, &'static str, Tone) {
    let certain = probe.finding.as_ref().is_none_or(|told| told.weight == Weight::Failure);
    match of.result {
        Climb::Shown if warned => ("!", "warning", Tone::Warning),
        Climb::Shown => ("✔", "good", Tone::Good),
        Climb::Failed if certain => ("✘", "failed", Tone::Bad),
        Climb::Failed => ("?", "unknown", Tone::Warning),
        Climb::NotReached => ("·", "not reached", Tone::Dim),
    }
}

fn finding(told: &Told, page: &Page) -> Shown {
    let tone = if told.weight == Weight::Failure { Tone::Bad } else { Tone::Warning };
    let mut out = Shown::default();
    out += "\n";
    out += Shown::toned(page.style, tone, told.finding.code.as_str());
    if let Some(who) = &told.finding.participant {
        out += Shown::piece(&format!(" (participant {who})"));
    }
    out += "\n";
    out += Shown::hanging("  ", "  ", &words::sentence(told.sentence), page);
    let seen = [("saw", told.finding.detail.as_ref()), ("evidence", told.finding.evidence.as_ref())];
    for (label, text) in seen.into_iter().filter_map(|(label, text)| Some((label, text?))) {
        out += Shown::hanging(format!("  {label}: "), "    ", text, page);
    }
    out += Shown::hanging("  → ", "    ", told.remedy, page);
    out
}

/// Ten phases, and how the platform was left.
pub(super) fn rehearsal(of: &Rehearsal, page: &Page) -> Shown {
    let mut grid = Grid::new(page);
    for part in &of.phases {
        let (symbol, word) = words::grade(&part.grade);
        let tone = tone_of(&part.grade);
        let name = format!("{:>2} {}", part.number, part.phase);
        let took = if part.took.is_zero() { String::new() } else { words::duration(part.took) };
        grid.row([
            Cell::toned(tone, format!("{symbol} {word}")),
            Cell::new(name),
            Cell::new(took),
            tone_of_text(&part.grade, &text(part)),
        ]);
        for next in bounded(&part.next) {
            let next = Cell::toned(Tone::Type, format!("→ {next}"));
            grid.row([Cell::new(""), Cell::new(""), Cell::new(""), next]);
        }
    }
    grid.fix(&[9, 23, 7]);
    let mut out = grid.shown();
    out += "\n";
    out += Shown::hanging("", "", &summary(of), page);
    out
}

fn text(part: &Part) -> String {
    let why = part.grade.why().map(str::to_owned);
    let log = part.log.iter().flat_map(|log| &log.lines).map(|line| format!("│ {line}"));
    why.into_iter().chain(part.evidence.iter().cloned()).chain(log).collect::<Vec<_>>().join("\n")
}

fn tone_of_text(grade: &Grade, text: &str) -> Cell {
    match grade {
        Grade::Bad(_) => Cell::toned(Tone::Bad, text),
        Grade::Skipped(_) => Cell::toned(Tone::Dim, text),
        Grade::Good | Grade::Warned(_) | Grade::Unseen(_) => Cell::new(text),
    }
}

pub(super) fn tone_of(grade: &Grade) -> Tone {
    match grade {
        Grade::Good => Tone::Good,
        Grade::Warned(_) | Grade::Unseen(_) => Tone::Warning,
        Grade::Bad(_) => Tone::Bad,
        Grade::Skipped(_) => Tone::Dim,
    }
}

type Wanted = fn(&Grade) -> bool;

/// `9 of 10 phases good, 1 failed (5m 12s). Found standby, left standby.`
pub(super) fn summary(of: &Rehearsal) -> String {
    let number = |is: fn(&Grade) -> bool| of.phases.iter().filter(|part| is(&part.grade)).count();
    let good = number(|g| matches!(g, Grade::Good | Grade::Warned(_)));
    let mut parts = vec![format!("{good} of {} good", count(of.phases.len(), "phase", "phases"))];
    let others: [(&str, Wanted); 4] = [
        ("failed", |g| matches!(g, Grade::Bad(_))),
        ("unknown", |g| matches!(g, Grade::Unseen(_))),
        ("skipped", |g| matches!(g, Grade::Skipped(_))),
        ("with a warning", |g| matches!(g, Grade::Warned(_))),
    ];
    parts.extend(
        others
            .into_iter()
            .map(|(word, is)| (number(is), word))
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}")),
    );
    let kept = if of.restored { "" } else { ", which is not as it was found" };
    let took = words::duration(of.took);
    format!("{} ({took}). Found {}, left {}{kept}.", parts.join(", "), of.found, of.left)
}
