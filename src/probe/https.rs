//! HTTPS: pages, judged by what they say and never by their status alone.

use std::io::{self, Read};
use std::pin::pin;
use std::time::Duration;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout};

use super::config_js::{self, BadConfig};
use super::site::Site;
use super::wire::{Door, NoTls};
use super::{garbled, quoted, seconds};
use crate::domain::observed::{Blindness, Page, Reading, Unreadable, Web};

/// The longest page that is read, also when it was compressed. Jitsi's own are well below it.
const BODY: usize = 4 * 1024 * 1024;
/// The longest head of an answer.
const HEAD: usize = 32 * 1024;
const HEADERS: usize = 100;
const REDIRECTS: usize = 5;
const AGENT: &str = concat!("meetctl/", env!("CARGO_PKG_VERSION"));

/// Fetches and judges the three pages without which no browser gets into a meeting.
///
/// Each has a connection of its own: all at once cost one handshake and one round trip, one after the other on a
/// single connection three round trips.
pub async fn pages(door: &Door<'_>) -> Reading<Web> {
    let config = |answer: &Answer| config(answer, door.site);
    let (index, config, api) =
        tokio::join!(page(door, "", index), page(door, "config.js", config), page(door, "external_api.js", api));
    let web = || Ok::<_, Unreadable>(Some(Web { index: index?, config: config?, api: api? }));
    web().into()
}

/// Fetches a page and has it judged; an error when the fault may be this machine's.
pub(super) async fn page(
    door: &Door<'_>,
    name: &str,
    wrong: impl FnOnce(&Answer) -> Option<String>,
) -> Result<Page, Unreadable> {
    page_at(door, door.site.page(name), wrong).await
}

/// The same for a path that is not the site's to say.
pub(super) async fn page_at(
    door: &Door<'_>,
    path: String,
    wrong: impl FnOnce(&Answer) -> Option<String>,
) -> Result<Page, Unreadable> {
    let start = Instant::now();
    match get(door, &path).await {
        Ok(answer) => {
            let (status, wrong) = (Some(answer.status.as_u16()), wrong(&answer));
            Ok(Page { path, status, wrong, took: start.elapsed() })
        }
        Err(error) => no_page(path, error, start.elapsed()),
    }
}

/// What a page that was not got shows; an error when the fault may be this machine's.
pub(super) fn no_page(path: String, error: NoPage, took: Duration) -> Result<Page, Unreadable> {
    let (status, why) = match error {
        NoPage::Wrong { status, why } => (status.map(|s| s.as_u16()), why),
        NoPage::NoTls(NoTls::Tcp(_, why) | NoTls::Handshake(why)) => (None, why),
        NoPage::NoTls(NoTls::Blind(why)) | NoPage::Blind(why) => return Err(why),
        NoPage::Barred(why) => {
            return Err(Unreadable { because: Blindness::Unprovable, why: format!("{path}: {why}") });
        }
    };
    Ok(Page { path, status, wrong: Some(why), took })
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A script as text, whatever it is written in.
    pub fn script(&self) -> String {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        config_js::decoded(&self.body, content_type)
    }

    /// The body as text; `None` when it is none.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPage {
    NoTls(NoTls),
    /// The answer cannot be read here; a browser may read it.
    Blind(Unreadable),
    /// Somebody stands before the page and does not let the probe in: what people get to see is not known.
    Barred(String),
    /// What went wrong, in a sentence. A status says that there was a whole answer, and that it is not usable.
    Wrong {
        status: Option<StatusCode>,
        why: String,
    },
}

fn silent(why: impl Into<String>) -> NoPage {
    NoPage::Wrong { status: None, why: why.into() }
}

impl From<NoTls> for NoPage {
    fn from(error: NoTls) -> Self {
        Self::NoTls(error)
    }
}

/// Gets a page from behind a door. Redirects are followed as long as they stay on the host.
pub async fn get(door: &Door<'_>, path: &str) -> Result<Answer, NoPage> {
    let limit = door.limits.whole;
    let walk = async {
        let mut path = path.to_owned();
        let mut status = None;
        for _ in 0..=REDIRECTS {
            // A TLS session is large; boxed, it does not swell every future that it is part of.
            let answer = Box::pin(fetch(door, &path)).await?;
            if let Some(why) = barred(&answer, door.host()) {
                return Err(NoPage::Barred(why));
            }
            if !answer.status.is_redirection() {
                return Ok(answer);
            }
            let wrong = |why| NoPage::Wrong { status: Some(answer.status), why };
            let to = answer.headers.get(LOCATION).map(|l| String::from_utf8_lossy(l.as_bytes()));
            let Some(to) = to else {
                return Err(wrong(format!("answers {} without saying where to go", answer.status.as_u16())));
            };
            path = onward(&door.authority(), &path, &to).map_err(wrong)?;
            status = Some(answer.status);
        }
        Err(NoPage::Wrong {
            status,
            why: format!("redirects more than {REDIRECTS} times, at last to {}", quoted(&path)),
        })
    };
    timeout(limit, walk).await.unwrap_or_else(|_| Err(silent(format!("no whole answer within {}", seconds(limit)))))
}

/// Who keeps the probe from a page of `host` without saying anything about the page.
fn barred(answer: &Answer, host: &str) -> Option<String> {
    let status = answer.status.as_u16();
    if is_challenge(answer) {
        return Some(format!("answers {status}, a challenge that only a browser with somebody before it can pass"));
    }
    let why = match status {
        401 => "wants a login of its own",
        403 => "does not let the probe in",
        407 => "a proxy between here and there wants a login",
        429 => "the probe asks too often for it",
        511 => "this network wants a login first (a captive portal)",
        _ => {
            let to = answer.headers.get(LOCATION).filter(|_| answer.status.is_redirection())?;
            let to = String::from_utf8_lossy(to.as_bytes());
            return is_gate(&to, host).then(|| format!("redirects to a login: {}", quoted(bare(&to))));
        }
    };
    Some(format!("answers {status}: {why}"))
}

/// An address without its query, in which secrets may stand.
fn bare(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

/// Whether an address is that of a login, by a whole word of its host or path; what the page's own host is called says
/// nothing.
fn is_gate(address: &str, host: &str) -> bool {
    const WORDS: [&str; 20] = [
        "accounts",
        "adfs",
        "auth",
        "authenticate",
        "authorize",
        "captive",
        "cas",
        "cloudflareaccess",
        "hotspot",
        "idp",
        "login",
        "logon",
        "oauth",
        "oauth2",
        "oidc",
        "portal",
        "saml",
        "signin",
        "sso",
        "wayf",
    ];
    let address = bare(address).to_ascii_lowercase();
    let own = format!("//{}", host.to_ascii_lowercase());
    let (_, rest) =
        address.split_once(&own).filter(|(_, rest)| !rest.starts_with(['.', '-'])).unwrap_or(("", &address));
    let address = rest.replace("sign-in", "signin").replace("sign_in", "signin");
    address.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
}

/// Whether a firewall for the web wants a browser to prove itself. Its header says so under any status; its page only
/// where it is not that of the application.
fn is_challenge(answer: &Answer) -> bool {
    const HEADERS: [(&str, &[&str]); 2] =
        [("cf-mitigated", &["challenge"]), ("x-amzn-waf-action", &["challenge", "captcha"])];
    const MARKS: [&str; 9] = [
        "/cdn-cgi/challenge-platform/h/",
        "cf-chl-",
        "_cf_chl_opt",
        "_incapsula_resource",
        "awswafcookiedomainlist",
        "checking your browser",
        "ddos-guard",
        "enable javascript and cookies to continue",
        "px-captcha",
    ];
    let says = |(name, values): &(&str, &[&str])| {
        let value = answer.headers.get(*name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| values.iter().any(|one| value.eq_ignore_ascii_case(one)))
    };
    HEADERS.iter().any(says)
        || answer.text().filter(|text| is_html(text) && !is_app(text)).is_some_and(|text| {
            let text = text.to_ascii_lowercase();
            MARKS.iter().any(|mark| text.contains(mark))
        })
}

/// The path that a redirect leads to, when it stays on the host.
fn onward(authority: &str, from: &str, to: &str) -> Result<String, String> {
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
        format!("https://{authority}{path}")
    };
    let uri: Uri = whole.parse().map_err(|_| nonsense())?;
    let of = |uri: &Uri| (uri.host().unwrap_or_default().to_ascii_lowercase(), uri.port_u16().unwrap_or(443));
    let here = format!("https://{authority}/").parse().is_ok_and(|page: Uri| of(&page) == of(&uri));
    if !here {
        return Err(elsewhere());
    }
    Ok(uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string))
}

/// One request on one connection.
async fn fetch(door: &Door<'_>, path: &str) -> Result<Answer, NoPage> {
    let session = door.enter().await?;
    let request = Request::get(path)
        .header(HOST, door.authority())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(ACCEPT_ENCODING, "gzip, deflate")
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
    Ok(Answer { status, headers, body })
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
            return Err(endless(head.status));
        }
        // Copied out: a chunk of one byte would keep a whole buffer alive.
        whole.extend_from_slice(&data);
    }
    let body = plain(&head.headers, whole).map_err(|error| error.unwrap_or_else(|| endless(head.status)))?;
    Ok((head.status, head.headers, body.into()))
}

fn endless(status: StatusCode) -> NoPage {
    let why = format!("does not end within {} MiB, which is no page of Jitsi's", BODY >> 20);
    NoPage::Wrong { status: Some(status), why }
}

/// A body as it was before it was compressed. `Err(None)`: it is too large.
fn plain(headers: &HeaderMap, body: Vec<u8>) -> Result<Vec<u8>, Option<NoPage>> {
    let encoding = headers.get(CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    let reader: Box<dyn Read + '_> = match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => return Ok(body),
        Some("gzip" | "x-gzip") => Box::new(MultiGzDecoder::new(body.as_slice())),
        // As browsers do: with zlib's head, as the standard has it, or without.
        Some("deflate") if body.first().is_some_and(|first| first & 0x0f == 8) => {
            Box::new(ZlibDecoder::new(body.as_slice()))
        }
        Some("deflate") => Box::new(DeflateDecoder::new(body.as_slice())),
        Some(other) => {
            let why = format!("it is compressed with {}, which was not asked for", quoted(other));
            return Err(Some(NoPage::Blind(garbled(why))));
        }
    };
    let mut whole = Vec::new();
    let limit = u64::try_from(BODY).unwrap_or(u64::MAX);
    match reader.take(limit + 1).read_to_end(&mut whole) {
        Ok(length) if length > BODY => Err(None),
        Ok(_) => Ok(whole),
        Err(_) => Err(Some(silent("is compressed, and its compression is damaged"))),
    }
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
        Some(text) => Some(match title(text).filter(|title| title.to_ascii_lowercase().contains("jitsi")) {
            Some(title) => {
                let missing: Vec<_> = MARKS.into_iter().filter(|mark| !text.contains(mark)).collect();
                format!("is titled \"{}\", but does not load {}", quoted(title), missing.join(" and "))
            }
            None => format!("is not Jitsi Meet's page{}", titled(text)),
        }),
    })
}

const NOT_TEXT: &str = "is not text (invalid UTF-8)";

/// What the page of the application loads.
const MARKS: [&str; 2] = ["lib-jitsi-meet", "app.bundle"];

/// Whether this is the page of the application.
pub(super) fn is_app(text: &str) -> bool {
    is_html(text) && MARKS.iter().all(|mark| text.contains(mark))
}

/// What is wrong with `config.js`. What cannot be told without running it is not wrong.
fn config(answer: &Answer, site: &Site) -> Option<String> {
    not_script(answer).or_else(|| match config_js::read(&answer.script(), site) {
        Err(error @ (BadConfig::Missing(_) | BadConfig::NotAName { .. })) => {
            Some(format!("{error}: it is not the configuration of a Jitsi Meet"))
        }
        // Where it sends browsers is the signalling's question.
        Ok(_) | Err(_) => None,
    })
}

/// What is wrong with `external_api.js`.
fn api(answer: &Answer) -> Option<String> {
    let defines = || answer.script().contains("JitsiMeetExternalAPI");
    not_script(answer).or_else(|| (!defines()).then(|| "defines no JitsiMeetExternalAPI".to_owned()))
}

/// Why an answer is not a script at all.
pub(super) fn not_script(answer: &Answer) -> Option<String> {
    refused(answer, BEHIND).or_else(|| {
        let text = answer.script();
        is_html(&text).then(|| format!("is a web page, where a script should be{}", titled(&text)))
    })
}

fn is_html(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// How to tell the user which page it is instead.
pub(super) fn titled(text: &str) -> String {
    title(text).map(|title| format!(", but one titled \"{}\"", quoted(title))).unwrap_or_default()
}

fn title(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find('<')?;
    Some(text[start..end].trim()).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn site() -> Site {
        Site::of("meet.example.org".parse().expect("a host"))
    }

    fn answer(status: u16, body: impl Into<Bytes>) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: body.into() }
    }

    const APP: &str = "<!DOCTYPE html><html><head><title>Our meetings</title>\
        <script src=\"libs/lib-jitsi-meet.min.js?v=1\"></script><script src=\"libs/app.bundle.min.js?v=1\"></script>";

    #[test]
    fn the_application_is_known_by_what_it_loads() {
        assert_eq!(index(&answer(200, APP)), None);
        let other = index(&answer(200, "<html><title> Welcome to nginx!</title>")).expect("wrong");
        assert_eq!(other, "is not Jitsi Meet's page, but one titled \"Welcome to nginx!\"");
        assert_eq!(
            index(&answer(200, "<html><title>Jitsi Meet</title><script src=libs/lib-jitsi-meet.min.js>")).as_deref(),
            Some("is titled \"Jitsi Meet\", but does not load app.bundle")
        );
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
        for good in [
            "config.hosts.domain = 'meet.jitsi'; config.hosts.muc = 'muc.meet.jitsi'",
            "var config = { hosts: { domain: 'a', muc: 'b' } };",
            // What only a browser knows is not wrong.
            "var config = { hosts: { domain: beta() ? 'a' : 'c', muc: 'b' } };",
        ] {
            assert_eq!(config(&answer(200, good), &site()), None, "{good}");
        }
        for bad in ["", APP, "// config.hosts.domain = 'x';", "if (config.hosts == 1) {}", "config.hostsname", "var a;"]
        {
            assert!(config(&answer(200, bad), &site()).is_some(), "{bad}");
        }
        let wrong = config(&answer(200, "var a;"), &site());
        assert_eq!(
            wrong.as_deref(),
            Some("assigns no config.hosts.domain: it is not the configuration of a Jitsi Meet")
        );
    }

    #[test]
    fn bodies_are_read_as_they_were_before_they_were_compressed() {
        use std::io::Write;

        use flate2::Compression;
        use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
        let text = b"var config = {};".as_slice();
        let under = |encoding: &str, body: &[u8]| {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().expect("a value"))]);
            plain(&headers, body.to_vec())
        };
        macro_rules! packed {
            ($encoder:ident, $body:expr) => {{
                let mut encoder = $encoder::new(Vec::new(), Compression::default());
                encoder.write_all($body).expect("memory");
                encoder.finish().expect("memory")
            }};
        }
        for (encoding, body) in [
            ("identity", text.to_vec()),
            ("gzip", packed!(GzEncoder, text)),
            ("X-GZIP", packed!(GzEncoder, text)),
            ("deflate", packed!(ZlibEncoder, text)),
            ("deflate", packed!(DeflateEncoder, text)),
        ] {
            assert_eq!(under(encoding, &body), Ok(text.to_vec()), "{encoding}");
        }
        assert!(matches!(under("br", text), Err(Some(NoPage::Blind(_)))));
        assert!(matches!(under("gzip", text), Err(Some(NoPage::Wrong { .. }))));
        let bomb = packed!(GzEncoder, &vec![b' '; 8 * BODY]);
        assert!(bomb.len() < BODY / 50);
        assert_eq!(under("gzip", &bomb), Err(None), "it ends at the limit");
    }

    #[test]
    fn the_api_is_a_script_that_defines_it() {
        assert_eq!(api(&answer(200, "!function(e,t){e.JitsiMeetExternalAPI=t()}(self);")), None);
        assert!(api(&answer(200, "<html>JitsiMeetExternalAPI")).is_some());
        assert!(api(&answer(200, "alert(1)")).is_some());
    }

    #[test]
    fn redirects_stay_on_the_host() {
        let site = site();
        let go = |to| onward(&site.authority(), "/a/b?c", to);
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

    #[test]
    fn who_stands_before_a_page_says_nothing_about_it() {
        let with = |status, name: &'static str, value: &str, body: &'static str| {
            let headers =
                HeaderMap::from_iter([(hyper::header::HeaderName::from_static(name), value.parse().expect("a value"))]);
            barred(&Answer { headers, ..answer(status, body) }, "meet.example.org")
        };
        for status in [401, 403, 407, 429, 511] {
            assert!(
                barred(&answer(status, ""), "meet.example.org").is_some_and(|why| why.contains(&status.to_string()))
            );
        }
        let challenge = "<html><title>Just a moment...</title><script>window._cf_chl_opt={}</script>";
        assert!(barred(&answer(503, challenge), "meet.example.org").is_some_and(|why| why.contains("challenge")));
        assert!(with(503, "cf-mitigated", "challenge", "").is_some());
        assert!(with(202, "x-amzn-waf-action", "challenge", "").is_some());
        for gate in [
            "https://login.example.com/x?next=1",
            "https://team.cloudflareaccess.com/",
            "/oauth2/start",
            "https://x.example/users/sign_in",
            "https://hotspot.example/",
        ] {
            assert!(with(302, "location", gate, "").is_some_and(|why| why.contains("login")), "{gate}");
        }
        assert_eq!(with(302, "location", "https://parked.example/?from=login", ""), None);
        assert_eq!(with(302, "location", "/authority/", ""), None);
        // A host may be called like a login.
        let to = |address| is_gate(address, "auth.portal.example");
        assert!(!to("https://auth.portal.example/meet/") && !to("https://AUTH.portal.example:8443/"));
        assert!(to("https://auth.portal.example/login") && to("https://auth.portal.example.org/"));
        for status in [200, 404, 500, 502, 503] {
            assert_eq!(barred(&answer(status, "<html><title>503</title>"), "meet.example.org"), None);
            assert_eq!(barred(&answer(status, APP), "meet.example.org"), None);
        }
    }

    proptest! {
        #[test]
        fn any_page_is_judged(status in 100u16..1000, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let answer = answer(status, body);
            for wrong in [index(&answer), config(&answer, &site()), api(&answer)] {
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
            if let Ok(path) = onward(&site().authority(), "/", &format!("{scheme}{to}")) {
                prop_assert!(path.starts_with('/'));
            }
        }
    }
}
