//! The controllers: bring what is in the store's `work` to its end.
//!
//! Level-driven: each pass takes everything from the store. A nudge wakes them, a timer does anyway, and the first pass
//! after a start picks up what a killed provider left. A step that fails is not repeated here; the next pass does.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use livedata_store::Store;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::errors::Outcome;
use crate::insights::series;
use crate::operations::{self, Work};
use crate::request::Request;
use crate::subscriptions::Unfinished;
use crate::{install_keys, meters, registry};

const TICK: Duration = Duration::from_secs(2);
/// Steps at the same time; each holds at most one outside call.
const MOST_STEPS: usize = 32;
const PAGE: usize = 200;

pub async fn run(core: Arc<Core>, cancel: CancellationToken) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pass = Pass::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = core.work.notified() => pass.tried.clear(),
            _ = tick.tick() => pass.tried.clear(),
            Some(done) = pass.steps.join_next() => pass.ended(done),
        }
        if let Err(error) = pass.start_steps(&core).await {
            tracing::warn!(%error, "controllers cannot read their work; the next tick tries again");
        }
    }
    // What is interrupted here is picked up by the next start.
    pass.steps.shutdown().await;
}

#[derive(Default)]
struct Pass {
    steps: JoinSet<String>,
    /// A resource has one step at a time; a slow one does not hold up the others.
    under_way: HashSet<String>,
    /// What had its step since the last nudge or tick: a resource that waits for something does not spin.
    tried: HashSet<String>,
}

impl Pass {
    fn ended(&mut self, done: Result<String, JoinError>) {
        match done {
            Ok(key) => {
                self.under_way.remove(&key);
                self.tried.insert(key);
            }
            // The step is lost with its key; starting over is safe, because a step commits by compare-and-swap.
            Err(error) => {
                tracing::error!(%error, "a controller step broke");
                self.tried.extend(self.under_way.drain());
            }
        }
    }

    async fn start_steps(&mut self, core: &Arc<Core>) -> Outcome<()> {
        let mut after: Option<String> = None;
        while self.steps.len() < MOST_STEPS {
            let page = core.store.list(operations::WORK, "", after.as_deref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
            for record in page {
                if self.steps.len() >= MOST_STEPS {
                    break;
                }
                if self.under_way.contains(&record.key) || self.tried.contains(&record.key) {
                    continue;
                }
                let Some(owned) = core.owned(core.leases.owner(&record.key)) else { continue };
                let work: Work = serde_json::from_slice(&record.body)?;
                self.under_way.insert(record.key.clone());
                self.steps.spawn(step(owned, record.key, work));
            }
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}

async fn step(core: Arc<Core>, key: String, work: Work) -> String {
    let path: Vec<&str> = work.resource_type.split('/').collect();
    let done = match registry::find(&path) {
        Some(kind) => kind.reconcile(&core, &key, &work).await,
        None => Ok(()),
    };
    match done {
        Err(failure) if failure.is_lost_lease() => core.leases.doubt(),
        Err(failure) if failure.is_conflict() => core.nudge(),
        Err(error) => {
            tracing::warn!(key, error = &error as &dyn std::error::Error, "a controller step failed")
        }
        Ok(()) => {}
    }
    key
}

/// Stores what agents report, in batches.
pub async fn keep_reports(core: Arc<Core>, cancel: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(10);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            () = cancel.cancelled() => true,
            _ = tick.tick() => false,
        };
        if let Err(error) = core.observed.store(core.store.as_ref(), &core.leases).await {
            tracing::warn!(%error, "reports of agents cannot be stored; the next tick tries again");
        }
        if last {
            return;
        }
    }
}

/// Samples what agents report every ten seconds, and stores the samples once a minute.
pub async fn keep_series(core: Arc<Core>, cancel: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(10);
    const SAMPLES_STORED_TOGETHER: u32 = 6;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut samples = 0;
    loop {
        let last = tokio::select! {
            () = cancel.cancelled() => true,
            _ = tick.tick() => false,
        };
        let now = core.clock.now();
        core.series.sample(now);
        samples += 1;
        if let Err(error) = meters::count(&core).await {
            tracing::debug!(%error, "the operations in progress cannot be counted");
        }
        if (last || samples % SAMPLES_STORED_TOGETHER == 0)
            && let Err(error) = core.series.store(core.store.as_ref(), now).await
        {
            tracing::warn!(%error, "points of metrics cannot be stored; the next minute tries again");
        }
        if last {
            return;
        }
    }
}

/// Finishes what follows from the states of subscriptions and was left by a provider that died; removes what is kept for a time
/// only. Who works for the migrator without a name does it.
pub async fn keep_house(core: Arc<Core>, own: Request, cancel: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(15);
    const REMOVE_EVERY: Duration = Duration::from_secs(3600);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut removed: Option<Instant> = None;
    let mut unfinished = Unfinished::default();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Some(owned) = core.owned(core.leases.owner("")) else { continue };
        // Other migrators' resources may be changed by that, which are not this provider's: as a request would.
        let finished = tokio::select! {
            () = cancel.cancelled() => return,
            finished = unfinished.finish(&core, &own) => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(%error, "what follows from the states of subscriptions has not all been done");
        }
        if removed.is_none_or(|at| at.elapsed() >= REMOVE_EVERY) {
            match remove_expired(&core, owned.store.as_ref()).await {
                Ok(()) => removed = Some(Instant::now()),
                Err(error) => {
                    tracing::warn!(%error, "expired records cannot be removed; that is tried again")
                }
            }
        }
    }
}

async fn remove_expired(core: &Core, store: &dyn Store) -> Outcome<()> {
    let now = core.clock.now();
    while operations::remove_expired(store, now).await? {}
    while series::remove_expired(store, now).await? {}
    install_keys::remove_expired(store, now).await
}
