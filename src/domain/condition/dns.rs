//! The name leads to the load balancer, as its own name servers and this machine's resolver see it.

use std::net::IpAddr;
use std::time::Duration;

use super::judged::with;
use super::service::balancer_active;
use super::{Judged, PLAIN, Rule, Source, Verdict, View, lines};
use crate::domain::action::Action;
use crate::domain::observed::{Authority, PLACEHOLDER, Record, Resolution};
use crate::domain::text::list;

pub(super) const RESOLVES: Rule = Rule {
    name: "dns",
    says: "the name resolves to the load balancer",
    unsays: "the name does not resolve to the load balancer",
    needs: &[Source::Balancer, Source::Record, Source::Names],
    every: Duration::from_secs(3),
    judge: resolves,
    evidence: |view| view.seen.names.present().and_then(|n| n.local.as_ref().ok()).map(|found| addresses(found)),
    remedy: |view| {
        // Until the load balancer is whole there is nothing to point to.
        let whole = balancer_active(view).is_good();
        let wrong = whole && matches!(resolves(view).verdict, Verdict::Fails(_));
        (wrong && view.memory.terraformed.is_none()).then_some(Action::Restore)
    },
    advice: |_| {
        lines(&[
            "point the name's alias record to the load balancer: `meetctl deploy`",
            "a resolver that keeps an old answer forgets it within minutes",
        ])
    },
    ..PLAIN
};

fn resolves(view: &View<'_>) -> Judged {
    let seen = view.seen;
    if seen.record.present().is_some_and(Record::is_placeholder) {
        return if seen.balancer.present().is_some() {
            Verdict::Fails(format!("the record is still the placeholder of a powered-down platform, {PLACEHOLDER}"))
                .code("placeholder-left")
        } else {
            Verdict::Waits(format!("the record is a placeholder, {PLACEHOLDER}, until the load balancer is back"))
                .code("powered-down")
        };
    }
    if let (Some(record), Some(balancer)) = (seen.record.present(), seen.balancer.present())
        && let [target] = record.targets.as_slice()
        && bare(target) != bare(&balancer.dns_name)
    {
        let (target, balancer) = (bare(target), bare(&balancer.dns_name));
        return Verdict::Fails(format!("the record points to {target}, the load balancer is {balancer}"))
            .code("record-elsewhere");
    }
    if seen.record.is_absent() {
        return Verdict::Fails("Route 53 has no record of this name".into()).code("no-record");
    }
    with(&seen.names, ("no-such-name", "the name does not exist"), answers)
}

/// A DNS name without its final dot, in lower case, without the prefix that aliases may carry.
fn bare(name: &str) -> String {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.strip_prefix("dualstack.").map(str::to_owned).unwrap_or(name)
}

fn answers(names: &Resolution) -> Judged {
    let balancer = match &names.balancer {
        None => {
            return Verdict::Waits("there is no load balancer to compare with".into()).code("powered-down");
        }
        Some(Err(why)) => return why.into(),
        Some(Ok(addresses)) if addresses.is_empty() => {
            return Verdict::Waits("the load balancer's own name has no address yet".into())
                .code("balancer-without-address");
        }
        Some(Ok(addresses)) => addresses,
    };
    let local = match &names.local {
        Err(why) => why.into(),
        Ok(addresses) => points_to("this machine's resolver", addresses, balancer),
    };
    let known = names.authoritative.iter().filter_map(|a: &Authority| a.answer.as_ref().ok().map(|found| (a, found)));
    let authoritative: Vec<Judged> = known.map(|(a, found)| points_to(&a.server, found, balancer)).collect();
    if authoritative.is_empty() {
        let why = names.authorities_unseen.as_ref().map_or_else(|| "no answer".to_owned(), ToString::to_string);
        let warning = Verdict::Warns(format!("the zone's own name servers could not be asked: {why}"));
        return Judged::worst([local, warning.code("authority-unseen")]);
    }
    Judged::worst(authoritative.into_iter().chain([local]))
}

fn points_to(who: &str, found: &[IpAddr], balancer: &[IpAddr]) -> Judged {
    if found == [IpAddr::V4(PLACEHOLDER)] {
        Verdict::Waits(format!("{who} still says {PLACEHOLDER}, the placeholder: it forgets it within a minute"))
            .code("placeholder-remembered")
    } else if found.is_empty() {
        Verdict::Waits(format!("{who} knows no address of the name")).code("no-such-name")
    } else if found.iter().all(|a| balancer.contains(a)) {
        Verdict::Holds.into()
    } else {
        let (found, balancer) = (addresses(found), addresses(balancer));
        Verdict::Waits(format!("{who} says {found}, the load balancer is at {balancer}")).code("name-elsewhere")
    }
}

pub fn addresses(of: &[IpAddr]) -> String {
    list(of, ", ")
}
