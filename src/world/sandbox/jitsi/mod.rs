//! A Jitsi in memory: Prosody, focus, rooms and a bridge, faithful where the proof of a meeting looks.
//!
//! It holds no task of its own. Whoever waits for it, on a WebSocket or on a UDP socket, brings it up to the
//! present time; everything that is to happen later is a timer in it. So it is deterministic on a paused clock.

mod bridge;
mod channel;
mod datagrams;
mod endpoint;
mod focus;
mod hello;
mod loopback;
mod offer;
mod prosody;
mod room;
mod setup;
mod state;
mod web;
mod websocket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

pub use self::setup::{Advertised, ChannelFault, ChannelOffer, Cut, Faults, Move, Refusal, Setup, SignIn};
use self::state::State;
use crate::world::Datagrams;

/// A handle to one emulated Jitsi; clones are handles to the same.
#[derive(Clone)]
pub struct Jitsi {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something has changed that somebody may wait for.
    changed: Notify,
}

/// Who and what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub sessions: usize,
    pub rooms: usize,
    pub endpoints: usize,
}

impl Jitsi {
    pub fn new(setup: Setup) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(State::new(setup)), changed: Notify::new() }) }
    }

    /// A UDP socket of a participant's machine. Waiting on it drives the bridge.
    pub fn datagrams(&self, local: SocketAddr) -> Box<dyn Datagrams> {
        Box::new(datagrams::Socket::open(self.clone(), local))
    }

    /// Changes what is wrong, from now on.
    pub fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.with(|state, _| change(&mut state.setup.faults));
    }

    /// Who is there now.
    pub fn census(&self) -> Census {
        self.with(|state, _| state.census())
    }

    /// Where datagrams were sent that reached nobody.
    pub fn strayed(&self) -> Vec<SocketAddr> {
        self.with(|state, _| state.strayed.clone())
    }

    /// Brings everything up to the present, does something to it, and wakes those who wait.
    fn with<T>(&self, deed: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = Instant::now();
        let mut state = self.lock();
        state.advance(now);
        let done = deed(&mut state, now);
        let news = std::mem::take(&mut state.news);
        drop(state);
        if news {
            self.shared.changed.notify_waiters();
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something, while time goes on.
    async fn until<T>(&self, mut look: impl FnMut(&mut State, Instant) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            let (found, next) = self.with(|state, now| (look(state, now), state.next_event()));
            if let Some(found) = found {
                return found;
            }
            match next {
                Some(at) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }
}
