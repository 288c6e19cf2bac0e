//! A whole proof: everybody in, media across, everybody out, and what it all means.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::board::Board;
use super::channel;
use super::discovery::discover;
use super::gauge::Gauge;
use super::plan::{PACKET_INTERVAL, Place, label, places};
use super::report::{Counts, Report};
use super::session::{Session, Sockets};
use super::tally::Pace;
use super::websocket::Websocket;
use super::{verdict, video};
use crate::clock::Clock;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Medium, Passed, Proof, Stage};
use crate::probe::Limits;
use crate::probe::meeting::{Names, redact};
use crate::probe::wire::{Certificates, Door, Wire};

/// The source of random numbers for one proof: another one at each moment, so that each try has a room of its own.
pub(super) fn chance(seed: u64, clock: &Clock) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed ^ clock.now().as_microsecond().cast_unsigned())
}

/// Proves once that a meeting works, and leaves no trace: on success, failure, interruption and time-out alike.
///
/// `progress` is told of each stage once every participant has passed it.
pub async fn prove(wire: &Wire<'_>, ask: &Ask, stop: &CancellationToken, progress: impl Fn(Stage) + Sync) -> Proof {
    let began = Instant::now();
    let mut chance = chance(wire.seed, wire.clock);
    let door = outside(wire, ask);
    let gauge = Gauge::new(wire.net);
    let mut proof = match find(door, ask, stop).await {
        Err(finding) => Proof { finding: Some(finding), ..Proof::default() },
        Ok(found) => {
            let places = places(ask, &found.names, &mut chance);
            let hold = Hold::behind(door, &found, &gauge);
            hold.meeting(ask, &places, stop, &progress).await
        }
    };
    judge(&mut proof, ask);
    proof.took = began.elapsed();
    proof.tries = 1;
    proof
}

/// The door of the deployment, as far as it is known without asking.
pub(super) fn outside<'a>(wire: &Wire<'a>, ask: &'a Ask) -> Door<'a> {
    let (site, certificates, limits) = (&ask.site, Certificates::Trusted, Limits::default());
    Door { wire: *wire, site, endpoint: None, addresses: &[], certificates, limits }
}

/// Where the page is, and what the deployment says about itself.
pub(super) struct Found {
    addresses: Vec<IpAddr>,
    pub(super) names: Names,
    websocket: Websocket,
    prefer_sctp: bool,
}

pub(super) async fn find(door: Door<'_>, ask: &Ask, stop: &CancellationToken) -> Result<Found, Finding> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Finding::new(Code::Interrupted).during(Stage::Connect)),
        found = timeout(ask.limits.connect, look_up(door, ask)) => {
            found.unwrap_or_else(|_| Err(Finding::new(Code::WebUnreachable).detail("no answer in time")))
        }
    }
}

async fn look_up(door: Door<'_>, ask: &Ask) -> Result<Found, Finding> {
    let addresses = if ask.addresses.is_empty() {
        let unresolved = |error: crate::world::NetError| Finding::new(Code::NameUnresolved).detail(error.to_string());
        door.wire.net.resolve(&ask.site.host).await.map_err(unresolved)?
    } else {
        ask.addresses.clone()
    };
    if addresses.is_empty() {
        return Err(Finding::new(Code::NameUnresolved).detail(ask.site.host.to_string()));
    }
    let door = Door { addresses: &addresses, ..door };
    let (names, websocket, prefer_sctp) = if let Some(names) = &ask.names {
        (names.clone(), Websocket::usual(&door), true)
    } else {
        let said = discover(&door).await?;
        let websocket = Websocket::of(&said, &door, ask).await?;
        (said.names, websocket, said.prefer_sctp)
    };
    Ok(Found { addresses, names, websocket, prefer_sctp })
}

/// What every meeting of a run has in common.
#[derive(Clone, Copy)]
pub(super) struct Hold<'a> {
    door: Door<'a>,
    websocket: &'a Websocket,
    prefer_sctp: bool,
    gauge: &'a Gauge<'a>,
    counts: Counts,
}

impl<'a> Hold<'a> {
    pub(super) fn behind(door: Door<'a>, found: &'a Found, gauge: &'a Gauge<'a>) -> Self {
        let Found { addresses, websocket, prefer_sctp, .. } = found;
        let door = Door { addresses, ..door };
        Self { door, websocket, prefer_sctp: *prefer_sctp, gauge, counts: Counts::Streams }
    }

    /// The same, counted in another way.
    pub(super) fn counting(self, counts: Counts) -> Self {
        Self { counts, ..self }
    }

    /// Everybody in, media across, everybody out.
    pub(super) async fn meeting(
        &self,
        ask: &Ask,
        places: &[Place],
        stop: &CancellationToken,
        progress: &(dyn Fn(Stage) + Sync),
    ) -> Proof {
        hold(self, ask, places, stop, progress).await
    }
}

async fn hold(
    of: &Hold<'_>,
    ask: &Ask,
    places: &[Place],
    stop: &CancellationToken,
    progress: &(dyn Fn(Stage) + Sync),
) -> Proof {
    let Hold { door, websocket, prefer_sctp, gauge, counts } = *of;
    let audio = Pace::new(ask.limits.speaking, PACKET_INTERVAL, 1);
    let video = ask.video.then(|| Pace::new(ask.limits.speaking, video::PICTURE_INTERVAL, video::PARTS));
    let board = Board::new(places, counts, audio, video);
    let report = Report { board: &board, progress, seats: places.len(), gauge, counts };
    let abandon = stop.child_token();
    let sockets = Sockets::default();
    let session = Session { door, websocket, ask, report: &report, prefer_sctp, abandon: &abandon, sockets };
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
    let mut proof = gather(&board, places, counts);
    proof.sender = board.look().window.map(|_| gauge.sender());
    let first = outcomes.into_iter().filter_map(|(at, f)| Some((at, f?))).min_by_key(|(at, _)| *at);
    let stage = proof.stages.iter().map(|p| p.stage).filter(|s| *s != Stage::Leave).max().unwrap_or(Stage::Connect);
    proof.finding = match first {
        Some((_, finding)) => Some(placed(one_sided(finding, &board), &board)),
        None if late => Some(Finding::new(Code::TimedOut).during(stage).detail(format!("after {}", stage.name()))),
        None if stop.is_cancelled() => Some(Finding::new(Code::Interrupted).during(stage)),
        None => match verdict::of_flows(&proof.flows, &ask.thresholds, &lasting(&board)) {
            Ok(warnings) => {
                proof.warnings.extend(warnings);
                None
            }
            Err(finding) => Some(verdict::of_sender(finding, proof.sender)),
        },
    };
    proof
}

/// Until when the bridge sent anything to each participant, since the first packet was sent.
fn lasting(board: &Board) -> BTreeMap<String, Duration> {
    let shared = board.look();
    let since = |at: Instant| shared.tally.began().map_or(Duration::ZERO, |began| at.saturating_duration_since(began));
    (0..).zip(&shared.seats).filter_map(|(index, seat)| Some((label(index), since(seat.reached?)))).collect()
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

/// A finding belongs to where its participant was when it came up: what it had passed before stays shown.
fn placed(finding: Finding, board: &Board) -> Finding {
    let shared = board.look();
    let of = |passed: &&Passed| finding.participant.as_ref().is_none_or(|who| *who == passed.participant);
    let last = shared.stages.iter().filter(of).map(|passed| passed.stage).filter(|stage| *stage < Stage::Media).max();
    let stage = last.filter(|last| *last > finding.stage).and_then(Stage::next).unwrap_or(finding.stage);
    let until =
        shared.tally.heard_until().map(|until| format!("it had worked until second {:.1}", until.as_secs_f64()));
    let detail: Vec<String> = finding.detail.clone().into_iter().chain(until).collect();
    finding.during(stage).detail(detail.join("; "))
}

fn gather(board: &Board, places: &[Place], counts: Counts) -> Proof {
    let shared = board.look();
    let unique = |mut list: Vec<String>| {
        list.sort_unstable();
        list.dedup();
        list
    };
    let mut warnings = shared.warnings.clone();
    warnings.extend(channel::verdict(&shared.channel_faults));
    warnings.sort_by(|a, b| (a.code, &a.detail, &a.participant).cmp(&(b.code, &b.detail, &b.participant)));
    warnings.dedup_by(|a, b| a.code == b.code && a.detail == b.detail);
    let spoken = shared.window.is_some() && counts == Counts::Streams;
    let pairs = || places.iter().flat_map(|place| place.speakers.iter().map(|from| (*from, place.index)));
    let mut flows = Vec::new();
    if spoken {
        flows.extend(pairs().map(|(from, to)| shared.tally.flow(Medium::Audio, from, to, label)));
        let filmed = pairs().filter(|(from, _)| places[*from].video.is_some());
        flows.extend(filmed.map(|(from, to)| shared.video.flow(Medium::Video, from, to, label)));
    }
    Proof {
        room: places.first().map(|place| place.seat.room.clone()).unwrap_or_default(),
        stages: shared.stages.clone(),
        left_out: unique(shared.left_out.clone()),
        reached: shared.reached.clone(),
        secured: shared.secured.clone(),
        channels: shared.channels.clone(),
        flows,
        warnings,
        ..Proof::default()
    }
}

/// Adds what the figures mean, and takes secrets out of the evidence.
pub(super) fn judge(proof: &mut Proof, ask: &Ask) {
    if proof.finding.is_none() {
        proof.finding = verdict::of_channel(&mut proof.warnings);
    }
    proof.warnings.extend(verdict::of_round_trips(proof, ask.thresholds.round_trip_warning));
    for finding in proof.finding.iter_mut().chain(&mut proof.warnings) {
        for text in finding.evidence.iter_mut().chain(&mut finding.detail) {
            *text = redact(text, ask.token.as_ref());
        }
    }
}
