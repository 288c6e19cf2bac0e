//! The one place where the environment is read.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the process was started with, apart from its arguments.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub variables: BTreeMap<String, String>,
    /// The current folder.
    pub folder: PathBuf,
}

impl Environment {
    /// The environment of this process. What is not UTF-8 is not for us.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os();
        Self {
            variables: variables.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect(),
            folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        }
    }

    /// A variable's value; an empty one counts as none.
    pub fn value(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str).filter(|value| Self::counts(value))
    }

    /// Whether a value is one: an empty one counts as none, whoever reads it.
    pub fn counts(value: &str) -> bool {
        !value.trim().is_empty()
    }

    pub fn is(&self, variable: &str, value: &str) -> bool {
        self.value(variable) == Some(value)
    }

    pub fn path(&self, variable: &str) -> Option<PathBuf> {
        self.value(variable).map(PathBuf::from)
    }

    /// Where programs keep what they want to find again, after the XDG base directory specification.
    pub fn state_folder(&self) -> Option<PathBuf> {
        self.xdg("XDG_STATE_HOME", ".local/state")
    }

    /// Where programs keep what they work with.
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.xdg("XDG_DATA_HOME", ".local/share")
    }

    /// Where programs keep what they can get again.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        self.xdg("XDG_CACHE_HOME", ".cache")
    }

    fn xdg(&self, variable: &str, otherwise: &str) -> Option<PathBuf> {
        let folder = self.path(variable).filter(|f| f.is_absolute());
        folder.or_else(|| Some(self.home()?.join(otherwise))).map(|f| f.join("meetctl"))
    }

    pub fn home(&self) -> Option<PathBuf> {
        self.path("HOME").or_else(|| self.path("USERPROFILE"))
    }

    /// The user's own file. The XDG specification ignores relative folders.
    pub fn user_file(&self) -> Option<PathBuf> {
        self.xdg("XDG_CONFIG_HOME", ".config").map(|f| f.join("config.toml"))
    }
}
