//! Many participants at once.

use std::time::Duration;

use meetctl::probe::media::prove;
use meetctl::probe::meeting::Policy;
use meetctl::world::sandbox::jitsi::{Jitsi, Setup};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::support::{Loopback, Proven, ask, clock, prove_in_memory, proven, setup, tls, wire};

#[tokio::test(start_paused = true)]
async fn rooms_of_two_and_of_three() {
    for (participants, size, rooms, flows) in [(6, 2, 3, 6), (6, 3, 2, 12), (5, 5, 1, 20), (3, 2, 2, 4)] {
        let mut ask = ask().rehearsal(participants, size, Duration::from_secs(4));
        ask.limits.join_spacing = Duration::from_millis(20);
        let (proof, _) = prove_in_memory(setup(), &ask).await;
        assert_eq!(proof.finding, None, "{proof:#?}");
        assert_eq!(proven(&proof), Some(Proven::Media));
        assert_eq!(proof.flows.len(), flows, "{participants} in {rooms} rooms");
        assert!(proof.flows.iter().all(|f| (f.sent, f.lost) == (175, 0)), "{:#?}", proof.flows);
    }
}

/// CPU time of this process so far, and its largest resident size in KiB.
fn used() -> (Duration, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    (Duration::from_millis(ticks * 10), peak.trim().trim_end_matches(" kB").parse().expect("a number"))
}

/// Both sides in this process and on one thread: the figures are those of the emulated Jitsi as well.
#[tokio::test]
#[ignore = "takes 40 s: run it alone, with --release"]
async fn fifty_participants_for_half_a_minute() {
    let (config, trust) = tls();
    #[expect(clippy::disallowed_methods, reason = "a measurement on real sockets")]
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let (bridge, web) = (udp.local_addr().expect("bound"), tcp.local_addr().expect("bound"));
    let jitsi = Jitsi::new(Setup::new(bridge, bridge));
    let mut ask = ask().rehearsal(50, 2, Duration::from_secs(30));
    ask.site.port = web.port();
    ask.candidates = Policy::All;
    ask.limits.join_spacing = Duration::from_millis(40);
    let net = Loopback { to: web };
    let stop = CancellationToken::new();
    let clock = clock();
    let wire = wire(&net, &trust, &clock);
    let (before, _) = used();
    let proof = tokio::select! {
        () = jitsi.serve_loopback(tcp, udp, config) => panic!("it serves for ever"),
        proof = prove(&wire, &ask, &stop, |_| {}) => proof,
    };
    let (after, peak) = used();
    let flows = &proof.flows;
    let (sent, lost) = (flows.iter().map(|f| f.sent).sum::<u32>(), flows.iter().map(|f| f.lost).sum::<u32>());
    let median = flows.iter().filter_map(|f| f.transit_median).max();
    let p95 = flows.iter().filter_map(|f| f.transit_p95).max();
    let cpu = after.saturating_sub(before);
    #[expect(clippy::print_stderr, reason = "a measurement is for whoever runs it")]
    {
        eprintln!("{} flows, {sent} counted, {lost} lost; transit median ≤ {median:?}, p95 ≤ {p95:?}", flows.len());
        eprintln!(
            "took {:?}, CPU {cpu:?} ({:.0} % of a core), peak {peak} KiB",
            proof.took,
            cpu.as_secs_f64() * 100.0 / proof.took.as_secs_f64()
        );
    }
    assert_eq!(proof.finding, None, "{:?}", proof.finding);
    assert_eq!(lost, 0);
    assert!(cpu < proof.took && peak < 150 * 1024);
}
