//! Whose credentials these are, where they come from, and until when.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::imds::client::error::ImdsError;
use aws_config::meta::ProviderChainError;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, SharedCredentialsProvider, future};
use aws_sdk_ecs::error::ConnectorError;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Aws;
use super::convert::{plain, required};
use super::error::{causes, root};
use crate::domain::observed::Identity;
use crate::world::{CloudError, CloudErrorKind, KeySet, Keys};

const CALLER: &str = "sts:GetCallerIdentity";

pub(super) async fn identity(aws: &Aws) -> Result<Identity, CloudError> {
    let answer = aws.sts.get_caller_identity().send().await.map_err(|e| aws.explain.error(CALLER, &e))?;
    let account = answer.account().and_then(|a| a.parse().ok());
    Ok(Identity {
        account: required(account, CALLER, "account number")?,
        arn: required(answer.arn, CALLER, "ARN")?,
        expires: aws.keeper.expires(),
    })
}

/// Why there are no credentials: a sentence for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct NoCredentials {
    /// Whoever hands them out could not be reached; signing in again would not help.
    pub(super) unreachable: bool,
    pub(super) why: String,
}

/// Stands between the SDK and its credentials, and keeps what the SDK does not tell: where they come from, until when
/// they last, and why there are none.
///
/// The SDK asks again for each call when there was no answer, one call after the other. Where looking for an instance
/// role takes a second, ten calls would take ten; so a failure is remembered for as long as one look takes.
#[derive(Debug)]
pub(super) struct Keeper {
    provider: Option<SharedCredentialsProvider>,
    /// The profile that was asked for by name.
    profile: Option<String>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    from: Option<&'static str>,
    expires: Option<Timestamp>,
    failed: Option<(Instant, NoCredentials)>,
}

const FAILURE_IS_FRESH: Duration = Duration::from_secs(1);

impl Keeper {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>, profile: Option<String>) -> Self {
        Self { provider, profile, known: Mutex::default() }
    }

    fn expires(&self) -> Option<Timestamp> {
        self.known(|known| known.expires)
    }

    /// Such as "the credentials of the profile `jitsi-hosting`".
    pub(super) fn whose(&self) -> String {
        match (self.known(|known| known.from), &self.profile) {
            (_, Some(profile)) => format!("the credentials of the profile `{profile}`"),
            (Some(from), None) if from != PROFILE => format!("the credentials {from}"),
            (_, None) => format!("the credentials of the profile `{}`", profile_of_environment()),
        }
    }

    async fn provide(&self) -> Provided {
        if let Some(failure) = self.recent_failure() {
            return Err(CredentialsError::provider_error(failure));
        }
        let provided = match &self.provider {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded("no way to find credentials was configured")),
        };
        self.known(|known| known.remember(&provided, |error| self.explain(error)));
        provided.map_err(|error| match self.recent_failure() {
            Some(failure) => CredentialsError::provider_error(failure),
            None => error,
        })
    }

    fn recent_failure(&self) -> Option<NoCredentials> {
        self.known(|known| known.failed.clone()).filter(|(at, _)| at.elapsed() < FAILURE_IS_FRESH).map(|(_, why)| why)
    }

    fn explain(&self, error: &CredentialsError) -> NoCredentials {
        match &self.profile {
            Some(profile) => no_credentials(error, profile, Searched::OneProfile),
            None => no_credentials(error, &profile_of_environment(), Searched::Everywhere),
        }
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock())
    }
}

impl Known {
    fn remember(&mut self, provided: &Provided, explain: impl FnOnce(&CredentialsError) -> NoCredentials) {
        match provided {
            Ok(credentials) => {
                self.failed = None;
                self.from = Some(origin(credentials));
                self.expires = credentials.expiry().and_then(|at| Timestamp::try_from(at).ok());
            }
            Err(error) => self.failed = Some((Instant::now(), explain(error))),
        }
    }
}

#[async_trait]
impl Keys for Keeper {
    async fn keys(&self) -> Result<KeySet, CloudError> {
        let provided = self.provide().await.map_err(|error| {
            let none = self.explain(&error);
            let kind = if none.unreachable { CloudErrorKind::Unreachable } else { CloudErrorKind::SignIn };
            CloudError { kind, what: "credentials".to_owned(), why: none.why }
        })?;
        Ok(KeySet {
            access_key_id: provided.access_key_id().to_owned(),
            secret_access_key: provided.secret_access_key().to_owned(),
            session_token: provided.session_token().map(ToOwned::to_owned),
        })
    }
}

impl ProvideCredentials for Keeper {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}

#[expect(clippy::disallowed_methods, reason = "the SDK reads it by itself; here it is only named in a sentence")]
fn profile_of_environment() -> String {
    std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned())
}

const PROFILE: &str = "of the profile";

fn origin(credentials: &Credentials) -> &'static str {
    use AwsCredentialFeature::*;
    let features = credentials.get_property::<Vec<AwsCredentialFeature>>();
    let is = |feature| features.is_some_and(|all| all.contains(&feature));
    if is(CredentialsEnvVars) {
        "in the environment (AWS_ACCESS_KEY_ID)"
    } else if is(CredentialsHttp) {
        "of the container's role"
    } else if is(CredentialsImds) {
        "of the instance's role"
    } else if is(CredentialsEnvVarsStsWebIdToken) {
        "of the web identity (AWS_WEB_IDENTITY_TOKEN_FILE)"
    } else {
        PROFILE
    }
}

/// Where the SDK has looked for credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Searched {
    OneProfile,
    Everywhere,
}

fn no_credentials(error: &CredentialsError, profile: &str, searched: Searched) -> NoCredentials {
    let root = root(error);
    let nothing_there =
        matches!(error, CredentialsError::CredentialsNotLoaded(_)) || causes(error).any(<dyn Error>::is::<ImdsError>);
    let (unreachable, why) = if searched == Searched::OneProfile && nothing_there {
        (false, format!("the profile `{profile}` does not exist or has no credentials{}", aside(&root)))
    } else if nothing_there {
        (false, nowhere(error, profile))
    } else if is_unreachable(error) {
        (true, format!("the credentials of the profile `{profile}` could not be fetched: {root}"))
    } else {
        (false, unusable(error, &root, profile))
    };
    NoCredentials { unreachable, why }
}

/// The SDK says these only in words.
fn unusable(error: &CredentialsError, root: &str, profile: &str) -> String {
    let said = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if said.contains("SSO token has expired") || said.contains("UnauthorizedException") {
        format!("the SSO session of the profile `{profile}` has expired: sign in again with {}", login(profile))
    } else if said.contains("cached SSO token") || said.contains("sso/cache") {
        format!("nobody is signed in with SSO for the profile `{profile}`: sign in with {}", login(profile))
    } else {
        format!("the profile `{profile}` gives no credentials: {root}")
    }
}

fn login(profile: &str) -> String {
    format!("`aws sso login --profile {profile}`")
}

/// The instance's metadata service is asked last, and ends the search when it refuses; what the others said is lost
/// then, but they had nothing.
fn nowhere(error: &CredentialsError, profile: &str) -> String {
    let searched = error.source().and_then(|source| source.downcast_ref::<ProviderChainError<CredentialsError>>());
    let of = |name: &str| {
        let attempt = searched.and_then(|all| all.attempts().iter().find(|attempt| attempt.name() == name));
        attempt.map(|attempt| aside(&root(attempt.error()))).unwrap_or_default()
    };
    let instance = if searched.is_some() { of("Ec2InstanceMetadata") } else { aside(&root(error)) };
    format!(
        "there are no credentials: none in the environment, none in the profile `{profile}`{}, no role of a container, \
         no role of an instance{instance}",
        of("Profile"),
    )
}

/// What was said, in brackets; nothing when it only says that nothing was there.
fn aside(said: &str) -> String {
    let said = said.split(": could not find source profile").next().unwrap_or_default();
    if said.contains("was not enabled") { String::new() } else { format!(" ({})", plain(said, 200)) }
}

/// Whether it was the network, or whoever hands out credentials, that gave no answer. (Timeouts have no type of their own.)
fn is_unreachable(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::ProviderTimedOut(_))
        || causes(error).any(|cause| cause.is::<ConnectorError>() || cause.to_string() == "request has timed out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(error: &CredentialsError, searched: Searched) -> String {
        no_credentials(error, "hosting", searched).why
    }

    #[test]
    fn what_to_do_about_missing_credentials() {
        let expired = CredentialsError::provider_error("the SSO token has expired and cannot be refreshed");
        assert_eq!(
            why(&expired, Searched::OneProfile),
            "the SSO session of the profile `hosting` has expired: sign in again with `aws sso login --profile hosting`"
        );
        let nobody = CredentialsError::provider_error("failed to load the cached SSO token");
        assert_eq!(
            why(&nobody, Searched::Everywhere),
            "nobody is signed in with SSO for the profile `hosting`: sign in with `aws sso login --profile hosting`"
        );
        let other = CredentialsError::provider_error("external process exited with code 1");
        assert_eq!(
            why(&other, Searched::Everywhere),
            "the profile `hosting` gives no credentials: external process exited with code 1"
        );
        let nothing = CredentialsError::not_loaded_no_source();
        assert_eq!(why(&nothing, Searched::OneProfile), "the profile `hosting` does not exist or has no credentials");
        assert!(why(&nothing, Searched::Everywhere).starts_with("there are no credentials: none in the environment"));
    }

    #[test]
    fn a_dead_network_is_not_a_missing_sign_in() {
        let offline = CredentialsError::provider_error(ConnectorError::io("connection refused".into()));
        let late = CredentialsError::provider_timed_out(Duration::from_secs(5));
        for error in [offline, late] {
            assert!(no_credentials(&error, "hosting", Searched::Everywhere).unreachable);
        }
    }

    #[test]
    fn credentials_say_where_they_are_from() {
        let mut credentials = Credentials::new("AKID", "secret", None, None, "test");
        assert_eq!(origin(&credentials), PROFILE);
        credentials
            .get_property_mut_or_default::<Vec<AwsCredentialFeature>>()
            .push(AwsCredentialFeature::CredentialsImds);
        assert_eq!(origin(&credentials), "of the instance's role");
    }
}
