//! What a condition was judged from, in one line: addresses, dates, milliseconds.

use super::condition::{Condition, addresses};
use super::meeting::{Answer, Proof};
use super::observed::{Observed, Page, Target};
use super::ownership::Tags;
use super::text::list;

impl Condition {
    /// What was found, whatever the verdict; empty when nothing was.
    pub fn evidence(self, seen: &Observed) -> String {
        match self {
            Self::SignedIn => seen.identity.present().map(|i| i.arn.clone()),
            Self::PlatformThere => seen.service.present().map(|s| tags(&s.tags)),
            Self::ServiceActive => {
                seen.service.present().map(|s| format!("desired {}, running {}", s.desired, s.running))
            }
            Self::BalancerActive => seen.balancer.present().map(|b| {
                let listeners: Vec<String> = b.listeners.iter().map(|l| format!("{} {}", l.protocol, l.port)).collect();
                format!("{}: {}", b.dns_name, list(listeners, ", "))
            }),
            Self::Started | Self::Unprotected | Self::Stopped => {
                seen.task().map(|t| format!("task {} {}", t.id, t.last_status))
            }
            Self::ContainersHealthy | Self::Steady => seen.task().map(containers),
            Self::TargetsHealthy => seen.targets.present().map(|groups| {
                let each = groups.iter().flat_map(|g| g.targets.iter().map(move |t| target(&g.container, t)));
                list(each, "; ")
            }),
            Self::NameResolves => {
                seen.names.present().and_then(|n| n.local.as_ref().ok()).map(|found| addresses(found))
            }
            Self::CertificateTrusted => seen.tls.present().and_then(|t| {
                let c = t.shown.as_ref().ok()?;
                Some(format!(
                    "until {}, {}, by {}, {} ms",
                    c.not_after.strftime("%Y-%m-%d"),
                    c.version,
                    c.issuer,
                    t.took.as_millis()
                ))
            }),
            Self::PagesServed => seen.web.present().map(|w| [&w.index, &w.config, &w.api].map(page).join("; ")),
            Self::SignallingWorks => seen.signalling.present().map(|s| [&s.bosh, &s.websocket].map(page).join("; ")),
            Self::MediaFlows => seen.media.present().map(media),
            Self::IngressRemoved => seen.balancer.present().map(|b| b.dns_name.clone()),
            Self::StackGone => seen.managed.present().map(|m| format!("{} in Terraform's state", m.len())),
            Self::LeftoversGone | Self::NothingBills => seen
                .billed
                .present()
                .map(|billed| billed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
            Self::RoomsEmpty => {
                seen.occupancy.present().map(|o| format!("{} participants, {} rooms", o.participants, o.conferences))
            }
        }
        .unwrap_or_default()
    }
}

fn tags(found: &Tags) -> String {
    let Tags { project, environment, managed_by } = found;
    let pairs = [("project", project), ("environment", environment), ("managed-by", managed_by)];
    let pairs = pairs.into_iter().filter_map(|(key, value)| Some(format!("{key} {}", value.as_ref()?)));
    pairs.collect::<Vec<_>>().join(", ")
}

fn containers(task: &super::observed::Task) -> String {
    let each = task.containers.iter().map(|c| format!("{} {}", c.name, health_word(c.health)));
    list(each, ", ")
}

const fn health_word(health: super::observed::Health) -> &'static str {
    use super::observed::Health;
    match health {
        Health::Healthy => "healthy",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unchecked",
    }
}

fn target(container: &str, target: &Target) -> String {
    format!("{container} {}:{} {}", target.address, target.port, target.state)
}

/// The levels of the proof, as far as they were reached: each with its figures.
fn media(proof: &Proof) -> String {
    let reached =
        proof.reached.iter().filter(|r| r.outcome == Answer::Answered).filter_map(|r| Some((r.address, r.round_trip?)));
    let reach =
        reached.min_by_key(|(_, took)| *took).map(|(at, took)| format!("reach {at} in {} ms", took.as_millis()));
    let secure =
        proof.secured.iter().map(|s| s.ice + s.dtls).max().map(|took| format!("secure in {} ms", took.as_millis()));
    let channel = proof.channels.iter().max_by_key(|c| c.answered);
    let channel = channel.map(|c| format!("channel {} in {} ms", c.carrier.name(), c.answered.as_millis()));
    let flow = proof.flows.iter().max_by(|a, b| a.loss().total_cmp(&b.loss()));
    let media = flow.map(|f| {
        let transit =
            f.transit_median.map_or_else(String::new, |t| format!(", {} ms through the bridge", t.as_millis()));
        let late = proof.flows.iter().filter_map(|f| f.audible_after).max().filter(|after| after.as_millis() >= 100);
        let late = late.map_or_else(String::new, |after| format!(", audible after {:.1} s", after.as_secs_f64()));
        format!("media {} of {} packets, {:.1} % lost{late}{transit}", f.received, f.sent, f.loss())
    });
    let tried = proof.tried();
    let silent = (reach.is_none() && !tried.is_empty()).then(|| format!("tried {}", addresses(&tried)));
    [silent, reach, secure, channel, media].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn page(page: &Page) -> String {
    let status = page.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
    format!("{} {status} in {} ms", page.path, page.took.as_millis())
}
