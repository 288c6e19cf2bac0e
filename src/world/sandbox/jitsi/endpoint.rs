//! One participant's end on the bridge: ICE (controlling), DTLS, SRTP.

use std::net::SocketAddr;
use std::time::Duration;

use str0m::channel::ChannelId;
use str0m::config::{DtlsVersion, Fingerprint};
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc};
use tokio::time::Instant;

use super::hello;
use super::setup::Setup;

/// Three silent packets are let through, then no more (the bridge's audio level rule).
const SILENT_PACKETS: u32 = 3;
const DUE_AT_ONCE: u32 = 4;
/// Between two calls of an endpoint that asks for a time that has passed.
const SHORTEST: Duration = Duration::from_millis(1);

/// What the answer to an offer says.
pub(super) struct Answer {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprint: String,
    /// The client begins the DTLS handshake.
    pub(super) client_active: bool,
    pub(super) ssrc: u32,
    pub(super) video: Option<u32>,
}

/// An endpoint on the bridge.
pub(super) struct Endpoint {
    pub(super) id: String,
    pub(super) room: String,
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprint: String,
    pub(super) accepted: Option<Answer>,
    pub(super) connected: bool,
    /// It has asked for video.
    pub(super) wants_video: bool,
    pub(super) next: Option<Instant>,
    /// The address where the client talks to us, for the way back.
    pub(super) door: SocketAddr,
    /// When its first packet was to be forwarded.
    pub(super) heard: Option<Instant>,
    rtc: Rtc,
    inside: SocketAddr,
    payload_type: Pt,
    vp8: Pt,
    refused: bool,
    silent: u32,
    sources: u32,
}

/// What an endpoint gives out.
#[derive(Default)]
pub(super) struct Given {
    pub(super) datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) packets: Vec<RtpPacket>,
    pub(super) heard: Vec<Heard>,
}

/// What happens on a data channel.
pub(super) enum Heard {
    Opened(ChannelId),
    Said(ChannelId, String),
}

fn mid() -> Mid {
    "audio".into()
}

impl Endpoint {
    pub(super) fn allocate(id: &str, room: &str, credentials: IceCreds, setup: &Setup, now: Instant) -> Self {
        let (payload_type, vp8) = (Pt::from(setup.opus), Pt::from(setup.vp8));
        let mut extensions = ExtensionMap::empty();
        extensions.set(setup.level_id, Extension::AudioLevel);
        let mut config = Rtc::builder()
            .set_rtp_mode(true)
            .clear_codecs()
            .set_extension_map(extensions)
            .set_local_ice_credentials(credentials.clone())
            .set_dtls_version(DtlsVersion::Dtls12)
            .set_rtcp_report_interval_audio(Duration::from_millis(500));
        let (clock, opus) = (Frequency::FORTY_EIGHT_KHZ, FormatParams::default());
        config.codec_config().add_config(payload_type, None, Codec::Opus, clock, Some(2), opus);
        let format = FormatParams::default();
        config.codec_config().add_config(vp8, None, Codec::Vp8, Frequency::NINETY_KHZ, None, format);
        let mut rtc = config.build(now.into_std());
        if let Ok(host) = Candidate::host(setup.inside, "udp") {
            rtc.add_local_candidate(host);
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(true);
        direct.declare_media(mid(), MediaKind::Audio);
        let fingerprint = direct.local_dtls_fingerprint().to_string();
        let fingerprint = fingerprint.split_once(' ').map_or("", |(_, hex)| hex).to_ascii_uppercase();
        Self {
            id: id.to_owned(),
            room: room.to_owned(),
            ufrag: credentials.ufrag,
            pwd: credentials.pass,
            fingerprint,
            accepted: None,
            connected: false,
            wants_video: false,
            next: None,
            door: setup.inside,
            heard: None,
            rtc,
            inside: setup.inside,
            payload_type,
            vp8,
            refused: false,
            silent: 0,
            sources: 0,
        }
    }

    /// The participant has accepted: now the bridge checks and is checked.
    pub(super) fn accept(&mut self, answer: Answer, now: Instant) -> Given {
        let mut direct = self.rtc.direct_api();
        direct.set_remote_ice_credentials(IceCreds { ufrag: answer.ufrag.clone(), pass: answer.pwd.clone() });
        if let Ok(fingerprint) = format!("sha-256 {}", answer.fingerprint).parse::<Fingerprint>() {
            direct.set_remote_fingerprint(fingerprint);
        }
        // A handshake that cannot begin is seen as one that does not end.
        let _ = direct.start_dtls(!answer.client_active);
        direct.expect_stream_rx(Ssrc::from(answer.ssrc), None, mid(), None);
        if let Some(ssrc) = answer.video {
            let mid: Mid = "video".into();
            direct.declare_media(mid, MediaKind::Video);
            direct.expect_stream_rx(Ssrc::from(ssrc), None, mid, None);
        }
        direct.start_sctp(false);
        self.accepted = Some(answer);
        self.time(now)
    }

    pub(super) fn time(&mut self, now: Instant) -> Given {
        let alive = self.rtc.handle_input(Input::Timeout(now.into_std())).is_ok();
        self.drain(alive, now)
    }

    pub(super) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Given {
        if hello::is_dtls(datagram) {
            if self.refused {
                return Given::default();
            }
            let passive = self.accepted.as_ref().is_some_and(|a| a.client_active);
            if passive && hello::is_refused(datagram) {
                self.refused = true;
                return Given { datagrams: vec![(from, hello::alert())], ..Given::default() };
            }
        }
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.inside, datagram) else { return Given::default() };
        let alive = self.rtc.handle_input(Input::Receive(now.into_std(), receive)).is_ok();
        self.drain(alive, now)
    }

    /// Sends on a packet of somebody else.
    pub(super) fn forward(&mut self, packet: &RtpPacket, now: Instant) -> Given {
        let ssrc = packet.header.ssrc;
        let values: ExtensionValues = packet.header.ext_vals.clone();
        let is_video = self.is_video(packet);
        let write = RtpWrite::new(
            packet.header.payload_type,
            packet.seq_no,
            packet.header.timestamp,
            now.into_std(),
            packet.payload.clone(),
        );
        let mut direct = self.rtc.direct_api();
        if direct.stream_tx(&ssrc).is_none() {
            // A media of its own for each source: str0m polls one stream for each.
            self.sources += 1;
            let mid: Mid = format!("s{}", self.sources).as_str().into();
            direct.declare_media(mid, if is_video { MediaKind::Video } else { MediaKind::Audio });
            direct.declare_stream_tx(ssrc, None, mid, None);
        }
        if let Some(stream) = direct.stream_tx(&ssrc) {
            stream.write_rtp(write.ext_vals(values).marker(packet.header.marker));
        }
        self.drain(true, now)
    }

    /// Whether the bridge would send this packet on at all.
    pub(super) fn lets_through(&mut self, packet: &RtpPacket) -> bool {
        let (ssrc, is_video) = (*packet.header.ssrc, self.is_video(packet));
        if is_video {
            return self.accepted.as_ref().is_some_and(|a| a.video == Some(ssrc));
        }
        let announced = self.accepted.as_ref().is_some_and(|a| a.ssrc == ssrc);
        let silence = packet.header.ext_vals.audio_level.is_some_and(|level| level <= -127);
        self.silent = if silence { self.silent + 1 } else { 0 };
        announced && packet.header.payload_type == self.payload_type && self.silent <= SILENT_PACKETS
    }

    pub(super) fn is_video(&self, packet: &RtpPacket) -> bool {
        packet.header.payload_type == self.vp8
    }

    /// Says something on a data channel.
    pub(super) fn tell(&mut self, channel: ChannelId, text: &str, now: Instant) -> Given {
        if let Some(mut channel) = self.rtc.channel(channel) {
            // What does not fit is not said; the client will miss it.
            let _ = channel.write(false, text.as_bytes());
        }
        self.drain(true, now)
    }

    pub(super) fn close_channel(&mut self, channel: ChannelId, now: Instant) -> Given {
        self.rtc.direct_api().close_data_channel(channel);
        self.drain(true, now)
    }

    fn drain(&mut self, alive: bool, now: Instant) -> Given {
        let mut given = Given::default();
        self.next = None;
        if !alive {
            return given;
        }
        // What is due already is done at once.
        for _ in 0..DUE_AT_ONCE {
            let Some(at) = self.take_out(&mut given) else { return given };
            self.next = Some(at.max(now + SHORTEST));
            if at > now || self.rtc.handle_input(Input::Timeout(now.into_std())).is_err() {
                break;
            }
        }
        given
    }

    /// Takes out all there is; returns when it wants to be called again, or `None` when it is broken.
    fn take_out(&mut self, given: &mut Given) -> Option<Instant> {
        loop {
            match self.rtc.poll_output().ok()? {
                Output::Timeout(at) => return Some(Instant::from_std(at)),
                Output::Transmit(packet) => given.datagrams.push((packet.destination, packet.contents.to_vec())),
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::RtpPacket(packet)) => given.packets.push(packet),
                Output::Event(Event::ChannelOpen(id, _)) => given.heard.push(Heard::Opened(id)),
                Output::Event(Event::ChannelData(data)) => {
                    given.heard.push(Heard::Said(data.id, String::from_utf8_lossy(&data.data).into_owned()));
                }
                Output::Event(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a client begin the handshake with this version, and says whether it succeeds and whether it is refused.
    fn handshake(version: DtlsVersion) -> (bool, bool) {
        let (inside, outside) = (SocketAddr::from(([10, 0, 0, 1], 10_000)), SocketAddr::from(([192, 0, 2, 1], 5_000)));
        let mut now = Instant::now();
        let setup = Setup::new(inside, inside);
        let credentials = IceCreds { ufrag: "bridge".into(), pass: "a-password-of-the-bridge".into() };
        let mut endpoint = Endpoint::allocate("066de369", "room", credentials.clone(), &setup, now);
        let mut client = Rtc::builder().set_rtp_mode(true).set_dtls_version(version).build(now.into_std());
        client.add_local_candidate(Candidate::host(outside, "udp").expect("a candidate"));
        let mut direct = client.direct_api();
        direct.set_ice_controlling(false);
        direct.set_remote_ice_credentials(credentials);
        direct.set_remote_fingerprint(format!("sha-256 {}", endpoint.fingerprint).parse().expect("a fingerprint"));
        direct.start_dtls(true).expect("a fresh start");
        let ours = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().to_string().replace("sha-256 ", "");
        client.add_remote_candidate(Candidate::host(inside, "udp").expect("a candidate"));
        let answer =
            Answer { ufrag: ours.ufrag, pwd: ours.pass, fingerprint, client_active: true, ssrc: 1, video: None };
        let mut given = endpoint.accept(answer, now);
        for _ in 0..400 {
            now += Duration::from_millis(10);
            for (_, datagram) in std::mem::take(&mut given.datagrams) {
                let receive = Receive::new(Protocol::Udp, inside, outside, &datagram).expect("a datagram");
                // An alert may end the client; what the endpoint thinks is what counts.
                let _ = client.handle_input(Input::Receive(now.into_std(), receive));
            }
            let _ = client.handle_input(Input::Timeout(now.into_std()));
            given = endpoint.time(now);
            while let Ok(Output::Transmit(_) | Output::Event(_)) = client.poll_output().inspect(|output| {
                if let Output::Transmit(packet) = output {
                    given.datagrams.extend(endpoint.receive(outside, &packet.contents, now).datagrams);
                }
            }) {}
        }
        (endpoint.connected, endpoint.refused)
    }

    /// Why the active role must never go with DTLS 1.2 alone: str0m's plain hello lacks RFC 5746's extension, and
    /// bridges refuse it. When the first line fails, str0m has learnt it.
    #[tokio::test(start_paused = true)]
    async fn a_hello_without_renegotiation_info_is_refused() {
        assert_eq!(handshake(DtlsVersion::Dtls12), (false, true));
        assert_eq!(handshake(DtlsVersion::Auto), (true, false));
    }
}
