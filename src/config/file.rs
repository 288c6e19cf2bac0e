//! A configuration file: TOML text in, keys with their lines out.

use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::key::{KEYS, Key, Raw};
use crate::files;

/// A configuration file is small; anything larger is not one.
const LARGEST: u64 = 1024 * 1024;
const PROJECT_FILE: &str = "meetctl.toml";

/// A value with the line on which it stands.
#[derive(Debug)]
pub struct Found {
    pub key: &'static Key,
    pub raw: Raw,
    pub line: usize,
}

/// The project's file: `meetctl.toml` in this folder or the nearest above it, whatever it is.
pub(super) fn of_project(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|above| above.join(PROJECT_FILE)).find(|file| file.symlink_metadata().is_ok())
}

/// Reads a file that somebody named, and that must exist.
pub(super) fn read(path: &Path) -> Result<Vec<Found>, ConfigError> {
    understand(path, files::read(path, LARGEST))
}

/// Reads a file that nobody named: one that somebody else can write is refused, whatever it says.
pub(super) fn read_found(path: &Path) -> Result<Vec<Found>, ConfigError> {
    understand(path, files::read_found(path, LARGEST))
}

fn understand(path: &Path, content: io::Result<Vec<u8>>) -> Result<Vec<Found>, ConfigError> {
    let unreadable = |why: String| ConfigError::Unreadable { path: path.to_owned(), why };
    let bytes = content.map_err(|error| match error {
        planted if files::is_planted(&planted) => {
            ConfigError::Planted { path: path.to_owned(), why: planted.to_string() }
        }
        other => unreadable(other.to_string()),
    })?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let good = String::from_utf8_lossy(&e.as_bytes()[..e.utf8_error().valid_up_to()]);
        unreadable(format!("line {} is not UTF-8 text", 1 + good.matches('\n').count()))
    })?;
    parse(path, &text)
}

/// Reads TOML text. `path` is for the errors.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Found>, ConfigError> {
    let place = Place { path, text };
    let table = DeTable::parse(text).map_err(|e| place.syntax(&e))?;
    let mut found = Vec::new();
    for (name, value) in table.get_ref() {
        place.walk(name.get_ref(), name.span().start, value.get_ref(), &mut found)?;
    }
    Ok(found)
}

/// For the fuzz targets.
pub(crate) fn survive(text: &str) {
    let _ = parse(Path::new("meetctl.toml"), text);
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    /// Follows tables until a key is reached.
    fn walk(&self, name: &str, at: usize, value: &DeValue<'_>, found: &mut Vec<Found>) -> Result<(), ConfigError> {
        let inside = format!("{name}.");
        let is_section = KEYS.iter().any(|k| k.name.starts_with(&inside));
        match (KEYS.iter().find(|k| k.name == name), value) {
            (Some(key), value) => found.push(Found { key, raw: raw(value), line: self.line(at) }),
            (None, DeValue::Table(table)) if is_section => {
                for (inner, value) in table {
                    self.walk(&format!("{inside}{}", inner.get_ref()), inner.span().start, value.get_ref(), found)?;
                }
            }
            (None, _) if is_section => {
                return Err(ConfigError::NotASection {
                    path: self.path.to_owned(),
                    line: self.line(at),
                    name: name.into(),
                });
            }
            // A whole section that is not known: the first key in it tells best which one was meant.
            (None, DeValue::Table(table)) if !table.is_empty() && !name.contains('.') => {
                let inner = table.keys().min_by_key(|k| k.span().start).map_or("", |k| k.get_ref());
                return Err(self.unknown(name, at, &format!("{name}.{inner}")));
            }
            (None, _) => return Err(self.unknown(name, at, name)),
        }
        Ok(())
    }

    fn unknown(&self, name: &str, at: usize, like: &str) -> ConfigError {
        ConfigError::UnknownKey {
            path: self.path.to_owned(),
            line: self.line(at),
            key: name.to_owned(),
            nearest: super::key::nearest(like),
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let at = error.span().map_or(0, |s| s.start);
        let before = self.before(at);
        let column = 1 + before.chars().rev().take_while(|c| *c != '\n').count();
        let message = error.message().replace('\n', ", ");
        ConfigError::Syntax { path: self.path.to_owned(), line: self.line(at), column, message }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.before(at).matches('\n').count()
    }

    fn before(&self, at: usize) -> &str {
        let end = (0..=at.min(self.text.len())).rev().find(|i| self.text.is_char_boundary(*i)).unwrap_or(0);
        &self.text[..end]
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(n) => {
            i64::from_str_radix(n.as_str(), n.radix()).map_or(Raw::Other("a huge number"), Raw::Number)
        }
        DeValue::Boolean(on) => Raw::Switch(*on),
        DeValue::Array(items) => Raw::List(items.iter().map(|i| raw(i.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a section"),
    }
}
