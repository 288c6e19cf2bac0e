//! Whose credentials these are, where they come from, and until when.

use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

use aws_config::meta::ProviderChainError;
use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, SharedCredentialsProvider, future};
use aws_sdk_ecs::error::ConnectorError;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Aws;
use super::convert::{plain, required};
use super::error::{causes, root};
use crate::domain::observed::Identity;
use crate::world::CloudError;

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
        let Some(provider) = &self.provider else {
            return Err(CredentialsError::not_loaded("no way to find credentials was configured"));
        };
        let provided = provider.provide_credentials().await;
        self.known(|known| known.remember(&provided, &self.describe()));
        provided.map_err(|error| match self.recent_failure() {
            Some(failure) => CredentialsError::provider_error(failure),
            None => error,
        })
    }

    fn recent_failure(&self) -> Option<NoCredentials> {
        self.known(|known| known.failed.clone()).filter(|(at, _)| at.elapsed() < FAILURE_IS_FRESH).map(|(_, why)| why)
    }

    fn describe(&self) -> String {
        match &self.profile {
            Some(profile) => profile.clone(),
            None => profile_of_environment(),
        }
    }

    /// A lock that was poisoned by a panic elsewhere still holds what was known.
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Known {
    fn remember(&mut self, provided: &Provided, profile: &str) {
        match provided {
            Ok(credentials) => {
                self.failed = None;
                self.from = Some(origin(credentials));
                self.expires = credentials.expiry().and_then(|at| Timestamp::try_from(at).ok());
            }
            Err(error) => self.failed = Some((Instant::now(), no_credentials(error, profile))),
        }
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

fn no_credentials(error: &CredentialsError, profile: &str) -> NoCredentials {
    if let CredentialsError::CredentialsNotLoaded(_) = error {
        return NoCredentials { unreachable: false, why: nowhere(error, profile) };
    }
    let root = root(error);
    if unreachable(error) {
        let why = format!("the credentials of the profile `{profile}` could not be fetched: {root}");
        return NoCredentials { unreachable: true, why };
    }
    NoCredentials { unreachable: false, why: unusable(error, &root, profile) }
}

/// The SDK says these only in words.
fn unusable(error: &CredentialsError, root: &str, profile: &str) -> String {
    let said = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if said.contains("SSO token has expired") || said.contains("UnauthorizedException") {
        format!("the SSO session of the profile `{profile}` has expired: sign in again with {}", login(profile))
    } else if said.contains("cached SSO token") {
        format!("nobody is signed in with SSO for the profile `{profile}`: sign in with {}", login(profile))
    } else {
        format!("the profile `{profile}` gives no credentials: {root}")
    }
}

fn login(profile: &str) -> String {
    format!("`aws sso login --profile {profile}`")
}

fn nowhere(error: &CredentialsError, profile: &str) -> String {
    let chained = error.source().and_then(|source| source.downcast_ref::<ProviderChainError<CredentialsError>>());
    let Some(chained) = chained else {
        return format!("the profile `{profile}` has no credentials: {}", root(error));
    };
    let of_profile = chained.attempts().iter().find(|attempt| attempt.name() == "Profile");
    // "was not enabled" is what a profile that simply does not exist says; it would only puzzle.
    let of_profile = of_profile.map(|attempt| root(attempt.error())).filter(|why| !why.contains("not enabled"));
    let of_profile = of_profile.map(|why| format!(" ({})", plain(&why, 200))).unwrap_or_default();
    format!(
        "there are no credentials: none in the environment, none in the profile `{profile}`{of_profile}, \
         no role of a container or an instance"
    )
}

/// Whether it was the network, or whoever hands out credentials, that gave no answer. (Timeouts have no type of their own.)
fn unreachable(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::ProviderTimedOut(_))
        || causes(error).any(|cause| cause.is::<ConnectorError>() || cause.to_string() == "request has timed out")
}
