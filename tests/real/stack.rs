//! The life of a platform: the binary, the real Terraform with the real AWS provider, and moto as the account.
//!
//! moto runs with the gaps filled that the provider would take for drift (`tests/stack/moto_gaps.py`). `up` is asked
//! not to wait: that a started platform truly works is the business of `end_to_end.rs`; here it is that Terraform brings
//! the load balancer back before the start is asked for. The provider is downloaded (some 700 MB), or comes from a mirror
//! that `TF_CLI_CONFIG_FILE` names.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::http;
use crate::moto::{ACCOUNT, Clients, REGION, installed};
use crate::needs::{Need, find, test};
use crate::platform::Run;
use crate::process::{Result, Server, block_on, ensure, free_port, loopback};

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("stack::a_life_on_an_account", &[Need::Moto, Need::Terraform], a_life)]
}

const NAME: &str = "rig-platform";
const DOMAIN: &str = "meet.rig.example";
const ZONE: &str = "rig.example";

/// An empty account, and a laptop.
struct Account {
    address: SocketAddr,
    folder: TempDir,
    _moto: Server,
}

impl Account {
    fn open() -> Result<Self> {
        let folder = TempDir::new()?;
        let address = free_port(loopback())?;
        ensure!(address.ip().is_loopback(), "{address}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/moto_gaps.py");
        let (python, port) = (installed()?, address.port().to_string());
        let program = find("env").ok_or("no env")?;
        let words = [&python, &script].map(|p| p.display().to_string());
        // Certificates are issued at the second look.
        let args = ["MOTO_ACM_VALIDATION_WAIT=1", &words[0], &words[1], &port];
        let mut moto = Server::start("moto-gaps", &program, &args, folder.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
        moto.wait(Duration::from_mins(1), || {
            http::get(address, "/moto-api/data.json").is_ok_and(|answer| answer.status == 200)
        })?;
        let account = Self { address, folder, _moto: moto };
        block_on(async {
            let route53 = account.clients().route53;
            route53.create_hosted_zone().name(ZONE).caller_reference("rig").send().await?;
            Ok::<(), crate::process::Trouble>(())
        })??;
        Ok(account)
    }

    fn clients(&self) -> Clients {
        Clients::new(self.address)
    }

    fn meetctl(&self, line: &str) -> Result<Run> {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(&home)?;
        let (out, err) = (home.join("stdout"), home.join("stderr"));
        let began = Instant::now();
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetctl"));
        command
            .args(["--platform", NAME, "--domain", DOMAIN, "--region", REGION, "--no-input"])
            .args(&args)
            .current_dir(&home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("MEETCTL_PROBE_MEDIA", "false")
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        for passed in ["TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR", "HTTPS_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            if let Some(value) = std::env::var_os(passed) {
                command.env(passed, value);
            }
        }
        if std::env::var_os("HTTPS_PROXY").is_some() {
            command.env("NO_PROXY", "127.0.0.1");
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
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .endpoint_url(format!("http://{}", self.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "rig")))
            .build();
        let project = aws_sdk_resourcegroupstagging::types::TagFilter::builder().key("project").values(NAME).build();
        block_on(async {
            let tags = aws_sdk_resourcegroupstagging::Client::new(&config);
            let answer = tags.get_resources().tag_filters(project).send().await?;
            let arns = answer.resource_tag_mapping_list().iter().filter_map(|m| m.resource_arn());
            Ok(arns.filter(|arn| !arn.contains(":ecs:")).map(ToOwned::to_owned).collect())
        })?
    }

    /// What has an hourly price, as its owner says.
    fn balancers(&self) -> Result<usize> {
        block_on(async { Ok(self.clients().elb.describe_load_balancers().send().await?.load_balancers().len()) })?
    }

    fn desired(&self) -> Result<i32> {
        block_on(async {
            let ecs = self.clients().ecs;
            let (cluster, service) = (format!("{NAME}-cluster"), format!("{NAME}-service"));
            let seen = ecs.describe_services().cluster(cluster).services(service).send().await?;
            Ok(seen.services().first().ok_or("no service")?.desired_count())
        })?
    }
}

fn a_life() -> Result<()> {
    let it = Account::open()?;
    it.meetctl("status --expect destroyed")?.exits(0)?;
    it.meetctl("power-down --yes")?.exits(0)?.says("Nothing to do")?;

    it.meetctl("deploy")?.exits(5)?.does_not_say("done in")?;
    it.meetctl("deploy --yes")?.exits(0)?.says("The platform is deployed")?;
    it.meetctl("status --expect standby")?.exits(0)?;
    ensure!(it.balancers()? == 1, "{} load balancers", it.balancers()?);
    it.meetctl("deploy --yes")?.exits(0)?.says("Nothing to do")?.does_not_say("done in")?;

    it.meetctl("power-down --yes")?.exits(0)?.says("Nothing with an hourly price is left")?;
    ensure!(it.balancers()? == 0, "a load balancer is left");
    ensure!(it.tagged()?.iter().all(|arn| !arn.contains(":elastic-ip/")), "an address is left");
    it.meetctl("status --expect powered-down")?.exits(0)?;
    it.meetctl("power-down --yes")?.exits(0)?.says("Nothing to do")?.does_not_say("Terraform")?;

    it.meetctl("up --no-wait")?.exits(0)?.says("aws_lb.this[0]: create")?;
    ensure!((it.balancers()?, it.desired()?) == (1, 1), "not restored and started");
    it.meetctl("deploy --yes")?.exits(0)?.says("nothing to change")?;
    it.meetctl("down")?.exits(0)?;

    it.meetctl("destroy --yes")?.exits(5)?.does_not_say("done in")?;
    it.meetctl(&format!("destroy --confirm {NAME}"))?.exits(0)?.says("7 to leave alone")?;
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
