//! One running migration: the engine on a thread of its own, its effects on tasks, between them two queues.
//!
//! The thread collects inputs, steps the engine through all that are waiting in one journal transaction, and lets the
//! effects out after the commit. [`Migration::stop`] drops everything where it is: for the engine a stop is a crash, and a
//! crash is nothing special.

mod executor;
mod patience;
#[cfg(test)]
mod tests;
mod transfer;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use livedata_engine::{Effect, Engine, Input, Limits, Phase, State as _};
use livedata_filesystem::{Source, Target, TargetPath};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use view::{Fault, View};

use crate::journal::{self, Journal};
use executor::Executor;

/// Steps in one transaction at most: bounds the time that an effect waits for its commit.
const STEPS_PER_COMMIT: usize = 256;

/// Everything that one migration needs.
pub struct Plan {
    /// For logs: the resource's name.
    pub name: String,
    pub journal: PathBuf,
    pub source: Arc<dyn Source>,
    pub source_path: String,
    pub target: Arc<dyn Target>,
    pub target_path: TargetPath,
    /// Folder at the target for half-made files; nobody else writes there.
    pub staging: TargetPath,
    /// Number of the operator's start to answer; one that was answered by a finished run is not repeated.
    pub start: u64,
}

pub struct Migration {
    cancel: CancellationToken,
    view: watch::Receiver<View>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Migration {
    /// Starts or resumes. Fails only if no thread can be made.
    pub fn start(plan: Plan, cancel: CancellationToken) -> std::io::Result<Self> {
        let (views, view) = watch::channel(View::default());
        let runtime = tokio::runtime::Handle::current();
        let stop = cancel.clone();
        let thread = std::thread::Builder::new().name(format!("engine {}", plan.name)).spawn(move || {
            let name = plan.name.clone();
            if let Err(error) = drive(plan, &views, &stop, &runtime) {
                tracing::error!(
                    migration = name,
                    error = &error as &dyn std::error::Error,
                    "the journal failed; the migration stands still"
                );
                views.send_modify(|view| view.journal_failed(&error));
            }
            stop.cancel();
        })?;
        Ok(Self { cancel, view, thread: Some(thread) })
    }

    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Whether its thread is gone: it was stopped, or its journal failed.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// Cancels what is going on and waits until nothing of it runs any more.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            // The thread ends soon after the cancellation; joining it blocks, hence not on a worker.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// What the journal of a migration that does not run says; `None` if it never ran.
pub fn peek(journal: &Path, source_path: &str) -> Option<View> {
    if !journal.exists() {
        return None;
    }
    let mut view = View::default();
    let looked = Journal::open(journal).and_then(|mut journal| {
        view.progressed(&journal.transaction(|state| state.run())?, 0);
        view.failed(source_path, journal.last_failed()?);
        Ok(())
    });
    if let Err(error) = looked {
        view.journal_failed(&error);
    }
    Some(view)
}

/// The engine's thread.
fn drive(
    plan: Plan,
    views: &watch::Sender<View>,
    cancel: &CancellationToken,
    runtime: &tokio::runtime::Handle,
) -> Result<(), journal::Error> {
    let mut journal = Journal::open(&plan.journal)?;
    let limits = Limits::default();
    // Room for an answer to each effect and a checkpoint besides, so that workers rarely wait for the engine.
    let (answers, mut inputs) = mpsc::channel(2 * (limits.operations + limits.listings));
    let (start, root) = (plan.start, plan.source_path.clone());
    let _span = tracing::info_span!("migration", name = plan.name, source = root).entered();
    let executor = Executor::new(plan, answers, views.clone(), cancel.clone());
    let mut engine = Engine::new(limits);
    let (effects, now) = journal.transaction(|state| Ok((engine.recover(state, start)?, state.run()?)))?;
    let last_failed = journal.last_failed()?;
    views.send_modify(|view| {
        view.progressed(&now, engine.bytes_in_flight());
        view.failed(&root, last_failed);
    });
    let _runtime = runtime.enter();
    dispatch(&executor, effects);
    if now.start < start {
        executor.resolve_root(start);
    }
    while let Some(batch) = next_batch(&mut inputs, runtime, cancel) {
        let (effects, now) = journal.transaction(|state| {
            let mut effects = Vec::new();
            for input in batch {
                effects.extend(engine.step(state, input)?);
            }
            Ok((effects, state.run()?))
        })?;
        let unusable = matches!(now.phase, Phase::Failed | Phase::RootMissing);
        let last_failed =
            if now.counters.files_failed > 0 || unusable { journal.last_failed()? } else { None };
        views.send_modify(|view| {
            view.progressed(&now, engine.bytes_in_flight());
            view.failed(&root, last_failed);
        });
        dispatch(&executor, effects);
    }
    Ok(())
}

fn dispatch(executor: &Executor, effects: Vec<Effect>) {
    for effect in effects {
        executor.execute(effect);
    }
}

/// Waits for an input and takes those that wait with it; `None` when the migration is to stop.
fn next_batch(
    inputs: &mut mpsc::Receiver<Input>,
    runtime: &tokio::runtime::Handle,
    cancel: &CancellationToken,
) -> Option<Vec<Input>> {
    let first = runtime.block_on(async {
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            input = inputs.recv() => input,
        }
    })?;
    let mut batch = vec![first];
    while batch.len() < STEPS_PER_COMMIT {
        let Ok(input) = inputs.try_recv() else { break };
        batch.push(input);
    }
    Some(batch)
}
