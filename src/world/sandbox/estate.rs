//! What the sandbox's Terraform has made, by the addresses of its state, and what it would change.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chance::hex;
use super::model::Stack;
use super::model::{ACCOUNT, Groups, Model, PLATFORM, REGION, StandingBalancer};
use super::stories::TerraformFault;
use super::view::{ALLOCATION, at_home};
use crate::domain::billed::{Billed, Kind, Placement, Witness};
use crate::domain::changes::{Change, Changes, Deed, Recordings, Wanted};
use crate::domain::ownership::Tags;

/// What Terraform knows, and what is there without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estate {
    /// The addresses in Terraform's state.
    pub made: BTreeSet<String>,
    /// ARNs of load balancers with the project's tags that somebody made by hand.
    pub strays: BTreeSet<String>,
    /// Buckets that outlive the platform.
    pub kept: BTreeSet<Bucket>,
    /// How often Terraform has broken off, in the story in which it does.
    pub broken_off: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    State,
    Recordings,
}

/// What stays while the platform is powered down, in the order in which it is made. Some of many.
const BASE: [&str; 12] = [
    "aws_vpc.this",
    "aws_subnet.public[0]",
    "aws_security_group.nlb",
    "aws_security_group.task",
    "aws_secretsmanager_secret.jitsi",
    "aws_cloudwatch_log_group.this",
    RECORDINGS,
    "aws_acm_certificate.this",
    "aws_lb_target_group.web",
    "aws_lb_target_group.jvb[0]",
    "aws_ecs_cluster.this",
    TASK_DEFINITION,
];
/// What has an hourly price, in the order in which it is made.
const INGRESS: [&str; 4] = [EIP, BALANCER, "aws_lb_listener.https[0]", "aws_lb_listener.media[0]"];
/// What follows the load balancer, and stays without it.
const FOLLOWING: [&str; 2] = [RECORD, SERVICE];

const EIP: &str = "aws_eip.media[0]";
const BALANCER: &str = "aws_lb.this[0]";
const RECORD: &str = "aws_route53_record.meet";
const SERVICE: &str = "aws_ecs_service.this";
const TASK_DEFINITION: &str = "aws_ecs_task_definition.this";
const SECRET: &str = "aws_secretsmanager_secret.jitsi";
const RECORDINGS: &str = "aws_s3_bucket.recordings";
const STATE: &str = "aws_s3_bucket.state";

impl Estate {
    pub(super) fn whole() -> Self {
        Self {
            made: whole().into_iter().map(ToOwned::to_owned).collect(),
            kept: [Bucket::State].into(),
            ..Self::default()
        }
    }

    pub(super) fn powered_down(&mut self) {
        self.made.retain(|address| !INGRESS.contains(&address.as_str()));
    }

    pub(super) fn has_recordings(&self) -> bool {
        self.made.contains(RECORDINGS) || self.kept.contains(&Bucket::Recordings)
    }

    /// The ARN of a load balancer that somebody made by hand.
    pub(super) fn stray() -> String {
        format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/net/tuesday-test-nlb/0ddba11c0ffee123")
    }
}

impl Model {
    /// What Terraform would change to bring this about.
    pub(super) fn changes(&self, wanted: Wanted) -> Changes {
        let mut resources = match wanted {
            Wanted::StateBucket => vec![change(STATE, Deed::Create)],
            Wanted::Deployed { adopt_recordings, .. } => self.missing(&whole(), adopt_recordings),
            Wanted::Restored => self.missing(&INGRESS, false),
            Wanted::PoweredDown => self.surplus(),
            Wanted::RecordingsDeletable => {
                self.made(RECORDINGS).then(|| change(RECORDINGS, Deed::Update)).into_iter().collect()
            }
            Wanted::Removed { recordings } => self.all(recordings),
        };
        if self.story.terraform == Some(TerraformFault::TouchesTooMuch) && wanted == Wanted::PoweredDown {
            resources.push(change(RECORDINGS, Deed::Replace));
            resources.push(change("aws_vpc.this", Deed::Update));
        }
        for change in resources.iter_mut().filter(|change| change.deletes()) {
            change.arn = self.arn_of(&change.address);
        }
        Changes { resources, others: false }
    }

    /// The ARNs that matter here: of what has an hourly price.
    fn arn_of(&self, address: &str) -> Option<String> {
        match address {
            BALANCER => self.stack.balancer.as_ref().map(StandingBalancer::arn),
            EIP => Some(format!("arn:aws:ec2:{REGION}:{ACCOUNT}:elastic-ip/{ALLOCATION}")),
            _ => None,
        }
    }

    fn made(&self, address: &str) -> bool {
        self.stack.estate.made.contains(address)
    }

    /// What is to be made; the service follows its load balancer.
    fn missing(&self, wanted: &[&str], adopt_recordings: bool) -> Vec<Change> {
        let deed = |address| if address == RECORDINGS && adopt_recordings { Deed::Adopt } else { Deed::Create };
        let mut list: Vec<Change> = wanted.iter().filter(|a| !self.made(a)).map(|a| change(a, deed(*a))).collect();
        if self.made(RECORD) && self.stack.rests() {
            list.push(change(RECORD, Deed::Update));
        }
        if self.made(SERVICE) && self.stack.groups != Groups::Attached {
            list.push(change(TASK_DEFINITION, Deed::Replace));
            list.push(change(SERVICE, Deed::Update));
        }
        list
    }

    fn surplus(&self) -> Vec<Change> {
        let deleted = |address: &&str| self.made(address).then(|| change(address, Deed::Delete));
        let mut list: Vec<Change> = INGRESS[1..].iter().rev().filter_map(deleted).collect();
        if self.made(RECORD) && !self.stack.rests() {
            list.push(change(RECORD, Deed::Update));
        }
        if self.made(SERVICE) && self.stack.groups == Groups::Attached {
            list.extend([change(TASK_DEFINITION, Deed::Replace), change(SERVICE, Deed::Update)]);
        }
        // Once no task definition names it.
        list.extend(deleted(&EIP));
        list
    }

    fn all(&self, recordings: Recordings) -> Vec<Change> {
        let kept = |address: &str| address == RECORDINGS && recordings == Recordings::Kept;
        let order = whole();
        let made = order.iter().rev().filter(|a| self.made(a));
        made.map(|a| change(a, if kept(a) { Deed::Keep } else { Deed::Delete })).collect()
    }

    /// Makes one planned change.
    pub(super) fn carry_out(&mut self, change: &Change, now: Timestamp) {
        let exists = matches!(change.deed, Deed::Create | Deed::Adopt | Deed::Update | Deed::Replace);
        let dns_name =
            format!("jitsi-video-platform-nlb-{}.elb.{REGION}.amazonaws.com", hex(self.seed, &now.to_string(), 16));
        let stack = &mut self.stack;
        match change.address.as_str() {
            STATE => {
                stack.estate.kept.insert(Bucket::State);
                return;
            }
            BALANCER => {
                let made = || StandingBalancer { dns_name, created: now };
                stack.balancer = exists.then(made);
            }
            RECORD => {
                let target = stack.balancer.as_ref().map_or(Stack::PLACEHOLDER, |balancer| &balancer.dns_name);
                stack.record = exists.then(|| target.to_owned());
            }
            SERVICE => {
                stack.service = exists;
                let attached = stack.balancer.is_some() && exists;
                stack.groups = if attached { Groups::Attached } else { Groups::Detached };
            }
            "aws_lb_target_group.web" if !exists => stack.groups = Groups::Gone,
            "aws_lb_target_group.web" => stack.groups = Groups::Detached,
            SECRET => stack.secret = exists,
            RECORDINGS if change.deed == Deed::Keep => {
                stack.estate.kept.insert(Bucket::Recordings);
            }
            RECORDINGS if change.deed == Deed::Adopt => {
                stack.estate.kept.remove(&Bucket::Recordings);
            }
            _ => {}
        }
        if exists {
            stack.estate.made.insert(change.address.clone());
        } else {
            stack.estate.made.remove(&change.address);
        }
        if change.address == SERVICE && change.deed == Deed::Create {
            self.begin(now);
        }
    }

    /// Everything with an hourly price that carries the project's tags.
    pub(super) fn billed(&self) -> Vec<Billed> {
        let listed = |arn: String, witness, placement| Billed {
            kind: Kind::of(&arn).expect("it has an hourly price"),
            arn,
            witness,
            tags: Self::tags(),
            placement,
        };
        let own = self.stack.balancer.iter().map(|own| listed(own.arn(), Witness::Owner, Some(at_home())));
        let address = self.arn_of(EIP).filter(|_| self.made(EIP)).map(|arn| listed(arn, Witness::TagsOnly, None));
        let strays = self.stack.estate.strays.iter();
        let strays = strays
            .map(|arn| listed(arn.clone(), Witness::Owner, Some(at_home())))
            .map(|ours| if self.story.anothers_strays { of_another_team(ours) } else { ours });
        own.chain(address).chain(strays).collect()
    }
}

/// Somebody has copied the tag that names the project, and nothing else fits.
fn of_another_team(thing: Billed) -> Billed {
    let placement = Placement {
        network: true,
        vpc: Some("vpc-0fedcba9876543210".into()),
        subnets: vec!["subnet-0fedcba9876543210".into()],
    };
    let tags = Tags { managed_by: None, ..thing.tags };
    Billed { tags, placement: Some(placement), ..thing }
}

fn whole() -> Vec<&'static str> {
    BASE.iter().chain(&INGRESS).chain(&FOLLOWING).copied().collect()
}

fn change(address: &str, deed: Deed) -> Change {
    let kind = address.split('.').next().unwrap_or_default().to_owned();
    let project = (deed != Deed::Create).then(|| PLATFORM.to_owned());
    Change { address: address.to_owned(), kind, deed, arn: None, project }
}
