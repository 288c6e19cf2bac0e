//! The modules that ship inside the binary, and the folder into which they are unpacked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::changes::Recordings;

/// Each file is named here, rather than taken from the folder: a folder in which somebody has worked holds the provider,
/// some 700 MB, and perhaps a state. A test compares the list with the folder.
macro_rules! files {
    ($($path:literal)*) => { &[$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)))),*] };
}

const FILES: &[(&str, &[u8])] = files! {
    "jitsi-config/deliver.sh.tftpl"
    "jitsi-config/jicofo/custom-jicofo.conf"
    "jitsi-config/jvb/custom-jvb.conf"
    "jitsi-config/occupancy.sh"
    "jitsi-config/prosody/zz-meetctl.cfg.lua"
    "jitsi-config/themes/aws-aerospace/background.svg"
    "jitsi-config/themes/aws-aerospace/logo.svg"
    "jitsi-config/web/branding/branding.json.tftpl"
    "jitsi-config/web/branding/title.html.tftpl"
    "jitsi-config/web/custom-config.js.tftpl"
    "jitsi-config/web/custom-interface_config.js.tftpl"
    "jitsi-config/web/nginx/branding.conf"
    "jitsi-config/web/nginx/headers.conf.tftpl"
    "terraform/.terraform.lock.hcl"
    "terraform/bootstrap/.terraform.lock.hcl"
    "terraform/bootstrap/main.tf"
    "terraform/dns.tf"
    "terraform/iam.tf"
    "terraform/ingress.tf"
    "terraform/jitsi.tf"
    "terraform/network.tf"
    "terraform/observability.tf"
    "terraform/outputs.tf"
    "terraform/providers.tf"
    "terraform/quotas.tf"
    "terraform/removal/keep-recordings.tf"
    "terraform/removal/main.tf"
    "terraform/schedules.tf"
    "terraform/secrets.tf"
    "terraform/service.tf"
    "terraform/storage.tf"
    "terraform/tofu.lock.hcl"
    "terraform/variables.tf"
    "terraform/versions.tf"
};

const LOCK: &str = "terraform/.terraform.lock.hcl";
const KEEP: &str = "terraform/removal/keep-recordings.tf";

/// The working folder of one platform.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// The user's own module, instead of the one that ships.
    own: Option<PathBuf>,
}

impl Folder {
    pub(super) fn new(root: PathBuf, own: Option<PathBuf>) -> Self {
        Self { root, own }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn stack(&self) -> PathBuf {
        self.own.clone().unwrap_or_else(|| self.root.join("terraform"))
    }

    pub(super) fn bootstrap(&self) -> PathBuf {
        self.root.join("terraform/bootstrap")
    }

    pub(super) fn removal(&self) -> PathBuf {
        self.root.join("terraform/removal")
    }

    /// Where Terraform keeps what it downloads. The stack and its removal have the same backend, and share it.
    pub(super) fn data(&self, module: &Path) -> PathBuf {
        self.root.join(if module == self.bootstrap() { "data-bootstrap" } else { "data" })
    }

    /// Writes the modules, and takes away modules that an older meetctl wrote. Doing so again changes nothing.
    pub(super) fn unpack(&self, recordings: Recordings) -> io::Result<()> {
        for (path, content) in FILES {
            write(&self.root.join(path), content)?;
        }
        let lock = FILES.iter().find(|(path, _)| *path == LOCK).map_or(&[][..], |(_, content)| content);
        if !self.removal().join(".terraform.lock.hcl").exists() {
            write(&self.removal().join(".terraform.lock.hcl"), lock)?;
        }
        if recordings == Recordings::Deleted {
            remove(&self.root.join(KEEP))?;
        }
        for folder in ["terraform", "terraform/bootstrap", "terraform/removal"] {
            for old in surplus(&self.root, folder)? {
                remove(&old)?;
            }
        }
        Ok(())
    }
}

/// Configuration that is not ours any more; states and locks are no configuration.
fn surplus(root: &Path, folder: &str) -> io::Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let name = entry?.file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        let is_module = [".tf", ".tf.json", ".tfvars", ".tfvars.json"].iter().any(|end| path.ends_with(end));
        if is_module && FILES.iter().all(|(known, _)| *known != path) {
            old.push(root.join(path));
        }
    }
    Ok(old)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // Terraform adds this machine's checksums to the lock file: that is not undone.
    let is_lock = path.file_name().is_some_and(|n| n == ".terraform.lock.hcl");
    if fs::read(path).is_ok_and(|found| found == content || is_lock) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn walk(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
            let leftover = name == ".terraform"
                || name.contains(".tfstate")
                || Path::new(&name).extension().is_some_and(|e| e == "md")
                || name == "policies";
            if leftover {
                continue;
            }
            if entry.is_dir() {
                walk(&entry, found);
            } else {
                found.insert(entry);
            }
        }
    }

    /// A file that is not named here would be missing for those who install the binary.
    #[test]
    fn the_list_is_the_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        walk(&root.join("terraform"), &mut found);
        walk(&root.join("jitsi-config"), &mut found);
        // Made at run time from the one of the stack.
        found.remove(&root.join("terraform/removal/.terraform.lock.hcl"));
        let listed: BTreeSet<PathBuf> = FILES.iter().map(|(path, _)| root.join(path)).collect();
        assert_eq!(listed, found);
    }

    #[test]
    fn unpacking_again_changes_nothing_but_what_is_old() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(home.path().join("p"), None);
        folder.unpack(Recordings::Kept).expect("unpacked");
        let (lock, old, state) = (
            folder.stack().join(".terraform.lock.hcl"),
            folder.stack().join("old.tf"),
            folder.bootstrap().join("terraform.tfstate"),
        );
        for path in [&lock, &old, &state] {
            fs::write(path, "changed").expect("written");
        }
        folder.unpack(Recordings::Deleted).expect("unpacked again");
        assert!(!old.exists() && state.exists());
        assert_eq!(fs::read_to_string(&lock).expect("a lock file"), "changed");
        assert!(!folder.removal().join("keep-recordings.tf").exists());
        folder.unpack(Recordings::Kept).expect("unpacked once more");
        assert!(folder.removal().join("keep-recordings.tf").exists());
    }
}
