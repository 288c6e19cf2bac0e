//! What is not ours: an account with things of other teams in it, and the binary before it. Only what is shown to be the
//! platform's is deleted, and only the platform is stopped. Terraform is one that only pretends: it manages nothing.

use std::path::Path;
use std::process::Command;

use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::moto::{ACCOUNT, Moto, REGION, Seeded, inside, seed};
use crate::needs::{Need, test};
use crate::platform::Run;
use crate::process::{Result, block_on, ensure};

const NAME: &str = "rig";
const OURS: [(&str, &str); 3] = [("project", NAME), ("environment", "test"), ("managed-by", "terraform")];

pub(crate) fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Moto];
    vec![
        test("foreign::only_what_is_shown_to_be_ours_is_deleted", NEEDS, only_ours_is_deleted),
        test("foreign::another_platform_is_not_this_one_at_rest", NEEDS, another_platform),
        test("foreign::what_takes_away_is_told_the_account", NEEDS, the_account_is_told),
    ]
}

/// The platform `rig`, powered down, and a laptop.
struct Account {
    moto: Moto,
    it: Seeded,
    folder: TempDir,
}

impl Account {
    fn open() -> Result<Self> {
        let moto = Moto::start()?;
        let it = block_on(seed(&moto, NAME, "meet.example.test"))??;
        let folder = TempDir::new()?;
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin)?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/terraform/program.sh");
        std::os::unix::fs::symlink(program, bin.join("terraform"))?;
        std::fs::write(bin.join("version-terraform"), "Terraform v1.11.4\non linux_amd64\n")?;
        std::fs::write(bin.join("show.out"), r#"{"resource_changes":[]}"#)?;
        block_on(async { moto.clients().elb.delete_load_balancer().load_balancer_arn(&it.balancer).send().await })??;
        Ok(Self { moto, it, folder })
    }

    fn meetctl(&self, line: &str) -> Result<Run> {
        let (home, began) = (self.folder.path().join("home"), std::time::Instant::now());
        std::fs::create_dir_all(&home)?;
        let out = Command::new(env!("CARGO_BIN_EXE_meetctl"))
            .args(["--no-input", "--domain", "meet.example.test", "--region", REGION, "--timeout", "90s"])
            .args(line.split(' '))
            .current_dir(&home)
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder.path().join("bin").display()))
            .env("HOME", &home)
            .env("MEETCTL_DNS_SERVERS", "127.0.0.1:9")
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.moto.address()))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Run {
            args: line.to_owned(),
            code: out.status.code(),
            stdout: text(out.stdout),
            stderr: text(out.stderr),
            took: began.elapsed(),
        })
    }

    fn balancer(
        &self,
        name: &str,
        kind: elb::LoadBalancerTypeEnum,
        subnets: &[String],
        tags: &[(&str, &str)],
    ) -> Result<String> {
        block_on(async {
            let tags = tags.iter().map(|(key, value)| elb::Tag::builder().key(*key).value(*value).build()).collect();
            let asked = self.moto.clients().elb.create_load_balancer().name(name).r#type(kind);
            let made = asked.set_subnets(Some(subnets.to_vec())).set_tags(Some(tags)).send().await?;
            let arn = made.load_balancers().first().and_then(|it| it.load_balancer_arn());
            Ok(arn.ok_or("no load balancer")?.to_owned())
        })?
    }

    /// Two subnets of another team's VPC.
    fn elsewhere(&self) -> Result<Vec<String>> {
        let ec2 = |action: &str, params: &[(&str, &str)]| self.moto.query("ec2", "2016-11-15", action, params);
        let vpc = inside(&ec2("CreateVpc", &[("CidrBlock", "10.9.0.0/16")])?, "vpcId")?;
        let subnet = |block: &str, zone: &str| {
            let params = [("VpcId", vpc.as_str()), ("CidrBlock", block), ("AvailabilityZone", zone)];
            inside(&ec2("CreateSubnet", &params)?, "subnetId")
        };
        Ok(vec![subnet("10.9.1.0/24", "us-west-2a")?, subnet("10.9.2.0/24", "us-west-2b")?])
    }

    /// The subnets of the platform's own service.
    fn at_home(&self) -> Result<Vec<String>> {
        block_on(async {
            let service = self.moto.clients().service(&self.it.cluster, &self.it.service).await?;
            let network =
                service.network_configuration().and_then(|it| it.awsvpc_configuration()).ok_or("no network")?;
            Ok(network.subnets().to_vec())
        })?
    }

    fn balancers(&self) -> Result<Vec<String>> {
        block_on(async {
            let seen = self.moto.clients().elb.describe_load_balancers().send().await?;
            Ok(seen.load_balancers().iter().filter_map(|it| it.load_balancer_arn().map(str::to_owned)).collect())
        })?
    }
}

fn only_ours_is_deleted() -> Result<()> {
    use elb::LoadBalancerTypeEnum::{Application, Network};
    let it = Account::open()?;
    let account = format!("--account {ACCOUNT} --platform {NAME}");
    it.meetctl(&format!("status --expect powered-down {account}"))?.exits(0)?;
    let (home, elsewhere) = (it.at_home()?, it.elsewhere()?);
    let foreign = [
        it.balancer("application", Application, &elsewhere, &OURS)?,
        it.balancer("other-team", Network, &home, &[("project", NAME), ("managed-by", "pulumi")])?,
        it.balancer("other-vpc", Network, &elsewhere, &OURS)?,
    ];
    let ours = it.balancer("left-over", Network, &home, &OURS)?;

    let mut status = it.meetctl(&format!("status --expect powered-down {account}"))?.exits(8)?;
    for arn in foreign.iter().chain([&ours]) {
        status = status.says(arn)?;
    }
    it.meetctl(&format!("power-down {account}"))?.exits(5)?.says(&ours)?;
    ensure!(it.balancers()?.len() == 4, "nobody agreed, and something is gone");
    let mut run = it.meetctl(&format!("power-down --yes {account} --output json"))?.exits(8)?.says(&ours)?;
    for arn in &foreign {
        run = run.says(arn)?;
    }
    let mut left = it.balancers()?;
    left.sort();
    let mut wanted = foreign.to_vec();
    wanted.sort();
    ensure!(left == wanted, "left: {left:?}");
    Ok(())
}

fn another_platform() -> Result<()> {
    let it = Account::open()?;
    // Somebody else's: a service of the name that is asked for, and a load balancer with that tag.
    block_on(async {
        let ecs = it.moto.clients().ecs;
        ecs.create_cluster().cluster_name("other-cluster").send().await?;
        let tag = ecs::Tag::builder().key("project").value("other").build();
        let service = ecs.create_service().cluster("other-cluster").service_name("other-service");
        service.task_definition(&it.it.family).desired_count(1).tags(tag).send().await?;
        Ok::<_, crate::process::Trouble>(())
    })??;
    let theirs = it.balancer(
        "theirs",
        elb::LoadBalancerTypeEnum::Network,
        &it.at_home()?,
        &[("project", "other"), ("environment", "test"), ("managed-by", "terraform")],
    )?;
    for (name, why) in [("other", "service of that name is not this platform's"), ("nobody", "no platform nobody")] {
        let account = format!("--account {ACCOUNT} --platform {name}");
        for line in ["status", "health", "down", "up", "power-down --yes", &format!("destroy --confirm {name}")] {
            let run = it.meetctl(&format!("{line} {account}"))?.exits(8)?.says(why)?.does_not_say("othing to do")?;
            run.says(&format!("no platform {name} in {REGION} of account {ACCOUNT}"))?;
        }
    }
    ensure!(it.balancers()? == [theirs], "somebody else's load balancer is gone");
    let desired = block_on(async {
        let seen = it.moto.clients().ecs.describe_services().cluster("other-cluster").services("other-service");
        Ok::<_, crate::process::Trouble>(
            seen.send().await?.services().first().map(aws_sdk_ecs::types::Service::desired_count),
        )
    })??;
    ensure!(desired == Some(1), "somebody else's service was changed: {desired:?}");
    Ok(())
}

fn the_account_is_told() -> Result<()> {
    let it = Account::open()?;
    for line in ["power-down --yes", "destroy --confirm rig"] {
        it.meetctl(&format!("{line} --platform {NAME}"))?.exits(3)?.says("--account")?;
    }
    it.meetctl(&format!("down --platform {NAME}"))?.exits(0)?.says(&format!("account {ACCOUNT}"))?;
    it.meetctl(&format!("down --platform {NAME} --account 999988887777"))?.exits(4)?.says(ACCOUNT)?;
    Ok(())
}
