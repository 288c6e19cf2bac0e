//! The words of Jingle: the offer, the answer, a source that is added.

use std::fmt::Write;

use roxmltree::Node;

use super::endpoint::{Answer, Endpoint};
use super::prosody::escaped;
use super::state::State;

const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
const HDREXT: &str = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
const SSMA: &str = "urn:xmpp:jingle:apps:rtp:ssma:0";
const ICE: &str = "urn:xmpp:jingle:transports:ice-udp:1";
const DTLS: &str = "urn:xmpp:jingle:apps:dtls:0";
/// What a participant announces that can open a data channel.
pub(super) const DATA_CHANNEL: &str = "urn:xmpp:jingle:transports:dtls-sctp:1";

impl State {
    /// The `<jingle>` of a session-initiate, with contents by what the participant can do.
    pub(super) fn offer(&self, endpoint: &Endpoint, sid: &str, features: &[String]) -> String {
        let can = |feature: &str| features.iter().any(|f| f == feature);
        let transport = self.transport(endpoint);
        let mut contents = String::new();
        let mut names = vec!["audio"];
        let _ = write!(
            contents,
            "<content creator='initiator' name='audio' senders='both'>{}{transport}</content>",
            self.audio()
        );
        if can("urn:xmpp:jingle:apps:rtp:video") && !self.setup.faults.video_off {
            names.push("video");
            let _ = write!(
                contents,
                "<content creator='initiator' name='video' senders='both'><description xmlns='{RTP}' media='video'>\
                 <payload-type id='{}' name='VP8' clockrate='90000'/></description>{transport}</content>",
                self.setup.vp8
            );
        }
        if can(DATA_CHANNEL) && self.offers_sctp() {
            names.push("data");
            let map =
                format!("<sctpmap xmlns='{DATA_CHANNEL}' number='5000' protocol='webrtc-datachannel' streams='1024'/>");
            let transport = transport.replace("</transport>", &format!("{map}</transport>"));
            let _ = write!(contents, "<content creator='initiator' name='data' senders='both'>{transport}</content>");
        }
        let mut bundle = String::new();
        for name in names {
            let _ = write!(bundle, "<content name='{name}'/>");
        }
        let muted = if self.setup.faults.start_muted {
            "<startmuted xmlns='http://jitsi.org/jitmeet/start-muted' audio='true' video='true'/>"
        } else {
            ""
        };
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='{}/focus' sid='{sid}'>{contents}\
             <group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'>{bundle}</group>\
             <bridge-session xmlns='http://jitsi.org/protocol/focus' id='b{sid}' region='default'/>{muted}</jingle>",
            self.setup.focus_jid()
        )
    }

    fn audio(&self) -> String {
        let (opus, level) = (self.setup.opus, self.setup.level_id);
        format!(
            "<description xmlns='{RTP}' media='audio' maxptime='60'>\
             <payload-type id='{opus}' name='opus' clockrate='48000' channels='2'>\
             <parameter name='minptime' value='10'/><parameter name='useinbandfec' value='1'/></payload-type>\
             <payload-type id='126' name='telephone-event' clockrate='8000'/>\
             <rtp-hdrext xmlns='{HDREXT}' id='{level}' uri='urn:ietf:params:rtp-hdrext:ssrc-audio-level'/>\
             <extmap-allow-mixed xmlns='{HDREXT}'/>\
             <source xmlns='{SSMA}' ssrc='2913123456' name='jvb-a0'>\
             <ssrc-info xmlns='http://jitsi.org/jitmeet' owner='jvb'/></source><rtcp-mux/></description>"
        )
    }

    fn transport(&self, endpoint: &Endpoint) -> String {
        let mut fingerprint = endpoint.fingerprint.clone();
        if self.setup.faults.wrong_fingerprint {
            let other = if fingerprint.starts_with("00") { "01" } else { "00" };
            fingerprint.replace_range(..2, other);
        }
        let url = self.channel_url(&endpoint.room, &endpoint.id, &endpoint.ufrag);
        let element =
            |url: String| format!("<web-socket xmlns='http://jitsi.org/protocol/colibri' url='{}'/>", escaped(&url));
        let web_socket = url.map(element).unwrap_or_default();
        let mut transport = format!(
            "<transport xmlns='{ICE}' ufrag='{}' pwd='{}'><rtcp-mux/>{web_socket}\
             <fingerprint xmlns='{DTLS}' hash='sha-256' setup='actpass'>{fingerprint}</fingerprint>",
            endpoint.ufrag, endpoint.pwd
        );
        let mut advertised: Vec<_> = self.setup.advertised.iter().collect();
        if self.setup.faults.shuffled && self.bridge.endpoints.len().is_multiple_of(2) {
            advertised.reverse();
        }
        for (number, candidate) in (1..).zip(advertised) {
            let _ = write!(
                transport,
                "<candidate component='1' foundation='{number}' generation='0' id='c{number}' ip='{}' port='{}' \
                 network='0' priority='{}' protocol='udp' type='{}'/>",
                escaped(&candidate.ip),
                escaped(&candidate.port),
                if candidate.kind == "host" { 2_130_706_431_u32 } else { 1_677_724_415 },
                candidate.kind
            );
        }
        transport + "</transport>"
    }
}

/// Reads the `<jingle>` of a session-accept as strictly as focus and bridge do together.
pub(super) fn answer(jingle: Node<'_, '_>) -> Result<Answer, &'static str> {
    let content = content(jingle, "audio").ok_or("the content has no name or creator")?;
    let ssrc = source(content, "-a0")?;
    let video = self::content(jingle, "video").map(|content| source(content, "-v0")).transpose()?;
    transport(content, ssrc, video)
}

/// Reads the `<jingle>` of a transport-accept: the sources are those of before.
pub(super) fn transport_answer(jingle: Node<'_, '_>, ssrc: u32, video: Option<u32>) -> Result<Answer, &'static str> {
    transport(child(jingle, "urn:xmpp:jingle:1", "content").ok_or("no content")?, ssrc, video)
}

fn transport(content: Node<'_, '_>, ssrc: u32, video: Option<u32>) -> Result<Answer, &'static str> {
    let transport = child(content, ICE, "transport").ok_or("no transport")?;
    let credential = |name: &str, least: usize| transport.attribute(name).filter(|value| value.len() >= least);
    let fingerprint = child(transport, DTLS, "fingerprint").ok_or("no fingerprint")?;
    let hex = fingerprint.text().unwrap_or_default();
    if fingerprint.attribute("hash") != Some("sha-256") || hex.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err("a fingerprint that the bridge cannot compare");
    }
    let client_active = match fingerprint.attribute("setup") {
        Some("active") => true,
        Some("passive") => false,
        _ => return Err("setup is neither active nor passive"),
    };
    Ok(Answer {
        ufrag: credential("ufrag", 4).ok_or("no ufrag")?.to_owned(),
        pwd: credential("pwd", 22).ok_or("no pwd")?.to_owned(),
        fingerprint: hex.to_owned(),
        client_active,
        ssrc,
        video,
    })
}

fn content<'a, 'i>(jingle: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    let mut contents = jingle.children().filter(|c| c.has_tag_name(("urn:xmpp:jingle:1", "content")));
    contents.find(|c| c.attribute("name") == Some(name) && c.attribute("creator").is_some())
}

/// The SSRC of a content's source, whose name has to end like this.
fn source(content: Node<'_, '_>, end: &str) -> Result<u32, &'static str> {
    let description = child(content, RTP, "description").ok_or("no description")?;
    let source = child(description, SSMA, "source").ok_or("no source")?;
    if source.attribute("name").is_none_or(|name| !name.ends_with(end)) {
        return Err("the source has no name");
    }
    source.attribute("ssrc").and_then(|s| s.parse().ok()).filter(|ssrc| *ssrc > 0).ok_or("bad SSRC")
}

fn child<'a, 'i>(node: Node<'a, 'i>, ns: &'static str, name: &'static str) -> Option<Node<'a, 'i>> {
    node.children().find(|c| c.has_tag_name((ns, name)))
}

/// The `<jingle>` that tells of somebody else's sources.
pub(super) fn source_add(sid: &str, nick: &str, ssrc: u32, video: Option<u32>) -> String {
    let content = |media: &str, ssrc: u32, end: &str| {
        format!(
            "<content creator='initiator' name='{media}'><description xmlns='{RTP}' media='{media}'>\
             <source xmlns='{SSMA}' ssrc='{ssrc}' name='{nick}{end}'/></description></content>"
        )
    };
    let video = video.map(|ssrc| content("video", ssrc, "-v0")).unwrap_or_default();
    let audio = content("audio", ssrc, "-a0");
    format!("<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='{sid}'>{audio}{video}</jingle>")
}
