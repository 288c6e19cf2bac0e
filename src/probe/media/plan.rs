//! Who sits where: everything about a run that is decided by chance, before it begins.

use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use str0m::IceCreds;
use tokio::time::Instant;

use super::ask::{Ask, Speakers};
use crate::probe::meeting::{Names, Seat};

/// Between two packets.
pub(super) const PACKET_INTERVAL: Duration = Duration::from_millis(20);
/// Samples of 20 ms at 48 kHz.
const SAMPLES: u32 = 960;

/// One participant's place.
pub(super) struct Place {
    pub index: usize,
    /// The participants of its room, itself included.
    pub room: Range<usize>,
    /// The one who asks for the conference.
    pub first: bool,
    pub seat: Seat,
    pub ssrc: u32,
    /// The SSRC of its video.
    pub video: Option<u32>,
    /// The SSRCs of the others in the room.
    pub others: Vec<u32>,
    /// And of their video.
    pub cameras: Vec<u32>,
    pub speaks: bool,
    /// From 0 to 1: where between two packets of the first participant it sends its own.
    pub phase: f64,
    /// Those in the room who speak to this one.
    pub speakers: Vec<usize>,
    /// Marks the packets of this run.
    pub run: u64,
    /// Of this participant's own chance.
    seed: u64,
}

impl Place {
    pub(super) fn label(&self) -> &str {
        &self.seat.label
    }

    pub(super) fn chance(&self) -> StdRng {
        StdRng::seed_from_u64(self.seed)
    }
}

/// How far a participant's voice has come. It outlives an invitation: receivers drop packets whose numbers begin anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    /// How many packets it has sent.
    pub spoken: u32,
    pub sequence: u64,
    pub timestamp: u32,
    last: Option<Instant>,
}

impl Voice {
    pub(super) fn of(place: &Place) -> Self {
        Self { spoken: 0, sequence: u64::from(place.ssrc % 30_000), timestamp: place.ssrc, last: None }
    }

    /// The next packet has been sent.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.spoken += 1;
        self.sequence += 1;
        self.timestamp = self.timestamp.wrapping_add(SAMPLES);
        self.last = Some(now);
    }

    /// A new connection begins: the clock of the samples has gone on meanwhile, and SRTP counts sequence numbers from
    /// their 16 bits.
    pub(super) fn connected_anew(&mut self, now: Instant) {
        self.sequence &= 0xFFFF;
        if let Some(last) = self.last.take() {
            let missed = now.saturating_duration_since(last).as_millis() / PACKET_INTERVAL.as_millis();
            let missed = u32::try_from(missed).unwrap_or(u32::MAX);
            self.timestamp = self.timestamp.wrapping_add(missed.wrapping_mul(SAMPLES));
        }
    }
}

/// The places of a run.
pub(super) fn places(ask: &Ask, names: &Names, rng: &mut (impl Rng + ?Sized)) -> Vec<Place> {
    let (seats, run, machine_uid) = (ask.seats(), rng.random(), hex(rng, 32));
    let size = usize::from(ask.room_size.max(2));
    // Chosen so that no two participants share one.
    let ssrcs: Vec<u32> = (0..seats).map(|index| ssrc(rng, index)).collect();
    let camera = |index: usize| ask.video.then(|| ssrcs[index] ^ CAMERA);
    let mut places = Vec::with_capacity(seats);
    for start in (0..seats).step_by(size) {
        let range = start..(start + size).min(seats);
        let name = format!("{}{}", ask.room_prefix.to_ascii_lowercase(), hex(rng, 16));
        for index in range.clone() {
            let first = index == start;
            let speaks = first || ask.speakers == Speakers::Everybody;
            let others = range.clone().filter(|other| *other != index);
            places.push(Place {
                index,
                room: range.clone(),
                first,
                seat: Seat {
                    names: names.clone(),
                    room: name.clone(),
                    label: label(index),
                    machine_uid: machine_uid.clone(),
                    token: ask.token.clone(),
                    video: camera(index),
                    fallback_nick: hex(rng, 8),
                },
                ssrc: ssrcs[index],
                video: camera(index),
                others: others.clone().map(|other| ssrcs[other]).collect(),
                cameras: others.clone().filter_map(camera).collect(),
                speaks,
                phase: phase(index, seats),
                speakers: others.filter(|o| *o == start || ask.speakers == Speakers::Everybody).collect(),
                run,
                seed: rng.random(),
            });
        }
    }
    places
}

/// What tells the SSRC of somebody's camera from that of the microphone.
const CAMERA: u32 = 1 << 11;

/// Random, not 0, and different for each index.
fn ssrc(rng: &mut (impl Rng + ?Sized), index: usize) -> u32 {
    let index = u32::try_from(index % 2048).unwrap_or_default();
    (rng.random_range(1..=0x000f_ffff_u32) << 12) | index
}

fn phase(index: usize, seats: usize) -> f64 {
    let part = |n: usize| f64::from(u16::try_from(n).unwrap_or(u16::MAX));
    part(index) / part(seats.max(1))
}

/// `a` … `z`, `a1` …
pub(super) fn label(index: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

pub(super) fn credentials(rng: &mut (impl Rng + ?Sized)) -> IceCreds {
    IceCreds { ufrag: hex(rng, 8), pass: hex(rng, 32) }
}

fn hex(rng: &mut (impl Rng + ?Sized), digits: usize) -> String {
    (0..digits).map(|_| char::from(b"0123456789abcdef"[rng.random_range(0..16)])).collect()
}
