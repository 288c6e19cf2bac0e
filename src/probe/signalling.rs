//! Signalling before any XMPP: whether Prosody is there, behind the web container.

use std::net::SocketAddr;
use std::time::Duration;

use super::config_js::{self, Deployment};
use super::entrance::{Entrance, Resolver, Shut};
use super::https::{self, Answer, is_app, page, refused, titled};
use super::{Sight, unreachable};
use crate::domain::observed::{Page, Reading, Signalling, Unreadable};
use crate::world::Net;

/// Asks Prosody's two doors for the pages that it shows to browsers there.
///
/// Nothing follows from a 200 alone: nginx answers any unknown path with the application's page.
pub async fn preflight(net: &dyn Net, sight: &Sight, address: SocketAddr) -> Reading<Signalling> {
    let config = Box::pin(config(net, sight, address)).await;
    let given = |of: fn(&Deployment) -> Option<&String>| config.as_ref().ok().and_then(of);
    let (bosh, websocket) = tokio::join!(
        entrance(net, sight, address, given(|c| c.bosh.as_ref()), "/http-bind", bosh),
        entrance(net, sight, address, given(|c| c.websocket.as_ref()), "/xmpp-websocket", websocket)
    );
    let signalling = || Ok::<_, Unreadable>(Some(Signalling { bosh: bosh?, websocket: websocket? }));
    signalling().into()
}

/// What `config.js` says of the signalling; whether it is served at all is another question.
async fn config(net: &dyn Net, sight: &Sight, address: SocketAddr) -> Result<Deployment, ()> {
    let answer = https::get(net, sight, address, "/config.js").await.map_err(|_| ())?;
    config_js::read(answer.text().unwrap_or_default()).map_err(|_| ())
}

/// The page of one of Prosody's doors: where `config.js` sends browsers, or where the images serve it.
async fn entrance(
    net: &dyn Net,
    sight: &Sight,
    address: SocketAddr,
    given: Option<&String>,
    usual: &str,
    judge: fn(&Answer) -> Option<String>,
) -> Result<Page, Unreadable> {
    let Some(given) = given else { return page(net, sight, address, usual, judge).await };
    let shut = |why: String| Page {
        path: "/config.js".into(),
        status: Some(200),
        wrong: Some(format!("sends browsers to {why}")),
        took: Duration::ZERO,
    };
    let entrance = match Entrance::read(given, &sight.host, sight.https_port) {
        Ok(entrance) => entrance,
        Err(why) => return Ok(shut(why)),
    };
    let resolver = Resolver { servers: sight.dns_servers.clone(), port: sight.dns_port };
    let addresses = match entrance.addresses(net, &resolver, &sight.host, &[address.ip()]).await {
        Ok(addresses) => addresses,
        Err(Shut::ToEverybody(why)) => return Ok(shut(format!("{entrance}, where guests do not get in: {why}"))),
        Err(Shut::Unseen(why)) => return Err(why),
    };
    if entrance.is_at(&sight.host, sight.https_port) {
        return page(net, sight, address, &entrance.path, judge).await;
    }
    let Ok(host) = entrance.host.parse() else {
        return Err(unreachable(format!("{entrance}: only hosts with a name are looked at")));
    };
    let there = Sight { host, https_port: entrance.port, ..sight.clone() };
    let at = addresses.first().map_or(address, |ip| SocketAddr::new(*ip, entrance.port));
    let mut found = page(net, &there, at, &entrance.path, judge).await?;
    found.path = entrance.to_string();
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
