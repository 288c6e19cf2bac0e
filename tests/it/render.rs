//! Streams of events as each renderer shows them, at two widths.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{InMemoryTerm, ProgressDrawTarget, TermLike};
use jiff::Timestamp;
use meetctl::answer::{Answer, JudgedCondition, Story, Why};
use meetctl::clock::Clock;
use meetctl::domain::action::Action;
use meetctl::domain::billed::Placement;
use meetctl::domain::cause::{Cause, LogTail};
use meetctl::domain::changes::Recordings;
use meetctl::domain::condition::{Condition, Verdict};
use meetctl::domain::goal::Goal;
use meetctl::domain::observed::{
    Architecture, Attachment, Authority, Balancer, BalancerState, Blindness, Certificate, Container, Deployment,
    DeploymentStatus, Health, Identity, Listener, Mark, Observed, Page as WebPage, Reading, Resolution, Rollout,
    Service, ServiceStatus, Signalling, Target, TargetGroup, TargetState, Task, Tls, Unreadable, Web,
};
use meetctl::domain::ownership::Tags;
use meetctl::domain::plan::{Counted, Meetings, Plan, Policy, Step};
use meetctl::domain::status::Status;
use meetctl::domain::view::View;
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::{Event, Events, Stamped};
use meetctl::render::{Json, Out, Page, Plain, Quiet, Render, Screen, Style, Tty, narrate, table};

/// 2026-11-20 19:00:00 UTC
const BEGIN: i64 = 1_795_201_200;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).expect("a time")
}

fn page(width: usize) -> Page {
    Page { width, style: Style::Plain }
}

/// A place to write to that can be read.
#[derive(Clone, Default)]
pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one thread").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("one thread").clone()).expect("text")
    }
}

/// Writes whole lines to a terminal.
struct Lines(InMemoryTerm);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        String::from_utf8_lossy(bytes).lines().try_for_each(|line| self.0.write_line(line))?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ---- streams ----------------------------------------------------------------------------------

type Stream = Vec<(u64, Event)>;

fn step(until: Condition, action: Option<Action>, why: &str) -> Step {
    Step { until, action, why: why.into(), code: None }
}

fn observed(tasks: Vec<Task>) -> Box<Observed> {
    Box::new(Observed {
        service: Reading::Present(service()),
        tasks: Reading::Present(tasks),
        balancer: Reading::Present(Balancer {
            arn: "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/nlb/1".into(),
            placement: Placement::default(),
            allocations: Vec::new(),
            dns_name: "nlb.example.com".into(),
            state: BalancerState::Active,
            created: None,
            zones: 2,
            addresses: 2,
            listeners: vec![Listener { protocol: "TCP".into(), port: 443 }],
        }),
        ..Observed::nothing(at(0))
    })
}

fn service() -> Service {
    Service {
        status: ServiceStatus::Active,
        desired: 1,
        running: 1,
        pending: 0,
        deployments: vec![Deployment {
            id: "ecs-svc/1".parse().expect("an id"),
            status: DeploymentStatus::Primary,
            rollout: Rollout::Completed,
            rollout_reason: None,
            desired: 1,
            running: 1,
            failed: 0,
            created: at(-2_700),
        }],
        events: Vec::new(),
        target_groups: vec![Attachment {
            group: "arn:aws:elasticloadbalancing:::tg".parse().expect("an ARN"),
            container: "web".into(),
            port: 8000,
        }],
        subnets: Vec::new(),
        tags: Tags::of(&"jitsi-video-platform".parse().expect("a name"), "production"),
        mark: Some(Mark {
            by: "arn:aws:sts::111122223333:assumed-role/organizer/anna".into(),
            at: at(-2_700),
            deployment: "ecs-svc/1".parse().expect("an id"),
        }),
    }
}

fn task() -> Task {
    let container = |name: &str| Container {
        name: name.into(),
        image: None,
        last_status: "RUNNING".into(),
        health: Health::Healthy,
        exit_code: None,
        reason: None,
    };
    Task {
        id: "3f2a9c0d1e4b4f6c8a7b6c5d4e3f2a1b".parse().expect("an id"),
        deployment: Some("ecs-svc/1".parse().expect("an id")),
        last_status: "RUNNING".into(),
        health: Health::Healthy,
        created: at(-2_690),
        started: Some(at(-2_640)),
        pull_started: None,
        stopped: None,
        address: Some("10.0.1.17".parse().expect("an address")),
        cpu: 4096,
        memory: 8192,
        architecture: Architecture::X86,
        containers: ["web", "prosody", "jicofo", "jvb"].map(container).to_vec(),
    }
}

fn hello() -> (u64, Event) {
    let Event::Hello { schema, .. } = Event::hello() else { unreachable!() };
    (0, Event::Hello { meetctl: "0.0.0", schema })
}

fn started(until: Condition) -> Event {
    Event::StepStarted { until, limit: until.rule().within }
}

fn finished(until: Condition, seconds: u64) -> Event {
    Event::StepFinished { until, took: Duration::from_secs(seconds) }
}

fn progress(until: Condition, note: &str) -> Event {
    Event::StepProgress { until, note: note.into() }
}

fn first_steps() -> Vec<Step> {
    use Condition::*;
    vec![
        step(Started, Some(Action::Start), "the desired count is 0"),
        step(ContainersHealthy, None, "no task runs"),
        step(TargetsHealthy, None, "web:8000: the task is not registered yet"),
        step(PagesServed, None, "not looked at"),
        step(SignallingWorks, None, "not looked at"),
    ]
}

/// A start that works.
fn up() -> Stream {
    use Condition::*;
    let planned = |steps| Event::Planned { observed: observed(vec![]), plan: Plan { to: Goal::Running, steps } };
    vec![
        hello(),
        (1, planned(first_steps())),
        (1, started(Started)),
        (3, progress(Started, "0 tasks, 1 wanted")),
        (9, Event::ServiceSaid {
            at: at(8),
            message: "(service jitsi-video-platform-service) has started 1 tasks: (task 3f2a9c0d1e4b4f6c8a7b6c5d4e3f2a1b).".into(),
        }),
        (10, progress(Started, "the task is PENDING")),
        (62, finished(Started, 61)),
        (62, planned(vec![
            step(ContainersHealthy, None, "the task is ACTIVATING"),
            step(TargetsHealthy, None, "web:8000: initial (Elb.RegistrationInProgress)"),
            step(PagesServed, None, "not looked at"),
            step(SignallingWorks, None, "not looked at"),
        ])),
        (62, started(ContainersHealthy)),
        (63, progress(ContainersHealthy, "no health yet: jicofo, jvb")),
        (90, Event::Warning { message: "the certificate ends on 2026-12-01 12:00 UTC, in 10 days".into() }),
        (175, finished(ContainersHealthy, 113)),
        (176, planned(vec![])),
        (176, Event::Finished { outcome: Outcome::Done, exit_code: 0, level: Some("running".into()) }),
    ]
}

/// A start that cannot work.
fn image_gone() -> Stream {
    let failure = Failure {
        log: Some(LogTail {
            container: "jvb".into(),
            lines: vec!["FATAL ERROR: no \u{1b}[31mimage".into(), "exiting".into()],
        }),
        ..Failure::new(Kind::Broken, "the image ghcr.io/jitsi/jvb:stable-9999 does not exist")
            .because("CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref ghcr.io/jitsi/jvb:stable-9999: not found")
            .next("check the image's registry, name and tag in the task definition; Jitsi's are at ghcr.io/jitsi")
            .next("then run `meetctl up` again; it continues where it stopped")
    };
    let mut stream: Stream = up().into_iter().take(6).collect();
    stream
        .push((48, Event::StepFailed { until: Condition::Started, message: failure.what.clone(), code: failure.code }));
    stream.push((48, Event::Failed { exit_code: failure.kind.exit_code(), failure }));
    stream
}

/// A stop, and one where there is nothing to stop.
fn down() -> Stream {
    let planned =
        |steps, tasks| Event::Planned { observed: observed(tasks), plan: Plan { to: Goal::AtMostStandby, steps } };
    vec![
        hello(),
        (1, planned(vec![step(Condition::Stopped, Some(Action::Stop), "the desired count is 1")], vec![task()])),
        (1, started(Condition::Stopped)),
        (2, progress(Condition::Stopped, "1 task(s) still stopping")),
        (150, finished(Condition::Stopped, 149)),
        (151, planned(vec![], vec![])),
        (151, Event::Finished { outcome: Outcome::Done, exit_code: 0, level: None }),
    ]
}

fn nothing_to_do() -> Stream {
    let plan = Plan { to: Goal::AtMostStandby, steps: vec![] };
    vec![
        hello(),
        (1, Event::Planned { observed: observed(vec![]), plan }),
        (1, Event::Finished { outcome: Outcome::NothingToDo, exit_code: 0, level: None }),
    ]
}

fn refused() -> Stream {
    let failure = Failure::new(Kind::Refused, "people are in a meeting: 7 in 1 room(s)")
        .next("wait for them: `meetctl down --when-empty`")
        .next("or end their meeting: `meetctl down --cut-meetings`");
    vec![hello(), (2, Event::Failed { exit_code: failure.kind.exit_code(), failure })]
}

fn policy() -> Policy {
    Policy {
        platform: "jitsi-video-platform".parse().expect("a name"),
        region: "us-west-2".parse().expect("a region"),
        agreed: None,
        account: None,
        session: Duration::from_hours(3),
        media: true,
        counted: Counted::BySidecar,
        meetings: Meetings::Respect,
        recordings: Recordings::Kept,
    }
}

fn status_of(seen: &Observed) -> Status {
    Status::of(&View::single(seen, &policy()), "jitsi-video-platform", "https://meet.example.org")
}

/// Switched on, with a certificate that ends soon and people that could not be read.
fn running() -> Status {
    let mut seen = observed(vec![task()]);
    let group = |container: &str, port| TargetGroup {
        group: "arn:aws:elasticloadbalancing:::tg".parse().expect("an ARN"),
        container: container.into(),
        port,
        targets: vec![Target {
            address: "10.0.1.17".into(),
            port,
            state: TargetState::Healthy,
            reason: None,
            description: None,
        }],
    };
    let addresses = vec!["192.0.2.10".parse().expect("an address"), "192.0.2.11".parse().expect("an address")];
    seen.targets = Reading::Present(vec![group("web", 8000), group("jvb", 8080)]);
    seen.occupancy = Reading::Unreadable(Unreadable {
        because: Blindness::Denied,
        why: "logs:FilterLogEvents: not allowed (AccessDeniedException)".into(),
    });
    let good =
        |path: &str| WebPage { path: path.into(), status: Some(200), wrong: None, took: Duration::from_millis(9) };
    seen.identity = Reading::Present(Identity {
        account: "111122223333".parse().expect("an account"),
        arn: "arn:aws:sts::111122223333:assumed-role/organizer/anna".into(),
        expires: None,
    });
    seen.web = Reading::Present(Web { index: good("/"), config: good("/config.js"), api: good("/external_api.js") });
    seen.signalling = Reading::Present(Signalling { bosh: good("/http-bind"), websocket: good("/xmpp-websocket") });
    seen.names = Reading::Present(Resolution {
        host: "meet.example.org".parse().expect("a host"),
        local: Ok(addresses.clone()),
        authoritative: vec![Authority {
            server: "ns1.example.org".into(),
            address: None,
            answer: Ok(addresses.clone()),
        }],
        authorities_unseen: None,
        balancer: Some(Ok(addresses)),
    });
    seen.tls = Reading::Present(Tls {
        address: "192.0.2.10:443".parse().expect("an address"),
        shown: Ok(Certificate {
            subject: "meet.example.org".into(),
            issuer: "R11, Let's Encrypt".into(),
            names: vec!["meet.example.org".into()],
            not_before: at(-5_000_000),
            not_after: at(864_000),
            name_matches: true,
            untrusted: None,
            private_root: false,
            version: "TLSv1.3".into(),
        }),
        took: Duration::from_millis(31),
    });
    status_of(&seen)
}

/// Nothing could be read.
fn blind() -> Status {
    let why =
        || Unreadable { because: Blindness::SignIn, why: "ecs:DescribeServices: the SSO token has expired".into() };
    status_of(&Observed {
        service: Reading::Unreadable(why()),
        tasks: Reading::Unreadable(why()),
        balancer: Reading::Unreadable(why()),
        ..Observed::nothing(at(0))
    })
}

/// Switched on, and broken in several ways.
fn degraded() -> Status {
    let mut seen = observed(vec![Task { health: Health::Unhealthy, ..task() }]);
    if let Reading::Present(balancer) = &mut seen.balancer {
        balancer.listeners.clear();
    }
    status_of(&seen)
}

/// At rest.
fn standby() -> Status {
    let mut seen = observed(vec![]);
    if let Reading::Present(service) = &mut seen.service {
        (service.desired, service.running) = (0, 0);
    }
    status_of(&seen)
}

fn health() -> meetctl::answer::Health {
    let judged = |condition: Condition, verdict, evidence: &str, next: &[&str]| JudgedCondition {
        condition,
        sentence: condition.to_string(),
        verdict,
        code: None,
        evidence: evidence.into(),
        next: next.iter().map(|&n| n.to_owned()).collect(),
    };
    let unseen = Unreadable { because: Blindness::Unreachable, why: "192.0.2.53 did not answer".into() };
    meetctl::answer::Health {
        level: "running".into(),
        judged: vec![
            judged(Condition::SignedIn, Verdict::Holds, "account 111122223333, role organizer", &[]),
            judged(Condition::ServiceActive, Verdict::Holds, "", &[]),
            judged(Condition::NameResolves, Verdict::Unseen(unseen), "", &["check this machine's network"]),
            judged(
                Condition::CertificateTrusted,
                Verdict::Fails("the certificate expired on 2026-11-01 12:00 UTC".into()),
                "for meet.example.org, by R11, Let's Encrypt, TLSv1.3, at 192.0.2.10:443 in 31 ms",
                &["renew the certificate in the web container: it asks Let's Encrypt on port 80 when it starts"],
            ),
            judged(Condition::PagesServed, Verdict::Waits("/: status 502".into()), "/ 502 in 12 ms", &[]),
            judged(Condition::MediaFlows, Verdict::Warns("not proven: [probe] media is off".into()), "", &[]),
        ],
        took: Duration::from_millis(412),
    }
}

fn why() -> Why {
    Why {
        deployment: Some("ecs-svc/0123456789012345678".into()),
        cause: Some(Cause {
            code: "out-of-memory",
            what: "the container jvb ran out of memory".into(),
            evidence: "Essential container in task exited; OutOfMemoryError: Container killed due to memory usage"
                .into(),
            at: at(-600),
            container: Some("jvb".into()),
            task: Some("3f2a9c0d".parse().expect("an id")),
            next: vec!["give the task more memory, or lower the Java heaps (VIDEOBRIDGE_MAX_MEMORY)".into()],
            certain: true,
        }),
        log: Some(LogTail { container: "jvb".into(), lines: vec!["JVB 2.3 starting".into(), "Killed".into()] }),
        note: None,
    }
}

fn answered(answer: Answer, outcome: Outcome) -> Stream {
    vec![
        hello(),
        (1, Event::Answer(Box::new(answer))),
        (1, Event::Finished { outcome, exit_code: outcome.exit_code(), level: None }),
    ]
}

// ---- readers ----------------------------------------------------------------------------------

fn on_paused_clock<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

/// Shows the events when their time has come.
async fn play(render: &mut dyn Render, stream: Stream, clock: Clock) {
    for (seq, (second, event)) in stream.into_iter().enumerate() {
        let due = at(i64::try_from(second).expect("small"));
        tokio::time::advance(meetctl::domain::observed::between(clock.now(), due)).await;
        render.event(&Stamped { seq: seq as u64, at: due, sandbox: true, event });
    }
}

/// The terminal after so many events and one more tick, and what came to stdout.
fn tty(stream: Stream, width: u16, style: Style) -> String {
    on_paused_clock(async {
        let term = InMemoryTerm::new(60, width);
        let clock = Clock::starting_at(at(0));
        let paper = Paper::default();
        let page = Page { width: usize::from(width), style };
        let screen = Screen {
            target: ProgressDrawTarget::term_like(Box::new(term.clone())),
            width: Box::new(move || usize::from(width)),
            err: Out::new(Lines(term.clone())),
            style,
        };
        let mut tty = Tty::new(screen, Out::new(paper.clone()), page, clock);
        let ended = matches!(stream.last(), Some((_, Event::Finished { .. } | Event::Failed { .. })));
        play(&mut tty, stream, clock).await;
        if !ended {
            tokio::time::advance(Duration::from_secs(5)).await;
            tty.tick();
        }
        let shown = match style {
            Style::Plain => term.contents(),
            Style::Colour => String::from_utf8_lossy(&term.contents_formatted()).replace('\u{1b}', "␛"),
        };
        format!("{shown}\n--- stdout\n{}", paper.text())
    })
}

fn plain(stream: Stream) -> String {
    on_paused_clock(async {
        let clock = Clock::starting_at(at(0));
        let (out, err) = (Paper::default(), Paper::default());
        let mut plain = Plain::new(Out::new(out.clone()), Out::new(err.clone()), page(100), page(100), clock);
        play(&mut plain, stream, clock).await;
        format!("{}--- stdout\n{}", err.text(), out.text())
    })
}

fn json(stream: Stream) -> String {
    on_paused_clock(async {
        let out = Paper::default();
        play(&mut Json::new(Out::new(out.clone())), stream, Clock::starting_at(at(0))).await;
        out.text()
    })
}

// ---- tests ------------------------------------------------------------------------------------

#[test]
fn on_a_terminal() {
    for width in [60, 100] {
        for (name, stream) in [
            ("up-begins", up().into_iter().take(6).collect::<Stream>()),
            ("up-goes-on", up().into_iter().take(11).collect()),
            ("up-awaits", up().into_iter().take(9).collect()),
            ("up", up()),
            ("image-gone", image_gone()),
            ("down", down()),
            ("nothing-to-do", nothing_to_do()),
            ("refused", refused()),
        ] {
            insta::assert_snapshot!(format!("tty-{width}-{name}"), tty(stream, width, Style::Plain));
        }
    }
    insta::assert_snapshot!("tty-100-colour", tty(image_gone(), 100, Style::Colour));
}

#[test]
fn in_a_pipe() {
    for (name, stream) in [
        ("up", up()),
        ("image-gone", image_gone()),
        ("down", down()),
        ("nothing-to-do", nothing_to_do()),
        ("refused", refused()),
        ("status", answered(Answer::Status(standby()), Outcome::Done)),
    ] {
        insta::assert_snapshot!(format!("plain-{name}"), plain(stream));
    }
}

#[test]
fn for_programs() {
    for (name, stream) in [
        ("image-gone", image_gone()),
        ("status", answered(Answer::Status(running()), Outcome::Done)),
        ("health", answered(Answer::Health(health()), Outcome::Unhealthy)),
    ] {
        let text = json(stream);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            assert_eq!(value.to_string().len(), line.len(), "no key stands twice: {line}");
            assert!(value["type"].is_string() && value["seq"].is_u64() && value["at"].is_string(), "{line}");
        }
        insta::assert_snapshot!(format!("json-{name}"), text);
    }
}

#[test]
fn answers() {
    for width in [60, 100] {
        for (name, answer) in [
            ("running", Answer::Status(running())),
            ("degraded", Answer::Status(degraded())),
            ("standby", Answer::Status(standby())),
            ("blind", Answer::Status(blind())),
            ("health", Answer::Health(health())),
            ("why", Answer::Why(why())),
            (
                "stories",
                Answer::Stories {
                    stories: vec![
                        Story { name: "standby", about: "everything is there, and nothing runs" },
                        Story {
                            name: "expired-certificate",
                            about: "the certificate ended yesterday, which every browser says",
                        },
                    ],
                },
            ),
        ] {
            insta::assert_snapshot!(
                format!("answer-{width}-{name}"),
                table::answer(&answer, at(0), &page(width)).to_string()
            );
        }
    }
}

#[test]
fn what_could_not_be_read_is_never_off_or_free() {
    let shown = table::answer(&Answer::Status(blind()), at(0), &page(100));
    for lie in ["standby", "$", "none", "powered"] {
        assert!(!shown.contains(lie), "{lie}: {shown}");
    }
    assert!(shown.contains(": unknown\n"), "{shown}");
}

#[test]
fn quiet_says_the_answer_and_failures_only() {
    on_paused_clock(async {
        let (out, err) = (Paper::default(), Paper::default());
        let mut quiet = Quiet::new(Out::new(out.clone()), Out::new(err.clone()), page(100), page(100));
        let clock = Clock::starting_at(at(0));
        play(&mut quiet, up(), clock).await;
        // That it was the sandbox is said all the same.
        let sandbox = format!("{}\n", meetctl::render::words::SANDBOX);
        assert_eq!((out.text(), err.text()), (String::new(), sandbox.clone()));
        play(&mut quiet, refused(), clock).await;
        let said = format!("{sandbox}{sandbox}error: people are in a meeting");
        assert!(err.text().starts_with(&said), "{}", err.text());
    });
}

#[test]
fn a_minute_of_silence_has_a_heartbeat() {
    on_paused_clock(async {
        let clock = Clock::starting_at(at(0));
        let err = Paper::default();
        let mut plain = Plain::new(Out::new(io::sink()), Out::new(err.clone()), page(100), page(100), clock);
        let (say, said) = Events::new(clock);
        let work = async {
            say.emit(started(Condition::Stopped));
            say.emit(progress(Condition::Stopped, "1 task(s) still stopping"));
            tokio::time::sleep(Duration::from_secs(125)).await;
            say.finish(Ok(Outcome::Done))
        };
        assert_eq!(narrate(work, said, &mut plain).await, 0);
        let beats: Vec<String> =
            err.text().lines().filter(|l| l.contains("still waiting")).map(str::to_owned).collect();
        assert_eq!(beats.len(), 2, "{}", err.text());
        assert_eq!(beats[0], "2026-11-20T19:01:00Z still waiting: nothing runs: 1 task(s) still stopping (1m of 5m)");
    });
}

#[test]
fn narrating_shows_what_was_said_last() {
    on_paused_clock(async {
        let clock = Clock::starting_at(at(0));
        let out = Paper::default();
        let (say, said) = Events::new(clock);
        let work = async { say.finish(Err(Failure::new(Kind::TimedOut, "x"))) };
        assert_eq!(narrate(work, said, &mut Json::new(Out::new(out.clone()))).await, 6);
        assert!(out.text().contains(r#""exit_code":6"#), "{}", out.text());
    });
}

#[test]
fn a_closed_pipe_is_no_loss_and_a_full_disk_is() {
    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (kind, lost) in [(io::ErrorKind::BrokenPipe, false), (io::ErrorKind::StorageFull, true)] {
        let mut json = Json::new(Out::new(Broken(kind)));
        json.event(&Stamped { seq: 0, at: at(0), sandbox: false, event: Event::hello() });
        assert_eq!(json.lost().is_some(), lost);
    }
}
