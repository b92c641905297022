//! An enrolled agent at work: supervisor and link over one ledger.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::installation::{self, Installation};
use crate::ledger::{self, Ledger};
use crate::link::{self, Access, Shared};
use crate::supervisor::{Outlets, Supervisor};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Installation(#[from] installation::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("a part of the agent broke; it is a fault of the program")]
    Broken(#[from] tokio::task::JoinError),
}

/// Runs until cancelled.
pub async fn run(installation: Installation, host: Host, cancel: CancellationToken) -> Result<(), Error> {
    let enrolled = installation.enrolled()?;
    tracing::info!(agent = %enrolled.name, version = installation::VERSION, "starting");
    let ledger = Arc::new(Mutex::new(Ledger::open(&host.folder)?));
    let changed = Arc::new(Notify::new());
    let (reports, reported) = watch::channel(Arc::default());
    let (lists, failed_paths) = watch::channel(Arc::default());
    let access = Access::new(host.folder.clone(), enrolled);
    let disowned = access.disowned();
    let default_source = host.default_source.clone();
    let supervisor = Supervisor::new(
        Arc::clone(&ledger),
        Arc::clone(&changed),
        Outlets { reports, failed_paths: lists },
        disowned,
        host,
    );
    let boot_id = uuid::Uuid::new_v4().to_string();
    let shared = Shared { ledger, changed, reports: reported, failed_paths, access, default_source, boot_id };
    // If one of them broke the other could only mislead: both end.
    let together = cancel.child_token();
    let mut migrations = tokio::spawn(supervisor.run(together.clone()));
    let mut link = tokio::spawn(link::run(shared, together.clone()));
    let (first, other) = tokio::select! {
        ended = &mut migrations => (ended, link),
        ended = &mut link => (ended, migrations),
    };
    together.cancel();
    let second = other.await;
    tracing::info!("stopped");
    first.and(second).map_err(Error::from)
}
