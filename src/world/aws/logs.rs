//! `CloudWatch` Logs: who is in the rooms, and what a container said last.

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Aws;
use super::convert::{garbled, plain};
use super::error::is;
use crate::domain::name::TaskId;
use crate::domain::observed::Occupancy;
use crate::world::CloudError;

const FILTER: &str = "logs:FilterLogEvents";
const READ: &str = "logs:GetLogEvents";
/// The stream of the sidecar in one task is this and the task's id.
const SIDECAR: &str = "occupancy/occupancy/";
/// A page may be empty and yet not be the last one.
const MOST_PAGES: usize = 20;
const LONGEST_LINE: usize = 500;

pub(super) async fn occupancy(aws: &Aws, since: Timestamp) -> Result<Option<Occupancy>, CloudError> {
    let Some(events) = sidecar_lines(aws, since).await? else { return Ok(None) };
    let newest = events.iter().filter_map(occupancy_of).max_by_key(|line| line.time);
    if newest.is_none() && !events.is_empty() {
        return Err(garbled(FILTER, format!("none of {} occupancy lines makes sense", events.len())));
    }
    Ok(newest)
}

async fn sidecar_lines(aws: &Aws, since: Timestamp) -> Result<Option<Vec<FilteredLogEvent>>, CloudError> {
    let mut pages = aws
        .logs
        .filter_log_events()
        .log_group_name(aws.names.log_group())
        .log_stream_name_prefix(SIDECAR)
        .start_time(since.as_millisecond())
        .into_paginator()
        .send();
    let mut events = Vec::new();
    for _ in 0..MOST_PAGES {
        match pages.next().await {
            None => return Ok(Some(events)),
            Some(Ok(page)) => {
                let page = page.events.unwrap_or_default().into_iter();
                events.extend(page.filter(|e| e.log_stream_name().is_some_and(|name| name.starts_with(SIDECAR))));
            }
            Some(Err(error)) if is(&error, &["ResourceNotFoundException"]) => return Ok(None),
            Some(Err(error)) => return Err(aws.explain.error(FILTER, &error)),
        }
    }
    // What was not read is newer than what was: to answer with that would be to guess.
    Err(garbled(FILTER, "there is no end of occupancy lines"))
}

fn occupancy_of(event: &FilteredLogEvent) -> Option<Occupancy> {
    let task = event.log_stream_name()?.strip_prefix(SIDECAR)?.parse().ok()?;
    occupancy_line(&task, event.message()?)
}

/// A line of the sidecar; `None` when it is not one. Keys that are not known are passed over.
pub fn occupancy_line(task: &TaskId, line: &str) -> Option<Occupancy> {
    #[derive(Deserialize)]
    struct Line {
        r#type: String,
        time: Timestamp,
        conferences: u32,
        participants: u32,
        /// As the bridge says it; whatever it says, the counts above are Jicofo's and stand.
        #[serde(default)]
        jvb: Value,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    (line.r#type == "occupancy").then(|| Occupancy {
        task: task.clone(),
        time: line.time,
        conferences: line.conferences,
        participants: line.participants,
        draining: line.jvb["graceful_shutdown"] == Value::Bool(true),
    })
}

pub(super) async fn log_tail(
    aws: &Aws,
    task: &TaskId,
    container: &str,
    lines: u16,
) -> Result<Option<Vec<String>>, CloudError> {
    let wanted = usize::from(lines);
    let mut tail: Vec<String> = Vec::new();
    let mut before: Option<String> = None;
    for _ in 0..MOST_PAGES {
        if tail.len() >= wanted {
            break;
        }
        let asked = aws
            .logs
            .get_log_events()
            .log_group_name(aws.names.log_group())
            .log_stream_name(format!("{container}/{container}/{task}"))
            .limit(i32::from(lines))
            .start_from_head(false)
            .set_next_token(before.clone())
            .send()
            .await;
        let page = match asked {
            Err(error) if is(&error, &["ResourceNotFoundException"]) => return Ok(None),
            asked => asked.map_err(|e| aws.explain.error(READ, &e))?,
        };
        let older = page.events().iter().filter_map(|event| event.message()).map(|m| plain(m, LONGEST_LINE));
        tail.splice(0..0, older);
        // The same token again: this is the beginning of the stream.
        if page.next_backward_token.is_none() || page.next_backward_token == before {
            break;
        }
        before = page.next_backward_token;
    }
    Ok(Some(tail.split_off(tail.len().saturating_sub(wanted))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":1,"participants":7,"jicofo":{"healthy":true,"bridge_selector":{"operational_bridge_count":1}},"jvb":{"endpoints":7,"stress_level":0.07,"graceful_shutdown":false}}"#;

    fn task() -> TaskId {
        "0123456789abcdef0123456789abcdef".parse().expect("a task id")
    }

    #[test]
    fn a_line_of_the_sidecar() {
        let line = occupancy_line(&task(), GOOD).expect("an occupancy line");
        assert_eq!((line.conferences, line.participants, line.draining), (1, 7, false));
        assert_eq!(line.time.to_string(), "2026-11-20T19:03:30Z");
        let draining = GOOD.replace("\"graceful_shutdown\":false", "\"graceful_shutdown\":true");
        assert!(occupancy_line(&task(), &draining).expect("an occupancy line").draining);
        let silent_bridge =
            r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":0,"participants":0,"jvb":null}"#;
        assert!(!occupancy_line(&task(), silent_bridge).expect("an occupancy line").draining);
    }

    #[test]
    fn what_is_not_one() {
        for bad in [
            "",
            "curl: (7) Failed to connect",
            "{}",
            "[]",
            r#"{"type":"other","time":"2026-11-20T19:03:30Z","conferences":0,"participants":0}"#,
            r#"{"type":"occupancy","time":"yesterday","conferences":0,"participants":0}"#,
            r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":-1,"participants":0}"#,
            r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":null,"participants":0}"#,
            r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","participants":0}"#,
            r#"{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":1,"participants":7"#,
        ] {
            assert_eq!(occupancy_line(&task(), bad), None, "{bad}");
        }
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(occupancy_line(&task(), &nested), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in any::<Vec<u8>>()) {
            let _ = occupancy_line(&task(), &String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_damaged_line_is_read(at in 0..GOOD.len(), byte in any::<u8>()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = occupancy_line(&task(), &String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn counts_are_kept(conferences in any::<u32>(), participants in any::<u32>(), draining in any::<bool>()) {
            let line = format!(
                r#"{{"type":"occupancy","time":"2026-11-20T19:03:30Z","conferences":{conferences},"participants":{participants},"jvb":{{"graceful_shutdown":{draining}}},"new":[1,{{}}]}}"#
            );
            let line = occupancy_line(&task(), &line).expect("an occupancy line");
            prop_assert_eq!((line.conferences, line.participants, line.draining), (conferences, participants, draining));
        }
    }
}
