//! Just enough XMPP to prove that the servers work, independent of the crate's: a client over WebSocket, and a
//! focus that grants every conference. It is not a copy of jicofo: no bridge, no session-initiate, no leaving.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use sha1::{Digest, Sha1};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

use crate::process::{Result, ensure};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection on which a silent server is an error after [`PATIENCE`].
pub(crate) fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// A client over an open stream (TCP, or TLS on it).
pub(crate) struct Client<S> {
    socket: WebSocket<S>,
}

impl<S: Read + Write> Client<S> {
    /// Upgrades to a WebSocket at `/xmpp-websocket` of `host`, and opens the XMPP stream to `domain`.
    pub(crate) fn open(stream: S, host: &str, domain: &str) -> Result<Self> {
        let mut request = format!("ws://{host}/xmpp-websocket?room=rig").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse()?);
        let (socket, answer) = client(request, stream).map_err(|e| format!("no WebSocket: {e}"))?;
        let protocol = answer.headers().get("Sec-WebSocket-Protocol");
        ensure!(protocol.is_some_and(|value| value == "xmpp"), "sub-protocol {protocol:?}");
        let mut client = Self { socket };
        client.stream(domain, "<mechanism>ANONYMOUS</mechanism>")?;
        Ok(client)
    }

    fn stream(&mut self, domain: &str, feature: &str) -> Result<()> {
        let open = format!("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{domain}' version='1.0'/>");
        self.ask(&open, feature).map(|_| ())
    }

    /// Signs in anonymously and binds; gives the address that the server chose.
    pub(crate) fn sign_in(&mut self, domain: &str) -> Result<String> {
        self.ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success")?;
        self.stream(domain, "urn:ietf:params:xml:ns:xmpp-bind")?;
        let bind = "<iq xmlns='jabber:client' type='set' id='bind1'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let answer = self.ask(bind, "bind1")?;
        let jid = answer.split_once("<jid>").and_then(|(_, rest)| rest.split_once("</jid>"));
        Ok(jid.ok_or_else(|| format!("no address in {answer}"))?.0.to_owned())
    }

    /// Sends, and waits for a message that contains `expected`.
    pub(crate) fn ask(&mut self, stanza: &str, expected: &str) -> Result<String> {
        self.socket.send(Message::text(stanza))?;
        let mut seen = String::new();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text.contains(expected) => return Ok(text.to_string()),
                Ok(Message::Text(text)) => {
                    let _ = writeln!(seen, "{text}");
                }
                Ok(_) => {}
                Err(e) => {
                    return Err(format!("no {expected} ({e}); after {stanza} came only: {seen}").into());
                }
            }
        }
    }
}

/// A focus, connected to Prosody as an external component (XEP-0114); leaves when dropped.
pub(crate) struct Focus {
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Focus {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Focus {
    /// Connects as the component `focus.DOMAIN`, and hands over each stanza that comes until one is an error.
    pub(crate) fn connect(
        server: SocketAddr,
        domain: &str,
        secret: &str,
        mut hear: impl FnMut(&mut TcpStream, &str) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let mut stream = connect(server)?;
        let open = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
             xmlns:stream='http://etherx.jabber.org/streams' to='focus.{domain}'>"
        );
        stream.write_all(open.as_bytes())?;
        let mut text = String::new();
        let header = read_until(&mut stream, &mut text, |text| {
            let start = text.find("<stream:stream")?;
            Some(start + text[start..].find('>')? + 1)
        })?;
        let id = attribute(&header, "id").ok_or_else(|| format!("no stream id in {header}"))?;
        let mut proof = String::new();
        for byte in Sha1::digest(format!("{id}{secret}").as_bytes()) {
            let _ = write!(proof, "{byte:02x}");
        }
        stream.write_all(format!("<handshake>{proof}</handshake>").as_bytes())?;
        let answer = read_until(&mut stream, &mut text, |text| text.find('>').map(|end| end + 1))?;
        ensure!(answer.contains("<handshake"), "the server does not take the focus: {answer}{text}");
        stream.set_read_timeout(None)?;
        let mut server = stream.try_clone()?;
        let thread = std::thread::spawn(move || {
            while let Ok(stanza) = read_until(&mut server, &mut text, stanza_end) {
                if hear(&mut server, &stanza).is_err() {
                    return;
                }
            }
        });
        Ok(Self { stream, thread: Some(thread) })
    }

    /// One that joins every room that it is asked for and says that it is ready, without a bridge.
    pub(crate) fn that_grants_all(server: SocketAddr, domain: &str, secret: &str) -> Result<Self> {
        let me = format!("focus@focus.{domain}");
        Self::connect(server, domain, secret, move |server, stanza| grant(server, stanza, &me))
    }
}

fn grant(server: &mut TcpStream, stanza: &str, me: &str) -> Result<()> {
    let head = &stanza[..=stanza.find('>').unwrap_or(0)];
    let (Some(from), Some(id)) = (attribute(head, "from"), attribute(head, "id")) else { return Ok(()) };
    if !stanza.starts_with("<iq") {
        return Ok(());
    }
    let room = stanza.find("<conference").and_then(|start| attribute(&stanza[start..], "room"));
    let to = attribute(head, "to").unwrap_or_default();
    let answer = match room {
        Some(room) => {
            let join = format!(
                "<presence from='{me}/focus' to='{room}/focus'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            );
            server.write_all(join.as_bytes())?;
            format!(
                "<iq type='result' id='{id}' from='{to}' to='{from}'>\
                 <conference xmlns='http://jitsi.org/protocol/focus' room='{room}' ready='true' focusjid='{me}'>\
                 <property name='authentication' value='false'/></conference></iq>"
            )
        }
        None if matches!(attribute(head, "type").as_deref(), Some("get" | "set")) => format!(
            "<iq type='error' id='{id}' from='{to}' to='{from}'><error type='cancel'>\
             <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ),
        None => return Ok(()),
    };
    Ok(server.write_all(answer.as_bytes())?)
}

/// Reads until `end` finds where the first piece ends, and takes that piece off.
fn read_until(stream: &mut TcpStream, text: &mut String, end: impl Fn(&str) -> Option<usize>) -> Result<String> {
    loop {
        if let Some(end) = end(text) {
            return Ok(text.drain(..end).collect());
        }
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes)?;
        ensure!(read > 0, "the server hung up; before that: {text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        ensure!(text.len() < 1_000_000, "a stanza without end");
    }
}

/// Where the first whole element ends. Prosody writes no comments, no CDATA and no `>` inside attributes.
fn stanza_end(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut from = 0;
    loop {
        let start = from + text[from..].find('<')?;
        let end = start + text[start..].find('>')? + 1;
        let tag = &text[start..end];
        if tag.starts_with("</") {
            depth = depth.saturating_sub(1);
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if depth == 0 {
            return Some(end);
        }
        from = end;
    }
}

pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let quote = |quote: char| {
        let start = tag.find(&format!(" {name}={quote}"))? + name.len() + 3;
        Some(tag[start..start + tag[start..].find(quote)?].to_owned())
    };
    quote('\'').or_else(|| quote('"'))
}
