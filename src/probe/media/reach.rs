//! L1: an authenticated STUN request to every advertised address, each from a socket of its own.

use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::domain::meeting::{Answer, Reached};
use crate::probe::stun::{Check, Outcome, Reply, Transaction, read_reply};
use crate::world::{Datagrams, Net, NetError};

/// When a request is sent, and sent again, in milliseconds.
const SENDS_COUNT: usize = 5;
const SENDS: [u64; SENDS_COUNT] = [0, 100, 300, 700, 1500];
/// Stray datagrams that are read before an address counts as silent.
const MOST_STRAYS: u32 = 1_000;
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
}

/// Asks one address.
pub(super) async fn ask(net: &dyn Net, question: &Question<'_>, nonce: [u8; 20]) -> Reached {
    let answer = match net.udp(question.address.ip()).await {
        Ok(socket) => exchange(&*socket, question, nonce).await,
        Err(error) => Err(local(&error)),
    };
    let nothing = |outcome| (outcome, None, None);
    let (outcome, round_trip, mapped) = match answer {
        Err(outcome) => nothing(outcome),
        Ok((reply, round_trip)) => (meaning(&reply), Some(round_trip), reply.mapped),
    };
    Reached { participant: question.participant.to_owned(), address: question.address, outcome, round_trip, mapped }
}

/// Random bytes for one question: its transaction and the tie-breaker.
pub(super) fn nonce(rng: &mut (impl Rng + ?Sized)) -> [u8; 20] {
    rng.random()
}

async fn exchange(
    socket: &dyn Datagrams,
    question: &Question<'_>,
    nonce: [u8; 20],
) -> Result<(Reply, Duration), Answer> {
    let username = format!("{}:{}", question.their_ufrag, question.our_ufrag);
    let requests: Vec<Vec<u8>> =
        (0..SENDS.len()).map(|turn| check(question, &username, nonce, turn).encode()).collect();
    let began = Instant::now();
    let end = began + question.limit;
    let mut otherwise = Answer::Silent;
    let sending = async {
        for (after, request) in SENDS.iter().zip(&requests) {
            sleep_until(began + Duration::from_millis(*after)).await;
            // A later attempt or the silence will tell.
            let _ = socket.send(question.address, request).await;
        }
        std::future::pending().await
    };
    let listening = listen(socket, question, nonce, &mut otherwise);
    let both = async {
        tokio::select! {
            biased;
            reply = listening => reply,
            never = sending => never,
        }
    };
    match timeout_at(end, both).await {
        Ok(Some((turn, reply))) => {
            let sent = began + Duration::from_millis(SENDS[turn]);
            Ok((reply, Instant::now().saturating_duration_since(sent)))
        }
        Ok(None) | Err(_) => Err(otherwise),
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

/// Waits for the answer to one of the attempts; `None`, and what to say then, when there is none.
async fn listen(
    socket: &dyn Datagrams,
    question: &Question<'_>,
    nonce: [u8; 20],
    otherwise: &mut Answer,
) -> Option<(usize, Reply)> {
    let mut buffer = [0; 1500];
    for _ in 0..MOST_STRAYS {
        match socket.receive(&mut buffer).await {
            Ok((length, from)) if from == question.address => {
                let reply = read_reply(&buffer[..length], question.password);
                let ours = reply.filter(|reply| reply.transaction[..11] == nonce[..11]);
                let turn = ours.as_ref().map(|reply| usize::from(reply.transaction[11]));
                if let (Some(reply), Some(turn @ ..SENDS_COUNT)) = (ours, turn) {
                    return Some((turn, reply));
                }
            }
            Ok(_) => {}
            Err(NetError::Refused) => *otherwise = Answer::Unreachable,
            Err(_) => return None,
        }
    }
    *otherwise = Answer::Floods;
    None
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
