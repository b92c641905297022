//! DELETE: honoured in any state (rule 55); the controller removes the resource and what belongs to it.

use livedata_arm::{ProvisioningState, ResourceId};
use livedata_store::Change;

use super::check_preconditions;
use super::write::normal_location;
use crate::core::Core;
use crate::document;
use crate::errors::{self, Outcome};
use crate::kind::ResourceKind;
use crate::operation_routes::follow;
use crate::operations::{self, Operation, State, Verb};
use crate::request::{Request, Response};

pub async fn delete<K: ResourceKind>(core: &Core, request: &Request, id: &ResourceId) -> Outcome<Response> {
    let collection = K::DESCRIPTION.collection;
    let Some(mut loaded) = document::load::<K::Spec>(core.store.as_ref(), collection, &id.key()).await?
    else {
        return Ok(Response::empty(204));
    };
    check_preconditions(request, Some(&loaded.document.etag()))?;
    let going_on = match &loaded.document.operation {
        Some(key) => operations::read(core.store.as_ref(), key).await?,
        None => None,
    };
    if let (ProvisioningState::Deleting, Some(operation)) = (loaded.document.provisioning, &going_on) {
        return Ok(follow(core, request, operation, Response::empty(202)));
    }
    let now = core.clock.now();
    let change = Change::new().expect(collection, id.key(), Some(loaded.version));
    let mut change = K::admit_delete(core, &request.view, &loaded, change).await?;
    if let Some(overtaken) = going_on.filter(|operation| operation.state == State::InProgress) {
        let why = errors::OPERATION_CANCELED.error("The resource is being deleted.");
        change = overtaken.end(change, State::Canceled, Some(why), now)?;
    }
    let document = &mut loaded.document;
    let location = normal_location(&document.location);
    let operation = Operation::begin(&document.id, &id.subscription, &location, Verb::Delete, request, now);
    document.provisioning = ProvisioningState::Deleting;
    document.operation = Some(operation.key());
    let change = operation.record(change, &K::DESCRIPTION.type_path())?;
    let change = document::put(change, collection, &id.key(), document)?;
    core.store.commit(change).await?;
    core.nudge();
    // The agent hears of it at once, not when the controller gets to it.
    core.desired_changed(&id.key());
    Ok(follow(core, request, &operation, Response::empty(202)))
}
