//! A whole proof: everybody in, media across, everybody out, and what it all means.

use std::net::IpAddr;

use futures_util::future::join_all;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::board::Board;
use super::discovery::discover;
use super::plan::{Place, label, places};
use super::report::Report;
use super::session::Session;
use super::verdict;
use crate::clock::Clock;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Proof, Stage};
use crate::probe::Limits;
use crate::probe::meeting::{Names, redact};
use crate::probe::wire::{Certificates, Door, Wire};

/// Chance for one proof: another one at each moment, so that each try has a room of its own.
fn chance(seed: u64, clock: &Clock) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ clock.now().as_microsecond().cast_unsigned())
}

/// Proves once that a meeting works, and leaves no trace: on success, failure, interruption and time-out alike.
///
/// `progress` is told of each stage once every participant has passed it.
pub async fn prove(wire: &Wire<'_>, ask: &Ask, stop: &CancellationToken, progress: impl Fn(Stage) + Sync) -> Proof {
    let began = Instant::now();
    let mut chance = chance(wire.seed, wire.clock);
    let certificates = Certificates::Trusted;
    let door = Door { wire: *wire, site: &ask.site, addresses: &[], certificates, limits: Limits::default() };
    let found = tokio::select! {
        biased;
        () = stop.cancelled() => Err(Finding::new(Code::Interrupted).during(Stage::Connect)),
        found = timeout(ask.limits.connect, find(door, ask)) => {
            found.unwrap_or_else(|_| Err(Finding::new(Code::WebUnreachable).detail("no answer in time")))
        }
    };
    let mut proof = match found {
        Err(finding) => Proof { finding: Some(finding), ..Proof::default() },
        Ok((addresses, names)) => {
            let places = places(ask, &names, &mut chance);
            hold(Door { addresses: &addresses, ..door }, ask, &places, stop, &progress).await
        }
    };
    judge(&mut proof, ask);
    proof.took = began.elapsed();
    proof.tries = 1;
    proof
}

/// Where to connect to, and the deployment's names.
async fn find(door: Door<'_>, ask: &Ask) -> Result<(Vec<IpAddr>, Names), Finding> {
    let addresses = if ask.addresses.is_empty() {
        let unresolved = |error: crate::world::NetError| Finding::new(Code::NameUnresolved).detail(error.to_string());
        door.wire.net.resolve(&ask.site.host).await.map_err(unresolved)?
    } else {
        ask.addresses.clone()
    };
    if addresses.is_empty() {
        return Err(Finding::new(Code::NameUnresolved).detail(ask.site.host.to_string()));
    }
    let names = match &ask.names {
        Some(names) => names.clone(),
        None => discover(&Door { addresses: &addresses, ..door }).await?.names,
    };
    Ok((addresses, names))
}

async fn hold(
    door: Door<'_>,
    ask: &Ask,
    places: &[Place],
    stop: &CancellationToken,
    progress: &(dyn Fn(Stage) + Sync),
) -> Proof {
    let board = Board::new(places.iter().map(|place| !place.speakers.is_empty()));
    let report = Report { board: &board, progress, seats: places.len() };
    let abandon = stop.child_token();
    let session = Session { door, ask, report: &report, abandon: &abandon };
    let everybody = places.iter().map(|place| async {
        let finding = Box::pin(session.attend(place)).await;
        (Instant::now(), finding)
    });
    let mut meeting = std::pin::pin!(join_all(everybody));
    let seats = u32::try_from(places.len()).unwrap_or(u32::MAX);
    let limit = ask.limits.whole + ask.limits.speaking + ask.limits.join_spacing * seats;
    let (outcomes, late) = tokio::select! {
        biased;
        outcomes = &mut meeting => (outcomes, false),
        () = sleep(limit) => {
            abandon.cancel();
            (meeting.await, true)
        }
    };
    let mut proof = gather(&board, places);
    let first = outcomes.into_iter().filter_map(|(at, f)| Some((at, f?))).min_by_key(|(at, _)| *at);
    let stage = proof.stages.iter().map(|p| p.stage).filter(|s| *s != Stage::Leave).max().unwrap_or(Stage::Connect);
    proof.finding = match first {
        Some((_, finding)) => Some(one_sided(finding, &board)),
        None if late => Some(Finding::new(Code::TimedOut).during(stage).detail(format!("after {}", stage.name()))),
        None if stop.is_cancelled() => Some(Finding::new(Code::Interrupted).during(stage)),
        None => None,
    };
    proof
}

/// When the others were invited, a missing invitation means something else.
fn one_sided(finding: Finding, board: &Board) -> Finding {
    let shared = board.look();
    let invited: Vec<String> = (0..).zip(&shared.seats).filter(|(_, s)| s.invited).map(|(n, _)| label(n)).collect();
    if finding.code == Code::InviteMissing && !invited.is_empty() {
        return Finding { code: Code::InviteOneSided, ..finding }.detail(format!("invited: {}", invited.join(", ")));
    }
    finding
}

fn gather(board: &Board, places: &[Place]) -> Proof {
    let shared = board.look();
    let unique = |mut list: Vec<String>| {
        list.sort_unstable();
        list.dedup();
        list
    };
    let mut warnings = shared.warnings.clone();
    warnings.sort_by_key(|w| w.code);
    warnings.dedup_by(|a, b| a.code == b.code && a.detail == b.detail);
    let spoken = shared.window.is_some();
    let pairs = places.iter().flat_map(|place| place.speakers.iter().map(|from| (*from, place.index)));
    Proof {
        room: places.first().map(|place| place.seat.room.clone()).unwrap_or_default(),
        stages: shared.stages.clone(),
        left_out: unique(shared.left_out.clone()),
        reached: shared.reached.clone(),
        secured: shared.secured.clone(),
        flows: pairs.filter(|_| spoken).map(|(from, to)| shared.tally.flow(from, to, label)).collect(),
        warnings,
        ..Proof::default()
    }
}

/// Adds what the figures mean, and takes secrets out of the evidence.
fn judge(proof: &mut Proof, ask: &Ask) {
    if proof.finding.is_none() {
        match verdict::of_flows(&proof.flows, &ask.thresholds) {
            Ok(warning) => proof.warnings.extend(warning),
            Err(finding) => proof.finding = Some(finding),
        }
    }
    proof.warnings.extend(verdict::of_round_trips(proof, ask.thresholds.round_trip_warning));
    for finding in proof.finding.iter_mut().chain(&mut proof.warnings) {
        for text in finding.evidence.iter_mut().chain(&mut finding.detail) {
            *text = redact(text, ask.token.as_ref());
        }
    }
}
