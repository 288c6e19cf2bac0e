//! No harm, no hanging: time limits, signals, closed pipes, odd settings and planted files, seen from outside.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A home with a project, and nothing of this machine's settings.
struct House(TempDir);

struct Ended {
    code: i32,
    text: String,
    took: Duration,
}

#[expect(clippy::disallowed_methods, reason = "how long the program really takes is what is tested")]
fn now() -> Instant {
    Instant::now()
}

impl House {
    fn new() -> Self {
        let house = Self(TempDir::new().expect("a folder"));
        fs::create_dir_all(house.path("home/.aws")).expect("a folder");
        fs::create_dir_all(house.path("work")).expect("a folder");
        fs::write(house.path("work/meetctl.toml"), "[platform]\ndomain = \"meet.example.org\"\n").expect("written");
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str, variables: &[(&str, &str)]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program is tested from outside")]
        let mut command = Command::new("bash");
        let program = Path::new(env!("CARGO_BIN_EXE_meetctl")).parent().expect("a folder");
        let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).expect("a path");
        command.args(["-c", line]).current_dir(self.path("work")).stdin(Stdio::null()).env_clear();
        command.env("PATH", path).env("HOME", self.path("home")).env("TZ", "UTC");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("NO_PROXY", "127.0.0.1");
        command.envs(variables.iter().copied());
        command
    }

    /// Runs a line of shell; one that hangs is ended.
    fn run(&self, line: &str, variables: &[(&str, &str)]) -> Ended {
        let began = now();
        let output = self.command(&format!("timeout -k 1 60 bash -c {}", quoted(line)), variables).output();
        let output = output.expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        Ended { code: output.status.code().unwrap_or(-1), text, took: began.elapsed() }
    }
}

fn quoted(line: &str) -> String {
    format!("'{}'", line.replace('\'', r"'\''"))
}

/// A server that accepts and never answers, for as long as the test runs.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];

mod time {
    use super::*;

    #[test]
    fn a_silent_endpoint_does_not_hold_anybody_up() {
        let (_listener, url) = silent();
        let variables = [&KEYS[..], &[("AWS_ENDPOINT_URL", url.as_str())]].concat();
        for (line, codes) in [
            ("meetctl status --timeout 4s", &[7, 9][..]),
            ("meetctl up --timeout 4s", &[7]),
            ("meetctl down --timeout 4s", &[7]),
            ("meetctl health --timeout 4s", &[7, 9]),
            ("meetctl why --timeout 4s", &[7, 9]),
            ("meetctl power-down --yes --account 111122223333 --timeout 4s", &[7]),
            ("meetctl status --watch --timeout 4s", &[6, 7, 9]),
        ] {
            let ended = House::new().run(line, &variables);
            assert!(codes.contains(&ended.code), "{line}: {} {}", ended.code, ended.text);
            assert!(ended.took < Duration::from_secs(12), "{line}: {:?}", ended.took);
        }
    }

    #[test]
    fn a_credential_process_that_sleeps_neither() {
        let house = House::new();
        let (_listener, url) = silent();
        let config = "[profile slow]\ncredential_process = sleep 1000\n";
        fs::write(house.path("home/.aws/config"), config).expect("written");
        for line in ["meetctl status --timeout 4s", "meetctl up --timeout 4s"] {
            let ended = house.run(line, &[("AWS_PROFILE", "slow"), ("AWS_ENDPOINT_URL", &url)]);
            assert!([7, 9].contains(&ended.code), "{line}: {} {}", ended.code, ended.text);
            assert!(ended.took < Duration::from_secs(12), "{line}: {:?}", ended.took);
        }
    }

    /// In simulated time, too, and what was awaited is said.
    #[test]
    fn what_was_awaited_is_named() {
        let house = House::new();
        let ended = house.run("meetctl --sandbox up --timeout 20s", &[]);
        assert_eq!(ended.code, 6, "{}", ended.text);
        assert!(ended.text.contains("task"), "{}", ended.text);
        let ended = house.run("meetctl --sandbox=running status --watch --timeout 35s", &[]);
        assert_eq!(ended.code, 6, "{}", ended.text);
        assert!(ended.text.contains("not done within 35 s"), "{}", ended.text);
    }

    /// A second signal ends the process whatever it does; the first one asks.
    #[test]
    fn signals() {
        let house = House::new();
        for (line, code) in
            [("meetctl --sandbox=running --pace 1 status --watch", 143), ("meetctl --sandbox --pace 1 up", 143)]
        {
            let both = format!("{line} & sleep 1; kill $!; sleep 0.3; kill $! 2>/dev/null; wait $!");
            let ended = house.run(&both, &[]);
            assert_eq!(ended.code, code, "{line}: {}", ended.text);
            assert!(ended.took < Duration::from_secs(10), "{line}: {:?}", ended.took);
        }
        // Nobody empties the pipe, so that the program cannot write on, and still it ends.
        let mut child = house
            .command("exec meetctl --sandbox=running --output json status --watch", &[])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        #[expect(clippy::disallowed_methods, reason = "until the pipe is full")]
        let pause = std::thread::sleep;
        pause(Duration::from_secs(2));
        for _ in 0..2 {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
            pause(Duration::from_millis(300));
        }
        let code = (0..50).find_map(|_| {
            pause(Duration::from_millis(100));
            child.try_wait().expect("a child")
        });
        assert_eq!(code.and_then(|status| status.code()), Some(143));
    }
}

mod pipes {
    use super::*;

    #[test]
    fn a_reader_that_is_gone_ends_every_command() {
        let house = House::new();
        for line in [
            "meetctl --sandbox=running --output json status --watch | head -1",
            "meetctl --sandbox=running status --watch | head -1",
            "meetctl --sandbox=running --pace 1 status --watch --every 1h | head -1",
            "meetctl --sandbox=running -q status --watch | head -1",
        ] {
            let ended = house.run(&format!("{line}; exit ${{PIPESTATUS[0]}}"), &[]);
            assert_eq!(ended.code, 0, "{line}: {}", ended.text);
            assert!(ended.took < Duration::from_secs(15), "{line}: {:?}", ended.took);
        }
        let ended = house.run("meetctl --sandbox --pace 1 --output json up | head -1; exit ${PIPESTATUS[0]}", &[]);
        assert_eq!(ended.code, 130, "a start that was not finished is not called done: {}", ended.text);
        assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
    }
}

mod sandbox {
    use super::*;

    #[test]
    fn an_empty_variable_is_no_sandbox_and_nothing_else() {
        let house = House::new();
        let (_listener, url) = silent();
        let variables = [&KEYS[..], &[("AWS_ENDPOINT_URL", url.as_str())]].concat();
        let ended = house.run("MEETCTL_SANDBOX= meetctl status --timeout 2s", &variables);
        assert!([7, 9].contains(&ended.code), "{} {}", ended.code, ended.text);
        assert!(!ended.text.contains("sandbox"), "{}", ended.text);
        for name in ["OUTPUT", "COLOR", "YES", "NO_INPUT", "NO_WAIT", "TIMEOUT", "PACE", "SEED", "QUIET", "VERBOSE"] {
            for value in ["", "  "] {
                let ended = house.run("meetctl --sandbox status", &[(&format!("MEETCTL_{name}"), value)]);
                assert_eq!(ended.code, 0, "MEETCTL_{name}={value:?}: {}", ended.text);
            }
        }
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        for (name, value) in [("MEETCTL_PACE", "1e9"), ("MEETCTL_OUTPUT", "xml"), ("MEETCTL_TIMEOUT", "soon")] {
            let ended = House::new().run("meetctl --sandbox status", &[(name, value)]);
            assert_eq!(ended.code, 3, "{name}: {}", ended.text);
            assert!(ended.text.contains(name), "{name}: {}", ended.text);
        }
        for pace in ["1e9", "-1", "nan", "1001", "0.5"] {
            let ended = House::new().run(&format!("meetctl --sandbox --pace={pace} status"), &[]);
            assert_eq!(ended.code, 2, "{pace}: {}", ended.text);
        }
        for pace in ["0", "1000"] {
            assert_eq!(House::new().run(&format!("meetctl --sandbox --pace {pace} status"), &[]).code, 0, "{pace}");
        }
    }

    #[test]
    fn every_answer_says_that_it_is_the_sandbox() {
        let house = House::new();
        for line in ["status", "-q status", "-q health", "-q why", "-q config show"] {
            let ended = house.run(&format!("meetctl --sandbox=running {line} 2>/dev/null"), &[]);
            assert!(ended.text.starts_with("this is the sandbox"), "{line}: {}", ended.text);
        }
        // What has no answer says it on stderr.
        for line in ["-q down", "-q up", "-q down --timeout 1s"] {
            let ended = house.run(&format!("meetctl --sandbox {line} 2>&1 >/dev/null"), &[]);
            assert!(ended.text.contains("this is the sandbox"), "{line}: {}", ended.text);
        }
        let ended = house.run("meetctl --sandbox=running --output json status", &[]);
        for line in ended.text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).expect("JSON Lines");
            assert_eq!(event["sandbox"], true, "{line}");
            assert_eq!(line.matches("\"sandbox\"").count(), 1, "{line}");
        }
    }

    /// Simulated time is the same at every pace, and so is everything that is said.
    #[test]
    fn the_same_story_at_every_pace() {
        for line in ["up", "health", "probe https://meet.example.org"] {
            let tell = |pace: u32| {
                let house = House::new();
                if line != "up" {
                    assert_eq!(house.run("meetctl --sandbox up", &[]).code, 0);
                }
                house.run(&format!("meetctl --sandbox --output json --pace {pace} {line}"), &[])
            };
            let unpaced = tell(0);
            assert_eq!(unpaced.code, 0, "{line}: {}", unpaced.text);
            for pace in [100, 300, 1000] {
                let paced = tell(pace);
                assert_eq!(paced.text, unpaced.text, "{line} at {pace}");
            }
        }
    }
}

mod settings {
    use super::*;

    #[test]
    fn odd_aws_settings_are_configuration_errors() {
        for (name, value) in [
            ("AWS_MAX_ATTEMPTS", "abc"),
            ("AWS_MAX_ATTEMPTS", "0"),
            ("AWS_RETRY_MODE", "legacy"),
            ("AWS_ENDPOINT_URL", ""),
            ("AWS_ENDPOINT_URL_ECS", "http://"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "x"),
            ("AWS_ACCESS_KEY_ID", "AKIA\u{1b}"),
            ("AWS_PROFILE", "typo"),
        ] {
            let ended = House::new().run("meetctl status --timeout 3s", &[(name, value)]);
            assert_eq!(ended.code, 3, "{name}={value:?}: {}", ended.text);
            assert!(ended.text.contains(name) || ended.text.contains("`typo`"), "{name}: {}", ended.text);
            assert!(!ended.text.contains("panicked"), "{}", ended.text);
        }
    }

    #[test]
    fn a_password_in_an_address_is_never_printed() {
        let (listener, url) = silent();
        let url = url.replace("http://", "http://ana:hunter2@");
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        for url in [url, format!("http://ana:hunter2@{closed}")] {
            let variables = [&KEYS[..], &[("AWS_ENDPOINT_URL", url.as_str())]].concat();
            for verbose in ["", "-v", "-vvv"] {
                let ended = House::new().run(&format!("meetctl status {verbose} --timeout 2s"), &variables);
                assert!(!ended.text.contains("hunter2"), "{verbose}: {}", ended.text);
                assert!([7, 9].contains(&ended.code), "{verbose}: {}", ended.code);
            }
        }
        drop(listener);
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let house = House::new();
        let made = house.run("mkfifo fifo && mkdir folder && truncate -s 10G large", &[]);
        assert_eq!(made.code, 0, "{}", made.text);
        for file in ["fifo", "folder", "large", "/dev/zero"] {
            for (line, code) in [
                (format!("meetctl --config {file} status"), 3),
                (format!("meetctl --sandbox probe https://meet.example.org --token-file {file}"), 3),
                (format!("meetctl --ca-file {file} status --timeout 3s"), 3),
                (format!("AWS_CONFIG_FILE={file} meetctl status --timeout 3s"), 3),
                (format!("AWS_SHARED_CREDENTIALS_FILE={file} meetctl status --timeout 3s"), 3),
            ] {
                let ended = house.run(&line, &[]);
                assert_eq!(ended.code, code, "{line}: {}", ended.text);
                assert!(ended.took < Duration::from_secs(5), "{line}: {:?}", ended.took);
            }
        }
        for file in ["fifo", "folder", "/dev/null", "/dev/stdout"] {
            let ended = house.run(&format!("meetctl --sandbox test-platform --report {file}"), &[]);
            assert_eq!(ended.code, 2, "{file}: {}", ended.text);
        }
        let ended = house.run("meetctl probe --max-loss nan https://meet.example.org", &[]);
        assert_eq!(ended.code, 2, "{}", ended.text);
    }
}

mod planted {
    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn a_configuration_that_others_can_write_is_refused_unless_it_is_named() {
        let house = House::new();
        let file = house.path("work/meetctl.toml");
        let below = house.path("work/deep");
        fs::create_dir(&below).expect("a folder");
        mode(&file, 0o666);
        for line in ["meetctl config show", "cd deep && meetctl config show", "meetctl status"] {
            let ended = house.run(line, &[]);
            assert_eq!(ended.code, 3, "{line}: {}", ended.text);
            assert!(ended.text.contains("everybody on this machine can write it"), "{line}: {}", ended.text);
        }
        assert_eq!(house.run("meetctl --config meetctl.toml config show", &[]).code, 0);
        assert_eq!(house.run("MEETCTL_CONFIG=meetctl.toml meetctl config show", &[]).code, 0);
        mode(&file, 0o644);
        assert_eq!(house.run("meetctl config show", &[]).code, 0);
        // The user's own file, and the folder of the sandbox, are found in the same way.
        let user = house.path("home/.config/meetctl/config.toml");
        fs::create_dir_all(user.parent().expect("a folder")).expect("a folder");
        fs::write(&user, "[session]\nlength = \"2h\"\n").expect("written");
        assert_eq!(house.run("meetctl config show", &[]).code, 0);
        mode(&user, 0o646);
        assert_eq!(house.run("meetctl config show", &[]).code, 3);
        mode(&user, 0o644);
        assert_eq!(house.run("meetctl --sandbox status", &[]).code, 0);
        mode(&house.path("home/.local/state/meetctl"), 0o777);
        assert_eq!(house.run("meetctl --sandbox status", &[]).code, 3);
        let named = house.path("home/.local/state/meetctl");
        assert_eq!(house.run("meetctl --sandbox status", &[("MEETCTL_STATE_DIR", &named.to_string_lossy())]).code, 0);
    }

    /// Only root can make a file of somebody else's; elsewhere the rule alone is tested, beside it.
    #[test]
    fn a_configuration_of_somebody_else_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let house = House::new();
        std::os::unix::fs::chown(house.path("work/meetctl.toml"), Some(4242), None).expect("root may");
        let ended = house.run("meetctl config show", &[]);
        assert_eq!(ended.code, 3, "{}", ended.text);
        assert!(ended.text.contains("it belongs to the user 4242, not to you"), "{}", ended.text);
        assert_eq!(house.run("meetctl --config meetctl.toml config show", &[]).code, 0);
    }

    #[test]
    fn a_report_replaces_a_link_and_can_be_written_again() {
        let house = House::new();
        fs::write(house.path("precious"), "precious").expect("written");
        symlink(house.path("precious"), house.path("work/report.html")).expect("a link");
        for turn in 1..=2 {
            let ended = house.run("meetctl --sandbox=running test-platform -q --report report.html", &[]);
            assert_eq!(ended.code, 0, "{turn}: {}", ended.text);
            let report = house.path("work/report.html");
            assert!(fs::symlink_metadata(&report).expect("a report").is_file(), "{turn}");
            assert!(fs::read_to_string(&report).expect("a report").contains("<html"), "{turn}");
            assert_eq!(fs::read_to_string(house.path("precious")).expect("untouched"), "precious");
        }
        let drafts = fs::read_dir(house.path("work")).expect("a folder").filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".report"))
        });
        assert_eq!(drafts.count(), 0);
    }
}
