//! What a test needs from the machine, and what is said where it is missing.
//!
//! Missing in CI is a failure; missing on a user's machine makes the test *ignored*, with the
//! reason printed. A test is never called passed when it did not run.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libtest_mimic::{Completion, Failed, Trial};

use crate::process::Result;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// Python with `venv`, and the packages of `requirements.txt` (fetched once).
    Moto,
    /// `terraform`, 1.11 or newer; the provider is downloaded, or comes from a mirror.
    Terraform,
    Nginx,
    Prosody,
    /// `knotd` and `knotc`.
    Knot,
    Curl,
    Dig,
    OpenSsl,
    /// `turnserver` and `turnutils_stunclient`.
    Coturn,
    /// A second reader of STUN, for Debian's own Python.
    Aioice,
    /// Ports 53 and 443 on a loopback address of our own: root, and a system on which all of
    /// `127.0.0.0/8` is local.
    LowPorts,
}

impl Need {
    /// `None` when it is there; else what is missing and what to install.
    pub(crate) fn missing(self) -> Option<String> {
        match self {
            Self::Moto => program_missing("python3", "python3-venv").or_else(|| {
                static MOTO: OnceLock<Option<String>> = OnceLock::new();
                MOTO.get_or_init(|| {
                    crate::moto::installed().err().map(|e| {
                        format!("moto cannot be installed into a venv (needs python3-venv and a package index): {e}")
                    })
                })
                .clone()
            }),
            Self::Terraform => find("terraform")
                .is_none()
                .then(|| "no terraform (https://developer.hashicorp.com/terraform/install)".into()),
            Self::Nginx => program_missing("nginx", "nginx-light"),
            Self::Prosody => program_missing("prosody", "prosody"),
            Self::Knot => program_missing("knotd", "knot").or_else(|| program_missing("knotc", "knot")),
            Self::Curl => program_missing("curl", "curl"),
            Self::Dig => program_missing("dig", "bind9-dnsutils"),
            Self::OpenSsl => program_missing("openssl", "openssl"),
            Self::Coturn => {
                program_missing("turnserver", "coturn").or_else(|| program_missing("turnutils_stunclient", "coturn"))
            }
            Self::Aioice => python_with_aioice().is_none().then(|| "no aioice (Debian package python3-aioice)".into()),
            Self::LowPorts => {
                static LOW: OnceLock<bool> = OnceLock::new();
                let free = *LOW.get_or_init(|| {
                    let own = crate::process::loopback();
                    own != Ipv4Addr::LOCALHOST && [53, 443].iter().all(|port| TcpListener::bind((own, *port)).is_ok())
                });
                (!free).then(|| "ports 53 and 443 on 127.0.0.0/8 cannot be used: run the tests as root on Linux".into())
            }
        }
    }
}

/// Whether the well-known ports can be used on an address of our own.
pub(crate) fn low_ports() -> bool {
    static LOW: OnceLock<bool> = OnceLock::new();
    *LOW.get_or_init(|| {
        let own = crate::process::loopback();
        own != Ipv4Addr::LOCALHOST && [53, 443].iter().all(|port| TcpListener::bind((own, *port)).is_ok())
    })
}

/// A test of real components: runs when everything it needs is there.
pub(crate) fn test(name: &str, needs: &'static [Need], body: fn() -> Result<()>) -> Trial {
    Trial::ignorable_test(name, move || {
        let missing: Vec<String> = needs.iter().filter_map(|need| need.missing()).collect();
        if missing.is_empty() {
            return body().map(|()| Completion::Completed).map_err(|e| Failed::from(e.to_string()));
        }
        let missing = missing.join("; ");
        if in_ci() {
            return Err(Failed::from(format!("needed in CI, and missing: {missing}")));
        }
        Ok(Completion::ignored_with(missing))
    })
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

fn program_missing(program: &str, package: &str) -> Option<String> {
    find(program).is_none().then(|| format!("no {program} (Debian package {package})"))
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    programs(program).next()
}

/// Searches the `PATH` and, because Debian keeps servers out of a user's `PATH`, the folders for servers.
fn programs(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders
        .into_iter()
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(move |folder| folder.join(name))
        .filter(|file| is_program(file))
}

/// The Python that has aioice: the one for which Debian packages modules need not be the first in the `PATH`.
pub(crate) fn python_with_aioice() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let imports = |python: &PathBuf| {
        crate::process::output(&python.to_string_lossy(), &["-c", "import aioice.stun"], "")
            .is_ok_and(|output| output.status.success())
    };
    PYTHON.get_or_init(|| programs("python3").find(imports)).as_deref()
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}
