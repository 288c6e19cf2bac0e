//! What real bridges, proxies and focuses do, and emulators did not.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use meetctl::domain::finding::{Finding, Weight};
use meetctl::domain::ladder::{Climb, ladder};
use meetctl::domain::meeting::{Flow, Proof};
use meetctl::domain::name::Host;
use meetctl::probe::media::{Ask, prove};
use meetctl::probe::meeting::Names;
use meetctl::world::sandbox::jitsi::{Advertised, Cut, Faults, Jitsi, Move, Setup};
use meetctl::world::{Datagrams, Duplex, Net, NetError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::support::{Memory, Proven, address, ask, clock, prove_in_memory, proven, setup, tls, wire};

fn code(proof: &Proof) -> &'static str {
    proof.finding.as_ref().map_or("none", |finding| finding.code.as_str())
}

fn detail(proof: &Proof) -> &str {
    proof.finding.as_ref().and_then(|finding| finding.detail.as_deref()).unwrap_or_default()
}

fn warnings(proof: &Proof) -> Vec<&'static str> {
    proof.warnings.iter().map(|finding| finding.code.as_str()).collect()
}

fn lasting(seconds: u64) -> Ask {
    let mut ask = ask();
    ask.limits.speaking = Duration::from_secs(seconds);
    ask
}

async fn says(faults: Faults, ask: &Ask) -> Proof {
    Box::pin(prove_in_memory(setup().with(faults), ask)).await.0
}

fn nothing() -> Faults {
    Faults::default()
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_ends_quiet_connections_does_not_end_a_long_run() {
    for limit in [12, 60] {
        let proof = says(Faults { read_limit: Some(s(limit)), ..nothing() }, &lasting(150)).await;
        assert_eq!(code(&proof), "none", "{limit} s: {:?}", proof.finding);
    }
}

/// Those who wait for their turn have nothing to say for longer than a proxy waits.
#[tokio::test(start_paused = true)]
async fn nor_a_rehearsal_in_which_people_wait_for_their_turn() {
    let mut ask = ask().rehearsal(10, 5, s(3));
    ask.limits.join_spacing = s(13);
    let proof = says(Faults { read_limit: Some(s(60)), ..nothing() }, &ask).await;
    assert_eq!(code(&proof), "none", "{:?}", proof.finding);
    let signalling = &ladder(&proof)[0].figures;
    assert!(signalling.starts_with("joined and invited after 117"), "the slowest: {signalling}");
    assert!(signalling.contains("(median "), "{signalling}");
}

#[tokio::test(start_paused = true)]
async fn a_prosody_that_answers_no_ping_is_a_finding_of_its_own() {
    let faults = Faults { deaf_after: Some(s(15)), ..nothing() };
    let proof = says(faults.clone(), &lasting(60)).await;
    assert_eq!(code(&proof), "ping-unanswered");
    assert!(detail(&proof).contains("worked until second 2"), "{}", detail(&proof));
    assert_eq!(code(&says(faults, &ask()).await), "none", "a short run is over before");
}

fn only(proof: &Proof) -> &Flow {
    let [flow] = proof.flows.as_slice() else { panic!("{proof:#?}") };
    flow
}

#[tokio::test(start_paused = true)]
async fn a_moved_meeting_goes_on() {
    for how in [Move::Restart, Move::Marked, Move::Initiate, Move::Replace] {
        let proof = says(Faults { moves: Some((s(6), how)), ..nothing() }, &lasting(20)).await;
        assert_eq!((code(&proof), warnings(&proof)), ("none", vec!["moved"]), "{how:?}: {:?}", proof.finding);
        let flow = only(&proof);
        assert_eq!(flow.lost, 0, "{how:?}: loss is counted in each invitation: {flow:?}");
        assert!(flow.sent > 850, "{how:?}: {flow:?}");
        let [pause] = flow.silences.as_slice() else { panic!("{flow:?}") };
        assert!(pause.moved && pause.lasted.is_some_and(|l| l > Duration::from_millis(50) && l < s(2)), "{pause:?}");
        assert!((5.8..6.2).contains(&pause.from.as_secs_f64()), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_move_in_a_short_run_is_heard_to_its_end() {
    for (participants, at) in [(2, 0), (2, 1), (2, 2), (4, 1), (5, 2)] {
        let mut ask = if participants == 2 { ask() } else { ask().rehearsal(participants, participants, s(3)) };
        ask.limits.join_spacing = Duration::from_millis(50);
        let proof = says(Faults { moves: Some((s(at), Move::Restart)), ..nothing() }, &ask).await;
        assert_eq!(code(&proof), "none", "{participants} at {at} s: {:?} {:?}", proof.finding, proof.flows);
        assert!(proof.flows.iter().all(|flow| flow.lost == 0), "{:?}", proof.flows);
        assert!(proof.flows.iter().any(|flow| flow.silences.iter().any(|silence| silence.moved)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_while_moving_is_a_failure() {
    for (pause, wanted) in [(3, "none"), (4, "none"), (6, "moved-slowly")] {
        let moves = Some((s(6), Move::Restart));
        let proof = says(Faults { moves, moving: s(pause), ..nothing() }, &lasting(20)).await;
        assert_eq!(code(&proof), wanted, "{pause} s: {:?} {:?}", proof.finding, proof.flows);
        assert_eq!(proof.flows[0].lost, 0);
    }
}

/// The ports of this network are given out again as soon as they are free.
#[tokio::test(start_paused = true)]
async fn participants_never_share_an_address() {
    let mut setup = setup();
    setup.advertised.push(Advertised::public(address("203.0.113.11:10000")));
    setup.doors.push(address("203.0.113.11:10000"));
    let mut ask = ask().rehearsal(10, 5, s(3));
    ask.limits.join_spacing = Duration::from_millis(40);
    for faults in [nothing(), Faults { restarts: 1, restart_after: s(1), ..nothing() }] {
        let (proof, _) = Box::pin(prove_in_memory(setup.clone().with(faults), &ask)).await;
        assert_eq!(code(&proof), "none", "{:?}", proof.finding);
        let mut seen: Vec<_> = proof.reached.iter().map(|reached| (reached.mapped, &reached.participant)).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 10, "one socket each: {seen:?}");
        for secured in &proof.secured {
            let asked = proof.reached.iter().find(|reached| reached.participant == secured.participant);
            assert_eq!(asked.and_then(|reached| reached.mapped), Some(secured.local), "media goes where L1 was asked");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_starts_late_is_waited_for() {
    for (late, warned) in [(0, false), (1_000, false), (2_400, false), (5_000, true)] {
        let proof = says(Faults { late: Duration::from_millis(late), ..nothing() }, &ask()).await;
        let flow = only(&proof);
        assert_eq!((code(&proof), flow.lost), ("none", 0), "{late} ms: {:?} {flow:?}", proof.finding);
        assert_eq!(flow.sent, 125, "{flow:?}");
        let after = flow.audible_after.expect("heard");
        assert!((late..late + 200).contains(&u64::try_from(after.as_millis()).expect("short")), "{after:?}");
        assert_eq!(warnings(&proof), if warned { vec!["audible-late"] } else { Vec::new() });
        assert!(ladder(&proof)[4].figures.contains("audible after"), "{:?}", ladder(&proof)[4]);
    }
    let proof = says(Faults { cold: s(60), ..nothing() }, &ask()).await;
    assert_eq!(code(&proof), "no-media");
    assert!(proof.took > s(10) && proof.took < s(16), "{:?}", proof.took);
}

#[tokio::test(start_paused = true)]
async fn the_usual_proof_is_no_slower() {
    let proof = says(nothing(), &ask()).await;
    assert!(proof.took < Duration::from_millis(4_500), "{:?}", proof.took);
}

#[tokio::test(start_paused = true)]
async fn udp_that_is_cut_in_the_middle() {
    let forever = s(3_600);
    for (there, back, says_so) in [
        (true, true, "nothing comes from the bridge any more, to either of them"),
        (false, true, "nothing comes from the bridge any more, to either of them"),
        (true, false, "the bridge still sends to both"),
    ] {
        let cut = Cut { after: s(8), lasts: forever, there, back };
        let proof = says(Faults { cut_udp: Some(cut), ..nothing() }, &lasting(20)).await;
        assert_eq!(code(&proof), "media-stopped", "{there} {back}: {:?}", proof.finding);
        assert!(detail(&proof).starts_with("a to b: from second 8.0 on nothing arrived"), "{}", detail(&proof));
        assert!(detail(&proof).contains(says_so), "{there} {back}: {}", detail(&proof));
        assert_eq!(proof.finding.as_ref().map(Finding::weight), Some(Weight::Failure));
    }
    let cut = Cut { after: s(8), lasts: s(6), there: true, back: true };
    let proof = says(Faults { cut_udp: Some(cut), ..nothing() }, &lasting(20)).await;
    assert_eq!(code(&proof), "media-lossy", "it came back: {:?}", proof.finding);
    assert!(detail(&proof).contains("nothing from second 8.0 to 14.0"), "{}", detail(&proof));
}

/// What was shown before stays shown, and the finding says until when it worked.
#[tokio::test(start_paused = true)]
async fn what_dies_in_the_middle() {
    let cases = [
        (Faults { cut_after: Some(s(6)), ..nothing() }, "signalling-lost"),
        (Faults { bridge_dies: Some(s(4)), ..nothing() }, "no-bridge"),
        (Faults { thrown_after: Some(s(6)), ..nothing() }, "thrown-out"),
        (Faults { restarts: 9, restart_after: s(4), ..nothing() }, "bridge-unstable"),
    ];
    for (faults, wanted) in cases {
        let proof = says(faults, &lasting(20)).await;
        let results: Vec<Climb> = ladder(&proof).iter().map(|rung| rung.result).collect();
        assert_eq!(code(&proof), wanted, "{:?}", proof.finding);
        assert_eq!(
            results,
            [Climb::Shown, Climb::Shown, Climb::Shown, Climb::Shown, Climb::Failed],
            "{wanted}: {:?}",
            proof.finding
        );
        assert!(detail(&proof).contains("it had worked until second "), "{wanted}: {}", detail(&proof));
        assert!(ladder(&proof)[4].figures.contains(" packets"), "{wanted}");
    }
    let proof = says(Faults { cut_after: Some(Duration::from_millis(600)), ..nothing() }, &lasting(20)).await;
    let not_reached = ladder(&proof).into_iter().filter(|rung| rung.result == Climb::NotReached);
    assert!(not_reached.map(|rung| rung.figures).all(|figures| figures.is_empty()), "{:?}", ladder(&proof));
    assert!(!detail(&proof).contains("worked until"), "{}", detail(&proof));
}

#[tokio::test(start_paused = true)]
async fn one_warning_whatever_the_order_of_the_candidates() {
    let mut setup = setup();
    setup.advertised.push(Advertised::public(address("198.51.100.4:10000")));
    setup.advertised.push(Advertised::public(address("198.51.100.5:10000")));
    let (proof, _) = Box::pin(prove_in_memory(setup.with(Faults { shuffled: true, ..nothing() }), &ask())).await;
    assert_eq!(warnings(&proof), ["candidate-silent"], "{:?}", proof.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_focus_with_another_room_domain() {
    let mut ask = ask();
    ask.names = Some(Names { muc: "conference.meet.jitsi".into(), ..Names::under("meet.jitsi") });
    let elsewhere = says(nothing(), &ask).await;
    let focus = says(Faults { focus_rooms: Some("rooms.meet.jitsi"), ..nothing() }, &super::support::ask()).await;
    for (proof, domain) in [(elsewhere, "conference.meet.jitsi"), (focus, "muc.meet.jitsi")] {
        let finding = proof.finding.as_ref().expect("silence");
        assert_eq!(code(&proof), "focus-silent");
        assert!(finding.to_string().contains(domain), "{finding}");
        assert!(finding.remedy().contains("room domain"), "{}", finding.remedy());
    }
}

#[tokio::test(start_paused = true)]
async fn a_bridge_that_forwards_the_loudest_only() {
    for (participants, loudest, wanted, warned) in [
        (5, 3, "none", true),
        (4, 1, "none", true),
        (5, 5, "none", false),
        (5, 0, "no-media", false),
        (2, 0, "no-media", false),
    ] {
        let mut ask = ask().rehearsal(participants, participants, s(3));
        ask.limits.join_spacing = Duration::from_millis(50);
        let proof = says(Faults { loudest: Some(loudest), ..nothing() }, &ask).await;
        assert_eq!(code(&proof), wanted, "{loudest} of {participants}: {:?} {:?}", proof.finding, proof.flows);
        assert_eq!(warnings(&proof).contains(&"loudest-only"), warned, "{loudest} of {participants}");
        if wanted == "none" {
            assert_eq!(proven(&proof), Some(Proven::Media));
        }
        let named = proof
            .warnings
            .iter()
            .all(|w| w.code.as_str() != "loudest-only" || w.remedy().contains("route-loudest-only"));
        assert!(named);
    }
}

#[tokio::test(start_paused = true)]
async fn the_stories_of_these_manners() {
    for (story, seconds, wanted) in [
        ("quiet-websocket", 90, "none"),
        ("moved-bridge", 20, "none"),
        ("udp-cut-midway", 20, "media-stopped"),
        ("udp-cut-midway", 3, "none"),
    ] {
        let setup: Setup = setup().story(crate::story(story));
        let (proof, _) = Box::pin(prove_in_memory(setup, &lasting(seconds))).await;
        assert_eq!(code(&proof), wanted, "{story}: {:?}", proof.finding);
    }
}

/// A machine whose firewall refuses to send: at once, or from some moment on.
struct Firewalled {
    memory: Memory,
    from: Instant,
}

struct Refusing {
    socket: Box<dyn Datagrams>,
    from: Instant,
}

#[async_trait]
impl Net for Firewalled {
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError> {
        self.memory.resolve(host).await
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        self.memory.tcp(to).await
    }

    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        Ok(Box::new(Refusing { socket: self.memory.udp(toward).await?, from: self.from }))
    }
}

#[async_trait]
impl Datagrams for Refusing {
    fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        if Instant::now() >= self.from {
            return Err(std::io::Error::from(std::io::ErrorKind::PermissionDenied).into());
        }
        self.socket.send(to, datagram).await
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        self.socket.receive(buffer).await
    }
}

/// It says nothing about the platform.
#[tokio::test(start_paused = true)]
async fn a_machine_that_refuses_to_send() {
    for (after, worked) in [(s(0), false), (s(8), true)] {
        let (tls, trust) = tls();
        let memory = Memory { jitsi: Jitsi::new(setup()), tls, ports: Arc::default() };
        let net = Firewalled { memory, from: Instant::now() + after };
        let (clock, stop, ask) = (clock(), CancellationToken::new(), lasting(20));
        let proof = Box::pin(prove(&wire(&net, &trust, &clock), &ask, &stop, |_| {})).await;
        let finding = proof.finding.as_ref().expect("no way out");
        assert_eq!((code(&proof), finding.weight()), ("no-route", Weight::NotApplicable), "{finding:?}");
        assert_eq!(detail(&proof).contains("worked until second 7"), worked, "{finding:?}");
    }
}
