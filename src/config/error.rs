//! What can be wrong with the configuration, and what to do about it.

use std::path::PathBuf;

use super::{Key, Origin};
use crate::error::{Failure, Kind};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration {} could not be read", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("the configuration {} is not used: somebody else may have written it", path.display())]
    Planted { path: PathBuf, why: String },
    #[error("the configuration {} is not TOML", path.display())]
    Syntax { path: PathBuf, line: usize, column: usize, message: String },
    #[error("the configuration has an unknown key, `{key}`")]
    UnknownKey { path: PathBuf, line: usize, key: String, nearest: Option<&'static str> },
    #[error("`{name}` is a section of the configuration, not a key")]
    NotASection { path: PathBuf, line: usize, name: String },
    #[error("the value of `{key}` is of no use")]
    BadValue { key: &'static str, origin: Origin, why: String },
    #[error("`{key}` is not set")]
    Missing { key: &'static str },
    /// A setting of AWS's own tools; `variable` where it is one.
    #[error("the AWS setting {setting} is of no use")]
    Aws { setting: String, why: String, variable: Option<String> },
    #[error("the private root {} could not be read", path.display())]
    Roots { path: PathBuf, why: String },
}

fn example(key: &str) -> String {
    Key::find(key).map(Key::example).unwrap_or_default()
}

/// How to set a key where it was set wrongly.
fn mend(key: &str, origin: &Origin) -> String {
    let bare = Key::find(key).map_or("", Key::bare);
    match origin {
        Origin::Variable(variable) => format!("set it like this: {variable}={bare}"),
        Origin::Flag(flag) => format!("write it like this: `{flag} {bare}`"),
        Origin::Profile(profile) => format!("mend `region` in the AWS profile {profile}, or set `platform.region`"),
        Origin::File { .. } | Origin::Default | Origin::Sandbox => format!("write something like `{}`", example(key)),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let kind = match &error {
            ConfigError::BadValue { origin: Origin::Flag(_), .. } => Kind::Usage,
            _ => Kind::Configuration,
        };
        let failure = Self::new(kind, error.to_string());
        match error {
            ConfigError::Unreadable { why, .. } => {
                failure.because(why).next("check the path and its permissions, or write a new one with `meetctl init`")
            }
            ConfigError::Planted { path, why } => failure
                .because(why)
                .next(format!("if you trust it, make it yours alone: `chmod go-w {0}` (and `chown`)", path.display()))
                .next(format!("or name it yourself: `--config {}`", path.display())),
            ConfigError::Syntax { path, line, column, message } => failure
                .because(format!("{}:{line}:{column}: {message}", path.display()))
                .next(format!("mend line {line}; a line looks like `{}`", example("platform.domain"))),
            ConfigError::UnknownKey { path, line, nearest, .. } => {
                let failure = failure.because(format!("it stands at {}:{line}", path.display()));
                match nearest {
                    Some(meant) => failure.next(format!("perhaps you mean `{meant}`")),
                    None => failure.next("remove it; `meetctl config show` lists every key"),
                }
            }
            ConfigError::NotASection { path, line, name } => failure
                .because(format!("it stands at {}:{line}", path.display()))
                .next(format!("write `[{name}]` on a line of its own, and its keys below")),
            ConfigError::BadValue { key, origin, why } => {
                failure.because(format!("{why} ({origin})")).next(mend(key, &origin))
            }
            ConfigError::Aws { setting, why, variable } => failure.because(why).next(match variable {
                Some(variable) => format!("mend it, or unset it: `unset {variable}`"),
                None => format!("mend {setting}, or choose another profile with `--profile`"),
            }),
            ConfigError::Missing { key } => failure
                .because("no flag, no variable and no file says it")
                .next("write a configuration: `meetctl init`")
                .next(format!("or say it once: `{}`", said_once(key))),
            ConfigError::Roots { why, .. } => {
                failure.because(why).next("point `[tls] ca_file` to a file with a certificate in PEM, or remove it")
            }
        }
    }
}

fn said_once(key: &str) -> &'static str {
    match key {
        "platform.domain" => "meetctl --domain meet.example.org …",
        _ => "meetctl --help",
    }
}
