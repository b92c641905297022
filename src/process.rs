//! What every program of the project does first: one TLS provider, a runtime, and a polite end when it is asked for. And one
//! allocator: small files are all small allocations, and glibc's took a sixth of the agent's time with them.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the program's work. An error is printed with its causes.
pub fn run(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(work));
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Completes at Ctrl-C or SIGTERM (not at SIGHUP, which `nohup` wants ignored). Where signals cannot be had, the process ends by being killed.
pub async fn asked_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
