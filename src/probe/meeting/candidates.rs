//! Which of the bridge's advertised addresses are tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::offer::Candidate;

/// At most this many addresses are tried; a bridge has a handful.
const MOST: usize = 16;

/// Which candidates to try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Those that are reachable from the Internet: what participants use.
    #[default]
    Public,
    /// Those on private networks too.
    All,
    /// These addresses only.
    Only(Vec<IpAddr>),
}

/// Candidates, sorted by what to do with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    pub try_these: Vec<SocketAddr>,
    /// Good addresses that the policy leaves out.
    pub left_out: Vec<SocketAddr>,
    /// What nobody may send to, with the reason.
    pub unusable: Vec<String>,
}

/// Sorts candidates; nothing is ever sent to an address that is not in `try_these`.
pub fn sort(candidates: &[Candidate], policy: &Policy) -> Sorted {
    let mut sorted = Sorted::default();
    for candidate in candidates.iter().filter(|c| c.is_udp()) {
        match candidate.address() {
            Err(why) => sorted.unusable.push(why),
            Ok(address) if sorted.try_these.contains(&address) || sorted.left_out.contains(&address) => {}
            Ok(address) if wanted(address.ip(), policy) && sorted.try_these.len() < MOST => {
                sorted.try_these.push(address);
            }
            Ok(address) => sorted.left_out.push(address),
        }
    }
    sorted
}

fn wanted(ip: IpAddr, policy: &Policy) -> bool {
    match policy {
        Policy::Public => is_public(ip),
        Policy::All => true,
        Policy::Only(these) => these.contains(&ip),
    }
}

/// Whether an address can be meant for the whole Internet.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_private() && !v4.is_loopback() && !v4.is_link_local() && !is_cgnat(v4),
        IpAddr::V6(v6) => match wrapped(v6) {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => !v6.is_loopback() && !v6.is_unique_local() && !v6.is_unicast_link_local(),
        },
    }
}

/// Ports of services that answer a small datagram of a stranger with a large one, or with many.
pub const AMPLIFYING: [u16; 22] =
    [7, 13, 17, 19, 53, 69, 111, 123, 137, 138, 161, 389, 427, 500, 520, 1194, 1434, 1900, 3702, 5353, 10001, 11211];

/// Whether no host can have an address: reserved, for many at once, for tests of equipment, or for one's own link.
pub fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            a == 0 || a >= 224 || (a == 198 && (b == 18 || b == 19)) || (a, b, c) == (192, 0, 0)
        }
        IpAddr::V6(v6) => match wrapped(v6) {
            Some(v4) => v4.is_link_local() || is_special(v4.into()),
            None => v6.is_unspecified() || v6.is_multicast(),
        },
    }
}

/// The IPv4 address inside of one of IPv6: mapped (RFC 4291), of NAT64 (RFC 6052), of 6to4 (RFC 3056).
fn wrapped(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = v6.octets();
    let at = |from: usize| Ipv4Addr::new(octets[from], octets[from + 1], octets[from + 2], octets[from + 3]);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(at(12)),
        [0x2002, ..] => Some(at(2)),
        _ => None,
    }
}

/// Addresses that providers share among customers (RFC 6598).
fn is_cgnat(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && (64..128).contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(ip: &str, port: &str) -> Candidate {
        Candidate { component: "1".into(), protocol: "udp".into(), ip: ip.into(), port: port.into() }
    }

    #[test]
    fn only_public_addresses_are_tried() {
        let private = ["10.0.3.17", "169.254.172.2", "127.0.0.1", "100.64.0.1", "fd00::1", "fe80::1", "::1"];
        let all: Vec<_> = private.iter().chain(&["203.0.113.10"]).map(|ip| candidate(ip, "10000")).collect();
        let sorted = sort(&all, &Policy::Public);
        assert_eq!(sorted.try_these, ["203.0.113.10:10000".parse().expect("an address")]);
        assert_eq!(sorted.left_out.len(), private.len());
        assert_eq!(sort(&all, &Policy::All).try_these.len(), private.len() + 1);
        let good = [candidate("64:ff9b::203.0.113.10", "10000"), candidate("203.0.113.10", "80")];
        assert_eq!(sort(&good, &Policy::Public).try_these.len(), 2);
        let wrapped = [candidate("64:ff9b::10.0.0.1", "10000"), candidate("2002:a00:1::", "10000")];
        assert_eq!(sort(&wrapped, &Policy::Public).left_out.len(), 2);
    }

    #[test]
    fn absurd_candidates_are_never_tried() {
        let absurd = [
            ("meet.example.org", "10000"),
            ("203.0.113.10", "0"),
            ("203.0.113.10", "65536"),
            ("203.0.113.10", "53"),
            ("203.0.113.10", "ten"),
            ("203.0.113.10", "-1"),
            ("0.0.0.0", "10000"),
            ("224.0.0.1", "10000"),
            ("255.255.255.255", "10000"),
            ("ff02::1", "10000"),
            ("::", "10000"),
            ("", ""),
            ("203.0.113.10", "19"),
            ("203.0.113.10", "1900"),
            ("203.0.113.10", "11211"),
            ("0.1.2.3", "10000"),
            ("240.0.0.1", "10000"),
            ("198.19.0.1", "10000"),
            ("192.0.0.8", "10000"),
            ("::ffff:224.0.0.1", "10000"),
            ("64:ff9b::198.18.0.1", "10000"),
            ("64:ff9b::169.254.169.254", "10000"),
            ("2002:f000:1::", "10000"),
            ("203.0.113.10 ", "10000"),
        ];
        let all: Vec<_> = absurd.iter().map(|(ip, port)| candidate(ip, port)).collect();
        let sorted = sort(&all, &Policy::All);
        assert_eq!(sorted.try_these, []);
        assert_eq!(sorted.unusable.len(), absurd.len());
    }
}
