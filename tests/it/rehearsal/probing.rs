//! `probe`: each story by its code; tokens; two at once.

use meetctl::domain::finding::Code;
use meetctl::probe::media::{Ask, prove};
use meetctl::probe::site::Site;
use meetctl::probe::wire::Wire;
use meetctl::world::sandbox::HOST;

use super::*;

use crate::story;

const URL: &str = "https://meet.example.org";

#[tokio::test(start_paused = true)]
async fn each_story_has_its_finding_and_its_exit_code() {
    use Code::*;
    for (story, code, finding) in [
        (story("running"), 0, None),
        (story("old-release"), 0, None),
        (story("jittery"), 0, None),
        (story("bridge-restarts-midway"), 0, None),
        (story("lossy"), 0, None),
        (story("standby"), 8, Some(WebUnreachable)),
        (story("powered-down"), 8, Some(WebUnreachable)),
        (story("expired-certificate"), 8, Some(TlsFailed)),
        (story("wrong-name"), 8, Some(TlsFailed)),
        (story("https-502"), 8, Some(ConfigUnreadable)),
        (story("not-jitsi"), 8, Some(ConfigUnreadable)),
        (story("websocket-off"), 9, Some(WebsocketOff)),
        (story("udp-blocked"), 8, Some(UdpBlocked)),
        (story("udp-one-way"), 8, Some(UdpBlocked)),
        (story("private-address-only"), 8, Some(PrivateAddressesOnly)),
        // Without an account nobody knows which address would be right.
        (story("wrong-advertised-address"), 8, Some(UdpBlocked)),
        (story("no-focus"), 8, Some(FocusAbsent)),
        (story("no-bridge"), 8, Some(NoBridge)),
        (story("bridge-draining"), 8, Some(NoBridge)),
        (story("dtls-fails"), 8, Some(DtlsFailed)),
        (story("lobby-forced"), 9, Some(LobbyForced)),
        (story("auth-required"), 9, Some(LoginRequired)),
        (story("token-rejected"), 9, Some(TokenRequired)),
        (story("room-limit"), 8, Some(RoomFull)),
        (story("channel-refused"), 8, Some(ChannelRefused)),
    ] {
        let ran = probe(Stage::of(story), URL, &[], None).await;
        let found = probed(&ran).finding.as_ref();
        assert_eq!((ran.code(), found.map(|told| told.finding.code)), (code, finding), "{story}");
        let shown = plain(&ran.said);
        if let Some(told) = found {
            assert!(shown.contains(told.finding.code.as_str()) && shown.contains('→'), "{story}\n{shown}");
        }
        ran.has_left();
    }
}

#[tokio::test(start_paused = true)]
async fn levels_in_words_and_in_json() {
    let ran = probe(Stage::of(story("running")), URL, &[], None).await;
    insta::assert_snapshot!("probe-good", plain(&ran.said));
    let json = serde_json::to_value(probed(&ran)).expect("JSON");
    let levels: Vec<&str> =
        json["levels"].as_array().expect("levels").iter().filter_map(|l| l["result"].as_str()).collect();
    assert_eq!(levels, ["shown"; 5]);
    assert!(json["proof"]["flows"][0]["transit_median"].as_f64().is_some_and(|s| s < 0.5), "{json}");
    let ran = probe(Stage::of(story("udp-blocked")), URL, &[], None).await;
    insta::assert_snapshot!("probe-udp-blocked", plain(&ran.said));
}

#[tokio::test(start_paused = true)]
async fn a_token_lets_in_and_is_never_shown() {
    let right = "a-token-that-nobody-has";
    let wrong = "eyJhbGciOiJub25lIn0.c2VjcmV0.hunter2hunter2";
    for (token, code, finding) in [(right, 0, None), (wrong, 9, Some(Code::TokenRejected))] {
        let ran = probe(Stage::of(story("token-rejected")), URL, &[("MEETCTL_PROBE_TOKEN", token)], None).await;
        let found = probed(&ran).finding.as_ref().map(|told| told.finding.code);
        assert_eq!((ran.code(), found), (code, finding));
        assert!(!ran.text().contains(token), "the token is shown");
        let script = Script { token: Some(token), ..Script::default() };
        let ran = rehearse(Stage::of(story("token-rejected")), "", script).await;
        assert_eq!(ran.code(), code, "{}", plain(&ran.said));
        assert!(!ran.text().contains(token), "the token is shown");
        assert!(!meetctl::render::report::page(ran.rehearsal()).contains(token));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{right}\n")).expect("written");
    let line = format!("{URL} --token-file {}", file.display());
    assert_eq!(probe(Stage::of(story("token-rejected")), &line, &[], None).await.code(), 0);
    let ran = probe(Stage::of(story("token-rejected")), &format!("{URL} --token-file /nowhere"), &[], None).await;
    assert_eq!(ran.code(), 3);
    assert!(meetctl::config::token(Some(Path::new("/nowhere")), &environment(&[])).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_port_and_a_choice_of_addresses() {
    let ran = probe(Stage::of(story("running")), "https://meet.example.org:8443/AnyRoom", &[], None).await;
    assert_eq!((ran.code(), probed(&ran).url.as_str()), (8, "https://meet.example.org:8443"));
    let ran = probe(Stage::of(story("private-address-only")), &format!("{URL} --candidates all"), &[], None).await;
    assert_eq!(ran.code(), 0, "in the sandbox, everybody is on the bridge's own network");
    let ran = probe(Stage::of(story("running")), &format!("{URL} --candidates ip={}", BALANCER[0]), &[], None).await;
    assert_eq!(ran.code(), 0);
    let ran = probe(Stage::of(story("running")), "https://elsewhere.example.net", &[], None).await;
    assert_eq!(probed(&ran).finding.as_ref().map(|told| told.finding.code), Some(Code::NameUnresolved));
}

/// Why no lock is needed: each has a room of its own.
#[tokio::test(start_paused = true)]
async fn two_probes_at_once_do_not_meet() {
    let Stage { world, jitsi, .. } = Stage::of(story("running"));
    let (ask, stop) = (Ask::new(Site::of(HOST.parse().expect("a host"))), CancellationToken::new());
    let one = |seed| {
        let (world, ask, stop) = (&world, &ask, &stop);
        async move {
            let wire = Wire { seed, ..Wire::from(world) };
            prove(&wire, ask, stop, |_| {}).await
        }
    };
    let (a, b) = tokio::join!(Box::pin(one(1)), Box::pin(one(2)));
    assert_eq!((a.finding, b.finding), (None, None));
    assert_ne!(a.room, b.room);
    assert_eq!((a.flows[0].lost, b.flows[0].lost), (0, 0));
    assert_eq!(jitsi.census().sessions, 0);
}
