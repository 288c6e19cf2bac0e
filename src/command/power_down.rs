//! `power-down`: take away what has an hourly price, and prove that nothing of it is left.

use std::time::Duration;

use super::{Context, ask};
use crate::domain::billed::beside;
use crate::domain::changes::Wanted;
use crate::domain::condition::Condition;
use crate::domain::cost::{Cost, Money};
use crate::domain::estimate::levels;
use crate::domain::level::{Goal, Level};
use crate::domain::observed::Architecture;
use crate::domain::plan::plan;
use crate::engine::{self, Job};
use crate::error::{Failure, Outcome};
use crate::event::{Answer, Settled};

/// Remove what has an hourly price, and prove that nothing of it is left
///
/// Stops the platform first, and refuses (exit code 5) while people are in a meeting. Then Terraform removes the load
/// balancer with its addresses, and nothing else: a plan that would touch more is refused before anything is changed.
/// In the end everything with an hourly price that carries the project's tags is looked for; what should be gone and is
/// not ends with exit code 8. Recordings, secret, certificate, name and network stay. `meetctl up` brings it all back.
///
/// Example: `meetctl power-down --yes`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Stopping takes a minute or two, removing the load balancer about two; Terraform may need longer.
pub(super) const LIMIT: Duration = Duration::from_mins(30);
const GOAL: Goal = Goal::AtMostPoweredDown;

pub async fn run(_: &Args, cx: &Context) -> Result<Outcome, Failure> {
    let job = cx.job(LIMIT);
    let seen = engine::survey(job, GOAL).await?;
    let planned = plan(&seen, GOAL, &cx.policy)?;
    if planned.steps.is_empty() {
        return engine::reach(job, GOAL).await;
    }
    // A plan that goes too far is refused before anything is stopped, rather than after.
    let shown = match planned.steps.iter().find(|s| s.until == Condition::IngressRemoved) {
        Some(_) => engine::preview(job, Wanted::PoweredDown, &seen).await?.map(|p| p.changes),
        None => None,
    };
    let strays = seen.billed.present().map_or(Money(0), |all| beside(all, seen.balancer.present().is_some()));
    let before = Cost::of(&seen).per_hour + strays;
    let rest = &levels(1, Architecture::X86)[2];
    let question = format!(
        "Power {} down? It costs {before} an hour now, and {} a month then. Coming back takes {BACK}.",
        cx.config.name, rest.per_month
    );
    ask::agree(cx, "power-down", &question).await?;
    let outcome = engine::reach(Job { shown: shown.as_ref(), ..job }, GOAL).await?;
    cx.say.answer(Answer::Settled(Settled {
        level: Level::PoweredDown,
        before,
        per_hour: rest.per_hour,
        per_month: rest.per_month,
        kept: ["recordings", "secret", "certificate", "hosted zone", "logs"].map(Into::into).into(),
        back: format!("`meetctl up` brings it back in {BACK}"),
    }));
    Ok(outcome)
}

/// Two to four minutes for the load balancer, three to six for the start.
const BACK: &str = "5 to 10 minutes";
