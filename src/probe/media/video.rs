//! Packets of the size and shape of a small camera picture in VP8: one layer, 25 pictures a second, 600 kbit/s.

use std::time::Duration;

use tokio::time::Instant;

use super::tally::{STAMP, Stamp};

/// A picture is this many packets.
pub(super) const PARTS: u32 = 3;
pub(super) const PICTURE_INTERVAL: Duration = Duration::from_millis(40);
/// Of RTP's clock for video, between two pictures.
const TICKS: u32 = 3600;
/// A picture that needs no other, in regular turns and whenever somebody asks for one.
const KEY_EVERY: u32 = 50;
/// Three of them, 25 times a second: 600 kbit/s.
const SIZE: usize = 1000;
/// The payload descriptor (RFC 7741, 4.2): X, then I, L and T, a picture id of 15 bits, TL0PICIDX, TID.
const DESCRIPTOR: usize = 6;
/// Behind the descriptor and the header of a key frame (RFC 7741, 4.3; RFC 6386, 9.1).
const STAMP_AT: usize = DESCRIPTOR + 10;
const WIDTH: u16 = 640;
const HEIGHT: u16 = 360;

/// One packet on its way out.
pub(super) struct Part {
    pub payload: [u8; SIZE],
    /// The last one of its picture.
    pub last: bool,
    pub picture: u32,
}

/// How far a participant's camera has come. Like the voice it outlives an invitation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Film {
    /// How many packets it has sent.
    pub sent: u32,
    pub sequence: u64,
    /// The time of the first picture, had there been no pause.
    origin: u32,
    last: Option<Instant>,
}

impl Film {
    pub(super) fn of(ssrc: u32) -> Self {
        Self { sent: 0, sequence: u64::from(ssrc % 30_000), origin: ssrc, last: None }
    }

    /// On RTP's clock.
    pub(super) fn time_of(&self, picture: u32) -> u32 {
        self.origin.wrapping_add(picture.wrapping_mul(TICKS))
    }

    /// The next packet has been sent.
    pub(super) fn goes_on(&mut self, now: Instant) {
        self.sent += 1;
        self.sequence += 1;
        self.last = Some(now);
    }

    /// A new connection begins: the clock has gone on meanwhile, and SRTP counts sequence numbers from their 16 bits.
    pub(super) fn connected_anew(&mut self, now: Instant) {
        self.sequence &= 0xFFFF;
        if let Some(last) = self.last.take() {
            let missed = now.saturating_duration_since(last).as_millis() / PICTURE_INTERVAL.as_millis();
            let missed = u32::try_from(missed).unwrap_or(u32::MAX);
            self.origin = self.origin.wrapping_add(missed.wrapping_mul(TICKS));
        }
    }
}

/// Which picture a packet belongs to.
pub(super) const fn picture(number: u32) -> u32 {
    number / PARTS
}

pub(super) fn is_first(number: u32) -> bool {
    number.is_multiple_of(PARTS)
}

/// A key frame in its regular turn.
pub(super) fn is_key(picture: u32) -> bool {
    picture.is_multiple_of(KEY_EVERY)
}

/// The packet with this stamp; its number says where in its picture it is.
pub(super) fn part(stamp: Stamp, key: bool) -> Part {
    let picture = picture(stamp.number);
    let first = is_first(stamp.number);
    let mut payload = [0; SIZE];
    let [high, low] = u16::try_from(picture % 0x8000).unwrap_or_default().to_be_bytes();
    let start = if first { 0x90 } else { 0x80 };
    let layer = u8::try_from(picture % 256).unwrap_or_default();
    payload[..DESCRIPTOR].copy_from_slice(&[start, 0xE0, 0x80 | high, low, layer, 0]);
    if first {
        frame_header(&mut payload[DESCRIPTOR..STAMP_AT], key);
    }
    payload[STAMP_AT..STAMP_AT + STAMP].copy_from_slice(&stamp.payload());
    Part { payload, last: stamp.number % PARTS == PARTS - 1, picture }
}

/// What a decoder, or a bridge that looks for the size of a picture, reads first.
fn frame_header(header: &mut [u8], key: bool) {
    // P (0 in a key frame), version 0, show_frame, and the size of the first partition.
    header[0] = if key { 0x10 } else { 0x11 };
    if key {
        header[3..6].copy_from_slice(&[0x9D, 0x01, 0x2A]);
        header[6..8].copy_from_slice(&WIDTH.to_le_bytes());
        header[8..10].copy_from_slice(&HEIGHT.to_le_bytes());
    }
}

/// The stamp of a packet; a bridge rewrites numbers in the descriptor, and nothing behind it.
pub(super) fn stamp(payload: &[u8]) -> Option<Stamp> {
    Stamp::read(payload.get(STAMP_AT..STAMP_AT + STAMP)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn numbers_go_on_after_a_pause() {
        let mut film = Film::of(40_000);
        let before = (film.sequence, film.time_of(1));
        (0..PARTS).for_each(|_| film.goes_on(Instant::now()));
        film.connected_anew(Instant::now() + Duration::from_secs(2));
        assert_eq!((film.sent, film.sequence), (PARTS, before.0 + u64::from(PARTS)));
        assert_eq!(film.time_of(1), before.1 + 2 * 90_000);
    }

    #[test]
    fn packets_are_of_a_picture_and_can_be_known_again() {
        for number in 0..400 {
            let wanted = Stamp { run: 7, seat: 3, number };
            let key = is_key(picture(number));
            let part = part(wanted, key);
            assert_eq!(stamp(&part.payload), Some(wanted));
            assert_eq!(part.picture, number / 3);
            assert_eq!(part.last, number % 3 == 2);
            assert_eq!(part.payload[0], if number % 3 == 0 { 0x90 } else { 0x80 });
            // A key frame shows its size in its first packet.
            let shows_size = part.payload[9..16] == [0x9D, 0x01, 0x2A, 0x80, 0x02, 0x68, 0x01];
            assert_eq!(shows_size, number % 150 == 0);
        }
        let per_second = u64::try_from(SIZE).expect("small") * 8 * u64::from(PARTS) * 25;
        assert_eq!(per_second, 600_000);
    }
}
