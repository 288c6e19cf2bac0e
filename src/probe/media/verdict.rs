//! What the figures mean.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use super::ask::{Ask, Thresholds};
use crate::domain::finding::{Code, Finding, Weight};
use crate::domain::meeting::{Answer, Flow, Medium, Proof, Reached, Stage};
use crate::domain::ramp::Sender;
use crate::domain::text;
use crate::probe::meeting::{Policy, Sorted};

/// Whether there is an address to try.
pub(super) fn of_candidates(sorted: &Sorted, policy: &Policy) -> Result<(), Finding> {
    if !sorted.try_these.is_empty() {
        return Ok(());
    }
    let (mut left_out, mut unusable) = (sorted.left_out.clone(), sorted.unusable.clone());
    left_out.sort_unstable();
    unusable.sort_unstable();
    let left_out = list(&left_out);
    Err(match (sorted.left_out.is_empty(), sorted.unusable.is_empty(), policy) {
        (true, true, _) => Finding::new(Code::OfferWithoutCandidates),
        (true, false, _) => Finding::new(Code::CandidatesUnusable).detail(text::list(&unusable, "; ")),
        (false, _, Policy::Public) => Finding::new(Code::PrivateAddressesOnly).detail(left_out),
        (false, _, Policy::All | Policy::Only(_)) => {
            Finding::new(Code::CandidatesUnusable).detail(format!("not among the wanted addresses: {left_out}"))
        }
    })
}

/// L1: the warnings when some address answers, else what the silence means.
pub(super) fn of_reach(reached: &[Reached], ask: &Ask, door: &[IpAddr]) -> Result<Vec<Finding>, Finding> {
    // Bridges offer their addresses to each participant in another order; what is said of them is the same.
    let mut sorted = reached.to_vec();
    sorted.sort_by_key(|reached| reached.address);
    let reached = sorted.as_slice();
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

/// A pause of this length while a meeting is moved is more than people put up with.
const MOVED_FAILURE: Duration = Duration::from_secs(5);
/// Beyond this people wonder whether they are heard.
const AUDIBLE_WARNING: Duration = Duration::from_secs(3);

/// L3: warnings, or the worst that was seen. `lasting` says until when the bridge sent anything to each participant.
pub(super) fn of_flows(
    flows: &[Flow],
    thresholds: &Thresholds,
    lasting: &BTreeMap<String, Duration>,
) -> Result<Vec<Finding>, Finding> {
    let mut warnings = Vec::new();
    let (seen, heard): (Vec<&Flow>, Vec<&Flow>) = flows.iter().partition(|flow| flow.medium == Medium::Video);
    let dead = |flows: &[&Flow], code| {
        let dead = flows.iter().find(|flow| flow.audible_after.is_none())?;
        Some(Finding::new(code).detail(format!("{}: {} sent", stream(dead), dead.sent)))
    };
    match (dead(&heard, Code::NoMedia), loudest_only(&heard)) {
        (Some(_), Some(warning)) => warnings.push(warning),
        (Some(dead), None) => return Err(dead),
        (None, _) => {}
    }
    // Audio comes first: without it, a missing picture is no news.
    if let Some(dead) = dead(&seen, Code::NoVideo) {
        return Err(dead);
    }
    let alive: Vec<&Flow> = flows.iter().filter(|flow| flow.audible_after.is_some()).collect();
    if let Some(stopped) = stopped(&alive, lasting) {
        return Err(stopped);
    }
    warnings.extend(moved(&alive)?);
    let latest = heard.iter().filter_map(|flow| Some((flow.audible_after?, flow))).max_by_key(|(after, _)| *after);
    if let Some((after, flow)) = latest.filter(|(after, _)| *after > AUDIBLE_WARNING) {
        let detail = format!("{}: after {}", stream(flow), tenths(after));
        warnings.push(Finding::new(Code::AudibleLate).detail(detail));
    }
    warnings.extend(lossy(&alive, thresholds)?);
    Ok(warnings)
}

/// `a to b`, `video, a to b`
fn stream(flow: &Flow) -> String {
    let medium = if flow.medium == Medium::Video { "video, " } else { "" };
    format!("{medium}{} to {}", flow.from, flow.to)
}

fn lossy(flows: &[&Flow], thresholds: &Thresholds) -> Result<Option<Finding>, Finding> {
    let Some(worst) = flows.iter().max_by(|a, b| a.loss().total_cmp(&b.loss())) else { return Ok(None) };
    let share = format!("{} of {} lost, {:.1} %", worst.lost, worst.sent, worst.loss());
    let mut detail = format!("{}: {share}", stream(worst));
    let holes =
        worst.silences.iter().filter(|silence| !silence.moved).filter_map(|s| Some((s.from, s.from + s.lasted?)));
    for (from, to) in holes {
        let _ = write!(detail, "; nothing from second {:.1} to {:.1}", from.as_secs_f64(), to.as_secs_f64());
    }
    match worst.loss() {
        loss if loss > thresholds.loss_failure => Err(Finding::new(Code::MediaLossy).detail(detail)),
        loss if loss > thresholds.loss_warning => Ok(Some(Finding::new(Code::MediaSomeLoss).detail(detail))),
        _ => Ok(None),
    }
}

/// A stream that was heard, and then not any more: since when, and in which direction.
fn stopped(flows: &[&Flow], lasting: &BTreeMap<String, Duration>) -> Option<Finding> {
    let ended =
        |flow: &&Flow| flow.silences.iter().find(|silence| silence.lasted.is_none()).map(|silence| silence.from);
    let mut all: Vec<(Duration, &Flow)> = flows.iter().filter_map(|flow| Some((ended(flow)?, *flow))).collect();
    all.sort_by_key(|(from, _)| *from);
    let (since, flow) = *all.first()?;
    let hears = |who: &String| lasting.get(who).is_some_and(|last| *last > since + Duration::from_secs(1));
    let (from, to) = (&flow.from, &flow.to);
    let direction = match (hears(from), hears(to)) {
        (true, true) => {
            format!("the bridge still sends to both: what {from} sends does not get to it, or is not passed on")
        }
        (true, false) => format!("nothing comes from the bridge to {to} any more"),
        (false, true) => format!("nothing comes from the bridge to {from} any more"),
        (false, false) => "nothing comes from the bridge any more, to either of them".to_owned(),
    };
    let others = match all.len() - 1 {
        0 => String::new(),
        1 => "; so did one more stream".to_owned(),
        more => format!("; so did {more} more streams"),
    };
    let since = since.as_secs_f64();
    let detail = format!("{}: from second {since:.1} on nothing arrived; {direction}{others}", stream(flow));
    Some(Finding::new(Code::MediaStopped).detail(detail))
}

/// The longest pause in which the focus moved somebody.
fn moved(flows: &[&Flow]) -> Result<Option<Finding>, Finding> {
    let pauses = flows.iter().flat_map(|flow| flow.silences.iter().filter(|s| s.moved).map(move |s| (s, flow)));
    let Some((pause, flow)) = pauses.max_by_key(|(silence, _)| silence.lasted) else { return Ok(None) };
    let lasted = pause.lasted.unwrap_or_default();
    let at = pause.from.as_secs_f64();
    let detail = format!("{}: from second {at:.1} on nothing was heard for {}", stream(flow), tenths(lasted));
    if lasted >= MOVED_FAILURE {
        Err(Finding::new(Code::MovedSlowly).detail(detail))
    } else {
        Ok(Some(Finding::new(Code::Moved).detail(detail)))
    }
}

/// With more than two speakers in a room, some heard by everybody and others by nobody: the bridge forwards the loudest only.
fn loudest_only(flows: &[&Flow]) -> Option<Finding> {
    let mut heard: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    let mut speakers: BTreeMap<&str, usize> = BTreeMap::new();
    for flow in flows {
        heard.entry(&flow.from).or_default().push(flow.audible_after.is_some());
        *speakers.entry(&flow.to).or_default() += 1;
    }
    let silent: Vec<&str> = heard.iter().filter(|(_, by)| by.iter().all(|heard| !heard)).map(|(who, _)| *who).collect();
    let whole = heard.values().all(|by| by.iter().all(|heard| *heard) || by.iter().all(|heard| !heard));
    // Each of a room of three hears two.
    let company = silent.iter().all(|who| speakers.get(who).is_some_and(|others| *others >= 2));
    let some = silent.iter().all(|who| flows.iter().any(|flow| flow.to == **who && flow.audible_after.is_some()));
    (!silent.is_empty() && whole && company && some)
        .then(|| Finding::new(Code::LoudestOnly).detail(format!("nobody hears {}", silent.join(", "))))
}

fn tenths(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// What the machine that sends cannot do is not said of the bridge.
pub(super) fn of_sender(finding: Finding, sender: Option<Sender>) -> Finding {
    match sender.filter(Sender::is_at_its_limit) {
        Some(sender) => Finding::new(Code::SenderLimit).detail(format!("{finding}; {}", sender.words())),
        None => finding,
    }
}

/// What is wrong with the bridge channel; as long as nothing worse is, it is the finding.
pub(super) fn of_channel(warnings: &mut Vec<Finding>) -> Option<Finding> {
    let at = warnings.iter().position(|w| w.stage == Stage::Channel && w.weight() != Weight::Warning)?;
    Some(warnings.remove(at))
}

/// The longest round trip, when it is long. RTCP's is left aside: it includes the time that the peers take to answer.
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
