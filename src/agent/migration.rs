//! One running migration: the engine on a thread of its own, its effects on tasks, between them two queues.
//!
//! The thread collects inputs, steps the engine through all that are waiting in one journal transaction, and lets the
//! effects out after the commit. [`Migration::stop`] drops everything where it is: for the engine a stop is a crash, and a
//! crash is nothing special. [`Migration::drain`] is the kinder one: what is on its way to the target still arrives.

mod arrivals;
mod executor;
mod fence;
mod origin;
mod patience;
mod placing;
mod principals;
mod survey;
#[cfg(test)]
mod tests;
mod traffic;
mod transfer;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use livedata_engine::{Engine, Input, Limits, Phase, Policy, Rules, State as _};
use livedata_filesystem::{Source, Target, TargetPath};
use livedata_model::report::MOST_FAILED_PATHS;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use principals::{Principal, Unmapped};
pub use traffic::Traffic;
pub use view::{Failures, Fault, Progress, View};

use crate::feed::Feed;
use crate::journal::{self, Journal};
use arrivals::Arrivals;
use executor::Executor;
use principals::Principals;

/// Steps in one transaction at most: bounds the time that an effect waits for its commit.
const STEPS_PER_COMMIT: usize = 256;

/// How long the first input of a commit waits for others, because a commit costs as much as many steps.
const LINGER: Duration = Duration::from_millis(1);

/// How often the engine is told the time.
const TICK: Duration = Duration::from_secs(1);

const FENCE_PAUSE: Duration = Duration::from_secs(5);

/// Everything that one migration needs.
pub struct Plan {
    /// For logs: the resource's name.
    pub name: String,
    pub journal: PathBuf,
    pub source: Arc<dyn Source>,
    pub source_path: String,
    pub target: Arc<dyn Target>,
    pub target_path: TargetPath,
    /// Folder at the target of the migrator's staging folders, one for each epoch.
    pub staging_root: TargetPath,
    /// Of this agent's ownership of the migrator, from 1.
    pub coordinator_epoch: u64,
    /// Folder at the target for half-made files, below that of the epoch; nobody else writes there.
    pub staging: TargetPath,
    /// The folder around it, in which earlier lives of the migration have left theirs.
    pub leftovers: TargetPath,
    /// Folder at the target for what was removed, also by earlier lives of the migration.
    pub trash: TargetPath,
    pub policy: Policy,
    /// The source's changes, for a migration that follows them.
    pub feed: Option<Arc<Feed>>,
    /// What the feed knows this migration by.
    pub consumer: String,
    /// Number of the operator's start to answer; one that was answered by a finished run is not repeated.
    pub start: u64,
    /// Outlives this life of the migration.
    pub traffic: Arc<Traffic>,
}

pub struct Migration {
    cancel: CancellationToken,
    drain: CancellationToken,
    view: watch::Receiver<View>,
    inputs: mpsc::Sender<Told>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// An input, and who wants to hear when what it brought about is durable.
struct Told {
    input: Input,
    durable: Option<oneshot::Sender<()>>,
}

/// The two ways to end.
struct Ends {
    drain: CancellationToken,
    cancel: CancellationToken,
}

impl From<Input> for Told {
    fn from(input: Input) -> Self {
        Self { input, durable: None }
    }
}

impl Migration {
    /// Starts or resumes. Fails only if no thread can be made. `view`: what is to be seen until the engine has its journal.
    pub fn start(plan: Plan, view: View, cancel: CancellationToken) -> std::io::Result<Self> {
        let (views, view) = watch::channel(view);
        let limits = Limits::default();
        // Room for an answer to each effect and a checkpoint besides, so that workers rarely wait for the engine.
        let (inputs, told) = mpsc::channel(2 * (limits.operations + limits.copies + limits.listings));
        let answers = inputs.clone();
        let runtime = tokio::runtime::Handle::current();
        let drain = CancellationToken::new();
        let ends = Ends { drain: drain.clone(), cancel: cancel.clone() };
        let thread = std::thread::Builder::new().name(format!("engine {}", plan.name)).spawn(move || {
            let (name, journal) = (plan.name.clone(), plan.journal.clone());
            if let Err(error) = drive(plan, limits, (answers, told), &views, &ends, &runtime) {
                tracing::error!(
                    migration = name,
                    error = &error as &dyn std::error::Error,
                    journal = %journal.display(),
                    "the journal failed; the migration stands still"
                );
                views.send_modify(|view| view.journal_failed(&error, &journal));
            }
            ends.cancel.cancel();
        })?;
        Ok(Self { cancel, drain, view, inputs, thread: Some(thread) })
    }

    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Tells the engine what an operator wants. `true`: it is durable.
    pub async fn tell(&self, input: Input) -> bool {
        let (durable, heard) = oneshot::channel();
        self.inputs.send(Told { input, durable: Some(durable) }).await.is_ok() && heard.await.is_ok()
    }

    /// Nothing new is begun; files that are being copied arrive, as far as they can within [`arrivals::LIMIT`]; then the thread
    /// ends. What does not arrive goes on from its last flush when the migration is started again.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Whether its thread is gone: it was stopped, it has drained, or its journal failed.
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
pub fn peek(path: &Path, source_path: &str) -> Option<View> {
    if !path.exists() {
        return None;
    }
    let mut view = View::default();
    let looked = Journal::open(path).and_then(|mut journal| {
        let (run, found) = journal.transaction(|state| Ok((state.run()?, state.found())))?;
        let failures =
            Some(Failures { start: run.start, count: run.counters.files_failed, ever: 0, settled: true });
        view.progressed(&Progress::resting(run, found));
        view.unmapped = Arc::new(Principals::new(journal.principals()?).summary());
        view.failed(source_path, journal.failed_paths(MOST_FAILED_PATHS + 1)?, failures);
        view.drifted(source_path, journal.drift()?);
        Ok(())
    });
    if let Err(error) = looked {
        view.journal_failed(&error, path);
    }
    Some(view)
}

/// The engine's thread.
fn drive(
    plan: Plan,
    limits: Limits,
    (answers, mut inputs): (mpsc::Sender<Told>, mpsc::Receiver<Told>),
    views: &watch::Sender<View>,
    ends: &Ends,
    runtime: &tokio::runtime::Handle,
) -> Result<(), journal::Error> {
    let mut journal = Journal::open(&plan.journal)?;
    journal.transaction(|state| {
        state.touch();
        Ok(())
    })?;
    views.send_modify(View::journals_work);
    let (start, root) = (plan.start, plan.source_path.clone());
    let _span = tracing::info_span!("migration", name = plan.name, source = root).entered();
    let mut engine = Engine::new(limits, plan.policy.clone(), Rules::default());
    let principals = Arc::new(Principals::new(journal.principals()?));
    views.send_modify(|view| view.unmapped = Arc::new(principals.summary()));
    if !fence_off(&plan, views, ends, runtime) {
        return Ok(());
    }
    let executor = Executor::new(plan, answers, views.clone(), Arc::clone(&principals), ends.cancel.clone());
    let (effects, now) = journal.transaction(|state| {
        let effects = engine.recover(state, start)?;
        Ok((effects, Progress::of(&engine, state)?))
    })?;
    show(views, &journal, &root, &now)?;
    let drift = journal.drift()?;
    views.send_modify(|view| view.drifted(&root, drift));
    let _runtime = runtime.enter();
    let mut arrivals = Arrivals::default();
    executor.execute_all(arrivals.let_out(effects, false));
    if now.run.start < start {
        executor.resolve_root(start);
    }
    let mut ticked = None;
    let mut run = now.run;
    while let Some(batch) = next_batch(&mut inputs, &mut ticked, runtime, ends) {
        let mut heard = Vec::new();
        let met = principals.take_new();
        let before = (run.number, run.counters.drifted);
        let mut looks_anew = false;
        let (effects, now) = journal.transaction(|state| {
            met.iter().try_for_each(|principal| state.put_principal(principal))?;
            let mut effects = Vec::new();
            for told in batch {
                arrivals.heard(&told.input);
                match &told.input {
                    Input::Rescan { path } => {
                        state.forget_drift(below(&root, path))?;
                        looks_anew = true;
                    }
                    Input::Listed { directory, page: Ok((entries, next)), .. } => {
                        state.listed(directory, entries, next.is_none())?;
                    }
                    _ => {}
                }
                effects.extend(engine.step(state, told.input)?);
                heard.extend(told.durable);
            }
            if state.run()?.number != before.0 {
                state.forget_drift(None)?;
            }
            Ok((effects, Progress::of(&engine, state)?))
        })?;
        run = now.run.clone();
        if looks_anew || before != (run.number, run.counters.drifted) {
            let drift = journal.drift()?;
            views.send_modify(|view| view.drifted(&root, drift));
        }
        for listener in heard {
            // Whoever does not wait any more has stopped the migration.
            let _ = listener.send(());
        }
        if !met.is_empty() {
            views.send_modify(|view| view.unmapped = Arc::new(principals.summary()));
        }
        show(views, &journal, &root, &now)?;
        let draining = ends.drain.is_cancelled();
        executor.execute_all(arrivals.let_out(effects, draining));
        if draining && arrivals.are_over() {
            match arrivals.under_way {
                0 => tracing::info!("what was on its way has arrived"),
                cut => tracing::info!(
                    cut,
                    "files that took too long go on from their last flush at the next start"
                ),
            }
            break;
        }
    }
    Ok(())
}

/// A path of the source as one below the migration's root; `None`: all of it.
fn below<'a>(root: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(root.trim_end_matches('/')).map(|below| below.trim_matches('/'))
}

/// Before anything is done at the target. `false`: the migration is to stop.
fn fence_off(
    plan: &Plan,
    views: &watch::Sender<View>,
    ends: &Ends,
    runtime: &tokio::runtime::Handle,
) -> bool {
    let fenced = async {
        loop {
            let Plan { coordinator_epoch, target, staging_root, .. } = plan;
            match fence::revoke_before(*coordinator_epoch, target.as_ref(), staging_root, views).await {
                Ok(()) => return,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(
                        error,
                        "an earlier agent's staging folder cannot be moved away; trying again"
                    );
                    tokio::time::sleep(FENCE_PAUSE).await;
                }
            }
        }
    };
    runtime.block_on(async {
        tokio::select! {
            biased;
            () = ends.cancel.cancelled() => false,
            () = ends.drain.cancelled() => false,
            () = fenced => true,
        }
    })
}

fn show(
    views: &watch::Sender<View>,
    journal: &Journal,
    root: &str,
    now: &Progress,
) -> Result<(), journal::Error> {
    let run = &now.run;
    let settled = run.phase != Phase::Idle && !run.phase.is_active();
    // The list is read only when it may have changed.
    let failures =
        Some(Failures { start: run.start, count: run.counters.files_failed, ever: now.given_up, settled });
    let changed = views.borrow().failures != failures;
    let failing = run.counters.files_failed > 0 || settled;
    let failed = match (changed, failing) {
        (true, true) => Some(journal.failed_paths(MOST_FAILED_PATHS + 1)?),
        (true, false) => Some(Vec::new()),
        (false, _) => None,
    };
    views.send_modify(|view| {
        view.progressed(now);
        if let Some(failed) = failed {
            view.failed(root, failed, failures);
        }
    });
    Ok(())
}

/// Waits for an input and takes those that wait with it; `None` when the migration is to stop. The engine is told the time
/// at least once a second.
fn next_batch(
    inputs: &mut mpsc::Receiver<Told>,
    ticked: &mut Option<Instant>,
    runtime: &tokio::runtime::Handle,
    ends: &Ends,
) -> Option<Vec<Told>> {
    let mut batch = Vec::new();
    let is_draining = ends.drain.is_cancelled();
    let first = runtime.block_on(async {
        tokio::select! {
            biased;
            () = ends.cancel.cancelled() => None,
            () = ends.drain.cancelled(), if !is_draining => Some(None),
            first = tokio::time::timeout(TICK, inputs.recv()) => first.map_or(Some(None), |told| told.map(Some)),
        }
    })?;
    if ticked.is_none_or(|ticked| ticked.elapsed() >= TICK) {
        *ticked = Some(Instant::now());
        batch.push(Told::from(Input::Tick { now_ms: crate::clock::now_ms() }));
    }
    if let Some(first) = first {
        batch.push(first);
        runtime.block_on(tokio::time::sleep(LINGER));
    }
    while batch.len() < STEPS_PER_COMMIT {
        let Ok(input) = inputs.try_recv() else { break };
        batch.push(input);
    }
    Some(batch)
}
