//! `meetctl init`

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Context, Subcommand};
use crate::config::{AwsProfile, Environment};
use crate::domain::name::{AccountId, Host, PlatformName, Region};
use crate::error::{Failure, Kind, Outcome};
use crate::files;
use crate::outside::Desk;

/// Write a commented `meetctl.toml` into this folder
///
/// Asks for what it cannot find out. Region, profile and account are looked for in the environment and in the
/// configuration of the AWS tools. With `--no-input` everything must come from there or from options.
///
/// Example: `meetctl init --domain meet.example.org --no-input`
#[derive(clap::Args)]
pub struct Args {
    /// Overwrite a file that is there
    #[arg(long)]
    force: bool,
}

/// What goes into the file.
#[derive(Debug, PartialEq)]
struct Answers {
    name: PlatformName,
    domain: Host,
    region: Region,
    account: Option<AccountId>,
    profile: Option<String>,
}

impl Subcommand for Args {
    const NAME: &'static str = "init";
    type Place = Desk;

    async fn run(&self, desk: &Context<Desk>) -> Result<Outcome, Failure> {
        let named = desk.options.flags.config.clone().or_else(|| desk.environment.path("MEETCTL_CONFIG"));
        let path = desk.environment.folder.join(named.unwrap_or_else(|| PathBuf::from("meetctl.toml")));
        if path.exists() && !self.force {
            return Err(exists(&path));
        }
        let answers = if desk.options.may_ask() {
            gather(desk, Some(&mut Person { input: io::stdin().lock(), output: io::stderr().lock() }))
        } else {
            gather::<io::Empty, io::Sink>(desk, None)
        }?;
        save(&path, &answers.to_toml(), self.force)?;
        desk.say.note(format!("wrote {}; now try `meetctl status`", path.display()));
        Ok(Outcome::Done)
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(Kind::Configuration, format!("{} exists already", path.display()))
        .because("it may hold what somebody has written by hand")
        .next("edit it, or overwrite it with `meetctl init --force`")
}

/// Writes the file at once and whole; without `force` only where there is none.
fn save(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let written = if force {
        files::replace(path, text.as_bytes())
    } else {
        OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut f| f.write_all(text.as_bytes()))
    };
    written.map_err(|e| match e.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::new(Kind::Configuration, format!("{} could not be written", path.display()))
            .because(e.to_string())
            .next("check the folder and its permissions, or name another file with `--config FILE`"),
    })
}

/// Somebody to ask.
struct Person<I, O> {
    input: I,
    output: O,
}

impl<I: BufRead, O: Write> Person<I, O> {
    /// Asks until the answer makes sense. An empty one takes what is offered.
    fn ask<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        question: &str,
        offered: Option<&str>,
    ) -> io::Result<Option<T>> {
        loop {
            match offered {
                Some(offered) => write!(self.output, "{question} [{offered}]: ")?,
                None => write!(self.output, "{question}: ")?,
            }
            self.output.flush()?;
            let mut line = String::new();
            if self.input.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let given = match line.trim() {
                "" => offered.unwrap_or_default(),
                given => given,
            };
            if given.is_empty() {
                return Ok(None);
            }
            match given.parse() {
                Ok(answer) => return Ok(Some(answer)),
                Err(why) => writeln!(self.output, "  {why}")?,
            }
        }
    }
}

fn gather<I: BufRead, O: Write>(
    desk: &Context<Desk>,
    mut person: Option<&mut Person<I, O>>,
) -> Result<Answers, Failure> {
    let (flags, environment) = (&desk.options.flags, &desk.environment);
    let profile = flags.profile.clone().or_else(|| of(environment, &["MEETCTL_PROFILE", "AWS_PROFILE"]));
    let aws = AwsProfile::of(environment, profile.as_deref().unwrap_or("default"));
    let said = |flag: &Option<String>, variables: &[&str]| flag.clone().or_else(|| of(environment, variables));
    let name = said(&flags.platform, &["MEETCTL_PLATFORM"]);
    let domain = said(&flags.domain, &["MEETCTL_DOMAIN"]);
    let region = said(&flags.region, &["MEETCTL_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]);
    Ok(Answers {
        domain: settle(
            person.as_deref_mut(),
            domain,
            "The name under which people meet, such as meet.example.org",
            None,
        )?
        .ok_or_else(|| missing("--domain meet.example.org"))?,
        name: settle(person.as_deref_mut(), name, "The platform's name", Some("jitsi-video-platform"))?
            .ok_or_else(|| missing("--platform jitsi-video-platform"))?,
        region: settle(person.as_deref_mut(), region.or(aws.region), "The AWS region", Some("us-west-2"))?
            .ok_or_else(|| missing("--region us-west-2"))?,
        account: settle(
            person.as_deref_mut(),
            said(&flags.account, &["MEETCTL_ACCOUNT"]).or(aws.account),
            "The AWS account, 12 digits (empty: any)",
            None,
        )?,
        profile: settle(person, profile, "The AWS profile (empty: the usual one)", None)?,
    })
}

fn of(environment: &Environment, variables: &[&str]) -> Option<String> {
    variables.iter().find_map(|v| environment.value(v)).map(str::to_owned)
}

/// What was said, else what is answered, else what is offered.
fn settle<T: FromStr<Err: std::fmt::Display>, I: BufRead, O: Write>(
    person: Option<&mut Person<I, O>>,
    said: Option<String>,
    question: &str,
    offered: Option<&str>,
) -> Result<Option<T>, Failure> {
    let parse = |given: &str| {
        given.parse().map_err(|e: T::Err| {
            Failure::new(Kind::Usage, "an option or a variable is not valid")
                .because(e.to_string())
                .next("say it differently; see `meetctl init --help`")
        })
    };
    match (said, person) {
        (Some(said), _) => parse(&said).map(Some),
        (None, None) => offered.map(parse).transpose(),
        (None, Some(person)) => person.ask(question, offered).map_err(|e| {
            Failure::new(Kind::Usage, "there was no answer to read").because(e.to_string()).next("use `--no-input`")
        }),
    }
}

fn missing(option: &str) -> Failure {
    Failure::new(Kind::Usage, "something is missing that cannot be found out")
        .because("no option, no variable and no answer says it")
        .next(format!("say it: `meetctl init {option}`"))
}

impl Answers {
    fn to_toml(&self) -> String {
        let mut out =
            String::from("# meetctl's configuration. `meetctl config show --origin` shows what is in force.\n");
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let optional = |key: &str, value: Option<&str>, example: &str| match value {
            Some(value) => format!("{key} = {}", quoted(value)),
            None => format!("# {key} = \"{example}\""),
        };
        let account = optional("account", self.account.as_ref().map(AccountId::as_str), "111122223333");
        let profile = optional("profile", self.profile.as_deref(), "jitsi-hosting");
        let _ = write!(
            out,
            r#"
[platform]
# Prefix of every resource's name.
name = "{}"
# The name under which people meet.
domain = "{}"
region = "{}"
# Credentials that belong to another account are refused.
{account}

[aws]
# The profile with the credentials; without it the usual chain of the AWS tools.
{profile}

[session]
# How long a session is expected to last; credentials that end sooner are warned of.
length = "3h"

[dns]
# Name servers to ask instead of the system's resolver.
# servers = ["192.0.2.53"]

[tls]
# One more root to trust, always shown as a warning; relative to this file.
# ca_file = "private-root.pem"

[probe]
# false: `up` and `health` stop at signalling, and say that media was not proven.
media = true

[occupancy]
# Who counts the people: "sidecar", or "none": then `down` refuses for nobody, and `status` says so.
source = "sidecar"
"#,
            self.name, self.domain, self.region
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_until_the_answer_makes_sense() {
        let mut person = Person { input: &b"https://x\n  meet.example.org \n\n\n"[..], output: Vec::new() };
        let host: Option<Host> = person.ask("Name", None).expect("readable");
        assert_eq!(host.expect("an answer").as_str(), "meet.example.org");
        let region: Option<Region> = person.ask("Region", Some("us-west-2")).expect("readable");
        assert_eq!(region.expect("what was offered").as_str(), "us-west-2");
        assert_eq!(person.ask::<AccountId>("Account", None).expect("readable"), None);
        assert_eq!(person.ask::<AccountId>("Account", None).expect("the end"), None);
        let said = String::from_utf8(person.output).expect("text");
        assert!(said.contains("is not a host name") && said.contains("Region [us-west-2]: "), "{said}");
    }
}
