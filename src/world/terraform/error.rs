//! Why Terraform did not do what it was asked to, from what it says.

use std::path::PathBuf;
use std::time::Duration;

use super::lines::Diagnostic;
use super::table::{DENIED, Ends, GENERAL, KNOWN, NO_BUCKET, SIGN_IN, Trouble, known};
use crate::domain::cause::Words;
use crate::domain::observed::{Blindness, Unreadable};
use crate::world::CloudError;

/// Why Terraform did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerraformError {
    #[error("neither `terraform` nor `tofu` is on the PATH")]
    Missing,
    #[error("{program} is too old: {found}, {wanted} or newer is needed")]
    TooOld { program: String, found: String, wanted: String },
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
    /// One that the table knows.
    #[error("{}", trouble.what)]
    Known { trouble: &'static Trouble, why: String },
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
///
/// Of several, one that has a name and needs somebody's hand comes first, and one that mends itself last: the same may
/// be tried again only when nothing else is wrong.
pub(super) fn trouble(told: &[Diagnostic], stderr: &str, bucket: &str) -> TerraformError {
    let errors: Vec<&Diagnostic> = told.iter().filter(|d| d.is_error).collect();
    let mut found: Vec<TerraformError> = errors.iter().map(|error| one(error, bucket)).collect();
    found.sort_by_key(|error| match error {
        TerraformError::Other { .. } => 1,
        other if other.mends_itself().is_some() => 2,
        _ => 0,
    });
    let said = || named(stderr, None, bucket);
    match found.into_iter().next() {
        None => said().unwrap_or_else(|| TerraformError::Other {
            summary: "it ended without an explanation".into(),
            detail: shortened(last_words(stderr)),
            address: None,
        }),
        Some(other @ TerraformError::Other { .. }) => said().unwrap_or(other),
        Some(first) => first,
    }
}

fn one(error: &Diagnostic, bucket: &str) -> TerraformError {
    named(&format!("{}\n{}", error.summary, error.detail), error.address.as_deref(), bucket).unwrap_or_else(|| {
        TerraformError::Other {
            summary: shortened(&error.summary),
            detail: shortened(&error.detail),
            address: error.address.clone(),
        }
    })
}

/// What an error is. Access, sign-in, the network and what is gone explain a lock that could not be taken; a lock is
/// somebody's only when its ID stands there.
fn named(text: &str, address: Option<&str>, bucket: &str) -> Option<TerraformError> {
    use TerraformError as E;
    let words = Words::of(&format!("{text} {}", address.unwrap_or_default()));
    let why = || shortened(plain(text).trim());
    let in_table = |among| known(&words, among).map(|trouble| E::Known { trouble, why: why() });
    let says = |any: &[&str]| any.iter().any(|phrase| words.say(phrase));
    let general = || {
        let no_bucket = says(NO_BUCKET) && says(&["NoSuchBucket", "does not exist"]);
        if no_bucket && (address.is_none() || text.contains(bucket)) {
            Some(E::StateGone { bucket: bucket.to_owned() })
        } else if let Some(clock) = in_table(GENERAL).filter(|error| error.code() == "clock-wrong") {
            Some(clock)
        } else if says(SIGN_IN) {
            Some(E::SignIn { why: why() })
        } else if says(DENIED) {
            Some(E::Denied { address: address.map(str::to_owned), action: action(text), why: why() })
        } else {
            in_table(GENERAL)
        }
    };
    if says(&["Error acquiring the state lock", "Error locking state"]) {
        let lock = Lock::parse(text);
        let held = || (!lock.id.is_empty()).then(|| E::Locked { lock: lock.clone() });
        return general().or_else(held).or_else(|| in_table(KNOWN));
    }
    in_table(KNOWN).or_else(general)
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

impl TerraformError {
    /// What a text of Terraform's or AWS's means.
    pub fn of(text: &str) -> Self {
        let error = Diagnostic { is_error: true, summary: text.to_owned(), ..Diagnostic::default() };
        one(&error, "")
    }

    /// For programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "terraform-missing",
            Self::TooOld { .. } => "terraform-too-old",
            Self::Locked { .. } => "state-locked",
            Self::Busy => "terraform-busy",
            Self::SignIn { .. } => "sign-in",
            Self::Denied { .. } => "denied",
            Self::StateGone { .. } => "state-gone",
            Self::Known { trouble, .. } => trouble.code,
            Self::Interrupted { .. } => "interrupted",
            Self::Folder { .. } => "folder-unusable",
            Self::Variables { .. } => "variables-unreadable",
            Self::Garbled { .. } => "terraform-garbled",
            Self::Keys(_) => "no-credentials",
            Self::Other { .. } => "unknown-trouble",
        }
    }

    /// After how long the same is worth another try.
    pub(super) fn mends_itself(&self) -> Option<Duration> {
        match self {
            Self::Known { trouble, .. } => trouble.again,
            _ => None,
        }
    }
}

/// Not seeing Terraform's state is like not seeing a part of AWS.
impl From<TerraformError> for Unreadable {
    fn from(error: TerraformError) -> Self {
        let because = match &error {
            TerraformError::SignIn { .. } => Blindness::SignIn,
            TerraformError::Denied { .. } => Blindness::Denied,
            TerraformError::Keys(error) => error.kind.into(),
            TerraformError::Known { trouble, .. } => match trouble.ends {
                Ends::SignIn => Blindness::SignIn,
                Ends::Unreachable => Blindness::Unreachable,
                Ends::Throttled => Blindness::Throttled,
                Ends::Outside | Ends::Changed | Ends::Settings => Blindness::Garbled,
            },
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
        let address = |text: &str| text.contains("vpc").then_some("aws_vpc.this");
        for (text, code) in [
            ("Failed to get existing workspaces: S3 bucket \"b\" does not exist.", "state-gone"),
            (
                "putting S3 Bucket Policy: api error NoSuchBucket: The specified bucket does not exist (vpc)",
                "thing-gone",
            ),
            ("Saved plan is stale", "plan-stale"),
            ("something new", "unknown-trouble"),
        ] {
            assert_eq!(trouble(&[error("Error", text, address(text))], "", "state-bucket").code(), code, "{text}");
        }
        let text = "api error UnauthorizedOperation: User: arn:aws:iam::111122223333:user/ada is not authorized to perform: ec2:CreateVpc on resource: x";
        let found = trouble(&[error("creating EC2 VPC", text, Some("aws_vpc.this"))], "", "b");
        assert!(matches!(&found, TerraformError::Denied { action: Some(a), .. } if a == "ec2:CreateVpc"), "{found:?}");
    }

    /// Trying again helps only when nothing else is wrong.
    #[test]
    fn what_mends_itself_comes_last() {
        let address = error("deleting EC2 EIP", "DisassociateAddress, api error AuthFailure: no permission", None);
        let denied = error("deleting", "AccessDenied", None);
        let unknown = error("odd", "odd", None);
        assert!(trouble(std::slice::from_ref(&address), "", "b").mends_itself().is_some());
        assert_eq!(trouble(&[address.clone(), denied], "", "b").code(), "denied");
        assert_eq!(trouble(&[address, unknown], "", "b").code(), "unknown-trouble");
    }

    #[test]
    fn without_an_explanation_the_last_words_count() {
        let found = trouble(&[], "first\n\nlast words\n", "b");
        assert!(matches!(found, TerraformError::Other { detail, .. } if detail == "last words"));
        let long = trouble(&[error(&"ü".repeat(5_000), "", None)], "", "b");
        assert!(long.to_string().chars().count() <= LONGEST + 1);
    }
}
