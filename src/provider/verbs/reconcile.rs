//! The controller's step, once for all resource types: intent towards desired state, and the end of the operation.
//!
//! It takes everything from the store, so it goes on where a killed provider stopped; it does not repeat by itself: the
//! next nudge or tick does.

use livedata_arm::ProvisioningState;
use livedata_store::Change;
use time::OffsetDateTime;

use crate::clock::parse_rfc3339;
use crate::core::Core;
use crate::document::{self, Loaded};
use crate::errors::Outcome;
use crate::kind::{ResourceKind, Settled};
use crate::operations::{self, Operation, State, Work};

/// Last generation of resources that are gone, by their key.
pub const GENERATIONS: &str = "generations";

pub async fn step<K: ResourceKind>(core: &Core, key: &str, work: &Work) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let operation = operations::read(core.store.as_ref(), &work.operation).await?;
    let loaded = document::load::<K::Spec>(core.store.as_ref(), collection, key).await?;
    let Some(loaded) = loaded.filter(|loaded| !loaded.document.provisioning.is_terminal()) else {
        // The resource and its work change in one transaction, so this is only left over by hand-made stores.
        core.store.commit(Change::new().remove(operations::WORK, key)).await?;
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
    core.desired_changed();
    // Others may have waited for this one.
    core.nudge();
    Ok(())
}

async fn erase<K: ResourceKind>(
    core: &Core,
    key: &str,
    loaded: Loaded<K::Spec>,
    operation: Option<Operation>,
) -> Outcome<()> {
    let collection = K::DESCRIPTION.collection;
    let change = Change::new().expect(collection, key, Some(loaded.version));
    let Some(change) = K::erase(core, &loaded.document, change).await? else { return Ok(()) };
    let mut change = change.remove(collection, key).remove(operations::WORK, key);
    change = document::put(change, GENERATIONS, key, &loaded.document.generation)?;
    if let Some(operation) = operation {
        change = operation.end(change, State::Succeeded, None, core.clock.now())?;
    }
    core.store.commit(change).await?;
    core.observed.forget(key);
    core.desired_changed();
    core.nudge();
    Ok(())
}
