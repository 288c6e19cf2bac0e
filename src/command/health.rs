//! `health`: every condition of `running`, judged now.

use std::time::Duration;

use super::context::unanswered;
use super::{Context, Subcommand};
use crate::answer::{Answer, Health, JudgedCondition};
use crate::domain::condition::{Condition, Verdict};
use crate::domain::goal::Goal;
use crate::domain::observed::Observed;
use crate::domain::plan::exists;
use crate::domain::view::View;
use crate::engine::{Look, judge, observe, sign_in, unless_interrupted};
use crate::error::{Failure, Outcome};
use crate::outside::Platform;

/// Judge every condition of `running` now, each with evidence and what to do
///
/// All looks are made at once. Exit code 0 when everything holds, 8 when something does not, 9 when nothing is known to
/// be wrong but something could not be seen.
///
/// Example: `meetctl health --only dns,certificate`
#[derive(Debug, clap::Args)]
#[command(visible_alias = "check")]
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

const LIMIT: Duration = Duration::from_secs(30);

fn named(name: &str) -> Result<Condition, String> {
    let conditions = Goal::Running.conditions();
    conditions.iter().copied().find(|c| c.name() == name).ok_or_else(|| {
        let names: Vec<&str> = conditions.iter().map(|c| c.name()).collect();
        format!("there is no condition {name:?}; there are {}", names.join(", "))
    })
}

impl Subcommand for Args {
    const NAME: &'static str = "health";
    type Place = Platform;
    const ONLY_LOOKS: bool = true;

    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        let asked = self.conditions();
        let started = tokio::time::Instant::now();
        let mut seen = Observed::nothing(cx.at.world.clock.now());
        seen.identity = cx.unless_stopped(sign_in(&cx.at.world, &cx.at.policy)).await?;
        let look =
            if asked.iter().any(|c| !c.rule().first_look) { Look::at_all(&cx.at.policy) } else { Look::everything() };
        let looking = observe(&cx.at.world, &cx.at.sight, &look, seen, &cx.stop);
        let seen = unless_interrupted(&cx.stop, looking).await.ok_or_else(unanswered)?;
        let view = View::single(&seen, &cx.at.policy);
        exists(&view)?;
        let judged: Vec<JudgedCondition> = asked.iter().map(|&condition| judge(condition, &view)).collect();
        let outcome = self.outcome(&judged);
        cx.say.answer(Answer::Health(Health { level: "running".into(), judged, took: started.elapsed() }));
        Ok(outcome)
    }
}

impl Args {
    fn conditions(&self) -> Vec<Condition> {
        let asked = |c: &Condition| (self.only.is_empty() || self.only.contains(c)) && !self.skip.contains(c);
        Goal::Running.conditions().iter().copied().filter(asked).collect()
    }

    fn outcome(&self, judged: &[JudgedCondition]) -> Outcome {
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
