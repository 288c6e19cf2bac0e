//! Where settings come from, and what is said when they make no sense.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{CommandFactory, Parser};
use meetctl::cli::Cli;
use meetctl::clock::Clock;
use meetctl::command::Command;
use meetctl::config::{Config, ConfigError, Environment, Flags, parse_file};
use meetctl::error::{Failure, Kind, Outcome};
use meetctl::event::Events;
use meetctl::outside::Desk;
use meetctl::session::context;
use proptest::prelude::*;
use tempfile::TempDir;

/// Runs `meetctl init` in the project's folder, with nobody to ask.
fn init(house: &House, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Outcome, Failure> {
    let cli = Cli::try_parse_from([&["meetctl", "--no-input", "init"], arguments].concat()).expect("right usage");
    let Command::AtDesk(command) = &cli.command else { panic!("init needs no platform") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    let (say, _said) = Events::new(Clock::system());
    let desk = context(&cli.options, &house.environment(variables), Desk { tree: Cli::command() }, say);
    runtime.block_on(command.run(&desk))
}

#[test]
fn init_writes_what_can_be_read_and_spares_what_is_there() {
    let house = House::new();
    let none = Flags::default();
    let file = house.root.path().join("project/deep/down/meetctl.toml");
    assert_eq!(init(&house, &[], &[]).expect_err("no domain").kind, Kind::Usage);
    assert_eq!(init(&house, &["--domain", "192.0.2.1"], &[]).expect_err("an address").kind, Kind::Usage);
    assert!(!file.exists());

    fs::create_dir(house.root.path().join("home/.aws")).expect("a folder");
    let aws = "[profile hosting]\nsso_account_id = 111122223333\nregion = eu-west-1\n";
    fs::write(house.root.path().join("home/.aws/config"), aws).expect("a file");
    let done = init(&house, &["--domain", "meet.example.org"], &[("AWS_PROFILE", "hosting")]);
    assert_eq!(done.expect("enough is known"), Outcome::Done);
    let config = house.load(&[], &none).expect("it can be read");
    assert_eq!(config.host().expect("a domain").as_str(), "meet.example.org");
    assert_eq!((config.region.as_str(), config.profile.as_deref()), ("eu-west-1", Some("hosting")));
    assert_eq!(config.account.map(|a| a.to_string()).as_deref(), Some("111122223333"));

    let before = fs::read_to_string(&file).expect("a file");
    let refused = init(&house, &["--domain", "other.example.org"], &[]).expect_err("there is one");
    assert_eq!((refused.kind, fs::read_to_string(&file).expect("a file")), (Kind::Configuration, before));
    init(&house, &["--domain", "other.example.org", "--force"], &[]).expect("told to");
    assert_eq!(house.load(&[], &none).expect("good").host().expect("a domain").as_str(), "other.example.org");
}

/// A home and a project in it.
struct House {
    root: TempDir,
}

impl House {
    fn new() -> Self {
        let root = TempDir::new().expect("a folder");
        fs::create_dir_all(root.path().join("home/.config/meetctl")).expect("a folder");
        fs::create_dir_all(root.path().join("project/deep/down")).expect("a folder");
        Self { root }
    }

    fn project(&self, text: &str) -> &Self {
        fs::write(self.root.path().join("project/meetctl.toml"), text).expect("a file");
        self
    }

    fn user(&self, text: &str) -> &Self {
        fs::write(self.root.path().join("home/.config/meetctl/config.toml"), text).expect("a file");
        self
    }

    fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let home = self.root.path().join("home").display().to_string();
        let all = [("HOME", home.as_str())].into_iter().chain(variables.iter().copied());
        Environment {
            variables: all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            folder: self.root.path().join("project/deep/down"),
        }
    }

    fn load(&self, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, ConfigError> {
        Config::load(flags, &self.environment(variables))
    }

    /// The failure as text, without the folder's changing name.
    fn failure(&self, variables: &[(&str, &str)], flags: &Flags) -> (Kind, String) {
        let failure = Failure::from(self.load(variables, flags).expect_err("this must fail"));
        let text = [vec![failure.what], failure.why, failure.next].concat().join(" | ");
        (failure.kind, text.replace(&self.root.path().display().to_string(), ""))
    }
}

fn setting(config: &Config, key: &str) -> (String, String) {
    let found = config.settings.iter().find(|s| s.key == key).expect("a known key");
    (found.value.clone().unwrap_or_default(), found.origin.clone())
}

#[test]
fn the_strongest_source_wins_and_is_named() {
    let house = House::new();
    let flags = Flags { region: Some("eu-north-1".into()), ..Flags::default() };
    let none = Flags::default();
    let path = |p: &str| house.root.path().join(p).display().to_string();
    let region = |c: &Config| (c.region.to_string(), setting(c, "platform.region").1);

    let config = house.load(&[], &none).expect("defaults are enough");
    assert_eq!(region(&config), ("us-west-2".into(), "default".into()));
    house.user("[platform]\nregion = \"eu-west-1\"\n[session]\nlength = \"2h\"\n");
    let config = house.load(&[], &none).expect("good");
    assert_eq!(region(&config), ("eu-west-1".into(), format!("{}:2", path("home/.config/meetctl/config.toml"))));
    house.project("\n[platform]\n\nregion = \"eu-west-2\"\n");
    let config = house.load(&[], &none).expect("good");
    assert_eq!(region(&config), ("eu-west-2".into(), format!("{}:4", path("project/meetctl.toml"))));
    assert_eq!(config.session, Duration::from_hours(2));
    let config = house.load(&[("AWS_REGION", "us-east-1")], &none).expect("good");
    assert_eq!(region(&config), ("us-east-1".into(), "AWS_REGION".into()));
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    let config = house.load(&[("AWS_REGION", "us-east-1"), ("MEETCTL_REGION", "us-east-2")], &none).expect("good");
    assert_eq!(region(&config), ("us-east-2".into(), "MEETCTL_REGION".into()));
    let config = house.load(&[("MEETCTL_REGION", "us-east-2")], &flags).expect("good");
    assert_eq!(region(&config), ("eu-north-1".into(), "--region".into()));
    let config = house.load(&[("MEETCTL_REGION", "  ")], &none).expect("an empty variable is none");
    assert_eq!(region(&config).0, "eu-west-2");
}

#[test]
fn every_key_can_be_set_in_a_file_and_by_its_variable() {
    let house = House::new();
    house.project(
        r#"
[platform]
name = "jitsi"
domain = "meet.example.org"
account = "111122223333"
[aws]
profile = "hosting"
[session]
length = "1h 30m"
[dns]
servers = ["192.0.2.53", "192.0.2.54:5353", "[2001:db8::1]:53"]
port = 5354
[tls]
ca_file = "roots/own.pem"
[probe]
media = false
https_port = 8443
[occupancy]
source = "none"
"#,
    );
    let config = house.load(&[], &Flags::default()).expect("good");
    assert_eq!(config.session, Duration::from_mins(90));
    let servers: Vec<String> = config.dns_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "192.0.2.54:5353", "[2001:db8::1]:53"]);
    assert_eq!((config.dns_port, config.https_port, config.media), (5354, 8443, false));
    assert_eq!(config.ca_file, Some(house.root.path().join("project/roots/own.pem")));
    assert_eq!(config.sight().expect("there is a domain").site.port, 8443);

    let config = house.load(
        &[
            ("MEETCTL_PROBE_MEDIA", "yes"),
            ("MEETCTL_DNS_SERVERS", "192.0.2.1,192.0.2.2"),
            ("MEETCTL_DNS_PORT", "53"),
            ("MEETCTL_CA_FILE", "own.pem"),
            ("MEETCTL_SESSION_LENGTH", "45m"),
            ("AWS_PROFILE", "other"),
        ],
        &Flags::default(),
    );
    let config = config.expect("good");
    assert!(config.media);
    assert_eq!((config.dns_servers.len(), config.dns_port), (2, 53));
    assert_eq!(config.ca_file, Some(house.root.path().join("project/deep/down/own.pem")));
    assert_eq!(config.profile.as_deref(), Some("other"));
    assert_eq!(setting(&config, "session.length").1, "MEETCTL_SESSION_LENGTH");
}

#[test]
fn a_named_file_takes_the_place_of_the_projects() {
    let house = House::new();
    house.project("[platform]\nname = \"found\"\n");
    let other = house.root.path().join("other.toml");
    fs::write(&other, "[platform]\nname = \"named\"\n").expect("a file");
    let flags = Flags { config: Some(other.clone()), ..Flags::default() };
    assert_eq!(house.load(&[], &flags).expect("good").name.as_str(), "named");
    let variable = other.display().to_string();
    assert_eq!(house.load(&[("MEETCTL_CONFIG", &variable)], &Flags::default()).expect("good").name.as_str(), "named");
    let flags = Flags { config: Some(PathBuf::from("nowhere.toml")), ..Flags::default() };
    let (kind, text) = house.failure(&[], &flags);
    assert_eq!(kind, Kind::Configuration);
    assert!(text.contains("project/deep/down/nowhere.toml could not be read"), "{text}");
}

/// Flag, environment, file, profile, default: the first that says a region is heard, and named.
#[test]
fn the_region_is_the_profiles_where_nothing_else_says_one() {
    let house = House::new();
    let aws = house.root.path().join("home/.aws");
    fs::create_dir(&aws).expect("a folder");
    let region = |variables: &[(&str, &str)], flags: &Flags| {
        setting(&house.load(variables, flags).expect("it can be read"), "platform.region")
    };
    let none = Flags::default();
    assert_eq!(region(&[], &none).0, "\"us-west-2\"");
    fs::write(aws.join("config"), "[default]\nregion = us-east-1\n[profile hosting]\nregion = eu-west-1\n")
        .expect("a file");
    assert_eq!(region(&[], &none), ("\"us-east-1\"".into(), "AWS profile default".into()));
    let profile = Flags { profile: Some("hosting".into()), ..Flags::default() };
    assert_eq!(region(&[], &profile), ("\"eu-west-1\"".into(), "AWS profile hosting".into()));
    assert_eq!(region(&[("AWS_PROFILE", "hosting")], &none).0, "\"eu-west-1\"");
    assert_eq!(region(&[("AWS_REGION", "eu-west-3")], &profile), ("\"eu-west-3\"".into(), "AWS_REGION".into()));
    let flag = Flags { region: Some("eu-north-1".into()), ..profile.clone() };
    assert_eq!(region(&[("AWS_REGION", "eu-west-3")], &flag), ("\"eu-north-1\"".into(), "--region".into()));
    fs::write(aws.join("config"), "[profile hosting]\nregion = Oregon\n").expect("a file");
    let (kind, text) = house.failure(&[], &profile);
    assert!(kind == Kind::Configuration && text.contains("AWS profile hosting"), "{text}");
}

#[test]
fn the_sandbox_has_its_own_platform() {
    let flags = Flags { region: Some("eu-north-1".into()), ..Flags::default() };
    let elsewhere = Config::sandbox_with(&flags).expect("a region");
    assert_eq!(setting(&elsewhere, "platform.region"), ("\"eu-north-1\"".into(), "--region".into()));
    let config = Config::sandbox();
    assert_eq!(config.host().expect("a domain").as_str(), "meet.example.org");
    assert_eq!(setting(&config, "platform.account"), ("\"111122223333\"".into(), "sandbox".into()));
}

#[test]
fn nonsense_is_named_with_its_place_and_its_remedy() {
    let mut said = Vec::new();
    for text in [
        "[platform]\ndomian = \"meet.example.org\"",
        "[platfrom]\ndomain = \"meet.example.org\"",
        "region = \"us-west-2\"",
        "[platform]\ncolour = \"blue\"",
        "[weather]\nsun = true",
        "platform = \"meet\"",
        "[platform]\nname = jitsi",
        "[platform\nname = \"x\"",
        "[platform]\nname = \"a\"\nname = \"b\"",
        "[platform]\nname = \"\"",
        "[platform]\nname = \"Jitsi\"",
        "[platform.name]\nx = 1",
        "[platform]\ndomain = \"192.0.2.1\"",
        "[platform]\ndomain = \"https://meet.example.org/\"",
        "[platform]\nregion = \"oregon\"",
        "[platform]\naccount = \"11112222333\"",
        "[platform]\naccount = 111122223333",
        "[session]\nlength = \"0\"",
        "[session]\nlength = \"0m\"",
        "[session]\nlength = \"-3h\"",
        "[session]\nlength = 20",
        "[session]\nlength = \"1000h\"",
        "[dns]\nservers = [\"foo\"]",
        "[dns]\nservers = \"192.0.2.53\"",
        "[dns]\nport = 70000",
        "[dns]\nport = 99999999999999999999",
        "[probe]\nmedia = \"maybe\"",
        "[occupancy]\nsource = \"crystal ball\"",
        "\u{feff}[platform]\nname = 'a\u{0}b'",
    ] {
        let house = House::new();
        let (kind, failure) = house.project(text).failure(&[], &Flags::default());
        assert_eq!(kind, Kind::Configuration, "{text}");
        said.push(format!("{text:?}\n    {}", failure.replace(" | ", "\n    ")));
    }
    insta::assert_snapshot!("nonsense", said.join("\n"));
}

#[test]
fn a_bad_flag_is_wrong_usage_and_a_bad_variable_is_not() {
    let house = House::new();
    let flags = Flags { region: Some("oregon".into()), ..Flags::default() };
    let (kind, text) = house.failure(&[], &flags);
    assert_eq!(kind, Kind::Usage);
    assert!(text.ends_with("write it like this: `--region us-west-2`"), "{text}");
    let (kind, text) = house.failure(&[("MEETCTL_PROBE_MEDIA", "maybe")], &Flags::default());
    assert_eq!(kind, Kind::Configuration);
    assert!(text.ends_with("set it like this: MEETCTL_PROBE_MEDIA=true"), "{text}");
}

#[test]
fn a_missing_domain_points_to_init() {
    let house = House::new();
    let config = house.load(&[], &Flags::default()).expect("good for what needs no platform");
    let failure = Failure::from(config.sight().expect_err("there is no domain"));
    assert_eq!(failure.kind, Kind::Configuration);
    assert!(failure.next[0].contains("`meetctl init`"), "{failure:?}");
}

#[test]
fn private_roots_are_read_or_refused() {
    let house = House::new();
    for (text, why) in [("no certificate", "there is no certificate in it"), ("", "there is no certificate in it")] {
        house.project("[tls]\nca_file = \"own.pem\"");
        fs::write(house.root.path().join("project/own.pem"), text).expect("a file");
        let error = house.load(&[], &Flags::default()).expect("good").private_roots().expect_err("no root");
        assert_eq!(Failure::from(error).why, [why]);
    }
}

#[test]
fn files_that_are_no_text_are_refused() {
    let house = House::new();
    let path = house.root.path().join("project/meetctl.toml");
    fs::write(&path, b"[platform]\nname = \"\xff\xfe\"").expect("a file");
    assert!(house.failure(&[], &Flags::default()).1.contains("line 2 is not UTF-8"));
    fs::write(&path, vec![b'#'; 2 * 1024 * 1024]).expect("a file");
    assert!(house.failure(&[], &Flags::default()).1.contains("larger than 1 MiB"));
    let flags = Flags { config: Some(PathBuf::from("/dev/zero")), ..Flags::default() };
    assert!(house.failure(&[], &flags).1.contains("it is a device, not a file"));
    let flags = Flags { config: Some(house.root.path().to_owned()), ..Flags::default() };
    assert_eq!(house.failure(&[], &flags).0, Kind::Configuration);
}

#[test]
fn no_text_makes_it_panic() {
    let path = Path::new("meetctl.toml");
    proptest!(|(text in "\\PC*")| {
        let _ = parse_file(path, &text).map_err(Failure::from);
    });
}

#[test]
fn no_configuration_makes_it_panic() {
    let section = r"\[(platform|dns|session|[a-z.]{0,6})\]\n";
    let line = "(name|servers|length|port|[a-z.\"]{1,6}) ?= ?(\"[^\"]{0,8}\"|[0-9.e:-]{1,9}|\\[.{0,9}\\]|true)\n";
    let house = House::new();
    let any = format!("({section}|{line}|[\\x00-\\x7f]{{0,4}}|é){{0,8}}");
    let text = proptest::string::string_regex(&any).expect("a pattern");
    proptest!(|(text in text)| {
        house.project(&text);
        if let Err(error) = house.load(&[], &Flags::default()) {
            prop_assert!(!Failure::from(error).next.is_empty());
        }
    });
}

#[test]
fn no_variable_makes_it_panic() {
    let house = House::new();
    let keys = meetctl::config::KEYS.iter().flat_map(|k| k.variables.iter().copied()).collect::<Vec<_>>();
    proptest!(|(variable in proptest::sample::select(keys), value in "\\PC{0,40}")| {
        let _ = house.load(&[(variable, &value)], &Flags::default()).map_err(Failure::from);
    });
}
