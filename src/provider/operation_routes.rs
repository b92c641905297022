//! The addresses of an operation: status (always 200 while it can be read), result (what a synchronous call would have
//! answered) and cancellation.

use livedata_arm::headers;

use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::operations::{self, Followed, Operation, State, Verb};
use crate::registry;
use crate::request::{Method, Request, Response};

pub async fn status(core: &Core, request: &Request, at: &Followed) -> Outcome<Response> {
    if request.method == Method::Patch {
        return Err(errors::OPERATION_STATUS_READ_ONLY
            .error("Only the provider itself writes the status of an operation.")
            .into());
    }
    let operation = operations::find(core, request, at).await?;
    let mut status = serde_json::to_value(operation.status(&request.view))?;
    // Where the public document has operations, it knows neither their progress nor their end.
    if request.view.version.is_public()
        && at.subscription.is_none()
        && let Some(status) = status.as_object_mut()
    {
        status.retain(|name, _| !matches!(name.as_str(), "endTime" | "percentComplete"));
    }
    let response = Response::json(200, status);
    Ok(match operation.state {
        State::InProgress => response.with("retry-after", core.retry_after_seconds.to_string()),
        _ => response,
    })
}

pub async fn result(core: &Core, request: &Request, at: &Followed) -> Outcome<Response> {
    let operation = operations::find(core, request, at).await?;
    if let Some(error) = operation.error() {
        return Ok(Response::error(&request.view.show_error(error)));
    }
    let gone = Response::empty(204);
    let Some((kind, id)) = registry::of(&operation.resource_id) else { return Ok(gone) };
    match (operation.state, operation.verb) {
        (State::InProgress, _) => Ok(follow(core, request, &operation, Response::empty(202))),
        (_, Verb::Delete) => Ok(gone),
        (_, Verb::Action) => kind.acted(core, request, &id).await,
        (_, Verb::Put | Verb::Patch) => kind.get(core, request, &id).await,
    }
}

/// Ends what has not become desired state yet (rule 91); the resource can then be written again.
pub async fn cancel(core: &Core, request: &Request, at: &Followed) -> Outcome<Response> {
    let operation = operations::find(core, request, at).await?;
    if operation.state != State::InProgress {
        let message = format!("The operation has ended: it is {:?}.", operation.state);
        return Err(errors::OPERATION_NOT_CANCELABLE.error(message).into());
    }
    let Some((kind, id)) = registry::of(&operation.resource_id) else {
        return Err(errors::OPERATION_NOT_CANCELABLE.error("Its resource is gone.").into());
    };
    kind.cancel(core, &id, operation).await?;
    Ok(Response::empty(204))
}

/// Adds the headers by which a client follows an operation (rules 77–79). The host is the one that the client used.
pub fn follow(core: &Core, request: &Request, operation: &Operation, response: Response) -> Response {
    let address = |kind| {
        let (path, version) = (operation.path(request.view.namespace(), kind), request.view.version.as_str());
        format!("{}{path}?api-version={version}", request.origin())
    };
    let response = response
        .with(headers::ASYNC_OPERATION, address("operationStatuses"))
        .with("retry-after", core.retry_after_seconds.to_string());
    // The public version's clients take the outcome from there after every verb.
    let located = response.status == 202 || request.view.version.is_public();
    if located { response.with("location", address("operationResults")) } else { response }
}
