//! The probes on real loopback sockets and the real clock: good, expired, wrong name, silent, slow, reset, garbage.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, NS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use jiff::Timestamp;
use meetctl::clock::Clock;
use meetctl::domain::name::Host;
use meetctl::domain::observed::{Blindness, Certificate, Page, Reading, Resolution, Tls, Web};
use meetctl::probe::entrance::Resolver;
use meetctl::probe::site::Site;
use meetctl::probe::wire::{Certificates, Door, Wire};
use meetctl::probe::{Limits, Sight, dns, https, signalling, tls};
use meetctl::world::net::Internet;
use meetctl::world::{Datagrams, Duplex, Net, NetError, Trust};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const HOST: &str = "meet.example.org";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Short enough that a test may wait for it, long enough for two busy cores.
const LIMITS: Limits =
    Limits { connect: Duration::from_millis(500), whole: Duration::from_secs(3), query: Duration::from_millis(200) };

fn sight() -> Sight {
    Sight { limits: LIMITS, ..Sight::of(site()) }
}

fn site() -> Site {
    Site::of(HOST.parse().expect("a host"))
}

/// This machine's network, on which the deployment's web door is somewhere else.
struct Near(SocketAddr);

#[async_trait::async_trait]
impl Net for Near {
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError> {
        Internet.resolve(host).await
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        Internet.name_servers()
    }

    async fn tcp(&self, _: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        Internet.tcp(self.0).await
    }

    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        Internet.udp(toward).await
    }
}

/// Probes what is behind a door, whatever certificate is shown there.
async fn at<T>(address: SocketAddr, trust: &Trust, probe: impl AsyncFnOnce(&Door<'_>) -> T) -> T {
    let (net, clock, site) = (Near(address), clock(), site());
    let wire = Wire { net: &net, clock: &clock, trust, seed: 0 };
    let addresses = [address.ip()];
    probe(&Door {
        wire,
        site: &site,
        endpoint: None,
        addresses: &addresses,
        certificates: Certificates::Any,
        limits: LIMITS,
    })
    .await
}

fn clock() -> Clock {
    Clock::starting_at("2026-06-15T12:00:00Z".parse::<Timestamp>().expect("a time"))
}

/// Runs a probe while a server goes on next to it.
async fn beside<T>(server: impl Future<Output = ()>, probe: impl Future<Output = T>) -> T {
    tokio::select! {
        found = Box::pin(probe) => found,
        () = Box::pin(server) => panic!("the server has ended"),
    }
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Serves up to four connections at once, each with `handle`.
async fn serve(listener: &TcpListener, handle: impl AsyncFn(TcpStream)) {
    let one = async || {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            handle(stream).await;
        }
    };
    tokio::join!(Box::pin(one()), Box::pin(one()), Box::pin(one()), Box::pin(one()));
}

// --- TLS -----------------------------------------------------------------------------------------------------------

struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Throw-away CA");
        let root = params.self_signed(&key).expect("a certificate").der().clone();
        Self { root, issuer: Issuer::new(params, key) }
    }

    /// An authority below this one, valid between two years.
    fn below(&self, from: i32, until: i32) -> (CertificateDer<'static>, Issuer<'static, KeyPair>) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "In between");
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        (certificate, Issuer::new(params, key))
    }

    fn in_browsers(&self) -> Trust {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        Trust { browsers: Arc::new(roots), private: Vec::new() }
    }
}

/// What a server shows, and its key.
struct Shown(Vec<CertificateDer<'static>>, KeyPair);

fn leaf(issuer: &Issuer<'static, KeyPair>, name: &str, from: i32, until: i32) -> Shown {
    let key = KeyPair::generate().expect("a key");
    let certificate = leaf_params(name, from, until).signed_by(&key, issuer).expect("a certificate").der().clone();
    Shown(vec![certificate], key)
}

fn leaf_params(name: &str, from: i32, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn acceptor(shown: &Shown) -> TlsAcceptor {
    acceptor_of(shown, rustls::ALL_VERSIONS)
}

fn acceptor_of(shown: &Shown, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsAcceptor {
    let key = PrivatePkcs8KeyDer::from(shown.1.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(shown.0.clone(), key.into())
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

fn present<T>(reading: Reading<T>) -> T {
    match reading {
        Reading::Present(it) => it,
        Reading::Absent => panic!("absent"),
        Reading::Unreadable(why) => panic!("unreadable: {why}"),
    }
}

async fn shake(acceptor: TlsAcceptor, trust: &Trust) -> Certificate {
    let (listener, address) = listener().await;
    let server = serve(&listener, async |stream| {
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let _ = stream.read_u8().await;
        }
    });
    let seen: Tls = present(beside(server, at(address, trust, async |door| tls::shake(door).await)).await);
    assert_eq!(seen.address, SocketAddr::new(address.ip(), 443));
    seen.shown.expect("a certificate")
}

/// How a handshake ends with a server that does not speak TLS.
async fn ended(handle: impl AsyncFn(TcpStream)) -> String {
    let (listener, address) = listener().await;
    let trust = Trust::browsers();
    let probe = at(address, &trust, async |door| tls::shake(door).await);
    let start = Instant::now();
    let seen = present(beside(serve(&listener, handle), probe).await);
    assert!(start.elapsed() < 2 * LIMITS.whole);
    seen.shown.expect_err("no certificate")
}

#[tokio::test]
async fn a_good_certificate_is_trusted() {
    let authority = Authority::new();
    let shown = leaf(&authority.issuer, HOST, 2026, 2027);
    let seen = shake(acceptor(&shown), &authority.in_browsers()).await;
    assert_eq!(seen.untrusted, None);
    assert!(seen.name_matches && !seen.private_root);
    assert_eq!(seen.names, [HOST]);
    assert_eq!(seen.version, "TLSv1.3");
    assert!(seen.issuer.contains("Throw-away CA"), "{}", seen.issuer);
    assert_eq!(seen.not_before.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(seen.not_after.to_string(), "2027-01-01T00:00:00Z");

    let older = shake(acceptor_of(&shown, &[&rustls::version::TLS12]), &authority.in_browsers()).await;
    assert_eq!((older.version.as_str(), older.untrusted), ("TLSv1.2", None));
}

#[tokio::test]
async fn a_private_root_counts_only_where_browsers_know_none() {
    let authority = Authority::new();
    let shown = leaf(&authority.issuer, HOST, 2026, 2027);
    let private = Trust::browsers().and_private(vec![authority.root.clone()]);
    let seen = shake(acceptor(&shown), &private).await;
    assert_eq!((seen.untrusted, seen.private_root), (None, true));

    let both = authority.in_browsers().and_private(vec![authority.root.clone()]);
    let seen = shake(acceptor(&shown), &both).await;
    assert_eq!((seen.untrusted, seen.private_root), (None, false));

    let strange = Trust::browsers().and_private(vec![Authority::new().root]);
    let seen = shake(acceptor(&shown), &strange).await;
    assert!(seen.untrusted.is_some() && !seen.private_root);
}

#[tokio::test]
async fn dates_are_told_apart_from_trust() {
    let authority = Authority::new();
    let trust = authority.in_browsers();
    let expired = shake(acceptor(&leaf(&authority.issuer, HOST, 2024, 2025)), &trust).await;
    assert_eq!((expired.untrusted, expired.name_matches), (None, true));
    assert!(expired.not_after < clock().now());
    let early = shake(acceptor(&leaf(&authority.issuer, HOST, 2027, 2028)), &trust).await;
    assert_eq!((early.untrusted, early.name_matches), (None, true));
    assert!(early.not_before > clock().now());
}

#[tokio::test]
async fn an_expired_certificate_in_between_is_no_trust() {
    let authority = Authority::new();
    for (until, wanted) in [(2027, None), (2026, Some("a certificate between it and its root has expired".to_owned()))]
    {
        let (between, issuer) = authority.below(2020, until);
        let Shown(mut chain, key) = leaf(&issuer, HOST, 2025, 2027);
        chain.push(between);
        let seen = shake(acceptor(&Shown(chain, key)), &authority.in_browsers()).await;
        assert_eq!(seen.untrusted, wanted);
    }
    let (_, issuer) = authority.below(2020, 2027);
    let seen = shake(acceptor(&leaf(&issuer, HOST, 2025, 2027)), &authority.in_browsers()).await;
    assert!(seen.untrusted.is_some_and(|why| why.contains("sends no certificate in between")));
}

#[tokio::test]
async fn a_name_is_told_apart_from_trust() {
    let authority = Authority::new();
    for (name, matches) in [("other.example.org", false), ("*.example.org", true), ("*.org", false)] {
        let seen = shake(acceptor(&leaf(&authority.issuer, name, 2026, 2027)), &authority.in_browsers()).await;
        assert_eq!((seen.untrusted, seen.name_matches), (None, matches), "{name}");
        assert_eq!(seen.names, [name]);
    }
}

#[tokio::test]
async fn strangers_are_not_trusted() {
    let key = KeyPair::generate().expect("a key");
    let own = leaf_params(HOST, 2026, 2027).self_signed(&key).expect("a certificate").der().clone();
    let seen = shake(acceptor(&Shown(vec![own], key)), &Trust::browsers()).await;
    assert_eq!(seen.untrusted.as_deref(), Some("it is self-signed"));

    let unknown = Authority::new();
    let Shown(mut chain, key) = leaf(&unknown.issuer, HOST, 2026, 2027);
    chain.push(unknown.root.clone());
    let seen = shake(acceptor(&Shown(chain, key)), &Trust::browsers()).await;
    assert_eq!(seen.untrusted.as_deref(), Some("its chain leads to no root that browsers know"));
}

#[tokio::test]
async fn a_slow_handshake_is_waited_for() {
    let authority = Authority::new();
    let acceptor = acceptor(&leaf(&authority.issuer, HOST, 2026, 2027));
    let (listener, address) = listener().await;
    let server = serve(&listener, async |stream| {
        sleep(Duration::from_millis(300)).await;
        let _ = acceptor.accept(stream).await;
    });
    let seen =
        present(beside(server, at(address, &authority.in_browsers(), async |door| tls::shake(door).await)).await);
    assert!(seen.shown.is_ok_and(|c| c.untrusted.is_none()));
    assert!(seen.took >= Duration::from_millis(300));
}

#[tokio::test]
async fn without_tls_it_is_said_how_it_ended() {
    let silent = ended(async |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let closed = ended(async |mut stream| {
        let _ = stream.read(&mut vec![0; 8192]).await;
    });
    let reset = ended(async |stream| drop(stream));
    let http = ended(async |mut stream| {
        let _ = stream.read(&mut vec![0; 8192]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    });
    let garbage = ended(async |mut stream| {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let _ = stream.read(&mut vec![0; 8192]).await;
        let _ = stream.write_all(&bytes).await;
    });
    // A fatal alert "protocol version", and a hello of TLS 1.0 with a cipher suite of its time.
    let alert = ended(async |mut stream| {
        let _ = stream.read(&mut vec![0; 8192]).await;
        let _ = stream.write_all(&[21, 3, 1, 0, 2, 2, 70]).await;
    });
    let old = ended(async |mut stream| {
        let _ = stream.read(&mut vec![0; 8192]).await;
        let random = [7; 32];
        let hello = [&[22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1][..], &random, &[0, 0xc0, 0x13, 0]].concat();
        let _ = stream.write_all(&hello).await;
        let _ = stream.read(&mut vec![0; 8192]).await;
    });
    let (silent, closed, reset, http, garbage, alert, old) =
        tokio::join!(silent, closed, reset, http, garbage, alert, old);
    assert_eq!(silent, "the connection opens, but the TLS handshake does not end within 3 s");
    assert_eq!(closed, "the other side closes the connection during the TLS handshake");
    assert!(reset.contains("resets") || reset.contains("closes"), "{reset}");
    assert!(http.contains("does not speak TLS"), "{http}");
    assert!(garbage.contains("does not speak TLS"), "{garbage}");
    assert_eq!(alert, "the server speaks only TLS 1.0 or 1.1, which browsers refuse");
    assert_eq!(old, "the server speaks only TLS 1.0 or 1.1, which browsers refuse");
}

#[tokio::test]
async fn a_closed_port_is_a_finding() {
    let (listener, address) = listener().await;
    drop(listener);
    let seen = present(at(address, &Trust::browsers(), async |door| tls::shake(door).await).await);
    assert_eq!(seen.shown.expect_err("nothing"), "the connection is refused");
}

// --- HTTPS ---------------------------------------------------------------------------------------------------------

const INDEX: &str = "<html><head><title>Jitsi Meet</title><script src=\"libs/lib-jitsi-meet.min.js?v=1\"></script>\
    <script src=\"libs/app.bundle.min.js?v=1\"></script></head><body><div id=\"react\"></div></body></html>";
const CONFIG: &str = "var config = {};\nconfig.hosts = {};\nconfig.hosts.domain = 'meet.jitsi';\n\
    config.hosts.muc = 'muc.meet.jitsi';\n";
const API: &str = "!function(e,t){e.JitsiMeetExternalAPI=t()}(self,()=>{});";

fn page(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn good(path: &str) -> Vec<u8> {
    let body = match path {
        "/config.js" => CONFIG,
        "/external_api.js" => API,
        "/http-bind" => "<html><title>Prosody BOSH endpoint</title>",
        "/xmpp-websocket" => "<html><title>Prosody WebSocket endpoint</title>",
        _ => INDEX,
    };
    page("200 OK", "", body)
}

/// Runs a probe next to an HTTPS server that answers with `handle`, which gets the path.
async fn behind_tls<T>(
    handle: impl AsyncFn(&str, &mut TlsStream<TcpStream>) -> std::io::Result<()>,
    probe: impl AsyncFnOnce(&Door<'_>) -> T,
) -> T {
    let authority = Authority::new();
    let acceptor = acceptor(&leaf(&authority.issuer, HOST, 2026, 2027));
    let (listener, address) = listener().await;
    let server = serve(&listener, async |stream| {
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => request.push(byte),
                Err(_) => return,
            }
        }
        let request = String::from_utf8(request).expect("a request");
        assert!(request.to_lowercase().contains("host: meet.example.org\r\n"), "{request}");
        let path = request.split(' ').nth(1).expect("a path");
        if handle(path, &mut stream).await.is_ok() {
            let _ = stream.shutdown().await;
        }
    });
    let start = Instant::now();
    let found = beside(server, at(address, &Trust::browsers(), probe)).await;
    assert!(start.elapsed() < 2 * LIMITS.whole);
    found
}

async fn web(answer: impl Fn(&str) -> Vec<u8>) -> Web {
    let handle = async |path: &str, stream: &mut TlsStream<TcpStream>| stream.write_all(&answer(path)).await;
    present(behind_tls(handle, async |door| https::pages(door).await).await)
}

/// The page at `/`, when the server answers with `handle`.
async fn index(handle: impl AsyncFn(&mut TlsStream<TcpStream>) -> std::io::Result<()>) -> Page {
    let handle = async |_: &str, stream: &mut TlsStream<TcpStream>| handle(stream).await;
    present(behind_tls(handle, async |door| https::pages(door).await).await).index
}

fn wrong(page: &Page) -> &str {
    page.wrong.as_deref().expect("something wrong")
}

#[tokio::test]
async fn jitsis_pages_are_good() {
    let web = web(good).await;
    for (page, path) in [(&web.index, "/"), (&web.config, "/config.js"), (&web.api, "/external_api.js")] {
        assert_eq!((page.path.as_str(), page.status, page.wrong.as_deref()), (path, Some(200), None));
        assert!(page.took > Duration::ZERO);
    }
}

#[tokio::test]
async fn pages_of_others_are_wrong() {
    let down = web(|_| page("502 Bad Gateway", "", "<html><title>502 Bad Gateway</title>")).await;
    assert_eq!(down.index.status, Some(502));
    assert_eq!(wrong(&down.index), "answers 502: the web container, or what is behind it, does not answer");

    let other = web(|_| page("200 OK", "", "<html><title>Welcome to nginx!</title>")).await;
    assert_eq!(wrong(&other.index), "is not Jitsi Meet's page, but one titled \"Welcome to nginx!\"");
    assert!(wrong(&other.config).starts_with("is a web page, where a script should be"));

    // An app whose web container has lost its files: nginx shows the application for everything.
    let only_app = web(|_| page("200 OK", "", INDEX)).await;
    assert_eq!(only_app.index.wrong, None);
    assert!(only_app.config.wrong.is_some() && only_app.api.wrong.is_some());
}

#[tokio::test]
async fn redirects_are_followed_on_the_host_alone() {
    let go = |to: &'static str| web(move |_| page("302 Found", &format!("Location: {to}\r\n"), ""));
    let kind = web(|path| match path {
        "/" => page("301 Moved Permanently", "Location: https://meet.example.org/app/\r\n", ""),
        "/app/" => page("302 Found", "Location: main\r\n", ""),
        "/app/main" => good("/"),
        other => good(other),
    })
    .await;
    assert_eq!((kind.index.status, kind.index.wrong), (Some(200), None));

    let endless = go("/again").await.index;
    assert_eq!((endless.status, wrong(&endless)), (Some(302), "redirects more than 5 times, at last to /again"));
    let away = go("https://parked.example/").await.index;
    assert_eq!((away.status, wrong(&away)), (Some(302), "redirects to another site: https://parked.example/"));
    let plain = go("http://meet.example.org/").await.index;
    assert_eq!(wrong(&plain), "redirects to plain HTTP: http://meet.example.org/");
    let nowhere = web(|_| page("302 Found", "", "")).await.index;
    assert_eq!(wrong(&nowhere), "answers 302 without saying where to go");
}

#[tokio::test]
async fn endless_and_broken_answers_are_bounded() {
    let headers = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(&[b"X-More: ", &vec![b'x'; 4000][..], b"\r\n"].concat()).await?;
        }
    });
    let many = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(b"A: b\r\n").await?;
        }
    });
    let body = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n").await?;
        loop {
            stream.write_all(&vec![b'x'; 16 * 1024]).await?;
        }
    });
    let chunks = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
        loop {
            stream.write_all(&[b"2000\r\n", &vec![b'x'; 0x2000][..], b"\r\n"].concat()).await?;
        }
    });
    let (headers, many, body, chunks) = tokio::join!(headers, many, body, chunks);
    for page in [headers, many] {
        assert_eq!((page.status, wrong(&page)), (None, "its headers do not end within 32 KiB"));
    }
    for page in [body, chunks] {
        assert_eq!((page.status, wrong(&page)), (Some(200), "does not end within 4 MiB, which is no page of Jitsi's"));
    }

    let drip = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
        loop {
            stream.write_all(b"x").await?;
            sleep(Duration::from_millis(50)).await;
        }
    });
    let short = index(async |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<html>").await);
    let torn = index(async |stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<html>").await?;
        Err(std::io::ErrorKind::ConnectionReset.into())
    });
    let mute = index(async |_| Ok(()));
    let other = index(async |stream| stream.write_all(b"220 mail.example.org ESMTP\r\n").await);
    let binary =
        index(async |stream| stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n<html>\xff\xfe").await);
    let (drip, short, torn, mute, other, binary) = tokio::join!(drip, short, torn, mute, other, binary);
    assert_eq!((drip.status, wrong(&drip)), (None, "no whole answer within 3 s"));
    assert_eq!(short.status, None);
    assert_eq!(wrong(&short), "begins with 200, then breaks off: the connection ends before the answer does");
    assert_eq!(torn.status, None);
    assert!(wrong(&torn).starts_with("begins with 200, then breaks off"), "{torn:?}");
    assert_eq!((mute.status, wrong(&mute)), (None, "the connection ends before the answer does"));
    assert_eq!((other.status, wrong(&other)), (None, "it does not speak HTTP"));
    assert_eq!((binary.status, wrong(&binary)), (Some(200), "is not text (invalid UTF-8)"));
}

#[tokio::test]
async fn a_page_from_a_closed_port_may_still_come() {
    let (listener, address) = listener().await;
    drop(listener);
    let web = present(at(address, &Trust::browsers(), async |door| https::pages(door).await).await);
    assert_eq!((web.api.status, wrong(&web.api)), (None, "the connection is refused"));
}

#[tokio::test]
async fn signalling_is_prosodys_own_word() {
    let see = async |answer: fn(&str) -> Vec<u8>| {
        let handle = async |path: &str, stream: &mut TlsStream<TcpStream>| stream.write_all(&answer(path)).await;
        present(behind_tls(handle, async |door| signalling::preflight(door, &Resolver::default()).await).await)
    };
    let up = see(good).await;
    assert_eq!((up.bosh.wrong, up.websocket.wrong), (None, None));
    let down = see(|_| page("502 Bad Gateway", "", "")).await;
    assert_eq!(down.bosh.status, Some(502));
    assert!(wrong(&down.bosh).contains("Prosody behind it does not answer"));
    let off = see(|path| if path == "/xmpp-websocket" { good("/") } else { good(path) }).await;
    assert_eq!(off.bosh.wrong, None);
    assert!(wrong(&off.websocket).starts_with("WebSocket is not served"));
}

// --- DNS -----------------------------------------------------------------------------------------------------------

/// How a query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Over {
    Udp,
    Tcp,
}

/// Serves DNS on one loopback port over UDP and TCP; `answer` gives the datagrams to send for each query.
async fn with_dns<T>(answer: impl Fn(&Message, Over) -> Vec<Vec<u8>>, probe: impl AsyncFnOnce(Sight) -> T) -> T {
    let (listener, address) = listener().await;
    let udp = std::net::UdpSocket::bind(address).expect("the same port for UDP");
    udp.set_nonblocking(true).expect("a socket");
    let udp = UdpSocket::from_std(udp).expect("a socket");
    let read = |bytes: &[u8]| Message::from_vec(bytes).expect("a query");
    let datagrams = async {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.expect("a query");
            for datagram in answer(&read(&buffer[..length]), Over::Udp) {
                udp.send_to(&datagram, from).await.expect("an answer");
            }
        }
    };
    let streams = serve(&listener, async |mut stream| {
        let length = stream.read_u16().await.expect("a length");
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await.expect("a query");
        for whole in answer(&read(&query), Over::Tcp) {
            let length = u16::try_from(whole.len()).expect("a length");
            let _ = stream.write_all(&[&length.to_be_bytes(), &whole[..]].concat()).await;
        }
    });
    let server = async {
        tokio::join!(datagrams, streams);
    };
    let sight = Sight { dns_servers: vec![address], dns_port: address.port(), ..sight() };
    beside(server, probe(sight)).await
}

async fn resolve(answer: impl Fn(&Message, Over) -> Vec<Vec<u8>>) -> Resolution {
    with_dns(answer, async |sight| {
        present(dns::resolve(&Internet, &sight, async { Some(Ok("nlb.example.net".to_owned())) }).await)
    })
    .await
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn v4(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

/// An empty answer to a query, with authority when no recursion was asked for.
fn reply(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.authoritative = !query.metadata.recursion_desired;
    reply.add_queries(query.queries.iter().cloned());
    reply
}

fn bytes(message: &Message) -> Vec<Vec<u8>> {
    vec![message.to_vec().expect("bytes")]
}

/// A world in which `meet.example.org` is at 1 and 2, `nlb.example.net` too, and `example.org` has two name servers,
/// one of which is nowhere.
fn records(owner: &str, kind: RecordType) -> Vec<RData> {
    let ns = |text| RData::NS(NS(name(text)));
    match (owner, kind) {
        ("meet.example.org." | "nlb.example.net.", RecordType::A) => vec![a(2), a(1)],
        ("ns1.example.org.", RecordType::A) => vec![RData::A(A(Ipv4Addr::LOCALHOST))],
        ("example.org.", RecordType::NS) => vec![ns("ns2.example.org."), ns("ns1.example.org.")],
        _ => Vec::new(),
    }
}

fn asked(query: &Message) -> (String, RecordType) {
    let question = query.queries.first().expect("a question");
    (question.name.to_ascii(), question.query_type)
}

fn usual(query: &Message) -> Message {
    let (owner, kind) = asked(query);
    let mut reply = reply(query);
    reply.add_answers(records(&owner, kind).into_iter().map(|data| Record::from_rdata(name(&owner), 60, data)));
    reply
}

fn about_host(query: &Message) -> bool {
    asked(query).0 == "meet.example.org."
}

#[tokio::test]
async fn a_name_resolves_everywhere() {
    let found = resolve(|query, _| bytes(&usual(query))).await;
    assert_eq!(found.local, Ok(vec![v4(1), v4(2)]));
    assert_eq!(found.balancer, Some(Ok(vec![v4(1), v4(2)])));
    assert_eq!(found.authorities_unseen, None);
    let [first, second] = found.authoritative.as_slice() else { panic!("{found:?}") };
    assert_eq!((first.server.as_str(), first.answer.clone()), ("ns1.example.org", Ok(vec![v4(1), v4(2)])));
    assert_eq!(first.address.map(|a| a.ip()), Some(LOOPBACK));
    assert_eq!(second.server, "ns2.example.org");
    assert!(second.answer.as_ref().is_err_and(|why| why.why.contains("has no address")));
}

#[tokio::test]
async fn no_such_name_is_an_answer() {
    let found = resolve(|query, _| {
        let mut reply = usual(query);
        if about_host(query) {
            reply.answers.clear();
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        bytes(&reply)
    })
    .await;
    assert_eq!(found.local, Ok(vec![]));
    assert_eq!(found.authoritative[0].answer, Ok(vec![]));
}

#[tokio::test]
async fn an_old_answer_is_told_apart_by_who_gives_it() {
    let found = resolve(|query, _| {
        let mut reply = usual(query);
        if about_host(query) && query.metadata.recursion_desired && asked(query).1 == RecordType::A {
            reply.answers = vec![Record::from_rdata(name("meet.example.org."), 60, a(9))];
        }
        bytes(&reply)
    })
    .await;
    assert_eq!(found.local, Ok(vec![v4(9)]));
    assert_eq!(found.authoritative[0].answer, Ok(vec![v4(1), v4(2)]));
}

#[tokio::test]
async fn a_server_without_authority_has_no_word() {
    let found = resolve(|query, _| {
        let mut reply = usual(query);
        reply.metadata.authoritative = false;
        bytes(&reply)
    })
    .await;
    assert!(found.local.is_ok());
    assert!(found.authoritative[0].answer.as_ref().is_err_and(|why| why.why.contains("authority")));
}

#[tokio::test]
async fn what_cannot_be_asked_is_unknown() {
    let silent = resolve(|_, _| Vec::new()).await;
    let why = silent.local.expect_err("no answer");
    assert_eq!(why.because, Blindness::Unreachable);
    assert!(why.why.contains("no answer"), "{why}");
    assert!(silent.authoritative.is_empty() && silent.authorities_unseen.is_some());

    let garbage = resolve(|_, _| vec![b"\x00\x01garbage".to_vec(), vec![0xff; 900], Vec::new()]).await;
    let why = garbage.local.expect_err("garbage");
    assert_eq!(why.because, Blindness::Garbled);
    assert!(garbage.balancer.is_some_and(|found| found.is_err()));

    let broken = resolve(|query, _| {
        let mut reply = reply(query);
        reply.metadata.response_code = ResponseCode::ServFail;
        bytes(&reply)
    })
    .await;
    assert!(broken.local.is_err_and(|why| why.because == Blindness::Garbled));

    let closed = with_dns(
        |_, _| Vec::new(),
        async |sight| {
            let (listener, free) = listener().await;
            drop(listener);
            dns::local(&Internet, &Sight { dns_servers: vec![free], ..sight.clone() }, &sight.site.host).await
        },
    )
    .await;
    let why = closed.expect_err("nothing there");
    assert_eq!(why.because, Blindness::Unreachable);
    assert!(why.why.contains("refused"), "{why}");
}

#[tokio::test]
async fn one_silent_authority_is_unknown_alone() {
    let found = resolve(|query, _| match asked(query) {
        (owner, RecordType::A) if owner == "ns2.example.org." => {
            let mut reply = reply(query);
            let nowhere = RData::A(A(Ipv4Addr::new(127, 0, 0, 2)));
            reply.add_answer(Record::from_rdata(name(&owner), 60, nowhere));
            bytes(&reply)
        }
        _ => bytes(&usual(query)),
    })
    .await;
    assert!(found.authoritative[0].answer.is_ok());
    assert!(found.authoritative[1].address.is_some());
    assert!(found.authoritative[1].answer.as_ref().is_err_and(|why| why.because == Blindness::Unreachable));
}

#[tokio::test]
async fn a_lost_query_is_repeated() {
    let queries = std::cell::Cell::new(0);
    let found = with_dns(
        |query, _| {
            queries.set(queries.get() + 1);
            if queries.get() <= 2 { Vec::new() } else { bytes(&usual(query)) }
        },
        async |sight| dns::local(&Internet, &sight, &sight.site.host).await,
    )
    .await;
    assert_eq!(found, Ok(vec![v4(1), v4(2)]));
}

#[tokio::test]
async fn a_slow_first_server_does_not_hold_up_the_second() {
    let found = with_dns(
        |query, _| bytes(&usual(query)),
        async |sight| {
            let mute = std::net::UdpSocket::bind((LOOPBACK, 0)).expect("a socket");
            let servers = [mute.local_addr().expect("an address")].into_iter().chain(sight.dns_servers.clone());
            dns::local(&Internet, &Sight { dns_servers: servers.collect(), ..sight.clone() }, &sight.site.host).await
        },
    )
    .await;
    assert_eq!(found, Ok(vec![v4(1), v4(2)]));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let found = resolve(|query, over| {
        let mut reply = usual(query);
        if over == Over::Udp {
            reply.metadata.truncation = true;
            reply.answers.clear();
        }
        bytes(&reply)
    })
    .await;
    assert_eq!(found.local, Ok(vec![v4(1), v4(2)]));
    assert_eq!(found.authoritative[0].answer, Ok(vec![v4(1), v4(2)]));

    let no_tcp = resolve(|query, over| {
        let mut reply = usual(query);
        reply.metadata.truncation = true;
        if over == Over::Udp { bytes(&reply) } else { vec![b"no".to_vec()] }
    })
    .await;
    assert!(no_tcp.local.is_err_and(|why| why.why.contains("TCP")));
}

#[tokio::test]
async fn guesses_of_others_are_passed_over() {
    let found = resolve(|query, _| {
        let evil = |change: fn(&mut Message)| {
            let mut reply = reply(query);
            reply.add_answer(Record::from_rdata(name(&asked(query).0), 60, a(66)));
            change(&mut reply);
            reply.to_vec().expect("bytes")
        };
        vec![
            evil(|reply| reply.metadata.id = reply.metadata.id.wrapping_add(1)),
            evil(|reply| reply.queries[0].name = name("other.example.org.")),
            evil(|reply| reply.queries.clear()),
            usual(query).to_vec().expect("bytes"),
        ]
    })
    .await;
    assert_eq!(found.local, Ok(vec![v4(1), v4(2)]));
    assert_eq!(found.authoritative[0].answer, Ok(vec![v4(1), v4(2)]));
}

#[tokio::test]
async fn aliases_are_followed_and_rings_are_not() {
    let alias = |from: &str, to: &str| Record::from_rdata(name(from), 60, RData::CNAME(CNAME(name(to))));
    // Out of the zone: its own server says only where to; the resolver knows the rest.
    let found = resolve(|query, _| {
        let mut reply = usual(query);
        if about_host(query) {
            reply.answers = vec![alias("meet.example.org.", "nlb.example.net.")];
        }
        bytes(&reply)
    })
    .await;
    assert_eq!(found.local, Ok(vec![v4(1), v4(2)]));
    assert_eq!(found.authoritative[0].answer, Ok(vec![v4(1), v4(2)]));

    let ring = resolve(|query, _| {
        let mut reply = usual(query);
        match asked(query).0.as_str() {
            "meet.example.org." => reply.answers = vec![alias("meet.example.org.", "b.example.org.")],
            "b.example.org." => reply.answers = vec![alias("b.example.org.", "meet.example.org.")],
            _ => {}
        }
        bytes(&reply)
    })
    .await;
    let why = ring.local.expect_err("a ring");
    assert_eq!(why.because, Blindness::Garbled);
    assert!(why.why.contains("do not come to an end"), "{why}");
    assert!(ring.authoritative[0].answer.is_err());
}

#[tokio::test]
async fn the_balancers_name_may_make_no_sense() {
    let found = with_dns(
        |query, _| bytes(&usual(query)),
        async |sight| present(dns::resolve(&Internet, &sight, async { Some(Ok("not a name".to_owned())) }).await),
    )
    .await;
    assert!(found.balancer.is_some_and(|found| found.is_err()));
    let none = with_dns(
        |query, _| bytes(&usual(query)),
        async |sight| present(dns::resolve(&Internet, &sight, async { None }).await),
    )
    .await;
    assert_eq!(none.balancer, None);
}

// --- The network port ----------------------------------------------------------------------------------------------

#[tokio::test]
async fn datagrams_go_to_several_peers_and_back() {
    let peer = async || {
        let socket = std::net::UdpSocket::bind((LOOPBACK, 0)).expect("a socket");
        socket.set_nonblocking(true).expect("a socket");
        let address = socket.local_addr().expect("an address");
        (UdpSocket::from_std(socket).expect("a socket"), address)
    };
    let ((one, first), (two, second)) = (peer().await, peer().await);
    let echo = async |socket: &UdpSocket| {
        let mut buffer = [0; 64];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
            socket.send_to(&buffer[..length], from).await.expect("sent");
        }
    };
    let server = async {
        tokio::join!(echo(&one), echo(&two));
    };
    let talk = async {
        let socket = Internet.udp(LOOPBACK).await.expect("a socket");
        assert_eq!(socket.local().ip(), LOOPBACK);
        // The second peer comes while we are already waiting for the first.
        let mut buffer = [0; 64];
        let (heard, sent) = tokio::join!(socket.receive(&mut buffer), async {
            sleep(Duration::from_millis(20)).await;
            socket.send(second, b"two").await
        });
        assert_eq!((heard, sent), (Ok((3, second)), Ok(())));
        socket.send(first, b"first").await.expect("sent");
        let mut buffer = [0; 64];
        assert_eq!(socket.receive(&mut buffer).await, Ok((5, first)));
        assert_eq!(&buffer[..5], b"first");
    };
    beside(server, talk).await;
}

#[tokio::test]
async fn a_closed_udp_port_is_refused() {
    let free = std::net::UdpSocket::bind((LOOPBACK, 0)).and_then(|s| s.local_addr()).expect("a port");
    let socket = Internet.udp(LOOPBACK).await.expect("a socket");
    socket.send(free, b"?").await.expect("sent");
    let heard = tokio::time::timeout(Duration::from_secs(5), socket.receive(&mut [0; 64])).await;
    assert_eq!(heard.expect("an answer"), Err(NetError::Refused));
}

#[tokio::test]
async fn a_closed_tcp_port_is_refused() {
    let (listener, address) = listener().await;
    drop(listener);
    assert_eq!(Internet.tcp(address).await.err(), Some(NetError::Refused));
}
