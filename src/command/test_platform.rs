//! `test-platform`: rehearse everything, and leave the platform as it was found.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Context, Subcommand, load};
use crate::answer::Answer;
use crate::config::{Environment, token};
use crate::engine::{Job, Rehearsed, Script, rehearse};
use crate::error::{Failure, Kind, Outcome};
use crate::files::{self, Draft};
use crate::outside::Platform;
use crate::probe::Sight;

/// Rehearse an evening: start, prove, stop, and leave the platform as it was found
///
/// Ten phases: prerequisites, status, up, health, certificate, HTTPS, meeting, status, down, nothing left running. When
/// one fails, the later ones still do what they can, and the platform is always put back: what was at rest rests again,
/// what was running stays running. Ctrl-C goes straight to putting it back. People who have joined meanwhile are not
/// thrown out: the platform is then left running, and that is said (exit code 5).
///
/// Refuses (exit code 5) while people are in a meeting. Exit code 0 when every phase is good, 8 when one failed, 9 when
/// one could not be judged.
///
/// Example: `meetctl test-platform --report rehearsal.html --participants 20 --for 60s --max-loss 2%`
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "the comments are help texts, in clap's own style")]
pub struct Args {
    /// Write the result to this file as a page that a browser shows, with nothing loaded from elsewhere
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Leave the platform running when every phase was good
    #[arg(long)]
    keep_up: bool,

    /// A file that holds the token to show in the meeting [env: MEETCTL_PROBE_TOKEN, MEETCTL_PROBE_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    #[command(flatten)]
    load: load::Args,
}

/// A start from powered-down and a stop, with time to spare; the speaking comes on top.
const LIMIT: Duration = Duration::from_hours(1);
/// What is kept of it for putting the platform back: a stop takes a minute or two, powering down as long again.
const PUTTING_BACK: Duration = Duration::from_mins(15);

impl Args {
    fn longest(&self) -> Duration {
        LIMIT + self.load.load().map_or(Duration::ZERO, |load| load.lasting)
    }
}

/// How long the phases may take before the platform is put back, so that all of it ends within the limit.
fn before_putting_back(limit: Duration) -> Duration {
    limit.saturating_sub(PUTTING_BACK.min(limit / 2))
}

impl Subcommand for Args {
    const NAME: &'static str = "test-platform";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(self.longest())
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        cx.tell_account().await?;
        if let Some(path) = &self.report {
            // Better now than after a quarter of an hour.
            Draft::of(path).map_err(|error| unwritable(path, &error))?;
        }
        let load = self.load.load();
        let sight = match &self.token_file {
            Some(path) => Sight { token: token(Some(path), &Environment::default())?, ..cx.at.sight.clone() },
            None => cx.at.sight.clone(),
        };
        let script = Script { platform: cx.at.config.name.as_str(), load: load.as_ref(), keep_up: self.keep_up };
        let job = cx.job(self.longest());
        let timeout = before_putting_back(job.timeout);
        let rehearsed = rehearse(Job { sight: &sight, timeout, ..job }, script).await?;
        cx.say.answer(Answer::Rehearsal(rehearsed.rehearsal.clone()));
        let written = self.report.as_deref().map_or(Ok(()), |path| {
            files::replace(path, (cx.page)(&rehearsed.rehearsal).as_bytes()).map_err(|error| unwritable(path, &error))
        });
        conclude(rehearsed, written, cx)
    }
}

fn conclude(rehearsed: Rehearsed, written: Result<(), Failure>, cx: &Context) -> Result<Outcome, Failure> {
    let outcome = rehearsed.outcome();
    let left = rehearsed.rehearsal.left;
    if let Some(failure) = rehearsed.unrestored {
        return Err(failure);
    }
    if cx.stop.is_cancelled() {
        return Err(Failure::new(Kind::Interrupted, "interrupted before the rehearsal was complete")
            .because(format!("the platform is as it was found: {left}"))
            .next("run the same command again"));
    }
    if rehearsed.late {
        return Err(Failure::new(Kind::TimedOut, "the rehearsal was not complete in its time")
            .because(format!("the platform is as it was found: {left}"))
            .next("run it again with a longer `--timeout`"));
    }
    written.map(|()| outcome)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    let kind = if error.kind() == ErrorKind::InvalidInput { Kind::Usage } else { Kind::Outside };
    Failure::new(kind, format!("the report cannot be written to {}", path.display()))
        .because(error.to_string())
        .next("name another file with --report")
}
