//! What the provider does within one session.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use livedata_model::message::{FailedPathsPart, Hello, ListenToken, Refused, Report, Welcome};
use livedata_model::spec::Body;
use livedata_session::provider::{Desired, ProviderHandler};
use livedata_session::{AgentName, HandlerError};
use tokio::sync::watch;

use crate::core::{Core, migrator_key};
use crate::failed_paths::Assembly;
use crate::{agents, commands, enrolment, failed_paths, registry};

pub struct SessionHandler {
    core: Arc<Core>,
    migrator: String,
    name: AgentName,
    desired: watch::Receiver<Arc<Desired>>,
    lists: tokio::sync::Mutex<Assembly>,
}

impl SessionHandler {
    pub fn new(
        core: &Arc<Core>,
        migrator: &str,
        name: &AgentName,
        desired: watch::Receiver<Arc<Desired>>,
    ) -> Self {
        let lists = tokio::sync::Mutex::default();
        Self { core: Arc::clone(core), migrator: migrator.to_owned(), name: name.clone(), desired, lists }
    }
}

impl SessionHandler {
    /// Takes what is reported of migrations into the time series, before it replaces what was reported last.
    async fn follow(&self, report: &Report, desired: &Desired) -> Result<(), HandlerError> {
        let (core, migrator) = (&self.core, self.name.migrator_guid());
        let migrations: HashMap<&str, &str> = desired
            .items
            .iter()
            .filter_map(|item| match &item.body {
                Body::Migration(spec) => Some((item.id.as_str(), spec.incarnation.as_str())),
                _ => None,
            })
            .collect();
        for report in &report.migrations {
            let Some(migration) = migrations.get(report.id.as_str()) else { continue };
            let before = match core.series.follows(migrator, migration) {
                true => None,
                false => core.observed.migration(core.store.as_ref(), &report.id).await?,
            };
            core.series.reported(migrator, migration, report, before.as_ref());
        }
        if let Some(load) = report.agent.load {
            core.series.load(migrator, load);
        }
        core.series.keep(migrator, |migration| migrations.values().any(|known| *known == migration));
        Ok(())
    }
}

#[async_trait]
impl ProviderHandler for SessionHandler {
    async fn admit(&self, hello: &Hello) -> Result<Welcome, Refused> {
        if hello.instance_id != self.name.instance_id() {
            return Err(refused("WrongInstance", "the instance id is not that of the agent's certificate"));
        }
        let begun = agents::begin_session(&self.core, &self.migrator, &self.name, hello.session_epoch).await;
        let agent = match begun {
            Ok(Some(agent)) => agent,
            Ok(None) => {
                return Err(refused(
                    "NotTheAgent",
                    "another agent owns this migrator, or the migrator is gone",
                ));
            }
            Err(error) => {
                tracing::warn!(migrator = self.migrator, %error, "no session epoch can be stored");
                return Err(refused("ServiceUnavailable", "the provider's store does not answer; try again"));
            }
        };
        let now_ms = self.core.clock.now_ms();
        let version = hello.agent_version.clone();
        let update = self.core.observed.update_agent(self.core.store.as_ref(), &self.migrator, |state| {
            state.connected = true;
            state.since_ms = now_ms;
            state.seen_at_ms = now_ms;
            state.version = version;
            state.trouble = None;
        });
        if let Err(error) = update.await {
            tracing::warn!(migrator = self.migrator, %error, "the state of an agent cannot be read");
            return Err(refused("ServiceUnavailable", "the provider's store does not answer; try again"));
        }
        self.core.series.connected(self.name.migrator_guid(), true);
        tracing::info!(migrator = self.migrator, epoch = agent.session_epoch, "session with the agent");
        Ok(Welcome {
            protocol: 0,
            session_epoch: agent.session_epoch,
            coordinator_epoch: agent.coordinator_epoch,
            clock_ms: 0,
        })
    }

    fn desired(&self) -> watch::Receiver<Arc<Desired>> {
        self.desired.clone()
    }

    /// Only what this agent was told to do can be reported by it: one agent cannot speak for another's migrations, and a
    /// late report does not bring back what was deleted.
    async fn reported(&self, report: Report) -> Result<(), HandlerError> {
        let desired = Arc::clone(&self.desired.borrow());
        let mine =
            |id: &str| migrator_key(id) == self.migrator && desired.items.iter().any(|item| item.id == id);
        self.follow(&report, &desired).await?;
        if self.core.observed.reported(&self.migrator, report, mine) {
            self.core.observed.store(self.core.store.as_ref(), &self.core.leases).await?;
        }
        Ok(())
    }

    async fn acknowledged(&self, id: &str, generation: u64) -> Result<(), HandlerError> {
        tracing::debug!(id, generation, "on the agent's disk");
        Ok(())
    }

    async fn stale(&self, id: &str, agent_generation: u64) -> Result<(), HandlerError> {
        if let Some((kind, _)) = registry::of(id).filter(|_| migrator_key(id) == self.migrator) {
            kind.overtake(&self.core, id, agent_generation).await?;
        }
        Ok(())
    }

    async fn taken(&self, ids: Vec<String>) -> Result<(), HandlerError> {
        Ok(commands::taken(&self.core, &self.migrator, &ids).await?)
    }

    /// Only of migrations as this agent was told to have them.
    async fn failed_paths(&self, part: FailedPathsPart) -> Result<(), HandlerError> {
        let desired = Arc::clone(&self.desired.borrow());
        let item = desired.items.iter().find(|item| item.id == part.migration);
        let is_mine = migrator_key(&part.migration) == self.migrator
            && matches!(item.map(|item| &item.body), Some(Body::Migration(spec)) if spec.incarnation == part.incarnation);
        if !is_mine {
            return Ok(());
        }
        let whole = self.lists.lock().await.add(part);
        if let Some(list) = whole {
            failed_paths::store(self.core.store.as_ref(), &list).await?;
        }
        Ok(())
    }

    fn alive(&self, round_trip_ms: u64, clock_skew_ms: i64) {
        self.core.series.round_trip(self.name.migrator_guid(), round_trip_ms);
        self.core.observed.alive(&self.migrator, self.core.clock.now_ms(), round_trip_ms, clock_skew_ms);
    }

    fn listen_token(&self) -> ListenToken {
        enrolment::listen_token(&self.core, self.name.migrator_guid())
    }
}

fn refused(code: &str, message: &str) -> Refused {
    Refused { code: code.to_owned(), message: message.to_owned() }
}
