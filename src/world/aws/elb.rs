//! Elastic Load Balancing: the network load balancer, its listeners, and the targets behind it.

use aws_sdk_elasticloadbalancingv2::types::{
    AvailabilityZone, Listener as SdkListener, LoadBalancer, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
    LoadBalancerTypeEnum, TargetHealthDescription, TargetHealthStateEnum,
};

use super::Aws;
use super::convert::{garbled, port, required, timestamp};
use super::error::is;
use crate::domain::billed::Placement;
use crate::domain::name::TargetGroupArn;
use crate::domain::observed::{Balancer, BalancerState, Listener, Target, TargetState};
use crate::world::CloudError;

const BALANCERS: &str = "elasticloadbalancing:DescribeLoadBalancers";
const LISTENERS: &str = "elasticloadbalancing:DescribeListeners";
const HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";
/// A load balancer has at most 50 listeners by quota; one page holds 400.
const MOST_PAGES: usize = 10;

pub(super) async fn balancer(aws: &Aws) -> Result<Option<Balancer>, CloudError> {
    let found = match aws.elb.describe_load_balancers().names(aws.names.balancer()).send().await {
        Ok(answer) => answer.load_balancers.unwrap_or_default().into_iter().next(),
        Err(error) if is(&error, &["LoadBalancerNotFound"]) => None,
        Err(error) => return Err(aws.explain.error(BALANCERS, &error)),
    };
    let Some(found) = found else { return Ok(None) };
    let arn = required(found.load_balancer_arn(), BALANCERS, "ARN")?;
    // It may have been deleted between the two calls.
    let Some(listeners) = listeners(aws, arn).await? else { return Ok(None) };
    balancer_of(&found, listeners).map(Some)
}

async fn listeners(aws: &Aws, balancer: &str) -> Result<Option<Vec<Listener>>, CloudError> {
    let mut pages = aws.elb.describe_listeners().load_balancer_arn(balancer).into_paginator().send();
    let mut listeners = Vec::new();
    for _ in 0..MOST_PAGES {
        match pages.next().await {
            None => return Ok(Some(listeners)),
            Some(Ok(page)) => {
                for listener in page.listeners() {
                    listeners.push(listener_of(listener)?);
                }
            }
            Some(Err(error)) if is(&error, &["LoadBalancerNotFound", "ListenerNotFound"]) => return Ok(None),
            Some(Err(error)) => return Err(aws.explain.error(LISTENERS, &error)),
        }
    }
    Err(garbled(LISTENERS, "there is no end of listeners"))
}

pub(super) async fn targets(aws: &Aws, group: &TargetGroupArn) -> Result<Option<Vec<Target>>, CloudError> {
    match aws.elb.describe_target_health().target_group_arn(group.as_str()).send().await {
        Ok(answer) => answer.target_health_descriptions().iter().map(target_of).collect::<Result<_, _>>().map(Some),
        Err(error) if is(&error, &["TargetGroupNotFound"]) => Ok(None),
        Err(error) => Err(aws.explain.error(HEALTH, &error)),
    }
}

fn balancer_of(found: &LoadBalancer, listeners: Vec<Listener>) -> Result<Balancer, CloudError> {
    let zones = u32::try_from(found.availability_zones().len()).unwrap_or(u32::MAX);
    let public = found.scheme() == Some(&LoadBalancerSchemeEnum::InternetFacing);
    let state = found.state().and_then(|state| state.code()).and_then(state_of);
    let addresses = found.availability_zones().iter().flat_map(AvailabilityZone::load_balancer_addresses);
    Ok(Balancer {
        arn: required(found.load_balancer_arn(), BALANCERS, "ARN")?.to_owned(),
        placement: placement_of(found),
        allocations: addresses.filter_map(|it| it.allocation_id().map(ToOwned::to_owned)).collect(),
        dns_name: required(found.dns_name(), BALANCERS, "DNS name")?.to_owned(),
        state: required(state, BALANCERS, "state")?,
        created: found.created_time().and_then(timestamp),
        zones,
        addresses: if public { zones } else { 0 },
        listeners,
    })
}

pub(super) fn placement_of(found: &LoadBalancer) -> Placement {
    Placement {
        network: found.r#type() == Some(&LoadBalancerTypeEnum::Network),
        vpc: found.vpc_id().map(ToOwned::to_owned),
        subnets: found.availability_zones().iter().filter_map(|zone| zone.subnet_id().map(ToOwned::to_owned)).collect(),
    }
}

fn state_of(code: &LoadBalancerStateEnum) -> Option<BalancerState> {
    match code {
        LoadBalancerStateEnum::Provisioning => Some(BalancerState::Provisioning),
        LoadBalancerStateEnum::Active => Some(BalancerState::Active),
        LoadBalancerStateEnum::ActiveImpaired => Some(BalancerState::Impaired),
        LoadBalancerStateEnum::Failed => Some(BalancerState::Failed),
        _ => None,
    }
}

fn listener_of(found: &SdkListener) -> Result<Listener, CloudError> {
    let protocol = required(found.protocol(), LISTENERS, "protocol")?;
    Ok(Listener { protocol: protocol.as_str().to_owned(), port: port(found.port(), LISTENERS)? })
}

fn target_of(found: &TargetHealthDescription) -> Result<Target, CloudError> {
    let target = required(found.target(), HEALTH, "target")?;
    let health = required(found.target_health(), HEALTH, "health")?;
    Ok(Target {
        address: required(target.id(), HEALTH, "address")?.to_owned(),
        port: port(target.port(), HEALTH)?,
        state: required(health.state().and_then(health_of), HEALTH, "state")?,
        reason: health.reason().map(|reason| reason.as_str().to_owned()),
        description: health.description().map(ToOwned::to_owned),
    })
}

fn health_of(state: &TargetHealthStateEnum) -> Option<TargetState> {
    match state {
        TargetHealthStateEnum::Initial => Some(TargetState::Initial),
        TargetHealthStateEnum::Healthy => Some(TargetState::Healthy),
        TargetHealthStateEnum::Unhealthy => Some(TargetState::Unhealthy),
        TargetHealthStateEnum::Unused => Some(TargetState::Unused),
        TargetHealthStateEnum::Draining | TargetHealthStateEnum::UnhealthyDraining => Some(TargetState::Draining),
        TargetHealthStateEnum::Unavailable => Some(TargetState::Unavailable),
        _ => None,
    }
}
