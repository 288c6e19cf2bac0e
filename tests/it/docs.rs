//! The pages: what they show of the program is what it does, and what is generated is up to date.
//!
//! `TRANSCRIPTS=overwrite cargo test --test it docs` writes both anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};
use meetctl::cli::Cli;
use meetctl::command::Command;
use meetctl::config::{Config, Environment};
use meetctl::event::Events;
use meetctl::outside::Platform;
use meetctl::session::context;
use meetctl::world::aws::ACTIONS;
use meetctl::world::sandbox::{self, Handle, Saved, Story, Tally};
use serde_json::{Value, json};

use crate::story;
use crate::transcripts::{Bare, Desk, difference, overwrites, played};

const HOW: &str = "write it anew: TRANSCRIPTS=overwrite cargo test --test it docs";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The pages that people write, below the top and below `docs`; as many as there are.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.retain(|page| page.is_file());
    pages.sort();
    pages
}

/// Compares a page with what it should be, or writes it.
fn settle(page: &Path, fresh: &str) -> Result<(), String> {
    let kept = fs::read_to_string(page).unwrap_or_default();
    if kept == fresh {
        return Ok(());
    }
    if overwrites() {
        fs::create_dir_all(page.parent().expect("a folder")).and_then(|()| fs::write(page, fresh)).expect("writable");
        return Ok(());
    }
    let name = page.strip_prefix(root()).expect("a page of this project").display();
    Err(format!("{name}, {}", difference(&kept, fresh)))
}

#[test]
fn every_console_block_shows_what_the_program_prints() {
    let mut wrong = Vec::new();
    for page in pages() {
        let kept = fs::read_to_string(&page).expect("a readable page");
        // Commands on a real platform are for people; those in the sandbox run here.
        let fresh = played(&kept, &Desk::new(), Bare::Kept, |command| command.starts_with("meetctl --sandbox"));
        wrong.extend(settle(&page, &fresh).err());
    }
    assert!(wrong.is_empty(), "{}\n{HOW}", wrong.join("\n"));
}

/// A row of a table such as "| `meetctl --sandbox=image-gone up` | what it is | 8 |": the command and its exit code.
fn promised(row: &str) -> Option<(&str, i32)> {
    let command = row.strip_prefix("| `")?.split_once('`')?.0;
    let code = row.trim_end().strip_suffix('|')?.rsplit('|').next()?.trim().parse().ok()?;
    command.starts_with("meetctl --sandbox").then_some((command, code))
}

#[test]
fn every_exit_code_in_a_table_is_right() {
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a readable page");
        let desk = Desk::new();
        for (command, code) in text.lines().filter_map(promised) {
            let said = desk.run(command);
            assert_eq!(said.code, code, "{}: {command}: {}", page.display(), said.text);
        }
    }
}

#[test]
fn generated_pages_are_up_to_date() {
    let mut wrong = Vec::new();
    for page in ["cli", "configuration", "exit-codes", "events"] {
        let said = Desk::new().run(&format!("meetctl generate {page}"));
        assert_eq!(said.code, 0, "{}", said.text);
        wrong.extend(settle(&root().join(format!("docs/reference/{page}.md")), &said.text).err());
    }
    let causes = Desk::new().run("meetctl generate causes");
    wrong.extend(settle(&root().join("docs/findings.md"), &causes.text).err());
    assert!(wrong.is_empty(), "{}\n{HOW}", wrong.join("\n"));
}

// --- Permissions -----------------------------------------------------------------------------------------------

/// The commands, each with situations in which it makes all the calls that it can make.
const EXERCISED: &[(&str, &[(&str, &str)])] = &[
    ("status", &[("running", "status"), ("standby", "status")]),
    ("health", &[("running", "health"), ("fresh", "health")]),
    ("why", &[("crash-loop", "up"), ("crash-loop", "why"), ("fresh", "why")]),
    ("up", &[("standby", "up"), ("crash-loop", "up"), ("fresh", "up")]),
    ("down", &[("running", "down"), ("meeting", "down --cut-meetings"), ("fresh", "down")]),
    ("power-down", &[("running", "power-down --yes"), ("leftover-balancer-ours", "power-down --yes")]),
    ("test-platform", &[("standby", "test-platform --yes"), ("running", "test-platform --yes")]),
    ("deploy", &[("fresh", "deploy --yes")]),
    (
        "destroy",
        &[
            ("running", "destroy --confirm jitsi-video-platform"),
            ("leftover-balancer-ours", "destroy --confirm jitsi-video-platform"),
        ],
    ),
];

/// Runs a command in the sandbox, and returns what it called and where the story was left.
async fn exercise(story: Story, saved: Option<Saved>, line: &str) -> (Tally, Handle) {
    let cli = Cli::try_parse_from(["meetctl", "--sandbox", "--no-input"].into_iter().chain(line.split(' ')))
        .expect("right usage");
    let Command::OnPlatform(command) = &cli.command else { panic!("{line} needs no platform") };
    let (world, handle) = sandbox::world(story, saved, 0);
    let (world, tally) = sandbox::tallied(world, None);
    let config = Config::sandbox();
    let (say, _said) = Events::new(world.clock);
    let platform = Platform::new(config, &Environment::default(), world).expect("the sandbox has a domain");
    let context = context(&cli.options, &Environment::default(), platform, say);
    // How it ends is the transcripts' matter.
    let _ = command.run(&context).await;
    (tally, handle)
}

/// The IAM actions that each command was seen to need.
async fn needed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut needed = BTreeMap::new();
    for (command, situations) in EXERCISED {
        let mut actions = BTreeSet::new();
        let mut left: Option<(&str, Saved)> = None;
        for (name, line) in *situations {
            let saved = left.take().filter(|(before, _)| before == name).map(|(_, saved)| saved);
            let (tally, handle) = exercise(story(name), saved, line).await;
            left = Some((name, handle.saved()));
            if line.split(' ').next() == Some(*command) {
                actions
                    .extend(tally.calls().keys().filter_map(|call| call.strip_prefix("cloud.")).flat_map(actions_of));
            }
        }
        needed.insert(*command, actions);
    }
    needed
}

fn actions_of(method: &str) -> &'static [&'static str] {
    ACTIONS.iter().find(|(name, _)| *name == method).unwrap_or_else(|| panic!("{method} has no actions")).1
}

/// What the statements of a policy allow, wildcards included.
fn allowed(policy: &str) -> Vec<(String, Value)> {
    let path = root().join(format!("terraform/policies/{policy}.json.tftpl"));
    let policy: Value = serde_json::from_str(&fs::read_to_string(path).expect("a policy")).expect("JSON");
    let statements = policy["Statement"].as_array().expect("statements").clone();
    statements
        .iter()
        .filter(|statement| statement["Effect"] == "Allow")
        .flat_map(|statement| {
            let actions = statement["Action"].as_array().cloned().unwrap_or_default();
            actions.into_iter().map(|action| (action.as_str().expect("a name").to_owned(), statement.clone()))
        })
        .collect()
}

fn matches(pattern: &str, action: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == action, |start| action.starts_with(start))
}

/// The least that a command needs, as one policy: the operator's statements, cut down to the command's actions.
fn policy(actions: &BTreeSet<&str>) -> Value {
    let operator = allowed("operator");
    let deployer = allowed("deployer");
    let mut statements: Vec<Value> = Vec::new();
    for action in actions {
        let found = operator.iter().chain(&deployer).find(|(pattern, _)| matches(pattern, action));
        let (resource, condition) =
            found.map_or((json!("*"), Value::Null), |(_, s)| (s["Resource"].clone(), s["Condition"].clone()));
        let same = statements.iter_mut().find(|s| s["Resource"] == resource && s["Condition"] == condition);
        if let Some(same) = same {
            same["Action"].as_array_mut().expect("actions").push(json!(action));
        } else {
            let mut statement = json!({"Effect": "Allow", "Action": [action], "Resource": resource});
            if !condition.is_null() {
                statement["Condition"] = condition;
            }
            statements.push(statement);
        }
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// Commands that also run Terraform, which has needs of its own.
fn runs_terraform(command: &str) -> bool {
    ["deploy", "power-down", "destroy"].contains(&command)
}

fn page(needed: &BTreeMap<&str, BTreeSet<&str>>) -> String {
    let mut page = String::from(
        "# Permissions\n\n\
         What each command asks of AWS, recorded while it ran in the sandbox, as a policy that allows just that. Put your\n\
         own values in place of `${region}`, `${account}`, `${name}` (the platform's name) and `${zone_id}`.\n\n\
         Terraform's own policies are ready to attach: `terraform/policies/viewer.json.tftpl` is enough for `status`,\n\
         `health` and `why`, `operator.json.tftpl` also for `down`, and for `up` and\n\
         `test-platform` from standby. What runs Terraform\n\
         (`deploy`, `power-down`, `destroy`, and `up` from powered-down) needs `deployer.json.tftpl` besides.\n\n\
         `probe`, `cost`, `config`, `init`, `sandbox`, `completions` and `man` ask nothing of AWS.\n",
    );
    for (command, actions) in needed {
        let text = serde_json::to_string_pretty(&policy(actions)).expect("JSON");
        let also = if runs_terraform(command) { "\n\nBesides what Terraform needs:" } else { "" };
        let _ = write!(page, "\n## `meetctl {command}`{also}\n\n```json\n{text}\n```\n");
    }
    page
}

#[tokio::test(start_paused = true)]
async fn permissions_are_those_that_each_command_was_seen_to_need() {
    let needed = needed().await;
    for (policy, commands) in [
        ("viewer", &["status", "health", "why"][..]),
        ("operator", &["status", "health", "why", "up", "down", "test-platform"][..]),
    ] {
        let allowed = allowed(policy);
        for command in commands {
            for action in &needed[command] {
                assert!(
                    allowed.iter().any(|(pattern, _)| matches(pattern, action)),
                    "{policy} may not {action} ({command})"
                );
            }
        }
    }
    // Looking changes nothing.
    for command in ["status", "health", "why"] {
        let changes = |action: &&&str| {
            ["Update", "Tag", "Delete", "Create", "Put"].iter().any(|w| action.contains(&format!(":{w}")))
        };
        assert_eq!(needed[command].iter().find(changes), None, "{command}");
    }
    settle(&root().join("docs/reference/iam.md"), &page(&needed)).unwrap_or_else(|wrong| panic!("{wrong}\n{HOW}"));
}

#[test]
fn every_command_on_the_platform_has_its_permissions() {
    let desk = ["probe", "config", "cost", "init", "sandbox", "completions", "man", "generate", "help"];
    let tree = Cli::command();
    let commands = tree.get_subcommands().map(clap::Command::get_name).filter(|name| !desk.contains(name));
    let exercised: BTreeSet<&str> = EXERCISED.iter().map(|(command, _)| *command).collect();
    assert_eq!(commands.collect::<BTreeSet<_>>(), exercised);
}
