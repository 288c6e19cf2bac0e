//! How a name resolves: by a recursive resolver, and by the zone's own name servers, over `Net`.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Limits, Sight, garbled, quoted, seconds, unreachable};
use crate::domain::name::Host;
use crate::domain::observed::{Authority, Reading, Resolution, Unreadable};
use crate::world::{Net, NetError};

/// The recursive servers that are asked; resolvers use no more either.
const RECURSIVE: usize = 3;
/// The name servers of a zone that are asked.
const AUTHORITIES: usize = 13;
/// The names above the host of which each may be its zone.
const ANCESTORS: usize = 10;
/// The aliases that are followed.
const ALIASES: usize = 8;
/// Larger than any answer over UDP to a question without EDNS.
const DATAGRAM: usize = 4096;

/// Resolves the host by this machine's resolver (or the configured one) and by each of its zone's own name servers,
/// and the load balancer's name as well, to compare.
///
/// The load balancer's name may still be on its way from AWS: nothing here waits for it but what needs it.
pub async fn resolve(
    net: &dyn Net,
    sight: &Sight,
    balancer: impl Future<Output = Option<Result<String, Unreadable>>>,
) -> Reading<Resolution> {
    let (local, (authoritative, authorities_unseen), balancer) =
        tokio::join!(local(net, sight, &sight.site.host), authorities(net, sight), async {
            match balancer.await? {
                Ok(name) => Some(named(net, sight, &name).await),
                Err(why) => Some(Err(why)),
            }
        });
    Reading::Present(Resolution { host: sight.site.host.clone(), local, authoritative, authorities_unseen, balancer })
}

type Found = Result<Vec<IpAddr>, Unreadable>;

async fn named(net: &dyn Net, sight: &Sight, name: &str) -> Found {
    let host = name.trim_end_matches('.').parse().map_err(|error| garbled(format!("{error}")))?;
    local(net, sight, &host).await
}

/// The addresses of a host, sorted, as this machine sees them; none when it does not exist.
pub async fn local(net: &dyn Net, sight: &Sight, host: &Host) -> Found {
    let limit = sight.limits.whole;
    let look = async {
        if sight.dns_servers.is_empty() {
            let found = net.resolve(host).await;
            return found.map(sorted).map_err(|error| unreachable(format!("this machine's resolver: {error}")));
        }
        recursive(net, &sight.dns_servers, &absolute(host)?, sight.limits).await
    };
    timeout(limit, look)
        .await
        .unwrap_or_else(|_| Err(unreachable(format!("{host}: no answer from the resolver within {}", seconds(limit)))))
}

/// Whether the zone's own name servers say that the host has no address; an error when none of them says anything.
pub async fn has_no_address(net: &dyn Net, sight: &Sight) -> Result<bool, Unreadable> {
    let (authorities, mut unseen) = authorities(net, sight).await;
    for authority in authorities {
        match authority.answer {
            Ok(found) => return Ok(found.is_empty()),
            Err(why) => unseen = unseen.or(Some(why)),
        }
    }
    Err(unseen.unwrap_or_else(|| unreachable(format!("no name server of {} answers", sight.site.host))))
}

/// Asks each of the zone's own name servers; or says why they are not known.
async fn authorities(net: &dyn Net, sight: &Sight) -> (Vec<Authority>, Option<Unreadable>) {
    let deadline = Instant::now() + sight.limits.whole;
    let late = || unreachable(format!("no answer within {}", seconds(sight.limits.whole)));
    let recursive = if sight.dns_servers.is_empty() { net.name_servers() } else { sight.dns_servers.clone() };
    let servers = match timeout_at(deadline, zone_servers(net, sight, &recursive)).await {
        Ok(Ok(servers)) => servers,
        Ok(Err(why)) => return (Vec::new(), Some(why)),
        Err(_) => return (Vec::new(), Some(late())),
    };
    let asked = servers.iter().map(|server| async {
        let mut authority = Authority { server: bare(server), address: None, answer: Err(late()) };
        // What is known when the time is over stays: at least the server's name and address.
        let _ = timeout_at(deadline, ask_authority(net, sight, &recursive, server, &mut authority)).await;
        authority
    });
    (all(asked).await, None)
}

/// The names of the servers of the zone that the host lies in: of the nearest name above it that has any.
async fn zone_servers(net: &dyn Net, sight: &Sight, recursive: &[SocketAddr]) -> Result<Vec<Name>, Unreadable> {
    if recursive.is_empty() {
        return Err(unreachable("this machine's name servers are not known"));
    }
    let host = absolute(&sight.site.host)?;
    let names: Vec<Name> =
        std::iter::successors(Some(host), |n| (n.num_labels() > 1).then(|| n.base_name())).take(ANCESTORS).collect();
    let answers = all(names.iter().map(|name| ask_any(net, recursive, name, RecordType::NS, sight.limits))).await;
    let mut blind = None;
    for (name, answer) in names.iter().zip(answers) {
        match answer.and_then(|message| servers_of(name, &message)) {
            Ok(servers) if servers.is_empty() => {}
            Ok(servers) => return Ok(servers),
            // A name that cannot be asked about is passed over: were it a zone of its own, the servers of the zone
            // above would not answer with authority, and that is not taken for an answer.
            Err(why) => blind = blind.or(Some(why)),
        }
    }
    Err(blind.unwrap_or_else(|| garbled(format!("nobody knows the name servers of {}", sight.site.host))))
}

async fn ask_authority(net: &dyn Net, sight: &Sight, recursive: &[SocketAddr], server: &Name, into: &mut Authority) {
    let addresses = self::recursive(net, recursive, server, sight.limits).await;
    // Sorted, IPv4 comes first: it works from more places.
    let address = match addresses.as_deref() {
        Ok([first, ..]) => SocketAddr::new(*first, sight.dns_port),
        Ok([]) => {
            into.answer = Err(garbled(format!("{} has no address", into.server)));
            return;
        }
        Err(why) => {
            into.answer = Err(why.clone());
            return;
        }
    };
    into.address = Some(address);
    into.answer = authoritative(net, sight, address).await;
}

async fn authoritative(net: &dyn Net, sight: &Sight, server: SocketAddr) -> Found {
    let host = &absolute(&sight.site.host)?;
    let of = |kind| async move {
        let message = ask(net, server, host, kind, Recursion::Unwanted, sight.limits).await?;
        let lead = lead(host, &message)?;
        // A server that is not the zone's own, or a network that answers in its place, has no word here.
        if message.metadata.authoritative {
            Ok(lead)
        } else {
            Err(garbled(format!("{server} does not answer with authority for {}", sight.site.host)))
        }
    };
    match tokio::join!(of(RecordType::A), of(RecordType::AAAA)) {
        // An alias that leads out of the zone: what lies there is not this server's to say.
        (Ok(Lead::Onward(elsewhere)), _) => named(net, sight, &elsewhere.to_ascii()).await,
        (Ok(Lead::Addresses(v4)), v6) => both(
            Ok(v4),
            v6.map(|lead| match lead {
                Lead::Addresses(v6) => v6,
                Lead::Onward(_) => Vec::new(),
            }),
        ),
        (Err(why), _) => Err(why),
    }
}

/// The addresses of a name by recursive servers.
async fn recursive(net: &dyn Net, servers: &[SocketAddr], name: &Name, limits: Limits) -> Found {
    let (v4, v6) = tokio::join!(
        follow(net, servers, name, RecordType::A, limits),
        follow(net, servers, name, RecordType::AAAA, limits)
    );
    both(v4, v6)
}

/// Many networks drop questions for IPv6 addresses: with IPv4 addresses at hand that is no loss.
fn both(v4: Found, v6: Found) -> Found {
    match (v4, v6) {
        (Ok(v4), Err(_)) if !v4.is_empty() => Ok(sorted(v4)),
        (Ok(v4), Ok(v6)) => Ok(sorted([v4, v6].concat())),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

fn sorted(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

async fn follow(net: &dyn Net, servers: &[SocketAddr], name: &Name, kind: RecordType, limits: Limits) -> Found {
    let mut seen = vec![name.clone()];
    loop {
        let current = seen.last().unwrap_or(name);
        let message = ask_any(net, servers, current, kind, limits).await?;
        match lead(current, &message)? {
            Lead::Addresses(addresses) => return Ok(addresses),
            Lead::Onward(target) if seen.contains(&target) || seen.len() > ALIASES => return Err(endless(name)),
            Lead::Onward(target) => seen.push(target),
        }
    }
}

/// Asks the first server, and each further one when those before it are slow; takes the first answer.
async fn ask_any(
    net: &dyn Net,
    servers: &[SocketAddr],
    name: &Name,
    kind: RecordType,
    limits: Limits,
) -> Result<Message, Unreadable> {
    let mut head_start = Duration::ZERO;
    let asked = servers.iter().take(RECURSIVE).map(|server| {
        let wait = head_start;
        head_start += limits.query / 2;
        async move {
            sleep(wait).await;
            ask(net, *server, name, kind, Recursion::Wanted, limits).await
        }
    });
    first(asked, |_| false).await.unwrap_or_else(|| Err(unreachable("there is no name server to ask")))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Recursion {
    Wanted,
    Unwanted,
}

/// Asks one server, twice if need be.
async fn ask(
    net: &dyn Net,
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recursion: Recursion,
    limits: Limits,
) -> Result<Message, Unreadable> {
    let mut nonsense = false;
    let mut last = None;
    for _ in 0..2 {
        match timeout(limits.query, ask_once(net, server, name, kind, recursion, &mut nonsense)).await {
            Ok(Ok(message)) => return Ok(message),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = None,
        }
    }
    Err(match last {
        Some(error) => unreachable(format!("name server {server}: {error}")),
        None if nonsense => garbled(format!("name server {server} answers, but makes no sense")),
        None => unreachable(format!("name server {server}: no answer")),
    })
}

async fn ask_once(
    net: &dyn Net,
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recursion: Recursion,
    nonsense: &mut bool,
) -> Result<Message, NetError> {
    let socket = net.udp(server.ip()).await?;
    let id = id(socket.local(), server, name);
    let query = Query::query(name.clone(), kind);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursion == Recursion::Wanted;
    message.add_query(query.clone());
    let question = message.to_vec().map_err(|error| NetError::Other(error.to_string()))?;
    socket.send(server, &question).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, from) = socket.receive(&mut buffer).await?;
        if from != server {
            continue;
        }
        match answer(&buffer[..length], id, &query) {
            Some(message) if message.metadata.truncation => return over_tcp(net, server, &question, id, &query).await,
            Some(message) => return Ok(message),
            // Perhaps somebody else's guess: the real answer may still come.
            None => *nonsense = true,
        }
    }
}

async fn over_tcp(
    net: &dyn Net,
    server: SocketAddr,
    question: &[u8],
    id: u16,
    query: &Query,
) -> Result<Message, NetError> {
    let mut stream = net.tcp(server).await?;
    let length = u16::try_from(question.len()).map_err(|error| NetError::Other(error.to_string()))?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    stream.flush().await?;
    let mut whole = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut whole).await?;
    answer(&whole, id, query).ok_or_else(|| NetError::Other("its answer over TCP makes no sense".into()))
}

/// A number that somebody who does not see the question cannot guess. Nothing else depends on it.
fn id(local: SocketAddr, server: SocketAddr, name: &Name) -> u16 {
    let [high, low, ..] = RandomState::new().hash_one((local, server, name)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// Reads the answer to a question; `None` when it is not one.
fn answer(bytes: &[u8], id: u16, question: &Query) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let metadata = &message.metadata;
    let ours = metadata.id == id
        && metadata.message_type == MessageType::Response
        && metadata.op_code == OpCode::Query
        && message.queries.as_slice() == [question.clone()];
    ours.then_some(message)
}

/// What is done with a datagram that claims to be an answer: for the fuzz targets.
pub(crate) fn survive(bytes: &[u8]) {
    let Ok(message) = Message::from_vec(bytes) else { return };
    let Some(question) = message.queries.first() else { return };
    if let Some(message) = answer(bytes, message.metadata.id, question) {
        let _ = lead(question.name(), &message);
        let _ = servers_of(question.name(), &message);
    }
}

/// Where an answer leads.
#[derive(Debug, PartialEq, Eq)]
enum Lead {
    /// To these addresses; none when the name does not exist, or has none of this kind.
    Addresses(Vec<IpAddr>),
    /// To another name, of which the answer says nothing more.
    Onward(Name),
}

/// Follows a name through an answer.
fn lead(name: &Name, message: &Message) -> Result<Lead, Unreadable> {
    let missing = missing(message)?;
    let mut seen = vec![name];
    while let Some(current) = seen.last().copied() {
        let addresses: Vec<IpAddr> = of(message, current).filter_map(|record| record.data.ip_addr()).collect();
        if !addresses.is_empty() {
            return Ok(Lead::Addresses(addresses));
        }
        let alias = of(message, current).find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
        match alias {
            None if missing || seen.len() == 1 => break,
            None => return Ok(Lead::Onward(current.clone())),
            Some(target) if seen.contains(&target) || seen.len() > ALIASES => return Err(endless(name)),
            Some(target) => seen.push(target),
        }
    }
    Ok(Lead::Addresses(Vec::new()))
}

fn endless(name: &Name) -> Unreadable {
    garbled(format!("the aliases (CNAME) of {} do not come to an end", bare(name)))
}

/// The name servers that an answer gives for a zone, sorted; none when the name is no zone.
fn servers_of(zone: &Name, message: &Message) -> Result<Vec<Name>, Unreadable> {
    missing(message)?;
    let mut servers: Vec<Name> = of(message, zone)
        .filter_map(|record| match &record.data {
            RData::NS(server) => Some(server.0.to_lowercase()),
            _ => None,
        })
        .collect();
    servers.sort_unstable();
    servers.dedup();
    servers.truncate(AUTHORITIES);
    Ok(servers)
}

/// Whether an answer says that the name does not exist; an error when it says neither yes nor no.
fn missing(message: &Message) -> Result<bool, Unreadable> {
    match message.metadata.response_code {
        ResponseCode::NoError => Ok(false),
        ResponseCode::NXDomain => Ok(true),
        code => Err(garbled(format!("the name server answers: {code}"))),
    }
}

fn of<'a>(message: &'a Message, name: &'a Name) -> impl Iterator<Item = &'a Record> {
    message.answers.iter().filter(move |record| record.dns_class == DNSClass::IN && record.name == *name)
}

fn absolute(host: &Host) -> Result<Name, Unreadable> {
    Name::from_ascii(format!("{host}.")).map_err(|error| garbled(format!("{host}: {error}")))
}

fn bare(name: &Name) -> String {
    quoted(name.to_ascii().trim_end_matches('.'))
}

/// Futures, each with what has come of it.
type Waiting<F, T> = Vec<(Pin<Box<F>>, Option<T>)>;

/// Waits for all of them, in their order, at once.
async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Waiting<F, F::Output> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        for (future, done) in &mut waiting {
            if done.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

/// Waits for the first that succeeds, else for all and gives the first error that is not `idle`, or the first of all;
/// `None` when there are none.
pub(super) async fn first<T, E, F: Future<Output = Result<T, E>>>(
    futures: impl IntoIterator<Item = F>,
    idle: impl Fn(&E) -> bool,
) -> Option<Result<T, E>> {
    let mut waiting: Waiting<F, E> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    let success = poll_fn(|cx| {
        for (future, failed) in &mut waiting {
            if failed.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(Ok(good)) => return Poll::Ready(Some(good)),
                    Poll::Ready(Err(bad)) => *failed = Some(bad),
                    Poll::Pending => {}
                }
            }
        }
        if waiting.iter().all(|(_, failed)| failed.is_some()) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await;
    if let Some(good) = success {
        return Some(Ok(good));
    }
    let mut failures: Vec<E> = waiting.into_iter().filter_map(|(_, failed)| failed).collect();
    let told = failures.iter().position(|failure| !idle(failure)).unwrap_or_default();
    (told < failures.len()).then(|| Err(failures.swap_remove(told)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::rr::rdata::{A, CNAME, NS};
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn question() -> Query {
        Query::query(name("meet.example.org."), RecordType::A)
    }

    fn answering(records: Vec<(&str, RData)>) -> Message {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(question());
        message.add_answers(records.into_iter().map(|(owner, data)| Record::from_rdata(name(owner), 60, data)));
        message
    }

    fn a(last: u8) -> RData {
        RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
    }

    fn alias(to: &str) -> RData {
        RData::CNAME(CNAME(name(to)))
    }

    #[test]
    fn only_the_answer_to_our_question_counts() {
        let good = answering(vec![("meet.example.org.", a(1))]);
        let bytes = good.to_vec().expect("bytes");
        assert!(answer(&bytes, 7, &question()).is_some());
        assert!(answer(&bytes, 8, &question()).is_none(), "another id");
        let other = Query::query(name("meet.example.net."), RecordType::A);
        assert!(answer(&bytes, 7, &other).is_none(), "another question");
        let mut query = good;
        query.metadata.message_type = MessageType::Query;
        assert!(answer(&query.to_vec().expect("bytes"), 7, &question()).is_none(), "our own question, echoed");
    }

    #[test]
    fn an_answer_leads_to_addresses_or_onward() {
        let host = name("meet.example.org.");
        let of = |records| lead(&host, &answering(records));
        let v4 = |last| IpAddr::from([192, 0, 2, last]);
        assert_eq!(of(vec![]), Ok(Lead::Addresses(vec![])));
        assert_eq!(of(vec![("MEET.example.org.", a(1))]), Ok(Lead::Addresses(vec![v4(1)])));
        assert_eq!(of(vec![("other.example.org.", a(1))]), Ok(Lead::Addresses(vec![])));
        let chain = vec![("b.example.org.", a(2)), ("meet.example.org.", alias("b.example.org."))];
        assert_eq!(of(chain), Ok(Lead::Addresses(vec![v4(2)])));
        let out = vec![("meet.example.org.", alias("nlb.example.net."))];
        assert_eq!(of(out), Ok(Lead::Onward(name("nlb.example.net."))));
        let ring = vec![("meet.example.org.", alias("b.example.org.")), ("b.example.org.", alias("meet.example.org."))];
        assert!(of(ring).is_err());
        let mut refused = answering(vec![]);
        refused.metadata.response_code = ResponseCode::Refused;
        assert!(lead(&host, &refused).is_err(), "neither yes nor no");
    }

    #[test]
    fn name_servers_are_those_of_the_name_asked_for() {
        let servers = answering(vec![
            ("example.org.", RData::NS(NS(name("b.ns.example.")))),
            ("example.org.", RData::NS(NS(name("A.ns.example.")))),
            ("elsewhere.example.", RData::NS(NS(name("c.ns.example.")))),
        ]);
        let found = servers_of(&name("example.org."), &servers).expect("servers");
        assert_eq!(found, [name("a.ns.example."), name("b.ns.example.")]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = answer(&bytes, 7, &question());
        }

        #[test]
        fn any_change_of_an_answer_is_survived(at in 0usize..90, to in any::<u8>(), cut in 0usize..90) {
            let records = vec![
                ("meet.example.org.", alias("b.example.org.")),
                ("b.example.org.", a(1)),
                ("example.org.", RData::NS(NS(name("ns.example.org.")))),
            ];
            let mut bytes = answering(records).to_vec().expect("bytes");
            let at = at % bytes.len();
            bytes[at] = to;
            bytes.truncate(bytes.len() - cut % bytes.len());
            if let Some(message) = answer(&bytes, 7, &question()) {
                let _ = lead(&name("meet.example.org."), &message);
                let _ = servers_of(&name("example.org."), &message);
            }
        }
    }
}
