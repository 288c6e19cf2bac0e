//! What the port to the AWS account promises: one function each, for whatever stands behind it.

use jiff::Timestamp;
use meetctl::domain::name::{TargetGroupArn, TaskId};
use meetctl::domain::observed::{Mark, ServiceStatus};
use meetctl::world::{Cloud, CloudErrorKind, Kept};

/// Where nothing is deployed, readers say so, and do not fail.
pub(crate) async fn absent_is_none(cloud: &dyn Cloud) {
    assert_eq!(cloud.service().await, Ok(None));
    assert_eq!(cloud.tasks().await, Ok(Vec::new()));
    assert_eq!(cloud.balancer().await, Ok(None));
    assert_eq!(cloud.record().await, Ok(None));
    assert_eq!(cloud.secret().await, Ok(None));
    assert_eq!(cloud.kept().await, Ok(Kept::default()));
    assert_eq!(cloud.billed().await, Ok(Vec::new()));
    let group = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/no-such-group/0123456789abcdef";
    let group: TargetGroupArn = group.parse().expect("an ARN");
    assert_eq!(cloud.targets(&group).await, Ok(None));
    assert_eq!(cloud.occupancy(Timestamp::UNIX_EPOCH).await, Ok(None));
    let task: TaskId = "0123456789abcdef0123456789abcdef".parse().expect("a task id");
    assert_eq!(cloud.log_tail(&task, "jvb", 20).await, Ok(None));
}

/// Where nothing is deployed, writers say that the thing is gone.
pub(crate) async fn absent_cannot_be_changed(cloud: &dyn Cloud) {
    assert_eq!(cloud.start().await.expect_err("there is nothing to start").kind, CloudErrorKind::Gone);
    assert_eq!(cloud.stop().await.expect_err("there is nothing to stop").kind, CloudErrorKind::Gone);
}

/// Somebody is signed in.
pub(crate) async fn identity_has_an_account(cloud: &dyn Cloud) {
    let identity = cloud.identity().await.expect("somebody is signed in");
    assert!(identity.arn.contains(identity.account.as_str()), "{identity:?}");
}

/// What was started is read back: the desired count, and the deployment that was returned as the primary one.
pub(crate) async fn start_is_read_back(cloud: &dyn Cloud) {
    let deployment = cloud.start().await.expect("a start is accepted");
    let service = cloud.service().await.expect("readable").expect("there is a service");
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!(service.desired, 1);
    assert_eq!(service.primary().map(|primary| &primary.id), Some(&deployment));
}

/// Each start is a deployment of its own.
pub(crate) async fn starts_differ(cloud: &dyn Cloud) {
    let first = cloud.start().await.expect("a start is accepted");
    let second = cloud.start().await.expect("another is, too");
    assert_ne!(first, second);
    let service = cloud.service().await.expect("readable").expect("there is a service");
    assert_eq!((service.desired, service.primary().map(|primary| &primary.id)), (1, Some(&second)));
}

/// Stopping twice is stopping once.
pub(crate) async fn stop_is_idempotent(cloud: &dyn Cloud) {
    for _ in 0..2 {
        cloud.stop().await.expect("a stop is accepted");
        let service = cloud.service().await.expect("readable").expect("there is a service");
        assert_eq!(service.desired, 0);
    }
}

/// The mark of a start is read back, and a newer one takes its place.
pub(crate) async fn mark_is_read_back(cloud: &dyn Cloud) {
    let deployment = cloud.start().await.expect("a start is accepted");
    for by in ["ana@example.org", "ben@example.org"] {
        let at = Timestamp::from_second(1_795_200_700).expect("a time");
        let mark = Mark { by: by.into(), at, deployment: deployment.clone() };
        cloud.mark(&mark).await.expect("a mark is accepted");
        let service = cloud.service().await.expect("readable").expect("there is a service");
        assert_eq!(service.mark, Some(mark));
    }
}

/// Without tasks there is nothing to unprotect, and that is no error.
pub(crate) async fn nothing_is_unprotected(cloud: &dyn Cloud) {
    assert_eq!(cloud.unprotect(&[]).await, Ok(()));
}

/// Every target group of the service can be asked for its targets, and whose it is and where it stands can be told.
pub(crate) async fn groups_are_known(cloud: &dyn Cloud) {
    let service = cloud.service().await.expect("readable").expect("there is a service");
    assert!(!service.target_groups.is_empty());
    assert!(service.tags.project.is_some() && service.tags.managed_by.is_some(), "{:?}", service.tags);
    let balancer = cloud.balancer().await.expect("readable").expect("there is a load balancer");
    assert!(balancer.placement.network && balancer.placement.vpc.is_some(), "{balancer:?}");
    assert!(balancer.placement.subnets.iter().any(|subnet| service.subnets.contains(subnet)), "{balancer:?}");
    for attachment in &service.target_groups {
        assert!(cloud.targets(&attachment.group).await.expect("readable").is_some(), "{attachment:?}");
    }
}
