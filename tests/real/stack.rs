//! The life of a platform: the binary, the real Terraform with the real AWS provider, and moto as the account.
//!
//! ```text
//! meetctl ─┬─ Terraform ─┐
//!          ├─────────────┴─► aws_proxy ──► moto ◄── conductor, names
//!          ├─ DNS ───────────► Knot ◄── names
//!          └─ TLS ───────────► nginx ──► Prosody ◄── focus
//! ```
//!
//! Unlike in `end_to_end.rs`, nothing is seeded: what Terraform deploys is what the conductor conducts and what is proven
//! from outside. moto runs with the gaps filled that the provider would take for drift (`moto_account.py`). The provider
//! is downloaded (some 700 MB), or comes from a mirror that `TF_CLI_CONFIG_FILE` names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_elasticloadbalancingv2::types::LoadBalancer;
use libtest_mimic::Trial;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::aws_proxy::{Proxy, Stage};
use crate::conductor::{Conductor, Timing};
use crate::dns::{Dns, ask};
use crate::http;
use crate::moto::{ACCOUNT, Clients, TAGS, configuration as aws_configuration, found, installed, tasks_stay};
use crate::needs::{Need, find, test};
use crate::nginx::Site;
use crate::platform::{Jitsi, Run, configuration, port_of};
use crate::process::{Result, Server, Trouble, block_on, ensure, free_port, loopback, wait_for};

pub(crate) fn tests() -> Vec<Trial> {
    const ALL: &[Need] = &[Need::Moto, Need::Terraform, Need::Nginx, Need::Prosody, Need::Knot];
    vec![test("stack::a_life_on_an_account", ALL, a_life)]
}

const NAME: &str = "rig-platform";
const HOST: &str = "meet";
const ZONE: &str = "rig.example";
/// Where moto's load balancers have their names.
const BALANCERS: &str = "elb.us-west-2.amazonaws.com";

/// An empty account, a laptop, and servers that nobody's name leads to yet.
struct Account {
    conductor: Option<Conductor>,
    proxy: Proxy,
    stage: Arc<Mutex<Stage>>,
    /// Where moto itself is.
    address: SocketAddr,
    resolver: SocketAddr,
    jitsi: Jitsi,
    _names: Names,
    folder: TempDir,
    _moto: Server,
}

impl Account {
    fn open() -> Result<Self> {
        let folder = TempDir::new()?;
        let (moto, address) = start_moto(folder.path())?;
        let clients = Clients::new(address);
        let zone = block_on(async {
            let made = clients.route53.create_hosted_zone().name(ZONE).caller_reference("rig").send().await?;
            Ok::<_, Trouble>(made.hosted_zone().ok_or("no zone")?.id().to_owned())
        })??;
        let stage = Arc::<Mutex<Stage>>::default();
        let proxy = Proxy::start(address, Arc::clone(&stage))?;

        let domain = domain();
        let jitsi = Jitsi::start(Site::GOOD, &domain, folder.path())?;
        let server = loopback();
        let dns = Dns::start(port_of(server, 53)?, server, &[(ZONE, &[]), (BALANCERS, &[])])?;
        let resolver = dns.address();
        let config = configuration(NAME, &domain, resolver, &jitsi.root, jitsi.nginx.address());
        std::fs::write(folder.path().join("meetctl.toml"), config)?;
        let names = Names::follow(clients, zone, dns, jitsi.web)?;
        Ok(Self { conductor: None, proxy, stage, address, resolver, jitsi, _names: names, folder, _moto: moto })
    }

    fn clients(&self) -> Clients {
        Clients::new(self.address)
    }

    /// From now on there is a scheduler for what has been deployed.
    fn conduct(&mut self) -> Result<()> {
        let clients = self.clients();
        let it = block_on(found(&clients, NAME, &domain()))??;
        self.conductor = Some(Conductor::attach(clients, &it, Timing::QUICK, Arc::clone(&self.stage))?);
        Ok(())
    }

    fn meetctl(&self, line: &str) -> Result<Run> {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(&home)?;
        let (out, err) = (home.join("stdout"), home.join("stderr"));
        let began = Instant::now();
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetctl"));
        command
            .arg("--config")
            .arg(self.folder.path().join("meetctl.toml"))
            .arg("--no-input")
            .args(&args)
            .current_dir(&home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("AWS_ENDPOINT_URL", self.proxy.endpoint())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for passed in ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "HTTPS_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let Some(value) = std::env::var_os(passed) {
                command.env(passed, value);
            }
        }
        if std::env::var_os("HTTPS_PROXY").is_some() {
            command.env("NO_PROXY", "127.0.0.0/8");
        }
        let status =
            command.stdin(Stdio::null()).stdout(File::create(&out)?).stderr(File::create(&err)?).spawn()?.wait()?;
        let text = |file| std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Run {
            args: line.to_owned(),
            code: status.code(),
            stdout: text(out)?,
            stderr: text(err)?,
            took: began.elapsed(),
        })
    }

    /// What the account itself lists with the project's tag; Terraform is not asked. ECS keeps what is INACTIVE.
    fn tagged(&self) -> Result<BTreeSet<String>> {
        let config = aws_configuration(self.address);
        let project = aws_sdk_resourcegroupstagging::types::TagFilter::builder().key("project").values(NAME).build();
        block_on(async {
            let tags = aws_sdk_resourcegroupstagging::Client::new(&config);
            let answer = tags.get_resources().tag_filters(project).send().await?;
            let arns = answer.resource_tag_mapping_list().iter().filter_map(|m| m.resource_arn());
            Ok(arns.filter(|arn| !arn.contains(":ecs:")).map(ToOwned::to_owned).collect())
        })?
    }

    fn balancers(&self) -> Result<usize> {
        block_on(async { Ok(balancers(&self.clients()).await?.len()) })?
    }

    /// Where the domain leads to at the moment.
    fn leads(&self) -> Result<Vec<Ipv4Addr>> {
        ask(self.resolver, &domain())
    }

    /// Fails unless this starts the platform and proves it, and unless doing it again does nothing.
    fn runs(&self, line: &str, says: &[&str]) -> Result<()> {
        self.proxy.forget();
        let mut run = self.meetctl(line)?.exits(0)?.says("running")?;
        for part in says {
            run = run.says(part)?;
        }
        ensure!(self.desired()? == 1, "desired count {}", self.desired()?);
        ensure!(self.leads()? == [self.jitsi.web], "{} leads to {:?}", domain(), self.leads()?);
        // The addresses of the load balancer are on the bill.
        self.meetctl("status --expect running")?.exits(0)?.does_not_say("0 public IPv4 of the load balancer")?;
        self.meetctl("health")?.exits(0)?;
        let before = self.proxy.count("UpdateService");
        self.meetctl(line)?.exits(0)?.does_not_say("Terraform")?;
        ensure!(self.proxy.count("UpdateService") == before, "a second start");
        Ok(())
    }

    fn desired(&self) -> Result<i32> {
        block_on(async {
            let ecs = self.clients().ecs;
            let (cluster, service) = (format!("{NAME}-cluster"), format!("{NAME}-service"));
            let seen = ecs.describe_services().cluster(cluster).services(service).include(TAGS).send().await?;
            Ok(seen.services().first().ok_or("no service")?.desired_count())
        })?
    }
}

/// moto, with its gaps filled.
fn start_moto(folder: &Path) -> Result<(Server, SocketAddr)> {
    let port = free_port(loopback())?.port();
    // Where the script puts it.
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/moto_account.py");
    let program = find("env").ok_or("no env")?;
    let [python, script] = [&installed()?, &script].map(|p| p.display().to_string());
    // Certificates are issued at the second look. Python leaves nothing beside its scripts.
    let set = ["MOTO_ACM_VALIDATION_WAIT=1", "PYTHONDONTWRITEBYTECODE=1"];
    let args = [set[0], set[1], &python, &script, &port.to_string()];
    let mut moto = Server::start("moto-account", &program, &args, folder)?;
    moto.wait(Duration::from_mins(1), || {
        http::get(address, "/moto-api/data.json").is_ok_and(|answer| answer.status == 200)
    })?;
    tasks_stay(address)?;
    Ok((moto, address))
}

/// Plays Route 53 and the zone of the load balancers: what the account names can be resolved a moment later, and no
/// longer than it names it. A balancer made anew has a new name.
struct Names {
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Names {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Names {
    fn follow(aws: Clients, zone: String, mut dns: Dns, web: Ipv4Addr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let end = CancellationToken::new();
        let until = end.clone();
        let thread = std::thread::spawn(move || {
            let mut known = BTreeMap::new();
            while !until.is_cancelled() {
                // What could not be read or changed is looked at again.
                if let Ok(named) = runtime.block_on(named(&aws, &zone)) {
                    let _ = lead(&mut dns, &mut known, named, web);
                }
                runtime.block_on(async {
                    let _ = tokio::time::timeout(Duration::from_millis(500), until.cancelled()).await;
                });
            }
        });
        Ok(Self { end, thread: Some(thread) })
    }
}

/// What has an address, by its name: its zone and its label there.
type Named = BTreeMap<String, (&'static str, String)>;

/// The load balancers, and the domain as long as its alias leads to one of them.
async fn named(aws: &Clients, zone: &str) -> Result<Named> {
    let mut all = Named::new();
    for balancer in balancers(aws).await? {
        let name = balancer.dns_name().unwrap_or_default().to_lowercase();
        let label = name.strip_suffix(BALANCERS).ok_or("a load balancer of another region")?;
        let label = label.trim_end_matches('.').to_owned();
        all.insert(name, (BALANCERS, label));
    }
    let records = aws.route53.list_resource_record_sets().hosted_zone_id(zone).send().await?;
    let aliases = records.resource_record_sets().iter().filter(|it| it.name().trim_end_matches('.') == domain());
    for alias in aliases.filter_map(|it| it.alias_target()) {
        if all.contains_key(&alias.dns_name().trim_end_matches('.').to_lowercase()) {
            all.insert(domain(), (ZONE, HOST.to_owned()));
        }
    }
    Ok(all)
}

fn lead(dns: &mut Dns, known: &mut Named, named: Named, web: Ipv4Addr) -> Result<()> {
    for (name, (zone, label)) in known.iter().filter(|(name, _)| !named.contains_key(*name)) {
        dns.remove(zone, label).map_err(|e| format!("{name}: {e}"))?;
    }
    for (name, (zone, label)) in named.iter().filter(|(name, _)| !known.contains_key(*name)) {
        dns.point(zone, label, web).map_err(|e| format!("{name}: {e}"))?;
    }
    *known = named;
    Ok(())
}

fn domain() -> String {
    format!("{HOST}.{ZONE}")
}

/// What has an hourly price, as its owner says.
async fn balancers(aws: &Clients) -> Result<Vec<LoadBalancer>> {
    Ok(aws.elb.describe_load_balancers().send().await?.load_balancers.unwrap_or_default())
}

fn a_life() -> Result<()> {
    let mut it = Account::open()?;
    it.meetctl("status --expect destroyed")?.exits(0)?;
    it.meetctl("power-down --yes")?.exits(8)?.says("no platform")?.does_not_say("othing to do")?;

    it.meetctl("deploy")?.exits(5)?.does_not_say("done in")?;
    it.meetctl("deploy --yes")?.exits(0)?.says("The platform is deployed")?;
    it.conduct()?;
    it.meetctl("status --expect standby")?.exits(0)?;
    ensure!(it.balancers()? == 1, "{} load balancers", it.balancers()?);
    it.meetctl("deploy --yes")?.exits(0)?.says("Nothing to do")?.does_not_say("done in")?;

    // Started and proven: task, targets, name, pages, signalling.
    it.runs("up", &[])?;

    it.meetctl("power-down --yes")?.exits(0)?.says("Nothing with an hourly price is left")?;
    ensure!((it.balancers()?, it.desired()?) == (0, 0), "not powered down");
    ensure!(it.tagged()?.iter().all(|arn| !arn.contains(":elastic-ip/")), "an address is left");
    wait_for("the name to lead nowhere", Duration::from_secs(10), || it.leads().ok()?.is_empty().then_some(()))?;
    it.meetctl("status --expect powered-down")?.exits(0)?;
    it.meetctl("power-down --yes")?.exits(0)?.says("Nothing to do")?.does_not_say("Terraform")?;

    // Terraform brings back what is needed, then the same proof, through another load balancer.
    it.runs("up", &["aws_lb.this[0]: create"])?;
    ensure!(it.balancers()? == 1, "{} load balancers", it.balancers()?);
    it.meetctl("deploy --yes")?.exits(0)?.says("nothing to change")?;

    it.meetctl("destroy --yes")?.exits(5)?.does_not_say("done in")?;
    it.meetctl(&format!("destroy --confirm {NAME}"))?.exits(0)?.says("7 to leave alone")?;
    it.conductor = None;
    it.meetctl("status --expect destroyed")?.exits(0)?;
    let kept: BTreeSet<String> =
        ["recordings", "tfstate"].map(|bucket| format!("arn:aws:s3:::{NAME}-{bucket}-{ACCOUNT}")).into();
    ensure!(it.tagged()? == kept, "left: {:?}", it.tagged()?);
    it.meetctl(&format!("destroy --confirm {NAME}"))?.exits(0)?.says("Nothing to do")?;

    // The recordings that were kept are taken over, and go when they are told to.
    it.meetctl("deploy --yes")?.exits(0)?.says("1 to take over")?;
    it.meetctl(&format!("destroy --delete-recordings --confirm {NAME}"))?.exits(0)?;
    ensure!(it.tagged()?.len() == 1, "left: {:?}", it.tagged()?);
    Ok(())
}
