//! Every key of the configuration, and how its value is read.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use toml::Value;

use crate::domain::plan::Counted;

/// One key.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// The environment variables that set it, the strongest first.
    pub variables: &'static [&'static str],
    /// A value as TOML writes it.
    pub value: &'static str,
    /// Whether that is the value where nobody says one.
    pub is_default: bool,
    pub about: &'static str,
}

/// `is`: by default; `like`: only an example.
macro_rules! keys {
    ($(#[doc = $about:literal] $name:literal $how:ident $value:tt from $($variable:ident)+;)*) => {
        /// All keys, in the order in which they are shown.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            variables: &[$(stringify!($variable)),+],
            value: stringify!($value),
            is_default: keys!($how),
            about: $about.trim_ascii_start(),
        }),*];
    };
    (is) => { true };
    (like) => { false };
}

keys! {
    /// Prefix of every resource's name
    "platform.name" is "jitsi-video-platform" from MEETCTL_PLATFORM;
    /// The name under which people meet
    "platform.domain" like "meet.example.org" from MEETCTL_DOMAIN;
    /// The AWS region of the platform
    "platform.region" is "us-west-2" from MEETCTL_REGION AWS_REGION AWS_DEFAULT_REGION;
    /// The AWS account of the platform; credentials of another one are refused
    "platform.account" like "111122223333" from MEETCTL_ACCOUNT;
    /// The profile of the AWS configuration that has the credentials
    "aws.profile" like "jitsi-hosting" from MEETCTL_PROFILE AWS_PROFILE;
    /// A Terraform module of your own, instead of the one that ships with meetctl; relative to the file that names it
    "terraform.dir" like "terraform" from MEETCTL_TERRAFORM_DIR;
    /// A file with values of the Terraform module's variables; relative to the file that names it
    "terraform.variables" like "platform.tfvars" from MEETCTL_TERRAFORM_VARIABLES;
    /// How long a session is expected to last; credentials that end sooner are warned of
    "session.length" is "3h" from MEETCTL_SESSION_LENGTH;
    /// Name servers to ask instead of the system's resolver: addresses, each with a port where it is not 53
    "dns.servers" like ["192.0.2.53"] from MEETCTL_DNS_SERVERS;
    /// The port of the zone's own name servers
    "dns.port" is 53 from MEETCTL_DNS_PORT;
    /// One more root to trust, always shown as a warning; relative to the file that names it
    "tls.ca_file" like "private-root.pem" from MEETCTL_CA_FILE;
    /// Whether a meeting is proven with media; `false` stops at signalling, and says so
    "probe.media" is true from MEETCTL_PROBE_MEDIA;
    /// The port at which the web pages are asked for
    "probe.https_port" is 443 from MEETCTL_PROBE_HTTPS_PORT;
    /// Who counts the people: `sidecar`, or `none`: then `down` refuses for nobody, and `status` says so
    "occupancy.source" is "sidecar" from MEETCTL_OCCUPANCY_SOURCE;
}

impl Key {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// A line that sets it, below its section.
    pub fn example(&self) -> String {
        format!("{} = {}", self.name.rsplit('.').next().unwrap_or_default(), self.value)
    }

    /// The value without what TOML wants around it.
    pub fn bare(&self) -> &'static str {
        self.value.trim_matches(|c| "[]\"".contains(c))
    }

    /// Reads what a flag or a variable says as the kind of value that the key takes; what is of another kind stays text.
    pub(super) fn typed(&self, given: &str) -> Value {
        let word = given.trim().to_ascii_lowercase();
        match self.value.as_bytes()[0] {
            b'[' => given.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().into(),
            b'0'..=b'9' => word.parse::<i64>().map_or_else(|_| given.into(), Value::from),
            b't' if ["true", "yes", "on", "1"].contains(&word.as_str()) => true.into(),
            b't' if ["false", "no", "off", "0"].contains(&word.as_str()) => false.into(),
            _ => given.into(),
        }
    }
}

/// Too large for TOML's integers, in [`Value`]'s terms.
pub(super) const HUGE: Value = Value::Float(f64::INFINITY);

fn refuse<T>(value: &Value, wanted: &str) -> Result<T, String> {
    Err(match value {
        Value::String(text) => format!("{text:?} is not {wanted}"),
        Value::Integer(_) => format!("it is a number, not {wanted}"),
        Value::Boolean(_) => format!("it is true or false, not {wanted}"),
        Value::Array(_) => format!("it is a list, not {wanted}"),
        Value::Float(huge) if huge.is_infinite() => format!("it is a huge number, not {wanted}"),
        Value::Float(_) => format!("it is a fraction, not {wanted}"),
        Value::Datetime(_) => format!("it is a date, not {wanted}"),
        Value::Table(_) => format!("it is a section, not {wanted}"),
    })
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Err("it is empty".into()),
        Some(text) => Ok(text),
        None => refuse(value, "text in quotes"),
    }
}

pub(super) fn parsed<T: FromStr<Err: Display>>(value: &Value) -> Result<T, String> {
    text(value)?.parse().map_err(|e: T::Err| e.to_string())
}

pub(super) fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().map_or_else(|| refuse(value, "true or false"), Ok)
}

pub(super) fn port(value: &Value) -> Result<u16, String> {
    let wanted = "a port from 1 to 65535";
    let Some(number) = value.as_integer() else { return refuse(value, wanted) };
    u16::try_from(number).ok().filter(|port| *port > 0).ok_or_else(|| format!("{number} is not {wanted}"))
}

pub(super) fn servers(value: &Value) -> Result<Vec<SocketAddr>, String> {
    const DNS: u16 = 53;
    let Some(items) = value.as_array() else { return refuse(value, "a list of texts in square brackets") };
    let server = |item| {
        let given = text(item)?;
        let address = given.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS)).or_else(|_| given.parse());
        address
            .ok()
            .filter(|to| to.port() != 0)
            .map_or_else(|| refuse(item, "an IP address such as 192.0.2.53 or 192.0.2.53:5353"), Ok)
    };
    items.iter().map(server).collect()
}

pub(super) fn counted(value: &Value) -> Result<Counted, String> {
    match text(value)? {
        "sidecar" => Ok(Counted::BySidecar),
        "none" => Ok(Counted::ByNobody),
        other => Err(format!("{other:?} is neither \"sidecar\" nor \"none\"")),
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
    const LONGEST_NAME: usize = 64;
    let given: String = given.to_lowercase().chars().take(LONGEST_NAME).collect();
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let apart = |key: &Key| {
        let astray = 1 + strsim::levenshtein(&last(&given), &last(key.name));
        (strsim::levenshtein(&given, key.name).min(astray), key.name)
    };
    let (distance, name) = KEYS.iter().map(apart).min()?;
    (distance <= 1 + given.len().min(24) / 6).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml() {
        for key in KEYS {
            let value: Value = key.value.parse().expect(key.name);
            assert_eq!(value, key.typed(key.bare()), "{}", key.name);
        }
    }

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
