//! The tool as users see it: what the files in `tests/transcripts` show is what the program prints, byte for byte.
//!
//! `TRANSCRIPTS=overwrite cargo test --test it transcripts` writes what it prints now into the files.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use meetctl::world::sandbox::Story;
use meetctl::world::sandbox::store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::story;

/// A place to run the program in: a home and a sandbox of its own, and nothing of this machine's settings.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a command has written to the terminal, and how it ended.
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) code: i32,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("work")).expect("a folder in it");
        Self { folder }
    }

    /// Where the commands are run.
    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Runs a line of shell in which `meetctl` is the program under test.
    fn shell(&self, line: &str) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program is tested from outside")]
        let mut command = Command::new("sh");
        let program = Path::new(env!("CARGO_BIN_EXE_meetctl")).parent().expect("a folder");
        let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).expect("a path");
        command.args(["-c", line]).current_dir(self.work()).stdin(Stdio::null()).env_clear();
        command.env("PATH", path).env("HOME", self.folder.path()).env("TZ", "UTC").env("COLUMNS", "100");
        command.env("MEETCTL_STATE_DIR", self.folder.path().join("state"));
        command
    }

    /// Runs it with both of its streams going to the same place, as on a terminal.
    pub(crate) fn run(&self, line: &str) -> Said {
        let mut both = tempfile::tempfile().expect("a file");
        let stream = || Stdio::from(File::try_clone(&both).expect("the same file"));
        let ended = self.shell(line).stdout(stream()).stderr(stream()).status().expect("a shell");
        let mut text = String::new();
        both.rewind().and_then(|()| both.read_to_string(&mut text)).expect("UTF-8");
        let home = self.folder.path().to_string_lossy();
        Said { text: text.replace(home.as_ref(), "~"), code: ended.code().unwrap_or(-1) }
    }

    /// Runs it, and returns the answer alone.
    fn answer(&self, line: &str) -> Said {
        let ended = self.shell(line).stderr(Stdio::null()).output().expect("a shell");
        Said { text: String::from_utf8(ended.stdout).expect("UTF-8"), code: ended.status.code().unwrap_or(-1) }
    }

    /// Runs it with `--output json`, and returns its events.
    fn events(&self, line: &str) -> (Vec<Value>, i32) {
        let said = self.answer(&format!("{line} --output json"));
        let events = said.text.lines().map(|line| serde_json::from_str(line).expect("JSON Lines")).collect();
        (events, said.code)
    }
}

/// What becomes of a command below which nothing is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bare {
    /// It gets what it prints.
    Filled,
    /// The page only wants to say it: its exit code must be right.
    Kept,
}

/// A page with every console block as it is when its commands are run now, those that are `wanted`.
///
/// In a block, `$ …` is a command, what follows is what it prints, and a last line `? 8` its exit code unless 0.
pub(crate) fn played(page: &str, desk: &Desk, bare: Bare, wanted: impl Fn(&str) -> bool) -> String {
    let mut fresh = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        fresh.push_str(line);
        fresh.push('\n');
        if line.trim_end() != "```console" {
            continue;
        }
        while let Some(line) = lines.next_if(|line| !line.starts_with("```")) {
            fresh.push_str(line);
            fresh.push('\n');
            let Some(command) = line.strip_prefix("$ ").filter(|command| wanted(command)) else { continue };
            let mut silent = bare == Bare::Kept;
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ") && !line.starts_with("```")) {
                silent &= line.is_empty() || line.starts_with("? ");
            }
            let said = desk.run(command);
            for printed in said.text.lines().filter(|_| !silent) {
                fresh.push_str(printed.trim_end());
                fresh.push('\n');
            }
            if said.code != 0 {
                let _ = writeln!(fresh, "? {}", said.code);
            }
            if !silent && lines.peek().is_some_and(|line| line.starts_with("$ ")) {
                fresh.push('\n');
            }
        }
    }
    fresh
}

/// Whether the pages are to be written anew.
pub(crate) fn overwrites() -> bool {
    #[expect(clippy::disallowed_methods, reason = "asked for by whoever runs the tests")]
    std::env::var("TRANSCRIPTS").is_ok_and(|value| value == "overwrite")
}

/// Where two texts differ first, in words.
pub(crate) fn difference(kept: &str, fresh: &str) -> String {
    let number = kept.lines().zip(fresh.lines()).take_while(|(kept, fresh)| kept == fresh).count();
    let line = |text: &str| text.lines().nth(number).unwrap_or("(its end)").to_owned();
    format!("line {}:\n  - {}\n  + {}", number + 1, line(kept), line(fresh))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts")
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    files.sort();
    files
}

/// Plays one file on a desk of its own.
fn check(file: &Path) -> Result<(), String> {
    let kept = fs::read_to_string(file).expect("a readable file");
    let fresh = played(&kept, &Desk::new(), Bare::Filled, |_| true);
    if kept == fresh {
        return Ok(());
    }
    if overwrites() {
        fs::write(file, fresh).expect("a writable file");
        return Ok(());
    }
    let name = file.file_name().expect("a name").to_string_lossy();
    Err(format!("tests/transcripts/{name}, {}", difference(&kept, &fresh)))
}

#[test]
fn the_files_show_what_the_program_prints() {
    let files = files();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..4)
            .map(|lane| {
                let own = files.iter().skip(lane).step_by(4);
                scope.spawn(|| own.filter_map(|file| check(file).err()).collect::<Vec<_>>())
            })
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().expect("a lane")).collect()
    });
    let how = "TRANSCRIPTS=overwrite cargo test --test it transcripts";
    assert!(wrong.is_empty(), "{}\nIf that is meant, write it anew: {how}", wrong.join("\n"));
}

#[test]
fn every_story_has_a_file() {
    for story in Story::all() {
        let file = folder().join(format!("story-{story}.md"));
        let text = fs::read_to_string(&file).unwrap_or_else(|_| panic!("{} is missing", file.display()));
        assert!(text.starts_with(&format!("# The story `{story}`\n")), "{story}");
        assert!(text.contains(&format!("$ meetctl --sandbox={story} ")), "{story}");
    }
}

/// The moment of a simulated event.
fn at(event: &Value) -> Timestamp {
    event["at"].as_str().expect("a time").parse().expect("a time")
}

mod it_shows {
    use super::*;

    #[test]
    fn up_status_down() {
        let desk = Desk::new();
        let up = desk.run("meetctl --sandbox up");
        assert_eq!(up.code, 0, "{}", up.text);
        assert!(up.text.contains("running"), "{}", up.text);
        let (events, code) = desk.events("meetctl --sandbox status");
        assert_eq!((code, events[0]["type"].as_str()), (0, Some("hello")));
        let last = events.last().expect("an outcome");
        assert_eq!((last["type"].as_str(), last["level"].as_str()), (Some("finished"), Some("running")));
        let answers: Vec<&Value> = events.iter().filter(|event| event["type"] == "answer").collect();
        assert_eq!((answers.len(), answers[0]["level"].as_str()), (1, Some("running")));
        assert_eq!(desk.run("meetctl --sandbox down").code, 0);
        assert_eq!(desk.run("meetctl --sandbox status --expect standby").code, 0);
        assert_eq!(desk.run("meetctl --sandbox status --expect running").code, 8);
    }

    #[test]
    fn the_last_line_of_json_is_the_outcome() {
        for (line, kind, code) in [
            ("meetctl --sandbox up", "finished", 0),
            ("meetctl --sandbox health", "finished", 0),
            ("meetctl --sandbox down", "finished", 0),
            ("meetctl --sandbox=meeting down", "failed", 5),
            ("meetctl --sandbox=throttled status", "finished", 9),
        ] {
            let desk = Desk::new();
            if line.ends_with("health") || line.ends_with("sandbox down") {
                desk.run("meetctl --sandbox up");
            }
            let (events, ended) = desk.events(line);
            let last = events.last().expect("an outcome");
            assert_eq!((last["type"].as_str(), ended), (Some(kind), code), "{line}");
            assert_eq!(last["exit_code"], code, "{line}");
            let numbers = events.iter().map(|event| event["seq"].as_u64()).collect::<Vec<_>>();
            assert_eq!(numbers, (0..).map(Some).take(events.len()).collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn an_expired_token_is_neither_standby_nor_free_of_charge() {
        for line in ["status", "status --expect standby", "status --output json"] {
            let said = Desk::new().run(&format!("meetctl --sandbox=token-expired {line}"));
            assert_eq!(said.code, 4, "{line}");
            let text = said.text.replace("--expect standby", "");
            assert!(!text.contains("standby") && !text.contains("$0"), "{line}: {text}");
            assert!(said.text.contains("aws sso login"), "{line}: {text}");
        }
    }

    #[test]
    fn an_image_that_is_gone_ends_the_wait_soon_after_the_second_stop() {
        let (events, code) = Desk::new().events("meetctl --sandbox=image-gone up");
        assert_eq!(code, 8);
        let last = events.last().expect("an outcome");
        assert!(last["failure"]["what"].as_str().is_some_and(|what| what.contains("ghcr.io/jitsi/jvb:")), "{last}");
        let begins =
            |event: &&Value| event["message"].as_str().is_some_and(|said| said.contains("has started 1 tasks"));
        let second = events.iter().filter(begins).nth(1).expect("a second task");
        // The second task stops about half a minute after it was started.
        assert!(at(last).duration_since(at(second)).as_secs() < 60, "{second} {last}");
    }

    #[test]
    fn a_tug_of_war_is_not_joined() {
        let desk = Desk::new();
        let (events, code) = desk.events("meetctl --sandbox=tug-of-war up");
        assert_eq!(code, 5);
        let starts = events.iter().filter(|event| event["type"] == "step_started" && event["until"] == "started");
        assert_eq!(starts.count(), 1);
        assert_eq!(desk.run("meetctl --sandbox=tug-of-war status --expect running").code, 8);
    }

    #[test]
    fn an_expired_certificate_is_named_with_its_date() {
        let said = Desk::new().run("meetctl --sandbox=expired-certificate health");
        assert_eq!(said.code, 8);
        assert!(said.text.contains("expired on 2026-11-18"), "{}", said.text);
    }

    /// What costs money or cannot be seen is never called free or off.
    #[test]
    fn what_cannot_be_seen_is_unknown_in_every_story() {
        for story in [story("token-expired"), story("throttled"), story("aws-unreachable")] {
            for command in ["status", "up", "down"] {
                let said = Desk::new().run(&format!("meetctl --sandbox={story} {command}"));
                assert!([4, 7, 9].contains(&said.code), "{story} {command}: {}", said.code);
                assert!(!said.text.contains("$0.0000"), "{story} {command}: {}", said.text);
            }
        }
    }

    /// The answer goes to stdout and the talk to stderr: a pipe gets the answer alone.
    #[test]
    fn stdout_is_the_answer() {
        let desk = Desk::new();
        assert_eq!(desk.answer("meetctl --sandbox up").text, "");
        assert!(desk.answer("meetctl --sandbox status").text.contains("running"));
        assert_eq!(desk.answer("meetctl --sandbox status | head -n 1").code, 0);
    }

    #[test]
    fn a_meeting_is_left_alone_and_old_refusals_are_history() {
        for (story, since) in [("meeting", "18:10"), ("old-refusal", "18:14")] {
            let desk = Desk::new();
            let said = desk.run(&format!("meetctl --sandbox={story} up"));
            assert_eq!(said.code, 0, "{story}: {}", said.text);
            assert!(said.text.contains(&format!("already running since 2026-11-20 {since} UTC")), "{}", said.text);
            assert_eq!(desk.run(&format!("meetctl --sandbox={story} status --expect running")).code, 0, "{story}");
        }
    }

    #[test]
    fn refusals_and_late_throttling_are_borne() {
        for story in ["capacity-returns", "throttled-late"] {
            let said = Desk::new().run(&format!("meetctl --sandbox={story} up"));
            assert_eq!(said.code, 0, "{story}: {}", said.text);
            let word = if story == "throttled-late" { "ThrottlingException" } else { "Capacity is unavailable" };
            assert!(said.text.contains(word), "{story}: what AWS said is not told: {}", said.text);
        }
    }

    /// From load to save; `status` only while it reads.
    #[test]
    fn two_commands_in_one_sandbox_exclude_each_other() {
        let desk = Desk::new();
        let store = Store::new(desk.folder.path().join("state"));
        let held = store.lock(story("standby"), Duration::ZERO).expect("nobody plays");
        for command in ["up", "down", "status", "status --watch", "health", "probe https://meet.example.org"] {
            let said = desk.run(&format!("meetctl --sandbox --timeout 1s {command}"));
            assert_eq!(said.code, 6, "{command}: {}", said.text);
            assert!(said.text.contains("another meetctl is playing"), "{command}: {}", said.text);
        }
        assert_eq!(desk.run("meetctl sandbox --reset standby --timeout 1s").code, 6);
        assert_eq!(desk.run("meetctl --sandbox=running status --timeout 5s").code, 0, "another story");
        drop(held);
        assert_eq!(desk.run("meetctl --sandbox up").code, 0);

        let watch = "meetctl --sandbox --pace 1 status --watch";
        let mut watching = desk.shell(&format!("exec {watch}")).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut first = [0];
        watching.stdout.as_mut().expect("piped").read_exact(&mut first).expect("it has looked");
        assert_eq!(desk.run("meetctl --sandbox --timeout 10m down").code, 0, "it holds nothing while it watches");
        watching.kill().and_then(|()| watching.wait()).expect("it ends");
        assert_eq!(desk.run("meetctl --sandbox status --expect standby").code, 0, "the stop is not lost");
    }

    /// The same seed tells the same story, whatever the machine does meanwhile.
    #[test]
    fn one_seed_one_transcript() {
        let tell = |seed| Desk::new().run(&format!("meetctl --sandbox=slow-start --seed {seed} up")).text;
        assert_eq!(tell(3), tell(3));
        assert_ne!(tell(3), tell(4));
    }
}
