//! Signalling before any XMPP: whether Prosody is there, behind the web container.

use super::https::{Answer, is_app, page, refused, titled};
use super::wire::Door;
use crate::domain::observed::{Reading, Signalling, Unreadable};

/// Asks Prosody's two doors for the pages that it shows to browsers there.
///
/// Nothing follows from a 200 alone: nginx answers any unknown path with the application's page.
pub async fn preflight(door: &Door<'_>) -> Reading<Signalling> {
    let (bosh, websocket) = tokio::join!(page(door, "http-bind", bosh), page(door, "xmpp-websocket", websocket));
    let signalling = || Ok::<_, Unreadable>(Some(Signalling { bosh: bosh?, websocket: websocket? }));
    signalling().into()
}

fn bosh(answer: &Answer) -> Option<String> {
    wrong(answer, "BOSH")
}

fn websocket(answer: &Answer) -> Option<String> {
    wrong(answer, "WebSocket")
}

/// What is wrong with one of Prosody's pages: they are titled "Prosody BOSH endpoint" and "Prosody WebSocket
/// endpoint"; both say "point your … client to this URL" where the titles are not served.
fn wrong(answer: &Answer, door: &str) -> Option<String> {
    refused(answer, "the web container is up, but Prosody behind it").or_else(|| {
        let Some(text) = answer.text() else { return Some("is not text (invalid UTF-8)".into()) };
        if text.contains(&format!("{door} endpoint")) || text.contains(&format!("point your {door} client")) {
            None
        } else if is_app(text) {
            Some(format!("{door} is switched off in the web container: it shows the application's page instead"))
        } else {
            Some(format!("is not Prosody's page{}", titled(text)))
        }
    })
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: impl Into<hyper::body::Bytes>) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: body.into(), took: std::time::Duration::ZERO }
    }

    #[test]
    fn prosody_is_known_by_its_own_pages() {
        assert_eq!(bosh(&answer(200, "<html><title>Prosody BOSH endpoint</title>")), None);
        assert_eq!(bosh(&answer(200, "This is the Prosody BOSH endpoint.")), None);
        assert_eq!(websocket(&answer(200, "<html><title>Prosody WebSocket endpoint</title>")), None);
        assert_eq!(websocket(&answer(200, "<p>It works! Now point your WebSocket client to this URL …")), None);
        assert!(websocket(&answer(200, "<title>Prosody BOSH endpoint</title>")).is_some(), "the other door");
        assert!(bosh(&answer(200, "")).is_some());
    }

    #[test]
    fn each_fault_is_named() {
        let app = "<html><script src=libs/lib-jitsi-meet.min.js></script><script src=libs/app.bundle.min.js></script>";
        assert!(websocket(&answer(200, app)).is_some_and(|w| w.starts_with("WebSocket is switched off")));
        for status in [502, 503, 504] {
            assert!(bosh(&answer(status, "")).is_some_and(|w| w.contains("Prosody behind it does not answer")));
        }
        assert!(bosh(&answer(404, "")).is_some_and(|w| w.contains("404")));
        let other = bosh(&answer(200, "<title>Parked</title>")).expect("wrong");
        assert_eq!(other, "is not Prosody's page, but one titled \"Parked\"");
    }

    proptest! {
        #[test]
        fn any_page_is_judged(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let answer = answer(status, body);
            for judge in [bosh, websocket] {
                prop_assert!(judge(&answer).is_some());
            }
        }
    }
}
