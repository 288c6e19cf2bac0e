//! The program `terraform` or `tofu`: the only place that starts a process.

mod arguments;
mod child;
mod error;
mod lines;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use self::arguments::{Backend, Call, arguments, environment};
use self::child::{Ended, How, on_path};
use self::error::trouble;
pub use self::error::{Lock, TerraformError};
use self::lines::{Diagnostic, Line, Version};
use self::modules::Folder;
use super::{Errand, Keys, Outputs, Planned, Terraform};
use crate::domain::changes::{Recordings, Wanted};
use crate::domain::name::{AccountId, Host, PlatformName, Region};
use crate::domain::said::Said;
use crate::files;

/// What is done with one line of Terraform's output: for the fuzz targets.
pub(crate) fn survive_line(text: &str) {
    if let Some(lines::Line::Told(diagnostic)) = lines::line(text) {
        let _ = error::trouble(&[diagnostic], text, "bucket");
    }
    let _ = (lines::version(text), lines::managed(text));
}

/// What is done with a plan, or another whole document.
pub(crate) fn survive_plan(text: &str) {
    let _ = (lines::changes(text), lines::outputs(text));
}

/// The first release with write-only arguments; `OpenTofu` has them since the same number.
const MINIMUM: Version = Version { major: 1, minor: 11 };

/// Nobody writes more values by hand.
const LARGEST_VARIABLES: u64 = 1024 * 1024;

/// What must be known to run the program.
pub struct Settings {
    pub platform: PlatformName,
    pub domain: Host,
    pub region: Region,
    /// The environment of this process, of which the program gets what it needs.
    pub environment: BTreeMap<String, String>,
    /// Where meetctl keeps data: below `$XDG_DATA_HOME`.
    pub data: PathBuf,
    /// Where downloads are kept: below `$XDG_CACHE_HOME`.
    pub cache: PathBuf,
    /// A module of the user's own, instead of the one that ships.
    pub own: Option<PathBuf>,
    /// A file with values of the module's variables.
    pub variables: Option<PathBuf>,
    pub keys: Arc<dyn Keys>,
}

/// The program, for one platform.
pub struct Program {
    settings: Settings,
    folder: Folder,
    /// The modules that this process has prepared.
    ready: Mutex<BTreeSet<PathBuf>>,
    /// Held from the first call on: no other meetctl of this machine works on the same platform meanwhile. A process
    /// that dies gives it back.
    lock: Mutex<Option<File>>,
}

impl Program {
    pub fn new(settings: Settings) -> Self {
        let root = settings.data.join(format!("{}-{}", settings.platform, settings.region));
        let folder = Folder::new(root, settings.own.clone());
        Self { settings, folder, ready: Mutex::default(), lock: Mutex::default() }
    }

    fn backend(&self, account: &AccountId) -> Backend {
        let platform = &self.settings.platform;
        Backend {
            bucket: format!("{platform}-tfstate-{account}"),
            key: format!("{platform}/terraform.tfstate"),
            region: self.settings.region.to_string(),
        }
    }

    /// The newest enough of `terraform` and `tofu`, in this order.
    async fn find(&self, desk: &Desk) -> Result<PathBuf, TerraformError> {
        let path = self.settings.environment.get("PATH").map(String::as_str).unwrap_or_default();
        let mut too_old = None;
        for program in on_path(path, &["terraform", "tofu"]) {
            let ended = self.run(&program, &Call::Version, self.folder.root(), desk, &CancellationToken::new()).await?;
            match lines::version(&ended.stdout) {
                Some((_, found)) if found >= MINIMUM => return Ok(program),
                Some((name, found)) => {
                    too_old.get_or_insert(TerraformError::TooOld {
                        program: name,
                        found: found.to_string(),
                        wanted: MINIMUM.to_string(),
                    });
                }
                None => {
                    too_old.get_or_insert(TerraformError::Garbled {
                        why: format!("{} does not tell its version", program.display()),
                    });
                }
            }
        }
        Err(too_old.unwrap_or(TerraformError::Missing))
    }

    /// One call of the program, without judging how it ended.
    async fn run(
        &self,
        program: &Path,
        call: &Call<'_>,
        module: &Path,
        desk: &Desk,
        stop: &CancellationToken,
    ) -> Result<Ended, TerraformError> {
        self.call(program, call, module, desk, stop, &mut |_| {}).await
    }

    async fn call(
        &self,
        program: &Path,
        call: &Call<'_>,
        module: &Path,
        desk: &Desk,
        stop: &CancellationToken,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Ended, TerraformError> {
        let keys = match call {
            Call::Version => None,
            _ => Some(self.settings.keys.keys().await?),
        };
        let region = self.settings.region.as_str();
        let Settings { environment: outside, cache, .. } = &self.settings;
        let run = child::Run {
            program,
            arguments: arguments(call),
            folder: module,
            environment: environment(outside, keys.as_ref(), region, cache, &self.folder.data(module)),
            output: &desk.folder,
        };
        child::run(run, stop, line).await.map_err(|e| unusable(&desk.folder, &e))
    }

    fn desk(&self) -> Result<Desk, TerraformError> {
        let root = self.folder.root();
        let at = |e: io::Error| unusable(root, &e);
        let folder = root.join("run");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at)?;
        let mut held = self.lock.lock();
        if held.is_none() {
            let lock = File::create(root.join("lock")).map_err(at)?;
            match lock.try_lock() {
                Ok(()) => *held = Some(lock),
                Err(TryLockError::WouldBlock) => return Err(TerraformError::Busy),
                Err(TryLockError::Error(error)) => return Err(at(error)),
            }
        }
        Ok(Desk { folder })
    }

    /// Unpacks the modules, finds the program, and prepares a module once.
    async fn ready(&self, module: Module, errand: &Errand<'_>) -> Result<Ready, TerraformError> {
        self.check_variables()?;
        let root = self.folder.root();
        let at = |e: io::Error| unusable(root, &e);
        fs::create_dir_all(&self.settings.cache).map_err(|e| unusable(&self.settings.cache, &e))?;
        let desk = self.desk()?;
        self.folder.unpack(module.recordings()).map_err(at)?;
        let program = self.find(&desk).await?;
        let folder = match module {
            Module::Bootstrap => self.folder.bootstrap(),
            Module::Stack => self.folder.stack(),
            Module::Removal(_) => self.folder.removal(),
        };
        let ready = Ready { program, folder, desk };
        if self.ready.lock().contains(&ready.folder) {
            return Ok(ready);
        }
        (errand.said)(Said::Doing { what: "Preparing Terraform's working folder.".into() });
        let backend = self.backend(errand.account);
        let call = Call::Init { backend: (module != Module::Bootstrap).then_some(&backend) };
        let ended = self.run(&ready.program, &call, &ready.folder, &ready.desk, errand.stop).await?;
        self.judge(&ended, &[], errand.account)?;
        self.ready.lock().insert(ready.folder.clone());
        Ok(ready)
    }

    /// Whether it ended well; if not, why not.
    fn judge(&self, ended: &Ended, told: &[Diagnostic], account: &AccountId) -> Result<(), TerraformError> {
        match ended.how {
            How::Well => Ok(()),
            How::Interrupted => Err(TerraformError::Interrupted { saved: true }),
            How::Killed => Err(TerraformError::Interrupted { saved: false }),
            How::Badly => Err(trouble(told, &ended.stderr, &self.backend(account).bucket)),
        }
    }

    /// A call that tells its progress in lines of JSON.
    async fn tell(&self, ready: &Ready, call: &Call<'_>, errand: &Errand<'_>) -> Result<Ended, TerraformError> {
        let mut told = Vec::new();
        let ended = self
            .call(&ready.program, call, &ready.folder, &ready.desk, errand.stop, &mut |line| match lines::line(line) {
                Some(Line::Said(said)) => (errand.said)(said),
                Some(Line::Told(diagnostic)) => {
                    if !diagnostic.is_error && is_worth_telling(&diagnostic) {
                        (errand.said)(Said::Warned { summary: diagnostic.summary.clone() });
                    }
                    told.push(diagnostic);
                }
                None => {}
            })
            .await?;
        self.judge(&ended, &told, errand.account)?;
        Ok(ended)
    }

    /// Terraform would wait for a FIFO, and read a device without end.
    fn check_variables(&self) -> Result<(), TerraformError> {
        let Some(path) = &self.settings.variables else { return Ok(()) };
        let unreadable = |why: String| TerraformError::Variables { path: path.clone(), why };
        files::read(path, LARGEST_VARIABLES).map(drop).map_err(|error| unreadable(error.to_string()))
    }

    /// The values that meetctl gives to a module's variables.
    fn variables(&self, wanted: Wanted, account: &AccountId) -> Vec<(&'static str, String)> {
        let Settings { platform, domain, region, .. } = &self.settings;
        let place = [("region", region.to_string()), ("account_id", account.to_string())];
        let name = ("name", platform.to_string());
        let stack = |more: &[(&'static str, &str)]| {
            let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
            place.clone().into_iter().chain([name.clone(), ("domain", domain.to_string())]).chain(more).collect()
        };
        match wanted {
            Wanted::StateBucket => place.into_iter().chain([name]).collect(),
            Wanted::Removed { .. } => place.into(),
            Wanted::Deployed { adopt_recordings: true, .. } => {
                stack(&[("power", "standby"), ("adopt_recordings_bucket", "true")])
            }
            Wanted::Deployed { .. } | Wanted::Restored => stack(&[("power", "standby")]),
            Wanted::PoweredDown => stack(&[("power", "powered-down")]),
            Wanted::RecordingsDeletable => stack(&[("power", "powered-down"), ("delete_recordings", "true")]),
        }
    }
}

/// Terraform's own remarks on how it is used are not the user's business.
fn is_worth_telling(warning: &Diagnostic) -> bool {
    const OURS: &[&str] = &[
        "Some objects will no longer be managed",
        "Value for undeclared variable",
        "Resource targeting",
        "Applied changes may be incomplete",
        "Check block assertion known after apply",
    ];
    OURS.iter().all(|ours| !warning.summary.starts_with(ours))
}

fn unusable(path: &Path, error: &io::Error) -> TerraformError {
    if error.kind() == io::ErrorKind::StorageFull {
        return TerraformError::DiskFull { why: format!("{}: {error}", path.display()) };
    }
    TerraformError::Folder { path: path.to_owned(), why: error.to_string() }
}

/// One of the modules.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Module {
    Bootstrap,
    Stack,
    Removal(Recordings),
}

impl Module {
    const fn of(wanted: Wanted) -> Self {
        match wanted {
            Wanted::StateBucket => Self::Bootstrap,
            Wanted::Deployed { .. } | Wanted::PoweredDown | Wanted::Restored | Wanted::RecordingsDeletable => {
                Self::Stack
            }
            Wanted::Removed { recordings } => Self::Removal(recordings),
        }
    }

    const fn recordings(self) -> Recordings {
        match self {
            Self::Removal(recordings) => recordings,
            Self::Bootstrap | Self::Stack => Recordings::Kept,
        }
    }
}

/// A module that is prepared, and the program for it.
struct Ready {
    program: PathBuf,
    folder: PathBuf,
    desk: Desk,
}

/// A place for the plan, and for the output of one call after the other.
struct Desk {
    folder: PathBuf,
}

#[async_trait]
impl Terraform for Program {
    fn platform(&self) -> &PlatformName {
        &self.settings.platform
    }

    async fn plan(&self, wanted: Wanted, errand: Errand<'_>) -> Result<Planned, TerraformError> {
        let ready = self.ready(Module::of(wanted), &errand).await?;
        (errand.said)(Said::Doing { what: "Terraform compares what is with what should be.".into() });
        let file = ready.desk.folder.join("plan");
        let variables = self.variables(wanted, errand.account);
        let own = match Module::of(wanted) {
            Module::Stack => self.settings.variables.as_deref(),
            Module::Bootstrap | Module::Removal(_) => None,
        };
        let only = (wanted == Wanted::RecordingsDeletable).then_some("aws_s3_bucket.recordings");
        self.tell(&ready, &Call::Plan { out: &file, variables: &variables, file: own, only }, &errand).await?;
        let call = Call::ShowPlan { file: &file };
        let ended = self.run(&ready.program, &call, &ready.folder, &ready.desk, errand.stop).await?;
        self.judge(&ended, &[], errand.account)?;
        let changes = lines::changes(&ended.stdout).map_err(|why| TerraformError::Garbled { why })?;
        Ok(Planned { wanted, changes, file })
    }

    async fn apply(&self, planned: Planned, errand: Errand<'_>) -> Result<(), TerraformError> {
        let ready = self.ready(Module::of(planned.wanted), &errand).await?;
        self.tell(&ready, &Call::Apply { file: &planned.file }, &errand).await?;
        // A plan is applied once; it may hold what should not lie around.
        let _ = fs::remove_file(&planned.file);
        Ok(())
    }

    async fn managed(&self, errand: Errand<'_>) -> Result<Option<Vec<String>>, TerraformError> {
        let Some(ended) = self.ask(&Call::ListState, &errand).await? else { return Ok(None) };
        Ok(Some(lines::managed(&ended.stdout)))
    }

    async fn outputs(&self, errand: Errand<'_>) -> Result<Option<Outputs>, TerraformError> {
        let Some(ended) = self.ask(&Call::Output, &errand).await? else { return Ok(None) };
        lines::outputs(&ended.stdout).map(Some).map_err(|why| TerraformError::Garbled { why })
    }
}

impl Program {
    /// A question about the state; `None` when there is none.
    async fn ask(&self, call: &Call<'_>, errand: &Errand<'_>) -> Result<Option<Ended>, TerraformError> {
        // The removal has the same state, and needs nothing of the user's own module.
        let ready = match self.ready(Module::Removal(Recordings::Kept), errand).await {
            Ok(ready) => ready,
            Err(TerraformError::StateGone { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let ended = self.run(&ready.program, call, &ready.folder, &ready.desk, errand.stop).await?;
        if ended.how == How::Badly && ended.stderr.contains("No state file was found") {
            return Ok(None);
        }
        self.judge(&ended, &[], errand.account)?;
        Ok(Some(ended))
    }
}
