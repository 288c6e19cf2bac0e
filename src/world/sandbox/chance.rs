//! Chance that is the same every time: each use has a generator of its own, so that a new one shifts no other.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha1::{Digest, Sha1};

/// The generator for one named use, such as `ecs.task.3`.
pub(super) fn rng(seed: u64, name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..20].copy_from_slice(&digest(seed, name));
    ChaCha8Rng::from_seed(key)
}

fn digest(seed: u64, name: &str) -> [u8; 20] {
    Sha1::new().chain_update(seed.to_be_bytes()).chain_update(name).finalize().into()
}

/// Milliseconds, drawn from a range that is given in them.
pub(super) fn between(rng: &mut ChaCha8Rng, range: RangeInclusive<u64>) -> u64 {
    rng.random_range(range)
}

/// A name of `digits` hexadecimal digits, up to 40.
pub(super) fn hex(seed: u64, name: &str, digits: usize) -> String {
    let halves = digest(seed, name).into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    halves.take(digits).map(|half| char::from(b"0123456789abcdef"[usize::from(half)])).collect()
}

/// A moment some milliseconds later. Saturates, so that no state that was read from a file can overflow it.
pub(super) fn after(moment: Timestamp, millis: u64) -> Timestamp {
    let millis = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    moment.saturating_add(millis).unwrap_or(Timestamp::MAX)
}

/// The milliseconds from `earlier` to `later`; zero when it is the other way round.
pub(super) fn since(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(crate::domain::observed::between(earlier, later).as_millis()).unwrap_or(u64::MAX)
}
