//! The outside: three ports, and all that stands behind them.

pub mod aws;
pub mod net;
pub mod sandbox;
pub mod terraform;
mod trust;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use self::trust::Trust;
use crate::clock::Clock;
use crate::domain::billed::Billed;
use crate::domain::changes::{Changes, Wanted};
use crate::domain::name::{AccountId, DeploymentId, Host, PlatformName, TargetGroupArn, TaskId};
use crate::domain::observed::{
    Balancer, Blindness, Identity, Mark, Occupancy, Record, Secret, Service, Target, Task, Unreadable,
};
use crate::domain::said::Said;

/// All that is outside of the process. `aws::world` and `sandbox::world` build one.
pub struct World {
    pub cloud: Box<dyn Cloud>,
    pub terraform: Box<dyn Terraform>,
    pub net: Box<dyn Net>,
    pub clock: Clock,
    /// The certification authorities that participants' browsers trust, and the user's own.
    pub trust: Trust,
    /// Where chance begins: from the machine, or the sandbox's own.
    pub seed: u64,
    /// How long one look may take.
    pub look: Duration,
}

/// How long one look may take where nothing else limits it.
pub const LONGEST_LOOK: Duration = Duration::from_secs(40);

/// What is outside for whoever looks at a deployment that is not its own: no account, only the way there.
pub struct Street {
    pub net: Box<dyn Net>,
    pub clock: Clock,
    pub trust: Trust,
    pub seed: u64,
}

impl From<World> for Street {
    fn from(world: World) -> Self {
        let World { net, clock, trust, seed, .. } = world;
        Self { net, clock, trust, seed }
    }
}

/// The AWS account, in the domain's words.
///
/// A reader returns `Ok(None)` when the thing does not exist and `Err` when it could not be read. A writer is
/// idempotent, and returns once accepted, not once effective.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Whose credentials these are (STS).
    async fn identity(&self) -> Result<Identity, CloudError>;

    /// The ECS service; `None` also when its cluster does not exist or it is INACTIVE (deleted).
    async fn service(&self) -> Result<Option<Service>, CloudError>;

    /// All tasks of the service: those not stopped, and those that stopped within about the last hour.
    /// Empty when the cluster or the service does not exist.
    async fn tasks(&self) -> Result<Vec<Task>, CloudError>;

    /// The network load balancer with its listeners.
    async fn balancer(&self) -> Result<Option<Balancer>, CloudError>;

    /// The targets of one group; `None` when the group does not exist.
    async fn targets(&self, group: &TargetGroupArn) -> Result<Option<Vec<Target>>, CloudError>;

    /// The record of the platform's name; `None` when the zone or the record does not exist.
    async fn record(&self) -> Result<Option<Record>, CloudError>;

    /// The secret's description. Its value is never read.
    async fn secret(&self) -> Result<Option<Secret>, CloudError>;

    /// The newest occupancy line since `since`, of whichever task; lines that make no sense are passed over, and
    /// when none is left but there were some, that is an error, not an absence.
    async fn occupancy(&self, since: Timestamp) -> Result<Option<Occupancy>, CloudError>;

    /// The last lines that a container of a task has logged, oldest first; `None` without a stream for it.
    async fn log_tail(&self, task: &TaskId, container: &str, lines: u16) -> Result<Option<Vec<String>>, CloudError>;

    /// Sets the desired count to 1 with a forced new deployment, and returns the deployment that this made.
    async fn start(&self) -> Result<DeploymentId, CloudError>;

    /// Sets the desired count to 0.
    async fn stop(&self) -> Result<(), CloudError>;

    /// Writes on the service who asked for a start.
    async fn mark(&self, mark: &Mark) -> Result<(), CloudError>;

    /// Everything with an hourly price that carries the project's tags, confirmed by the service that owns it where
    /// that is one we speak with: what that service does not know any more is not listed.
    async fn billed(&self) -> Result<Vec<Billed>, CloudError>;

    /// The buckets that outlive the platform, as the list of tags knows them.
    async fn kept(&self) -> Result<Kept, CloudError>;

    /// Deletes a load balancer by its ARN; one that does not exist is no error.
    async fn remove_balancer(&self, arn: &str) -> Result<(), CloudError>;

    /// Lifts the scale-in protection of tasks.
    async fn unprotect(&self, tasks: &[TaskId]) -> Result<(), CloudError>;
}

/// The names of the buckets of a platform that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub recordings: Option<String>,
    /// Terraform's state.
    pub state: Option<String>,
}

/// The program `terraform` or `tofu`, with the modules of this platform.
///
/// Each call finds the program, checks its version, and prepares its working folder; doing so again changes nothing.
/// Nothing is ever applied but a plan that was made here, shown, and guarded. When `stop` is asked for, the program gets
/// one interrupt and up to a minute to save its state.
#[async_trait]
pub trait Terraform: Send + Sync {
    /// Whose modules these are: the value of the `project` tag.
    fn platform(&self) -> &PlatformName;

    /// What it would change to bring about `wanted`. Without a state bucket that is `TerraformError::StateGone`,
    /// for all but `Wanted::StateBucket`.
    async fn plan(&self, wanted: Wanted, errand: Errand<'_>) -> Result<Planned, TerraformError>;

    /// Makes exactly the planned changes.
    async fn apply(&self, planned: Planned, errand: Errand<'_>) -> Result<(), TerraformError>;

    /// The addresses of the resources that it manages; `None` when there is no state.
    async fn managed(&self, errand: Errand<'_>) -> Result<Option<Vec<String>>, TerraformError>;

    /// What the modules tell of what they made; `None` when there is no state.
    async fn outputs(&self, errand: Errand<'_>) -> Result<Option<Outputs>, TerraformError>;
}

/// What every call of `Terraform` is made with.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// The account of the credentials: part of the state bucket's name.
    pub account: &'a AccountId,
    /// Told what it says while it works.
    pub said: &'a (dyn Fn(Said) + Send + Sync),
    pub stop: &'a CancellationToken,
}

/// A plan, ready to be applied.
#[derive(Debug)]
pub struct Planned {
    pub wanted: Wanted,
    pub changes: Changes,
    /// The file that holds it, for the adapter that wrote it.
    pub file: PathBuf,
}

/// What the modules tell of what they made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    pub recordings_bucket: Option<String>,
    /// The name servers to enter at the parent domain, when the zone is the platform's own.
    pub name_servers: Vec<String>,
}

pub use self::terraform::TerraformError;

/// Where the credentials for other programs come from.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The credentials as they are resolved now: never printed, only handed to a program that acts for us.
    async fn keys(&self) -> Result<KeySet, CloudError>;
}

/// Credentials. Not `Serialize`, and redacted when debugged.
#[derive(Clone)]
pub struct KeySet {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySet(…)")
    }
}

/// Why a call to AWS gave no answer. `what` is the call, such as `ecs:DescribeServices`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct CloudError {
    pub kind: CloudErrorKind,
    pub what: String,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudErrorKind {
    /// Credentials are expired or not accepted.
    SignIn,
    NoCredentials,
    SsoEnded,
    ClockWrong,
    HelperMissing,
    HelperFailed,
    MfaWanted,
    /// Not allowed.
    Denied,
    /// Asked to slow down, also after retries.
    Throttled,
    /// The thing to change does not exist.
    Gone,
    /// The request was understood and refused.
    Refused,
    /// No answer in time, or no way to the endpoint.
    Unreachable,
    /// An answer that makes no sense.
    Garbled,
}

impl CloudErrorKind {
    /// Whether the same call may be answered when it is made again.
    pub fn may_pass(self) -> bool {
        Blindness::from(self).may_pass()
    }
}

impl From<CloudErrorKind> for Blindness {
    fn from(kind: CloudErrorKind) -> Self {
        match kind {
            CloudErrorKind::SignIn => Self::SignIn,
            CloudErrorKind::NoCredentials => Self::NoCredentials,
            CloudErrorKind::SsoEnded => Self::SsoEnded,
            CloudErrorKind::ClockWrong => Self::ClockWrong,
            CloudErrorKind::HelperMissing => Self::HelperMissing,
            CloudErrorKind::HelperFailed => Self::HelperFailed,
            CloudErrorKind::MfaWanted => Self::MfaWanted,
            CloudErrorKind::Denied => Self::Denied,
            CloudErrorKind::Throttled => Self::Throttled,
            CloudErrorKind::Unreachable => Self::Unreachable,
            CloudErrorKind::Gone | CloudErrorKind::Refused | CloudErrorKind::Garbled => Self::Garbled,
        }
    }
}

impl From<CloudError> for Unreadable {
    fn from(error: CloudError) -> Self {
        let because = error.kind.into();
        Self { because, why: error.to_string() }
    }
}

/// A connected byte stream.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}

/// The network, as bytes. DNS, TLS, HTTPS, XMPP, STUN and media are spoken on top, in `probe`.
///
/// No call has a time limit of its own; whoever asks sets one. Dropping a future ends its work.
#[async_trait]
pub trait Net: Send + Sync {
    /// The addresses of a host by the resolver of this machine; empty when it says that there are none.
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError>;

    /// The recursive name servers that this machine uses; empty when they are not known.
    fn name_servers(&self) -> Vec<SocketAddr>;

    /// Opens a TCP connection.
    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError>;

    /// Opens a UDP socket on the local address from which `toward` is reached, with a fresh port.
    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError>;

    /// CPU time that this process has used for its traffic so far; `None` where that cannot be told, or means nothing.
    fn cpu_time(&self) -> Option<Duration> {
        None
    }
}

/// A UDP socket.
#[async_trait]
pub trait Datagrams: Send + Sync {
    fn local(&self) -> SocketAddr;
    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError>;
    /// Waits for the next datagram. An ICMP "unreachable" shows as `NetError::Refused`.
    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError>;
    /// Who the last `NetError::Refused` was about, where that is known.
    fn refused_by(&self) -> Option<SocketAddr> {
        None
    }
}

/// Why the network gave no connection or no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// Somebody is there, and nothing listens on that port.
    #[error("connection refused")]
    Refused,
    #[error("connection reset")]
    Reset,
    #[error("no answer")]
    TimedOut,
    /// This machine has no way there: says nothing about the platform.
    #[error("this machine has no way there: {0}")]
    NoRoute(String),
    #[error("{0}")]
    Other(String),
}
