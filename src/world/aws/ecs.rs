//! ECS: the service, its deployments and tasks, and the four changes that are made to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use aws_sdk_ecs::operation::update_service::builders::UpdateServiceFluentBuilder;
use aws_sdk_ecs::types as sdk;
use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::Aws;
use super::convert::{at_once, count, garbled, required, timestamp};
use super::error::is;
use crate::domain::name::{DeploymentId, TargetGroupArn, TaskId};
use crate::domain::observed::{
    Architecture, Attachment, Container, Deployment, DeploymentStatus, Health, Mark, Rollout, Service, ServiceEvent,
    ServiceStatus, Stop, Task,
};
use crate::world::{CloudError, CloudErrorKind};

const DESCRIBE: &str = "ecs:DescribeServices";
const LIST: &str = "ecs:ListTasks";
const TASKS: &str = "ecs:DescribeTasks";
const UPDATE: &str = "ecs:UpdateService";
const TAG: &str = "ecs:TagResource";
const PROTECT: &str = "ecs:UpdateTaskProtection";

/// What ECS says when there is no such service; for `UpdateService` also when it is INACTIVE.
const NO_SERVICE: &[&str] = &["ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException"];
/// `DescribeTasks` takes no more at once.
const TASKS_AT_ONCE: usize = 100;
/// `UpdateTaskProtection` takes no more at once.
const PROTECTIONS_AT_ONCE: usize = 10;
/// Of 100 tasks each. A service that fails for an hour without back-off makes a few hundred.
const MOST_PAGES: usize = 50;

const STARTED_BY: &str = "meetctl:started-by";
const STARTED_AT: &str = "meetctl:started-at";
const DEPLOYMENT: &str = "meetctl:deployment";
const LONGEST_TAG: usize = 256;

pub(super) async fn service(aws: &Aws) -> Result<Option<Service>, CloudError> {
    let Some(found) = described(aws).await? else { return Ok(None) };
    service_of(&found)
}

/// The service as ECS describes it. Its ARN is remembered for `mark`.
async fn described(aws: &Aws) -> Result<Option<sdk::Service>, CloudError> {
    let asked = aws
        .ecs
        .describe_services()
        .cluster(aws.names.cluster())
        .services(aws.names.service())
        .include(sdk::ServiceField::Tags)
        .send()
        .await;
    let answer = match asked {
        Err(error) if is(&error, NO_SERVICE) => return Ok(None),
        asked => asked.map_err(|e| aws.explain.error(DESCRIBE, &e))?,
    };
    if let Some(found) = answer.services.unwrap_or_default().into_iter().next() {
        remember(aws, found.service_arn());
        return Ok(Some(found));
    }
    match answer.failures.unwrap_or_default().first() {
        Some(failure) if failure.reason() == Some("MISSING") => Ok(None),
        Some(failure) => Err(failed(DESCRIBE, failure)),
        None => Err(garbled(DESCRIBE, "the answer names neither the service nor a failure")),
    }
}

fn remember(aws: &Aws, arn: Option<&str>) {
    if let Some(arn) = arn {
        *aws.service_arn.lock() = Some(arn.to_owned());
    }
}

fn failed(what: &str, failure: &sdk::Failure) -> CloudError {
    let reason = failure.reason().unwrap_or("no reason given");
    let detail = failure.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    CloudError { kind: CloudErrorKind::Refused, what: what.to_owned(), why: format!("{reason}{detail}") }
}

fn service_of(found: &sdk::Service) -> Result<Option<Service>, CloudError> {
    let status = match found.status() {
        Some("ACTIVE") => ServiceStatus::Active,
        Some("DRAINING") => ServiceStatus::Draining,
        Some("INACTIVE") => return Ok(None),
        other => return Err(garbled(DESCRIBE, format!("the service's status is {other:?}"))),
    };
    let mut events: Vec<ServiceEvent> = found.events().iter().filter_map(event_of).collect();
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    Ok(Some(Service {
        status,
        desired: count(found.desired_count()),
        running: count(found.running_count()),
        pending: count(found.pending_count()),
        deployments: found.deployments().iter().map(deployment_of).collect::<Result<_, _>>()?,
        events,
        target_groups: found.load_balancers().iter().filter_map(attachment_of).collect(),
        subnets: subnets_of(found),
        tags: found.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect(),
        mark: mark_of(found.tags()),
    }))
}

fn subnets_of(found: &sdk::Service) -> Vec<String> {
    let network = found.network_configuration().and_then(|network| network.awsvpc_configuration());
    network.map(|network| network.subnets().to_vec()).unwrap_or_default()
}

fn deployment_of(found: &sdk::Deployment) -> Result<Deployment, CloudError> {
    Ok(Deployment {
        id: required(found.id().and_then(|id| id.parse().ok()), DESCRIBE, "deployment id")?,
        status: match found.status() {
            Some("PRIMARY") => DeploymentStatus::Primary,
            Some("ACTIVE") => DeploymentStatus::Active,
            Some("INACTIVE") => DeploymentStatus::Inactive,
            other => return Err(garbled(DESCRIBE, format!("a deployment's status is {other:?}"))),
        },
        rollout: rollout_of(found)?,
        rollout_reason: found.rollout_state_reason().map(ToOwned::to_owned),
        desired: count(found.desired_count()),
        running: count(found.running_count()),
        failed: count(found.failed_tasks()),
        created: required(found.created_at().and_then(timestamp), DESCRIBE, "time of a deployment")?,
    })
}

/// Services without a rolling update have no such state; what is running then counts.
fn rollout_of(found: &sdk::Deployment) -> Result<Rollout, CloudError> {
    match found.rollout_state() {
        Some(sdk::DeploymentRolloutState::InProgress) => Ok(Rollout::InProgress),
        Some(sdk::DeploymentRolloutState::Completed) => Ok(Rollout::Completed),
        Some(sdk::DeploymentRolloutState::Failed) => Ok(Rollout::Failed),
        Some(other) => Err(garbled(DESCRIBE, format!("a deployment's roll-out is {:?}", other.as_str()))),
        None if found.running_count() == found.desired_count() => Ok(Rollout::Completed),
        None => Ok(Rollout::InProgress),
    }
}

fn event_of(found: &sdk::ServiceEvent) -> Option<ServiceEvent> {
    Some(ServiceEvent {
        id: found.id()?.to_owned(),
        at: timestamp(found.created_at()?)?,
        message: found.message()?.to_owned(),
    })
}

fn attachment_of(found: &sdk::LoadBalancer) -> Option<Attachment> {
    let group: TargetGroupArn = found.target_group_arn()?.parse().ok()?;
    let port = u16::try_from(found.container_port()?).ok()?;
    Some(Attachment { group, container: found.container_name()?.to_owned(), port })
}

/// All three tags, or nothing: others may have written only some, or something else.
fn mark_of(tags: &[sdk::Tag]) -> Option<Mark> {
    let tags: BTreeMap<&str, &str> = tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect();
    Some(Mark {
        by: (*tags.get(STARTED_BY)?).to_owned(),
        at: tags.get(STARTED_AT)?.parse().ok()?,
        deployment: tags.get(DEPLOYMENT)?.parse().ok()?,
    })
}

/// A task that changes sides between the two lists is in neither of them; whoever needs to be sure looks twice.
pub(super) async fn tasks(aws: &Aws) -> Result<Vec<Task>, CloudError> {
    // ECS lists by what it wants of a task: one that is still stopping is in the second list.
    let (wanted, unwanted) =
        tokio::try_join!(list(aws, sdk::DesiredStatus::Running), list(aws, sdk::DesiredStatus::Stopped))?;
    let arns: Vec<String> = wanted.into_iter().chain(unwanted).collect::<BTreeSet<_>>().into_iter().collect();
    let answers = at_once(arns.chunks(TASKS_AT_ONCE).map(|chunk| describe(aws, chunk))).await;
    let mut tasks = Vec::with_capacity(arns.len());
    for answer in answers {
        tasks.extend(answer?);
    }
    tasks.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
    Ok(tasks)
}

/// Whether a task of the project, by its ARN, has not stopped yet.
pub(super) async fn runs(aws: &Aws, arn: &str) -> Result<bool, CloudError> {
    Ok(describe(aws, &[arn.to_owned()]).await?.iter().any(|task| task.stopped.is_none()))
}

async fn list(aws: &Aws, status: sdk::DesiredStatus) -> Result<Vec<String>, CloudError> {
    let mut pages = aws
        .ecs
        .list_tasks()
        .cluster(aws.names.cluster())
        .service_name(aws.names.service())
        .desired_status(status)
        .into_paginator()
        .send();
    let mut arns = Vec::new();
    for _ in 0..MOST_PAGES {
        match pages.next().await {
            None => return Ok(arns),
            Some(Ok(page)) => arns.extend(page.task_arns.unwrap_or_default()),
            Some(Err(error)) if is(&error, NO_SERVICE) => return Ok(Vec::new()),
            Some(Err(error)) => return Err(aws.explain.error(LIST, &error)),
        }
    }
    Err(garbled(LIST, "there is no end of tasks"))
}

async fn describe(aws: &Aws, arns: &[String]) -> Result<Vec<Task>, CloudError> {
    let asked = aws.ecs.describe_tasks().cluster(aws.names.cluster()).set_tasks(Some(arns.to_vec())).send().await;
    let answer = match asked {
        Err(error) if is(&error, NO_SERVICE) => return Ok(Vec::new()),
        asked => asked.map_err(|e| aws.explain.error(TASKS, &e))?,
    };
    // ECS forgets a stopped task after about an hour, perhaps between the list and this.
    match answer.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
        Some(failure) => Err(failed(TASKS, failure)),
        None => answer.tasks().iter().map(task_of).collect(),
    }
}

fn task_of(found: &sdk::Task) -> Result<Task, CloudError> {
    let created = created_of(found);
    let last_status = required(found.last_status(), TASKS, "status of a task")?.to_owned();
    Ok(Task {
        id: required(found.task_arn().and_then(task_id), TASKS, "task id")?,
        deployment: found.started_by().and_then(|id| id.parse().ok()),
        health: health_of(found.health_status()),
        created,
        started: time(found.started_at()),
        pull_started: time(found.pull_started_at()),
        stopped: stop_of(found, &last_status, created),
        address: address_of(found.attachments()),
        cpu: units(found.cpu()),
        memory: units(found.memory()),
        architecture: architecture_of(found.attributes()),
        containers: found.containers().iter().map(container_of).collect::<Result<_, _>>()?,
        last_status,
    })
}

fn time(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(timestamp)
}

/// AWS always says when a task was made. Emulators may not; they are not worth an error.
fn created_of(found: &sdk::Task) -> Timestamp {
    let known = [found.created_at(), found.pull_started_at(), found.started_at(), found.stopped_at()];
    known.into_iter().find_map(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The last part of the ARN, which has the cluster's name before it or, in old accounts, has not.
fn task_id(arn: &str) -> Option<TaskId> {
    arn.rsplit('/').next()?.parse().ok()
}

fn health_of(status: Option<&sdk::HealthStatus>) -> Health {
    match status {
        Some(sdk::HealthStatus::Healthy) => Health::Healthy,
        Some(sdk::HealthStatus::Unhealthy) => Health::Unhealthy,
        _ => Health::Unknown,
    }
}

/// A task that is only on its way down (`DEACTIVATING`, `STOPPING`, `DEPROVISIONING`) has not stopped.
fn stop_of(found: &sdk::Task, last_status: &str, created: Timestamp) -> Option<Stop> {
    let ended = matches!(last_status, "STOPPED" | "DELETED");
    if !ended && found.stopped_at().is_none() {
        return None;
    }
    let known = [found.stopped_at(), found.execution_stopped_at(), found.stopping_at()];
    Some(Stop {
        at: known.into_iter().find_map(time).unwrap_or(created),
        code: found.stop_code().map(|code| code.as_str().to_owned()),
        reason: found.stopped_reason().unwrap_or_default().to_owned(),
    })
}

fn address_of(attachments: &[sdk::Attachment]) -> Option<IpAddr> {
    let details = attachments.iter().flat_map(sdk::Attachment::details);
    let mut addresses = details.filter(|detail| detail.name() == Some("privateIPv4Address"));
    addresses.find_map(|detail| detail.value()?.parse().ok())
}

fn units(size: Option<&str>) -> u32 {
    size.and_then(|size| size.parse().ok()).unwrap_or(0)
}

fn architecture_of(attributes: &[sdk::Attribute]) -> Architecture {
    let named = attributes.iter().find(|attribute| attribute.name() == "ecs.cpu-architecture");
    match named.and_then(|attribute| attribute.value()) {
        Some("arm64") => Architecture::Arm,
        _ => Architecture::X86,
    }
}

fn container_of(found: &sdk::Container) -> Result<Container, CloudError> {
    Ok(Container {
        name: required(found.name(), TASKS, "name of a container")?.to_owned(),
        image: found.image().map(ToOwned::to_owned),
        last_status: found.last_status().unwrap_or("UNKNOWN").to_owned(),
        health: health_of(found.health_status()),
        exit_code: found.exit_code(),
        reason: found.reason().map(ToOwned::to_owned),
    })
}

pub(super) async fn start(aws: &Aws) -> Result<DeploymentId, CloudError> {
    let service = update(aws, |request| request.desired_count(1).force_new_deployment(true)).await?;
    let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
    required(primary.and_then(|deployment| deployment.id()?.parse().ok()), UPDATE, "new deployment")
}

pub(super) async fn stop(aws: &Aws) -> Result<(), CloudError> {
    update(aws, |request| request.desired_count(0)).await?;
    Ok(())
}

async fn update(
    aws: &Aws,
    change: impl FnOnce(UpdateServiceFluentBuilder) -> UpdateServiceFluentBuilder,
) -> Result<sdk::Service, CloudError> {
    let request = aws.ecs.update_service().cluster(aws.names.cluster()).service(aws.names.service());
    let answer = change(request).send().await.map_err(|e| aws.explain.error(UPDATE, &e))?;
    let service = required(answer.service, UPDATE, "service")?;
    // AWS refuses to change a deleted service; whoever does not has changed nothing that matters.
    if service.status() == Some("INACTIVE") {
        return Err(gone(aws, UPDATE));
    }
    remember(aws, service.service_arn());
    Ok(service)
}

fn gone(aws: &Aws, what: &str) -> CloudError {
    let why = format!("there is no service {} in the cluster {}", aws.names.service(), aws.names.cluster());
    CloudError { kind: CloudErrorKind::Gone, what: what.to_owned(), why }
}

pub(super) async fn mark(aws: &Aws, mark: &Mark) -> Result<(), CloudError> {
    let arn = service_arn(aws).await?;
    let tags = [
        (STARTED_BY, tag_value(&mark.by)),
        (STARTED_AT, mark.at.to_string()),
        (DEPLOYMENT, tag_value(mark.deployment.as_str())),
    ];
    let tags = tags.map(|(key, value)| sdk::Tag::builder().key(key).value(value).build());
    let asked = aws.ecs.tag_resource().resource_arn(arn).set_tags(Some(tags.to_vec())).send().await;
    asked.map_err(|e| aws.explain.error(TAG, &e))?;
    Ok(())
}

/// ECS names services in two forms, by the age of the account; so the ARN is not put together here, but taken from
/// the last answer, or asked for.
async fn service_arn(aws: &Aws) -> Result<String, CloudError> {
    let remembered = aws.service_arn.lock().clone();
    if let Some(arn) = remembered {
        return Ok(arn);
    }
    let found = described(aws).await?.filter(|service| service.status() != Some("INACTIVE"));
    let found = found.ok_or_else(|| gone(aws, TAG))?;
    required(found.service_arn, DESCRIBE, "ARN")
}

/// What a tag may hold: letters, digits, spaces and `+ - = . _ : / @`.
fn tag_value(text: &str) -> String {
    let allowed = |c: char| c.is_alphanumeric() || " +-=._:/@".contains(c);
    text.chars().map(|c| if allowed(c) { c } else { '_' }).take(LONGEST_TAG).collect()
}

pub(super) async fn unprotect(aws: &Aws, tasks: &[TaskId]) -> Result<(), CloudError> {
    let answers = at_once(tasks.chunks(PROTECTIONS_AT_ONCE).map(|chunk| unprotect_some(aws, chunk))).await;
    answers.into_iter().collect()
}

async fn unprotect_some(aws: &Aws, tasks: &[TaskId]) -> Result<(), CloudError> {
    let ids = tasks.iter().map(ToString::to_string).collect();
    let request = aws.ecs.update_task_protection().cluster(aws.names.cluster()).set_tasks(Some(ids));
    let asked = request.protection_enabled(false).send().await;
    let answer = asked.map_err(|e| aws.explain.error(PROTECT, &e))?;
    // A task that is gone needs no protection lifted.
    match answer.failures().iter().find(|failure| failure.reason() != Some("MISSING")) {
        Some(failure) => Err(failed(PROTECT, failure)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_hold_only_what_they_may() {
        assert_eq!(tag_value("José (cron), 5' past"), "José _cron__ 5_ past");
        assert_eq!(tag_value(&"x".repeat(300)).len(), 256);
        assert_eq!(tag_value("ecs-svc/0123456789"), "ecs-svc/0123456789");
    }

    #[test]
    fn task_ids_of_both_forms_of_arn() {
        for arn in ["arn:aws:ecs:us-west-2:111122223333:task/c/0a1b", "arn:aws:ecs:us-west-2:111122223333:task/0a1b"] {
            assert_eq!(task_id(arn).expect("a task id").as_str(), "0a1b");
        }
    }

    #[test]
    fn a_mark_is_whole_or_not_there() {
        let tag = |key: &str, value: &str| sdk::Tag::builder().key(key).value(value).build();
        let by = tag(STARTED_BY, "ana@laptop");
        let at = tag(STARTED_AT, "2026-11-20T19:03:30Z");
        let deployment = tag(DEPLOYMENT, "ecs-svc/1");
        assert_eq!(mark_of(&[by.clone(), at, deployment.clone()]).expect("a mark").by, "ana@laptop");
        assert_eq!(mark_of(&[by.clone(), deployment.clone()]), None);
        assert_eq!(mark_of(&[by, tag(STARTED_AT, "yesterday"), deployment]), None);
    }
}
