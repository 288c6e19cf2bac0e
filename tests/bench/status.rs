//! `status` against an account of which each answer takes 50 ms longer, next to its critical path, and next to the AWS
//! CLI making the same calls one after the other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::aws_proxy::{Call, Proxy, Stage};
use crate::moto::{ACCOUNT, Moto, REGION, Seeded, installed, seed};
use crate::needs::Need;
use crate::process::{Result, block_on, free_port, loopback};
use crate::{fact, line, millis, quantile, seconds, sorted};

const LATENCY: Duration = Duration::from_millis(50);
/// Who I am; then the service and the load balancer; then what is known through them.
const ROUNDS: u32 = 3;
const TIMES: usize = 20;
const NAME: &str = "rig";
const DOMAIN: &str = "meet.example.test";

pub(crate) fn run() {
    if let Some(missing) = Need::Moto.missing() {
        return fact("not measured", &missing);
    }
    if let Err(error) = measure() {
        fact("not measured", &error.to_string());
    }
}

/// A platform at standby on moto, behind a proxy that takes its time.
struct Rig {
    proxy: Proxy,
    it: Seeded,
    folder: TempDir,
    _moto: Moto,
}

fn measure() -> Result<()> {
    let rig = Rig::start()?;
    rig.status()?; // from the disk, once
    rig.proxy.latency(Duration::ZERO);
    let bare = times(|| rig.status())?;
    rig.proxy.forget();
    rig.proxy.latency(LATENCY);
    let took = times(|| rig.status())?;
    let calls = rig.proxy.calls();
    let one: Vec<&Call> = calls.iter().take(calls.len() / TIMES).collect();
    let ideal = LATENCY * ROUNDS;
    let path = quantile(&sorted(calls.chunks(one.len()).map(critical).collect()), 0.5);
    let median = quantile(&took, 0.5);
    fact("calls of one status", &one.len().to_string());
    fact("status without added latency, median", &millis(quantile(&bare, 0.5)));
    fact("status, median", &millis(median));
    let ratio = |path: Duration| median.as_secs_f64() / path.as_secs_f64();
    fact("  of three answers in 50 ms each", &format!("{:.2}", ratio(ideal)));
    fact("its critical path, as moto answered, median", &millis(path));
    line("  status, of that", &format!("{:.2}", ratio(path)), "1.3", ratio(path) <= 1.3);

    match aws_cli() {
        Err(error) => fact("the AWS CLI: not measured", &error.to_string()),
        Ok(aws) => {
            let began = Instant::now();
            for call in &one {
                rig.call(&aws, call)?;
            }
            let took = began.elapsed();
            fact("the AWS CLI, the same calls one by one", &seconds(took));
            let ratio = took.as_secs_f64() / median.as_secs_f64();
            line("  of status", &format!("{ratio:.0} x"), "10 x", ratio >= 10.0);
        }
    }
    Ok(())
}

/// The three slowest answers that wait for each other: who I am, then the first things, then what is known by them.
fn critical(calls: &[Call]) -> Duration {
    let round = |action: &str| match action {
        "GetCallerIdentity" => 0,
        "DescribeListeners" | "DescribeTargetHealth" | "DescribeTasks" | "ListResourceRecordSets" => 2,
        _ => 1,
    };
    let slowest = |n| calls.iter().filter(|call| round(&call.action) == n).map(|call| call.took).max();
    (0..ROUNDS).filter_map(slowest).sum()
}

fn times(run: impl Fn() -> Result<Duration>) -> Result<Vec<Duration>> {
    (0..TIMES).map(|_| run()).collect::<Result<Vec<_>>>().map(sorted)
}

impl Rig {
    fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let moto = Moto::start()?;
        let it = block_on(seed(&moto, NAME, DOMAIN))??;
        let stage = Stage { service: it.service.clone(), ..Stage::default() };
        let proxy = Proxy::start(moto.address(), Arc::new(Mutex::new(stage)))?;
        // Nobody answers there: the name is soon known to be unknown.
        let nowhere = free_port(loopback())?;
        let config = format!(
            "[platform]\nname = \"{NAME}\"\ndomain = \"{DOMAIN}\"\nregion = \"{REGION}\"\naccount = \"{ACCOUNT}\"\n\n\
             [dns]\nservers = [\"{nowhere}\"]\n"
        );
        std::fs::write(folder.path().join("meetctl.toml"), config)?;
        Ok(Self { proxy, it, folder, _moto: moto })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command
            .env("AWS_ENDPOINT_URL", self.proxy.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_DEFAULT_REGION", REGION);
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true").stdin(Stdio::null());
        command
    }

    fn status(&self) -> Result<Duration> {
        let began = Instant::now();
        let out = self.command(Path::new(env!("CARGO_BIN_EXE_meetctl"))).arg("status").output()?;
        let took = began.elapsed();
        let said = String::from_utf8_lossy(&out.stdout);
        if said.contains("standby") {
            return Ok(took);
        }
        Err(format!("status says {said} {}", String::from_utf8_lossy(&out.stderr)).into())
    }

    /// The same call by the AWS CLI.
    fn call(&self, aws: &Path, call: &Call) -> Result<()> {
        let Seeded { cluster, service, balancer, web_group, log_group, secret, zone, .. } = &self.it;
        let zone = zone.trim_start_matches("/hostedzone/");
        let name = format!("{NAME}-nlb");
        let args: Vec<&str> = match call.action.as_str() {
            "GetCallerIdentity" => vec!["sts", "get-caller-identity"],
            "DescribeServices" => vec!["ecs", "describe-services", "--cluster", cluster, "--services", service],
            "ListTasks" => vec!["ecs", "list-tasks", "--cluster", cluster, "--service-name", service],
            "DescribeLoadBalancers" => vec!["elbv2", "describe-load-balancers", "--names", &name],
            "DescribeListeners" => vec!["elbv2", "describe-listeners", "--load-balancer-arn", balancer],
            "DescribeTargetHealth" => vec!["elbv2", "describe-target-health", "--target-group-arn", web_group],
            "ListHostedZonesByName" => vec!["route53", "list-hosted-zones-by-name", "--dns-name", DOMAIN],
            "ListResourceRecordSets" => vec!["route53", "list-resource-record-sets", "--hosted-zone-id", zone],
            "DescribeSecret" => vec!["secretsmanager", "describe-secret", "--secret-id", secret],
            "FilterLogEvents" => vec!["logs", "filter-log-events", "--log-group-name", log_group],
            other => return Err(format!("what is {other} to the AWS CLI?").into()),
        };
        let out = self.command(aws).args(&args).output()?;
        if out.status.success() {
            return Ok(());
        }
        Err(format!("aws {args:?}: {}", String::from_utf8_lossy(&out.stderr).trim()).into())
    }
}

/// The AWS CLI in the venv of moto; installs it once.
fn aws_cli() -> Result<PathBuf> {
    let python = installed()?;
    let aws = python.with_file_name("aws");
    if !aws.exists() {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "awscli"];
        let out = Command::new(&python).args(pip).output()?;
        if !out.status.success() {
            return Err("pip install awscli fails".into());
        }
    }
    Ok(aws)
}
