//! Prosody from Debian: an XMPP server with BOSH and WebSocket, anonymous sign-in, and rooms that only
//! admins may create. No Jitsi module in it.
//!
//! Differences from the image of docker-jitsi-meet that a client can see: anonymous names are not
//! UUIDs; without a focus connected, requests to `focus.DOMAIN` are answered `remote-server-timeout` after a while
//! instead of `service-unavailable` at once; `/health` does not exist.
//!
//! The focus is an external component ([`Prosody::component`], XEP-0114): connect to that address, name the
//! domain `focus.DOMAIN`, prove to know [`SECRET`]; its user [`Prosody::focus_user`] may create rooms.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::http;
use crate::needs::{Need, find, test};
use crate::process::{Result, Server, ensure, free_port, loopback};
use crate::xmpp::{Client, Focus, connect};

/// What the focus must know to connect as a component.
pub(crate) const SECRET: &str = "a-component-secret-for-tests";
/// The XMPP domain: internal, never the public name.
pub(crate) const DOMAIN: &str = "meet.jitsi";

pub(crate) struct Prosody {
    server: Server,
    http: SocketAddr,
    component: SocketAddr,
    folder: TempDir,
}

impl Prosody {
    pub(crate) fn start() -> Result<Self> {
        let ip = loopback();
        let folder = TempDir::new()?;
        let (http, component) = (free_port(ip)?, free_port(ip)?);
        std::fs::create_dir(folder.path().join("certs"))?; // else it complains
        std::fs::write(folder.path().join("prosody.cfg.lua"), configuration(ip, http, component, &folder))?;
        let mut prosody = Self { server: Self::run(&folder)?, http, component, folder };
        prosody.ready()?;
        Ok(prosody)
    }

    fn run(folder: &TempDir) -> Result<Server> {
        let program = find("prosody").ok_or("no prosody")?;
        Server::start("prosody", &program, &["-F", "--config", "./prosody.cfg.lua"], folder.path())
    }

    fn ready(&mut self) -> Result<()> {
        let http = self.http;
        self.server.wait(Duration::from_secs(30), || {
            http::request(http, "GET", "/xmpp-websocket", &[("Host", DOMAIN)], "").is_ok_and(|a| a.status == 200)
        })
    }

    /// Where `/http-bind` and `/xmpp-websocket` are.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where an external component connects.
    pub(crate) fn component(&self) -> SocketAddr {
        self.component
    }

    /// The address from which the focus may create rooms.
    pub(crate) fn focus_user() -> String {
        format!("focus@focus.{DOMAIN}")
    }

    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    /// Starts it again at the same addresses.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.server.stop();
        self.server = Self::run(&self.folder)?;
        self.ready()
    }
}

fn configuration(ip: Ipv4Addr, http: SocketAddr, component: SocketAddr, folder: &TempDir) -> String {
    let (http, component, focus) = (http.port(), component.port(), Prosody::focus_user());
    let folder = folder.path().display();
    format!(
        r#"-- Only what is here: no client port, no server port, no port of TLS.
run_as_root = true -- in a container or in CI there is nobody else
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
modules_enabled = {{ "saslauth", "disco", "ping", "bosh", "websocket" }}
modules_disabled = {{ "s2s", "offline" }}
c2s_ports = {{}}
c2s_direct_tls_ports = {{}}
http_interfaces = {{ "{ip}" }}
http_ports = {{ {http} }}
https_ports = {{}}
component_interfaces = {{ "{ip}" }}
component_ports = {{ {component} }}
-- TLS ends before us, as at a load balancer.
consider_bosh_secure = true
consider_websocket_secure = true
c2s_require_encryption = false

VirtualHost "{DOMAIN}"
  authentication = "anonymous"

Component "muc.{DOMAIN}" "muc"
  restrict_room_creation = "admin"
  admins = {{ "{focus}" }}
  muc_room_locking = false
  muc_room_default_public_jids = true

Component "focus.{DOMAIN}"
  component_secret = "{SECRET}"
"#
    )
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    const PROSODY: &[Need] = &[Need::Prosody];
    vec![
        test("prosody::shows_its_pages", PROSODY, shows_its_pages),
        test("prosody::lets_a_client_in_by_bosh", PROSODY, lets_in_by_bosh),
        test("prosody::lets_a_client_in_by_websocket_but_not_create_a_room", PROSODY, lets_in_by_websocket),
        test("prosody::takes_the_focus_as_a_component", PROSODY, takes_the_focus),
        test("prosody::stops_and_starts_again", PROSODY, stops_and_starts),
    ]
}

fn shows_its_pages() -> Result<()> {
    let prosody = Prosody::start()?;
    for (path, title) in [("/http-bind", "BOSH endpoint"), ("/xmpp-websocket", "WebSocket endpoint")] {
        let answer = http::request(prosody.http(), "GET", path, &[("Host", DOMAIN)], "")?;
        ensure!(answer.status == 200 && answer.body.contains(title), "{path}: {answer:?}");
    }
    Ok(())
}

fn lets_in_by_bosh() -> Result<()> {
    let prosody = Prosody::start()?;
    let open = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' \
         rid='1000' to='{DOMAIN}' ver='1.6' wait='5' hold='1' content='text/xml; charset=utf-8'/>"
    );
    let headers = [("Host", DOMAIN), ("Content-Type", "text/xml; charset=utf-8")];
    let answer = http::request(prosody.http(), "POST", "/http-bind", &headers, &open)?;
    ensure!(answer.status == 200, "{answer:?}");
    ensure!(answer.body.contains("<mechanism>ANONYMOUS</mechanism>"), "no anonymous sign-in: {}", answer.body);
    let sid = answer.body.split("sid='").nth(1).and_then(|rest| rest.split('\'').next()).ok_or("no session")?;
    let sign_in = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1001' sid='{sid}'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/></body>"
    );
    let answer = http::request(prosody.http(), "POST", "/http-bind", &headers, &sign_in)?;
    ensure!(answer.body.contains("<success"), "{}", answer.body);
    Ok(())
}

fn lets_in_by_websocket() -> Result<()> {
    let prosody = Prosody::start()?;
    let mut client = Client::open(connect(prosody.http())?, DOMAIN, DOMAIN)?;
    let jid = client.sign_in(DOMAIN)?;
    ensure!(jid.contains(&format!("@{DOMAIN}/")), "signed in as {jid}");
    let answer = client.ask(
        &format!(
            "<presence xmlns='jabber:client' to='room@muc.{DOMAIN}/me'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ),
        "<presence",
    )?;
    ensure!(answer.contains("not-allowed"), "a guest created a room: {answer}");
    Ok(())
}

fn takes_the_focus() -> Result<()> {
    let prosody = Prosody::start()?;
    let _focus = Focus::that_grants_all(prosody.component(), DOMAIN, SECRET)?;
    let mut client = Client::open(connect(prosody.http())?, DOMAIN, DOMAIN)?;
    client.sign_in(DOMAIN)?;
    let room = format!("meetctl-probe-0123456789abcdef@muc.{DOMAIN}");
    let answer = client.ask(
        &format!(
            "<iq xmlns='jabber:client' type='set' id='conf1' to='focus.{DOMAIN}'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{room}' machine-uid='0'/></iq>"
        ),
        "conf1",
    )?;
    ensure!(answer.contains("ready='true'"), "no conference: {answer}");
    // The room is there now, and the focus in it: a guest gets in.
    let answer = client.ask(
        &format!(
            "<presence xmlns='jabber:client' to='{room}/aabbccdd'>\
             <x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ),
        "code='110'",
    )?;
    ensure!(answer.contains("/aabbccdd"), "not in the room: {answer}");

    let wrong = Focus::that_grants_all(prosody.component(), DOMAIN, "not the secret");
    ensure!(wrong.is_err(), "a component without the secret was let in");
    Ok(())
}

fn stops_and_starts() -> Result<()> {
    let mut prosody = Prosody::start()?;
    prosody.stop();
    ensure!(http::get(prosody.http(), "/http-bind").is_err(), "it answers after its end");
    prosody.start_again()
}
