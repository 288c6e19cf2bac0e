//! What the containers of the simulated platform log.

use jiff::Timestamp;
use serde_json::json;

use super::chance::{after, since};
use super::model::Model;
use super::task::{CONTAINERS, Fault, Job};
use crate::domain::name::TaskId;
use crate::domain::observed::Occupancy;

/// The sidecar writes one line as often.
const EVERY: u64 = 30_000;
/// A line can be read this long after it was written.
const INGESTION: u64 = 1_500;

impl Model {
    /// The newest line of the sidecar since a moment.
    pub fn occupancy(&self, since: Timestamp, now: Timestamp) -> Option<Occupancy> {
        let newest = self.jobs.iter().filter_map(|job| Some((self.last_count(job, now)?, job)));
        let (time, job) = newest.max_by_key(|(time, _)| *time).filter(|(time, _)| *time >= since)?;
        self.occupancy_at(job, time)
    }

    /// When the sidecar of a task last wrote its line.
    fn last_count(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let first = first_count(job)?;
        let mut end = now.saturating_sub(jiff::SignedDuration::from_millis(i64::try_from(INGESTION).ok()?)).ok()?;
        if let Some(ending) = &job.ending {
            end = end.min(ending.drained());
        }
        if let Some(silent) = self.silent_since {
            end = end.min(silent);
        }
        (first <= end).then(|| after(first, since(first, end) / EVERY * EVERY))
    }

    /// The last lines of a container; `None` when it never started.
    pub fn log_tail(&self, task: &TaskId, container: &str, lines: u16, now: Timestamp) -> Option<Vec<String>> {
        let job = self.jobs.iter().find(|job| job.id == *task && job.created <= now)?;
        if !CONTAINERS.contains(&container) || !job.reached(job.path.activating, now) {
            return None;
        }
        let all = if container == "occupancy" { self.counts(job, now) } else { written(job, container, now) };
        Some(all.iter().skip(all.len().saturating_sub(lines.into())).cloned().collect())
    }

    fn counts(&self, job: &Job, now: Timestamp) -> Vec<String> {
        let (Some(first), Some(last)) = (first_count(job), self.last_count(job, now)) else { return Vec::new() };
        let number = since(first, last) / EVERY;
        // Nobody asks for more lines than these.
        let times = (number.saturating_sub(200)..=number).map(|n| after(first, n * EVERY));
        times.filter_map(|time| Some(line(&self.occupancy_at(job, time)?))).collect()
    }

    fn occupancy_at(&self, job: &Job, time: Timestamp) -> Option<Occupancy> {
        let people = self.rooms(&job.id, time).map(|room| room.people).sum();
        let conferences = u32::try_from(self.rooms(&job.id, time).count()).ok()?;
        Some(Occupancy { task: job.id.clone(), time, conferences, participants: people, draining: false })
    }
}

/// When the sidecar first has somebody to ask; its lines carry whole seconds.
fn first_count(job: &Job) -> Option<Timestamp> {
    let serves = job.at(job.path.lives.get("jicofo")?.serves);
    Timestamp::from_second(serves.as_second()).ok()
}

/// The sidecar's line of JSON.
fn line(occupancy: &Occupancy) -> String {
    json!({
        "type": "occupancy",
        "time": occupancy.time.to_string(),
        "conferences": occupancy.conferences,
        "participants": occupancy.participants,
        "jicofo": {"healthy": true, "bridge_selector": {"operational_bridge_count": 1}},
        "jvb": {"endpoints": occupancy.participants, "stress_level": 0.07, "graceful_shutdown": occupancy.draining},
    })
    .to_string()
}

/// What a container has written by now.
fn written(job: &Job, container: &str, now: Timestamp) -> Vec<String> {
    let begins = match container {
        "prosody" => job.path.activating,
        _ => job.path.running,
    };
    let serves = job.path.lives.get(container).map_or(begins, |life| life.serves);
    let mut lines: Vec<(u64, String)> = opening(container)
        .iter()
        .map(|&(late, text)| (if late { serves } else { begins }, text.to_owned()))
        .map(|(at, text)| (at, stamped(container, job.at(at), &text)))
        .collect();
    if let Some((at, Fault::Crash)) = job.path.fate.filter(|_| container == "prosody") {
        let at = at.saturating_sub(200);
        lines.retain(|(other, _)| *other < at);
        lines.push((at, "FATAL ERROR: Jicofo auth password must be changed, check the README".into()));
        lines.push((at, "s6-rc: warning: unable to start service 10-config: command exited 1".into()));
    }
    if let Some((at, Fault::OutOfMemory)) = job.path.fate.filter(|_| container == "jvb") {
        let text = "WARNING: [51] LastNReducer.run#145: Memory usage is high: heap 2950 of 3072 MiB";
        lines.push((at.saturating_sub(2_000), stamped(container, job.at(at.saturating_sub(2_000)), text)));
    }
    lines.into_iter().filter(|(at, _)| job.reached(*at, now)).map(|(_, text)| text).collect()
}

/// The first lines of a container: whether it is written when the container serves, and the text.
fn opening(container: &str) -> &'static [(bool, &'static str)] {
    match container {
        "web" => {
            &[(false, "s6-rc: info: service 10-config successfully started"), (true, "nginx: ready for connections")]
        }
        "prosody" => &[
            (false, "startup         info    Hello and welcome to Prosody version 13.0.2"),
            (true, "portmanager     info    Activated service 'http' on [*]:5280, [::]:5280"),
            (true, "portmanager     info    Activated service 'c2s' on [*]:5222, [::]:5222"),
        ],
        "jicofo" => &[
            (false, "INFO: [1] Main.main#26: Starting Jicofo."),
            (
                true,
                "INFO: [16] [xmpp_connection=client] XmppProvider$connectionListener$1.authenticated#83: Registered.",
            ),
            (
                true,
                "INFO: [25] BridgeSelector.addJvbAddress#92: Added new videobridge: Bridge[jid=jvbbrewery@internal-muc.meet.jitsi/jvb]",
            ),
        ],
        "jvb" => &[
            (false, "INFO: [1] MainKt.main#70: Starting jitsi-videobridge version 2.3.265"),
            (true, "INFO: [24] MucClient.lambda$getConnectAndLoginCallable$8#637: Logging in."),
            (
                true,
                "INFO: [24] [hostname=localhost id=shard0] MucClient$MucWrapper.join#834: Joined MUC: jvbbrewery@internal-muc.meet.jitsi",
            ),
        ],
        _ => &[],
    }
}

fn stamped(container: &str, at: Timestamp, text: &str) -> String {
    match container {
        "prosody" if text.starts_with("s6-rc") => text.to_owned(),
        "prosody" => format!("{} {text}", at.strftime("%Y-%m-%d %H:%M:%S")),
        "jicofo" => format!("Jicofo {} {text}", at.strftime("%Y-%m-%d %H:%M:%S%.3f")),
        "jvb" => format!("JVB {} {text}", at.strftime("%Y-%m-%d %H:%M:%S%.3f")),
        _ => text.to_owned(),
    }
}
