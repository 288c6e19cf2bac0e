//! One participant's run, from the door to the farewell.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::ask::Ask;
use super::channel::{Channel, WebSocket};
use super::plan::{Place, Voice, credentials};
use super::reach::{self, Question};
use super::report::Report;
use super::seat::{Halt, Seat};
use super::talk::Talk;
use super::video::Film;
use super::websocket::Websocket;
use super::{peer, verdict};
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Answer, Carrier, Reached, Stage};
use crate::probe::meeting::{Offer, candidates, offer};
use crate::probe::wire::Door;
use crate::world::Datagrams;

/// What all participants of a run share.
pub(super) struct Session<'a> {
    /// The page's.
    pub door: Door<'a>,
    /// Where browsers open the WebSocket.
    pub websocket: &'a Websocket,
    pub ask: &'a Ask,
    pub report: &'a Report<'a>,
    /// Which bridge channel the deployment's `config.js` prefers.
    pub prefer_sctp: bool,
    /// Everybody leaves when this is cancelled.
    pub abandon: &'a CancellationToken,
    /// All that were opened, until the run ends: a bridge knows a participant by its address and port, and the system
    /// must not give the port of one to another.
    pub sockets: Sockets,
}

/// The UDP sockets of a run.
#[derive(Default)]
pub(super) struct Sockets(Mutex<Vec<Arc<dyn Datagrams>>>);

impl Sockets {
    fn keep(&self, socket: Box<dyn Datagrams>) -> Arc<dyn Datagrams> {
        let socket: Arc<dyn Datagrams> = socket.into();
        self.0.lock().push(Arc::clone(&socket));
        socket
    }
}

/// How far a participant has come with what it sends; receivers drop packets whose numbers begin anew.
struct Progress {
    voice: Voice,
    film: Film,
}

impl Progress {
    fn of(place: &Place) -> Self {
        Self { voice: Voice::of(place), film: Film::of(place.video.unwrap_or_default()) }
    }
}

/// What became of a candidate, and the socket over which it was asked.
type Tried = (Reached, Option<Arc<dyn Datagrams>>);

impl Session<'_> {
    /// Takes part, and leaves in any case. `None`: all went well, or somebody else failed first.
    pub(super) async fn attend(&self, place: &Place) -> Option<Finding> {
        let Websocket { endpoint, addresses, .. } = self.websocket;
        let door = Door { endpoint: Some(endpoint), addresses, ..self.door };
        let taking = Seat::take(&door, &endpoint.path, self.ask, self.report.board, self.report, place);
        let mut seat = tokio::select! {
            biased;
            () = self.abandon.cancelled() => return None,
            taken = taking => match taken {
                Ok(seat) => seat,
                Err(finding) => return Some(self.give_up(self.websocket.judged(finding), place)),
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
        let (mut chance, mut progress) = (place.chance(), Progress::of(place));
        let mut next = seat.enter().await;
        loop {
            match next {
                Ok(offer) | Err(Halt::Replaced(offer)) => {
                    match Box::pin(self.talk(seat, place, &offer, &mut progress, &mut chance)).await {
                        Ok(()) => return Ok(()),
                        Err(halt) => next = Err(halt),
                    }
                }
                Err(Halt::Withdrawn) => next = seat.offered().await,
                Err(Halt::Failed(finding)) => return Err(*finding),
            }
            self.report.board.disconnected(place.index, &place.room);
        }
    }

    /// Reaches the bridge, answers the offer, and talks.
    async fn talk(
        &self,
        seat: &mut Seat<'_>,
        place: &Place,
        offer: &Offer,
        progress: &mut Progress,
        chance: &mut StdRng,
    ) -> Result<(), Halt> {
        let ours = credentials(chance);
        let tried = self.reach(seat, place, offer, &ours.ufrag, chance).await?;
        let first = tried.iter().find(|(reached, _)| reached.outcome == Answer::Answered);
        let (_, Some(socket)) = first.ok_or_else(|| Finding::new(Code::UdpBlocked))? else {
            return Err(Finding::new(Code::NoRoute).during(Stage::Secure).into());
        };
        let same_family = |(r, _): &&Tried| r.address.is_ipv4() == socket.local().is_ipv4();
        let remotes: Vec<_> = tried.iter().filter(same_family).map(|(reached, _)| reached.address).collect();
        let video = match (place.video, offer.vp8) {
            (None, _) => None,
            (Some(ssrc), Some(vp8)) => Some((vp8, ssrc)),
            (Some(_), None) => return Err(Finding::new(Code::VideoNotOffered).into()),
        };
        let mut peer = peer::Peer::new(&peer::Line {
            offer,
            local: socket.local(),
            credentials: ours,
            ssrc: place.ssrc,
            video,
            others: &place.others,
            cameras: &place.cameras,
            remotes: &remotes,
            now: tokio::time::Instant::now().into_std(),
        })?;
        seat.accept(&peer.answering()).await?;
        let chosen = offer.channels.choose(self.prefer_sctp);
        self.report.board.tell(|s| s.seats[place.index].channel_settled = chosen.is_none());
        if chosen.is_none() {
            self.report.board.note(|s| s.warnings.push(Finding::new(Code::ChannelNotOffered)));
        }
        let (report, limits, socket) = (self.report, &self.ask.limits, &**socket);
        let sctp = chosen == Some(offer::Channel::Sctp);
        let Progress { voice, film } = progress;
        let talk = Talk { report, limits, place, socket, peer, voice, film, sctp, channel: None };
        let both = async {
            tokio::select! {
                biased;
                done = talk.run() => done,
                never = self.beside(place, chosen) => match never {},
            }
        };
        Box::pin(seat.attend(both)).await??;
        self.report.passed(place, Stage::Media);
        Ok(())
    }

    /// The bridge channel, when it is a connection of its own.
    async fn beside(&self, place: &Place, chosen: Option<offer::Channel<'_>>) -> Infallible {
        let Some(offer::Channel::WebSocket(url)) = chosen else { return std::future::pending().await };
        let mut channel = Channel::opening(self.report, place, Carrier::WebSocket, self.ask.limits.channel);
        WebSocket { door: self.door, resolver: &self.ask.resolver, url }.converse(&mut channel).await
    }

    /// L1, to all addresses at once.
    async fn reach(
        &self,
        seat: &mut Seat<'_>,
        place: &Place,
        offer: &Offer,
        our_ufrag: &str,
        chance: &mut StdRng,
    ) -> Result<Vec<Tried>, Halt> {
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
                nonce: reach::nonce(chance),
            })
            .collect();
        let (four, six): (Vec<_>, Vec<_>) = questions.into_iter().partition(|q| q.address.is_ipv4());
        let mut tried: Vec<Tried> =
            seat.attend(join_all([&four, &six].map(|family| self.try_family(family)))).await?.concat();
        // In the order of the offer: the first one that answers carries the media.
        tried.sort_by_key(|(reached, _)| sorted.try_these.iter().position(|address| *address == reached.address));
        let reached: Vec<Reached> = tried.iter().map(|(reached, _)| reached.clone()).collect();
        let door: &[IpAddr] = self.door.addresses;
        let judged = verdict::of_reach(&reached, self.ask, door);
        self.report.board.note(|s| {
            s.reached.retain(|r| r.participant != place.label());
            s.reached.extend(reached.iter().cloned());
            s.warnings.extend(judged.iter().flatten().cloned());
        });
        judged?;
        self.report.passed(place, Stage::Reach);
        Ok(tried)
    }

    /// Asks the addresses of one family, over the one socket that the participant has for it.
    async fn try_family(&self, questions: &[Question<'_>]) -> Vec<Tried> {
        let Some(first) = questions.first() else { return Vec::new() };
        match self.door.wire.net.udp(first.address.ip()).await {
            Ok(socket) => {
                let socket = self.sockets.keep(socket);
                let reached = reach::ask(&*socket, questions).await;
                reached.into_iter().map(|reached| (reached, Some(Arc::clone(&socket)))).collect()
            }
            Err(error) => questions.iter().map(|question| (reach::unasked(question, &error), None)).collect(),
        }
    }
}
