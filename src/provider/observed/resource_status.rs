//! What is the matter with a resource that has no more to report than conditions.

use super::migration_status::disconnected;
use super::{WireCondition, agent};
use crate::core::{Core, migrator_key};
use crate::document::Document;
use crate::errors::Outcome;

/// What the agent said last of it.
pub async fn reported(core: &Core, key: &str) -> Outcome<Vec<WireCondition>> {
    let report = core.observed.migration(core.store.as_ref(), key).await?;
    Ok(report.into_iter().flat_map(|report| report.conditions).map(WireCondition::from).collect())
}

/// What the agent said last of it, and whether there is an agent to say more.
pub async fn conditions<S: Send + Sync>(core: &Core, document: &Document<S>) -> Outcome<Vec<WireCondition>> {
    let key = document.key();
    let report = core.observed.migration(core.store.as_ref(), &key).await?;
    let agent = agent(core, migrator_key(&key)).await?;
    let mut conditions = report.map(|report| report.conditions).unwrap_or_default();
    if !agent.connected {
        conditions.push(disconnected(document, &agent));
    }
    Ok(conditions.into_iter().map(WireCondition::from).collect())
}
