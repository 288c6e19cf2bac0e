//! nginx from Debian in front of Prosody: load balancer and web container in one.
//!
//! TLS with a certificate of our own making, the three files by which Jitsi is recognised, and the two XMPP
//! paths handed on as docker-jitsi-meet does it: `Host` rewritten to the XMPP domain, every other path of one
//! segment answered with the application's page and 200.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::certificate::{Authority, Certificate};
use crate::needs::{Need, find, test};
use crate::process::{Result, Server, ensure, free_port, loopback, output};
use crate::prosody::{self, Prosody};

/// What the site shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pages {
    Jitsi,
    /// A web server's welcome page at every path, with 200.
    NotJitsi,
    /// Jitsi whose WebSocket is switched off: the path falls through to the application's page.
    NoWebSocket,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) certificate: Certificate,
    pub(crate) pages: Pages,
}

impl Site {
    pub(crate) const GOOD: Self = Self { certificate: Certificate::Good, pages: Pages::Jitsi };
}

pub(crate) struct Nginx {
    server: Server,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Serves `domain` at `address` until dropped; XMPP goes to `prosody`.
    pub(crate) fn start(
        site: Site,
        domain: &str,
        address: SocketAddr,
        prosody: SocketAddr,
        authority: &Authority,
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        authority.write_site(site.certificate, domain, folder.path())?;
        let pages = folder.path().join("www");
        std::fs::create_dir_all(pages.join("libs"))?;
        if site.pages == Pages::NotJitsi {
            std::fs::write(pages.join("index.html"), "<html><head><title>Welcome to nginx!</title></head></html>\n")?;
        } else {
            let websocket = site.pages == Pages::Jitsi;
            std::fs::write(pages.join("index.html"), index())?;
            std::fs::write(pages.join("config.js"), config_js(domain, address.port(), websocket))?;
            std::fs::write(pages.join("libs/external_api.min.js"), external_api_js())?;
        }
        std::fs::write(folder.path().join("nginx.conf"), configuration(site, domain, address, prosody, folder.path()))?;
        let mut nginx = Self { server: Self::run(&folder)?, address, folder };
        nginx.ready()?;
        Ok(nginx)
    }

    fn run(folder: &TempDir) -> Result<Server> {
        let program = find("nginx").ok_or("no nginx")?;
        let path = folder.path().to_string_lossy().into_owned();
        let args = ["-e", "error.log", "-p", path.as_str(), "-c", "nginx.conf"];
        Server::start("nginx", &program, &args, folder.path())
    }

    fn ready(&mut self) -> Result<()> {
        let address = self.address;
        self.server.wait(Duration::from_secs(20), || std::net::TcpStream::connect(address).is_ok())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stop(&mut self) {
        self.server.stop();
    }

    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.server.stop();
        self.server = Self::run(&self.folder)?;
        self.ready()
    }
}

fn configuration(site: Site, domain: &str, address: SocketAddr, prosody: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    let xmpp = prosody::DOMAIN;
    let places = match site.pages {
        Pages::NotJitsi => "location / { try_files /index.html =404; }".to_owned(),
        Pages::Jitsi | Pages::NoWebSocket => {
            let websocket = format!(
                r"
        location = /xmpp-websocket {{
            tcp_nodelay on;
            proxy_http_version 1.1;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host {xmpp};
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_pass http://{prosody}/xmpp-websocket?prefix=$prefix&$args;
        }}"
            );
            format!(
                r"
        location = /config.js {{ default_type application/javascript; }}
        location = /external_api.js {{
            default_type application/javascript;
            alias {folder}/www/libs/external_api.min.js;
        }}
        location = /http-bind {{
            tcp_nodelay on;
            proxy_set_header Host {xmpp};
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_pass http://{prosody}/http-bind?prefix=$prefix&$args;
        }}{}
        location ~ ^/([^/?&:]+)$ {{ try_files $uri @app; }}
        location @app {{ rewrite ^/(.*)$ /index.html break; }}",
                if site.pages == Pages::Jitsi { websocket.as_str() } else { "" }
            )
        }
    };
    format!(
        r"daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    default_type text/html;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server_tokens off;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
    server {{
        listen {address} ssl;
        server_name {domain};
        ssl_certificate {folder}/site.pem;
        ssl_certificate_key {folder}/site.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        set $prefix '';
        root {folder}/www;
        index index.html;
        {places}
    }}
}}
"
    )
}

/// The application's page, in the shape of the real one: what it loads, and in which order.
fn index() -> &'static str {
    r#"<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="content-type" content="text/html;charset=utf-8">
    <base href="/">
    <title>Jitsi Meet</title>
    <meta property="og:title" content="Jitsi Meet"/>
    <script>
      document.addEventListener('DOMContentLoaded', () => { if (!JitsiMeetJS.app) { return; } });
    </script>
    <script src="config.js"></script>
    <script src="interface_config.js"></script>
    <script src="libs/lib-jitsi-meet.min.js?v=8922"></script>
    <script src="libs/app.bundle.min.js?v=8922"></script>
    <link rel="stylesheet" href="css/all.css?v=8922">
  </head>
  <body>
    <div id="react" role="main"></div>
  </body>
</html>
"#
}

/// Assignments one by one, as docker-jitsi-meet writes the file.
fn config_js(domain: &str, port: u16, websocket: bool) -> String {
    let xmpp = prosody::DOMAIN;
    let websocket = if websocket {
        format!("config.websocket = 'wss://{domain}:{port}/' + subdir + 'xmpp-websocket';\n")
    } else {
        String::new()
    };
    format!(
        r#"// Jitsi Meet configuration.
var config = {{}};

var subdir = '<!--# echo var="subdir" default="" -->';
var subdomain = '<!--# echo var="subdomain" default="" -->';
if (subdir.startsWith('<!--')) {{
  subdir = '';
}}
if (subdomain.startsWith('<!--')) {{
  subdomain = '';
}}

config.hosts = {{}};
config.hosts.domain = '{xmpp}';
config.hosts.muc = 'muc.' + subdomain + '{xmpp}';
config.bosh = 'https://{domain}/' + subdir + 'http-bind';
{websocket}config.bridgeChannel = {{
  preferSctp: true
}};

// Video configuration.
config.resolution = 720;
config.p2p = {{ enabled: true }};
"#
    )
}

fn external_api_js() -> &'static str {
    "(function(e){e.JitsiMeetExternalAPI=function(d,o){this.domain=d;this.options=o||{}}})(this);\n"
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("nginx::curl_sees_jitsi", &[Need::Nginx, Need::Prosody, Need::Curl], curl_sees_jitsi),
        test("nginx::openssl_judges_its_certificates", &[Need::Nginx, Need::OpenSsl], openssl_judges),
        test("nginx::curl_refuses_its_bad_certificates", &[Need::Nginx, Need::Curl], curl_refuses),
        test("nginx::answers_502_without_prosody", &[Need::Nginx, Need::Prosody, Need::Curl], without_prosody),
        test("nginx::lets_a_client_through_to_prosody", &[Need::Nginx, Need::Prosody], lets_through),
        test("nginx::serves_the_wrong_pages_with_200", &[Need::Nginx, Need::Curl], wrong_pages),
    ]
}

const NAME: &str = "meet.example.test";

struct Stand {
    nginx: Nginx,
    folder: TempDir,
}

impl Stand {
    fn with(site: Site, prosody: SocketAddr) -> Result<Self> {
        let folder = TempDir::new()?;
        let authority = Authority::new()?;
        authority.write_root(folder.path())?;
        let nginx = Nginx::start(site, NAME, free_port(loopback())?, prosody, &authority)?;
        Ok(Self { nginx, folder })
    }

    fn bad(certificate: Certificate) -> Result<Self> {
        Self::with(Site { certificate, ..Site::GOOD }, free_port(loopback())?)
    }

    /// curl's exit code, status and body; it trusts the throw-away root only.
    fn curl(&self, path: &str) -> Result<(i32, String, String)> {
        let at = self.nginx.address();
        let root = self.folder.path().join("root.pem");
        let resolve = format!("{NAME}:{}:{}", at.port(), at.ip());
        let url = format!("https://{NAME}:{}{path}", at.port());
        let args = [
            "-sS",
            "-m",
            "10",
            "--noproxy",
            "*",
            "--cacert",
            &root.to_string_lossy(),
            "--resolve",
            &resolve,
            "-w",
            "\n%{http_code}",
            &url,
        ];
        let out = output("curl", &args, "")?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
        let body = format!("{body}{}", String::from_utf8_lossy(&out.stderr));
        Ok((out.status.code().unwrap_or(-1), status.to_owned(), body))
    }
}

fn curl_sees_jitsi() -> Result<()> {
    let prosody = Prosody::start()?;
    let stand = Stand::with(Site::GOOD, prosody.http())?;
    for (path, part) in [
        ("/", "<title>Jitsi Meet</title>"),
        ("/some-room", "<title>Jitsi Meet</title>"),
        ("/config.js", "config.hosts.domain = 'meet.jitsi'"),
        ("/external_api.js", "JitsiMeetExternalAPI"),
        ("/http-bind", "BOSH endpoint"),
        ("/xmpp-websocket", "WebSocket endpoint"),
    ] {
        let (code, status, body) = stand.curl(path)?;
        ensure!(code == 0 && status == "200" && body.contains(part), "{path}: curl {code}, {status}: {body}");
    }
    Ok(())
}

fn openssl_judges() -> Result<()> {
    for (certificate, verdict) in [
        (Certificate::Good, "Verify return code: 0 (ok)"),
        (Certificate::EndsSoon, "Verify return code: 0 (ok)"),
        (Certificate::Expired, "certificate has expired"),
        (Certificate::WrongName, "ostname mismatch"),
        (Certificate::SelfSigned, "self-signed certificate"),
    ] {
        let stand = Stand::bad(certificate)?;
        let root = stand.folder.path().join("root.pem");
        let at = stand.nginx.address().to_string();
        let root = root.to_string_lossy();
        let args = ["s_client", "-connect", &at, "-servername", NAME, "-verify_hostname", NAME, "-CAfile", &root];
        let out = output("openssl", &args, "Q\n")?;
        let text = String::from_utf8_lossy(&out.stdout);
        ensure!(text.contains(verdict), "{certificate:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
        let protocol = text.contains("TLSv1.3") || text.contains("TLSv1.2");
        ensure!(protocol, "{certificate:?}: protocol in {text}");
    }
    Ok(())
}

fn curl_refuses() -> Result<()> {
    for certificate in [Certificate::Expired, Certificate::WrongName, Certificate::SelfSigned] {
        let (code, status, body) = Stand::bad(certificate)?.curl("/")?;
        ensure!(code == 60, "{certificate:?}: curl {code}, {status}: {body}");
    }
    Ok(())
}

fn without_prosody() -> Result<()> {
    let mut prosody = Prosody::start()?;
    let stand = Stand::with(Site::GOOD, prosody.http())?;
    prosody.stop();
    for (path, expected) in [("/http-bind", "502"), ("/xmpp-websocket", "502"), ("/config.js", "200")] {
        let (_, status, _) = stand.curl(path)?;
        ensure!(status == expected, "{path}: {status}");
    }
    prosody.start_again()?;
    let (_, status, body) = stand.curl("/http-bind")?;
    ensure!(status == "200", "after a new start: {status} {body}");
    Ok(())
}

fn lets_through() -> Result<()> {
    let prosody = Prosody::start()?;
    let mut stand = Stand::with(Site::GOOD, prosody.http())?;
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(stand.folder.path().join("root.pem"))?;
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(&pem)?)?;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = || -> Result<_> {
        let connection = rustls::ClientConnection::new(std::sync::Arc::new(config.clone()), NAME.try_into()?)?;
        Ok(rustls::StreamOwned::new(connection, crate::xmpp::connect(stand.nginx.address())?))
    };
    let mut client = crate::xmpp::Client::open(tls()?, NAME, prosody::DOMAIN)?;
    let jid = client.sign_in(prosody::DOMAIN)?;
    ensure!(jid.contains(prosody::DOMAIN), "signed in as {jid}");

    stand.nginx.stop();
    let refused = std::net::TcpStream::connect(stand.nginx.address()).err().map(|e| e.kind());
    ensure!(refused == Some(std::io::ErrorKind::ConnectionRefused), "{refused:?}");
    stand.nginx.start_again()
}

fn wrong_pages() -> Result<()> {
    let nowhere = free_port(loopback())?;
    let stand = Stand::with(Site { pages: Pages::NotJitsi, ..Site::GOOD }, nowhere)?;
    for path in ["/", "/config.js", "/xmpp-websocket"] {
        let (_, status, body) = stand.curl(path)?;
        ensure!(status == "200" && body.contains("Welcome to nginx"), "{path}: {status} {body}");
    }
    let stand = Stand::with(Site { pages: Pages::NoWebSocket, ..Site::GOOD }, nowhere)?;
    let (_, status, body) = stand.curl("/xmpp-websocket")?;
    ensure!(status == "200" && body.contains("<title>Jitsi Meet</title>"), "{status} {body}");
    let (_, _, body) = stand.curl("/config.js")?;
    ensure!(!body.contains("config.websocket"), "{body}");
    Ok(())
}
