//! The situations that the sandbox can play: each is one row of `STORIES`, and nothing else knows a story.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::estate::Estate;
use super::jitsi::{Advertised, ChannelFault, ChannelOffer, Cut, Move, Refusal, Setup, SignIn};
use super::model::{ACCOUNT, EPOCH, HOST, Model, Stack, back};
use super::net::FORMER_BALANCER;
use super::task::Fault;
use crate::world::{CloudError, CloudErrorKind};

/// One of `STORIES`; its name stands for it.
#[derive(Clone, Copy)]
pub struct Story(&'static StoryRecord);

/// Everything that a story is. What it does not name is as in `PLAIN`, where all goes well.
#[derive(Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct StoryRecord {
    pub name: &'static str,
    /// What happens, in one line.
    pub about: &'static str,
    /// Makes of the platform at rest what the story finds.
    opening: fn(&mut Model),
    /// Load balancers that Terraform does not know are another team's.
    pub(super) anothers_strays: bool,
    /// The account that the credentials belong to.
    pub(super) account: &'static str,
    /// How AWS refuses calls.
    pub(super) aws: Option<ApiFault>,
    /// ECS asks to slow down for a minute, soon after all of a start works.
    pub(super) throttled_late: bool,
    /// ECS shows what was before, for some seconds after a change.
    pub(super) stale_reads: bool,
    /// Somebody else scales down during each start.
    pub(super) scaled_down: bool,
    /// What ECS refuses before it makes a task, if it makes one.
    pub(super) refusals: Option<Refusals>,
    /// What is wrong with every task that is started.
    pub(super) task: Option<Fault>,
    /// A start takes long.
    pub(super) slow: bool,
    pub(super) terraform: Option<TerraformFault>,
    pub(super) certificate: Certified,
    pub(super) web: WebServer,
    /// Makes of a sound Jitsi the story's.
    pub(super) jitsi: fn(&mut Setup),
}

/// What Terraform runs into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TerraformFault {
    Missing,
    TooOld,
    Locked,
    TouchesTooMuch,
    BalancersRefused,
    /// The first restoration ends at the listener.
    BreaksOff,
}

/// The certificate of the web server: its name, and its first and last day, counted from the story's beginning.
#[derive(Clone, Copy)]
pub(super) struct Certified {
    pub host: &'static str,
    pub days: (i64, i64),
}

/// What answers behind the load balancer.
#[derive(Clone, Copy)]
pub(super) enum WebServer {
    Jitsi,
    BadGateway,
    Unconfigured,
}

/// How AWS refuses the calls whose names begin so.
#[derive(Clone, Copy)]
pub(super) struct ApiFault {
    calls: &'static str,
    kind: CloudErrorKind,
    /// In AWS's words; `{call}` stands for the call.
    why: &'static str,
}

impl ApiFault {
    pub(super) fn of(&self, call: &str) -> Option<CloudError> {
        let why = || self.why.replace("{call}", call);
        call.starts_with(self.calls).then(|| CloudError { kind: self.kind, what: call.to_owned(), why: why() })
    }
}

/// Attempts to place a task that fail, counted from when it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Refusals {
    /// In ECS's words.
    pub why: &'static str,
    /// When ECS notes one in its diary.
    pub seconds_after: &'static [u64],
    /// When an attempt goes well.
    pub until: Option<u64>,
}

const PLAIN: StoryRecord = StoryRecord {
    name: "",
    about: "",
    opening: |_| {},
    anothers_strays: false,
    account: ACCOUNT,
    aws: None,
    throttled_late: false,
    stale_reads: false,
    scaled_down: false,
    refusals: None,
    task: None,
    slow: false,
    terraform: None,
    certificate: VALID,
    web: WebServer::Jitsi,
    jitsi: |_| {},
};

// --- The families: what a row begins with ------------------------------------------------------------------------

/// Everything is deployed, and nothing runs.
const fn standby(name: &'static str, about: &'static str) -> StoryRecord {
    StoryRecord { name, about, ..PLAIN }
}

const fn fresh(name: &'static str, about: &'static str) -> StoryRecord {
    StoryRecord { opening: |model| model.stack = Stack::default(), ..standby(name, about) }
}

const fn powered_down(name: &'static str, about: &'static str) -> StoryRecord {
    StoryRecord { opening: |model| model.stack.power_down(), ..standby(name, about) }
}

const fn running(name: &'static str, about: &'static str) -> StoryRecord {
    StoryRecord { opening: Model::has_been_running, ..standby(name, about) }
}

/// It runs, and a meeting on it has something of its own.
const fn meeting(name: &'static str, about: &'static str, jitsi: fn(&mut Setup)) -> StoryRecord {
    StoryRecord { jitsi, ..running(name, about) }
}

/// A load balancer that Terraform does not know.
const fn leftover(name: &'static str, about: &'static str) -> StoryRecord {
    let opening = |model: &mut Model| _ = model.stack.estate.strays.insert(Estate::stray());
    StoryRecord { opening, ..standby(name, about) }
}

const fn doomed(name: &'static str, about: &'static str, task: Fault) -> StoryRecord {
    StoryRecord { task: Some(task), ..standby(name, about) }
}

const fn blocked(name: &'static str, about: &'static str, fault: TerraformFault) -> StoryRecord {
    StoryRecord { terraform: Some(fault), ..standby(name, about) }
}

// --- What several rows share, or what is long --------------------------------------------------------------------

const VALID: Certified = Certified { host: HOST, days: (-40, 355) };

// ECS does not repeat the same line for hours.
const NO_VCPUS: Refusals = Refusals {
    why: "You've reached the limit on the number of vCPUs you can run concurrently. \
          For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
    seconds_after: &[8],
    until: None,
};

const fn no_capacity(seconds_after: &'static [u64], until: Option<u64>) -> Refusals {
    Refusals {
        why: "Capacity is unavailable at this time. Please try again later or in a different availability zone. \
              For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
        seconds_after,
        until,
    }
}

const EXPIRED: ApiFault = ApiFault {
    calls: "",
    kind: CloudErrorKind::SignIn,
    why: "ExpiredTokenException: The security token included in the request is expired",
};
const UNREACHABLE: ApiFault = ApiFault { calls: "", kind: CloudErrorKind::Unreachable, why: "no answer within 10 s" };
pub(super) const THROTTLED: ApiFault =
    ApiFault { calls: "ecs:", kind: CloudErrorKind::Throttled, why: "ThrottlingException: Rate exceeded" };

const fn denied(calls: &'static str) -> ApiFault {
    let why = "AccessDenied: no identity-based policy allows the {call} action";
    ApiFault { calls, kind: CloudErrorKind::Denied, why }
}

const LOBBY: Refusal = Refusal::new(
    "registration-required",
    "Lobby enabled",
    "<lobbyroom xmlns='http://jitsi.org/jitmeet'>lobby@lobby.meet.jitsi</lobbyroom>",
);
const UDP_CUT: Cut = Cut { after: Duration::from_secs(6), lasts: Duration::from_hours(24), there: true, back: true };

/// All stories, in the order in which they are listed.
static STORIES: &[StoryRecord] = &[
    standby("standby", "everything is deployed and nothing runs; a start goes well"),
    fresh("fresh", "nothing has been deployed yet"),
    powered_down("powered-down", "nothing with an hourly price exists; the name is kept by a placeholder"),
    running("running", "the platform has been running for 40 minutes; nobody is in a meeting"),
    StoryRecord {
        opening: |model| {
            model.has_been_running();
            model.people_meet();
        },
        ..standby("meeting", "seven people are in two rooms; the last ones leave after twelve minutes")
    },
    StoryRecord {
        slow: true,
        ..standby("slow-start", "a start takes long, and its Java services call themselves healthy too soon")
    },
    StoryRecord {
        stale_reads: true,
        ..standby("stale-reads", "for some seconds after a change, ECS still shows what was before")
    },
    StoryRecord { scaled_down: true, ..standby("tug-of-war", "somebody else scales down while the platform starts") },
    doomed("image-gone", "the image of the bridge does not exist", Fault::ImageGone),
    doomed("out-of-memory", "the bridge runs out of memory soon after each start", Fault::OutOfMemory),
    doomed("secret-denied", "the execution role may not read the secret", Fault::SecretDenied),
    doomed("crash-loop", "Prosody gives up again and again because a password is missing", Fault::Crash),
    StoryRecord {
        refusals: Some(no_capacity(&[8, 38, 98], None)),
        ..standby("no-capacity", "AWS has no Fargate capacity free")
    },
    StoryRecord {
        refusals: Some(no_capacity(&[8, 38], Some(98))),
        ..standby("capacity-returns", "AWS has no Fargate capacity at first; the third attempt finds some")
    },
    StoryRecord { refusals: Some(NO_VCPUS), ..standby("vcpu-quota", "the account's quota of vCPUs is used up") },
    StoryRecord {
        refusals: Some(no_capacity(&[8, 38, 98], Some(218))),
        ..running("old-refusal", "it runs well, 40 minutes after a start that AWS refused three times at first")
    },
    doomed("unhealthy-target", "the load balancer cannot reach the bridge's health page", Fault::Unreached),
    StoryRecord {
        opening: |model| {
            model.has_been_running();
            model.stack.record = Some(Stack::FORMER_BALANCER.into());
        },
        ..standby("dns-stale", "the name still points to a load balancer of the past")
    },
    StoryRecord {
        certificate: Certified { days: (-397, -2), ..VALID },
        ..running("expired-certificate", "the certificate expired two days ago")
    },
    StoryRecord {
        certificate: Certified { host: "www.example.org", ..VALID },
        ..running("wrong-name", "the certificate is for another name")
    },
    StoryRecord {
        certificate: Certified { days: (-386, 9), ..VALID },
        ..running("certificate-expiring", "the certificate ends in nine days")
    },
    StoryRecord {
        web: WebServer::BadGateway,
        ..running("https-502", "the web container answers 502 behind a target that counts as healthy")
    },
    StoryRecord {
        web: WebServer::Unconfigured,
        ..running("not-jitsi", "the web server answers, but what it serves is not Jitsi")
    },
    meeting("websocket-blocked", "the web container does not pass WebSockets on", |setup| {
        setup.faults.websocket_blocked = true;
    }),
    StoryRecord {
        opening: |model| {
            model.has_been_running();
            model.silent_since = Some(back(EPOCH, 6));
        },
        ..standby("occupancy-stale", "the sidecar that counts people fell silent six minutes ago")
    },
    meeting("udp-blocked", "UDP port 10000 does not get through to the bridge", |setup| setup.faults.blocked_in = true),
    meeting("udp-one-way", "the bridge hears everybody, and its answers do not get back", |setup| {
        setup.faults.blocked_out = true;
    }),
    meeting("private-address-only", "the bridge advertises its private address only", |setup| {
        setup.advertised.retain(|a| a.kind == "host");
    }),
    meeting("wrong-advertised-address", "the bridge advertises an address that is not the platform's", |setup| {
        let elsewhere = (FORMER_BALANCER, setup.inside.port()).into();
        setup.advertised = vec![Advertised::host(setup.inside), Advertised::public(elsewhere)];
    }),
    meeting("no-focus", "jicofo is not connected to Prosody", |setup| setup.faults.focus_down = true),
    meeting("no-bridge", "jicofo has no bridge to hold a meeting on", |setup| setup.faults.no_bridge = true),
    meeting("bridge-draining", "the only bridge is shutting down gracefully and takes no new meeting", |setup| {
        setup.faults.no_bridge = true;
    }),
    meeting("dtls-fails", "packets reach the bridge, and the DTLS handshake does not finish", |setup| {
        setup.faults.dtls_dropped = true;
    }),
    meeting("lossy", "one packet in ten is lost on the way", |setup| setup.faults.loss = 0.1),
    meeting("jittery", "packets take up to a fifth of a second, each another time", |setup| {
        setup.faults.delay = Duration::from_millis(20);
        setup.faults.jitter = Duration::from_millis(80);
    }),
    meeting("lobby-forced", "a lobby is forced on every room, and nobody lets the probe in", |setup| {
        setup.faults.join = Some(LOBBY);
    }),
    meeting("auth-required", "the deployment wants a login", |setup| setup.faults.sign_in = SignIn::Password),
    meeting("token-rejected", "the deployment wants a token that the probe does not have", |setup| {
        setup.faults.sign_in = SignIn::Token("a-token-that-nobody-has".into());
    }),
    meeting("websocket-off", "XMPP over WebSocket is switched off", |setup| setup.faults.websocket_off = true),
    meeting("room-limit", "rooms take one participant only", |setup| setup.faults.room_limit = Some(1)),
    meeting("bridge-restarts-midway", "the bridge restarts in the middle of a meeting", |setup| {
        setup.faults.restarts = 1;
        setup.faults.restart_after = Duration::from_millis(1500);
    }),
    meeting("quiet-websocket", "nginx ends a WebSocket that is quiet for a minute, its default", |setup| {
        setup.faults.read_limit = Some(Duration::from_mins(1));
    }),
    meeting("websocket-elsewhere", "config.js sends browsers to a WebSocket that guests cannot reach", |setup| {
        setup.faults.websocket = Some("wss://localhost:8443/xmpp-websocket");
    }),
    meeting("moved-bridge", "jicofo moves a participant to another bridge in mid-meeting", |setup| {
        setup.faults.moves = Some((Duration::from_secs(6), Move::Restart));
    }),
    meeting("udp-cut-midway", "six seconds into a meeting, UDP is cut", |setup| setup.faults.cut_udp = Some(UDP_CUT)),
    StoryRecord {
        jitsi: |setup| {
            setup.faults.cold = Duration::from_secs(13);
            setup.faults.late = Duration::from_millis(2400);
        },
        ..standby("cold-bridge", "nothing runs; a bridge that has just started is late with the first packets")
    },
    meeting("old-release", "a release of before August 2026, whose bridge offers a WebSocket", |setup| {
        setup.faults.channel = ChannelOffer::WebSocket;
    }),
    meeting("channel-refused", "the bridge offers a WebSocket as its channel, and refuses it", |setup| {
        setup.faults.channel = ChannelOffer::WebSocket;
        setup.faults.channel_fault = ChannelFault::Refuses;
    }),
    StoryRecord { aws: Some(EXPIRED), ..standby("token-expired", "the sign-in to AWS has expired") },
    StoryRecord { account: "444455556666", ..fresh("wrong-account", "the credentials belong to another account") },
    StoryRecord {
        aws: Some(denied("elasticloadbalancing:DescribeTargetHealth")),
        ..running("denied", "it runs, but the credentials may not look at the targets")
    },
    StoryRecord { aws: Some(THROTTLED), ..standby("throttled", "ECS asks to slow down, whatever is asked") },
    StoryRecord {
        throttled_late: true,
        ..standby("throttled-late", "ECS asks to slow down for a minute, just when a start has come to its last look")
    },
    StoryRecord { aws: Some(UNREACHABLE), ..standby("aws-unreachable", "the endpoints of AWS do not answer") },
    StoryRecord {
        anothers_strays: true,
        ..leftover("leftover-balancer", "another team's load balancer, in another VPC, carries this project's tag")
    },
    leftover(
        "leftover-balancer-ours",
        "a second load balancer, shown to be the platform's, that Terraform does not know",
    ),
    StoryRecord {
        aws: Some(denied("elasticloadbalancing:DeleteLoadBalancer")),
        ..leftover("leftover-balancer-denied", "the same, and the credentials may not delete it")
    },
    blocked("state-locked", "somebody else's Terraform holds the lock of the state", TerraformFault::Locked),
    blocked("terraform-missing", "neither terraform nor tofu is installed", TerraformFault::Missing),
    blocked("terraform-old", "the terraform that is installed is too old", TerraformFault::TooOld),
    blocked(
        "plan-touches-too-much",
        "a power-down's plan would also change the network and the recordings",
        TerraformFault::TouchesTooMuch,
    ),
    StoryRecord {
        terraform: Some(TerraformFault::BalancersRefused),
        ..fresh("balancers-not-allowed", "nothing is deployed, and AWS refuses load balancers to the new account")
    },
    StoryRecord {
        terraform: Some(TerraformFault::BreaksOff),
        ..powered_down("apply-fails-halfway", "powered down; the first restoration breaks off at the listener")
    },
];

impl Story {
    /// All of them, in the order in which they are listed.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        STORIES.iter().map(Self)
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|story| story.name == name)
    }

    /// The platform as the story finds it.
    pub fn opening(self, seed: u64) -> Model {
        let mut model = Model::deployed(self, seed);
        (self.opening)(&mut model);
        model
    }
}

impl Deref for Story {
    type Target = StoryRecord;
    fn deref(&self) -> &StoryRecord {
        self.0
    }
}

impl Default for Story {
    fn default() -> Self {
        Self(&STORIES[0])
    }
}

impl PartialEq for Story {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Story {}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Story {
    type Err = String;
    fn from_str(given: &str) -> Result<Self, String> {
        Self::named(given).ok_or_else(|| format!("{given:?} is not a story; `meetctl sandbox` lists them"))
    }
}

impl Serialize for Story {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Story {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
