//! Metrics of one part of the platform, in OpenTelemetry's terms: read by Prometheus, exported by OTLP, or both.

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::export::{self, ExportError};

/// The media type of [`Metrics::text`].
pub const EXPOSITION_FORMAT: &str = prometheus::TEXT_FORMAT;

/// Series of one instrument that has some for each resource; what goes beyond is added up in one with the label `otel_metric_overflow`.
const MOST_SERIES: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("the reader for Prometheus cannot be set up: {0}")]
    Reader(String),
    #[error("metrics cannot be exported; correct the OTEL_ variables")]
    Export(#[from] ExportError),
    #[error("the metrics cannot be written as text")]
    Text(#[from] prometheus::Error),
    #[error("the exporter did not end in good order: {0}")]
    ShutDown(String),
}

#[derive(Debug)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    pub fn new(service: &'static str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .map_err(|error| MetricsError::Reader(error.to_string()))?;
        let builder = SdkMeterProvider::builder()
            .with_resource(export::resource(service))
            .with_view(many)
            .with_reader(reader);
        let builder = match export::metric_exporter()? {
            Some(exporter) => builder.with_periodic_exporter(exporter),
            None => builder,
        };
        Ok(Self { provider: builder.build(), registry })
    }

    pub fn meter(&self, name: &'static str) -> Meter {
        self.provider.meter(name)
    }

    /// Everything as it stands, in Prometheus' text format.
    pub fn text(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Sends what has not been exported, and ends; waits for the collector.
    pub fn shut_down(&self) -> Result<(), MetricsError> {
        self.provider.shutdown().map_err(|error| MetricsError::ShutDown(error.to_string()))
    }
}

/// What has a series for each resource.
fn many(instrument: &Instrument) -> Option<Stream> {
    let per_resource = ["livedata.migration", "livedata.agent"];
    per_resource.iter().any(|prefix| instrument.name().starts_with(prefix)).then_some(())?;
    Stream::builder().with_cardinality_limit(MOST_SERIES).build().ok()
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn names_and_units_are_those_of_prometheus() {
        let metrics = Metrics::new("test").unwrap();
        let meter = metrics.meter("test");
        let requests = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(vec![1.0])
            .build();
        requests.record(0.5, &[KeyValue::new("http.response.status_code", 200)]);
        meter.u64_counter("livedata.operations").with_unit("{operation}").build().add(2, &[]);
        let text = metrics.text().unwrap();
        for line in [
            "http_server_request_duration_seconds_bucket{http_response_status_code=\"200\",le=\"1\"} 1",
            "livedata_operations_total 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
        metrics.shut_down().unwrap();
    }
}
