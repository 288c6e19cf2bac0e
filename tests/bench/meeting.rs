//! How fast a meeting is proven, and what many participants cost: figures next to what they should be.
//!
//! `cargo bench --bench meeting`. The emulated Jitsi is a process of its own, so that what is measured is the probe.
//! Nothing fails on time: a busy machine is not a fault.

#![expect(clippy::print_stdout, reason = "a measurement is for whoever runs it")]
#![expect(clippy::disallowed_methods, reason = "real sockets, a real clock and a process of its own")]

#[path = "../it/meeting/support.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use meetctl::config::Config;
use meetctl::domain::condition::Condition;
use meetctl::domain::goal::Goal;
use meetctl::domain::meeting::{Proof, Stage};
use meetctl::domain::observed::Observed;
use meetctl::engine::{Look, observe};
use meetctl::probe::media::{Ask, Load, prove};
use meetctl::probe::meeting::Policy;
use meetctl::probe::site::Site;
use meetctl::probe::wire::Wire;
use meetctl::world::sandbox::jitsi::{Jitsi, Setup};
use meetctl::world::sandbox::{self, Story};
use meetctl::world::{Trust, World};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn main() {
    let runtime = |paused| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(paused).build().expect("a runtime")
    };
    if std::env::args().any(|argument| argument == "--emulate") {
        return runtime(false).block_on(emulate());
    }
    println!("optimised: {}", if cfg!(debug_assertions) { "no" } else { "yes" });
    runtime(true).block_on(health());
    runtime(false).block_on(async {
        let emulator = Emulator::start();
        a_probe(&emulator).await;
        a_crowd(&emulator, Crowd { participants: 50, room_size: 2, seconds: 30, video: false }).await;
        a_crowd(&emulator, Crowd { participants: 200, room_size: 2, seconds: 10, video: false }).await;
        a_crowd(&emulator, Crowd { participants: 20, room_size: 2, seconds: 10, video: true }).await;
    });
}

/// A figure, what it should be at most, and their ratio.
fn show(what: &str, found: f64, limit: f64, unit: &str) {
    let verdict = if found <= limit { "within" } else { "BEYOND" };
    let ratio = if found <= 0.0 { 0.0 } else { found / limit };
    println!("{what:<46} {found:>9.3} {unit:<4} of {limit:>8.3}  ratio {ratio:>5.2}  {verdict}");
}

/// All looks are made at once: the whole takes as long as the slowest.
async fn health() {
    let (world, _) = sandbox::world(Story::named("running").expect("a story"), None, 7);
    let slowest = {
        let mut slowest = Duration::ZERO;
        for condition in Goal::Running.conditions() {
            slowest = slowest.max(took(&world, &Look::at([condition])).await);
        }
        slowest
    };
    let policy = Config::sandbox().policy();
    let whole = took(&world, &Look::at_all(&policy)).await;
    assert!(Goal::Running.conditions().contains(&Condition::MediaFlows));
    show("health, simulated: whole / slowest probe", whole.as_secs_f64() / slowest.as_secs_f64(), 1.15, "");
}

async fn took(world: &World, look: &Look) -> Duration {
    let sight = Config::sandbox().sight().expect("a host");
    let began = Instant::now();
    let _ = observe(world, &sight, look, Observed::nothing(world.clock.now()), &CancellationToken::new()).await;
    began.elapsed()
}

/// Two people, one of whom speaks for three seconds.
async fn a_probe(emulator: &Emulator) {
    const RUNS: u8 = 5;
    let (mut whole, mut connecting) = (Duration::ZERO, Duration::ZERO);
    for run in 0..RUNS {
        let proof = emulator.prove(emulator.ask(), run).await;
        assert_eq!(proof.finding, None, "{proof:#?}");
        let last = |stage| proof.stages.iter().filter(|p| p.stage == stage).map(|p| p.at).max().expect("passed");
        whole = whole.max(proof.took);
        connecting = connecting.max(last(Stage::Secure).saturating_sub(last(Stage::Invite)));
    }
    show("probe, slowest of 5: join to verdict", whole.as_secs_f64(), 4.5, "s");
    show("probe, slowest of 5: invitation to L2", connecting.as_secs_f64(), 0.5, "s");
}

/// People who all speak at once, with cameras or without.
#[derive(Clone, Copy)]
struct Crowd {
    participants: u16,
    room_size: u16,
    seconds: u64,
    video: bool,
}

async fn a_crowd(emulator: &Emulator, crowd: Crowd) {
    let Crowd { participants, room_size, seconds, video } = crowd;
    let who = format!("{participants} participants{}", if video { " with cameras" } else { "" });
    let load = Load { participants, room_size, lasting: Duration::from_secs(seconds), video, max_loss: 100.0 };
    let mut ask = emulator.ask().under(&load);
    ask.limits.join_spacing = Duration::from_millis(40);
    let before = (used("self").0, used(&emulator.id()).0);
    let dropped_before = emulator.dropped();
    let proof = emulator.prove(ask, 99).await;
    // What overflows at the emulator's one socket, on a machine that does not let it run, is not the probe's doing.
    let dropped = emulator.dropped() - dropped_before;
    let (ours, theirs) = (used("self"), used(&emulator.id()));
    if let Some(finding) = &proof.finding {
        return println!("{who}: not measured, on this machine at this time: {finding}");
    }
    let sum = |of: fn(&meetctl::domain::meeting::Flow) -> u32| proof.flows.iter().map(of).sum::<u32>();
    let (sent, lost) = (sum(|f| f.sent), sum(|f| f.lost));
    let p95 = proof.flows.iter().filter_map(|f| f.transit_p95).max().unwrap_or_default();
    let share = |cpu: Duration| cpu.as_secs_f64() / proof.took.as_secs_f64();
    println!("{who}, {} streams, {sent} packets counted, {:.1} s", proof.flows.len(), proof.took.as_secs_f64());
    let own = f64::from(lost.saturating_sub(dropped)) * 100.0 / f64::from(sent);
    show(&format!("{who}: own loss, in percent"), own, 0.0, "%");
    show(&format!("{who}: cores of the probe"), share(ours.0.saturating_sub(before.0)), 1.0, "");
    show(&format!("{who}: peak memory of the probe"), mebibytes(ours.1), 150.0, "MiB");
    println!(
        "beside it, worst transit (p95) {:.1} ms; the emulator: {:.2} cores, {:.0} MiB",
        p95.as_secs_f64() * 1000.0,
        share(theirs.0.saturating_sub(before.1)),
        mebibytes(theirs.1)
    );
}

fn mebibytes(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}

/// CPU time of a process so far, and its largest resident size in KiB.
fn used(process: &str) -> (Duration, u32) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).expect("Linux");
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    let status = read("status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    (Duration::from_millis(ticks * 10), peak.trim().trim_end_matches(" kB").parse().expect("a number"))
}

/// The emulated Jitsi, as a process of its own.
struct Emulator {
    child: Child,
    web: SocketAddr,
    bridge: SocketAddr,
    trust: Trust,
}

impl Emulator {
    fn start() -> Self {
        let this = std::env::current_exe().expect("a program");
        let mut child = Command::new(this)
            .arg("--emulate")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let parts: Vec<&str> = line.split_whitespace().collect();
        let [web, bridge, certificate] = parts[..] else { panic!("two addresses and a certificate: {line:?}") };
        let bytes = (0..certificate.len()).step_by(2);
        let bytes: Vec<u8> = bytes.map(|i| u8::from_str_radix(&certificate[i..i + 2], 16).expect("hex")).collect();
        let trust = Trust::browsers().and_private(vec![CertificateDer::from(bytes)]);
        let address = |text: &str| text.parse().expect("an address");
        Self { child, web: address(web), bridge: address(bridge), trust }
    }

    fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Datagrams that the kernel has thrown away because nobody fetched them from the bridge's socket in time.
    fn dropped(&self) -> u32 {
        let table = std::fs::read_to_string("/proc/net/udp").expect("Linux");
        let port = format!(":{:04X}", self.bridge.port());
        let is_ours = |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port));
        let line = table.lines().find(is_ours);
        line.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(0)
    }

    fn ask(&self) -> Ask {
        let ask = support::ask();
        Ask { site: Site { port: self.web.port(), ..ask.site.clone() }, candidates: Policy::All, ..ask }
    }

    async fn prove(&self, ask: Ask, run: u8) -> Proof {
        let net = support::Loopback { to: self.web };
        let (clock, stop) = (support::clock(), CancellationToken::new());
        let wire = Wire { seed: u64::from(run), ..support::wire(&net, &self.trust, &clock) };
        prove(&wire, &ask, &stop, |_| {}).await
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until whoever started it is gone.
async fn emulate() {
    let made = rcgen::generate_simple_self_signed(vec![support::HOST.to_owned()]).expect("a certificate");
    let certificate = CertificateDer::from(made.cert.der().to_vec());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a good pair");
    let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let bridge = udp.local_addr().expect("bound");
    let hex: String = certificate.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    println!("{} {bridge} {hex}", tcp.local_addr().expect("bound"));
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Jitsi::new(Setup::new(bridge, bridge)).serve_loopback(tcp, udp, Arc::new(config)).await;
}
