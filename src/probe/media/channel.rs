//! The bridge channel: nobody receives video before having asked for it there.
//!
//! What is said is the same on a data channel (SCTP, beside the media) and on the bridge's WebSocket: we say hello, the
//! bridge answers, and with that both directions are shown. The media does not wait for it, so a run takes no longer.

mod websocket;

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

pub(super) use self::websocket::WebSocket;
use super::plan::Place;
use super::report::Report;
use crate::domain::finding::{Code, Finding};
use crate::domain::meeting::{Carrier, Channeled, Stage};
use crate::probe::quoted;

const HELLO: &str = r#"{"colibriClass":"ClientHello"}"#;
/// All video there is, as large as it is sent.
const WANTS: &str = r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"defaultConstraints":{"maxHeight":720}}"#;

/// One participant's end of the conversation, whatever carries it.
pub(super) struct Channel<'a> {
    report: &'a Report<'a>,
    place: &'a Place,
    carrier: Carrier,
    began: Instant,
    late: Instant,
    /// The kind of the last message that was no answer.
    other: Option<String>,
    settled: bool,
}

/// What every message of the bridge has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    colibri_class: String,
    version: Option<String>,
}

impl<'a> Channel<'a> {
    /// It is being opened from now on.
    pub(super) fn opening(report: &'a Report<'a>, place: &'a Place, carrier: Carrier, limit: Duration) -> Self {
        let began = Instant::now();
        Self { report, place, carrier, began, late: began + limit, other: None, settled: false }
    }

    /// When an answer has been waited for long enough; `None` when there is nothing to wait for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.settled).then_some(self.late)
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// What is said once it is open.
    pub(super) fn greeting(&self) -> impl Iterator<Item = &'static str> {
        [HELLO].into_iter().chain(self.place.video.map(|_| WANTS))
    }

    /// What a bridge says before our hello can be no answer to it.
    pub(super) fn greeted(&mut self, text: &str) {
        if !serde_json::from_str::<Message>(text).is_ok_and(|message| message.colibri_class == "ServerHello") {
            self.hear(text);
        }
    }

    /// Takes in what the bridge says.
    pub(super) fn hear(&mut self, text: &str) {
        if self.settled {
            return;
        }
        match serde_json::from_str::<Message>(text) {
            Ok(message) if message.colibri_class == "ServerHello" => self.answered(message.version),
            Ok(message) if !message.colibri_class.contains("Error") => {
                self.other = Some(quoted(&message.colibri_class));
            }
            Ok(_) | Err(_) => self.refused(&format!("it answers {}", quoted(text))),
        }
    }

    /// It does not open, or is closed before it has served; in the other side's words.
    pub(super) fn refused(&mut self, why: &str) {
        self.failed(Finding::new(Code::ChannelRefused).detail(format!("{}: {why}", self.carrier.name())));
    }

    /// It has failed in a way that ends the media too.
    pub(super) fn broken(&mut self, why: &str) -> Finding {
        self.settled = true;
        Finding::new(Code::ChannelRefused).detail(format!("{}: {why}", self.carrier.name()))
    }

    /// Nothing came for too long.
    pub(super) fn too_late(&mut self) {
        let other = self.other.as_ref().map_or_else(String::new, |class| format!(", only {class}"));
        let waited = (self.late - self.began).as_secs();
        let detail = format!("{}: no answer to our hello within {waited} s{other}", self.carrier.name());
        self.failed(Finding::new(Code::ChannelSilent).detail(detail));
    }

    pub(super) fn failed(&mut self, finding: Finding) {
        if !std::mem::replace(&mut self.settled, true) {
            let finding = finding.during(Stage::Channel).of(self.place.label());
            self.report.board.note(|s| s.channel_faults.push(finding));
            self.settle();
        }
    }

    fn answered(&mut self, version: Option<String>) {
        self.settled = true;
        let channeled = Channeled {
            participant: self.place.label().to_owned(),
            carrier: self.carrier,
            answered: self.began.elapsed(),
            version: version.map(|version| quoted(&version)),
        };
        self.report.board.note(|s| {
            s.channels.retain(|known| known.participant != channeled.participant);
            s.channels.push(channeled);
        });
        self.report.passed(self.place, Stage::Channel);
        self.settle();
    }

    fn settle(&self) {
        self.report.board.tell(|s| s.seats[self.place.index].channel_settled = true);
    }
}

/// What came of the channels when all is over: what stands in the way, or a warning that there is none.
pub(super) fn verdict(faults: &[Finding]) -> Option<Finding> {
    // One participant's refusal says more than another's silence.
    faults.iter().min_by_key(|fault| (fault.weight() != crate::domain::finding::Weight::Failure, fault.code)).cloned()
}
