//! Why Terraform did not do what it was asked to, from what it says.

use std::path::PathBuf;

use super::lines::Diagnostic;
use crate::domain::observed::{Blindness, Unreadable};
use crate::world::CloudError;

/// Why Terraform did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerraformError {
    #[error("neither `terraform` nor `tofu` is on the PATH")]
    Missing,
    #[error("{program} is too old: {found}, {wanted} or newer is needed")]
    TooOld { program: String, found: String, wanted: String },
    #[error("the AWS provider could not be installed")]
    NoProviders { why: String },
    /// Somebody else's Terraform works on this state.
    #[error("Terraform's state is locked by {}", lock.who)]
    Locked { lock: Lock },
    #[error("another meetctl on this machine works on this platform")]
    Busy,
    #[error("AWS does not accept the credentials")]
    SignIn { why: String },
    #[error("not allowed{}", of(address.as_deref()))]
    Denied { address: Option<String>, action: Option<String>, why: String },
    #[error("there is no bucket with Terraform's state")]
    StateGone { bucket: String },
    /// A deleted secret keeps its name until its recovery window ends.
    #[error("the secret's name is still taken by one that waits for its deletion")]
    SecretWaits { why: String },
    #[error("AWS does not let this account create load balancers yet")]
    BalancersRefused { why: String },
    #[error("the account's quota is used up: {what}")]
    Quota { what: &'static str, why: String },
    #[error("there is already a recordings bucket")]
    RecordingsExist { why: String },
    /// The bucket that was to be taken over is not there.
    #[error("there is no recordings bucket to take over")]
    NothingToAdopt,
    #[error("no space is left on the disk")]
    DiskFull { why: String },
    /// The state has changed since the plan was made.
    #[error("somebody else has changed the platform since the plan was made")]
    Stale,
    #[error("{}", if *saved { "stopped, and its state is saved" } else { "ended by force after a minute" })]
    Interrupted { saved: bool },
    #[error("its working folder {} could not be used", path.display())]
    Folder { path: PathBuf, why: String },
    /// `[terraform] variables` is nothing that can be read.
    #[error("the file with variables, {}, could not be read", path.display())]
    Variables { path: PathBuf, why: String },
    #[error("it said something that makes no sense")]
    Garbled { why: String },
    #[error(transparent)]
    Keys(#[from] CloudError),
    #[error("{summary}{}", of(address.as_deref()))]
    Other { summary: String, detail: String, address: Option<String> },
}

fn of(address: Option<&str>) -> String {
    address.map(|a| format!(" ({a})")).unwrap_or_default()
}

/// Who holds the lock, as Terraform tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    pub id: String,
    pub who: String,
    pub operation: String,
    pub created: String,
}

impl Lock {
    /// Reads Terraform's block "Lock Info"; what is missing stays empty.
    fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.trim_start_matches(['│', ' ', '\t']).strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let who = field("Who:");
        Self {
            id: field("ID:"),
            who: if who.is_empty() { "somebody".into() } else { who },
            operation: field("Operation:").trim_start_matches("OperationType").to_lowercase(),
            created: field("Created:"),
        }
    }
}

/// The longest part of an explanation that is worth showing.
const LONGEST: usize = 600;

/// What went wrong, from the errors that Terraform told, and what it wrote to stderr.
pub(super) fn trouble(told: &[Diagnostic], stderr: &str, bucket: &str) -> TerraformError {
    let errors: Vec<&Diagnostic> = told.iter().filter(|d| d.is_error).collect();
    errors
        .iter()
        .find_map(|d| known(&format!("{}\n{}", d.summary, d.detail), d.address.as_ref(), bucket))
        .or_else(|| known(stderr, None, bucket))
        .unwrap_or_else(|| match errors.first() {
            Some(first) => TerraformError::Other {
                summary: shortened(&first.summary),
                detail: shortened(&first.detail),
                address: first.address.clone(),
            },
            None => TerraformError::Other {
                summary: "it ended without an explanation".into(),
                detail: shortened(last_words(stderr)),
                address: None,
            },
        })
}

/// What text stands for what, in the order in which it is looked for.
fn known(text: &str, address: Option<&String>, bucket: &str) -> Option<TerraformError> {
    use TerraformError as E;
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let why = || shortened(plain(text).trim());
    Some(if has(&["Error acquiring the state lock"]) {
        E::Locked { lock: Lock::parse(text) }
    } else if has(&["no space left on device"]) {
        E::DiskFull { why: why() }
    } else if has(&["does not support creating load balancers"]) {
        E::BalancersRefused { why: why() }
    } else if has(&["AddressLimitExceeded"]) {
        E::Quota { what: "Elastic IP addresses", why: why() }
    } else if has(&["VpcLimitExceeded"]) {
        E::Quota { what: "VPCs", why: why() }
    } else if has(&["VcpuLimitExceeded", "number of vCPUs"]) {
        E::Quota { what: "Fargate vCPU", why: why() }
    } else if has(&["TooManyLoadBalancers"]) {
        E::Quota { what: "load balancers", why: why() }
    } else if has(&["scheduled for deletion"]) {
        E::SecretWaits { why: why() }
    } else if has(&["BucketAlreadyOwnedByYou"]) {
        E::RecordingsExist { why: why() }
    } else if has(&["Cannot import non-existent remote object"]) {
        E::NothingToAdopt
    } else if has(&["Saved plan is stale", "plan file can no longer be applied"]) {
        E::Stale
    } else if has(&["ExpiredToken", "No valid credential sources", "InvalidClientTokenId", "SignatureDoesNotMatch"]) {
        E::SignIn { why: why() }
    } else if has(&["NoSuchBucket"]) || (has(&["S3 bucket"]) && has(&["does not exist"])) {
        E::StateGone { bucket: bucket.to_owned() }
    } else if has(&["Unsupported Terraform Core version", "Unsupported OpenTofu Core version"]) {
        E::TooOld { program: "terraform".into(), found: "see above".into(), wanted: super::MINIMUM.to_string() }
    } else if has(&[
        "Failed to query available provider packages",
        "Failed to install provider",
        "Error while installing",
        "Required plugins are not installed",
        "Failed to resolve provider packages",
    ]) {
        E::NoProviders { why: why() }
    } else if has(&["not authorized", "AccessDenied", "UnauthorizedOperation", "Access Denied", "Forbidden"]) {
        E::Denied { address: address.cloned(), action: action(text), why: why() }
    } else {
        return None;
    })
}

/// The IAM action in `not authorized to perform: ec2:AllocateAddress on …`.
fn action(text: &str) -> Option<String> {
    let (_, after) = text.split_once("to perform: ")?;
    let word = after.split([' ', '\n', ',']).next()?;
    word.contains(':').then(|| word.trim_end_matches('.').to_owned())
}

/// Without the box that Terraform draws around an error.
fn plain(text: &str) -> String {
    let lines = text.lines().map(|l| l.trim_start_matches(['│', '╷', '╵', ' ']).trim_end());
    lines.filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
}

fn last_words(text: &str) -> &str {
    text.trim_end().rsplit("\n\n").next().unwrap_or_default()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Not seeing Terraform's state is like not seeing a part of AWS.
/// Whether AWS was busy or out of order, or its answer was lost: what Terraform's AWS client writes then.
fn may_pass(detail: &str) -> bool {
    ["Throttl", "SlowDown", "TooManyRequests", "StatusCode: 50", "connection reset", "connection was lost", "EOF"]
        .iter()
        .any(|sign| detail.contains(sign))
}

impl From<TerraformError> for Unreadable {
    fn from(error: TerraformError) -> Self {
        let because = match &error {
            TerraformError::SignIn { .. } => Blindness::SignIn,
            TerraformError::Denied { .. } => Blindness::Denied,
            TerraformError::Keys(error) => error.kind.into(),
            TerraformError::Other { detail, .. } if may_pass(detail) => Blindness::Unreachable,
            _ => Blindness::Garbled,
        };
        Self { because, why: format!("Terraform: {error}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(summary: &str, detail: &str, address: Option<&str>) -> Diagnostic {
        Diagnostic {
            is_error: true,
            summary: summary.into(),
            detail: detail.into(),
            address: address.map(str::to_owned),
        }
    }

    const LOCKED: &str = "Error message: operation error S3: PutObject, https response error StatusCode: 412, PreconditionFailed\nLock Info:\n  ID:        6b1a0a4e-8b3c-7d6b-0d2e-2f3c1b0a9d8e\n  Path:      p-tfstate-111122223333/p/terraform.tfstate\n  Operation: OperationTypeApply\n  Who:       ada@workstation\n  Version:   1.11.4\n  Created:   2026-11-20 19:03:30.123 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock to protect the state.";

    #[test]
    fn a_lock_names_its_owner() {
        let found = trouble(&[error("Error acquiring the state lock", LOCKED, None)], "", "b");
        let TerraformError::Locked { lock } = found else { panic!("{found:?}") };
        assert_eq!(
            (lock.who.as_str(), lock.operation.as_str(), lock.created.as_str()),
            ("ada@workstation", "apply", "2026-11-20 19:03:30.123 +0000 UTC")
        );
        assert!(lock.id.starts_with("6b1a"));
        // Also from stderr, with Terraform's box around it.
        let boxed = format!("╷\n│ Error: Error acquiring the state lock\n│ {}", LOCKED.replace('\n', "\n│ "));
        assert!(matches!(trouble(&[], &boxed, "b"), TerraformError::Locked { lock } if lock.who == "ada@workstation"));
    }

    #[test]
    fn known_troubles_are_told_apart() {
        type Case = (&'static str, fn(&TerraformError) -> bool);
        let cases: &[Case] = &[
            (
                "creating ELBv2 network Load Balancer (p-nlb): operation error Elastic Load Balancing v2: CreateLoadBalancer, https response error StatusCode: 400, api error OperationNotPermitted: This AWS account currently does not support creating load balancers. For more information, please contact AWS Support.",
                |e| matches!(e, TerraformError::BalancersRefused { .. }),
            ),
            (
                "creating EC2 EIP: operation error EC2: AllocateAddress, api error AddressLimitExceeded: The maximum number of addresses has been reached.",
                |e| matches!(e, TerraformError::Quota { what: "Elastic IP addresses", .. }),
            ),
            (
                "creating Secrets Manager Secret (p-jitsi-secrets): InvalidRequestException: You can't create this secret because a secret with this name is already scheduled for deletion.",
                |e| matches!(e, TerraformError::SecretWaits { .. }),
            ),
            (
                "creating EC2 VPC: operation error EC2: CreateVpc, api error UnauthorizedOperation: You are not authorized to perform this operation. User: arn:aws:iam::111122223333:user/ada is not authorized to perform: ec2:CreateVpc on resource: x",
                |e| matches!(e, TerraformError::Denied { action: Some(a), .. } if a == "ec2:CreateVpc"),
            ),
            ("Failed to get existing workspaces: S3 bucket \"b\" does not exist.", |e| {
                matches!(e, TerraformError::StateGone { .. })
            }),
            ("write /tmp/x: no space left on device", |e| matches!(e, TerraformError::DiskFull { .. })),
            (
                "Failed to query available provider packages\nCould not retrieve the list of available versions for provider hashicorp/aws: could not connect to the registry",
                |e| matches!(e, TerraformError::NoProviders { .. }),
            ),
            ("creating S3 Bucket: BucketAlreadyOwnedByYou", |e| matches!(e, TerraformError::RecordingsExist { .. })),
            ("Saved plan is stale", |e| matches!(e, TerraformError::Stale)),
            ("api error ExpiredToken: The security token included in the request is expired", |e| {
                matches!(e, TerraformError::SignIn { .. })
            }),
            ("something new", |e| matches!(e, TerraformError::Other { .. })),
        ];
        for (text, is_it) in cases {
            let found = trouble(&[error("Error", text, Some("aws_vpc.this"))], "", "b");
            assert!(is_it(&found), "{text}: {found:?}");
        }
    }

    #[test]
    fn without_an_explanation_the_last_words_count() {
        let found = trouble(&[], "first\n\nlast words\n", "b");
        assert!(matches!(found, TerraformError::Other { detail, .. } if detail == "last words"));
        let long = trouble(&[error(&"ü".repeat(5_000), "", None)], "", "b");
        assert!(long.to_string().chars().count() <= LONGEST + 1);
    }
}
