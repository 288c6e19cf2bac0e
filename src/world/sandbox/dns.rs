//! A small name server: what the recursive resolver and the zone's own two servers answer, in real DNS bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::model::{HOST, Model, Stack};
use super::net::{BALANCER, FORMER_BALANCER};

pub(super) const ZONE: &str = "example.org";
/// The resolver of the simulated machine.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
/// The zone's own servers.
pub const AUTHORITIES: [(&str, Ipv4Addr); 2] = [
    ("ns-1.dns.example.net", Ipv4Addr::new(203, 0, 113, 53)),
    ("ns-2.dns.example.net", Ipv4Addr::new(203, 0, 113, 54)),
];
const PORT: u16 = 53;
const TTL: u32 = 60;

/// Which kind of server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Recursive,
    Authoritative,
}

/// The name server at an address, if there is one.
pub(super) fn role(at: SocketAddr) -> Option<Role> {
    if at.port() != PORT {
        None
    } else if at.ip() == IpAddr::V4(RESOLVER) {
        Some(Role::Recursive)
    } else {
        AUTHORITIES.iter().any(|(_, address)| at.ip() == IpAddr::V4(*address)).then_some(Role::Authoritative)
    }
}

/// The addresses of a name.
pub(super) fn addresses(model: &Model, name: &str) -> Vec<Ipv4Addr> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name == HOST {
        return model.stack.record.as_deref().map_or_else(Vec::new, |target| addresses_of_balancer(model, target));
    }
    let authority = AUTHORITIES.iter().filter(|(server, _)| *server == name).map(|(_, address)| *address);
    authority.chain(addresses_of_balancer(model, &name)).collect()
}

fn addresses_of_balancer(model: &Model, name: &str) -> Vec<Ipv4Addr> {
    if let Ok(address) = name.parse() {
        return vec![address];
    }
    match &model.stack.balancer {
        Some(balancer) if balancer.dns_name == name => BALANCER.to_vec(),
        // A name server that has not noticed yet that it is gone.
        _ if name == Stack::FORMER_BALANCER => vec![FORMER_BALANCER],
        _ => Vec::new(),
    }
}

/// The answer to a query; `None` when it is none, and a server would be silent.
pub(super) fn answer(model: &Model, role: Role, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first().filter(|_| query.metadata.message_type == MessageType::Query)?.clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.metadata.recursion_available = role == Role::Recursive;
    answer.add_query(question.clone());

    let asked = question.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let in_zone = asked == ZONE || asked.ends_with(&format!(".{ZONE}"));
    answer.metadata.authoritative = role == Role::Authoritative && in_zone;
    if role == Role::Authoritative && !in_zone {
        answer.metadata.response_code = ResponseCode::Refused;
        return answer.to_vec().ok();
    }
    let found = addresses(model, &asked);
    match question.query_type() {
        RecordType::A => {
            answer.add_answers(found.iter().map(|address| record(question.name(), RData::A(A(*address)))));
        }
        RecordType::NS if asked == ZONE => {
            answer.add_answers(
                AUTHORITIES.iter().map(|(server, _)| record(question.name(), RData::NS(NS(fqdn(server))))),
            );
            answer.add_additionals(AUTHORITIES.iter().map(|(server, at)| record(&fqdn(server), RData::A(A(*at)))));
        }
        RecordType::SOA if asked == ZONE => {
            answer.add_answer(start_of_authority());
        }
        _ => {}
    }
    if answer.answers.is_empty() {
        let exists = asked == ZONE || !found.is_empty();
        answer.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        if in_zone {
            answer.add_authority(start_of_authority());
        }
    }
    answer.to_vec().ok()
}

fn record(name: &Name, data: RData) -> Record {
    Record::from_rdata(name.clone(), TTL, data)
}

fn start_of_authority() -> Record {
    let (server, _) = AUTHORITIES[0];
    let soa = SOA::new(fqdn(server), fqdn("hostmaster.example.org"), 1, 7200, 900, 1_209_600, 60);
    record(&fqdn(ZONE), RData::SOA(soa))
}

/// One of our own names, which are all good.
fn fqdn(name: &str) -> Name {
    Name::from_str(&format!("{name}.")).unwrap_or_default()
}
