//! What carries the project's tags and has an hourly price: by tag first, then as the service that owns it says.

use std::collections::BTreeSet;

use aws_sdk_resourcegroupstagging::types::TagFilter;

use super::Aws;
use super::convert::{at_once, garbled};
use super::error::is;
use crate::domain::billed::{Billed, Kind, Witness};
use crate::world::CloudError;

const RESOURCES: &str = "tag:GetResources";
const BALANCERS: &str = "elasticloadbalancing:DescribeLoadBalancers";
const DELETE: &str = "elasticloadbalancing:DeleteLoadBalancer";
/// A page holds 100; the stack has some forty.
const MOST_PAGES: usize = 20;

pub(super) async fn billed(aws: &Aws) -> Result<Vec<Billed>, CloudError> {
    let listed: Vec<(String, Kind)> = tagged(aws)
        .await?
        .into_iter()
        .filter_map(|arn| Some((Kind::of(&arn)?, arn)))
        .map(|(kind, arn)| (arn, kind))
        .collect();
    let answers = at_once(listed.into_iter().map(|(arn, kind)| confirm(aws, arn, kind))).await;
    let mut billed = Vec::new();
    for answer in answers {
        billed.extend(answer?);
    }
    Ok(billed)
}

async fn tagged(aws: &Aws) -> Result<BTreeSet<String>, CloudError> {
    let project = TagFilter::builder().key("project").values(aws.names.platform.as_str()).build();
    let mut pages = aws.tags.get_resources().tag_filters(project).into_paginator().send();
    let mut arns = BTreeSet::new();
    for _ in 0..MOST_PAGES {
        match pages.next().await {
            None => return Ok(arns),
            Some(Ok(page)) => {
                arns.extend(
                    page.resource_tag_mapping_list.unwrap_or_default().into_iter().filter_map(|m| m.resource_arn),
                );
            }
            Some(Err(error)) => return Err(aws.explain.error(RESOURCES, &error)),
        }
    }
    Err(garbled(RESOURCES, "there is no end of resources"))
}

pub(super) async fn recordings(aws: &Aws) -> Result<Option<String>, CloudError> {
    let part = format!(":s3:::{}-recordings-", aws.names.platform);
    Ok(tagged(aws)
        .await?
        .iter()
        .find(|arn| arn.contains(&part))
        .and_then(|arn| arn.rsplit(':').next())
        .map(ToOwned::to_owned))
}

/// The list of tags names a thing for a while after it was deleted, so its owner is asked.
async fn confirm(aws: &Aws, arn: String, kind: Kind) -> Result<Option<Billed>, CloudError> {
    let witness = match kind {
        Kind::Balancer if !balancer_exists(aws, &arn).await? => return Ok(None),
        Kind::Task if !super::ecs::runs(aws, &arn).await? => return Ok(None),
        Kind::Balancer | Kind::Task => Witness::Owner,
        Kind::Address | Kind::NatGateway | Kind::Endpoint | Kind::Other => Witness::TagsOnly,
    };
    Ok(Some(Billed { arn, kind, witness }))
}

async fn balancer_exists(aws: &Aws, arn: &str) -> Result<bool, CloudError> {
    match aws.elb.describe_load_balancers().load_balancer_arns(arn).send().await {
        Ok(answer) => Ok(!answer.load_balancers().is_empty()),
        Err(error) if is(&error, &["LoadBalancerNotFound"]) => Ok(false),
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
