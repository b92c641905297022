//! Export by OTLP over HTTP, in protobuf, as OpenTelemetry's variables say; off unless one of them names an endpoint.
//!
//! Heeded: `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_HEADERS`, `…_TIMEOUT` and their forms for `TRACES` and `METRICS`, `OTEL_SDK_DISABLED`,
//! `OTEL_TRACES_EXPORTER=none`, `OTEL_METRICS_EXPORTER=none`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,
//! `OTEL_BSP_*`, `OTEL_METRIC_EXPORT_INTERVAL`. TLS trusts what the platform trusts.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;

/// A collector that takes longer has lost what it was sent.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("an exporter cannot be set up")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("the exporters' HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
    #[error("the exporters' thread cannot be started")]
    Thread(#[from] std::io::Error),
}

/// `None`: traces are not wanted.
pub fn tracer_provider(service: &'static str) -> Result<Option<SdkTracerProvider>, ExportError> {
    if !is_wanted("TRACES") {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client::new()?)
        .with_protocol(Protocol::HttpBinary)
        .build()?;
    let builder = SdkTracerProvider::builder().with_resource(resource(service));
    Ok(Some(builder.with_batch_exporter(exporter).build()))
}

/// `None`: metrics are not to be sent anywhere.
pub fn metric_exporter() -> Result<Option<MetricExporter>, ExportError> {
    if !is_wanted("METRICS") {
        return Ok(None);
    }
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(Client::new()?)
        .with_protocol(Protocol::HttpBinary)
        .build()?;
    Ok(Some(exporter))
}

pub fn resource(service: &'static str) -> Resource {
    let builder = Resource::builder();
    // The builder has read the variable.
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder.build(),
        None => builder.with_service_name(service).build(),
    }
}

fn is_wanted(signal: &str) -> bool {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|value| value == "none");
    let endpoint = variable("OTEL_EXPORTER_OTLP_ENDPOINT")
        .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")));
    endpoint.is_some() && !disabled
}

/// Sends from a thread of its own: the exporters call from threads that run no runtime.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: &'static Runtime,
}

impl Client {
    fn new() -> Result<Self, ExportError> {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        // An error means that a provider is installed already, which is what is wanted.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(ANSWER_WITHIN).build()?;
        let runtime = match RUNTIME.get() {
            Some(runtime) => runtime,
            None => {
                let made = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(1)
                    .thread_name("otlp")
                    .enable_all()
                    .build()?;
                RUNTIME.get_or_init(|| made)
            }
        };
        Ok(Self { http, runtime })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let response = http.execute(request.try_into()?).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = Response::new(response.bytes().await?);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok::<_, HttpError>(answer)
        });
        sent.await?
    }
}
