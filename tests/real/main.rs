//! Tests with real components: moto, nginx, Prosody, Knot DNS, coturn; and the binary against all of them.
//! See `README.md` beside this file for what they need and how to run them.

#![expect(clippy::disallowed_methods, reason = "these tests start processes and live in real time")]

mod aws_proxy;
mod certificate;
mod conductor;
mod contract;
mod coturn;
mod dns;
mod end_to_end;
mod foreign;
mod http;
mod meeting;
mod moto;
mod needs;
mod nginx;
mod openssl;
mod platform;
mod process;
mod prosody;
mod stack;
mod xmpp;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = libtest_mimic::Arguments::from_args();
    // They mostly wait, so more of them than there are cores.
    args.test_threads.get_or_insert(4);
    let tests = [
        aws_proxy::tests(),
        conductor::tests(),
        contract::tests(),
        coturn::tests(),
        dns::tests(),
        end_to_end::tests(),
        foreign::tests(),
        meeting::tests(),
        moto::tests(),
        nginx::tests(),
        platform::tests(),
        prosody::tests(),
        stack::tests(),
    ];
    // Not `Conclusion::exit`: it would skip the drops that end our servers.
    let end = libtest_mimic::run(&args, tests.into_iter().flatten().collect());
    moto::end_all();
    end.exit_code()
}
