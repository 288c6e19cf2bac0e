//! HTTPS: pages, judged by what they say and never by their status alone.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::{Sight, quoted, seconds, tls};
use crate::domain::observed::{Page, Reading, Unreadable, Web};
use crate::world::Net;

/// The longest page that is read. Jitsi's own are well below it.
const BODY: usize = 1024 * 1024;
/// The longest head of an answer.
const HEAD: usize = 32 * 1024;
const HEADERS: usize = 100;
const REDIRECTS: usize = 3;
const AGENT: &str = concat!("meetctl/", env!("CARGO_PKG_VERSION"));

/// Fetches and judges the three pages without which no browser gets into a meeting.
///
/// Each has a connection of its own: all at once cost one handshake and one round trip, one after the other on a
/// single connection three round trips.
pub async fn pages(net: &dyn Net, sight: &Sight, address: SocketAddr) -> Reading<Web> {
    let (index, config, api) = tokio::join!(
        page(net, sight, address, "/", index),
        page(net, sight, address, "/config.js", config),
        page(net, sight, address, "/external_api.js", api)
    );
    let web = || Ok::<_, Unreadable>(Some(Web { index: index?, config: config?, api: api? }));
    web().into()
}

/// Fetches a page and has it judged; an error when the fault may be this machine's.
pub(super) async fn page(
    net: &dyn Net,
    sight: &Sight,
    address: SocketAddr,
    path: &str,
    wrong: fn(&Answer) -> Option<String>,
) -> Result<Page, Unreadable> {
    let start = Instant::now();
    let (status, wrong) = match get(net, sight, address, path).await {
        Ok(answer) => (Some(answer.status.as_u16()), wrong(&answer)),
        Err(NoPage::Wrong { status, why }) => (status.map(|s| s.as_u16()), Some(why)),
        Err(NoPage::Blind(why)) => return Err(why),
    };
    Ok(Page { path: path.to_owned(), status, wrong, took: start.elapsed() })
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub took: Duration,
}

impl Answer {
    /// The body as text; `None` when it is none.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// The fault may be this machine's.
    Blind(Unreadable),
    /// What went wrong, in a sentence. A status says that there was a whole answer, and that it is not usable.
    Wrong { status: Option<StatusCode>, why: String },
}

fn silent(why: impl Into<String>) -> NoPage {
    NoPage::Wrong { status: None, why: why.into() }
}

impl From<tls::NoTls> for NoPage {
    fn from(error: tls::NoTls) -> Self {
        match error {
            tls::NoTls::Blind(why) => Self::Blind(why),
            tls::NoTls::Ended(how) => silent(how),
        }
    }
}

/// Gets a page of the host from one address, whatever certificate it shows. Redirects are followed as long as they
/// stay on the host.
pub async fn get(net: &dyn Net, sight: &Sight, address: SocketAddr, path: &str) -> Result<Answer, NoPage> {
    let start = Instant::now();
    let limit = sight.limits.whole;
    let walk = async {
        let mut path = path.to_owned();
        let mut status = None;
        for _ in 0..=REDIRECTS {
            // A TLS session is large; boxed, it does not swell every future that it is part of.
            let answer = Box::pin(fetch(net, sight, address, &path)).await?;
            if !answer.status.is_redirection() {
                return Ok(Answer { took: start.elapsed(), ..answer });
            }
            let wrong = |why| NoPage::Wrong { status: Some(answer.status), why };
            let to = answer.headers.get(LOCATION).map(|l| String::from_utf8_lossy(l.as_bytes()));
            let Some(to) = to else {
                return Err(wrong(format!("answers {} without saying where to go", answer.status.as_u16())));
            };
            path = onward(sight, &path, &to).map_err(wrong)?;
            status = Some(answer.status);
        }
        Err(NoPage::Wrong {
            status,
            why: format!("redirects more than {REDIRECTS} times, at last to {}", quoted(&path)),
        })
    };
    timeout(limit, walk).await.unwrap_or_else(|_| Err(silent(format!("no whole answer within {}", seconds(limit)))))
}

/// The path that a redirect leads to, when it stays on the host.
fn onward(sight: &Sight, from: &str, to: &str) -> Result<String, String> {
    let elsewhere = || format!("redirects to another site: {}", quoted(to));
    let nonsense = || format!("redirects to nowhere: {}", quoted(to));
    let target = to.split('#').next().unwrap_or_default();
    let lower = target.to_ascii_lowercase();
    if lower.starts_with("http:") {
        return Err(format!("redirects to plain HTTP: {}", quoted(to)));
    }
    let whole = if lower.starts_with("https:") {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("https:{target}")
    } else if target.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return Err(elsewhere());
    } else {
        let here = from.split('?').next().unwrap_or_default();
        let folder = here.rfind('/').map_or("/", |end| &here[..=end]);
        let path = if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
        format!("https://{}{path}", authority(sight))
    };
    let uri: Uri = whole.parse().map_err(|_| nonsense())?;
    let here = uri.host().is_some_and(|host| host.eq_ignore_ascii_case(sight.host.as_str()))
        && uri.port_u16().unwrap_or(443) == sight.https_port;
    if !here {
        return Err(elsewhere());
    }
    Ok(uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string))
}

fn authority(sight: &Sight) -> String {
    if sight.https_port == 443 { sight.host.to_string() } else { format!("{}:{}", sight.host, sight.https_port) }
}

/// One request on one connection.
async fn fetch(net: &dyn Net, sight: &Sight, address: SocketAddr, path: &str) -> Result<Answer, NoPage> {
    let start = Instant::now();
    let session = tls::open(net, sight, address).await?;
    let request = Request::get(path)
        .header(HOST, authority(sight))
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .body(Empty::<Bytes>::new())
        .map_err(|_| silent(format!("{} is no path", quoted(path))))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(HEADERS)
        .max_header_size(HEAD)
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(session.stream))
        .await
        .map_err(|error| silent(misspoken(&error)))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| silent(misspoken(&error)))?;
        read(response).await
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection));
    let (status, headers, body) = tokio::select! {
        biased;
        done = &mut exchange => done,
        // The connection has ended; what it brought is still to be read.
        _ = &mut connection => exchange.await,
    }?;
    Ok(Answer { status, headers, body, took: start.elapsed() })
}

async fn read(response: Response<Incoming>) -> Result<(StatusCode, HeaderMap, Bytes), NoPage> {
    let (head, mut body) = response.into_parts();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            silent(format!("begins with {}, then breaks off: {}", head.status.as_u16(), misspoken(&error)))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > BODY {
            let why = "does not end within 1 MiB, which is no page of Jitsi's".to_owned();
            return Err(NoPage::Wrong { status: Some(head.status), why });
        }
        whole.extend_from_slice(&data);
    }
    Ok((head.status, head.headers, whole.into()))
}

/// What an HTTP error says about the other side.
fn misspoken(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        return format!("its headers do not end within {} KiB", HEAD / 1024);
    }
    if error.is_parse() {
        return "it does not speak HTTP".into();
    }
    let cause = std::error::Error::source(error);
    let ended = cause
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if ended || error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "the connection ends before the answer does".into();
    }
    format!("the connection breaks: {}", quoted(&cause.map_or_else(|| error.to_string(), ToString::to_string)))
}

/// What a status says before the page is read: nothing when it is 200.
pub(super) fn refused(answer: &Answer, behind: &str) -> Option<String> {
    let status = answer.status.as_u16();
    match status {
        200 => None,
        502..=504 => Some(format!("answers {status}: {behind} does not answer")),
        500.. => Some(format!("answers {status}: an error inside of the web container")),
        _ => Some(format!("answers {status}, where Jitsi answers 200")),
    }
}

const BEHIND: &str = "the web container, or what is behind it,";

/// What is wrong with the application's page.
///
/// Titles, texts, logos and hosts of scripts change with branding. What stays is that the page loads Jitsi's library
/// and its application by these names; without them there is no Jitsi Meet.
fn index(answer: &Answer) -> Option<String> {
    refused(answer, BEHIND).or_else(|| match answer.text() {
        None => Some(NOT_TEXT.into()),
        Some(text) if is_app(text) => None,
        Some(text) => Some(format!("is not Jitsi Meet's page{}", titled(text))),
    })
}

const NOT_TEXT: &str = "is not text (invalid UTF-8)";

/// Whether this is the page of the application.
pub(super) fn is_app(text: &str) -> bool {
    is_html(text) && text.contains("lib-jitsi-meet") && text.contains("app.bundle")
}

/// What is wrong with `config.js`: docker-jitsi-meet assigns its hosts one by one, `config.hosts.domain = …`.
fn config(answer: &Answer) -> Option<String> {
    script(answer, "assigns no config.hosts: it is not the configuration of a Jitsi Meet", |text| {
        text.lines().filter_map(|line| line.trim_start().strip_prefix("config.hosts")).any(|rest| {
            let rest = rest.trim_start_matches(|c: char| c == '.' || c == '_' || c.is_ascii_alphanumeric());
            rest.trim_start().strip_prefix('=').is_some_and(|value| !value.starts_with('='))
        })
    })
}

/// What is wrong with `external_api.js`.
fn api(answer: &Answer) -> Option<String> {
    script(answer, "defines no JitsiMeetExternalAPI", |text| text.contains("JitsiMeetExternalAPI"))
}

fn script(answer: &Answer, otherwise: &str, is: fn(&str) -> bool) -> Option<String> {
    refused(answer, BEHIND).or_else(|| match answer.text() {
        None => Some(NOT_TEXT.into()),
        Some(text) if is_html(text) => Some(format!("is a web page, where a script should be{}", titled(text))),
        Some(text) if is(text) => None,
        Some(_) => Some(otherwise.to_owned()),
    })
}

fn is_html(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// How to tell the user which page it is instead.
pub(super) fn titled(text: &str) -> String {
    let title = || {
        let lower = text.to_ascii_lowercase();
        let start = lower.find("<title>")? + "<title>".len();
        let end = start + lower[start..].find('<')?;
        Some(text[start..end].trim()).filter(|title| !title.is_empty())
    };
    title().map(|title| format!(", but one titled \"{}\"", quoted(title))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sight() -> Sight {
        Sight::of("meet.example.org".parse().expect("a host"))
    }

    fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: body.into(), took: Duration::ZERO }
    }

    const APP: &str = "<!DOCTYPE html><html><head><title>Our meetings</title>\
        <script src=\"libs/lib-jitsi-meet.min.js?v=1\"></script><script src=\"libs/app.bundle.min.js?v=1\"></script>";

    #[test]
    fn the_application_is_known_by_what_it_loads() {
        assert_eq!(index(&answer(200, APP)), None);
        let other = index(&answer(200, "<html><title> Welcome to nginx!</title>")).expect("wrong");
        assert_eq!(other, "is not Jitsi Meet's page, but one titled \"Welcome to nginx!\"");
        assert!(index(&answer(200, "")).is_some());
        assert!(
            index(&answer(200, &b"<html>\xff\xfe lib-jitsi-meet app.bundle"[..])).is_some_and(|w| w.contains("UTF-8"))
        );
        assert!(index(&answer(502, APP)).is_some_and(|w| w.starts_with("answers 502")));
        assert!(index(&answer(404, APP)).is_some());
        assert!(index(&answer(204, "")).is_some());
    }

    #[test]
    fn the_configuration_assigns_hosts() {
        for good in ["config.hosts.domain = 'meet.jitsi';", "var config = {};\n  config.hosts = {};\n"] {
            assert_eq!(config(&answer(200, good)), None, "{good}");
        }
        for bad in ["", APP, "// config.hosts.domain = 'x';", "if (config.hosts == 1) {}", "config.hostsname", "var a;"]
        {
            assert!(config(&answer(200, bad)).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_api_is_a_script_that_defines_it() {
        assert_eq!(api(&answer(200, "!function(e,t){e.JitsiMeetExternalAPI=t()}(self);")), None);
        assert!(api(&answer(200, "<html>JitsiMeetExternalAPI")).is_some());
        assert!(api(&answer(200, "alert(1)")).is_some());
    }

    #[test]
    fn redirects_stay_on_the_host() {
        let sight = sight();
        let go = |to| onward(&sight, "/a/b?c", to);
        for (to, path) in [
            ("/", "/"),
            ("/x?y=1#z", "/x?y=1"),
            ("x", "/a/x"),
            ("https://MEET.example.org/x", "/x"),
            ("https://meet.example.org", "/"),
            ("https://meet.example.org:443/x", "/x"),
            ("//meet.example.org/x", "/x"),
        ] {
            assert_eq!(go(to), Ok(path.to_owned()), "{to}");
        }
        for to in [
            "http://meet.example.org/",
            "HTTP://meet.example.org/",
            "https://meet.example.org.evil.example/",
            "https://meet.example.org@evil.example/",
            "https://meet.example.org:8443/",
            "//evil.example/",
            "ftp://meet.example.org/",
            "javascript:alert(1)",
        ] {
            assert!(go(to).is_err(), "{to}");
        }
        assert!(go("http://meet.example.org/").is_err_and(|w| w.contains("plain HTTP")));
        assert!(go("//evil.example/").is_err_and(|w| w.contains("another site")));
    }

    proptest! {
        #[test]
        fn any_page_is_judged(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let answer = answer(status, body);
            for judge in [index, config, api] {
                let wrong = judge(&answer);
                prop_assert!(status == 200 || wrong.is_some());
            }
        }

        #[test]
        fn any_page_with_a_title_is_judged(text in "(<html>)?.{0,20}<[tT]itle>.{0,200}") {
            titled(&text);
            prop_assert!(index(&answer(200, text)).is_some());
        }

        #[test]
        fn any_redirect_stays_or_is_refused(to in "\\PC{0,60}", scheme in "(https:|http:|//|/|)") {
            if let Ok(path) = onward(&sight(), "/", &format!("{scheme}{to}")) {
                prop_assert!(path.starts_with('/'));
            }
        }
    }
}
