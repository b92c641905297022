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
use crate::operations::{Operation, State, Verb};
use crate::request::{Request, Response};

pub async fn act<K: ResourceKind>(
    core: &Core,
    request: &Request,
    id: &ResourceId,
    action: &'static Action,
) -> Outcome<Response> {
    let mut loaded = existing::<K>(core, id).await?;
    let collection = K::DESCRIPTION.collection;
    let location = normal_location(&loaded.document.location);
    let begin = |resource: &str| {
        let now = core.clock.now();
        Operation::begin(resource, &id.subscription, &location, Verb::Action, request, now)
    };
    let unchanged = Change::new().expect(collection, id.key(), Some(loaded.version));
    let (spec, change) = match K::act(core, &loaded, action.name, request, unchanged).await? {
        Effect::Answer(answer) => return Ok(Response::json(200, answer)),
        Effect::Done => return Ok(Response::empty(204)),
        Effect::Command(change) => {
            check_idle(&loaded.document)?;
            // The record is written again as it is: a deletion or a stop at the same moment excludes the command.
            let change = document::put(change, collection, &id.key(), &loaded.document)?;
            let operation = begin(&loaded.document.id);
            let change = operation.clone().end(change, State::Succeeded, None, core.clock.now())?;
            core.store.commit(change).await?;
            core.desired_changed(&id.key());
            return Ok(follow(core, request, &operation, Response::empty(202)));
        }
        Effect::Intent(spec, change) => (spec, change),
    };
    check_idle(&loaded.document)?;
    let document = &mut loaded.document;
    document.generation += u64::from(document.spec != spec);
    document.spec = spec;
    document.trace = request.trace.clone();
    let operation = begin(&document.id);
    document.provisioning = ProvisioningState::Updating;
    document.operation = Some(operation.key());
    let change = operation.record(change, &K::DESCRIPTION.type_path())?;
    let change = document::put(change, collection, &id.key(), document)?;
    core.store.commit(change).await?;
    core.nudge();
    Ok(follow(core, request, &operation, Response::empty(202)))
}
