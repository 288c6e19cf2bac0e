//! All components together, and the binary before them: a platform that meetctl can start, prove and stop.
//!
//! ```text
//! meetctl ─┬─ AWS_ENDPOINT_URL ──► aws_proxy ──► moto ◄── conductor
//!          ├─ DNS, port 53 ──────► Knot (name servers and resolver)
//!          └─ TLS, port 443 ─────► nginx ──► Prosody ◄── focus
//! ```
//!
//! As root on Linux, everything has an address of its own in `127.0.0.0/8` with the ports of the real thing; else the
//! configuration names free ports.

use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::aws_proxy::Proxy;
use crate::certificate::Authority;
use crate::conductor::{Conductor, Timing};
use crate::dns::{Dns, ask};
use crate::moto::{ACCOUNT, Moto, REGION, Seeded, seed};
use crate::needs::{Need, low_ports, test};
use crate::nginx::{Nginx, Site};
use crate::process::{Result, at, block_on, ensure, free_port, loopback, output, wait_for};
use crate::prosody::{self, Prosody};
use crate::xmpp::Focus;

/// What all of it needs.
pub(crate) const ALL: &[Need] = &[Need::Moto, Need::Nginx, Need::Prosody, Need::Knot];

pub(crate) const NAME: &str = "rig";
pub(crate) const ZONE: &str = "example.test";
pub(crate) const HOST: &str = "meet";

pub(crate) struct Platform {
    pub(crate) proxy: Proxy,
    pub(crate) conductor: Conductor,
    pub(crate) moto: Moto,
    pub(crate) nginx: Nginx,
    pub(crate) prosody: Prosody,
    pub(crate) dns: Dns,
    pub(crate) it: Seeded,
    /// Where load balancer and web server are.
    pub(crate) web: Ipv4Addr,
    _focus: Focus,
    folder: TempDir,
}

/// What a browser meets: load balancer, web server and XMPP.
pub(crate) struct Jitsi {
    pub(crate) nginx: Nginx,
    pub(crate) prosody: Prosody,
    pub(crate) web: Ipv4Addr,
    /// The root of its certificate.
    pub(crate) root: PathBuf,
    pub(crate) focus: Focus,
}

impl Jitsi {
    pub(crate) fn start(site: Site, domain: &str, folder: &Path) -> Result<Self> {
        let prosody = Prosody::start()?;
        let focus = Focus::that_grants_all(prosody.component(), prosody::DOMAIN, prosody::SECRET)?;
        let authority = Authority::new()?;
        let root = authority.write_root(folder)?;
        let web = loopback();
        let nginx = Nginx::start(site, domain, port_of(web, 443)?, prosody.http(), &authority)?;
        Ok(Self { nginx, prosody, web, root, focus })
    }
}

/// The well-known port where it can be had, else a free one.
pub(crate) fn port_of(ip: Ipv4Addr, usual: u16) -> Result<SocketAddr> {
    if low_ports() { Ok(at(ip, usual)) } else { free_port(ip) }
}

/// A configuration file: the platform, and where in place of the world its servers are.
pub(crate) fn configuration(name: &str, domain: &str, dns: SocketAddr, root: &Path, door: SocketAddr) -> String {
    let (root, authorities, door) = (root.to_string_lossy(), dns.port(), door.port());
    format!(
        "[platform]
name    = \"{name}\"
domain  = \"{domain}\"
region  = \"{REGION}\"
account = \"{ACCOUNT}\"

[dns]
servers = [\"{dns}\"]
port = {authorities}

[tls]
ca_file = \"{root}\"

[probe]
media = false
https_port = {door}
"
    )
}

impl Platform {
    /// The good platform, at standby.
    pub(crate) fn start() -> Result<Self> {
        Self::with(Site::GOOD)
    }

    pub(crate) fn with(site: Site) -> Result<Self> {
        let folder = TempDir::new()?;
        let domain = format!("{HOST}.{ZONE}");
        let moto = Moto::start()?;
        let it = block_on(seed(&moto, NAME, &domain))??;
        let conductor = Conductor::start(&moto, &it, Timing::QUICK)?;
        let proxy = Proxy::start(moto.address(), conductor.stage())?;

        let Jitsi { nginx, prosody, web, root, focus } = Jitsi::start(site, &domain, folder.path())?;

        // The load balancer's own name: moto gives it, and we are its authority.
        let (label, balancers) = it.balancer_dns.split_once('.').ok_or("a balancer without a domain")?;
        let name_server = loopback();
        let names: [(&str, Ipv4Addr); 1] = [(HOST, web)];
        let label = label.to_lowercase();
        let balancer: [(&str, Ipv4Addr); 1] = [(label.as_str(), web)];
        let dns = Dns::start(port_of(name_server, 53)?, name_server, &[(ZONE, &names), (balancers, &balancer)])?;

        let platform = Self { proxy, conductor, moto, nginx, dns, it, web, _focus: focus, prosody, folder };
        let config = configuration(NAME, &domain, platform.dns.address(), &root, platform.nginx.address());
        std::fs::write(platform.config(), config)?;
        Ok(platform)
    }

    /// What `up` does, without it: the task and its targets are healthy afterwards, and seem to have been for an hour.
    pub(crate) fn start_by_hand(&self) -> Result<()> {
        self.conductor.age(Duration::from_hours(1));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let aws = self.proxy.clients();
        let (it, ecs) = (&self.it, &aws.ecs);
        let start = ecs.update_service().cluster(&it.cluster).service(&it.service).desired_count(1);
        runtime.block_on(start.force_new_deployment(true).send())?;
        wait_for("the deployment to complete", Duration::from_mins(1), || {
            let ask = ecs.describe_services().cluster(&it.cluster).services(&it.service);
            let seen = runtime.block_on(ask.send()).ok()?;
            seen.services().first()?.events().first()?.message()?.contains("steady state").then_some(())
        })?;
        self.proxy.forget();
        Ok(())
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("meetctl.toml")
    }

    /// Runs the binary to its end, with nothing of this machine's settings: no home, no profile, no terminal.
    pub(crate) fn meetctl(&self, args: &[&str]) -> Result<Run> {
        self.begin(args)?.end()
    }

    /// Starts the binary, and lets it run.
    pub(crate) fn begin(&self, args: &[&str]) -> Result<Running> {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(&home)?;
        let (out, err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_meetctl"))
            .arg("--config")
            .arg(self.config())
            .args(args)
            .current_dir(&home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("AWS_ENDPOINT_URL", self.proxy.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(err.try_clone()?)
            .spawn()?;
        Ok(Running { child, args: args.join(" "), began, out, err })
    }
}

/// The binary at work. It does not outlive its test.
pub(crate) struct Running {
    child: Child,
    args: String,
    began: Instant,
    out: File,
    err: File,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Waits for its end, two minutes at most.
    pub(crate) fn end(mut self) -> Result<Run> {
        let code = loop {
            if let Some(status) = self.child.try_wait()? {
                break status.code();
            }
            if self.began.elapsed() > Duration::from_mins(2) {
                break None;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let text = |mut file: &File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes))?;
            std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(&self.out)?, text(&self.err)?);
        Ok(Run { args: self.args.clone(), code, stdout, stderr, took: self.began.elapsed() })
    }
}

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) args: String,
    /// `None`: ended by a signal, or by us after two minutes.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    /// Fails unless it ended with this code.
    pub(crate) fn exits(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "expected exit code {code} of {self}");
        Ok(self)
    }

    /// Fails unless it said this, to stdout or to stderr.
    /// The answer, out of the JSON lines that `--output json` gives: the object that has this key.
    pub(crate) fn answer(&self, key: &str) -> Result<serde_json::Value> {
        let lines = self.stdout.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let found = lines.filter(|line| line["type"] == "answer").find_map(|line| with(key, line));
        found.ok_or_else(|| format!("no answer with {key:?} from {self}").into())
    }

    pub(crate) fn says(self, part: &str) -> Result<Self> {
        ensure!(self.stdout.contains(part) || self.stderr.contains(part), "expected {part:?} of {self}");
        Ok(self)
    }

    pub(crate) fn does_not_say(self, part: &str) -> Result<Self> {
        ensure!(!self.stdout.contains(part) && !self.stderr.contains(part), "not expected: {part:?} of {self}");
        Ok(self)
    }
}

/// The object that has this key, at whatever depth.
fn with(key: &str, value: serde_json::Value) -> Option<serde_json::Value> {
    match value {
        serde_json::Value::Object(it) if it.contains_key(key) => Some(serde_json::Value::Object(it)),
        serde_json::Value::Object(it) => it.into_iter().find_map(|(_, inside)| with(key, inside)),
        _ => None,
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`meetctl {}`, which ended with {:?} after {:?}", self.args, self.code, self.took)?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}

// --- The tests of the whole ----------------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    const ALL_AND_CURL: &[Need] = &[Need::Moto, Need::Nginx, Need::Prosody, Need::Knot, Need::Curl];
    vec![
        test("platform::names_lead_to_a_jitsi_that_curl_trusts", ALL_AND_CURL, names_lead_to_jitsi),
        test("platform::can_be_started_by_hand", ALL_AND_CURL, started_by_hand),
    ]
}

/// The way that meetctl will go, gone by hand: the configured server knows the name, the name leads to where
/// the balancer's name leads, and there is Jitsi with a certificate of the configured root.
fn names_lead_to_jitsi() -> Result<()> {
    let platform = Platform::start()?;
    let config: toml::Table = std::fs::read_to_string(platform.config())?.parse()?;
    let server = config["dns"]["servers"][0].as_str().ok_or("no server")?;
    let server = server.parse()?;
    let found = ask(server, &platform.it.domain)?;
    let balancer = ask(server, &platform.it.balancer_dns.to_lowercase())?;
    ensure!(found == [platform.web] && balancer == found, "{found:?}, balancer {balancer:?}");
    let root = config["tls"]["ca_file"].as_str().ok_or("no root")?;
    let domain = &platform.it.domain;
    let port = config["probe"]["https_port"].as_integer().ok_or("no port")?;
    let (resolve, url) = (format!("{domain}:{port}:{}", found[0]), format!("https://{domain}:{port}/"));
    let args = ["-sS", "-m", "10", "--noproxy", "*", "--cacert", root, "--resolve", &resolve, &url];
    let out = output("curl", &args, "")?;
    let page = String::from_utf8_lossy(&out.stdout);
    ensure!(page.contains("<title>Jitsi Meet</title>"), "{page}{}", String::from_utf8_lossy(&out.stderr));
    Ok(())
}

fn started_by_hand() -> Result<()> {
    let platform = Platform::start()?;
    platform.start_by_hand()?;
    block_on(async {
        let (aws, it) = (platform.proxy.clients(), &platform.it);
        let tasks = aws.ecs.list_tasks().cluster(&it.cluster).service_name(&it.service).send().await?;
        let seen = aws.ecs.describe_tasks().cluster(&it.cluster).set_tasks(tasks.task_arns).send().await?;
        let health: Vec<_> = seen.tasks().iter().filter_map(|task| Some(task.health_status()?.as_str())).collect();
        ensure!(health == ["HEALTHY"], "tasks {health:?}");
        // Who started it can be written on the service, and read back.
        let seen = aws.ecs.describe_services().cluster(&it.cluster).services(&it.service).send().await?;
        let arn = seen.services()[0].service_arn().ok_or("no ARN")?;
        let tag = aws_sdk_ecs::types::Tag::builder().key("meetctl:started-by").value("somebody").build();
        aws.ecs.tag_resource().resource_arn(arn).tags(tag).send().await?;
        let ask = aws.ecs.describe_services().cluster(&it.cluster).services(&it.service);
        let seen = ask.include(aws_sdk_ecs::types::ServiceField::Tags).send().await?;
        let tags = seen.services()[0].tags();
        ensure!(tags.iter().any(|tag| tag.value() == Some("somebody")), "tags {tags:?}");
        ensure!(tags.iter().any(|tag| tag.key() == Some("project")), "tags {tags:?}");
        Ok(())
    })?
}
