//! One storage request from socket to reply: take apart, authenticate, run, write the answer with the headers that every answer
//! carries, count.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::body::{BodySize, MessageBody as _};
use actix_web::http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt as _;

use crate::account::AccountBook;
use crate::authorization::{self, Issuers};
use crate::clock;
use crate::content::Content;
use crate::counters::Counters;
use crate::deletions::Deletions;
use crate::faults::Faults;
use crate::index::Index;
use crate::operations::{self, Context, Operation};
use crate::request::{Api, Call};
use crate::request_log::{Entry, RequestLog};
use crate::service_error::ServiceError;

/// The first version with the DFS endpoint; it is also assumed when a request names none.
const OLDEST_VERSION: &str = "2018-11-09";
const MAX_DRAINED_BYTES: u64 = 16 * 1024 * 1024;

/// Everything that requests share.
pub(crate) struct Service {
    pub index: Index,
    pub content: Arc<Content>,
    pub accounts: AccountBook,
    pub counters: Counters,
    pub issuers: Issuers,
    /// What user delegation keys are computed with.
    pub delegation_secret: Vec<u8>,
    pub faults: Faults,
    pub deletions: Deletions,
    pub requests: RequestLog,
    /// Told when something was detached that the sweeper has to clean up.
    pub garbage: tokio::sync::Notify,
}

pub(crate) async fn handle(
    request: HttpRequest,
    mut payload: web::Payload,
    service: web::Data<Service>,
) -> HttpResponse {
    let begun = clock::instant();
    let request_id = uuid::Uuid::new_v4().to_string();
    let mut seen = Seen { api: Api::Dfs, entry: Entry::of(&request, &request_id) };
    let outcome = serve(&request, &mut payload, &service, &mut seen).await;
    let Seen { api, mut entry } = seen;
    entry.duration = begun.elapsed();
    let mut response = match outcome {
        Ok(response) => response,
        Err(error) => {
            entry.code = Some(error.code_for(api));
            let is_drained = drain(&request, &mut payload).await;
            let mut response = error_response(&error, api, request.method(), &request_id);
            if !is_drained {
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            if error.status == StatusCode::UNAUTHORIZED
                && let Ok(challenge) = service.issuers.challenge().parse()
            {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            response
        }
    };
    service.requests.add(entry.answered(&request, &response));
    stamp(&mut response, &request_id, request.headers());
    response
}

/// The headers that every answer carries; `sent` are the request's.
pub(crate) fn stamp(response: &mut HttpResponse, request_id: &str, sent: &HeaderMap) {
    let sent = |name: &str| sent.get(name).cloned();
    let headers = response.headers_mut();
    let mut put = |name: &'static str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("x-ms-request-id", HeaderValue::from_str(request_id).ok());
    put("x-ms-version", sent("x-ms-version").or_else(|| HeaderValue::from_str(OLDEST_VERSION).ok()));
    put("x-ms-client-request-id", sent("x-ms-client-request-id"));
}

/// What came to light about a request while it was served, also when it was refused.
struct Seen {
    api: Api,
    entry: Entry,
}

async fn serve(
    request: &HttpRequest,
    payload: &mut web::Payload,
    service: &web::Data<Service>,
    seen: &mut Seen,
) -> Result<HttpResponse, ServiceError> {
    let call = Call::parse(request, |name| service.accounts.get(name).is_some())?;
    seen.api = call.api;
    seen.entry.account = Some(call.location.account.clone());
    let account = service.accounts.get(&call.location.account).ok_or_else(ServiceError::account_not_found)?;
    let counters = service.counters.of(&account.name);
    let outcome = async {
        check_version(&call)?;
        let caller = authorization::authenticate(&call, &account, service).await?;
        let operation = Operation::of(&call)?;
        counters.add_request(operation.name());
        seen.entry.operation = Some(operation.name());
        tracing::debug!(
            operation = operation.name(),
            account = account.name,
            path = call.raw_path,
            "request"
        );
        let plan = service.faults.plan(&call, operation.name())?;
        seen.entry.faults = plan.struck().to_vec();
        let context = Context { call, account, caller, service: service.clone(), counters: counters.clone() };
        let run = async |payload: &mut web::Payload| operations::run(operation, context, payload).await;
        let response = plan.around(request, payload, run).await?;
        // A file's bytes are counted while they are sent, and HEAD only announces a length.
        if let (BodySize::Sized(bytes), false) = (response.body().size(), operation == Operation::PathRead)
            && *request.method() != Method::HEAD
        {
            counters.add_egress(bytes);
        }
        Ok(response)
    }
    .await;
    if let Err(ServiceError { status, .. }) = &outcome {
        counters.add_status(status.as_u16());
    }
    outcome
}

/// Takes in what is left of a refused body, within reason: a client that is still sending would not read the answer. One that
/// announces more than that is answered at once, and the connection ends with it.
async fn drain(request: &HttpRequest, payload: &mut web::Payload) -> bool {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let mut left = MAX_DRAINED_BYTES;
    if announced > left {
        return false;
    }
    while let Some(Ok(chunk)) = payload.next().await {
        left = left.saturating_sub(chunk.len() as u64);
        if left == 0 {
            return false;
        }
    }
    true
}

fn check_version(call: &Call) -> Result<(), ServiceError> {
    let Some(version) = call.header("x-ms-version") else {
        return Ok(());
    };
    let shape = version.len() == 10
        && version
            .char_indices()
            .all(|(at, c)| if at == 4 || at == 7 { c == '-' } else { c.is_ascii_digit() });
    if !shape {
        return Err(ServiceError::invalid_header("x-ms-version", "expected a date such as 2023-11-03"));
    }
    if version < OLDEST_VERSION {
        return Err(ServiceError::unsupported_rest_version());
    }
    Ok(())
}

pub(crate) fn error_response(
    error: &ServiceError,
    api: Api,
    method: &Method,
    request_id: &str,
) -> HttpResponse {
    let mut builder = HttpResponse::build(error.status);
    builder.insert_header(("x-ms-error-code", error.code_for(api)));
    // As on the service; of the answer to a HEAD this is the only text that the Hadoop driver has to show.
    if let Cow::Borrowed(reason) = error.message {
        builder.reason(reason);
    }
    if let Some(existing) = error.existing {
        builder.insert_header(("x-ms-existing-resource-type", existing.as_str()));
    }
    if let Some(seconds) = error.retry_after_seconds {
        builder.insert_header((RETRY_AFTER, seconds));
    }
    if let Some(length) = error.full_length {
        builder.insert_header(("Content-Range", format!("bytes */{length}")));
    }
    if *method == Method::HEAD || error.status == StatusCode::NOT_MODIFIED {
        return builder.finish();
    }
    let (content_type, body) = error.body_for(api, request_id);
    builder.insert_header((CONTENT_TYPE, content_type)).body(body)
}
