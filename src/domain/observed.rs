//! What one look at the world has found.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::billed::{Billed, Placement};
use super::meeting::Proof;
use super::name::{AccountId, DeploymentId, Host, TargetGroupArn, TaskId};
use super::ownership::Tags;

/// One look at one thing. `Absent` is knowledge; `Unreadable` is not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reading", content = "value", rename_all = "snake_case")]
pub enum Reading<T> {
    Present(T),
    Absent,
    Unreadable(Unreadable),
}

/// Why a thing could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    pub because: Blindness,
    pub why: String,
}

/// The kinds of not seeing; each has its own exit code and its own advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Blindness {
    /// Nobody looked.
    NotAsked,
    /// Credentials are missing, expired or of another account.
    SignIn,
    /// The credentials are good, but this call is not allowed.
    Denied,
    /// AWS asked us to slow down, more often than the retries could bear.
    Throttled,
    /// The other side could not be reached.
    Unreachable,
    /// There was an answer, and it made no sense.
    Garbled,
    /// The deployment does not let the probe in: nothing is proven, and nothing is wrong.
    Unprovable,
}

impl Blindness {
    /// Names it for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAsked => "not-looked",
            Self::SignIn => "sign-in",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unreachable => "unreachable",
            Self::Garbled => "invalid-response",
            Self::Unprovable => "not-admitted",
        }
    }

    /// Whether the next look may see it: AWS is busy, or an answer was lost on its way.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Throttled | Self::Unreachable)
    }
}

impl<T> Reading<T> {
    pub fn not_asked() -> Self {
        Self::Unreadable(Unreadable { because: Blindness::NotAsked, why: "not looked at".into() })
    }

    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(it) => Some(it),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    pub fn unreadable(&self) -> Option<&Unreadable> {
        match self {
            Self::Unreadable(why) => Some(why),
            Self::Present(_) | Self::Absent => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<T, E: Into<Unreadable>> From<Result<Option<T>, E>> for Reading<T> {
    fn from(answer: Result<Option<T>, E>) -> Self {
        match answer {
            Ok(Some(it)) => Self::Present(it),
            Ok(None) => Self::Absent,
            Err(why) => Self::Unreadable(why.into()),
        }
    }
}

/// The time from `earlier` to `later`; zero when it is the other way round.
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// All readings of one moment, AWS and real probes alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observed {
    pub at: Timestamp,
    pub identity: Reading<Identity>,
    pub service: Reading<Service>,
    /// Tasks that are not stopped, and those stopped in about the last hour. Present and empty when there are none.
    pub tasks: Reading<Vec<Task>>,
    pub balancer: Reading<Balancer>,
    /// The target groups that the service names, each with its targets.
    pub targets: Reading<Vec<TargetGroup>>,
    pub record: Reading<Record>,
    pub secret: Reading<Secret>,
    pub occupancy: Reading<Occupancy>,
    pub names: Reading<Resolution>,
    pub tls: Reading<Tls>,
    pub web: Reading<Web>,
    pub signalling: Reading<Signalling>,
    /// What synthetic participants found in a throw-away room.
    pub media: Reading<Proof>,
    /// Everything with an hourly price that carries the project's tags. Present and empty when there is none.
    pub billed: Reading<Vec<Billed>>,
    /// The addresses of the resources in Terraform's state; absent when there is no state.
    pub managed: Reading<Vec<String>>,
    /// The buckets that a removal of the platform leaves. Present and empty when there is none.
    pub kept: Reading<Vec<String>>,
}

impl Observed {
    /// An observation in which nothing has been looked at yet.
    pub fn nothing(at: Timestamp) -> Self {
        Self {
            at,
            identity: Reading::not_asked(),
            service: Reading::not_asked(),
            tasks: Reading::not_asked(),
            balancer: Reading::not_asked(),
            targets: Reading::not_asked(),
            record: Reading::not_asked(),
            secret: Reading::not_asked(),
            occupancy: Reading::not_asked(),
            names: Reading::not_asked(),
            tls: Reading::not_asked(),
            web: Reading::not_asked(),
            signalling: Reading::not_asked(),
            media: Reading::not_asked(),
            billed: Reading::not_asked(),
            managed: Reading::not_asked(),
            kept: Reading::not_asked(),
        }
    }

    /// The service's current deployment.
    pub fn deployment(&self) -> Option<&DeploymentId> {
        self.service.present()?.primary().map(|d| &d.id)
    }

    /// The tasks that have not stopped.
    pub fn live_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.present().into_iter().flatten().filter(|t| t.stopped.is_none())
    }

    /// The live task of the current start.
    pub fn task(&self) -> Option<&Task> {
        self.task_of(self.deployment())
    }

    /// The live task of that deployment, else any.
    pub(super) fn task_of(&self, deployment: Option<&DeploymentId>) -> Option<&Task> {
        self.live_tasks().find(|t| t.deployment.as_ref() == deployment).or_else(|| self.live_tasks().next())
    }
}

/// A start that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    pub deployment: DeploymentId,
    /// By ECS's own clock: when the deployment was made, or, until that is shown, when the one before it was. One that
    /// was made later and has become the primary one has replaced it.
    pub at: Timestamp,
}

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub account: AccountId,
    pub arn: String,
    /// When the credentials end; `None` when they do not, or nobody says.
    pub expires: Option<Timestamp>,
}

/// The ECS service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Service {
    pub status: ServiceStatus,
    pub desired: u32,
    pub running: u32,
    pub pending: u32,
    pub deployments: Vec<Deployment>,
    /// Newest first.
    pub events: Vec<ServiceEvent>,
    /// The target groups it registers its tasks with.
    pub target_groups: Vec<Attachment>,
    /// The subnets in which it runs its tasks.
    pub subnets: Vec<String>,
    /// Whose it is.
    pub tags: Tags,
    /// Who asked for the current start, and when, as written on the service.
    pub mark: Option<Mark>,
}

impl Service {
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|d| d.status == DeploymentStatus::Primary)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    Active,
    Draining,
    Inactive,
}

/// A container port registered with a target group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    pub group: TargetGroupArn,
    pub container: String,
    pub port: u16,
}

/// Who started the platform: written on the service as tags when a start is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub by: String,
    pub at: Timestamp,
    pub deployment: DeploymentId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deployment {
    pub id: DeploymentId,
    pub status: DeploymentStatus,
    pub rollout: Rollout,
    pub rollout_reason: Option<String>,
    pub desired: u32,
    pub running: u32,
    pub failed: u32,
    pub created: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    Primary,
    Active,
    Inactive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// A line of the service's own diary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEvent {
    pub id: String,
    pub at: Timestamp,
    pub message: String,
}

/// An ECS task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    pub id: TaskId,
    /// The deployment that started it.
    pub deployment: Option<DeploymentId>,
    /// ECS's own word: `PROVISIONING`, `PENDING`, `ACTIVATING`, `RUNNING`, …
    pub last_status: String,
    pub health: Health,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    /// Since when it pulls its images: the start of billing.
    pub pull_started: Option<Timestamp>,
    pub stopped: Option<Stop>,
    /// Its address inside of the network: what a target group knows it by.
    pub address: Option<IpAddr>,
    /// vCPU in units of 1/1024.
    pub cpu: u32,
    /// MiB
    pub memory: u32,
    pub architecture: Architecture,
    pub containers: Vec<Container>,
}

impl Task {
    pub fn is_running(&self) -> bool {
        self.last_status == "RUNNING" && self.stopped.is_none()
    }

    /// Whether it does now what it is there for, whatever happened before.
    pub fn is_well(&self) -> bool {
        self.is_running() && self.health == Health::Healthy
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    X86,
    Arm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Healthy,
    Unhealthy,
    Unknown,
}

/// How and why a task stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop {
    pub at: Timestamp,
    /// `stopCode`, such as `TaskFailedToStart`.
    pub code: Option<String>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Container {
    pub name: String,
    pub image: Option<String>,
    pub last_status: String,
    pub health: Health,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
}

/// The network load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balancer {
    pub arn: String,
    pub dns_name: String,
    pub state: BalancerState,
    pub created: Option<Timestamp>,
    pub zones: u32,
    /// Public IPv4 addresses: one for each zone.
    pub addresses: u32,
    pub listeners: Vec<Listener>,
    pub placement: Placement,
    /// The ids of its Elastic IPs.
    pub allocations: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancerState {
    Provisioning,
    Active,
    Impaired,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    pub protocol: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGroup {
    pub group: TargetGroupArn,
    pub container: String,
    pub port: u16,
    pub targets: Vec<Target>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    pub address: String,
    pub port: u16,
    pub state: TargetState,
    /// Such as `Target.FailedHealthChecks`.
    pub reason: Option<String>,
    pub description: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Unused,
    Draining,
    Unavailable,
}

/// ELB's own word.
impl std::fmt::Display for TargetState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unused => "unused",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        })
    }
}

/// The Route 53 record of the platform's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    pub zone: String,
    /// The alias target, or the values of a plain record.
    pub targets: Vec<String>,
}

/// Where the name leads while the platform is powered down: nowhere. An address of TEST-NET-1 (RFC 5737).
pub const PLACEHOLDER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl Record {
    /// Whether it only keeps the name's place until the load balancer is back.
    pub fn is_placeholder(&self) -> bool {
        self.targets.iter().map(|target| target.parse()).eq([Ok(PLACEHOLDER)])
    }
}

/// What Secrets Manager says about the secret; its value is never read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    pub name: String,
    /// Set while it waits for its deletion.
    pub deleted: Option<Timestamp>,
}

/// The newest line of the occupancy sidecar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// The task that wrote it.
    pub task: TaskId,
    pub time: Timestamp,
    pub conferences: u32,
    pub participants: u32,
    pub draining: bool,
}

/// How the platform's name resolves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resolution {
    pub host: Host,
    /// By the resolver of this machine, or the configured one.
    pub local: Result<Vec<IpAddr>, Unreadable>,
    /// By each of the zone's own name servers.
    pub authoritative: Vec<Authority>,
    /// Why the zone's own servers are not known.
    pub authorities_unseen: Option<Unreadable>,
    /// The addresses of the load balancer's own name; `None` when there is none to ask for.
    pub balancer: Option<Result<Vec<IpAddr>, Unreadable>>,
}

/// One authoritative name server's answer. No address means: it says that the name does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authority {
    pub server: String,
    pub address: Option<SocketAddr>,
    pub answer: Result<Vec<IpAddr>, Unreadable>,
}

/// What a TLS handshake has shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tls {
    pub address: SocketAddr,
    /// What was shown; `Err` says how the handshake ended without a certificate.
    pub shown: Result<Certificate, String>,
    #[serde(serialize_with = "super::seconds")]
    pub took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Whether the name asked for is among its names.
    pub name_matches: bool,
    /// Why a browser would not trust the chain, dates and name aside.
    pub untrusted: Option<String>,
    /// Trusted only through the configured private root.
    pub private_root: bool,
    /// Such as `TLSv1.3`.
    pub version: String,
}

/// The pages of the web container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Web {
    pub index: Page,
    pub config: Page,
    pub api: Page,
}

/// One page as judged: the status code alone proves nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub path: String,
    /// `None` when there was no HTTP answer.
    pub status: Option<u16>,
    /// What is wrong with it; `None` when it is what Jitsi serves.
    pub wrong: Option<String>,
    #[serde(serialize_with = "super::seconds")]
    pub took: Duration,
}

/// What the signalling preflight found, and, when it was asked to go on, the sign-in and the conference request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Signalling {
    pub bosh: Page,
    pub websocket: Page,
}
