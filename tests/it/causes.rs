//! What AWS and Terraform say, and what meetctl makes of it: `tests/corpus/causes.tsv`.

use std::collections::BTreeSet;

use meetctl::domain::cause::{self, UNKNOWN_STOP, Words};
use meetctl::world::TerraformError;

const CORPUS: &str = include_str!("../corpus/causes.tsv");

struct Case {
    source: &'static str,
    code: &'static str,
    text: &'static str,
}

fn corpus() -> impl Iterator<Item = Case> {
    CORPUS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.splitn(3, '\t');
        let mut part = || parts.next().unwrap_or_else(|| panic!("a source, a code, a text: {line}"));
        Case { source: part(), code: part(), text: part() }
    })
}

fn found(case: &Case) -> &'static str {
    let words = Words::of(case.text);
    match case.source {
        "stop" => cause::of_stop(&words).map_or(UNKNOWN_STOP, |row| row.code),
        "event" => cause::of_event(&words).map_or("-", |(row, _)| row.code),
        "terraform" => TerraformError::of(&case.text.replace("\\n", "\n")).code(),
        other => panic!("{other} is no source"),
    }
}

#[test]
fn every_text_has_its_right_cause() {
    let cases: Vec<Case> = corpus().collect();
    assert!(cases.len() >= 60, "{} texts are too few", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|case| found(case) != case.code)
        .map(|case| format!("{}, not {}: {}", found(case), case.code, case.text))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let sources: BTreeSet<_> = cases.iter().map(|case| case.source).collect();
    assert_eq!(sources.len(), 3);
}

/// What stands inside of a name says nothing.
#[test]
fn names_never_match() {
    let names = "ghcr.io/denied/toomanyrequests:503 arn:aws:ecs:us-west-2:403404429500:task/no-space-left-on-device";
    for case in corpus() {
        let text = format!("{} {names}", case.text);
        assert_eq!(found(&Case { text: text.leak(), ..case }), case.code, "{}", case.text);
    }
}
