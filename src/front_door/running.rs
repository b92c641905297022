//! Starting and stopping the front door.
//!
//! The server runs on a thread of its own, because actix wants one, so it can be started from any tokio program.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::{App as WebApp, HttpServer, web};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::app::{App, Background};
use crate::custom_providers::Endpoints;
use crate::error::Error;
use crate::groups;
use crate::options::Options;
use crate::server;
use crate::sign_in::SigningKey;
use crate::storage::Emulator;
use crate::upstream::Upstream;

const SIGNING_KEY_FILE: &str = "token-signing-key.pem";
const WORKERS: usize = 2;
/// How long requests under way may take to end when the front door stops.
const GRACE_SECONDS: u64 = 5;

pub struct FrontDoor;

/// A front door that serves. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    address: SocketAddr,
    public_url: Url,
    app: Arc<App>,
    server: ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
}

impl FrontDoor {
    /// Returns when connections are accepted. Must be called within a tokio runtime, which also does the work that
    /// outlives requests.
    pub async fn start(options: Options) -> Result<Running, Error> {
        let listen = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let public_url = public_url(options.public_url, address)?;
        let upstreams = options.providers.into_iter().map(Upstream::new).collect::<Result<Vec<_>, _>>()?;
        let app = Arc::new(App {
            store: options.store,
            public_url: public_url.as_str().trim_end_matches('/').to_owned(),
            cloud_name: options.cloud_name,
            tenant_id: options.tenant_id,
            subscription_id: options.subscription_id,
            subscription_name: options.subscription_name,
            service_principals: options.service_principals,
            signing_key: SigningKey::load_or_create(&options.data_directory.join(SIGNING_KEY_FILE))?,
            upstreams,
            emulator: Emulator::new(options.storage)?,
            endpoints: Endpoints::new(options.endpoint_tls)?,
            retry_after_seconds: options.retry_after_seconds,
            background: Background {
                runtime: tokio::runtime::Handle::current(),
                tasks: TaskTracker::new(),
                cancel: CancellationToken::new(),
            },
        });
        groups::resume(&app).await?;

        let (started, handle) = oneshot::channel();
        let served = Arc::clone(&app);
        let thread = std::thread::Builder::new()
            .name("front-door".to_owned())
            .spawn(move || run(served, listener, options.tls, started))
            .map_err(Error::Server)?;
        match handle.await {
            Ok(server) => {
                tracing::info!(%address, %public_url, "front door started");
                Ok(Running { address, public_url, app, server, thread })
            }
            Err(_) => Err(Error::Server(ended(thread))),
        }
    }
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// Ends requests under way, then the work behind them. Unfinished deletions go on at the next start.
    pub async fn stop(self) -> Result<(), Error> {
        self.server.stop(true).await;
        self.app.background.cancel.cancel();
        self.app.background.tasks.close();
        self.app.background.tasks.wait().await;
        let joined = tokio::task::spawn_blocking(move || self.thread.join()).await;
        match joined {
            Ok(Ok(result)) => result.map_err(Error::Server),
            Ok(Err(_)) | Err(_) => Err(Error::Server(std::io::Error::other("the server thread panicked"))),
        }
    }
}

fn run(
    app: Arc<App>,
    listener: TcpListener,
    tls: rustls::ServerConfig,
    started: oneshot::Sender<ServerHandle>,
) -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let data = web::Data::from(app);
        let server = HttpServer::new(move || {
            WebApp::new().app_data(data.clone()).default_service(web::route().to(server::serve))
        })
        .workers(WORKERS)
        .disable_signals()
        .shutdown_timeout(GRACE_SECONDS)
        .listen_rustls_0_23(listener, tls)?
        .run();
        // Nobody waits for the handle any more when the caller of `start` was cancelled: then there is nothing to serve.
        if started.send(server.handle()).is_err() {
            return Ok(());
        }
        server.await
    })
}

fn ended(thread: JoinHandle<std::io::Result<()>>) -> std::io::Error {
    match thread.join() {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => std::io::Error::other("the server thread ended before it served"),
    }
}

fn public_url(given: Option<Url>, address: SocketAddr) -> Result<Url, Error> {
    let text = given.map_or_else(|| format!("https://localhost:{}", address.port()), String::from);
    let url = Url::parse(&text).map_err(|_| Error::PublicUrl(text.clone()))?;
    if url.scheme() == "https" && url.has_host() { Ok(url) } else { Err(Error::PublicUrl(text)) }
}
