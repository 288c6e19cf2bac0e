//! The one process that is started here, and how it ends.
//!
//! It writes into files, not into pipes: when meetctl itself is killed, Terraform is not killed by a pipe that nobody
//! reads any more, but finishes what it does and saves its state. It is in a process group of its own, so that Ctrl-C
//! reaches it once, through us.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the program may take to save its state after an interrupt.
const GRACE: Duration = Duration::from_mins(1);
/// How often its output is read.
const EVERY: Duration = Duration::from_millis(100);
/// No answer that we ask for is longer: the plan of this stack is below one.
const LONGEST_OUTPUT: u64 = 64 << 20;
/// As much as is read at once, before others have their turn.
const PIECE: u64 = 1 << 20;
/// A longer line is none of those that mean something to us.
const LONGEST_LINE: usize = 1 << 20;
/// Of what it complains about, the end counts.
const LONGEST_COMPLAINT: u64 = 64 << 10;

/// What to run, and where.
pub(super) struct Run<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<OsString>,
    pub(super) folder: &'a Path,
    pub(super) environment: BTreeMap<String, OsString>,
    /// A folder of this run alone, for its output.
    pub(super) output: &'a Path,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) how: How,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Well,
    Badly,
    /// It was asked to stop, and has saved its state.
    Interrupted,
    /// It did not stop within a minute.
    Killed,
}

/// What an end means. An interrupted program that finished all the same has done its job.
pub(super) const fn how(code: Option<i32>, interrupted: bool) -> How {
    match (code, interrupted) {
        (Some(0), _) => How::Well,
        (_, true) => How::Interrupted,
        (_, false) => How::Badly,
    }
}

/// Runs the program to its end. Each whole line that it writes is passed on as it appears.
pub(super) async fn run(
    run: Run<'_>,
    stop: &CancellationToken,
    line: &mut (dyn FnMut(&str) + Send),
) -> io::Result<Ended> {
    let (stdout, stderr) = (run.output.join("stdout"), run.output.join("stderr"));
    let mut child = start(&run, &stdout, &stderr)?;
    let mut tail = Tail { source: File::open(&stdout)?, read: 0, rest: Vec::new(), searched: 0 };
    let ended = tokio::select! {
        ended = wait(&mut child, &mut tail, line) => Some(how(ended?, false)),
        () = stop.cancelled() => None,
    };
    let how = match ended {
        Some(how) => how,
        None => stopped(&mut child, &mut tail, line).await?,
    };
    tail.read_on(line).await?;
    Ok(Ended { how, stdout: first(&stdout, LONGEST_OUTPUT)?, stderr: last(&stderr, LONGEST_COMPLAINT)? })
}

/// One interrupt, and a minute to save the state.
async fn stopped(child: &mut Child, tail: &mut Tail, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<How> {
    interrupt(child);
    if let Ok(ended) = timeout(GRACE, wait(child, tail, line)).await {
        return Ok(how(ended?, true));
    }
    child.kill().await?;
    Ok(How::Killed)
}

#[expect(clippy::disallowed_methods, reason = "this is the place where processes are started")]
fn start(run: &Run<'_>, stdout: &Path, stderr: &Path) -> io::Result<Child> {
    Command::new(run.program)
        .args(&run.arguments)
        .current_dir(run.folder)
        .env_clear()
        .envs(&run.environment)
        .stdin(Stdio::null())
        .stdout(private(stdout)?)
        .stderr(private(stderr)?)
        .process_group(0)
        .spawn()
}

/// A new file that only this user can read. A program that a killed meetctl left behind still writes into the old one.
fn private(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
}

fn interrupt(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // A program that has just ended needs no interrupt.
        let _ = kill_process(pid, Signal::INT);
    }
}

/// Waits for the end while reading what is written. Dropping this loses nothing.
async fn wait(child: &mut Child, tail: &mut Tail, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<Option<i32>> {
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(ended?.code()),
            () = sleep(EVERY) => tail.read_on(line).await?,
        }
    }
}

/// What has been read of a file that grows.
struct Tail<R = File> {
    source: R,
    read: u64,
    /// The beginning of a line whose end has not been written yet.
    rest: Vec<u8>,
    /// How much of it is known to hold no end of a line.
    searched: usize,
}

impl<R: Read> Tail<R> {
    /// Reads what there is, in pieces: however much was written in one go, others have their turn in between.
    async fn read_on(&mut self, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<()> {
        while self.read_piece(line)? {
            yield_now().await;
        }
        Ok(())
    }

    /// Reads one piece, and passes its lines on; whether there was anything.
    fn read_piece(&mut self, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<bool> {
        let left = LONGEST_OUTPUT.saturating_sub(self.read).min(PIECE);
        let read = (&mut self.source).take(left).read_to_end(&mut self.rest)?;
        self.read += u64::try_from(read).unwrap_or(u64::MAX);
        let mut begin = 0;
        while let Some(length) = self.rest[self.searched..].iter().position(|b| *b == b'\n') {
            let end = self.searched + length;
            if end - begin <= LONGEST_LINE {
                line(String::from_utf8_lossy(&self.rest[begin..end]).trim_end());
            }
            (begin, self.searched) = (end + 1, end + 1);
        }
        self.rest.drain(..begin);
        self.searched = self.rest.len();
        Ok(read > 0)
    }
}

fn first(path: &Path, bytes: u64) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn last(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The programs of these names on a search path, in the order of the names.
pub(super) fn on_path(path: &str, names: &[&str]) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |p: &PathBuf| std::fs::metadata(p).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let folders: Vec<PathBuf> = std::env::split_paths(path).filter(|f| f.is_absolute()).collect();
    names.iter().filter_map(|name| folders.iter().map(|f| f.join(name)).find(runs)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(how(Some(0), false), How::Well);
        assert_eq!(how(Some(1), false), How::Badly);
        assert_eq!(how(None, false), How::Badly);
        assert_eq!(how(Some(1), true), How::Interrupted);
        assert_eq!(how(Some(0), true), How::Well);
    }

    /// The lines that come of a source, and how long that took.
    async fn lines_of(source: impl Read) -> (Vec<String>, Duration) {
        #[expect(clippy::disallowed_methods, reason = "what is measured is the time of a thread")]
        let start = std::time::Instant::now();
        let mut lines = Vec::new();
        let mut tail = Tail { source, read: 0, rest: Vec::new(), searched: 0 };
        tail.read_on(&mut |line| lines.push(line.to_owned())).await.expect("a readable source");
        (lines, start.elapsed())
    }

    /// A file that grows by a few bytes between two looks.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let few = self.0.len().min(into.len()).min(3);
            into[..few].copy_from_slice(&self.0[..few]);
            self.0 = &self.0[few..];
            Ok(few)
        }
    }

    #[tokio::test]
    async fn lines_are_passed_on_whole() {
        let (lines, _) = lines_of(Slow("one\ntwo \r\n\nhalf".as_bytes())).await;
        assert_eq!(lines, ["one", "two", ""]);
        let long = format!("{}\nshort\n", "x".repeat(LONGEST_LINE + 1));
        assert_eq!(lines_of(long.as_bytes()).await.0, ["short"]);
    }

    #[tokio::test]
    async fn a_burst_of_lines_costs_as_much_as_its_length() {
        for burst in ["x\n".repeat(4 << 20), "x".repeat(60 << 20)] {
            let (lines, took) = lines_of(burst.as_bytes()).await;
            assert_eq!(lines.len(), burst.matches('\n').count());
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    }
}
