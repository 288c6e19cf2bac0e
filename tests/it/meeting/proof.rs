//! Whole proofs of a Jitsi with which nothing is wrong.

use std::time::Duration;

use meetctl::domain::meeting::{Answer, Stage};
use meetctl::probe::media::prove;
use meetctl::world::sandbox::jitsi::{Jitsi, Setup};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::support::{Loopback, PUBLIC, Proven, address, ask, clock, prove_in_memory, proven, setup, tls, wire};

#[tokio::test(start_paused = true)]
async fn a_meeting_works_in_memory() {
    let (proof, jitsi) = prove_in_memory(setup(), &ask()).await;
    assert_eq!(proof.finding, None, "{proof:#?}");
    assert_eq!(proven(&proof), Some(Proven::Media));
    assert_eq!(proof.warnings, []);
    assert!(proof.room.starts_with("meetctl-probe-"));
    assert_eq!(proof.reached.len(), 2);
    assert!(proof.reached.iter().all(|r| r.outcome == Answer::Answered && r.address == address(PUBLIC)));
    assert!(proof.reached.iter().all(|r| r.mapped.is_some_and(|m| m.ip() == address("192.0.2.50:1").ip())));
    assert_eq!(proof.secured.len(), 2);
    assert!(proof.secured.iter().all(|s| s.remote == address(PUBLIC)));
    let [flow] = proof.flows.as_slice() else { panic!("{proof:#?}") };
    assert_eq!((flow.sent, flow.received, flow.lost, flow.reordered), (125, 125, 0, 0));
    assert!(flow.transit_median.is_some() && flow.round_trip.is_some());
    assert!(proof.took < Duration::from_millis(5500), "{:?}", proof.took);
    assert_eq!(jitsi.strayed(), []);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_proof() {
    let (first, _) = prove_in_memory(setup(), &ask()).await;
    let (second, _) = prove_in_memory(setup(), &ask()).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_meeting_works_on_real_sockets() {
    let (config, trust) = tls();
    #[expect(clippy::disallowed_methods, reason = "a test on real sockets")]
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let (bridge, web) = (udp.local_addr().expect("bound"), tcp.local_addr().expect("bound"));
    let jitsi = Jitsi::new(Setup::new(bridge, bridge));
    let mut ask = ask();
    ask.site.port = web.port();
    ask.candidates = meetctl::probe::meeting::Policy::All;
    let net = Loopback { to: web };
    let stop = CancellationToken::new();
    let clock = clock();
    let wire = wire(&net, &trust, &clock);
    let stages = std::sync::Mutex::new(Vec::new());
    let proof = tokio::select! {
        () = jitsi.serve_loopback(tcp, udp, config) => panic!("it serves for ever"),
        proof = prove(&wire, &ask, &stop, |stage| stages.lock().expect("ours").push(stage)) => proof,
    };
    assert_eq!(proof.finding, None, "{proof:#?}");
    assert_eq!(proof.flows[0].lost, 0);
    assert!(proof.took < Duration::from_millis(5500), "{:?}", proof.took);
    let stages = stages.into_inner().expect("ours");
    assert_eq!(stages.first(), Some(&Stage::Connect));
    assert_eq!(stages.last(), Some(&Stage::Leave));
}
