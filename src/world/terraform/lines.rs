//! What Terraform writes: lines of JSON, a plan, a list of outputs.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::changes::{Change, Changes, Deed};
use crate::domain::said::Said;
use crate::world::Outputs;

/// One line that means something to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Said(Said),
    Told(Diagnostic),
}

/// An error or a warning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diagnostic {
    pub(super) is_error: bool,
    pub(super) summary: String,
    pub(super) detail: String,
    pub(super) address: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Raw {
    ApplyStart {
        hook: Hook,
    },
    ApplyProgress {
        hook: Hook,
    },
    ApplyComplete {
        hook: Hook,
    },
    ApplyErrored {
        hook: Hook,
    },
    Diagnostic {
        diagnostic: RawDiagnostic,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Hook {
    resource: Resource,
    #[serde(default)]
    action: String,
    #[serde(default)]
    elapsed_seconds: f64,
}

#[derive(Deserialize)]
struct Resource {
    addr: String,
}

#[derive(Deserialize)]
struct RawDiagnostic {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    detail: String,
    address: Option<String>,
}

/// What a line of `terraform … -json` means; most lines mean nothing to us.
/// <https://developer.hashicorp.com/terraform/internals/machine-readable-ui>
pub(super) fn line(text: &str) -> Option<Line> {
    let said = match serde_json::from_str(text).ok()? {
        Raw::ApplyStart { hook } => Said::Started { address: hook.resource.addr, deed: deed(&[&hook.action])? },
        Raw::ApplyProgress { hook } => Said::Working { after: hook.elapsed(), address: hook.resource.addr },
        Raw::ApplyComplete { hook } => {
            Said::Finished { deed: deed(&[&hook.action])?, took: hook.elapsed(), address: hook.resource.addr }
        }
        Raw::ApplyErrored { hook } => Said::Failed { address: hook.resource.addr },
        Raw::Diagnostic { diagnostic: RawDiagnostic { severity, summary, detail, address } } => {
            return Some(Line::Told(Diagnostic { is_error: severity == "error", summary, detail, address }));
        }
        Raw::Other => return None,
    };
    Some(Line::Said(said))
}

impl Hook {
    fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.elapsed_seconds).unwrap_or_default()
    }
}

/// What the actions of a plan, or the action of a hook, come to. `None`: nothing is changed.
fn deed(actions: &[&str]) -> Option<Deed> {
    match actions {
        ["create"] => Some(Deed::Create),
        ["update"] => Some(Deed::Update),
        ["delete"] => Some(Deed::Delete),
        ["forget" | "remove"] => Some(Deed::Keep),
        ["import"] => Some(Deed::Adopt),
        [] | ["no-op" | "noop" | "read" | "open" | "renew" | "close"] => None,
        // A deletion with a creation; and an action that this program does not know is never taken for none.
        _ => Some(Deed::Replace),
    }
}

#[derive(Deserialize)]
struct RawPlan {
    #[serde(default)]
    resource_changes: Vec<RawChange>,
    #[serde(default)]
    output_changes: std::collections::BTreeMap<String, RawActions>,
    #[serde(default)]
    errored: bool,
}

#[derive(Deserialize)]
struct RawChange {
    address: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type", default)]
    kind: String,
    change: RawActions,
}

#[derive(Deserialize)]
struct RawActions {
    actions: Vec<String>,
    #[serde(default)]
    before: Value,
    #[serde(default)]
    importing: Value,
}

/// What `terraform show -json FILE` says of a plan. Values of resources are not kept, but for the ARN and the
/// `project` tag.
/// <https://developer.hashicorp.com/terraform/internals/json-format#plan-representation>
pub(super) fn changes(json: &str) -> Result<Changes, String> {
    let plan: RawPlan = serde_json::from_str(json).map_err(|e| e.to_string())?;
    if plan.errored {
        return Err("the plan is not complete".into());
    }
    let managed = plan.resource_changes.into_iter().filter(|c| c.mode != "data");
    let resources = managed.filter_map(RawChange::change).collect();
    let others = plan.output_changes.values().any(|o| o.actions != ["no-op"]);
    Ok(Changes { resources, others })
}

impl RawChange {
    fn change(self) -> Option<Change> {
        let actions: Vec<&str> = self.change.actions.iter().map(String::as_str).collect();
        let imported = !self.change.importing.is_null();
        let deed = match deed(&actions) {
            None | Some(Deed::Update) if imported => Deed::Adopt,
            None => return None,
            Some(deed) => deed,
        };
        let tags = &self.change.before["tags_all"];
        let project = match (tags, &tags["project"]) {
            (_, Value::String(project)) => Some(project.clone()),
            // It has tags, and ours is not among them.
            (Value::Object(tags), _) if !tags.is_empty() => Some(String::new()),
            _ => None,
        };
        let arn = self.change.before["arn"].as_str().map(str::to_owned);
        Some(Change { address: self.address, kind: self.kind, deed, arn, project })
    }
}

/// What `terraform output -json` says.
pub(super) fn outputs(json: &str) -> Result<Outputs, String> {
    let all: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let servers = all["zone_name_servers"]["value"].as_array();
    Ok(Outputs {
        recordings_bucket: text(&all["recordings_bucket"]["value"]),
        name_servers: servers.map(|s| s.iter().filter_map(text).collect()).unwrap_or_default(),
    })
}

/// The resources of `terraform state list`, without data sources.
pub(super) fn managed(list: &str) -> Vec<String> {
    let is_resource = |l: &&str| !l.is_empty() && !l.starts_with("data.") && !l.contains(".data.");
    list.lines().map(str::trim).filter(is_resource).map(str::to_owned).collect()
}

/// The version in the first line of `terraform version` or `tofu version`, such as `Terraform v1.11.4`.
pub(super) fn version(text: &str) -> Option<(String, Version)> {
    let mut words = text.lines().next()?.split_whitespace();
    let (program, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
    Some((program.to_owned(), Version { major, minor }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_become_what_was_said() {
        let complete = r#"{"@level":"info","@message":"aws_lb.this[0]: Creation complete after 2m4s","hook":{"resource":{"addr":"aws_lb.this[0]","resource_type":"aws_lb"},"action":"create","elapsed_seconds":124},"type":"apply_complete"}"#;
        assert_eq!(
            line(complete),
            Some(Line::Said(Said::Finished {
                address: "aws_lb.this[0]".into(),
                deed: Deed::Create,
                took: Duration::from_secs(124)
            }))
        );
        let error = r#"{"@level":"error","@message":"Error: no","diagnostic":{"severity":"error","summary":"no","detail":"because","address":"aws_lb.this[0]"},"type":"diagnostic"}"#;
        assert_eq!(
            line(error),
            Some(Line::Told(Diagnostic {
                is_error: true,
                summary: "no".into(),
                detail: "because".into(),
                address: Some("aws_lb.this[0]".into())
            }))
        );
        assert_eq!(line(r#"{"type":"refresh_start","hook":{}}"#), None);
        assert_eq!(line("Terraform v1.11.4"), None);
    }

    #[test]
    fn a_plan_becomes_changes() {
        let json = r#"{"format_version":"1.2","resource_changes":[
          {"address":"aws_lb.this[0]","mode":"managed","type":"aws_lb","change":{"actions":["delete"],"before":{"tags_all":{"project":"p"}}}},
          {"address":"aws_vpc.this","mode":"managed","type":"aws_vpc","change":{"actions":["no-op"]}},
          {"address":"data.aws_route53_zone.existing[0]","mode":"data","type":"aws_route53_zone","change":{"actions":["read"]}},
          {"address":"aws_ecs_task_definition.this","mode":"managed","type":"aws_ecs_task_definition","change":{"actions":["delete","create"],"before":{"tags_all":{"x":"y"}}}},
          {"address":"aws_s3_bucket.recordings","mode":"managed","type":"aws_s3_bucket","change":{"actions":["update"],"importing":{"id":"b"}}},
          {"address":"aws_s3_bucket.kept","mode":"managed","type":"aws_s3_bucket","change":{"actions":["forget"]}},
          {"address":"aws_x.y","mode":"managed","type":"aws_x","change":{"actions":["wobble"]}}],
          "output_changes":{"power":{"actions":["update"]}}}"#;
        let found = changes(json).expect("a plan");
        let deeds: Vec<(&str, Deed, Option<&str>)> =
            found.resources.iter().map(|c| (c.address.as_str(), c.deed, c.project.as_deref())).collect();
        assert_eq!(
            deeds,
            [
                ("aws_lb.this[0]", Deed::Delete, Some("p")),
                ("aws_ecs_task_definition.this", Deed::Replace, Some("")),
                ("aws_s3_bucket.recordings", Deed::Adopt, None),
                ("aws_s3_bucket.kept", Deed::Keep, None),
                ("aws_x.y", Deed::Replace, None),
            ]
        );
        assert!(found.others);
        assert!(changes(r#"{"format_version":"1.2"}"#).expect("an empty plan").is_empty());
        assert!(changes(r#"{"errored":true}"#).is_err());
    }

    #[test]
    fn versions_are_read_from_either_program() {
        let of = |text| version(text).map(|(program, v)| (program, v.to_string()));
        assert_eq!(of("Terraform v1.11.4\non linux_amd64\n"), Some(("Terraform".into(), "1.11".into())));
        assert_eq!(of("OpenTofu v1.12.0-beta1"), Some(("OpenTofu".into(), "1.12".into())));
        assert_eq!(of("nonsense"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn outputs_and_state() {
        let json =
            r#"{"recordings_bucket":{"value":"b"},"zone_name_servers":{"value":["ns1","ns2"]},"x":{"value":null}}"#;
        let found = outputs(json).expect("outputs");
        assert_eq!((found.recordings_bucket.as_deref(), found.name_servers.len()), (Some("b"), 2));
        assert_eq!(outputs("{}").expect("none"), Outputs::default());
        assert_eq!(managed("data.aws_x.y\naws_lb.this[0]\nmodule.m.data.aws_z.z\n\n"), ["aws_lb.this[0]"]);
    }

    proptest! {
        #[test]
        fn nothing_that_terraform_says_is_a_panic(text in "\\PC{0,200}") {
            let _ = (line(&text), changes(&text), outputs(&text), managed(&text), version(&text));
        }

        #[test]
        fn nor_json_of_another_shape(kind in "[a-z_]{0,16}", action in "\\PC{0,12}", seconds in any::<f64>(), shape in 0..4) {
            let value = match shape {
                0 => serde_json::json!({"type": kind, "hook": {"resource": {"addr": action}, "action": action, "elapsed_seconds": seconds}}),
                1 => serde_json::json!({"type": "apply_complete", "hook": {"resource": {"addr": "a"}, "action": action, "elapsed_seconds": seconds}}),
                2 => serde_json::json!({"resource_changes": [{"address": action, "change": {"actions": [kind], "before": [1], "importing": 3}}]}),
                _ => serde_json::json!([kind, action]),
            };
            let text = value.to_string();
            let _ = (line(&text), changes(&text), outputs(&text), version(&text));
        }
    }
}
