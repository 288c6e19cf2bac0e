//! Plays the ECS scheduler before moto, which starts no task for a service by itself.
//!
//! It looks at the service several times a second, as anybody may who can call the API, and does what ECS does
//! about what it finds: runs a task for the primary deployment (`RunTask` with `startedBy`), registers it at the
//! service's target groups, stops and deregisters it when the desired count is 0 or another deployment has taken
//! over. With minimum 0 and maximum 100 per cent there is never more than one task. What moto has no field for
//! goes to the [`Stage`], from which the proxy corrects moto's answers; what moto lacks is listed in `moto.rs`.
//!
//! Its times are those of ECS in their order, and seconds instead of minutes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use aws_sdk_ecs::types as ecs;
use aws_sdk_elasticloadbalancingv2::types::TargetDescription;
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::aws_proxy::{Proxy, Rollout, Stage, TargetView, TaskView, now};
use crate::moto::{Clients, Moto, Seeded, TAGS, seed};
use crate::needs::{Need, test};
use crate::process::{Result, block_on, ensure, wait_for};

/// How long each part takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Until the scheduler notices that it is asked for something.
    pub(crate) notice: Duration,
    /// `PROVISIONING`: the network interface.
    pub(crate) provisioning: Duration,
    /// `PENDING`: the images.
    pub(crate) pulling: Duration,
    /// `ACTIVATING`: registered at the target groups.
    pub(crate) activating: Duration,
    /// From `RUNNING` to `HEALTHY`.
    pub(crate) healthy: Duration,
    /// From registered to a healthy target.
    pub(crate) target: Duration,
    /// From deregistered to gone.
    pub(crate) draining: Duration,
    /// From the order to stop to `STOPPED`.
    pub(crate) stopping: Duration,
    /// Between a failed task and the next.
    pub(crate) retry: Duration,
    /// Between occupancy lines (30 s in truth).
    pub(crate) occupancy: Duration,
}

impl Timing {
    /// Up in about two seconds, down in about one.
    pub(crate) const QUICK: Self = Self {
        notice: Duration::from_millis(200),
        provisioning: Duration::from_millis(300),
        pulling: Duration::from_millis(400),
        activating: Duration::from_millis(200),
        healthy: Duration::from_millis(500),
        target: Duration::from_millis(1200),
        draining: Duration::from_millis(300),
        stopping: Duration::from_millis(500),
        retry: Duration::from_millis(300),
        occupancy: Duration::from_secs(1),
    };
}

/// What goes wrong with the tasks that are started from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// The task stops before it runs, for instance because an image cannot be pulled.
    FailsToStart { reason: String },
    /// This container ends while the task runs, after it has logged these lines.
    Exits { container: String, code: i32, reason: String, says: Vec<String> },
    /// No task is even made; only the service's events tell.
    NoCapacity { event: String },
    /// The task is healthy and this target group says that it is not (by its name's end, such as `web`).
    TargetUnhealthy { group: String },
    /// This container's check says no.
    ContainerUnhealthy { container: String },
}

#[derive(Debug)]
struct Script {
    mishap: Option<Mishap>,
    people: (u32, u32),
    occupancy: bool,
    age: Duration,
}

pub(crate) struct Conductor {
    stage: Arc<Mutex<Stage>>,
    script: Arc<Mutex<Script>>,
    end: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Conductor {
    fn drop(&mut self) {
        self.end.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Conductor {
    /// Conducts the service until dropped. Has looked once when this returns.
    pub(crate) fn start(moto: &Moto, it: &Seeded, timing: Timing) -> Result<Self> {
        Self::attach(moto.clients(), it, timing, Arc::default())
    }

    /// The same in an account that somebody else has filled, before which a proxy may already stand.
    pub(crate) fn attach(aws: Clients, it: &Seeded, timing: Timing, stage: Arc<Mutex<Stage>>) -> Result<Self> {
        stage.lock().unwrap_or_else(PoisonError::into_inner).service.clone_from(&it.service);
        let script =
            Arc::new(Mutex::new(Script { mishap: None, people: (0, 0), occupancy: true, age: Duration::ZERO }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut player = Player {
            aws,
            it: it.clone(),
            timing,
            stage: Arc::clone(&stage),
            script: Arc::clone(&script),
            images: Vec::new(),
            task: None,
            asked: (None, Instant::now()),
            not_before: Instant::now(),
        };
        runtime.block_on(player.arrive())?;
        let end = CancellationToken::new();
        let until = end.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(player.play(&until));
        });
        Ok(Self { stage, script, end, thread: Some(thread) })
    }

    /// What a proxy needs to correct moto's answers.
    pub(crate) fn stage(&self) -> Arc<Mutex<Stage>> {
        Arc::clone(&self.stage)
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong from now on; `None`: nothing.
    pub(crate) fn mishap(&self, mishap: Option<Mishap>) {
        self.script().mishap = mishap;
    }

    /// What the next occupancy lines say.
    pub(crate) fn people(&self, conferences: u32, participants: u32) {
        self.script().people = (conferences, participants);
    }

    /// The next tasks are said to have started that long ago.
    pub(crate) fn age(&self, age: Duration) {
        self.script().age = age;
    }

    /// Whether occupancy lines are written at all.
    pub(crate) fn occupancy(&self, on: bool) {
        self.script().occupancy = on;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Provisioning,
    Pulling,
    Activating,
    Running,
    /// Running, and every container's check says yes.
    Healthy,
    Stopping,
}

struct Task {
    arn: String,
    id: String,
    address: String,
    deployment: String,
    phase: Phase,
    since: Instant,
    registered: Option<Instant>,
    said: Option<Instant>,
    mishap: Option<Mishap>,
    failed: bool,
}

struct Player {
    aws: Clients,
    it: Seeded,
    timing: Timing,
    stage: Arc<Mutex<Stage>>,
    script: Arc<Mutex<Script>>,
    /// Containers of the task definition: name, image, essential.
    images: Vec<(String, String, bool)>,
    task: Option<Task>,
    /// The desired count and deployment last seen, and since when.
    asked: (Option<(i32, String)>, Instant),
    not_before: Instant,
}

impl Task {
    fn enter(&mut self, phase: Phase) {
        (self.phase, self.since) = (phase, Instant::now());
    }
}

/// What is asked for.
struct Wanted {
    desired: i32,
    deployment: String,
    network: Option<ecs::NetworkConfiguration>,
}

impl Player {
    /// Learns the task definition and takes the deployment that it finds for a finished one.
    async fn arrive(&mut self) -> Result<()> {
        let definition = self.aws.ecs.describe_task_definition().task_definition(&self.it.family).send().await?;
        let definition = definition.task_definition().ok_or("no task definition")?;
        for container in definition.container_definitions() {
            self.images.push((
                container.name().unwrap_or_default().to_owned(),
                container.image().unwrap_or_default().to_owned(),
                container.essential().unwrap_or(true),
            ));
        }
        let wanted = self.look().await?;
        let rollout = Rollout {
            state: "COMPLETED",
            reason: format!("ECS deployment {} completed.", wanted.deployment),
            failed: 0,
        };
        self.stage().deployments.insert(wanted.deployment, rollout);
        Ok(())
    }

    /// Ends between two ticks: no call is left behind for the next account.
    async fn play(&mut self, until: &CancellationToken) {
        while !until.is_cancelled() {
            // Whoever stops moto stops the scheduler too; there is nobody to tell.
            let _ = self.tick().await;
            let _ = tokio::time::timeout(Duration::from_millis(100), until.cancelled()).await;
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, or as long ago as the tasks are to seem old.
    fn then(&self) -> f64 {
        now() - self.script.lock().unwrap_or_else(PoisonError::into_inner).age.as_secs_f64()
    }

    async fn look(&self) -> Result<Wanted> {
        let service = self.aws.service(&self.it.cluster, &self.it.service).await?;
        let deployment = service.deployments().first().and_then(|it| it.id()).ok_or("no deployment")?;
        Ok(Wanted {
            desired: service.desired_count(),
            deployment: deployment.to_owned(),
            network: service.network_configuration().cloned(),
        })
    }

    async fn tick(&mut self) -> Result<()> {
        let wanted = self.look().await?;
        let asked = Some((wanted.desired, wanted.deployment.clone()));
        if self.asked.0 != asked {
            self.asked = (asked, Instant::now());
            let reason = format!("ECS deployment {} in progress.", wanted.deployment);
            let fresh = Rollout { state: "IN_PROGRESS", reason, failed: 0 };
            self.stage().deployments.entry(wanted.deployment.clone()).or_insert(fresh);
        }
        if self.asked.1.elapsed() < self.timing.notice {
            return Ok(());
        }
        let Some(mut task) = self.task.take() else {
            return self.perhaps_start(wanted).await;
        };
        // Kept, whatever fails below: another tick goes on with it.
        let done = self.go_on(&mut task, &wanted).await;
        if !matches!(done, Ok(true)) {
            self.task = Some(task);
        }
        done.map(|_| ())
    }

    async fn perhaps_start(&mut self, wanted: Wanted) -> Result<()> {
        let given_up = self.stage().deployments.get(&wanted.deployment).is_some_and(|it| it.state == "FAILED");
        if wanted.desired < 1 || given_up || Instant::now() < self.not_before {
            return Ok(());
        }
        let mishap = self.script.lock().unwrap_or_else(PoisonError::into_inner).mishap.clone();
        if let Some(Mishap::NoCapacity { event }) = &mishap {
            self.say(event);
            self.not_before = Instant::now() + self.timing.retry * 4;
            return Ok(());
        }
        let run = self.aws.ecs.run_task().cluster(&self.it.cluster).task_definition(&self.it.family);
        let run = run
            .launch_type(ecs::LaunchType::Fargate)
            .set_network_configuration(wanted.network)
            .started_by(&wanted.deployment)
            .group(format!("service:{}", self.it.service));
        let made = run.send().await?;
        let made = made.tasks().first().ok_or("no task")?;
        let arn = made.task_arn().unwrap_or_default().to_owned();
        let details = made.attachments().first().map(ecs::Attachment::details).unwrap_or_default();
        let address = details.iter().find(|it| it.name() == Some("privateIPv4Address")).and_then(|it| it.value());
        let task = Task {
            id: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            address: address.unwrap_or_default().to_owned(),
            arn,
            deployment: wanted.deployment,
            phase: Phase::Provisioning,
            since: Instant::now(),
            registered: None,
            said: None,
            mishap,
            failed: false,
        };
        let fields = json!({
            "createdAt": self.then(), "connectivity": "CONNECTING", "cpu": "4096", "memory": "8192",
            "platformVersion": "1.4.0", "stoppedReason": null,
        });
        self.show(&task, "PROVISIONING", fields);
        self.say(&format!("has started 1 tasks: (task {}).", task.id));
        self.task = Some(task);
        Ok(())
    }

    /// One tick in a task's life; `true` when it is over.
    async fn go_on(&mut self, task: &mut Task, wanted: &Wanted) -> Result<bool> {
        if task.phase == Phase::Stopping {
            return self.go_on_stopping(task).await;
        }
        if self.was_stopped_by_hand(task).await? {
            let stop = json!({"stopCode": "UserInitiated"});
            self.begin_to_stop(task, stop, BTreeMap::new(), None).await?;
            return Ok(false);
        }
        if wanted.desired < 1 || wanted.deployment != task.deployment {
            if self.stage().protected.contains(&task.arn) {
                let why =
                    format!("was unable to scale in due to protected tasks (1 protected tasks: (task {})).", task.id);
                self.say_once(&why);
            } else {
                let reason = format!("Scaling activity initiated by (deployment {})", task.deployment);
                let stop = json!({"stopCode": "ServiceSchedulerInitiated", "stoppedReason": reason});
                self.say(&format!("has stopped 1 running tasks: (task {}).", task.id));
                self.begin_to_stop(task, stop, BTreeMap::new(), Some(&reason)).await?;
                return Ok(false);
            }
        }
        let elapsed = task.since.elapsed();
        let timing = self.timing;
        match task.phase {
            Phase::Provisioning if elapsed >= timing.provisioning => {
                task.enter(Phase::Pulling);
                self.show(task, "PENDING", json!({"connectivity": "CONNECTED", "pullStartedAt": self.then()}));
            }
            Phase::Pulling if elapsed >= timing.pulling => {
                if let Some(Mishap::FailsToStart { reason }) = task.mishap.clone() {
                    task.failed = true;
                    let stop = json!({"stopCode": "TaskFailedToStart", "stoppedReason": reason});
                    self.begin_to_stop(task, stop, BTreeMap::new(), Some(&reason)).await?;
                    return Ok(false);
                }
                task.enter(Phase::Activating);
                self.show(task, "ACTIVATING", json!({"pullStoppedAt": self.then()}));
                self.register(task).await?;
            }
            Phase::Activating if elapsed >= timing.activating => {
                task.enter(Phase::Running);
                self.show(task, "RUNNING", json!({"startedAt": self.then()}));
                self.greet(task).await?;
            }
            Phase::Running if elapsed >= timing.healthy => match task.mishap.clone() {
                Some(Mishap::Exits { container, code, reason, says }) => {
                    self.log(&container, task, &says).await?;
                    task.failed = true;
                    let why = "Essential container in task exited";
                    let stop = json!({"stopCode": "EssentialContainerExited", "stoppedReason": why});
                    let exit = BTreeMap::from([(container, (code, reason))]);
                    self.begin_to_stop(task, stop, exit, Some(why)).await?;
                }
                // Stays as it is until somebody loses patience.
                Some(Mishap::ContainerUnhealthy { .. }) => self.show(task, "RUNNING", json!({})),
                _ => {
                    task.enter(Phase::Healthy);
                    self.show(task, "RUNNING", json!({}));
                }
            },
            _ => {}
        }
        self.judge_targets(task);
        if task.phase == Phase::Healthy {
            self.complete(task);
        }
        if matches!(task.phase, Phase::Running | Phase::Healthy) {
            self.count_people(task).await?;
        }
        Ok(false)
    }

    async fn was_stopped_by_hand(&self, task: &Task) -> Result<bool> {
        let seen = self.aws.ecs.describe_tasks().cluster(&self.it.cluster).tasks(&task.arn).send().await?;
        Ok(seen.tasks().first().is_none_or(|it| it.last_status() == Some("STOPPED")))
    }

    async fn begin_to_stop(
        &mut self,
        task: &mut Task,
        stop: Value,
        exit: BTreeMap<String, (i32, String)>,
        reason: Option<&str>,
    ) -> Result<()> {
        if let Some(reason) = reason {
            // Also sets what `ListTasks` goes by.
            self.aws.ecs.stop_task().cluster(&self.it.cluster).task(&task.arn).reason(reason).send().await?;
        }
        let ran = matches!(task.phase, Phase::Running | Phase::Healthy);
        task.enter(Phase::Stopping);
        self.show_as_it_is(task, "DEACTIVATING", stop);
        self.show_as_it_is(task, "DEACTIVATING", json!({"desiredStatus": "STOPPED", "stoppingAt": now()}));
        let containers = self.containers(task, "STOPPED", ran, &exit);
        if let Some(view) = self.stage().tasks.get_mut(&task.arn) {
            view.fields.insert("containers".into(), containers);
            if reason.is_none() {
                // Stopped by hand: the reason is the one that moto was told.
                view.fields.remove("stoppedReason");
            }
        }
        if task.registered.is_some() {
            for group in [&self.it.web_group, &self.it.media_group] {
                let view = TargetView {
                    state: "draining",
                    reason: "Target.DeregistrationInProgress",
                    description: "Target deregistration is in progress",
                };
                self.stage().targets.insert((group.clone(), task.address.clone()), view);
            }
            self.say("has begun draining connections on 1 tasks.");
        }
        Ok(())
    }

    async fn go_on_stopping(&mut self, task: &mut Task) -> Result<bool> {
        if task.registered.is_some() && task.since.elapsed() >= self.timing.draining {
            for (group, port) in [(&self.it.web_group, 8000), (&self.it.media_group, 10_000)] {
                let target = TargetDescription::builder().id(&task.address).port(port).build();
                self.aws.elb.deregister_targets().target_group_arn(group).targets(target).send().await?;
                self.stage().targets.remove(&(group.clone(), task.address.clone()));
                self.say(&format!("deregistered 1 targets in (target-group {group})"));
            }
            task.registered = None;
        }
        if task.registered.is_some() || task.since.elapsed() < self.timing.stopping {
            return Ok(false);
        }
        self.show_as_it_is(task, "STOPPED", json!({"executionStoppedAt": now(), "stoppedAt": now()}));
        if task.failed {
            self.not_before = Instant::now() + self.timing.retry;
            let failures = {
                let mut stage = self.stage();
                let rollout = stage.deployments.get_mut(&task.deployment);
                rollout.map_or(0, |rollout| {
                    rollout.failed += 1;
                    if rollout.failed >= 3 && rollout.state == "IN_PROGRESS" {
                        rollout.state = "FAILED";
                        rollout.reason =
                            format!("ECS deployment circuit breaker: tasks failed to start. ({})", task.deployment);
                    }
                    rollout.failed
                })
            };
            if failures == 3 {
                self.say(&format!("(deployment {}) deployment failed: tasks failed to start.", task.deployment));
            }
        }
        let resting = matches!(&self.asked.0, Some((0, _)));
        if resting {
            self.say("has reached a steady state.");
        }
        Ok(true)
    }

    async fn register(&self, task: &mut Task) -> Result<()> {
        for (group, port) in [(&self.it.web_group, 8000), (&self.it.media_group, 10_000)] {
            let view = TargetView {
                state: "initial",
                reason: "Elb.RegistrationInProgress",
                description: "Target registration is in progress",
            };
            self.stage().targets.insert((group.clone(), task.address.clone()), view);
            let target = TargetDescription::builder().id(&task.address).port(port).build();
            self.aws.elb.register_targets().target_group_arn(group).targets(target).send().await?;
            self.say(&format!("registered 1 targets in (target-group {group})"));
        }
        task.registered = Some(Instant::now());
        Ok(())
    }

    fn judge_targets(&self, task: &Task) {
        if task.phase == Phase::Stopping || task.registered.is_none_or(|at| at.elapsed() < self.timing.target) {
            return;
        }
        for group in [&self.it.web_group, &self.it.media_group] {
            let ill = matches!(&task.mishap, Some(Mishap::TargetUnhealthy { group: of }) if named(group).ends_with(of.as_str()));
            let view = if ill {
                TargetView {
                    state: "unhealthy",
                    reason: "Target.FailedHealthChecks",
                    description: "Health checks failed",
                }
            } else {
                TargetView { state: "healthy", reason: "", description: "" }
            };
            self.stage().targets.insert((group.clone(), task.address.clone()), view);
            if ill {
                self.say_once(&format!(
                    "(port 8000) is unhealthy in (target-group {group}) due to (reason Health checks failed)."
                ));
            }
        }
    }

    /// The deployment is complete once its task and its targets are healthy.
    fn complete(&self, task: &Task) {
        let mut stage = self.stage();
        let healthy = stage.targets.values().filter(|view| view.state == "healthy").count() == 2;
        let done = match stage.deployments.get_mut(&task.deployment) {
            Some(rollout) if healthy && rollout.state == "IN_PROGRESS" => {
                rollout.state = "COMPLETED";
                rollout.reason = format!("ECS deployment {} completed.", task.deployment);
                true
            }
            _ => false,
        };
        drop(stage);
        if done {
            self.say(&format!("(deployment {}) deployment completed.", task.deployment));
            self.say("has reached a steady state.");
        }
    }

    /// What is seen of a task from now on, with its containers.
    fn show(&self, task: &Task, status: &'static str, fields: Value) {
        let ill = matches!(&task.mishap, Some(Mishap::ContainerUnhealthy { .. }));
        let health = match task.phase {
            Phase::Healthy => "HEALTHY",
            Phase::Running if ill && task.since.elapsed() >= self.timing.healthy => "UNHEALTHY",
            _ => "UNKNOWN",
        };
        let inside = if status == "RUNNING" { "RUNNING" } else { "PENDING" };
        self.show_as_it_is(task, status, fields);
        let containers = self.containers(task, inside, false, &BTreeMap::new());
        if let Some(view) = self.stage().tasks.get_mut(&task.arn) {
            view.fields.insert("healthStatus".into(), json!(health));
            view.fields.insert("containers".into(), containers);
        }
    }

    fn show_as_it_is(&self, task: &Task, status: &'static str, fields: Value) {
        let mut stage = self.stage();
        let view = stage.tasks.entry(task.arn.clone()).or_insert_with(|| TaskView {
            deployment: task.deployment.clone(),
            status,
            fields: Map::new(),
        });
        view.status = status;
        if let Value::Object(fields) = fields {
            view.fields.extend(fields);
        }
    }

    fn containers(&self, task: &Task, status: &str, ran: bool, exit: &BTreeMap<String, (i32, String)>) -> Value {
        let ill = match &task.mishap {
            Some(Mishap::ContainerUnhealthy { container }) => container.as_str(),
            _ => "",
        };
        let late = task.phase == Phase::Healthy || task.since.elapsed() >= self.timing.healthy;
        self.images
            .iter()
            .enumerate()
            .map(|(at, (name, image, essential))| {
                let health = match task.phase {
                    Phase::Running if late && name == ill => "UNHEALTHY",
                    Phase::Running if late && !ill.is_empty() && *essential => "HEALTHY",
                    Phase::Healthy if *essential => "HEALTHY",
                    _ => "UNKNOWN",
                };
                let mut container = json!({
                    "containerArn": format!("{}/{at}", task.arn.replace(":task/", ":container/")),
                    "taskArn": task.arn, "name": name, "image": image, "lastStatus": status,
                    "healthStatus": health, "cpu": "256", "memory": "1024",
                    "networkInterfaces": [{"attachmentId": "eni", "privateIpv4Address": task.address}],
                });
                if name == "config" && matches!(status, "RUNNING" | "STOPPED") {
                    // It has written its files and ended.
                    container["lastStatus"] = json!("STOPPED");
                    container["exitCode"] = json!(0);
                } else if let Some((code, reason)) = exit.get(name) {
                    container["exitCode"] = json!(code);
                    if !reason.is_empty() {
                        container["reason"] = json!(reason);
                    }
                } else if status == "STOPPED" && ran {
                    container["exitCode"] = json!(143);
                }
                container
            })
            .collect()
    }

    fn say(&self, what: &str) {
        let message = format!("(service {}) {what}", self.it.service);
        let mut stage = self.stage();
        let id = format!("00000000-0000-4000-8000-{:012}", stage.events.len() + 1);
        stage.events.push_front(json!({"id": id, "createdAt": self.then(), "message": message}));
        stage.events.truncate(100);
    }

    fn say_once(&self, what: &str) {
        let known =
            self.stage().events.iter().any(|event| event["message"].as_str().is_some_and(|it| it.ends_with(what)));
        if !known {
            self.say(what);
        }
    }

    /// Every container logs a line when it starts.
    async fn greet(&self, task: &Task) -> Result<()> {
        for (name, _, _) in self.images.iter().filter(|(.., essential)| *essential) {
            self.log(name, task, &[format!("{name} is starting")]).await?;
        }
        Ok(())
    }

    async fn log(&self, container: &str, task: &Task, lines: &[String]) -> Result<()> {
        let stream = format!("{container}/{container}/{}", task.id);
        let logs = &self.aws.logs;
        // Fails when it exists already, which is as good.
        let _ = logs.create_log_stream().log_group_name(&self.it.log_group).log_stream_name(&stream).send().await;
        let at = jiff::Timestamp::now().as_millisecond();
        let events: std::result::Result<Vec<_>, _> =
            lines.iter().map(|line| InputLogEvent::builder().message(line).timestamp(at).build()).collect();
        let put = logs.put_log_events().log_group_name(&self.it.log_group).log_stream_name(stream);
        put.set_log_events(Some(events?)).send().await?;
        Ok(())
    }

    async fn count_people(&self, task: &mut Task) -> Result<()> {
        let ((conferences, participants), on) = {
            let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
            (script.people, script.occupancy)
        };
        if !on || task.said.is_some_and(|at| at.elapsed() < self.timing.occupancy) {
            return Ok(());
        }
        task.said = Some(Instant::now());
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let line = json!({
            "type": "occupancy", "time": time, "conferences": conferences, "participants": participants,
            "jicofo": {"healthy": true, "bridge_selector": {"operational_bridge_count": 1}},
            "jvb": {"endpoints": participants, "stress_level": 0.01, "graceful_shutdown": false},
        });
        self.log("occupancy", task, &[line.to_string()]).await
    }
}

/// A target group's name, out of its ARN.
fn named(group: &str) -> &str {
    group.split('/').nth(1).unwrap_or(group)
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    const MOTO: &[Need] = &[Need::Moto];
    vec![
        test("conductor::starts_a_task_for_a_forced_deployment", MOTO, starts),
        test("conductor::stops_it_when_nobody_is_wanted", MOTO, stops),
        test("conductor::replaces_the_task_of_an_older_deployment", MOTO, replaces),
        test("conductor::gives_up_after_three_failed_starts", MOTO, gives_up),
        test("conductor::a_container_that_exits_stops_the_task", MOTO, exits),
        test("conductor::without_capacity_only_events_tell", MOTO, no_capacity),
        test("conductor::plays_sickness_of_target_and_container", MOTO, sickness),
        test("conductor::replaces_a_task_that_was_stopped_by_hand", MOTO, stopped_by_hand),
        test("conductor::counts_people_and_heeds_protection", MOTO, people),
    ]
}

/// moto, the conductor and the proxy, and what one sees through the proxy.
struct Theatre {
    conductor: Conductor,
    /// By the proxy.
    aws: Clients,
    it: Seeded,
    runtime: tokio::runtime::Runtime,
    _proxy: Proxy,
    _moto: Moto,
}

const LIMIT: Duration = Duration::from_mins(1);

impl Theatre {
    fn open() -> Result<Self> {
        Self::with(Timing::QUICK)
    }

    fn with(timing: Timing) -> Result<Self> {
        let moto = Moto::start()?;
        let it = block_on(seed(&moto, "rig", "meet.example.test"))??;
        let conductor = Conductor::start(&moto, &it, timing)?;
        let proxy = Proxy::start(moto.address(), conductor.stage())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { aws: proxy.clients(), conductor, it, runtime, _proxy: proxy, _moto: moto })
    }

    /// Gives the deployment's id.
    fn scale(&self, desired: i32, force: bool) -> Result<String> {
        let ecs = &self.aws.ecs;
        let update = ecs.update_service().cluster(&self.it.cluster).service(&self.it.service);
        let done = self.runtime.block_on(update.desired_count(desired).force_new_deployment(force).send())?;
        let id = done.service().and_then(|it| it.deployments().first()?.id()).ok_or("no deployment")?;
        Ok(id.to_owned())
    }

    fn service(&self) -> Result<ecs::Service> {
        let ecs = &self.aws.ecs;
        let ask = ecs.describe_services().cluster(&self.it.cluster).services(&self.it.service).include(TAGS);
        let seen = self.runtime.block_on(ask.send())?;
        seen.services.and_then(|mut all| all.pop()).ok_or_else(|| "no service".into())
    }

    fn tasks(&self, status: ecs::DesiredStatus) -> Result<Vec<ecs::Task>> {
        let ecs = &self.aws.ecs;
        let list = ecs.list_tasks().cluster(&self.it.cluster).service_name(&self.it.service).desired_status(status);
        let arns = self.runtime.block_on(list.send())?.task_arns.unwrap_or_default();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let ask = ecs.describe_tasks().cluster(&self.it.cluster).set_tasks(Some(arns));
        Ok(self.runtime.block_on(ask.send())?.tasks.unwrap_or_default())
    }

    /// State and reason of every target.
    fn targets(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for group in [&self.it.web_group, &self.it.media_group] {
            let ask = self.aws.elb.describe_target_health().target_group_arn(group);
            for target in self.runtime.block_on(ask.send())?.target_health_descriptions() {
                let health = target.target_health().ok_or("no health")?;
                let reason = health.reason().map_or(String::new(), |it| it.as_str().to_owned());
                all.push((health.state().map_or(String::new(), |it| it.as_str().to_owned()), reason));
            }
        }
        Ok(all)
    }

    fn events(&self) -> Result<Vec<String>> {
        Ok(self.service()?.events().iter().filter_map(|it| it.message().map(str::to_owned)).collect())
    }

    fn heard(&self, part: &str) -> bool {
        self.events().is_ok_and(|events| events.iter().any(|event| event.contains(part)))
    }

    fn one(&self) -> Option<ecs::Task> {
        self.tasks(ecs::DesiredStatus::Running).ok().filter(|all| all.len() == 1)?.pop()
    }

    fn until_healthy(&self) -> Result<ecs::Task> {
        wait_for("a healthy task with healthy targets", LIMIT, || {
            let task = self.one().filter(|task| task.health_status() == Some(&ecs::HealthStatus::Healthy))?;
            let targets = self.targets().ok()?;
            (targets.len() == 2 && targets.iter().all(|(state, _)| state == "healthy")).then_some(task)
        })
    }

    fn lines(&self, prefix: &str) -> Result<Vec<String>> {
        let logs = &self.aws.logs;
        let ask = logs.filter_log_events().log_group_name(&self.it.log_group).log_stream_name_prefix(prefix);
        let seen = self.runtime.block_on(ask.send())?;
        Ok(seen.events.unwrap_or_default().into_iter().filter_map(|event| event.message).collect())
    }
}

fn starts() -> Result<()> {
    let it = Theatre::open()?;
    ensure!(
        it.service()?.deployments()[0].rollout_state().map(ecs::DeploymentRolloutState::as_str) == Some("COMPLETED"),
        "not at rest"
    );
    let id = it.scale(1, true)?;
    // Everything that is seen of the task on its way, in order.
    let mut way: Vec<String> = Vec::new();
    let mut targets: Vec<String> = Vec::new();
    wait_for("the task on its way", LIMIT, || {
        let task = it.one()?;
        let status = format!("{} {}", task.last_status()?, task.health_status()?.as_str());
        if way.last() != Some(&status) {
            way.push(status);
        }
        for (state, _) in it.targets().ok()? {
            if targets.last() != Some(&state) {
                targets.push(state);
            }
        }
        (way.last()? == "RUNNING HEALTHY" && targets.last()? == "healthy").then_some(())
    })?;
    let all = ["PROVISIONING UNKNOWN", "PENDING UNKNOWN", "ACTIVATING UNKNOWN", "RUNNING UNKNOWN", "RUNNING HEALTHY"];
    // A busy machine may miss a state; none may come out of turn.
    let order: Vec<_> = way.iter().map(|seen| all.iter().position(|it| it == seen)).collect();
    ensure!(way.len() >= 3 && order.is_sorted() && !order.contains(&None), "the way was {way:?}");
    ensure!(targets.first().map(String::as_str) == Some("initial"), "targets {targets:?}");

    let task = it.until_healthy()?;
    ensure!(task.started_by() == Some(&id), "started by {:?}, not {id}", task.started_by());
    let times = [task.created_at(), task.pull_started_at(), task.pull_stopped_at(), task.started_at()];
    ensure!(times.iter().all(Option::is_some) && times.is_sorted(), "times {times:?}");
    ensure!((task.cpu(), task.memory(), task.stopped_reason()) == (Some("4096"), Some("8192"), None), "{task:?}");
    let containers: Vec<_> =
        task.containers().iter().filter_map(|it| Some((it.name()?, it.health_status()?.as_str()))).collect();
    let expected = [
        ("config", "UNKNOWN"),
        ("web", "HEALTHY"),
        ("prosody", "HEALTHY"),
        ("jicofo", "HEALTHY"),
        ("jvb", "HEALTHY"),
        ("occupancy", "UNKNOWN"),
    ];
    ensure!(containers == expected, "containers {containers:?}");
    wait_for("the end of the deployment", LIMIT, || it.heard("has reached a steady state.").then_some(()))?;
    let service = it.service()?;
    let deployment = &service.deployments()[0];
    ensure!(deployment.id() == Some(&id) && service.deployments().len() == 1, "{:?}", service.deployments());
    ensure!(deployment.rollout_state().map(ecs::DeploymentRolloutState::as_str) == Some("COMPLETED"), "{deployment:?}");
    ensure!((service.running_count(), service.pending_count(), deployment.running_count()) == (1, 0, 1), "{service:?}");
    ensure!(
        it.heard("has started 1 tasks: (task ") && it.heard("registered 1 targets in (target-group arn:"),
        "{:?}",
        it.events()
    );
    ensure!(it.lines("web/")? == ["web is starting"], "{:?}", it.lines("web/"));
    Ok(())
}

fn stops() -> Result<()> {
    let long = Duration::from_secs(2);
    let it = Theatre::with(Timing { draining: long, stopping: long, ..Timing::QUICK })?;
    it.scale(1, true)?;
    let task = it.until_healthy()?;
    it.scale(0, false)?;
    wait_for("draining targets", LIMIT, || {
        it.targets().ok().filter(|all| all.iter().all(|(state, _)| state == "draining") && !all.is_empty())
    })?;
    let gone = wait_for("the task to stop", LIMIT, || {
        let gone = it.tasks(ecs::DesiredStatus::Stopped).ok()?.pop()?;
        (gone.last_status() == Some("STOPPED")).then_some(gone)
    })?;
    ensure!(gone.task_arn() == task.task_arn(), "another task");
    ensure!(
        gone.stop_code().map(ecs::TaskStopCode::as_str) == Some("ServiceSchedulerInitiated"),
        "{:?}",
        gone.stop_code()
    );
    ensure!(
        gone.stopped_reason().is_some_and(|it| it.starts_with("Scaling activity initiated by (deployment ecs-svc/")),
        "{gone:?}"
    );
    ensure!(gone.stopped_at().is_some() && gone.containers()[1].exit_code() == Some(143), "{gone:?}");
    ensure!(it.tasks(ecs::DesiredStatus::Running)?.is_empty(), "a task is left");
    ensure!(it.targets()?.is_empty(), "targets are left: {:?}", it.targets());
    let service = it.service()?;
    ensure!((service.desired_count(), service.running_count(), service.pending_count()) == (0, 0, 0), "{service:?}");
    Ok(())
}

fn replaces() -> Result<()> {
    let it = Theatre::open()?;
    let first = it.scale(1, true)?;
    it.until_healthy()?;
    let second = it.scale(1, true)?;
    ensure!(first != second, "the same deployment");
    let both = it.service()?;
    let states: Vec<_> = both.deployments().iter().filter_map(|it| Some((it.id()?, it.status()?))).collect();
    ensure!(states == [(second.as_str(), "PRIMARY"), (first.as_str(), "ACTIVE")], "deployments {states:?}");
    wait_for("the second task", LIMIT, || it.one().filter(|task| task.started_by() == Some(&second)))?;
    it.until_healthy()?;
    ensure!(it.service()?.deployments().len() == 1, "the first deployment is still there");
    // A change of the count alone is no deployment.
    ensure!(it.scale(0, false)? == second, "a new deployment without force");
    Ok(())
}

fn gives_up() -> Result<()> {
    let it = Theatre::open()?;
    let reason = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref \
                  ghcr.io/jitsi/web:none: ghcr.io/jitsi/web:none: not found";
    it.conductor.mishap(Some(Mishap::FailsToStart { reason: reason.into() }));
    let id = it.scale(1, true)?;
    wait_for("the deployment to fail", LIMIT, || {
        let service = it.service().ok()?;
        (service.deployments()[0].rollout_state().map(ecs::DeploymentRolloutState::as_str) == Some("FAILED"))
            .then_some(())
    })?;
    let gone = it.tasks(ecs::DesiredStatus::Stopped)?;
    ensure!(gone.len() == 3 && it.service()?.deployments()[0].failed_tasks() == 3, "{} tasks failed", gone.len());
    for task in &gone {
        ensure!(task.stop_code().map(ecs::TaskStopCode::as_str) == Some("TaskFailedToStart"), "{task:?}");
        ensure!(task.stopped_reason() == Some(reason) && task.started_at().is_none(), "{task:?}");
    }
    ensure!(it.heard(&format!("(deployment {id}) deployment failed: tasks failed to start.")), "{:?}", it.events());
    std::thread::sleep(Duration::from_secs(1));
    ensure!(it.tasks(ecs::DesiredStatus::Running)?.is_empty(), "it goes on trying");
    // A new deployment after the repair.
    it.conductor.mishap(None);
    it.scale(1, true)?;
    it.until_healthy().map(|_| ())
}

fn exits() -> Result<()> {
    let it = Theatre::open()?;
    it.conductor.mishap(Some(Mishap::Exits {
        container: "jvb".into(),
        code: 137,
        reason: "OutOfMemoryError: Container killed due to memory usage".into(),
        says: vec!["the last words".into()],
    }));
    it.scale(1, true)?;
    let task = wait_for("the task to stop", LIMIT, || {
        it.tasks(ecs::DesiredStatus::Stopped).ok()?.into_iter().find(|task| task.last_status() == Some("STOPPED"))
    })?;
    ensure!(task.stop_code().map(ecs::TaskStopCode::as_str) == Some("EssentialContainerExited"), "{task:?}");
    let jvb = task.containers().iter().find(|it| it.name() == Some("jvb")).ok_or("no jvb")?;
    ensure!(jvb.exit_code() == Some(137) && jvb.reason().is_some_and(|it| it.starts_with("OutOfMemory")), "{jvb:?}");
    ensure!(it.lines("jvb/")?.contains(&"the last words".to_owned()), "{:?}", it.lines("jvb/"));
    Ok(())
}

fn no_capacity() -> Result<()> {
    let it = Theatre::open()?;
    let event = "was unable to place a task. Reason: Capacity is unavailable at this time.";
    it.conductor.mishap(Some(Mishap::NoCapacity { event: event.into() }));
    it.scale(1, true)?;
    wait_for("the event", LIMIT, || it.heard(event).then_some(()))?;
    ensure!(it.tasks(ecs::DesiredStatus::Running)?.is_empty(), "a task without capacity");
    ensure!(it.tasks(ecs::DesiredStatus::Stopped)?.is_empty(), "a stopped task without capacity");
    Ok(())
}

fn sickness() -> Result<()> {
    let it = Theatre::open()?;
    it.conductor.mishap(Some(Mishap::TargetUnhealthy { group: "web".into() }));
    it.scale(1, true)?;
    let targets = wait_for("an unhealthy target", LIMIT, || {
        it.targets().ok().filter(|all| all.iter().any(|(state, _)| state == "unhealthy"))
    })?;
    let expected = [("unhealthy", "Target.FailedHealthChecks"), ("healthy", "")];
    ensure!(targets == expected.map(|(a, b)| (a.to_owned(), b.to_owned())), "{targets:?}");
    ensure!(it.heard("is unhealthy in (target-group arn:"), "{:?}", it.events());
    it.conductor.mishap(Some(Mishap::ContainerUnhealthy { container: "jicofo".into() }));
    it.scale(1, true)?;
    let task = wait_for("an unhealthy task", LIMIT, || {
        it.one().filter(|task| task.health_status() == Some(&ecs::HealthStatus::Unhealthy))
    })?;
    let ill: Vec<_> = task
        .containers()
        .iter()
        .filter(|it| it.health_status() == Some(&ecs::HealthStatus::Unhealthy))
        .filter_map(|it| it.name())
        .collect();
    ensure!(ill == ["jicofo"], "ill are {ill:?}");
    Ok(())
}

fn stopped_by_hand() -> Result<()> {
    let it = Theatre::open()?;
    it.scale(1, true)?;
    let first = it.until_healthy()?;
    let ecs = &it.aws.ecs;
    let stop = ecs.stop_task().cluster(&it.it.cluster).task(first.task_arn().unwrap_or_default()).reason("by hand");
    it.runtime.block_on(stop.send())?;
    let second = wait_for("another task", LIMIT, || it.one().filter(|task| task.task_arn() != first.task_arn()))?;
    ensure!(second.started_by() == first.started_by(), "another deployment");
    let gone = it.tasks(ecs::DesiredStatus::Stopped)?;
    ensure!(gone[0].stop_code().map(ecs::TaskStopCode::as_str) == Some("UserInitiated"), "{gone:?}");
    ensure!(gone[0].stopped_reason() == Some("by hand"), "{:?}", gone[0].stopped_reason());
    Ok(())
}

fn people() -> Result<()> {
    let it = Theatre::open()?;
    it.conductor.people(1, 7);
    it.scale(1, true)?;
    let task = it.until_healthy()?;
    let newest = |count: i64| {
        wait_for("an occupancy line", LIMIT, || {
            let line: Value = serde_json::from_str(it.lines("occupancy/occupancy/").ok()?.last()?).ok()?;
            (line["participants"] == count).then_some(line)
        })
    };
    let line = newest(7)?;
    ensure!(line["type"] == "occupancy" && line["conferences"] == 1, "{line}");
    let age = jiff::Timestamp::now().duration_since(line["time"].as_str().ok_or("no time")?.parse()?);
    ensure!(age.as_secs().abs() < 5, "written {age:?} ago");
    let id = task.task_arn().and_then(|arn| arn.rsplit('/').next()).unwrap_or_default();
    let streams = it.runtime.block_on(
        it.aws.logs.describe_log_streams().log_group_name(&it.it.log_group).log_stream_name_prefix("occ").send(),
    )?;
    let stream = streams.log_streams()[0].log_stream_name().unwrap_or_default().to_owned();
    ensure!(stream == format!("occupancy/occupancy/{id}"), "{stream}");
    it.conductor.people(0, 0);
    newest(0)?;
    it.conductor.occupancy(false);
    std::thread::sleep(Timing::QUICK.occupancy);
    let lines = it.lines("occupancy/")?.len();
    std::thread::sleep(Timing::QUICK.occupancy * 2);
    ensure!(it.lines("occupancy/")?.len() == lines, "lines go on");

    // A protected task is not scaled in.
    let protect = |on: bool| -> Result<()> {
        let ecs = &it.aws.ecs;
        let ask = ecs.update_task_protection().cluster(&it.it.cluster).tasks(task.task_arn().unwrap_or_default());
        it.runtime.block_on(ask.protection_enabled(on).send())?;
        Ok(())
    };
    protect(true)?;
    it.scale(0, false)?;
    wait_for("the event", LIMIT, || it.heard("protected tasks").then_some(()))?;
    ensure!(it.one().is_some_and(|task| task.last_status() == Some("RUNNING")), "it was stopped");
    protect(false)?;
    wait_for("the end", LIMIT, || it.tasks(ecs::DesiredStatus::Running).ok().filter(Vec::is_empty)).map(|_| ())
}
