//! moto: an AWS account in memory, from `PyPI`, as a child on a loopback port.
//!
//! Also the platform that a test starts from ([`seed`]): what Terraform would have made, resting at
//! standby, with the names of the product's contract.
//!
//! # What moto 5.2.5 does, and does not
//!
//! Found by trying, held by the tests of this module and of `conductor.rs`. Where meetctl would be
//! led astray, `aws_proxy.rs` puts exactly that field right and says so.
//!
//! | Call | moto | AWS |
//! | --- | --- | --- |
//! | `UpdateService` | `runningCount` becomes `desiredCount` at once, `pendingCount` 0; no task is started, ever | counts follow the tasks |
//! | `UpdateService` `forceNewDeployment` | the one deployment gets a new id and `createdAt` **in place**; its counts stay those of `CreateService`, `rolloutState` stays `COMPLETED`, its reason still names the first id | a second deployment, `IN_PROGRESS`; the older one `ACTIVE` until drained |
//! | `UpdateService` without it | the id stays | the same |
//! | `DescribeServices` | `events` is always empty; `deploymentConfiguration` and grace period are not kept; at most 10 is not enforced | 100 newest events |
//! | `DescribeServices` with `include=TAGS` | whether tags are shown is one switch for all requests that are under way: one without it hides them from another one with it, so every look here asks for them ([`TAGS`]) | each request by itself |
//! | `RunTask` | needs `memory` on every container and, for `awsvpc`, a VPC with DNS host names (else it crashes with 500); the task is `RUNNING` at once; only the **first** container is listed, as `PENDING`; no `healthStatus` of the task, no times, no `stopCode`; `startedBy` and `group` are kept; no parameter `serviceName` | `PROVISIONING` … `RUNNING` |
//! | `DescribeTasks` | every look moves the task one state on towards `STOPPED` unless told otherwise (we tell it, see [`Moto::reset`]); unknown tasks are left out silently | unknown tasks in `failures` |
//! | `ListTasks` | `serviceName` is ignored; without `desiredStatus` stopped tasks are listed too; `startedBy` works | running ones only |
//! | `StopTask` | `STOPPED` at once with our reason; no `stopCode` | takes up to the stop timeout |
//! | `RegisterTargets`, `DescribeTargetHealth` | ip targets are `healthy` at once, gone at once when deregistered; without a target named: an empty list | `initial`, `draining` |
//! | `CreateLoadBalancer` | a network load balancer has `/app/` in its ARN and the name `NAME-1.REGION.elb.amazonaws.com`; `provisioning` in the first answer, `active` after it | |
//! | `CreateListener` TLS | the certificate must exist in ACM | the same |
//! | `FilterLogEvents` | `logStreamNamePrefix` is ignored; `logStreamNames` works; patterns: terms only | |
//! | Route 53 | alias records are kept and given back without the final dot; the name servers are made up (`ns-2048.awsdns-64.com` …) | |
//! | `ListServiceDeployments`, `DescribeServiceDeployments` | 500 | |
//! | STS | every credential is account 123456789012; `Arn` is a user | |
//! | anything missing | the right error types: `ClusterNotFoundException`, `failures: MISSING`, `LoadBalancerNotFound`, `ResourceNotFoundException` | the same |

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types as elb;
use aws_sdk_route53::types as route53;
use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::http;
use crate::needs::{Need, find, test};
use crate::process::{Result, Server, block_on, ensure, free_port, loopback};

/// Asked for in every look at a service, see the table above.
pub(crate) const TAGS: ecs::ServiceField = ecs::ServiceField::Tags;
/// The only account that moto has.
pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "us-west-2";
/// `config` writes files and ends; `occupancy` counts people; neither is essential.
pub(crate) const CONTAINERS: [&str; 6] = ["config", "web", "prosody", "jicofo", "jvb", "occupancy"];

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// The Python of a venv below `target/` in which the pinned moto is installed; makes it once.
pub(crate) fn installed() -> Result<PathBuf> {
    static HERE: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut here = HERE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(python) = &*here {
        return Ok(python.clone());
    }
    let python = install()?;
    *here = Some(python.clone());
    Ok(python)
}

fn install() -> Result<PathBuf> {
    let mark = REQUIREMENTS
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("moto-{mark:016x}"));
    let python = folder.join("bin/python");
    let ready = folder.join("ready");
    // Its Python may have been taken away meanwhile, or belong to somebody else.
    let works = || ready.exists() && run(Command::new(&python).arg("--version")).is_ok();
    if works() {
        return Ok(python);
    }
    std::fs::create_dir_all(&folder)?;
    let lock = std::fs::File::create(folder.with_extension("lock"))?;
    lock.lock()?; // another run of the tests may be at it
    if works() {
        return Ok(python);
    }
    let requirements = folder.join("requirements.txt");
    let system = find("python3").ok_or("no python3")?;
    run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder))?;
    std::fs::write(&requirements, REQUIREMENTS)?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"])
        .arg(&requirements))?;
    std::fs::write(&ready, "")?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr);
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    Err(format!("{command:?} failed: {}", last.join(" | ")).into())
}

/// A server, for one test at a time: starting one costs more than most tests do.
pub(crate) struct Moto {
    /// `None` only while it is dropped.
    running: Option<Running>,
    address: SocketAddr,
}

struct Running {
    server: Server,
    address: SocketAddr,
    _folder: TempDir,
}

/// Servers that no test uses at the moment.
static IDLE: Mutex<Vec<Running>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Running>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the servers that wait for another test. Called when all tests are over: statics are not dropped.
pub(crate) fn end_all() {
    idle().clear();
}

impl Drop for Moto {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take()
            && running.server.is_running()
        {
            idle().push(running);
        }
    }
}

impl Running {
    fn start() -> Result<Self> {
        let python = installed()?;
        let folder = TempDir::new()?;
        let address = free_port(loopback())?;
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let args = ["-m", "moto.server", "-H", ip.as_str(), "-p", port.as_str()];
        let mut server = Server::start("moto", &python, &args, folder.path())?;
        server.wait(Duration::from_mins(1), || {
            http::get(address, "/moto-api/data.json").is_ok_and(|answer| answer.status == 200)
        })?;
        Ok(Self { server, address, _folder: folder })
    }
}

impl Moto {
    /// An empty account.
    pub(crate) fn start() -> Result<Self> {
        let waiting = idle().pop();
        let running = waiting.map_or_else(Running::start, Ok)?;
        let moto = Self { address: running.address, running: Some(running) };
        moto.reset()?;
        Ok(moto)
    }

    /// Forgets everything; tasks stay in the state that they are put into, however often they are looked at.
    pub(crate) fn reset(&self) -> Result<()> {
        order(self.address, "/moto-api/reset", "")?;
        tasks_stay(self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::new(self.address)
    }

    /// What remains is a port at which nobody answers.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = &mut self.running {
            running.server.stop();
        }
    }

    /// A call of an API in AWS's query form, for a service of which the crate has no client.
    pub(crate) fn query(&self, service: &str, version: &str, action: &str, params: &[(&str, &str)]) -> Result<String> {
        let mut body = format!("Action={action}&Version={version}");
        for (key, value) in params {
            let value = value.replace('/', "%2F").replace(' ', "%20");
            let _ = write!(body, "&{key}={value}");
        }
        let authorization = authorization(service);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        ];
        let answer = http::request(self.address, "POST", "/", &headers, &body)?;
        ensure!(answer.status == 200, "{action}: {} {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// A call of an API in AWS's JSON form.
    fn json(&self, service: &str, target: &str, body: &serde_json::Value) -> Result<serde_json::Value> {
        let authorization = authorization(service);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target),
        ];
        let answer = http::request(self.address, "POST", "/", &headers, &body.to_string())?;
        ensure!(answer.status == 200, "{target}: {} {}", answer.status, answer.body);
        Ok(serde_json::from_str(&answer.body)?)
    }
}

/// Tasks stay in the state that they are put into, however often they are looked at.
pub(crate) fn tasks_stay(moto: SocketAddr) -> Result<()> {
    let still = r#"{"model_name":"ecs::task","transition":{"progression":"manual","times":1000000000}}"#;
    order(moto, "/moto-api/state-manager/set-transition", still)
}

fn order(moto: SocketAddr, path: &str, body: &str) -> Result<()> {
    let answer = http::request(moto, "POST", path, &[("Content-Type", "application/json")], body)?;
    ensure!(answer.status < 300, "moto answers {} to {path}: {}", answer.status, answer.body);
    Ok(())
}

/// moto reads the service and the region from the signature's scope, and does not check the signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// The SDK's clients against one address.
pub(crate) struct Clients {
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) elb: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) route53: aws_sdk_route53::Client,
    pub(crate) secrets: aws_sdk_secretsmanager::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) sts: aws_sdk_sts::Client,
}

impl Clients {
    /// A service as moto has it, always with its tags: see [`TAGS`].
    pub(crate) async fn service(&self, cluster: &str, service: &str) -> Result<ecs::Service> {
        let seen = self.ecs.describe_services().cluster(cluster).services(service).include(TAGS).send().await?;
        seen.services.unwrap_or_default().pop().ok_or_else(|| "no service".into())
    }
}

/// An SDK configuration for what answers at an address in AWS's place.
pub(crate) fn configuration(address: SocketAddr) -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http()) // loads no roots: much quicker
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "rig")))
        .build()
}

impl Clients {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = configuration(address);
        Self {
            ecs: aws_sdk_ecs::Client::new(&config),
            elb: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            route53: aws_sdk_route53::Client::new(&config),
            secrets: aws_sdk_secretsmanager::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
        }
    }
}

/// Where things are in the seeded account.
#[derive(Clone, Debug)]
pub(crate) struct Seeded {
    pub(crate) domain: String,
    pub(crate) cluster: String,
    pub(crate) service: String,
    pub(crate) family: String,
    pub(crate) balancer: String,
    pub(crate) balancer_dns: String,
    pub(crate) web_group: String,
    pub(crate) media_group: String,
    pub(crate) log_group: String,
    pub(crate) secret: String,
    pub(crate) zone: String,
}

/// The platform at standby: everything that has a name in the product's contract; desired count 0.
#[expect(clippy::too_many_lines, reason = "one account, from top to bottom")]
pub(crate) async fn seed(moto: &Moto, name: &str, domain: &str) -> Result<Seeded> {
    let aws = moto.clients();
    let family = name.to_owned();
    let cluster = format!("{name}-cluster");
    let service = format!("{name}-service");
    let log_group = format!("/ecs/{name}");
    let secret = format!("{name}-jitsi-secrets");
    let tags = [("project", name), ("environment", "test"), ("managed-by", "terraform")];

    // Network: EC2 has no client here.
    let ec2 = |action: &str, params: &[(&str, &str)]| moto.query("ec2", "2016-11-15", action, params);
    let vpc = inside(&ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")])?, "vpcId")?;
    ec2("ModifyVpcAttribute", &[("VpcId", &vpc), ("EnableDnsHostnames.Value", "true")])?;
    let subnet = inside(
        &ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", "10.0.1.0/24"), ("AvailabilityZone", "us-west-2a")])?,
        "subnetId",
    )?;
    let group = inside(
        &ec2("CreateSecurityGroup", &[("GroupName", name), ("GroupDescription", name), ("VpcId", &vpc)])?,
        "groupId",
    )?;
    let address = inside(&ec2("AllocateAddress", &[("Domain", "vpc")])?, "allocationId")?;

    // Certificate: a TLS listener needs one that ACM knows.
    let signed = rcgen::generate_simple_self_signed(vec![domain.to_owned()])?;
    let pem = |text: String| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let certificate = moto.json(
        "acm",
        "CertificateManager.ImportCertificate",
        &serde_json::json!({
            "Certificate": pem(signed.cert.pem()),
            "PrivateKey": pem(signed.signing_key.serialize_pem()),
        }),
    )?;
    let certificate = certificate["CertificateArn"].as_str().ok_or("no certificate")?.to_owned();

    // Secret, logs.
    let secret_tags = tags.map(|(k, v)| aws_sdk_secretsmanager::types::Tag::builder().key(k).value(v).build()).to_vec();
    aws.secrets
        .create_secret()
        .name(&secret)
        .secret_string(r#"{"JICOFO_AUTH_PASSWORD":"x","JVB_AUTH_PASSWORD":"y"}"#)
        .set_tags(Some(secret_tags))
        .send()
        .await?;
    aws.logs
        .create_log_group()
        .log_group_name(&log_group)
        .set_tags(Some(tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into()))
        .send()
        .await?;

    // Load balancer with its two target groups.
    let elb_tags = tags.map(|(k, v)| elb::Tag::builder().key(k).value(v).build()).to_vec();
    let made = aws
        .elb
        .create_load_balancer()
        .name(format!("{name}-nlb"))
        .r#type(elb::LoadBalancerTypeEnum::Network)
        .scheme(elb::LoadBalancerSchemeEnum::InternetFacing)
        .subnet_mappings(elb::SubnetMapping::builder().subnet_id(&subnet).allocation_id(address).build())
        .set_tags(Some(elb_tags.clone()))
        .send()
        .await?;
    let made = made.load_balancers().first().ok_or("no load balancer")?;
    let balancer = made.load_balancer_arn().unwrap_or_default().to_owned();
    let balancer_dns = made.dns_name().unwrap_or_default().to_owned();
    let balancer_zone = made.canonical_hosted_zone_id().unwrap_or_default().to_owned();
    // moto says "provisioning" once; standby is at rest.
    aws.elb.describe_load_balancers().load_balancer_arns(&balancer).send().await?;

    let mut groups = Vec::new();
    for (what, target, port, check_port, path, listener, listener_port) in [
        ("web", elb::ProtocolEnum::Tcp, 8000, "8000", "/", elb::ProtocolEnum::Tls, 443),
        ("jvb", elb::ProtocolEnum::Udp, 10_000, "8080", "/about/health", elb::ProtocolEnum::Udp, 10_000),
    ] {
        let made = aws
            .elb
            .create_target_group()
            .name(format!("{name}-{what}"))
            .protocol(target)
            .port(port)
            .vpc_id(&vpc)
            .target_type(elb::TargetTypeEnum::Ip)
            .health_check_protocol(elb::ProtocolEnum::Http)
            .health_check_port(check_port)
            .health_check_path(path)
            .set_tags(Some(elb_tags.clone()))
            .send()
            .await?;
        let arn = made.target_groups().first().and_then(|group| group.target_group_arn()).ok_or("no target group")?;
        let mut wanted = aws.elb.create_listener().load_balancer_arn(&balancer).port(listener_port);
        if listener == elb::ProtocolEnum::Tls {
            wanted = wanted
                .certificates(elb::Certificate::builder().certificate_arn(&certificate).build())
                .ssl_policy("ELBSecurityPolicy-TLS13-1-2-2021-06");
        }
        wanted
            .protocol(listener)
            .default_actions(elb::Action::builder().r#type(elb::ActionTypeEnum::Forward).target_group_arn(arn).build())
            .send()
            .await?;
        groups.push(arn.to_owned());
    }

    // Zone with the alias.
    let parent = domain.split_once('.').map_or(domain, |(_, parent)| parent);
    let made = aws.route53.create_hosted_zone().name(parent).caller_reference(name).send().await?;
    let zone = made.hosted_zone().map(|zone| zone.id().to_owned()).ok_or("no zone")?;
    let alias = route53::AliasTarget::builder()
        .hosted_zone_id(balancer_zone)
        .dns_name(&balancer_dns)
        .evaluate_target_health(false)
        .build()?;
    let record =
        route53::ResourceRecordSet::builder().name(domain).r#type(route53::RrType::A).alias_target(alias).build()?;
    let change =
        route53::Change::builder().action(route53::ChangeAction::Upsert).resource_record_set(record).build()?;
    aws.route53
        .change_resource_record_sets()
        .hosted_zone_id(&zone)
        .change_batch(route53::ChangeBatch::builder().changes(change).build()?)
        .send()
        .await?;

    // Cluster, task definition, service.
    let ecs_tags = tags.map(|(k, v)| ecs::Tag::builder().key(k).value(v).build()).to_vec();
    aws.ecs.create_cluster().cluster_name(&cluster).set_tags(Some(ecs_tags.clone())).send().await?;
    let mut definition = aws
        .ecs
        .register_task_definition()
        .family(&family)
        .network_mode(ecs::NetworkMode::Awsvpc)
        .requires_compatibilities(ecs::Compatibility::Fargate)
        .cpu("4096")
        .memory("8192")
        .set_tags(Some(ecs_tags.clone()));
    for container in CONTAINERS {
        definition = definition.container_definitions(container_definition(container, &log_group)?);
    }
    definition.send().await?;
    let balance = |group: &str, container: &str, port: i32| {
        ecs::LoadBalancer::builder().target_group_arn(group).container_name(container).container_port(port).build()
    };
    aws.ecs
        .create_service()
        .cluster(&cluster)
        .service_name(&service)
        .task_definition(&family)
        .desired_count(0)
        .launch_type(ecs::LaunchType::Fargate)
        .network_configuration(
            ecs::NetworkConfiguration::builder()
                .awsvpc_configuration(
                    ecs::AwsVpcConfiguration::builder()
                        .subnets(&subnet)
                        .security_groups(&group)
                        .assign_public_ip(ecs::AssignPublicIp::Enabled)
                        .build()?,
                )
                .build(),
        )
        .load_balancers(balance(&groups[0], "web", 8000))
        .load_balancers(balance(&groups[1], "jvb", 10_000))
        .set_tags(Some(ecs_tags))
        .send()
        .await?;

    let media_group = groups.pop().ok_or("no media group")?;
    let web_group = groups.pop().ok_or("no web group")?;
    Ok(Seeded {
        domain: domain.to_owned(),
        cluster,
        service,
        family,
        balancer,
        balancer_dns,
        web_group,
        media_group,
        log_group,
        secret,
        zone,
    })
}

/// The platform that somebody else has made, found by its names as anybody may look for it.
pub(crate) async fn found(aws: &Clients, name: &str, domain: &str) -> Result<Seeded> {
    let (cluster, service) = (format!("{name}-cluster"), format!("{name}-service"));
    let seen = aws.ecs.describe_services().cluster(&cluster).services(&service).include(TAGS).send().await?;
    let task = seen.services().first().and_then(|it| it.task_definition()).ok_or("no service")?;
    let definition = aws.ecs.describe_task_definition().task_definition(task).send().await?;
    let family = definition.task_definition().and_then(|it| it.family()).ok_or("no task definition")?.to_owned();

    let seen = aws.elb.describe_load_balancers().names(format!("{name}-nlb")).send().await?;
    let balancer = seen.load_balancers().first().ok_or("no load balancer")?;
    let group = async |what: &str| -> Result<String> {
        let seen = aws.elb.describe_target_groups().names(format!("{name}-{what}")).send().await?;
        let arn = seen.target_groups().first().and_then(|it| it.target_group_arn());
        Ok(arn.ok_or_else(|| format!("no target group {name}-{what}"))?.to_owned())
    };

    let log_group = format!("/ecs/{name}");
    let seen = aws.logs.describe_log_groups().log_group_name_prefix(&log_group).send().await?;
    ensure!(seen.log_groups().iter().any(|it| it.log_group_name() == Some(&log_group)), "no log group {log_group}");
    let secret = format!("{name}-jitsi-secrets");
    aws.secrets.describe_secret().secret_id(&secret).send().await?;
    let parent = domain.split_once('.').map_or(domain, |(_, parent)| parent);
    let seen = aws.route53.list_hosted_zones_by_name().dns_name(parent).send().await?;
    let zone = seen.hosted_zones().iter().find(|it| it.name().trim_end_matches('.') == parent);

    Ok(Seeded {
        domain: domain.to_owned(),
        cluster,
        service,
        family,
        balancer: balancer.load_balancer_arn().unwrap_or_default().to_owned(),
        balancer_dns: balancer.dns_name().unwrap_or_default().to_owned(),
        web_group: group("web").await?,
        media_group: group("jvb").await?,
        log_group,
        secret,
        zone: zone.ok_or_else(|| format!("no zone {parent}"))?.id().to_owned(),
    })
}

/// Streams are `PREFIX/CONTAINER/TASK`, the prefix being the container's name, as the contract has it for
/// `occupancy/occupancy/TASK`.
fn container_definition(name: &str, log_group: &str) -> Result<ecs::ContainerDefinition> {
    let essential = !matches!(name, "config" | "occupancy");
    let image = match name {
        "config" => "web",
        "occupancy" => "jvb",
        same => same,
    };
    let logs = ecs::LogConfiguration::builder()
        .log_driver(ecs::LogDriver::Awslogs)
        .options("awslogs-group", log_group)
        .options("awslogs-region", REGION)
        .options("awslogs-stream-prefix", name)
        .build()?;
    let mut container = ecs::ContainerDefinition::builder()
        .name(name)
        .image(format!("ghcr.io/jitsi/{image}:stable-11146-2"))
        .essential(essential)
        .cpu(256)
        .memory(1024)
        .log_configuration(logs);
    if essential {
        let check = ["CMD-SHELL", "true"].map(String::from).to_vec();
        container = container.health_check(ecs::HealthCheck::builder().set_command(Some(check)).build()?);
    }
    match name {
        "web" => {
            container = container.port_mappings(ecs::PortMapping::builder().container_port(8000).build());
        }
        "jvb" => {
            let port = ecs::PortMapping::builder().container_port(10_000).protocol(ecs::TransportProtocol::Udp);
            container = container.port_mappings(port.build());
        }
        _ => {}
    }
    Ok(container.build())
}

/// The text of the first element of that name in a piece of XML.
pub(crate) fn inside(xml: &str, element: &str) -> Result<String> {
    let after = xml.split_once(&format!("<{element}>")).ok_or_else(|| format!("no {element} in {xml}"))?.1;
    Ok(after.split_once('<').ok_or("no end")?.0.to_owned())
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    const MOTO: &[Need] = &[Need::Moto];
    vec![
        test("moto::a_seeded_platform_rests_at_standby", MOTO, seeded_rests_at_standby),
        test("moto::what_is_missing_is_called_missing", MOTO, missing_is_called_missing),
        test("moto::stopped_refuses_connections", MOTO, stopped_refuses),
    ]
}

fn seeded_rests_at_standby() -> Result<()> {
    let moto = Moto::start()?;
    block_on(async {
        let it = seed(&moto, "rig", "meet.example.test").await?;
        let aws = moto.clients();

        let who = aws.sts.get_caller_identity().send().await?;
        ensure!(who.account() == Some(ACCOUNT), "account {:?}", who.account());

        let seen = aws.ecs.describe_services().cluster("rig-cluster").services("rig-service").send().await?;
        let service = seen.services().first().ok_or("no service")?;
        ensure!(service.status() == Some("ACTIVE"), "status {:?}", service.status());
        ensure!((service.desired_count(), service.running_count()) == (0, 0), "not at rest");
        ensure!(service.load_balancers().len() == 2, "target groups {:?}", service.load_balancers());

        let seen = aws.elb.describe_load_balancers().names("rig-nlb").send().await?;
        let balancer = seen.load_balancers().first().ok_or("no balancer")?;
        let state = balancer.state().and_then(|state| state.code()).cloned();
        ensure!(state == Some(elb::LoadBalancerStateEnum::Active), "state {state:?}");
        ensure!(balancer.load_balancer_arn() == Some(it.balancer.as_str()), "another balancer");
        let listeners = aws.elb.describe_listeners().load_balancer_arn(&it.balancer).send().await?;
        let mut ports: Vec<_> = listeners.listeners().iter().filter_map(elb::Listener::port).collect();
        ports.sort_unstable();
        ensure!(ports == [443, 10_000], "listeners {ports:?}");
        for group in [&it.web_group, &it.media_group] {
            let health = aws.elb.describe_target_health().target_group_arn(group).send().await?;
            ensure!(health.target_health_descriptions().is_empty(), "targets at standby");
        }

        let records = aws.route53.list_resource_record_sets().hosted_zone_id(&it.zone).send().await?;
        let alias = records.resource_record_sets().iter().find(|record| record.alias_target().is_some());
        let alias = alias.ok_or("no alias")?;
        ensure!(alias.name() == format!("{}.", it.domain), "alias {}", alias.name());
        let target = alias.alias_target().map(|target| target.dns_name().to_owned());
        ensure!(target.as_deref() == Some(it.balancer_dns.as_str()), "alias to {target:?}");

        aws.secrets.describe_secret().secret_id(&it.secret).send().await?;
        let groups = aws.logs.describe_log_groups().log_group_name_prefix(&it.log_group).send().await?;
        ensure!(groups.log_groups().len() == 1, "log groups {:?}", groups.log_groups());

        let definition = aws.ecs.describe_task_definition().task_definition(&it.family).send().await?;
        let names: Vec<_> = definition
            .task_definition()
            .map(ecs::TaskDefinition::container_definitions)
            .unwrap_or_default()
            .iter()
            .filter_map(|container| container.name())
            .collect();
        ensure!(names == CONTAINERS, "containers {names:?}");

        // And a reset forgets all of it.
        moto.reset()?;
        let clusters = aws.ecs.list_clusters().send().await?;
        ensure!(clusters.cluster_arns().is_empty(), "reset left {:?}", clusters.cluster_arns());
        Ok(())
    })?
}

fn missing_is_called_missing() -> Result<()> {
    let moto = Moto::start()?;
    block_on(async {
        let aws = moto.clients();
        let no_cluster = aws.ecs.describe_services().cluster("none").services("none").send().await;
        let no_cluster = no_cluster.err().map(aws_sdk_ecs::error::SdkError::into_service_error);
        ensure!(no_cluster.is_some_and(|e| e.is_cluster_not_found_exception()), "a cluster that is not there");
        aws.ecs.create_cluster().cluster_name("some").send().await?;
        let no_service = aws.ecs.describe_services().cluster("some").services("none").send().await?;
        ensure!(no_service.failures().first().and_then(|f| f.reason()) == Some("MISSING"), "{no_service:?}");
        let no_balancer = aws.elb.describe_load_balancers().names("none").send().await;
        let no_balancer = no_balancer.err().map(aws_sdk_elasticloadbalancingv2::error::SdkError::into_service_error);
        ensure!(no_balancer.is_some_and(|e| e.is_load_balancer_not_found_exception()), "a balancer that is not there");
        let no_secret = aws.secrets.describe_secret().secret_id("none").send().await;
        let no_secret = no_secret.err().map(aws_sdk_secretsmanager::error::SdkError::into_service_error);
        ensure!(no_secret.is_some_and(|e| e.is_resource_not_found_exception()), "a secret that is not there");
        let no_logs = aws.logs.filter_log_events().log_group_name("/none").send().await;
        let no_logs = no_logs.err().map(aws_sdk_cloudwatchlogs::error::SdkError::into_service_error);
        ensure!(no_logs.is_some_and(|e| e.is_resource_not_found_exception()), "a log group that is not there");
        Ok(())
    })?
}

fn stopped_refuses() -> Result<()> {
    let mut moto = Moto::start()?;
    http::get(moto.address(), "/moto-api/data.json")?;
    moto.stop();
    let refused = std::net::TcpStream::connect(moto.address()).err().map(|e| e.kind());
    ensure!(refused == Some(std::io::ErrorKind::ConnectionRefused), "{refused:?}");
    Ok(())
}
