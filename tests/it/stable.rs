//! What users rely on: the command line, exit codes, keys and events.

use clap::{CommandFactory, Parser};
use meetctl::answer::Answer;
use meetctl::cli::Cli;
use meetctl::clock::Clock;
use meetctl::command::Command;
use meetctl::config::Environment;
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::{Event, Events};
use meetctl::outside::Desk;
use meetctl::session::context;

/// Runs a command that needs no platform, and returns the text of its answer.
fn text(arguments: &[&str]) -> Result<String, Failure> {
    let cli = Cli::try_parse_from([&["meetctl"], arguments].concat()).expect("right usage");
    let Command::AtDesk(command) = &cli.command else { panic!("{arguments:?} needs a platform") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    let (say, mut said) = Events::new(Clock::system());
    let desk = context(&cli.options, &Environment::default(), Desk { tree: Cli::command() }, say);
    runtime.block_on(command.run(&desk))?;
    match said.try_recv().expect("an answer").event {
        Event::Answer(answer) => match *answer {
            Answer::Text { text } => Ok(text),
            other => panic!("not a text: {other:?}"),
        },
        other => panic!("not an answer: {other:?}"),
    }
}

#[test]
fn exit_codes() {
    let outcomes: Vec<String> = Outcome::ALL.iter().map(|o| format!("{o:?} {}", o.exit_code())).collect();
    let kinds: Vec<String> = Kind::ALL.iter().map(|k| format!("{k:?} {}", k.exit_code())).collect();
    insta::assert_snapshot!("exit-codes", outcomes.into_iter().chain(kinds).collect::<Vec<_>>().join("\n"));
}

#[test]
fn reference_pages() {
    for page in ["exit-codes", "configuration", "events"] {
        insta::assert_snapshot!(format!("page-{page}"), text(&["generate", page]).expect("a page"));
    }
    let cli = text(&["generate", "cli"]).expect("a page");
    assert!(cli.contains("## `meetctl config show`") && !cli.contains("generate"), "{cli}");
}

/// The page about meetings holds the table of the code; `MEETCTL_WRITE_PAGES=1` writes it anew.
#[test]
fn the_page_about_meetings_knows_every_finding() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/meeting.md");
    let page = std::fs::read_to_string(&path).expect("a page");
    let (before, rest) = page.split_once("<!-- findings -->\n").expect("a beginning");
    let (table, after) = rest.split_once("<!-- /findings -->").expect("an end");
    let fresh = text(&["generate", "findings"]).expect("a table");
    #[expect(clippy::disallowed_methods, reason = "a switch of the test itself")]
    if std::env::var_os("MEETCTL_WRITE_PAGES").is_some() {
        std::fs::write(&path, format!("{before}<!-- findings -->\n{fresh}<!-- /findings -->{after}")).expect("written");
        return;
    }
    assert_eq!(table, fresh, "write it anew: MEETCTL_WRITE_PAGES=1 cargo test the_page_about_meetings");
}

#[test]
fn manuals_and_completions() {
    assert!(text(&["man"]).expect("a page").contains(".TH meetctl 1"));
    assert!(text(&["man", "up"]).expect("a page").contains("meetctl"));
    assert_eq!(text(&["man", "nothing"]).expect_err("unknown").kind, Kind::Usage);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(text(&["completions", shell]).expect("a script").contains("meetctl"));
    }
}

#[test]
fn commands_and_their_other_names() {
    Cli::command().debug_assert();
    for words in
        ["up", "scale-up", "start", "down", "scale-down", "stop", "status", "health", "check", "test-platform", "why"]
    {
        assert!(matches!(Cli::try_parse_from(["meetctl", words]), Ok(Cli { command: Command::OnPlatform(_), .. })));
    }
    let probe = Cli::try_parse_from(["meetctl", "probe", "https://meet.example.org"]);
    assert!(matches!(probe, Ok(Cli { command: Command::OnStreet(_), .. })));
    for words in [&["config", "show"][..], &["init"], &["sandbox"], &["man"], &["completions", "fish"]] {
        let cli = Cli::try_parse_from([&["meetctl"], words].concat());
        assert!(matches!(cli, Ok(Cli { command: Command::AtDesk(_), .. })), "{words:?}");
    }
}

#[test]
fn global_options_stand_before_and_after_the_command() {
    let options = |words: &str| {
        Cli::try_parse_from(["meetctl"].into_iter().chain(words.split(' ')))
            .map(|cli| cli.options)
            .map_err(|e| e.exit_code())
    };
    assert_eq!(options("--sandbox up").expect("good").story(), Some(""));
    assert_eq!(options("up --sandbox=slow-start").expect("good").story(), Some("slow-start"));
    assert_eq!(options("up").expect("good").story(), None);
    assert!(options("up").expect("good").waits());
    assert!(!options("up --no-wait").expect("good").waits());
    assert!(options("up --no-wait --wait").expect("good").waits());
    assert_eq!(options("up --timeout 10m").expect("good").timeout, Some(std::time::Duration::from_mins(10)));
    for wrong in
        ["up --timeout soon", "up --timeout 0s", "up --output xml", "up --nonsense", "fly", "up -q -v", "up --pace -1"]
    {
        assert_eq!(options(wrong).err(), Some(2), "{wrong}");
    }
}
