//! What the AWS adapter makes of AWS's answers: recorded replies, on a paused clock, without a network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_ecs::config::HttpClient;
use aws_smithy_http_client::test_util::{NeverClient, infallible_client_fn};
use aws_smithy_types::body::SdkBody;
use hyper::{Request, Response};
use jiff::Timestamp;
use meetctl::domain::billed::Witness;
use meetctl::domain::name::{DeploymentId, Names, TargetGroupArn, TaskId};
use meetctl::domain::observed::{
    Architecture, Attachment, BalancerState, DeploymentStatus, Health, Mark, Rollout, Secret, ServiceStatus,
    TargetState,
};
use meetctl::world::aws::{ACTIONS, Aws, Settings, with_config};
use meetctl::world::{Cloud, CloudError, CloudErrorKind};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// An account that gives prepared answers, and writes down what it was asked.
#[derive(Clone, Default)]
struct Account {
    replies: Arc<Mutex<BTreeMap<&'static str, VecDeque<Reply>>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

#[derive(Clone)]
struct Reply {
    status: u16,
    form: &'static str,
    body: Vec<u8>,
}

impl Account {
    /// The next answer to an action; the last one is repeated.
    fn answers(self, action: &'static str, reply: Reply) -> Self {
        self.replies.lock().expect("no panic").entry(action).or_default().push_back(reply);
        self
    }

    fn client(&self) -> impl HttpClient + 'static {
        let account = self.clone();
        infallible_client_fn(move |request| account.answer(&request))
    }

    fn cloud(&self) -> Aws {
        aws(self.client())
    }

    fn answer(&self, request: &Request<SdkBody>) -> Response<SdkBody> {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let action = action(request, &body);
        let mut replies = self.replies.lock().expect("no panic");
        let queue = replies.get_mut(action.as_str()).unwrap_or_else(|| panic!("nobody expected {action}"));
        let reply = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }.expect("a reply");
        self.asked.lock().expect("no panic").push((action, body));
        Response::builder()
            .status(reply.status)
            .header("content-type", reply.form)
            .body(SdkBody::from(reply.body))
            .expect("a response")
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("no panic").clone()
    }

    fn actions(&self) -> Vec<String> {
        self.asked().into_iter().map(|(action, _)| action).collect()
    }

    /// The bodies of all requests of one action.
    fn bodies(&self, action: &str) -> Vec<Value> {
        let asked = self.asked();
        let ours = asked.iter().filter(|(asked, _)| asked == action);
        ours.map(|(_, body)| serde_json::from_str(body).expect("JSON")).collect()
    }
}

/// The IAM action of a request, from what AWS itself tells them apart by.
fn action(request: &Request<SdkBody>, body: &str) -> String {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    if let Some((service, operation)) = target.and_then(|target| target.split_once('.')) {
        let prefix = match service {
            "AmazonEC2ContainerServiceV20141113" => "ecs",
            "Logs_20140328" => "logs",
            "secretsmanager" => "secretsmanager",
            "ResourceGroupsTaggingAPI_20170126" => "tag",
            other => panic!("{other} is a new service"),
        };
        return format!("{prefix}:{operation}");
    }
    if let Some(operation) = body.strip_prefix("Action=").and_then(|rest| rest.split('&').next()) {
        let host = request.uri().host().expect("a host");
        return format!("{}:{operation}", host.split('.').next().expect("a service"));
    }
    let path = request.uri().path();
    match path.strip_prefix("/2013-04-01/").unwrap_or(path) {
        "hostedzonesbyname" => "route53:ListHostedZonesByName".to_owned(),
        rest if rest.starts_with("hostedzone/") && rest.ends_with("/rrset") => {
            "route53:ListResourceRecordSets".to_owned()
        }
        other => panic!("{other} is a new request"),
    }
}

fn aws(client: impl HttpClient + 'static) -> Aws {
    let until = UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let credentials = Credentials::new("AKID", "secret", None, Some(until), "test");
    aws_as(SharedCredentialsProvider::new(credentials), client)
}

fn aws_as(credentials: SharedCredentialsProvider, client: impl HttpClient + 'static) -> Aws {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-west-2"))
        .credentials_provider(credentials)
        .http_client(client)
        .build();
    let settings = Settings {
        names: Names::new("demo".parse().expect("a platform")),
        host: "meet.example.org".parse().expect("a host"),
        region: None,
        profile: Some("hosting".to_owned()),
        mfa: false,
    };
    with_config(settings, &config)
}

fn json_reply(body: impl Into<Vec<u8>>) -> Reply {
    Reply { status: 200, form: "application/x-amz-json-1.1", body: body.into() }
}

fn xml(body: &str) -> Reply {
    Reply { status: 200, form: "text/xml", body: body.into() }
}

/// An error as the services that speak JSON send it.
fn refusal(code: &str, message: &str) -> Reply {
    Reply { status: 400, ..json_reply(json!({ "__type": code, "message": message }).to_string()) }
}

/// An error as the load balancers send it.
fn xml_refusal(code: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"
    );
    Reply { status: 400, ..xml(&body) }
}

const SERVICE: &str = include_str!("../replies/service.json");
const TASKS: &str = include_str!("../replies/tasks.json");
const BALANCER: &str = include_str!("../replies/balancer.xml");

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn task_id(letter: &str) -> TaskId {
    letter.repeat(32).parse().expect("a task id")
}

fn group() -> TargetGroupArn {
    "arn:aws:elasticloadbalancing:us-west-2:111122223333:targetgroup/demo-web/0123456789abcdef".parse().expect("an ARN")
}

fn kind<T: std::fmt::Debug>(answer: Result<T, CloudError>) -> CloudErrorKind {
    answer.expect_err("an error").kind
}

// --- identity ---------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn identity_is_account_arn_and_end() {
    let account = Account::default().answers("sts:GetCallerIdentity", xml(include_str!("../replies/caller.xml")));
    let identity = account.cloud().identity().await.expect("an identity");
    assert_eq!(identity.account.as_str(), "111122223333");
    assert_eq!(identity.arn, "arn:aws:sts::111122223333:assumed-role/Operator/ana");
    assert_eq!(identity.expires, Some(time("2030-03-17T17:46:40Z")));
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_names_its_profile() {
    let expired = Reply { status: 403, ..xml(include_str!("../replies/expired.xml")) };
    let error = Account::default().answers("sts:GetCallerIdentity", expired).cloud().identity().await;
    let error = error.expect_err("expired");
    assert_eq!(error.kind, CloudErrorKind::SignIn);
    assert_eq!(
        error.to_string(),
        "sts:GetCallerIdentity: the credentials of the profile `hosting` have expired (ExpiredToken): \
         The security token included in the request is expired"
    );
}

/// Credentials that nobody has, which takes two seconds to find out.
#[derive(Clone, Debug, Default)]
struct Nobody(Arc<Mutex<u32>>);

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            *self.0.lock().expect("no panic") += 1;
            sleep(Duration::from_secs(2)).await;
            Err(CredentialsError::not_loaded("nobody is there"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn without_credentials_nothing_is_asked_and_all_calls_wait_once() {
    let (nobody, never, start) = (Nobody::default(), NeverClient::new(), Instant::now());
    let cloud = aws_as(SharedCredentialsProvider::new(nobody.clone()), never.clone());
    let (identity, service, tasks, secret) =
        tokio::join!(cloud.identity(), cloud.service(), cloud.tasks(), cloud.secret());
    let error = identity.expect_err("no credentials");
    assert_eq!(error.kind, CloudErrorKind::NoCredentials);
    assert_eq!(error.why, "the profile `hosting` does not exist or has no credentials (nobody is there)");
    assert_eq!([kind(service), kind(tasks), kind(secret)], [CloudErrorKind::NoCredentials; 3]);
    assert_eq!(never.num_calls(), 0);
    assert_eq!((*nobody.0.lock().expect("no panic"), start.elapsed().as_secs()), (1, 2));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(kind(cloud.identity().await), CloudErrorKind::NoCredentials);
    assert_eq!(*nobody.0.lock().expect("no panic"), 2, "asked again, for somebody may have signed in");
}

/// The cloud of somebody whose profile says this.
#[expect(deprecated, reason = "aws-config has no other name for these types")]
fn cloud_of_profile(text: &str, client: impl HttpClient + 'static) -> Aws {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let files = ProfileFiles::builder().with_contents(ProfileFileKind::Config, text).build();
    let how = ProviderConfig::without_region().with_region(Some(Region::new("us-west-2")));
    let how = how.with_http_client(client);
    let provider = ProfileFileCredentialsProvider::builder().profile_files(files).profile_name("hosting");
    let provider = SharedCredentialsProvider::new(provider.configure(&how).build());
    aws_as(provider, NeverClient::new())
}

/// The sentences are found by the SDK's own words: here are those words.
#[tokio::test(start_paused = true)]
async fn profiles_that_give_nothing() {
    use CloudErrorKind::{NoCredentials, SsoEnded};
    let sso = "[profile hosting]\nsso_session = nobody\nsso_account_id = 111122223333\nsso_role_name = Operator\n\
               [sso-session nobody]\nsso_region = us-west-2\nsso_start_url = https://nobody.invalid/start\n";
    let old_sso = "[profile hosting]\nsso_region = us-west-2\nsso_start_url = https://nobody.invalid/start\n\
                   sso_account_id = 111122223333\nsso_role_name = Operator\n";
    let sign_in =
        "nobody is signed in with SSO for the profile `hosting`: sign in with `aws sso login --profile hosting`";
    let nothing = "the profile `hosting` does not exist or has no credentials";
    let undefined = format!("{nothing} (profile `hosting` was not defined)");
    for (text, kind, expected) in [
        (sso, SsoEnded, sign_in),
        (old_sso, SsoEnded, sign_in),
        ("[profile other]\nregion = us-west-2\n", NoCredentials, &undefined),
        ("[profile hosting]\nregion = us-west-2\n", NoCredentials, nothing),
    ] {
        let error = cloud_of_profile(text, NeverClient::new()).identity().await.expect_err("no credentials");
        assert_eq!((error.kind, error.why.as_str()), (kind, expected));
    }
}

/// A real shell, and the real clock.
#[tokio::test]
async fn helpers_that_give_nothing() {
    use CloudErrorKind::{HelperFailed, HelperMissing};
    for (command, kind, says) in [
        ("no-such-helper-of-meetctl exec", HelperMissing, "was not found"),
        ("/etc", HelperMissing, "may not be executed"),
        ("echo 'the vault is locked' >&2; exit 1", HelperFailed, "gave none: the vault is locked"),
        ("echo nonsense", HelperFailed, "gave none"),
    ] {
        let profile = format!("[profile hosting]\ncredential_process = {command}\n");
        let error = cloud_of_profile(&profile, NeverClient::new()).identity().await.expect_err("no credentials");
        assert_eq!(error.kind, kind, "{command}: {error}");
        assert!(error.why.contains(says) && error.why.contains("`hosting`"), "{error}");
    }
}

/// A role that may not be taken on: AWS refuses in the same words, whether it is for a missing code or for good.
#[tokio::test(start_paused = true)]
async fn roles_that_are_refused() {
    const REFUSED: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User: \
        arn:aws:iam::111122223333:user/ada is not authorized to perform: sts:AssumeRole on resource: \
        arn:aws:iam::111122223333:role/Operator</Message></Error></ErrorResponse>";
    let profile = "[profile hosting]\nrole_arn = arn:aws:iam::111122223333:role/Operator\nsource_profile = keys\n\
                   [profile keys]\naws_access_key_id = AKID\naws_secret_access_key = secret\n";
    let account = Account::default().answers("sts:AssumeRole", Reply { status: 403, ..xml(REFUSED) });
    let error = cloud_of_profile(profile, account.client()).identity().await.expect_err("refused");
    assert_eq!(error.kind, CloudErrorKind::Denied, "{error}");
}

/// The clock is to blame for what was signed too early or too late, and for nothing else.
#[tokio::test(start_paused = true)]
async fn signatures_that_are_refused() {
    let of = |code: &str, message: &str| Reply {
        status: 403,
        ..xml(&format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"))
    };
    for (code, message, kind) in [
        (
            "SignatureDoesNotMatch",
            "Signature expired: 20261120T190330Z is now earlier than 20261120T195330Z",
            CloudErrorKind::ClockWrong,
        ),
        (
            "SignatureDoesNotMatch",
            "Signature not yet current: 20261120T210330Z is still later than 20261120T195330Z",
            CloudErrorKind::ClockWrong,
        ),
        (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            CloudErrorKind::ClockWrong,
        ),
        (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
            CloudErrorKind::SignIn,
        ),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", CloudErrorKind::SignIn),
    ] {
        let error = Account::default().answers("sts:GetCallerIdentity", of(code, message)).cloud().identity().await;
        assert_eq!(error.expect_err("refused").kind, kind, "{message}");
    }
}

// --- service ----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_service_with_its_deployments_events_and_mark() {
    let account = Account::default().answers("ecs:DescribeServices", json_reply(SERVICE));
    let service = account.cloud().service().await.expect("an answer").expect("a service");
    assert_eq!(service.status, ServiceStatus::Active);
    assert_eq!((service.desired, service.running, service.pending), (1, 0, 1));
    let primary = service.primary().expect("a primary deployment");
    assert_eq!(primary.id.as_str(), "ecs-svc/2222222222222222222");
    assert_eq!((primary.rollout, primary.failed), (Rollout::InProgress, 2));
    assert_eq!(primary.created.as_millisecond(), 1_795_201_410_123);
    assert_eq!(service.deployments[1].status, DeploymentStatus::Active);
    let events: Vec<&str> = service.events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(events, ["e2", "e1"], "newest first");
    assert_eq!(service.target_groups, [Attachment { group: group(), container: "web".to_owned(), port: 8000 }]);
    let mark = service.mark.expect("a mark");
    assert_eq!((mark.by.as_str(), mark.at), ("ana@laptop", time("2026-11-20T19:03:30Z")));
    let asked = &account.bodies("ecs:DescribeServices")[0];
    assert_eq!(asked["cluster"], "demo-cluster");
    assert_eq!(asked["services"], json!(["demo-service"]));
    assert_eq!(asked["include"], json!(["TAGS"]));
}

#[tokio::test(start_paused = true)]
async fn no_service_is_none_and_nothing_else_is() {
    let missing = json_reply(r#"{"services":[],"failures":[{"arn":"a","reason":"MISSING"}]}"#);
    let inactive = json_reply(SERVICE.replacen("ACTIVE", "INACTIVE", 1));
    let no_cluster = refusal("ClusterNotFoundException", "Cluster not found.");
    for reply in [missing, inactive, no_cluster] {
        let answer = Account::default().answers("ecs:DescribeServices", reply).cloud().service().await;
        assert_eq!(answer, Ok(None));
    }
    let other = json_reply(r#"{"services":[],"failures":[{"arn":"a","reason":"ACCESS","detail":"not now"}]}"#);
    let nothing = json_reply("{}");
    let strange = json_reply(SERVICE.replacen("ACTIVE", "SLEEPY", 1));
    let expected = [CloudErrorKind::Refused, CloudErrorKind::Garbled, CloudErrorKind::Garbled];
    for (reply, expected) in [other, nothing, strange].into_iter().zip(expected) {
        let answer = Account::default().answers("ecs:DescribeServices", reply).cloud().service().await;
        assert_eq!(kind(answer), expected);
    }
}

// --- tasks ------------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn tasks_running_stopping_stopped_and_vanished() {
    let arns = |letters: &[&str]| {
        let arns: Vec<String> = letters
            .iter()
            .map(|letter| format!("arn:aws:ecs:us-west-2:111122223333:task/demo-cluster/{}", letter.repeat(32)))
            .collect();
        json_reply(json!({ "taskArns": arns }).to_string())
    };
    let account = Account::default()
        .answers("ecs:ListTasks", arns(&["a", "b"]))
        .answers("ecs:ListTasks", arns(&["b", "c", "d"]))
        .answers("ecs:DescribeTasks", json_reply(TASKS));
    let tasks = account.cloud().tasks().await.expect("tasks");
    let [running, stopping, stopped] = tasks.as_slice() else { panic!("{tasks:?}") };

    assert_eq!(running.id, task_id("a"));
    assert_eq!(running.deployment.as_ref().map(DeploymentId::as_str), Some("ecs-svc/2222222222222222222"));
    assert!(running.is_running());
    assert_eq!(running.health, Health::Unhealthy, "never a match of \"healthy\" inside of it");
    assert_eq!(running.address, Some("10.0.0.9".parse().expect("an address")));
    assert_eq!((running.cpu, running.memory, running.architecture), (4096, 8192, Architecture::Arm));
    assert_eq!(running.pull_started, Timestamp::from_second(1_795_201_430).ok());
    assert_eq!(running.started.map(Timestamp::as_millisecond), Some(1_795_201_460_250));
    let health: Vec<Health> = running.containers.iter().map(|container| container.health).collect();
    assert_eq!(health, [Health::Healthy, Health::Unhealthy, Health::Unknown]);
    assert_eq!(running.containers[2].exit_code, Some(1));

    assert_eq!((stopping.last_status.as_str(), &stopping.stopped), ("DEACTIVATING", &None), "still alive");
    assert_eq!(stopping.architecture, Architecture::X86);

    let stop = stopped.stopped.as_ref().expect("stopped");
    assert_eq!(stop.at.as_second(), 1_795_201_250);
    assert_eq!(stop.code.as_deref(), Some("TaskFailedToStart"));
    assert!(stop.reason.starts_with("CannotPullContainerError"));

    let lists = account.bodies("ecs:ListTasks");
    let wanted: BTreeSet<&str> = lists.iter().filter_map(|list| list["desiredStatus"].as_str()).collect();
    assert_eq!(wanted, BTreeSet::from(["RUNNING", "STOPPED"]));
    assert!(lists.iter().all(|list| list["serviceName"] == "demo-service"));
    let asked = account.bodies("ecs:DescribeTasks");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["tasks"].as_array().map(Vec::len), Some(4), "each once");
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_tasks_are_listed_by_page_and_described_by_hundreds() {
    let page = |from: usize, to: usize, next: Option<&str>| {
        let arns: Vec<String> = (from..to).map(|n| format!("arn:aws:ecs:r:a:task/demo-cluster/{n:032}")).collect();
        json_reply(json!({ "taskArns": arns, "nextToken": next }).to_string())
    };
    // Both lists read from one row of pages; which of them gets which page is no matter, for they are joined.
    let account = Account::default()
        .answers("ecs:ListTasks", page(0, 100, Some("1")))
        .answers("ecs:ListTasks", page(100, 200, Some("2")))
        .answers("ecs:ListTasks", page(200, 230, None))
        .answers("ecs:DescribeTasks", json_reply(r#"{"tasks":[],"failures":[]}"#));
    assert_eq!(account.cloud().tasks().await, Ok(Vec::new()));
    let sizes: Vec<usize> =
        account.bodies("ecs:DescribeTasks").iter().filter_map(|b| b["tasks"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [100, 100, 30]);
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_service_that_does_not_exist() {
    for code in ["ClusterNotFoundException", "ServiceNotFoundException"] {
        let account = Account::default().answers("ecs:ListTasks", refusal(code, "not found"));
        assert_eq!(account.cloud().tasks().await, Ok(Vec::new()));
    }
    let denied = Account::default().answers("ecs:ListTasks", refusal("AccessDeniedException", "no"));
    assert_eq!(kind(denied.cloud().tasks().await), CloudErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_cannot_be_described_is_an_error() {
    let account = Account::default()
        .answers("ecs:ListTasks", json_reply(r#"{"taskArns":["arn:aws:ecs:r:a:task/c/1"]}"#))
        .answers("ecs:DescribeTasks", json_reply(r#"{"tasks":[],"failures":[{"arn":"a","reason":"BROKEN"}]}"#));
    assert_eq!(kind(account.cloud().tasks().await), CloudErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_end_is_given_up() {
    let answer = Mutex::new(0_u32);
    let client = infallible_client_fn(move |_| {
        let mut page = answer.lock().expect("no panic");
        *page += 1;
        Response::new(SdkBody::from(json!({ "taskArns": [], "nextToken": page.to_string() }).to_string()))
    });
    assert_eq!(kind(aws(client).tasks().await), CloudErrorKind::Garbled);
}

// --- load balancer ----------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_balancer_with_listeners_of_several_pages() {
    let account = Account::default()
        .answers("elasticloadbalancing:DescribeLoadBalancers", xml(BALANCER))
        .answers("elasticloadbalancing:DescribeListeners", xml(include_str!("../replies/listeners-1.xml")))
        .answers("elasticloadbalancing:DescribeListeners", xml(include_str!("../replies/listeners-2.xml")));
    let balancer = account.cloud().balancer().await.expect("an answer").expect("a balancer");
    assert_eq!(balancer.dns_name, "demo-nlb-50dc6c495c0c9188.elb.us-west-2.amazonaws.com");
    assert_eq!((balancer.state, balancer.zones, balancer.addresses), (BalancerState::Impaired, 2, 2));
    assert_eq!(balancer.created, Some(time("2026-11-01T08:00:00.120Z")));
    let listeners: Vec<(&str, u16)> = balancer.listeners.iter().map(|l| (l.protocol.as_str(), l.port)).collect();
    assert_eq!(listeners, [("TLS", 443), ("UDP", 10000)]);
}

#[tokio::test(start_paused = true)]
async fn balancers_inside_absent_and_unreadable() {
    let listeners = xml(include_str!("../replies/listeners-2.xml"));
    let account = Account::default()
        .answers("elasticloadbalancing:DescribeLoadBalancers", xml(&BALANCER.replace("internet-facing", "internal")))
        .answers("elasticloadbalancing:DescribeListeners", listeners);
    assert_eq!(account.cloud().balancer().await.expect("an answer").expect("a balancer").addresses, 0);

    let absent =
        Account::default().answers("elasticloadbalancing:DescribeLoadBalancers", xml_refusal("LoadBalancerNotFound"));
    assert_eq!(absent.cloud().balancer().await, Ok(None));

    let gone_meanwhile = Account::default()
        .answers("elasticloadbalancing:DescribeLoadBalancers", xml(BALANCER))
        .answers("elasticloadbalancing:DescribeListeners", xml_refusal("LoadBalancerNotFound"));
    assert_eq!(gone_meanwhile.cloud().balancer().await, Ok(None));

    let denied = Account::default().answers("elasticloadbalancing:DescribeLoadBalancers", xml_refusal("AccessDenied"));
    assert_eq!(kind(denied.cloud().balancer().await), CloudErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn targets_in_every_state() {
    use TargetState::*;
    let account = Account::default()
        .answers("elasticloadbalancing:DescribeTargetHealth", xml(include_str!("../replies/targets.xml")));
    let targets = account.cloud().targets(&group()).await.expect("an answer").expect("a group");
    let states: Vec<TargetState> = targets.iter().map(|target| target.state).collect();
    assert_eq!(states, [Initial, Healthy, Unhealthy, Draining, Unused, Draining, Unavailable]);
    assert_eq!((targets[2].address.as_str(), targets[2].port), ("10.0.0.3", 8000));
    assert_eq!(targets[2].reason.as_deref(), Some("Target.FailedHealthChecks"));
    assert_eq!(targets[2].description.as_deref(), Some("about unhealthy"));

    let absent =
        Account::default().answers("elasticloadbalancing:DescribeTargetHealth", xml_refusal("TargetGroupNotFound"));
    assert_eq!(absent.cloud().targets(&group()).await, Ok(None));
}

// --- Route 53 ---------------------------------------------------------------------------------------------------

fn zones_and(records: &str) -> Account {
    // First the host's own name, then its parent.
    Account::default()
        .answers("route53:ListHostedZonesByName", xml(include_str!("../replies/zones-none.xml")))
        .answers("route53:ListHostedZonesByName", xml(include_str!("../replies/zones.xml")))
        .answers("route53:ListResourceRecordSets", xml(records))
}

#[tokio::test(start_paused = true)]
async fn the_record_in_the_public_zone() {
    let alias = zones_and(include_str!("../replies/records-alias.xml"));
    let record = alias.cloud().record().await.expect("an answer").expect("a record");
    assert_eq!(record.zone, "example.org");
    assert_eq!(record.targets, ["dualstack.demo-nlb-50dc6c495c0c9188.elb.us-west-2.amazonaws.com"]);

    let plain = zones_and(include_str!("../replies/records-plain.xml"));
    let record = plain.cloud().record().await.expect("an answer").expect("a record");
    assert_eq!(record.targets, ["192.0.2.1", "192.0.2.2"]);
}

#[tokio::test(start_paused = true)]
async fn no_record_or_no_zone_is_none() {
    let only_the_next = zones_and(include_str!("../replies/records-next.xml"));
    assert_eq!(only_the_next.cloud().record().await, Ok(None));
    let no_zone =
        Account::default().answers("route53:ListHostedZonesByName", xml(include_str!("../replies/zones-none.xml")));
    assert_eq!(no_zone.cloud().record().await, Ok(None));
    assert_eq!(no_zone.actions().len(), 2, "the host and its parent, not the top-level domain");
    let throttled = Account::default().answers("route53:ListHostedZonesByName", xml_refusal("Throttling"));
    assert_eq!(kind(throttled.cloud().record().await), CloudErrorKind::Throttled);
}

// --- secret -----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn a_secret_is_described_and_never_read() {
    let there = json_reply(r#"{"ARN":"arn:aws:secretsmanager:x","Name":"demo-jitsi-secrets"}"#);
    let account = Account::default().answers("secretsmanager:DescribeSecret", there);
    let secret = account.cloud().secret().await.expect("an answer").expect("a secret");
    assert_eq!(secret, Secret { name: "demo-jitsi-secrets".to_owned(), deleted: None });

    let leaving = json_reply(r#"{"Name":"demo-jitsi-secrets","DeletedDate":1795201200.0}"#);
    let account = Account::default().answers("secretsmanager:DescribeSecret", leaving);
    let secret = account.cloud().secret().await.expect("an answer").expect("a secret");
    assert_eq!(secret.deleted, Timestamp::from_second(1_795_201_200).ok());

    let absent = refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    let account = Account::default().answers("secretsmanager:DescribeSecret", absent);
    assert_eq!(account.cloud().secret().await, Ok(None));
}

// --- logs -------------------------------------------------------------------------------------------------------

fn line(time: &str, participants: u32) -> String {
    json!({ "type": "occupancy", "time": time, "conferences": 1, "participants": participants }).to_string()
}

fn lines(next: Option<&str>, lines: &[(&str, &str)]) -> Reply {
    let events: Vec<Value> =
        lines.iter().map(|(stream, message)| json!({ "logStreamName": stream, "message": message })).collect();
    json_reply(json!({ "events": events, "nextToken": next }).to_string())
}

#[tokio::test(start_paused = true)]
async fn occupancy_is_the_newest_line_of_all_pages() {
    let old = line("2026-11-20T19:03:00Z", 3);
    let new = line("2026-11-20T19:03:30Z", 7);
    let foreign = line("2026-11-20T19:09:00Z", 99);
    let account = Account::default()
        .answers("logs:FilterLogEvents", lines(Some("1"), &[("occupancy/occupancy/0a1b", &new)]))
        .answers("logs:FilterLogEvents", lines(Some("2"), &[]))
        .answers(
            "logs:FilterLogEvents",
            lines(
                None,
                &[
                    ("occupancy/occupancy/0a1c", &old),
                    ("occupancy/occupancy/0a1b", "curl: (7) Failed to connect"),
                    ("web/web/0a1b", &foreign),
                ],
            ),
        );
    let since = time("2026-11-20T19:00:00Z");
    let newest = account.cloud().occupancy(since).await.expect("an answer").expect("a line");
    assert_eq!((newest.task.as_str(), newest.participants), ("0a1b", 7));
    let asked = &account.bodies("logs:FilterLogEvents")[0];
    assert_eq!(asked["logGroupName"], "/ecs/demo");
    assert_eq!(asked["logStreamNamePrefix"], "occupancy/occupancy/");
    assert_eq!(asked["startTime"], since.as_millisecond());
}

#[tokio::test(start_paused = true)]
async fn lines_without_sense_are_not_an_absence() {
    let since = time("2026-11-20T19:00:00Z");
    let garbage = lines(None, &[("occupancy/occupancy/0a1b", "{\"type\":\"occupancy\"}")]);
    let account = Account::default().answers("logs:FilterLogEvents", garbage);
    assert_eq!(kind(account.cloud().occupancy(since).await), CloudErrorKind::Garbled);
    let silence = Account::default().answers("logs:FilterLogEvents", lines(None, &[]));
    assert_eq!(silence.cloud().occupancy(since).await, Ok(None));
    let no_group = refusal("ResourceNotFoundException", "The specified log group does not exist.");
    assert_eq!(Account::default().answers("logs:FilterLogEvents", no_group).cloud().occupancy(since).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn the_last_lines_of_a_container() {
    let page = |messages: &[&str], token: &str| {
        let events: Vec<Value> = messages.iter().map(|message| json!({ "message": message })).collect();
        json_reply(json!({ "events": events, "nextBackwardToken": token }).to_string())
    };
    let account = Account::default()
        .answers("logs:GetLogEvents", page(&["three", "\u{1b}[31mFATAL ERROR\u{1b}[0m: four\n"], "b1"))
        .answers("logs:GetLogEvents", page(&["one", "two"], "b2"));
    let tail = account.cloud().log_tail(&task_id("a"), "jvb", 3).await.expect("an answer").expect("a stream");
    assert_eq!(tail, ["two", "three", "FATAL ERROR: four"]);
    let asked = &account.bodies("logs:GetLogEvents")[0];
    assert_eq!(asked["logStreamName"], format!("jvb/jvb/{}", task_id("a")));
    assert_eq!(asked["startFromHead"], false);

    let short = Account::default().answers("logs:GetLogEvents", page(&["only"], "same"));
    let tail = short.cloud().log_tail(&task_id("a"), "jvb", 20).await.expect("an answer").expect("a stream");
    assert_eq!(tail.len(), 2, "a page for each new token, and none after");
    assert_eq!(short.actions().len(), 2);

    let no_stream = refusal("ResourceNotFoundException", "The specified log stream does not exist.");
    let account = Account::default().answers("logs:GetLogEvents", no_stream);
    assert_eq!(account.cloud().log_tail(&task_id("a"), "jvb", 20).await, Ok(None));
}

// --- changes ----------------------------------------------------------------------------------------------------

fn updated() -> Reply {
    let described: Value = serde_json::from_str(SERVICE).expect("JSON");
    json_reply(json!({ "service": described["services"][0] }).to_string())
}

fn mark() -> Mark {
    Mark {
        by: "José (cron)".to_owned(),
        at: time("2026-11-20T19:03:30Z"),
        deployment: "ecs-svc/2222222222222222222".parse().expect("a deployment"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_forces_a_deployment_and_is_marked() {
    let account =
        Account::default().answers("ecs:UpdateService", updated()).answers("ecs:TagResource", json_reply("{}"));
    let cloud = account.cloud();
    assert_eq!(cloud.start().await.expect("accepted").as_str(), "ecs-svc/2222222222222222222");
    cloud.mark(&mark()).await.expect("accepted");
    assert_eq!(account.actions(), ["ecs:UpdateService", "ecs:TagResource"], "the ARN is known from the start");
    let asked = &account.bodies("ecs:UpdateService")[0];
    assert_eq!(asked["desiredCount"], 1);
    assert_eq!(asked["forceNewDeployment"], true);
    let tagged = &account.bodies("ecs:TagResource")[0];
    assert_eq!(tagged["resourceArn"], "arn:aws:ecs:us-west-2:111122223333:service/demo-cluster/demo-service");
    assert_eq!(tagged["tags"][0], json!({ "key": "meetctl:started-by", "value": "José _cron_" }));
    assert_eq!(tagged["tags"][1], json!({ "key": "meetctl:started-at", "value": "2026-11-20T19:03:30Z" }));
}

#[tokio::test(start_paused = true)]
async fn a_mark_finds_the_service_by_itself() {
    let account = Account::default()
        .answers("ecs:DescribeServices", json_reply(SERVICE))
        .answers("ecs:TagResource", json_reply("{}"));
    account.cloud().mark(&mark()).await.expect("accepted");
    assert_eq!(account.actions(), ["ecs:DescribeServices", "ecs:TagResource"]);

    let absent = json_reply(r#"{"services":[],"failures":[{"arn":"a","reason":"MISSING"}]}"#);
    let account = Account::default().answers("ecs:DescribeServices", absent);
    assert_eq!(kind(account.cloud().mark(&mark()).await), CloudErrorKind::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_stop_sets_zero_and_forces_nothing() {
    let account = Account::default().answers("ecs:UpdateService", updated());
    account.cloud().stop().await.expect("accepted");
    let asked = &account.bodies("ecs:UpdateService")[0];
    assert_eq!(asked["desiredCount"], 0);
    assert_eq!(asked["forceNewDeployment"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_changed_is_gone_or_refused() {
    for (code, expected) in [
        ("ServiceNotFoundException", CloudErrorKind::Gone),
        ("ServiceNotActiveException", CloudErrorKind::Gone),
        ("ClusterNotFoundException", CloudErrorKind::Gone),
        ("InvalidParameterException", CloudErrorKind::Refused),
        ("AccessDeniedException", CloudErrorKind::Denied),
    ] {
        let account = Account::default().answers("ecs:UpdateService", refusal(code, "no"));
        assert_eq!(kind(account.cloud().start().await), expected, "{code}");
        assert_eq!(kind(account.cloud().stop().await), expected, "{code}");
    }
    let deleted = json_reply(r#"{"service":{"status":"INACTIVE","deployments":[{"id":"d","status":"PRIMARY"}]}}"#);
    let account = Account::default().answers("ecs:UpdateService", deleted);
    assert_eq!(kind(account.cloud().start().await), CloudErrorKind::Gone);
    assert_eq!(kind(account.cloud().stop().await), CloudErrorKind::Gone);
}

#[tokio::test(start_paused = true)]
async fn protection_is_lifted_ten_at_a_time() {
    let missing = r#"{"protectedTasks":[],"failures":[{"arn":"a","reason":"MISSING"}]}"#;
    let account = Account::default().answers("ecs:UpdateTaskProtection", json_reply(missing));
    let tasks: Vec<TaskId> = (0..13).map(|n| format!("{n:032}").parse().expect("a task id")).collect();
    account.cloud().unprotect(&tasks).await.expect("accepted");
    let asked = account.bodies("ecs:UpdateTaskProtection");
    let sizes: Vec<usize> = asked.iter().filter_map(|body| body["tasks"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [10, 3]);
    assert!(asked.iter().all(|body| body["protectionEnabled"] == false));

    let refused = r#"{"failures":[{"arn":"a","reason":"DEPLOYMENT_BLOCKED","detail":"later"}]}"#;
    let account = Account::default().answers("ecs:UpdateTaskProtection", json_reply(refused));
    let error = account.cloud().unprotect(&tasks).await.expect_err("refused");
    assert_eq!((error.kind, error.why.as_str()), (CloudErrorKind::Refused, "DEPLOYMENT_BLOCKED: later"));
}

// --- bad days ---------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn throttling_is_borne_twice() {
    let slow_down = || refusal("ThrottlingException", "Rate exceeded");
    let account = Account::default()
        .answers("ecs:DescribeServices", slow_down())
        .answers("ecs:DescribeServices", slow_down())
        .answers("ecs:DescribeServices", json_reply(SERVICE));
    assert!(account.cloud().service().await.expect("an answer").is_some());
    assert_eq!(account.actions().len(), 3);

    let account = Account::default().answers("ecs:DescribeServices", slow_down());
    let error = account.cloud().service().await.expect_err("throttled");
    assert_eq!(error.kind, CloudErrorKind::Throttled);
    assert_eq!(error.why, "AWS asked to slow down, also after retries (ThrottlingException): Rate exceeded");
    assert_eq!(account.actions().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_denial_says_what_is_not_allowed() {
    let said = "User: arn:aws:sts::1:assumed-role/R/a is not authorized to perform: ecs:DescribeServices";
    let account = Account::default().answers("ecs:DescribeServices", refusal("AccessDeniedException", said));
    let error = account.cloud().service().await.expect_err("denied");
    assert_eq!(error.kind, CloudErrorKind::Denied);
    assert_eq!(error.to_string(), format!("ecs:DescribeServices: not allowed (AccessDeniedException): {said}"));
    assert_eq!(account.actions().len(), 1, "asking again would not help");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_from_aws() {
    let portal = include_str!("../replies/portal.html");
    let html = |status| Reply { status, form: "text/html", body: portal.into() };
    let cut_off = json_reply(&SERVICE.as_bytes()[..SERVICE.len() / 2]);
    let no_text = json_reply([b'{', 0xff, 0xfe, 0x00]);
    let endless = json_reply(vec![b' '; 17 * 1024 * 1024]);
    let endless_error = Reply { status: 400, ..endless.clone() };
    for (name, reply, expected) in [
        ("portal", html(200), CloudErrorKind::Garbled),
        ("redirect", html(302), CloudErrorKind::Garbled),
        ("proxy says no", html(403), CloudErrorKind::Garbled),
        ("proxy is out of order", html(503), CloudErrorKind::Unreachable),
        ("proxy asks to slow down", html(429), CloudErrorKind::Throttled),
        ("cut off", cut_off, CloudErrorKind::Garbled),
        ("no text", no_text, CloudErrorKind::Garbled),
        ("endless", endless, CloudErrorKind::Garbled),
        ("endless error", endless_error, CloudErrorKind::Garbled),
    ] {
        let error = Account::default().answers("ecs:DescribeServices", reply).cloud().service().await;
        let error = error.expect_err(name);
        assert_eq!(error.kind, expected, "{name}: {error}");
        assert!(!error.why.contains("{ ") && error.why.len() < 300, "a sentence, not a dump: {error}");
    }
    let xml_portal = Account::default().answers("elasticloadbalancing:DescribeLoadBalancers", html(200));
    assert_eq!(kind(xml_portal.cloud().balancer().await), CloudErrorKind::Garbled);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_is_given_up() {
    let start = Instant::now();
    let error = aws(NeverClient::new()).service().await.expect_err("no answer");
    assert_eq!(error.kind, CloudErrorKind::Unreachable);
    assert!(error.why.starts_with("no answer from AWS in the region us-west-2 in time: "), "{error}");
    assert!(start.elapsed() <= Duration::from_secs(30), "{:?}", start.elapsed());
}

// --- permissions ------------------------------------------------------------------------------------------------

/// The table that the reference page of permissions is made of is what the calls really need: no more, no less.
#[tokio::test(start_paused = true)]
async fn actions_are_those_that_are_called() {
    let task = json_reply(r#"{"taskArns":["arn:aws:ecs:r:a:task/c/1"]}"#);
    let replies = [
        ("sts:GetCallerIdentity", xml(include_str!("../replies/caller.xml"))),
        ("ecs:DescribeServices", json_reply(SERVICE)),
        ("ecs:ListTasks", task),
        ("ecs:DescribeTasks", json_reply("{}")),
        ("elasticloadbalancing:DescribeLoadBalancers", xml(BALANCER)),
        ("elasticloadbalancing:DescribeListeners", xml(include_str!("../replies/listeners-2.xml"))),
        ("elasticloadbalancing:DescribeTargetHealth", xml(include_str!("../replies/targets.xml"))),
        ("route53:ListHostedZonesByName", xml(include_str!("../replies/zones.xml"))),
        ("route53:ListResourceRecordSets", xml(include_str!("../replies/records-alias.xml"))),
        ("secretsmanager:DescribeSecret", json_reply(r#"{"Name":"n"}"#)),
        ("logs:FilterLogEvents", json_reply("{}")),
        ("logs:GetLogEvents", json_reply("{}")),
        ("ecs:UpdateService", updated()),
        ("ecs:TagResource", json_reply("{}")),
        ("ecs:UpdateTaskProtection", json_reply("{}")),
        ("tag:GetResources", tagged(&[TAGGED_BALANCER, TAGGED_TASK])),
        ("elasticloadbalancing:DeleteLoadBalancer", xml(DELETED_BALANCER)),
    ];
    let tasks = [task_id("a")];
    let since = time("2026-11-20T19:00:00Z");
    for (method, actions) in ACTIONS {
        let account = replies.iter().cloned().fold(Account::default(), |a, (action, reply)| a.answers(action, reply));
        let cloud = account.cloud();
        match *method {
            "identity" => drop(cloud.identity().await.expect(method)),
            "service" => drop(cloud.service().await.expect(method)),
            "tasks" => drop(cloud.tasks().await.expect(method)),
            "balancer" => drop(cloud.balancer().await.expect(method)),
            "targets" => drop(cloud.targets(&group()).await.expect(method)),
            "record" => drop(cloud.record().await.expect(method)),
            "secret" => drop(cloud.secret().await.expect(method)),
            "occupancy" => drop(cloud.occupancy(since).await.expect(method)),
            "log_tail" => drop(cloud.log_tail(&tasks[0], "web", 20).await.expect(method)),
            "start" => drop(cloud.start().await.expect(method)),
            "stop" => cloud.stop().await.expect(method),
            "mark" => cloud.mark(&mark()).await.expect(method),
            "billed" => drop(cloud.billed().await.expect(method)),
            "kept" => drop(cloud.kept().await.expect(method)),
            "remove_balancer" => cloud.remove_balancer(TAGGED_BALANCER).await.expect(method),
            "unprotect" => cloud.unprotect(&tasks).await.expect(method),
            other => panic!("{other} is a new method: call it here"),
        }
        let called: BTreeSet<String> = account.actions().into_iter().collect();
        assert_eq!(called, actions.iter().map(ToString::to_string).collect(), "{method}");
    }
}

const TAGGED_BALANCER: &str =
    "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/demo-nlb/50dc6c495c0c9188";
const TAGGED_TASK: &str = "arn:aws:ecs:us-west-2:111122223333:task/demo-cluster/1";
const DELETED_BALANCER: &str = r#"<DeleteLoadBalancerResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DeleteLoadBalancerResult/></DeleteLoadBalancerResponse>"#;

fn tagged(arns: &[&str]) -> Reply {
    let list: Vec<String> = arns.iter().map(|arn| format!(r#"{{"ResourceARN":"{arn}","Tags":[]}}"#)).collect();
    json_reply(format!(r#"{{"PaginationToken":"","ResourceTagMappingList":[{}]}}"#, list.join(",")))
}

/// The list of tags names what was deleted for a while: its owner has the last word.
#[tokio::test(start_paused = true)]
async fn what_is_billed_is_confirmed_by_its_owner() {
    let address = "arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-1";
    let network = "arn:aws:ec2:us-west-2:111122223333:vpc/vpc-1";
    let listed = tagged(&[TAGGED_BALANCER, TAGGED_TASK, address, network]);
    let there = Account::default()
        .answers("tag:GetResources", listed.clone())
        .answers("elasticloadbalancing:DescribeLoadBalancers", xml(BALANCER))
        .answers("ecs:DescribeTasks", json_reply("{}"));
    let found = there.cloud().billed().await.expect("a list");
    let found: Vec<(&str, Witness)> = found.iter().map(|b| (b.arn.as_str(), b.witness)).collect();
    assert_eq!(found, [(address, Witness::TagsOnly), (TAGGED_BALANCER, Witness::Owner)]);

    let gone = xml_refusal("LoadBalancerNotFound");
    let gone = Account::default()
        .answers("tag:GetResources", tagged(&[TAGGED_BALANCER]))
        .answers("elasticloadbalancing:DescribeLoadBalancers", gone.clone())
        .answers("elasticloadbalancing:DeleteLoadBalancer", gone);
    assert_eq!(gone.cloud().billed().await.expect("a list"), []);
    gone.cloud().remove_balancer(TAGGED_BALANCER).await.expect("it is gone already");
}
