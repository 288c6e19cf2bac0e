//! The emulated Jitsi on real sockets: for tests and measurements.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UdpSocket};

use super::Jitsi;

impl Jitsi {
    /// Serves HTTPS on a listener and the bridge on a UDP socket, until dropped.
    pub async fn serve_loopback(&self, tcp: TcpListener, udp: UdpSocket, tls: Arc<ServerConfig>) {
        self.with(|state, _| state.real_network = true);
        tokio::join!(self.serve_web(tcp, tls), self.serve_bridge(udp));
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

    async fn serve_bridge(&self, udp: UdpSocket) {
        let Ok(local) = udp.local_addr() else { return };
        let mut buffer = vec![0; 2048];
        loop {
            tokio::select! {
                received = udp.recv_from(&mut buffer) => {
                    // Errors are ICMP messages about clients that have gone.
                    if let Ok((length, from)) = received {
                        let datagram = buffer[..length].to_vec();
                        self.with(|state, now| state.datagram(from, local, datagram, now));
                    }
                }
                (to, datagram) = self.until(|state, _| state.outgoing.pop_front()) => {
                    // As on any network, what cannot be sent is lost.
                    let _ = udp.send_to(&datagram, to).await;
                }
            }
        }
    }
}
