//! Shapes of `config.js` as deployments have them, written after public ones.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn site() -> Site {
    Site::read("https://meet.example.org").expect("a site")
}

fn of(script: &str) -> Result<Deployment, BadConfig> {
    read(script, &site())
}

/// domain, muc, focus, WebSocket, BOSH
type Wanted = (&'static str, &'static str, &'static str, Option<&'static str>, Option<&'static str>);

/// As docker-jitsi-meet writes it: defaults, then one assignment for each setting.
const DOCKER: &str = r"
var subdomain = '';
if (subdomain.startsWith('<!--')) {
    subdomain = '';
}
if (subdomain) {
    subdomain = subdomain.substr(0, subdomain.length - 1).split('.').join('_').toLowerCase() + '.';
}
var subdir = '';
if (subdir.startsWith('<!--')) {
    subdir = '';
}
var config = {
    hosts: {
        domain: 'jitsi-meet.example.com',
        // When using authentication, domain for guest users.
        // anonymousdomain: 'guest.example.com',
        muc: 'conference.' + subdomain + 'jitsi-meet.example.com',
    },
    bosh: 'https://jitsi-meet.example.com/' + subdir + 'http-bind',
    testing: {},
    flags: { sourceNameSignaling: true, /* hosts: { domain: 'no' } */ },
};
// Begin default config overrides.
if (!config.hasOwnProperty('hosts')) config.hosts = {};
config.hosts.domain = 'meet.jitsi';
config.focusUserJid = 'focus@auth.meet.jitsi';
config.hosts.muc = 'muc.' + subdomain + 'meet.jitsi';
config.bosh = 'https://meet.example.org/' + subdir + 'http-bind';
config.websocket = 'wss://meet.example.org/' + subdir + 'xmpp-websocket';
if (!config.hasOwnProperty('bridgeChannel')) config.bridgeChannel = {};
config.bridgeChannel.preferSctp = true;
";

const PLAIN: Wanted = (
    "meet.jitsi",
    "muc.meet.jitsi",
    "focus.meet.jitsi",
    Some("wss://meet.example.org/xmpp-websocket"),
    Some("https://meet.example.org/http-bind"),
);

/// Ways to say the same, each as somebody does.
const SHAPES: &[(&str, &str)] = &[
    ("docker-jitsi-meet", DOCKER),
    (
        "one object, as the Debian package writes it",
        "/* eslint-disable no-unused-vars */\nvar config = {\n    // Connection\n    hosts: {\n        domain: 'meet.jitsi',\n\
         \n        muc: 'muc.meet.jitsi',\n    },\n    bosh: '//meet.example.org/http-bind',\n\
         \u{20}   websocket: 'wss://meet.example.org/xmpp-websocket',\n    resolution: 720, p2p: { enabled: true, \
         stunServers: [ { urls: 'stun:stun.example.org:443' } ] },\n};\n",
    ),
    (
        "quoted keys and JSON",
        r#"var config={"hosts":{"domain":"meet.jitsi","muc":"muc.meet.jitsi"},"bosh":"/http-bind","websocket":"/xmpp-websocket"}"#,
    ),
    (
        "concatenated with the page's own host",
        "var config = { hosts: { domain: 'meet.jitsi', muc: 'muc.' + 'meet.jitsi' },\n\
         bosh: '//' + window.location.host + '/http-bind',\n\
         websocket: 'wss://' + location.hostname + '/xmpp-websocket' };",
    ),
    (
        "template literals",
        "const domain = `meet.jitsi`;\nvar config = { hosts: { domain, muc: `muc.${domain}` },\n\
         bosh: `${window.location.origin}/http-bind`, websocket: `wss://${location.host}/${''}xmpp-websocket` }",
    ),
    (
        "assignments by brackets, no semicolons",
        "var config = {}\nconfig['hosts'] = {}\nconfig['hosts']['domain'] = 'meet.jitsi'\nconfig.hosts[\"muc\"] = \
         'muc.meet.jitsi'\nconfig.bosh = '/http-bind'\nconfig.websocket = '/xmpp-websocket'\n",
    ),
    (
        "Object.assign",
        "var base = { bosh: '/http-bind' };\nvar config = Object.assign({}, base, { websocket: '/xmpp-websocket' });\n\
         Object.assign(config, { hosts: { domain: 'meet.jitsi' } });\nObject.assign(config.hosts, { muc: 'muc.meet.jitsi' });",
    ),
    (
        "spread",
        "const hosts = { domain: 'meet.jitsi', muc: 'muc.meet.jitsi', };\nconst urls = { bosh: '/http-bind', websocket: \
         '/xmpp-websocket' };\nvar config = { ...urls, hosts: { ...hosts } };",
    ),
    (
        "the last assignment counts",
        "var config = { hosts: { domain: 'old.example', muc: 'muc.old.example' }, bosh: '/x', websocket: '/y' };\n\
         config.hosts = { domain: 'MEET.jitsi', muc: 'muc.meet.jitsi' }; config.bosh = '/http-bind'\n\
         ;config.websocket = '/old'; config.websocket = '/xmpp-websocket'; // config.websocket = '/not';\n\
         /* config.bosh = '/not'; */",
    ),
    (
        "strings with escapes, and comments in strings",
        "var config = { a: '// no comment', b: \"/* nor this */\", c: 'it\\'s', hosts: { domain: 'meet\\x2ejitsi', muc: \
         \"muc.\\u006deet.jitsi\" }, bosh: '\\/http-bind', websocket: '/xmpp-\\\nwebsocket' };",
    ),
    (
        "regular expressions with quotes in them",
        "var ok = /['\"`]\\/[/'](x)/gi.test('a'); var config = { r: /'/, hosts: { domain: 'meet.jitsi', muc: \
         'muc.meet.jitsi' }, bosh: '/http-bind', websocket: '/xmpp-websocket' };",
    ),
    (
        "functions that are not called, and a condition that is plain",
        "function log(x) { return x + '}' } const add = (a, b) => a + b; const f = async () => { await g(`${1}`) };\n\
         var debug = false;\nvar config = { hosts: { domain: debug ? 'test.jitsi' : 'meet.jitsi', muc: 'muc.meet.jitsi' },\n\
         get x() { return 1 }, y() { return 2 }, bosh: '' || '/http-bind', websocket: null ?? '/xmpp-websocket' };\n\
         if (debug) { config.bosh = '/debug'; } else { config.z = [1, , 3,]; }\n",
    ),
    (
        "called where it stands",
        "var config = {};\n(function () {\n  var d = 'meet.jitsi';\n  config.hosts = { domain: d, muc: 'muc.' + d };\n\
         \u{20} config.bosh = '/http-bind';\n  config.websocket = '/xmpp-websocket';\n})();",
    ),
    (
        "through window",
        "window.config = { hosts: { domain: 'meet.jitsi', muc: 'muc.meet.jitsi' } };\nwindow.config.bosh = '/http-bind';\n\
         window['config'].websocket = '/xmpp-websocket';",
    ),
    (
        "defaults kept",
        "var config = config || {};\nconfig.hosts ||= { domain: 'meet.jitsi' };\nconfig.hosts.muc ??= 'muc.meet.jitsi';\n\
         if (typeof config.bosh === 'undefined') config.bosh = '/http-bind';\n\
         config.websocket = config.websocket || '/xmpp-websocket';",
    ),
    (
        "added piece by piece",
        "let config = { hosts: {} }, ws = '/xmpp';\nws += '-';\nws += 'websocket';\nconfig.hosts.domain = 'meet' + '.' + \
         ('jitsi');\nconfig.hosts.muc = ['x'] && 'muc.meet.jitsi';\nconfig.bosh = '/http-bind', config.websocket = ws;",
    ),
    (
        "old browsers' comments and a byte order mark",
        "\u{feff}<!-- hidden\nvar config = { hosts: { domain: 'meet.jitsi', muc: 'muc.meet.jitsi' },\n\
         bosh: '/http-bind', websocket: '/xmpp-websocket' };\n--> shown",
    ),
    (
        "numbers, signs and things that do not matter",
        "var config = { n: -1, e: 1e3, h: 0xff, b: !0, u: void 0, t: new Date(), l: [{ hosts: { domain: 'no' } }, ...[1]],\n\
         'hosts': { domain: 'meet.jitsi', muc: 'muc.meet.jitsi', deep: { hosts: { domain: 'no' } } },\n\
         bosh: '/http-bind', websocket: '/xmpp-websocket', analytics: { hosts: 1, websocket: 'no' } };\n\
         delete config.analytics; console.log(config);",
    ),
];

#[test]
fn each_shape_says_the_same() {
    for (name, script) in SHAPES {
        for (line_ends, script) in [("LF", (*script).to_owned()), ("CRLF", script.replace('\n', "\r\n"))] {
            let found = of(&script).unwrap_or_else(|error| panic!("{name}, {line_ends}: {error}"));
            let url = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(ToString::to_string);
            let Names { domain, muc, focus } = &found.names;
            assert_eq!(
                (
                    domain.as_str(),
                    muc.as_str(),
                    focus.as_str(),
                    url(&found.websocket).as_deref(),
                    url(&found.bosh).as_deref()
                ),
                PLAIN,
                "{name}, {line_ends}"
            );
        }
    }
}

#[test]
fn encodings() {
    let utf16 = |unit: fn(u16) -> [u8; 2]| DOCKER.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let old = [DOCKER.as_bytes(), b"// caf\xe9"].concat();
    for (body, content_type) in [
        (DOCKER.as_bytes().to_vec(), None),
        ([b"\xef\xbb\xbf", DOCKER.as_bytes()].concat(), Some("application/javascript")),
        ([vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat(), None),
        ([vec![0xfe, 0xff], utf16(u16::to_be_bytes)].concat(), Some("text/javascript; charset=utf-8")),
        (utf16(u16::to_be_bytes), Some("text/javascript; charset=\"UTF-16BE\"")),
        (old.clone(), Some("application/javascript; charset=iso-8859-1")),
        (old, None),
    ] {
        assert_eq!(of(&decoded(&body, content_type)).map(|found| found.names), of(DOCKER).map(|found| found.names));
    }
}

fn undecided(script: &str) -> (&'static str, Vec<String>) {
    match of(script) {
        Err(BadConfig::Undecided { name, candidates }) => (name, candidates),
        other => panic!("{script}: {other:?}"),
    }
}

#[test]
fn what_a_condition_decides_is_undecided() {
    let hosts = "var config = { hosts: { domain: 'meet.jitsi', muc: 'muc.meet.jitsi' }, websocket: '/ws' };\n";
    for (script, name, wanted) in [
        (
            "config.hosts.domain = beta() ? 'beta.jitsi' : 'meet.jitsi';",
            "hosts.domain",
            &["beta.jitsi", "meet.jitsi"][..],
        ),
        ("if (navigator.userAgent.match(/x/)) config.hosts.domain = 'b';", "hosts.domain", &["meet.jitsi", "b"]),
        ("if (x) { } else { config.hosts.muc = `c.${'d'}` }", "hosts.muc", &["muc.meet.jitsi", "c.d"]),
        ("x && (config.websocket = '/b');", "websocket", &["/ws", "/b"]),
        ("config.websocket = x || '/b';", "websocket", &["something computed", "/b"]),
        (
            "config.websocket = x ? 'wss://' + (y ? 'a' : 'b') + '/ws' : '/c';",
            "websocket",
            &["wss://a/ws", "wss://b/ws", "/c"],
        ),
        ("for (const h of list) config.hosts.domain = 'h';", "hosts.domain", &["meet.jitsi", "h"]),
        ("switch (x) { case 1: config.hosts.domain = 'h'; break; default: }", "hosts.domain", &["meet.jitsi", "h"]),
        ("try { f() } catch (e) { config.hosts.domain = 'h' }", "hosts.domain", &["meet.jitsi", "h"]),
        ("function later() { config.hosts.domain = 'h' }", "hosts.domain", &["meet.jitsi", "h"]),
        ("window.addEventListener('load', () => { config.hosts.domain = 'h' })", "hosts.domain", &["meet.jitsi", "h"]),
        ("config.hosts.domain = 'a'.replace('a', 'b');", "hosts.domain", &["something computed"]),
        ("config.hosts.domain = 'a' + b;", "hosts.domain", &["something computed"]),
        ("config.hosts.domain = window.location.pathname;", "hosts.domain", &["something computed"]),
        ("config.hosts[key] = 'x';", "hosts.domain", &["something computed"]),
        ("change(config);", "hosts.domain", &["something computed"]),
        ("if (x) delete config.websocket;", "websocket", &["/ws", "nothing"]),
    ] {
        let (at, candidates) = undecided(&format!("{hosts}{script}"));
        assert_eq!((at, candidates), (name, wanted.iter().map(|&w| w.to_owned()).collect()), "{script}");
    }
    let decided = of(&format!("{hosts}if (x) config.hosts.domain = 'meet.jitsi'; if (x) config.other = 1;"));
    assert_eq!(decided.expect("both ways the same").names.domain, "meet.jitsi");
    let error = of(&format!("{hosts}config.hosts.domain = x ? 'a.b' : 'c.d';")).expect_err("undecided");
    assert!(error.is_undecided() && error.to_string().ends_with("it may be a.b, or c.d"), "{error}");
}

#[test]
fn what_is_something_else_is_missing() {
    for (script, wanted) in [
        ("", BadConfig::Missing("hosts.domain")),
        ("var interfaceConfig = { hosts: 1 };", BadConfig::Missing("hosts.domain")),
        ("var config = {};", BadConfig::Missing("hosts.domain")),
        ("// config.hosts.domain = 'a';", BadConfig::Missing("hosts.domain")),
        ("config.hosts.domain == 'a'", BadConfig::Missing("hosts.domain")),
        ("var config = { hosts: { domain: 'a.b' } }", BadConfig::Missing("hosts.muc")),
    ] {
        assert_eq!(of(script), Err(wanted), "{script}");
    }
    for bad in ["'a b'", "'a/../b'", "'a@b'", "'..'", "'conference.<!--# echo var=\"subdomain\" -->x'", "7", "{}"] {
        let script = format!("var config = {{ hosts: {{ domain: {bad}, muc: 'm' }} }}");
        assert!(matches!(of(&script), Err(BadConfig::NotAName { .. })), "{bad}");
    }
    for broken in ["<!DOCTYPE html>\n<html>", "var config = {", "var a = 'b", "config.hosts = = 1", "{{{", "`${", "@"] {
        assert!(of(broken).is_err_and(|error| error.is_undecided()), "{broken}");
    }
}

#[test]
fn addresses_are_what_a_browser_makes_of_them() {
    let site = Site::read("https://example.org:8443/meet/").expect("a site");
    let hosts = "var config = { hosts: { domain: 'a', muc: 'b' }, websocket: ";
    for (given, wanted) in [
        ("'wss://other.example/xmpp-websocket'", Some("wss://other.example/xmpp-websocket")),
        ("'WSS://Other.example.:443/ws#x'", Some("wss://other.example/ws")),
        ("'https://other.example'", Some("https://other.example/")),
        ("'wss://other.example:4443/x?y=1'", Some("wss://other.example:4443/x?y=1")),
        ("'//other.example/ws'", Some("wss://other.example/ws")),
        ("'/xmpp-websocket'", Some("wss://example.org:8443/xmpp-websocket")),
        ("'xmpp-websocket'", Some("wss://example.org:8443/meet/xmpp-websocket")),
        ("'ws://127.0.0.1:5280/ws'", Some("ws://127.0.0.1:5280/ws")),
        ("'wss://[2001:db8::1]/ws'", Some("wss://[2001:db8::1]/ws")),
        ("'wss://' + location.host + '/ws'", Some("wss://example.org:8443/ws")),
        ("undefined", None),
        ("false", None),
        ("''", None),
    ] {
        let found = read(&format!("{hosts}{given} }}"), &site).expect(given);
        assert_eq!(found.websocket.map(|endpoint| endpoint.to_string()).as_deref(), wanted, "{given}");
    }
    for bad in ["'ftp://a/b'", "'wss://a b/c'", "'wss://a@b/c'", "'wss:///x'", "'wss://a:0/x'", "'javascript:x'"] {
        assert!(matches!(read(&format!("{hosts}{bad} }}"), &site), Err(BadConfig::NotAnAddress { .. })), "{bad}");
    }
}

#[test]
fn a_megabyte_is_read_in_time_and_bombs_end() {
    let repeated = |text: &str| text.repeat((1 << 20) / text.len());
    let first = "var config = { hosts: { domain: 'a', muc: 'b' } };\n";
    for (name, script) in [
        ("assignments", format!("{first}{}", repeated("config.x.y.z = 'some text';\n"))),
        ("conditions", format!("{first}{}", repeated("if (q) config.x = { a: 1 };\n"))),
        ("copies", format!("{first}{}", repeated("config.a = config;\n"))),
        ("calls", format!("{first}{}", repeated("config.hasOwnProperty('x');"))),
        ("texts", format!("var a = 'x';\n{}", repeated("a = a + a;"))),
        ("templates", format!("var a = 'x';\n{}", repeated("a = `${a}${a}`;"))),
        ("brackets", repeated("(")),
        ("lists", format!("var a = {}", repeated("["))),
        ("objects", format!("var a = {}", repeated("{a:"))),
        ("blocks", repeated("{")),
        ("nested templates", repeated("`${")),
        ("fields", format!("a{} = 1", repeated(".a"))),
        ("signs", repeated("!")),
        ("sums", format!("a = 1{}", repeated("+1"))),
        ("arrows", repeated("a=>")),
        ("choices", repeated("a?b:")),
        ("spaces", repeated("  \n")),
        ("comments", repeated("/**/")),
        ("escapes", format!("a = '{}'", repeated("\\x41"))),
        ("one text", format!("a = '{}'", repeated("x"))),
        ("slashes", repeated("/")),
        ("else", repeated("if(x);else ")),
    ] {
        #[expect(clippy::disallowed_methods, reason = "what is measured is the time of a thread")]
        let start = Instant::now();
        let read = of(&script);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(10), "{name}: {took:?}, {read:?}");
    }
}

proptest! {
    #[test]
    fn a_domain_has_labels(expression in "[a-z'\"+ ;.\\\\]{0,60}") {
        let script = format!("config.hosts.domain = {expression}\nconfig.hosts.muc = 'muc.a';");
        if let Ok(found) = of(&script) {
            prop_assert!(found.names.domain.split('.').all(|label| !label.is_empty()));
        }
    }

    #[test]
    fn any_script_is_survived(script in "\\PC{0,200}") {
        let _ = of(&script);
    }

    #[test]
    fn any_words_of_a_script_are_survived(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "config", ".", "hosts", "=", "'a.b'", "{", "}", "(", ")", "[", "]", ",", ";", ":", "?", "if", "else", "var",
                "function", "=>", "`x${", "`", "...", "+", "||", "!", "new", "typeof", "/", "\n", "//", "1", "for", "domain",
            ]),
            0..60,
        )
    ) {
        let _ = of(&words.join(" "));
        let _ = of(&words.concat());
    }

    #[test]
    fn a_damaged_script_is_survived(at in any::<prop::sample::Index>(), with in "\\PC{0,3}") {
        let letters: Vec<char> = DOCKER.chars().collect();
        let at = at.index(letters.len());
        let script: String = letters[..at].iter().chain(with.chars().collect::<Vec<_>>().iter()).chain(&letters[at + 1..]).collect();
        let _ = of(&script);
    }

    #[test]
    fn any_bytes_are_decoded(bytes in any::<Vec<u8>>(), charset in "[a-z0-9-]{0,12}") {
        decoded(&bytes, Some(&format!("text/javascript; charset={charset}")));
    }
}

#[test]
fn sctp_is_preferred_unless_it_is_switched_off() {
    let site = Site::read("https://meet.example.org").expect("a site");
    let hosts = "var config = { hosts: { domain: 'a', muc: 'b' } };\n";
    for (more, wanted) in [
        ("", true),
        ("config.bridgeChannel = {\n    preferSctp: true\n};", true),
        ("config.bridgeChannel = {\n    preferSctp: false\n};", false),
        ("config.bridgeChannel = {}; config.bridgeChannel.preferSctp = false;", false),
        ("config.bridgeChannel = { 'preferSctp' : 0, };", false),
        ("// config.bridgeChannel = { preferSctp: false };", true),
        ("config.bridgeChannel = { preferSctp: false };\nconfig.bridgeChannel.preferSctp = true;", true),
        ("config.bridgeChannel = { dontpreferSctp: false };", true),
    ] {
        assert_eq!(read(&format!("{hosts}{more}"), &site).map(|d| d.prefer_sctp), Ok(wanted), "{more}");
    }
    let undecided = read(&format!("{hosts}if (x) config.bridgeChannel = {{ preferSctp: false }};"), &site);
    assert!(undecided.is_err_and(|error| error.is_undecided()));
}
