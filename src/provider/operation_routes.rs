//! The two addresses of an operation: status (always 200 while it can be read) and result (what a synchronous call would
//! have answered).

use livedata_arm::headers;

use crate::core::Core;
use crate::errors::Outcome;
use crate::operations::{self, Operation, State, Verb};
use crate::registry;
use crate::request::{Request, Response};

pub async fn status(core: &Core, _request: &Request, key: &str) -> Outcome<Response> {
    let operation = operations::find(core.store.as_ref(), key, core.clock.now()).await?;
    let response = Response::json(200, serde_json::to_value(operation.status(&core.namespace))?);
    Ok(match operation.state {
        State::InProgress => response.with("retry-after", core.retry_after_seconds.to_string()),
        _ => response,
    })
}

pub async fn result(core: &Core, request: &Request, key: &str) -> Outcome<Response> {
    let operation = operations::find(core.store.as_ref(), key, core.clock.now()).await?;
    if let Some(error) = operation.error() {
        return Ok(Response::error(&error));
    }
    match (operation.state, operation.verb) {
        (State::InProgress, _) => Ok(follow(core, request, &operation, Response::empty(202))),
        (_, Verb::Delete | Verb::Action) => Ok(Response::empty(204)),
        (_, Verb::Put | Verb::Patch) => {
            let found = registry::of(&operation.resource_id);
            match found {
                Some((kind, id)) => kind.get(core, &id).await,
                None => Ok(Response::empty(204)),
            }
        }
    }
}

/// Adds the headers by which a client follows an operation (rules 77–79). The host is the one that the client used.
pub fn follow(core: &Core, request: &Request, operation: &Operation, response: Response) -> Response {
    let address = |kind| {
        let version = request.parameter("api-version").unwrap_or_default();
        format!("{}{}?api-version={version}", request.origin(), operation.path(&core.namespace, kind))
    };
    let response = response
        .with(headers::ASYNC_OPERATION, address("operationStatuses"))
        .with("retry-after", core.retry_after_seconds.to_string());
    if response.status == 202 { response.with("location", address("operationResults")) } else { response }
}
