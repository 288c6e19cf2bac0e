//! What Terraform is called with: its arguments, and its environment, which is built from nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use crate::world::KeySet;

/// One call of the program.
#[derive(Clone, Debug)]
pub(super) enum Call<'a> {
    Version,
    /// Without a backend: the state is a file in the folder.
    Init {
        backend: Option<&'a Backend>,
    },
    Plan {
        out: &'a Path,
        variables: &'a [(&'static str, String)],
        file: Option<&'a Path>,
        /// Nothing but this resource, and what it needs.
        only: Option<&'a str>,
    },
    ShowPlan {
        file: &'a Path,
    },
    Apply {
        file: &'a Path,
    },
    ListState,
    Output,
}

/// Where the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) region: String,
}

/// How long a call waits for a lock that is only held for a moment.
const LOCK_TIMEOUT: &str = "-lock-timeout=20s";

pub(super) fn arguments(call: &Call<'_>) -> Vec<OsString> {
    let words: Vec<String> = match call {
        Call::Version => vec!["version".into()],
        Call::Init { backend } => {
            let mut words: Vec<String> = ["init", "-input=false", "-no-color", "-reconfigure"].map(Into::into).into();
            for (key, value) in
                backend.iter().flat_map(|b| [("bucket", &b.bucket), ("key", &b.key), ("region", &b.region)])
            {
                words.push(format!("-backend-config={key}={value}"));
            }
            words
        }
        Call::Plan { out, variables, file, only } => {
            let mut words: Vec<String> = ["plan", "-input=false", "-json", LOCK_TIMEOUT].map(Into::into).into();
            words.push(format!("-out={}", out.display()));
            words.extend(file.map(|f| format!("-var-file={}", f.display())));
            words.extend(only.map(|address| format!("-target={address}")));
            // After the file: what meetctl says wins.
            words.extend(variables.iter().map(|(name, value)| format!("-var={name}={value}")));
            words
        }
        Call::ShowPlan { file } => vec!["show".into(), "-json".into(), file.display().to_string()],
        Call::Apply { file } => {
            vec!["apply".into(), "-input=false".into(), "-json".into(), LOCK_TIMEOUT.into(), file.display().to_string()]
        }
        Call::ListState => vec!["state".into(), "list".into()],
        Call::Output => vec!["output".into(), "-json".into()],
    };
    words.into_iter().map(Into::into).collect()
}

/// What Terraform and the provider need of the environment, and nothing else: no `TF_VAR_…`, no `TF_CLI_ARGS`, no
/// profile. The credentials are those that meetctl uses itself.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TF_CLI_CONFIG_FILE",
    "TF_PLUGIN_CACHE_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "AWS_CA_BUNDLE",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
];
const PASSED_PREFIXES: &[&str] = &["AWS_ENDPOINT_URL", "TF_TOKEN_"];

/// The environment of the program. `ours` wins over what is passed.
pub(super) fn environment(
    outside: &BTreeMap<String, String>,
    keys: Option<&KeySet>,
    region: &str,
    cache: &Path,
    data: &Path,
) -> BTreeMap<String, OsString> {
    let is_passed =
        |name: &str| PASSED.contains(&name) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut all: BTreeMap<String, OsString> =
        outside.iter().filter(|(k, _)| is_passed(k)).map(|(k, v)| (k.clone(), v.into())).collect();
    all.entry("TF_PLUGIN_CACHE_DIR".into()).or_insert_with(|| cache.into());
    for (name, value) in [("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0"), ("CHECKPOINT_DISABLE", "1")] {
        all.insert(name.into(), value.into());
    }
    all.insert("TF_DATA_DIR".into(), data.into());
    all.insert("AWS_REGION".into(), region.into());
    all.insert("AWS_EC2_METADATA_DISABLED".into(), "true".into());
    if let Some(keys) = keys {
        all.insert("AWS_ACCESS_KEY_ID".into(), (&keys.access_key_id).into());
        all.insert("AWS_SECRET_ACCESS_KEY".into(), (&keys.secret_access_key).into());
        all.extend(keys.session_token.iter().map(|token| ("AWS_SESSION_TOKEN".into(), token.into())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(call: &Call<'_>) -> Vec<String> {
        arguments(call).into_iter().map(|w| w.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn every_call_has_its_arguments() {
        let backend = Backend { bucket: "b".into(), key: "k".into(), region: "us-west-2".into() };
        assert_eq!(
            words(&Call::Init { backend: Some(&backend) }),
            [
                "init",
                "-input=false",
                "-no-color",
                "-reconfigure",
                "-backend-config=bucket=b",
                "-backend-config=key=k",
                "-backend-config=region=us-west-2"
            ]
        );
        let variables = [("power", "standby".to_owned())];
        assert_eq!(
            words(&Call::Plan {
                out: Path::new("p"),
                variables: &variables,
                file: Some(Path::new("my.tfvars")),
                only: None
            }),
            [
                "plan",
                "-input=false",
                "-json",
                "-lock-timeout=20s",
                "-out=p",
                "-var-file=my.tfvars",
                "-var=power=standby"
            ]
        );
        // Exactly what was planned: neither variables nor -auto-approve.
        assert_eq!(
            words(&Call::Apply { file: Path::new("p") }),
            ["apply", "-input=false", "-json", "-lock-timeout=20s", "p"]
        );
    }

    #[test]
    fn the_environment_is_built_from_nothing() {
        let outside = [
            ("PATH", "/bin"),
            ("TF_VAR_power", "standby"),
            ("TF_CLI_ARGS", "-lock=false"),
            ("AWS_PROFILE", "other"),
            ("AWS_ACCESS_KEY_ID", "other"),
            ("AWS_ENDPOINT_URL_S3", "http://192.0.2.1"),
            ("GITHUB_TOKEN", "secret"),
        ];
        let outside = outside.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let keys = KeySet { access_key_id: "AKIA".into(), secret_access_key: "s".into(), session_token: None };
        let found = environment(&outside, Some(&keys), "us-west-2", Path::new("/c"), Path::new("/d"));
        assert_eq!(found["AWS_ACCESS_KEY_ID"], "AKIA");
        assert_eq!(found["AWS_ENDPOINT_URL_S3"], "http://192.0.2.1");
        assert_eq!(found["TF_PLUGIN_CACHE_DIR"], "/c");
        for absent in ["TF_VAR_power", "TF_CLI_ARGS", "AWS_PROFILE", "GITHUB_TOKEN", "AWS_SESSION_TOKEN"] {
            assert!(!found.contains_key(absent), "{absent}");
        }
        assert_eq!(format!("{keys:?}"), "KeySet(…)");
    }
}
