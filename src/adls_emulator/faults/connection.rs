//! The connection that a request came over, to be broken.

use std::any::Any;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustix::net::Shutdown;

/// A second handle on the socket: the web server keeps the first to itself.
#[derive(Clone)]
pub(crate) struct Connection {
    socket: Arc<OwnedFd>,
}

impl Connection {
    /// For the server to call with each new connection.
    pub(crate) fn remember(io: &dyn Any, extensions: &mut Extensions) {
        let plain = io.downcast_ref::<TcpStream>();
        let tls = || io.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
        // Without a handle (no descriptors left) the connection serves, and only cannot be broken.
        if let Some(Ok(socket)) = plain.or_else(tls).map(|stream| stream.as_fd().try_clone_to_owned()) {
            extensions.insert(Self { socket: Arc::new(socket) });
        }
    }

    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// Ends it as a server does that goes away: nothing more comes, and the client sees the end.
    pub(super) fn close(&self) {
        // A connection that the client has closed already is as it should be.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }

    /// Ends it with RST. That is what Linux sends when a connected socket is connected to nothing (connect(2), `AF_UNSPEC`);
    /// closing the socket, the usual way, would have to be done by the web server.
    pub(super) fn reset(&self) {
        if rustix::net::connect_unspec(&self.socket).is_err() {
            self.close();
        }
    }
}
