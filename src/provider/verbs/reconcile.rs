//! The controller's step, once for all resource types: intent towards desired state, and the end of the operation.
//!
//! It takes everything from the store, so it goes on where a killed provider stopped; it does not repeat by itself: the
//! next nudge or tick does.

use livedata_arm::ProvisioningState;
use livedata_store::Change;
use time::OffsetDateTime;

use crate::clock::parse_rfc3339;
use crate::core::Core;
use crate::custom_provider;
use crate::document::{self, Loaded};
use crate::errors::{self, Outcome};
use crate::kind::{ResourceKind, Settled};
use crate::observed;
use crate::operations::{self, Operation, State, Verb, Work};

/// Last generation of resources that are gone, by their key.
const GENERATIONS: &str = "generations";

/// Generations go on where an earlier resource of the same id ended: an agent that was away when it was deleted still holds
/// it, and refuses lower ones. 0 if there was none. The change that is returned holds only while this is the last one.
pub async fn last_generation(core: &Core, key: &str, change: Change) -> Outcome<(Change, u64)> {
    let record = core.store.get(GENERATIONS, key).await?;
    let change = change.expect(GENERATIONS, key, record.as_ref().map(|record| record.version));
    let last = record.map(|record| serde_json::from_slice(&record.body)).transpose()?.unwrap_or(0);
    Ok((change, last))
}

pub async fn step<K: ResourceKind>(core: &Core, key: &str, work: &Work) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let operation = operations::read(core.store.as_ref(), &work.operation).await?;
    let loaded = document::load::<K::Spec>(core.store.as_ref(), collection, key).await?;
    let version = loaded.as_ref().map(|loaded| loaded.version);
    let Some(loaded) = loaded.filter(|loaded| !loaded.document.provisioning.is_terminal()) else {
        // Its work was ended since it was listed. It is not removed when a new request has put other work there meanwhile.
        let left = Change::new().expect(collection, key, version).remove(operations::WORK, key);
        core.store.commit(left).await?;
        return Ok(());
    };
    if loaded.document.provisioning == ProvisioningState::Deleting {
        return erase::<K>(core, key, loaded, operation).await;
    }
    let since = operation.as_ref().and_then(|operation| parse_rfc3339(&operation.start));
    let settled = K::settle(core, &loaded.document, since.unwrap_or(OffsetDateTime::UNIX_EPOCH)).await?;
    let Loaded { mut document, version } = loaded;
    let (state, error) = match settled {
        Settled::NotYet => return Ok(()),
        Settled::Applied(spec) => {
            document.apply(spec);
            document.provisioning = ProvisioningState::Succeeded;
            (State::Succeeded, None)
        }
        Settled::Failed(error) => {
            document.provisioning = ProvisioningState::Failed;
            (State::Failed, Some(error))
        }
    };
    document.operation = None;
    let mut change = Change::new().expect(collection, key, Some(version)).remove(operations::WORK, key);
    change = document::put(change, collection, key, &document)?;
    if let Some(operation) = operation {
        change = operation.end(change, state, error, core.clock.now())?;
    }
    core.store.commit(change).await?;
    core.desired_changed(key);
    // Others may have waited for this one.
    core.nudge();
    Ok(())
}

/// The operation ends `Canceled`, unless it has ended otherwise meanwhile; the intent stays, for the next write to correct. An
/// action is no such intent: it would be half done.
pub async fn cancel<K: ResourceKind>(core: &Core, key: &str, operation: Operation) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let loaded = document::load::<K::Spec>(core.store.as_ref(), collection, key).await?;
    let Some(Loaded { mut document, version }) = loaded.filter(|loaded| {
        loaded.document.operation == Some(operation.key())
            && matches!(operation.verb, Verb::Put | Verb::Patch)
    }) else {
        return Err(errors::OPERATION_NOT_CANCELABLE
            .error("The operation has ended, or cannot be taken back.")
            .into());
    };
    document.provisioning = ProvisioningState::Canceled;
    document.operation = None;
    let change = Change::new().expect(collection, key, Some(version)).remove(operations::WORK, key);
    let change = document::put(change, collection, key, &document)?;
    let why = errors::OPERATION_CANCELED.error("The operation was cancelled by a client.");
    core.store.commit(operation.end(change, State::Canceled, Some(why), core.clock.now())?).await?;
    Ok(())
}

/// Removes a resource and what belongs to it, and ends its operation.
async fn erase<K: ResourceKind>(
    core: &Core,
    key: &str,
    loaded: Loaded<K::Spec>,
    operation: Option<Operation>,
) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let change = Change::new().expect(collection, key, Some(loaded.version));
    let change = K::erase(core, &loaded.document, change).await?;
    let change = custom_provider::forget(core, key, change).await?;
    let change = change.remove(observed::MIGRATIONS, key);
    let mut change = change.remove(collection, key).remove(operations::WORK, key);
    change = document::put(change, GENERATIONS, key, &loaded.document.generation)?;
    match operation {
        Some(operation) if operation.verb == Verb::Delete => {
            change = operation.end(change, State::Succeeded, None, core.clock.now())?;
        }
        Some(overtaken) if overtaken.state == State::InProgress => {
            let why =
                errors::OPERATION_CANCELED.error("The resource was deleted together with its migrator.");
            change = overtaken.end(change, State::Canceled, Some(why), core.clock.now())?;
        }
        _ => {}
    }
    core.store.commit(change).await?;
    core.observed.forget(key);
    core.desired_changed(key);
    core.nudge();
    Ok(())
}

/// Removes all children of this type, each in a transaction of its own: a migrator may have any number. New ones cannot
/// appear, because they would need a parent that is not being deleted.
pub async fn erase_children<K: ResourceKind>(core: &Core, parent: &str) -> Outcome<()> {
    const PAGE: usize = 100;
    let last = K::DESCRIPTION.path.last().copied().unwrap_or_default().to_lowercase();
    let prefix = format!("{parent}/{last}/");
    loop {
        let page =
            document::list::<K::Spec>(core.store.as_ref(), K::DESCRIPTION.collection, &prefix, None, PAGE)
                .await?;
        if page.is_empty() {
            return Ok(());
        }
        for child in page {
            let operation = match &child.document.operation {
                Some(operation) => operations::read(core.store.as_ref(), operation).await?,
                None => None,
            };
            erase::<K>(core, &child.document.key(), child, operation).await?;
        }
    }
}

/// Raises the generation of a resource above what its agent has, so that the agent obeys again.
pub async fn overtake<K: ResourceKind>(core: &Core, key: &str, agent_generation: u64) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let Some(mut loaded) = document::load::<K::Spec>(core.store.as_ref(), collection, key).await? else {
        return Ok(());
    };
    let document = &mut loaded.document;
    let Some(applied) = document.applied.as_mut().filter(|applied| applied.generation <= agent_generation)
    else {
        return Ok(());
    };
    applied.generation = agent_generation + 1;
    document.generation = document.generation.max(applied.generation);
    let change = Change::new().expect(collection, key, Some(loaded.version));
    core.store.commit(document::put(change, collection, key, document)?).await?;
    core.desired_changed(key);
    Ok(())
}
