use proptest::prelude::*;

use super::participant::Seat;
use super::*;
use crate::domain::finding::Code;
use crate::domain::meeting::Stage;
use crate::probe::xmpp::{Element, ns};

const ROOM: &str = "meetctl-probe-00@muc.meet.jitsi";
const FOCUS: &str = "focus@auth.meet.jitsi/focus";

fn participant() -> Participant {
    Participant::new(Seat {
        names: Names::under("meet.jitsi"),
        room: "meetctl-probe-00".into(),
        label: "a".into(),
        machine_uid: "9f0e".into(),
        token: None,
        video: None,
        fallback_nick: "0badcafe".into(),
    })
}

fn hear(participant: &mut Participant, message: &str) -> Vec<Act> {
    participant.receive(&Element::parse(message).expect("well-formed"))
}

fn sent(acts: &[Act]) -> Vec<String> {
    acts.iter()
        .filter_map(|act| match act {
            Act::Send(element) => Some(element.to_string()),
            _ => None,
        })
        .collect()
}

fn failure(acts: &[Act]) -> Option<Code> {
    acts.iter().find_map(|act| match act {
        Act::Failed(finding) => Some(finding.code),
        _ => None,
    })
}

fn passed(acts: &[Act], stage: Stage) -> bool {
    acts.iter().any(|act| matches!(act, Act::Passed(it) if *it == stage))
}

fn bound(jid: &str) -> Participant {
    let mut it = participant();
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    let acts = hear(
        &mut it,
        &format!(
            "<stream:features {streams}><mechanisms xmlns='{}'><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>",
            ns::SASL
        ),
    );
    assert_eq!(sent(&acts), [format!("<auth xmlns='{}' mechanism='ANONYMOUS'/>", ns::SASL)]);
    let acts = hear(&mut it, &format!("<success xmlns='{}'/>", ns::SASL));
    assert!(sent(&acts)[0].starts_with("<open "));
    let acts = hear(&mut it, &format!("<stream:features {streams}><bind xmlns='{}'/></stream:features>", ns::BIND));
    assert!(sent(&acts)[0].contains("id='bind1'"));
    let acts = hear(
        &mut it,
        &format!(
            "<iq xmlns='jabber:client' type='result' id='bind1'><bind xmlns='{}'><jid>{jid}</jid></bind></iq>",
            ns::BIND
        ),
    );
    assert!(passed(&acts, Stage::Login));
    it
}

fn presence(from: &str, jid: &str, status: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='{ROOM}/{from}'><x xmlns='{}'>\
         <item affiliation='none' role='participant' jid='{jid}'/>{status}</x></presence>",
        ns::MUC_USER
    )
}

fn in_room() -> Participant {
    let mut it = bound("066DE369-aaaa@meet.jitsi/x");
    assert_eq!(it.nick(), "066de369");
    let request = it.request().to_string();
    assert!(request.contains("id='conf1'") && request.contains("machine-uid='9f0e'"), "{request}");
    assert_eq!(it.waiting(), Waiting::Request(1));
    let ready = format!(
        "<iq xmlns='jabber:client' type='result' id='conf1' from='focus.meet.jitsi'>\
         <conference xmlns='{}' ready='true' focusjid='focus@auth.meet.jitsi'/></iq>",
        ns::FOCUS
    );
    assert!(passed(&hear(&mut it, &ready), Stage::Request));
    let join = it.join().to_string();
    assert!(join.contains(&format!("to='{ROOM}/066de369'")), "{join}");
    hear(&mut it, &presence("focus", FOCUS, ""));
    let acts = hear(&mut it, &presence("066de369", "066de369-aaaa@meet.jitsi/x", "<status code='110'/>"));
    assert!(passed(&acts, Stage::Join), "{acts:?}");
    it
}

fn offer(sid: &str, from: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='set' id='a+b/c=' from='{from}'><jingle xmlns='{}' action='session-initiate' \
         initiator='{FOCUS}' sid='{sid}'><content name='audio'><description xmlns='{}'>\
         <payload-type id='100' name='OPUS'/><rtp-hdrext xmlns='{}' id='3' \
         uri='urn:ietf:params:rtp-hdrext:ssrc-audio-level'/></description><transport xmlns='{}' ufrag='abcd' \
         pwd='0123456789012345678901'><fingerprint xmlns='{}' hash='sha-256'>AB:CD</fingerprint></transport></content>\
         <bridge-session xmlns='{}' id='b1'/></jingle></iq>",
        ns::JINGLE,
        ns::RTP,
        ns::HDREXT,
        ns::ICE_UDP,
        ns::DTLS,
        ns::FOCUS
    )
}

#[test]
fn evidence_has_no_secrets() {
    let token = Token::new("eyJhbGciOi.abc.def");
    let text = "<transport ufrag='x' pwd='hush'/><conference token='eyJhbGciOi.abc.def'/>?token=eyJhbGciOi.abc.def";
    let clean = redact(text, Some(&token));
    assert!(!clean.contains("hush") && !clean.contains("eyJ"), "{clean}");
    assert!(clean.contains("ufrag='x'"));
    assert_eq!(format!("{token:?}"), "Token(…)");
}

#[test]
fn a_name_that_is_not_hexadecimal_is_replaced() {
    assert_eq!(bound("stock-prosody@meet.jitsi/x").nick(), "0badcafe");
}

#[test]
fn questions_are_answered_with_their_id_byte_for_byte() {
    let mut it = in_room();
    let ask = format!(
        "<iq xmlns='jabber:client' type='get' from='{ROOM}/focus' id='ZDU5+/=='><query xmlns='{}' node='n#v'/></iq>",
        ns::DISCO_INFO
    );
    let answer = &sent(&hear(&mut it, &ask))[0];
    assert!(answer.contains("id='ZDU5+/=='") && answer.contains("node='n#v'"), "{answer}");
    assert!(answer.contains("rtp:audio'") && !answer.contains("rtp:video'"), "{answer}");
    let ping = "<iq xmlns='jabber:client' type='get' id='p1' from='meet.jitsi'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_eq!(sent(&hear(&mut it, ping)), ["<iq xmlns='jabber:client' type='result' id='p1' to='meet.jitsi'/>"]);
    let other =
        "<iq xmlns='jabber:client' type='get' id='x1' from='meet.jitsi'><query xmlns='jabber:iq:version'/></iq>";
    assert!(sent(&hear(&mut it, other))[0].contains("service-unavailable"));
}

#[test]
fn only_the_focus_of_the_room_may_invite() {
    for from in [format!("{ROOM}/somebody"), "other@muc.meet.jitsi/focus".into(), "focus@auth.meet.jitsi/focus".into()]
    {
        let mut it = in_room();
        let acts = hear(&mut it, &offer("s1", &from));
        assert!(!acts.iter().any(|act| matches!(act, Act::Offered(_))), "{from}");
        assert!(sent(&acts)[0].contains("type='error'"), "{from}");
    }
    // Somebody who took the focus's name before the focus came.
    let mut it = bound("066de369-aaaa@meet.jitsi/x");
    it.trust_focus("focus@auth.meet.jitsi");
    it.join();
    hear(&mut it, &presence("focus", "mallory@meet.jitsi/y", ""));
    let acts = hear(&mut it, &presence("066de369", "x@y/z", "<status code='110'/>"));
    assert_eq!(failure(&acts), Some(Code::RoomRestricted));
}

#[test]
fn an_offer_is_acknowledged_first_and_read() {
    let mut it = in_room();
    hear(&mut it, &presence("17b0c4e2", "b@meet.jitsi/y", ""));
    assert_eq!(it.waiting(), Waiting::Invite);
    let acts = hear(&mut it, &offer("s1", &format!("{ROOM}/focus")));
    assert!(
        matches!(&acts[0], Act::Send(e) if e.attribute("type") == Some("result") && e.attribute("id") == Some("a+b/c="))
    );
    let read = acts.iter().find_map(|act| match act {
        Act::Offered(offer) => Some(offer),
        _ => None,
    });
    let read = read.expect("an offer");
    assert_eq!((read.opus, read.level_id, read.ufrag.as_str()), (100, Some(3), "abcd"));
    let ours = accept::Answering {
        ufrag: "ours".into(),
        pwd: "our-password-of-22-chars".into(),
        hash: "sha-256".into(),
        fingerprint: "12:34".into(),
        ssrc: 305_419_896,
        video: None,
    };
    let answer = it.accept(&ours).expect("an answer").to_string();
    assert!(
        answer.contains("setup='passive'") && answer.contains("ssrc='305419896'") && !answer.contains("<candidate")
    );
    assert!(answer.contains("id='100'") && answer.contains("responder='066DE369-aaaa@meet.jitsi/x'"), "{answer}");
    // The same offer again is acknowledged and nothing more; a new one replaces it, once.
    assert_eq!(hear(&mut it, &offer("s1", &format!("{ROOM}/focus"))).len(), 1);
    let acts = hear(&mut it, &offer("s2", &format!("{ROOM}/focus")));
    assert!(acts.iter().any(|act| matches!(act, Act::Offered(_))));
    let acts = hear(&mut it, &offer("s3", &format!("{ROOM}/focus")));
    assert_eq!(failure(&acts), Some(Code::BridgeUnstable));
    let farewell: Vec<String> = it.leave().iter().map(ToString::to_string).collect();
    assert!(farewell[0].contains("session-terminate") && farewell[0].contains("id='b1'"), "{farewell:?}");
    assert!(farewell[1].contains("type='unavailable'"));
    assert_eq!(it.waiting(), Waiting::Left);
}

#[test]
fn a_missing_bridge_is_known_by_the_presence_of_the_focus() {
    let mut it = in_room();
    hear(&mut it, &presence("17b0c4e2", "b@meet.jitsi/y", ""));
    let marked = presence("focus", FOCUS, "")
        .replace("</presence>", "<bridgeNotAvailable xmlns='http://jitsi.org/protocol/focus'/></presence>");
    hear(&mut it, &marked);
    assert_eq!((it.waiting(), it.too_late().code), (Waiting::Bridge, Code::NoBridge));
    hear(&mut it, &presence("focus", FOCUS, ""));
    assert_eq!((it.waiting(), it.too_late().code), (Waiting::Invite, Code::InviteMissing));
}

/// Accepts the present offer, and says what was answered.
fn accepted(it: &mut Participant) -> String {
    let ours = accept::Answering {
        ufrag: "ours".into(),
        pwd: "0123456789012345678901".into(),
        hash: "sha-256".into(),
        fingerprint: "AB".into(),
        ssrc: 7,
        video: None,
    };
    it.accept(&ours).expect("an answer").to_string()
}

#[test]
fn a_replaced_transport_is_accepted_as_such() {
    let focus = format!("{ROOM}/focus");
    let replace = |sid| offer(sid, &focus).replace("session-initiate", "transport-replace");
    let mut it = in_room();
    let acts = hear(&mut it, &replace("s1"));
    assert!(sent(&acts)[0].contains("type='error'"), "there is no such session yet");
    assert_eq!(failure(&acts), None);
    hear(&mut it, &offer("s1", &focus));
    assert!(accepted(&mut it).contains("action='session-accept'"));
    let other = replace("s1").replace("ufrag='", "ufrag='other");
    let acts = hear(&mut it, &other);
    assert!(sent(&acts)[0].contains("type='result'"));
    let moved = acts.iter().find_map(|act| match act {
        Act::Offered(offer) => Some(offer),
        _ => None,
    });
    let moved = moved.expect("an offer");
    assert!(moved.ufrag.starts_with("other") && moved.sid == "s1" && moved.opus == 100, "{moved:?}");
    let answer = accepted(&mut it);
    assert!(answer.contains("action='transport-accept'") && !answer.contains("<source"), "{answer}");
    assert_eq!(failure(&hear(&mut it, &replace("s1"))), Some(Code::BridgeUnstable));
}

#[test]
fn a_session_that_ends_to_begin_again() {
    let focus = format!("{ROOM}/focus");
    let end = |reason: &str, more: &str| {
        format!(
            "<iq xmlns='jabber:client' type='set' id='t' from='{focus}'><jingle xmlns='urn:xmpp:jingle:1' \
             action='session-terminate' sid='s1'><reason><{reason}/></reason>{more}</jingle></iq>"
        )
    };
    let again = "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='b1' restart='true'/>";
    let ends = [
        ("success", "", None),
        ("alternative-session", "", None),
        ("gone", again, None),
        ("gone", "", Some(Code::InviteFailed)),
        ("general-error", "", Some(Code::InviteFailed)),
        ("expired", "", Some(Code::SessionExpired)),
    ];
    for (reason, more, wanted) in ends {
        let mut it = in_room();
        hear(&mut it, &offer("s1", &focus));
        accepted(&mut it);
        let acts = hear(&mut it, &end(reason, more));
        assert_eq!(failure(&acts), wanted, "{reason} {more}");
        let acts = hear(&mut it, &offer("s2", &focus));
        assert!(acts.iter().any(|act| matches!(act, Act::Offered(offer) if offer.sid == "s2")), "{reason}");
    }
}

#[test]
fn a_ping_is_answered_or_it_is_not() {
    let mut it = in_room();
    for answer in ["result", "error"] {
        let ping = it.ping().expect("the first, or the one before was answered").to_string();
        assert!(ping.contains("to='meet.jitsi'") && ping.contains("urn:xmpp:ping"), "{ping}");
        let id = ping.split("id='").nth(1).and_then(|rest| rest.split('\'').next()).expect("an id");
        hear(&mut it, &format!("<iq xmlns='jabber:client' type='{answer}' id='{id}'/>"));
    }
    it.ping().expect("answered");
    hear(&mut it, "<iq xmlns='jabber:client' type='result' id='ping1'/>");
    assert_eq!(it.ping().expect_err("that was another").code, Code::PingUnanswered);
}

#[test]
fn the_token_is_said_to_the_focus_only() {
    let mut seat = participant().seat().clone();
    seat.token = Some(Token::new("secret"));
    let mut it = Participant::new(seat);
    assert!(it.request().to_string().contains("token='secret'"));
    assert!(!format!("{it:?}").contains("secret"));
    assert!(!it.join().to_string().contains("secret"));
}

fn any_element() -> impl Strategy<Value = Element> {
    let word = prop_oneof![
        Just("iq"),
        Just("presence"),
        Just("jingle"),
        Just("query"),
        Just("x"),
        Just("error"),
        Just("content"),
        Just("conference"),
        Just("transport"),
        Just("features"),
        Just("status"),
        Just("reason"),
        Just("candidate")
    ];
    let space = prop_oneof![
        Just(ns::CLIENT),
        Just(ns::JINGLE),
        Just(ns::MUC_USER),
        Just(ns::FOCUS),
        Just(ns::DISCO_INFO),
        Just(ns::STREAMS),
        Just(ns::ICE_UDP),
        Just(ns::STANZA_ERRORS),
        Just("urn:other")
    ];
    let name = prop_oneof![
        Just("type"),
        Just("id"),
        Just("from"),
        Just("action"),
        Just("sid"),
        Just("jid"),
        Just("name"),
        Just("ready"),
        Just("code")
    ];
    let value = prop_oneof![
        Just("set".to_owned()),
        Just("result".to_owned()),
        Just("error".to_owned()),
        Just("conf1".to_owned()),
        Just(format!("{ROOM}/focus")),
        Just(format!("{ROOM}/066de369")),
        Just("session-initiate".to_owned()),
        Just("session-terminate".to_owned()),
        Just("unavailable".to_owned()),
        Just("110".to_owned()),
        "\\PC{0,12}"
    ];
    let attributes = proptest::collection::btree_map(name, value, 0..5);
    let leaf = (word, space, attributes, "[ -~]{0,12}").prop_map(|(word, space, attributes, text)| {
        let element = Element::new(word, space).saying(text);
        attributes.into_iter().fold(element, |element, (name, value)| element.with(name, value))
    });
    leaf.prop_recursive(3, 12, 4, |inner| {
        (inner.clone(), proptest::collection::vec(inner, 0..4))
            .prop_map(|(element, children)| element.and_all(children))
    })
}

proptest! {
    /// Whatever is said, in whatever state: no panic, and nothing is sent but answers to questions.
    #[test]
    fn any_stanzas_are_survived(stanzas in proptest::collection::vec(any_element(), 1..12), joined: bool) {
        let mut it = if joined { in_room() } else { bound("066de369-aaaa@meet.jitsi/x") };
        for stanza in &stanzas {
            for text in sent(&it.receive(stanza)) {
                prop_assert!(text.starts_with("<iq ") && (text.contains("type='result'") || text.contains("type='error'")), "{}", text);
            }
        }
        let _ = it.leave();
        prop_assert!(matches!(it.waiting(), Waiting::Left | Waiting::Nothing));
    }

    #[test]
    fn what_is_written_is_read_back(element in any_element()) {
        let text = element.to_string();
        let read = Element::parse(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(read, element);
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,300}") {
        let _ = Element::parse(&text);
    }

    #[test]
    fn any_markup_is_survived(text in "[<>/&;='\"a-c !\\[\\]?-]{0,200}") {
        let _ = Element::parse(&text);
    }
}
