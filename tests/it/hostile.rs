//! Text from outside is text: in every field of every event, answer and failure, for every reader.

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{InMemoryTerm, ProgressDrawTarget};
use jiff::Timestamp;
use meetctl::answer::{Answer, Costs, JudgedCondition, Part, Probe, Rehearsal, Setting, Settled, Told, Why};
use meetctl::clock::Clock;
use meetctl::domain::cause::{Cause, LogTail};
use meetctl::domain::changes::{Change, Changes, Deed, Wanted};
use meetctl::domain::condition::{Condition, Verdict};
use meetctl::domain::cost::{Cost, Item, Money};
use meetctl::domain::estimate::{Ingress, Line, Month, Rest, Usage};
use meetctl::domain::finding::Code;
use meetctl::domain::goal::{Goal, Level};
use meetctl::domain::ladder::{Climb, Climbed, Rung};
use meetctl::domain::meeting::{
    Answer as Stun, Carrier, Channeled, Finding, Flow, Medium, Passed, Proof, Reached, Secured, Stage,
};
use meetctl::domain::observed::{
    Architecture, Blindness, Container, Health, Observed, Target, TargetGroup, TargetState, Task, Unreadable,
};
use meetctl::domain::ownership::NoPlatform;
use meetctl::domain::plan::{Plan, Step};
use meetctl::domain::ramp::{Limit, Ramp};
use meetctl::domain::rehearsal::{Grade, Phase};
use meetctl::domain::said::Said;
use meetctl::domain::standing::Standing;
use meetctl::domain::status::{People, Status, Stray, Unread};
use meetctl::domain::text::is_active;
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::{Event, Stamped};
use meetctl::render::report::page as html;
use meetctl::render::{Json, Out, Page, Plain, Quiet, Render, Screen, Style, Tty};
use serde_json::Value;

use crate::render::{Paper, at};

/// Everything at once: colours, a cursor that moves, a title, what turns text around, what has no width, and line
/// breaks of four kinds, before what would be a line of ours.
const HOSTILE: &str = "in\u{1b}[35;45m\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}5A\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}\
                       \u{85}<b onload='x'>\r\nerror: forged";

fn evil() -> String {
    HOSTILE.to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "for fields that may be empty")]
fn some() -> Option<String> {
    Some(evil())
}

fn list() -> Vec<String> {
    vec![evil(), evil()]
}

fn unseen() -> Unreadable {
    Unreadable { because: Blindness::Garbled, why: evil() }
}

fn log() -> LogTail {
    LogTail { container: evil(), lines: list() }
}

fn finding() -> Finding {
    let finding = Finding::new(Code::Garbled);
    Finding { participant: some(), detail: some(), evidence: some(), ..finding }
}

fn probe() -> Probe {
    let told = Told { finding: finding(), weight: finding().weight(), sentence: "", remedy: "" };
    let address = "203.0.113.10:10000".parse().expect("an address");
    let second = Duration::from_secs(1);
    let flow = Flow {
        from: evil(),
        to: evil(),
        medium: Medium::Video,
        sent: 1,
        received: 1,
        lost: 0,
        reordered: 0,
        duplicated: 0,
        round_trip: None,
        transit_median: None,
        transit_p95: None,
        audible_after: None,
        silences: Vec::new(),
    };
    Probe {
        url: evil(),
        levels: Rung::ALL.iter().map(|&level| Climbed { level, result: Climb::Failed, figures: evil() }).collect(),
        finding: Some(told.clone()),
        warnings: vec![told],
        proof: Proof {
            room: evil(),
            stages: vec![Passed { participant: evil(), stage: Stage::Join, at: second }],
            left_out: list(),
            reached: vec![Reached {
                participant: evil(),
                address,
                outcome: Stun::NoRoute { why: evil() },
                round_trip: None,
                mapped: None,
            }],
            secured: vec![Secured {
                participant: evil(),
                ice: second,
                dtls: second,
                local: address,
                remote: address,
                round_trip: None,
            }],
            channels: vec![Channeled {
                participant: evil(),
                carrier: Carrier::WebSocket,
                answered: second,
                version: Some(evil()),
            }],
            flows: vec![flow],
            sender: None,
            ramp: Some(Ramp { limit: Some(Limit::Refused { at: 2, finding: finding() }), ..Ramp::default() }),
            finding: Some(finding()),
            warnings: vec![finding()],
            took: second,
            tries: 1,
            repeated: false,
        },
    }
}

fn judged() -> Vec<JudgedCondition> {
    let verdicts = [Verdict::Warns(evil()), Verdict::Waits(evil()), Verdict::Fails(evil()), Verdict::Unseen(unseen())];
    let judged = |verdict| JudgedCondition {
        condition: Condition::MediaFlows,
        sentence: evil(),
        verdict,
        code: None,
        evidence: evil(),
        next: list(),
    };
    verdicts.map(judged).to_vec()
}

fn task() -> Task {
    Task {
        id: "3f2a9c0d1e4b4f6c8a7b6c5d4e3f2a1b".parse().expect("an id"),
        deployment: None,
        last_status: evil(),
        health: Health::Healthy,
        created: at(0),
        started: None,
        pull_started: None,
        stopped: None,
        address: None,
        cpu: 1024,
        memory: 2048,
        architecture: Architecture::X86,
        containers: vec![Container {
            name: evil(),
            image: some(),
            last_status: evil(),
            health: Health::Unknown,
            exit_code: Some(1),
            reason: some(),
        }],
    }
}

fn status(standing: Standing, people: People) -> Answer {
    let target =
        Target { address: evil(), port: 1, state: TargetState::Unhealthy, reason: some(), description: some() };
    Answer::Status(Status {
        platform: evil(),
        url: evil(),
        standing,
        since: None,
        started_by: some(),
        people,
        task: Some(task()),
        targets: Some(vec![TargetGroup {
            group: "arn:aws:elasticloadbalancing:::tg".parse().expect("an ARN"),
            container: evil(),
            port: 1,
            targets: vec![target],
        }]),
        addresses: None,
        dns: Verdict::Fails(evil()).into(),
        certificate_until: None,
        certificate: Verdict::Unseen(unseen()).into(),
        strays: vec![Stray { arn: evil(), per_hour: None, what: evil() }],
        cost: Some(Cost {
            per_hour: Money(1),
            items: vec![Item { what: evil(), per_hour: Money(1) }],
            unknown: list(),
            not_counted: "",
        }),
        unread: vec![Unread { what: "tasks", why: evil() }],
    })
}

fn rehearsal() -> Rehearsal {
    let grades = [Grade::Warned(evil()), Grade::Bad(evil()), Grade::Unseen(evil()), Grade::Skipped(evil())];
    let part = |grade| Part {
        phase: Phase::Meeting,
        number: 7,
        after: Duration::ZERO,
        took: Duration::from_secs(1),
        grade,
        evidence: list(),
        next: list(),
        judged: judged(),
        probe: Some(Box::new(probe())),
        log: Some(log()),
    };
    Rehearsal {
        platform: evil(),
        url: evil(),
        began: at(0),
        took: Duration::from_secs(1),
        found: "standby",
        left: "standby",
        restored: false,
        phases: grades.map(part).to_vec(),
    }
}

fn answers() -> Vec<Answer> {
    let standings = [
        Standing::Changing { toward: Level::Running, awaited: list(), codes: Vec::new() },
        Standing::Degraded { of: Level::Running, broken: list(), codes: Vec::new() },
        Standing::Unknown { unread: list() },
        Standing::NoSuchPlatform(NoPlatform {
            platform: "jitsi".parse().expect("a name"),
            region: "us-west-2".parse().expect("a region"),
            account: None,
            theirs: some(),
            answers: some(),
        }),
    ];
    let mut all: Vec<Answer> =
        standings.into_iter().map(|standing| status(standing, People::Unknown { why: evil() })).collect();
    let cause = Cause {
        code: "container-exited",
        what: evil(),
        evidence: evil(),
        at: at(0),
        container: some(),
        task: None,
        next: list(),
        certain: true,
    };
    let health = meetctl::answer::Health { level: evil(), judged: judged(), took: Duration::from_secs(1) };
    all.extend([
        Answer::Health(health),
        Answer::Probe(probe()),
        Answer::Rehearsal(rehearsal()),
        Answer::Why(Why { deployment: some(), cause: Some(cause), log: Some(log()), note: some() }),
        Answer::Settled(Settled {
            level: Level::Standby,
            before: Money(2),
            per_hour: Money(1),
            per_month: Money(1),
            kept: list(),
            back: evil(),
        }),
        Answer::Costs(Costs {
            rates: "",
            levels: Vec::new(),
            seed: Vec::new(),
            usage: usage(),
            month: Month { lines: vec![Line { what: evil(), amount: Money(1) }], total: Money(1), egress_gb: 0.0 },
            not_counted: "",
        }),
        Answer::Config { settings: vec![Setting { key: evil(), value: some(), origin: evil() }], origins: true },
        Answer::Stories { stories: Vec::new() },
        Answer::Text { text: evil() },
    ]);
    all
}

fn usage() -> Usage {
    Usage {
        sessions: 1,
        session_hours: 1.0,
        meeting_hours: 1.0,
        meeting: None,
        ingress: Ingress::Nlb,
        rest: Rest::Standby,
        architecture: Architecture::X86,
        zones: 1,
    }
}

/// Every event, with hostile text wherever there is text.
fn events() -> Vec<Event> {
    use Condition::*;
    let deed = Deed::Create;
    let minute = Duration::from_mins(1);
    let step = |until| Step { until, action: None, why: evil(), code: None };
    let plan = Plan { to: Goal::Running, steps: vec![step(Started), step(PagesServed)] };
    let resources = vec![Change { address: evil(), kind: evil(), deed, arn: some(), project: some() }];
    let said = [
        Said::Doing { what: evil() },
        Said::Started { address: evil(), deed },
        Said::Working { address: evil(), after: minute },
        Said::Finished { address: evil(), deed, took: minute },
        Said::Failed { address: evil() },
        Said::Warned { summary: evil() },
    ];
    let mut all = vec![
        Event::hello(),
        Event::Planned { observed: Box::new(Observed::nothing(at(0))), plan },
        Event::StepStarted { until: Started, limit: minute },
        Event::StepProgress { until: Started, note: evil() },
        Event::StepFinished { until: Started, took: minute },
        Event::StepStarted { until: PagesServed, limit: minute },
        Event::StepFailed { until: PagesServed, message: evil(), code: None },
        Event::ServiceSaid { at: at(0), message: evil() },
        Event::ChangesPlanned { wanted: Wanted::PoweredDown, changes: Changes { resources, others: true } },
        Event::PhaseStarted { phase: Phase::Up, number: 3, of: 10 },
        Event::PhaseFinished { phase: Phase::Up, number: 3, grade: Grade::Bad(evil()), took: minute },
        Event::Question { question: evil() },
        Event::Warning { message: evil() },
        Event::Note { message: evil() },
    ];
    all.extend(said.map(|said| Event::TerraformSaid { said }));
    all.extend(answers().into_iter().map(|answer| Event::Answer(Box::new(answer))));
    all.push(Event::Finished { outcome: Outcome::Done, exit_code: 0, level: some() });
    let failure =
        Failure { kind: Kind::Outside, code: None, what: evil(), why: list(), next: list(), log: Some(log()) };
    all.push(Event::Failed { failure, exit_code: 7 });
    all
}

fn stamped() -> impl Iterator<Item = Stamped> {
    (0..).zip(events()).map(|(seq, event)| Stamped { seq, at: at(0), sandbox: false, event })
}

fn on_paused_clock<T>(work: impl FnOnce(Clock) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { work(Clock::starting_at(at(0))) })
}

/// Takes out the colours that are ours.
fn without_our_colours(shown: &str) -> String {
    let mut rest = shown.to_owned();
    for code in ["0", "1", "2", "22", "31", "32", "33", "36", "39", "38;5;1", "38;5;2", "38;5;3", "38;5;6"] {
        rest = rest.replace(&format!("\u{1b}[{code}m"), "");
    }
    rest
}

fn only_shows(shown: &str, what: &str) {
    let shown = without_our_colours(shown);
    let active: BTreeSet<char> = shown.chars().filter(|c| *c != '\n' && is_active(*c)).collect();
    assert!(active.is_empty(), "{what}: {active:?} in\n{}", shown.escape_debug());
    assert!(shown.contains("forged"), "{what}: the text itself is shown");
}

#[test]
fn for_people_it_only_shows() {
    for style in [Style::Plain, Style::Colour] {
        let page = Page { width: 80, style };
        let paper = || (Paper::default(), Paper::default());
        on_paused_clock(|clock| {
            let (out, err) = paper();
            let mut plain = Plain::new(Out::new(out.clone()), Out::new(err.clone()), page, page, clock);
            let mut last = String::new();
            for event in stamped() {
                let before = err.text();
                plain.event(&event);
                plain.tick();
                // Only a failure begins a line like one.
                let new = without_our_colours(&err.text()[before.len()..]);
                let forged = new.lines().filter(|line| line.starts_with("error:")).count();
                let ours = usize::from(matches!(event.event, Event::Failed { .. }));
                assert_eq!(forged, ours, "{:?}:\n{new}", event.event);
                last = new;
            }
            assert!(last.contains("error: in"), "{last}");
            only_shows(&out.text(), "plain, stdout");
            only_shows(&err.text(), "plain, stderr");
        });
        on_paused_clock(|_| {
            let (out, err) = paper();
            let mut quiet = Quiet::new(Out::new(out.clone()), Out::new(err.clone()), page, page);
            stamped().for_each(|event| quiet.event(&event));
            only_shows(&out.text(), "quiet, stdout");
            only_shows(&err.text(), "quiet, stderr");
        });
        on_paused_clock(|clock| {
            let (out, err) = paper();
            let term = InMemoryTerm::new(50, 80);
            let screen = Screen {
                target: ProgressDrawTarget::term_like(Box::new(term.clone())),
                width: Box::new(|| 80),
                err: Out::new(err.clone()),
                style,
            };
            let mut tty = Tty::new(screen, Out::new(out.clone()), page, clock);
            let mut seen = false;
            for event in stamped() {
                tty.event(&event);
                tty.tick();
                let rows = term.contents();
                seen |= rows.contains("in");
                assert!(!rows.chars().any(|c| c != '\n' && is_active(c)), "{}", rows.escape_debug());
            }
            assert!(seen, "the rows show what is waited for");
            only_shows(&out.text(), "tty, stdout");
            only_shows(&err.text(), "tty, stderr");
        });
    }
}

#[test]
fn in_a_browser_it_only_shows() {
    let html = html(&rehearsal());
    only_shows(&html, "the page");
    assert!(html.contains("&lt;b onload=&#39;x&#39;&gt;") && !html.contains("<b onload"), "{html}");
}

#[test]
fn for_programs_it_is_what_it_was() {
    let lines: Vec<String> = on_paused_clock(|_| {
        stamped()
            .map(|event| {
                let out = Paper::default();
                Json::new(Out::new(out.clone())).event(&event);
                out.text()
            })
            .collect()
    });
    let mut texts = 0;
    let mut missing = BTreeSet::new();
    for line in lines {
        assert!(!line.trim_end_matches('\n').chars().any(is_active), "{}", line.escape_debug());
        let value: Value = serde_json::from_str(&line).expect("JSON");
        walk("", &value, &mut |key: &str, text: &str| {
            if text == HOSTILE {
                texts += 1;
            } else {
                // What is text from outside is hostile here: a new field of that kind has to be as well.
                let exactly = format!("{key}={text}");
                if !OURS.contains(&key) && !OURS.contains(&exactly.as_str()) {
                    missing.insert(exactly);
                }
            }
        });
    }
    assert!(missing.is_empty(), "give these hostile text above, or say in OURS that they are ours: {missing:?}");
    assert!(texts > 150, "{texts}");
}

/// The keys of what is never text from outside: enumerations, times, addresses and ids that were parsed. Where a key
/// stands for text as well, the value that is ours.
const OURS: &[&str] = &[
    "answer",
    "architecture",
    "at",
    "because",
    "began",
    "carrier",
    "code",
    "condition",
    "created",
    "deed",
    "found",
    "grade",
    "group",
    "health",
    "id",
    "ingress",
    "local",
    "medium",
    "meetctl",
    "not_counted",
    "region",
    "of",
    "outcome",
    "phase",
    "rates",
    "remote",
    "rest",
    "result",
    "said",
    "said_at",
    "stage",
    "to",
    "toward",
    "type",
    "until",
    "verdict",
    "wanted",
    "weight",
    "address=203.0.113.10:10000",
    "kind=outside",
    "left=standby",
    "level=changing",
    "level=channel",
    "level=degraded",
    "level=no-such-platform",
    "level=media",
    "level=reach",
    "level=secure",
    "level=signalling",
    "level=standby",
    "level=unknown",
    "people=unknown",
    "reading=unreadable",
    "reason=refused",
    "remedy=",
    "sentence=",
    "state=unhealthy",
    "what=tasks",
    "why=not looked at",
];

fn walk(key: &str, value: &Value, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(key, text),
        Value::Array(list) => list.iter().for_each(|one| walk(key, one, each)),
        Value::Object(map) => map.iter().for_each(|(key, one)| walk(key, one, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn lists_and_lines_end() {
    let page = Page { width: 100, style: Style::Plain };
    let many = || (0..1_500).map(|n| format!("thing {n}")).collect::<Vec<_>>();
    let endless = "x".repeat(1 << 20);
    let shown = |event: Event| {
        on_paused_clock(|clock| {
            let (out, err) = (Paper::default(), Paper::default());
            let mut plain = Plain::new(Out::new(out.clone()), Out::new(err.clone()), page, page, clock);
            plain.event(&Stamped { seq: 0, at: Timestamp::UNIX_EPOCH, sandbox: false, event });
            out.text() + &err.text()
        })
    };
    let failure = Failure { kind: Kind::Outside, code: None, what: "no".into(), why: many(), next: many(), log: None };
    let text = shown(Event::Failed { failure, exit_code: 7 });
    assert_eq!(text.matches("… and 1 480 more").count(), 2, "{text}");
    let mut broken = rehearsal();
    broken.phases[1].next = many();
    broken.phases[1].evidence = many();
    assert!(meetctl::render::report::page(&broken).contains("… and 1 480 more"));
    assert!(meetctl::render::report::page(&broken).len() < 200_000);
    let standing = Standing::Degraded { of: Level::Running, broken: many(), codes: Vec::new() };
    let text = shown(Event::Answer(Box::new(status(standing, People::NoTask))));
    assert!(text.contains("more\n") && text.lines().count() < 120, "{text}");
    for event in [
        Event::Warning { message: endless.clone() },
        Event::Question { question: endless.clone() },
        Event::Failed { failure: Failure::new(Kind::Outside, endless.clone()).because(endless.clone()), exit_code: 7 },
        Event::Answer(Box::new(status(
            Standing::Degraded { of: Level::Running, broken: vec![endless.clone()], codes: Vec::new() },
            People::NoTask,
        ))),
    ] {
        let text = shown(event);
        assert!(text.contains('…') && text.len() < 20_000, "{}", text.len());
    }
}
