//! What is left after a power-down or a removal.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::action::Action;
use crate::domain::billed::{Kind, Witness};
use crate::domain::changes::Recordings;
use crate::domain::observed::Reading;
use crate::domain::ownership::{agreed_leftovers, stray, strays};
use crate::domain::text::count;

pub(super) const INGRESS: Rule = Rule {
    name: "ingress-removed",
    says: "the load balancer is gone",
    unsays: "the load balancer is not gone",
    needs: &[Source::Balancer],
    judge: ingress_removed,
    evidence: |view| view.seen.balancer.present().map(|b| b.dns_name.clone()),
    remedy: |view| view.memory.terraformed.is_none().then_some(Action::PowerDown),
    advice: |_| lines(&["run `meetctl power-down` again; it continues where it stopped"]),
    ..PLAIN
};

pub(super) const STACK: Rule = Rule {
    name: "stack-gone",
    says: "the platform's resources are gone",
    unsays: "some of the platform's resources are left",
    needs: &[Source::Service, Source::Balancer, Source::Secret, Source::Managed],
    every: Duration::from_secs(10),
    judge: stack_gone,
    evidence: |view| view.seen.managed.present().map(|m| format!("{} in Terraform's state", m.len())),
    remedy: |view| {
        Some(match view.policy.recordings {
            Recordings::Kept => Action::RemoveKeepingRecordings,
            Recordings::Deleted => Action::RemoveWithRecordings,
        })
    },
    advice: |_| lines(&["run `meetctl destroy` again; it continues where it stopped"]),
    ..PLAIN
};

pub(super) const LEFTOVERS: Rule = Rule {
    name: "leftovers-gone",
    says: "what was left over is gone",
    unsays: "what was left over is not gone",
    needs: &[Source::Service, Source::Billed],
    every: Duration::from_secs(10),
    judge: leftovers_gone,
    evidence: billed,
    // Asked for once; after that there is only waiting.
    remedy: |view| {
        let due = view.memory.balancers_removed.is_none() && !agreed_leftovers(view).is_empty();
        due.then_some(Action::RemoveBalancers)
    },
    advice: INGRESS.advice,
    ..PLAIN
};

pub(super) const NOTHING_BILLS: Rule = Rule {
    name: "nothing-bills",
    says: "nothing with an hourly price is left",
    unsays: "something with an hourly price is left",
    needs: &[Source::Service, Source::Balancer, Source::Tasks, Source::Billed],
    every: Duration::from_secs(10),
    judge: nothing_bills,
    evidence: billed,
    // An address goes with Terraform's plan, once; what Terraform does not know is not ours to take.
    remedy: |view| {
        let View { seen, memory, .. } = view;
        let untried = memory.terraformed.is_none() && seen.service.present().is_some() && seen.balancer.is_absent();
        let address = strays(seen).iter().any(|thing| thing.kind == Kind::Address);
        (address && untried).then_some(Action::PowerDown)
    },
    advice: |_| {
        lines(&[
            "ask whose it is: whoever made it removes it, or takes this project's tags from it",
            "then run the same command again",
        ])
    },
    ..PLAIN
};

fn billed(view: &View<'_>) -> Option<String> {
    let billed = view.seen.billed.present()?;
    Some(billed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn ingress_removed(view: &View<'_>) -> Judged {
    match &view.seen.balancer {
        Reading::Absent => Verdict::Holds.into(),
        Reading::Unreadable(why) => why.into(),
        // Terraform has removed what it knows; what is left is judged as a leftover.
        Reading::Present(_) if view.memory.terraformed.is_some() => {
            Verdict::Warns("a load balancer of the platform's name is there that Terraform does not know".into())
                .code("balancer-unmanaged")
        }
        Reading::Present(balancer) => {
            Verdict::Waits(format!("there is a load balancer, {}", balancer.dns_name)).code("balancer-left")
        }
    }
}

fn stack_gone(view: &View<'_>) -> Judged {
    fn there<T>(what: &str, reading: &Reading<T>) -> Judged {
        match reading {
            Reading::Present(_) => Verdict::Waits(format!("{what} is still there")).code("stack-left"),
            Reading::Absent => Verdict::Holds.into(),
            Reading::Unreadable(why) => why.into(),
        }
    }
    let seen = view.seen;
    let secret = match &seen.secret {
        Reading::Present(secret) if secret.deleted.is_some() => Verdict::Warns(format!(
            "AWS keeps {} for its recovery window: its name cannot be used until then",
            secret.name
        ))
        .code("secret-in-recovery-window"),
        other => there("the secret", other),
    };
    let managed = match &seen.managed {
        Reading::Present(managed) if !managed.is_empty() => {
            Verdict::Waits(format!("Terraform still manages {}", count(managed.len(), "resource", "resources")))
                .code("stack-left")
        }
        Reading::Present(_) | Reading::Absent => Verdict::Holds.into(),
        Reading::Unreadable(why) => why.into(),
    };
    // A load balancer that Terraform does not know is judged as a leftover.
    Judged::worst([there("the service", &seen.service), secret, managed])
}

/// A deletion takes effect at once in elbv2's own answers; the list of tags is not asked for it.
fn leftovers_gone(view: &View<'_>) -> Judged {
    if view.policy.agreed.is_none() {
        return Verdict::Holds.into();
    }
    if let Some(why) = view.seen.billed.unreadable() {
        return why.into();
    }
    let left: Vec<&str> = agreed_leftovers(view).into_iter().map(|thing| thing.arn.as_str()).collect();
    if left.is_empty() {
        return Verdict::Holds.into();
    }
    Verdict::Waits(format!("still there: {}", left.join("; "))).code("balancer-left")
}

/// The list of tags may name a thing for a while after it was deleted.
const TAGS_LINGER: SignedDuration = SignedDuration::from_mins(3);

fn nothing_bills(view: &View<'_>) -> Judged {
    let View { seen, memory, .. } = view;
    if let Some(why) = seen.billed.unreadable().or(seen.balancer.unreadable()).or(seen.tasks.unreadable()) {
        return why.into();
    }
    // Terraform's own load balancer goes with an earlier step; what it does not know stays and is named.
    let strays = strays(seen);
    let mut left: Vec<String> = strays.iter().map(|thing| format!("{}: {}", stray(thing, view), thing.arn)).collect();
    left.extend(seen.balancer.present().map(|own| format!("load balancer {}: {}", own.dns_name, own.arn)));
    if left.is_empty() {
        return Verdict::Holds.into();
    }
    let fresh = |at: Option<Timestamp>| at.is_some_and(|at| seen.at.duration_since(at) < TAGS_LINGER);
    let only_tags = seen.balancer.is_absent() && strays.iter().all(|thing| thing.witness == Witness::TagsOnly);
    if fresh(memory.terraformed) && only_tags {
        return Verdict::Waits(format!("its tags still list {}", left.join("; "))).code("tags-linger");
    }
    Verdict::Fails(left.join("; ")).code("costs-left")
}
