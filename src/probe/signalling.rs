//! Signalling before any XMPP: whether Prosody is there, behind the web container.

use std::time::Duration;

use tokio::time::Instant;

use super::config_js::{self, BadConfig, Deployment};
use super::entrance::{self, Resolver, Shut};
use super::garbled;
use super::https::{self, Answer, NoPage, is_app, not_script, page, page_at, refused, titled};
use super::site::Endpoint;
use super::wire::{Certificates, Door};
use crate::domain::observed::{Page, Reading, Signalling, Unreadable};

/// Asks Prosody's two doors for the pages that it shows to browsers there.
///
/// Nothing follows from a 200 alone: nginx answers any unknown path with the application's page.
pub async fn preflight(door: &Door<'_>, resolver: &Resolver) -> Reading<Signalling> {
    let start = Instant::now();
    let (bosh, websocket) = match Box::pin(config(door)).await {
        // Nobody gets in there: the same door is not tried again for each page.
        Err(error @ NoPage::NoTls(_)) => {
            let shut = |name| https::no_page(door.site.page(name), error.clone(), start.elapsed());
            (shut("http-bind"), shut("xmpp-websocket"))
        }
        config => {
            let config = config.ok().flatten();
            let sent_to_websocket = sent(config.as_ref(), "websocket", |c| c.websocket.as_ref());
            tokio::join!(
                entrance(door, resolver, sent(config.as_ref(), "bosh", |c| c.bosh.as_ref()), "http-bind", bosh),
                entrance(door, resolver, sent_to_websocket, "xmpp-websocket", websocket)
            )
        }
    };
    let signalling = || Ok::<_, Unreadable>(Some(Signalling { bosh: bosh?, websocket: websocket? }));
    signalling().into()
}

/// What `config.js` says of the signalling. `None`: it is no script at all, which is another finding.
async fn config(door: &Door<'_>) -> Result<Option<Result<Deployment, BadConfig>>, NoPage> {
    let answer = https::get(door, &door.site.page("config.js")).await?;
    Ok(not_script(&answer).is_none().then(|| config_js::read(&answer.script(), door.site)))
}

/// Where `config.js` sends browsers.
enum Sent<'a> {
    /// It does not say.
    Usual,
    To(&'a Endpoint),
    Nowhere(String),
    /// Only a browser can tell.
    Unseen(Unreadable),
}

fn sent<'a>(
    config: Option<&'a Result<Deployment, BadConfig>>,
    wanted: &str,
    endpoint: fn(&Deployment) -> Option<&Endpoint>,
) -> Sent<'a> {
    match config {
        Some(Ok(deployment)) => endpoint(deployment).map_or(Sent::Usual, Sent::To),
        Some(Err(BadConfig::NotAnAddress { name, value })) if *name == wanted => {
            Sent::Nowhere(format!("{value:?}, which is no address"))
        }
        Some(Err(error)) if error.is_undecided() => Sent::Unseen(garbled(format!("config.js: {error}"))),
        Some(Err(_)) | None => Sent::Usual,
    }
}

/// The page of one of Prosody's doors: where `config.js` sends browsers, or where the images serve it.
async fn entrance(
    door: &Door<'_>,
    resolver: &Resolver,
    sent: Sent<'_>,
    usual: &str,
    judge: fn(&Answer) -> Option<String>,
) -> Result<Page, Unreadable> {
    let shut = |why: String| Page {
        path: door.site.page("config.js"),
        status: Some(200),
        wrong: Some(format!("sends browsers to {why}")),
        took: Duration::ZERO,
    };
    let endpoint = match sent {
        Sent::Usual => return page(door, usual, judge).await,
        Sent::To(endpoint) => endpoint,
        Sent::Nowhere(what) => return Ok(shut(what)),
        Sent::Unseen(why) => return Err(why),
    };
    let addresses = match entrance::addresses(endpoint, door, resolver).await {
        Ok(addresses) => addresses,
        Err(Shut::ToEverybody(why)) => return Ok(shut(format!("{endpoint}, where guests do not get in: {why}"))),
        Err(Shut::Unseen(why)) => return Err(why),
    };
    if endpoint.is_at(door.site) {
        return page_at(door, endpoint.path.clone(), judge).await;
    }
    // Its certificate is judged nowhere else.
    let certificates = Certificates::Trusted;
    let there = Door { endpoint: Some(endpoint), addresses: &addresses, certificates, ..*door };
    let mut found = page_at(&there, endpoint.path.clone(), judge).await?;
    found.path = endpoint.to_string();
    Ok(found)
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
            Some(format!("{door} is not served: the web container shows the application's page instead"))
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
        Answer { status, headers: HeaderMap::new(), body: body.into() }
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
        assert!(websocket(&answer(200, app)).is_some_and(|w| w.starts_with("WebSocket is not served")));
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
