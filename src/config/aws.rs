//! The settings of AWS's own tools, checked before the SDK sees them: it would ignore an odd one, or panic.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{ConfigError, Environment};
use crate::domain::name::Region;
use crate::files;

/// How a value has to look.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// An http or https address.
    Address,
    /// The address of a proxy, perhaps without a scheme.
    Proxy,
    /// From the one to the other.
    Number(u64, u64),
    YesNo,
    OneOf(&'static [&'static str]),
    Region,
    /// Visible characters of ASCII: it becomes a part of a request.
    Word,
    /// The same, and never repeated.
    Secret,
    /// A file that is one, where there is one.
    File,
}

const ATTEMPTS: Shape = Shape::Number(1, 100);
const RETRY_MODE: Shape = Shape::OneOf(&["standard", "adaptive"]);
const CHECKSUMS: Shape = Shape::OneOf(&["when_supported", "when_required"]);
const COMPRESSION: Shape = Shape::Number(0, 10_485_760);
const ACCOUNT_MODE: Shape = Shape::OneOf(&["preferred", "disabled", "required"]);
const IP_MODE: Shape = Shape::OneOf(&["IPv4", "IPv6"]);
/// In seconds.
const TIME_OUT: Shape = Shape::Number(1, 3_600);

/// Variables that the SDK reads, or that are handed to Terraform, for which an empty value is no value at all.
const VARIABLES: &[(&str, Shape)] = &[
    ("AWS_ACCESS_KEY_ID", Shape::Word),
    ("AWS_SECRET_ACCESS_KEY", Shape::Secret),
    ("AWS_SESSION_TOKEN", Shape::Secret),
    ("AWS_ACCOUNT_ID", Shape::Word),
    ("AWS_PROFILE", Shape::Word),
    ("AWS_DEFAULT_PROFILE", Shape::Word),
    ("AWS_REGION", Shape::Word),
    ("AWS_DEFAULT_REGION", Shape::Word),
    ("AWS_ROLE_ARN", Shape::Word),
    ("AWS_ROLE_SESSION_NAME", Shape::Word),
    ("AWS_EXECUTION_ENV", Shape::Word),
    ("AWS_SDK_UA_APP_ID", Shape::Word),
    ("AWS_AUTH_SCHEME_PREFERENCE", Shape::Word),
    ("AWS_SIGV4A_SIGNING_REGION_SET", Shape::Word),
    ("AWS_LAMBDA_FUNCTION_NAME", Shape::Word),
    ("AWS_CONFIG_FILE", Shape::File),
    ("AWS_SHARED_CREDENTIALS_FILE", Shape::File),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", Shape::File),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", Shape::File),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Shape::Secret),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", Shape::Word),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Shape::Address),
    ("AWS_CA_BUNDLE", Shape::File),
    ("HTTP_PROXY", Shape::Proxy),
    ("HTTPS_PROXY", Shape::Proxy),
    ("ALL_PROXY", Shape::Proxy),
    ("http_proxy", Shape::Proxy),
    ("https_proxy", Shape::Proxy),
    ("all_proxy", Shape::Proxy),
    ("NO_PROXY", Shape::Word),
    ("no_proxy", Shape::Word),
];

/// Variables that the SDK takes for set when they are empty: an empty one is odd.
const NEVER_EMPTY: &[(&str, Shape)] = &[
    ("AWS_MAX_ATTEMPTS", ATTEMPTS),
    ("AWS_RETRY_MODE", RETRY_MODE),
    ("AWS_USE_FIPS_ENDPOINT", Shape::YesNo),
    ("AWS_USE_DUALSTACK_ENDPOINT", Shape::YesNo),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", Shape::YesNo),
    ("AWS_DISABLE_REQUEST_COMPRESSION", Shape::YesNo),
    ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", COMPRESSION),
    ("AWS_REQUEST_CHECKSUM_CALCULATION", CHECKSUMS),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", CHECKSUMS),
    ("AWS_DISABLE_CLOCK_SKEW_CORRECTION", Shape::YesNo),
    ("AWS_ACCOUNT_ID_ENDPOINT_MODE", ACCOUNT_MODE),
    ("AWS_EC2_METADATA_DISABLED", Shape::YesNo),
    ("AWS_EC2_METADATA_V1_DISABLED", Shape::YesNo),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", Shape::Address),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", IP_MODE),
    ("AWS_METADATA_SERVICE_TIMEOUT", TIME_OUT),
    ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", ATTEMPTS),
    ("AWS_NEW_RETRIES_2026", Shape::YesNo),
];

/// `AWS_ENDPOINT_URL`, and one for each service.
const ENDPOINTS: &str = "AWS_ENDPOINT_URL";

/// The same settings in a profile, and in what it refers to.
const KEYS: &[(&str, Shape)] = &[
    ("endpoint_url", Shape::Address),
    ("max_attempts", ATTEMPTS),
    ("retry_mode", RETRY_MODE),
    ("use_fips_endpoint", Shape::YesNo),
    ("use_dualstack_endpoint", Shape::YesNo),
    ("ignore_configured_endpoint_urls", Shape::YesNo),
    ("disable_request_compression", Shape::YesNo),
    ("request_min_compression_size_bytes", COMPRESSION),
    ("request_checksum_calculation", CHECKSUMS),
    ("response_checksum_validation", CHECKSUMS),
    ("disable_clock_skew_correction", Shape::YesNo),
    ("account_id_endpoint_mode", ACCOUNT_MODE),
    ("ec2_metadata_service_endpoint", Shape::Address),
    ("ec2_metadata_service_endpoint_mode", IP_MODE),
    ("ec2_metadata_v1_disabled", Shape::YesNo),
    ("metadata_service_timeout", TIME_OUT),
    ("metadata_service_num_attempts", ATTEMPTS),
    ("region", Shape::Region),
    ("sso_region", Shape::Region),
    ("sso_start_url", Shape::Address),
    ("sso_account_id", Shape::Word),
    ("sso_role_name", Shape::Word),
    ("role_arn", Shape::Word),
    ("role_session_name", Shape::Word),
    ("external_id", Shape::Word),
    ("credential_source", Shape::OneOf(&["Environment", "Ec2InstanceMetadata", "EcsContainer"])),
    ("web_identity_token_file", Shape::File),
    ("ca_bundle", Shape::File),
    ("aws_access_key_id", Shape::Word),
    ("aws_secret_access_key", Shape::Secret),
    ("aws_session_token", Shape::Secret),
    ("aws_account_id", Shape::Word),
    ("sdk_ua_app_id", Shape::Word),
    ("sdk-ua-app-id", Shape::Word),
    ("auth_scheme_preference", Shape::Word),
    ("sigv4a_signing_region_set", Shape::Word),
];

/// Larger than any configuration of the AWS tools.
const LARGEST: u64 = 4 * 1024 * 1024;
/// A profile may take its credentials from another one, and that from the next.
const LONGEST_CHAIN: usize = 16;

/// Refuses settings that no AWS tool could make sense of. `profile` is the one that was asked for by name.
pub fn check(environment: &Environment, profile: Option<&str>) -> Result<(), ConfigError> {
    for (name, value) in &environment.variables {
        let never_empty = NEVER_EMPTY.iter().find(|(known, _)| known == name).map(|(_, shape)| *shape);
        let endpoint = (name == ENDPOINTS || name.starts_with("AWS_ENDPOINT_URL_")).then_some(Shape::Address);
        let other = VARIABLES.iter().find(|(known, _)| known == name && !value.is_empty()).map(|(_, shape)| *shape);
        if let Some(shape) = never_empty.or(endpoint).or(other) {
            shape.check(value, &environment.folder).map_err(|why| odd(name.clone(), why, Some(name)))?;
        }
    }
    let files = Files::read(environment)?;
    let name = profile.or_else(|| environment.value("AWS_PROFILE")).unwrap_or("default");
    if profile.is_some() && name != "default" && !files.has(name) {
        let why = format!("neither {} nor {} has it", files.config.display(), files.credentials.display());
        return Err(odd(format!("the profile `{name}`"), why, None));
    }
    files.check_profile(name, &environment.folder)
}

/// What a profile says about the platform: the region, and the account of its sign-in. Credentials are never read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsProfile {
    pub region: Option<String>,
    /// `sso_account_id`
    pub account: Option<String>,
    /// Whether its role, or one on the way to it, names a device that makes codes (`mfa_serial`).
    pub mfa: bool,
}

impl AwsProfile {
    /// The profile of this name; empty where there is none. What is wrong with the files is [`check`]'s to say.
    pub fn of(environment: &Environment, name: &str) -> Self {
        let Ok(files) = Files::read(environment) else { return Self::default() };
        let section = format!("profile {name}");
        let value = |key| files.value(&section, key).filter(|value| !value.is_empty()).map(str::to_owned);
        let mfa =
            files.chain(name).iter().any(|profile| files.value(&format!("profile {profile}"), "mfa_serial").is_some());
        Self { region: value("region"), account: value("sso_account_id"), mfa }
    }
}

fn odd(setting: String, why: String, variable: Option<&str>) -> ConfigError {
    ConfigError::Aws { setting, why, variable: variable.map(str::to_owned) }
}

impl Shape {
    fn check(self, value: &str, folder: &Path) -> Result<(), String> {
        if value.chars().any(char::is_control) {
            return Err("it holds a control character, such as a line break".to_owned());
        }
        let value = value.trim();
        if value.is_empty() {
            return Err("it is empty".to_owned());
        }
        match self {
            Self::Address => address(value, &["http", "https"]),
            Self::Proxy => {
                let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
                address(&whole, &["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
            }
            Self::Number(least, most) => match value.parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(()),
                Ok(_) | Err(_) => Err(format!("{value:?} is not a number from {least} to {most}")),
            },
            Self::YesNo => one_of(value, &["true", "false"]),
            Self::OneOf(words) => one_of(value, words),
            Self::Region => value.parse::<Region>().map(|_| ()).map_err(|error| error.to_string()),
            Self::Word if value.chars().all(|c| c.is_ascii_graphic() || c == ' ') => Ok(()),
            Self::Word => Err(format!("{value:?} holds characters that no such setting has")),
            Self::Secret if value.chars().all(|c| c.is_ascii_graphic()) => Ok(()),
            Self::Secret => Err("it holds characters that no such setting has".to_owned()),
            Self::File => file(&folder.join(value)),
        }
    }
}

fn one_of(value: &str, words: &[&str]) -> Result<(), String> {
    if words.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    Err(format!("{value:?} is not {}", words.join(" or ")))
}

/// What may be secret in an address is not repeated.
fn address(value: &str, schemes: &[&str]) -> Result<(), String> {
    let (scheme, rest) = value.split_once("://").ok_or("it is no address: it has no scheme, as in https://host")?;
    if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(format!("its scheme is not {}", schemes.join(" or ")));
    }
    if value.chars().any(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c)) {
        return Err("it holds characters that no address has".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or("its host is no address in brackets")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "its host is no address in brackets")?;
            (host, after.strip_prefix(':'))
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if host.is_empty() || !(is_name || host.parse::<IpAddr>().is_ok()) {
        return Err("it has no host".to_owned());
    }
    match port {
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(()),
        Some(_) => Err("its port is not from 1 to 65535".to_owned()),
        None => Ok(()),
    }
}

/// What is not there is no file that hangs; whoever needs it says so.
fn file(path: &Path) -> Result<(), String> {
    match files::read(path, LARGEST) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput && path != Path::new("/dev/null") => {
            Err(format!("{}: {error}", path.display()))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A key of a section, with the line on which it stands.
#[derive(Debug)]
struct Entry {
    key: String,
    /// The key above it, for what is indented below one.
    above: Option<String>,
    value: String,
    line: usize,
    file: PathBuf,
}

/// The two files of the AWS tools, as sections with their entries.
#[derive(Debug, Default)]
struct Files {
    config: PathBuf,
    credentials: PathBuf,
    /// By what the section is for: `profile NAME`, `sso-session NAME`, `services NAME`.
    sections: BTreeMap<String, Vec<Entry>>,
}

impl Files {
    fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let path = |variable: &str, name: &str| {
            let named = environment.path(variable).map(|path| environment.folder.join(path));
            named.or_else(|| Some(environment.home()?.join(".aws").join(name))).unwrap_or_default()
        };
        let mut files = Self {
            config: path("AWS_CONFIG_FILE", "config"),
            credentials: path("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
            sections: BTreeMap::new(),
        };
        for (file, bare_names) in [(files.config.clone(), false), (files.credentials.clone(), true)] {
            if file == Path::new("/dev/null") {
                continue;
            }
            match files::read(&file, LARGEST) {
                Ok(content) => {
                    let text = String::from_utf8(content)
                        .map_err(|_| odd(file.display().to_string(), "it is not UTF-8 text".to_owned(), None))?;
                    files.add(&file, &text, bare_names);
                }
                // Not there, or not for us: the SDK says what follows from that.
                Err(error) if error.kind() != std::io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(odd(file.display().to_string(), error.to_string(), None)),
            }
        }
        Ok(files)
    }

    /// In the credentials file, a section is a profile by its bare name.
    fn add(&mut self, file: &Path, text: &str, bare_names: bool) {
        let (mut section, mut above) = (None, None);
        for (number, line) in (1..).zip(text.lines()) {
            let indented = line.starts_with([' ', '\t']);
            let bare = line.trim_matches([' ', '\t', '\r']);
            if bare.is_empty() || bare.starts_with(['#', ';']) {
                continue;
            }
            if let Some(head) = bare.strip_prefix('[') {
                section = name_of(head.split(']').next().unwrap_or_default(), bare_names);
                above = None;
                if let Some(name) = &section {
                    self.sections.entry(name.clone()).or_default();
                }
                continue;
            }
            let (Some(section), Some((key, value))) = (&section, bare.split_once('=')) else { continue };
            let key = key.trim().to_ascii_lowercase();
            if !indented {
                above = Some(key.clone());
            }
            let entry = Entry {
                key,
                above: above.clone().filter(|_| indented),
                value: without_comment(value).to_owned(),
                line: number,
                file: file.to_owned(),
            };
            self.sections.entry(section.clone()).or_default().push(entry);
        }
    }

    fn has(&self, profile: &str) -> bool {
        self.sections.contains_key(&format!("profile {profile}"))
    }

    fn check_profile(&self, name: &str, folder: &Path) -> Result<(), ConfigError> {
        for profile in self.chain(name) {
            let section = format!("profile {profile}");
            self.check_section(&section, folder)?;
            for (key, kind) in [("sso_session", "sso-session"), ("services", "services")] {
                if let Some(named) = self.value(&section, key) {
                    self.check_section(&format!("{kind} {named}"), folder)?;
                }
            }
        }
        Ok(())
    }

    /// The profile, and those that it takes its credentials from.
    fn chain(&self, name: &str) -> Vec<String> {
        let mut next = Some(name.to_owned());
        let mut chain: Vec<String> = Vec::new();
        while let Some(profile) = next.take().filter(|name| !chain.contains(name) && chain.len() < LONGEST_CHAIN) {
            next = self.value(&format!("profile {profile}"), "source_profile").map(str::to_owned);
            chain.push(profile);
        }
        chain
    }

    fn value(&self, section: &str, key: &str) -> Option<&str> {
        let entries = self.sections.get(section)?;
        entries.iter().rev().find(|entry| entry.key == key && entry.above.is_none()).map(|entry| entry.value.as_str())
    }

    fn check_section(&self, section: &str, folder: &Path) -> Result<(), ConfigError> {
        for entry in self.sections.get(section).into_iter().flatten() {
            let known = KEYS.iter().find(|(known, _)| *known == entry.key).map(|(_, shape)| *shape);
            // A key with more keys below it has no value of its own.
            if entry.value.is_empty() && known.is_none() {
                continue;
            }
            let checked = match known {
                Some(shape) => shape.check(&entry.value, folder),
                None if entry.value.chars().any(char::is_control) => Shape::Secret.check(&entry.value, folder),
                None => Ok(()),
            };
            let place = |why: String| {
                let inside = entry.above.as_ref().map(|above| format!("{above}.")).unwrap_or_default();
                let name = format!("{inside}{} in [{section}]", entry.key);
                odd(name, format!("{why} ({}:{})", entry.file.display(), entry.line), None)
            };
            checked.map_err(place)?;
        }
        Ok(())
    }
}

/// What a section is for, from what stands in its brackets.
fn name_of(head: &str, bare_names: bool) -> Option<String> {
    let head = head.trim();
    let unquoted = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
    if bare_names || head == "default" {
        return Some(format!("profile {}", unquoted(head)));
    }
    let (kind, name) = head.split_once([' ', '\t'])?;
    ["profile", "sso-session", "services"].contains(&kind).then(|| format!("{kind} {}", unquoted(name)))
}

/// A comment begins after white space.
fn without_comment(value: &str) -> &str {
    let comment = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value[..comment.unwrap_or(value.len())].trim_matches([' ', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(variables: &[(&str, &str)], config: &str, profile: Option<&str>) -> Option<(String, String)> {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(".aws")).expect("a folder");
        std::fs::write(home.path().join(".aws/config"), config).expect("written");
        let mut environment = Environment { folder: home.path().into(), ..Environment::default() };
        environment.variables.insert("HOME".into(), home.path().to_string_lossy().into_owned());
        environment.variables.extend(variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        match check(&environment, profile) {
            Ok(()) => None,
            Err(ConfigError::Aws { setting, why, .. }) => Some((setting, why)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_one_profile_says() {
        let text = "[default]\nregion = us-east-1\n\n[profile hosting]\nsso_account_id=111122223333\n\
                    region=eu-central-1 # ours\ns3 =\n  region = ap-south-1\n[profile none]\nregion =\n\
                    [profile hosting-too]\nregion = sa-east-1\n[sso-session hosting]\nregion = nowhere\n";
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("config"), text).expect("written");
        let mut environment = Environment { folder: home.path().into(), ..Environment::default() };
        environment.variables.insert("AWS_CONFIG_FILE".into(), "config".into());
        for (profile, region, account) in [
            ("default", Some("us-east-1"), None),
            ("hosting", Some("eu-central-1"), Some("111122223333")),
            ("hosting-too", Some("sa-east-1"), None),
            ("none", None, None),
            ("host", None, None),
        ] {
            let found = AwsProfile::of(&environment, profile);
            assert_eq!((found.region.as_deref(), found.account.as_deref()), (region, account), "{profile}");
        }
    }

    #[test]
    fn odd_variables() {
        for (name, value) in [
            ("AWS_MAX_ATTEMPTS", "abc"),
            ("AWS_MAX_ATTEMPTS", "0"),
            ("AWS_MAX_ATTEMPTS", "-1"),
            ("AWS_MAX_ATTEMPTS", ""),
            ("AWS_RETRY_MODE", "legacy"),
            ("AWS_RETRY_MODE", ""),
            ("AWS_ENDPOINT_URL", ""),
            ("AWS_ENDPOINT_URL", "localhost:5000"),
            ("AWS_ENDPOINT_URL", "ftp://localhost"),
            ("AWS_ENDPOINT_URL", "http://"),
            ("AWS_ENDPOINT_URL", "http://:5000"),
            ("AWS_ENDPOINT_URL", "http://localhost:0"),
            ("AWS_ENDPOINT_URL", "http://localhost:70000"),
            ("AWS_ENDPOINT_URL", "http://[::1"),
            ("AWS_ENDPOINT_URL", "http://local host"),
            ("AWS_ENDPOINT_URL_ECS", "http://local\nhost"),
            ("AWS_ENDPOINT_URL_ROUTE_53", "x"),
            ("AWS_USE_FIPS_ENDPOINT", "perhaps"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
            ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "yes"),
            ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "many"),
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "never"),
            ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "often"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nowhere"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5"),
            ("AWS_EC2_METADATA_DISABLED", "si"),
            ("AWS_METADATA_SERVICE_TIMEOUT", "soon"),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "here"),
            ("AWS_ACCESS_KEY_ID", "AKIA\u{1b}[31m"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2\n"),
            ("AWS_SESSION_TOKEN", "hunter2\u{7f}"),
            ("AWS_REGION", "us-west-2\r"),
            ("AWS_PROFILE", "host\ning"),
            ("AWS_EXECUTION_ENV", "caf\u{e9}"),
            ("AWS_CONFIG_FILE", "/dev/zero"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/dev/zero"),
            ("AWS_CA_BUNDLE", "/"),
            ("HTTPS_PROXY", "http://proxy:port"),
            ("https_proxy", "gopher://proxy"),
        ] {
            let (setting, why) = refused(&[(name, value)], "", None).unwrap_or_else(|| panic!("{name}={value:?}"));
            assert_eq!(setting, name);
            assert!(!why.contains("hunter2"), "{why}");
        }
        let (_, why) = refused(&[("AWS_ENDPOINT_URL", "http://ana:hunter2@host:x")], "", None).expect("odd");
        assert!(!why.contains("hunter2"), "{why}");
    }

    #[test]
    fn what_aws_tools_take_is_taken() {
        for (name, value) in [
            ("AWS_MAX_ATTEMPTS", "3"),
            ("AWS_RETRY_MODE", "Adaptive"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:5000/"),
            ("AWS_ENDPOINT_URL", "https://ana:secret@[::1]:5000/path?x=1"),
            ("AWS_ENDPOINT_URL_ECS", "https://ecs.us-west-2.amazonaws.com"),
            ("AWS_USE_FIPS_ENDPOINT", "TRUE"),
            ("AWS_PROFILE", ""),
            ("AWS_REGION", ""),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"),
            ("HTTPS_PROXY", "proxy.example.org:3128"),
            ("HTTPS_PROXY", "http://ana:secret@proxy.example.org:3128"),
            ("https_proxy", ""),
            ("NO_PROXY", "169.254.169.254, .example.org"),
            ("SOMETHING_ELSE", "\u{1b}"),
        ] {
            assert_eq!(refused(&[(name, value)], "", None), None, "{name}={value:?}");
        }
    }

    #[test]
    fn the_same_in_profiles_and_in_what_they_refer_to() {
        let hosting = |lines: &str| format!("[default]\nregion = us-west-2\n\n[profile hosting]\n{lines}\n");
        for (lines, setting) in [
            ("max_attempts = many", "max_attempts in [profile hosting]"),
            ("MAX_ATTEMPTS = many", "max_attempts in [profile hosting]"),
            ("retry_mode = legacy", "retry_mode in [profile hosting]"),
            ("endpoint_url =", "endpoint_url in [profile hosting]"),
            ("endpoint_url = nowhere # a comment", "endpoint_url in [profile hosting]"),
            ("region = oregon", "region in [profile hosting]"),
            ("use_fips_endpoint = 2", "use_fips_endpoint in [profile hosting]"),
            ("aws_access_key_id = AK\u{1b}IA", "aws_access_key_id in [profile hosting]"),
            ("credential_process = sh\u{7}", "credential_process in [profile hosting]"),
            ("source_profile = base\n[profile base]\nmax_attempts = 0", "max_attempts in [profile base]"),
            ("sso_session = s\n[sso-session s]\nsso_region = here", "sso_region in [sso-session s]"),
            ("services = s\n[services s]\necs =\n  endpoint_url = x", "ecs.endpoint_url in [services s]"),
        ] {
            let found = refused(&[], &hosting(lines), Some("hosting")).map(|(setting, _)| setting);
            assert_eq!(found.as_deref(), Some(setting), "{lines}");
            assert_eq!(refused(&[], &hosting(lines), None), None, "another profile: {lines}");
        }
        let good =
            "endpoint_url = http://127.0.0.1:5000 # moto\nsource_profile = hosting\ns3 =\n  max_concurrent = 3\n";
        assert_eq!(refused(&[], &hosting(good), Some("hosting")), None);
        assert_eq!(
            refused(&[("AWS_PROFILE", "hosting")], &hosting("retry_mode = x"), None).map(|(s, _)| s).as_deref(),
            Some("retry_mode in [profile hosting]")
        );
        let missing = refused(&[], &hosting(""), Some("typo")).expect("no such profile");
        assert_eq!(missing.0, "the profile `typo`");
    }
}
