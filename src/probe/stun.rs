//! STUN (RFC 8489) as far as a connectivity check needs it (RFC 8445).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554E;

const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const FAILURE: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const ERROR: u16 = 0x0009;
const XOR_MAPPED: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const FINGERPRINT: u16 = 0x8028;
const CONTROLLED: u16 = 0x8029;

/// The twelve bytes by which an answer is known.
pub type Transaction = [u8; 12];

/// A connectivity check of the controlled side.
#[derive(Clone, Debug)]
pub struct Check<'a> {
    pub transaction: Transaction,
    /// `theirs:ours`
    pub username: &'a str,
    pub priority: u32,
    pub tie_breaker: u64,
    /// The password of the side that is asked.
    pub password: &'a str,
}

impl Check<'_> {
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Writer::new(REQUEST, self.transaction);
        message.attribute(USERNAME, self.username.as_bytes());
        message.attribute(PRIORITY, &self.priority.to_be_bytes());
        message.attribute(CONTROLLED, &self.tie_breaker.to_be_bytes());
        message.integrity(self.password.as_bytes());
        message.fingerprint();
        message.bytes
    }
}

/// An answer to a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub transaction: Transaction,
    pub outcome: Outcome,
    /// How the other side sees us.
    pub mapped: Option<SocketAddr>,
    /// Whether it was signed with the password.
    pub authentic: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Error(u16),
}

/// Reads an answer; `None` when the datagram is none, or is damaged.
pub fn read_reply(datagram: &[u8], password: &str) -> Option<Reply> {
    let message = Message::read(datagram)?;
    let outcome = match message.kind {
        SUCCESS => Outcome::Success,
        FAILURE => Outcome::Error(error_code(message.find(ERROR)?)?),
        _ => return None,
    };
    Some(Reply {
        transaction: message.transaction,
        outcome,
        mapped: message.find(XOR_MAPPED).and_then(|value| unmask(value, message.transaction)),
        authentic: message.is_signed_with(password.as_bytes()),
    })
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn new(kind: u16, transaction: Transaction) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend(transaction);
        Self { bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend(&value[..usize::from(length)]);
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
        self.length(self.bytes.len() - HEADER);
    }

    /// Signs all that is there, as if the signature itself were already part of the length.
    fn integrity(&mut self, key: &[u8]) {
        self.length(self.bytes.len() - HEADER + 24);
        let signature = sign(key, &[&self.bytes]).finalize().into_bytes();
        self.attribute(INTEGRITY, &signature);
    }

    fn fingerprint(&mut self) {
        self.length(self.bytes.len() - HEADER + 8);
        let sum = crc32(&self.bytes) ^ FINGERPRINT_XOR;
        self.attribute(FINGERPRINT, &sum.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

struct Message<'a> {
    bytes: &'a [u8],
    kind: u16,
    transaction: Transaction,
    /// Kind, offset of the header, value.
    attributes: Vec<(u16, usize, &'a [u8])>,
}

impl<'a> Message<'a> {
    /// A whole message with a length that fits, attributes that fit, and a fingerprint that fits if there is one.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER>()?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let transaction = header.last_chunk::<12>().copied()?;
        let fits = kind < 0x4000 && header[4..8] == COOKIE.to_be_bytes();
        if !fits || !length.is_multiple_of(4) || bytes.len() != HEADER + length {
            return None;
        }
        let message = Self { bytes, kind, transaction, attributes: attributes(bytes)? };
        message.fingerprint_fits().then_some(message)
    }

    /// What comes after the signature does not count, but for the fingerprint.
    fn find(&self, kind: u16) -> Option<&'a [u8]> {
        let signed = self.attributes.iter().position(|(k, ..)| *k == INTEGRITY).unwrap_or(self.attributes.len());
        self.attributes[..signed].iter().find(|(k, ..)| *k == kind).map(|(.., value)| *value)
    }

    fn is_signed_with(&self, key: &[u8]) -> bool {
        let Some((_, at, value)) = self.attributes.iter().find(|(k, ..)| *k == INTEGRITY) else { return false };
        let length = u16::try_from(at + 24 - HEADER).unwrap_or(u16::MAX).to_be_bytes();
        sign(key, &[&self.bytes[..2], &length, &self.bytes[4..*at]]).verify_slice(value).is_ok()
    }

    fn fingerprint_fits(&self) -> bool {
        let Some((_, at, value)) = self.attributes.iter().find(|(k, ..)| *k == FINGERPRINT) else { return true };
        let sum = crc32(&self.bytes[..*at]) ^ FINGERPRINT_XOR;
        at + 8 == self.bytes.len() && **value == sum.to_be_bytes()
    }
}

fn attributes(bytes: &[u8]) -> Option<Vec<(u16, usize, &[u8])>> {
    let mut found = Vec::new();
    let mut at = HEADER;
    while at < bytes.len() {
        let header = bytes.get(at..at + 4)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let value = bytes.get(at + 4..at + 4 + length)?;
        found.push((u16::from_be_bytes([header[0], header[1]]), at, value));
        at += 4 + length.next_multiple_of(4);
    }
    Some(found)
}

fn error_code(value: &[u8]) -> Option<u16> {
    let [_, _, class, number, ..] = value else { return None };
    let code = u16::from(class & 7) * 100 + u16::from(*number);
    (300..700).contains(&code).then_some(code)
}

fn unmask(value: &[u8], transaction: Transaction) -> Option<SocketAddr> {
    let [_, family, p1, p2, address @ ..] = value else { return None };
    let cookie = COOKIE.to_be_bytes();
    let port = u16::from_be_bytes([p1 ^ cookie[0], p2 ^ cookie[1]]);
    let mask: Vec<u8> = cookie.iter().chain(&transaction).copied().collect();
    let plain: Vec<u8> = address.iter().zip(&mask).map(|(a, m)| a ^ m).collect();
    let ip: IpAddr = match (family, address.len()) {
        (1, 4) => Ipv4Addr::from(plain.first_chunk::<4>().copied()?).into(),
        (2, 16) => Ipv6Addr::from(plain.first_chunk::<16>().copied()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn sign(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha1> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length will do");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| {
        (0..8).fold(sum ^ u32::from(*byte), |s, _| if s & 1 == 1 { (s >> 1) ^ 0xEDB8_8320 } else { s >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests;
