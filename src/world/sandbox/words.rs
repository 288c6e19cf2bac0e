//! What AWS says, in its own words.

use super::model::{ACCOUNT, REGION, SERVICE};
use super::task::Fault;
use crate::domain::name::{DeploymentId, TargetGroupArn};

/// The tag of Jitsi's images.
const TAG: &str = "stable-11146-2";

pub(super) fn image(container: &str, fault: Option<Fault>) -> String {
    match container {
        "jvb" if fault == Some(Fault::ImageGone) => format!("ghcr.io/jitsi/jvb:{TAG}x"),
        // The sidecar is the bridge's image with another entry point.
        "occupancy" => format!("ghcr.io/jitsi/jvb:{TAG}"),
        other => format!("ghcr.io/jitsi/{other}:{TAG}"),
    }
}

/// `stopCode` and `stoppedReason` of a task that fails.
pub(super) fn stop(fault: Fault) -> (&'static str, String) {
    match fault {
        Fault::ImageGone => {
            let image = image("jvb", Some(fault));
            let text = format!(
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): \
                 failed to resolve ref {image}: {image}: not found"
            );
            ("TaskFailedToStart", text)
        }
        Fault::SecretDenied => {
            let secret =
                format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:jitsi-video-platform-jitsi-secrets-a1B2c3");
            let text = format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval \
                 failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch \
                 secret {secret} from secrets manager: AccessDeniedException: User: \
                 arn:aws:sts::{ACCOUNT}:assumed-role/jitsi-video-platform-execution is not authorized to perform: \
                 secretsmanager:GetSecretValue on resource: {secret} because no identity-based policy allows the \
                 secretsmanager:GetSecretValue action"
            );
            ("TaskFailedToStart", text)
        }
        Fault::OutOfMemory | Fault::Crash => {
            ("EssentialContainerExited", "Essential container in task exited".to_owned())
        }
        Fault::Unreached => {
            let text = format!("Task failed ELB health checks in (target-group {})", group("jvb"));
            ("ServiceSchedulerInitiated", text)
        }
    }
}

/// `stopCode` and `stoppedReason` of a task that the service itself stops.
pub(super) fn scaled_in(deployment: &DeploymentId) -> (&'static str, String) {
    ("ServiceSchedulerInitiated", format!("Scaling activity initiated by (deployment {deployment})"))
}

/// Exit code and reason of a container of a stopped task.
pub(super) fn exit(container: &str, fault: Option<Fault>, started: bool) -> (Option<i32>, Option<String>) {
    let own = match (fault, container) {
        (Some(Fault::OutOfMemory), "jvb") => {
            Some((137, Some("OutOfMemoryError: Container killed due to memory usage".to_owned())))
        }
        (Some(Fault::Crash), "prosody") => Some((1, None)),
        (Some(Fault::ImageGone), "jvb") => return (None, Some(stop(Fault::ImageGone).1)),
        _ => None,
    };
    match own {
        Some((code, reason)) => (Some(code), reason),
        None if !started => (None, None),
        // Java answers a SIGTERM with 143, the others end in peace.
        None if matches!(container, "jicofo" | "jvb") => (Some(143), None),
        None => (Some(0), None),
    }
}

/// The target group of a container.
pub(super) fn group(container: &str) -> TargetGroupArn {
    let id = if container == "web" { "0a1b2c3d4e5f6071" } else { "1f2e3d4c5b6a7081" };
    format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/jitsi-video-platform-{container}/{id}")
        .parse()
        .expect("it starts with arn:")
}

/// A line of the service's diary, which always begins with its name.
pub(super) fn diary(rest: &str) -> String {
    format!("(service {SERVICE}) {rest}")
}

/// The line about a task that people are using.
pub(super) fn protected(deployment: &DeploymentId) -> String {
    format!("(service {SERVICE}, taskSet {deployment}) was unable to scale in due to (reason 1 tasks under protection)")
}
