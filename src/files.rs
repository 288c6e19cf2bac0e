//! Files that others may have made: read only when they are files, written so that nobody's link is followed.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Where nothing is a file that one could write anew.
const OF_THE_SYSTEM: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Opens a file to read it. A folder, a FIFO or a device is refused, and not waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match not_a_file(&file.metadata()?) {
        None => Ok(file),
        Some(kind) => Err(unfit(format!("it is {kind}, not a file"))),
    }
}

/// Opens a file to lock it, and makes it where there is none. A link is not followed, and a FIFO not waited for.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW).bits()).unwrap_or_default();
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(flags).open(path)
}

/// The content of a file that is at most so large.
pub fn read(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    read_from(open(path)?, largest)
}

fn read_from(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // A file may grow meanwhile, and some say that they have no size.
    let length = file.take(largest.saturating_add(1)).read_to_end(&mut content)?;
    if u64::try_from(length).is_ok_and(|length| length <= largest) {
        Ok(content)
    } else {
        const MIB: u64 = 1024 * 1024;
        let size = if largest >= MIB { format!("{} MiB", largest / MIB) } else { format!("{} KiB", largest / 1024) };
        Err(unfit(format!("it is larger than {size}")))
    }
}

/// The content of a file that nobody named, but that was found where it may be: it must be one that nobody else can write.
pub fn read_found(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // The link that leads to it may be somebody else's, too.
    for seen in [fs::symlink_metadata(path)?, file.metadata()?] {
        if let Some(why) = Me::now().distrusts(&seen) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, Planted(why)));
        }
    }
    read_from(file, largest)
}

/// Why a folder that nobody named cannot be worked in: somebody else can write into it. `None` where there is none yet.
pub fn check_found_folder(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(seen) => match Me::now().distrusts(&seen) {
            Some(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, Planted(why))),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a file was refused because somebody else can write it.
pub fn is_planted(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Planted>()).is_some()
}

/// Why somebody else may have written it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Planted(String);

fn unfit(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn not_a_file(seen: &Metadata) -> Option<&'static str> {
    let kind = seen.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

/// Who asks, as the operating system knows users.
#[derive(Clone, Debug)]
struct Me {
    user: u32,
    /// Groups that have nobody in them but the user of the same number, as far as the system's own lists say.
    users: String,
    groups: String,
}

const ROOT: u32 = 0;
/// The system's lists of users and groups are small; a directory service keeps large ones.
const LARGEST_LIST: u64 = 4 * 1024 * 1024;

impl Me {
    fn now() -> Self {
        let list = |path: &str| {
            let content = read(Path::new(path), LARGEST_LIST).unwrap_or_default();
            String::from_utf8_lossy(&content).into_owned()
        };
        Self { user: rustix::process::geteuid().as_raw(), users: list("/etc/passwd"), groups: list("/etc/group") }
    }

    fn distrusts(&self, seen: &Metadata) -> Option<String> {
        self.objects(seen.uid(), seen.gid(), if seen.is_symlink() { 0 } else { seen.mode() })
    }

    fn objects(&self, owner: u32, group: u32, mode: u32) -> Option<String> {
        if owner != self.user && owner != ROOT {
            Some(format!("it belongs to {}, not to you", self.name_of(owner)))
        } else if mode & 0o002 != 0 {
            Some("everybody on this machine can write it".to_owned())
        } else if mode & 0o020 != 0 && !self.is_own(group, owner) {
            Some(format!("the group {group} can write it, which is not its owner's own"))
        } else {
            None
        }
    }

    fn name_of(&self, user: u32) -> String {
        match entry(&self.users, 2, user) {
            Some(fields) => fields[0].to_owned(),
            None => format!("the user {user}"),
        }
    }

    /// Whether nobody is in the group but its owner, as with the private groups that most systems make for each user.
    fn is_own(&self, group: u32, owner: u32) -> bool {
        let Some(name) = entry(&self.users, 2, owner).map(|fields| fields[0]) else {
            return group == owner;
        };
        let alone = |members: &str| members.split(',').all(|member| member.is_empty() || member == name);
        let others = self.users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let shared = others
            .into_iter()
            .any(|fields| fields.len() > 3 && fields[3].parse() == Ok(group) && fields[2].parse() != Ok(owner));
        match entry(&self.groups, 2, group) {
            Some(fields) => fields[0] == name && fields.get(3).is_none_or(|members| alone(members)) && !shared,
            None => group == owner,
        }
    }
}

/// The line of a list of users or groups with this number.
fn entry(list: &str, column: usize, number: u32) -> Option<Vec<&str>> {
    let lines = list.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.into_iter().find(|fields| fields.get(column).is_some_and(|field| field.parse() == Ok(number)))
}

/// A file that becomes another one, at once and whole. Dropped before that, it is taken away.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    becomes: PathBuf,
    file: File,
    done: bool,
}

impl Draft {
    /// Begins a file beside the one that it will become, under a name that nobody can guess. A link at that place is
    /// replaced, not followed; what is there and is no file is left alone.
    pub fn of(becomes: &Path) -> io::Result<Self> {
        let folder = becomes.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(kind) = fs::metadata(becomes).ok().and_then(|seen| not_a_file(&seen)) {
            return Err(unfit(format!("it is {kind}, not a file")));
        }
        let system = fs::canonicalize(folder)?;
        if OF_THE_SYSTEM.iter().any(|of| system.starts_with(of)) {
            return Err(unfit(format!("{} is the operating system's own", system.display())));
        }
        let name = becomes.file_name().ok_or_else(|| unfit("it has no name".to_owned()))?;
        let path = folder.join(format!(".{}.{:016x}", name.to_string_lossy(), random()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { path, becomes: becomes.to_owned(), file, done: false })
    }

    /// Writes it, and lets it take its place. A file that was there before hands on who may read it.
    pub fn finish(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        if let Some(before) = fs::symlink_metadata(&self.becomes).ok().filter(Metadata::is_file) {
            self.file.set_permissions(Permissions::from_mode(before.mode() & 0o777))?;
        }
        fs::rename(&self.path, &self.becomes)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            // Of no use to anybody; what went wrong is said elsewhere.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a file at once and whole, over what is there.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    Draft::of(path)?.finish(content)
}

/// The standard library's hash keys are random for each process, and differ at each use.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn ana() -> Me {
        let users = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/home/ana:/bin/sh\nbob:x:1001:100::/:/bin/sh\n";
        let groups = "root:x:0:\nana:x:1000:\nusers:x:100:ana,bob\nwheel:x:10:ana\nmixed:x:1002:ana\n";
        Me { user: 1000, users: users.into(), groups: groups.into() }
    }

    #[test]
    fn who_else_may_have_written_a_file() {
        for (owner, group, mode, objection) in [
            (1000, 1000, 0o100_644, None),
            (1000, 1000, 0o100_664, None),
            (1000, 100, 0o100_640, None),
            (0, 0, 0o100_644, None),
            (0, 0, 0o100_664, None),
            (1001, 100, 0o100_644, Some("it belongs to bob, not to you")),
            (4242, 1000, 0o100_600, Some("it belongs to the user 4242, not to you")),
            (1000, 1000, 0o100_666, Some("everybody on this machine can write it")),
            (0, 0, 0o100_602, Some("everybody on this machine can write it")),
            (1000, 100, 0o100_664, Some("the group 100 can write it, which is not its owner's own")),
            (1000, 10, 0o100_660, Some("the group 10 can write it, which is not its owner's own")),
            (1000, 77, 0o100_660, Some("the group 77 can write it, which is not its owner's own")),
            (0, 1000, 0o100_664, Some("the group 1000 can write it, which is not its owner's own")),
        ] {
            assert_eq!(ana().objects(owner, group, mode).as_deref(), objection, "{owner}:{group} {mode:o}");
        }
        let joined = Me { groups: "ana:x:1000:bob\n".into(), ..ana() };
        assert!(joined.objects(1000, 1000, 0o100_664).is_some(), "somebody has joined her group");
        let moved = Me { users: "ana:x:1000:1000:\neve:x:1003:1000:\n".into(), ..ana() };
        assert!(moved.objects(1000, 1000, 0o100_664).is_some(), "somebody else begins in her group");
        let unlisted = Me { user: 5000, users: String::new(), groups: String::new() };
        assert_eq!(unlisted.objects(5000, 5000, 0o100_664), None, "a directory service has the lists");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .expect("a FIFO");
        for (path, why) in [
            (fifo.as_path(), "it is a FIFO, not a file"),
            (folder.path(), "it is a folder, not a file"),
            (Path::new("/dev/zero"), "it is a device, not a file"),
        ] {
            assert_eq!(read(path, 10).expect_err("no file").to_string(), why);
            assert!(Draft::of(path).is_err(), "{}", path.display());
        }
        let large = folder.path().join("large");
        fs::write(&large, [b'x'; 3000]).expect("written");
        assert_eq!(read(&large, 2048).expect_err("large").to_string(), "it is larger than 2 KiB");
        assert_eq!(read(&large, 3000).expect("as large as it may be").len(), 3000);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (victim, report) = (folder.path().join("victim"), folder.path().join("report"));
        fs::write(&victim, "precious").expect("written");
        symlink(&victim, &report).expect("a link");
        for turn in ["first", "second"] {
            replace(&report, turn.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&report).expect("a report"), turn);
            assert_eq!(fs::read_to_string(&victim).expect("untouched"), "precious");
        }
        let seen = fs::symlink_metadata(&report).expect("a file");
        assert_eq!((seen.is_file(), seen.mode() & 0o777), (true, 0o600));
        fs::set_permissions(&report, Permissions::from_mode(0o644)).expect("open to others");
        replace(&report, b"third").expect("replaced");
        assert_eq!(fs::metadata(&report).expect("a file").mode() & 0o777, 0o644);
        drop(Draft::of(&report).expect("a draft"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2, "no draft is left");
    }

    #[test]
    fn the_systems_own_folders_are_left_alone() {
        for path in ["/dev/report.html", "/proc/report.html", "/dev/../dev/null"] {
            assert!(Draft::of(Path::new(path)).is_err(), "{path}");
        }
    }
}
