//! Fuzz targets for every parser of outside bytes.
//!
//! Each parser gets some thousand random changes of a good example, on a stable toolchain and within seconds; what
//! makes one fail is shrunk, printed, and kept beside this file for every later run. `PROPTEST_CASES=1000000` is the
//! long run.

#![expect(clippy::disallowed_methods, reason = "how long a parser takes is measured in real time")]

use std::time::{Duration, Instant};

use meetctl::fuzz::{TARGETS, Target};
use proptest::prelude::*;

/// No input of this size may take longer: what hangs is a failure, too.
const LONGEST: Duration = Duration::from_secs(5);

/// Random bytes rarely get past a parser's first line: most of the time a good example is changed in some places.
fn changed(seed: &[u8], random: &[u8]) -> Vec<u8> {
    let Some((kind, edits)) = random.split_first() else { return seed.to_vec() };
    if kind % 8 == 0 {
        return edits.to_vec();
    }
    let mut bytes = seed.to_vec();
    for edit in edits.chunks_exact(4) {
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        match edit[2] % 6 {
            0 => bytes[at] = edit[3],
            1 => bytes[at] ^= 1 << (edit[3] % 8),
            2 => bytes.insert(at, edit[3]),
            3 => bytes.truncate(at),
            4 => drop(bytes.remove(at)),
            // A piece of itself, again and again: what nests or repeats.
            _ => {
                let piece = bytes[at..(at + usize::from(edit[3])).min(bytes.len())].to_vec();
                let times = 1 + usize::from(edit[2] / 6);
                let again = piece.repeat(times.min(40));
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|t| t.name == name).unwrap_or_else(|| panic!("no target {name}"))
}

fn survive(target: &Target, bytes: &[u8]) {
    let began = Instant::now();
    (target.parse)(bytes);
    assert!(began.elapsed() < LONGEST, "{} took {:?} for {} bytes", target.name, began.elapsed(), bytes.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        const NAMED: &[&str] = &[$(stringify!($name),)*];
        proptest! {
            #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(random in proptest::collection::vec(any::<u8>(), 0..200)) {
                    let target = target(stringify!($name));
                    survive(target, &changed(target.seed, &random));
                }
            )*
        }
    };
}

targets!(
    certificate config_file config_js dns_answer occupancy_line stun_reply terraform_line terraform_plan xmpp_offer
    xmpp_stanza
);

/// The examples themselves are read, too: a change of nonsense is only nonsense.
#[test]
fn every_parser_is_a_target() {
    let mut listed: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
    listed.sort_unstable();
    assert_eq!(listed, NAMED);
    for target in TARGETS {
        survive(target, target.seed);
    }
}
