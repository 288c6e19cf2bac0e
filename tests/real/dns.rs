//! Knot DNS from Debian: authoritative for the zones of a test, and asked directly in place of a resolver.
//!
//! It answers for its own zones and for nothing else, with or without "recursion desired". That is enough to
//! stand for both ends: `[dns] servers` points at it, the `NS` records in it point back at it. Two of them, with
//! different answers, make a resolver that has not heard of a change yet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use tempfile::TempDir;

use crate::needs::{Need, find, test};
use crate::process::{Result, Server, at, ensure, free_port, loopback, output, wait_for};

pub(crate) struct Dns {
    server: Server,
    address: SocketAddr,
    /// Zone → names below it (`*` for all of them) → address.
    zones: BTreeMap<String, BTreeMap<String, Ipv4Addr>>,
    /// The address that `ns1.ZONE` has.
    authority: Ipv4Addr,
    serial: u32,
    folder: TempDir,
}

impl Dns {
    /// Serves at `address`: each zone with `NS ns1.ZONE` at `authority`.
    pub(crate) fn start(
        address: SocketAddr,
        authority: Ipv4Addr,
        zones: &[(&str, &[(&str, Ipv4Addr)])],
    ) -> Result<Self> {
        let folder = TempDir::new()?;
        let zones = zones
            .iter()
            .map(|(zone, names)| {
                let names = names.iter().map(|(name, ip)| ((*name).to_owned(), *ip)).collect();
                ((*zone).to_owned(), names)
            })
            .collect::<BTreeMap<_, _>>();
        std::fs::write(folder.path().join("knot.conf"), configuration(address, &zones, &folder))?;
        let server = Self::write(&folder, &zones, authority, 1).and_then(|()| Self::run(&folder))?;
        let mut dns = Self { server, address, zones, authority, serial: 1, folder };
        dns.ready()?;
        Ok(dns)
    }

    fn run(folder: &TempDir) -> Result<Server> {
        let program = find("knotd").ok_or("no knotd")?;
        Server::start("knotd", &program, &["-c", "knot.conf"], folder.path())
    }

    fn ready(&mut self) -> Result<()> {
        let (address, authority) = (self.address, self.authority);
        let zones: Vec<String> = self.zones.keys().cloned().collect();
        self.server.wait(Duration::from_secs(20), || {
            zones.iter().all(|zone| ask(address, &format!("ns1.{zone}")).is_ok_and(|found| found == [authority]))
        })
    }

    fn write(
        folder: &TempDir,
        zones: &BTreeMap<String, BTreeMap<String, Ipv4Addr>>,
        authority: Ipv4Addr,
        serial: u32,
    ) -> Result<()> {
        for (zone, names) in zones {
            let mut text = format!(
                "$TTL 1\n@ IN SOA ns1.{zone}. hostmaster.{zone}. {serial} 60 60 600 1\n\
                 @ IN NS ns1.{zone}.\nns1 IN A {authority}\n"
            );
            for (name, ip) in names {
                let _ = writeln!(text, "{name} IN A {ip}");
            }
            std::fs::write(folder.path().join(format!("{zone}.zone")), text)?;
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, `name` in `zone` has this address; returns when it is so answered.
    pub(crate) fn point(&mut self, zone: &str, name: &str, to: Ipv4Addr) -> Result<()> {
        self.change(zone, name, Some(to))?;
        let (address, full) = (self.address, format!("{name}.{zone}"));
        wait_for("the new address", Duration::from_secs(10), || {
            ask(address, &full).is_ok_and(|found| found == [to]).then_some(())
        })
    }

    /// From now on, there is no such name.
    pub(crate) fn remove(&mut self, zone: &str, name: &str) -> Result<()> {
        self.change(zone, name, None)?;
        let (address, full) = (self.address, format!("{name}.{zone}"));
        wait_for("the name to go", Duration::from_secs(10), || {
            ask(address, &full).is_ok_and(|found| found.is_empty()).then_some(())
        })
    }

    fn change(&mut self, zone: &str, name: &str, to: Option<Ipv4Addr>) -> Result<()> {
        let names = self.zones.get_mut(zone).ok_or("no such zone")?;
        match to {
            Some(to) => names.insert(name.to_owned(), to),
            None => names.remove(name),
        };
        self.serial += 1;
        Self::write(&self.folder, &self.zones, self.authority, self.serial)?;
        let knotc = find("knotc").ok_or("no knotc")?;
        let socket = self.folder.path().join("knot.sock");
        let out = Command::new(knotc).arg("-s").arg(socket).args(["-b", "zone-reload"]).output()?;
        ensure!(out.status.success(), "knotc: {}", String::from_utf8_lossy(&out.stderr));
        Ok(())
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

fn configuration(
    address: SocketAddr,
    zones: &BTreeMap<String, BTreeMap<String, Ipv4Addr>>,
    folder: &TempDir,
) -> String {
    let (ip, port) = (address.ip(), address.port());
    let folder = folder.path().display();
    let mut text = format!(
        "server:
    listen: {ip}@{port}
    rundir: {folder}
    pidfile: {folder}/knot.pid
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: {folder}/db
control:
    listen: {folder}/knot.sock
template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
"
    );
    for zone in zones.keys() {
        let _ = write!(text, "  - domain: {zone}\n    file: {zone}.zone\n");
    }
    text
}

/// The IPv4 addresses of a name, asked by hand over UDP. No such name is an empty list; no answer is an error.
pub(crate) fn ask(server: SocketAddr, name: &str) -> Result<Vec<Ipv4Addr>> {
    let mut question = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len())?);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    socket.send_to(&question, server)?;
    let mut answer = [0; 1500];
    let (length, from) = socket.recv_from(&mut answer)?;
    let answer = &answer[..length];
    ensure!(from == server && answer.starts_with(&[0x12, 0x34]), "an answer to something else");
    let code = answer.get(3).map(|byte| byte & 15);
    ensure!(matches!(code, Some(0 | 3)), "answer code {code:?}");
    let count = usize::from(answer[6]) * 256 + usize::from(answer[7]);
    // Names in the answer section are pointers of two bytes: a server that has them in full is not ours.
    let records = answer.get(question.len()..).unwrap_or_default().chunks(16).take(count);
    Ok(records
        .filter_map(|record| match record {
            [_, _, 0, 1, 0, 1, _, _, _, _, 0, 4, a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d)),
            _ => None,
        })
        .collect())
}

// --- The tests of this component ---------------------------------------------------------------

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("dns::dig_sees_authority_and_address", &[Need::Knot, Need::Dig], dig_sees),
        test("dns::a_name_can_be_pointed_elsewhere_and_removed", &[Need::Knot, Need::Dig], pointed_elsewhere),
        test("dns::serves_port_53_of_its_own_address", &[Need::Knot, Need::Dig, Need::LowPorts], port_53),
    ]
}

const ZONE: &str = "example.test";
const WEB: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 2);

fn served(address: SocketAddr) -> Result<Dns> {
    let SocketAddr::V4(v4) = address else {
        return Err("not IPv4".into());
    };
    let (web, balancer): (&[_], &[_]) = (&[("meet", WEB)], &[("*", BALANCER)]);
    Dns::start(address, *v4.ip(), &[(ZONE, web), ("us-west-2.elb.amazonaws.com", balancer)])
}

fn dig(server: SocketAddr, args: &[&str]) -> Result<String> {
    let (ip, port) = (format!("@{}", server.ip()), server.port().to_string());
    let all = [&["+time=2", "+tries=2", ip.as_str(), "-p", port.as_str()], args].concat();
    let out = output("dig", &all, "")?;
    Ok(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

fn dig_sees() -> Result<()> {
    let dns = served(free_port(loopback())?)?;
    let ask_dig = |args: &[&str]| dig(dns.address(), args);
    let seen = ask_dig(&["+norecurse", "meet.example.test", "A"])?;
    ensure!(seen.contains("flags: qr aa") && seen.contains("127.0.2.1"), "{seen}");
    for (question, expected) in [
        (["+short", "example.test", "NS"], "ns1.example.test.".to_owned()),
        (["+short", "ns1.example.test", "A"], dns.address().ip().to_string()),
        (["+short", "rig-nlb-1.us-west-2.elb.amazonaws.com", "A"], BALANCER.to_string()),
        (["+short", "meet.example.test", "AAAA"], String::new()),
    ] {
        let seen = ask_dig(&question)?;
        ensure!(seen == expected, "{question:?}: {seen}");
    }
    let seen = ask_dig(&["+tcp", "+short", "meet.example.test", "A"])?;
    ensure!(seen == WEB.to_string(), "over TCP: {seen}");
    let seen = ask_dig(&["nothing.example.test", "A"])?;
    ensure!(seen.contains("NXDOMAIN"), "{seen}");
    let seen = ask_dig(&["elsewhere.invalid", "A"])?;
    ensure!(seen.contains("REFUSED"), "{seen}");
    Ok(())
}

fn pointed_elsewhere() -> Result<()> {
    let mut dns = served(free_port(loopback())?)?;
    let meet = |dns: &Dns| dig(dns.address(), &["+short", "meet.example.test", "A"]);
    ensure!(meet(&dns)? == "127.0.2.1", "before: {}", meet(&dns)?);
    dns.point(ZONE, "meet", Ipv4Addr::new(192, 0, 2, 99))?;
    ensure!(meet(&dns)? == "192.0.2.99", "after: {}", meet(&dns)?);
    dns.remove(ZONE, "meet")?;
    ensure!(meet(&dns)?.is_empty(), "removed: {}", meet(&dns)?);
    dns.stop();
    ensure!(ask(dns.address(), "meet.example.test").is_err(), "it answers after its end");
    dns.point(ZONE, "meet", WEB).err().ok_or("a stopped server was changed")?;
    dns.start_again()?;
    ensure!(meet(&dns)? == "127.0.2.1", "after a new start: {}", meet(&dns)?);
    Ok(())
}

fn port_53() -> Result<()> {
    let dns = served(at(loopback(), 53))?;
    let seen = dig(dns.address(), &["+short", "meet.example.test"])?;
    ensure!(seen == WEB.to_string(), "{seen}");
    Ok(())
}
