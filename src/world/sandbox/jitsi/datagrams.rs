//! A participant's UDP socket in memory.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::Jitsi;
use super::state::Inbox;
use crate::world::{Datagrams, NetError};

pub(super) struct Socket {
    jitsi: Jitsi,
    local: SocketAddr,
    refused_by: Mutex<Option<SocketAddr>>,
}

impl Socket {
    pub(super) fn open(jitsi: Jitsi, local: SocketAddr) -> Self {
        jitsi.with(|state, _| state.sockets.insert(local, Inbox::default()));
        Self { jitsi, local, refused_by: Mutex::default() }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.jitsi.with(|state, _| state.sockets.remove(&self.local));
    }
}

#[async_trait]
impl Datagrams for Socket {
    fn local(&self) -> SocketAddr {
        self.local
    }

    async fn send(&self, to: SocketAddr, datagram: &[u8]) -> Result<(), NetError> {
        self.jitsi.with(|state, now| state.datagram(self.local, to, datagram.to_vec(), now));
        Ok(())
    }

    async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), NetError> {
        let local = self.local;
        let (from, datagram) = self
            .jitsi
            .until(|state, _| {
                let inbox = state.sockets.get_mut(&local)?;
                if let Some(by) = inbox.refusals.pop_front() {
                    *self.refused_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
                    return Some(Err(NetError::Refused));
                }
                inbox.datagrams.pop_front().map(Ok)
            })
            .await?;
        let length = datagram.len().min(buffer.len());
        buffer[..length].copy_from_slice(&datagram[..length]);
        Ok((length, from))
    }

    fn refused_by(&self) -> Option<SocketAddr> {
        *self.refused_by.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
