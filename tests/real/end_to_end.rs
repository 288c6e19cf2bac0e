//! The binary against the whole platform: what a user sees and what happens in the account.
//!
//! Each test has a platform of its own, at standby.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::aws_proxy::{Answer, When};
use crate::certificate::Certificate;
use crate::conductor::Mishap;
use crate::moto::{ACCOUNT, TAGS};
use crate::needs::test;
use crate::nginx::{Pages, Site};
use crate::platform::{ALL, HOST, Platform, Run, ZONE};
use crate::process::{Result, block_on, ensure, wait_for};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("end_to_end::up_health_status_down", ALL, up_health_status_down),
        test("end_to_end::what_is_stopped_is_named_by_health", ALL, stopped_is_named),
        test("end_to_end::what_is_wrong_from_the_start_is_named_by_health", ALL, wrong_is_named),
        test("end_to_end::without_aws_nothing_is_said_and_nothing_called_off", ALL, without_aws),
        test("end_to_end::aws_gone_while_up_waits", ALL, aws_gone_while_up_waits),
        test("end_to_end::a_start_that_cannot_succeed_ends_with_its_cause", ALL, failed_starts),
        test("end_to_end::two_at_once_are_one_start", ALL, two_at_once),
        test("end_to_end::a_late_brown_out_ends_no_run", ALL, late_brown_out),
        test("end_to_end::people_are_not_cut_off", ALL, people_are_not_cut_off),
        test("end_to_end::bad_days_of_an_api", ALL, bad_days),
        test("end_to_end::another_account_is_refused_first", ALL, another_account),
    ]
}

impl Platform {
    /// The desired count, as moto has it: no proxy, no meetctl.
    fn desired(&self) -> Result<i32> {
        block_on(async { Ok(self.moto.clients().service(&self.it.cluster, &self.it.service).await?.desired_count()) })?
    }

    /// The verdict on each condition, by its name.
    fn health(&self) -> Result<(Run, BTreeMap<String, String>)> {
        let run = self.meetctl(&["health", "--output", "json"])?;
        let judged = run.answer("judged")?["judged"].take();
        let verdict = |it: &Value| {
            let verdict = if it["verdict"].is_object() { &it["verdict"]["verdict"] } else { &it["verdict"] };
            Some((it["condition"].as_str()?.to_owned(), verdict.as_str()?.to_owned()))
        };
        let all = judged.as_array().into_iter().flatten().filter_map(verdict).collect();
        Ok((run, all))
    }

    /// Fails unless `health` calls exactly this condition bad, exits with 8, and says `part` about it.
    fn blames(&self, condition: &str, part: &str) -> Result<()> {
        let (run, verdicts) = self.health()?;
        let bad = |verdict: &str| !matches!(verdict, "holds" | "warns");
        ensure!(verdicts.get(condition).is_some_and(|it| bad(it)), "{condition} is not blamed: {verdicts:?} of {run}");
        run.exits(8)?;
        self.meetctl(&["health"])?.exits(8)?.says(part).map(|_| ())
    }
}

fn up_health_status_down() -> Result<()> {
    let it = Platform::start()?;
    it.meetctl(&["status", "--expect", "standby"])?.exits(0)?;
    it.meetctl(&["up"])?.exits(0)?.says("running")?;
    ensure!(it.desired()? == 1, "desired count {}", it.desired()?);

    let (run, verdicts) = it.health()?;
    run.exits(0)?;
    let green = |name: &str| verdicts.get(name).is_some_and(|verdict| verdict == "holds");
    for condition in [
        "signed_in",
        "service_active",
        "balancer_active",
        "started",
        "containers_healthy",
        "targets_healthy",
        "name_resolves",
        "pages_served",
        "signalling_works",
    ] {
        ensure!(green(condition), "{condition} in {verdicts:?}");
    }
    // A private root is trusted, and said so; media is not proven, and said so.
    let trusted = verdicts.get("certificate_trusted").is_some_and(|it| matches!(it.as_str(), "holds" | "warns"));
    ensure!(trusted, "{verdicts:?}");
    ensure!(verdicts.get("media_flows").is_some_and(|it| it != "holds"), "media was not proven: {verdicts:?}");

    let status = it.meetctl(&["status", "--output", "json"])?.exits(0)?.answer("level")?;
    ensure!(status["level"] == "running", "{status}");
    ensure!(status["started_by"].as_str().is_some_and(|by| by.contains(ACCOUNT)), "started by: {status}");
    ensure!(status["unread"].as_array().is_some_and(Vec::is_empty), "unread: {status}");
    it.meetctl(&["status"])?.exits(0)?.says("running")?;

    // Again: nothing to do, and nothing done.
    let before = it.proxy.count("UpdateService");
    it.meetctl(&["up"])?.exits(0)?;
    ensure!(it.proxy.count("UpdateService") == before, "a second start");

    it.meetctl(&["down"])?.exits(0)?;
    ensure!(it.desired()? == 0, "desired count {}", it.desired()?);
    it.meetctl(&["status", "--expect", "standby"])?.exits(0)?;
    it.meetctl(&["status", "--expect", "running"])?.exits(8)?;
    it.meetctl(&["down"])?.exits(0)?;
    ensure!(it.proxy.count("UpdateService") == 2, "{} changes", it.proxy.count("UpdateService"));
    ensure!(it.proxy.count("GetSecretValue") == 0, "the secret's value was read");
    Ok(())
}

fn stopped_is_named() -> Result<()> {
    let mut it = Platform::start()?;
    it.start_by_hand()?;

    it.nginx.stop();
    it.blames("pages_served", "https")?;
    it.nginx.start_again()?;
    it.meetctl(&["health"])?.exits(0)?;

    it.prosody.stop();
    it.blames("signalling_works", "signalling")?;
    it.prosody.start_again()?;

    it.dns.point(ZONE, HOST, Ipv4Addr::new(127, 0, 3, 3))?;
    it.blames("name_resolves", "127.0.3.3")?;
    it.dns.point(ZONE, HOST, it.web)?;
    it.meetctl(&["health"])?.exits(0)?;

    // A name server that cannot be asked is unknown, not wrong.
    it.dns.stop();
    let (run, verdicts) = it.health()?;
    ensure!(verdicts.get("name_resolves").is_some_and(|it| it == "unseen"), "{verdicts:?}");
    run.exits(9)?;
    ensure!(it.desired()? == 1, "something was called off");
    Ok(())
}

fn wrong_is_named() -> Result<()> {
    for (site, condition, part) in [
        (Site { certificate: Certificate::Expired, ..Site::GOOD }, "certificate_trusted", "expired"),
        (Site { certificate: Certificate::WrongName, ..Site::GOOD }, "certificate_trusted", "elsewhere.invalid"),
        (Site { certificate: Certificate::SelfSigned, ..Site::GOOD }, "certificate_trusted", "certificate"),
        (Site { pages: Pages::NotJitsi, ..Site::GOOD }, "pages_served", "Jitsi"),
        (Site { pages: Pages::NoWebSocket, ..Site::GOOD }, "signalling_works", "WebSocket"),
    ] {
        let it = Platform::with(site)?;
        // Started by hand, so that `health` alone is on trial.
        it.start_by_hand()?;
        it.blames(condition, part).map_err(|e| format!("{site:?}: {e}"))?;
    }
    // Ending soon is a warning.
    let it = Platform::with(Site { certificate: Certificate::EndsSoon, ..Site::GOOD })?;
    it.start_by_hand()?;
    let (run, verdicts) = it.health()?;
    ensure!(verdicts.get("certificate_trusted").is_some_and(|it| it == "warns"), "{verdicts:?}");
    run.exits(0).map(|_| ())
}

fn without_aws() -> Result<()> {
    let mut it = Platform::start()?;
    it.start_by_hand()?;
    it.proxy.stop();
    it.meetctl(&["status"])?.exits(9)?.does_not_say("standby")?.does_not_say("$0.00")?;
    it.meetctl(&["up"])?.exits(7)?;
    it.meetctl(&["down"])?.exits(7)?;
    it.meetctl(&["status", "--expect", "standby"])?.exits(9)?;
    ensure!(it.desired()? == 1, "something was called off");
    Ok(())
}

fn aws_gone_while_up_waits() -> Result<()> {
    let it = Platform::start()?;
    // It waits for a target that never becomes healthy, and AWS is gone after the start was asked for.
    it.conductor.mishap(Some(Mishap::TargetUnhealthy { group: "web".into() }));
    it.proxy.answer(Some("DescribeServices"), When::After(4), Answer::HangUp);
    it.proxy.answer(Some("DescribeTasks"), When::After(4), Answer::HangUp);
    it.proxy.answer(Some("DescribeTargetHealth"), When::After(8), Answer::HangUp);
    it.meetctl(&["up", "--timeout", "40s"])?.exits(7)?.says("no way to")?;
    ensure!(it.desired()? == 1, "the start was called off");
    Ok(())
}

fn failed_starts() -> Result<()> {
    let image = "ghcr.io/jitsi/web:none";
    for (mishap, parts) in [
        (
            Mishap::FailsToStart {
                reason: format!(
                    "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref \
                     {image}: {image}: not found"
                ),
            },
            vec![image],
        ),
        (
            Mishap::Exits {
                container: "jvb".into(),
                code: 137,
                reason: "OutOfMemoryError: Container killed due to memory usage".into(),
                says: vec!["java.lang.OutOfMemoryError: Java heap space".into()],
            },
            vec!["jvb", "memory", "Java heap space"],
        ),
        (
            Mishap::NoCapacity {
                event: "was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can \
                        run concurrently."
                    .into(),
            },
            vec!["vCPU"],
        ),
    ] {
        let it = Platform::start()?;
        it.conductor.mishap(Some(mishap.clone()));
        let mut run = it.meetctl(&["up"])?.exits(8).map_err(|e| format!("{mishap:?}: {e}"))?;
        for part in &parts {
            run = run.says(part).map_err(|e| format!("{mishap:?}: {e}"))?;
        }
        it.meetctl(&["why"])?.says(parts[0]).map_err(|e| format!("{mishap:?}: {e}"))?;
    }
    Ok(())
}

/// The same wish twice: both end well, and one deployment with one task is left.
fn two_at_once() -> Result<()> {
    let it = Platform::start()?;
    // Neither of them sees the other's start before it makes its own.
    let (first, second) = (it.begin(&["up"])?, it.begin(&["up"])?);
    let (first, second) = (first.end()?.exits(0)?, second.end()?.exits(0)?);
    ensure!(it.desired()? == 1, "desired count {}", it.desired()?);
    block_on(async {
        let (aws, it) = (it.proxy.clients(), &it.it);
        let ask = aws.ecs.describe_services().cluster(&it.cluster).services(&it.service).include(TAGS);
        let seen = ask.include(aws_sdk_ecs::types::ServiceField::Tags).send().await?;
        let service = seen.services().first().ok_or("no service")?;
        let deployments: Vec<_> = service.deployments().iter().filter_map(|d| d.id()).collect();
        ensure!(deployments.len() == 1, "deployments {deployments:?} after {first}{second}");
        let signed = service.tags().iter().find(|tag| tag.key() == Some("meetctl:deployment"));
        ensure!(signed.and_then(|tag| tag.value()) == deployments.first().copied(), "signed {signed:?}");
        let tasks = aws.ecs.list_tasks().cluster(&it.cluster).service_name(&it.service).send().await?;
        ensure!(tasks.task_arns().len() == 1, "tasks {:?} after {first}{second}", tasks.task_arns());
        Ok(())
    })?
}

/// ECS is throttled, and out of order, just when the start has come to its last look: the SDK's own tries do not bear it.
fn late_brown_out() -> Result<()> {
    for answer in [Answer::Throttled, Answer::Broken, Answer::HangUp] {
        let it = Platform::start()?;
        let up = it.begin(&["up"])?;
        wait_for("the start to be complete", Duration::from_mins(1), || {
            it.conductor
                .stage()
                .lock()
                .ok()?
                .events
                .iter()
                .any(|e| e["message"].as_str().is_some_and(|m| m.contains("steady")))
                .then_some(())
        })?;
        it.proxy.forget();
        it.proxy.answer(Some("DescribeServices"), When::First(8), answer);
        up.end()?.exits(0).map_err(|e| format!("{answer:?}: {e}"))?;
        ensure!(it.proxy.count("DescribeServices") > 8, "nothing was looked at again");
    }
    Ok(())
}

fn people_are_not_cut_off() -> Result<()> {
    let it = Platform::start()?;
    it.conductor.people(2, 7);
    it.start_by_hand()?;
    it.meetctl(&["down"])?.exits(5)?.says("7")?.says("--cut-meetings")?;
    ensure!(it.desired()? == 1, "seven people were cut off");

    // Nobody counts any more: the last line says "nobody", and grows old.
    it.conductor.people(0, 0);
    it.proxy.answer(Some("FilterLogEvents"), When::Always, Answer::Denied);
    it.proxy.answer(Some("GetLogEvents"), When::Always, Answer::Denied);
    it.meetctl(&["down"])?.exits(5)?;
    ensure!(it.desired()? == 1, "people who cannot be seen were cut off");
    it.proxy.forget();

    it.conductor.people(1, 2);
    it.meetctl(&["down", "--cut-meetings"])?.exits(0)?;
    ensure!(it.desired()? == 0, "desired count {}", it.desired()?);
    Ok(())
}

fn bad_days() -> Result<()> {
    let it = Platform::start()?;
    it.start_by_hand()?;
    // One call is not allowed: that fact is unknown, the rest is shown.
    it.proxy.answer(Some("DescribeTargetHealth"), When::Always, Answer::Denied);
    let status = it.meetctl(&["status", "--output", "json"])?;
    let answer = status.answer("level")?;
    ensure!(!answer["unread"].as_array().is_none_or(Vec::is_empty), "nothing is unread: {answer}");
    ensure!(!answer["task"].is_null(), "the task is not shown: {answer}");
    it.proxy.forget();

    // Throttled at first: the retries bear it.
    it.proxy.answer(Some("DescribeServices"), When::First(1), Answer::Throttled);
    it.meetctl(&["status", "--expect", "running"])?.exits(0)?;
    it.proxy.forget();

    // The token has expired.
    it.proxy.answer(None, When::Always, Answer::Expired);
    it.meetctl(&["status"])?.exits(4)?.does_not_say("standby")?.does_not_say("$0.00")?;
    it.meetctl(&["down"])?.exits(4)?;
    it.proxy.forget();

    // Something breaks each time.
    it.proxy.answer(Some("DescribeServices"), When::Always, Answer::Broken);
    it.meetctl(&["status"])?.exits(9)?;
    it.proxy.forget();

    // It hangs: an end, and not for minutes.
    it.proxy.answer(Some("DescribeServices"), When::Always, Answer::Hang);
    it.meetctl(&["status"])?.exits(9)?;
    ensure!(it.desired()? == 1, "something was called off");
    Ok(())
}

fn another_account() -> Result<()> {
    let it = Platform::start()?;
    let config = std::fs::read_to_string(it.config())?.replace(ACCOUNT, "999999999999");
    std::fs::write(it.config(), config)?;
    for command in ["status", "up", "down", "health"] {
        it.proxy.forget();
        it.meetctl(&[command])?.exits(4)?.says("999999999999")?.says(ACCOUNT)?;
        let calls: Vec<_> = it.proxy.calls().into_iter().map(|call| call.action).collect();
        ensure!(calls.iter().all(|action| action == "GetCallerIdentity"), "{command} went on to {calls:?}");
    }
    Ok(())
}
