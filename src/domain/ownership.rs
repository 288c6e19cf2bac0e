//! Whose a thing is: what can be shown to be this platform's, and what cannot.

use std::fmt;

use serde::Serialize;

use super::billed::{Billed, Kind, Placement, Witness};
use super::name::{AccountId, PlatformName, Region};
use super::observed::{Observed, Reading, Unreadable};
use super::view::View;

/// The tags that everything of a platform carries. Keys and values count exactly as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tags {
    pub project: Option<String>,
    pub environment: Option<String>,
    pub managed_by: Option<String>,
}

const TERRAFORM: &str = "terraform";

impl<'a> FromIterator<(&'a str, &'a str)> for Tags {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut tags = Self::default();
        for (key, value) in pairs {
            let place = match key {
                "project" => &mut tags.project,
                "environment" => &mut tags.environment,
                "managed-by" => &mut tags.managed_by,
                _ => continue,
            };
            *place = Some(value.to_owned());
        }
        tags
    }
}

impl Tags {
    /// What a platform's own Terraform writes.
    pub fn of(platform: &PlatformName, environment: &str) -> Self {
        Self {
            project: Some(platform.as_str().to_owned()),
            environment: Some(environment.to_owned()),
            managed_by: Some(TERRAFORM.to_owned()),
        }
    }

    /// Why these are not the tags of the platform's service, in words.
    fn strange_to(&self, platform: &PlatformName) -> Option<String> {
        let wanted = [("project", &self.project, platform.as_str()), ("managed-by", &self.managed_by, TERRAFORM)];
        wanted.into_iter().find_map(|(key, found, wanted)| strange(key, found.as_deref(), Some(wanted)))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { project, environment, managed_by } = self;
        let pairs = [("project", project), ("environment", environment), ("managed-by", managed_by)];
        let mut found = pairs.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        found.clone().take(1).try_for_each(|(key, value)| write!(f, "{key} {value}"))?;
        found.by_ref().skip(1).try_for_each(|(key, value)| write!(f, ", {key} {value}"))
    }
}

/// Why one tag is not as it would be on a thing of the platform.
fn strange(key: &str, found: Option<&str>, wanted: Option<&str>) -> Option<String> {
    match (found, wanted) {
        (Some(found), Some(wanted)) if found == wanted => None,
        (None, _) => Some(format!("it has no tag `{key}`")),
        (Some(found), _) => Some(format!("its tag `{key}` says {found:?}")),
    }
}

/// A name, region or account in which there is no such platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct NoPlatform {
    /// Whoever tells of it has said the name already.
    #[serde(skip)]
    pub platform: PlatformName,
    pub region: Region,
    pub account: Option<AccountId>,
    /// Why what stands there under its name is not this platform.
    pub theirs: Option<String>,
    /// That somebody answers under the domain all the same: the hint at a wrong name, region or account.
    pub answers: Option<String>,
}

/// `no platform jitsi in us-west-2 of account 111122223333`
impl fmt::Display for NoPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no platform {} in {}", self.platform, self.region)?;
        self.account.iter().try_for_each(|account| write!(f, " of account {account}"))
    }
}

impl NoPlatform {
    fn of(view: &View<'_>, theirs: Option<String>) -> Self {
        let seen = view.seen;
        let answers = seen.tls.present().filter(|tls| tls.shown.is_ok()).map(|tls| {
            let host = seen.names.present().map_or_else(|| "its domain".to_owned(), |names| names.host.to_string());
            format!(
                "yet {host} answers all the same, at {}: is the name, the region or the account another?",
                tls.address
            )
        });
        Self {
            platform: view.policy.platform.clone(),
            region: view.policy.region.clone(),
            account: seen.identity.present().map(|identity| identity.account.clone()),
            theirs,
            answers,
        }
    }
}

/// Whether there is this platform, as far as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Its service is there, with its tags.
    There,
    /// Parts of it are there without its service.
    Parts(Vec<&'static str>),
    /// It was there once: what shows it.
    Removed(String),
    /// It is not there, and nothing shows that it ever was; or somebody else has its name.
    Nowhere(NoPlatform),
    Unknown(Unreadable),
}

/// Whether what was found is this platform: the service with its tags, else what a removal leaves.
pub fn presence(view: &View<'_>) -> Presence {
    match &view.seen.service {
        Reading::Unreadable(why) => Presence::Unknown(why.clone()),
        Reading::Present(service) => match service.tags.strange_to(&view.policy.platform) {
            None => Presence::There,
            Some(why) => {
                let theirs = format!("the service of that name is not this platform's: {why}");
                Presence::Nowhere(NoPlatform::of(view, Some(theirs)))
            }
        },
        Reading::Absent => without_service(view),
    }
}

fn without_service(view: &View<'_>) -> Presence {
    let seen = view.seen;
    let secret = seen.secret.present().filter(|secret| secret.deleted.is_none());
    let parts: Vec<&'static str> = [
        seen.live_tasks().next().map(|_| "a task"),
        seen.balancer.present().map(|_| "a load balancer"),
        secret.map(|_| "a secret"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let blind = [seen.tasks.unreadable(), seen.balancer.unreadable(), seen.secret.unreadable()];
    if !parts.is_empty() {
        return Presence::Parts(parts);
    }
    if let Some(why) = blind.into_iter().flatten().next() {
        return Presence::Unknown(why.clone());
    }
    if view.memory.terraformed.is_some() {
        return Presence::Removed("this run has removed it".into());
    }
    match &seen.kept {
        Reading::Unreadable(why) => Presence::Unknown(why.clone()),
        Reading::Present(kept) if !kept.is_empty() => Presence::Removed(format!("its bucket {} is kept", kept[0])),
        Reading::Present(_) | Reading::Absent => Presence::Nowhere(NoPlatform::of(view, None)),
    }
}

/// The VPC of the platform: that of a load balancer in one of the service's own subnets.
/// `None` where none stands there at the moment.
pub fn vpc(seen: &Observed) -> Option<&str> {
    let subnets = &seen.service.present()?.subnets;
    let listed = seen.billed.present().into_iter().flatten().filter_map(|billed| billed.placement.as_ref());
    let own = seen.balancer.present().map(|balancer| &balancer.placement);
    let beside = |placement: &&Placement| placement.subnets.iter().any(|subnet| subnets.contains(subnet));
    own.into_iter().chain(listed).find(beside)?.vpc.as_deref()
}

/// Why a thing outside of Terraform cannot be shown to be the platform's; `Ok` where it can.
///
/// Only a network load balancer ever is: that is the only such thing that a run of ours could have left.
pub fn shown_to_be_ours(thing: &Billed, view: &View<'_>) -> Result<(), String> {
    let Some(service) = view.seen.service.present().filter(|_| presence(view) == Presence::There) else {
        return Err("the platform is not there to compare it with".into());
    };
    let Some(placement) = thing.placement.as_ref().filter(|_| thing.witness == Witness::Owner) else {
        return Err("only Terraform removes things of its kind".into());
    };
    if !placement.network {
        return Err("it is not a network load balancer".into());
    }
    let Tags { project, environment, managed_by } = &thing.tags;
    let tags = [
        ("project", project, Some(view.policy.platform.as_str())),
        ("environment", environment, service.tags.environment.as_deref()),
        ("managed-by", managed_by, Some(TERRAFORM)),
    ];
    if let Some(why) = tags.into_iter().find_map(|(key, found, wanted)| strange(key, found.as_deref(), wanted)) {
        return Err(why);
    }
    let shares_a_subnet = placement.subnets.iter().any(|subnet| service.subnets.contains(subnet));
    let home = view.memory.vpc.as_deref().or_else(|| vpc(view.seen));
    if shares_a_subnet || (home.is_some() && placement.vpc.as_deref() == home) {
        Ok(())
    } else {
        let stands = placement.vpc.as_deref().unwrap_or("an unknown VPC");
        Err(format!("it stands in {stands}, which is not shown to be the platform's"))
    }
}

/// What is billed with our tags and is not a known part of the platform: not its load balancer, that one's addresses,
/// nor its tasks.
pub fn strays(seen: &Observed) -> Vec<&Billed> {
    let balancer = seen.balancer.present();
    let is_known = |thing: &&Billed| match thing.kind {
        Kind::Balancer => balancer.is_some_and(|balancer| balancer.arn == thing.arn),
        Kind::Address => balancer.is_some_and(|balancer| balancer.allocations.iter().any(|id| *id == thing.name())),
        Kind::Task => seen.live_tasks().any(|task| task.id.as_str() == thing.name()),
        Kind::NatGateway | Kind::Endpoint | Kind::Other => false,
    };
    seen.billed.present().into_iter().flatten().filter(|thing| !is_known(thing)).collect()
}

/// The load balancers that are shown to be ours. Which of them are Terraform's, its plan tells.
pub fn leftovers<'a>(view: &View<'a>) -> Vec<&'a Billed> {
    let billed = view.seen.billed.present().into_iter().flatten();
    billed.filter(|thing| shown_to_be_ours(thing, view).is_ok()).collect()
}

/// The leftovers that somebody has agreed to delete, as long as they are shown to be ours.
pub fn agreed_leftovers<'a>(view: &View<'a>) -> Vec<&'a Billed> {
    let named = |arn: &String| view.policy.agreed.as_ref().is_some_and(|agreed| agreed.leftovers.contains(arn));
    leftovers(view).into_iter().filter(|thing| named(&thing.arn)).collect()
}

/// One such thing in words: what it is, its price, and why it stays.
pub fn stray(thing: &Billed, view: &View<'_>) -> String {
    let why = match shown_to_be_ours(thing, view) {
        Err(why) => format!("not shown to be ours: {why}"),
        Ok(()) if view.policy.agreed.is_some() => "not named when this was agreed to".into(),
        Ok(()) => "`meetctl power-down` removes it".into(),
    };
    format!("{thing} ({why})")
}
