//! What agents report: held in memory while their session lasts, so that a GET shows it at once; stored in one batch at
//! most every 10 seconds, at once when a state or a condition changes.

mod migration_status;
mod migrator_status;
mod resource_status;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use livedata_model::cbor;
use livedata_model::message::Report;
use livedata_model::report::MigrationReport;
use livedata_store::{Change, Error, Store};

pub use migration_status::{MigrationStatus, migration_status};
pub use migrator_status::{MigratorStatus, WireCondition, migrator_status};
pub use resource_status::{conditions, reported};

use crate::core::Core;
use crate::errors::Outcome;
use crate::leases::{Leases, Owner};

/// Last reports of migrations, CBOR, by the migration's key.
pub const MIGRATIONS: &str = "observed_migrations";
/// What is known of agents, by their migrator's key.
pub const AGENTS: &str = "observed_agents";

const LONGEST_ERROR_BYTES: usize = 4096;

/// The session of one migrator's agent, now or last.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct AgentState {
    #[serde(skip)]
    pub connected: bool,
    /// When `connected` last changed, milliseconds since 1970.
    pub since_ms: i64,
    pub seen_at_ms: i64,
    pub version: String,
    #[serde(default)]
    pub source: Option<String>,
    #[serde(skip)]
    pub round_trip_ms: Option<u64>,
    #[serde(skip)]
    pub clock_skew_ms: Option<i64>,
    #[serde(skip)]
    pub conditions: Vec<livedata_model::condition::Condition>,
    /// Why there is no session.
    #[serde(skip)]
    pub trouble: Option<Trouble>,
}

/// What stands between the provider and an agent.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// One PascalCase word.
    pub reason: &'static str,
    pub message: String,
    pub since_ms: i64,
}

#[derive(Default)]
pub struct Observed(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    agents: HashMap<String, AgentState>,
    migrations: HashMap<String, MigrationReport>,
    /// Not stored yet.
    changed_agents: HashSet<String>,
    changed_migrations: HashSet<String>,
}

/// What is known of an agent, here or in the store. The provider that speaks to it stores every ten seconds when it was heard
/// of last; the others take it for connected as long as that is not too long ago.
pub async fn agent(core: &Core, migrator: &str) -> Outcome<AgentState> {
    const SILENT_MS: i64 = 30_000;
    let mut state = core.observed.agent(core.store.as_ref(), migrator).await?;
    if core.leases.moved(migrator) {
        state.connected = core.clock.now_ms() - state.seen_at_ms < SILENT_MS;
    }
    Ok(state)
}

impl Inner {
    fn forget_all(&mut self, is_gone: impl Fn(&str) -> bool) {
        let Self { agents, migrations, changed_agents, changed_migrations } = self;
        agents.retain(|key, _| !is_gone(key));
        migrations.retain(|key, _| !is_gone(key));
        changed_agents.retain(|key| !is_gone(key));
        changed_migrations.retain(|key| !is_gone(key));
    }
}

impl Observed {
    /// The maps are consistent after every statement, so a panic elsewhere does not spoil them.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A resource is gone, or a new one takes its name.
    pub fn forget(&self, key: &str) {
        let mut inner = self.lock();
        inner.migrations.remove(key);
        inner.changed_migrations.remove(key);
        inner.agents.remove(key);
        inner.changed_agents.remove(key);
    }

    /// These have become another provider's, or come from one.
    pub fn forget_all(&self, is_gone: impl Fn(&str) -> bool) {
        self.lock().forget_all(is_gone);
    }

    /// The migrators whose agents this process has heard of, and whether it has a session with them.
    pub fn sessions(&self) -> Vec<(String, bool)> {
        let inner = self.lock();
        inner.agents.iter().map(|(migrator, agent)| (migrator.clone(), agent.connected)).collect()
    }

    /// The last report of each migration that this process has heard of.
    pub fn each_migration(&self, mut see: impl FnMut(&str, &MigrationReport)) {
        let inner = self.lock();
        for (key, report) in inner.migrations.iter().filter(|(key, _)| key.contains("/livedatamigrations/")) {
            see(key, report);
        }
    }

    pub async fn agent(&self, store: &dyn Store, migrator: &str) -> Outcome<AgentState> {
        if let Some(known) = self.lock().agents.get(migrator) {
            return Ok(known.clone());
        }
        let record = store.get(AGENTS, migrator).await?;
        Ok(record.map(|record| serde_json::from_slice(&record.body)).transpose()?.unwrap_or_default())
    }

    pub async fn migration(&self, store: &dyn Store, key: &str) -> Outcome<Option<MigrationReport>> {
        if let Some(known) = self.lock().migrations.get(key) {
            return Ok(Some(known.clone()));
        }
        let Some(record) = store.get(MIGRATIONS, key).await? else { return Ok(None) };
        cbor::decode(&record.body).map(Some).map_err(|error| Error::Damaged(error.to_string()).into())
    }

    /// Changes what is known of an agent, beginning with what is stored.
    pub async fn update_agent(
        &self,
        store: &dyn Store,
        migrator: &str,
        update: impl FnOnce(&mut AgentState) + Send,
    ) -> Outcome<()> {
        let mut state = self.agent(store, migrator).await?;
        let mut inner = self.lock();
        if let Some(newer) = inner.agents.get(migrator) {
            state = newer.clone();
        }
        update(&mut state);
        inner.agents.insert(migrator.to_owned(), state);
        inner.changed_agents.insert(migrator.to_owned());
        Ok(())
    }

    /// An echo came back. Known agents only: it is called within a session.
    pub fn alive(&self, migrator: &str, now_ms: i64, round_trip_ms: u64, clock_skew_ms: i64) {
        let mut inner = self.lock();
        if let Some(agent) = inner.agents.get_mut(migrator) {
            agent.seen_at_ms = now_ms;
            agent.round_trip_ms = Some(round_trip_ms);
            agent.clock_skew_ms = Some(clock_skew_ms);
            inner.changed_agents.insert(migrator.to_owned());
        }
    }

    /// Takes a report in; `true`: a state or a condition changed, which is to be stored at once.
    pub fn reported(&self, migrator: &str, report: Report, mine: impl Fn(&str) -> bool) -> bool {
        let mut inner = self.lock();
        let mut notable = false;
        if let Some(agent) = inner.agents.get_mut(migrator) {
            notable = agent.conditions != report.agent.conditions;
            agent.version = report.agent.version;
            agent.source = report.agent.source;
            agent.conditions = report.agent.conditions;
            inner.changed_agents.insert(migrator.to_owned());
        }
        for mut migration in report.migrations.into_iter().filter(|migration| mine(&migration.id)) {
            // A path may have any length; a list of migrations may not.
            if let Some(error) =
                migration.last_error.as_mut().filter(|error| error.len() > LONGEST_ERROR_BYTES)
            {
                error.truncate(error.floor_char_boundary(LONGEST_ERROR_BYTES));
            }
            let before = inner.migrations.get(&migration.id);
            notable |= before.is_none_or(|before| {
                (before.state, &before.conditions, &before.last_error)
                    != (migration.state, &migration.conditions, &migration.last_error)
            });
            inner.changed_migrations.insert(migration.id.clone());
            inner.migrations.insert(migration.id.clone(), migration);
        }
        notable
    }

    /// Stores what changed since the last time, in one transaction. What cannot be stored stays due; what has become another
    /// provider's to report is forgotten here.
    pub async fn store(&self, store: &dyn Store, leases: &Leases) -> Outcome<()> {
        let (change, agents, migrations) = {
            let mut inner = self.lock();
            inner.forget_all(|key| leases.moved(key));
            let agents = std::mem::take(&mut inner.changed_agents);
            let migrations = std::mem::take(&mut inner.changed_migrations);
            let owners: BTreeSet<Owner> =
                agents.iter().chain(&migrations).map(|key| leases.owner(key)).collect();
            let fenced = owners.iter().try_fold(Change::new(), |change, owner| owner.fence(change));
            let Some(mut change) = fenced else {
                // Not sure for the moment: due until it is.
                inner.changed_agents = agents;
                inner.changed_migrations = migrations;
                return Ok(());
            };
            for (key, agent) in agents.iter().filter_map(|key| inner.agents.get_key_value(key)) {
                change = crate::document::put(change, AGENTS, key, agent)?;
            }
            for (key, report) in migrations.iter().filter_map(|key| inner.migrations.get_key_value(key)) {
                change = change.put(MIGRATIONS, key.as_str(), cbor::encode(report));
            }
            (change, agents, migrations)
        };
        if change.writes.is_empty() {
            return Ok(());
        }
        let stored = store.commit(change).await;
        if stored.is_err() {
            leases.doubt();
            let mut inner = self.lock();
            inner.changed_agents.extend(agents);
            inner.changed_migrations.extend(migrations);
        }
        Ok(stored?)
    }
}
