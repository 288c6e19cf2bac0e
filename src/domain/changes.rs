//! What Terraform would change, and which of it it may.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::plan::Refusal;

/// What Terraform is asked to bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "wanted", rename_all = "kebab-case")]
pub enum Wanted {
    /// The bucket for Terraform's own state; made once, before everything else.
    StateBucket,
    /// Everything, as configured.
    Deployed {
        /// A recordings bucket was kept from an earlier platform: take it over instead of creating it.
        adopt_recordings: bool,
        data: Data,
    },
    /// Without what has an hourly price.
    PoweredDown,
    /// With what has an hourly price; from `powered-down`.
    Restored,
    /// The recordings bucket may be deleted although there are recordings in it. Deletes nothing.
    RecordingsDeletable,
    /// Nothing, but what is kept on purpose.
    Removed { recordings: Recordings },
}

/// What may happen to data during a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    Stays,
    /// `--allow-destroying-data`
    MayGo,
}

/// What happens to recordings when the platform is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recordings {
    Kept,
    /// `--delete-recordings`
    Deleted,
}

/// What happens to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    Create,
    /// Known to Terraform from now on; it exists already.
    Adopt,
    Update,
    Replace,
    Delete,
    /// Not known to Terraform any more, and not deleted.
    Keep,
}

impl Deed {
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// As Terraform's own plan marks it.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Adopt => ">",
            Self::Update => "~",
            Self::Replace => "±",
            Self::Delete => "-",
            Self::Keep => "=",
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "take over",
            Self::Update => "change",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Keep => "leave alone",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One resource with what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Such as `aws_lb.this[0]`.
    pub address: String,
    /// Such as `aws_lb`.
    pub kind: String,
    pub deed: Deed,
    /// Its ARN before the change, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Its `project` tag before the change; `None` where it has no tags, or does not exist yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl Change {
    /// Whether what is there now goes.
    pub const fn deletes(&self) -> bool {
        matches!(self.deed, Deed::Delete | Deed::Replace)
    }

    /// The address without an index: the same for all instances of a resource.
    fn resource(&self) -> &str {
        self.address.split('[').next().unwrap_or_default()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.deed, self.address)
    }
}

/// Everything that Terraform would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub resources: Vec<Change>,
    /// Whether there is something to apply besides, such as an output.
    pub others: bool,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty() && !self.others
    }

    /// What these would delete, by ARN and by address.
    pub fn deleted(&self) -> impl Iterator<Item = String> {
        let deleting = self.resources.iter().filter(|change| change.deletes());
        deleting.flat_map(|change| change.arn.clone().into_iter().chain([change.address.clone()]))
    }

    /// How many resources there are for each deed.
    pub fn counts(&self) -> BTreeMap<Deed, usize> {
        let mut counts = BTreeMap::new();
        for change in &self.resources {
            *counts.entry(change.deed).or_insert(0) += 1;
        }
        counts
    }
}

/// `2 to create, 1 to change`
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self.counts().iter().map(|(deed, n)| format!("{n} to {deed}")).collect();
        match (counts.is_empty(), self.others) {
            (true, false) => f.write_str("nothing to change"),
            (true, true) => f.write_str("only notes of Terraform's own to change"),
            (false, _) => f.write_str(&counts.join(", ")),
        }
    }
}

/// What has an hourly price, and the alarms that watch it.
const INGRESS: &[&str] = &[
    "aws_eip.media",
    "aws_lb.this",
    "aws_lb_listener.https",
    "aws_lb_listener.media",
    "aws_cloudwatch_metric_alarm.unhealthy_targets",
];
/// The alarms stay while the load balancer comes and goes.
const ALARMS: &str = "aws_cloudwatch_metric_alarm.unhealthy_targets";
/// The name of the meetings leads to the load balancer, or to a placeholder; it never ceases to exist.
const RECORD: &str = "aws_route53_record.meet";
/// What names the load balancer: the service registers its tasks there.
const SERVICE: &str = "aws_ecs_service.this";
/// And the task definition carries its address. A task definition cannot be changed, only replaced.
const TASK_DEFINITION: &str = "aws_ecs_task_definition.this";
const RECORDINGS: &str = "aws_s3_bucket.recordings";

/// What holds data, or cannot be had again.
const DATA: &[&str] = &[
    "aws_s3_bucket",
    "aws_secretsmanager_secret",
    "aws_cloudwatch_log_group",
    "aws_route53_zone",
    "aws_dynamodb_table",
];

/// Refuses what goes beyond what was asked for; the refusal lists it.
pub fn guard(changes: &Changes, wanted: Wanted, platform: &str) -> Result<(), Refusal> {
    let touched: Vec<String> = changes
        .resources
        .iter()
        .filter(|change| !is_ours(change, platform) || !is_allowed(change, wanted))
        .map(ToString::to_string)
        .collect();
    if touched.is_empty() { Ok(()) } else { Err(Refusal::TouchesTooMuch { wanted, touched }) }
}

/// A resource whose tags name another project is another project's, whatever the state says.
fn is_ours(change: &Change, platform: &str) -> bool {
    change.project.as_deref().is_none_or(|project| project == platform)
}

fn is_allowed(change: &Change, wanted: Wanted) -> bool {
    use Deed::*;
    let resource = change.resource();
    let follows = match resource {
        SERVICE | RECORD => change.deed == Update,
        TASK_DEFINITION => change.deed == Replace,
        _ => false,
    };
    match wanted {
        Wanted::StateBucket => matches!(change.deed, Create | Adopt) && change.kind.starts_with("aws_s3_bucket"),
        Wanted::PoweredDown => follows || (INGRESS.contains(&resource) && goes(resource, change.deed)),
        Wanted::Restored => follows || (INGRESS.contains(&resource) && comes(change.deed)),
        Wanted::RecordingsDeletable => resource == RECORDINGS && change.deed == Update,
        Wanted::Deployed { data: Data::MayGo, .. } => change.deed != Keep,
        Wanted::Deployed { data: Data::Stays, .. } => match change.deed {
            Create | Adopt | Update => true,
            Delete | Replace => !DATA.contains(&change.kind.as_str()),
            Keep => false,
        },
        Wanted::Removed { recordings } => match change.deed {
            Delete => recordings == Recordings::Deleted || !is_recordings(resource),
            Keep => recordings == Recordings::Kept && is_recordings(resource),
            Create | Adopt | Update | Replace => false,
        },
    }
}

const fn comes(deed: Deed) -> bool {
    matches!(deed, Deed::Create | Deed::Update | Deed::Replace)
}

/// A power-down creates nothing, but an alarm may be made anew.
fn goes(resource: &str, deed: Deed) -> bool {
    deed == Deed::Delete || (resource == ALARMS && comes(deed))
}

/// The bucket, and the settings that keep it private.
fn is_recordings(resource: &str) -> bool {
    resource.starts_with("aws_s3_bucket") && resource.ends_with(".recordings")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLATFORM: &str = "jitsi-video-platform";

    fn change(address: &str, deed: Deed) -> Change {
        let kind = address.split('.').next().unwrap_or_default().to_owned();
        Change { address: address.into(), kind, deed, arn: None, project: None }
    }

    fn refused(wanted: Wanted, list: &[Change]) -> Vec<String> {
        match guard(&Changes { resources: list.to_vec(), others: false }, wanted, PLATFORM) {
            Ok(()) => Vec::new(),
            Err(Refusal::TouchesTooMuch { touched, .. }) => touched,
            Err(other) => panic!("{other}"),
        }
    }

    fn deployed(data: Data) -> Wanted {
        Wanted::Deployed { adopt_recordings: false, data }
    }

    #[test]
    fn powering_down_takes_what_is_priced_and_no_more() {
        let fine = [
            change("aws_lb.this[0]", Deed::Delete),
            change("aws_lb_listener.https[0]", Deed::Delete),
            change("aws_lb_listener.media[0]", Deed::Delete),
            change("aws_eip.media[0]", Deed::Delete),
            change("aws_route53_record.meet", Deed::Update),
            change("aws_ecs_service.this", Deed::Update),
            change("aws_ecs_task_definition.this", Deed::Replace),
            change("aws_cloudwatch_metric_alarm.unhealthy_targets[\"web\"]", Deed::Update),
        ];
        assert_eq!(refused(Wanted::PoweredDown, &fine), [""; 0]);
        let bad = [
            change("aws_ecs_service.this", Deed::Replace),
            change("aws_ecs_service.this", Deed::Delete),
            change("aws_lb.this[0]", Deed::Create),
            change("aws_lb.other[0]", Deed::Delete),
            change("aws_route53_record.meet", Deed::Delete),
            change("aws_route53_record.validation[\"meet.example.org\"]", Deed::Delete),
            change("aws_s3_bucket.recordings", Deed::Update),
            change("aws_lb.this[0]", Deed::Keep),
        ];
        assert_eq!(refused(Wanted::PoweredDown, &bad).len(), bad.len());
        assert_eq!(refused(Wanted::PoweredDown, &bad)[0], "replace aws_ecs_service.this");
    }

    #[test]
    fn restoring_is_the_way_back() {
        let fine = [
            change("aws_lb.this[0]", Deed::Create),
            change("aws_eip.media[0]", Deed::Create),
            change("aws_route53_record.meet", Deed::Update),
            change("aws_ecs_service.this", Deed::Update),
            change("aws_ecs_task_definition.this", Deed::Replace),
        ];
        assert_eq!(refused(Wanted::Restored, &fine), [""; 0]);
        let bad = [
            change("aws_lb.this[0]", Deed::Delete),
            change("aws_vpc.this", Deed::Create),
            change("aws_route53_record.meet", Deed::Replace),
        ];
        assert_eq!(refused(Wanted::Restored, &bad).len(), bad.len());
    }

    #[test]
    fn deploying_spares_data_unless_told() {
        let deletes =
            [change("aws_s3_bucket.recordings", Deed::Replace), change("aws_cloudwatch_log_group.this", Deed::Delete)];
        assert_eq!(refused(deployed(Data::Stays), &deletes).len(), 2);
        assert_eq!(refused(deployed(Data::MayGo), &deletes), [""; 0]);
        let fine = [change("aws_s3_bucket.recordings", Deed::Adopt), change("aws_security_group.nlb", Deed::Replace)];
        assert_eq!(refused(deployed(Data::Stays), &fine), [""; 0]);
    }

    #[test]
    fn what_is_another_projects_is_never_touched() {
        let theirs = Change { project: Some("other".into()), ..change("aws_vpc.this", Deed::Delete) };
        let ours = Change { project: Some(PLATFORM.into()), ..change("aws_vpc.this", Deed::Delete) };
        for wanted in [deployed(Data::MayGo), Wanted::Removed { recordings: Recordings::Deleted }] {
            assert_eq!(refused(wanted, std::slice::from_ref(&theirs)), ["delete aws_vpc.this"]);
            assert_eq!(refused(wanted, std::slice::from_ref(&ours)), [""; 0]);
        }
    }

    #[test]
    fn recordings_are_kept_with_what_protects_them() {
        let keep = Wanted::Removed { recordings: Recordings::Kept };
        let fine = [
            change("aws_s3_bucket.recordings", Deed::Keep),
            change("aws_s3_bucket_public_access_block.recordings", Deed::Keep),
            change("aws_vpc.this", Deed::Delete),
        ];
        assert_eq!(refused(keep, &fine), [""; 0]);
        assert_eq!(refused(keep, &[change("aws_s3_bucket.recordings", Deed::Delete)]).len(), 1);
        assert_eq!(refused(keep, &[change("aws_vpc.this", Deed::Keep)]).len(), 1);
        let delete = Wanted::Removed { recordings: Recordings::Deleted };
        assert_eq!(refused(delete, &[change("aws_s3_bucket.recordings", Deed::Delete)]), [""; 0]);
        assert_eq!(refused(Wanted::RecordingsDeletable, &[change("aws_s3_bucket.recordings", Deed::Update)]), [""; 0]);
        assert_eq!(refused(Wanted::RecordingsDeletable, &[change("aws_s3_bucket.recordings", Deed::Replace)]).len(), 1);
    }

    #[test]
    fn counts_are_told_in_words() {
        let resources = vec![change("a.b", Deed::Delete), change("a.c", Deed::Create), change("a.d", Deed::Create)];
        assert_eq!(Changes { resources, others: false }.to_string(), "2 to create, 1 to delete");
        assert_eq!(Changes::default().to_string(), "nothing to change");
    }

    prop_compose! {
        fn any_change()(
            kind in prop::sample::select(vec!["aws_lb", "aws_eip", "aws_lb_listener", "aws_ecs_service", "aws_ecs_task_definition", "aws_s3_bucket", "aws_vpc", "aws_route53_record", "module.x.aws_lb"]),
            name in prop::sample::select(vec!["this", "media", "https", "meet", "recordings", "thisx", "validation"]),
            index in prop::sample::select(vec!["", "[0]", "[\"web\"]"]),
            deed in prop::sample::select(Deed::ALL.to_vec()),
            project in prop::option::of(prop::sample::select(vec![PLATFORM.to_owned(), "other".to_owned()])),
        ) -> Change {
            Change { project, ..change(&format!("{kind}.{name}{index}"), deed) }
        }
    }

    proptest! {
        /// Whatever else is in a power plan: one thing that is not the ingress, and all of it is refused.
        #[test]
        fn a_power_plan_that_touches_anything_else_is_refused(
            resources in prop::collection::vec(any_change(), 0..8),
            down in any::<bool>(),
        ) {
            let wanted = if down { Wanted::PoweredDown } else { Wanted::Restored };
            let stranger = resources.iter().any(|c| {
                let resource = c.address.split('[').next().unwrap_or_default();
                !INGRESS.contains(&resource) && ![SERVICE, RECORD, TASK_DEFINITION].contains(&resource)
            });
            let foreign = resources.iter().any(|c| c.project.as_deref() == Some("other"));
            let backwards = resources.iter().any(|c| {
                c.address.starts_with("aws_lb.this") && c.deed == if down { Deed::Create } else { Deed::Delete }
            });
            let verdict = guard(&Changes { resources, others: false }, wanted, PLATFORM);
            prop_assert!(verdict.is_err() || !(stranger || foreign || backwards));
        }

        #[test]
        fn every_refusal_lists_what_is_too_much(resources in prop::collection::vec(any_change(), 1..8)) {
            for wanted in [Wanted::PoweredDown, Wanted::Restored, deployed(Data::Stays), Wanted::Removed { recordings: Recordings::Kept }] {
                if let Err(Refusal::TouchesTooMuch { touched, .. }) = guard(&Changes { resources: resources.clone(), others: false }, wanted, PLATFORM) {
                    prop_assert!(!touched.is_empty());
                }
            }
        }
    }
}
