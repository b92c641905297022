//! Which agent owns a migrator. One at a time; enrolling another installation takes the migrator over.

use livedata_session::AgentName;
use livedata_store::{Change, Record};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::document;
use crate::errors::Outcome;

/// By the migrator's key.
pub const COLLECTION: &str = "agents";

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub migrator_guid: String,
    pub instance_id: String,
    /// Fences messages: raised at each session.
    pub session_epoch: u64,
    /// Names the staging folder: raised only when another instance takes over.
    pub coordinator_epoch: u64,
    /// RFC 3339.
    pub enrolled_at: String,
}

/// An agent's record and the version that a write must still find.
pub struct LoadedAgent {
    pub agent: Agent,
    pub version: u64,
}

pub async fn load(core: &Core, migrator: &str) -> Outcome<Option<LoadedAgent>> {
    core.store.get(COLLECTION, migrator).await?.map(parse).transpose()
}

fn parse(record: Record) -> Outcome<LoadedAgent> {
    Ok(LoadedAgent { agent: serde_json::from_slice(&record.body)?, version: record.version })
}

/// All agents by their migrator's key.
pub async fn all(core: &Core) -> Outcome<Vec<(String, Agent)>> {
    const PAGE: usize = 500;
    let mut agents: Vec<(String, Agent)> = Vec::new();
    loop {
        let after = agents.last().map(|(key, _)| key.clone());
        let page = core.store.list(COLLECTION, "", after.as_deref(), PAGE).await?;
        let last = page.len() < PAGE;
        for record in page {
            let key = record.key.clone();
            agents.push((key, parse(record)?.agent));
        }
        if last {
            return Ok(agents);
        }
    }
}

/// Makes this instance the migrator's agent, in a change that the caller commits.
pub async fn take_over(
    core: &Core,
    migrator: &str,
    migrator_guid: &str,
    instance_id: &str,
    change: Change,
) -> Outcome<Change> {
    let before = load(core, migrator).await?;
    let change = change.expect(COLLECTION, migrator, before.as_ref().map(|before| before.version));
    let enrolled_at = crate::clock::rfc3339(core.clock.now());
    let (migrator_guid, instance_id) = (migrator_guid.to_owned(), instance_id.to_owned());
    let agent = match before.map(|before| before.agent) {
        Some(same) if same.instance_id == instance_id => Agent { enrolled_at, ..same },
        Some(other) => {
            let coordinator_epoch = other.coordinator_epoch + 1;
            Agent { migrator_guid, instance_id, enrolled_at, coordinator_epoch, ..other }
        }
        None => Agent { migrator_guid, instance_id, session_epoch: 0, coordinator_epoch: 1, enrolled_at },
    };
    document::put(change, COLLECTION, migrator, &agent)
}

/// A new session epoch, higher than any that the provider has given or the agent has seen. `None`: this agent does not own
/// the migrator (any more).
pub async fn begin_session(
    core: &Core,
    migrator: &str,
    name: &AgentName,
    seen: u64,
) -> Outcome<Option<Agent>> {
    let Some(LoadedAgent { mut agent, version }) = load(core, migrator).await? else { return Ok(None) };
    if (agent.migrator_guid.as_str(), agent.instance_id.as_str())
        != (name.migrator_guid(), name.instance_id())
    {
        return Ok(None);
    }
    agent.session_epoch = agent.session_epoch.max(seen) + 1;
    let change = Change::new().expect(COLLECTION, migrator, Some(version));
    core.store.commit(document::put(change, COLLECTION, migrator, &agent)?).await?;
    Ok(Some(agent))
}
