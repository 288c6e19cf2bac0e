//! Keeps a story between two invocations: one JSON file each, under the directory of `MEETCTL_STATE_DIR`.

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::ground::Saved;
use super::model::EPOCH;
use super::stories::Story;
use crate::files;

/// A story of a hundred starts is far below this.
const LARGEST: u64 = 64 * 1024 * 1024;

/// A state whose time is further away than this from the stories' beginning is not one that we wrote.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365 * 100);

/// Where the stories are kept.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// Why a kept story cannot be used. Starting it over with a reset helps in each case but the first.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the sandbox's state {} cannot be used", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("the sandbox's state {} is damaged: {why}", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error("another meetctl is playing the story {story}")]
    Busy { story: Story, path: PathBuf },
    #[error("the sandbox's state {} was written by a newer meetctl (version {found} of the format)", path.display())]
    Newer { path: PathBuf, found: u32 },
}

/// Whoever has it plays a story alone. It ends with its holder, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: fs::File,
}

/// How long to wait between two tries to get it.
const TRY_AGAIN: Duration = Duration::from_millis(50);

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Store {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where a story is kept.
    pub fn path(&self, story: Story) -> PathBuf {
        self.directory.join(format!("sandbox-{story}.json"))
    }

    /// Waits until nobody else plays the story, by real time, at most so long.
    pub fn lock(&self, story: Story, limit: Duration) -> Result<Lock, StoreError> {
        let path = self.directory.join(format!("sandbox-{story}.lock"));
        let opened = make(&self.directory).and_then(|()| files::open_lock(&path));
        let file = match opened {
            Ok(file) => file,
            Err(source) => return Err(StoreError::Unusable { path, source }),
        };
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::Error(source)) => return Err(StoreError::Unusable { path, source }),
                Err(TryLockError::WouldBlock) if waited >= limit => return Err(StoreError::Busy { story, path }),
                Err(TryLockError::WouldBlock) => {
                    let nap = TRY_AGAIN.min(limit.saturating_sub(waited));
                    #[expect(clippy::disallowed_methods, reason = "the other process plays in real time")]
                    std::thread::sleep(nap);
                    waited += nap;
                }
            }
        }
    }

    /// A story where it was left; `None` when it has not begun.
    pub fn load(&self, story: Story) -> Result<Option<Saved>, StoreError> {
        let path = self.path(story);
        let text = match files::read(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Unusable { path, source }),
        };
        match parse(&text, story) {
            Ok(saved) => Ok(Some(saved)),
            Err(Unfit::Newer(found)) => Err(StoreError::Newer { path, found }),
            Err(Unfit::Damaged(why)) => Err(StoreError::Damaged { path, why }),
        }
    }

    /// Keeps a story. Whoever reads meanwhile finds the old state or the new one, never a part.
    pub fn save(&self, saved: &Saved) -> Result<(), StoreError> {
        let path = self.path(saved.model.story);
        write(&self.directory, &path, saved).map_err(|source| StoreError::Unusable { path, source })
    }

    /// Lets a story begin anew.
    pub fn forget(&self, story: Story) -> Result<(), StoreError> {
        let path = self.path(story);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::Unusable { path, source: error }),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

enum Unfit {
    Newer(u32),
    Damaged(String),
}

fn parse(text: &[u8], story: Story) -> Result<Saved, Unfit> {
    let damaged = |error: serde_json::Error| Unfit::Damaged(error.to_string());
    let Versioned { version } = serde_json::from_slice(text).map_err(damaged)?;
    if version > Saved::VERSION {
        return Err(Unfit::Newer(version));
    }
    let saved: Saved = serde_json::from_slice(text).map_err(damaged)?;
    if saved.model.story != story {
        return Err(Unfit::Damaged(format!("it holds the story {}", saved.model.story)));
    }
    if !is_sane(saved.now) {
        return Err(Unfit::Damaged(format!("its time is {}", saved.now)));
    }
    Ok(saved)
}

fn is_sane(now: Timestamp) -> bool {
    now >= EPOCH && now.duration_since(EPOCH) < LIFETIME
}

fn make(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

fn write(directory: &Path, path: &Path, saved: &Saved) -> io::Result<()> {
    make(directory)?;
    let mut text = serde_json::to_vec_pretty(saved)?;
    text.push(b'\n');
    files::replace(path, &text)
}
