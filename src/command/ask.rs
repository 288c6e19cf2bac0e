//! Questions, asked before the loop starts.

use std::collections::BTreeSet;

use super::Context;
use crate::domain::changes::Changes;
use crate::domain::observed::Observed;
use crate::domain::ownership::leftovers;
use crate::domain::plan::{Agreed, Policy};
use crate::domain::view::View;
use crate::error::{Failure, Kind};
use crate::event::Event;

/// What a question names for deletion: nothing else is deleted, whoever said yes.
pub(super) struct Named {
    pub(super) agreed: Agreed,
    /// The leftovers in words, each with its price and its ARN.
    leftovers: Vec<String>,
}

impl Named {
    /// What Terraform's plan deletes, and what is shown to be ours and is not Terraform's.
    pub(super) fn of(seen: &Observed, policy: &Policy, changes: Option<&Changes>) -> Self {
        let by_terraform: BTreeSet<String> = changes.into_iter().flat_map(Changes::deleted).collect();
        // A load balancer of Terraform's whose ARN is not known could be any of them.
        let nameless = |c: &Changes| c.resources.iter().any(|r| r.kind == "aws_lb" && r.deletes() && r.arn.is_none());
        let listed = if changes.is_some_and(nameless) { Vec::new() } else { leftovers(&View::single(seen, policy)) };
        let left: Vec<_> = listed.into_iter().filter(|thing| !by_terraform.contains(&thing.arn)).collect();
        Self {
            leftovers: left.iter().map(|thing| format!("{thing}: {}", thing.arn)).collect(),
            agreed: Agreed { by_terraform, leftovers: left.iter().map(|thing| thing.arn.clone()).collect() },
        }
    }

    /// Whether there is anything to delete outside of Terraform.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// The question with what it names. Where nobody is asked, that is said all the same.
    pub(super) fn told(&self, cx: &Context, question: &str) -> String {
        if self.leftovers.is_empty() {
            return question.to_owned();
        }
        let named = format!("Deleted besides what Terraform made: {}.", self.leftovers.join("; "));
        cx.say.note(named.clone());
        format!("{question} {named}")
    }
}

/// What takes something away has to be told the account in which it may.
pub(super) fn account(cx: &Context, deed: &str) -> Result<(), Failure> {
    if cx.at.policy.account.is_some() {
        return Ok(());
    }
    Err(Failure::new(Kind::Configuration, format!("`meetctl {deed}` has to be told the platform's account"))
        .because("`platform.account` is not set: no flag, no variable and no file says it")
        .next(format!("say it: `meetctl {deed} --account 111122223333`, or MEETCTL_ACCOUNT"))
        .next("or write it into meetctl.toml: `account = \"111122223333\"` below [platform]"))
}

/// Asks before something that costs money or takes something away. `deed` is an imperative, such as `power down`.
pub(super) async fn agree(cx: &Context, deed: &str, question: &str) -> Result<(), Failure> {
    if cx.options.yes {
        return Ok(());
    }
    if !cx.options.may_ask() {
        return Err(nobody(deed).next(format!("say that you mean it: `meetctl {deed} --yes`")));
    }
    let answer = answer(cx, format!("{question} [y/N]")).await?;
    if is_yes(&answer) { Ok(()) } else { Err(declined()) }
}

/// Asks to type the platform's name. `--yes` is not enough for what cannot be undone.
pub(super) async fn type_name(cx: &Context, confirmed: Option<&str>, question: &str) -> Result<(), Failure> {
    let name = cx.at.config.name.as_str();
    match confirmed {
        Some(given) if given == name => return Ok(()),
        Some(given) => {
            return Err(Failure::new(Kind::Refused, "the name that confirms is not the platform's")
                .because(format!("--confirm says {given:?}, the platform is {name:?}"))
                .next("check which platform this is: `meetctl config show --origin`"));
        }
        None => {}
    }
    if !cx.options.may_ask() {
        return Err(nobody("destroy").next(format!("say that you mean it: `meetctl destroy --confirm {name}`")));
    }
    let answer = answer(cx, format!("{question}\nType the platform's name, {name}, to go on:")).await?;
    if answer.trim() == name { Ok(()) } else { Err(declined()) }
}

/// One line from the terminal; the work can be stopped meanwhile.
async fn answer(cx: &Context, question: String) -> Result<String, Failure> {
    cx.say.emit(Event::Question { question });
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        line = line => match line {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(_)) | Err(_) => Err(declined()),
        },
        () = cx.stop.cancelled() => Err(Failure::new(Kind::Interrupted, "stopped at the question").next("nothing was changed")),
    }
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

fn nobody(deed: &str) -> Failure {
    Failure::new(Kind::Refused, format!("`meetctl {deed}` asks before it acts, and nobody is there to answer"))
        .because("there is no terminal, or --no-input was given")
}

fn declined() -> Failure {
    Failure::new(Kind::Refused, "not agreed to")
        .next("nothing was changed; run the same command again to be asked again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", "Yes\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yep", "yes please", "no"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
