//! When a file expires: Set Blob Expiry (`comp=expiry`), and the same headers of Path - Create.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::{Context, reply};
use crate::clock;
use crate::index::{self, Writing};
use crate::request::{Call, Conditions, LeaseUse};
use crate::service_error::ServiceError;

const OPTION: &str = "x-ms-expiry-option";
const TIME: &str = "x-ms-expiry-time";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    AfterCreation { ms: i64 },
    FromNow { ms: i64 },
    At { ms: i64 },
}

impl Expiry {
    /// `None` when the request does not speak of it.
    pub(super) fn of(call: &Call) -> Result<Option<Self>, ServiceError> {
        let Some(option) = call.header(OPTION) else {
            return match call.header(TIME) {
                Some(_) => Err(ServiceError::missing_header(OPTION)),
                None => Ok(None),
            };
        };
        let time = || call.header(TIME).ok_or_else(|| ServiceError::missing_header(TIME));
        let milliseconds = || {
            let ms = time()?.parse::<i64>().ok().filter(|ms| *ms >= 0);
            ms.ok_or_else(|| ServiceError::invalid_header(TIME, "expected milliseconds with this option"))
        };
        let expiry = match option.to_lowercase().as_str() {
            "neverexpire" if call.header(TIME).is_some() => {
                return Err(ServiceError::invalid_header(TIME, "NeverExpire excludes it"));
            }
            "neverexpire" => Self::Never,
            "relativetocreation" => Self::AfterCreation { ms: milliseconds()? },
            "relativetonow" => Self::FromNow { ms: milliseconds()? },
            "absolute" => {
                let at = clock::parse_http_date(time()?);
                let invalid = || ServiceError::invalid_header(TIME, "expected an HTTP date with this option");
                Self::At { ms: at.ok_or_else(invalid)? }
            }
            _ => {
                let reason = "expected NeverExpire, RelativeToCreation, RelativeToNow or Absolute";
                return Err(ServiceError::invalid_header(OPTION, reason));
            }
        };
        Ok(Some(expiry))
    }

    /// `None` for never.
    pub(super) fn resolve(self, created_ms: i64, now_ms: i64) -> Result<Option<i64>, ServiceError> {
        let at_ms = match self {
            Self::Never => return Ok(None),
            Self::AfterCreation { ms } => created_ms.saturating_add(ms),
            Self::FromNow { ms } => now_ms.saturating_add(ms),
            Self::At { ms } => ms,
        };
        if at_ms <= now_ms {
            return Err(ServiceError::invalid_header(TIME, "the file would have expired already"));
        }
        Ok(Some(at_ms))
    }
}

pub(super) async fn set_expiry(context: &Context) -> Result<HttpResponse, ServiceError> {
    let expiry = Expiry::of(&context.call)?.ok_or_else(|| ServiceError::missing_header(OPTION))?;
    let (place, conditions) = (context.place()?, Conditions::of(&context.call)?);
    let lease = LeaseUse::of(&context.call)?;
    let set = move |writing: &mut Writing<'_>| {
        let mut node = place.node(writing.connection)?;
        conditions.check(&node)?;
        if node.kind.is_directory() {
            return Err(ServiceError::resource_type_mismatch().about(node.kind));
        }
        lease.begin(&mut node.lease, writing.now_ms)?;
        node.expires_ms = expiry.resolve(node.created_ms, writing.now_ms)?;
        index::update_node(writing, &mut node, true)?;
        Ok(node)
    };
    let node = context.service.index.write(set).await?;
    // The sweeper has a new time to wait for.
    context.service.garbage.notify_one();
    Ok(reply::changed(StatusCode::OK, &node))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_what_the_option_says() {
        let (created, now) = (1_000, 5_000);
        assert_eq!(Expiry::Never.resolve(created, now).unwrap(), None);
        assert_eq!(Expiry::AfterCreation { ms: 7_000 }.resolve(created, now).unwrap(), Some(8_000));
        assert_eq!(Expiry::FromNow { ms: 1 }.resolve(created, now).unwrap(), Some(5_001));
        assert_eq!(Expiry::At { ms: 9_000 }.resolve(created, now).unwrap(), Some(9_000));
        for past in [Expiry::AfterCreation { ms: 4_000 }, Expiry::FromNow { ms: 0 }, Expiry::At { ms: 5_000 }]
        {
            assert!(past.resolve(created, now).is_err(), "{past:?}");
        }
    }
}
