//! The subscriber: lines for people or collectors, spans for traces.
//!
//! The level comes from `LIVEDATA_LOG` (same syntax as `RUST_LOG`), `info` for our crates by default. With
//! `LIVEDATA_LOG_FORMAT=json` each event is one JSON object, for collectors.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::export;

/// Where log lines go.
pub enum LogTo {
    StandardError,
    /// Appended to; shared by all threads.
    File(std::fs::File),
}

/// While it is held, spans are exported if they are wanted; dropping it sends the last of them.
#[must_use = "the last spans are sent when this is dropped"]
#[derive(Debug, Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last spans may not have been exported");
        }
    }
}

/// Installs the process-wide subscriber. A second call changes nothing. `service` is what this process is called in traces,
/// unless `OTEL_SERVICE_NAME` says otherwise.
pub fn init(service: &'static str, destination: LogTo) -> Telemetry {
    let filter = EnvFilter::try_from_env("LIVEDATA_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,livedata=info,livedata_agent=info"));
    let json = std::env::var("LIVEDATA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json"));
    let (writer, colours) = match destination {
        LogTo::StandardError => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        LogTo::File(file) => (BoxMakeWriter::new(std::sync::Mutex::new(file)), false),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    let lines =
        if json { lines.json().with_filter(filter).boxed() } else { lines.with_filter(filter).boxed() };
    let (provider, trouble) = match export::tracer_provider(service) {
        Ok(provider) => (provider, None),
        Err(error) => (None, Some(error)),
    };
    let spans = provider.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("livedata"));
        // Ours only: what the exporter itself does would be exported again.
        layer.with_filter(EnvFilter::new("off,livedata=info"))
    });
    let installed = tracing_subscriber::registry().with(lines).with(spans).try_init();
    if let Some(error) = trouble {
        tracing::error!(%error, "no traces are exported; correct the OTEL_ variables");
    }
    // An error means that a subscriber exists already, which is what a second call wants.
    Telemetry(provider.filter(|_| installed.is_ok()))
}
