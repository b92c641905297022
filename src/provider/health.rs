//! The listener for those who operate the provider: `/healthz` (the process answers), `/readyz` (it can serve; if not, why) and
//! `/metrics` (for Prometheus). Plain HTTP, to everybody who reaches the address, off unless it is asked for.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use livedata_telemetry::Metrics;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::clock::rfc3339_of_ms;
use crate::core::Core;
use crate::listener::{self, Listening};
use crate::options::Certificate;
use crate::{meters, subscriptions};

/// What a probe waits for the store.
const STORE_WITHIN: Duration = Duration::from_secs(2);
const TEXT: &str = "text/plain; charset=utf-8";

/// What the three answer from.
#[derive(Clone)]
pub struct Health {
    pub core: Arc<Core>,
    pub metrics: Arc<Metrics>,
    pub certificates: Arc<[Certificate]>,
}

/// Status, media type and body.
type Told = (u16, &'static str, String);

/// The answer of `/readyz`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    ok: bool,
    message: String,
}

pub async fn serve(listener: TcpListener, health: Health) -> std::io::Result<Listening> {
    let runtime = Handle::current();
    listener::run("provider-health", move || {
        let server = HttpServer::new(move || {
            let (health, runtime) = (health.clone(), runtime.clone());
            App::new().default_service(web::to(move |request: HttpRequest| {
                let health = health.clone();
                let (method, path) = (request.method().as_str().to_owned(), request.path().to_owned());
                // The store lives on the caller's runtime.
                let answered = runtime.spawn(async move { health.answer(&method, &path).await });
                async move {
                    let failed = |_| (500, TEXT, "the provider failed; its log has the cause\n".to_owned());
                    let (status, media_type, body) = answered.await.unwrap_or_else(failed);
                    HttpResponse::build(
                        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    )
                    .insert_header((header::CONTENT_TYPE, media_type))
                    .body(body)
                }
            }))
        })
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?;
        Ok(server.run())
    })
    .await
}

impl Health {
    async fn answer(&self, method: &str, path: &str) -> Told {
        if !matches!(method, "GET" | "HEAD") {
            return (405, TEXT, "only GET and HEAD are answered here\n".to_owned());
        }
        match path {
            "/healthz" => (200, TEXT, "alive\n".to_owned()),
            "/readyz" => {
                let readiness = self.readiness().await;
                let status = if readiness.ready { 200 } else { 503 };
                let body = serde_json::to_string(&readiness).unwrap_or_default();
                (status, "application/json", body + "\n")
            }
            "/metrics" => {
                // A store that does not answer must not take the metrics with it, which tell of that.
                if let Ok(Err(error)) = timeout(STORE_WITHIN, meters::count(&self.core)).await {
                    tracing::debug!(%error, "the operations in progress cannot be counted");
                }
                match self.metrics.text() {
                    Ok(text) => (200, livedata_telemetry::EXPOSITION_FORMAT, text),
                    Err(error) => (500, TEXT, format!("the metrics cannot be written: {error}\n")),
                }
            }
            _ => (404, TEXT, "there are /healthz, /readyz and /metrics\n".to_owned()),
        }
    }

    async fn readiness(&self) -> Readiness {
        let mut checks = vec![self.store().await];
        checks.extend(self.certificates.iter().map(|certificate| self.certificate(certificate)));
        let ready = checks.iter().all(|check| check.ok);
        // It is told and does not count: reads and most writes go on, and one provider with a wrong file would take all others
        // from those who ask.
        checks.push(self.sealing_keys());
        Readiness { ready, checks }
    }

    async fn store(&self) -> Check {
        // A disk that stands still stops the thread that reads it.
        let (store, runtime) = (Arc::clone(&self.core.store), Handle::current());
        let asked = spawn_blocking(move || runtime.block_on(store.get(subscriptions::COLLECTION, "-")));
        let (ok, message) = match timeout(STORE_WITHIN, asked).await {
            Ok(Ok(Ok(_))) => (true, "answers".to_owned()),
            Ok(Ok(Err(error))) => (false, error.to_string()),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("does not answer within {} s", STORE_WITHIN.as_secs())),
        };
        Check { name: "store".to_owned(), ok, message }
    }

    fn sealing_keys(&self) -> Check {
        let trouble = match self.core.sealing_keys.newest() {
            Err(error) => Some(format!("nothing can be sealed: {error}")),
            Ok(_) if !self.core.sealing_keys.closed_ids().is_empty() => {
                let ids = self.core.sealing_keys.closed_ids();
                ids.first().and_then(|id| self.core.sealing_keys.must_be_open(*id).err()).map(|error| error.to_string())
            }
            Ok(_) => self.core.leases.lacking_keys().map(|keys| {
                format!("the file lacks keys with which others on this store seal: {keys}; copy the file from their machine")
            }),
        };
        let ok = trouble.is_none();
        Check {
            name: "sealing keys".to_owned(),
            ok,
            message: trouble.unwrap_or_else(|| "can be read".to_owned()),
        }
    }

    fn certificate(&self, certificate: &Certificate) -> Check {
        let ok = certificate.not_after > self.core.clock.now().unix_timestamp();
        let verb = if ok { "is valid" } else { "was valid" };
        let message = format!("{verb} until {}", rfc3339_of_ms(certificate.not_after.saturating_mul(1000)));
        Check { name: format!("certificate {}", certificate.name), ok, message }
    }
}
