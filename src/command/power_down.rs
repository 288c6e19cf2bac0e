//! `power-down`: take away what has an hourly price, and prove that nothing of it is left.

use std::time::Duration;

use super::{Context, Subcommand, ask};
use crate::answer::{Answer, Settled};
use crate::domain::action::Action;
use crate::domain::changes::Wanted;
use crate::domain::cost::{Cost, Money};
use crate::domain::estimate::levels;
use crate::domain::goal::{Goal, Level};
use crate::domain::observed::Architecture;
use crate::domain::ownership::strays;
use crate::domain::plan::{Policy, plan};
use crate::domain::view::View;
use crate::engine::{self, Job};
use crate::error::{Failure, Outcome};
use crate::outside::Platform;

/// Remove what has an hourly price, and prove that nothing of it is left
///
/// Stops the platform first, and refuses (exit code 5) while people are in a meeting. Then Terraform removes the load
/// balancer with its addresses, and nothing else: a plan that would touch more is refused before anything is changed.
/// A network load balancer that is shown to be the platform's, and that Terraform does not know, is named in the
/// question and deleted. In the end everything with an hourly price that carries the project's tags is looked for; what
/// is left, or not shown to be ours, is listed, not touched, and ends with exit code 8. Needs the platform's account.
/// Recordings, secret, certificate, name and network stay. `meetctl up` brings it all back.
///
/// Example: `meetctl power-down --yes`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Stopping takes a minute or two, removing the load balancer about two; Terraform may need longer.
const LIMIT: Duration = Duration::from_mins(30);
const GOAL: Goal = Goal::AtMostPoweredDown;

impl Subcommand for Args {
    const NAME: &'static str = "power-down";
    type Place = Platform;

    fn limit(&self) -> Option<Duration> {
        Some(LIMIT)
    }

    async fn run(&self, cx: &Context) -> Result<Outcome, Failure> {
        ask::account(cx, "power-down")?;
        let job = cx.job(LIMIT);
        let seen = engine::survey(job, GOAL).await?;
        let planned = plan(&View::single(&seen, &cx.at.policy), GOAL)?;
        // A plan that goes too far is refused before anything is stopped, rather than after.
        let shown = match planned.steps.iter().find(|s| s.action == Some(Action::PowerDown)) {
            Some(_) => engine::preview(job, Wanted::PoweredDown, &seen).await?.map(|p| p.changes),
            None => None,
        };
        let named = ask::Named::of(&seen, &cx.at.policy, shown.as_ref());
        let policy = Policy { agreed: Some(named.agreed.clone()), ..cx.at.policy.clone() };
        let job = Job { policy: &policy, shown: shown.as_ref(), ..job };
        if planned.steps.iter().all(|step| step.action.is_none()) && !named.has_leftovers() {
            return engine::reach(job, GOAL).await;
        }
        let beside: Money = strays(&seen).into_iter().filter_map(|thing| thing.kind.per_hour()).sum();
        let before = Cost::of(&seen).per_hour + beside;
        let rest = &levels(1, Architecture::X86)[2];
        let question = format!(
            "Power {} down? It costs {before} an hour now, and {} a month then. Coming back takes {BACK}.",
            cx.at.config.name, rest.per_month
        );
        ask::agree(cx, "power-down", &named.told(cx, &question)).await?;
        let outcome = engine::reach(job, GOAL).await?;
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
}

/// Two to four minutes for the load balancer, three to six for the start.
const BACK: &str = "5 to 10 minutes";
