//! Clients from settings, with limits on time and size.

use std::mem::take;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_ecs::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ecs::error::BoxError;
use aws_smithy_types::body::SdkBody;
use futures_util::FutureExt;
use http_body_util::Limited;
use hyper::body::{Body, Bytes, Frame};
use parking_lot::Mutex;

use super::Aws;
use super::error::Explain;
use super::identity::Keeper;
use crate::domain::name::{Host, Names, Region};
use crate::world::{CloudError, CloudErrorKind};

/// What must be known to speak with the account.
#[derive(Clone, Debug)]
pub struct Settings {
    pub names: Names,
    pub host: Host,
    /// `None`: as AWS tools find it (`AWS_REGION`, then the profile, then the instance that this runs on).
    pub region: Option<Region>,
    /// The profile to use whatever else there is, like `aws --profile`. `None`: AWS's own order (keys in the
    /// environment, `AWS_PROFILE`, web identity, the role of the container, the role of the instance).
    pub profile: Option<String>,
}

/// Reads AWS's own configuration and makes the clients. Nothing is asked of AWS yet, and no credentials are needed.
pub async fn cloud(settings: Settings) -> Result<Aws, CloudError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts());
    if let Some(region) = &settings.region {
        loader = loader.region(aws_config::Region::new(region.to_string()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let config = AssertUnwindSafe(loader.load()).catch_unwind().await.map_err(|_| CloudError {
        kind: CloudErrorKind::Unreachable,
        what: "AWS's settings".to_owned(),
        why: "the SDK could not make sense of them; look at the variables AWS_… and at the profile".to_owned(),
    })?;
    check_region(config.region(), settings.profile.as_deref())?;
    let config = match &settings.profile {
        Some(profile) => only_from(profile, &config),
        None => config,
    };
    Ok(with_config(settings, &config))
}

/// Makes the clients from an SDK configuration, whatever it is made of: for tests that answer in AWS's place.
pub fn with_config(settings: Settings, config: &SdkConfig) -> Aws {
    let keeper = Arc::new(Keeper::new(config.credentials_provider(), settings.profile));
    let provider: Arc<dyn ProvideCredentials> = keeper.clone();
    let provider = SharedCredentialsProvider::new(provider);
    // One cache for all clients: signing in once is enough for all of them.
    let cache = IdentityCache::lazy().build();
    let config = config.to_builder().credentials_provider(provider).identity_cache(cache);
    let config = config.timeout_config(timeouts()).build();
    Aws {
        names: settings.names,
        host: settings.host,
        explain: Explain::new(&config, Arc::clone(&keeper)),
        keeper,
        ecs: aws_sdk_ecs::Client::from_conf(aws_sdk_ecs::config::Builder::from(&config).interceptor(BodyLimit).build()),
        elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
            aws_sdk_elasticloadbalancingv2::config::Builder::from(&config).interceptor(BodyLimit).build(),
        ),
        logs: aws_sdk_cloudwatchlogs::Client::from_conf(
            aws_sdk_cloudwatchlogs::config::Builder::from(&config).interceptor(BodyLimit).build(),
        ),
        route53: aws_sdk_route53::Client::from_conf(
            aws_sdk_route53::config::Builder::from(&config).interceptor(BodyLimit).build(),
        ),
        secrets: aws_sdk_secretsmanager::Client::from_conf(
            aws_sdk_secretsmanager::config::Builder::from(&config).interceptor(BodyLimit).build(),
        ),
        tags: aws_sdk_resourcegroupstagging::Client::from_conf(
            aws_sdk_resourcegroupstagging::config::Builder::from(&config).interceptor(BodyLimit).build(),
        ),
        sts: aws_sdk_sts::Client::from_conf(aws_sdk_sts::config::Builder::from(&config).interceptor(BodyLimit).build()),
        service_arn: Mutex::new(None),
    }
}

/// The SDK's own limits are made for servers: it would let a dead endpoint hold a person up for minutes. They also
/// bound the time that an endless answer takes; `BodyLimit` bounds its size.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

/// A named profile wins over keys in the environment, as with `aws --profile`. The SDK's own chain has it the other
/// way round, which would quietly use another account.
fn only_from(profile: &str, config: &SdkConfig) -> SdkConfig {
    let mut how = ProviderConfig::default().with_region(config.region().cloned()).with_timeout_config(timeouts());
    if let Some(client) = config.http_client() {
        how = how.with_http_client(client);
    }
    let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&how).build();
    config.to_builder().credentials_provider(SharedCredentialsProvider::new(provider)).build()
}

/// The environment and the profile may say anything, and the SDK would only complain in its own words.
fn check_region(region: Option<&aws_config::Region>, profile: Option<&str>) -> Result<(), CloudError> {
    let why = match region.map(AsRef::as_ref).filter(|region| !region.is_empty()) {
        Some(region) => match region.parse::<Region>() {
            Ok(_) => return Ok(()),
            Err(bad) => format!("the region {bad}"),
        },
        None => format!(
            "no region is set: give --region or AWS_REGION, or set `region` in meetctl.toml or in the profile `{}`",
            profile.unwrap_or("default")
        ),
    };
    Err(CloudError { kind: CloudErrorKind::Unreachable, what: "AWS".to_owned(), why })
}

/// Ends the reading of an answer that no AWS service would give: the SDK collects it in memory, however long it is.
/// The largest that we ask for are a megabyte of log lines and a hundred tasks.
#[derive(Debug)]
struct BodyLimit;

pub(super) const LONGEST_BODY: usize = 16 * 1024 * 1024;

impl Intercept for BodyLimit {
    fn name(&self) -> &'static str {
        "BodyLimit"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        let body = response.take_body();
        let limited = Limited::new(body, LONGEST_BODY);
        *response.body_mut() = SdkBody::from_body_1_x(Gathered { body: limited, gathered: Vec::new() });
        Ok(())
    }
}

/// A body in pieces of a decent size, however small its chunks are: the SDK keeps each piece by itself, which for a
/// chunk of one byte is some forty.
struct Gathered<B> {
    body: B,
    gathered: Vec<u8>,
}

const PIECE: usize = 16 * 1024;

impl<B: Body<Data = Bytes> + Unpin> Body for Gathered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        while self.gathered.len() < PIECE {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                // Trailers mean nothing to anybody here.
                Some(Ok(frame)) => self.gathered.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if self.gathered.is_empty() => return Poll::Ready(None),
                None => break,
            }
        }
        Poll::Ready(Some(Ok(Frame::data(take(&mut self.gathered).into()))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn small_chunks_are_gathered() {
        let chunks = |n: usize| {
            let frames = (0..n).map(|_| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"x"))));
            StreamBody::new(futures_util::stream::iter(frames))
        };
        for (length, pieces) in [(0, 0), (1, 1), (PIECE, 1), (10 * PIECE + 1, 11)] {
            let mut body = Gathered { body: chunks(length), gathered: Vec::new() };
            let (mut bytes, mut frames) = (0, 0);
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                frames += 1;
            }
            assert_eq!((bytes, frames), (length, pieces));
        }
    }

    #[test]
    fn regions() {
        let check = |region: Option<&str>| {
            let region = region.map(|region| aws_config::Region::new(region.to_owned()));
            check_region(region.as_ref(), Some("hosting")).map_err(|error| error.why)
        };
        for good in ["us-west-2", "us-gov-west-1", "eusc-de-east-1"] {
            assert_eq!(check(Some(good)), Ok(()));
        }
        let bad = check(Some("us west 2")).expect_err("no region");
        assert_eq!(bad, "the region \"us west 2\" is not an AWS region code such as us-west-2");
        for none in [None, Some("")] {
            assert!(check(none).expect_err("no region").ends_with("or in the profile `hosting`"));
        }
    }
}
