//! A connection whose other end lives in the same object: polling the client's half also lets the server work.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

type Server = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The client's end of a connection, with the server that serves it. Dropping it ends the server's work.
pub(super) struct Driven {
    client: DuplexStream,
    /// A mutex only because a stream must be `Sync`; it is never locked.
    server: Mutex<Option<Server>>,
    waiting: Arc<Waiting>,
}

/// Those who wait for the server: whoever reads and whoever writes may be two tasks.
#[derive(Default)]
struct Waiting([Mutex<Option<Waker>>; 2]);

#[derive(Clone, Copy)]
enum Side {
    Reader,
    Writer,
}

impl Waiting {
    fn note(&self, side: Side, waker: &Waker) {
        *self.0[side as usize].lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        for place in &self.0 {
            if let Some(waker) = place.lock().unwrap_or_else(PoisonError::into_inner).take() {
                waker.wake();
            }
        }
    }
}

impl Driven {
    /// Connects to a server, which is given its end of the stream.
    pub(super) fn to<F: Future<Output = ()> + Send + 'static>(server: impl FnOnce(DuplexStream) -> F) -> Self {
        let (client, end) = tokio::io::duplex(64 * 1024);
        Self { client, server: Mutex::new(Some(Box::pin(server(end)))), waiting: Arc::default() }
    }

    /// Lets the server work until it has to wait for something.
    fn drive(&mut self, side: Side, cx: &Context<'_>) {
        self.waiting.note(side, cx.waker());
        let place = self.server.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(server) = place else { return };
        let waker = Waker::from(Arc::clone(&self.waiting));
        if server.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            *place = None;
        }
    }
}

impl AsyncRead for Driven {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.drive(Side::Reader, cx);
        Pin::new(&mut self.client).poll_read(cx, buf)
    }
}

impl AsyncWrite for Driven {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.client).poll_write(cx, buf);
        self.drive(Side::Writer, cx);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive(Side::Writer, cx);
        Pin::new(&mut self.client).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.client).poll_shutdown(cx);
        self.drive(Side::Writer, cx);
        shut
    }
}
