//! Names of things, each parsed once at the border.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Says what a name must look like when it does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is not {wanted}")]
pub struct BadName {
    given: String,
    wanted: &'static str,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $wanted:literal, $valid:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(given: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(given) {
                    Ok(Self(given.to_owned()))
                } else {
                    Err(BadName { given: given.to_owned(), wanted: $wanted })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(given: String) -> Result<Self, BadName> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A DNS host name: what people type after `https://`.
    Host: "a host name such as meet.example.org (no scheme, no path, not an IP address)", is_host;
    /// The prefix of every resource's name.
    PlatformName: "a platform name (1 to 24 characters of a-z, 0-9 and -, starting with a letter, not ending with -, and not \
                   starting with internal-, xn--, sthree- or amzn-s3-demo-)", is_platform;
    /// An AWS account number.
    AccountId: "an AWS account number of 12 digits", |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit());
    /// An AWS region code.
    Region: "an AWS region code such as us-west-2", is_region;
    /// The id of an ECS task: the last part of its ARN.
    TaskId: "an ECS task id", |s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    /// The id of an ECS deployment, such as `ecs-svc/0123456789012345678`.
    DeploymentId: "an ECS deployment id", |s| !s.is_empty();
    /// The ARN of a target group.
    TargetGroupArn: "a target group's ARN", |s| s.starts_with("arn:");
}

fn is_host(s: &str) -> bool {
    s.len() <= 253 && s.contains('.') && s.parse::<IpAddr>().is_err() && s.split('.').all(is_label)
}

fn is_label(s: &str) -> bool {
    (1..=63).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !s.starts_with('-')
        && !s.ends_with('-')
}

/// What load balancers and buckets do not take as the beginning of their names.
const RESERVED: [&str; 4] = ["internal-", "xn--", "sthree-", "amzn-s3-demo-"];

/// Twenty-four characters leave room for the longest suffix within the 32 of a load balancer's name. Terraform accepts
/// the same names (`terraform/variables.tf`).
fn is_platform(s: &str) -> bool {
    (1..=24).contains(&s.len())
        && s.starts_with(|c: char| c.is_ascii_lowercase())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !s.ends_with('-')
        && !RESERVED.iter().any(|prefix| s.starts_with(prefix))
}

fn is_region(s: &str) -> bool {
    let parts: Vec<&str> = s.split('-').collect();
    let [area @ .., number] = parts.as_slice() else { return false };
    area.len() >= 2
        && area.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The names of the platform's resources, all of which follow from its name.
#[derive(Clone, Debug)]
pub struct Names {
    pub platform: PlatformName,
}

impl Names {
    pub fn new(platform: PlatformName) -> Self {
        Self { platform }
    }
    pub fn cluster(&self) -> String {
        format!("{}-cluster", self.platform)
    }
    pub fn service(&self) -> String {
        format!("{}-service", self.platform)
    }
    pub fn balancer(&self) -> String {
        format!("{}-nlb", self.platform)
    }
    pub fn log_group(&self) -> String {
        format!("/ecs/{}", self.platform)
    }
    pub fn secret(&self) -> String {
        format!("{}-jitsi-secrets", self.platform)
    }
}

/// A text without the user names and passwords of the addresses in it, as in `https://user:password@host`, or
/// `user:password@host` where the scheme is told apart.
pub fn without_passwords(text: &str) -> String {
    const BOUNDS: &str = "/?#\"'<>()[]{},;=\\";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at);
        let start = before
            .rfind(|c: char| c.is_whitespace() || BOUNDS.contains(c))
            .map_or(0, |bound| bound + before[bound..].chars().next().map_or(0, char::len_utf8));
        let (kept, user) = before.split_at(start);
        out.push_str(kept);
        out.push_str(if user.contains(':') || kept.ends_with("://") { "…" } else { user });
        out.push('@');
        rest = &after[1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for good in ["meet.example.org", "a.b", "x-1.example.org"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "localhost",
            "192.0.2.1",
            "https://meet.example.org",
            "meet.example.org/room",
            "-a.example.org",
            "a..b",
            "meet .org",
        ] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_accounts_and_platforms() {
        for good in ["us-west-2", "eu-central-1", "us-gov-west-1", "ap-southeast-11"] {
            assert!(good.parse::<Region>().is_ok(), "{good}");
        }
        for bad in ["", "oregon", "us-west", "us-west-2a", "US-WEST-2", "-1", "us--1"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
        assert!("111122223333".parse::<AccountId>().is_ok());
        assert!("1111-2222-3333".parse::<AccountId>().is_err());
    }

    /// The list with which `tests/stack` asks Terraform.
    #[test]
    fn platforms_are_those_that_terraform_accepts() {
        let list = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stack/names.txt"));
        let names: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once(' ')).collect();
        assert!(names.len() > 20, "{}", names.len());
        for (verdict, name) in names {
            assert_eq!(name.parse::<PlatformName>().is_ok(), verdict == "good", "{name}");
        }
    }

    #[test]
    fn passwords_in_addresses() {
        for (text, safe) in [
            ("no way to https://ana:hunter2@host:5000/x", "no way to https://…@host:5000/x"),
            ("https://token@host and http://b:c@d", "https://…@host and http://…@d"),
            ("authority: \"ana:hunter2@host\"", "authority: \"…@host\""),
            ("ana@example.org says a: b", "ana@example.org says a: b"),
            ("arn:aws:sts::1:assumed-role/role/ana@example.org", "arn:aws:sts::1:assumed-role/role/ana@example.org"),
            ("", ""),
        ] {
            assert_eq!(without_passwords(text), safe);
        }
    }

    #[test]
    fn resource_names_follow_from_the_platform() {
        let names = Names::new("jitsi-video-platform".parse().expect("a platform name"));
        assert_eq!(names.cluster(), "jitsi-video-platform-cluster");
        assert_eq!(names.log_group(), "/ecs/jitsi-video-platform");
        assert_eq!(names.secret(), "jitsi-video-platform-jitsi-secrets");
    }
}
