//! The configuration: defaults < AWS profile (region) < user file < project file < environment < flags, checked once, with origins.

pub mod aws;
mod environment;
mod error;
mod file;
mod key;
mod token;

pub(crate) use self::file::survive;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use toml::Value;

pub use self::aws::AwsProfile;
pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::file::parse as parse_file;
pub use self::key::{KEYS, Key, span};
use self::key::{counted, parsed, port, servers, switch, text};
pub use self::token::token;
use crate::answer::Setting;
use crate::domain::changes::Recordings;
use crate::domain::name::{AccountId, Host, PlatformName, Region};
use crate::domain::plan::{Counted, Meetings, Policy};
use crate::files;
use crate::probe::site::Site;
use crate::probe::{Limits, Sight};

/// What the command line says about the configuration. Each also has a variable: `MEETCTL_CONFIG`, and so on.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::doc_markdown, reason = "the comments are help texts, in clap's own style")]
pub struct Flags {
    /// The project's file, instead of `meetctl.toml` in this folder or above [env: MEETCTL_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,

    /// The platform's name: the prefix of every resource [env: MEETCTL_PLATFORM]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub platform: Option<String>,

    /// The name under which people meet [env: MEETCTL_DOMAIN]
    #[arg(long, global = true, value_name = "HOST", help_heading = "Global options")]
    pub domain: Option<String>,

    /// The AWS region of the platform [env: MEETCTL_REGION, AWS_REGION]
    #[arg(long, global = true, help_heading = "Global options")]
    pub region: Option<String>,

    /// The AWS account of the platform; credentials of another one are refused [env: MEETCTL_ACCOUNT]
    #[arg(long, global = true, value_name = "ID", help_heading = "Global options")]
    pub account: Option<String>,

    /// The profile that has the AWS credentials [env: MEETCTL_PROFILE, AWS_PROFILE]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Global options")]
    pub profile: Option<String>,

    /// One more root certificate to trust, in PEM [env: MEETCTL_CA_FILE]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub ca_file: Option<String>,

    /// A Terraform module of your own, instead of the one that ships [env: `MEETCTL_TERRAFORM_DIR`]
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Global options")]
    pub terraform_dir: Option<String>,
}

impl Flags {
    fn given(&self) -> [(&'static str, &'static str, Option<&String>); 7] {
        [
            ("platform.name", "--platform", self.platform.as_ref()),
            ("platform.domain", "--domain", self.domain.as_ref()),
            ("platform.region", "--region", self.region.as_ref()),
            ("platform.account", "--account", self.account.as_ref()),
            ("aws.profile", "--profile", self.profile.as_ref()),
            ("tls.ca_file", "--ca-file", self.ca_file.as_ref()),
            ("terraform.dir", "--terraform-dir", self.terraform_dir.as_ref()),
        ]
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(&'static str),
    Flag(&'static str),
    /// A profile of the AWS configuration.
    Profile(String),
    Sandbox,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
            Self::Profile(name) => write!(f, "AWS profile {name}"),
            Self::Sandbox => f.write_str("sandbox"),
        }
    }
}

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub name: PlatformName,
    /// Needed for everything that looks at the platform; see `host`.
    pub domain: Option<Host>,
    pub region: Region,
    pub account: Option<AccountId>,
    pub profile: Option<String>,
    /// How long a session lasts.
    pub session: Duration,
    pub dns_servers: Vec<SocketAddr>,
    pub dns_port: u16,
    pub ca_file: Option<PathBuf>,
    /// A Terraform module of the user's own.
    pub terraform_dir: Option<PathBuf>,
    /// A file with values of its variables.
    pub terraform_variables: Option<PathBuf>,
    pub media: bool,
    pub https_port: u16,
    pub occupancy: Counted,
    /// Every key with its value and its origin.
    pub settings: Vec<Setting>,
    /// What is not wrong, but may not be meant.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads all sources, the strongest last.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        let mut values = Values::defaults();
        if let Some(path) = environment.user_file().filter(|file| file.symlink_metadata().is_ok()) {
            values.add_file(&path, file::read_found(&path)?);
        }
        if let Some(named) = flags.config.clone().or_else(|| environment.path("MEETCTL_CONFIG")) {
            let path = environment.folder.join(named);
            values.add_file(&path, file::read(&path)?);
        } else if let Some(path) = file::of_project(&environment.folder) {
            values.add_file(&path, file::read_found(&path)?);
        }
        values.add_environment(environment);
        values.add_flags(flags);
        values.add_profile(environment);
        values.check(&environment.folder)
    }

    /// The platform of the sandbox. Neither files nor variables are read; flags hold, as they would outside: under
    /// another name or in another region, there is nothing.
    pub fn sandbox_with(flags: &Flags) -> Result<Self, ConfigError> {
        let mut values = Values::sandbox();
        values.add_flags(flags);
        values.check(Path::new("/"))
    }

    /// The platform of the sandbox, as it is without a flag.
    pub fn sandbox() -> Self {
        Self::sandbox_with(&Flags::default()).expect("the sandbox's own values are right")
    }

    /// The platform's host name, for a command that needs it.
    pub fn host(&self) -> Result<&Host, ConfigError> {
        self.domain.as_ref().ok_or(ConfigError::Missing { key: "platform.domain" })
    }

    /// What the probes look at.
    pub fn sight(&self) -> Result<Sight, ConfigError> {
        Ok(Sight {
            dns_servers: self.dns_servers.clone(),
            dns_port: self.dns_port,
            limits: Limits::default(),
            ..Sight::of(Site { port: self.https_port, ..Site::of(self.host()?.clone()) })
        })
    }

    /// What judging and planning depend on. Meetings are respected unless a command says otherwise.
    pub fn policy(&self) -> Policy {
        Policy {
            platform: self.name.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
            session: self.session,
            media: self.media,
            counted: self.occupancy,
            meetings: Meetings::Respect,
            recordings: Recordings::Kept,
            agreed: None,
        }
    }

    /// The user's own roots, from `[tls] ca_file`.
    pub fn private_roots(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        self.ca_file.as_deref().map_or(Ok(Vec::new()), roots_in)
    }
}

/// All of the roots that browsers trust take a quarter of this.
const LARGEST_BUNDLE: u64 = 1024 * 1024;

/// The certificates in a PEM file.
pub fn roots_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let unreadable = |why: String| ConfigError::Roots { path: path.to_owned(), why };
    let content = files::read(path, LARGEST_BUNDLE).map_err(|e| unreadable(e.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let roots = read.map_err(|e| unreadable(e.to_string()))?;
    if roots.is_empty() { Err(unreadable("there is no certificate in it".into())) } else { Ok(roots) }
}

/// What has been found so far.
struct Values {
    of: BTreeMap<&'static str, (Value, Origin)>,
    warnings: Vec<String>,
}

impl Values {
    fn defaults() -> Self {
        let defaults = KEYS.iter().filter(|key| key.is_default);
        let of = defaults.map(|key| (key.name, (key.typed(key.bare()), Origin::Default))).collect();
        Self { of, warnings: Vec::new() }
    }

    fn sandbox() -> Self {
        let mut values = Self::defaults();
        for (key, value) in [
            ("platform.name", "jitsi-video-platform"),
            ("platform.domain", "meet.example.org"),
            ("platform.region", "us-west-2"),
            ("platform.account", "111122223333"),
        ] {
            values.set(key, value.into(), Origin::Sandbox);
        }
        values
    }

    fn set(&mut self, key: &'static str, value: Value, origin: Origin) {
        self.of.insert(key, (value, origin));
    }

    fn add_file(&mut self, path: &Path, content: Vec<file::Found>) {
        for found in content {
            self.set(found.key.name, found.value, Origin::File { path: path.to_owned(), line: found.line });
        }
    }

    fn add_environment(&mut self, environment: &Environment) {
        for key in KEYS {
            if let Some((variable, value)) = key.variables.iter().find_map(|v| Some((*v, environment.value(v)?))) {
                self.warn_of_aws(key, variable, value);
                self.set(key.name, key.typed(value), Origin::Variable(variable));
            }
        }
    }

    /// Where nobody says a region, it is the profile's.
    fn add_profile(&mut self, environment: &Environment) {
        let is_default = matches!(self.of.get("platform.region"), None | Some((_, Origin::Default)));
        let profile =
            self.of.get("aws.profile").and_then(|(value, _)| text(value).ok()).unwrap_or("default").to_owned();
        if is_default && let Some(region) = AwsProfile::of(environment, &profile).region {
            self.set("platform.region", region.into(), Origin::Profile(profile));
        }
    }

    /// A region that was exported for something else makes the platform look destroyed.
    fn warn_of_aws(&mut self, key: &Key, variable: &str, value: &str) {
        if let Some((Value::String(written), origin @ Origin::File { .. })) = self.of.get(key.name)
            && key.name == "platform.region"
            && variable.starts_with("AWS_")
            && written != value
        {
            self.warnings.push(format!("{variable}={value} is used instead of {written} ({origin})"));
        }
    }

    fn add_flags(&mut self, flags: &Flags) {
        for (key, flag, value) in flags.given() {
            if let Some(value) = value {
                self.set(key, value.as_str().into(), Origin::Flag(flag));
            }
        }
    }

    fn check(self, folder: &Path) -> Result<Config, ConfigError> {
        Ok(Config {
            domain: self.read("platform.domain", parsed)?,
            name: self.must("platform.name", parsed)?,
            region: self.must("platform.region", parsed)?,
            account: self.read("platform.account", parsed)?,
            profile: self.read("aws.profile", parsed)?,
            session: self.must("session.length", |value| span(text(value)?))?,
            dns_servers: self.read("dns.servers", servers)?.unwrap_or_default(),
            dns_port: self.must("dns.port", port)?,
            ca_file: self.path("tls.ca_file", folder)?,
            terraform_dir: self.path("terraform.dir", folder)?,
            terraform_variables: self.path("terraform.variables", folder)?,
            media: self.must("probe.media", switch)?,
            https_port: self.must("probe.https_port", port)?,
            occupancy: self.must("occupancy.source", counted)?,
            settings: KEYS.iter().map(|key| self.setting(key)).collect(),
            warnings: self.warnings,
        })
    }

    fn read<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.of.get(key) else { return Ok(None) };
        parse(value).map(Some).map_err(|why| ConfigError::BadValue { key, origin: origin.clone(), why })
    }

    fn must<T>(&self, key: &'static str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Result<T, ConfigError> {
        self.read(key, parse)?.ok_or(ConfigError::Missing { key })
    }

    /// A relative path is relative to the file that names it, else to the current folder.
    fn path(&self, key: &'static str, folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
        let base = match self.of.get(key) {
            Some((_, Origin::File { path, .. })) => path.parent().unwrap_or(folder),
            Some(_) | None => folder,
        };
        self.read(key, |value| Ok(base.join(text(value)?)))
    }

    fn setting(&self, key: &Key) -> Setting {
        let found = self.of.get(key.name);
        Setting {
            key: key.name.into(),
            value: found.map(|(value, _)| value.to_string()),
            origin: found.map_or(&Origin::Default, |(_, origin)| origin).to_string(),
        }
    }
}
