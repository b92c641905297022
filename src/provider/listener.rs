//! A TLS listener: reads a request with bounds, hands it on, and gives every reply the headers that the contract wants.
//!
//! The web framework's workers are single-threaded. A GET of one thing is answered on the worker's thread, for another one would take
//! longer to wake than the answer takes. Everything else is answered by a task of the caller's runtime, where store and controllers
//! live, and goes on to its end even when the client hangs up.

use std::any::Any;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Server, ServerHandle};
use actix_web::http::{StatusCode, header};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use livedata_arm::{ArmError, headers as arm};
use livedata_pki::{Admission, Clients};
use livedata_telemetry::trace;
use rustls::pki_types::UnixTime;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::audit;
use crate::core::Core;
use crate::custom_provider::PathSecret;
use crate::errors;
use crate::request::Response;

/// Rule 99.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
const WORKERS: usize = 2;
/// How long requests may take to finish when the listener stops.
const SHUTDOWN_SECONDS: u64 = 5;

/// A request as it came in.
pub struct Incoming {
    pub method: String,
    /// Still encoded.
    pub path: String,
    pub query: String,
    pub host: String,
    headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Incoming {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;
pub type Service = Arc<dyn Fn(Incoming) -> Answer + Send + Sync>;

/// A running listener.
pub struct Listening {
    handle: ServerHandle,
    ended: oneshot::Receiver<()>,
}

impl Listening {
    pub async fn stop(self) {
        self.handle.stop(true).await;
        // An error means that the thread is gone already.
        let _ = self.ended.await;
    }
}

pub fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Serving {
    name: &'static str,
    core: Arc<Core>,
    service: Service,
    runtime: Handle,
}

/// How callers are known, beside the handshake.
#[derive(Clone, Default)]
pub struct Callers {
    /// Nothing is said to requests of any other path.
    pub secret: Option<PathSecret>,
    /// Asked about each request on a connection that they have let in.
    pub clients: Option<Clients>,
}

/// Serves on a thread of its own until [`Listening::stop`].
pub async fn serve(
    name: &'static str,
    listener: TcpListener,
    tls: rustls::ServerConfig,
    callers: Callers,
    core: &Arc<Core>,
    service: Service,
) -> std::io::Result<Listening> {
    let Callers { secret, clients } = callers;
    let serving = Serving { name, core: Arc::clone(core), service, runtime: Handle::current() };
    run(name, move || {
        let server = HttpServer::new(move || {
            let (serving, secret) = (serving.clone(), secret.clone());
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Payload| {
                let (serving, secret) = (serving.clone(), secret.clone());
                async move {
                    match secret {
                        Some(secret) if !secret.opens(request.uri().path()) => {
                            HttpResponse::NotFound().finish()
                        }
                        // Its path is a secret, which no log may have.
                        Some(_) => answer(request, "/".to_owned(), body, serving).await,
                        None => {
                            let path = request.uri().path().to_owned();
                            answer(request, path, body, serving).await
                        }
                    }
                }
            }))
        })
        .workers(WORKERS)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .on_connect(move |io, extensions| Peer::remember(io, clients.as_ref(), extensions))
        .listen_rustls_0_23(listener, tls)?;
        Ok(server.run())
    })
    .await
}

/// Runs a server on a thread of its own.
pub async fn run(
    name: &'static str,
    make: impl FnOnce() -> std::io::Result<Server> + Send + 'static,
) -> std::io::Result<Listening> {
    let (started, starting) = oneshot::channel();
    let (ending, ended) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            match make() {
                Ok(server) => {
                    let _ = started.send(Ok(server.handle()));
                    if let Err(error) = server.await {
                        tracing::error!(listener = name, %error, "a listener broke");
                    }
                }
                Err(error) => drop(started.send(Err(error))),
            }
            let _ = ending.send(());
        });
    })?;
    let handle =
        starting.await.map_err(|_| std::io::Error::other("the listener's thread ended at once"))??;
    Ok(Listening { handle, ended })
}

/// Who is at the other end of a connection.
#[derive(Clone)]
struct Peer {
    /// SHA-256 of its certificate, hexadecimal.
    certificate: String,
    admission: Option<Admission>,
}

impl Peer {
    fn remember(io: &dyn Any, clients: Option<&Clients>, extensions: &mut Extensions) {
        let stream = io.downcast_ref::<TlsStream<TcpStream>>();
        let chain = stream.and_then(|stream| stream.get_ref().1.peer_certificates());
        if let Some(certificate) = chain.and_then(<[_]>::first) {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
            let admission = clients.map(|clients| clients.admission(certificate, UnixTime::now()));
            let certificate = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            extensions.insert(Self { certificate, admission });
        }
    }

    /// Why the handshake would not let it in now.
    fn refusal(&self) -> Option<ArmError> {
        let refused = self.admission.as_ref()?.check(UnixTime::now()).err()?;
        let message =
            format!("The client certificate of this connection does not count any more: {refused}.");
        Some(errors::CLIENT_CERTIFICATE_REFUSED.error(message))
    }
}

/// What is kept of a request that is answered.
struct Record {
    core: Arc<Core>,
    name: &'static str,
    method: String,
    /// `None`: it is not audited.
    asked: Option<audit::Asked>,
    began: Instant,
}

impl Record {
    fn of(&self, response: &Response) {
        let Self { core, name, method, asked, began } = self;
        core.requests.answered(name, method, response.route.as_deref(), response.status, *began);
        if let (Some(log), Some(asked)) = (&core.audit, asked) {
            audit::record(log, &core.clock, asked, response);
        }
    }
}

async fn answer(request: HttpRequest, path: String, body: web::Payload, serving: Serving) -> HttpResponse {
    let began = Instant::now();
    let Serving { name, core, service, runtime } = serving;
    let request_id = uuid::Uuid::new_v4().to_string();
    let incoming = Incoming {
        method: request.method().as_str().to_owned(),
        path,
        query: request.uri().query().unwrap_or("").to_owned(),
        host: request.connection_info().host().to_owned(),
        headers: request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: Bytes::new(),
    };
    let certificate = request.conn_data::<Peer>().map(|peer| peer.certificate.clone());
    let is_head = incoming.method == "HEAD";
    let asked = core.audit.as_ref().and_then(|_| audit::Asked::of(name, &incoming, &request_id, certificate));
    let record = Arc::new(Record { core, name, method: incoming.method.clone(), asked, began });
    let client_request_id = incoming.header(arm::CLIENT_REQUEST_ID).map(str::to_owned);
    let echo = incoming
        .header(arm::RETURN_CLIENT_REQUEST_ID)
        .is_some_and(|wanted| wanted.eq_ignore_ascii_case("true"));
    let span = tracing::info_span!(
        "request",
        otel.kind = "server",
        method = incoming.method,
        path = incoming.path,
        request_id,
        correlation_id = incoming.header(arm::CORRELATION_REQUEST_ID).unwrap_or(""),
        client_request_id = client_request_id.as_deref().unwrap_or(""),
    );
    trace::continue_from(&span, incoming.header(trace::TRACEPARENT));
    let refusal = request.conn_data::<Peer>().and_then(Peer::refusal);
    let is_refused = refusal.is_some();
    let collected = match refusal {
        Some(error) => Err(Response::error(&error)),
        None => collect(body).await,
    };
    let response = match collected {
        Err(response) => {
            record.of(&response);
            response
        }
        Ok(body) => {
            let is_short =
                matches!(incoming.method.as_str(), "GET" | "HEAD") && is_of_one_thing(&incoming.path);
            let answer = {
                let record = Arc::clone(&record);
                async move {
                    let response = service(Incoming { body, ..incoming }).await;
                    tracing::info!(status = response.status, "answered");
                    // Here, because nobody waits any more when the client of a task has hung up.
                    record.of(&response);
                    response
                }
                .instrument(span)
            };
            let answered = if is_short {
                let within = Within { runtime, future: Some(Box::pin(answer)) };
                AssertUnwindSafe(within).catch_unwind().await.ok()
            } else {
                runtime.spawn(answer).await.ok()
            };
            // It panicked: the log has it.
            answered.unwrap_or_else(|| {
                let error =
                    errors::INTERNAL_SERVER_ERROR.error("The provider failed; its log has the cause.");
                let response = Response::error(&error);
                record.of(&response);
                response
            })
        }
    };
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = HttpResponse::build(status);
    if is_refused {
        reply.force_close();
    }
    reply.insert_header((arm::REQUEST_ID, request_id));
    if let Some(id) = client_request_id.filter(|_| echo) {
        reply.insert_header((arm::CLIENT_REQUEST_ID, id));
    }
    for (name, value) in response.headers {
        reply.insert_header((name, value));
    }
    match response.body {
        Some(body) => {
            reply.insert_header((header::CONTENT_TYPE, "application/json; charset=utf-8"));
            if is_head { reply.finish() } else { reply.body(body.to_string()) }
        }
        None => reply.finish(),
    }
}

/// A future that is polled, and dropped, elsewhere as if that were on this runtime: tasks that it spawns, connections that it opens
/// and times that it waits for are this runtime's, and outlive whoever polls it.
struct Within<F> {
    runtime: Handle,
    /// `None` only while it is dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { runtime, future } = &mut *self;
        let _entered = runtime.enter();
        future.as_mut().map_or(Poll::Pending, |future| future.as_mut().poll(context))
    }
}

impl<F> Drop for Within<F> {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.future = None;
    }
}

/// Whether a path is that of a resource or an operation, which are a record or two. Collections, metrics and the like have one segment
/// more, a name of a type or an action without one of its own after it.
fn is_of_one_thing(path: &str) -> bool {
    let segments = path.split('/').filter(|segment| !segment.is_empty()).count();
    segments > 0 && segments.is_multiple_of(2)
}

async fn collect(mut payload: web::Payload) -> Result<Bytes, Response> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Response::error(
                &errors::INVALID_REQUEST_CONTENT.error(format!("The body cannot be read: {error}.")),
            )
        })?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            let message = format!("The body is longer than {MAX_BODY_BYTES} bytes.");
            return Err(Response::error(&errors::REQUEST_BODY_TOO_LARGE.error(message)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_told_from_many() {
        let group = "/subscriptions/s/resourceGroups/g";
        let migrator = format!("{group}/providers/LiveData.Platform/migrators/m");
        let operation = "/subscriptions/s/providers/LiveData.Platform/locations/l/operationStatuses/o";
        for one in ["/subscriptions/s", &migrator, &format!("{migrator}/targets/t/"), operation] {
            assert!(is_of_one_thing(one), "{one}");
        }
        let metrics = format!("{migrator}/providers/Microsoft.Insights/metrics");
        for many in ["/", &format!("{migrator}/targets"), &metrics, "/providers/LiveData.Platform/operations"]
        {
            assert!(!is_of_one_thing(many), "{many}");
        }
    }

    /// As a pool of connections does when one comes back to it.
    struct Spawns;

    impl Drop for Spawns {
        fn drop(&mut self) {
            tokio::spawn(async {});
        }
    }

    #[test]
    fn what_is_polled_or_dropped_elsewhere_is_within_its_runtime() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        fn within<F: Future>(runtime: &tokio::runtime::Runtime, future: F) -> Within<F> {
            Within { runtime: runtime.handle().clone(), future: Some(Box::pin(future)) }
        }
        let answered = within(&runtime, async {
            let _spawns = Spawns;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            7
        });
        assert_eq!(futures::executor::block_on(answered), 7);
        let mut unfinished = within(&runtime, async {
            let _spawns = Spawns;
            std::future::pending::<()>().await;
        });
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut unfinished).poll(&mut context).is_pending());
        drop(unfinished);
    }
}
