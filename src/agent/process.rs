//! An enrolled agent at work: supervisor and link over one ledger.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::installation::{self, Installation};
use crate::ledger::{self, Ledger};
use crate::link::{self, Access, Shared};
use crate::supervisor::Supervisor;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Installation(#[from] installation::Error),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    #[error("a part of the agent broke; it is a fault of the program")]
    Broken(#[from] tokio::task::JoinError),
}

/// Runs until cancelled. `hadoop_user` reads where a migrator names nobody.
pub async fn run(
    installation: Installation,
    hadoop_user: String,
    cancel: CancellationToken,
) -> Result<(), Error> {
    let enrolled = installation.enrolled()?;
    let folder: PathBuf = installation.folder().to_owned();
    tracing::info!(agent = %enrolled.name, version = installation::VERSION, "starting");
    let ledger = Arc::new(Mutex::new(Ledger::open(&folder)?));
    let changed = Arc::new(Notify::new());
    let (reports, reported) = watch::channel(Arc::default());
    let supervisor =
        Supervisor::new(Arc::clone(&ledger), Arc::clone(&changed), reports, folder.clone(), hadoop_user);
    let shared = Shared {
        ledger,
        changed,
        reports: reported,
        access: Access::new(folder, enrolled),
        boot_id: uuid::Uuid::new_v4().to_string(),
    };
    // If one of them broke the other could only mislead: both end.
    let together = cancel.child_token();
    let guard = together.clone().drop_guard();
    let mut migrations = tokio::spawn(supervisor.run(together.clone()));
    let mut link = tokio::spawn(link::run(shared, together.clone()));
    let first = tokio::select! {
        ended = &mut migrations => ended,
        ended = &mut link => ended,
    };
    drop(guard);
    let second = if migrations.is_finished() { link.await } else { migrations.await };
    tracing::info!("stopped");
    first.and(second).map_err(Error::from)
}
