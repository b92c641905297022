//! Waiting for the end of an operation on behalf of a caller who cannot follow it.

use std::time::Duration;

use livedata_arm::headers;

use crate::core::Core;
use crate::errors::Outcome;
use crate::operations::{self, Operation, State};
use crate::request::Response;

/// Ends before the caller gives up: ARM takes no longer than a minute.
const PATIENCE: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the operation that an answer speaks of came to; the answer itself when it takes too long.
pub async fn for_end(core: &Core, response: &Response) -> Outcome<Response> {
    let accepted = Response::empty(202);
    let Some(id) = operation_id(response) else { return Ok(accepted) };
    let ended = match tokio::time::timeout(PATIENCE, end_of(core, &id)).await {
        Ok(ended) => ended?,
        Err(_) => return Ok(accepted),
    };
    Ok(match ended.and_then(|operation| operation.error()) {
        Some(error) => Response::error(&error),
        None => Response::empty(200),
    })
}

/// `None`: its record is gone, which it is only long after its end.
async fn end_of(core: &Core, id: &str) -> Outcome<Option<Operation>> {
    loop {
        match operations::read(core.store.as_ref(), id).await? {
            Some(operation) if operation.state == State::InProgress => {}
            other => return Ok(other),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The last part of the address at which a client of ARM would follow it.
fn operation_id(response: &Response) -> Option<String> {
    let (_, address) = response.headers.iter().find(|(name, _)| *name == headers::ASYNC_OPERATION)?;
    let path = address.split('?').next()?;
    path.rsplit('/').next().map(str::to_owned)
}
