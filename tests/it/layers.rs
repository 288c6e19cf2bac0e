//! Who may know whom: arrows between the layers never point back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with the layers that it may name, those that know the least first.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &[]),
    ("files", &[]),
    ("world", &["domain", "clock", "files"]),
    ("probe", &["world", "domain", "clock"]),
    ("error", &["domain", "world"]),
    ("answer", &["domain"]),
    ("event", &["answer", "domain", "error", "clock"]),
    ("limit", &["error", "event", "world"]),
    ("signal", &["error", "event", "limit"]),
    ("engine", &["domain", "probe", "world", "answer", "event", "error", "clock"]),
    ("config", &["answer", "domain", "error", "files", "probe"]),
    ("options", &["config"]),
    ("outside", &["options", "config", "domain", "error", "event", "files", "probe", "world", "clock"]),
    (
        "command",
        &["options", "outside", "config", "domain", "engine", "answer", "error", "event", "files", "probe", "world"],
    ),
    ("cli", &["options", "command", "config", "error"]),
    ("render", &["answer", "event", "error", "domain", "clock"]),
    (
        "session",
        &[
            "options", "outside", "command", "config", "render", "limit", "signal", "domain", "error", "event",
            "world", "clock",
        ],
    ),
    ("fuzz", &["config", "domain", "probe", "world"]),
];

/// So no circle of layers can be: each knows only those that stand above it in the list.
#[test]
fn whoever_is_known_stands_above() {
    for (place, (layer, may_know)) in MAY_KNOW.iter().enumerate() {
        for known in *may_know {
            let above = MAY_KNOW[..place].iter().any(|(name, _)| name == known);
            assert!(above, "{layer} may know {known}, which does not stand above it");
        }
    }
}

#[test]
fn arrows_never_point_back() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_KNOW.iter().copied().collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&root) {
        let inside = file.strip_prefix(&root).expect("a file of src");
        let layer =
            inside.components().next().expect("a name").as_os_str().to_str().expect("UTF-8").trim_end_matches(".rs");
        let Some(may_know) = allowed.get(layer) else {
            assert!(["main", "lib"].contains(&layer), "{layer} is a new layer: say here whom it may know");
            continue;
        };
        let text = fs::read_to_string(&file).expect("a readable file");
        for known in named(&text).filter(|known| *known != layer && !may_know.contains(known)) {
            wrong.push(format!("{}: {layer} must not know {known}", inside.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The SDK's types stay behind the port.
#[test]
fn only_the_adapter_names_the_aws_sdk() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&root).filter(|f| !f.starts_with(root.join("world/aws"))) {
        let text = fs::read_to_string(&file).expect("a readable file");
        assert!(!text.contains("aws_sdk_"), "{} names the AWS SDK", file.display());
    }
}

fn named(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(|line| {
        line.split("crate::")
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or(""))
    })
}

fn sources(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.into_iter()
}
