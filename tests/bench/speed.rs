//! How fast it is: `cargo bench`. Prints what was measured in this run, with ratios; never fails because of time.
//!
//! A name picks a part: `cargo bench -- startup`, `status` or `ready`.

#![expect(clippy::print_stdout, reason = "what is measured is printed")]
#![expect(clippy::disallowed_methods, reason = "benchmarks start processes and live in real time")]

mod ready;
mod startup;
mod status;

// The rig of the tests with real components, of which this needs a part.
#[expect(dead_code, reason = "the rest is for the tests")]
#[path = "../real/aws_proxy.rs"]
mod aws_proxy;
#[path = "../real/http.rs"]
mod http;
#[expect(dead_code, reason = "the rest is for the tests")]
#[path = "../real/moto.rs"]
mod moto;
#[expect(dead_code, reason = "the rest is for the tests")]
#[path = "../real/needs.rs"]
mod needs;
#[expect(dead_code, reason = "the rest is for the tests")]
#[path = "../real/process.rs"]
mod process;

use std::time::Duration;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    for (name, run) in [("startup", startup::run as fn()), ("status", status::run), ("ready", ready::run)] {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            println!("\n{name}");
            run();
        }
    }
    moto::end_all();
}

/// One line: what, how much, and whether that is within its target.
fn line(what: &str, measured: &str, target: &str, within: bool) {
    println!("  {what:<46} {measured:>24}   {} {target}", if within { "within" } else { "MISSES" });
}

/// One line of something that has no target.
fn fact(what: &str, measured: &str) {
    println!("  {what:<46} {measured:>24}");
}

/// The value below which that share of the sorted values lies.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few")]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len());
    sorted[place - 1]
}

fn sorted(mut values: Vec<Duration>) -> Vec<Duration> {
    values.sort_unstable();
    values
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
