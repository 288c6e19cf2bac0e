//! Observations for tests: a platform at each level.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::billed::Placement;
use super::changes::Recordings;
use super::name::TaskId;
use super::observed::*;
use super::ownership::Tags;
use super::plan::{Counted, Meetings, Policy};

pub(crate) fn now() -> Timestamp {
    "2026-11-20T19:00:00Z".parse().expect("a time")
}

pub(crate) fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub(crate) fn policy() -> Policy {
    Policy {
        platform: "jitsi-video-platform".parse().expect("a platform's name"),
        region: "us-west-2".parse().expect("a region"),
        account: Some("111122223333".parse().expect("an account")),
        session: Duration::from_hours(3),
        media: false,
        counted: Counted::BySidecar,
        meetings: Meetings::Respect,
        recordings: Recordings::Kept,
        agreed: None,
    }
}

pub(crate) fn deployment(id: &str, created: Timestamp) -> Deployment {
    Deployment {
        id: id.parse().expect("a deployment id"),
        status: DeploymentStatus::Primary,
        rollout: Rollout::InProgress,
        rollout_reason: None,
        desired: 1,
        running: 0,
        failed: 0,
        created,
    }
}

fn container(name: &str) -> Container {
    Container {
        name: name.into(),
        image: Some(format!("ghcr.io/jitsi/{name}:stable-11146-2")),
        last_status: "RUNNING".into(),
        health: Health::Healthy,
        exit_code: None,
        reason: None,
    }
}

pub(crate) fn task(id: &str, deployment: &str) -> Task {
    Task {
        id: id.parse().expect("a task id"),
        deployment: Some(deployment.parse().expect("a deployment id")),
        last_status: "RUNNING".into(),
        health: Health::Healthy,
        created: ago(600),
        started: Some(ago(560)),
        pull_started: Some(ago(590)),
        stopped: None,
        address: Some("10.0.1.17".parse().expect("an address")),
        cpu: 4096,
        memory: 8192,
        architecture: Architecture::X86,
        containers: ["web", "prosody", "jicofo", "jvb"].map(container).into(),
    }
}

pub(crate) fn stopped_task(id: &str, deployment: &str, at: Timestamp, reason: &str) -> Task {
    let stop = Stop { at, code: Some("TaskFailedToStart".into()), reason: reason.into() };
    Task { last_status: "STOPPED".into(), health: Health::Unknown, stopped: Some(stop), ..task(id, deployment) }
}

fn page(path: &str) -> Page {
    Page { path: path.into(), status: Some(200), wrong: None, took: Duration::from_millis(40) }
}

pub(crate) fn tags() -> Tags {
    Tags::of(&policy().platform, "production")
}

pub(crate) fn placement() -> Placement {
    Placement { network: true, vpc: Some("vpc-1".into()), subnets: vec!["subnet-1".into()] }
}

/// A platform on which everything holds.
pub(crate) fn running() -> Observed {
    let door = "198.51.100.10".parse().expect("an address");
    let target = Target {
        address: "10.0.1.17".into(),
        port: 8000,
        state: TargetState::Healthy,
        reason: None,
        description: None,
    };
    let group = "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/web/1".parse().expect("an ARN");
    Observed {
        identity: Reading::Present(Identity {
            account: "111122223333".parse().expect("an account"),
            arn: "arn:aws:sts::111122223333:assumed-role/operator/ada".into(),
            expires: None,
        }),
        service: Reading::Present(Service {
            status: ServiceStatus::Active,
            desired: 1,
            running: 1,
            pending: 0,
            deployments: vec![Deployment {
                rollout: Rollout::Completed,
                running: 1,
                ..deployment("ecs-svc/1", ago(600))
            }],
            events: Vec::new(),
            target_groups: vec![Attachment {
                group: std::clone::Clone::clone(&group),
                container: "web".into(),
                port: 8000,
            }],
            subnets: vec!["subnet-1".into()],
            tags: tags(),
            mark: None,
        }),
        tasks: Reading::Present(vec![task("task1", "ecs-svc/1")]),
        balancer: Reading::Present(Balancer {
            arn: "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/jitsi-video-platform-nlb/1"
                .into(),
            placement: placement(),
            allocations: vec!["eipalloc-own".into()],
            dns_name: "nlb-1.elb.us-west-2.amazonaws.com".into(),
            state: BalancerState::Active,
            created: Some(ago(86_400)),
            zones: 1,
            addresses: 1,
            listeners: vec![Listener { protocol: "TLS".into(), port: 443 }],
        }),
        targets: Reading::Present(vec![TargetGroup {
            group,
            container: "web".into(),
            port: 8000,
            targets: vec![target],
        }]),
        record: Reading::Present(Record {
            zone: "example.org".into(),
            targets: vec!["dualstack.NLB-1.elb.us-west-2.amazonaws.com.".into()],
        }),
        secret: Reading::Present(Secret { name: "jitsi-video-platform-jitsi-secrets".into(), deleted: None }),
        occupancy: Reading::Present(occupancy(0, 0)),
        names: Reading::Present(Resolution {
            host: "meet.example.org".parse().expect("a host"),
            local: Ok(vec![door]),
            authoritative: vec![Authority { server: "ns1.example.org".into(), address: None, answer: Ok(vec![door]) }],
            authorities_unseen: None,
            balancer: Some(Ok(vec![door])),
        }),
        tls: Reading::Present(Tls {
            address: (door, 443).into(),
            shown: Ok(Certificate {
                subject: "meet.example.org".into(),
                issuer: "Amazon RSA 2048 M02".into(),
                names: vec!["meet.example.org".into()],
                not_before: ago(86_400),
                not_after: now() + SignedDuration::from_hours(24 * 200),
                name_matches: true,
                untrusted: None,
                private_root: false,
                version: "TLSv1.3".into(),
            }),
            took: Duration::from_millis(60),
        }),
        web: Reading::Present(Web { index: page("/"), config: page("/config.js"), api: page("/external_api.js") }),
        signalling: Reading::Present(Signalling { bosh: page("/http-bind"), websocket: page("/xmpp-websocket") }),
        billed: Reading::Present(Vec::new()),
        managed: Reading::Present(vec!["aws_ecs_service.this".into()]),
        kept: Reading::Present(vec!["jitsi-video-platform-tfstate-111122223333".into()]),
        ..Observed::nothing(now())
    }
}

/// All infrastructure, and no task.
pub(crate) fn standby() -> Observed {
    let mut seen = running();
    service(&mut seen).desired = 0;
    service(&mut seen).running = 0;
    seen.tasks = Reading::Present(Vec::new());
    seen.occupancy = Reading::Absent;
    seen.web = Reading::not_asked();
    seen.signalling = Reading::not_asked();
    seen
}

pub(crate) fn service(seen: &mut Observed) -> &mut Service {
    match &mut seen.service {
        Reading::Present(service) => service,
        Reading::Absent | Reading::Unreadable(_) => panic!("no service in this example"),
    }
}

pub(crate) fn occupancy(participants: u32, conferences: u32) -> Occupancy {
    Occupancy {
        task: TaskId::try_from("task1".to_owned()).expect("a task id"),
        time: ago(20),
        conferences,
        participants,
        draining: false,
    }
}
