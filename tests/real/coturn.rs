//! Our STUN coder against two that are not ours. `turnserver` reads our checks and `read_reply` reads its answers;
//! `turnutils_stunclient` asks the sandbox's bridge.
//!
//! What coturn cannot show, and who shows it instead:
//!
//! * **That it reads our signature.** coturn 4.6 knows the long-term mechanism only: a signed request without REALM and
//!   NONCE, such as every connectivity check, is a bad request to it, whatever the signature. aioice (Debian's
//!   `python3-aioice`) checks it here.
//! * **That its client accepts an answer of ours.** The product asks and never answers: the coder encodes requests and
//!   decodes answers, no more, and the sandbox's bridge answers with str0m. And `turnutils_stunclient` sends no
//!   USERNAME, so that a bridge must not answer it. That is tested, with the request which coturn makes.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use libtest_mimic::Trial;
use meetctl::probe::stun::{Check, Outcome, Reply, read_reply};
use meetctl::world::sandbox::jitsi::{Jitsi, Setup};
use sha1::Sha1;
use tempfile::TempDir;

use crate::needs::{Need, find, test};
use crate::process::{Result, Server, block_on, ensure, free_port, loopback};
use crate::xmpp::attribute;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const REALM: &str = "bridge";
const USER: &str = "probe";
/// One whose long-term key, the MD5 of `probe:bridge:password`, is text, as the passwords of checks are.
const LONG_TERM: (&str, &str) = ("pw515485", "RE:J^ <Dhrti},Fw");
const USERNAME: u16 = 0x0006;
const NONCE: u16 = 0x0015;
const FINGERPRINT: u16 = 0x8028;
const PATIENCE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_millis(600);

pub(crate) fn tests() -> Vec<Trial> {
    const COTURN: &[Need] = &[Need::Coturn];
    vec![
        test("coturn::answers_our_checks", COTURN, answers),
        test("coturn::drops_a_damaged_check", COTURN, damaged),
        test("coturn::refusals_are_read", COTURN, refusals),
        test("coturn::signature_is_verified", COTURN, signature),
        test("coturn::client_is_a_stranger_to_a_bridge", COTURN, stranger),
        test("coturn::aioice_verifies_our_signature_and_we_its", &[Need::Aioice], aioice),
    ]
}

struct Coturn {
    server: Server,
    address: SocketAddr,
    client: UdpSocket,
    _folder: TempDir,
}

impl Coturn {
    fn start(more: &[&str]) -> Result<Self> {
        let folder = TempDir::new()?;
        let address = free_port(loopback())?;
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (pid, users) = (file("pid"), file("users.sqlite"));
        // -n: no configuration file.
        let mut args = vec!["-n", "--listening-ip", &ip, "--listening-port", &port, "--relay-ip", &ip];
        args.extend(["--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-cli"]);
        args.extend(["--log-file", "stdout", "--simple-log", "--pidfile", &pid, "--userdb", &users]);
        args.extend(more);
        let program = find("turnserver").ok_or("no turnserver")?;
        let client = UdpSocket::bind((address.ip(), 0))?;
        let mut started = Self {
            server: Server::start("turnserver", &program, &args, folder.path())?,
            address,
            client,
            _folder: folder,
        };
        started.client.set_read_timeout(Some(Duration::from_millis(100)))?;
        let hello = check("any:any", PASSWORD).encode();
        let Self { server, client, .. } = &mut started;
        server.wait(Duration::from_secs(10), || {
            client.send_to(&hello, address).is_ok() && client.recv_from(&mut [0; 1500]).is_ok()
        })?;
        // More than one hello may have been answered.
        while started.client.recv_from(&mut [0; 1500]).is_ok() {}
        Ok(started)
    }

    fn ask(&self, request: &[u8], patience: Duration) -> Result<Option<Vec<u8>>> {
        self.client.set_read_timeout(Some(patience))?;
        self.client.send_to(request, self.address)?;
        let mut buffer = vec![0; 1500];
        let Ok((length, from)) = self.client.recv_from(&mut buffer) else { return Ok(None) };
        ensure!(from == self.address, "{from} answers");
        buffer.truncate(length);
        Ok(Some(buffer))
    }

    fn reply(&self, request: &[u8], password: &str) -> Result<(Reply, Vec<u8>)> {
        let datagram = self.ask(request, PATIENCE)?.ok_or_else(|| format!("silence: {}", self.server.last_words()))?;
        let reply = read_reply(&datagram, password).ok_or_else(|| format!("cannot be read: {datagram:02x?}"))?;
        Ok((reply, datagram))
    }
}

fn check<'a>(username: &'a str, password: &'a str) -> Check<'a> {
    Check {
        transaction: *b"a dozen byte",
        username,
        priority: 2_130_706_431,
        tie_breaker: 0x0102_0304_0506_0708,
        password,
    }
}

/// Usernames of every length modulo four, for the padding.
fn answers() -> Result<()> {
    let coturn = Coturn::start(&["--no-auth"])?;
    for username in ["ab:c", "ab:cd", "ab:cde", "ab:cdef"] {
        let check = check(username, PASSWORD);
        let (reply, datagram) = coturn.reply(&check.encode(), PASSWORD)?;
        ensure!(reply.outcome == Outcome::Success && reply.transaction == check.transaction, "{reply:?}");
        ensure!(reply.mapped == Some(coturn.client.local_addr()?), "{reply:?}");
        ensure!(!reply.authentic, "coturn does not sign such an answer, and we say it did: {reply:?}");
        // It gives a fingerprint because we gave one; whether it fits, `read_reply` has seen.
        ensure!(attributes(&datagram).iter().any(|(kind, _)| *kind == FINGERPRINT), "no FINGERPRINT: {datagram:02x?}");
        for bit in 0..datagram.len() * 8 {
            let mut bad = datagram.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = read_reply(&bad, PASSWORD);
            // One that hides the fingerprint is all that an answer without signature can suffer unnoticed.
            ensure!(
                read.is_none() || attributes(&bad).iter().all(|(kind, _)| *kind != FINGERPRINT),
                "bit {bit} goes unnoticed"
            );
        }
    }
    Ok(())
}

/// coturn checks FINGERPRINT and length.
fn damaged() -> Result<()> {
    let coturn = Coturn::start(&["--no-auth"])?;
    let good = check("ab:cde", PASSWORD).encode();
    for (what, at) in [("its fingerprint", good.len() - 1), ("its length", 3), ("a byte of its username", 25)] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let answer = coturn.ask(&bad, SILENCE)?;
        ensure!(answer.is_none(), "answered although {what} is changed: {answer:02x?}");
    }
    coturn.reply(&good, PASSWORD)?;
    Ok(())
}

fn refusals() -> Result<()> {
    let coturn = long_term()?;
    // Signed, but without what the long-term mechanism needs.
    let (reply, _) = coturn.reply(&check("ab:cde", PASSWORD).encode(), PASSWORD)?;
    ensure!(reply.outcome == Outcome::Error(400) && reply.mapped.is_none(), "{reply:?}");
    // Not signed.
    let request = message(&[(USERNAME, USER.as_bytes())]);
    let (reply, _) = coturn.reply(&request, PASSWORD)?;
    ensure!(reply.outcome == Outcome::Error(401) && !reply.authentic, "{reply:?}");
    Ok(())
}

/// coturn signs its answer with the long-term key, and we verify that.
fn signature() -> Result<()> {
    let coturn = long_term()?;
    let (reply, challenge) = coturn.reply(&message(&[]), PASSWORD)?;
    ensure!(reply.outcome == Outcome::Error(401), "{reply:?}");
    let nonce = attributes(&challenge).into_iter().find(|(kind, _)| *kind == NONCE).ok_or("no NONCE")?.1;
    let request = [(USERNAME, USER.as_bytes()), (0x0014, REALM.as_bytes()), (NONCE, nonce)];
    let (_, key) = LONG_TERM;
    let (reply, datagram) = coturn.reply(&signed(&request, key)?, key)?;
    ensure!(reply.outcome == Outcome::Success && reply.authentic, "{reply:?}");
    ensure!(reply.mapped == Some(coturn.client.local_addr()?), "{reply:?}");
    ensure!(read_reply(&datagram, PASSWORD).is_some_and(|r| !r.authentic), "signed with any password");
    Ok(())
}

fn long_term() -> Result<Coturn> {
    let user = format!("{USER}:{}", LONG_TERM.0);
    Coturn::start(&["--lt-cred-mech", "--secure-stun", "--realm", REALM, "--user", &user])
}

/// coturn's client, which names nobody, gets no answer from a bridge, and is no answer to us.
fn stranger() -> Result<()> {
    let bridge = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    bridge.set_nonblocking(true)?;
    let at = bridge.local_addr()?;
    let request = request_of_coturn()?;
    ensure!(request.starts_with(&[0, 1]), "not a Binding Request: {request:02x?}");
    ensure!(read_reply(&request, PASSWORD).is_none(), "a request is taken for an answer");
    block_on(async {
        let jitsi = Jitsi::new(Setup::new(at, at));
        let offer = jitsi.bridge_offer("room", "someone", "sid");
        let (ufrag, pwd) = (attribute(&offer, "ufrag"), attribute(&offer, "pwd"));
        let (Some(ufrag), Some(pwd)) = (ufrag, pwd) else { return Err(format!("no credentials: {offer}").into()) };
        let client = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let asking = async {
            client.send_to(&request, at).await?;
            let mut buffer = [0; 1500];
            let answer = tokio::time::timeout(SILENCE, client.recv_from(&mut buffer)).await;
            ensure!(answer.is_err(), "a bridge answers a stranger");
            // The same bridge answers a check that names somebody.
            let check = check(&format!("{ufrag}:ours"), &pwd).encode();
            client.send_to(&check, at).await?;
            let (length, _) = tokio::time::timeout(PATIENCE, client.recv_from(&mut buffer)).await??;
            let reply = read_reply(&buffer[..length], &pwd).ok_or("cannot be read")?;
            ensure!(reply.outcome == Outcome::Success && reply.authentic, "{reply:?}");
            Ok(())
        };
        tokio::select! {
            () = jitsi.serve_bridge(tokio::net::UdpSocket::from_std(bridge)?) => Err("it serves for ever".into()),
            asked = asking => asked,
        }
    })?
}

/// aioice, with the bridge's password, reads and verifies what we send and answers as a bridge would.
fn aioice() -> Result<()> {
    const SCRIPT: &str = r#"
import socket, sys
from aioice import stun
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], int(sys.argv[2])))
key = sys.argv[3].encode()
while True:
    data, whence = door.recvfrom(1500)
    answer = stun.Message(stun.Method.BINDING, stun.Class.ERROR, data[8:20])
    try:
        asked = stun.parse_message(data, integrity_key=key).attributes
        wanted = {"PRIORITY": 2130706431, "ICE-CONTROLLED": 0x0102030405060708}
        order = ["USERNAME", "PRIORITY", "ICE-CONTROLLED", "MESSAGE-INTEGRITY", "FINGERPRINT"]
        if list(asked) == order and all(asked[k] == v for k, v in wanted.items()) and asked["USERNAME"].startswith("ab:c"):
            answer.message_class = stun.Class.RESPONSE
            answer.attributes["XOR-MAPPED-ADDRESS"] = whence
        else:
            answer.attributes["ERROR-CODE"] = (400, "Bad Request")
        answer.add_message_integrity(key)
    except ValueError as wrong:
        code = 401 if "integrity" in str(wrong) else 500
        answer.attributes["ERROR-CODE"] = (code, str(wrong))
    door.sendto(bytes(answer), whence)
"#;
    let folder = TempDir::new()?;
    let address = free_port(loopback())?;
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let python = crate::needs::python_with_aioice().ok_or("no aioice")?;
    let mut server = Server::start("aioice", python, &["-c", SCRIPT, &ip, &port, PASSWORD], folder.path())?;
    let client = UdpSocket::bind((address.ip(), 0))?;
    client.set_read_timeout(Some(Duration::from_millis(100)))?;
    let ask = |request: &[u8]| {
        let mut buffer = vec![0; 1500];
        client.send_to(request, address).ok()?;
        let (length, _) = client.recv_from(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    };
    server.wait(Duration::from_secs(10), || ask(&[0; 20]).is_some())?;
    client.set_read_timeout(Some(PATIENCE))?;
    for username in ["ab:c", "ab:cd", "ab:cde", "ab:cdef"] {
        let check = check(username, PASSWORD);
        let datagram = ask(&check.encode()).ok_or("silence")?;
        let reply = read_reply(&datagram, PASSWORD).ok_or_else(|| format!("cannot be read: {datagram:02x?}"))?;
        ensure!(reply.outcome == Outcome::Success && reply.authentic, "{reply:?}");
        ensure!(reply.transaction == check.transaction && reply.mapped == Some(client.local_addr()?), "{reply:?}");
        ensure!(read_reply(&datagram, "another").is_some_and(|r| !r.authentic), "signed with any password");
    }
    let datagram = ask(&check("ab:cde", "another").encode()).ok_or("silence")?;
    let reply = read_reply(&datagram, PASSWORD).ok_or("cannot be read")?;
    ensure!(reply.outcome == Outcome::Error(401) && !reply.authentic, "{reply:?}");
    Ok(())
}

/// The one request that coturn's client sends.
fn request_of_coturn() -> Result<Vec<u8>> {
    let folder = TempDir::new()?;
    let door = UdpSocket::bind((loopback(), 0))?;
    door.set_read_timeout(Some(PATIENCE))?;
    let (ip, port) = (door.local_addr()?.ip().to_string(), door.local_addr()?.port().to_string());
    let program = find("turnutils_stunclient").ok_or("no turnutils_stunclient")?;
    let args = ["-L", ip.as_str(), "-p", port.as_str(), ip.as_str()];
    let _client = Server::start("turnutils_stunclient", &program, &args, folder.path())?;
    let mut request = vec![0; 1500];
    let (length, _) = door.recv_from(&mut request)?;
    request.truncate(length);
    Ok(request)
}

/// A Binding Request with these attributes: what our coder has no need to write.
fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    bytes.extend(b"a dozen byte");
    for (kind, value) in attributes {
        append(&mut bytes, *kind, value);
    }
    bytes
}

fn signed(attributes: &[(u16, &[u8])], key: &str) -> Result<Vec<u8>> {
    let mut bytes = message(attributes);
    let length = u16::try_from(bytes.len() - 20 + 24)?;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes())?;
    mac.update(&bytes);
    append(&mut bytes, 0x0008, &mac.finalize().into_bytes());
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = u16::try_from(bytes.len() - 20).unwrap_or(u16::MAX);
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn attributes(message: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    let mut rest = message.get(20..).unwrap_or_default();
    while let [k1, k2, l1, l2, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        let Some(value) = after.get(..length) else { break };
        found.push((u16::from_be_bytes([*k1, *k2]), value));
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}
