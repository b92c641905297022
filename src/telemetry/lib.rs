//! Set-up of logs. One subscriber per process, events as structured fields; secrets never reach a field.
//!
//! The level comes from `LIVEDATA_LOG` (same syntax as `RUST_LOG`), `info` for our crates by default. With
//! `LIVEDATA_LOG_FORMAT=json` each event is one JSON object, for collectors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Where log lines go.
pub enum LogTo {
    StandardError,
    /// Appended to; shared by all threads.
    File(std::fs::File),
}

/// Installs the process-wide subscriber. A second call changes nothing.
pub fn init(destination: LogTo) {
    let filter = EnvFilter::try_from_env("LIVEDATA_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,livedata=info,livedata_agent=info"));
    let json = std::env::var("LIVEDATA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json"));
    let (writer, colours) = match destination {
        LogTo::StandardError => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        LogTo::File(file) => (BoxMakeWriter::new(std::sync::Mutex::new(file)), false),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    // An error means that a subscriber exists already, which is what a second call wants.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
