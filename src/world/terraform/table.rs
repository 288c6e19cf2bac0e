//! What Terraform and its AWS provider say when something goes wrong, and what to do.

use std::time::Duration;

use crate::domain::cause::Words;

/// Nothing is lost, and nothing has to be undone.
pub(crate) const CONTINUES: &str = "then run the same command again; it continues where it stopped";

/// What the end of a run is, for its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Somebody has to do something first.
    Outside,
    /// AWS was out of order, or could not be reached.
    Unreachable,
    Throttled,
    /// The credentials, or this machine's clock.
    SignIn,
    /// The plan that was agreed to is not this one any more.
    Changed,
    /// The user's own settings.
    Settings,
}

/// A known trouble. The first that fits is the one, so the narrower stand before the wider.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In kebab-case, for programs.
    pub code: &'static str,
    pub ends: Ends,
    /// The text has one phrase of each list.
    pub all: &'static [&'static [&'static str]],
    /// What could not be done, as it follows "Terraform could not do its part:".
    pub what: &'static str,
    pub next: &'static [&'static str],
    /// What mends itself: the same is tried once more after so long.
    pub again: Option<Duration>,
}

pub(super) fn known(words: &Words, among: &'static [Trouble]) -> Option<&'static Trouble> {
    among.iter().find(|trouble| words.say_all(trouble.all))
}

pub(super) const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "Access Denied",
    "UnauthorizedOperation",
    "UnauthorizedAccess",
    "not authorized",
    "403 Forbidden",
    "Forbidden",
    "StatusCode 403",
];
pub(super) const SIGN_IN: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "No valid credential sources",
    "No valid credential sources found",
    "failed to refresh cached credentials",
    "no EC2 IMDS role found",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
    "InvalidToken",
    "the SSO session has expired",
    "security token included in the request is expired",
    "security token included in the request is invalid",
];
pub(super) const NO_BUCKET: &[&str] = &["NoSuchBucket", "S3 bucket"];

macro_rules! troubles {
    ($name:ident: $($ends:ident $code:literal $all:expr => $what:literal, $next:expr $(, again $again:literal)?;)*) => {
        pub static $name: &[Trouble] = &[$(Trouble {
            code: $code, ends: Ends::$ends, all: &$all, what: $what, next: &$next,
            again: troubles!(@again $($again)?),
        },)*];
    };
    (@again) => { None };
    (@again $seconds:literal) => { Some(Duration::from_secs($seconds)) };
}

troubles! { KNOWN:
    Outside "state-lock-unclear" [&["Error acquiring the state lock", "Error locking state"]]
        => "the lock of its state could not be taken, and nobody is named who holds it",
        ["wait a minute: somebody may just have let go of it", CONTINUES];
    Outside "state-lock-kept" [&["Error releasing the state lock"]]
        => "the lock of its state could not be given back",
        [CONTINUES, "the lock's ID then stands in the error: `terraform force-unlock ID` in the module's folder removes it"];
    Outside "disk-full" [&["no space left on device"]]
        => "no space is left on the disk",
        ["free some space, then run the same command again; it continues where it stopped"];
    Settings "terraform-too-old" [&["Unsupported Terraform Core version", "Unsupported OpenTofu Core version"]]
        => "the module wants another version of Terraform",
        ["install the version that it names, then run the same command again"];
    Outside "no-providers" [&[
        "Failed to query available provider packages", "Failed to install provider", "Failed to install providers",
        "Error while installing", "Required plugins are not installed", "Failed to resolve provider packages",
        "Could not retrieve the list of available versions", "could not connect to registry.terraform.io",
    ]]
        => "the AWS provider could not be installed",
        ["check this machine's way to the Terraform registry; a mirror is named in Terraform's own CLI configuration (TF_CLI_CONFIG_FILE)", "then run the same command again"];
    Changed "plan-stale" [&["Saved plan is stale", "plan file can no longer be applied"]]
        => "somebody else has changed the platform since the plan was made",
        ["run the same command again, and look at the new plan"];
    Settings "variable-wrong" [&["Invalid value for variable", "Invalid value for input variable", "No value for required variable", "Invalid variables file", "Value for undeclared variable"]]
        => "a value of the module's variables does not fit",
        ["mend it in the file that `terraform.variables` names: `meetctl config show --origin` says where it is set"];
    Settings "region-wrong" [&["Invalid AWS Region", "invalid AWS region"]]
        => "there is no such region",
        ["set the region: `meetctl config show --origin` says where it comes from"];
    Settings "module-broken" [&["Unsupported argument", "Unsupported block type", "Reference to undeclared resource", "Reference to undeclared input variable", "Argument or block definition required", "Invalid resource type", "Unreadable module directory"]]
        => "the module is not valid",
        ["fix what it names: a module of your own (`terraform.module`), or a file that somebody put beside ours"];
    Outside "nothing-to-adopt" [&["Cannot import non-existent remote object"]]
        => "there is no recordings bucket to take over",
        ["run it without --adopt-recordings"];
    Outside "recordings-exist" [&["BucketAlreadyOwnedByYou"], &["aws_s3_bucket.recordings"]]
        => "there is already a recordings bucket",
        ["take it over: `meetctl deploy --adopt-recordings`"];
    Outside "bucket-name-taken" [&["BucketAlreadyExists"]]
        => "the bucket's name belongs to somebody else",
        ["choose another `platform.name`: names of buckets are unique in the world"];

    Outside "balancers-refused" [&["does not support creating load balancers"]]
        => "AWS does not let this account create load balancers yet",
        ["open a support case with AWS (account and billing, free): \"please allow load balancers in this account\"", "until then the account pays for what was made so far; `meetctl destroy` removes it", CONTINUES];
    Outside "account-not-ready" [&["PendingVerification", "OptInRequired", "SubscriptionRequiredException", "SubscriptionRequired", "your account is currently blocked"]]
        => "AWS does not serve this account yet, or not any more",
        ["finish the account's sign-up in the AWS console (address, payment, verification), or ask AWS support", CONTINUES];
    Outside "secret-waits" [&["scheduled for deletion", "marked for deletion"], &["secret", "Secrets Manager", "Secrets"]]
        => "the secret's name is still taken by one that waits for its deletion",
        ["bring it back (`aws secretsmanager restore-secret`) and delete it without a recovery window, or wait until the window ends", CONTINUES];
    Outside "budget-denied" [&["Budget", "Budgets", "budgets:ModifyBudget", "budgets:ViewBudget", "aws_budgets_budget.this"], DENIED]
        => "the credentials may not make the account's budget",
        ["ask for budgets:ModifyBudget and budgets:ViewBudget; in a member account of an organization, the management account has to allow it", "or do without: monthly_budget_usd = 0 in your variables", CONTINUES];
    Outside "address-in-use" [&["AuthFailure"], &["DisassociateAddress", "ReleaseAddress"]]
        => "the Elastic IP is still held by the load balancer that goes",
        ["wait some minutes: AWS lets go of it late", CONTINUES], again 45;
    Outside "address-in-use" [&["InvalidIPAddress.InUse", "mapped public address", "some mapped public address"]]
        => "a public address is still in use",
        ["wait some minutes: AWS lets go of it late", CONTINUES], again 45;
    Outside "service-role" [&["unable to assume the service linked role", "Service Linked Role does not exist"]]
        => "ECS has no service-linked role in this account yet",
        ["make it: `aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com`", CONTINUES], again 20;
    Outside "target-group-in-use" [&["ResourceInUse", "ResourceInUseException"], &["target group"]]
        => "a target group is still in use by a listener",
        ["wait a minute: a listener that was just changed lets go of it late", "if it stays: `aws elbv2 describe-target-groups` names the load balancer that uses it", CONTINUES];
    Outside "target-group-unattached" [&["does not have an associated load balancer"]]
        => "the service's target group is behind no load balancer yet",
        ["wait a minute: its listener was just made", CONTINUES];
    Outside "interface-left" [&["DependencyViolation"], &["subnet", "network interface", "security group", "dependent object"]]
        => "something still stands in the network, most often a network interface that was left behind",
        ["wait some minutes: AWS removes the interfaces of tasks and load balancers late", "if it stays: `aws ec2 describe-network-interfaces --filters Name=vpc-id,Values=VPC` names whose it is; remove that", CONTINUES];
    Outside "in-use" [&["DependencyViolation", "DeleteConflict", "ResourceInUse", "ResourceInUseException", "ResourceInUseFault", "ClusterContainsServicesException", "ClusterContainsTasksException"]]
        => "something else still uses what should go",
        ["remove what AWS names, or wait some minutes when it is the platform's own", CONTINUES];
    Outside "bucket-not-empty" [&["BucketNotEmpty"]]
        => "the bucket is not empty",
        ["save what is in it; `meetctl destroy --delete-recordings` deletes the recordings with it", "or empty it in the console: there older versions go too", CONTINUES];
    Outside "zone-not-empty" [&["HostedZoneNotEmpty"]]
        => "the hosted zone has records that Terraform did not make",
        ["remove them, or keep the zone", CONTINUES];
    Outside "certificate-not-issued" [&["waiting for ACM Certificate", "to be issued", "ValidationTimedOut", "PENDING_VALIDATION"]]
        => "the certificate was not issued in time",
        ["check that the parent domain delegates to the platform's name servers; `meetctl status` names them", CONTINUES];

    Outside "quota-addresses" [&["AddressLimitExceeded"]]
        => "the account's quota is used up: Elastic IP addresses",
        ["free some of the account's Elastic IP addresses, or ask for more in Service Quotas", CONTINUES];
    Outside "quota-vpcs" [&["VpcLimitExceeded"]]
        => "the account's quota is used up: VPCs",
        ["free some of the account's VPCs, or ask for more in Service Quotas", CONTINUES];
    Outside "quota-vcpus" [&["VcpuLimitExceeded", "number of vCPUs"]]
        => "the account's quota is used up: Fargate vCPU",
        ["free some of the account's Fargate vCPU, or ask for more in Service Quotas", CONTINUES];
    Outside "quota-balancers" [&["TooManyLoadBalancers"]]
        => "the account's quota is used up: load balancers",
        ["free some of the account's load balancers, or ask for more in Service Quotas", CONTINUES];
    Outside "quota" [&[
        "LimitExceeded", "LimitExceededException", "QuotaExceeded", "ServiceQuotaExceededException", "InternetGatewayLimitExceeded",
        "NetworkInterfaceLimitExceeded", "SecurityGroupLimitExceeded", "RulesPerSecurityGroupLimitExceeded", "SubnetLimitExceeded",
        "TooManyTargetGroups", "TooManyBuckets", "TooManyHostedZones", "TooManyListeners", "cannot exceed quota",
    ]]
        => "a quota of the account is used up",
        ["free some of what AWS names, or ask for more in Service Quotas", CONTINUES];
    Outside "already-there" [&["EntityAlreadyExists", "ResourceAlreadyExistsException", "ResourceExistsException", "BucketAlreadyOwnedByYou", "DuplicateLoadBalancerName", "DuplicateTargetGroupName", "HostedZoneAlreadyExists", "already exists", "not idempotent"]]
        => "something of this name is already there, and Terraform's state does not hold it",
        ["find out whose it is; when it is a rest of this platform, delete it or import it into the state", CONTINUES];
}

troubles! { GENERAL:
    SignIn "clock-wrong" [&["RequestTimeTooSkewed", "Signature expired", "Signature not yet current", "RequestExpired"]]
        => "this machine's clock is wrong, so AWS accepts no signature",
        ["set the clock: `timedatectl set-ntp true`, or `sudo sntp -sS time.apple.com` on a Mac", CONTINUES];
    Throttled "aws-throttled" [&["Throttling", "ThrottlingException", "Throttled", "RequestLimitExceeded", "SlowDown", "TooManyRequestsException", "TooManyRequests", "Rate exceeded", "StatusCode 429"]]
        => "AWS asked to slow down",
        ["wait a minute", CONTINUES];
    Unreachable "aws-unreachable" [&[
        "dial tcp", "no such host", "i/o timeout", "network is unreachable", "no route to host", "connection refused", "connection reset by peer", "connection reset",
        "TLS handshake timeout", "request send failed", "context deadline exceeded", "proxyconnect tcp", "Client.Timeout exceeded", "unexpected EOF", "EOF", "connection was lost",
    ]]
        => "AWS could not be reached",
        ["check this machine's network, its proxy settings and the region", CONTINUES];
    Unreachable "aws-out-of-order" [&["StatusCode 500", "StatusCode 502", "StatusCode 503", "StatusCode 504", "ServiceUnavailable", "ServiceUnavailableException", "InternalError", "InternalFailure", "InternalServerError"]]
        => "AWS was out of order",
        ["wait a minute; the AWS health page tells whether this region is in trouble", CONTINUES];
    Outside "aws-slow" [&["timeout while waiting for state to become", "timeout while waiting for resource to be gone", "timeout while waiting"]]
        => "AWS took longer than Terraform waits",
        [CONTINUES];
    Outside "thing-gone" [&["couldn't find resource", "NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException", "NotFoundException", "ClusterNotFoundException", "ServiceNotFoundException", "NoSuchBucket", "NoSuchHostedZone", "InvalidVpcID.NotFound", "InvalidSubnetID.NotFound", "InvalidGroup.NotFound", "InvalidAllocationID.NotFound", "LoadBalancerNotFound", "TargetGroupNotFound"]]
        => "something that it builds on does not exist any more",
        ["see what is missing: `meetctl status`; `meetctl deploy` makes it anew", CONTINUES];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_can_be_found_by_its_own_phrases() {
        for trouble in KNOWN.iter().chain(GENERAL) {
            assert!(!trouble.all.is_empty() && !trouble.next.is_empty(), "{}", trouble.code);
            for phrase in trouble.all.iter().copied().flatten() {
                assert!(Words::of(phrase).say(phrase), "{}: {phrase:?} is not made of words", trouble.code);
            }
        }
    }
}
