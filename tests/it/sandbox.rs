//! The sandbox: that its stories are what they say, the same every time, and kept between two invocations.

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
use jiff::{SignedDuration, Timestamp};
use meetctl::domain::cause;
use meetctl::domain::name::Host;
use meetctl::domain::observed::{BalancerState, Health, Rollout, TargetState, Task};
use meetctl::world::sandbox::store::{Store, StoreError};
use meetctl::world::sandbox::{self, EPOCH, Handle, Story};
use meetctl::world::{Cloud, CloudErrorKind, NetError, World};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::contract;

const SEED: u64 = 7;

fn open(story: Story) -> (World, Handle) {
    sandbox::world(story, None, SEED)
}

fn host() -> Host {
    sandbox::HOST.parse().expect("a host")
}

/// Starts, and waits until all of it truly works.
async fn start(world: &World, handle: &Handle) {
    world.cloud.start().await.expect("a start is accepted");
    for _ in 0..600 {
        if handle.ready_at().is_some_and(|at| at <= world.clock.now()) {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("it was never ready");
}

async fn live(cloud: &dyn Cloud) -> Vec<Task> {
    cloud.tasks().await.expect("readable").into_iter().filter(|task| task.stopped.is_none()).collect()
}

mod contracts {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_a_fresh_account() {
        let (world, _) = open(Story::Fresh);
        contract::absent_is_none(&*world.cloud).await;
        contract::absent_cannot_be_changed(&*world.cloud).await;
        contract::identity_has_an_account(&*world.cloud).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_platform() {
        let (world, _) = open(Story::Standby);
        contract::identity_has_an_account(&*world.cloud).await;
        contract::groups_are_known(&*world.cloud).await;
        contract::start_is_read_back(&*world.cloud).await;
        contract::starts_differ(&*world.cloud).await;
        contract::mark_is_read_back(&*world.cloud).await;
        contract::nothing_is_unprotected(&*world.cloud).await;
        contract::stop_is_idempotent(&*world.cloud).await;
    }
}

mod time {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_through_the_states_of_a_task() {
        let (world, handle) = open(Story::Standby);
        assert_eq!(world.clock.now().to_string(), "2026-11-20T18:50:00Z");
        let deployment = world.cloud.start().await.expect("accepted");
        let mut seen = Vec::new();
        for _ in 0..300 {
            for task in live(&*world.cloud).await {
                assert_eq!(task.deployment.as_ref(), Some(&deployment));
                if seen.last() != Some(&(task.last_status.clone(), task.health)) {
                    seen.push((task.last_status, task.health));
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
        let expected = [
            ("PROVISIONING", Health::Unknown),
            ("PENDING", Health::Unknown),
            ("ACTIVATING", Health::Unknown),
            ("RUNNING", Health::Unknown),
            ("RUNNING", Health::Healthy),
        ];
        assert_eq!(seen, expected.map(|(status, health)| (status.to_owned(), health)));
        let took = handle.ready_at().expect("ready").duration_since(EPOCH);
        assert!((SignedDuration::from_secs(120)..SignedDuration::from_secs(260)).contains(&took), "{took}");
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!((service.running, service.pending), (1, 0));
        assert_eq!(service.primary().map(|p| p.rollout), Some(Rollout::Completed));
        assert!(service.events[0].message.ends_with("has reached a steady state."), "{:?}", service.events);
    }

    #[tokio::test(start_paused = true)]
    async fn targets_are_registered_before_they_are_healthy_and_drain_in_the_end() {
        let (world, handle) = open(Story::Standby);
        let service = world.cloud.service().await.expect("readable").expect("a service");
        let group = &service.target_groups[0].group;
        world.cloud.start().await.expect("accepted");
        let mut seen = Vec::new();
        for second in 0..400 {
            if second == 300 {
                assert!(handle.ready_at().is_some_and(|at| at < world.clock.now()));
                world.cloud.stop().await.expect("accepted");
            }
            let targets = world.cloud.targets(group).await.expect("readable").expect("a group");
            let state = targets.first().map(|target| target.state);
            if seen.last() != Some(&state) {
                seen.push(state);
            }
            sleep(Duration::from_secs(1)).await;
        }
        use TargetState::*;
        assert_eq!(seen, [None, Some(Initial), Some(Healthy), Some(Draining), None]);
        let stopped = &world.cloud.tasks().await.expect("readable")[0];
        let stop = stopped.stopped.as_ref().expect("it has stopped");
        assert!(stop.reason.starts_with("Scaling activity initiated by (deployment ecs-svc/"), "{stop:?}");
        sleep(Duration::from_secs(3700)).await;
        assert_eq!(world.cloud.tasks().await, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_forced_deployment_stops_the_old_task_first() {
        let (world, handle) = open(Story::Running);
        let old = live(&*world.cloud).await[0].id.clone();
        let deployment = world.cloud.start().await.expect("accepted");
        for _ in 0..300 {
            let tasks = live(&*world.cloud).await;
            assert!(tasks.len() <= 1, "never two at once: {tasks:?}");
            sleep(Duration::from_secs(1)).await;
        }
        let tasks = live(&*world.cloud).await;
        assert_ne!(tasks[0].id, old);
        assert_eq!(tasks[0].deployment, Some(deployment));
        assert!(handle.ready_at().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn looking_seldom_or_often_shows_the_same() {
        let mut shown = BTreeSet::new();
        for step in [1, 7, 300] {
            let (world, handle) = open(Story::ImageGone);
            world.cloud.start().await.expect("accepted");
            let began = world.clock.now();
            let mut at = 0;
            while at < 300 {
                sleep(Duration::from_secs(step)).await;
                at += step;
                handle.saved();
            }
            let end = began + SignedDuration::from_secs(300);
            let now = world.clock.now();
            sleep(Duration::try_from(end.duration_since(now)).unwrap_or_default()).await;
            let model = handle.saved().model;
            shown.insert(format!("{:?}", model.jobs));
        }
        assert_eq!(shown.len(), 1, "{shown:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_meeting_protects_its_task_until_it_ends() {
        let (world, _) = open(Story::Meeting);
        let count = world.cloud.occupancy(EPOCH - SignedDuration::from_secs(90)).await.expect("readable");
        let count = count.expect("a line");
        assert_eq!((count.conferences, count.participants), (2, 7));
        world.cloud.stop().await.expect("accepted");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(live(&*world.cloud).await.len(), 1, "it is protected");
        sleep(Duration::from_secs(600)).await;
        assert_eq!(live(&*world.cloud).await, [], "everybody has left");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unprotected_task_stops_at_once() {
        let (world, _) = open(Story::Meeting);
        let task = live(&*world.cloud).await[0].id.clone();
        world.cloud.unprotect(&[task]).await.expect("accepted");
        world.cloud.stop().await.expect("accepted");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(live(&*world.cloud).await, []);
    }
}

mod same_every_time {
    use super::*;

    async fn run(seed: u64) -> String {
        let (world, handle) = sandbox::world(Story::SlowStart, None, seed);
        world.cloud.start().await.expect("accepted");
        let mut shown = String::new();
        for _ in 0..60 {
            shown += &format!("{:?}\n{:?}\n", world.cloud.service().await, world.cloud.tasks().await);
            sleep(Duration::from_secs(7)).await;
        }
        shown + &serde_json::to_string(&handle.saved()).expect("it can be written")
    }

    #[tokio::test(start_paused = true)]
    async fn one_seed_one_story() {
        let first = run(1).await;
        assert_eq!(first, run(1).await);
        assert_ne!(first, run(2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_story_one_certificate() {
        let (one, two) = (open(Story::Running).0, open(Story::Running).0);
        let first = shake_hands(&one).await.expect("trusted");
        let second = shake_hands(&two).await.expect("trusted");
        let chain = |tls: &TlsStream<_>| tls.get_ref().1.peer_certificates().map(<[_]>::to_vec);
        assert!(chain(&first).is_some());
        assert_eq!(chain(&first), chain(&second));
    }
}

mod stories {
    use super::*;

    /// What the cause of a failed start is called, and when it was certain, in seconds after it was asked for.
    async fn failure(story: Story, within: u64) -> (String, bool, i64) {
        let (world, handle) = open(story);
        let deployment = world.cloud.start().await.expect("accepted");
        let asked = world.clock.now();
        let mut cause = None;
        for _ in 0..within {
            let service = world.cloud.service().await.expect("readable").expect("a service");
            let tasks = world.cloud.tasks().await.expect("readable");
            cause = cause::of(&service, &tasks, &deployment);
            if cause.as_ref().is_some_and(|c| c.certain) {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(handle.ready_at(), None, "it never works");
        let cause = cause.unwrap_or_else(|| panic!("{story} fails"));
        (cause.what, cause.certain, world.clock.now().duration_since(asked).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn failed_starts_are_recognised_by_their_words() {
        let expected = [
            (Story::ImageGone, "the image ghcr.io/jitsi/jvb:stable-11146-2x does not exist", 60..=72),
            (Story::SecretDenied, "the task's secrets could not be read", 40..=75),
            (Story::OutOfMemory, "the container jvb ran out of memory", 100..=260),
            (Story::CrashLoop, "the container prosody ended by itself (exit code 1)", 90..=240),
            (Story::NoCapacity, "AWS has no Fargate capacity free in these zones", 5..=12),
            (Story::VcpuQuota, "the account's quota of Fargate vCPUs is used up", 5..=12),
            (Story::UnhealthyTarget, "the load balancer found the task unhealthy", 600..=900),
        ];
        for (story, what, when) in expected {
            let (found, certain, seconds) = failure(story, 900).await;
            assert_eq!((found.as_str(), certain), (what, true), "{story}");
            assert!(when.contains(&seconds), "{story}: {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ecs_gives_up_after_three_failures() {
        let (world, _) = open(Story::ImageGone);
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(600)).await;
        let service = world.cloud.service().await.expect("readable").expect("a service");
        let primary = service.primary().expect("a deployment");
        assert_eq!((primary.rollout, primary.failed), (Rollout::Failed, 3));
        assert!(service.events[0].message.contains("deployment failed: tasks failed to start"));
        assert_eq!(live(&*world.cloud).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_of_a_crash_says_why() {
        let (world, _) = open(Story::CrashLoop);
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(100)).await;
        let task = world.cloud.tasks().await.expect("readable")[0].id.clone();
        let log = world.cloud.log_tail(&task, "prosody", 20).await.expect("readable").expect("a stream");
        assert!(log.iter().any(|line| line.starts_with("FATAL ERROR")), "{log:?}");
        let log = world.cloud.log_tail(&task, "occupancy", 20).await.expect("readable").expect("a stream");
        assert!(log.iter().all(|line| line.starts_with('{')), "{log:?}");
        assert_eq!(world.cloud.log_tail(&task, "no-such-container", 20).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_refused_as_the_story_says() {
        for story in [Story::TokenExpired, Story::AwsUnreachable, Story::Throttled, Story::Denied] {
            let (world, _) = open(story);
            let identity = world.cloud.identity().await.map_err(|e| e.kind);
            let service = world.cloud.service().await.map_err(|e| e.kind);
            let group = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/x/0".parse().expect("an ARN");
            let targets = world.cloud.targets(&group).await.map_err(|e| e.kind);
            match story {
                Story::TokenExpired => assert_eq!(identity.err(), Some(CloudErrorKind::SignIn)),
                Story::AwsUnreachable => assert_eq!(identity.err(), Some(CloudErrorKind::Unreachable)),
                Story::Throttled => assert_eq!(service.err(), Some(CloudErrorKind::Throttled)),
                _ => assert_eq!((service.is_ok(), targets.err()), (true, Some(CloudErrorKind::Denied))),
            }
        }
        let (world, _) = open(Story::WrongAccount);
        assert_eq!(world.cloud.identity().await.expect("signed in").account.as_str(), "444455556666");
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_else_scales_down_meanwhile() {
        let (world, _) = open(Story::TugOfWar);
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 1);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 0);
        assert_eq!(live(&*world.cloud).await, []);
    }

    #[tokio::test(start_paused = true)]
    async fn stale_reads_end() {
        let (world, _) = open(Story::StaleReads);
        let deployment = world.cloud.start().await.expect("accepted");
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!(service.desired, 0, "what was before");
        assert!(service.deployments.iter().all(|d| d.id != deployment));
        sleep(Duration::from_secs(9)).await;
        assert_eq!(world.cloud.service().await.expect("readable").expect("a service").desired, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn powered_down_has_nothing_with_an_hourly_price() {
        let (world, _) = open(Story::PoweredDown);
        let service = world.cloud.service().await.expect("readable").expect("a service");
        assert_eq!((service.desired, service.target_groups.len()), (0, 0));
        assert_eq!(world.cloud.balancer().await, Ok(None));
        assert_eq!(world.cloud.record().await, Ok(None));
        assert!(world.cloud.secret().await.expect("readable").is_some());
        assert_eq!(world.net.resolve(&host()).await, Ok(Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_of_people_may_be_old() {
        for (story, age) in [(Story::Running, 0..=35), (Story::OccupancyStale, 360..=390)] {
            let (world, _) = open(story);
            let line = world.cloud.occupancy(EPOCH - SignedDuration::from_hours(1)).await.expect("readable");
            let seconds = world.clock.now().duration_since(line.expect("a line").time).as_secs();
            assert!(age.contains(&seconds), "{story}: {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_starts_lie_for_a_while_and_are_ready_in_the_end() {
        let mut flapped = 0;
        for seed in 0..40 {
            let (world, handle) = sandbox::world(Story::SlowStart, None, seed);
            world.cloud.start().await.expect("accepted");
            let (mut was_healthy, mut took_back) = (false, false);
            for _ in 0..500 {
                let healthy = live(&*world.cloud).await.first().map(|task| task.health);
                took_back |= was_healthy && healthy == Some(Health::Unhealthy);
                was_healthy |= healthy == Some(Health::Healthy);
                sleep(Duration::from_secs(1)).await;
            }
            flapped += u32::from(took_back);
            let ready = handle.ready_at().expect("it works in the end");
            assert!(ready < world.clock.now(), "seed {seed}: {ready}");
        }
        assert!(flapped > 0, "some call themselves healthy too soon");
    }

    #[test]
    fn every_story_has_a_name_and_a_line() {
        let names: BTreeSet<&str> = Story::ALL.iter().map(|story| story.name()).collect();
        assert_eq!(names.len(), Story::ALL.len());
        for story in Story::ALL {
            assert_eq!(story.name().parse(), Ok(story));
            assert_eq!(serde_json::to_value(story).expect("a word"), story.name());
            assert!(!story.about().is_empty());
        }
        assert!("no-such-story".parse::<Story>().is_err());
        assert_eq!(Story::default(), Story::Standby);
    }
}

/// Connects to the platform as a browser would.
async fn shake_hands(world: &World) -> Result<TlsStream<Box<dyn meetctl::world::Duplex>>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(world.clock))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(Arc::clone(&world.trust.browsers))
        .with_no_client_auth();
    let stream = world.net.tcp(SocketAddr::from((sandbox::BALANCER, 443))).await.map_err(|e| e.to_string())?;
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
    async fn a_running_platform_serves_jitsi() {
        let (world, _) = open(Story::Running);
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
        assert_eq!(answer(Story::Https502, "/").await.0, StatusCode::BAD_GATEWAY);
        assert!(answer(Story::NotJitsi, "/config.js").await.1.contains("Welcome to nginx!"));
        assert!(answer(Story::WebsocketBlocked, "/xmpp-websocket").await.1.contains("Jitsi Meet"));
        assert!(answer(Story::WebsocketBlocked, "/http-bind").await.1.contains("BOSH endpoint"));
    }

    #[tokio::test(start_paused = true)]
    async fn stories_show_in_the_certificate() {
        for (story, words) in
            [(Story::ExpiredCertificate, "expired"), (Story::WrongName, "not valid for name"), (Story::Running, "")]
        {
            match shake_hands(&open(story).0).await {
                Ok(_) => assert_eq!(words, "", "{story}"),
                Err(why) => assert!(!words.is_empty() && why.contains(words), "{story}: {why}"),
            }
        }
        assert!(shake_hands(&open(Story::CertificateExpiring).0).await.is_ok());
    }

    /// Reset without a target, then TLS without anybody behind it, then pages.
    #[tokio::test(start_paused = true)]
    async fn a_starting_platform_comes_up_in_order() {
        let (world, _) = open(Story::SlowStart);
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
            let (world, handle) = sandbox::world(Story::SlowStart, None, seed);
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
        let (world, _) = open(Story::Running);
        let connect = |address: [u8; 4], port| world.net.tcp(SocketAddr::from((address, port)));
        assert_eq!(connect([198, 51, 100, 20], 80).await.err(), Some(NetError::TimedOut));
        assert_eq!(connect([203, 0, 113, 1], 443).await.err(), Some(NetError::TimedOut));
        assert_eq!(connect([192, 0, 2, 53], 53).await.err(), Some(NetError::Refused));
        let (world, _) = open(Story::PoweredDown);
        let gone = world.net.tcp(SocketAddr::from((sandbox::BALANCER, 443))).await.err();
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
        let (world, _) = sandbox::world_with(Story::Running, None, SEED, Some(Arc::new(Echo)));
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
        let (_, head) = ask(&open(Story::Running).0).await;
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
        let (world, _) = open(Story::Standby);
        let resolver = world.net.name_servers()[0];
        assert_eq!(resolver, "192.0.2.53:53".parse().expect("an address"));
        let servers = ask(&world, resolver.ip(), "example.org.", RecordType::NS).await;
        assert_eq!(servers.answers.len(), 2);
        let balancer = world.cloud.balancer().await.expect("readable").expect("a load balancer");
        assert_eq!(balancer.state, BalancerState::Active);
        for server in [resolver.ip(), sandbox::AUTHORITIES[0].1.into(), sandbox::AUTHORITIES[1].1.into()] {
            let answer = ask(&world, server, "meet.example.org.", RecordType::A).await;
            assert_eq!(addresses(&answer), [IpAddr::V4(sandbox::BALANCER)]);
            assert_eq!(answer.metadata.authoritative, server != resolver.ip());
            let none = ask(&world, server, "meet.example.org.", RecordType::AAAA).await;
            assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
        }
        let own = ask(&world, resolver.ip(), &format!("{}.", balancer.dns_name), RecordType::A).await;
        assert_eq!(addresses(&own), [IpAddr::V4(sandbox::BALANCER)]);
        let server = ask(&world, resolver.ip(), &format!("{}.", sandbox::AUTHORITIES[0].0), RecordType::A).await;
        assert_eq!(addresses(&server), [IpAddr::V4(sandbox::AUTHORITIES[0].1)]);
        let elsewhere = ask(&world, sandbox::AUTHORITIES[0].1.into(), "example.com.", RecordType::A).await;
        assert_eq!(elsewhere.metadata.response_code, ResponseCode::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_a_record_does_not_exist() {
        let (world, _) = open(Story::PoweredDown);
        for server in [sandbox::RESOLVER, sandbox::AUTHORITIES[0].1] {
            let answer = ask(&world, server.into(), "meet.example.org.", RecordType::A).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_record_points_elsewhere() {
        let (world, _) = open(Story::DnsStale);
        let found = world.net.resolve(&host()).await.expect("an answer");
        assert!(!found.is_empty() && !found.contains(&IpAddr::V4(sandbox::BALANCER)), "{found:?}");
        let record = world.cloud.record().await.expect("readable").expect("a record");
        let balancer = world.cloud.balancer().await.expect("readable").expect("a load balancer");
        assert_ne!(record.targets, [format!("{}.", balancer.dns_name)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_silence() {
        let (world, _) = open(Story::Running);
        let socket = world.net.udp(IpAddr::V4(sandbox::BALANCER)).await.expect("a socket");
        socket.send(SocketAddr::from((sandbox::BALANCER, 10_000)), b"hello").await.expect("sent");
        assert!(timeout(Duration::from_secs(10), socket.receive(&mut [0; 100])).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nonsense_is_not_answered() {
        let (world, _) = open(Story::Running);
        let server = IpAddr::V4(sandbox::RESOLVER);
        let socket = world.net.udp(server).await.expect("a socket");
        for nonsense in [&b""[..], b"x", &[0; 12], &[0xff; 512]] {
            socket.send(SocketAddr::new(server, 53), nonsense).await.expect("sent");
        }
        assert!(timeout(Duration::from_secs(5), socket.receive(&mut [0; 100])).await.is_err());
    }
}

mod kept {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_story_goes_on_where_it_was_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path().join("not/yet/there"));
        assert!(store.load(Story::Standby).expect("nothing is no error").is_none());
        let (world, handle) = open(Story::Standby);
        start(&world, &handle).await;
        let left = world.clock.now();
        store.save(&handle.saved()).expect("kept");

        let saved = store.load(Story::Standby).expect("readable").expect("kept");
        assert_eq!(saved, handle.saved());
        let (world, handle) = sandbox::world(Story::Standby, Some(saved), 99);
        assert_eq!(world.clock.now(), left);
        assert!(handle.ready_at().is_some_and(|at| at <= left));
        assert_eq!(live(&*world.cloud).await.len(), 1);
        assert!(store.load(Story::Running).expect("nothing is no error").is_none(), "each story has its own");

        store.forget(Story::Standby).expect("forgotten");
        store.forget(Story::Standby).expect("forgetting twice is no error");
        assert!(store.load(Story::Standby).expect("nothing is no error").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_of_no_use_is_an_error_and_no_panic() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::new(directory.path());
        let (_, handle) = open(Story::Standby);
        let good = serde_json::to_value(handle.saved()).expect("it can be written");
        let mut bad: Vec<Vec<u8>> = vec![b"".into(), b"{".into(), b"[]".into(), b"null".into(), vec![0xff; 40]];
        let changes = [
            ("/now", "9999-01-01T00:00:00Z".into()),
            ("/now", "1970-01-01T00:00:00Z".into()),
            ("/now", "yesterday".into()),
            ("/model/story", "running".into()),
            ("/model/story", "no-such-story".into()),
            ("/model/asks", serde_json::json!([{"at": "now"}])),
            ("/model/seed", (-1).into()),
            ("/version", "one".into()),
        ];
        for (place, value) in changes {
            let mut state = good.clone();
            *state.pointer_mut(place).expect("it is there") = value;
            bad.push(state.to_string().into_bytes());
        }
        for text in bad {
            std::fs::write(store.path(Story::Standby), &text).expect("written");
            let found = store.load(Story::Standby);
            assert!(matches!(found, Err(StoreError::Damaged { .. })), "{}: {found:?}", String::from_utf8_lossy(&text));
        }
        let mut newer = good.clone();
        newer["version"] = 2.into();
        newer["shape"] = "of the future".into();
        std::fs::write(store.path(Story::Standby), newer.to_string()).expect("written");
        assert!(matches!(store.load(Story::Standby), Err(StoreError::Newer { found: 2, .. })));

        std::fs::remove_file(store.path(Story::Standby)).expect("removed");
        std::fs::create_dir(store.path(Story::Standby)).expect("made");
        assert!(matches!(store.load(Story::Standby), Err(StoreError::Unusable { .. })));
        assert!(store.save(&handle.saved()).is_err());
        assert_eq!(std::fs::read_dir(directory.path()).expect("readable").count(), 1, "no draft is left");
    }

    /// Whatever times and numbers a readable state has, looking at it does not panic.
    #[tokio::test(start_paused = true)]
    async fn an_absurd_state_does_not_panic() {
        let (world, handle) = open(Story::OutOfMemory);
        world.cloud.start().await.expect("accepted");
        sleep(Duration::from_secs(200)).await;
        let good = serde_json::to_value(handle.saved()).expect("it can be written");
        for (place, value) in [
            ("/model/asks/1/at", serde_json::json!("9999-12-30T00:00:00Z")),
            ("/model/asks/1/at", serde_json::json!("-009999-01-02T01:59:59Z")),
            ("/model/jobs/0/path/running", u64::MAX.into()),
            ("/model/jobs/0/path/activating", u64::MAX.into()),
            ("/model/jobs/0/path/lives", serde_json::json!({})),
            ("/model/jobs/0/ending/at", serde_json::json!("9999-12-30T00:00:00Z")),
            ("/model/jobs/0/ending/draining", u64::MAX.into()),
            ("/model/launched", u64::MAX.into()),
            ("/model/deployed", u64::MAX.into()),
            ("/model/asks", serde_json::json!([])),
        ] {
            let mut state = good.clone();
            *state.pointer_mut(place).unwrap_or_else(|| panic!("{place} is there")) = value;
            let Ok(saved) = serde_json::from_value(state) else { continue };
            let (world, handle) = sandbox::world(Story::OutOfMemory, Some(saved), SEED);
            for _ in 0..10 {
                let _ = (world.cloud.service().await, world.cloud.tasks().await, handle.ready_at());
                let _ = world.cloud.occupancy(Timestamp::MIN).await;
                sleep(Duration::from_secs(30)).await;
            }
            let _ = (world.cloud.start().await, world.cloud.stop().await);
        }
    }
}

mod tally {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_nth_call_fails_whichever_port_it_is_on() {
        for nth in 1..=4 {
            let (world, tally) = sandbox::tallied(open(Story::Running).0, Some(nth));
            let failed = [
                world.cloud.identity().await.is_err(),
                world.net.resolve(&host()).await.is_err(),
                world.cloud.service().await.is_err(),
                world.net.udp(IpAddr::V4(sandbox::RESOLVER)).await.is_err(),
            ];
            let number = usize::try_from(nth).expect("small");
            assert_eq!(failed.iter().position(|f| *f), Some(number - 1));
            assert_eq!(failed.iter().filter(|f| **f).count(), 1);
            assert_eq!((tally.total(), tally.to_the_cloud()), (4, 2));
            assert_eq!(tally.calls().get("cloud.service"), Some(&1));
        }
    }
}

mod pace {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn simulated_time_passes_at_its_pace() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        #[expect(clippy::disallowed_methods, reason = "the pace is measured in real time")]
        let began = std::time::Instant::now();
        runtime.block_on(async {
            let simulated = tokio::time::Instant::now();
            sandbox::pace::paced(NonZeroU32::new(600), sleep(Duration::from_secs(60))).await;
            let passed = simulated.elapsed();
            assert!((60..70).contains(&passed.as_secs()), "{passed:?}");
        });
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(90) && took < Duration::from_secs(5), "{took:?}");
    }
}
