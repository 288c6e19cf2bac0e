//! The sandbox's network: a resolver, the zone's name servers, and the load balancer.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::dns;
use super::duplex::Driven;
use super::ground::Ground;
use super::servers;
use crate::domain::name::Host;
use crate::world::{Datagrams, Duplex, Net, NetError};

/// The load balancer's addresses, one in each zone. The first is the Elastic IP, which the bridge advertises.
pub const BALANCER: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(198, 51, 100, 21)];
/// The address of the one before, where nobody answers.
pub(super) const FORMER_BALANCER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
/// The simulated machine.
const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const ROUND_TRIP: Duration = Duration::from_millis(24);
/// How long an operating system tries to connect.
const CONNECTING: Duration = Duration::from_secs(127);

/// The sandbox as `Net`.
pub(super) struct SandboxNet {
    ground: Arc<Ground>,
    /// The next fresh port.
    port: AtomicU16,
}

impl SandboxNet {
    pub(super) fn new(ground: Arc<Ground>) -> Self {
        Self { ground, port: AtomicU16::new(49_152) }
    }
}

#[async_trait]
impl Net for SandboxNet {
    async fn resolve(&self, host: &Host) -> Result<Vec<IpAddr>, NetError> {
        sleep(ROUND_TRIP / 2).await;
        let found = self.ground.read(|model, _| dns::addresses(model, host.as_str()));
        Ok(found.into_iter().map(IpAddr::V4).collect())
    }

    fn name_servers(&self) -> Vec<SocketAddr> {
        vec![SocketAddr::from((dns::RESOLVER, 53))]
    }

    async fn tcp(&self, to: SocketAddr) -> Result<Box<dyn Duplex>, NetError> {
        let stands = self.ground.read(|model, _| model.stack.balancer.is_some());
        if to == SocketAddr::from((dns::RESOLVER, 53)) {
            sleep(ROUND_TRIP).await;
            return Err(NetError::Refused);
        }
        if !stands || !BALANCER.map(|address| SocketAddr::from((address, 443))).contains(&to) {
            sleep(CONNECTING).await;
            return Err(NetError::TimedOut);
        }
        sleep(ROUND_TRIP).await;
        // A load balancer passes a connection on to whatever is registered, healthy or not.
        if self.ground.front().is_none() {
            return Err(NetError::Reset);
        }
        let ground = Arc::clone(&self.ground);
        Ok(Box::new(Driven::to(|end| servers::serve(end, ground))))
    }

    async fn udp(&self, toward: IpAddr) -> Result<Box<dyn Datagrams>, NetError> {
        let port =
            self.port.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |p| Some(p.checked_add(1).unwrap_or(49_152)));
        let local = SocketAddr::from((HERE, port.unwrap_or(49_152)));
        let is_name_server = dns::role(SocketAddr::new(toward, 53)).is_some();
        let meeting = self
            .ground
            .meeting
            .as_ref()
            .filter(|_| !is_name_server && self.ground.front().is_some_and(|front| front.bridge));
        Ok(meeting.and_then(|meeting| meeting.udp(local, toward)).unwrap_or_else(|| {
            Box::new(Socket {
                ground: Arc::clone(&self.ground),
                local,
                inbox: Mutex::default(),
                arrived: Notify::new(),
            })
        }))
    }
}

/// A datagram on its way here.
struct Letter {
    arrives: Instant,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// A UDP socket that reaches the name servers; whatever else it sends vanishes.
struct Socket {
    ground: Arc<Ground>,
    local: SocketAddr,
    inbox: Mutex<VecDeque<Letter>>,
    arrived: Notify,
}

#[async_trait]
impl Datagrams for Socket {
    fn local(&self) -> SocketAddr {
        self.local
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        let Some(role) = dns::role(to) else { return Ok(()) };
        if let Some(bytes) = self.ground.read(|model, _| dns::answer(model, role, datagram)) {
            let letter = Letter { arrives: Instant::now() + ROUND_TRIP, from: to, bytes };
            self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(letter);
            self.arrived.notify_one();
        }
        Ok(())
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        loop {
            let next = {
                let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
                if inbox.front().is_some_and(|letter| letter.arrives <= Instant::now())
                    && let Some(letter) = inbox.pop_front()
                {
                    let size = letter.bytes.len().min(buffer.len());
                    buffer[..size].copy_from_slice(&letter.bytes[..size]);
                    return Ok((size, letter.from));
                }
                inbox.front().map(|letter| letter.arrives)
            };
            match next {
                Some(arrives) => sleep_until(arrives).await,
                None => self.arrived.notified().await,
            }
        }
    }
}
