//! Starts and stops the relay.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, rt, web};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::hub::Hub;
use crate::options::Options;
use crate::routes::upgrade;

/// Each worker is a thread; frames of a stream cross from one to the other at no cost worth avoiding.
const WORKERS: usize = 2;
/// How long open connections may take to leave after they were told to.
const STOP_SECONDS: u64 = 5;

pub struct RelayServer;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}; choose another listen address or end the program that uses it")]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the public URL {0} of the relay must be wss://host[:port]")]
    PublicUrl(Url),
    #[error("the relay could not start")]
    Start(#[source] io::Error),
}

/// A relay at work. Dropping it stops the relay without waiting.
pub struct Running {
    local_address: SocketAddr,
    public_url: Url,
    handle: ServerHandle,
    stopping: CancellationToken,
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl RelayServer {
    /// Binds and serves on threads of its own, so that it can be started from any runtime.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let Options { listen, mut public_url, tls, rules, limits } = options;
        if public_url.scheme() != "wss" || public_url.host_str().is_none() {
            return Err(StartError::PublicUrl(public_url));
        }
        let bind = |source| StartError::Bind { address: listen, source };
        let socket = TcpListener::bind(listen).map_err(bind)?;
        let local_address = socket.local_addr().map_err(bind)?;
        if public_url.port() == Some(0) {
            let replaced = public_url.set_port(Some(local_address.port()));
            replaced.map_err(|()| StartError::PublicUrl(public_url.clone()))?;
        }

        let stopping = CancellationToken::new();
        let hub = web::Data::new(Hub::new(public_url.clone(), rules, limits, stopping.clone()));
        let (started, handle) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let tls = rustls::ServerConfig::clone(&tls);
        thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || rt::System::new().block_on(serve(socket, tls, hub, started, end)))
            .map_err(StartError::Start)?;
        let handle = handle
            .await
            .map_err(|_| StartError::Start(io::Error::other("its thread ended")))?
            .map_err(StartError::Start)?;
        tracing::info!(address = %local_address, public_url = %public_url, "relay started");
        Ok(Running { local_address, public_url, handle, stopping, ended: Some(ended) })
    }
}

async fn serve(
    socket: TcpListener,
    tls: rustls::ServerConfig,
    hub: web::Data<Hub>,
    started: oneshot::Sender<io::Result<ServerHandle>>,
    end: oneshot::Sender<io::Result<()>>,
) {
    let server = HttpServer::new(move || App::new().app_data(hub.clone()).default_service(web::to(upgrade)))
        .workers(WORKERS)
        .disable_signals()
        .shutdown_timeout(STOP_SECONDS)
        .tcp_nodelay(true)
        // A sender that hangs up while it waits must end its request.
        .h1_allow_half_closed(false)
        .listen_rustls_0_23(socket, tls);
    match server {
        Err(error) => {
            let _ = started.send(Err(error));
        }
        Ok(server) => {
            let server = server.run();
            let _ = started.send(Ok(server.handle()));
            let _ = end.send(server.await);
        }
    }
}

impl Running {
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// What listeners and senders put into their endpoint.
    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// Closes listeners and streams with 1001, stops taking connections and waits until the port is free.
    pub async fn stop(mut self) -> io::Result<()> {
        self.stopping.cancel();
        self.handle.stop(true).await;
        match self.ended.take() {
            Some(ended) => ended.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopping.cancel();
        // The command is sent at once; only its completion would have to be awaited.
        drop(self.handle.stop(true));
    }
}
