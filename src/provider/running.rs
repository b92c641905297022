//! Starting and stopping the whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use livedata_arm::etag::Preconditions;
use livedata_arm::headers as arm;
use livedata_telemetry::{Metrics, MetricsError, trace};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use url::Url;

use crate::core::{Core, Nudges, Shared};
use crate::health::{self, Health};
use crate::insights::series::Series;
use crate::install_keys::Contact;
use crate::leases::{self, Leases};
use crate::listener::{self, Callers, Incoming, Listening, Service};
use crate::meters::{self, MeasuredStore, Requests};
use crate::observed::Observed;
use crate::options::Options;
use crate::request::{Method, Request, Response};
use crate::view::{Namespaces, Version};
use crate::{controllers, custom_provider, enrolment, errors, routes, secrets, sessions};

/// Why a provider does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}; is the port taken, or the address not this machine's?")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the address of the enrolment listener cannot be written as a URL")]
    Url(#[from] url::ParseError),
    #[error("the provider's identity towards agents cannot be made")]
    Identity(#[from] livedata_session::Error),
    #[error("the provider's metrics cannot be set up")]
    Metrics(#[from] MetricsError),
}

/// The resource provider.
pub struct Provider;

/// A provider at work. Dropping it without [`Running::stop`] leaves it running.
pub struct Running {
    pub arm_address: SocketAddr,
    pub enrolment_address: SocketAddr,
    pub custom_provider_address: Option<SocketAddr>,
    pub health_address: Option<SocketAddr>,
    metrics: Arc<Metrics>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
    /// Leases are kept until nobody works under them any more.
    leases: (CancellationToken, JoinHandle<()>),
    listeners: Vec<Listening>,
}

impl Provider {
    /// Must be called within a multi-threaded tokio runtime, which then does the provider's work.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let bound =
            |address| listener::bind(address).map_err(|source| StartError::Listen { address, source });
        let (arm_listener, arm_address) = bound(options.arm_listen)?;
        let (enrolment_listener, enrolment_address) = bound(options.enrolment_listen)?;
        let custom_provider = match options.custom_provider {
            Some(custom) => Some((bound(custom.listen)?, custom)),
            None => None,
        };
        let health = match options.health {
            Some(health) => Some((bound(health.listen)?, health.certificates)),
            None => None,
        };
        let metrics = Arc::new(Metrics::new("livedata-provider")?);
        let meter = metrics.meter("livedata.provider");
        let enrolment_url = match options.enrolment_url {
            Some(url) => url,
            None => Url::parse(&format!("https://localhost:{}", enrolment_address.port()))?,
        };
        let identity = options.authority.provider_identity()?;
        let shared = Shared {
            leases: Leases::new(options.store_is_shared),
            sealing_keys: options.sealing_keys,
            namespaces: Namespaces::new(&options.namespace, options.compatible),
            retry_after_seconds: options.retry_after_seconds,
            storage_accounts: options.storage_accounts,
            clock: options.clock,
            observed: Observed::default(),
            contact: Contact {
                enrolment_url,
                authority_fingerprint: options.enrolment_authority_fingerprint,
                relay_url: options.relay.url.clone(),
            },
            authority: options.authority,
            relay: options.relay,
            work: Notify::new(),
            agents_changed: Notify::new(),
            sessions: Nudges::default(),
            series: Series::new(),
            requests: Requests::new(&meter),
            operations_in_progress: AtomicU64::default(),
            audit: options.audit,
        };
        let core = Arc::new(Core::new(Arc::new(MeasuredStore::new(options.store, &meter)), shared));
        meters::observe(&meter, &Arc::downgrade(&core));
        let mut listeners = Vec::new();
        let arm_callers = Callers { clients: options.arm_clients, ..Callers::default() };
        for (name, address, socket, tls, callers, service) in [
            ("provider-arm", arm_address, arm_listener, options.arm_tls, arm_callers, arm_service(&core)),
            (
                "provider-enrolment",
                enrolment_address,
                enrolment_listener,
                options.enrolment_tls,
                Callers::default(),
                enrolment_service(&core),
            ),
        ] {
            let listening = listener::serve(name, socket, tls, callers, &core, service).await;
            listeners.push(listening.map_err(|source| StartError::Listen { address, source })?);
        }
        let mut custom_provider_address = None;
        if let Some(((socket, address), custom)) = custom_provider {
            let service = custom_provider::service(&core);
            let callers = Callers { secret: Some(custom.secret), ..Callers::default() };
            let listening =
                listener::serve("provider-custom", socket, custom.tls, callers, &core, service).await;
            listeners.push(listening.map_err(|source| StartError::Listen { address, source })?);
            custom_provider_address = Some(address);
        }
        let mut health_address = None;
        if let Some(((socket, address), certificates)) = health {
            let (core, metrics) = (Arc::clone(&core), Arc::clone(&metrics));
            let listening =
                health::serve(socket, Health { core, metrics, certificates: certificates.into() }).await;
            listeners.push(listening.map_err(|source| StartError::Listen { address, source })?);
            health_address = Some(address);
        }
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let lease_cancel = CancellationToken::new();
        let lease_task = tokio::spawn(leases::keep(Arc::clone(&core), lease_cancel.clone()));
        tasks.spawn(controllers::run(Arc::clone(&core), cancel.clone()));
        tasks.spawn(controllers::keep_reports(Arc::clone(&core), cancel.clone()));
        tasks.spawn(controllers::keep_series(Arc::clone(&core), cancel.clone()));
        tasks.spawn(controllers::keep_house(Arc::clone(&core), own_request(&core), cancel.clone()));
        tasks.spawn(secrets::keep_keys(Arc::clone(&core), cancel.clone()));
        tasks.spawn(sessions::run(core, identity, cancel.clone()));
        tracing::info!(%arm_address, %enrolment_address, "the resource provider listens");
        Ok(Running {
            arm_address,
            enrolment_address,
            custom_provider_address,
            health_address,
            metrics,
            cancel,
            tasks,
            leases: (lease_cancel, lease_task),
            listeners,
        })
    }
}

impl Running {
    /// Finishes the requests that are being answered; what the controllers have not finished, the next start does.
    pub async fn stop(mut self) {
        for listener in self.listeners {
            listener.stop().await;
        }
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the provider broke");
            }
        }
        let (cancel, task) = self.leases;
        cancel.cancel();
        if let Err(error) = task.await {
            tracing::error!(%error, "the task of the leases broke");
        }
        // What is exported to a collector goes out, which may take as long as the collector does.
        let metrics = self.metrics;
        let ended = tokio::task::spawn_blocking(move || metrics.shut_down()).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last metrics may not have been exported");
        }
    }
}

fn arm_service(core: &Arc<Core>) -> Service {
    let core = Arc::clone(core);
    Arc::new(move |incoming| {
        let core = Arc::clone(&core);
        Box::pin(async move {
            match request(&core, incoming) {
                Ok(request) => routes::dispatch(&core, request).await,
                Err(response) => *response,
            }
        })
    })
}

fn enrolment_service(core: &Arc<Core>) -> Service {
    let core = Arc::clone(core);
    Arc::new(move |incoming| {
        let core = Arc::clone(&core);
        Box::pin(async move {
            let segments = Request::segments_of(&incoming.path);
            enrolment::dispatch(&core, Method::parse(&incoming.method), &segments, &incoming.body).await
        })
    })
}

fn request(core: &Core, incoming: Incoming) -> Result<Request, Box<Response>> {
    let Some(method) = Method::parse(&incoming.method) else {
        let message = format!("The method {} is not used here.", incoming.method);
        return Err(Box::new(Response::error(&errors::METHOD_NOT_ALLOWED.error(message))));
    };
    Ok(Request {
        method,
        // Until the path and the version have been read.
        view: core.namespaces.view(Arc::clone(&core.namespaces.own), Version::V2026_11_01),
        segments: Request::segments_of(&incoming.path),
        query: Request::query_of(&incoming.query),
        referer: referer(&incoming)?,
        preconditions: Preconditions {
            if_match: incoming.header("if-match").map(str::to_owned),
            if_none_match: incoming.header("if-none-match").map(str::to_owned),
        },
        system_data: Request::system_data_of(incoming.header(arm::SYSTEM_DATA)),
        tenant: [arm::HOME_TENANT_ID, arm::CLIENT_TENANT_ID]
            .into_iter()
            .find_map(|name| incoming.header(name))
            .map(str::to_owned),
        content_type: incoming.header("content-type").map(str::to_owned),
        trace: trace::traceparent(&Span::current(), incoming.header(trace::TRACEPARENT)),
        body: incoming.body,
        custom_provider: None,
    })
}

/// The address that the client used. Without the header it is this listener's own (rule 104).
fn referer(incoming: &Incoming) -> Result<Url, Box<Response>> {
    let given = incoming.header(arm::REFERER).and_then(|text| Url::parse(text).ok());
    if let Some(url) = given.filter(|url| matches!(url.scheme(), "http" | "https")) {
        return Ok(url);
    }
    Url::parse(&format!("https://{}{}?{}", incoming.host, incoming.path, incoming.query)).map_err(|_| {
        let message = "The request has neither a usable Referer nor a usable Host header.";
        Box::new(Response::error(&errors::ROUTE_NOT_FOUND.error(message)))
    })
}

/// What the provider does by itself is done in nobody's name.
fn own_request(core: &Core) -> Request {
    Request {
        method: Method::Delete,
        view: core.namespaces.view(Arc::clone(&core.namespaces.own), Version::V2026_11_01),
        segments: Vec::new(),
        query: Vec::new(),
        referer: core.contact.enrolment_url.clone(),
        preconditions: Preconditions::default(),
        system_data: None,
        tenant: None,
        content_type: None,
        trace: None,
        body: bytes::Bytes::new(),
        custom_provider: None,
    }
}
