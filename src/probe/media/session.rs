//! One participant's run, from the door to the farewell.

use std::net::IpAddr;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::plan::{Place, credentials};
use super::reach::{self, Question};
use super::report::Report;
use super::seat::{Halt, Seat};
use super::talk::Talk;
use super::{peer, verdict};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Answer, Reached, Stage};
use crate::probe::meeting::{Offer, candidates};
use crate::probe::wire::Door;

/// What all participants of a run share.
pub(super) struct Session<'a> {
    pub door: Door<'a>,
    pub ask: &'a Ask,
    pub report: &'a Report<'a>,
    /// Everybody leaves when this is cancelled.
    pub abandon: &'a CancellationToken,
}

impl Session<'_> {
    /// Takes part, and leaves in any case. `None`: all went well, or somebody else failed first.
    pub(super) async fn attend(&self, place: &Place) -> Option<Finding> {
        let taking = Seat::take(&self.door, self.ask, self.report.board, self.report, place);
        let mut seat = tokio::select! {
            biased;
            () = self.abandon.cancelled() => return None,
            taken = taking => match taken {
                Ok(seat) => seat,
                Err(finding) => return Some(self.give_up(finding, place)),
            },
        };
        let finding = tokio::select! {
            biased;
            met = Box::pin(self.meet(&mut seat, place)) => met.err().map(|finding| self.give_up(finding, place)),
            () = self.abandon.cancelled() => None,
        };
        seat.leave().await;
        self.report.passed(place, Stage::Leave);
        finding
    }

    fn give_up(&self, finding: Finding, place: &Place) -> Finding {
        self.abandon.cancel();
        finding.of(place.label())
    }

    async fn meet(&self, seat: &mut Seat<'_>, place: &Place) -> Result<(), Finding> {
        let mut chance = place.chance();
        let mut next = seat.enter().await;
        loop {
            match next {
                Ok(offer) | Err(Halt::Replaced(offer)) => {
                    match Box::pin(self.talk(seat, place, &offer, &mut chance)).await {
                        Ok(()) => return Ok(()),
                        Err(halt) => next = Err(halt),
                    }
                }
                Err(Halt::Withdrawn) => next = seat.offered().await,
                Err(Halt::Failed(finding)) => return Err(*finding),
            }
            self.report.board.disconnected(place.index);
        }
    }

    /// Reaches the bridge, answers the offer, and talks.
    async fn talk(&self, seat: &mut Seat<'_>, place: &Place, offer: &Offer, chance: &mut StdRng) -> Result<(), Halt> {
        let ours = credentials(chance);
        let reached = self.reach(seat, place, offer, &ours.ufrag, chance).await?;
        let first = reached.iter().find(|r| r.outcome == Answer::Answered).map(|r| r.address);
        let first = first.ok_or_else(|| Finding::new(Code::UdpBlocked))?;
        let socket = self
            .door
            .wire
            .net
            .udp(first.ip())
            .await
            .map_err(|error| Finding::new(Code::NoRoute).during(Stage::Secure).detail(error.to_string()))?;
        let same_family = |r: &&Reached| r.address.is_ipv4() == first.is_ipv4();
        let remotes: Vec<_> = reached.iter().filter(same_family).map(|r| r.address).collect();
        let mut peer = peer::Peer::new(&peer::Line {
            offer,
            local: socket.local(),
            credentials: ours,
            role: self.ask.dtls,
            ssrc: place.ssrc,
            others: &place.others,
            remotes: &remotes,
            now: tokio::time::Instant::now().into_std(),
        })?;
        seat.accept(&peer.answering(self.ask.dtls)).await?;
        let talk = Talk { report: self.report, limits: &self.ask.limits, place, socket: &*socket, peer };
        Box::pin(seat.attend(talk.run())).await??;
        self.report.passed(place, Stage::Media);
        Ok(())
    }

    /// L1, to all addresses at once.
    async fn reach(
        &self,
        seat: &mut Seat<'_>,
        place: &Place,
        offer: &Offer,
        our_ufrag: &str,
        chance: &mut StdRng,
    ) -> Result<Vec<Reached>, Halt> {
        let sorted = candidates::sort(&offer.candidates, &self.ask.candidates);
        self.report.board.note(|s| {
            let more = sorted.left_out.iter().map(ToString::to_string).chain(sorted.unusable.iter().cloned());
            s.left_out.extend(more);
        });
        verdict::of_candidates(&sorted, &self.ask.candidates)?;
        let questions: Vec<_> = sorted
            .try_these
            .iter()
            .map(|address| Question {
                participant: place.label(),
                address: *address,
                their_ufrag: &offer.ufrag,
                our_ufrag,
                password: &offer.pwd,
                limit: self.ask.limits.reach,
            })
            .collect();
        let asked = questions.iter().map(|question| reach::ask(self.door.wire.net, question, reach::nonce(chance)));
        let reached = seat.attend(join_all(asked)).await?;
        let door: &[IpAddr] = self.door.addresses;
        let judged = verdict::of_reach(&reached, self.ask, door);
        self.report.board.note(|s| {
            s.reached.retain(|r| r.participant != place.label());
            s.reached.extend(reached.iter().cloned());
            s.warnings.extend(judged.iter().flatten().cloned());
        });
        judged?;
        self.report.passed(place, Stage::Reach);
        Ok(reached)
    }
}
