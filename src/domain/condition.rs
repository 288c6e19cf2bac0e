//! Statements about the platform that can be judged.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::action::Action;
use super::changes::Recordings;
pub use super::judge::{CERTIFICATE_WARNING, STEADY, addresses, start_failure};
use super::judge::{
    certificate_trusted, healthy, ingress_removed, is_detached, leftovers_gone, leftovers_gone_remedy, media_flows,
    name_resolves, nothing_bills, nothing_bills_remedy, page, platform_there, rooms_empty, signed_in, stack_gone,
    started, steady, stopped, targets_healthy, unprotected, with, worst,
};
use super::observed::{BalancerState, Observed, Reading, ServiceStatus, Unreadable};
use super::plan::Policy;

/// A statement about the platform. Each is judged in one place, wherever it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    SignedIn,
    /// What was found is this platform.
    PlatformThere,
    ServiceActive,
    BalancerActive,
    /// Exactly the task of this start runs.
    Started,
    ContainersHealthy,
    TargetsHealthy,
    NameResolves,
    CertificateTrusted,
    PagesServed,
    SignallingWorks,
    /// The task has been healthy for long enough to believe it.
    Steady,
    MediaFlows,
    /// Nobody is in a meeting that a stop would end.
    RoomsEmpty,
    /// No task is protected from being stopped, where the user has decided to end a meeting.
    Unprotected,
    /// Nothing runs, and nothing is asked to.
    Stopped,
    /// The load balancer that Terraform makes is gone.
    IngressRemoved,
    /// What was named for deletion, and Terraform does not know, is gone.
    LeftoversGone,
    /// What Terraform has made is gone.
    StackGone,
    /// Nothing with an hourly price is left.
    NothingBills,
}

/// What a condition is, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "snake_case")]
pub enum Verdict {
    Holds,
    /// Holds, and there is something to say about it.
    Warns(String),
    /// Does not hold yet; waiting may be enough.
    Waits(String),
    /// Does not hold, and waiting will not help.
    Fails(String),
    /// Could not be judged.
    Unseen(Unreadable),
}

impl Verdict {
    /// Whether it is as it should be.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Holds | Self::Warns(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::Warns(why) | Self::Waits(why) | Self::Fails(why) => f.write_str(why),
            Self::Unseen(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// One place to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Identity,
    Service,
    Tasks,
    Balancer,
    Targets,
    Record,
    Secret,
    Occupancy,
    Names,
    Tls,
    Web,
    Signalling,
    Media,
    Billed,
    Managed,
    Kept,
}

impl Condition {
    pub const ALL: [Self; 20] = [
        Self::SignedIn,
        Self::PlatformThere,
        Self::ServiceActive,
        Self::BalancerActive,
        Self::Started,
        Self::ContainersHealthy,
        Self::TargetsHealthy,
        Self::NameResolves,
        Self::CertificateTrusted,
        Self::PagesServed,
        Self::SignallingWorks,
        Self::Steady,
        Self::MediaFlows,
        Self::RoomsEmpty,
        Self::Unprotected,
        Self::Stopped,
        Self::IngressRemoved,
        Self::LeftoversGone,
        Self::StackGone,
        Self::NothingBills,
    ];

    /// One word for tables and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "credentials",
            Self::PlatformThere => "platform",
            Self::ServiceActive => "service",
            Self::BalancerActive => "load-balancer",
            Self::Started => "task",
            Self::ContainersHealthy => "containers",
            Self::TargetsHealthy => "targets",
            Self::NameResolves => "dns",
            Self::CertificateTrusted => "certificate",
            Self::PagesServed => "https",
            Self::SignallingWorks => "signalling",
            Self::Steady => "steady",
            Self::MediaFlows => "media",
            Self::RoomsEmpty => "people",
            Self::Unprotected => "protection",
            Self::Stopped => "stopped",
            Self::IngressRemoved => "ingress-removed",
            Self::LeftoversGone => "leftovers-gone",
            Self::StackGone => "stack-gone",
            Self::NothingBills => "nothing-bills",
        }
    }

    /// Where to look to judge this.
    pub const fn needs(self) -> &'static [Source] {
        match self {
            Self::SignedIn => &[Source::Identity],
            Self::PlatformThere => &[Source::Service, Source::Tasks, Source::Balancer, Source::Secret, Source::Kept],
            Self::ServiceActive => &[Source::Service],
            Self::BalancerActive => &[Source::Balancer, Source::Service],
            Self::Started | Self::ContainersHealthy | Self::Steady | Self::Unprotected | Self::Stopped => {
                &[Source::Service, Source::Tasks]
            }
            Self::TargetsHealthy => &[Source::Targets],
            Self::NameResolves => &[Source::Balancer, Source::Record, Source::Names],
            Self::CertificateTrusted => &[Source::Tls],
            Self::PagesServed => &[Source::Web],
            Self::SignallingWorks => &[Source::Signalling],
            Self::MediaFlows => &[Source::Media],
            Self::RoomsEmpty => &[Source::Service, Source::Tasks, Source::Occupancy],
            Self::IngressRemoved => &[Source::Balancer],
            Self::StackGone => &[Source::Service, Source::Balancer, Source::Secret, Source::Managed],
            Self::LeftoversGone => &[Source::Service, Source::Billed],
            Self::NothingBills => &[Source::Service, Source::Balancer, Source::Tasks, Source::Billed],
        }
    }

    /// How long it may take before it counts as stuck.
    pub const fn within(self) -> Duration {
        let seconds = match self {
            Self::SignedIn | Self::PlatformThere | Self::ServiceActive | Self::Unprotected => 30,
            Self::BalancerActive
            | Self::NameResolves
            | Self::MediaFlows
            | Self::Stopped
            | Self::IngressRemoved
            | Self::LeftoversGone
            | Self::StackGone
            | Self::NothingBills => 300,
            Self::Started | Self::ContainersHealthy | Self::TargetsHealthy => 420,
            Self::CertificateTrusted | Self::Steady => 60,
            Self::PagesServed | Self::SignallingWorks => 120,
            Self::RoomsEmpty => 6 * 3600,
        };
        Duration::from_secs(seconds)
    }

    /// How often it is worth looking while waiting for it.
    pub const fn every(self) -> Duration {
        let millis = match self {
            Self::TargetsHealthy => 1_600,
            Self::Started | Self::ContainersHealthy | Self::Steady => 2_000,
            Self::NameResolves | Self::Unprotected | Self::Stopped => 3_000,
            Self::SignedIn
            | Self::PlatformThere
            | Self::ServiceActive
            | Self::BalancerActive
            | Self::MediaFlows
            | Self::IngressRemoved => 5_000,
            Self::LeftoversGone | Self::StackGone | Self::NothingBills => 10_000,
            Self::CertificateTrusted | Self::PagesServed | Self::SignallingWorks => 1_000,
            Self::RoomsEmpty => 30_000,
        };
        Duration::from_millis(millis)
    }

    /// Whether looking at it is a matter of a few calls to AWS.
    pub const fn is_cheap(self) -> bool {
        matches!(
            self,
            Self::ServiceActive | Self::BalancerActive | Self::Started | Self::ContainersHealthy | Self::TargetsHealthy
        )
    }

    /// What a person can do about what was seen.
    pub fn next(self, seen: &Observed) -> Vec<String> {
        let finding = seen.media.present().and_then(|p| p.finding.as_ref()).filter(|_| self == Self::MediaFlows);
        match finding {
            Some(finding) => vec![finding.remedy().to_owned()],
            None => self.advice().iter().map(|&next| next.to_owned()).collect(),
        }
    }

    /// What a person can do when this does not hold.
    const fn advice(self) -> &'static [&'static str] {
        match self {
            Self::SignedIn => &["sign in again: `aws sso login`, or set AWS_PROFILE to the right profile"],
            Self::PlatformThere => &["check name, region and account: `meetctl config show --origin`"],
            Self::ServiceActive => &["create the platform: `meetctl deploy`"],
            Self::BalancerActive => &["bring the load balancer back: `meetctl up`, or `meetctl deploy`"],
            Self::Started | Self::ContainersHealthy | Self::Steady => {
                &["`meetctl why` names the cause; `meetctl up` starts afresh"]
            }
            Self::TargetsHealthy => &[
                "check the health checks of the target groups: web on 8000 at /, the bridge on 8080 at /about/health",
                "check that the task's security group admits the load balancer",
            ],
            Self::NameResolves => &[
                "point the name's alias record to the load balancer: `meetctl deploy`",
                "a resolver that keeps an old answer forgets it within minutes",
            ],
            Self::CertificateTrusted => &[
                "check the certificate of the load balancer's listener in ACM: its names, its dates, its validation records",
            ],
            Self::PagesServed => &["check that the name leads to this platform, and read the web container's log"],
            Self::SignallingWorks => {
                &["read the prosody container's log; ENABLE_XMPP_WEBSOCKET must be 1 for web and prosody"]
            }
            Self::MediaFlows => {
                &["check that UDP port 10000 is open to the world, and which address the bridge advertises"]
            }
            Self::RoomsEmpty => {
                &["wait for them: `meetctl down --when-empty`", "or end their meeting: `meetctl down --cut-meetings`"]
            }
            Self::Unprotected => &["ask for the permission ecs:UpdateTaskProtection"],
            Self::IngressRemoved | Self::LeftoversGone => {
                &["run `meetctl power-down` again; it continues where it stopped"]
            }
            Self::StackGone => &["run `meetctl destroy` again; it continues where it stopped"],
            Self::NothingBills => &[
                "ask whose it is: whoever made it removes it, or takes this project's tags from it",
                "then run the same command again",
            ],
            Self::Stopped => &["look at the service's tasks; a protected task needs `meetctl down --cut-meetings`"],
        }
    }

    /// The change that brings this about, or `None` when waiting is all there is to do.
    pub fn remedy(self, seen: &Observed, policy: &Policy) -> Option<Action> {
        match self {
            Self::Started => {
                let service = seen.service.present()?;
                // A read that does not know our start yet is an old one.
                if seen
                    .run
                    .asked
                    .as_ref()
                    .is_some_and(|asked| service.deployments.iter().all(|d| d.id != asked.deployment))
                {
                    return None;
                }
                (service.desired == 0 || start_failure(seen).is_some()).then_some(Action::Start)
            }
            Self::Unprotected => Some(Action::Unprotect),
            Self::Stopped => {
                seen.service.present().filter(|s| s.desired > 0)?;
                Some(Action::Stop)
            }
            Self::BalancerActive => {
                let missing = match &seen.balancer {
                    Reading::Present(balancer) => balancer.listeners.is_empty() || is_detached(seen),
                    Reading::Absent => true,
                    Reading::Unreadable(_) => false,
                };
                (missing && seen.run.terraformed.is_none()).then_some(Action::Restore)
            }
            Self::NameResolves => {
                // Until the load balancer is whole there is nothing to point to.
                let whole = Self::BalancerActive.judge(seen, policy).is_good();
                let wrong = whole && matches!(self.judge(seen, policy), Verdict::Fails(_));
                (wrong && seen.run.terraformed.is_none()).then_some(Action::Restore)
            }
            Self::IngressRemoved => seen.run.terraformed.is_none().then_some(Action::PowerDown),
            Self::StackGone => Some(match policy.recordings {
                Recordings::Kept => Action::RemoveKeepingRecordings,
                Recordings::Deleted => Action::RemoveWithRecordings,
            }),
            Self::LeftoversGone => leftovers_gone_remedy(seen, policy),
            Self::NothingBills => nothing_bills_remedy(seen),
            Self::SignedIn
            | Self::PlatformThere
            | Self::ServiceActive
            | Self::ContainersHealthy
            | Self::TargetsHealthy
            | Self::CertificateTrusted
            | Self::PagesServed
            | Self::SignallingWorks
            | Self::Steady
            | Self::MediaFlows
            | Self::RoomsEmpty => None,
        }
    }

    pub fn judge(self, seen: &Observed, policy: &Policy) -> Verdict {
        match self {
            Self::SignedIn => signed_in(seen, policy),
            Self::PlatformThere => platform_there(seen, policy),
            Self::ServiceActive => {
                with(&seen.service, "there is no ECS service of this platform", |service| match service.status {
                    ServiceStatus::Active => Verdict::Holds,
                    ServiceStatus::Draining | ServiceStatus::Inactive => {
                        Verdict::Fails("the service is being deleted".into())
                    }
                })
            }
            Self::BalancerActive => {
                with(&seen.balancer, "there is no load balancer: the platform is powered down", |balancer| {
                    match balancer.state {
                        BalancerState::Active if balancer.listeners.is_empty() => {
                            Verdict::Fails("the load balancer has no listener".into())
                        }
                        BalancerState::Active if is_detached(seen) => {
                            Verdict::Fails("the service does not register its tasks with the load balancer".into())
                        }
                        BalancerState::Active => Verdict::Holds,
                        BalancerState::Impaired => Verdict::Warns("AWS calls the load balancer active_impaired".into()),
                        BalancerState::Provisioning => Verdict::Waits("AWS is still creating the load balancer".into()),
                        BalancerState::Failed => Verdict::Fails("AWS calls the load balancer failed".into()),
                    }
                })
            }
            Self::Started => with(&seen.service, "there is no service to start", |service| started(seen, service)),
            Self::ContainersHealthy => healthy(seen),
            Self::TargetsHealthy => targets_healthy(seen),
            Self::NameResolves => name_resolves(seen),
            Self::CertificateTrusted => {
                with(&seen.tls, "there is nothing to shake hands with", |tls| match &tls.shown {
                    Err(how) => Verdict::Waits(format!("no TLS at {}: {how}", tls.address)),
                    Ok(certificate) => certificate_trusted(certificate, seen.at),
                })
            }
            Self::PagesServed => {
                with(&seen.web, "there is nothing to ask", |web| worst([&web.index, &web.config, &web.api].map(page)))
            }
            Self::SignallingWorks => with(&seen.signalling, "there is nothing to ask", |signalling| {
                worst([&signalling.bosh, &signalling.websocket].map(page))
            }),
            Self::Steady => steady(seen),
            Self::MediaFlows if !policy.media => Verdict::Warns("not proven: [probe] media is off".into()),
            Self::MediaFlows => with(&seen.media, "there is no bridge to ask", |proof| media_flows(proof, seen)),
            Self::RoomsEmpty => rooms_empty(seen, policy),
            Self::Unprotected => unprotected(seen, policy),
            Self::Stopped => stopped(seen),
            Self::IngressRemoved => ingress_removed(seen),
            Self::StackGone => stack_gone(seen),
            Self::LeftoversGone => leftovers_gone(seen, policy),
            Self::NothingBills => nothing_bills(seen, policy),
        }
    }
}

impl Condition {
    /// The sentence that is true when the condition is not.
    pub fn opposite(self) -> &'static str {
        match self {
            Self::SignedIn => "the credentials are not good, or for another account",
            Self::PlatformThere => "there is no such platform",
            Self::ServiceActive => "the ECS service is not active",
            Self::BalancerActive => "the load balancer is not active",
            Self::Started => "the task of this start does not run",
            Self::ContainersHealthy => "not every container is healthy",
            Self::TargetsHealthy => "the load balancer does not reach the task",
            Self::NameResolves => "the name does not resolve to the load balancer",
            Self::CertificateTrusted => "browsers do not trust the certificate",
            Self::PagesServed => "the web pages are not Jitsi's",
            Self::SignallingWorks => "signalling does not answer",
            Self::Steady => "it does not stay healthy",
            Self::MediaFlows => "a meeting's media does not cross the bridge",
            Self::RoomsEmpty => "people are in a meeting",
            Self::Unprotected => "a task is protected from being stopped",
            Self::Stopped => "something still runs",
            Self::IngressRemoved => "the load balancer is not gone",
            Self::LeftoversGone => "what was left over is not gone",
            Self::StackGone => "some of the platform's resources are left",
            Self::NothingBills => "something with an hourly price is left",
        }
    }
}

/// The sentence that a condition is.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignedIn => "the credentials are good, and for the right account",
            Self::PlatformThere => "the platform is this one",
            Self::ServiceActive => "the ECS service is active",
            Self::BalancerActive => "the load balancer is active",
            Self::Started => "exactly the task of this start runs",
            Self::ContainersHealthy => "every container is healthy",
            Self::TargetsHealthy => "the load balancer reaches the task",
            Self::NameResolves => "the name resolves to the load balancer",
            Self::CertificateTrusted => "browsers trust the certificate",
            Self::PagesServed => "the web pages are Jitsi's",
            Self::SignallingWorks => "signalling answers",
            Self::Steady => "it has stayed healthy for 15 s",
            Self::MediaFlows => "a meeting's media crosses the bridge",
            Self::RoomsEmpty => "nobody is in a meeting",
            Self::Unprotected => "no task is protected from being stopped",
            Self::Stopped => "nothing runs",
            Self::IngressRemoved => "the load balancer is gone",
            Self::LeftoversGone => "what was left over is gone",
            Self::StackGone => "the platform's resources are gone",
            Self::NothingBills => "nothing with an hourly price is left",
        })
    }
}
