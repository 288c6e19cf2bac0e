//! The situations that the sandbox can play, each with its name and one line about it.

use serde::{Deserialize, Serialize};

use super::estate::Estate;
use super::model::{Model, Stack};
use super::task::Fault;
use crate::world::{CloudError, CloudErrorKind};

/// Attempts to place a task that fail, counted from when it is asked for.
pub(super) struct Refusals {
    /// In ECS's words.
    pub why: &'static str,
    /// When ECS notes one in its diary.
    pub seconds_after: &'static [u64],
    /// When an attempt goes well.
    pub until: Option<u64>,
}

/// A named situation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Story {
    #[default]
    Standby,
    Fresh,
    PoweredDown,
    Running,
    Meeting,
    SlowStart,
    StaleReads,
    TugOfWar,
    ImageGone,
    OutOfMemory,
    SecretDenied,
    CrashLoop,
    NoCapacity,
    CapacityReturns,
    VcpuQuota,
    OldRefusal,
    UnhealthyTarget,
    DnsStale,
    ExpiredCertificate,
    WrongName,
    CertificateExpiring,
    #[serde(rename = "https-502")]
    Https502,
    NotJitsi,
    WebsocketBlocked,
    OccupancyStale,
    UdpBlocked,
    UdpOneWay,
    PrivateAddressOnly,
    WrongAdvertisedAddress,
    NoFocus,
    NoBridge,
    BridgeDraining,
    DtlsFails,
    Lossy,
    Jittery,
    LobbyForced,
    AuthRequired,
    TokenRejected,
    WebsocketOff,
    RoomLimit,
    BridgeRestartsMidway,
    QuietWebsocket,
    WebsocketElsewhere,
    MovedBridge,
    UdpCutMidway,
    ColdBridge,
    OldRelease,
    ChannelRefused,
    TokenExpired,
    WrongAccount,
    Denied,
    Throttled,
    ThrottledLate,
    AwsUnreachable,
    LeftoverBalancer,
    LeftoverBalancerOurs,
    LeftoverBalancerDenied,
    StateLocked,
    TerraformMissing,
    TerraformOld,
    PlanTouchesTooMuch,
    BalancersNotAllowed,
    ApplyFailsHalfway,
}

impl Story {
    pub const ALL: [Self; 63] = [
        Self::Standby,
        Self::Fresh,
        Self::PoweredDown,
        Self::Running,
        Self::Meeting,
        Self::SlowStart,
        Self::StaleReads,
        Self::TugOfWar,
        Self::ImageGone,
        Self::OutOfMemory,
        Self::SecretDenied,
        Self::CrashLoop,
        Self::NoCapacity,
        Self::CapacityReturns,
        Self::VcpuQuota,
        Self::OldRefusal,
        Self::UnhealthyTarget,
        Self::DnsStale,
        Self::ExpiredCertificate,
        Self::WrongName,
        Self::CertificateExpiring,
        Self::Https502,
        Self::NotJitsi,
        Self::WebsocketBlocked,
        Self::OccupancyStale,
        Self::UdpBlocked,
        Self::UdpOneWay,
        Self::PrivateAddressOnly,
        Self::WrongAdvertisedAddress,
        Self::NoFocus,
        Self::NoBridge,
        Self::BridgeDraining,
        Self::DtlsFails,
        Self::Lossy,
        Self::Jittery,
        Self::LobbyForced,
        Self::AuthRequired,
        Self::TokenRejected,
        Self::WebsocketOff,
        Self::RoomLimit,
        Self::BridgeRestartsMidway,
        Self::QuietWebsocket,
        Self::WebsocketElsewhere,
        Self::MovedBridge,
        Self::UdpCutMidway,
        Self::ColdBridge,
        Self::OldRelease,
        Self::ChannelRefused,
        Self::TokenExpired,
        Self::WrongAccount,
        Self::Denied,
        Self::Throttled,
        Self::ThrottledLate,
        Self::AwsUnreachable,
        Self::LeftoverBalancer,
        Self::LeftoverBalancerOurs,
        Self::LeftoverBalancerDenied,
        Self::StateLocked,
        Self::TerraformMissing,
        Self::TerraformOld,
        Self::PlanTouchesTooMuch,
        Self::BalancersNotAllowed,
        Self::ApplyFailsHalfway,
    ];

    pub const fn name(self) -> &'static str {
        self.line().0
    }

    /// What happens, in one line.
    pub const fn about(self) -> &'static str {
        self.line().1
    }

    const fn line(self) -> (&'static str, &'static str) {
        match self {
            Self::Standby => ("standby", "everything is deployed and nothing runs; a start goes well"),
            Self::Fresh => ("fresh", "nothing has been deployed yet"),
            Self::PoweredDown => {
                ("powered-down", "nothing with an hourly price exists; the name is kept by a placeholder")
            }
            Self::Running => ("running", "the platform has been running for 40 minutes; nobody is in a meeting"),
            Self::Meeting => ("meeting", "seven people are in two rooms; the last ones leave after twelve minutes"),
            Self::SlowStart => {
                ("slow-start", "a start takes long, and its Java services call themselves healthy too soon")
            }
            Self::StaleReads => ("stale-reads", "for some seconds after a change, ECS still shows what was before"),
            Self::TugOfWar => ("tug-of-war", "somebody else scales down while the platform starts"),
            Self::ImageGone => ("image-gone", "the image of the bridge does not exist"),
            Self::OutOfMemory => ("out-of-memory", "the bridge runs out of memory soon after each start"),
            Self::SecretDenied => ("secret-denied", "the execution role may not read the secret"),
            Self::CrashLoop => ("crash-loop", "Prosody gives up again and again because a password is missing"),
            Self::NoCapacity => ("no-capacity", "AWS has no Fargate capacity free"),
            Self::CapacityReturns => {
                ("capacity-returns", "AWS has no Fargate capacity at first; the third attempt finds some")
            }
            Self::VcpuQuota => ("vcpu-quota", "the account's quota of vCPUs is used up"),
            Self::OldRefusal => {
                ("old-refusal", "it runs well, 40 minutes after a start that AWS refused three times at first")
            }
            Self::UnhealthyTarget => ("unhealthy-target", "the load balancer cannot reach the bridge's health page"),
            Self::DnsStale => ("dns-stale", "the name still points to a load balancer of the past"),
            Self::ExpiredCertificate => ("expired-certificate", "the certificate expired two days ago"),
            Self::WrongName => ("wrong-name", "the certificate is for another name"),
            Self::CertificateExpiring => ("certificate-expiring", "the certificate ends in nine days"),
            Self::Https502 => ("https-502", "the web container answers 502 behind a target that counts as healthy"),
            Self::NotJitsi => ("not-jitsi", "the web server answers, but what it serves is not Jitsi"),
            Self::WebsocketBlocked => ("websocket-blocked", "the web container does not pass WebSockets on"),
            Self::OccupancyStale => ("occupancy-stale", "the sidecar that counts people fell silent six minutes ago"),
            Self::UdpBlocked => ("udp-blocked", "UDP port 10000 does not get through to the bridge"),
            Self::UdpOneWay => ("udp-one-way", "the bridge hears everybody, and its answers do not get back"),
            Self::PrivateAddressOnly => ("private-address-only", "the bridge advertises its private address only"),
            Self::WrongAdvertisedAddress => {
                ("wrong-advertised-address", "the bridge advertises an address that is not the platform's")
            }
            Self::NoFocus => ("no-focus", "jicofo is not connected to Prosody"),
            Self::NoBridge => ("no-bridge", "jicofo has no bridge to hold a meeting on"),
            Self::BridgeDraining => {
                ("bridge-draining", "the only bridge is shutting down gracefully and takes no new meeting")
            }
            Self::DtlsFails => ("dtls-fails", "packets reach the bridge, and the DTLS handshake does not finish"),
            Self::Lossy => ("lossy", "one packet in ten is lost on the way"),
            Self::Jittery => ("jittery", "packets take up to a fifth of a second, each another time"),
            Self::LobbyForced => ("lobby-forced", "a lobby is forced on every room, and nobody lets the probe in"),
            Self::AuthRequired => ("auth-required", "the deployment wants a login"),
            Self::TokenRejected => ("token-rejected", "the deployment wants a token that the probe does not have"),
            Self::WebsocketOff => ("websocket-off", "XMPP over WebSocket is switched off"),
            Self::RoomLimit => ("room-limit", "rooms take one participant only"),
            Self::BridgeRestartsMidway => ("bridge-restarts-midway", "the bridge restarts in the middle of a meeting"),
            Self::QuietWebsocket => {
                ("quiet-websocket", "nginx ends a WebSocket that is quiet for a minute, its default")
            }
            Self::WebsocketElsewhere => {
                ("websocket-elsewhere", "config.js sends browsers to a WebSocket that guests cannot reach")
            }
            Self::MovedBridge => ("moved-bridge", "jicofo moves a participant to another bridge in mid-meeting"),
            Self::UdpCutMidway => ("udp-cut-midway", "six seconds into a meeting, UDP is cut"),
            Self::ColdBridge => {
                ("cold-bridge", "nothing runs; a bridge that has just started is late with the first packets")
            }
            Self::OldRelease => ("old-release", "a release of before August 2026, whose bridge offers a WebSocket"),
            Self::ChannelRefused => ("channel-refused", "the bridge offers a WebSocket as its channel, and refuses it"),
            Self::TokenExpired => ("token-expired", "the sign-in to AWS has expired"),
            Self::WrongAccount => ("wrong-account", "the credentials belong to another account"),
            Self::Denied => ("denied", "it runs, but the credentials may not look at the targets"),
            Self::Throttled => ("throttled", "ECS asks to slow down, whatever is asked"),
            Self::ThrottledLate => {
                ("throttled-late", "ECS asks to slow down for a minute, just when a start has come to its last look")
            }
            Self::AwsUnreachable => ("aws-unreachable", "the endpoints of AWS do not answer"),
            Self::LeftoverBalancer => {
                ("leftover-balancer", "another team's load balancer, in another VPC, carries this project's tag")
            }
            Self::LeftoverBalancerOurs => (
                "leftover-balancer-ours",
                "a second load balancer, shown to be the platform's, that Terraform does not know",
            ),
            Self::LeftoverBalancerDenied => {
                ("leftover-balancer-denied", "the same, and the credentials may not delete it")
            }
            Self::StateLocked => ("state-locked", "somebody else's Terraform holds the lock of the state"),
            Self::TerraformMissing => ("terraform-missing", "neither terraform nor tofu is installed"),
            Self::TerraformOld => ("terraform-old", "the terraform that is installed is too old"),
            Self::PlanTouchesTooMuch => {
                ("plan-touches-too-much", "a power-down's plan would also change the network and the recordings")
            }
            Self::BalancersNotAllowed => {
                ("balancers-not-allowed", "nothing is deployed, and AWS refuses load balancers to the new account")
            }
            Self::ApplyFailsHalfway => {
                ("apply-fails-halfway", "powered down; the first restoration breaks off at the listener")
            }
        }
    }

    /// The platform as the story finds it.
    pub fn opening(self, seed: u64) -> Model {
        let mut model = Model::deployed(self, seed);
        match self {
            Self::Fresh | Self::WrongAccount | Self::BalancersNotAllowed => model.stack = Stack::default(),
            Self::PoweredDown | Self::ApplyFailsHalfway => model.stack.power_down(),
            Self::LeftoverBalancer | Self::LeftoverBalancerOurs | Self::LeftoverBalancerDenied => {
                model.stack.estate.strays.insert(Estate::stray());
            }
            Self::Running
            | Self::Meeting
            | Self::DnsStale
            | Self::ExpiredCertificate
            | Self::WrongName
            | Self::CertificateExpiring
            | Self::Https502
            | Self::NotJitsi
            | Self::WebsocketBlocked
            | Self::OccupancyStale
            | Self::UdpBlocked
            | Self::UdpOneWay
            | Self::PrivateAddressOnly
            | Self::WrongAdvertisedAddress
            | Self::NoFocus
            | Self::NoBridge
            | Self::BridgeDraining
            | Self::DtlsFails
            | Self::Lossy
            | Self::Jittery
            | Self::LobbyForced
            | Self::AuthRequired
            | Self::TokenRejected
            | Self::WebsocketOff
            | Self::RoomLimit
            | Self::BridgeRestartsMidway
            | Self::QuietWebsocket
            | Self::WebsocketElsewhere
            | Self::MovedBridge
            | Self::UdpCutMidway
            | Self::OldRelease
            | Self::ChannelRefused
            | Self::OldRefusal
            | Self::Denied => model.has_been_running(),
            Self::Standby
            | Self::ColdBridge
            | Self::SlowStart
            | Self::StaleReads
            | Self::TugOfWar
            | Self::ImageGone
            | Self::OutOfMemory
            | Self::SecretDenied
            | Self::CrashLoop
            | Self::NoCapacity
            | Self::CapacityReturns
            | Self::VcpuQuota
            | Self::UnhealthyTarget
            | Self::TokenExpired
            | Self::Throttled
            | Self::ThrottledLate
            | Self::AwsUnreachable
            | Self::StateLocked
            | Self::TerraformMissing
            | Self::TerraformOld
            | Self::PlanTouchesTooMuch => {}
        }
        if self == Self::Meeting {
            model.people_meet();
        }
        if self == Self::DnsStale {
            model.stack.record = Some(Stack::FORMER_BALANCER.into());
        }
        model
    }

    /// What is wrong with every task that is started.
    pub(super) fn fault(self) -> Option<Fault> {
        match self {
            Self::ImageGone => Some(Fault::ImageGone),
            Self::SecretDenied => Some(Fault::SecretDenied),
            Self::OutOfMemory => Some(Fault::OutOfMemory),
            Self::CrashLoop => Some(Fault::Crash),
            Self::UnhealthyTarget => Some(Fault::Unreached),
            _ => None,
        }
    }

    /// What ECS refuses before it makes a task, if it makes one.
    pub(super) fn refusals(self) -> Option<Refusals> {
        let no_capacity = |seconds_after, until| Refusals {
            why: "Capacity is unavailable at this time. Please try again later or in a different availability zone. \
                  For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
            seconds_after,
            until,
        };
        match self {
            Self::NoCapacity => Some(no_capacity(&[8, 38, 98], None)),
            Self::CapacityReturns => Some(no_capacity(&[8, 38], Some(98))),
            Self::OldRefusal => Some(no_capacity(&[8, 38, 98], Some(218))),
            // ECS does not repeat the same line for hours.
            Self::VcpuQuota => Some(Refusals {
                why: "You've reached the limit on the number of vCPUs you can run concurrently. \
                      For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
                seconds_after: &[8],
                until: None,
            }),
            _ => None,
        }
    }

    /// How AWS refuses a call, when it does.
    pub(super) fn refusal(self, call: &str) -> Option<CloudError> {
        let (kind, why) = match self {
            Self::TokenExpired => {
                (CloudErrorKind::SignIn, "ExpiredTokenException: The security token included in the request is expired")
            }
            Self::Denied if call == "elasticloadbalancing:DescribeTargetHealth" => (
                CloudErrorKind::Denied,
                "AccessDenied: no identity-based policy allows the elasticloadbalancing:DescribeTargetHealth action",
            ),
            Self::LeftoverBalancerDenied if call == "elasticloadbalancing:DeleteLoadBalancer" => (
                CloudErrorKind::Denied,
                "AccessDenied: no identity-based policy allows the elasticloadbalancing:DeleteLoadBalancer action",
            ),
            Self::Throttled if call.starts_with("ecs:") => {
                (CloudErrorKind::Throttled, "ThrottlingException: Rate exceeded")
            }
            Self::AwsUnreachable => (CloudErrorKind::Unreachable, "no answer within 10 s"),
            _ => return None,
        };
        Some(CloudError { kind, what: call.to_owned(), why: why.to_owned() })
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Story {
    type Err = String;
    fn from_str(given: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|story| story.name() == given)
            .ok_or_else(|| format!("{given:?} is not a story; `meetctl sandbox` lists them"))
    }
}
