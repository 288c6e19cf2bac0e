//! Everything that can be wrong with a Jitsi, and what the proof says about it.

use std::time::Duration;

use meetctl::domain::finding::Weight;
use meetctl::domain::meeting::Proof;
use meetctl::probe::meeting::{Names, Policy, Token};
use meetctl::world::sandbox::jitsi::{Advertised, Faults, Refusal, SignIn};

use super::support::{Proven, address, ask, prove_in_memory, proven, setup};

fn code(proof: &Proof) -> &'static str {
    proof.finding.as_ref().map_or("none", |finding| finding.code.as_str())
}

fn warnings(proof: &Proof) -> Vec<&'static str> {
    proof.warnings.iter().map(|finding| finding.code.as_str()).collect()
}

async fn says(faults: Faults) -> Proof {
    prove_in_memory(setup().with(faults), &ask()).await.0
}

#[expect(clippy::unnecessary_wraps, reason = "as the faults have it")]
fn refusal(condition: &'static str, text: &'static str, extra: &'static str) -> Option<Refusal> {
    Some(Refusal::new(condition, text, extra))
}

fn nothing() -> Faults {
    Faults::default()
}

#[tokio::test(start_paused = true)]
async fn each_story_has_its_finding() {
    let wanted = [
        ("udp-blocked", "udp-blocked"),
        ("udp-one-way", "udp-blocked"),
        ("private-address-only", "private-addresses-only"),
        ("wrong-advertised-address", "wrong-address-advertised"),
        ("no-focus", "no-focus"),
        ("no-bridge", "no-bridge"),
        ("bridge-draining", "no-bridge"),
        ("dtls-fails", "dtls-failed"),
        ("lossy", "none"),
        ("jittery", "none"),
        ("lobby-forced", "lobby-forced"),
        ("auth-required", "login-required"),
        ("token-rejected", "token-rejected"),
        ("websocket-off", "websocket-off"),
        ("room-limit", "room-full"),
        ("bridge-restarts-midway", "none"),
        ("old-release", "none"),
        ("channel-refused", "channel-refused"),
    ];
    for (story, finding) in wanted {
        let mut ask = ask();
        if story == "wrong-advertised-address" {
            ask.expected = vec![address("203.0.113.10:1").ip()];
        }
        if story == "token-rejected" {
            ask.token = Some(Token::new("eyJhbGciOiJIUzI1NiJ9.e30.x"));
        }
        let (proof, _) = prove_in_memory(setup().story(crate::story(story)), &ask).await;
        assert_eq!(code(&proof), finding, "{story}: {:?} {:?}", proof.finding, proof.flows);
        let shown = format!("{proof:?}");
        assert!(!shown.contains("eyJhbGciOiJIUzI1NiJ9"), "{story}: {shown}");
        match story {
            "lossy" => assert_eq!(warnings(&proof), ["media-some-loss"], "{proof:#?}"),
            "jittery" => assert!(proof.flows[0].reordered > 0 && proof.flows[0].lost == 0, "{proof:#?}"),
            "udp-blocked" => assert_eq!(proof.tried(), [address("203.0.113.10:1").ip()]),
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_to_the_room() {
    let crypt = "<reservation-error xmlns='http://jitsi.org/protocol/focus' error-code='7'/>";
    let missing = "<room-does-not-exist xmlns='http://jitsi.org/jitmeet'/>";
    let cases = vec![
        (Faults { prosody_down: true, ..nothing() }, "prosody-down"),
        (Faults { stream_error: Some("system-shutdown"), ..nothing() }, "stream-error"),
        (Faults { sign_in: SignIn::Token("t".into()), ..nothing() }, "token-required"),
        (Faults { focus_hangs: true, ..nothing() }, "focus-silent"),
        (Faults { not_ready: 99, ..nothing() }, "focus-never-ready"),
        (Faults { not_ready: 2, ..nothing() }, "none"),
        (Faults { visitor_node: Some("v1"), ..nothing() }, "visitor-redirect"),
        (Faults { request: refusal("remote-server-timeout", "Component unavailable", ""), ..nothing() }, "no-focus"),
        (Faults { request: refusal("item-not-found", "", ""), ..nothing() }, "focus-unknown"),
        (Faults { request: refusal("not-authorized", "", ""), ..nothing() }, "request-not-authorized"),
        (Faults { request: refusal("not-acceptable", "", ""), ..nothing() }, "session-invalid"),
        (Faults { request: refusal("service-unavailable", "full", crypt), ..nothing() }, "reservation-refused"),
        (Faults { request: refusal("bad-request", "", ""), ..nothing() }, "request-malformed"),
        (Faults { request: refusal("gone", "", ""), ..nothing() }, "request-refused"),
        (Faults { join: refusal("not-allowed", "Room creation is restricted", ""), ..nothing() }, "room-restricted"),
        (Faults { join: refusal("not-allowed", "", missing), ..nothing() }, "room-does-not-exist"),
        (Faults { join: refusal("not-allowed", "Invalid resource", ""), ..nothing() }, "nick-refused"),
        (Faults { join: refusal("not-allowed", "Room and token mismatched", ""), ..nothing() }, "token-room-mismatch"),
        (Faults { join: refusal("registration-required", "", "<waiting-for-host/>"), ..nothing() }, "waiting-for-host"),
        (
            Faults { join: refusal("not-acceptable", "", "<displayname-required/>"), ..nothing() },
            "display-name-required",
        ),
        (Faults { join: refusal("not-authorized", "", ""), ..nothing() }, "room-password"),
        (Faults { join: refusal("service-unavailable", "", ""), ..nothing() }, "room-full"),
        (Faults { join: refusal("conflict", "", ""), ..nothing() }, "nick-conflict"),
        (Faults { join: refusal("resource-constraint", "", ""), ..nothing() }, "join-rate-limited"),
        (Faults { join: refusal("undefined-condition", "", ""), ..nothing() }, "join-refused"),
        (Faults { join_hangs: true, ..nothing() }, "join-silent"),
        (Faults { thrown_after: Some(Duration::from_secs(2)), ..nothing() }, "thrown-out"),
        (Faults { cut_after: Some(Duration::from_secs(2)), ..nothing() }, "signalling-lost"),
    ];
    for (faults, wanted) in cases {
        let proof = says(faults.clone()).await;
        assert_eq!(code(&proof), wanted, "{faults:?}: {:?} {:?}", proof.finding, proof.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn the_invitation_and_its_answer() {
    let cases = [
        (Faults { no_bridge: true, bridge_after: Some(Duration::from_secs(3)), ..nothing() }, "none"),
        (Faults { allocation_hangs: true, ..nothing() }, "invite-missing"),
        (Faults { invites_first_only: true, ..nothing() }, "invite-one-sided"),
        (Faults { takes_back: Some("general-error"), ..nothing() }, "invite-failed"),
        (Faults { takes_back: Some("expired"), ..nothing() }, "session-expired"),
        (Faults { takes_back: Some("success"), ..nothing() }, "session-gone"),
        (Faults { accept: refusal("bad-request", "SSRC is in use", ""), ..nothing() }, "accept-refused"),
        (Faults { accept: refusal("gone", "", ""), ..nothing() }, "session-gone"),
        (Faults { accept: refusal("item-not-found", "", ""), ..nothing() }, "session-gone"),
        (Faults { accept: refusal("forbidden", "", ""), ..nothing() }, "accept-forbidden"),
        (Faults { accept_hangs: true, ..nothing() }, "accept-silent"),
        (Faults { restarts: 9, restart_after: Duration::from_secs(1), ..nothing() }, "bridge-unstable"),
    ];
    for (faults, wanted) in cases {
        let proof = says(faults.clone()).await;
        assert_eq!(code(&proof), wanted, "{faults:?}: {:?} {:?}", proof.finding, proof.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn the_media() {
    let cases = [
        (Faults { port_closed: true, ..nothing() }, "udp-refused"),
        (Faults { wrong_password: true, ..nothing() }, "stun-wrong-password"),
        (Faults { wrong_fingerprint: true, ..nothing() }, "fingerprint-mismatch"),
        (Faults { forwarding_off: true, ..nothing() }, "no-media"),
        (Faults { loss: 0.3, ..nothing() }, "media-lossy"),
        (Faults { flood: 30_000, ..nothing() }, "bridge-floods"),
    ];
    for (faults, wanted) in cases {
        let proof = says(faults.clone()).await;
        assert_eq!(code(&proof), wanted, "{faults:?}: {:?} {:?}", proof.finding, proof.warnings);
    }
    let slow = says(Faults { delay: Duration::from_millis(200), ..nothing() }).await;
    assert_eq!((code(&slow), warnings(&slow)), ("none", vec!["round-trip-long"]), "{slow:#?}");
    assert_eq!(slow.flows[0].transit_median, Some(Duration::from_millis(418)));
    assert_eq!(slow.reached[0].round_trip, Some(Duration::from_millis(418)));
    let by_rtcp = slow.flows[0].round_trip.expect("receiver reports");
    assert!((400..=440).contains(&by_rtcp.as_millis()), "{by_rtcp:?}");
    let muted = says(Faults { start_muted: true, ..nothing() }).await;
    assert_eq!((code(&muted), warnings(&muted)), ("none", vec!["muted-by-policy"]));
}

#[tokio::test(start_paused = true)]
async fn how_far_it_came_is_told() {
    let levels = [
        (Faults { focus_down: true, ..nothing() }, None),
        (Faults { blocked_in: true, ..nothing() }, None),
        (Faults { dtls_dropped: true, ..nothing() }, Some(Proven::Reach)),
        (Faults { forwarding_off: true, ..nothing() }, Some(Proven::Secure)),
        (nothing(), Some(Proven::Media)),
    ];
    for (faults, level) in levels {
        let proof = says(faults).await;
        assert_eq!(proven(&proof), level, "{proof:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_are_given_must_be_right() {
    let mut ask = ask();
    ask.names = Some(Names::under("another.example"));
    let (proof, _) = prove_in_memory(setup(), &ask).await;
    assert_eq!(code(&proof), "xmpp-domain-unknown");
    let mut elsewhere = Names::under("meet.jitsi");
    elsewhere.focus = "focus.elsewhere.example".into();
    ask.names = Some(elsewhere);
    let (proof, _) = prove_in_memory(setup(), &ask).await;
    assert_eq!(code(&proof), "focus-unknown");
    let (proof, _) = prove_in_memory(setup().with(Faults { odd_addresses: true, ..nothing() }), &{
        let mut ask = super::support::ask();
        ask.names = Some(Names::under("meet.jitsi"));
        ask
    })
    .await;
    assert_eq!(code(&proof), "none", "{proof:#?}");
}

#[tokio::test(start_paused = true)]
async fn one_dead_address_of_two_is_a_warning() {
    let mut setup = setup();
    setup.advertised.push(Advertised::public(address("198.51.100.4:10000")));
    let mut ask = ask();
    let addresses = ["203.0.113.10:1", "203.0.113.11:1"].map(|a| address(a).ip());
    let other = "advertised-not-expected";
    for (expected, warned) in
        [(&addresses[..], Some(other)), (&addresses[1..], Some("expected-not-advertised")), (&[], None)]
    {
        ask.expected = expected.to_vec();
        let (proof, jitsi) = prove_in_memory(setup.clone(), &ask).await;
        assert_eq!(code(&proof), "none", "{proof:#?}");
        let all: Vec<&str> = ["candidate-silent"].into_iter().chain(warned).collect();
        assert_eq!(warnings(&proof), all, "expected {expected:?}");
        assert_eq!(jitsi.strayed(), [address("198.51.100.4:10000")]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_the_platforms_addresses_is_enough() {
    let mut ask = ask();
    ask.expected = ["203.0.113.11:1", "203.0.113.10:1"].map(|a| address(a).ip()).into();
    let (proof, _) = prove_in_memory(setup(), &ask).await;
    assert_eq!((code(&proof), warnings(&proof).len()), ("none", 0), "{proof:#?}");
}

#[tokio::test(start_paused = true)]
async fn absurd_candidates_are_never_sent_to() {
    let mut setup = setup();
    let strange = |ip: &str, port: &str| Advertised { ip: ip.into(), port: port.into(), kind: "srflx" };
    setup.advertised = vec![
        strange("meet.example.org", "10000"),
        strange("203.0.113.10", "0"),
        strange("203.0.113.10", "53"),
        strange("203.0.113.10", "70000"),
        strange("255.255.255.255", "10000"),
        strange("'/><evil x='", "10000"),
    ];
    let mut ask = ask();
    ask.candidates = Policy::All;
    let (proof, jitsi) = prove_in_memory(setup.clone(), &ask).await;
    assert_eq!(code(&proof), "candidates-unusable", "{proof:#?}");
    assert_eq!(jitsi.strayed(), []);
    assert_eq!(proof.reached, []);
    setup.advertised.clear();
    assert_eq!(code(&prove_in_memory(setup, &ask).await.0), "offer-without-candidates");
}

#[tokio::test(start_paused = true)]
async fn nonsense_in_the_stream_is_named() {
    let features = |text: &str| Faults { features: Some(text.to_owned()), ..nothing() };
    let bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>]><a>&c;&c;&c;</a>";
    let wide = format!("<a>{}</a>", "<b/>".repeat(30_000));
    let big = format!("<a>{}</a>", "b".repeat(1_100_000));
    let deep = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
    for text in ["<a", "<a/><b/>", "", "<a></b>", "\u{0}", "<a b='1' b='2'/>", bomb, &big, &deep, &wide] {
        let proof = says(features(text)).await;
        assert_eq!(code(&proof), "garbled", "{text:.60}: {:?}", proof.finding);
    }
    // Well-formed, and nothing that we wait for.
    for text in ["<features/>", "<features xmlns='jabber:client'/>", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"]
    {
        assert_eq!(code(&says(features(text)).await), "login-silent", "{text}");
    }
    let streams = "http://etherx.jabber.org/streams";
    let wrong = format!(
        "<features xmlns='{streams}'><mechanisms xmlns='x'><mechanism>ANONYMOUS</mechanism></mechanisms></features>"
    );
    assert_eq!(code(&says(features(&wrong)).await), "login-required");
}

#[tokio::test(start_paused = true)]
async fn offers_that_make_no_sense_are_named() {
    let jingle = |inside: &str| Faults {
        offer: Some(format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='SID'>{inside}</jingle>")),
        ..nothing()
    };
    let audio = |description: &str, transport: &str| {
        jingle(&format!(
            "<content name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1'>{description}</description>\
             <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' {transport}</transport></content>"
        ))
    };
    let opus = "<payload-type id='111' name='opus'/>";
    let good = "ufrag='abcd' pwd='0123456789012345678901'>";
    let print = |text: &str| {
        format!("{good}<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256'>{text}</fingerprint>")
    };
    let candidate = "<candidate component='1' protocol='udp' ip='203.0.113.10' port='10000'/>";
    let cases = [
        (jingle(""), "offer-malformed"),
        (jingle("<content name='video'/>"), "offer-malformed"),
        (audio(opus, ">"), "offer-malformed"),
        (audio(opus, good), "offer-malformed"),
        (audio("", &print("AB:CD")), "offer-malformed"),
        (audio("<payload-type id='300' name='opus'/>", &print("AB:CD")), "offer-malformed"),
        (audio(opus, "ufrag='a:b' pwd='0123456789012345678901'>"), "offer-malformed"),
        (audio(opus, &print("AB:CD")), "offer-without-candidates"),
        (audio(opus, &(print("AB:CD") + candidate)), "udp-blocked"),
    ];
    for (faults, wanted) in cases {
        let proof = says(faults.clone()).await;
        assert_eq!(code(&proof), wanted, "{faults:?}: {:?} {:?}", proof.finding, proof.warnings);
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_and_pings_in_the_middle_of_a_stanza_do_not_matter() {
    let proof = says(Faults { fragments: true, ..nothing() }).await;
    assert_eq!(code(&proof), "none", "{proof:#?}");
}

#[tokio::test(start_paused = true)]
async fn findings_say_what_to_do() {
    let codes = meetctl::domain::finding::Code::ALL;
    for code in codes {
        assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        assert!(!code.sentence().is_empty() && !code.remedy().is_empty());
        assert!(!code.sentence().ends_with('.'), "{code}");
    }
    let names: std::collections::BTreeSet<_> = codes.iter().map(|code| code.as_str()).collect();
    assert_eq!(names.len(), codes.len());
    assert_eq!(codes.iter().filter(|code| code.weight() == Weight::Warning).count(), 11);
}
