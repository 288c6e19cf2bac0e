//! Ctrl-C as the process gets it.

#![expect(clippy::disallowed_methods, reason = "these tests run the binary, in real time")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

struct Ended {
    code: Option<i32>,
    talk: String,
    took: Duration,
}

fn program(state: &TempDir, line: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_meetctl"));
    program.args(line.split(' ')).env_clear().env("TZ", "UTC").env("MEETCTL_STATE_DIR", state.path());
    program
}

/// Runs until it has said something, lets it work for a while, and interrupts it once.
fn interrupted(state: &TempDir, line: &str, said: &str, after: Duration) -> Ended {
    let mut child = program(state, line).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut talk = String::new();
    while !talk.contains(said) {
        assert!(err.read_line(&mut talk).expect("a line") > 0, "it ended before it said {said:?}:\n{talk}");
    }
    std::thread::sleep(after);
    let began = Instant::now();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    err.read_to_string(&mut talk).expect("text");
    Ended { code: child.wait().expect("an end").code(), talk, took: began.elapsed() }
}

#[test]
fn health_and_probe_leave_first() {
    let state = tempfile::tempdir().expect("a folder");
    for line in ["probe https://meet.example.org --for 60s", "health"] {
        let line = format!("--sandbox=running --pace 1 {line}");
        // They say nothing before they answer; the meeting takes four seconds.
        let ended = interrupted(&state, &line, "", Duration::from_millis(1_500));
        assert_eq!(ended.code, Some(130), "{line}\n{}", ended.talk);
        assert!(ended.took < Duration::from_secs(6), "{line}: {:?}", ended.took);
    }
}

#[test]
fn a_rehearsal_puts_the_platform_back() {
    let state = tempfile::tempdir().expect("a folder");
    let line = "--sandbox --pace 60 test-platform";
    let ended = interrupted(&state, line, "phase 3 of 10", Duration::from_millis(300));
    assert_eq!(ended.code, Some(130), "{}", ended.talk);
    assert!(ended.talk.contains("put back as it was found first"), "{}", ended.talk);
    let status = program(&state, "--sandbox status --expect standby").output().expect("it runs");
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stdout));
}
