//! Set-up of logs, traces and metrics of a process.
//!
//! Logs are events of `tracing`: one subscriber per process, structured fields, never a secret. The same spans become traces, and
//! [`Metrics`] are OpenTelemetry's; both are exported by OTLP when the standard variables name an endpoint ([`export`]),
//! otherwise nothing leaves the process. [`trace`] carries the W3C context from one program to the next.

mod export;
mod logs;
mod metrics;
pub mod trace;

pub use logs::{LogTo, Telemetry, init};
pub use metrics::{EXPOSITION_FORMAT, Metrics, MetricsError};
