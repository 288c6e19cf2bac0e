//! The proof of a meeting through real doors: nginx with TLS, and Prosody with its rooms, its routing and its
//! rewriting of ids. The focus is a small component of ours; the bridge is the sandbox's, on a real UDP socket, or
//! one whose DTLS is OpenSSL's.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use libtest_mimic::Trial;
use meetctl::clock::Clock;
use meetctl::domain::finding::Code;
use meetctl::domain::meeting::Proof;
use meetctl::probe::media::{Ask, prove};
use meetctl::probe::meeting::{Names, Policy};
use meetctl::probe::site;
use meetctl::probe::wire::Wire;
use meetctl::world::Trust;
use meetctl::world::net::Internet;
use meetctl::world::sandbox::jitsi::{Census, Jitsi, Setup};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::certificate::Authority;
use crate::needs::{Need, test};
use crate::nginx::{Nginx, Site};
use crate::openssl::Relay;
use crate::process::{Result, block_on, ensure, free_port, loopback};
use crate::prosody::{DOMAIN, Prosody, SECRET};
use crate::xmpp::{Focus, attribute};

const HOST: &str = "meet.example.org";

pub(crate) fn tests() -> Vec<Trial> {
    const ALL: &[Need] = &[Need::Prosody, Need::Nginx];
    vec![
        test("meeting::is_proven_through_nginx_and_prosody", ALL, proven),
        test("meeting::is_secured_with_openssl", &[Need::Prosody, Need::Nginx, Need::OpenSsl], secured_with_openssl),
        test("meeting::outlasts_the_proxys_read_limit", &[Need::Nginx], outlasts_read_limit),
        test("meeting::has_no_focus", ALL, no_focus),
        test("meeting::has_no_prosody", ALL, no_prosody),
    ]
}

/// The doors, without anybody behind them.
struct Doors {
    nginx: Nginx,
    prosody: Prosody,
    trust: Trust,
    _folder: TempDir,
}

impl Doors {
    fn open() -> Result<Self> {
        let folder = TempDir::new()?;
        let authority = Authority::new()?;
        let root = authority.write_root(folder.path())?;
        let prosody = Prosody::start()?;
        let nginx = Nginx::start(Site::GOOD, HOST, free_port(loopback())?, prosody.http(), &authority)?;
        let roots = CertificateDer::pem_file_iter(root)?.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Self { nginx, prosody, trust: Trust::browsers().and_private(roots), _folder: folder })
    }

    fn ask(&self) -> Result<Ask> {
        let mut ask = Ask::new(site::Site::of(HOST.parse()?));
        ask.site.port = self.nginx.address().port();
        ask.addresses = vec![self.nginx.address().ip()];
        ask.names = Some(Names::under(DOMAIN));
        ask.candidates = Policy::All;
        Ok(ask)
    }

    async fn prove(&self, ask: &Ask) -> Proof {
        let wire = Wire { net: &Internet, clock: &Clock::system(), trust: &self.trust, seed: 1 };
        prove(&wire, ask, &CancellationToken::new(), |_| {}).await
    }
}

fn proven() -> Result<()> {
    let doors = Doors::open()?;
    let ask = doors.ask()?;
    let proof = block_on(async {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let bridge = udp.local_addr()?;
        let jitsi = Jitsi::new(Setup::new(bridge, bridge));
        let _focus = Conductor::connect(doors.prosody.component(), Box::new(jitsi.clone()))?;
        let everybody_has_left = async {
            while jitsi.census() != Census::default() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = jitsi.serve_bridge(udp) => Err("it serves for ever".into()),
            proof = async {
                let proof = doors.prove(&ask).await;
                // The focus hears of the departure a moment later than the participants do, if it is still there.
                tokio::time::timeout(Duration::from_secs(20), everybody_has_left).await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(proof)
            } => proof,
        }
    })??;
    ensure!(proof.finding.is_none() && !proof.flows.is_empty(), "{proof:#?}");
    ensure!(proof.flows.iter().all(|flow| flow.lost == 0), "{:?}", proof.flows);
    Ok(())
}

/// The DTLS handshake in the role that we use, with a peer that is not ours. It forwards nothing.
fn secured_with_openssl() -> Result<()> {
    let doors = Doors::open()?;
    let ask = doors.ask()?;
    let relay = Relay::start()?;
    let proof = block_on(async {
        let _focus = Conductor::connect(doors.prosody.component(), Box::new(relay))?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(doors.prove(&ask).await)
    })??;
    ensure!(proof.secured.len() == 2, "{proof:#?}");
    ensure!(proof.finding.as_ref().is_some_and(|f| f.code == Code::NoMedia), "{proof:#?}");
    Ok(())
}

/// nginx ends a WebSocket that is quiet for a minute, its default. Behind it is the emulated Jitsi, whole.
fn outlasts_read_limit() -> Result<()> {
    let folder = TempDir::new()?;
    let authority = Authority::new()?;
    let root = authority.write_root(folder.path())?;
    let roots = CertificateDer::pem_file_iter(root)?.collect::<std::result::Result<Vec<_>, _>>()?;
    let trust = Trust::browsers().and_private(roots);
    let proof = block_on(async {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (bridge, behind) = (udp.local_addr()?, http.local_addr()?);
        let jitsi = Jitsi::new(Setup::new(bridge, bridge));
        let nginx = Nginx::start(Site::GOOD, HOST, free_port(loopback())?, behind, &authority)?;
        let mut ask = Ask::new(site::Site { port: nginx.address().port(), ..site::Site::of(HOST.parse()?) });
        ask.addresses = vec![nginx.address().ip()];
        ask.names = Some(Names::under("meet.jitsi"));
        ask.candidates = Policy::All;
        ask.limits.speaking = Duration::from_secs(70);
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let wire = Wire { net: &Internet, clock: &clock, trust: &trust, seed: 1 };
        tokio::select! {
            () = jitsi.serve_bridge(udp) => Err("it serves for ever".into()),
            () = jitsi.serve_http(http) => Err("it serves for ever".into()),
            proof = prove(&wire, &ask, &stop, |_| {}) => {
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(proof)
            }
        }
    })??;
    ensure!(proof.finding.is_none() && !proof.flows.is_empty(), "{proof:#?}");
    ensure!(proof.took > Duration::from_secs(70), "{:?}", proof.took);
    Ok(())
}

fn no_focus() -> Result<()> {
    let doors = Doors::open()?;
    let ask = doors.ask()?;
    let proof = block_on(doors.prove(&ask))?;
    ensure!(proof.finding.as_ref().is_some_and(|f| f.code == Code::FocusAbsent), "{proof:#?}");
    Ok(())
}

fn no_prosody() -> Result<()> {
    let mut doors = Doors::open()?;
    doors.prosody.stop();
    let ask = doors.ask()?;
    let proof = block_on(doors.prove(&ask))?;
    ensure!(proof.finding.as_ref().is_some_and(|f| f.code == Code::ProsodyDown), "{proof:#?}");
    Ok(())
}

/// What a focus needs of a bridge.
pub(crate) trait Bridge: Send {
    /// The `<jingle>` of a session-initiate.
    fn offer(&mut self, room: &str, nick: &str, sid: &str) -> String;
    /// Takes in the `<jingle>` of a session-accept.
    fn accept(&mut self, room: &str, nick: &str, jingle: &str) -> Result<()>;
    fn expire(&mut self, room: &str, nick: &str);
}

impl Bridge for Jitsi {
    fn offer(&mut self, room: &str, nick: &str, sid: &str) -> String {
        self.bridge_offer(room, nick, sid)
    }

    fn accept(&mut self, room: &str, nick: &str, jingle: &str) -> Result<()> {
        Ok(self.bridge_accept(room, nick, jingle)?)
    }

    fn expire(&mut self, room: &str, nick: &str) {
        self.bridge_expire(room, nick);
    }
}

/// A focus that holds conferences with a bridge.
struct Conductor {
    bridge: Box<dyn Bridge>,
    /// By the room's local part: who is in, and whether they are invited.
    members: BTreeMap<String, Vec<(String, bool)>>,
    sids: u32,
}

impl Conductor {
    fn connect(server: SocketAddr, bridge: Box<dyn Bridge>) -> Result<Focus> {
        let mut conductor = Self { bridge, members: BTreeMap::new(), sids: 0 };
        Focus::connect(server, DOMAIN, SECRET, move |server, stanza| conductor.hear(server, stanza))
    }

    fn hear(&mut self, server: &mut TcpStream, stanza: &str) -> Result<()> {
        let head = &stanza[..=stanza.find('>').unwrap_or(0)];
        let word = |name: &str| attribute(head, name).unwrap_or_default();
        let (from, id, kind, to) = (word("from"), word("id"), word("type"), word("to"));
        let me = format!("{}/focus", Prosody::focus_user());
        if let Some(start) = stanza.find("<conference") {
            let room = attribute(&stanza[start..], "room").unwrap_or_default();
            say(
                server,
                &format!(
                    "<presence from='{me}' to='{room}/focus'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
                ),
            )?;
            return say(
                server,
                &format!(
                    "<iq type='result' id='{id}' from='{to}' to='{from}'><conference \
                 xmlns='http://jitsi.org/protocol/focus' room='{room}' ready='true' focusjid='{}'/></iq>",
                    Prosody::focus_user()
                ),
            );
        }
        let Some((address, nick)) = from.split_once('/').filter(|(_, nick)| *nick != "focus") else { return Ok(()) };
        let room = address.split('@').next().unwrap_or_default().to_owned();
        match (head.split([' ', '>']).next().unwrap_or_default(), kind.as_str()) {
            ("<presence", "unavailable") => self.leaves(server, &room, address, nick),
            ("<presence", "") => self.comes(server, &room, address, nick),
            ("<iq", "result") if stanza.contains("rtp:audio") => self.invite(server, &room, address),
            ("<iq", "set") => {
                if let (Some(start), Some(end)) = (stanza.find("<jingle"), stanza.find("</jingle>")) {
                    let jingle = &stanza[start..end + 9];
                    if jingle.contains("session-accept") {
                        self.bridge.accept(&room, nick, jingle)?;
                    }
                }
                say(server, &format!("<iq type='result' id='{id}' from='{me}' to='{from}'/>"))
            }
            _ => Ok(()),
        }
    }

    fn comes(&mut self, server: &mut TcpStream, room: &str, address: &str, nick: &str) -> Result<()> {
        let members = self.members.entry(room.to_owned()).or_default();
        if members.iter().any(|(known, _)| known == nick) {
            return Ok(());
        }
        members.push((nick.to_owned(), false));
        say(
            server,
            &format!(
                "<iq type='get' id='disco-{nick}' from='{}/focus' to='{address}/{nick}'>\
             <query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
                Prosody::focus_user()
            ),
        )
    }

    fn leaves(&mut self, server: &mut TcpStream, room: &str, address: &str, nick: &str) -> Result<()> {
        self.bridge.expire(room, nick);
        let members = self.members.entry(room.to_owned()).or_default();
        members.retain(|(known, _)| known != nick);
        if members.is_empty() {
            let me = Prosody::focus_user();
            say(server, &format!("<presence type='unavailable' from='{me}/focus' to='{address}/focus'/>"))?;
        }
        Ok(())
    }

    fn invite(&mut self, server: &mut TcpStream, room: &str, address: &str) -> Result<()> {
        let members = self.members.entry(room.to_owned()).or_default();
        if members.len() < 2 {
            return Ok(());
        }
        let waiting: Vec<String> =
            members.iter().filter(|(_, invited)| !invited).map(|(nick, _)| nick.clone()).collect();
        for (_, invited) in members.iter_mut() {
            *invited = true;
        }
        for nick in waiting {
            self.sids += 1;
            let jingle = self.bridge.offer(room, &nick, &format!("sid{}", self.sids));
            let me = Prosody::focus_user();
            say(
                server,
                &format!("<iq type='set' id='si-{nick}' from='{me}/focus' to='{address}/{nick}'>{jingle}</iq>"),
            )?;
        }
        Ok(())
    }
}

fn say(server: &mut TcpStream, stanza: &str) -> Result<()> {
    Ok(server.write_all(stanza.as_bytes())?)
}
