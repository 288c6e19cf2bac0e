//! The sandbox's network: real DNS, TLS and HTTP, in memory.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use meetctl::domain::observed::BalancerState;
use meetctl::world::sandbox;
use meetctl::world::{NetError, World};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{SEED, host, open};

use crate::story;

/// Connects to the platform as a browser would.
async fn shake_hands(world: &World) -> Result<TlsStream<Box<dyn meetctl::world::Duplex>>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(world.clock))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(Arc::clone(&world.trust.browsers))
        .with_no_client_auth();
    let stream = world.net.tcp(SocketAddr::from((sandbox::BALANCER[0], 443))).await.map_err(|e| e.to_string())?;
    let name = ServerName::try_from(sandbox::HOST).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| e.to_string())
}

/// Status and body of a page.
async fn page(world: &World, path: &str) -> Result<(StatusCode, String), String> {
    let tls = shake_hands(world).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| e.to_string())?;
    let request = Request::get(path).header("host", sandbox::HOST).body(Empty::<Bytes>::new()).expect("a request");
    let talk = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::select! {
        answer = talk => answer,
        end = connection => Err(format!("the connection ended: {end:?}")),
    }
}

mod web {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_story_one_certificate() {
        let (one, two) = (open(story("running")).0, open(story("running")).0);
        let first = shake_hands(&one).await.expect("trusted");
        let second = shake_hands(&two).await.expect("trusted");
        let chain = |tls: &TlsStream<_>| tls.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        assert!(chain(&first).is_some());
        assert_eq!(chain(&first), chain(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_platform_serves_jitsi() {
        let (world, _) = open(story("running"));
        for (path, words) in [
            ("/", "<title>Jitsi Meet</title>"),
            ("/any-room", "<title>Jitsi Meet</title>"),
            ("/config.js", "config.websocket = 'wss://meet.example.org/' + subdir + 'xmpp-websocket';"),
            ("/external_api.js", "JitsiMeetExternalAPI"),
            ("/http-bind", "BOSH endpoint"),
            ("/xmpp-websocket?room=x", "WebSocket endpoint"),
        ] {
            let (status, body) = page(&world, path).await.expect(path);
            assert_eq!(status, StatusCode::OK, "{path}");
            assert!(body.contains(words), "{path}: {body}");
        }
        assert_eq!(page(&world, "/no/such").await.expect("an answer").0, StatusCode::NOT_FOUND);
    }

    #[tokio::test(start_paused = true)]
    async fn stories_show_in_the_pages() {
        let answer = |story, path| async move { page(&open(story).0, path).await.expect("an answer") };
        assert_eq!(answer(story("https-502"), "/").await.0, StatusCode::BAD_GATEWAY);
        assert!(answer(story("not-jitsi"), "/config.js").await.1.contains("Welcome to nginx!"));
        assert!(answer(story("websocket-blocked"), "/xmpp-websocket").await.1.contains("Jitsi Meet"));
        assert!(answer(story("websocket-blocked"), "/http-bind").await.1.contains("BOSH endpoint"));
    }

    #[tokio::test(start_paused = true)]
    async fn stories_show_in_the_certificate() {
        for (story, words) in [
            (story("expired-certificate"), "expired"),
            (story("wrong-name"), "not valid for name"),
            (story("running"), ""),
        ] {
            match shake_hands(&open(story).0).await {
                Ok(_) => assert_eq!(words, "", "{story}"),
                Err(why) => assert!(!words.is_empty() && why.contains(words), "{story}: {why}"),
            }
        }
        assert!(shake_hands(&open(story("certificate-expiring")).0).await.is_ok());
    }

    /// Reset without a target, then TLS without anybody behind it, then pages.
    #[tokio::test(start_paused = true)]
    async fn a_starting_platform_comes_up_in_order() {
        let (world, _) = open(story("slow-start"));
        assert_eq!(shake_hands(&world).await.err().as_deref(), Some("connection reset"));
        world.cloud.start().await.expect("accepted");
        let mut seen = Vec::new();
        for _ in 0..300 {
            let now = match page(&world, "/").await {
                Ok((status, _)) => status.as_str().to_owned(),
                Err(why) if why == "connection reset" => why,
                Err(_) => "nobody behind it".to_owned(),
            };
            if seen.last() != Some(&now) {
                seen.push(now);
            }
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(seen, ["connection reset", "nobody behind it", "200"]);
    }

    #[tokio::test(start_paused = true)]
    async fn prosody_may_come_after_the_web() {
        let mut seen = BTreeSet::new();
        for seed in 0..20 {
            let (world, handle) = sandbox::world(story("slow-start"), None, seed);
            world.cloud.start().await.expect("accepted");
            for _ in 0..300 {
                if handle.front().is_some_and(|front| front.web && !front.prosody) {
                    seen.insert(page(&world, "/http-bind").await.expect("an answer").0.as_u16());
                    seen.insert(page(&world, "/").await.expect("an answer").0.as_u16());
                    break;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }
        assert_eq!(seen, BTreeSet::from([200, 502]));
    }

    #[tokio::test(start_paused = true)]
    async fn other_places_do_not_answer() {
        let (world, _) = open(story("running"));
        let connect = |address: [u8; 4], port| world.net.tcp(SocketAddr::from((address, port)));
        assert_eq!(connect([198, 51, 100, 20], 80).await.err(), Some(NetError::TimedOut));
        assert_eq!(connect([203, 0, 113, 1], 443).await.err(), Some(NetError::TimedOut));
        assert_eq!(connect([192, 0, 2, 53], 53).await.err(), Some(NetError::Refused));
        let (world, _) = open(story("powered-down"));
        let gone = world.net.tcp(SocketAddr::from((sandbox::BALANCER[0], 443))).await.err();
        assert_eq!(gone, Some(NetError::TimedOut));
    }
}

mod websocket {
    use super::*;
    use async_trait::async_trait;
    use hyper::http::request::Parts;
    use hyper::upgrade::Upgraded;
    use meetctl::world::Datagrams;
    use meetctl::world::sandbox::Meeting;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Echo;

    #[async_trait]
    impl Meeting for Echo {
        async fn websocket(&self, asked: Parts, mut stream: TokioIo<Upgraded>) {
            let query = asked.uri.query().unwrap_or_default().to_owned();
            stream.write_all(query.as_bytes()).await.expect("written");
            let mut four = [0; 4];
            stream.read_exact(&mut four).await.expect("read");
            sleep(Duration::from_secs(3)).await;
            stream.write_all(&four).await.expect("written");
        }

        fn udp(&self, _: SocketAddr, _: IpAddr) -> Option<Box<dyn Datagrams>> {
            None
        }
    }

    async fn ask(world: &World) -> (TlsStream<Box<dyn meetctl::world::Duplex>>, String) {
        let mut tls = shake_hands(world).await.expect("trusted");
        let request = "GET /xmpp-websocket?room=probe HTTP/1.1\r\nHost: meet.example.org\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: xmpp\r\n\r\n";
        tls.write_all(request.as_bytes()).await.expect("written");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tls.read_u8().await.expect("an answer"));
        }
        (tls, String::from_utf8_lossy(&head).to_lowercase())
    }

    #[tokio::test(start_paused = true)]
    async fn a_meeting_is_handed_the_upgraded_stream() {
        let (world, _) = sandbox::world_with(story("running"), None, SEED, Some(Arc::new(Echo)));
        let (mut tls, head) = ask(&world).await;
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        assert!(head.contains("sec-websocket-protocol: xmpp"), "{head}");
        let mut query = [0; 10];
        tls.read_exact(&mut query).await.expect("the query");
        assert_eq!(&query, b"room=probe");
        tls.write_all(b"ping").await.expect("written");
        let mut echo = [0; 4];
        let before = world.clock.now();
        tls.read_exact(&mut echo).await.expect("the echo");
        assert_eq!((&echo, world.clock.now().duration_since(before).as_secs()), (b"ping", 3));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_meeting_there_is_no_upgrade() {
        let (_, head) = ask(&sandbox::world_with(story("running"), None, SEED, None).0).await;
        assert!(head.starts_with("http/1.1 501"), "{head}");
    }
}

mod dns {
    use super::*;

    async fn ask(world: &World, server: IpAddr, name: &str, kind: RecordType) -> Message {
        let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        let socket = world.net.udp(server).await.expect("a socket");
        socket.send(SocketAddr::new(server, 53), &query.to_vec().expect("bytes")).await.expect("sent");
        let mut buffer = [0; 1500];
        let (size, from) = socket.receive(&mut buffer).await.expect("an answer");
        assert_eq!(from, SocketAddr::new(server, 53));
        let answer = Message::from_vec(&buffer[..size]).expect("a message");
        assert_eq!(answer.metadata.id, 4711);
        answer
    }

    fn addresses(answer: &Message) -> Vec<IpAddr> {
        let address = |data: &RData| if let RData::A(a) = data { Some(IpAddr::V4(a.0)) } else { None };
        answer.answers.iter().filter_map(|record| address(&record.data)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn every_server_knows_the_platform() {
        let (world, _) = open(story("standby"));
        let resolver = world.net.name_servers()[0];
        assert_eq!(resolver, "192.0.2.53:53".parse().expect("an address"));
        let servers = ask(&world, resolver.ip(), "example.org.", RecordType::NS).await;
        assert_eq!(servers.answers.len(), 2);
        let balancer = world.cloud.balancer().await.expect("readable").expect("a load balancer");
        assert_eq!(balancer.state, BalancerState::Active);
        for server in [resolver.ip(), sandbox::AUTHORITIES[0].1.into(), sandbox::AUTHORITIES[1].1.into()] {
            let answer = ask(&world, server, "meet.example.org.", RecordType::A).await;
            assert_eq!(addresses(&answer), sandbox::BALANCER.map(IpAddr::V4));
            assert_eq!(answer.metadata.authoritative, server != resolver.ip());
            let none = ask(&world, server, "meet.example.org.", RecordType::AAAA).await;
            assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        }
        let own = ask(&world, resolver.ip(), &format!("{}.", balancer.dns_name), RecordType::A).await;
        assert_eq!(addresses(&own), sandbox::BALANCER.map(IpAddr::V4));
        let server = ask(&world, resolver.ip(), &format!("{}.", sandbox::AUTHORITIES[0].0), RecordType::A).await;
        assert_eq!(addresses(&server), [IpAddr::V4(sandbox::AUTHORITIES[0].1)]);
        let elsewhere = ask(&world, sandbox::AUTHORITIES[0].1.into(), "example.com.", RecordType::A).await;
        assert_eq!(elsewhere.metadata.response_code, ResponseCode::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_a_record_does_not_exist() {
        let (world, _) = open(story("fresh"));
        for server in [sandbox::RESOLVER, sandbox::AUTHORITIES[0].1] {
            let answer = ask(&world, server.into(), "meet.example.org.", RecordType::A).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_record_points_elsewhere() {
        let (world, _) = open(story("dns-stale"));
        let found = world.net.resolve(&host()).await.expect("an answer");
        assert!(!found.is_empty() && !sandbox::BALANCER.iter().any(|a| found.contains(&IpAddr::V4(*a))), "{found:?}");
        let record = world.cloud.record().await.expect("readable").expect("a record");
        let balancer = world.cloud.balancer().await.expect("readable").expect("a load balancer");
        assert_ne!(record.targets, [format!("{}.", balancer.dns_name)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_silence() {
        let (world, _) = open(story("running"));
        let socket = world.net.udp(IpAddr::V4(sandbox::BALANCER[0])).await.expect("a socket");
        socket.send(SocketAddr::from((sandbox::BALANCER[0], 10_000)), b"hello").await.expect("sent");
        assert!(timeout(Duration::from_secs(10), socket.receive(&mut [0; 100])).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nonsense_is_not_answered() {
        let (world, _) = open(story("running"));
        let server = IpAddr::V4(sandbox::RESOLVER);
        let socket = world.net.udp(server).await.expect("a socket");
        for nonsense in [&b""[..], b"x", &[0; 12], &[0xff; 512]] {
            socket.send(SocketAddr::new(server, 53), nonsense).await.expect("sent");
        }
        assert!(timeout(Duration::from_secs(5), socket.receive(&mut [0; 100])).await.is_err());
    }
}
