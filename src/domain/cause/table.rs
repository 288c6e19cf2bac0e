//! What ECS says when something goes wrong, by the error's own code and by what was being fetched or made.
//!
//! The words are those of the ECS developer guide (`stopped-task-error-codes`, its pages on
//! `CannotPullContainerError` and `ResourceInitializationError`, `service-event-messages-list`) and of public reports.

use super::words::Words;

/// How much one line of ECS's says about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Why a task stopped.
    Stopped,
    /// ECS could not make a task, or give it its place, and goes on trying by itself.
    Refused,
    /// An event: it cannot succeed any more.
    Hopeless,
    /// An event: it may explain what is seen otherwise.
    Hint,
}

/// A cause. The first row that fits is the one, so the narrower stand before the wider.
#[derive(Debug)]
pub struct Row {
    /// In kebab-case, for programs.
    pub code: &'static str,
    pub says: Says,
    /// The text has one phrase of each list: the error's own code, what was being fetched, what went wrong.
    pub all: &'static [&'static [&'static str]],
    /// In one sentence; `{container}`, `{image}` and `{exit}` are filled in.
    pub what: &'static str,
    pub next: &'static [&'static str],
}

/// What a task's stop means.
pub fn of_stop(words: &Words) -> Option<&'static Row> {
    first(words, |says| matches!(says, Says::Stopped | Says::Refused))
}

/// What an event means, and how much it weighs. Most events tell of nothing bad.
pub fn of_event(words: &Words) -> Option<(&'static Row, Says)> {
    let own = first(words, |says| says != Says::Stopped);
    match own {
        // It repeats why the task stopped.
        Some(row) if row.code == UNKNOWN_EVENT => {
            Some((first(words, |says| says == Says::Stopped).unwrap_or(row), row.says))
        }
        other => other.map(|row| (row, row.says)),
    }
}

fn first(words: &Words, of: impl Fn(Says) -> bool) -> Option<&'static Row> {
    ROWS.iter().find(|row| of(row.says) && words.say_all(row.all))
}

pub const UNKNOWN_STOP: &str = "unknown-stop";
const UNKNOWN_EVENT: &str = "unknown-event";

// The error's own code.
const PULL: &[&str] = &[
    "CannotPullContainerError",
    "CannotPullECRContainerError",
    "CannotPullContainerAuthError",
    "CannotPullImageManifestError",
];
const PREPARE: &[&str] = &["ResourceInitializationError"];
const PREPARE_OR_START: &[&str] = &[
    "ResourceInitializationError",
    "CannotStartContainerError",
    "CannotCreateContainerError",
    "ContainerRuntimeError",
];
const START: &[&str] = &[
    "CannotStartContainerError",
    "CannotCreateContainerError",
    "ContainerRuntimeError",
    "new container runtime task",
    "new container",
];
const PREPARE_OR_VOLUME: &[&str] = &["ResourceInitializationError", "CannotCreateVolumeError"];

// What was being fetched or made. ECS begins each of these with "unable to pull secrets or registry auth", whatever it was.
const LOG: &[&str] = &[
    "logger args",
    "log stream",
    "log group",
    "logging driver",
    "log driver",
    "Amazon CloudWatch",
    "CloudWatch Logs",
    "logs:CreateLogStream",
    "logs:CreateLogGroup",
];
const VOLUME: &[&str] =
    &["CannotCreateVolumeError", "EFS", "mount.nfs4", "file system", "volume", "volumes", "EBS", "mount target"];
const ENV_FILE: &[&str] = &["env files", "env file", "environment file", "environment files"];
const PARAMETER: &[&str] = &["from ssm", "SSM", "Systems Manager", "Parameter Store", "ssm:GetParameters"];
const REGISTRY_SIGN_IN: &[&str] = &[
    "ecr registry auth",
    "registry auth from",
    "registry auth from asm",
    "ecr:GetAuthorizationToken",
    "authorization token",
];
const SECRET: &[&str] = &["secret", "secrets", "secretsmanager:GetSecretValue", "kms:Decrypt"];
const INTERFACE: &[&str] = &[
    "Network Interface",
    "Network Interfaces",
    "network interface provisioning",
    "ENI",
    "RESOURCE:ENI",
    "CreateNetworkInterface",
    "ec2:CreateNetworkInterface",
];

// What went wrong.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "access denied",
    "not authorized",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "403 Forbidden",
];
const GONE: &[&str] = &[
    "ResourceNotFoundException",
    "not found",
    "does not exist",
    "can't find",
    "cannot find",
    "cannot be found",
    "could not be found",
];
const UNREACHABLE: &[&str] = &[
    "connection issue",
    "dial tcp",
    "i/o timeout",
    "context deadline exceeded",
    "request context canceled",
    "RequestCanceled",
    "send request failed",
    "request canceled",
    "no such host",
    "no route to host",
    "network is unreachable",
    "connection refused",
    "timed out",
    "connection timed out",
    "connection reset by peer",
];

const SAME_AGAIN: &str = "run `meetctl up` once more; when it happens again, ask AWS support with the task's id";
const STACK: &str = "bring the stack up to date: `meetctl deploy`";
const WAY_OUT: &str = "check that the task has a public IP address, its subnet a route to an internet gateway, and its VPC DNS resolution";
const TARGET_CHECK: &str =
    "check the target group's health check: web answers on port 8000 at /, the bridge on 8080 at /about/health";

macro_rules! rows {
    ($($says:ident $code:literal $all:expr => $what:literal, $next:expr;)*) => {
        /// All that meetctl knows.
        pub static ROWS: &[Row] =
            &[$(Row { code: $code, says: Says::$says, all: &$all, what: $what, next: &$next },)*];
    };
}

rows! {
    // No place for a task.
    Refused "no-capacity" [&["Capacity is unavailable at this time", "RESOURCE:FARGATE"]]
        => "AWS has no Fargate capacity free in these zones",
        ["try again in a few minutes", "or use other availability zones, or the other CPU architecture"];
    Refused "vcpu-quota" [&["reached the limit on the number of vCPU", "reached the limit on the number of vCPUs", "limit on the number of vCPUs"]]
        => "the account's quota of Fargate vCPUs is used up",
        ["stop other Fargate tasks of the account", "or ask for more: Service Quotas, AWS Fargate, \"Fargate On-Demand vCPU resource count\" (L-3032A538)"];
    Refused "task-quota" [&["reached the limit on the number of"]]
        => "the account's quota of Fargate tasks is used up",
        ["stop other Fargate tasks of the account, or ask for more in Service Quotas"];
    Refused "task-too-large" [&["configuration is above your limit"]]
        => "the task is larger than the account may run",
        ["ask for more in Service Quotas, or make the task smaller"];
    Refused "subnet-full" [&["InsufficientFreeAddressesInSubnet", "insufficient free addresses", "insufficient free IP addresses", "not enough free addresses", "does not have enough free addresses", "does not have enough IP addresses"]]
        => "the task's subnet has no free address left",
        ["delete network interfaces that nobody uses any more, or let the task use a larger subnet"];
    Refused "interface-limit" [&["NetworkInterfaceLimitExceeded", "network interface limit", "maximum number of network interfaces", "limit of network interfaces"]]
        => "the account's quota of network interfaces is used up",
        ["delete network interfaces that nobody uses any more", "or ask for more: Service Quotas, VPC, \"Network interfaces per Region\" (L-DF5E4CA3)"];
    Refused "interface-denied" [INTERFACE, DENIED]
        => "ECS may not make the task's network interface",
        ["check that the role AWSServiceRoleForECS exists, and that no policy of the organization denies ec2:CreateNetworkInterface"];
    Refused "interface-place-gone" [&["InvalidSubnetID.NotFound", "InvalidSubnet", "InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"]]
        => "the task's subnet or security group does not exist",
        [STACK];
    Refused "interface-late" [&["timeout waiting for network interface provisioning", "timed out waiting for network interface provisioning", "timeout waiting for network interface provisioning to complete", "network interface provisioning"]]
        => "the task's network interface was not ready in time",
        ["wait: ECS tries again by itself", "when it happens again, look at AWS's health page for this region"];
    Refused "interface-failed" [INTERFACE]
        => "no network interface could be made for the task",
        ["check that the subnet has free addresses, and the account's quota of network interfaces"];

    // Whatever was being done.
    Stopped "out-of-memory" [&["OutOfMemoryError", "OutOfMemory", "killed due to memory usage"]]
        => "the container {container} ran out of memory",
        ["give the task more memory, or lower the Java heaps (JICOFO_MAX_MEMORY, VIDEOBRIDGE_MAX_MEMORY)"];
    Stopped "disk-full" [&["no space left on device", "disk quota exceeded", "insufficient disk space", "not enough disk space"]]
        => "the task's disk is full",
        ["give the task more ephemeral storage (20 GiB unless set, 200 GiB at most), or use smaller images"];
    Stopped "task-role" [&["unable to assume the role", "unable to assume role", "failed to assume role", "not authorized to perform sts:AssumeRole"]]
        => "ECS may not use the role that the task definition names",
        ["check that the role exists, and that it trusts ecs-tasks.amazonaws.com", STACK];
    Stopped "exec-format" [&["exec format error"]]
        => "the program of the container {container} is for another CPU architecture",
        ["use an image for the task's CPU architecture, or set the architecture that the image is for"];

    // The image.
    Stopped "image-no-platform" [PULL, &["descriptor matching platform", "descriptor for platform", "find a descriptor for platform", "no match for platform", "match for platform in manifest", "no matching manifest", "cannot be used on this platform", "does not match the specified platform"]]
        => "the image {image} does not exist for the task's CPU architecture",
        ["use an image for that architecture, or set the task's architecture to one that the image is for"];
    Stopped "image-rate-limit" [PULL, &["toomanyrequests", "too many requests", "pull rate limit", "429 Too Many Requests", "Rate exceeded", "ThrottlingException", "TooManyRequestsException"]]
        => "the registry refuses to serve the image {image} so often",
        ["wait a few minutes, or copy the images to ECR in the same region"];
    Stopped "image-denied" [PULL, &["denied", "unauthorized", "403 Forbidden", "status code 403", "401 Unauthorized", "status code 401", "authentication required", "no basic auth credentials", "may require authorization", "insufficient_scope", "not authorized to perform", "AccessDeniedException", "AccessDenied"]]
        => "the registry does not give out the image {image}",
        ["check the image's name: many registries call what does not exist denied", "check the registry's access rights; for ECR, that the execution role allows ecr:BatchGetImage"];
    Stopped "image-name" [PULL, &["invalid reference format", "invalid reference", "could not parse reference"]]
        => "the image's name is not written as names of images are: {image}",
        ["mend the image's name in the task definition: registry/name:tag"];
    Stopped "registry-unreachable" [PULL, &["dial tcp", "no such host", "no route to host", "network is unreachable", "connection refused", "request canceled while waiting for connection", "connection issue"]]
        => "the registry of the image {image} cannot be reached",
        ["try again in a few minutes: the registry may be out of order; its status page tells", WAY_OUT];
    Stopped "registry-unavailable" [PULL, &[
        "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "504 Gateway Time-out", "internal server error", "service unavailable", "bad gateway", "gateway timeout",
        "status code 500", "status code 502", "status code 503", "status code 504", "status 500", "status 502", "status 503", "status 504",
        "i/o timeout", "tls handshake timeout", "timeout exceeded", "Client.Timeout exceeded", "timeout awaiting response headers", "context deadline exceeded", "request canceled", "timed out", "connection reset by peer", "unexpected EOF", "EOF",
    ]]
        => "the registry of the image {image} is out of order, or too slow",
        ["try again in a few minutes; the registry's status page tells whether it is out of order", "or copy the images to ECR in the same region"];
    Stopped "image-gone" [PULL, &["manifest unknown", "name unknown", "not found", "404 Not Found", "status code 404", "does not exist", "no such image", "can't find the image", "RepositoryNotFoundException", "ImageNotFoundException"]]
        => "the image {image} does not exist",
        ["check the image's registry, name and tag in the task definition; Jitsi's are at ghcr.io/jitsi"];
    Stopped "image-broken" [PULL, &["failed to extract layer", "failed to register layer", "failed to verify", "digest mismatch", "unexpected commit digest"]]
        => "the image {image} is broken",
        ["push the image again, or use another tag"];
    Stopped "image-unpulled" [PULL]
        => "the image {image} could not be pulled, for a reason that meetctl does not know",
        ["read AWS's words above; then run `meetctl up` once more"];

    // The logs.
    Stopped "log-denied" [PREPARE_OR_START, LOG, DENIED]
        => "the execution role may not write the task's logs",
        ["check that the execution role allows logs:CreateLogStream and logs:PutLogEvents on the log group", STACK];
    Stopped "log-unreachable" [PREPARE_OR_START, LOG, UNREACHABLE]
        => "the task does not reach CloudWatch Logs",
        [WAY_OUT];
    Stopped "log-gone" [PREPARE_OR_START, LOG, GONE]
        => "the task's log group does not exist",
        [STACK];
    Stopped "log-failed" [PREPARE_OR_START, LOG]
        => "the task's log group cannot be written to",
        ["check that the log group exists and that the execution role may write to it"];

    // Volumes.
    Stopped "volume-denied" [PREPARE_OR_VOLUME, VOLUME, DENIED]
        => "the task may not use its volume",
        ["check the file system's policy, its access point, and that the task's role allows elasticfilesystem:ClientMount"];
    Stopped "volume-gone" [PREPARE_OR_VOLUME, VOLUME, &["failed to resolve", "no such file or directory", "does not exist", "not found", "can't find", "cannot find"]]
        => "the task's volume does not exist, or has no address in this VPC",
        ["check the file system's id and folder, and that it has a mount target in the task's availability zone", "check that the VPC has DNS resolution and DNS hostnames"];
    Stopped "volume-unreachable" [PREPARE_OR_VOLUME, VOLUME, UNREACHABLE]
        => "the task does not reach its volume",
        ["check that the mount target's security group admits TCP port 2049 from the task's"];
    Stopped "volume-failed" [PREPARE_OR_VOLUME, VOLUME]
        => "the task's volume could not be attached",
        ["read AWS's words above; check the volume in the task definition"];

    // What the task is told.
    Stopped "env-file-denied" [PREPARE, ENV_FILE, DENIED]
        => "the execution role may not read the task's file of variables",
        ["check that the execution role allows s3:GetObject on it"];
    Stopped "env-file" [PREPARE, ENV_FILE]
        => "the task's file of variables could not be read",
        ["check that the file exists in its bucket, and that the execution role allows s3:GetObject on it"];
    Stopped "registry-sign-in-denied" [PREPARE, REGISTRY_SIGN_IN, DENIED]
        => "the execution role may not sign in to the registry",
        ["check that the execution role allows ecr:GetAuthorizationToken, or reading the registry's secret"];
    Stopped "registry-sign-in-unreachable" [PREPARE, REGISTRY_SIGN_IN, UNREACHABLE]
        => "the task does not reach the registry's sign-in",
        [WAY_OUT];
    Stopped "registry-sign-in-failed" [PREPARE, REGISTRY_SIGN_IN]
        => "the task could not sign in to the registry",
        ["check the registry's credentials that the task definition names"];
    Stopped "parameter-denied" [PREPARE, PARAMETER, DENIED]
        => "the execution role may not read the task's parameters",
        ["check that the execution role allows ssm:GetParameters on them, and kms:Decrypt on a key of your own"];
    Stopped "parameter-unreachable" [PREPARE, PARAMETER, UNREACHABLE]
        => "the task does not reach Systems Manager",
        [WAY_OUT];
    Stopped "parameter-gone" [PREPARE, PARAMETER, &["invalid parameters", "invalid ssm parameters", "ParameterNotFound", "not found", "does not exist", "can't find", "cannot find"]]
        => "a parameter that the task definition names does not exist",
        ["check the parameters' names and region in the task definition"];
    Stopped "parameter-failed" [PREPARE, PARAMETER]
        => "the task's parameters could not be read",
        ["check the parameters that the task definition names, and the execution role"];
    Stopped "secret-key-denied" [PREPARE, SECRET, &["kms:Decrypt", "Access to KMS is not allowed", "KMSAccessDeniedException", "KMS key"]]
        => "the execution role may not use the key that the secret is encrypted with",
        ["check that the execution role allows kms:Decrypt on that key"];
    Stopped "secret-unfit" [PREPARE, SECRET, &["did not contain json key", "invalid character", "is not valid JSON"]]
        => "the secret does not hold what the task definition takes from it",
        ["check that the secret is JSON and has the keys that the task definition names", STACK];
    Stopped "secret-denied" [PREPARE, SECRET, DENIED]
        => "the execution role may not read the task's secret",
        ["check that the execution role allows secretsmanager:GetSecretValue on it", STACK];
    Stopped "secret-unreachable" [PREPARE, SECRET, UNREACHABLE]
        => "the task does not reach Secrets Manager",
        [WAY_OUT];
    Stopped "secret-gone" [PREPARE, SECRET, &["ResourceNotFoundException", "can't find the specified secret", "not found", "does not exist", "marked for deletion", "marked deleted", "staging label", "can't find", "cannot find"]]
        => "the task's secret does not exist",
        [STACK, "if it was deleted: `aws secretsmanager restore-secret` brings it back while its recovery window lasts"];
    Stopped "secret-failed" [PREPARE, &["secret from asm", "secrets from asm", "fetch secret", "fetching secret", "retrieve secret", "retrieve secrets", "Secrets Manager", "pull secrets"]]
        => "the task's secret could not be read",
        ["check that the secret exists and has the keys that the task definition names", "check that the execution role allows secretsmanager:GetSecretValue on it"];

    // The container's own start.
    Stopped "command-denied" [START, &["permission denied"]]
        => "the program of the container {container} may not be executed",
        ["check the image, and the entry point in the task definition: the file must be executable"];
    Stopped "command-missing" [START, &["no such file or directory", "executable file not found"]]
        => "the program that the container {container} should run is not in its image",
        ["check the image, and the command and entry point in the task definition"];
    Stopped "task-unprepared" [PREPARE]
        => "the task could not be prepared, for a reason that meetctl does not know",
        ["read AWS's words above; then run `meetctl up` once more"];
    Stopped "spot-taken" [&["SpotInterruptionError", "SpotInterruption", "Spot Task was interrupted", "Spot interruption"]]
        => "AWS took the Spot capacity back",
        ["run meetings on Fargate On-Demand, not on Spot"];
    Stopped "maintenance" [&["TerminationNotice", "InfrastructureHealth", "performing maintenance", "underlying infrastructure"]]
        => "AWS took the task's host away for maintenance",
        ["run `meetctl up`: it starts a new task on another host"];
    Stopped "target-unhealthy" [&["failed ELB health checks"]]
        => "the load balancer found the task unhealthy",
        [TARGET_CHECK];
    Stopped "container-unhealthy" [&["failed container health checks"]]
        => "the container {container} failed its health checks",
        ["read the container's log above"];
    Stopped "runtime-timeout" [&["ContainerRuntimeTimeoutError", "DockerTimeoutError", "could not transition to running"]]
        => "AWS could not run the task: the container {container} did not start or stop in time",
        [SAME_AGAIN];
    Stopped "runtime-failed" [&[
        "CannotStartContainerError", "CannotCreateContainerError", "CannotInspectContainerError", "CannotStopContainerError", "ContainerRuntimeError", "CannotCreateVolumeError", "InternalError", "Internal error", "AgentError",
    ]]
        => "AWS could not run the task",
        [SAME_AGAIN];
    Stopped "container-exited" [&["Essential container in task exited", "EssentialContainerExited", "Essential container"]]
        => "the container {container} ended by itself{exit}",
        ["read the container's log above; an init script that gives up says FATAL ERROR"];

    // What only the service's events tell.
    Hopeless "target-group-gone" [&["target group is not found", "target group not found", "target group does not exist", "TargetGroupNotFound"]]
        => "the service names a target group that does not exist",
        [STACK];
    Hopeless "service-role" [&["service linked role", "service-linked role"]]
        => "ECS has no service-linked role in this account, or may not use it",
        ["make it: `aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com`"];
    Hopeless "task-role" [&["unable to assume the role", "unable to assume role", "role not found", "role is not found"]]
        => "ECS may not use the role that the task definition names",
        ["check that the role exists, and that it trusts ecs-tasks.amazonaws.com", STACK];
    Hopeless "deployment-percentages" [&["service deployment configuration"]]
        => "the deployment percentages leave ECS no room to start a task",
        ["set minimumHealthyPercent to 0 and maximumPercent to 100 or more"];
    Hopeless "given-up" [&["deployment failed"]]
        => "ECS has given up on this start",
        ["mend the cause, then run `meetctl up` again"];
    Hopeless "backing-off" [&["unable to consistently start tasks"]]
        => "tasks keep failing, and ECS waits longer before each new try",
        ["mend the cause, then run `meetctl up` again: it starts a new deployment at once"];
    Hint "service-throttled" [&["operations are being throttled"]]
        => "ECS slows the service's operations down",
        ["wait a minute, then run `meetctl up` again"];
    Hint "registration-failed" [&["failed to register targets"]]
        => "ECS could not register the task with the load balancer",
        [STACK, "read AWS's words above; then run `meetctl up` once more"];
    Hint "target-unhealthy" [&["is unhealthy in"]]
        => "the load balancer found the task unhealthy",
        [TARGET_CHECK];
    Hint "container-unhealthy" [&["failed container health checks"]]
        => "a container failed its health checks",
        ["run `meetctl why` for its log"];
    Refused "unknown-event" [&["unable to place a task", "unable to place tasks", "failed to launch a task with"]]
        => "ECS could not place the task, for a reason that meetctl does not know",
        ["read AWS's words above; then run `meetctl up` once more"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_found_by_its_own_phrases() {
        for row in ROWS {
            assert!(!row.all.is_empty() && !row.next.is_empty(), "{}", row.code);
            assert!(row.code.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", row.code);
            for phrase in row.all.iter().copied().flatten() {
                assert!(Words::of(phrase).say(phrase), "{}: {phrase:?} is not made of words", row.code);
            }
        }
    }
}
