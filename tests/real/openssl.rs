//! A bridge whose DTLS is OpenSSL's: ICE is answered here, the handshake goes to an `openssl s_client` for each
//! participant. Nothing is forwarded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use str0m::ice::{StunMessage, StunMessageBuilder, TransId};
use tempfile::TempDir;

use crate::meeting::Bridge;
use crate::process::Result;
use crate::xmpp::attribute;

const UFRAG: &str = "opensslbridge";
const PWD: &str = "a-password-of-the-bridge-of-openssl";
const SRTP: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";

pub(crate) struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// SHA-256 of the certificate that OpenSSL shows.
    fingerprint: String,
    _folder: TempDir,
}

struct Shared {
    door: UdpSocket,
    over: AtomicBool,
    /// By the ufrag that the participant chose.
    participants: Mutex<BTreeMap<String, Participant>>,
    certificate: String,
    key: String,
}

struct Participant {
    pwd: String,
    openssl: Option<(Child, Arc<UdpSocket>)>,
    /// Where it talks to us from.
    at: Option<SocketAddr>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for participant in self.shared.lock().values_mut() {
            if let Some((child, _)) = &mut participant.openssl {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Relay {
    pub(crate) fn start() -> Result<Self> {
        let folder = TempDir::new()?;
        let made = rcgen::generate_simple_self_signed(vec!["bridge".to_owned()])?;
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let door = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        door.set_read_timeout(Some(Duration::from_millis(100)))?;
        let address = door.local_addr()?;
        let shared = Arc::new(Shared {
            door,
            over: AtomicBool::new(false),
            participants: Mutex::default(),
            certificate: certificate.display().to_string(),
            key: key.display().to_string(),
        });
        let serving = shared.clone();
        std::thread::spawn(move || serving.serve());
        Ok(Self { shared, address, fingerprint: fingerprint(made.cert.der()), _folder: folder })
    }
}

impl Bridge for Relay {
    fn offer(&mut self, _: &str, _: &str, sid: &str) -> String {
        format!(
            "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='{sid}'><content creator='initiator' \
             name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
             <payload-type id='111' name='opus' clockrate='48000' channels='2'/></description>\
             <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{UFRAG}' pwd='{PWD}'>\
             <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>{}</fingerprint>\
             <candidate component='1' foundation='1' generation='0' id='c' ip='{}' port='{}' priority='2130706431' \
             protocol='udp' type='host'/></transport></content></jingle>",
            self.fingerprint,
            self.address.ip(),
            self.address.port()
        )
    }

    fn accept(&mut self, _: &str, _: &str, jingle: &str) -> Result<()> {
        let transport = &jingle[jingle.find("<transport").ok_or("no transport")?..];
        let ufrag = attribute(transport, "ufrag").ok_or("no ufrag")?;
        let pwd = attribute(transport, "pwd").ok_or("no pwd")?;
        self.shared.lock().insert(ufrag, Participant { pwd, openssl: None, at: None });
        Ok(())
    }

    fn expire(&mut self, _: &str, _: &str) {}
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Participant>> {
        self.participants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>) {
        let mut buffer = [0; 2048];
        while !self.over.load(Ordering::Relaxed) {
            let Ok((length, from)) = self.door.recv_from(&mut buffer) else { continue };
            match buffer[0] {
                0..=3 => {
                    let _ = self.check(&buffer[..length], from);
                }
                20..=63 => {
                    let participants = self.lock();
                    let whose = participants.values().find(|p| p.at == Some(from));
                    if let Some((_, inner)) = whose.and_then(|p| p.openssl.as_ref()) {
                        let _ = inner.send(&buffer[..length]);
                    }
                }
                _ => {}
            }
        }
    }

    /// Answers a check, and nominates the pair once the participant's password is known.
    fn check(self: &Arc<Self>, datagram: &[u8], from: SocketAddr) -> Option<()> {
        let message = StunMessage::parse(datagram).ok().filter(StunMessage::is_binding_request)?;
        if !message.verify(PWD.as_bytes(), sign) {
            return None;
        }
        let answer = StunMessageBuilder::new().binding().success().xor_mapped_address(from).build(message.trans_id());
        self.send(answer, PWD, from)?;
        let ufrag = message.split_username()?.1.to_owned();
        let mut participants = self.lock();
        let participant = participants.get_mut(&ufrag)?;
        let username = format!("{ufrag}:{UFRAG}");
        let nomination = StunMessageBuilder::new()
            .binding()
            .request()
            .username(&username)
            .prio(2_130_706_431)
            .ice_controlling(1)
            .use_candidate()
            .build(TransId::new());
        self.send(nomination, &participant.pwd, from)?;
        if participant.openssl.is_none() {
            participant.at = Some(from);
            participant.openssl = self.handshake(from).ok();
        }
        Some(())
    }

    #[expect(clippy::large_types_passed_by_value, reason = "writing it uses it up")]
    fn send(&self, message: StunMessage<'_>, pwd: &str, to: SocketAddr) -> Option<()> {
        let mut buffer = [0; 512];
        let length = message.to_bytes(Some(pwd.as_bytes()), &mut buffer, sign).ok()?;
        self.door.send_to(&buffer[..length], to).ok().map(|_| ())
    }

    /// Starts an OpenSSL that begins the handshake, as bridges do, and carries its datagrams to the participant.
    fn handshake(self: &Arc<Self>, to: SocketAddr) -> Result<(Child, Arc<UdpSocket>)> {
        let inner = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        inner.set_read_timeout(Some(Duration::from_secs(10)))?;
        let address = inner.local_addr()?.to_string();
        let child = Command::new("openssl")
            .args(["s_client", "-dtls1_2", "-connect", &address, "-cert", &self.certificate, "-key", &self.key])
            .args(["-use_srtp", SRTP, "-quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (shared, socket) = (self.clone(), inner.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let Ok((length, openssl)) = socket.recv_from(&mut buffer) else { return };
            if socket.connect(openssl).is_err() || shared.door.send_to(&buffer[..length], to).is_err() {
                return;
            }
            while let Ok(length) = socket.recv(&mut buffer) {
                let _ = shared.door.send_to(&buffer[..length], to);
            }
        });
        Ok((child, inner))
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for byte in sha256(der) {
        let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { ":" });
    }
    text
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let suite = provider.cipher_suites.iter().find_map(|suite| match suite {
        rustls::SupportedCipherSuite::Tls12(suite) if suite.common.hash_provider.output_len() == 32 => Some(suite),
        _ => None,
    });
    suite.map(|suite| suite.common.hash_provider.hash(bytes).as_ref().to_vec()).unwrap_or_default()
}

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length will do");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
