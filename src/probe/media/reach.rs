//! L1: an authenticated STUN request to every advertised address, from the socket that the media will use.

use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::meeting::{Answer, Reached};
use crate::probe::stun::{Check, Outcome, Reply, Transaction, read_reply};
use crate::world::{Datagrams, NetError};

/// When a request is sent, and sent again, in milliseconds.
const SENDS_COUNT: usize = 5;
const SENDS: [u64; SENDS_COUNT] = [0, 100, 300, 700, 1500];
/// Stray datagrams that are read before what sends them counts as a flood.
const MOST_STRAYS: u32 = 1_000;
/// Longer than any limit.
const NEVER: Duration = Duration::from_hours(1);
/// As for a peer-reflexive candidate (RFC 8445, 7.1.1).
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;

/// What is asked of an address.
pub(super) struct Question<'a> {
    pub participant: &'a str,
    pub address: SocketAddr,
    pub their_ufrag: &'a str,
    pub our_ufrag: &'a str,
    pub password: &'a str,
    pub limit: Duration,
    pub nonce: [u8; 20],
}

/// A question on its way.
struct Asking<'a> {
    question: &'a Question<'a>,
    requests: Vec<Vec<u8>>,
    /// How often it was sent.
    turn: usize,
    found: Option<(Reply, Duration)>,
    /// What it means if no answer comes.
    otherwise: Answer,
}

/// Asks all addresses over one socket, which stays the participant's own: a bridge knows a participant by it.
pub(super) async fn ask(socket: &dyn Datagrams, questions: &[Question<'_>]) -> Vec<Reached> {
    let began = Instant::now();
    let mut asking: Vec<Asking<'_>> = questions.iter().map(Asking::new).collect();
    let limit = questions.iter().map(|question| question.limit).max().unwrap_or_default();
    // What is not answered within the limit is silent.
    let _ = timeout_at(began + limit, exchange(socket, &mut asking, began)).await;
    asking.into_iter().map(Asking::reached).collect()
}

/// What it means that this machine has no socket toward an address.
pub(super) fn unasked(question: &Question<'_>, error: &NetError) -> Reached {
    Reached {
        participant: question.participant.to_owned(),
        address: question.address,
        outcome: local(error),
        round_trip: None,
        mapped: None,
    }
}

/// Random bytes for one question: its transaction and the tie-breaker.
pub(super) fn nonce(rng: &mut (impl Rng + ?Sized)) -> [u8; 20] {
    rng.random()
}

/// Sends each question as often as it takes, until all are answered.
async fn exchange(socket: &dyn Datagrams, asking: &mut [Asking<'_>], began: Instant) {
    let mut buffer = [0; 1500];
    let (mut strays, mut errors) = (0, 0);
    while asking.iter().any(|one| one.found.is_none()) {
        let due = asking.iter().filter_map(|one| Some(began + one.due()?)).min();
        let due = due.unwrap_or_else(|| began + NEVER);
        tokio::select! {
            biased;
            () = sleep_until(due) => {
                for one in asking.iter_mut().filter(|one| one.due().is_some_and(|after| began + after <= due)) {
                    one.send(socket).await;
                }
            }
            received = socket.receive(&mut buffer) => match received {
                Ok((length, from)) => {
                    let taken = asking.iter_mut().any(|one| one.take_in(from, &buffer[..length], began));
                    strays += u32::from(!taken);
                }
                Err(error) => {
                    refused(socket, asking, &error);
                    errors += 1;
                }
            },
        }
        if strays >= MOST_STRAYS {
            for one in asking.iter_mut() {
                one.otherwise = Answer::Floods;
            }
        }
        if strays.max(errors) >= MOST_STRAYS {
            return;
        }
    }
}

/// An address says that nothing listens there. Which one it was is not known on every kind of socket.
fn refused(socket: &dyn Datagrams, asking: &mut [Asking<'_>], error: &NetError) {
    let from = socket.refused_by();
    let mut open: Vec<_> = asking.iter_mut().filter(|one| one.found.is_none()).collect();
    let alone = open.len() == 1;
    for one in open.iter_mut().filter(|one| from.map_or(alone, |from| from == one.question.address)) {
        one.otherwise = local(error);
    }
}

impl<'a> Asking<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        let username = format!("{}:{}", question.their_ufrag, question.our_ufrag);
        let requests = (0..SENDS_COUNT).map(|turn| check(question, &username, question.nonce, turn).encode()).collect();
        Self { question, requests, turn: 0, found: None, otherwise: Answer::Silent }
    }

    /// When it is to be sent next, since the beginning.
    fn due(&self) -> Option<Duration> {
        let after = SENDS.get(self.turn).filter(|_| self.found.is_none())?;
        Some(Duration::from_millis(*after))
    }

    /// Sends it once more. A machine that refuses to send has no way there: nothing is said about the bridge.
    async fn send(&mut self, socket: &dyn Datagrams) {
        match socket.send(self.question.address, &self.requests[self.turn]).await {
            Err(error @ NetError::Refused) => self.otherwise = local(&error),
            Err(error) if self.otherwise == Answer::Silent => self.otherwise = local(&error),
            Ok(()) if matches!(self.otherwise, Answer::NoRoute { .. }) => self.otherwise = Answer::Silent,
            Ok(()) | Err(_) => {}
        }
        self.turn += 1;
    }

    /// Whether this datagram is the answer.
    fn take_in(&mut self, from: SocketAddr, datagram: &[u8], began: Instant) -> bool {
        if from != self.question.address {
            return false;
        }
        let reply = read_reply(datagram, self.question.password);
        let ours = reply.filter(|reply| reply.transaction[..11] == self.question.nonce[..11]);
        let turn = ours.as_ref().and_then(|reply| SENDS.get(usize::from(reply.transaction[11])));
        let (Some(reply), Some(after)) = (ours, turn) else { return false };
        let sent = began + Duration::from_millis(*after);
        self.found.get_or_insert((reply, Instant::now().saturating_duration_since(sent)));
        true
    }

    fn reached(self) -> Reached {
        let (outcome, round_trip, mapped) = match self.found {
            Some((reply, round_trip)) => (meaning(&reply), Some(round_trip), reply.mapped),
            None => (self.otherwise, None, None),
        };
        let (participant, address) = (self.question.participant.to_owned(), self.question.address);
        Reached { participant, address, outcome, round_trip, mapped }
    }
}

/// One attempt; the last byte of its transaction says which.
fn check<'a>(question: &Question<'a>, username: &'a str, nonce: [u8; 20], turn: usize) -> Check<'a> {
    let (transaction, tie_breaker) = nonce.split_at(12);
    let mut transaction: Transaction = transaction.try_into().unwrap_or_default();
    transaction[11] = u8::try_from(turn).unwrap_or(u8::MAX);
    Check {
        transaction,
        username,
        priority: PRIORITY,
        tie_breaker: u64::from_be_bytes(tie_breaker.try_into().unwrap_or_default()),
        password: question.password,
    }
}

fn meaning(reply: &Reply) -> Answer {
    match reply.outcome {
        Outcome::Success if reply.authentic => Answer::Answered,
        Outcome::Success => Answer::Unauthentic,
        Outcome::Error(401) => Answer::WrongPassword,
        Outcome::Error(487) => Answer::RoleConflict,
        Outcome::Error(code) => Answer::Refused { code },
    }
}

fn local(error: &NetError) -> Answer {
    match error {
        NetError::Refused => Answer::Unreachable,
        NetError::NoRoute(why) | NetError::Other(why) => Answer::NoRoute { why: why.clone() },
        NetError::Reset | NetError::TimedOut => Answer::NoRoute { why: error.to_string() },
    }
}
