//! Every parser of bytes that come from outside, under one signature: for the fuzz targets in `tests/fuzz`.
//!
//! A parser may refuse what it is given. It may not panic, hang, or take memory out of proportion.

use crate::config;
use crate::domain::name::{Host, TaskId};
use crate::probe::meeting::Offer;
use crate::probe::meeting::candidates;
use crate::probe::site::Site;
use crate::probe::xmpp::Element;
use crate::probe::{config_js, dns, stun, tls};
use crate::world::{Trust, aws, terraform};

/// A parser with an example of what it is made for, from which the changed bytes are made.
pub struct Target {
    pub name: &'static str,
    pub seed: &'static [u8],
    pub parse: fn(&[u8]),
}

/// One row a parser.
pub static TARGETS: &[Target] = &[
    Target { name: "config_file", seed: b"[platform]\nname = \"jitsi\"\n[dns]\nservers = [\"192.0.2.53\"]\n", parse: config_file },
    Target {
        name: "config_js",
        seed: b"var subdomain = '';\nconfig.hosts = { domain: 'meet.jitsi' };\nconfig.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';\nconfig.websocket = 'wss://meet.example.org/xmpp-websocket';\n",
        parse: config_js,
    },
    Target {
        name: "dns_answer",
        seed: b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x04meet\x07example\x03org\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0<\0\x04\xcb\0q\x0a",
        parse: dns::survive,
    },
    Target {
        name: "occupancy_line",
        seed: br#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":1,"participants":7,"jvb":{"graceful_shutdown":false}}"#,
        parse: occupancy_line,
    },
    Target {
        name: "stun_reply",
        seed: b"\x01\x01\0\x0c\x21\x12\xa4\x42twelve bytes\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43",
        parse: stun_reply,
    },
    Target { name: "certificate", seed: CERTIFICATE, parse: certificate },
    Target { name: "terraform_line", seed: TERRAFORM_LINE, parse: |bytes| text(bytes, terraform::survive_line) },
    Target { name: "terraform_plan", seed: TERRAFORM_PLAN, parse: |bytes| text(bytes, terraform::survive_plan) },
    Target { name: "xmpp_offer", seed: OFFER, parse: offer },
    Target {
        name: "xmpp_stanza",
        seed: b"<iq xmlns='jabber:client' type='result' id='1' from='focus.meet.jitsi'><conference xmlns='http://jitsi.org/protocol/focus' ready='true'/></iq>",
        parse: |bytes| text(bytes, |t| drop(Element::parse(t))),
    },
];

/// A self-signed ECDSA certificate would be random each time it is made; its outline is enough to begin with.
const CERTIFICATE: &[u8] = b"\x30\x82\x01\x00\x30\x81\xa7\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04meet\x30\x1e\x17\x0d261120190000Z\x17\x0d270120190000Z\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04meet";
const TERRAFORM_LINE: &[u8] = br#"{"@level":"error","@message":"Error: no","diagnostic":{"severity":"error","summary":"no","detail":"AccessDenied: because","address":"aws_lb.this[0]"},"type":"diagnostic"}"#;
const TERRAFORM_PLAN: &[u8] = br#"{"format_version":"1.2","resource_changes":[{"address":"aws_lb.this[0]","mode":"managed","type":"aws_lb","change":{"actions":["delete"],"before":{"tags_all":{"project":"p"}}}}]}"#;
const OFFER: &[u8] = b"<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'><content name='audio' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'><payload-type id='111' name='opus' clockrate='48000' channels='2'/></description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='abcd' pwd='0123456789012345678901'><candidate type='host' protocol='udp' ip='203.0.113.10' port='10000' priority='2130706431' component='1' foundation='1' generation='0' id='c'/><fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>AA:BB</fingerprint></transport></content></jingle>";

fn text(bytes: &[u8], parse: impl FnOnce(&str)) {
    parse(&String::from_utf8_lossy(bytes));
}

fn config_file(bytes: &[u8]) {
    text(bytes, config::survive);
}

fn occupancy_line(bytes: &[u8]) {
    let task: TaskId = "task1".parse().expect("an id");
    text(bytes, |t| drop(aws::occupancy_line(&task, t)));
}

fn stun_reply(bytes: &[u8]) {
    let _ = stun::read_reply(bytes, "VOkJxbRl1RmTxUk/WvJxBt");
}

fn config_js(bytes: &[u8]) {
    let site = Site::of("meet.example.org".parse().expect("a host"));
    let _ = config_js::read(&config_js::decoded(bytes, None), &site);
}

fn certificate(bytes: &[u8]) {
    let host: Host = "meet.example.org".parse().expect("a host");
    let chain = [bytes.to_vec().into()];
    drop(tls::judge(&chain, &host, &Trust::browsers(), jiff::Timestamp::UNIX_EPOCH));
}

fn offer(bytes: &[u8]) {
    text(bytes, |t| {
        let Ok(jingle) = Element::parse(t) else { return };
        if let Ok(offer) = Offer::read(&jingle) {
            let _ = candidates::sort(&offer.candidates, &candidates::Policy::default());
        }
    });
}
