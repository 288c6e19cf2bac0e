//! What the conditions, levels, plans and causes promise.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::action::Action;
use super::billed::{Billed, Kind, Placement, Witness};
use super::cause;
use super::changes::Recordings;
use super::condition::{Condition, STEADY, Verdict, start_failure};
use super::cost::{Cost, Money};
use super::example::{self, *};
use super::goal::{Goal, Level};
use super::observed::*;
use super::ownership::{Tags, shown_to_be_ours};
use super::plan::{Agreed, Counted, Meetings, Plan, Policy, Refusal, contested, plan, shared_start};
use super::standing::Standing;
use super::status::{People, Status};
use super::view::{Memory, View};

fn unreadable<T>() -> Reading<T> {
    Reading::Unreadable(Unreadable { because: Blindness::Denied, why: "AccessDenied".into() })
}

/// An observation of a run that remembers something.
#[derive(Clone, Debug)]
struct Remembered {
    seen: Observed,
    memory: Memory,
}

impl From<Observed> for Remembered {
    fn from(seen: Observed) -> Self {
        Self { seen, memory: Memory::NONE }
    }
}

impl std::ops::Deref for Remembered {
    type Target = Observed;
    fn deref(&self) -> &Observed {
        &self.seen
    }
}

impl std::ops::DerefMut for Remembered {
    fn deref_mut(&mut self) -> &mut Observed {
        &mut self.seen
    }
}

/// What a rule may see of a test's observation.
trait Known {
    fn view<'a>(&'a self, policy: &'a Policy) -> View<'a>;
}

impl Known for Observed {
    fn view<'a>(&'a self, policy: &'a Policy) -> View<'a> {
        View::single(self, policy)
    }
}

impl Known for Remembered {
    fn view<'a>(&'a self, policy: &'a Policy) -> View<'a> {
        View { seen: &self.seen, memory: &self.memory, policy }
    }
}

fn judged(condition: Condition, seen: &impl Known, policy: &Policy) -> Verdict {
    condition.judge(&seen.view(policy)).verdict
}

fn planned(seen: &impl Known, to: Goal) -> Plan {
    plan(&seen.view(&policy()), to).expect("a plan")
}

#[test]
fn a_running_platform_needs_nothing() {
    assert_eq!(planned(&running(), Goal::Running).steps, []);
    assert_eq!(Standing::of(&running().view(&policy())), Standing::Running);
}

#[test]
fn up_from_standby_starts_first() {
    let plan = planned(&standby(), Goal::Running);
    assert_eq!((plan.steps[0].until, plan.steps[0].action), (Condition::Started, Some(Action::Start)));
    assert_eq!(Standing::of(&standby().view(&policy())).level(), Some(Level::Standby));
}

#[test]
fn down_from_running_only_stops() {
    let steps = planned(&running(), Goal::AtMostStandby).steps;
    assert_eq!(steps.iter().map(|s| s.action).collect::<Vec<_>>(), [Some(Action::Stop)]);
}

/// The ancestor's faults 3: a second scale-down must do nothing, and never create anything.
#[test]
fn down_never_creates_anything() {
    let absent = Observed {
        service: Reading::Absent,
        tasks: Reading::Present(vec![]),
        balancer: Reading::Absent,
        secret: Reading::Absent,
        ..running()
    };
    for seen in [standby(), Observed { balancer: Reading::Absent, ..standby() }, absent] {
        assert_eq!(planned(&seen, Goal::AtMostStandby).steps, []);
    }
}

#[test]
fn levels_are_told_apart() {
    let powered_down = Observed { balancer: Reading::Absent, record: Reading::Absent, ..standby() };
    assert_eq!(Standing::of(&powered_down.view(&policy())).level(), Some(Level::PoweredDown));
    let nothing = Observed { service: Reading::Absent, secret: Reading::Absent, ..powered_down };
    assert_eq!(Standing::of(&nothing.view(&policy())).level(), Some(Level::Destroyed));
    let leftover = Observed { balancer: running().balancer, ..nothing };
    assert!(matches!(Standing::of(&leftover.view(&policy())), Standing::Degraded { .. }));
}

/// Where nobody counts, what cannot be read is not called a matter of people.
#[test]
fn a_refusal_names_what_cannot_be_told() {
    let blind = Observed { tasks: unreadable(), ..running() };
    let until = |counted| match plan(&blind.view(&Policy { counted, ..policy() }), Goal::AtMostStandby) {
        Err(Refusal::Blind { until, .. }) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(until(Counted::BySidecar), Condition::RoomsEmpty);
    assert_eq!(until(Counted::ByNobody), Condition::Stopped);
}

/// While powered down the name leads nowhere on purpose: that is neither a wrong record nor a missing one.
#[test]
fn a_placeholder_keeps_the_name() {
    let record = Reading::Present(Record { zone: "example.org".into(), targets: vec![PLACEHOLDER.to_string()] });
    let resting =
        Observed { balancer: Reading::Absent, record: record.clone(), names: Reading::not_asked(), ..standby() };
    assert_eq!(Standing::of(&resting.view(&policy())).level(), Some(Level::PoweredDown));
    assert!(matches!(judged(Condition::NameResolves, &resting, &policy()), Verdict::Waits(_)));
    // With the load balancer back it is a wrong record, and Terraform mends it.
    let forgotten = Observed { record, ..standby() };
    assert!(matches!(judged(Condition::NameResolves, &forgotten, &policy()), Verdict::Fails(_)));
    assert_eq!(Condition::NameResolves.remedy(&forgotten.view(&policy())), Some(Action::Restore));
}

/// The ancestor's fault 1: what could not be read is neither off nor free of charge.
#[test]
fn unreadable_is_never_off_gone_or_free() {
    let cases = [
        Observed { service: unreadable(), ..standby() },
        Observed { tasks: unreadable(), ..standby() },
        Observed { balancer: unreadable(), ..standby() },
        Observed { service: Reading::Absent, balancer: unreadable(), secret: Reading::Absent, ..standby() },
        Observed { service: Reading::Absent, balancer: Reading::Absent, secret: unreadable(), ..standby() },
    ];
    for seen in cases {
        assert_eq!(Standing::of(&seen.view(&policy())).name(), "unknown", "{seen:?}");
    }
    let blind = Observed { tasks: unreadable(), balancer: unreadable(), ..standby() };
    assert_eq!(Cost::of(&blind).unknown, ["tasks", "load balancer"]);
}

/// The ancestor's fault 2: a service that claims to run while its only task has stopped.
#[test]
fn a_stopped_task_is_not_success() {
    let mut seen = running();
    seen.tasks =
        Reading::Present(vec![stopped_task("task1", "ecs-svc/1", ago(30), "Essential container in task exited")]);
    assert!(!judged(Condition::Started, &seen, &policy()).is_good());
    assert!(!judged(Condition::ContainersHealthy, &seen, &policy()).is_good());
    assert_ne!(Standing::of(&seen.view(&policy())), Standing::Running);
}

#[test]
fn the_task_of_an_older_start_is_not_success() {
    let mut seen = Remembered::from(running());
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/2".parse().expect("an id"), at: ago(5) });
    service(&mut seen).deployments.insert(0, deployment("ecs-svc/2", ago(5)));
    service(&mut seen).deployments[1].status = DeploymentStatus::Active;
    assert_eq!(
        judged(Condition::Started, &seen, &policy()),
        Verdict::Waits("1 task(s) of an earlier start, none of this one yet".into())
    );
}

/// Reads may be older than our own write: neither a second start nor a refusal follows from one.
#[test]
fn an_old_read_after_a_start_is_waited_out() {
    let mut seen = Remembered::from(standby());
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/2".parse().expect("an id"), at: now() });
    let first = &planned(&seen, Goal::Running).steps[0];
    assert_eq!((first.until, first.action), (Condition::Started, None));
}

#[test]
fn somebody_else_scaling_down_is_noticed() {
    let mut seen = Remembered::from(standby());
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/1".parse().expect("an id"), at: ago(60) });
    assert!(contested(&seen.view(&policy()), Goal::Running).is_some());
    assert!(contested(&seen.view(&policy()), Goal::AtMostStandby).is_none());
    let mut replaced = Remembered::from(running());
    replaced.memory.asked = Some(Asked { deployment: "ecs-svc/0".parse().expect("an id"), at: ago(700) });
    assert_eq!(contested(&replaced.view(&policy()), Goal::Running), None, "whose it is has yet to show");
    let id = "ecs-svc/1".parse().expect("an id");
    replaced.memory.replaced = Some((id, ago(31)));
    assert!(matches!(plan(&replaced.view(&policy()), Goal::Running), Err(Refusal::Contested { .. })));
}

#[test]
fn people_are_a_refusal() {
    let meeting = Observed { occupancy: Reading::Present(occupancy(7, 2)), ..running() };
    assert_eq!(
        plan(&meeting.view(&policy()), Goal::AtMostStandby),
        Err(Refusal::MeetingInProgress { to: Goal::AtMostStandby, participants: 7, conferences: 2 })
    );
    let waiting_alone = Observed { occupancy: Reading::Present(occupancy(0, 1)), ..running() };
    assert!(matches!(
        plan(&waiting_alone.view(&policy()), Goal::AtMostStandby),
        Err(Refusal::MeetingInProgress { .. })
    ));
    let cut = Policy { meetings: Meetings::Cut, ..policy() };
    assert_eq!(
        plan(&meeting.view(&cut), Goal::AtMostStandby).expect("a plan").steps[0].action,
        Some(Action::Unprotect)
    );
    let patient = Policy { meetings: Meetings::Await, ..policy() };
    let steps = plan(&meeting.view(&patient), Goal::AtMostStandby).expect("a plan").steps;
    assert_eq!((steps[0].until, steps[0].action), (Condition::RoomsEmpty, None));
    assert!(plan(&meeting.view(&policy()), Goal::Running).is_ok());
}

#[test]
fn not_knowing_about_people_is_a_refusal_too() {
    let stale = Occupancy { time: ago(91), ..occupancy(0, 0) };
    let elsewhere = Occupancy { task: "task9".parse().expect("an id"), ..occupancy(0, 0) };
    for unknown in [Reading::Absent, unreadable(), Reading::Present(stale), Reading::Present(elsewhere)] {
        let seen = Observed { occupancy: unknown, ..running() };
        assert!(
            matches!(plan(&seen.view(&policy()), Goal::AtMostStandby), Err(Refusal::MeetingUnknown { .. })),
            "{seen:?}"
        );
        assert!(matches!(Status::of(&seen.view(&policy()), "p", "h").people, People::Unknown { .. }));
        let nobody_counts = Policy { counted: Counted::ByNobody, ..policy() };
        assert!(plan(&seen.view(&nobody_counts), Goal::AtMostStandby).is_ok());
    }
}

#[test]
fn nobody_can_be_in_a_task_that_does_not_run() {
    let mut seen = Observed { occupancy: Reading::Absent, ..running() };
    seen.tasks =
        Reading::Present(vec![Task { last_status: "PENDING".into(), started: None, ..task("task1", "ecs-svc/1") }]);
    assert_eq!(planned(&seen, Goal::AtMostStandby).steps[0].action, Some(Action::Stop));
}

/// The ancestor's fault 7: states are compared, not searched for words.
#[test]
fn unhealthy_is_not_healthy() {
    let mut seen = running();
    let Reading::Present(groups) = &mut seen.targets else { panic!("no targets") };
    groups[0].targets[0].state = TargetState::Unhealthy;
    // What its containers have long called healthy will not become reachable by waiting.
    assert!(matches!(judged(Condition::TargetsHealthy, &seen, &policy()), Verdict::Fails(_)));
    let Reading::Present(tasks) = &mut seen.tasks else { panic!("no tasks") };
    tasks[0].started = Some(ago(60));
    assert_eq!(
        judged(Condition::TargetsHealthy, &seen, &policy()),
        Verdict::Waits("web:8000: unhealthy (no reason given)".into())
    );
}

#[test]
fn a_target_of_a_dead_task_does_not_count() {
    let mut seen = running();
    let Reading::Present(groups) = &mut seen.targets else { panic!("no targets") };
    groups[0].targets[0].address = "10.0.9.9".into();
    assert!(matches!(judged(Condition::TargetsHealthy, &seen, &policy()), Verdict::Waits(_)));
}

/// The ancestor's fault 7: certificates are compared with the calendar.
#[test]
fn certificates_are_judged_by_date_name_and_chain() {
    let changed = |change: fn(&mut Certificate)| {
        let mut seen = running();
        let Reading::Present(Tls { shown: Ok(certificate), .. }) = &mut seen.tls else { panic!("no certificate") };
        change(certificate);
        judged(Condition::CertificateTrusted, &seen, &policy())
    };
    assert_eq!(changed(|_| {}), Verdict::Holds);
    assert_eq!(
        changed(|c| c.not_after = ago(60)),
        Verdict::Fails("the certificate expired on 2026-11-20 18:59 UTC".into())
    );
    assert!(matches!(changed(|c| c.not_before = now() + SignedDuration::from_hours(1)), Verdict::Fails(_)));
    assert_eq!(
        changed(|c| {
            c.name_matches = false;
            c.names = vec!["www.example.org".into()];
        }),
        Verdict::Fails("the certificate is for www.example.org".into())
    );
    assert!(matches!(changed(|c| c.untrusted = Some("self-signed".into())), Verdict::Fails(_)));
    assert!(matches!(changed(|c| c.not_after = now() + SignedDuration::from_hours(24 * 20)), Verdict::Warns(_)));
    assert!(matches!(changed(|c| c.private_root = true), Verdict::Warns(_)));
}

#[test]
fn names_are_compared_with_the_load_balancer() {
    let changed = |change: fn(&mut Resolution)| {
        let mut seen = running();
        let Reading::Present(names) = &mut seen.names else { panic!("no names") };
        change(names);
        judged(Condition::NameResolves, &seen, &policy())
    };
    assert_eq!(changed(|_| {}), Verdict::Holds);
    assert!(matches!(changed(|n| n.local = Ok(vec!["192.0.2.9".parse().expect("an address")])), Verdict::Waits(_)));
    assert!(matches!(changed(|n| n.local = Ok(vec![])), Verdict::Waits(_)));
    let unseen = || Unreadable { because: Blindness::Unreachable, why: "no answer".into() };
    // Name servers that cannot be asked are unknown, not wrong.
    assert!(matches!(
        changed(|n| n.authoritative[0].answer =
            Err(Unreadable { because: Blindness::Unreachable, why: "no answer".into() })),
        Verdict::Warns(_)
    ));
    let mut seen = running();
    let Reading::Present(names) = &mut seen.names else { panic!("no names") };
    names.local = Err(unseen());
    assert!(matches!(judged(Condition::NameResolves, &seen, &policy()), Verdict::Unseen(_)));
    let Reading::Present(record) = &mut seen.record else { panic!("no record") };
    record.targets = vec!["old-nlb.elb.us-west-2.amazonaws.com".into()];
    assert!(matches!(judged(Condition::NameResolves, &seen, &policy()), Verdict::Fails(_)));
}

#[test]
fn a_young_health_is_believed_after_fifteen_seconds() {
    let mut seen = Remembered::from(running());
    let Reading::Present(tasks) = &mut seen.tasks else { panic!("no tasks") };
    tasks[0].started = Some(ago(40));
    let id = tasks[0].id.clone();
    assert!(matches!(judged(Condition::Steady, &seen, &policy()), Verdict::Warns(_)), "a single look only warns");
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/1".parse().expect("an id"), at: ago(600) });
    seen.memory.healthy_since = Some((id.clone(), ago(10)));
    assert!(matches!(judged(Condition::Steady, &seen, &policy()), Verdict::Waits(_)));
    seen.memory.healthy_since = Some((id, now() - SignedDuration::try_from(STEADY).expect("seconds")));
    assert_eq!(judged(Condition::Steady, &seen, &policy()), Verdict::Holds);
}

const STOPS: &[(&str, &str)] = &[
    (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref ghcr.io/jitsi/jvb:stable-0: ghcr.io/jitsi/jvb:stable-0: not found",
        "the image ghcr.io/jitsi/jvb:stable-0 does not exist",
    ),
    (
        "CannotPullContainerError: inspect image has been retried 5 time(s): toomanyrequests: You have reached your pull rate limit ghcr.io/jitsi/web:a",
        "the registry refuses to serve the image ghcr.io/jitsi/web:a so often",
    ),
    (
        "CannotPullContainerError: ref pull has been retried 5 time(s): failed to resolve ref ghcr.io/jitsi/web:a: dial tcp: i/o timeout",
        "the registry of the image ghcr.io/jitsi/web:a cannot be reached",
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: AccessDeniedException",
        "the execution role may not read the task's secret",
    ),
    (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times",
        "the task's log group cannot be written to",
    ),
    (
        "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)",
        "the load balancer found the task unhealthy",
    ),
    (
        "ContainerRuntimeTimeoutError: Could not transition to running; timed out",
        "AWS could not run the task: the container (unknown) did not start or stop in time",
    ),
    ("SpotInterruptionError: Your Spot Task was interrupted.", "AWS took the Spot capacity back"),
];

#[test]
fn every_stop_has_a_plain_cause_and_advice() {
    for (reason, what) in STOPS {
        let mut seen = running();
        let without_guilt = |t: Task| Task { containers: Vec::new(), ..t };
        let once = vec![without_guilt(stopped_task("task1", "ecs-svc/1", ago(60), reason))];
        seen.tasks = Reading::Present(once.clone());
        assert_eq!(start_failure(&seen.view(&policy())), None, "one stop can be bad luck");
        let twice = [once, vec![without_guilt(stopped_task("task2", "ecs-svc/1", ago(5), reason))]].concat();
        seen.tasks = Reading::Present(twice);
        let cause = start_failure(&seen.view(&policy())).expect(reason);
        assert_eq!(cause.what, *what);
        assert!(!cause.next.is_empty());
        assert!(matches!(judged(Condition::Started, &seen, &policy()), Verdict::Fails(_)));
    }
}

#[test]
fn an_ended_container_is_named_with_its_exit_code() {
    let mut task = stopped_task("task1", "ecs-svc/1", ago(5), "Essential container in task exited");
    for (container, exit) in task.containers.iter_mut().zip([137, 1, 143, 143]) {
        container.exit_code = Some(exit);
    }
    let Reading::Present(service) = running().service else { panic!("no service") };
    let (_, cause) = cause::last(&service, &[task.clone()], now()).expect("a cause");
    assert_eq!(
        (cause.what.as_str(), cause.container.as_deref()),
        ("the container prosody ended by itself (exit code 1)", Some("prosody"))
    );
    task.containers[3].reason = Some("OutOfMemoryError: Container killed due to memory usage".into());
    let (_, cause) = cause::last(&service, &[task], now()).expect("a cause");
    assert_eq!(cause.what, "the container jvb ran out of memory");
}

#[test]
fn orderly_stops_and_older_starts_are_no_cause() {
    let Reading::Present(service) = running().service else { panic!("no service") };
    let scaled = stopped_task("t1", "ecs-svc/1", ago(5), "Scaling activity initiated by (deployment ecs-svc/1)");
    let older = stopped_task("t2", "ecs-svc/0", ago(5), STOPS[0].0);
    assert_eq!(cause::last(&service, &[scaled, older], now()), None);
}

/// What stands in a start's way, as far as it is certain.
fn certain(seen: &Observed) -> Option<String> {
    start_failure(&seen.view(&policy())).map(|cause| cause.what)
}

fn event(at: i64, message: &str) -> ServiceEvent {
    ServiceEvent { id: format!("{at} {message}"), at: ago(at), message: message.into() }
}

/// A start of ten minutes ago, with no task yet, after these lines of the service; the newest first.
fn without_task(events: &[(i64, &str)]) -> Observed {
    let mut seen = running();
    seen.tasks = Reading::Present(Vec::new());
    service(&mut seen).events = events.iter().map(|(at, message)| event(*at, message)).collect();
    service(&mut seen).deployments[0].rollout = Rollout::InProgress;
    seen
}

const NO_CAPACITY: &str =
    "(service s) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later";

/// The examples of "giving up too early", and their kind.
#[test]
fn refusals_are_ecs_trying_until_the_third_or_for_three_minutes() {
    let refusals = [
        (NO_CAPACITY, "AWS has no Fargate capacity free in these zones"),
        (
            "(service s) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
            "the account's quota of Fargate vCPUs is used up",
        ),
        (
            "(service s) was unable to place a task. Reason: You've reached the limit on the number of tasks you can run concurrently.",
            "the account's quota of Fargate tasks is used up",
        ),
        (
            "(service s) was unable to place a task because no container instance met all of its requirements: RESOURCE:ENI",
            "no network interface could be made for the task",
        ),
    ];
    for (message, what) in refusals {
        let once = without_task(&[(5, message)]);
        assert_eq!(certain(&once), None, "{message}");
        let Verdict::Waits(said) = judged(Condition::Started, &once, &policy()) else { panic!("it does not wait") };
        assert_eq!(said, format!("{what}, after 1 attempt; ECS tries again"));
        assert_eq!(certain(&without_task(&[(5, message), (170, message)])), None, "twice in three minutes");
        assert_eq!(certain(&without_task(&[(5, message), (60, message), (90, message)])).as_deref(), Some(what));
        assert_eq!(certain(&without_task(&[(180, message)])).as_deref(), Some(what), "nothing has come");
        assert_eq!(certain(&without_task(&[(700, message)])), None, "older than the start");
        let came = [(60, "(service s) has reached a steady state."), (90, message), (95, message), (99, message)];
        assert_eq!(certain(&without_task(&came)), None, "it has come good since");
        let mut pending = without_task(&[(60, message), (70, message), (80, message)]);
        let made = Task { last_status: "PENDING".into(), created: ago(10), started: None, ..task("t2", "ecs-svc/1") };
        pending.tasks = Reading::Present(vec![made]);
        assert_eq!(certain(&pending), None, "a task has come");
    }
}

/// A task that was made, and for which there was no network interface, is refused as well.
#[test]
fn a_network_interface_that_is_missing_is_a_refusal() {
    const REASON: &str = "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet";
    let stopped = |id: &str, at| Task { created: ago(at + 20), ..stopped_task(id, "ecs-svc/1", ago(at), REASON) };
    let of = |ages: &[i64]| {
        let mut seen = without_task(&[]);
        let tasks = ages.iter().map(|at| Task { containers: Vec::new(), ..stopped(&format!("t{at}"), *at) });
        seen.tasks = Reading::Present(tasks.collect());
        certain(&seen)
    };
    assert_eq!(of(&[5]), None);
    assert_eq!(of(&[5, 60]), None, "for anything else the second stop is the last");
    let what = Some("the task's subnet has no free address left".to_owned());
    assert_eq!(of(&[5, 60, 120]), what);
    assert_eq!(of(&[5, 185]), what);
}

/// What runs now outweighs what once failed, wherever it is asked for.
#[test]
fn what_runs_well_outweighs_what_failed_before() {
    let failed = || {
        vec![
            stopped_task("t7", "ecs-svc/1", ago(590), STOPS[0].0),
            stopped_task("t8", "ecs-svc/1", ago(580), STOPS[0].0),
            stopped_task("t9", "ecs-svc/1", ago(570), STOPS[0].0),
        ]
    };
    let lines = [
        (400, "(service s) is unable to consistently start tasks successfully."),
        (450, "(service s) (deployment ecs-svc/1) deployment failed: tasks failed to start."),
        (500, NO_CAPACITY),
        (510, NO_CAPACITY),
        (520, NO_CAPACITY),
    ];
    let mut seen = running();
    service(&mut seen).events = lines.map(|(at, message)| event(at, message)).to_vec();
    service(&mut seen).deployments[0].rollout = Rollout::Failed;
    seen.tasks = Reading::Present([vec![task("task1", "ecs-svc/1")], failed()].concat());
    let Verdict::Warns(said) = judged(Condition::Started, &seen, &policy()) else { panic!("no warning") };
    assert!(said.contains("a task of this start stopped at 18:50 UTC: the image"), "{said}");
    assert_eq!(judged(Condition::ContainersHealthy, &seen, &policy()), Verdict::Holds);
    assert_eq!(Standing::of(&seen.view(&policy())), Standing::Running);
    assert_eq!(planned(&seen, Goal::Running).steps, []);
    assert_eq!(Condition::Started.remedy(&seen.view(&policy())), None, "what is well is never replaced");
    let Reading::Present(service_of) = seen.service.clone() else { panic!("no service") };
    let Reading::Present(tasks) = seen.tasks.clone() else { panic!("no tasks") };
    assert_eq!(cause::last(&service_of, &tasks, now()), None);

    // Refusals alone are history, and not even a warning.
    seen.tasks = Reading::Present(vec![task("task1", "ecs-svc/1")]);
    assert_eq!(judged(Condition::Started, &seen, &policy()), Verdict::Holds);

    // Without a task that is well, the same lines and stops are the verdict.
    seen.tasks = Reading::Present(failed());
    assert!(matches!(judged(Condition::Started, &seen, &policy()), Verdict::Fails(_)));
    assert!(matches!(Standing::of(&seen.view(&policy())), Standing::Degraded { .. }));
    assert_eq!(Condition::Started.remedy(&seen.view(&policy())), Some(Action::Start));
}

/// A roll-out fails while the task of before goes on: the circuit breaker, or somebody's `deploy`.
#[test]
fn a_failed_roll_out_beside_a_task_that_is_well_is_a_warning() {
    let mut seen = running();
    let failed = Deployment { rollout: Rollout::Failed, ..deployment("ecs-svc/2", ago(200)) };
    service(&mut seen).deployments.insert(0, failed);
    service(&mut seen).deployments[1].status = DeploymentStatus::Active;
    let stops = [100, 50].map(|at| stopped_task(&format!("t{at}"), "ecs-svc/2", ago(at), STOPS[0].0));
    seen.tasks = Reading::Present([vec![task("task1", "ecs-svc/1")], stops.to_vec()].concat());
    let Verdict::Warns(said) = judged(Condition::Started, &seen, &policy()) else { panic!("no warning") };
    assert!(said.contains("the task task1 of an earlier start runs on"), "{said}");
    assert_eq!(planned(&seen, Goal::Running).steps, []);

    // Rolled back: the deployment of before is the primary one again, and lines about the other are not about it.
    let mut seen = running();
    service(&mut seen).events = vec![
        event(40, "(service s) rolling back to deployment ecs-svc/1."),
        event(50, "(service s) (deployment ecs-svc/2) deployment failed: tasks failed to start."),
    ];
    let pending = Task { last_status: "PENDING".into(), health: Health::Unknown, ..task("task1", "ecs-svc/1") };
    seen.tasks = Reading::Present([vec![pending], stops.to_vec()].concat());
    assert_eq!(certain(&seen), None);
    assert_eq!(judged(Condition::Started, &seen, &policy()), Verdict::Waits("the task is PENDING".into()));
}

/// What a start would replace is looked at as `down` looks at it.
#[test]
fn a_start_that_replaces_a_task_keeps_to_the_rule_of_down() {
    let mut seen = running();
    let ill = Task { health: Health::Unhealthy, ..task("task1", "ecs-svc/1") };
    let stops = [590, 580].map(|at| stopped_task(&format!("t{at}"), "ecs-svc/1", ago(at), STOPS[0].0));
    seen.tasks = Reading::Present([vec![ill.clone()], stops.to_vec()].concat());
    assert_eq!(planned(&seen, Goal::Running).steps[0].action, Some(Action::Start), "nobody is there");
    seen.occupancy = Reading::Present(occupancy(7, 2));
    let refused = Refusal::MeetingInProgress { to: Goal::Running, participants: 7, conferences: 2 };
    assert_eq!(plan(&seen.view(&policy()), Goal::Running), Err(refused));
    let cut = Policy { meetings: Meetings::Cut, ..policy() };
    assert_eq!(plan(&seen.view(&cut), Goal::Running).expect("a plan").steps[0].action, Some(Action::Start));
    seen.occupancy = Reading::Absent;
    assert!(matches!(plan(&seen.view(&policy()), Goal::Running), Err(Refusal::MeetingUnknown { .. })));
    // A task in which nobody can be yet is replaced without a question.
    let pending = Task { last_status: "PENDING".into(), health: Health::Unknown, started: None, ..ill };
    seen.tasks = Reading::Present([vec![pending], stops.to_vec()].concat());
    assert_eq!(planned(&seen, Goal::Running).steps[0].action, Some(Action::Start));
    // Switched off by somebody else while people are in, and kept by its protection.
    let mut seen = running();
    service(&mut seen).desired = 0;
    seen.occupancy = Reading::Present(occupancy(2, 1));
    assert!(matches!(plan(&seen.view(&policy()), Goal::Running), Err(Refusal::MeetingInProgress { .. })));
}

/// Two starts at once are one: the newer one counts, once its maker has signed it.
#[test]
fn a_newer_start_that_is_signed_is_adopted() {
    let mut seen = Remembered::from(running());
    let id = || "ecs-svc/1".parse().expect("an id");
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/0".parse().expect("an id"), at: ago(700) });
    assert_eq!(shared_start(&seen.view(&policy())), None);
    assert!(matches!(judged(Condition::Started, &seen, &policy()), Verdict::Waits(_)));
    let mark = |deployment| Some(Mark { by: "ana".into(), at: ago(600), deployment });
    service(&mut seen).mark = mark("ecs-svc/0".parse().expect("an id"));
    assert_eq!(shared_start(&seen.view(&policy())), None, "the mark of ours");
    service(&mut seen).mark = mark(id());
    assert_eq!(shared_start(&seen.view(&policy())), Some(Asked { deployment: id(), at: ago(600) }));
    assert_eq!(contested(&seen.view(&policy()), Goal::Running), None);
    service(&mut seen).desired = 0;
    assert_eq!(shared_start(&seen.view(&policy())), None);
    assert!(contested(&seen.view(&policy()), Goal::Running).is_some());
    // An old read that shows the deployment of before ours is not a newer start.
    let mut seen = Remembered::from(running());
    seen.memory.asked = Some(Asked { deployment: "ecs-svc/2".parse().expect("an id"), at: ago(600) });
    assert!(contested(&seen.view(&policy()), Goal::Running).is_none() && shared_start(&seen.view(&policy())).is_none());
}

#[test]
fn other_events_are_certain_at_once() {
    for (message, what) in [
        (
            "(service s) is unable to consistently start tasks successfully.",
            "tasks keep failing, and ECS waits longer before each new try",
        ),
        (
            "(service s) (deployment ecs-svc/1) deployment failed: tasks failed to start.",
            "ECS has given up on this start",
        ),
    ] {
        assert_eq!(certain(&without_task(&[(700, message)])), None, "it says nothing about a later start");
        assert_eq!(certain(&without_task(&[(30, message)])).as_deref(), Some(what));
        let after = without_task(&[(20, "(service s) (task t1) failed container health checks."), (30, message)]);
        assert_eq!(certain(&after).as_deref(), Some(what), "a later hint hides nothing");
    }
}

/// Worked by hand from the rates: 4 × 0.04048 + 8 × 0.004445 + 0.005 and 0.0225 + 0.005.
#[test]
fn an_hour_costs_what_it_costs() {
    assert_eq!(Cost::of(&running()).per_hour, Money(197_480 + 5_000 + 22_500 + 5_000));
    assert_eq!(Cost::of(&standby()).per_hour, Money(27_500));
    // The ancestor's fault 7: a pending task is not free of charge.
    let mut pending = running();
    let Reading::Present(tasks) = &mut pending.tasks else { panic!("no tasks") };
    tasks[0].last_status = "PENDING".into();
    assert_eq!(Cost::of(&pending).per_hour, Cost::of(&running()).per_hour);
}

prop_compose! {
    /// A platform with every reading good, absent or unreadable, and the states that matter varied.
    fn observed()(
        kinds in prop::collection::vec(0..3u8, 14), desired in 0..2u32, status in 0..4usize, health in 0..3usize,
        target in 0..3usize, conferences in 0..2u32, age in 0..200i64, asked in prop::option::of(0..2u8),
    ) -> Remembered {
        let mut seen = Remembered::from(running());
        service(&mut seen).desired = desired;
        let mut task = task("task1", "ecs-svc/1");
        task.last_status = ["PROVISIONING", "RUNNING", "STOPPING", "STOPPED"][status].into();
        task.health = [Health::Healthy, Health::Unhealthy, Health::Unknown][health];
        if status == 3 {
            task.stopped = Some(Stop { at: ago(10), code: None, reason: "Essential container in task exited".into() });
        }
        seen.tasks = Reading::Present(vec![task]);
        if let Reading::Present(groups) = &mut seen.targets {
            groups[0].targets[0].state = [TargetState::Healthy, TargetState::Initial, TargetState::Unhealthy][target];
        }
        seen.occupancy = Reading::Present(Occupancy { time: ago(age), ..occupancy(conferences, conferences) });
        seen.memory.asked = asked.map(|n| Asked { deployment: format!("ecs-svc/{n}").parse().expect("an id"), at: ago(650) });
        let mut kinds = kinds.into_iter();
        macro_rules! blur { ($($field:ident),*) => { $(match kinds.next() {
            Some(1) => seen.$field = Reading::Absent,
            Some(2) => seen.$field = unreadable(),
            _ => {}
        })* } }
        blur!(identity, service, balancer, targets, record, secret, occupancy, names, tls, web, signalling, billed, managed);
        if kinds.next() == Some(2) { seen.tasks = unreadable(); }
        seen
    }
}

proptest! {
    #[test]
    fn a_plan_holds_only_what_does_not_hold(seen in observed()) {
        for goal in Goal::ALL {
            if let Ok(plan) = plan(&seen.view(&policy()), goal) {
                for step in &plan.steps {
                    prop_assert!(!judged(step.until, &seen, &policy()).is_good(), "{step:?}");
                }
                for condition in goal.conditions() {
                    let unseen = matches!(judged(*condition, &seen, &policy()), Verdict::Unseen(u) if u.because != Blindness::NotAsked);
                    prop_assert!(!unseen, "planned although {condition:?} is unseen");
                }
            }
        }
    }

    #[test]
    fn a_stop_is_never_planned_while_people_may_be_there(seen in observed()) {
        let ends = [Goal::AtMostStandby, Goal::AtMostPoweredDown, Goal::Destroyed];
        let plans: Vec<Plan> = ends.iter().filter_map(|g| plan(&seen.view(&policy()), *g).ok()).collect();
        let stops = plans.iter().any(|p| p.steps.iter().any(|s| s.action == Some(Action::Stop)));
        let nobody = seen.occupancy.present().is_some_and(|o| o.conferences == 0 && o.time >= ago(90));
        let runs = seen.live_tasks().any(Task::is_running);
        prop_assert!(!stops || !runs || nobody);
        // While a task lives, stopping it comes before anything is taken away.
        let first_takes = plans.iter().filter_map(|p| p.steps.first()).any(|s| s.action.is_some_and(|a| !matches!(a, Action::Stop)));
        prop_assert!(!first_takes || seen.live_tasks().next().is_none());
    }

    #[test]
    fn up_never_stops_and_down_never_starts(seen in observed()) {
        let actions = |goal| plan(&seen.view(&policy()), goal).map_or_else(|_| vec![], |p| p.steps.iter().filter_map(|s| s.action).collect::<Vec<_>>());
        prop_assert!(actions(Goal::Running).iter().all(|a| matches!(a, Action::Start | Action::Restore)));
        for goal in [Goal::AtMostStandby, Goal::AtMostPoweredDown, Goal::Destroyed] {
            prop_assert!(actions(goal).iter().all(|a| !matches!(a, Action::Start | Action::Restore)));
        }
        prop_assert!(actions(Goal::AtMostStandby).iter().all(|a| matches!(a, Action::Stop | Action::Unprotect)));
        prop_assert!(actions(Goal::AtLeastStandby).iter().all(|a| *a == Action::Restore));
    }

    #[test]
    fn judging_and_telling_are_total(seen in observed()) {
        for &condition in Goal::ALL.iter().flat_map(|goal| goal.conditions()) {
            let _ = (judged(condition, &seen, &policy()).to_string(), condition.evidence(&seen.view(&policy())), condition.remedy(&seen.view(&policy())));
        }
        let status = Status::of(&seen.view(&policy()), "platform", "https://meet.example.org");
        let unread = seen.service.unreadable().is_some() || seen.tasks.unreadable().is_some();
        prop_assert!(!(unread && matches!(status.standing.level(), Some(Level::Standby | Level::PoweredDown | Level::Destroyed))));
    }
}

fn billed(kind: &str, witness: Witness) -> Billed {
    let arn = match kind {
        "balancer" => {
            "arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/by-hand-nlb/0123456789abcdef"
        }
        "address" => "arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-0123",
        other => panic!("no ARN for {other}"),
    };
    let kind = Kind::of(arn).expect("a price");
    let placement = (kind == Kind::Balancer).then(example::placement);
    Billed { arn: arn.into(), kind, witness, tags: example::tags(), placement }
}

/// Powered down as Terraform leaves it: the service is there, what is priced is not.
fn powered_down() -> Observed {
    let mut seen = Observed { balancer: Reading::Absent, record: Reading::Absent, ..standby() };
    service(&mut seen).target_groups.clear();
    seen
}

fn actions(plan: &Plan) -> Vec<Option<Action>> {
    plan.steps.iter().map(|s| s.action).collect()
}

#[test]
fn power_down_stops_then_removes_then_proves() {
    let steps = planned(&running(), Goal::AtMostPoweredDown);
    assert_eq!(actions(&steps), [Some(Action::Stop), Some(Action::PowerDown), None]);
    assert_eq!(planned(&powered_down(), Goal::AtMostPoweredDown).steps, []);
}

#[test]
fn up_from_powered_down_restores_before_it_starts() {
    let plan = planned(&powered_down(), Goal::Running);
    assert_eq!(
        plan.steps.iter().filter_map(|s| s.action).take(2).collect::<Vec<_>>(),
        [Action::Restore, Action::Start]
    );
    assert_eq!(plan.steps[0].until, Condition::BalancerActive);
}

/// An interrupted restore: the load balancer is there, its listener or the service's attachment is not.
#[test]
fn a_half_restored_ingress_is_restored_again() {
    let mut seen = standby();
    service(&mut seen).target_groups.clear();
    assert_eq!(planned(&seen, Goal::Running).steps[0].action, Some(Action::Restore));
    let mut seen = standby();
    let Reading::Present(balancer) = &mut seen.balancer else { panic!("no load balancer") };
    balancer.listeners.clear();
    assert_eq!(planned(&seen, Goal::AtLeastStandby).steps[0].action, Some(Action::Restore));
}

/// The ancestor's faults 3 and 4: something that costs is found, whoever made it, and named with its price.
#[test]
fn leftovers_are_found_by_tag_and_by_service() {
    let by_tag = Observed { billed: Reading::Present(vec![billed("balancer", Witness::Owner)]), ..powered_down() };
    assert_eq!(actions(&planned(&by_tag, Goal::AtMostPoweredDown)), [None], "nobody has agreed to anything");
    let Verdict::Fails(why) = judged(Condition::NothingBills, &by_tag, &policy()) else { panic!("not a failure") };
    assert!(why.starts_with("load balancer by-hand-nlb, $0.0275 an hour (") && why.contains("arn:aws:"), "{why}");
    let arn = billed("balancer", Witness::Owner).arn;
    let agreed = Policy { agreed: Some(Agreed { leftovers: [arn].into(), ..Agreed::default() }), ..policy() };
    let plan_of = |seen: &Observed, policy: &Policy| plan(&seen.view(policy), Goal::AtMostPoweredDown).expect("a plan");
    assert_eq!(actions(&plan_of(&by_tag, &agreed)), [Some(Action::RemoveBalancers), None]);
    // What is named as Terraform's is Terraform's to delete.
    let terraforms = Agreed { by_terraform: [billed("balancer", Witness::Owner).arn].into(), ..Agreed::default() };
    let terraforms = Policy { agreed: Some(terraforms), ..policy() };
    assert_eq!(actions(&plan_of(&by_tag, &terraforms)), [None]);
    // What was not named when it was agreed to stays, and is an answer.
    let another =
        Policy { agreed: Some(Agreed { leftovers: ["another".into()].into(), ..Agreed::default() }), ..policy() };
    assert_eq!(actions(&plan_of(&by_tag, &another)), [None]);
    assert!(judged(Condition::NothingBills, &by_tag, &another).to_string().contains("not named"));
    let mut by_name = Remembered::from(Observed { balancer: standby().balancer, ..powered_down() });
    by_name.memory.terraformed = Some(ago(10));
    assert!(matches!(judged(Condition::NothingBills, &by_name, &policy()), Verdict::Fails(_)));
    assert_eq!(
        Condition::NothingBills.remedy(&by_name.view(&policy())),
        None,
        "without our tags it is not ours to delete"
    );
}

/// Everything has to fit: the kind, each tag as it is written, the place, and a platform to belong to.
#[test]
fn only_what_is_shown_to_be_ours_is_ours() {
    let ours = billed("balancer", Witness::Owner);
    let judged = |thing: &Billed, seen: &Observed| shown_to_be_ours(thing, &seen.view(&policy()));
    assert_eq!(judged(&ours, &powered_down()), Ok(()));
    let elsewhere =
        || Placement { vpc: Some("vpc-2".into()), subnets: vec!["subnet-2".into()], ..example::placement() };
    let with = |tags: Tags| Billed { tags, ..ours.clone() };
    let foreign = [
        ("tag `managed-by`", with(Tags { managed_by: None, ..example::tags() })),
        ("tag `managed-by`", with(Tags { managed_by: Some("terraform-bootstrap".into()), ..example::tags() })),
        ("tag `environment`", with(Tags { environment: Some("test".into()), ..example::tags() })),
        ("tag `environment`", with(Tags { environment: None, ..example::tags() })),
        ("tag `project`", with(Tags { project: Some("Jitsi-Video-Platform".into()), ..example::tags() })),
        (
            "tag `project`",
            with([("Project", "jitsi-video-platform"), ("managed-by", "terraform")].into_iter().collect()),
        ),
        (
            "network load balancer",
            Billed { placement: Some(Placement { network: false, ..example::placement() }), ..ours.clone() },
        ),
        ("vpc-2", Billed { placement: Some(elsewhere()), ..ours.clone() }),
        ("unknown VPC", Billed { placement: Some(Placement { vpc: None, ..elsewhere() }), ..ours.clone() }),
        ("only Terraform", billed("address", Witness::TagsOnly)),
    ];
    for (why, thing) in foreign {
        let seen = Observed { billed: Reading::Present(vec![thing.clone()]), ..powered_down() };
        let judged = judged(&thing, &seen).expect_err("not shown to be ours");
        assert!(judged.contains(why), "{why:?} is not in {judged:?}");
        let agreed =
            Policy { agreed: Some(Agreed { leftovers: [thing.arn.clone()].into(), ..Agreed::default() }), ..policy() };
        let plan = plan(&seen.view(&agreed), Goal::AtMostPoweredDown).expect("a plan");
        assert!(!actions(&plan).contains(&Some(Action::RemoveBalancers)), "{why}");
    }
    // Another subnet of the platform's VPC, which its own load balancer shows, and which a run remembers.
    let beside = Placement { subnets: vec!["subnet-2".into()], ..example::placement() };
    let beside = Billed { placement: Some(beside), ..ours.clone() };
    assert_eq!(judged(&beside, &standby()), Ok(()));
    assert!(judged(&beside, &powered_down()).is_err());
    let mut remembered = Remembered::from(powered_down());
    remembered.memory.vpc = Some("vpc-1".into());
    assert_eq!(shown_to_be_ours(&beside, &remembered.view(&policy())), Ok(()));
    let gone = Observed { service: Reading::Absent, ..powered_down() };
    assert!(judged(&ours, &gone).is_err());
    let mut another = powered_down();
    service(&mut another).tags.managed_by = None;
    assert!(judged(&ours, &another).is_err());
}

/// A name, a region or an account without the platform is an answer of its own, whatever was asked for.
#[test]
fn another_place_is_not_off() {
    let mut nowhere = Observed {
        service: Reading::Absent,
        secret: Reading::Absent,
        kept: Reading::Present(Vec::new()),
        ..powered_down()
    };
    let goals = [Goal::Running, Goal::AtMostStandby, Goal::AtMostPoweredDown, Goal::Destroyed];
    let refused = |seen: &Observed| {
        let plans: Vec<_> = goals.iter().map(|goal| plan(&seen.view(&policy()), *goal)).collect();
        plans.iter().all(|plan| matches!(plan, Err(Refusal::NoPlatform(_))))
    };
    assert!(refused(&nowhere));
    let Err(Refusal::NoPlatform(told)) = plan(&nowhere.view(&policy()), Goal::AtMostStandby) else { panic!("a plan") };
    assert_eq!(told.to_string(), "no platform jitsi-video-platform in us-west-2 of account 111122223333");
    let hint = told.answers.expect("a hint");
    assert!(hint.contains("meet.example.org answers all the same"), "{hint}");
    let status = |seen: &Observed| Status::of(&seen.view(&policy()), "platform", "https://meet.example.org");
    let told = status(&nowhere);
    assert_eq!((told.standing.name(), told.cost.is_none()), ("no such platform", true));
    assert_eq!((told.is_at(Level::Destroyed), told.is_at(Level::PoweredDown)), (Some(true), Some(false)));

    // What cannot be read is unknown, never nowhere.
    nowhere.kept = unreadable();
    assert!(matches!(plan(&nowhere.view(&policy()), Goal::AtMostStandby), Err(Refusal::Blind { .. })));
    assert_eq!(status(&nowhere).is_at(Level::Destroyed), None);
    // A kept bucket shows that there was one.
    nowhere.kept = Reading::Present(vec!["jitsi-video-platform-recordings-111122223333".into()]);
    assert_eq!(planned(&nowhere, Goal::AtMostStandby).steps, []);
    assert_eq!(status(&nowhere).is_at(Level::Destroyed), Some(true));

    // Somebody else's service of the same name.
    for tags in [Tags::default(), Tags { project: Some("theirs".into()), ..example::tags() }] {
        let mut theirs = running();
        service(&mut theirs).tags = tags;
        assert!(refused(&theirs));
        let told = status(&theirs);
        assert_eq!((told.is_at(Level::Running), told.is_at(Level::Destroyed)), (Some(false), Some(false)));
        assert!(told.task.is_none());
    }
}

/// While something costs, nothing is at a level at which nothing does.
#[test]
fn what_costs_beside_the_platform_is_listed() {
    let status = |seen: &Observed| Status::of(&seen.view(&policy()), "platform", "https://meet.example.org");
    let foreign = Billed { tags: Tags::default(), ..billed("balancer", Witness::Owner) };
    let beside = Observed { billed: Reading::Present(vec![foreign.clone()]), ..powered_down() };
    let told = status(&beside);
    assert_eq!(told.strays[0].arn, foreign.arn);
    assert_eq!((told.standing.name(), told.is_at(Level::PoweredDown)), ("powered-down", Some(false)));
    let unseen = Observed { billed: unreadable(), ..powered_down() };
    assert_eq!(status(&unseen).is_at(Level::PoweredDown), None);
    assert_eq!(status(&powered_down()).is_at(Level::PoweredDown), Some(true));
    // The platform's own are not beside it: its load balancer, the addresses of that one, its task.
    let known = |arn: &str| Billed { arn: arn.into(), kind: Kind::of(arn).expect("a price"), ..foreign.clone() };
    let own = Observed {
        billed: Reading::Present(vec![
            known("arn:aws:elasticloadbalancing:us-west-2:111122223333:loadbalancer/net/jitsi-video-platform-nlb/1"),
            known("arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-own"),
            known("arn:aws:ecs:us-west-2:111122223333:task/jitsi-video-platform-cluster/task1"),
        ]),
        ..running()
    };
    assert_eq!(status(&own).strays, []);
    let elsewhere = known("arn:aws:ec2:us-west-2:111122223333:elastic-ip/eipalloc-theirs");
    let theirs = Observed { billed: Reading::Present(vec![elsewhere]), ..running() };
    assert_eq!(status(&theirs).strays.len(), 1);
}

/// An address that an interrupted power-down left goes with Terraform's own plan, never by our hand.
#[test]
fn an_address_that_was_left_goes_with_terraform() {
    let mut seen = Remembered::from(Observed {
        billed: Reading::Present(vec![billed("address", Witness::TagsOnly)]),
        ..powered_down()
    });
    assert_eq!(actions(&planned(&seen, Goal::AtMostPoweredDown)), [Some(Action::PowerDown)]);
    seen.memory.terraformed = Some(ago(10));
    assert!(matches!(judged(Condition::NothingBills, &seen, &policy()), Verdict::Waits(_)), "tags linger");
    seen.memory.terraformed = Some(ago(600));
    assert!(matches!(judged(Condition::NothingBills, &seen, &policy()), Verdict::Fails(_)));
    assert_eq!(actions(&planned(&seen, Goal::AtMostPoweredDown)), [None]);
}

#[test]
fn destroyed_is_what_terraform_and_aws_both_say() {
    let gone = Observed {
        service: Reading::Absent,
        tasks: Reading::Present(Vec::new()),
        secret: Reading::Absent,
        managed: Reading::Present(Vec::new()),
        ..powered_down()
    };
    assert_eq!(planned(&gone, Goal::Destroyed).steps, []);
    let half = Observed { managed: Reading::Present(vec!["aws_vpc.this".into()]), ..gone.clone() };
    assert_eq!(actions(&planned(&half, Goal::Destroyed)), [Some(Action::RemoveKeepingRecordings)]);
    let without_state = Observed { managed: Reading::Absent, ..gone.clone() };
    assert_eq!(planned(&without_state, Goal::Destroyed).steps, []);
    let with_recordings = Policy { recordings: Recordings::Deleted, ..policy() };
    let plan = plan(&half.view(&with_recordings), Goal::Destroyed).expect("a plan");
    assert_eq!(actions(&plan), [Some(Action::RemoveWithRecordings)]);
}

/// The ancestor's fault 5: a failed call is neither "deleted" nor "incomplete".
#[test]
fn what_could_not_be_read_is_not_gone() {
    let blind = [
        Observed { balancer: unreadable(), ..powered_down() },
        Observed { billed: unreadable(), ..powered_down() },
        Observed { tasks: unreadable(), ..powered_down() },
    ];
    for seen in blind {
        assert!(plan(&seen.view(&policy()), Goal::AtMostPoweredDown).is_err(), "{seen:?}");
    }
    let state = Observed { managed: unreadable(), ..powered_down() };
    assert!(matches!(plan(&state.view(&policy()), Goal::Destroyed), Err(Refusal::Blind { .. })));
}
