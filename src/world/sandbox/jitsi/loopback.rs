//! The emulated Jitsi on real sockets: for tests and measurements.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};

use super::Jitsi;
use super::offer::DATA_CHANNEL;

/// Datagrams that are taken in before any goes out.
const AT_ONCE: u32 = 64;

impl Jitsi {
    /// Serves HTTPS on a listener and the bridge on a UDP socket, until dropped.
    pub async fn serve_loopback(&self, tcp: TcpListener, udp: UdpSocket, tls: Arc<ServerConfig>) {
        tokio::join!(self.serve_web(tcp, tls), self.serve_bridge(udp));
    }

    /// Serves plain HTTP on a listener, for a proxy in front, until dropped.
    pub async fn serve_http(&self, tcp: TcpListener) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = tcp.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.push(self.serve(stream));
                    }
                }
                Some(()) = connections.next() => {}
            }
        }
    }

    async fn serve_web(&self, tcp: TcpListener, tls: Arc<ServerConfig>) {
        let mut connections = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = tcp.accept() => {
                    if let Ok((stream, _)) = accepted {
                        // A slow answer is still an answer.
                        let _ = stream.set_nodelay(true);
                        connections.push(self.serve_tls(stream, tls.clone()));
                    }
                }
                Some(()) = connections.next() => {}
            }
        }
    }

    /// Serves the bridge alone on a UDP socket, until dropped; somebody else is its focus.
    pub async fn serve_bridge(&self, udp: UdpSocket) {
        self.with(|state, _| state.real_network = true);
        let Ok(local) = udp.local_addr() else { return };
        let mut buffer = vec![0; 2048];
        loop {
            tokio::select! {
                received = udp.recv_from(&mut buffer) => {
                    // Errors are ICMP messages about clients that have gone.
                    let mut next = received.ok();
                    let mut turns = 0;
                    while let Some((length, from)) = next {
                        let datagram = buffer[..length].to_vec();
                        self.with(|state, now| state.datagram(from, local, datagram, now));
                        turns += 1;
                        next = if turns < AT_ONCE { udp.try_recv_from(&mut buffer).ok() } else { None };
                    }
                }
                (to, datagram) = self.until(|state, _| state.outgoing.pop_front()) => {
                    // As on any network, what cannot be sent is lost.
                    let _ = udp.send_to(&datagram, to).await;
                }
            }
        }
    }

    /// Allocates an endpoint for a focus that is not ours: the `<jingle>` of its session-initiate.
    pub fn bridge_offer(&self, room: &str, endpoint: &str, sid: &str) -> String {
        self.with(|state, now| {
            let key = state.allocate(room, endpoint, now);
            let features = [DATA_CHANNEL.to_owned()];
            state.bridge.endpoints.get(&key).map(|e| state.offer(e, sid, &features)).unwrap_or_default()
        })
    }

    /// Takes in the `<jingle>` of a session-accept for a focus that is not ours; `Err` says what is bad about it.
    pub fn bridge_accept(&self, room: &str, endpoint: &str, jingle: &str) -> Result<(), String> {
        let document = roxmltree::Document::parse(jingle).map_err(|error| error.to_string())?;
        let answer = super::offer::answer(document.root_element())?;
        self.with(|state, now| state.bridge_accepts(room, endpoint, answer, now));
        Ok(())
    }

    /// Forgets an endpoint for a focus that is not ours.
    pub fn bridge_expire(&self, room: &str, endpoint: &str) {
        self.with(|state, _| state.expire(room, endpoint));
    }
}
