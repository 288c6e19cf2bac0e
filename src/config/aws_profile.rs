//! What a profile of the AWS tools' configuration says: the region, and the account of its sign-in.
//!
//! Read here, and not by the SDK, because the configuration is made of the environment that it is given, and before
//! anything is asked of AWS. Credentials are never read.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Environment;

/// Nobody writes more by hand.
const LONGEST: u64 = 1024 * 1024;

/// A profile, as far as it says something about the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsProfile {
    pub region: Option<String>,
    /// `sso_account_id`
    pub account: Option<String>,
}

impl AwsProfile {
    /// The profile of this name; empty where there is none.
    pub fn of(environment: &Environment, name: &str) -> Self {
        let text = file(environment).and_then(|path| text_of(&path));
        text.map(|text| Self::read(&text, name)).unwrap_or_default()
    }

    /// Sections are `[default]` and `[profile NAME]`; settings of settings are indented.
    fn read(text: &str, profile: &str) -> Self {
        let mut found = Self::default();
        let mut inside = false;
        for line in text.lines() {
            if let Some(section) = line.trim_end().strip_prefix('[') {
                inside = section.split(']').next().is_some_and(|section| is_of(section.trim(), profile));
            } else if inside
                && !line.starts_with([' ', '\t', '#', ';'])
                && let Some((key, value)) = line.split_once('=')
            {
                let value = value.split([';', '#']).next().unwrap_or_default().trim();
                let value = Some(value.to_owned()).filter(|value| !value.is_empty());
                match key.trim() {
                    "region" => found.region = value,
                    "sso_account_id" => found.account = value,
                    _ => {}
                }
            }
        }
        found
    }
}

fn file(environment: &Environment) -> Option<PathBuf> {
    environment.path("AWS_CONFIG_FILE").or_else(|| Some(environment.home()?.join(".aws/config")))
}

/// What is not a file that can be read is not read: AWS's own tools say what is wrong with it.
fn text_of(path: &Path) -> Option<String> {
    let mut text = String::new();
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    File::open(path).ok()?.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn is_of(section: &str, profile: &str) -> bool {
    let named = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t'])).map(str::trim);
    named == Some(profile) || (profile == "default" && section == "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_profile_says() {
        let text = "[default]\nregion = us-east-1\n\n[profile hosting]\nsso_account_id=111122223333\n\
                    region=eu-central-1 # ours\ns3 =\n  region = ap-south-1\n[profile none]\nregion =\n\
                    [profile hosting-too]\nregion = sa-east-1\n[sso-session hosting]\nregion = nowhere\n";
        for (profile, region, account) in [
            ("default", Some("us-east-1"), None),
            ("hosting", Some("eu-central-1"), Some("111122223333")),
            ("hosting-too", Some("sa-east-1"), None),
            ("none", None, None),
            ("host", None, None),
        ] {
            let found = AwsProfile::read(text, profile);
            assert_eq!((found.region.as_deref(), found.account.as_deref()), (region, account), "{profile}");
        }
    }
}
