//! The Terraform port over a program that only pretends: arguments, lines, exit codes, interrupts. Real processes, and
//! the real clock.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use meetctl::domain::changes::{Data, Deed, Recordings, Wanted};
use meetctl::domain::name::AccountId;
use meetctl::domain::said::Said;
use meetctl::error::{Failure, Kind};
use meetctl::world::terraform::{Program, Settings};
use meetctl::world::{CloudError, Errand, KeySet, Keys, Terraform, TerraformError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A folder with the program, and what it will say.
struct Fake {
    home: TempDir,
}

struct Fixed;

#[async_trait]
impl Keys for Fixed {
    async fn keys(&self) -> Result<KeySet, CloudError> {
        let (access_key_id, secret_access_key) = ("AKIAFAKE".into(), "not-a-secret".into());
        Ok(KeySet { access_key_id, secret_access_key, session_token: Some("token".into()) })
    }
}

impl Fake {
    fn new(name: &str, version: &str) -> Self {
        let fake = Self { home: tempfile::tempdir().expect("a folder") };
        fs::create_dir(fake.bin()).expect("a folder");
        fake.install(name, version);
        fake.say("show.out", r#"{"resource_changes":[]}"#);
        fake
    }

    /// A link: a program that was just written cannot be run while another test starts a process.
    fn install(&self, name: &str, version: &str) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/terraform/program.sh");
        symlink(program, self.bin().join(name)).expect("a link");
        self.say(&format!("version-{name}"), version);
    }

    fn bin(&self) -> PathBuf {
        self.home.path().join("bin")
    }

    fn say(&self, file: &str, text: &str) {
        fs::write(self.bin().join(file), text).expect("written");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.bin().join(file)).unwrap_or_default()
    }

    fn program(&self) -> Program {
        self.program_with(None)
    }

    fn program_with(&self, variables: Option<PathBuf>) -> Program {
        let path = format!("{}:/usr/bin:/bin", self.bin().display());
        let environment = [("PATH", path.as_str()), ("HOME", "/nowhere"), ("TF_VAR_power", "x"), ("AWS_PROFILE", "y")];
        let environment: BTreeMap<String, String> = environment.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Program::new(Settings {
            platform: "platform".parse().expect("a name"),
            domain: "meet.example.org".parse().expect("a host"),
            region: "us-west-2".parse().expect("a region"),
            environment,
            data: self.home.path().join("data"),
            cache: self.home.path().join("cache"),
            own: None,
            variables,
            keys: Arc::new(Fixed),
            pause: Some(Duration::ZERO),
        })
    }
}

fn account() -> AccountId {
    "111122223333".parse().expect("an account")
}

async fn plan(program: &Program, wanted: Wanted) -> Result<Vec<(String, Deed)>, TerraformError> {
    let (account, stop) = (account(), CancellationToken::new());
    let planned = program.plan(wanted, Errand { account: &account, said: &|_| {}, stop: &stop }).await?;
    Ok(planned.changes.resources.into_iter().map(|c| (c.address, c.deed)).collect())
}

const TERRAFORM: &str = "Terraform v1.11.4\non linux_amd64\n";
const DEPLOYED: Wanted = Wanted::Deployed { adopt_recordings: false, data: Data::Stays };

#[tokio::test]
async fn a_plan_is_made_and_exactly_that_is_applied() {
    let fake = Fake::new("terraform", TERRAFORM);
    fake.say(
        "show.out",
        r#"{"resource_changes":[{"address":"aws_lb.this[0]","mode":"managed","type":"aws_lb","change":{"actions":["delete"]}}]}"#,
    );
    fake.say(
        "apply.out",
        "{\"type\":\"apply_complete\",\"hook\":{\"resource\":{\"addr\":\"aws_lb.this[0]\"},\"action\":\"delete\",\"elapsed_seconds\":18}}\nnonsense\n",
    );
    let program = fake.program();
    let (account, stop) = (account(), CancellationToken::new());
    let heard = Mutex::new(Vec::new());
    let said = |said: Said| heard.lock().expect("no panic").push(said.to_string());
    let errand = Errand { account: &account, said: &said, stop: &stop };
    let planned = program.plan(Wanted::PoweredDown, errand).await.expect("a plan");
    assert_eq!(planned.changes.to_string(), "1 to delete");
    program.apply(planned, errand).await.expect("applied");
    assert!(heard.lock().expect("no panic").contains(&"aws_lb.this[0]: delete, done in 18 s".to_owned()));

    let calls = fake.read("calls");
    let calls: Vec<&str> = calls.lines().filter(|c| *c != "version").collect();
    let [init, plan, show, apply] = calls.as_slice() else { panic!("{calls:?}") };
    assert!(init.contains("-backend-config=bucket=platform-tfstate-111122223333"), "{init}");
    assert!(plan.contains("-var=power=powered-down") && plan.contains("-var=account_id=111122223333"), "{plan}");
    assert!(show.starts_with("show -json "), "{show}");
    assert!(apply.starts_with("apply -input=false -json ") && apply.ends_with("/run/plan"), "{apply}");
    assert!(!apply.contains("-var") && !apply.contains("auto-approve"), "{apply}");

    let env = fake.read("env");
    for line in ["AWS_ACCESS_KEY_ID=AKIAFAKE", "AWS_SESSION_TOKEN=token", "AWS_REGION=us-west-2", "TF_IN_AUTOMATION=1"]
    {
        assert!(env.lines().any(|l| l == line), "{line} in {env}");
    }
    assert!(!env.contains("TF_VAR_power") && !env.contains("AWS_PROFILE"), "{env}");
}

#[tokio::test]
async fn programs_are_found_and_their_versions_checked() {
    let old = Fake::new("terraform", "Terraform v1.5.7\n");
    let error = plan(&old.program(), DEPLOYED).await.expect_err("too old");
    assert!(matches!(&error, TerraformError::TooOld { found, .. } if found == "1.5"), "{error:?}");
    // OpenTofu beside a Terraform that is too old is good enough.
    old.install("tofu", "OpenTofu v1.11.0\n");
    assert_eq!(plan_soon(&old.program(), DEPLOYED).await.expect("a plan"), []);

    let none = Fake::new("something-else", TERRAFORM);
    assert_eq!(plan(&none.program(), DEPLOYED).await.expect_err("missing"), TerraformError::Missing);
}

/// Terraform would wait for a FIFO, and read a device without end.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a FIFO is made by a program")]
async fn a_file_with_variables_is_a_file() {
    let fake = Fake::new("terraform", TERRAFORM);
    let fifo = fake.bin().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    for odd in [fifo, fake.bin(), "/dev/zero".into(), fake.bin().join("missing.tfvars")] {
        let error = plan(&fake.program_with(Some(odd.clone())), DEPLOYED).await.expect_err("nothing to read");
        assert!(matches!(&error, TerraformError::Variables { path, .. } if *path == odd), "{error:?}");
        assert_eq!(Failure::from(error).kind, Kind::Configuration);
    }
}

#[tokio::test]
async fn bad_days_have_names() {
    type Case = (&'static str, &'static str, &'static str, fn(&TerraformError) -> bool);
    let cases: &[Case] = &[
        ("init", "err", "Error: Failed to query available provider packages\n", |e| e.code() == "no-providers"),
        (
            "init",
            "err",
            "Error: S3 bucket \"platform-tfstate-111122223333\" does not exist.\n",
            |e| matches!(e, TerraformError::StateGone { bucket } if bucket == "platform-tfstate-111122223333"),
        ),
        ("init", "err", "write /x: no space left on device\n", |e| e.code() == "disk-full"),
        (
            "plan",
            "out",
            "{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"Error acquiring the state lock\",\"detail\":\"Lock Info:\\n  ID:        1-2\\n  Who:       ada@workstation\\n\"}}\n",
            |e| matches!(e, TerraformError::Locked { lock } if lock.who == "ada@workstation"),
        ),
        (
            "plan",
            "out",
            "{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"no\",\"detail\":\"User: x is not authorized to perform: ec2:DescribeVpcs on resource: y\",\"address\":\"aws_vpc.this\"}}\n",
            |e| matches!(e, TerraformError::Denied { action: Some(a), .. } if a == "ec2:DescribeVpcs"),
        ),
    ];
    for (call, stream, text, is_it) in cases {
        let fake = Fake::new("terraform", TERRAFORM);
        fake.say(&format!("{call}.{stream}"), text);
        fake.say(&format!("{call}.code"), "1");
        let error = plan(&fake.program(), DEPLOYED).await.expect_err(text);
        assert!(is_it(&error), "{text}: {error:?}");
    }
}

const LISTENER: &str = r#"{"resource_changes":[{"address":"aws_eip.this[0]","type":"aws_eip","change":{"actions":["delete"]}},{"address":"aws_lb.this[0]","type":"aws_lb","change":{"actions":["delete"]}}]}"#;
const REST: &str =
    r#"{"resource_changes":[{"address":"aws_eip.this[0]","type":"aws_eip","change":{"actions":["delete"]}}]}"#;
const MORE: &str =
    r#"{"resource_changes":[{"address":"aws_vpc.this","type":"aws_vpc","change":{"actions":["delete"]}}]}"#;
const ADDRESS: &str = "{\"type\":\"diagnostic\",\"diagnostic\":{\"severity\":\"error\",\"summary\":\"deleting EC2 EIP\",\"detail\":\"DisassociateAddress, api error AuthFailure: no permission\"}}\n";

/// An address that its load balancer still holds is free a little later; anything else is another question.
#[tokio::test]
async fn what_mends_itself_is_tried_once_more_and_only_the_rest_of_it() {
    for (rest, applies) in [(REST, 2), (MORE, 1)] {
        let fake = Fake::new("terraform", TERRAFORM);
        fake.say("show.out", LISTENER);
        let program = fake.program();
        let (account, stop) = (account(), CancellationToken::new());
        let bin = fake.bin();
        // It says what it will do, and then the world goes on: the rest is all that is left to plan.
        let said = |said: Said| {
            if matches!(&said, Said::Doing { what } if what.contains("tried once more")) {
                fs::write(bin.join("show.out"), rest).expect("written");
                fs::write(bin.join("apply.code"), "0").expect("written");
            }
        };
        let errand = Errand { account: &account, said: &said, stop: &stop };
        let planned = program.plan(Wanted::PoweredDown, errand).await.expect("a plan");
        fake.say("apply.out", ADDRESS);
        fake.say("apply.code", "1");
        let ended = program.apply(planned, errand).await;
        assert_eq!(ended.map_err(|error| error.code()).err(), (applies == 1).then_some("address-in-use"));
        assert_eq!(fake.read("calls").lines().filter(|call| call.starts_with("apply")).count(), applies);
    }
}

#[tokio::test]
async fn what_does_not_mend_itself_twice_is_told() {
    let fake = Fake::new("terraform", TERRAFORM);
    fake.say("show.out", REST);
    let program = fake.program();
    let (account, stop) = (account(), CancellationToken::new());
    let errand = Errand { account: &account, said: &|_| {}, stop: &stop };
    let planned = program.plan(Wanted::PoweredDown, errand).await.expect("a plan");
    fake.say("apply.out", ADDRESS);
    fake.say("apply.code", "1");
    assert_eq!(program.apply(planned, errand).await.expect_err("still held").code(), "address-in-use");
    assert_eq!(fake.read("calls").lines().filter(|call| call.starts_with("apply")).count(), 2);
}

#[tokio::test]
async fn without_a_state_nothing_is_managed() {
    let fake = Fake::new("terraform", TERRAFORM);
    let (account, stop) = (account(), CancellationToken::new());
    let errand = Errand { account: &account, said: &|_| {}, stop: &stop };
    fake.say("state.out", "data.aws_region.x\naws_vpc.this\n");
    let program = fake.program();
    assert_eq!(program.managed(errand).await.expect("a list"), Some(vec!["aws_vpc.this".to_owned()]));
    fake.say("state.code", "1");
    fake.say("state.err", "No state file was found!\n");
    assert_eq!(program.managed(errand).await.expect("no list"), None);
    fake.say("state.err", "something else\n");
    assert!(program.managed(errand).await.is_err(), "unreadable is not gone");
}

#[tokio::test]
async fn the_removal_lets_go_of_recordings_unless_told() {
    let fake = Fake::new("terraform", TERRAFORM);
    let program = fake.program();
    let keep = fake.home.path().join("data/platform-us-west-2/terraform/removal/keep-recordings.tf");
    plan(&program, Wanted::Removed { recordings: Recordings::Kept }).await.expect("a plan");
    assert!(keep.exists());
    plan(&program, Wanted::Removed { recordings: Recordings::Deleted }).await.expect("a plan");
    assert!(!keep.exists());
}

/// One interrupt, and the program saves its state.
#[tokio::test]
async fn an_interrupt_is_passed_on_once() {
    let fake = Fake::new("terraform", TERRAFORM);
    fake.say("slow-plan", "");
    let program = fake.program();
    let (account, stop) = (account(), CancellationToken::new());
    let errand = Errand { account: &account, said: &|_| {}, stop: &stop };
    let interrupting = async {
        while !fake.bin().join("started").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    let (planned, ()) = tokio::join!(program.plan(DEPLOYED, errand), interrupting);
    assert_eq!(planned.expect_err("interrupted"), TerraformError::Interrupted { saved: true });
    assert_eq!(fake.read("calls").lines().filter(|l| *l == "interrupted").count(), 1);
}

/// A plan once the lock that was just dropped is free: a process that another test starts at the same moment has the
/// lock's file, too, between its fork and its exec.
async fn plan_soon(program: &Program, wanted: Wanted) -> Result<Vec<(String, Deed)>, TerraformError> {
    for _ in 0..100 {
        match plan(program, wanted).await {
            Err(TerraformError::Busy) => tokio::time::sleep(Duration::from_millis(20)).await,
            other => return other,
        }
    }
    plan(program, wanted).await
}

/// Two at once would write over each other's plan.
#[tokio::test]
async fn one_meetctl_at_a_time() {
    let fake = Fake::new("terraform", TERRAFORM);
    let (first, second) = (fake.program(), fake.program());
    plan(&first, DEPLOYED).await.expect("a plan");
    assert_eq!(plan(&second, DEPLOYED).await.expect_err("busy"), TerraformError::Busy);
    drop(first);
    plan_soon(&second, DEPLOYED).await.expect("a plan");
}

/// A killed meetctl leaves Terraform behind, which finishes what it does; its words are not taken for ours.
#[tokio::test]
async fn a_program_that_was_left_behind_does_not_confuse_the_next() {
    let fake = Fake::new("terraform", TERRAFORM);
    fake.say("slow-plan", "");
    let left_behind = fake.program();
    let (account, stop) = (account(), CancellationToken::new());
    let errand = Errand { account: &account, said: &|_| {}, stop: &stop };
    tokio::select! {
        _ = left_behind.plan(DEPLOYED, errand) => panic!("it is slow"),
        () = async { while !fake.bin().join("started").exists() { tokio::time::sleep(Duration::from_millis(20)).await } } => {}
    }
    drop(left_behind);
    fs::remove_file(fake.bin().join("slow-plan")).expect("removed");
    let folder = fake.home.path().join("data/platform-us-west-2/run");
    let old = fs::File::open(folder.join("stdout")).expect("its output").metadata().expect("metadata");
    plan_soon(&fake.program(), DEPLOYED).await.expect("a plan");
    let new = fs::metadata(folder.join("stdout")).expect("metadata");
    assert_ne!(std::os::unix::fs::MetadataExt::ino(&old), std::os::unix::fs::MetadataExt::ino(&new));
    // End what was left behind: it is a child of this test.
    let pid = fs::read_to_string(fake.bin().join("pid")).expect("a pid").trim().parse().expect("a number");
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).expect("a pid"), rustix::process::Signal::TERM)
        .expect("it ran on");
}
