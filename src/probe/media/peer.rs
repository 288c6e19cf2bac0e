//! One participant's media: ICE, DTLS, SRTP and RTP, as str0m speaks them; no I/O.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::config::DtlsVersion;
use str0m::config::Fingerprint;
use str0m::format::{Codec, FormatParams};
use str0m::media::{Frequency, MediaKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, IceCreds, Input, Output, Rtc, RtcError};

use super::ask::DtlsRole;
use super::plan::Voice;
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
    pub role: DtlsRole,
    /// Announced as ours.
    pub ssrc: u32,
    /// Announced by the others in the room.
    pub others: &'a [u32],
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
        direct.start_dtls(line.role == DtlsRole::Active).map_err(|error| broken(&error))?;
        let mid: Mid = "audio".into();
        direct.declare_media(mid, MediaKind::Audio);
        let ssrc = Ssrc::from(line.ssrc);
        direct.declare_stream_tx(ssrc, None, mid, None);
        for (number, other) in line.others.iter().enumerate() {
            let mid: Mid = format!("from{number}").as_str().into();
            direct.declare_media(mid, MediaKind::Audio);
            direct.expect_stream_rx(Ssrc::from(*other), None, mid, None);
        }
        for remote in line.remotes {
            let remote = Candidate::host(*remote, "udp").map_err(|error| bad("candidate", error.to_string()))?;
            rtc.add_remote_candidate(remote);
        }
        let with_level = line.offer.level_id.is_some();
        Ok(Self { rtc, local: line.local, payload_type, ssrc, with_level })
    }

    /// What the answer to the offer says about us.
    pub(super) fn answering(&mut self, role: DtlsRole) -> Answering {
        let direct = self.rtc.direct_api();
        let credentials = direct.local_ice_credentials();
        let fingerprint = direct.local_dtls_fingerprint().to_string();
        let (hash, hex) = fingerprint.split_once(' ').unwrap_or(("sha-256", &fingerprint));
        Answering {
            ufrag: credentials.ufrag,
            pwd: credentials.pass,
            hash: hash.to_owned(),
            fingerprint: hex.to_ascii_uppercase(),
            setup: match role {
                DtlsRole::Passive => "passive",
                DtlsRole::Active => "active",
            },
            ssrc: *self.ssrc,
        }
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

    pub(super) fn poll(&mut self) -> Result<Said, Finding> {
        let output = self.rtc.poll_output().map_err(|error| broken(&error))?;
        Ok(match output {
            Output::Timeout(at) => Said::Until(at),
            Output::Transmit(packet) => Said::Send(packet.destination, packet.contents.to_vec()),
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
    // DTLS 1.2 alone must never be combined with the active role: its hello lacks what bridges ask for.
    let version = match line.role {
        DtlsRole::Passive => DtlsVersion::Dtls12,
        DtlsRole::Active => DtlsVersion::Auto,
    };
    let mut config = Rtc::builder()
        .set_rtp_mode(true)
        .clear_codecs()
        .set_extension_map(extensions)
        .set_local_ice_credentials(line.credentials.clone())
        .set_dtls_version(version)
        .set_rtcp_report_interval_audio(REPORT_INTERVAL)
        .set_stats_interval(Some(REPORT_INTERVAL));
    let opus = FormatParams::default();
    config.codec_config().add_config(payload_type, None, Codec::Opus, Frequency::FORTY_EIGHT_KHZ, Some(2), opus);
    config
}

fn said(event: Event) -> Said {
    match event {
        Event::IceConnectionStateChange(state) if state.is_connected() => Said::Ice,
        Event::Connected => Said::Secure,
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
