//! Small translations that every AWS service needs.

use std::future::poll_fn;
use std::mem::take;
use std::task::Poll;

use aws_smithy_types::DateTime;
use jiff::{Timestamp, Unit};

use crate::domain::name::without_passwords;
use crate::domain::text::shortened;
use crate::world::{CloudError, CloudErrorKind};

/// AWS counts milliseconds, and some services send them as a float, which is off by nanoseconds.
pub(super) fn timestamp(at: &DateTime) -> Option<Timestamp> {
    let exact = Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()?;
    exact.round(Unit::Millisecond).ok()
}

pub(super) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn garbled(what: &str, why: impl Into<String>) -> CloudError {
    CloudError { kind: CloudErrorKind::Garbled, what: what.to_owned(), why: why.into() }
}

/// The value, which AWS always sends; its absence means that somebody else has answered.
pub(super) fn required<T>(value: Option<T>, what: &str, name: &str) -> Result<T, CloudError> {
    value.ok_or_else(|| garbled(what, format!("the answer has no {name} that makes sense")))
}

pub(super) fn port(number: Option<i32>, what: &str) -> Result<u16, CloudError> {
    required(number.and_then(|n| u16::try_from(n).ok()), what, "port")
}

/// One line of at most `longest` characters that can be shown on a terminal.
pub(super) fn plain(text: &str, longest: usize) -> String {
    shortened(without_passwords(text).trim_end(), longest)
}

/// Does all of the work at once, in place: dropping the returned future drops what is not done.
pub(super) async fn at_once<T, F: Future<Output = T>>(work: impl IntoIterator<Item = F>) -> Vec<T> {
    let mut work: Vec<_> = work.into_iter().map(|one| (Box::pin(one), None)).collect();
    poll_fn(move |context| {
        for (future, done) in work.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if work.iter().any(|(_, done)| done.is_none()) {
            return Poll::Pending;
        }
        Poll::Ready(take(&mut work).into_iter().filter_map(|(_, done)| done).collect())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::{Instant, sleep};

    use super::*;

    #[test]
    fn plain_lines() {
        assert_eq!(plain("\u{1b}[31mFATAL ERROR\u{1b}[0m: no\tway\r\n", 40), "FATAL ERROR: no way");
        assert_eq!(plain("\u{1b}]0;title\u{7}text", 40), " ]0;title text");
        assert_eq!(plain("evil\u{202e}txt", 40), "eviltxt");
        assert_eq!(plain("äöüß", 3), "äöü…");
        assert_eq!(plain("abc", 3), "abc");
    }

    proptest! {
        #[test]
        fn plain_is_plain(text in any::<String>(), longest in 0_usize..200) {
            let line = plain(&text, longest);
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.chars().count() <= longest + 1);
        }

        #[test]
        fn plain_survives_any_bytes(bytes in any::<Vec<u8>>()) {
            let line = plain(&String::from_utf8_lossy(&bytes), 100);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_done_at_once_and_answers_keep_their_order() {
        let start = Instant::now();
        let waits = [3, 1, 2].map(|seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            seconds
        });
        assert_eq!(at_once(waits).await, [3, 1, 2]);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
}
