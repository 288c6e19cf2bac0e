//! `health`: every condition of `running`, judged now.

use super::Context;
use crate::domain::condition::{Condition, Verdict};
use crate::domain::level::Goal;
use crate::domain::observed::Observed;
use crate::engine::{Look, observe, sign_in};
use crate::error::{Failure, Outcome, advice};
use crate::event::{Answer, Health, Judged};

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
    seen.identity = sign_in(&cx.world, &cx.policy).await?;
    let seen = observe(&cx.world, &cx.sight, &Look::at_all(&cx.policy), seen, &cx.stop).await;
    let judged: Vec<Judged> = asked.iter().map(|&condition| judge(condition, &seen, cx)).collect();
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

fn judge(condition: Condition, seen: &Observed, cx: &Context) -> Judged {
    let verdict = condition.judge(seen, &cx.policy);
    let next = match &verdict {
        Verdict::Holds | Verdict::Warns(_) => Vec::new(),
        Verdict::Waits(_) | Verdict::Fails(_) => condition.next(seen),
        Verdict::Unseen(unseen) => vec![advice(unseen.because).to_owned()],
    };
    Judged { condition, sentence: condition.to_string(), verdict, evidence: condition.evidence(seen), next }
}
