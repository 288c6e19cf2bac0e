//! A rehearsal as one page for a browser: nothing is loaded from elsewhere, and nothing from outside is markup.

use std::fmt::Write as _;
use std::time::Duration;

use super::words;
use crate::answer::{JudgedCondition, Part, Probe, Rehearsal, Told};
use crate::domain::condition::Verdict;
use crate::domain::ladder::Climb;
use crate::domain::meeting::{Flow, Medium, Weight};
use crate::domain::rehearsal::{Grade, Phase};
use crate::domain::text::{MOST, and_more, lines};

const STYLE: &str = include_str!("report.css");
/// More streams than this are summed up, worst first.
const MOST_STREAMS: usize = 24;

/// The whole page.
pub fn page(of: &Rehearsal) -> String {
    let (class, head) = headline(of);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Rehearsal of {platform}: {head}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header class=\"{class}\">\n<p class=\"kicker\">Rehearsal</p>\n<h1>{platform}</h1>\n\
         <p class=\"verdict\">{head}</p>\n<dl class=\"facts\">\n",
        platform = escape(&of.platform),
    );
    let facts = [
        ("Address", of.url.clone()),
        ("Began", words::instant(of.began)),
        ("Took", words::duration(of.took)),
        ("Found", of.found.to_owned()),
        ("Left", if of.restored { of.left.to_owned() } else { format!("{}, not as it was found", of.left) }),
    ];
    for (name, value) in facts {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    out += "</dl>\n</header>\n";
    findings(of, &mut out);
    timeline(of, &mut out);
    meeting(of, &mut out);
    conditions(of, &mut out);
    phases(of, &mut out);
    let _ = write!(
        out,
        "<footer>meetctl {}. L1: packets reach the bridge and come back on UDP. L2: ICE and DTLS are up. L3: the bridge \
         forwards packets from one participant to another.</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// Text that no browser takes for markup.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in lines(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Escaped, with what stands in backticks as something to type.
fn prose(text: &str) -> String {
    let parts = text.split('`').map(escape).collect::<Vec<_>>();
    // A backtick without its partner is only a backtick.
    if parts.len() % 2 == 0 {
        return escape(text);
    }
    let marked =
        parts.iter().enumerate().map(|(i, p)| if i % 2 == 1 { format!("<code>{p}</code>") } else { p.clone() });
    marked.collect()
}

fn headline(of: &Rehearsal) -> (&'static str, &'static str) {
    let any = |is: fn(&Grade) -> bool| of.phases.iter().any(|part| is(&part.grade));
    if !of.restored {
        ("bad", "the platform is not as it was found")
    } else if any(|g| matches!(g, Grade::Bad(_))) {
        ("bad", "something does not work")
    } else if any(|g| matches!(g, Grade::Unseen(_))) {
        ("warned", "something could not be judged")
    } else if of.phases.iter().any(|part| part.phase < Phase::Down && matches!(part.grade, Grade::Skipped(_))) {
        ("warned", "not complete")
    } else if any(|g| matches!(g, Grade::Warned(_))) {
        ("warned", "everything works, with warnings")
    } else {
        ("good", "everything works")
    }
}

const fn class(grade: &Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Warned(_) => "warned",
        Grade::Bad(_) => "bad",
        Grade::Unseen(_) => "unseen",
        Grade::Skipped(_) => "skipped",
    }
}

fn badge(grade: &Grade) -> String {
    let (symbol, word) = words::grade(grade);
    format!("<span class=\"badge {}\">{symbol} {word}</span>", class(grade))
}

/// What went wrong, first: each with what to do about it.
fn findings(of: &Rehearsal, out: &mut String) {
    let wrong: Vec<&Part> =
        of.phases.iter().filter(|part| !matches!(part.grade, Grade::Good | Grade::Skipped(_))).collect();
    if wrong.is_empty() {
        return;
    }
    *out += "<section>\n<h2>Findings</h2>\n";
    for part in wrong {
        let _ = writeln!(out, "<article class=\"finding {}\">", class(&part.grade));
        let _ = writeln!(out, "<h3>{} {}. {}</h3>", badge(&part.grade), part.number, escape(part.phase.name()));
        let _ = writeln!(out, "<p>{}</p>", prose(part.grade.why().unwrap_or_default()));
        let told = part.probe.iter().flat_map(|probe| probe.finding.iter().chain(&probe.warnings));
        told.take(MOST).for_each(|told| code(told, out));
        if let Some(log) = part.log.as_ref().filter(|log| !log.lines.is_empty()) {
            let lines: Vec<String> = log.lines.iter().map(|line| escape(line)).collect();
            let container = escape(&log.container);
            let _ =
                writeln!(out, "<p>The last lines of <code>{container}</code>:</p>\n<pre>{}</pre>", lines.join("\n"));
        }
        list("next", &part.next, out);
        *out += "</article>\n";
    }
    *out += "</section>\n";
}

fn code(told: &Told, out: &mut String) {
    let seen = told.finding.detail.iter().chain(&told.finding.evidence).map(|text| format!(" <q>{}</q>", escape(text)));
    let weight = if told.weight == Weight::Failure { "bad" } else { "warned" };
    let _ = writeln!(
        out,
        "<p class=\"told\"><code class=\"{weight}\">{}</code> {}.{}</p>",
        escape(told.finding.code.as_str()),
        prose(&words::sentence(told.sentence)),
        seen.collect::<String>()
    );
}

fn list(class: &str, texts: &[String], out: &mut String) {
    if texts.is_empty() {
        return;
    }
    let _ = writeln!(out, "<ul class=\"{class}\">");
    let more = texts.len().checked_sub(MOST).filter(|more| *more > 0).map(and_more);
    for text in texts.iter().take(MOST).chain(more.as_ref()) {
        let _ = writeln!(out, "<li>{}</li>", prose(text));
    }
    *out += "</ul>\n";
}

/// One bar for each phase, where it was and as long as it was.
fn timeline(of: &Rehearsal, out: &mut String) {
    *out += "<section>\n<h2>Timeline</h2>\n<ol class=\"timeline\">\n";
    for part in &of.phases {
        let (left, width) = (share(part.after, of.took), share(part.took, of.took));
        let _ = writeln!(
            out,
            "<li><span class=\"name\">{}. {}</span><span class=\"track\"><span class=\"bar {}\" \
             style=\"left:{left:.2}%;width:max({width:.2}%,3px)\"></span></span><span class=\"took\">{}</span></li>",
            part.number,
            escape(part.phase.name()),
            class(&part.grade),
            if part.took.is_zero() { "–".to_owned() } else { words::duration(part.took) },
        );
    }
    *out += "</ol>\n</section>\n";
}

/// In percent, and never so far to the right that nothing shows.
fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { (part.as_secs_f64() / whole.as_secs_f64() * 100.0).clamp(0.0, 99.0) }
}

/// The figures of the meeting that was held, or of the proof that `health` made.
fn meeting(of: &Rehearsal, out: &mut String) {
    let held = |phase| of.phases.iter().find(|part| part.phase == phase).and_then(|part| part.probe.as_ref());
    let Some(probe) = held(Phase::Meeting).or_else(|| held(Phase::Health)) else { return };
    *out += "<section>\n<h2>The meeting</h2>\n<table class=\"levels\">\n<tbody>\n";
    for rung in &probe.levels {
        let (class, word) = match rung.result {
            Climb::Shown => ("good", "✔ shown"),
            Climb::Failed => ("bad", "✘ failed"),
            Climb::NotReached => ("skipped", "· not reached"),
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{word}</span></td><td>{}</td></tr>",
            rung.level.name(),
            escape(&rung.figures)
        );
    }
    *out += "</tbody>\n</table>\n";
    streams(probe, out);
    *out += "</section>\n";
}

fn streams(probe: &Probe, out: &mut String) {
    let mut flows: Vec<&Flow> = probe.proof.flows.iter().collect();
    if flows.is_empty() {
        return;
    }
    flows.sort_by(|a, b| b.loss().total_cmp(&a.loss()));
    let more = flows.len().saturating_sub(MOST_STREAMS);
    *out += "<table class=\"streams\">\n<thead><tr><th>Stream</th><th>Sent</th><th>Received</th><th>Lost</th>\
             <th>Audible after</th><th>Out of order</th><th>Transit (median)</th><th>Transit (p95)</th></tr></thead>\n<tbody>\n";
    for flow in flows.iter().take(MOST_STREAMS) {
        let millis = |span: Option<Duration>| {
            span.map_or_else(|| "–".to_owned(), |span| format!("{:.1} ms", span.as_secs_f64() * 1000.0))
        };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{} → {}{}</th><td>{}</td><td>{}</td><td>{:.1} %</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&flow.from),
            escape(&flow.to),
            if flow.medium == Medium::Video { ", video" } else { "" },
            flow.sent,
            flow.received,
            flow.loss(),
            flow.audible_after.map_or_else(|| "–".to_owned(), |after| format!("{:.1} s", after.as_secs_f64())),
            flow.reordered,
            millis(flow.transit_median),
            millis(flow.transit_p95),
        );
    }
    *out += "</tbody>\n</table>\n";
    if more > 0 {
        let _ = writeln!(out, "<p class=\"dim\">and {more} more, none of which lost more than these</p>");
    }
}

/// Every condition of `running`, as `health` judged it.
fn conditions(of: &Rehearsal, out: &mut String) {
    let judged: Vec<&JudgedCondition> = of.phases.iter().flat_map(|part| &part.judged).collect();
    if judged.is_empty() {
        return;
    }
    *out += "<section>\n<h2>Conditions of running</h2>\n<table>\n<tbody>\n";
    for one in judged {
        let grade = Grade::from(one.verdict.clone());
        let why = if one.verdict == Verdict::Holds { None } else { grade.why() };
        let texts = why.into_iter().chain(Some(one.evidence.as_str()).filter(|text| !text.is_empty()));
        let found = texts.map(prose).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}<br><span class=\"dim\">{found}</span></td></tr>",
            one.condition.name(),
            badge(&grade),
            escape(&words::sentence(&one.sentence)),
        );
    }
    *out += "</tbody>\n</table>\n</section>\n";
}

fn phases(of: &Rehearsal, out: &mut String) {
    *out += "<section>\n<h2>Phases</h2>\n<table>\n<tbody>\n";
    for part in &of.phases {
        let texts = part.grade.why().into_iter().chain(part.evidence.iter().map(String::as_str));
        let found = texts.map(prose).collect::<Vec<_>>().join("<br>");
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}. {}</th><td>{}</td><td>{found}</td></tr>",
            part.number,
            escape(part.phase.name()),
            badge(&part.grade)
        );
    }
    *out += "</tbody>\n</table>\n</section>\n";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(escape("<b a=\"1\" c='2'>&amp;\u{1b}[31m"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
        assert_eq!(escape("a\u{202e}b\u{2028}c"), "ab c");
        assert_eq!(prose("run `a <b>` now"), "run <code>a &lt;b&gt;</code> now");
        assert_eq!(prose("odd ` one"), "odd ` one");
    }
}
