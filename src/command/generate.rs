//! `meetctl generate`: the reference pages, from the code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::Value;

use super::{Context, Subcommand};
use crate::answer::Answer;
use crate::config::KEYS;
use crate::domain::cause::{ROWS, Says};
use crate::domain::condition::Condition;
use crate::domain::finding::{Code, Weight};
use crate::domain::goal::Goal;
use crate::domain::observed::Observed;
use crate::domain::plan::Plan;
use crate::domain::rehearsal::{Grade, Phase};
use crate::error::{Failure, Kind, Outcome};
use crate::event::{Event, SCHEMA, Stamped};
use crate::outside::Desk;
use crate::world::terraform::{GENERAL, KNOWN};

/// Write a reference page as Markdown to stdout
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Args {
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Cli,
    Configuration,
    ExitCodes,
    Events,
    Findings,
    /// Every finding and cause, for `docs/findings.md`
    Causes,
}

impl Subcommand for Args {
    const NAME: &'static str = "generate";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let text = match self.page {
            Page::Cli => cli(&desk.at.tree),
            Page::Configuration => configuration(),
            Page::ExitCodes => exit_codes(),
            Page::Events => events(),
            Page::Findings => findings(),
            Page::Causes => causes(),
        };
        desk.say.answer(Answer::Text { text });
        Ok(Outcome::Done)
    }
}

fn cli(tree: &clap::Command) -> String {
    let mut tree = tree.clone().term_width(100);
    tree.build();
    let mut page = format!("# Command line\n\n{}\n", help_of(&mut tree));
    subcommands(&tree, &mut page);
    page
}

fn subcommands(of: &clap::Command, page: &mut String) {
    let shown = of.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
    for command in shown {
        let mut own = command.clone();
        // What every subcommand understands is listed once, on top.
        for global in command.get_arguments().filter(|a| a.is_global_set()) {
            own = own.mut_arg(global.get_id(), |a| a.hide(true));
        }
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let _ = write!(page, "\n## `{name}`\n\n{}\n", help_of(&mut own));
        subcommands(command, page);
    }
}

fn help_of(command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    format!("```text\n{}\n```", lines.join("\n"))
}

fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\nA flag wins over the environment, that over the project's file (`meetctl.toml`, found upwards \
         from the current folder), that over the user's file (`$XDG_CONFIG_HOME/meetctl/config.toml`, else \
         `~/.config/meetctl/config.toml`), that over the default. Unknown keys are errors.\n\n\
         | Key | What it is | Default | Environment | Example |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in KEYS {
        let default = if key.is_default { format!("`{}`", key.bare()) } else { String::new() };
        let variables: Vec<String> = key.variables.iter().map(|v| format!("`{v}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | `{}` |",
            key.name,
            key.about,
            variables.join(", "),
            key.example()
        );
    }
    page
}

fn exit_codes() -> String {
    let of_outcomes = Outcome::ALL.iter().map(|o| (o.exit_code(), o.meaning()));
    let of_failures = Kind::ALL.iter().map(|k| (k.exit_code(), k.meaning()));
    let table: BTreeMap<u8, &str> = of_outcomes.chain(of_failures).collect();
    let mut page = String::from("# Exit codes\n\n| Code | Meaning |\n| --- | --- |\n");
    for (code, meaning) in table {
        let _ = writeln!(page, "| {code} | {meaning} |");
    }
    page.push_str(
        "\nEvery command may end with 1, 2, 3, 6, 130 and 143; every one that asks AWS with 4 and 7, too. Besides these:\n\n\
         | Command | Code | When |\n| --- | --- | --- |\n",
    );
    for (command, code, when) in BY_COMMAND {
        let _ = writeln!(page, "| `{command}` | {code} | {when} |");
    }
    page
}

/// What the codes mean for one command, where it is more than the general meaning.
const BY_COMMAND: &[(&str, u8, &str)] = &[
    ("up", 0, "a meeting was held; or the platform was running already, and nothing was changed"),
    ("up", 3, "it is powered down, and Terraform is not installed or too old"),
    (
        "up",
        5,
        "people are in a meeting on a task that would be replaced, or that cannot be told; somebody else is at it",
    ),
    ("up", 8, "a condition failed for certain, with its cause; there is no such platform"),
    ("up", 9, "what is needed for the answer could not be seen, or the proof was not let in"),
    ("down", 0, "at rest, whether it ran before or not"),
    ("down", 5, "people are in a meeting, or that cannot be told"),
    ("down", 8, "there is no such platform"),
    ("deploy", 3, "Terraform is not installed or too old; a value of the module's variables does not fit"),
    (
        "deploy",
        5,
        "not agreed to; the plan would destroy data; somebody has changed the platform since the plan was made",
    ),
    ("deploy", 7, "Terraform or AWS refused, with the cause: a lock, a quota, something in use"),
    ("power-down", 3, "the account is not said; Terraform is not installed or too old"),
    ("power-down", 5, "not agreed to; people are in a meeting; the plan touches more than what has a price"),
    ("power-down", 8, "something with an hourly price is left; there is no such platform"),
    ("destroy", 3, "the account is not said; Terraform is not installed or too old"),
    ("destroy", 5, "the name was not confirmed; people are in a meeting"),
    ("destroy", 8, "something with an hourly price is left"),
    ("status", 8, "it is not at the level of `--expect`; there is no such platform"),
    ("status", 9, "something that the level needs could not be read"),
    ("health", 8, "a condition does not hold"),
    ("health", 9, "no condition is known to fail, and some could not be seen"),
    ("probe", 8, "meetings do not work there"),
    ("probe", 9, "it could not get in, so nothing is said about meetings"),
    ("why", 0, "the cause is named, or nothing failed"),
    ("why", 9, "the service and its tasks could not be read"),
    ("test-platform", 8, "a phase failed"),
    ("test-platform", 9, "a phase could not be judged"),
];

/// The table that docs/meeting.md ends with.
fn findings() -> String {
    let mut page = String::from("| Code | Means | What to do |\n| --- | --- | --- |\n");
    for weight in [Weight::Failure, Weight::NotApplicable, Weight::Warning] {
        let head = match weight {
            Weight::Failure => "**Meetings do not work** (exit code 8)",
            Weight::NotApplicable => "**It cannot be told** (exit code 9)",
            Weight::Warning => "**Meetings work, with a warning** (exit code 0)",
        };
        let _ = writeln!(page, "| {head} | | |");
        for code in Code::ALL.iter().filter(|code| code.weight() == weight && **code != Code::Interrupted) {
            let _ = writeln!(page, "| `{code}` | {} | {} |", code.sentence(), code.remedy());
        }
    }
    let (code, head) = (Code::Interrupted, "**The run was ended** (exit code 130 or 143, and 6 by `--timeout`)");
    let _ = writeln!(page, "| {head} | | |\n| `{code}` | {} | {} |", code.sentence(), code.remedy());
    page
}

/// Every finding and cause that meetctl knows.
fn causes() -> String {
    const HEAD: &str = "| Code | Means | Evidence | What to do | Exit code |\n| --- | --- | --- | --- | --- |\n";
    let mut page = format!(
        "# Findings and causes\n\nEverything that meetctl knows by name. The code stands in JSON, too.\n\n\
         ## What a proof finds\n\n{HEAD}"
    );
    for code in Code::ALL {
        let exit = match code.weight() {
            _ if *code == Code::Interrupted => "130, 143, 6",
            Weight::Failure => "8",
            Weight::NotApplicable => "9",
            Weight::Warning => "0",
        };
        let seen = format!("seen at {}", code.stage().name());
        let _ = writeln!(page, "| `{code}` | {} | {seen} | {} | {exit} |", code.sentence(), code.remedy());
    }
    let _ = write!(page, "\n## Why a start fails\n\nExit code 8 when the start cannot succeed any more.\n\n{HEAD}");
    for row in ROWS {
        let exit = if row.says == Says::Hint { "" } else { "8" };
        let what = row.what.replace("{exit}", "");
        let _ = writeln!(page, "| `{}` | {what} | {} | {} | {exit} |", row.code, phrases(row.all), row.next.join("; "));
    }
    let _ = write!(page, "\n## What stops Terraform\n\n{HEAD}");
    for trouble in KNOWN.iter().chain(GENERAL) {
        let exit = Kind::from(trouble.ends).exit_code();
        let (code, what) = (trouble.code, trouble.what);
        let _ =
            writeln!(page, "| `{code}` | {what} | {} | {} | {exit} |", phrases(trouble.all), trouble.next.join("; "));
    }
    page
}

/// What a text has to say; of long lists, the beginning.
fn phrases(all: &[&[&str]]) -> String {
    const SHOWN: usize = 3;
    let list = |any: &&[&str]| {
        let shown: Vec<String> = any.iter().take(SHOWN).map(|phrase| format!("`{phrase}`")).collect();
        let more = if any.len() > SHOWN { " …" } else { "" };
        format!("{}{more}", shown.join(" or "))
    };
    all.iter().map(list).collect::<Vec<_>>().join("; with ")
}

fn events() -> String {
    let mut page = format!(
        "# Events\n\n`--output json` writes one event a line. Each has a number (`seq`), a time (`at`), a `type`, and says \
         whether it comes from the sandbox (`sandbox`). New types and new keys may come at any time: pass over what you do \
         not know. `schema` (now {SCHEMA}) counts what breaks readers. Durations are in seconds, money in US dollars, times \
         in UTC.\n",
    );
    for (seq, event) in samples().into_iter().enumerate() {
        let about = event.about();
        let stamped = Stamped { seq: seq as u64, at: a_time(), sandbox: false, event };
        let mut sample = serde_json::to_value(&stamped).unwrap_or_default();
        shorten(&mut sample);
        let name = sample["type"].as_str().unwrap_or_default().to_owned();
        let _ = write!(page, "\n## `{name}`\n\n{about}\n\n```json\n{sample}\n```\n");
    }
    page
}

/// An observation is long; the page shows where it stands.
fn shorten(sample: &mut Value) {
    if let Some(observed) = sample.get_mut("observed") {
        *observed = Value::String("(everything that was seen)".into());
    }
}

fn a_time() -> Timestamp {
    Timestamp::from_second(1_795_201_410).unwrap_or_default()
}

/// One of each, in the order in which they come.
fn samples() -> Vec<Event> {
    let until = Condition::ContainersHealthy;
    let failure = Failure::new(Kind::Refused, "people are in a meeting: 7 in 1 room(s)")
        .because("they would be thrown out")
        .next("wait for them: `meetctl down --when-empty`");
    vec![
        Event::Hello { meetctl: "0.1.0", schema: SCHEMA },
        Event::Planned {
            observed: Box::new(Observed::nothing(a_time())),
            plan: Plan { to: Goal::Running, steps: Vec::new() },
        },
        Event::StepStarted { until, limit: until.rule().within },
        Event::StepProgress { until, note: "no health yet: jicofo, jvb".into() },
        Event::StepFinished { until, took: Duration::from_millis(81_500) },
        Event::StepFailed { until, message: "the container jvb ran out of memory".into(), code: None },
        Event::ServiceSaid { at: a_time(), message: "(service NAME-service) has started 1 tasks: (task 3f2a).".into() },
        Event::PhaseStarted { phase: Phase::Up, number: 3, of: 10 },
        Event::PhaseFinished { phase: Phase::Up, number: 3, grade: Grade::Good, took: Duration::from_secs(155) },
        Event::Warning { message: "the certificate ends on 2026-12-01 12:00 UTC, in 10 days".into() },
        Event::Note { message: "stopping after the current change".into() },
        Event::Answer(Box::new(Answer::Text { text: "…".into() })),
        Event::Finished { outcome: Outcome::Done, exit_code: 0, level: Some("running".into()) },
        Event::Failed { exit_code: failure.kind.exit_code(), failure },
    ]
}
