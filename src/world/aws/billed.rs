//! What carries the project's tags and has an hourly price: by tag first, then as the service that owns it says.

use std::collections::BTreeMap;

use aws_sdk_resourcegroupstagging::types::TagFilter;

use super::Aws;
use super::convert::{at_once, garbled};
use super::elb::placement_of;
use super::error::is;
use crate::domain::billed::{Billed, Kind, Placement, Witness};
use crate::domain::ownership::Tags;
use crate::world::{CloudError, Kept};

const RESOURCES: &str = "tag:GetResources";
const BALANCERS: &str = "elasticloadbalancing:DescribeLoadBalancers";
const DELETE: &str = "elasticloadbalancing:DeleteLoadBalancer";
/// A page holds 100; the stack has some forty.
const MOST_PAGES: usize = 20;

pub(super) async fn billed(aws: &Aws) -> Result<Vec<Billed>, CloudError> {
    let listed = tagged(aws).await?.into_iter().filter_map(|(arn, tags)| {
        let kind = Kind::of(&arn)?;
        Some(Billed { arn, kind, witness: Witness::TagsOnly, tags, placement: None })
    });
    let answers = at_once(listed.map(|thing| confirm(aws, thing))).await;
    let mut billed = Vec::new();
    for answer in answers {
        billed.extend(answer?);
    }
    Ok(billed)
}

/// What carries the platform's name as its tag `project`, by ARN.
async fn tagged(aws: &Aws) -> Result<BTreeMap<String, Tags>, CloudError> {
    let project = TagFilter::builder().key("project").values(aws.names.platform.as_str()).build();
    let mut pages = aws.tags.get_resources().tag_filters(project).into_paginator().send();
    let mut found = BTreeMap::new();
    for _ in 0..MOST_PAGES {
        match pages.next().await {
            None => return Ok(found),
            Some(Ok(page)) => {
                found.extend(page.resource_tag_mapping_list.unwrap_or_default().into_iter().filter_map(|mapping| {
                    let tags = mapping.tags().iter().map(|tag| (tag.key(), tag.value())).collect();
                    Some((mapping.resource_arn?, tags))
                }));
            }
            Some(Err(error)) => return Err(aws.explain.error(RESOURCES, &error)),
        }
    }
    Err(garbled(RESOURCES, "there is no end of resources"))
}

pub(super) async fn kept(aws: &Aws) -> Result<Kept, CloudError> {
    let tagged = tagged(aws).await?;
    let named = |part: &str| {
        let part = format!(":s3:::{}-{part}-", aws.names.platform);
        let arn = tagged.keys().find(|arn| arn.contains(&part))?;
        arn.rsplit(':').next().map(ToOwned::to_owned)
    };
    Ok(Kept { recordings: named("recordings"), state: named("tfstate") })
}

/// The list of tags names a thing for a while after it was deleted, so its owner is asked.
async fn confirm(aws: &Aws, listed: Billed) -> Result<Option<Billed>, CloudError> {
    match listed.kind {
        Kind::Balancer => {
            let placement = placement(aws, &listed.arn).await?;
            Ok(placement.map(|it| Billed { placement: Some(it), witness: Witness::Owner, ..listed }))
        }
        Kind::Task if !super::ecs::runs(aws, &listed.arn).await? => Ok(None),
        Kind::Task => Ok(Some(Billed { witness: Witness::Owner, ..listed })),
        Kind::Address | Kind::NatGateway | Kind::Endpoint | Kind::Other => Ok(Some(listed)),
    }
}

/// What a load balancer is and where it stands; `None` when it does not exist.
async fn placement(aws: &Aws, arn: &str) -> Result<Option<Placement>, CloudError> {
    match aws.elb.describe_load_balancers().load_balancer_arns(arn).send().await {
        Ok(answer) => Ok(answer.load_balancers().first().map(placement_of)),
        Err(error) if is(&error, &["LoadBalancerNotFound"]) => Ok(None),
        Err(error) => Err(aws.explain.error(BALANCERS, &error)),
    }
}

pub(super) async fn remove_balancer(aws: &Aws, arn: &str) -> Result<(), CloudError> {
    match aws.elb.delete_load_balancer().load_balancer_arn(arn).send().await {
        Err(error) if is(&error, &["LoadBalancerNotFound"]) => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => Err(aws.explain.error(DELETE, &error)),
    }
}
