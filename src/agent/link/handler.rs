//! What the agent does within one session: desired state onto the disk, reports out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use livedata_model::cbor;
use livedata_model::command::Command;
use livedata_model::message::{FailedPathsPart, Hello, Known, ListenToken, Report, Sync, Welcome};
use livedata_model::report::{AgentReport, FailedPaths, Load, MigrationReport};
use livedata_model::spec::Item;
use livedata_session::agent::AgentHandler;
use livedata_session::{HandlerError, NotNow};
use livedata_telemetry::trace;
use tokio::sync::{Notify, watch};
use tracing::Span;

use super::access::Access;
use super::failed_paths;
use super::load::Processors;
use crate::installation::VERSION;
use crate::ledger::{self, Ledger};

/// Reports of many migrations are told in pieces well below the limit of a message.
const REPORT_BYTES: usize = 256 * 1024;

/// What outlives a session.
#[derive(Clone)]
pub struct Shared {
    pub ledger: Arc<Mutex<Ledger>>,
    /// Rung when desired state changed or commands came.
    pub changed: Arc<Notify>,
    pub reports: watch::Receiver<Arc<Vec<MigrationReport>>>,
    /// One entry for each migration that is there; its list may be empty. A list is told when its `revision` is another.
    pub failed_paths: watch::Receiver<Arc<Vec<FailedPaths>>>,
    pub access: Arc<Access>,
    /// What Hadoop's configuration on this machine names.
    pub default_source: Option<String>,
    /// Made at each start of the process.
    pub boot_id: String,
}

pub struct SessionHandler {
    shared: Shared,
    /// The number of this session, once it is known.
    epoch: AtomicU64,
    /// What the provider has been told in this session.
    told: tokio::sync::Mutex<Told>,
    told_paths: tokio::sync::Mutex<failed_paths::Teller>,
    processors: Mutex<Processors>,
}

impl SessionHandler {
    pub fn new(shared: Shared) -> Self {
        let (told, told_paths, processors) = Default::default();
        Self { shared, epoch: AtomicU64::new(0), told, told_paths, processors }
    }

    fn report(&self, news: Vec<MigrationReport>) -> Report {
        let load = self.processors.lock().unwrap_or_else(PoisonError::into_inner).look();
        report(news, self.shared.default_source.as_ref(), load)
    }

    /// The ledger writes to the disk and waits for it.
    async fn with_ledger<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger) -> Result<T, ledger::Error> + Send + 'static,
    ) -> Result<T, HandlerError> {
        let ledger = Arc::clone(&self.shared.ledger);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await? {
            // The supervisor says so in its reports, for which the session is to go on.
            Err(error @ ledger::Error::Io { .. }) => Err(NotNow(error.into()).into()),
            done => Ok(done?),
        }
    }
}

#[async_trait]
impl AgentHandler for SessionHandler {
    async fn hello(&self) -> Hello {
        // A panic in the ledger leaves it consistent; nothing known is the safe answer to anything else.
        let held = self.with_ledger(|ledger| Ok((ledger.known(), ledger.session_epoch()))).await;
        let (known, session_epoch) = held.unwrap_or_default();
        Hello {
            protocol_min: 0,
            protocol_max: 0,
            agent_version: VERSION.to_owned(),
            instance_id: self.shared.access.enrolled().name.instance_id().to_owned(),
            boot_id: self.shared.boot_id.clone(),
            known,
            clock_ms: 0,
            session_epoch,
        }
    }

    async fn welcomed(&self, welcome: &Welcome) -> Result<(), HandlerError> {
        let (session, coordinator) = (welcome.session_epoch, welcome.coordinator_epoch);
        let welcomed = self.with_ledger(move |ledger| match ledger.welcome(session, coordinator) {
            // Most of what a session is for does not need the disk, least of all telling the operator that it is full.
            Err(ledger::Error::Io { path, message }) => {
                tracing::error!(path, message, "the number of the session cannot be stored");
                Ok(())
            }
            other => other,
        });
        welcomed.await?;
        self.epoch.store(session, Ordering::SeqCst);
        self.shared.access.owned();
        self.shared.changed.notify_one();
        tracing::info!(epoch = session, "session with the provider");
        Ok(())
    }

    async fn apply(&self, sync: Sync) -> Result<Vec<Known>, HandlerError> {
        let (upserts, removals) = (sync.upserts.len(), sync.removals.len());
        let epoch = self.epoch.load(Ordering::SeqCst);
        // They last until it is on the disk.
        let _spans: Vec<Span> = sync.upserts.iter().map(applied).collect();
        let stale = self.with_ledger(move |ledger| ledger.apply(epoch, sync)).await?;
        tracing::info!(upserts, removals, refused = stale.len(), "desired state changed");
        self.shared.changed.notify_one();
        Ok(stale)
    }

    async fn commands(&self, commands: Vec<Command>) -> Result<Vec<String>, HandlerError> {
        let (count, epoch) = (commands.len(), self.epoch.load(Ordering::SeqCst));
        let _spans: Vec<Span> = commands.iter().map(taken).collect();
        let taken = self.with_ledger(move |ledger| ledger.take(epoch, commands)).await?;
        if taken.len() < count {
            tracing::warn!(
                unknown = count - taken.len(),
                "commands that a newer agent would know; upgrade this one"
            );
        }
        tracing::info!(commands = taken.len(), "commands taken");
        self.shared.changed.notify_one();
        Ok(taken)
    }

    /// As much of it as fits in one message; the rest follows as changes.
    async fn full_report(&self) -> Report {
        let now = self.shared.reports.borrow().clone();
        let news = self.told.lock().await.news(&now);
        self.report(news)
    }

    async fn next_report(&self) -> Report {
        let mut told = self.told.lock().await;
        let mut reports = self.shared.reports.clone();
        loop {
            let now = reports.borrow_and_update().clone();
            let news = told.news(&now);
            if !news.is_empty() {
                return self.report(news);
            }
            if reports.changed().await.is_err() {
                // The supervisor is gone: the process is about to end.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn next_failed_paths(&self) -> FailedPathsPart {
        self.told_paths.lock().await.next(self.shared.failed_paths.clone()).await
    }

    async fn listen_token(&self, token: ListenToken) -> Result<(), HandlerError> {
        self.shared.access.renewed(token).await;
        Ok(())
    }
}

/// The agent's part of the trace in which this became desired.
fn applied(item: &Item) -> Span {
    let span =
        tracing::info_span!("apply", otel.kind = "consumer", id = item.id, generation = item.generation);
    trace::continue_from(&span, item.trace.as_deref());
    span
}

/// The agent's part of the trace in which this was commanded.
fn taken(command: &Command) -> Span {
    let kind = format!("{:?}", command.kind);
    let span = tracing::info_span!("take", otel.kind = "consumer", id = command.migration, kind);
    trace::continue_from(&span, command.trace.as_deref());
    span
}

fn report(migrations: Vec<MigrationReport>, source: Option<&String>, load: Option<Load>) -> Report {
    let (version, source) = (VERSION.to_owned(), source.cloned());
    let agent = AgentReport { version, conditions: Vec::new(), source, load };
    Report { sequence: 0, agent, migrations }
}

/// The last word about each migration.
#[derive(Default)]
struct Told(BTreeMap<String, MigrationReport>);

impl Told {
    /// What is new in `now`, at most about [`REPORT_BYTES`] of it and at least one; it counts as told.
    fn news(&mut self, now: &[MigrationReport]) -> Vec<MigrationReport> {
        let ids: BTreeSet<&str> = now.iter().map(|one| one.id.as_str()).collect();
        self.0.retain(|id, _| ids.contains(id.as_str()));
        let (mut news, mut bytes) = (Vec::new(), 0);
        for one in now.iter().filter(|one| self.0.get(&one.id) != Some(*one)) {
            bytes += cbor::encode(one).len();
            if bytes > REPORT_BYTES && !news.is_empty() {
                break;
            }
            news.push(one.clone());
        }
        self.0.extend(news.iter().map(|one| (one.id.clone(), one.clone())));
        news
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::report::Progress;
    use livedata_model::state::MigrationState;

    use super::*;

    fn migration(id: usize, error: &str) -> MigrationReport {
        MigrationReport {
            id: format!("/m/{id}"),
            observed_generation: 1,
            state: MigrationState::Running,
            progress: Progress::default(),
            conditions: Vec::new(),
            last_error: Some(error.to_owned()),
            estimated_seconds: None,
            lag: None,
            run: None,
            sent: None,
        }
    }

    #[test]
    fn only_what_changed_is_told() {
        let mut told = Told::default();
        let mut now = vec![migration(0, "a"), migration(1, "a")];
        assert_eq!(told.news(&now), now);
        assert!(told.news(&now).is_empty());
        now[1] = migration(1, "b");
        assert_eq!(told.news(&now), [migration(1, "b")]);
        told.news(&[]);
        assert_eq!(told.news(&now), now, "one that went and came back is told again");
    }

    #[test]
    fn many_are_told_in_pieces_that_fit_and_nothing_is_left_out() {
        let long = "x".repeat(3_000);
        let now: Vec<_> = (0..500).map(|id| migration(id, &long)).collect();
        let (mut told, mut heard, mut pieces) = (Told::default(), Vec::new(), 0);
        loop {
            let news = told.news(&now);
            if news.is_empty() {
                break;
            }
            let size = cbor::encode(&report(news.clone(), None, None)).len();
            assert!(size < 2 * REPORT_BYTES, "{size}");
            heard.extend(news);
            pieces += 1;
        }
        assert!(pieces > 3);
        assert_eq!(heard, now);
    }
}
