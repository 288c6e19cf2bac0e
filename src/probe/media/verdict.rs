//! What the figures mean.

use std::net::IpAddr;
use std::time::Duration;

use super::ask::{Ask, Thresholds};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Answer, Flow, Proof, Reached, Stage};
use crate::domain::text;
use crate::probe::meeting::{Policy, Sorted};

/// Whether there is an address to try.
pub(super) fn of_candidates(sorted: &Sorted, policy: &Policy) -> Result<(), Finding> {
    if !sorted.try_these.is_empty() {
        return Ok(());
    }
    let left_out = list(&sorted.left_out);
    Err(match (sorted.left_out.is_empty(), sorted.unusable.is_empty(), policy) {
        (true, true, _) => Finding::new(Code::OfferWithoutCandidates),
        (true, false, _) => Finding::new(Code::CandidatesUnusable).detail(text::list(&sorted.unusable, "; ")),
        (false, _, Policy::Public) => Finding::new(Code::PrivateAddressesOnly).detail(left_out),
        (false, _, Policy::All | Policy::Only(_)) => {
            Finding::new(Code::CandidatesUnusable).detail(format!("not among the wanted addresses: {left_out}"))
        }
    })
}

/// L1: the warnings when some address answers, else what the silence means.
pub(super) fn of_reach(reached: &[Reached], ask: &Ask, door: &[IpAddr]) -> Result<Vec<Finding>, Finding> {
    let (good, bad): (Vec<&Reached>, Vec<&Reached>) = reached.iter().partition(|r| r.outcome == Answer::Answered);
    if good.is_empty() {
        return Err(unreached(reached, ask, door));
    }
    let mut warnings = Vec::from_iter(unexpected(reached, &ask.expected));
    if !bad.is_empty() {
        let detail = bad.iter().map(|r| format!("{}: {}", r.address, words(&r.outcome))).collect::<Vec<_>>().join(", ");
        warnings.push(Finding::new(Code::CandidateSilent).detail(detail));
    }
    Ok(warnings)
}

fn unreached(reached: &[Reached], ask: &Ask, door: &[IpAddr]) -> Finding {
    let any = |wanted: fn(&Answer) -> bool| reached.iter().any(|r| wanted(&r.outcome));
    let code = if any(|a| matches!(a, Answer::WrongPassword | Answer::Unauthentic)) {
        Code::StunWrongPassword
    } else if any(|a| *a == Answer::RoleConflict) {
        Code::StunRoleConflict
    } else if any(|a| matches!(a, Answer::Refused { .. })) {
        Code::StunRefused
    } else if any(|a| *a == Answer::Floods) {
        Code::BridgeFloods
    } else if any(|a| *a == Answer::Unreachable) {
        Code::UdpRefused
    } else if reached.iter().all(|r| matches!(r.outcome, Answer::NoRoute { .. })) {
        Code::NoRoute
    } else if !ask.expected.is_empty() && !reached.iter().any(|r| ask.expected.contains(&r.address.ip())) {
        Code::WrongAddressAdvertised
    } else {
        Code::UdpBlocked
    };
    let tried = reached.iter().map(|r| format!("{}: {}", r.address, words(&r.outcome))).collect::<Vec<_>>().join(", ");
    let elsewhere = !reached.iter().any(|r| door.contains(&r.address.ip()));
    let detail = match code {
        Code::WrongAddressAdvertised => format!("{tried}; expected {}", list(&ask.expected)),
        Code::UdpBlocked if elsewhere => format!("{tried}; the web pages are at {}", list(door)),
        _ => tried,
    };
    Finding::new(code).detail(detail).during(Stage::Reach)
}

/// A bridge advertises one of the platform's addresses: two ways to the same port would collide on a load balancer.
fn unexpected(reached: &[Reached], expected: &[IpAddr]) -> Option<Finding> {
    let advertised: Vec<IpAddr> = reached.iter().map(|r| r.address.ip()).collect();
    let (own, others): (Vec<IpAddr>, Vec<IpAddr>) = advertised.iter().partition(|a| expected.contains(a));
    let (code, detail) = if expected.is_empty() || others.is_empty() {
        return None;
    } else if own.is_empty() {
        (Code::ExpectedNotAdvertised, format!("advertised {}; expected {}", list(&others), list(expected)))
    } else {
        (Code::AdvertisedNotExpected, list(&others))
    };
    Some(Finding::new(code).detail(detail))
}

/// L3: the worst stream decides.
pub(super) fn of_flows(flows: &[Flow], thresholds: &Thresholds) -> Result<Option<Finding>, Finding> {
    if let Some(dead) = flows.iter().find(|flow| flow.received == 0) {
        return Err(Finding::new(Code::NoMedia).detail(format!("{} to {}: {} sent", dead.from, dead.to, dead.sent)));
    }
    let Some(worst) = flows.iter().max_by(|a, b| a.loss().total_cmp(&b.loss())) else { return Ok(None) };
    let detail =
        format!("{} to {}: {} of {} lost, {:.1} %", worst.from, worst.to, worst.lost, worst.sent, worst.loss());
    match worst.loss() {
        loss if loss > thresholds.loss_failure => Err(Finding::new(Code::MediaLossy).detail(detail)),
        loss if loss > thresholds.loss_warning => Ok(Some(Finding::new(Code::MediaSomeLoss).detail(detail))),
        _ => Ok(None),
    }
}

/// The longest round trip, when it is long. RTCP's is left aside: it holds the peers' own dawdling.
pub(super) fn of_round_trips(proof: &Proof, limit: Duration) -> Option<Finding> {
    let reached = proof.reached.iter().filter_map(|r| r.round_trip);
    let secured = proof.secured.iter().filter_map(|s| s.round_trip);
    let longest = reached.chain(secured).max().filter(|longest| *longest > limit)?;
    Some(Finding::new(Code::RoundTripLong).detail(format!("{} ms", longest.as_millis())))
}

fn words(answer: &Answer) -> String {
    match answer {
        Answer::Answered => "answers".into(),
        Answer::Unauthentic => "answers without the bridge's password".into(),
        Answer::WrongPassword => "knows another password".into(),
        Answer::RoleConflict => "claims our role".into(),
        Answer::Refused { code } => format!("error {code}"),
        Answer::Unreachable => "nothing listens there".into(),
        Answer::NoRoute { why } => format!("no way there: {why}"),
        Answer::Floods => "sends very many datagrams that are no answer".into(),
        Answer::Silent => "silent".into(),
    }
}

fn list(addresses: &[impl ToString]) -> String {
    text::list(addresses.iter().map(ToString::to_string), ", ")
}
