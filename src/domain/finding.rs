//! Every way in which the proof of a meeting can fail, each with its meaning and its remedy.

use std::fmt;

use serde::{Serialize, Serializer};

use super::meeting::Stage;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// Meetings work; this is worth a look.
    Warning,
    /// The proof could not be made here: says nothing about meetings.
    NotApplicable,
    /// Meetings do not work.
    Failure,
}

/// A code with what was seen this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub code: Code,
    pub stage: Stage,
    /// Whose finding it is, when not everybody's.
    pub participant: Option<String>,
    /// What exactly was seen: addresses, numbers, the server's own words.
    pub detail: Option<String>,
    /// The stanza or answer itself, without secrets.
    pub evidence: Option<String>,
}

impl Finding {
    pub fn new(code: Code) -> Self {
        Self { code, stage: code.stage(), participant: None, detail: None, evidence: None }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        self.detail = if detail.is_empty() { None } else { Some(detail) };
        self
    }

    #[must_use]
    pub fn evidence(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }

    #[must_use]
    pub fn of(mut self, participant: &str) -> Self {
        self.participant.get_or_insert_with(|| participant.to_owned());
        self
    }

    /// For findings that can come up anywhere.
    #[must_use]
    pub fn during(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    pub fn weight(&self) -> Weight {
        self.code.weight()
    }

    pub fn remedy(&self) -> &'static str {
        self.code.remedy()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.sentence())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

macro_rules! codes {
    ($($name:ident $stage:ident $weight:ident $code:literal: $sentence:literal, $remedy:literal;)*) => {
        /// The name of a finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($name,)* }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// In kebab-case, for programs.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Where it usually comes up.
            pub const fn stage(self) -> Stage {
                match self { $(Self::$name => Stage::$stage,)* }
            }

            pub const fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }

            /// What it means.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// What an operator can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

codes! {
    NameUnresolved Connect Failure "name-unresolved":
        "the host name has no address",
        "check the DNS record of the platform, and that it is up";
    NoRoute Connect NotApplicable "no-route":
        "this machine has no way to the platform",
        "check this machine's own network; this says nothing about the platform";
    WebUnreachable Connect Failure "web-unreachable":
        "no TCP connection to the web container",
        "check the load balancer's TCP listener and its target group";
    TlsFailed Connect Failure "tls-failed":
        "the TLS handshake with the web container fails",
        "check the certificate: its name, its dates and its chain";
    WebsocketSilent Connect Failure "websocket-silent":
        "the WebSocket upgrade is not answered",
        "look at the logs of web and prosody";
    ProsodyDown Connect Failure "prosody-down":
        "the web container is up, Prosody behind it is not",
        "look at the log of the prosody container; it may still be starting";
    WebsocketOff Connect NotApplicable "websocket-off":
        "XMPP over WebSocket is switched off: only BOSH remains, which this probe does not speak",
        "set ENABLE_XMPP_WEBSOCKET=1 for web and prosody";
    WebsocketUnreachable Connect Failure "websocket-unreachable":
        "config.js sends browsers to a place for the signalling where guests do not get in",
        "set PUBLIC_URL (web container) to the address that people open, and start it again";
    WebsocketUnresolved Connect NotApplicable "websocket-unresolved":
        "config.js sends browsers to another host, and where that is cannot be told from here",
        "check this machine's resolver; this says nothing about the platform";
    WebsocketRefused Connect Failure "websocket-refused":
        "the WebSocket upgrade is refused",
        "check that nginx forwards /xmpp-websocket to Prosody, with the sub-protocol xmpp";
    ConfigUnreadable Connect Failure "config-unreadable":
        "/config.js does not name the deployment's XMPP hosts",
        "check that the host serves Jitsi Meet";
    ConfigUndecided Connect NotApplicable "config-undecided":
        "which XMPP hosts /config.js names, only a browser can tell",
        "look at /config.js: what its conditions decide has to be plain for the probe to follow";
    PageBarred Connect NotApplicable "page-barred":
        "somebody stands before the pages and does not let the probe in",
        "probe from a place that is let in, or let the probe's User-Agent, which begins with meetctl/, pass";

    StreamError Login Failure "stream-error":
        "Prosody ended the stream",
        "look at the log of the prosody container";
    XmppDomainUnknown Login Failure "xmpp-domain-unknown":
        "Prosody does not serve this XMPP domain",
        "check XMPP_DOMAIN: web, prosody, jicofo and this probe must agree on it";
    LoginRequired Login NotApplicable "login-required":
        "this deployment does not let anonymous users in: it wants a login",
        "give the probe a token, or probe a deployment without AUTH_TYPE=internal or ldap";
    TokenRequired Login NotApplicable "token-required":
        "this deployment wants a token, and the probe has none",
        "put a token into a file or the environment, and name it to the probe";
    TokenRejected Login NotApplicable "token-rejected":
        "Prosody does not let the probe in with its token",
        "check issuer, audience, expiry and the secret (JWT_APP_ID, JWT_APP_SECRET) the token was signed with";
    LoginFailed Login Failure "login-failed":
        "the anonymous login fails",
        "look at the log of the prosody container";
    LoginSilent Login Failure "login-silent":
        "Prosody does not answer the login",
        "look at the log of the prosody container; it may be overloaded or still starting";
    BindFailed Login Failure "bind-failed":
        "Prosody gives the session no address",
        "look at the log of the prosody container";
    Garbled Login Failure "garbled":
        "an answer of the signalling makes no sense",
        "check what stands between this machine and Prosody: a proxy that alters messages, or another service";
    SignallingFloods Join Failure "signalling-floods":
        "the signalling sends far more than a room of the probe can need",
        "check which module of Prosody sends so much";
    SignallingLost Join Failure "signalling-lost":
        "the WebSocket was closed in the middle of the run",
        "look at the logs of web and prosody: one of them was restarted, or a proxy's time limit is too short";

    PingUnanswered Join Failure "ping-unanswered":
        "Prosody has not answered an XMPP ping within 10 s: browsers give such a connection up",
        "look at the log of the prosody container: it hangs or is overloaded; and at what stands between it and this machine";

    FocusAbsent Request Failure "no-focus":
        "Prosody is up, and no focus (jicofo) is connected to it",
        "look at the log of the jicofo container: still starting, crashed, or its password is not Prosody's";
    FocusUnknown Request Failure "focus-unknown":
        "Prosody knows no component of the focus's name",
        "check XMPP_DOMAIN: the focus is asked for under focus.XMPP_DOMAIN";
    FocusSilent Request Failure "focus-silent":
        "the focus (jicofo) does not answer the conference request",
        "compare the room domain with jicofo's own (XMPP_MUC_DOMAIN, the same for web, prosody and jicofo): in another one it waits for ever. If they agree, restart jicofo: it hangs in joining the room, and its log has the room's name";
    FocusNeverReady Request Failure "focus-never-ready":
        "the focus (jicofo) keeps saying that the conference is not ready",
        "look at the log of the jicofo container for the room's name";
    RequestNotAuthorized Request NotApplicable "request-not-authorized":
        "authentication is on, and the probe may not open a room",
        "give the probe a token";
    SessionInvalid Request Failure "session-invalid":
        "the focus does not accept the probe's session",
        "try again; when it stays, look at the log of the jicofo container";
    ReservationRefused Request NotApplicable "reservation-refused":
        "a reservation system refuses the probe's room",
        "allow rooms with the probe's prefix in the reservation system";
    RequestMalformed Request Failure "request-malformed":
        "the focus calls the conference request malformed",
        "check the room domain (XMPP_MUC_DOMAIN)";
    VisitorRedirect Request NotApplicable "visitor-redirect":
        "the probe is redirected to a visitor node",
        "let the probe be a full participant: see the visitors settings of jicofo";
    RequestRefused Request Failure "request-refused":
        "the focus refuses the conference request",
        "look at the log of the jicofo container";

    RoomRestricted Join Failure "room-restricted":
        "the room does not exist: the focus is not in it, or left before we came",
        "look at the log of the jicofo container for the room's name";
    RoomMissing Join Failure "room-does-not-exist":
        "the room does not exist for this token: the focus is not in it, or left before we came",
        "look at the log of the jicofo container for the room's name";
    NickRefused Join Failure "nick-refused":
        "Prosody refuses the participant's name in the room",
        "check PROSODY_MUC_RESOURCE_VALIDATE_ANONYMOUS_STRICT; report this as a bug of the probe";
    TokenRoomMismatch Join NotApplicable "token-room-mismatch":
        "the token is for another room",
        "use a token whose room claim is * or the probe's room";
    WaitingForHost Join NotApplicable "waiting-for-host":
        "the deployment waits for a host before it lets anybody in",
        "give the probe a host's token";
    LobbyForced Join NotApplicable "lobby-forced":
        "a lobby is on in every room, and nobody is there to let the probe in",
        "take rooms with the probe's prefix out of what forces the lobby";
    NameRequired Join Failure "display-name-required":
        "the lobby asks for a display name",
        "report this as a bug of the probe";
    RoomPassword Join NotApplicable "room-password":
        "a password is set on the fresh room",
        "take rooms with the probe's prefix out of what sets passwords";
    RoomFull Join Failure "room-full":
        "the room takes no more participants",
        "raise MAX_PARTICIPANTS to at least 2";
    NickConflict Join Failure "nick-conflict":
        "the participant's name is taken",
        "check that no other probe is running";
    JoinRateLimited Join Failure "join-rate-limited":
        "Prosody limits how fast one address may join",
        "raise PROSODY_RATE_LIMIT_SESSION_RATE, or wait and try again";
    JoinRefused Join Failure "join-refused":
        "Prosody does not let the participant into the room",
        "look at the log of the prosody container";
    JoinSilent Join Failure "join-silent":
        "Prosody does not answer the join",
        "Prosody holds joins back until the focus is in the room: look at the log of the jicofo container";
    Thrown Join Failure "thrown-out":
        "the participant was put out of the room",
        "look at the logs of prosody and jicofo for the room's name";

    NoBridge Invite Failure "no-bridge":
        "the focus has no usable bridge: not started, not in the brewery room, shutting down, or not healthy",
        "look at the log of the jvb container; check JVB_BREWERY_MUC and JVB_AUTH_PASSWORD";
    InviteMissing Invite Failure "invite-missing":
        "the focus never invites: allocating on the bridge timed out or failed",
        "look at the log of the jicofo container for the room's name, then at jvb's";
    InviteOneSided Invite Failure "invite-one-sided":
        "only some of the participants were invited",
        "look at the log of the jicofo container for an allocation error of one endpoint";
    InviteFailed Invite Failure "invite-failed":
        "the focus gave the session up",
        "look at the log of the jicofo container for the room's name";
    SessionExpired Invite Failure "session-expired":
        "the focus ended the session because it saw one participant only",
        "look at the log of the jicofo container for the room's name";
    BridgeUnstable Invite Failure "bridge-unstable":
        "the focus moved the meeting to another bridge more than once",
        "look at the log of the jvb container: it restarts, or fails its health check";
    OfferMalformed Invite Failure "offer-malformed":
        "the bridge's offer lacks what audio needs",
        "check that jicofo and jvb are of the same release";
    OfferWithoutCandidates Invite Failure "offer-without-candidates":
        "the bridge advertises no address at all",
        "set JVB_ADVERTISE_IPS to a public address of the load balancer";
    VideoNotOffered Invite NotApplicable "video-not-offered":
        "the bridge's offer has no video in VP8, which is what the probe sends",
        "leave `--video` out, or let jicofo offer VP8 (ENABLE_CODEC_VP8)";
    MutedByPolicy Invite Warning "muted-by-policy":
        "the focus mutes new participants: packets may not be forwarded",
        "switch off start-muted or AV moderation for rooms with the probe's prefix";

    PrivateAddressesOnly Reach Failure "private-addresses-only":
        "the bridge advertises only private addresses",
        "set JVB_ADVERTISE_IPS to a public address of the load balancer";
    CandidatesUnusable Reach Failure "candidates-unusable":
        "none of the bridge's candidates is an address that one may send to",
        "check JVB_ADVERTISE_IPS: it takes IP addresses, optionally followed by #PORT";
    WrongAddressAdvertised Reach Failure "wrong-address-advertised":
        "no advertised address answers, and none of them is the platform's",
        "set JVB_ADVERTISE_IPS to a public address of the load balancer, and JVB_DISABLE_STUN=1";
    UdpBlocked Reach Failure "udp-blocked":
        "UDP does not get through to the bridge, or its answers do not get back",
        "check the load balancer's UDP listener on 10000, the target's health, security groups in both directions, and the firewall of this network";
    UdpRefused Reach Failure "udp-refused":
        "the advertised address is there, and nothing listens on its UDP port",
        "check JVB_PORT and the port mapping of the jvb container";
    StunWrongPassword Reach Failure "stun-wrong-password":
        "something answers on the bridge's address that is not this meeting's bridge",
        "check that only one bridge is behind the advertised address";
    StunRoleConflict Reach Failure "stun-role-conflict":
        "the bridge claims the ICE role that is ours",
        "report this as a bug of the probe";
    StunRefused Reach Failure "stun-refused":
        "the bridge refuses the probe's STUN request",
        "report this as a bug of the probe";
    CandidateSilent Reach Warning "candidate-silent":
        "some advertised addresses do not answer",
        "set JVB_DISABLE_STUN=1, and check that each zone of the load balancer has a healthy target";
    ExpectedNotAdvertised Reach Warning "expected-not-advertised":
        "the bridge advertises none of the platform's addresses",
        "set JVB_ADVERTISE_IPS to a public address of the load balancer";
    AdvertisedNotExpected Reach Warning "advertised-not-expected":
        "the bridge advertises addresses that are not the platform's",
        "set JVB_DISABLE_STUN=1, and JVB_ADVERTISE_IPS to a public address of the load balancer";

    AcceptRefused Accept Failure "accept-refused":
        "the focus does not accept the answer to its offer",
        "look at the log of the jicofo container for the room's name";
    SessionGone Accept Failure "session-gone":
        "the session was replaced or is over before it could be accepted",
        "look at the log of the jicofo container for the room's name";
    AcceptForbidden Accept NotApplicable "accept-forbidden":
        "the probe is a visitor in this room",
        "let the probe be a full participant: see the visitors settings of jicofo";
    AcceptSilent Accept Failure "accept-silent":
        "the focus does not answer the session-accept",
        "look at the log of the jicofo container: it may have died";

    IceFailed Secure Failure "ice-failed":
        "the bridge answers single packets, and ICE does not come up",
        "check that the load balancer keeps a client on one target, and look at the log of the jvb container";
    DtlsFailed Secure Failure "dtls-failed":
        "ICE is up, and the DTLS handshake does not finish",
        "look for lost large packets (MTU), and at the log of the jvb container";
    DtlsRefused Secure Failure "dtls-refused":
        "the bridge refuses the DTLS handshake",
        "look at the log of the jvb container";
    FingerprintMismatch Secure Failure "fingerprint-mismatch":
        "the certificate in DTLS is not the one that was announced",
        "somebody stands between this machine and the bridge, or two bridges share the address";

    ChannelRefused Channel Failure "channel-refused":
        "people hear each other, cameras stay black: the bridge refuses the channel by which receivers ask for video",
        "look at the log of the jvb container; releases before August 2026 also need nginx to pass /colibri-ws/ on to the bridge";
    ChannelSilent Channel Failure "channel-silent":
        "people hear each other, cameras stay black: the channel by which receivers ask for video stays silent",
        "look at the log of the jvb container for the participant's data channel or WebSocket";
    ChannelNotOffered Channel Warning "channel-not-offered":
        "the bridge offers no channel: people hear each other, but nobody can ask for video",
        "let jicofo offer SCTP (jicofo.sctp.enabled; ENABLE_SCTP=1 in releases before August 2026)";

    NoMedia Media Failure "no-media":
        "everything is connected, and the bridge forwards no packet",
        "look at the log of the jvb container; check that it is not muted by policy";
    MediaStopped Media Failure "media-stopped":
        "packets crossed the bridge, and then no more",
        "look at the log of the jvb container, whether it was restarted; at the load balancer's UDP listener and its idle time; and at the firewall of this network";
    Moved Media Warning "moved":
        "the focus moved the meeting to another bridge, or to the same one anew, and people heard nothing meanwhile",
        "look at the log of the jvb container: it was restarted, failed its health check, or was drained";
    MovedSlowly Media Failure "moved-slowly":
        "the focus moved the meeting to another bridge, and people heard nothing for 5 s or more",
        "look at the logs of jvb and jicofo: how long it took to notice that the bridge was gone, and to invite again";
    AudibleLate Media Warning "audible-late":
        "people are heard, but only a while after they are connected",
        "the bridge has just started or is busy: look at the CPU of its task, and try again in some minutes";
    LoudestOnly Media Warning "loudest-only":
        "some are heard by everybody and others by nobody: the bridge forwards the loudest speakers only",
        "that is what `videobridge.loudest.route-loudest-only = true` does; if it is not meant, set it to false";
    NoVideo Media Failure "no-video":
        "people hear each other, and the bridge forwards no video although it is asked for",
        "look at the log of the jvb container for the room's name";
    MediaLossy Media Failure "media-lossy":
        "too many packets are lost on the way through the bridge",
        "look at the load of the bridge and of the network in between";
    MediaSomeLoss Media Warning "media-some-loss":
        "some packets are lost on the way through the bridge",
        "look at the load of the bridge and of the network in between";
    RoundTripLong Media Warning "round-trip-long":
        "the round trip to the bridge is long",
        "meetings work; people far from the region hear each other late";
    SenderLimit Media NotApplicable "sender-limit":
        "this machine does not keep up with sending: what is lost or late says nothing about the bridge",
        "play fewer people, or run it on a faster machine that does nothing else";
    SenderLate Media Warning "sender-late":
        "this machine, not the bridge, is what no more people could be played for",
        "run it on a faster machine that does nothing else";
    BridgeFloods Media Failure "bridge-floods":
        "the bridge's address sends far more packets than the probe can cause",
        "check what answers on the bridge's address";

    TimedOut Media Failure "timed-out":
        "the whole run took longer than allowed",
        "look at the stage that it was in";
    Interrupted Media NotApplicable "interrupted":
        "the run was interrupted",
        "run it again";
    LocalTrouble Connect NotApplicable "local-trouble":
        "something on this machine stands in the way",
        "look at the detail";
}
