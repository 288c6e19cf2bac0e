//! One participant's media: ICE, DTLS, SRTP and RTP, as str0m speaks them; no I/O.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::channel::{ChannelConfig, ChannelId};
use str0m::config::DtlsVersion;
use str0m::config::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcError};

use super::plan::Voice;
use super::video::{self, Film};
use crate::domain::finding::{Code, Finding};
use crate::probe::meeting::Offer;
use crate::probe::meeting::accept::Answering;

/// How often receivers report back, and figures are taken.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// What a peer is built from.
pub(super) struct Line<'a> {
    pub offer: &'a Offer,
    pub local: SocketAddr,
    pub credentials: IceCreds,
    /// Announced as ours.
    pub ssrc: u32,
    /// The payload type and the SSRC of our video.
    pub video: Option<(u8, u32)>,
    /// Announced by the others in the room.
    pub others: &'a [u32],
    /// And for their video.
    pub cameras: &'a [u32],
    pub remotes: &'a [SocketAddr],
    pub now: Instant,
}

/// What a peer wants or tells.
pub(super) enum Said {
    /// To be called again then.
    Until(Instant),
    Send(SocketAddr, Vec<u8>),
    /// ICE has a pair.
    Ice,
    /// DTLS is up as well, and the certificate is the announced one.
    Secure,
    Packet(Vec<u8>),
    Picture(Vec<u8>),
    /// Somebody needs a key frame.
    KeyWanted,
    ChannelOpen,
    ChannelText(String),
    ChannelClosed,
    Pair {
        local: SocketAddr,
        remote: SocketAddr,
        round_trip: Option<Duration>,
    },
    RoundTrip(Duration),
    Over,
    Nothing,
}

/// One end of a media connection.
pub(super) struct Peer {
    rtc: Rtc,
    local: SocketAddr,
    payload_type: Pt,
    ssrc: Ssrc,
    with_level: bool,
    camera: Option<Camera>,
    channel: Option<ChannelId>,
}

/// What is known of our own video.
struct Camera {
    payload_type: Pt,
    ssrc: Ssrc,
}

impl Peer {
    pub(super) fn new(line: &Line<'_>) -> Result<Self, Finding> {
        let payload_type = Pt::from(line.offer.opus);
        let mut rtc = config(line, payload_type).build(line.now);
        let bad = |what: &str, why: String| Finding::new(Code::OfferMalformed).detail(format!("{what}: {why}"));
        let host = Candidate::host(line.local, "udp")
            .map_err(|error| Finding::new(Code::LocalTrouble).detail(error.to_string()))?;
        rtc.add_local_candidate(host);
        let fingerprint: Fingerprint = format!("{} {}", line.offer.hash, line.offer.fingerprint)
            .parse()
            .map_err(|why: String| bad("fingerprint", why))?;
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(false);
        direct.set_remote_ice_credentials(IceCreds { ufrag: line.offer.ufrag.clone(), pass: line.offer.pwd.clone() });
        direct.set_remote_fingerprint(fingerprint);
        // The bridge begins the handshake: that works with every bridge.
        direct.start_dtls(false).map_err(|error| broken(&error))?;
        let mid: Mid = "audio".into();
        direct.declare_media(mid, MediaKind::Audio);
        let ssrc = Ssrc::from(line.ssrc);
        direct.declare_stream_tx(ssrc, None, mid, None);
        for (number, other) in line.others.iter().enumerate() {
            let mid: Mid = format!("from{number}").as_str().into();
            direct.declare_media(mid, MediaKind::Audio);
            direct.expect_stream_rx(Ssrc::from(*other), None, mid, None);
        }
        let camera = line.video.map(|(vp8, ssrc)| {
            let (mid, ssrc): (Mid, _) = ("video".into(), Ssrc::from(ssrc));
            direct.declare_media(mid, MediaKind::Video);
            direct.declare_stream_tx(ssrc, None, mid, None);
            Camera { payload_type: Pt::from(vp8), ssrc }
        });
        for (number, other) in line.cameras.iter().enumerate().filter(|_| camera.is_some()) {
            let mid: Mid = format!("seen{number}").as_str().into();
            direct.declare_media(mid, MediaKind::Video);
            direct.expect_stream_rx(Ssrc::from(*other), None, mid, None);
        }
        for remote in line.remotes {
            let remote = Candidate::host(*remote, "udp").map_err(|error| bad("candidate", error.to_string()))?;
            rtc.add_remote_candidate(remote);
        }
        let with_level = line.offer.level_id.is_some();
        Ok(Self { rtc, local: line.local, payload_type, ssrc, with_level, camera, channel: None })
    }

    /// What the answer to the offer says about us.
    pub(super) fn answering(&mut self) -> Answering {
        let direct = self.rtc.direct_api();
        let credentials = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().to_string();
        let (hash, hex) = fingerprint.split_once(' ').unwrap_or(("sha-256", &fingerprint));
        Answering {
            ufrag: credentials.ufrag,
            pwd: credentials.pass,
            hash: hash.to_owned(),
            fingerprint: hex.to_ascii_uppercase(),
            ssrc: *self.ssrc,
            video: self.camera.as_ref().map(|camera| (*camera.payload_type, *camera.ssrc)),
        }
    }

    /// Opens the data channel to the bridge, once DTLS is up; poll afterwards.
    pub(super) fn open_channel(&mut self) {
        let mut direct = self.rtc.direct_api();
        direct.start_sctp(true);
        let (label, protocol) = ("JVB data channel".to_owned(), "http://jitsi.org/protocols/colibri".to_owned());
        self.channel = Some(direct.create_data_channel(ChannelConfig { label, protocol, ..ChannelConfig::default() }));
    }

    /// Says something on the data channel; poll afterwards. `false` when it cannot be said.
    pub(super) fn tell(&mut self, text: &str) -> bool {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(false, text.as_bytes()).unwrap_or(false))
    }

    pub(super) fn time_is(&mut self, now: Instant) -> Result<(), Finding> {
        self.rtc.handle_input(Input::Timeout(now)).map_err(|error| broken(&error))
    }

    /// Takes a datagram in; `false` when it is not one of a media connection.
    pub(super) fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Result<bool, Finding> {
        let Ok(receive) = Receive::new(Protocol::Udp, from, self.local, datagram) else { return Ok(false) };
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            return Ok(false);
        }
        self.rtc.handle_input(input).map_err(|error| broken(&error))?;
        Ok(true)
    }

    /// Sends one packet of 20 ms; poll afterwards.
    pub(super) fn speak(&mut self, now: Instant, voice: &Voice, payload: &[u8]) {
        let mut values = ExtensionValues::default();
        if self.with_level {
            values.audio_level = Some(-30);
            values.voice_activity = Some(true);
        }
        let packet = RtpWrite::new(self.payload_type, SeqNo::from(voice.sequence), voice.timestamp, now, payload);
        let mut direct = self.rtc.direct_api();
        if let Some(stream) = direct.stream_tx(&self.ssrc) {
            stream.write_rtp(packet.ext_vals(values));
        }
    }

    /// Sends a packet of a picture; poll afterwards.
    pub(super) fn film(&mut self, now: Instant, film: &Film, part: &video::Part) {
        let Some(camera) = &self.camera else { return };
        let (sequence, time) = (SeqNo::from(film.sequence), film.time_of(part.picture));
        let packet = RtpWrite::new(camera.payload_type, sequence, time, now, &part.payload[..]);
        let mut direct = self.rtc.direct_api();
        if let Some(stream) = direct.stream_tx(&camera.ssrc) {
            stream.write_rtp(packet.marker(part.last));
        }
    }

    pub(super) fn poll(&mut self) -> Result<Said, Finding> {
        let output = self.rtc.poll_output().map_err(|error| broken(&error))?;
        Ok(match output {
            Output::Timeout(at) => Said::Until(at),
            Output::Transmit(packet) => Said::Send(packet.destination, packet.contents.to_vec()),
            Output::Event(Event::RtpPacket(packet))
                if self.camera.as_ref().is_some_and(|c| c.payload_type == packet.header.payload_type) =>
            {
                Said::Picture(packet.payload.to_vec())
            }
            Output::Event(event) => said(event),
        })
    }

    /// Ends the connection; what is still to be sent comes out of `poll`.
    pub(super) fn close(&mut self) {
        // A connection that was never up has nothing to close.
        let _ = self.rtc.close();
    }
}

fn config(line: &Line<'_>, payload_type: Pt) -> str0m::RtcConfig {
    let mut extensions = ExtensionMap::empty();
    if let Some(id) = line.offer.level_id {
        extensions.set(id, Extension::AudioLevel);
    }
    let mut config = Rtc::builder()
        .set_rtp_mode(true)
        .clear_codecs()
        .set_extension_map(extensions)
        .set_local_ice_credentials(line.credentials.clone())
        // Only as the side that answers: a hello of ours with DTLS 1.2 alone would lack what bridges ask for.
        .set_dtls_version(DtlsVersion::Dtls12)
        .set_rtcp_report_interval_audio(REPORT_INTERVAL)
        .set_stats_interval(Some(REPORT_INTERVAL));
    let opus = FormatParams::default();
    config.codec_config().add_config(payload_type, None, Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2), opus);
    if let Some((vp8, _)) = line.video {
        let format = FormatParams::default();
        config.codec_config().add_config(Pt::from(vp8), None, Codec::Vp8, Frequency::NINETY_KHZ, None, format);
    }
    config
}

fn said(event: Event) -> Said {
    match event {
        Event::IceConnectionStateChange(state) if state.is_connected() => Said::Ice,
        Event::Connected => Said::Secure,
        Event::ChannelOpen(..) => Said::ChannelOpen,
        Event::ChannelData(data) => match String::from_utf8(data.data) {
            Ok(text) => Said::ChannelText(text),
            Err(error) => Said::ChannelText(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        },
        Event::ChannelClose(_) => Said::ChannelClosed,
        Event::KeyframeRequest(_) => Said::KeyWanted,
        Event::RtpPacket(packet) => Said::Packet(packet.payload.to_vec()),
        Event::PeerStats(stats) => match stats.selected_candidate_pair {
            Some(pair) => Said::Pair {
                local: pair.local.addr,
                remote: pair.remote.addr,
                round_trip: pair.current_round_trip_time,
            },
            None => Said::Nothing,
        },
        Event::MediaEgressStats(stats) => stats.rtt.map_or(Said::Nothing, Said::RoundTrip),
        Event::Closed => Said::Over,
        _ => Said::Nothing,
    }
}

fn broken(error: &RtcError) -> Finding {
    let text = error.to_string();
    let code = match error {
        RtcError::RemoteSdp(_) if text.contains("fingerprint") => Code::FingerprintMismatch,
        _ => Code::DtlsRefused,
    };
    Finding::new(code).detail(text)
}
