//! POST of an action (rules 68–71).

use livedata_arm::{ProvisioningState, ResourceId};
use livedata_store::Change;

use super::write::normal_location;
use super::{check_idle, existing};
use crate::core::Core;
use crate::document;
use crate::errors::Outcome;
use crate::kind::{Action, Effect, ResourceKind};
use crate::operation_routes::follow;
use crate::operations::{Operation, Verb};
use crate::request::{Request, Response};

pub async fn act<K: ResourceKind>(
    core: &Core,
    request: &Request,
    id: &ResourceId,
    action: &'static Action,
) -> Outcome<Response> {
    let mut loaded = existing::<K>(core, id).await?;
    let spec = match K::act(core, &loaded, action.name).await? {
        Effect::Answer(answer) => return Ok(Response::json(200, answer)),
        Effect::Intent(spec) => spec,
    };
    check_idle(&loaded.document)?;
    let document = &mut loaded.document;
    document.generation += u64::from(document.spec != spec);
    document.spec = spec;
    let location = normal_location(&document.location);
    let operation =
        Operation::begin(&document.id, &id.subscription, &location, Verb::Action, core.clock.now());
    document.provisioning = ProvisioningState::Updating;
    document.operation = Some(operation.key());
    let change = Change::new().expect(K::DESCRIPTION.collection, id.key(), Some(loaded.version));
    let change = operation.record(change, &K::DESCRIPTION.type_path())?;
    let change = document::put(change, K::DESCRIPTION.collection, &id.key(), document)?;
    core.store.commit(change).await?;
    core.nudge();
    Ok(follow(core, request, &operation, Response::empty(202)))
}
