//! The answers of `probe` and `test-platform` as pages of text.

use comfy_table::{Cell, Row};

use super::style::{Page, Tone};
use super::table::{bare, fix, hanging};
use super::words::{self, clean};
use crate::domain::ladder::{Climb, Climbed, Rung};
use crate::domain::meeting::{Stage, Weight};
use crate::domain::ramp::Ramp;
use crate::domain::rehearsal::Grade;
use crate::event::{Part, Probe, Rehearsal, Told};

/// Whether a meeting works, level by level.
pub(super) fn probe(of: &Probe, page: &Page) -> String {
    let (tone, head) = headline(of);
    let mut out = format!("{}: {}\n\n", clean(&of.url), page.style.paint(tone, head));
    let mut table = bare(page);
    for (climbed, warned) in of.levels.iter().map(|level| (level, is_warned(level.level, of))) {
        let (symbol, word, tone) = mark(climbed, warned, of);
        let marked = tone.of_cell(Cell::new(format!("{symbol} {word}")));
        table.add_row(Row::from(vec![marked, Cell::new(climbed.level.name()), Cell::new(clean(&climbed.figures))]));
    }
    fix(&mut table, &[13, 10]);
    out += &table.trim_fmt();
    out.push('\n');
    if let Some(ramp) = &of.proof.ramp {
        out += &climbed(ramp, page);
    }
    for told in of.finding.iter().chain(&of.warnings) {
        out += &finding(told, page);
    }
    let room = if of.proof.room.is_empty() { String::new() } else { format!("room {}, ", clean(&of.proof.room)) };
    out += "\n";
    out += &room;
    out += &words::duration(of.proof.took);
    out.push('\n');
    out
}

/// The steps of a growing load, and what they amount to.
fn climbed(ramp: &Ramp, page: &Page) -> String {
    let mut table = bare(page);
    for step in &ramp.steps {
        let people = format!("{} participants", step.participants);
        table.add_row(Row::from(vec![Cell::new(people), Cell::new(step.figures())]));
    }
    fix(&mut table, &[17]);
    let tone = if ramp.good().is_some() { Tone::Good } else { Tone::Bad };
    format!("\n{}\n\n{}\n", table.trim_fmt(), page.style.paint(tone, &words::sentence(&clean(&ramp.sentence()))))
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

fn finding(told: &Told, page: &Page) -> String {
    let tone = if told.weight == Weight::Failure { Tone::Bad } else { Tone::Warning };
    let code = page.style.paint(tone, told.finding.code.as_str());
    let who = told.finding.participant.as_ref().map_or_else(String::new, |who| format!(" (participant {who})"));
    let mut out = format!("\n{code}{who}\n");
    out += &hanging("  ", "  ", &words::sentence(told.sentence), page);
    let seen = [("saw", told.finding.detail.as_ref()), ("evidence", told.finding.evidence.as_ref())];
    for (label, text) in seen.into_iter().filter_map(|(label, text)| Some((label, text?))) {
        out += &hanging(&format!("  {label}: "), "    ", text, page);
    }
    out + &hanging("  → ", "    ", told.remedy, page)
}

/// Ten phases, and how the platform was left.
pub(super) fn rehearsal(of: &Rehearsal, page: &Page) -> String {
    let mut table = bare(page);
    for part in &of.phases {
        let (symbol, word) = words::grade(&part.grade);
        let tone = tone_of(&part.grade);
        let name = format!("{:>2} {}", part.number, part.phase);
        let took = if part.took.is_zero() { String::new() } else { words::duration(part.took) };
        table.add_row(Row::from(vec![
            tone.of_cell(Cell::new(format!("{symbol} {word}"))),
            Cell::new(name),
            Cell::new(took),
            tone_of_text(&part.grade, &text(part)),
        ]));
        for next in &part.next {
            let next = Tone::Type.of_cell(Cell::new(format!("→ {}", clean(next))));
            table.add_row(Row::from(vec![Cell::new(""), Cell::new(""), Cell::new(""), next]));
        }
    }
    fix(&mut table, &[9, 23, 7]);
    format!("{}\n\n{}", table.trim_fmt(), hanging("", "", &summary(of), page))
}

fn text(part: &Part) -> String {
    let why = part.grade.why().map(clean);
    let log = part.log.iter().flat_map(|log| &log.lines).map(|line| format!("│ {}", clean(line)));
    why.into_iter().chain(part.evidence.iter().map(|line| clean(line))).chain(log).collect::<Vec<_>>().join("\n")
}

fn tone_of_text(grade: &Grade, text: &str) -> Cell {
    match grade {
        Grade::Bad(_) => Tone::Bad.of_cell(Cell::new(text)),
        Grade::Skipped(_) => Tone::Dim.of_cell(Cell::new(text)),
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
    let mut parts = vec![format!("{good} of {} good", words::count(of.phases.len() as u64, "phase", "phases"))];
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
