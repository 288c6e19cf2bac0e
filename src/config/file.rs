//! A configuration file: TOML text in, keys with their lines out.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::ConfigError;
use super::key::{HUGE, KEYS, Key, nearest};
use crate::files;

/// A configuration file is small; anything larger is not one.
const LARGEST: u64 = 1024 * 1024;
const PROJECT_FILE: &str = "meetctl.toml";

/// A value with the line on which it stands.
#[derive(Debug)]
pub struct Found {
    pub key: &'static Key,
    pub value: Value,
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
    place.walk_all("", table.get_ref(), &mut found)?;
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
    fn walk_all(&self, above: &str, table: &DeTable<'_>, found: &mut Vec<Found>) -> Result<(), ConfigError> {
        table.iter().try_for_each(|(name, value)| {
            self.walk(&format!("{above}{}", name.get_ref()), name.span().start, value, found)
        })
    }

    /// Follows tables until a key is reached.
    fn walk(
        &self,
        name: &str,
        at: usize,
        value: &Spanned<DeValue<'_>>,
        found: &mut Vec<Found>,
    ) -> Result<(), ConfigError> {
        let (path, line, inside) = (self.path.to_owned(), self.line(at), format!("{name}."));
        let is_section = KEYS.iter().any(|key| key.name.starts_with(&inside));
        match (Key::find(name), value.get_ref()) {
            (Some(key), _) => {
                let value = Value::deserialize(ValueDeserializer::from(value.clone())).unwrap_or(HUGE);
                found.push(Found { key, value, line });
                Ok(())
            }
            (None, DeValue::Table(table)) if is_section => self.walk_all(&inside, table, found),
            (None, _) if is_section => Err(ConfigError::NotASection { path, line, name: name.to_owned() }),
            (None, other) => {
                // A whole section that is not known: the first key in it tells best which one was meant.
                let first = other.as_table().filter(|_| !name.contains('.')).map(|table| table.keys());
                let first = first.and_then(|keys| keys.min_by_key(|key| key.span().start));
                let near = first.map_or_else(|| name.to_owned(), |first| format!("{inside}{}", first.get_ref()));
                Err(ConfigError::UnknownKey { path, line, key: name.to_owned(), nearest: nearest(&near) })
            }
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let at = error.span().map_or(0, |span| span.start);
        let column = 1 + self.before(at).chars().rev().take_while(|c| *c != '\n').count();
        let message = error.message().replace('\n', ", ");
        ConfigError::Syntax { path: self.path.to_owned(), line: self.line(at), column, message }
    }

    fn line(&self, at: usize) -> usize {
        1 + self.before(at).matches('\n').count()
    }

    fn before(&self, at: usize) -> &str {
        &self.text[..self.text.floor_char_boundary(at)]
    }
}
