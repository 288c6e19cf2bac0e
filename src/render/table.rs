//! Answers and failures as pages of text.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::shown::{Cell, Grid, Shown};
use super::style::{Page, Tone};
use super::words;
use crate::answer::{Answer, Health, JudgedCondition, Setting, Story, Why};
use crate::domain::cause::LogTail;
use crate::domain::condition::{CERTIFICATE_WARNING, Verdict, addresses};
use crate::domain::cost::Cost;
use crate::domain::observed::between;
use crate::domain::observed::{
    Blindness, Container, Health as ContainerHealth, Target, TargetGroup, TargetState, Task,
};
use crate::domain::price;
use crate::domain::standing::Standing;
use crate::domain::status::{People, Status, Unread};
use crate::domain::text::{MOST, and_more, count, list};
use crate::error::Failure;

/// An answer, ending with a newline.
pub fn answer(answer: &Answer, now: Timestamp, page: &Page) -> Shown {
    match answer {
        Answer::Status(of) => status(of, now, page),
        Answer::Health(of) => health(of, page),
        Answer::Probe(of) => super::meetings::probe(of, page),
        Answer::Rehearsal(of) => super::meetings::rehearsal(of, page),
        Answer::Why(of) => why(of, page),
        Answer::Settled(of) => super::costs::settled(of, page),
        Answer::Costs(of) => super::costs::costs(of, page),
        Answer::Config { settings: of, origins } => settings(of, *origins, page),
        Answer::Stories { stories: of } => stories(of, page),
        Answer::Text { text } => Shown::made(text),
    }
}

/// Where the platform stands, on one screen.
pub fn status(of: &Status, now: Timestamp, page: &Page) -> Shown {
    let mut out = Shown::piece(&of.platform);
    out += ": ";
    out += Shown::toned(page.style, tone_of(&of.standing), of.standing.name());
    out += "\n";
    out += Shown::line(&of.url);
    out += "\n";
    let mut rows = vec![];
    let mut row = |name: &str, text: String| rows.push((name.to_owned(), None, text));
    match &of.standing {
        Standing::Changing { toward, awaited, .. } => {
            row("Toward", toward.to_string());
            row("Awaited", lines(awaited));
        }
        Standing::Degraded { of, broken, .. } => row("Broken", format!("of {of}:\n{}", lines(broken))),
        Standing::Unknown { unread } if of.unread.is_empty() => row("Unknown", lines(unread)),
        Standing::Unknown { .. }
        | Standing::Running
        | Standing::Standby
        | Standing::PoweredDown
        | Standing::Destroyed => {}
        Standing::NoSuchPlatform(nowhere) => {
            row("", format!("There is {nowhere}."));
            nowhere.theirs.iter().chain(&nowhere.answers).for_each(|detail| row("", words::sentence(detail)));
            row("Next", "check name, region and account: `meetctl config show --origin`".into());
            row("", "if it is still to be made: `meetctl deploy`".into());
        }
    }
    if let Some(cost) = &of.cost {
        platform(of, cost, now, &mut row);
    }
    for (i, text) in unread(&of.unread).into_iter().enumerate() {
        row(if i == 0 { "Not read" } else { "" }, text);
    }
    for (name, tone, text) in &mut rows {
        *tone = match name.as_str() {
            "Broken" => Some(Tone::Bad),
            "Unknown" | "Not read" => Some(Tone::Warning),
            "DNS" => tone_of_verdict(&of.dns.verdict),
            "Certificate" => certificate_tone(of, now).or_else(|| tone_of_verdict(&of.certificate.verdict)),
            "" if text.starts_with('$') || text.starts_with("not counted") => Some(Tone::Dim),
            _ => None,
        };
    }
    out += two_columns(&rows, page);
    // Below the table, where an ARN can be copied in one piece.
    if !of.strays.is_empty() {
        out += "\n";
        out += Shown::toned(page.style, Tone::Warning, "Also costs, with this project's tag");
        out += "\n";
    }
    for stray in of.strays.iter().take(MOST) {
        out += Shown::line(&format!("  {}", stray.what));
        out += Shown::line(&format!("  {}", stray.arn));
    }
    if let Some(more) = of.strays.len().checked_sub(MOST).filter(|more| *more > 0) {
        out += Shown::line(&format!("  {}", and_more(more)));
    }
    out
}

/// What there is to tell of a platform that is there, or was.
fn platform(of: &Status, cost: &Cost, now: Timestamp, row: &mut impl FnMut(&str, String)) {
    if let Some(at) = of.since {
        row("Since", format!("{} ({} ago)", words::minute(at), words::duration(between(at, now))));
    }
    if let Some(by) = &of.started_by {
        row("Started by", by.clone());
    }
    row("People", people(&of.people));
    if let Some(task) = &of.task {
        row("Task", task_line(task));
        row("Containers", task.containers.iter().map(container).collect::<Vec<_>>().join("\n"));
    } else {
        let unseen = of.unread.iter().any(|u| u.what == "tasks");
        row("Task", if unseen { "unknown" } else { "none" }.into());
    }
    if let Some(groups) = of.targets.as_ref().filter(|g| !g.is_empty()) {
        row("Targets", groups.iter().map(targets).collect::<Vec<_>>().join("\n"));
    }
    row("DNS", judged(&of.dns.verdict, of.addresses.as_ref().filter(|a| !a.is_empty()).map(|a| addresses(a))));
    row("Certificate", certificate(of, now));
    row("Cost", words::cost(cost));
    let items = cost.items.iter().map(|item| format!("{}  {}", words::dollars(item.per_hour), item.what));
    let items = items.collect::<Vec<_>>().join("\n");
    if !items.is_empty() {
        row("", items);
    }
    row("", format!("not counted: {}; rates: {}", cost.not_counted, price::RATES));
}

/// What could not be read, with one line for each reason.
fn unread(of: &[Unread]) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in of {
        match reasons.iter_mut().find(|(why, _)| reason(why) == reason(&one.why)) {
            Some((why, what)) => {
                // Which call it was matters only where it is one.
                *why = if *why == one.why { *why } else { reason(&one.why) };
                what.push(one.what);
            }
            None => reasons.push((&one.why, vec![one.what])),
        }
    }
    reasons.into_iter().map(|(why, what)| format!("{}: {why}", what.join(", "))).collect()
}

/// Why something could not be read, without the call (`ecs:DescribeServices`): the same for all calls that one thing stops.
fn reason(why: &str) -> &str {
    let is_call = |head: &str| head.contains(':') && !head.contains(' ');
    why.split_once(": ").filter(|(head, _)| is_call(head)).map_or(why, |(_, reason)| reason)
}

fn tone_of(standing: &Standing) -> Tone {
    match standing {
        Standing::Running => Tone::Good,
        Standing::Standby | Standing::PoweredDown | Standing::Destroyed => Tone::Strong,
        Standing::Changing { .. } | Standing::Unknown { .. } => Tone::Warning,
        Standing::Degraded { .. } | Standing::NoSuchPlatform(_) => Tone::Bad,
    }
}

fn tone_of_verdict(verdict: &Verdict) -> Option<Tone> {
    match verdict {
        Verdict::Holds => None,
        Verdict::Unseen(unseen) if unseen.because == Blindness::NotAsked => Some(Tone::Dim),
        Verdict::Warns(_) | Verdict::Waits(_) | Verdict::Unseen(_) => Some(Tone::Warning),
        Verdict::Fails(_) => Some(Tone::Bad),
    }
}

fn certificate_tone(of: &Status, now: Timestamp) -> Option<Tone> {
    let left = of.certificate_until?.duration_since(now);
    (left < SignedDuration::ZERO).then_some(Tone::Bad).or_else(|| (left < CERTIFICATE_WARNING).then_some(Tone::Warning))
}

fn lines(of: &[String]) -> String {
    of.join("\n")
}

fn people(of: &People) -> String {
    match of {
        People::NoTask => "none: no task runs".into(),
        People::Counted { participants, conferences } => {
            let rooms = count(*conferences, "room", "rooms");
            format!("{} in {rooms}", count(*participants, "person", "people"))
        }
        People::Unknown { why } => format!("unknown: {why}"),
        People::NobodyCounts => "nobody counts them ([occupancy] source = \"none\")".into(),
    }
}

fn task_line(task: &Task) -> String {
    let size = format!("{} vCPU, {} GB", of_1024(task.cpu), of_1024(task.memory));
    format!("{} {}, {}, {size}", task.id, task.last_status, condition(task.health))
}

fn of_1024(units: u32) -> String {
    let tenths = (u64::from(units) * 100 + 512) / 1024;
    let text = format!("{}.{:02}", tenths / 100, tenths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn condition(of: ContainerHealth) -> &'static str {
    match of {
        ContainerHealth::Healthy => "healthy",
        ContainerHealth::Unhealthy => "unhealthy",
        ContainerHealth::Unknown => "health unknown",
    }
}

fn container(of: &Container) -> String {
    let mut line = format!("{}: {}, {}", of.name, of.last_status, condition(of.health));
    if let Some(code) = of.exit_code {
        let _ = write!(line, ", exit code {code}");
    }
    if let Some(reason) = &of.reason {
        let _ = write!(line, ": {reason}");
    }
    line
}

fn targets(of: &TargetGroup) -> String {
    let each: Vec<String> = of.targets.iter().map(target).collect();
    let each = if each.is_empty() { "no target".to_owned() } else { list(each, ", ") };
    format!("{}:{}: {each}", of.container, of.port)
}

fn target(of: &Target) -> String {
    let state = match of.state {
        TargetState::Initial => "initial",
        TargetState::Healthy => "healthy",
        TargetState::Unhealthy => "unhealthy",
        TargetState::Unused => "unused",
        TargetState::Draining => "draining",
        TargetState::Unavailable => "unavailable",
    };
    let reason = of.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
    format!("{} {state}{reason}", of.address)
}

/// The days left; the warning that they are few would only repeat them.
fn certificate(of: &Status, now: Timestamp) -> String {
    let found = of.certificate_until.map(|until| days_left(until, now));
    match (&of.certificate.verdict, found) {
        (Verdict::Warns(_), Some(found)) if certificate_tone(of, now).is_some() => found,
        (verdict, found) => judged(verdict, found),
    }
}

/// What was found, and what is to be said about it.
fn judged(verdict: &Verdict, found: Option<String>) -> String {
    let label = match verdict {
        Verdict::Holds | Verdict::Warns(_) | Verdict::Fails(_) => "",
        Verdict::Waits(_) => "not yet: ",
        // Nobody looks for the address of what is switched off.
        Verdict::Unseen(unseen) if unseen.because == Blindness::NotAsked => "",
        Verdict::Unseen(_) => "unknown: ",
    };
    match (words::why(verdict).map(|why| format!("{label}{why}")), found) {
        (None, None) => "good".into(),
        (None, Some(found)) => found,
        (Some(why), None) => why,
        (Some(why), Some(found)) => format!("{found}\n{why}"),
    }
}

fn days_left(until: Timestamp, now: Timestamp) -> String {
    let left = until.duration_since(now);
    let days = left.abs().as_hours() / 24;
    let days = count(days.unsigned_abs(), "day", "days");
    let how = if left.is_negative() { format!("ended {days} ago") } else { format!("{days} left") };
    format!("until {} ({how})", words::minute(until))
}

/// Every condition with its evidence, and a remedy below those that do not hold.
pub fn health(of: &Health, page: &Page) -> Shown {
    let mut grid = Grid::new(page);
    let mut blind: Vec<(&str, &str)> = Vec::new();
    for one in &of.judged {
        let (symbol, word, tone) = mark(&one.verdict);
        let name = Cell::new(one.condition.name());
        let marked = Cell::toned(tone, format!("{symbol} {word}"));
        if let Verdict::Unseen(unseen) = &one.verdict {
            // One thing that stops many looks is told once, with what to do.
            let why = reason(&unseen.why);
            if let Some((_, first)) = blind.iter().find(|(said, _)| *said == why) {
                grid.row([marked, name, Cell::new(format!("cannot be seen, as {first}"))]);
                continue;
            }
            blind.push((why, one.condition.name()));
        }
        grid.row([marked, name, tone_of_text(&one.verdict, &finding(one))]);
        for next in bounded(&one.next) {
            grid.row([Cell::new(""), Cell::new(""), Cell::toned(Tone::Type, format!("→ {next}"))]);
        }
    }
    grid.fix(&[11, 14]);
    let mut out = grid.shown();
    out += "\n";
    out += Shown::hanging("", "", &summary(of), page);
    out
}

fn finding(one: &JudgedCondition) -> String {
    let evidence = one.evidence.clone();
    match words::why(&one.verdict) {
        None if evidence.is_empty() => one.sentence.clone(),
        None => evidence,
        Some(why) if evidence.is_empty() || evidence == why => why,
        Some(why) => format!("{why}\n{evidence}"),
    }
}

fn tone_of_text(verdict: &Verdict, text: &str) -> Cell {
    match verdict {
        Verdict::Fails(_) => Cell::toned(Tone::Bad, text),
        Verdict::Holds | Verdict::Warns(_) | Verdict::Waits(_) | Verdict::Unseen(_) => Cell::new(text),
    }
}

fn mark(verdict: &Verdict) -> (&'static str, &'static str, Tone) {
    match verdict {
        Verdict::Holds => ("✔", "good", Tone::Good),
        Verdict::Warns(_) => ("!", "warning", Tone::Warning),
        Verdict::Waits(_) => ("◐", "not yet", Tone::Warning),
        Verdict::Fails(_) => ("✘", "failed", Tone::Bad),
        Verdict::Unseen(_) => ("?", "unknown", Tone::Warning),
    }
}

fn summary(of: &Health) -> String {
    let number = |is: fn(&Verdict) -> bool| of.judged.iter().filter(|j| is(&j.verdict)).count();
    let bad = number(|v| matches!(v, Verdict::Fails(_) | Verdict::Waits(_)));
    let unknown = number(|v| matches!(v, Verdict::Unseen(_)));
    let warnings = number(|v| matches!(v, Verdict::Warns(_)));
    let head = match (bad, unknown) {
        (0, 0) => "Healthy".to_owned(),
        (0, _) => "Cannot tell".to_owned(),
        (_, _) => "Not healthy".to_owned(),
    };
    let good = of.judged.len() - bad - unknown;
    let mut parts = vec![format!("{good} of {} hold", count(of.judged.len(), "condition", "conditions"))];
    parts.extend((bad > 0).then(|| format!("{bad} not")));
    parts.extend((unknown > 0).then(|| format!("{unknown} unknown")));
    parts.extend((warnings > 0).then(|| count(warnings, "warning", "warnings")));
    format!("{head}: {} ({})", parts.join(", "), words::duration(of.took))
}

/// The root cause of the last failed start.
pub fn why(of: &Why, page: &Page) -> Shown {
    let mut out = Shown::default();
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| rows.push((name.to_owned(), None, text));
    if let Some(cause) = &of.cause {
        let what = words::sentence(&cause.what);
        let tone = if cause.certain { Tone::Bad } else { Tone::Warning };
        out += Shown::toned(page.style, tone, &format!("{what}."));
        out += "\n\n";
        row("AWS says", cause.evidence.clone());
        row("When", words::instant(cause.at));
        if let Some(task) = &cause.task {
            row("Task", task.to_string());
        }
        if let Some(container) = &cause.container {
            row("Container", container.clone());
        }
    }
    if let Some(deployment) = &of.deployment {
        row("Start", deployment.clone());
    }
    if let Some(note) = &of.note {
        row("Note", note.clone());
    }
    out += two_columns(&rows, page);
    if let Some(tail) = of.log.as_ref().filter(|l| !l.lines.is_empty()) {
        out += "\n";
        out += Shown::line(&format!("The last {} of `{}`:", last_lines(tail), tail.container));
        out += "\n";
        out += log("  ", tail, page);
    }
    if let Some(cause) = of.cause.as_ref().filter(|c| !c.next.is_empty()) {
        out += "\n";
        for next in bounded(&cause.next) {
            out += Shown::hanging("  → ", "    ", &words::sentence(&next), page);
        }
    }
    out
}

fn last_lines(tail: &LogTail) -> String {
    count(tail.lines.len(), "line", "lines")
}

fn settings(of: &[Setting], origins: bool, page: &Page) -> Shown {
    let mut grid = Grid::new(page);
    for setting in of {
        let (value, origin) = match &setting.value {
            Some(value) => (Cell::new(value), setting.origin.as_str()),
            None => (Cell::toned(Tone::Dim, "(not set)"), ""),
        };
        let origin = origins.then(|| Cell::toned(Tone::Dim, origin));
        grid.row([Cell::new(&setting.key), value].into_iter().chain(origin));
    }
    grid.fix(&[]);
    grid.shown()
}

fn stories(of: &[Story], page: &Page) -> Shown {
    let mut grid = Grid::new(page);
    for story in of {
        grid.row([Cell::toned(Tone::Type, story.name), Cell::new(story.about)]);
    }
    let longest = of.iter().map(|s| s.name.len()).max().unwrap_or_default();
    grid.fix(&[longest]);
    let how = "Play one: `meetctl --sandbox=STORY up`; go on with it: `meetctl --sandbox status`";
    let mut out = grid.shown();
    out += "\n";
    out += Shown::hanging("", "", how, page);
    out
}

/// Names on the left, texts on the right.
fn two_columns(rows: &[(String, Option<Tone>, String)], page: &Page) -> Shown {
    if rows.is_empty() {
        return Shown::default();
    }
    let mut grid = Grid::new(page);
    for (name, tone, text) in rows {
        grid.row([Cell::new(name), tone.map_or_else(|| Cell::new(text), |tone| Cell::toned(tone, text))]);
    }
    let longest = rows.iter().map(|(name, _, _)| name.width()).max().unwrap_or_default();
    grid.fix(&[longest]);
    grid.shown()
}

/// Why a job could not be done, and what to do next.
pub fn failure(of: &Failure, page: &Page) -> Shown {
    let mut out = Shown::hanging((Tone::Bad, "error: "), "       ", &of.what, page);
    out += part("because", &of.why, page);
    if let Some(tail) = of.log.as_ref().filter(|l| !l.lines.is_empty()) {
        out += part("log", &[format!("the last {} of `{}`", last_lines(tail), tail.container)], page);
        out += log("           ", tail, page);
    }
    out += part("next", &of.next, page);
    out
}

/// The columns before a part of a failure.
const LABEL: usize = 11;

fn part(label: &str, texts: &[String], page: &Page) -> Shown {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    let rest = " ".repeat(LABEL);
    let mut out = Shown::default();
    for (label, text) in labels.zip(bounded(texts)) {
        out += Shown::hanging(format!("  {label:<9}"), &rest, &text, page);
    }
    out
}

/// The first of many, and how many more there are.
pub(super) fn bounded(texts: &[String]) -> Vec<String> {
    let more = texts.len().saturating_sub(MOST);
    texts.iter().take(MOST).cloned().chain((more > 0).then(|| and_more(more))).collect()
}

/// What a container has logged, each line by itself.
fn log(before: &'static str, tail: &LogTail, page: &Page) -> Shown {
    let mut out = Shown::default();
    for line in &tail.lines {
        out += before;
        out += Shown::toned(page.style, Tone::Dim, &format!("│ {line}"));
        out += "\n";
    }
    out
}
