//! What it costs to start the program: time, memory, and its size.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::needs::find;
use crate::{fact, line, millis, quantile, sorted};

const PROGRAM: &str = env!("CARGO_BIN_EXE_meetctl");
const TIMES: usize = 50;

const MEBIBYTE: u64 = 1024 * 1024;

pub(crate) fn run() {
    for (what, args) in [
        ("meetctl --version", &["--version"][..]),
        ("meetctl --help", &["--help"]),
        ("meetctl completions bash", &["completions", "bash"]),
    ] {
        started(args); // from the disk, once
        let times = sorted((0..TIMES).map(|_| started(args)).collect());
        let (median, fastest) = (quantile(&times, 0.5), times[0]);
        // On a busy machine the fastest says more.
        let measured = format!("{} (fastest {})", millis(median), millis(fastest));
        line(what, &measured, "10 ms", median <= Duration::from_millis(10));
        match peak(args) {
            Some(bytes) => line("  peak memory", &size(bytes), "20 MiB", bytes <= 20 * MEBIBYTE),
            None => fact("  peak memory", "not measured: no GNU time"),
        }
    }
    let bytes = Path::new(PROGRAM).metadata().map_or(0, |meta| meta.len());
    line("the program's file", &size(bytes), "30 MiB", bytes <= 30 * MEBIBYTE);
    if cfg!(debug_assertions) {
        fact("", "(not a release build)");
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn started(args: &[&str]) -> Duration {
    let began = Instant::now();
    let ended = command(Path::new(PROGRAM)).args(args).status();
    assert!(ended.is_ok_and(|status| status.success()), "{args:?}");
    began.elapsed()
}

/// The most memory that it had at a time, as GNU time tells it.
fn peak(args: &[&str]) -> Option<u64> {
    let out = command(&find("time")?).args(["--format", "%M", PROGRAM]).args(args).output().ok()?;
    let kibibytes: u64 = String::from_utf8(out.stderr).ok()?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mebibytes = bytes as f64 / MEBIBYTE as f64;
    format!("{mebibytes:.1} MiB")
}
