//! `health`: every condition of `running`, judged now.

use std::time::Duration;

use super::{Context, unanswered, unless_stopped};
use crate::answer::{Answer, Health, Judged};
use crate::domain::condition::{Condition, Verdict};
use crate::domain::level::Goal;
use crate::domain::observed::Observed;
use crate::domain::plan::exists;
use crate::engine::{Look, judge, observe, sign_in, unless_interrupted};
use crate::error::{Failure, Outcome};

/// Judge every condition of `running` now, each with evidence and what to do
///
/// All looks are made at once. Exit code 0 when everything holds, 8 when something does not, 9 when nothing is known to
/// be wrong but something could not be seen.
///
/// Example: `meetctl health --only dns,certificate`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Judge only these conditions, by name
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = named)]
    only: Vec<Condition>,

    /// Leave these conditions out
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = named)]
    skip: Vec<Condition>,

    /// Count warnings as failures
    #[arg(long)]
    strict: bool,
}

pub(super) const LIMIT: Duration = Duration::from_secs(30);

fn named(name: &str) -> Result<Condition, String> {
    let conditions = Goal::Running.conditions();
    conditions.iter().copied().find(|c| c.name() == name).ok_or_else(|| {
        let names: Vec<&str> = conditions.iter().map(|c| c.name()).collect();
        format!("there is no condition {name:?}; there are {}", names.join(", "))
    })
}

pub async fn run(args: &Args, cx: &Context) -> Result<Outcome, Failure> {
    let asked = args.conditions();
    let started = tokio::time::Instant::now();
    let mut seen = Observed::nothing(cx.world.clock.now());
    seen.identity = unless_stopped(&cx.stop, sign_in(&cx.world, &cx.policy)).await?;
    let look = if asked.contains(&Condition::MediaFlows) { Look::at_all(&cx.policy) } else { Look::everything() };
    let looking = observe(&cx.world, &cx.sight, &look, seen, &cx.stop);
    let seen = unless_interrupted(&cx.stop, looking).await.ok_or_else(unanswered)?;
    exists(&seen, &cx.policy)?;
    let judged: Vec<Judged> = asked.iter().map(|&condition| judge(condition, &seen, &cx.policy)).collect();
    let outcome = args.outcome(&judged);
    cx.say.answer(Answer::Health(Health { level: "running".into(), judged, took: started.elapsed() }));
    Ok(outcome)
}

impl Args {
    fn conditions(&self) -> Vec<Condition> {
        let asked = |c: &Condition| (self.only.is_empty() || self.only.contains(c)) && !self.skip.contains(c);
        Goal::Running.conditions().iter().copied().filter(asked).collect()
    }

    fn outcome(&self, judged: &[Judged]) -> Outcome {
        let any = |wanted: fn(&Verdict) -> bool| judged.iter().any(|j| wanted(&j.verdict));
        if any(|v| matches!(v, Verdict::Fails(_) | Verdict::Waits(_)))
            || (self.strict && any(|v| matches!(v, Verdict::Warns(_))))
        {
            Outcome::Unhealthy
        } else if any(|v| matches!(v, Verdict::Unseen(_))) {
            Outcome::CannotTell
        } else {
            Outcome::Done
        }
    }
}
