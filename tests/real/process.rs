//! Children, addresses and waiting: what every component is made of.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::needs::find;

pub(crate) type Trouble = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Trouble>;

/// Fails the test with a sentence when the statement does not hold.
macro_rules! ensure {
    ($holds:expr, $($sentence:tt)+) => {
        if !$holds {
            return Err(format!($($sentence)+).into());
        }
    };
}
pub(crate) use ensure;

/// A server that we started. Ends with this value, so also when a test panics; and, where
/// `setpriv` exists, when the test process itself is killed.
pub(crate) struct Server {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
}

impl Server {
    /// Starts `program`; what it prints goes to a file in `folder`.
    pub(crate) fn start(name: &'static str, program: &Path, args: &[&str], folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.out"));
        let out = File::options().create(true).append(true).open(&log)?;
        let mut command = match find("setpriv") {
            Some(setpriv) if cfg!(target_os = "linux") => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            _ => Command::new(program),
        };
        command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        command.env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"); // some hundred that nobody needs
        for key in ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
            command.env_remove(key);
        }
        let child = spawn(command).map_err(|e| format!("{name} cannot be started: {e}"))?;
        Ok(Self { name, child: Some(child), log })
    }

    /// Waits until `ready` says yes; fails at once when the server has ended.
    pub(crate) fn wait(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            if ready() {
                return Ok(());
            }
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?,
                None => return Err(format!("{} was stopped", self.name).into()),
            };
            if let Some(status) = ended {
                return Err(format!("{} ended with {status}:\n{}", self.name, self.last_words()).into());
            }
            if began.elapsed() > limit {
                return Err(format!("{} is not ready after {limit:?}:\n{}", self.name, self.last_words()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it now, and waits until it is gone (its port is free afterwards).
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }
}

/// Starts a child from a thread that lives as long as the process: `--pdeathsig` means the death of the *thread* that
/// started it, and the threads of tests end one by one.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = channel();
    STARTER.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer))?;
    Ok(child.recv()??)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An address of loopback that no other component uses: on Linux all of `127.0.0.0/8` is local, so
/// that every component has the well-known ports for itself. Elsewhere there is only one.
pub(crate) fn loopback() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !cfg!(target_os = "linux") {
        return Ipv4Addr::LOCALHOST;
    }
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // 127.20–127.219 by process, so that two runs at once do not meet; never 127.0.0.x.
    let run = u8::try_from(std::process::id() % 200).unwrap_or(0) + 20;
    let high = u8::try_from(std::process::id() / 200 % 16 * 16 + next / 250 % 16).unwrap_or(0);
    let low = u8::try_from(next % 250).unwrap_or(0) + 1;
    Ipv4Addr::new(127, run, high, low)
}

/// A port of `ip` that is free for TCP and UDP at this moment.
pub(crate) fn free_port(ip: Ipv4Addr) -> Result<SocketAddr> {
    for _ in 0..50 {
        let tcp = TcpListener::bind((ip, 0))?;
        let address = tcp.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no free port".into())
}

pub(crate) fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(ip, port))
}

/// Waits until `look` gives a value.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if began.elapsed() > limit {
            return Err(format!("waited {limit:?} in vain for {what}").into());
        }
        std::thread::sleep(Duration::from_millis(60));
    }
}

/// What a program said on stdout; fails when it could not be run.
pub(crate) fn output(program: &str, args: &[&str], input: &str) -> Result<std::process::Output> {
    use std::io::Write;
    let path = find(program).ok_or_else(|| format!("no {program}"))?;
    let mut child =
        Command::new(path).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

/// Waits for a future, from a test's own thread.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
