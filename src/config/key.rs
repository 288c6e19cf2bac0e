//! Every key of the configuration, and how its value is read.

use std::time::Duration;

use jiff::SignedDuration;

/// One key.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// The environment variables that set it, the strongest first.
    pub variables: &'static [&'static str],
    pub shape: Shape,
    pub default: Option<&'static str>,
    pub example: &'static str,
    pub about: &'static str,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Number,
    Switch,
    List,
}

const fn key(
    name: &'static str,
    variables: &'static [&'static str],
    shape: Shape,
    default: Option<&'static str>,
    example: &'static str,
    about: &'static str,
) -> Key {
    Key { name, variables, shape, default, example, about }
}

/// All keys, in the order in which they are shown.
pub const KEYS: [Key; 14] = [
    key(
        "platform.name",
        &["MEETCTL_PLATFORM"],
        Shape::Text,
        Some("jitsi-video-platform"),
        "name = \"jitsi-video-platform\"",
        "Prefix of every resource's name",
    ),
    key(
        "platform.domain",
        &["MEETCTL_DOMAIN"],
        Shape::Text,
        None,
        "domain = \"meet.example.org\"",
        "The name under which people meet",
    ),
    key(
        "platform.region",
        &["MEETCTL_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        Shape::Text,
        Some("us-west-2"),
        "region = \"us-west-2\"",
        "The AWS region of the platform",
    ),
    key(
        "platform.account",
        &["MEETCTL_ACCOUNT"],
        Shape::Text,
        None,
        "account = \"111122223333\"",
        "The AWS account of the platform; credentials of another one are refused",
    ),
    key(
        "aws.profile",
        &["MEETCTL_PROFILE", "AWS_PROFILE"],
        Shape::Text,
        None,
        "profile = \"jitsi-hosting\"",
        "The profile of the AWS configuration that has the credentials",
    ),
    key(
        "terraform.dir",
        &["MEETCTL_TERRAFORM_DIR"],
        Shape::Text,
        None,
        "dir = \"terraform\"",
        "A Terraform module of your own, instead of the one that ships with meetctl; relative to the file that names it",
    ),
    key(
        "terraform.variables",
        &["MEETCTL_TERRAFORM_VARIABLES"],
        Shape::Text,
        None,
        "variables = \"platform.tfvars\"",
        "A file with values of the Terraform module's variables; relative to the file that names it",
    ),
    key(
        "session.length",
        &["MEETCTL_SESSION_LENGTH"],
        Shape::Text,
        Some("3h"),
        "length = \"3h\"",
        "How long a session is expected to last; credentials that end sooner are warned of",
    ),
    key(
        "dns.servers",
        &["MEETCTL_DNS_SERVERS"],
        Shape::List,
        None,
        "servers = [\"192.0.2.53\"]",
        "Name servers to ask instead of the system's resolver: addresses, each with a port where it is not 53",
    ),
    key(
        "dns.port",
        &["MEETCTL_DNS_PORT"],
        Shape::Number,
        Some("53"),
        "port = 53",
        "The port of the zone's own name servers",
    ),
    key(
        "tls.ca_file",
        &["MEETCTL_CA_FILE"],
        Shape::Text,
        None,
        "ca_file = \"private-root.pem\"",
        "One more root to trust, always shown as a warning; relative to the file that names it",
    ),
    key(
        "probe.media",
        &["MEETCTL_PROBE_MEDIA"],
        Shape::Switch,
        Some("true"),
        "media = true",
        "Whether a meeting is proven with media; `false` stops at signalling, and says so",
    ),
    key(
        "probe.https_port",
        &["MEETCTL_PROBE_HTTPS_PORT"],
        Shape::Number,
        Some("443"),
        "https_port = 443",
        "The port at which the web pages are asked for",
    ),
    key(
        "occupancy.source",
        &["MEETCTL_OCCUPANCY_SOURCE"],
        Shape::Text,
        Some("sidecar"),
        "source = \"sidecar\"",
        "Who counts the people: `sidecar`, or `none`: then `down` refuses for nobody, and `status` says so",
    ),
];

/// A value as it was written somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Raw {
    Text(String),
    Number(i64),
    Switch(bool),
    List(Vec<Raw>),
    /// Something that no key takes, by TOML's name for it.
    Other(&'static str),
}

impl Raw {
    /// Reads what a flag or a variable says, in the shape of the key.
    pub fn typed(given: &str, shape: Shape) -> Self {
        let text = || Self::Text(given.to_owned());
        match shape {
            Shape::Text => text(),
            Shape::Number => given.trim().parse().map_or_else(|_| text(), Self::Number),
            Shape::Switch => match given.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Self::Switch(true),
                "false" | "no" | "off" | "0" => Self::Switch(false),
                _ => text(),
            },
            Shape::List => {
                let parts = given.split([',', ' ']).map(str::trim).filter(|p| !p.is_empty());
                Self::List(parts.map(|p| Self::Text(p.to_owned())).collect())
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Switch(_) => "true or false",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    fn refuse(&self, wanted: &str) -> String {
        match self {
            Self::Text(text) => format!("{text:?} is not {wanted}"),
            Self::Number(_) | Self::Switch(_) | Self::List(_) | Self::Other(_) => {
                format!("it is {}, not {wanted}", self.kind())
            }
        }
    }

    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) if text.trim().is_empty() => Err("it is empty".into()),
            Self::Text(text) => Ok(text),
            Self::Number(_) | Self::Switch(_) | Self::List(_) | Self::Other(_) => Err(self.refuse("text in quotes")),
        }
    }

    pub fn list(&self) -> Result<Vec<&str>, String> {
        match self {
            Self::List(items) => items.iter().map(Self::text).collect(),
            Self::Text(_) | Self::Number(_) | Self::Switch(_) | Self::Other(_) => {
                Err(self.refuse("a list of texts in square brackets"))
            }
        }
    }

    pub fn switch(&self) -> Result<bool, String> {
        match self {
            Self::Switch(on) => Ok(*on),
            Self::Text(_) | Self::Number(_) | Self::List(_) | Self::Other(_) => Err(self.refuse("true or false")),
        }
    }

    pub fn port(&self) -> Result<u16, String> {
        let wanted = "a port from 1 to 65535";
        match self {
            Self::Number(n) => u16::try_from(*n).ok().filter(|p| *p > 0).ok_or_else(|| format!("{n} is not {wanted}")),
            Self::Text(_) | Self::Switch(_) | Self::List(_) | Self::Other(_) => Err(self.refuse(wanted)),
        }
    }
}

/// Longer than this is a slip, not a wish.
const LONGEST: Duration = Duration::from_hours(7 * 24);

/// Reads a duration as people write it: `10m`, `3h`, `1h 30m`.
pub fn span(given: &str) -> Result<Duration, String> {
    let wanted = "a duration such as 10m, 3h or 1h 30m";
    let signed: SignedDuration = given.trim().parse().map_err(|_| format!("{given:?} is not {wanted}"))?;
    let span = Duration::try_from(signed).map_err(|_| format!("{given:?} is negative; write {wanted}"))?;
    if span.is_zero() {
        Err(format!("{given:?} is no time at all; write {wanted}"))
    } else if span > LONGEST {
        Err(format!("{given:?} is longer than a week"))
    } else {
        Ok(span)
    }
}

/// The key that was probably meant.
pub(super) fn nearest(given: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let (distance, name) = KEYS
        .iter()
        .map(|k| {
            let apart = distance(&given.to_lowercase(), k.name);
            let astray = 1 + distance(&last(&given.to_lowercase()), &last(k.name));
            (apart.min(astray), k.name)
        })
        .min()?;
    (distance <= 1 + given.len().min(24) / 6).then_some(name)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    const LONGEST_NAME: usize = 64;
    let b: Vec<char> = b.chars().take(LONGEST_NAME).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(LONGEST_NAME).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (given, seconds) in [("10m", 600), ("3h", 10_800), ("1h 30m", 5_400), ("45s", 45), ("90 minutes", 5_400)] {
            assert_eq!(span(given), Ok(Duration::from_secs(seconds)), "{given}");
        }
        for bad in ["", "0", "0m", "10", "-5m", "5m ago", "soon", "9999h", "1e9h", "\u{0}"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nearest_keys() {
        for (given, meant) in [
            ("platform.domian", Some("platform.domain")),
            ("platfrom.domain", Some("platform.domain")),
            ("region", Some("platform.region")),
            ("aws.region", Some("platform.region")),
            ("session.lenght", Some("session.length")),
            ("Platform.Name", Some("platform.name")),
            ("dns.server", Some("dns.servers")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given), meant, "{given}");
        }
    }
}
