//! From an SDK error to the domain's: what kind of no answer it is, and one sentence that says why.

use std::error::Error;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_ecs::config::http::HttpResponse;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use http_body_util::LengthLimitError;

use super::client::LONGEST_BODY;
use super::convert::plain;
use super::identity::{Keeper, Keyless};
use crate::world::{CloudError, CloudErrorKind};

/// Long enough for a denial, which names the caller, the action and the resource.
const LONGEST_SENTENCE: usize = 500;

/// Explains errors to a person, who must be told which endpoint and whose credentials.
#[derive(Debug)]
pub(super) struct Explain {
    place: String,
    keeper: Arc<Keeper>,
}

impl Explain {
    pub(super) fn new(config: &SdkConfig, keeper: Arc<Keeper>) -> Self {
        let region = config.region().map_or("none", |region| region.as_ref());
        let place = match config.endpoint_url() {
            Some(url) => format!("{} (the configured endpoint)", plain(url, 100)),
            None => format!("AWS in the region {}", plain(region, 100)),
        };
        Self { place, keeper }
    }

    /// What a failed call means. `what` is the call, such as `ecs:DescribeServices`.
    pub(super) fn error<E>(&self, what: &str, error: &SdkError<E, HttpResponse>) -> CloudError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let (kind, why) = self.judge(error);
        CloudError { kind, what: what.to_owned(), why: plain(&why, LONGEST_SENTENCE) }
    }

    fn judge<E>(&self, error: &SdkError<E, HttpResponse>) -> (CloudErrorKind, String)
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        use CloudErrorKind::*;
        if let Some(none) = cause::<Keyless>(error) {
            return (none.kind, none.why.clone());
        }
        match error {
            SdkError::ServiceError(context) => match context.err().code() {
                Some(code) => match self.refused(code, context.err().message()) {
                    // What AWS itself calls its own fault is not a refusal.
                    (Refused, why) if context.raw().status().is_server_error() => (Unreachable, why),
                    other => other,
                },
                None => strange(context.raw(), &root(error)),
            },
            SdkError::ResponseError(context) if cause::<LengthLimitError>(error).is_some() => {
                strange(context.raw(), &format!("longer than {} MiB", LONGEST_BODY / (1024 * 1024)))
            }
            SdkError::ResponseError(_) if cause::<std::io::Error>(error).is_some() || broke_off(error) => {
                (Unreachable, format!("the answer of {} broke off: {}", self.place, root(error)))
            }
            SdkError::ResponseError(context) => strange(context.raw(), &root(error)),
            SdkError::TimeoutError(_) => {
                (Unreachable, format!("no answer from {} in time: {}", self.place, root(error)))
            }
            SdkError::DispatchFailure(_) => self.no_way(&root(error)),
            SdkError::ConstructionFailure(_) => (Refused, format!("the request could not be made: {}", root(error))),
            other => (Refused, root(other)),
        }
    }

    fn refused(&self, code: &str, message: Option<&str>) -> (CloudErrorKind, String) {
        use CloudErrorKind::*;
        let message = message.unwrap_or("no reason given");
        let kind = if is_skewed(code, message) { ClockWrong } else { kind(code) };
        let why = match kind {
            ClockWrong => format!("AWS does not take the time of this machine's signatures ({code}): {message}"),
            SignIn if code.starts_with("ExpiredToken") => {
                format!("{} have expired ({code}): {message}", self.keeper.whose())
            }
            SignIn => format!("{} are not accepted ({code}): {message}", self.keeper.whose()),
            Denied => format!("not allowed ({code}): {message}"),
            Throttled => format!("AWS asked to slow down, also after retries ({code}): {message}"),
            _ => format!("{message} ({code})"),
        };
        (kind, why)
    }

    fn no_way(&self, root: &str) -> (CloudErrorKind, String) {
        let place = &self.place;
        // With a clock that is years off, every certificate is out of date.
        if ["certificate expired", "certificate not valid yet", "NotValidYet", "InvalidCertificate(Expired"]
            .iter()
            .any(|sign| root.contains(sign))
        {
            let why = format!("the certificate of {place} is out of date by this machine's clock: {root}");
            return (CloudErrorKind::ClockWrong, why);
        }
        let why = if root.contains("lookup") || root.contains("resolve") {
            format!(
                "no way to {place}: its name does not resolve, so this machine is offline or there is no such region ({root})"
            )
        } else {
            format!("no way to {place}: {root}")
        };
        (CloudErrorKind::Unreachable, why)
    }
}

/// Whether AWS has answered with one of these codes.
pub(super) fn is<E>(error: &SdkError<E, HttpResponse>, codes: &[&str]) -> bool
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::ServiceError(context) => context.err().code().is_some_and(|code| codes.contains(&code)),
        _ => false,
    }
}

/// The innermost cause, in its own words.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// Whether the connection ended in the middle of an answer.
fn broke_off(error: &(dyn Error + 'static)) -> bool {
    cause::<hyper::Error>(error).is_some_and(|e| e.is_incomplete_message() || e.is_body_write_aborted())
}

/// The error and what is behind it, outermost first.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| cause.source())
}

/// Whether AWS finds that the request was signed at another time than now.
pub(super) fn is_skewed(code: &str, message: &str) -> bool {
    ["RequestTimeTooSkewed", "RequestExpired"].contains(&code)
        || ["Signature expired", "Signature not yet current", "RequestTimeTooSkewed"]
            .iter()
            .any(|sign| message.contains(sign))
}

/// Codes as the services spell them: with `Exception` or without, by age.
pub(super) fn kind(code: &str) -> CloudErrorKind {
    use CloudErrorKind::*;
    match code.strip_suffix("Exception").unwrap_or(code) {
        "AccessDenied"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess"
        | "AuthorizationError"
        | "NotAuthorized"
        | "OptInRequired"
        | "SubscriptionRequired"
        | "Blocked" => Denied,
        "Throttling"
        | "Throttled"
        | "RequestThrottled"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown"
        | "BandwidthLimitExceeded" => Throttled,
        "ExpiredToken"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "AuthFailure"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "TokenRefreshRequired" => SignIn,
        "ServiceNotFound" | "ServiceNotActive" | "ClusterNotFound" => Gone,
        _ => Refused,
    }
}

/// An answer without an AWS error code: from a proxy, a captive portal, or cut off.
fn strange(response: &HttpResponse, why: &str) -> (CloudErrorKind, String) {
    let status = response.status();
    let form = response.headers().get("content-type").unwrap_or("no content type");
    let said = format!("HTTP {} with {form}", status.as_u16());
    match status.as_u16() {
        429 => (CloudErrorKind::Throttled, format!("asked to slow down, also after retries ({said})")),
        500..=599 => {
            (CloudErrorKind::Unreachable, format!("the endpoint, or a proxy before it, is out of order ({said})"))
        }
        _ => (CloudErrorKind::Garbled, format!("this is not an answer of AWS ({said}): {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        use CloudErrorKind::*;
        for (code, expected) in [
            ("AccessDenied", Denied),
            ("AccessDeniedException", Denied),
            ("UnauthorizedOperation", Denied),
            ("Throttling", Throttled),
            ("ThrottlingException", Throttled),
            ("TooManyRequestsException", Throttled),
            ("RequestLimitExceeded", Throttled),
            ("ExpiredToken", SignIn),
            ("ExpiredTokenException", SignIn),
            ("UnrecognizedClientException", SignIn),
            ("InvalidClientTokenId", SignIn),
            ("InvalidSignatureException", SignIn),
            ("ServiceNotFoundException", Gone),
            ("ClusterNotFoundException", Gone),
            ("ServiceNotActiveException", Gone),
            ("InvalidParameterException", Refused),
            ("ServerException", Refused),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
