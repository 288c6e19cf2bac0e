//! A thin proxy between meetctl and moto.
//!
//! It puts right exactly those fields that moto lacks or has wrong (the table is in `moto.rs`), from what the
//! conductor knows of its tasks, and hands everything else through untouched:
//!
//! * `DescribeServices`, `UpdateService`: `runningCount` and `pendingCount` from the tasks; of the primary deployment
//!   the counts, `rolloutState` and its reason; an older deployment that still has tasks as `ACTIVE`; `events`
//! * `DescribeTasks`: states, times, health, containers, `stopCode`, reasons; unknown tasks in `failures`
//! * `ListTasks`: running ones unless asked otherwise, and only the service's own when a service is named
//! * `DescribeTargetHealth` (XML): `initial`, `unhealthy` and `draining` with their reasons
//! * `FilterLogEvents`: heeds `logStreamNamePrefix`
//! * `GetTaskProtection`, `UpdateTaskProtection`: answered here; moto has neither
//!
//! For the bad days and the benchmark it also delays, throttles, denies, hangs and hangs up, and writes down who
//! called what. It knows an action by its name in the API (`DescribeServices`), or for Route 53 by method and path.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::moto::{Clients, Moto, seed};
use crate::needs::{Need, test};
use crate::process::{Result, Trouble, block_on, ensure, free_port, loopback};

// --- What the conductor knows and moto does not --------------------------------------------------

/// Seconds since 1970, as ECS writes times.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// The service's name.
    pub(crate) service: String,
    pub(crate) deployments: BTreeMap<String, Rollout>,
    /// By ARN.
    pub(crate) tasks: BTreeMap<String, TaskView>,
    /// By target group and address.
    pub(crate) targets: BTreeMap<(String, String), TargetView>,
    /// Newest first.
    pub(crate) events: VecDeque<Value>,
    /// ARNs of the tasks under scale-in protection.
    pub(crate) protected: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rollout {
    pub(crate) state: &'static str,
    pub(crate) reason: String,
    pub(crate) failed: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct TaskView {
    pub(crate) deployment: String,
    pub(crate) status: &'static str,
    /// What replaces moto's fields; null takes a field away.
    pub(crate) fields: Map<String, Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct TargetView {
    pub(crate) state: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) description: &'static str,
}

impl Stage {
    /// How many of a deployment's tasks (of all, without one) are running, and how many are on their way.
    fn counts(&self, deployment: Option<&str>) -> (usize, usize) {
        let tasks = self.tasks.values().filter(|task| deployment.is_none_or(|id| task.deployment == id));
        tasks.fold((0, 0), |(running, pending), task| match task.status {
            "RUNNING" => (running + 1, pending),
            "PROVISIONING" | "PENDING" | "ACTIVATING" => (running, pending + 1),
            _ => (running, pending),
        })
    }

    fn correct_service(&self, service: &mut Value) {
        if service["serviceName"] != self.service.as_str() {
            return;
        }
        let (running, pending) = self.counts(None);
        service["runningCount"] = json!(running);
        service["pendingCount"] = json!(pending);
        service["events"] = json!(self.events);
        let desired = service["desiredCount"].clone();
        let Some(deployments) = service["deployments"].as_array_mut() else { return };
        let Some(primary) = deployments.first_mut() else { return };
        let id = primary["id"].as_str().unwrap_or_default().to_owned();
        let (running, pending) = self.counts(Some(&id));
        let rollout = self.deployments.get(&id).cloned().unwrap_or_else(|| Rollout {
            // So new that the conductor has not looked yet.
            state: "IN_PROGRESS",
            reason: format!("ECS deployment {id} in progress."),
            failed: 0,
        });
        primary["desiredCount"] = desired;
        primary["runningCount"] = json!(running);
        primary["pendingCount"] = json!(pending);
        primary["failedTasks"] = json!(rollout.failed);
        primary["rolloutState"] = json!(rollout.state);
        primary["rolloutStateReason"] = json!(rollout.reason);
        let primary = primary.clone();
        for (old, rollout) in self.deployments.iter().filter(|(old, _)| **old != id) {
            let (running, pending) = self.counts(Some(old));
            if running + pending > 0 {
                let mut older = primary.clone();
                older["id"] = json!(old);
                older["status"] = json!("ACTIVE");
                older["desiredCount"] = json!(0);
                older["runningCount"] = json!(running);
                older["pendingCount"] = json!(pending);
                older["rolloutState"] = json!(rollout.state);
                older["rolloutStateReason"] = json!(rollout.reason);
                deployments.push(older);
            }
        }
    }

    fn correct_task(&self, task: &mut Value) {
        let view = task["taskArn"].as_str().and_then(|arn| self.tasks.get(arn));
        if let (Some(view), Some(task)) = (view, task.as_object_mut()) {
            task.extend(view.fields.clone());
            task.insert("lastStatus".into(), json!(view.status));
            task.retain(|_, value| !value.is_null());
        }
    }

    /// Puts the states of targets into the XML of `DescribeTargetHealth`.
    fn correct_targets(&self, group: &str, xml: &str) -> String {
        let mut corrected = xml.to_owned();
        for ((of, address), view) in &self.targets {
            let Some(target) = (of == group).then(|| corrected.find(&format!("<Id>{address}</Id>"))).flatten() else {
                continue;
            };
            let (start, end) = ("<TargetHealth>", "</TargetHealth>");
            let Some(from) = corrected[target..].find(start).map(|at| target + at + start.len()) else { continue };
            let Some(to) = corrected[from..].find(end).map(|at| from + at) else { continue };
            let mut health = format!("<State>{}</State>", view.state);
            if !view.reason.is_empty() {
                let (reason, description) = (view.reason, view.description);
                let _ = write!(health, "<Reason>{reason}</Reason><Description>{description}</Description>");
            }
            corrected.replace_range(from..to, &health);
        }
        corrected
    }
}

// --- What can be ordered -------------------------------------------------------------------------

/// How a call is answered instead of by moto.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Throttled,
    Denied,
    /// The token of the credentials has expired.
    Expired,
    /// A 500 without sense.
    Broken,
    /// Nothing comes, ever.
    Hang,
    /// The connection ends without an answer.
    HangUp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Always,
    /// The n-th of these calls, counted from 1.
    Nth(usize),
    /// The first n of them.
    First(usize),
    /// All but the first n.
    After(usize),
}

#[derive(Clone, Debug)]
struct Rule {
    /// `None` is every action.
    action: Option<String>,
    when: When,
    answer: Answer,
    seen: usize,
}

/// A call that came by.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) action: String,
    /// `None` when it was not answered.
    pub(crate) status: Option<u16>,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
}

#[derive(Debug, Default)]
struct Orders {
    latency: Duration,
    rules: Vec<Rule>,
    calls: Vec<Call>,
}

struct Shared {
    upstream: SocketAddr,
    stage: Arc<Mutex<Stage>>,
    orders: Mutex<Orders>,
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Proxy {
    /// Stands before `upstream` until dropped.
    pub(crate) fn start(upstream: SocketAddr, stage: Arc<Mutex<Stage>>) -> Result<Self> {
        let address = free_port(loopback())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let shared = Arc::new(Shared { upstream, stage, orders: Mutex::default() });
        let end = CancellationToken::new();
        let (inside, until) = (Arc::clone(&shared), end.clone());
        let thread = std::thread::spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = serve(listener, inside) => {}
                    () = until.cancelled() => {}
                }
            });
        });
        Ok(Self { address, shared, end, thread: Some(thread) })
    }

    /// From now on nobody answers at this address, and open connections are cut.
    pub(crate) fn stop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What goes into `AWS_ENDPOINT_URL`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The SDK's clients against the proxy.
    pub(crate) fn clients(&self) -> Clients {
        Clients::new(self.address)
    }

    /// Every call takes that much longer.
    pub(crate) fn latency(&self, each: Duration) {
        self.shared.orders().latency = each;
    }

    /// `action` of `None` is every action. Of several rules for a call, the oldest that fits answers.
    pub(crate) fn answer(&self, action: Option<&str>, when: When, answer: Answer) {
        self.shared.orders().rules.push(Rule { action: action.map(str::to_owned), when, answer, seen: 0 });
    }

    /// Everything is answered by moto again, at once, and no call is remembered.
    pub(crate) fn forget(&self) {
        *self.shared.orders() = Orders::default();
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.orders().calls.clone()
    }

    pub(crate) fn count(&self, action: &str) -> usize {
        self.shared.orders().calls.iter().filter(|call| call.action == action).count()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::task::spawn_local(async move {
            let answer = service_fn(|request| {
                let shared = Arc::clone(&shared);
                // An error here closes the connection without an answer.
                async move { answer_one(&shared, request).await }
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// How an API writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Query,
    Rest,
}

async fn answer_one(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (form, action) = action(&head.method, head.uri.path(), &head.headers, &body);
    let (latency, rule) = {
        let mut orders = shared.orders();
        let fits = |rule: &&mut Rule| rule.action.as_ref().is_none_or(|wanted| *wanted == action);
        let mut answer = None;
        for rule in orders.rules.iter_mut().filter(fits) {
            rule.seen += 1;
            let now = match rule.when {
                When::Always => true,
                When::Nth(n) => rule.seen == n,
                When::First(n) => rule.seen <= n,
                When::After(n) => rule.seen > n,
            };
            answer = answer.or_else(|| now.then_some(rule.answer));
        }
        (orders.latency, answer)
    };
    tokio::time::sleep(latency).await;
    let answer = match rule {
        None => through(shared, head, body, &action).await,
        Some(Answer::Hang) => {
            note(shared, action, None, began);
            return std::future::pending().await;
        }
        Some(Answer::HangUp) => Err("hung up, as ordered".into()),
        Some(answer) => Ok(error(form, answer)),
    };
    let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
    note(shared, action, status, began);
    answer
}

fn note(shared: &Shared, action: String, status: Option<u16>, began: Instant) {
    shared.orders().calls.push(Call { action, status, began, took: began.elapsed() });
}

/// The name of the call, and how its answer is written.
fn action(method: &hyper::Method, path: &str, headers: &HeaderMap, body: &[u8]) -> (Form, String) {
    if let Some(target) = headers.get("x-amz-target").and_then(|value| value.to_str().ok()) {
        return (Form::Json, target.rsplit('.').next().unwrap_or(target).to_owned());
    }
    let form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if form.starts_with("application/x-www-form-urlencoded") {
        return (Form::Query, field(body, "Action").unwrap_or_default());
    }
    let mut parts = path.trim_start_matches('/').split('/').skip(1);
    let name = match (method.as_str(), parts.next(), parts.next(), parts.next()) {
        ("GET", Some("hostedzonesbyname"), None, None) => "ListHostedZonesByName",
        ("GET", Some("hostedzone"), None, None) => "ListHostedZones",
        ("GET", Some("hostedzone"), Some(_), None) => "GetHostedZone",
        ("GET", Some("hostedzone"), Some(_), Some("rrset")) => "ListResourceRecordSets",
        ("POST", Some("hostedzone"), Some(_), Some("rrset")) => "ChangeResourceRecordSets",
        _ => return (Form::Rest, format!("{method} {path}")),
    };
    (Form::Rest, name.to_owned())
}

/// A field of a form.
fn field(form: &[u8], name: &str) -> Option<String> {
    let form = std::str::from_utf8(form).ok()?;
    let value = form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        bytes.push(match (*first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                u8::from_str_radix(std::str::from_utf8(&[*high, *low]).ok()?, 16).ok()?
            }
            (other, _) => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// An error in the form of the API that was called.
fn error(form: Form, answer: Answer) -> Response<Full<Bytes>> {
    let (status, code, message) = match (answer, form) {
        (Answer::Throttled, Form::Query | Form::Rest) => (400, "Throttling", "Rate exceeded"),
        (Answer::Throttled, Form::Json) => (400, "ThrottlingException", "Rate exceeded"),
        (Answer::Denied, Form::Json) => (
            400,
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/rig/test is not authorized to perform this action",
        ),
        (Answer::Denied, Form::Query | Form::Rest) => (
            403,
            "AccessDenied",
            "User: arn:aws:sts::123456789012:assumed-role/rig/test is not authorized to perform this action",
        ),
        (Answer::Expired, Form::Json) => {
            (400, "ExpiredTokenException", "The security token included in the request is expired")
        }
        (Answer::Expired, Form::Query | Form::Rest) => {
            (403, "ExpiredToken", "The security token included in the request is expired")
        }
        (Answer::Broken | Answer::Hang | Answer::HangUp, _) => (500, "InternalFailure", "something broke"),
    };
    let (kind, body) = match form {
        Form::Json => ("application/x-amz-json-1.1", json!({"__type": code, "message": message}).to_string()),
        Form::Query | Form::Rest => (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>rig</RequestId></ErrorResponse>"
            ),
        ),
    };
    finished(status, kind, body)
}

fn finished(status: u16, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

/// Asks moto, and corrects the answer where the table says so.
async fn through(
    shared: &Shared,
    mut head: hyper::http::request::Parts,
    body: Bytes,
    action: &str,
) -> Result<Response<Full<Bytes>>> {
    let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let "GetTaskProtection" | "UpdateTaskProtection" = action {
        return Ok(protection(&mut shared.stage(), action, &asked));
    }
    let mut sent = body.clone();
    if action == "ListTasks" && asked.get("desiredStatus").is_none() {
        asked["desiredStatus"] = json!("RUNNING");
        sent = Bytes::from(asked.to_string());
    }

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(shared.upstream).await?)).await?;
    tokio::spawn(connection);
    let bare = head.method == hyper::Method::HEAD;
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(name);
    }
    let (mut head, got) = sender.send_request(Request::from_parts(head, Full::new(sent))).await?.into_parts();
    let got = got.collect().await?.to_bytes();
    // The answer to HEAD names the length of what it does not bring.
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING].into_iter().filter(|_| !bare) {
        head.headers.remove(name);
    }
    let corrected = if head.status.is_success() { correct(&shared.stage(), action, &asked, &body, &got) } else { None };
    Ok(Response::from_parts(head, Full::new(corrected.map_or(got, Bytes::from))))
}

/// The answer as AWS would have given it; `None` when moto's is right.
fn correct(stage: &Stage, action: &str, asked: &Value, form: &[u8], got: &[u8]) -> Option<String> {
    if action == "DescribeTargetHealth" {
        return Some(stage.correct_targets(&field(form, "TargetGroupArn")?, std::str::from_utf8(got).ok()?));
    }
    if !matches!(action, "DescribeServices" | "UpdateService" | "ListTasks" | "DescribeTasks" | "FilterLogEvents") {
        return None;
    }
    let mut got: Value = serde_json::from_slice(got).ok()?;
    match action {
        "DescribeServices" => got["services"].as_array_mut()?.iter_mut().for_each(|it| stage.correct_service(it)),
        "UpdateService" => stage.correct_service(&mut got["service"]),
        "ListTasks" => {
            let of_service = asked["serviceName"].as_str().is_some();
            let arns = got["taskArns"].as_array_mut()?;
            arns.retain(|arn| !of_service || arn.as_str().is_some_and(|arn| stage.tasks.contains_key(arn)));
        }
        "DescribeTasks" => {
            let tasks = got["tasks"].as_array_mut()?;
            for task in tasks.iter_mut() {
                stage.correct_task(task);
            }
            let id = |arn: &Value| arn.as_str().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
            let found: Vec<_> = tasks.iter().map(|task| id(&task["taskArn"])).collect();
            let missing = asked["tasks"].as_array()?.iter().filter(|arn| !found.contains(&id(arn)));
            got["failures"] = missing.map(|arn| json!({"arn": arn, "reason": "MISSING"})).collect();
        }
        _ => {
            let prefix = asked["logStreamNamePrefix"].as_str()?.to_owned();
            let ours = |it: &Value| it["logStreamName"].as_str().is_some_and(|name| name.starts_with(&prefix));
            for list in ["events", "searchedLogStreams"] {
                if let Some(list) = got[list].as_array_mut() {
                    list.retain(ours);
                }
            }
        }
    }
    Some(got.to_string())
}

fn protection(stage: &mut Stage, action: &str, asked: &Value) -> Response<Full<Bytes>> {
    let wanted: Vec<String> =
        asked["tasks"].as_array().into_iter().flatten().filter_map(|task| Some(task.as_str()?.to_owned())).collect();
    let known: Vec<String> = stage.tasks.keys().cloned().collect();
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for task in wanted {
        let Some(arn) = known.iter().find(|arn| **arn == task || arn.ends_with(&format!("/{task}"))) else {
            failures.push(json!({"arn": task, "reason": "MISSING"}));
            continue;
        };
        if action == "UpdateTaskProtection" {
            if asked["protectionEnabled"] == true {
                stage.protected.insert(arn.clone());
            } else {
                stage.protected.remove(arn);
            }
        }
        tasks.push(json!({"taskArn": arn, "protectionEnabled": stage.protected.contains(arn)}));
    }
    finished(200, "application/x-amz-json-1.1", json!({"protectedTasks": tasks, "failures": failures}).to_string())
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    const MOTO: &[Need] = &[Need::Moto];
    vec![
        test("aws_proxy::hands_through_what_it_need_not_correct", MOTO, hands_through),
        test("aws_proxy::corrects_what_moto_has_wrong", MOTO, corrects),
        test("aws_proxy::answers_as_ordered", MOTO, answers_as_ordered),
        test("aws_proxy::delays_each_call", MOTO, delays),
    ]
}

fn stand() -> Result<(Moto, Proxy, Arc<Mutex<Stage>>)> {
    let moto = Moto::start()?;
    let stage = Arc::new(Mutex::new(Stage::default()));
    let proxy = Proxy::start(moto.address(), Arc::clone(&stage))?;
    Ok((moto, proxy, stage))
}

/// Every client that meetctl has, in every form that AWS writes: the answers are moto's own.
fn hands_through() -> Result<()> {
    let (moto, proxy, _stage) = stand()?;
    block_on(async {
        let it = seed(&moto, "rig", "meet.example.test").await?;
        let (direct, by_proxy) = (moto.clients(), proxy.clients());
        for aws in [&direct, &by_proxy] {
            let who = aws.sts.get_caller_identity().send().await?;
            ensure!(who.account() == Some(crate::moto::ACCOUNT), "{who:?}");
            let balancer = aws.elb.describe_load_balancers().names("rig-nlb").send().await?;
            ensure!(balancer.load_balancers()[0].dns_name() == Some(&it.balancer_dns), "{balancer:?}");
            let records = aws.route53.list_resource_record_sets().hosted_zone_id(&it.zone).send().await?;
            ensure!(records.resource_record_sets().len() == 3, "{records:?}");
            let secret = aws.secrets.describe_secret().secret_id(&it.secret).send().await?;
            ensure!(secret.name() == Some(&it.secret), "{secret:?}");
            let groups = aws.logs.describe_log_groups().send().await?;
            ensure!(groups.log_groups().len() == 1, "{groups:?}");
            let service = aws.ecs.describe_services().cluster(&it.cluster).services(&it.service).send().await?;
            ensure!(service.services()[0].service_name() == Some(&it.service), "{service:?}");
        }
        let actions: Vec<_> = proxy.calls().into_iter().map(|call| (call.action, call.status)).collect();
        let expected = [
            "GetCallerIdentity",
            "DescribeLoadBalancers",
            "ListResourceRecordSets",
            "DescribeSecret",
            "DescribeLogGroups",
            "DescribeServices",
        ];
        ensure!(actions == expected.map(|action| (action.to_owned(), Some(200))), "calls {actions:?}");
        Ok(())
    })?
}

fn corrects() -> Result<()> {
    let (moto, proxy, stage) = stand()?;
    block_on(async {
        let it = seed(&moto, "rig", "meet.example.test").await?;
        stage.lock().map_err(|_| "poisoned")?.service.clone_from(&it.service);
        let (direct, aws) = (moto.clients(), proxy.clients());

        // moto counts a task as running that nobody has started.
        let started = aws
            .ecs
            .update_service()
            .cluster(&it.cluster)
            .service(&it.service)
            .desired_count(1)
            .force_new_deployment(true)
            .send()
            .await?;
        let started = started.service().ok_or("no service")?;
        let deployment = &started.deployments()[0];
        let id = deployment.id().unwrap_or_default().to_owned();
        ensure!(started.running_count() == 0, "running {}", started.running_count());
        ensure!(
            deployment.rollout_state().is_some_and(|state| state.as_str() == "IN_PROGRESS"),
            "rollout {:?}",
            deployment.rollout_state()
        );
        let wrong = direct.ecs.describe_services().cluster(&it.cluster).services(&it.service).send().await?;
        ensure!(
            wrong.services()[0].running_count() == 1,
            "moto now counts the tasks of a service: this correction is not needed any more"
        );

        // Tasks of strangers, stopped tasks, tasks that are not there.
        let run = |by: &str| direct.ecs.run_task().cluster(&it.cluster).task_definition(&it.family).started_by(by);
        let network = wrong.services()[0].network_configuration().cloned();
        let mut arns = Vec::new();
        for by in [id.as_str(), "a stranger", id.as_str()] {
            let made = run(by)
                .launch_type(aws_sdk_ecs::types::LaunchType::Fargate)
                .set_network_configuration(network.clone())
                .send()
                .await?;
            arns.push(made.tasks()[0].task_arn().unwrap_or_default().to_owned());
        }
        direct.ecs.stop_task().cluster(&it.cluster).task(&arns[2]).send().await?;
        for ours in [&arns[0], &arns[2]] {
            let fields = json!({"healthStatus": "UNKNOWN", "stoppedReason": null});
            let fields = fields.as_object().cloned().unwrap_or_default();
            let view = TaskView { deployment: id.clone(), status: "PENDING", fields };
            stage.lock().map_err(|_| "poisoned")?.tasks.insert(ours.clone(), view);
        }
        let listed = aws.ecs.list_tasks().cluster(&it.cluster).service_name(&it.service).send().await?;
        ensure!(listed.task_arns() == [arns[0].clone()], "listed {:?} of {arns:?}", listed.task_arns());
        let wrong = direct.ecs.list_tasks().cluster(&it.cluster).service_name(&it.service).send().await?;
        ensure!(wrong.task_arns().len() == 3, "moto now heeds serviceName or desiredStatus: {wrong:?}");
        let seen = aws.ecs.describe_tasks().cluster(&it.cluster).tasks(&arns[0]).tasks("0".repeat(32)).send().await?;
        let task = &seen.tasks()[0];
        ensure!(task.last_status() == Some("PENDING") && task.stopped_reason().is_none(), "{task:?}");
        ensure!(seen.failures()[0].reason() == Some("MISSING"), "{:?}", seen.failures());

        // Protection, which moto does not have.
        let protect = |on| {
            let ecs = aws.ecs.update_task_protection().cluster(&it.cluster).tasks(&arns[0]);
            ecs.protection_enabled(on).send()
        };
        ensure!(protect(true).await?.protected_tasks()[0].protection_enabled(), "not protected");
        ensure!(!protect(false).await?.protected_tasks()[0].protection_enabled(), "still protected");

        // Targets.
        let target = aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder().id("10.0.1.7").port(8000);
        let target = target.build();
        direct.elb.register_targets().target_group_arn(&it.web_group).targets(target).send().await?;
        let view = TargetView {
            state: "initial",
            reason: "Elb.RegistrationInProgress",
            description: "Target registration is in progress",
        };
        stage.lock().map_err(|_| "poisoned")?.targets.insert((it.web_group.clone(), "10.0.1.7".into()), view);
        let seen = aws.elb.describe_target_health().target_group_arn(&it.web_group).send().await?;
        let health = seen.target_health_descriptions()[0].target_health().ok_or("no health")?;
        ensure!(health.state().is_some_and(|state| state.as_str() == "initial"), "{health:?}");
        ensure!(health.reason().is_some_and(|why| why.as_str() == "Elb.RegistrationInProgress"), "{health:?}");

        // Streams by prefix.
        for stream in ["occupancy/occupancy/1", "web/web/1"] {
            direct.logs.create_log_stream().log_group_name(&it.log_group).log_stream_name(stream).send().await?;
            let event = aws_sdk_cloudwatchlogs::types::InputLogEvent::builder()
                .message(stream)
                .timestamp(jiff::Timestamp::now().as_millisecond())
                .build()?;
            direct
                .logs
                .put_log_events()
                .log_group_name(&it.log_group)
                .log_stream_name(stream)
                .log_events(event)
                .send()
                .await?;
        }
        let filter = |aws: &Clients| {
            aws.logs.filter_log_events().log_group_name(&it.log_group).log_stream_name_prefix("web/").send()
        };
        let seen: Vec<_> = filter(&aws).await?.events().iter().map(|event| event.message.clone()).collect();
        ensure!(seen == [Some("web/web/1".to_owned())], "{seen:?}");
        let wrong = filter(&direct).await?.events().len();
        ensure!(wrong == 2, "moto now heeds logStreamNamePrefix: {wrong}");
        Ok(())
    })?
}

fn answers_as_ordered() -> Result<()> {
    let (moto, mut proxy, _stage) = stand()?;
    block_on(async {
        let aws = proxy.clients();
        let clusters = || aws.ecs.list_clusters().send();

        proxy.answer(Some("ListClusters"), When::First(1), Answer::Throttled);
        clusters().await?; // the SDK tries again by itself
        ensure!(proxy.count("ListClusters") == 2, "{:?}", proxy.calls());
        proxy.forget();

        proxy.answer(Some("DescribeLoadBalancers"), When::Nth(2), Answer::Denied);
        clusters().await?;
        aws.elb.describe_load_balancers().send().await?;
        let denied = aws.elb.describe_load_balancers().send().await.err().ok_or("not denied")?;
        let code = aws_sdk_ecs::error::ProvideErrorMetadata::code(&denied).unwrap_or_default().to_owned();
        ensure!(code == "AccessDenied", "{code}");
        proxy.forget();

        proxy.answer(None, When::Always, Answer::Expired);
        let expired = clusters().await.err().ok_or("not expired")?;
        let code = aws_sdk_ecs::error::ProvideErrorMetadata::code(&expired).unwrap_or_default().to_owned();
        ensure!(code == "ExpiredTokenException", "{code}");
        proxy.forget();

        for (answer, status) in [(Answer::Broken, Some(500)), (Answer::HangUp, None)] {
            proxy.answer(None, When::First(1), answer);
            clusters().await?;
            ensure!(proxy.calls()[0].status == status, "{answer:?}: {:?}", proxy.calls());
            proxy.forget();
        }

        proxy.answer(None, When::Always, Answer::Hang);
        let hung = tokio::time::timeout(Duration::from_millis(300), clusters()).await;
        ensure!(hung.is_err(), "an answer came: {hung:?}");
        Ok::<(), Trouble>(())
    })??;
    proxy.stop();
    let refused = std::net::TcpStream::connect(proxy.address).err().map(|e| e.kind());
    ensure!(refused == Some(std::io::ErrorKind::ConnectionRefused), "{refused:?}");
    drop(moto);
    Ok(())
}

fn delays() -> Result<()> {
    let (_moto, proxy, _stage) = stand()?;
    proxy.latency(Duration::from_millis(50));
    block_on(async {
        let aws = proxy.clients();
        aws.ecs.list_clusters().send().await?; // opens the connection
        let began = Instant::now();
        let (one, two) = tokio::join!(aws.ecs.list_clusters().send(), aws.sts.get_caller_identity().send());
        one?;
        two?;
        let took = began.elapsed();
        ensure!(took >= Duration::from_millis(50), "both took only {took:?}");
        let calls = proxy.calls();
        ensure!(calls.iter().all(|call| call.took >= Duration::from_millis(50)), "{calls:?}");
        let apart = calls[2].began.max(calls[1].began) - calls[2].began.min(calls[1].began);
        ensure!(apart < Duration::from_millis(40), "calls at once were let in {apart:?} apart");
        Ok(())
    })?
}
