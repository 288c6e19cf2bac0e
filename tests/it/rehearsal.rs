//! `test-platform` and `probe`, in process and on simulated time: every phase, every end, every story.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use jiff::Timestamp;
use meetctl::answer::{Answer, Probe, Rehearsal};
use meetctl::cli::Cli;
use meetctl::command::{Command, Context};
use meetctl::config::{Config, Environment};
use meetctl::domain::rehearsal::Grade;
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::{Event, Events, Stamped};
use meetctl::limit::Limit;
use meetctl::outside::Platform;
use meetctl::render::{Out, Page, Plain, Render, Style};
use meetctl::session::context;
use meetctl::world::sandbox::jitsi::Jitsi;
use meetctl::world::sandbox::{BALANCER, Handle, Meeting, Story, jitsi_of, world_with};
use meetctl::world::{Street, World};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

mod interrupted;
mod probing;
mod reported;
mod signals;
mod stories;

const SEED: u64 = 7;

/// A sandbox whose Jitsi can be looked at.
struct Stage {
    world: World,
    handle: Handle,
    jitsi: Jitsi,
}

impl Stage {
    fn of(story: Story) -> Self {
        let jitsi = Jitsi::new(jitsi_of(story, SEED));
        let meeting: Arc<dyn Meeting> = Arc::new(jitsi.clone());
        let (world, handle) = world_with(story, None, SEED, Some(meeting));
        Self { world, handle, jitsi }
    }
}

/// A run that is over.
struct Ran {
    result: Result<Outcome, Failure>,
    said: Vec<Stamped>,
    world: World,
    handle: Handle,
    jitsi: Jitsi,
    took: Duration,
}

impl Ran {
    fn code(&self) -> u8 {
        match &self.result {
            Ok(outcome) => outcome.exit_code(),
            Err(failure) => failure.kind.exit_code(),
        }
    }

    fn rehearsal(&self) -> &Rehearsal {
        let answers = self.said.iter().filter_map(|event| match &event.event {
            Event::Answer(answer) => Some(answer.as_ref()),
            _ => None,
        });
        let mut found = answers.filter_map(|answer| match answer {
            Answer::Rehearsal(rehearsal) => Some(rehearsal),
            _ => None,
        });
        found.next_back().unwrap_or_else(|| panic!("no rehearsal: {:?}", self.result))
    }

    /// `g` good, `w` warned, `b` bad, `u` unseen, `s` skipped.
    fn grades(&self) -> String {
        let letter = |grade: &Grade| match grade {
            Grade::Good => 'g',
            Grade::Warned(_) => 'w',
            Grade::Bad(_) => 'b',
            Grade::Unseen(_) => 'u',
            Grade::Skipped(_) => 's',
        };
        self.rehearsal().phases.iter().map(|part| letter(&part.grade)).collect()
    }

    /// Everything that anybody gets to read.
    fn text(&self) -> String {
        let mut all = format!("{:?}\n", self.result);
        for event in &self.said {
            let _ = writeln!(all, "{}\n{event:?}", serde_json::to_string(event).expect("an event is JSON"));
        }
        all + &plain(&self.said)
    }

    /// Nothing runs, nothing is asked to, and no participant is left anywhere.
    async fn is_at_rest(&self) {
        let service = self.world.cloud.service().await.expect("readable").expect("a service");
        let live = self.world.cloud.tasks().await.expect("readable").into_iter().filter(|t| t.stopped.is_none());
        assert_eq!((service.desired, live.count()), (0, 0));
        self.has_left();
    }

    fn has_left(&self) {
        let census = self.jitsi.census();
        assert_eq!((census.sessions, census.endpoints), (0, 0), "somebody is still there");
    }
}

type Meanwhile<'a> = &'a dyn Fn(&Handle);

/// When somebody presses Ctrl-C, and what else happens meanwhile.
#[derive(Clone, Copy, Default)]
struct Script<'a> {
    /// So long after a phase has begun.
    interrupt: Option<(usize, Duration)>,
    /// When this phase begins.
    meanwhile: Option<(usize, Meanwhile<'a>)>,
    token: Option<&'a str>,
}

async fn rehearse(stage: Stage, line: &str, script: Script<'_>) -> Ran {
    let arguments = ["meetctl", "--no-input", "test-platform"].into_iter().chain(line.split_whitespace());
    let cli = Cli::try_parse_from(arguments).expect("right usage");
    let Command::OnPlatform(command) = cli.command else { panic!("it is on the platform") };
    let Stage { world, handle, jitsi } = stage;
    let (say, mut said) = Events::new(world.clock);
    let stop = CancellationToken::new();
    let began = Instant::now();
    let environment =
        environment(&script.token.map(|token| ("MEETCTL_PROBE_TOKEN", token)).into_iter().collect::<Vec<_>>());
    let platform = Platform::new(Config::sandbox(), &environment, world).expect("a platform");
    let cx = Context { stop: stop.clone(), ..context(&cli.options, &environment, platform, say) };
    let run = async {
        let result = Box::pin(command.run(&cx)).await;
        (result, cx.at.world)
    };
    let watch = async {
        let mut all = Vec::new();
        let mut due: Option<Instant> = None;
        loop {
            let event = tokio::select! {
                biased;
                event = said.recv() => event,
                () = sleep(due.map_or(Duration::MAX, |at| at.duration_since(Instant::now()))), if due.is_some() => {
                    stop.cancel();
                    due = None;
                    continue;
                }
            };
            let Some(event) = event else { return all };
            if let Event::PhaseStarted { number, .. } = event.event {
                if let Some((_, after)) = script.interrupt.filter(|(phase, _)| *phase == number) {
                    due = Some(Instant::now() + after);
                }
                if let Some((_, deed)) = script.meanwhile.filter(|(phase, _)| *phase == number) {
                    deed(&handle);
                }
            }
            all.push(event);
        }
    };
    let ((result, world), said) = tokio::join!(run, watch);
    Ran { result, said, world, handle, jitsi, took: began.elapsed() }
}

/// Probes, and asks for the end after a while.
async fn probe(stage: Stage, line: &str, variables: &[(&str, &str)], interrupt: Option<Duration>) -> Ran {
    let arguments = ["meetctl", "probe"].into_iter().chain(line.split_whitespace());
    let cli = Cli::try_parse_from(arguments).expect("right usage");
    let Command::OnStreet(command) = cli.command else { panic!("it is on the street") };
    let Stage { world, handle, jitsi } = stage;
    // The street takes the network; the account is looked at through another view of the same sandbox.
    let (other, _) = world_with(handle.story(), Some(handle.saved()), SEED, None);
    let (say, mut said) = Events::new(world.clock);
    let stop = CancellationToken::new();
    let environment = environment(variables);
    let visit = Context { stop: stop.clone(), ..context(&cli.options, &environment, Street::from(world), say) };
    let began = Instant::now();
    let press = async {
        sleep(interrupt.unwrap_or(Duration::MAX)).await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    let limit = Limit::from_now(cli.options.timeout);
    let result = tokio::select! {
        biased;
        result = limit.hold(&stop, visit.say.awaited(), Box::pin(command.run(&visit))) => result,
        () = press => unreachable!(),
    };
    drop(visit);
    let mut all = Vec::new();
    while let Ok(event) = said.try_recv() {
        all.push(event);
    }
    Ran { result, said: all, world: other, handle, jitsi, took: began.elapsed() }
}

fn probed(ran: &Ran) -> &Probe {
    let found = ran.said.iter().find_map(|event| match &event.event {
        Event::Answer(answer) => match answer.as_ref() {
            Answer::Probe(probe) => Some(probe),
            _ => None,
        },
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no probe: {:?}", ran.result))
}

fn environment(values: &[(&str, &str)]) -> Environment {
    let variables = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Environment { variables, ..Environment::default() }
}

/// What the plain renderer writes, talk and answer in the order in which they come.
fn plain(said: &[Stamped]) -> String {
    #[derive(Clone, Default)]
    struct Paper(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let paper = Paper::default();
    let page = Page { width: 100, style: Style::Plain };
    let at = said.first().map_or(Timestamp::UNIX_EPOCH, |event| event.at);
    let clock = meetctl::clock::Clock::starting_at(at);
    let mut render = Plain::new(Out::new(paper.clone()), Out::new(paper.clone()), page, page, clock);
    for event in said {
        render.event(event);
    }
    let bytes = paper.0.lock().expect("one thread").clone();
    String::from_utf8(bytes).expect("text")
}
