//! How a job ended: outcomes, failures, and the one table of exit codes.

use serde::Serialize;

use crate::domain::cause::LogTail;
use crate::domain::changes::Wanted;
use crate::domain::condition::Code;
use crate::domain::goal::Goal;
use crate::domain::observed::Blindness;
use crate::domain::plan::Refusal;
use crate::domain::text::list;
use crate::world::{CloudError, CloudErrorKind, TerraformError};

/// How a job that was done ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    NothingToDo,
    /// The answer is bad, and known.
    Unhealthy,
    /// Something that the answer needs could not be read.
    CannotTell,
}

impl Outcome {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What the exit code means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done | Self::NothingToDo => "done, nothing to do, healthy",
            Self::Unhealthy => {
                "the answer is bad, and known: not healthy, a condition that failed for certain, not at the expected level, no such platform, something left that costs"
            }
            Self::CannotTell => "cannot tell: something needed for the answer could not be read",
        }
    }

    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Done | Self::NothingToDo => 0,
            Self::Unhealthy => 8,
            Self::CannotTell => 9,
        }
    }
}

/// Why a job could not be done; each kind is an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Bug,
    Usage,
    Configuration,
    NoAccess,
    Refused,
    TimedOut,
    Outside,
    /// A condition that failed for certain.
    Broken,
    Unseen,
    Interrupted,
    Terminated,
}

impl Kind {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What the exit code means.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Bug => "a bug in meetctl",
            Self::Usage => "wrong usage",
            Self::Configuration => "configuration missing or wrong",
            Self::NoAccess => "no access: credentials missing, expired or not allowed",
            Self::Refused => {
                "refused, because it would not be safe: people in a meeting, or that cannot be seen; somebody else's change; another plan than the one agreed to"
            }
            Self::TimedOut => "timed out; what was still awaited is named",
            Self::Outside => {
                "the outside could not be used: an AWS API, the network; nothing is said about the platform"
            }
            Self::Broken => Outcome::Unhealthy.meaning(),
            Self::Unseen => Outcome::CannotTell.meaning(),
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// The exit code. A number is never used for anything else again.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Bug => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::NoAccess => 4,
            Self::Refused => 5,
            Self::TimedOut => 6,
            Self::Outside => 7,
            Self::Broken => 8,
            Self::Unseen => 9,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// What failed, why, and what to do next. Built in many places, rendered in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub kind: Kind,
    /// What was found, for a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    pub what: String,
    /// The chain of causes, nearest first.
    pub why: Vec<String>,
    pub next: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogTail>,
}

impl Failure {
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, code: None, what: what.into(), why: Vec::new(), next: Vec::new(), log: None }
    }

    #[must_use]
    pub fn coded(self, code: Option<Code>) -> Self {
        Self { code, ..self }
    }

    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }
}

impl From<Blindness> for Kind {
    fn from(because: Blindness) -> Self {
        match because {
            Blindness::SignIn | Blindness::Denied => Self::NoAccess,
            Blindness::Throttled | Blindness::Unreachable | Blindness::Garbled => Self::Outside,
            Blindness::Unprovable => Self::Unseen,
            Blindness::NotAsked => Self::Bug,
        }
    }
}

/// What to do when something could not be seen.
pub fn advice(because: Blindness) -> &'static str {
    match because {
        Blindness::SignIn => "sign in again: `aws sso login`, or set AWS_PROFILE to a profile with credentials",
        Blindness::Denied => "ask for that permission; docs/reference/iam.md lists what each command needs",
        Blindness::Throttled => "wait a minute, then run the same command again",
        Blindness::Unreachable => "check this machine's network and the region, then run the same command again",
        Blindness::Garbled => "run the same command again; with `-v` it shows what AWS answered",
        Blindness::Unprovable => "let the probe in, or set `probe.media` to false and look for yourself",
        Blindness::NotAsked => "this is a bug in meetctl: please report it",
    }
}

impl From<CloudError> for Failure {
    fn from(error: CloudError) -> Self {
        let (kind, next) = match error.kind {
            CloudErrorKind::SignIn => (Kind::NoAccess, advice(Blindness::SignIn)),
            CloudErrorKind::Denied => (Kind::NoAccess, advice(Blindness::Denied)),
            CloudErrorKind::Throttled => (Kind::Outside, advice(Blindness::Throttled)),
            CloudErrorKind::Unreachable => (Kind::Outside, advice(Blindness::Unreachable)),
            CloudErrorKind::Garbled => (Kind::Outside, advice(Blindness::Garbled)),
            CloudErrorKind::Refused => (Kind::Outside, "read AWS's words above; then run the same command again"),
            CloudErrorKind::Gone => {
                (Kind::Outside, "run `meetctl status`: somebody has removed a part of the platform")
            }
        };
        Self::new(kind, format!("{} gave no answer to build on", error.what)).because(error.why).next(next)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let what = refusal.to_string();
        match refusal {
            Refusal::NoPlatform(nowhere) => {
                let next = if nowhere.theirs.is_some() {
                    "if it is this platform's, and somebody changed its tags: `meetctl deploy` puts them back"
                } else {
                    "if it is still to be made: `meetctl deploy`"
                };
                let why = [nowhere.theirs, nowhere.answers];
                let failure = why.into_iter().flatten().fold(Self::new(Kind::Broken, what), Self::because);
                failure.next("check name, region and account: `meetctl config show --origin`").next(next)
            }
            Refusal::NotNamed { addresses } => Self::new(Kind::Refused, what).because(addresses.join(", ")).next(
                "somebody has changed the platform meanwhile: run the same command again, and look at what it names",
            ),
            Refusal::Blind { because, why, .. } => Self::new(because.into(), what).because(why).next(advice(because)),
            Refusal::MeetingInProgress { to: Goal::Running, .. } => Self::new(Kind::Refused, what)
                .because("the task that they are in would be replaced")
                .next("wait until they have left, then run the same command again")
                .next("or end their meeting: `meetctl up --cut-meetings`"),
            Refusal::MeetingInProgress { .. } => Self::new(Kind::Refused, what)
                .next("wait for them: `meetctl down --when-empty`")
                .next("or end their meeting: `meetctl down --cut-meetings`"),
            Refusal::MeetingUnknown { to, why, .. } => {
                let command = if to == Goal::Running { "up" } else { "down" };
                Self::new(Kind::Refused, what)
                    .because(why)
                    .next(format!("ask whether anybody is still in a meeting; then `meetctl {command} --cut-meetings`"))
            }
            Refusal::TouchesTooMuch { wanted, touched } => {
                let next = match wanted {
                    Wanted::PoweredDown | Wanted::Restored | Wanted::RecordingsDeletable => {
                        "the stack is not as configured: look at it with `meetctl deploy`, then run the same command again"
                    }
                    Wanted::Deployed { .. } => {
                        "save what is in it; then, if it may go, `meetctl deploy --allow-destroying-data`"
                    }
                    Wanted::StateBucket | Wanted::Removed { .. } => {
                        "find out what these are; docs/restore.md tells how to take them out"
                    }
                };
                Self::new(Kind::Refused, what).because(list(touched, ", ")).next(next)
            }
            Refusal::StillManaged { addresses } => Self::new(Kind::Refused, what)
                .because(list(addresses, ", "))
                .next("run `meetctl power-down` again; then look at `meetctl status`"),
            Refusal::Contested { why } => Self::new(Kind::Refused, what)
                .because(why)
                .next("find out who it is (`meetctl status`), then run the same command again"),
        }
    }
}

/// What ends a run that Terraform could not finish: nothing is lost, and nothing has to be undone.
const CONTINUES: &str = "then run the same command again; it continues where it stopped";

impl From<TerraformError> for Failure {
    fn from(error: TerraformError) -> Self {
        use TerraformError as E;
        let what = match &error {
            E::Keys(_) => String::new(),
            other => format!("Terraform could not do its part: {other}"),
        };
        let outside = |why: &str, next: &str| Self::new(Kind::Outside, what.clone()).because(why).next(next);
        match error {
            E::Keys(error) => error.into(),
            E::Missing => Self::new(Kind::Outside, what)
                .next("install Terraform 1.11 or newer (https://developer.hashicorp.com/terraform/install), or OpenTofu 1.11 or newer")
                .next("then run the same command again"),
            E::TooOld { .. } => Self::new(Kind::Outside, what).next("install a newer one, then run the same command again"),
            E::NoProviders { why } => outside(&why, "check this machine's way to the Terraform registry; a mirror is named in Terraform's own CLI configuration (TF_CLI_CONFIG_FILE)")
                .next("then run the same command again"),
            E::Locked { lock } => outside(
                &format!("{} holds it since {}, for {:?}", lock.who, lock.created, lock.operation),
                "wait until they are done, then run the same command again",
            )
            .next(format!("if that run has died: `terraform force-unlock {}` in the module's folder", lock.id)),
            E::Busy => Self::new(Kind::Outside, what).next("wait until it is done, then run the same command again"),
            E::SignIn { why } => Self::new(Kind::NoAccess, what).because(why).next(advice(Blindness::SignIn)).next(CONTINUES),
            E::Denied { action, why, .. } => Self::new(Kind::NoAccess, what)
                .because(why)
                .next(action.map_or_else(
                    || advice(Blindness::Denied).to_owned(),
                    |action| format!("ask for the permission {action}; docs/reference/iam.md lists what each command needs"),
                ))
                .next(CONTINUES),
            E::StateGone { bucket } => outside(
                &format!("{bucket} does not exist in this account and region"),
                "check account and region: `meetctl config show --origin`",
            )
            .next("if somebody has deleted the bucket: docs/restore.md tells how to bring the state back"),
            E::SecretWaits { why } => outside(&why, "bring it back (`aws secretsmanager restore-secret`) and delete it without a recovery window, or wait until the window ends")
                .next(CONTINUES),
            E::BalancersRefused { why } => outside(&why, "open a support case with AWS (account and billing, free): \"please allow load balancers in this account\"")
                .next("until then the account pays for what was made so far; `meetctl destroy` removes it")
                .next(CONTINUES),
            E::Quota { what: quota, why } => outside(&why, &format!("free some of the account's {quota}, or ask for more in Service Quotas"))
                .next(CONTINUES),
            E::RecordingsExist { why } => outside(&why, "take it over: `meetctl deploy --adopt-recordings`"),
            E::NothingToAdopt => Self::new(Kind::Outside, what).next("run it without --adopt-recordings"),
            E::DiskFull { why } => outside(&why, "free some space, then run the same command again; it continues where it stopped"),
            E::Stale => Self::new(Kind::Refused, what).next("run the same command again, and look at the new plan"),
            E::Interrupted { saved: true } => Self::new(Kind::Interrupted, what).next("run the same command again; it continues where it stopped"),
            E::Interrupted { saved: false } => Self::new(Kind::Interrupted, what)
                .because("its state may lack what was made last, and may still be locked")
                .next("run the same command again; it names the lock if there is one"),
            E::Variables { why, .. } => Self::new(Kind::Configuration, what)
                .because(why)
                .next("`terraform.variables` names a file of values, such as platform.tfvars: `meetctl config show --origin` says where it is set"),
            E::Folder { why, .. } => outside(&why, "make that folder usable, or set XDG_DATA_HOME to another one"),
            E::Garbled { why } => outside(&why, "run the same command again; with `-v` it shows what Terraform said"),
            E::Other { detail, .. } => outside(&detail, "mend what it names").next(CONTINUES),
        }
    }
}
