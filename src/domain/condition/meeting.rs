//! A meeting's media crosses the bridge: two synthetic participants hear each other.

use std::time::Duration;

use jiff::SignedDuration;

use super::judged::with;
use super::{Code, Judged, PLAIN, Rule, Source, Verdict, View, addresses, lines};
use crate::domain::finding::{self, Finding, Weight};
use crate::domain::meeting::{Answer, Proof};
use crate::domain::observed::{Blindness, Unreadable};

/// How long the synthetic participants may take to leave their room.
pub const LEAVING: Duration = Duration::from_secs(4);

pub(super) const MEDIA: Rule = Rule {
    name: "media",
    says: "a meeting's media crosses the bridge",
    unsays: "a meeting's media does not cross the bridge",
    needs: &[Source::Media],
    first_look: false,
    leave_after: LEAVING,
    judge: |view| {
        if !view.policy.media {
            return Verdict::Warns("not proven: [probe] media is off".into()).code("media-off");
        }
        with(&view.seen.media, ("no-bridge", "there is no bridge to ask"), |proof| flows(proof, view))
    },
    evidence: |view| view.seen.media.present().map(evidence),
    advice: |view| match view.seen.media.present().and_then(|p| p.finding.as_ref()) {
        Some(finding) => lines(&[finding.remedy()]),
        None => lines(&["check that UDP port 10000 is open to the world, and which address the bridge advertises"]),
    },
    ..PLAIN
};

/// For so long a platform counts as young: its first meetings may fail while everything in it gets warm.
const YOUNG: SignedDuration = SignedDuration::from_mins(3);

/// So often a meeting is tried that this machine stands in the way of.
const LOCAL_TRIES: u32 = 3;

/// Since the task runs; where this run started it, since its containers were healthy.
fn is_young(view: &View<'_>) -> bool {
    let started = view.task().and_then(|task| task.started);
    let memory = view.memory;
    let healthy = memory.healthy_since.as_ref().filter(|_| memory.asked.is_some()).map(|(_, since)| *since);
    started.max(healthy).is_some_and(|since| view.seen.at.duration_since(since) < YOUNG)
}

/// A run that waits holds a failed meeting of a young platform again, in a fresh room, until two in a row say the same.
fn flows(proof: &Proof, view: &View<'_>) -> Judged {
    let code = |finding: &Finding| Some(Code(finding.code.as_str()));
    let waits = view.memory.waits;
    let Some(finding) = &proof.finding else {
        return proof.warnings.first().map_or_else(
            || Verdict::Holds.into(),
            |warning| Judged { code: code(warning), verdict: Verdict::Warns(warning.to_string()) },
        );
    };
    let verdict = match finding.weight() {
        Weight::Warning => Verdict::Warns(finding.to_string()),
        // What this machine's own network refused once it may grant the next time.
        Weight::NotApplicable if is_local(finding.code) && waits && proof.tries < LOCAL_TRIES => {
            Verdict::Waits(finding.to_string())
        }
        Weight::NotApplicable => Verdict::Unseen(Unreadable {
            because: Blindness::Unprovable,
            why: format!("{finding}: {}", finding.remedy()),
        }),
        Weight::Failure if waits && !proof.repeated && is_young(view) => Verdict::Waits(finding.to_string()),
        Weight::Failure => Verdict::Fails(finding.to_string()),
    };
    Judged { code: code(finding), verdict }
}

fn is_local(code: finding::Code) -> bool {
    use finding::Code::{LocalTrouble, NoRoute, WebsocketUnresolved};
    matches!(code, LocalTrouble | NoRoute | WebsocketUnresolved)
}

/// The levels of the proof, as far as they were reached: each with its figures.
fn evidence(proof: &Proof) -> String {
    let reached =
        proof.reached.iter().filter(|r| r.outcome == Answer::Answered).filter_map(|r| Some((r.address, r.round_trip?)));
    let reach =
        reached.min_by_key(|(_, took)| *took).map(|(at, took)| format!("reach {at} in {} ms", took.as_millis()));
    let secure =
        proof.secured.iter().map(|s| s.ice + s.dtls).max().map(|took| format!("secure in {} ms", took.as_millis()));
    let channel = proof.channels.iter().max_by_key(|c| c.answered);
    let channel = channel.map(|c| format!("channel {} in {} ms", c.carrier.name(), c.answered.as_millis()));
    let flow = proof.flows.iter().max_by(|a, b| a.loss().total_cmp(&b.loss()));
    let media = flow.map(|f| {
        let transit =
            f.transit_median.map_or_else(String::new, |t| format!(", {} ms through the bridge", t.as_millis()));
        let late = proof.flows.iter().filter_map(|f| f.audible_after).max().filter(|after| after.as_millis() >= 100);
        let late = late.map_or_else(String::new, |after| format!(", audible after {:.1} s", after.as_secs_f64()));
        format!("media {} of {} packets, {:.1} % lost{late}{transit}", f.received, f.sent, f.loss())
    });
    let tried = proof.tried();
    let silent = (reach.is_none() && !tried.is_empty()).then(|| format!("tried {}", addresses(&tried)));
    [silent, reach, secure, channel, media].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
