//! Path - Lease, Lease Blob and Lease Container: one protocol, whatever is leased.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use uuid::Uuid;

use super::{Context, reply};
use crate::index::{self, Writing};
use crate::lease::{Lease, LeaseDuration};
use crate::request::{Call, Conditions, lease_duration, lease_id};
use crate::service_error::ServiceError;

const MAX_BREAK_PERIOD: u32 = 60;

#[derive(Debug, Clone, Copy)]
enum Action {
    Acquire { proposed: Option<Uuid>, duration: LeaseDuration },
    Renew { id: Uuid },
    Change { id: Uuid, proposed: Uuid },
    Release { id: Uuid },
    Break { period: Option<u32> },
}

struct Outcome {
    status: StatusCode,
    id: Option<Uuid>,
    seconds_left: Option<u32>,
}

impl Action {
    fn of(call: &Call) -> Result<Self, ServiceError> {
        let required = |name: &str| lease_id(call, name)?.ok_or_else(|| ServiceError::missing_header(name));
        let id = || required("x-ms-lease-id");
        let action = call.header("x-ms-lease-action");
        match action.ok_or_else(|| ServiceError::missing_header("x-ms-lease-action"))? {
            "acquire" => Ok(Self::Acquire {
                proposed: lease_id(call, "x-ms-proposed-lease-id")?,
                duration: lease_duration(call)?,
            }),
            "renew" => Ok(Self::Renew { id: id()? }),
            "change" => Ok(Self::Change { id: id()?, proposed: required("x-ms-proposed-lease-id")? }),
            "release" => Ok(Self::Release { id: id()? }),
            "break" => {
                let parse = |text: &str| {
                    let period = text.parse::<u32>().ok().filter(|period| *period <= MAX_BREAK_PERIOD);
                    let reason = "expected 0 to 60 seconds";
                    period.ok_or_else(|| ServiceError::invalid_header("x-ms-lease-break-period", reason))
                };
                let period = call.header("x-ms-lease-break-period").map(parse).transpose()?;
                Ok(Self::Break { period })
            }
            _ => {
                let reason = "expected acquire, renew, change, release or break";
                Err(ServiceError::invalid_header("x-ms-lease-action", reason))
            }
        }
    }

    fn apply(self, lease: &mut Lease, now_ms: i64) -> Result<Outcome, ServiceError> {
        let (status, id) = match self {
            Self::Acquire { proposed, duration } => {
                (StatusCode::CREATED, Some(lease.acquire(proposed, duration, now_ms)?))
            }
            Self::Renew { id } => lease.renew(id, now_ms).map(|()| (StatusCode::OK, Some(id)))?,
            Self::Change { id, proposed } => {
                lease.change(id, proposed, now_ms).map(|()| (StatusCode::OK, Some(proposed)))?
            }
            Self::Release { id } => lease.release(id).map(|()| (StatusCode::OK, None))?,
            Self::Break { period } => {
                let seconds_left = Some(lease.break_within(period, now_ms)?);
                return Ok(Outcome { status: StatusCode::ACCEPTED, id: None, seconds_left });
            }
        };
        Ok(Outcome { status, id, seconds_left: None })
    }
}

/// A lease changes neither the ETag nor the time of the last modification.
pub(super) async fn lease_path(context: &Context) -> Result<HttpResponse, ServiceError> {
    let change = Action::of(&context.call)?;
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    if place.path.is_empty() {
        return Err(ServiceError::root_operation());
    }
    let apply = move |writing: &mut Writing<'_>| {
        let mut node = place.node(writing.connection)?;
        conditions.check(&node)?;
        let outcome = change.apply(&mut node.lease, writing.now_ms)?;
        index::save_lease(writing, node.id, &node.lease)?;
        Ok((outcome, node))
    };
    let (outcome, node) = context.service.index.write(apply).await?;
    let response = reply::changed(outcome.status, &node);
    Ok(with_headers(response, &outcome))
}

pub(super) async fn lease_container(context: &Context) -> Result<HttpResponse, ServiceError> {
    let change = Action::of(&context.call)?;
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let apply = move |writing: &mut Writing<'_>| {
        let mut filesystem = place.filesystem(writing.connection)?;
        conditions.check_filesystem(&filesystem)?;
        let outcome = change.apply(&mut filesystem.lease, writing.now_ms)?;
        index::save_lease(writing, filesystem.root, &filesystem.lease)?;
        Ok((outcome, filesystem))
    };
    let (outcome, filesystem) = context.service.index.write(apply).await?;
    let response = reply::filesystem(outcome.status, &filesystem).finish();
    Ok(with_headers(response, &outcome))
}

fn with_headers(mut response: HttpResponse, outcome: &Outcome) -> HttpResponse {
    if let Some(id) = outcome.id {
        reply::insert(&mut response, "x-ms-lease-id", &id.to_string());
    }
    if let Some(seconds) = outcome.seconds_left {
        reply::insert(&mut response, "x-ms-lease-time", &seconds.to_string());
    }
    response
}
