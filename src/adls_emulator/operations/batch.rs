//! Blob Batch: up to 256 deletions or changes of tier in one request (<https://learn.microsoft.com/rest/api/storageservices/blob-batch>).
//!
//! Each request inside is authenticated, authorised and counted by itself, and its outcome stands in its part of the reply;
//! what one is refused for keeps no other from being done. A batch that cannot be understood as a whole does nothing: as on
//! the service its reply is then 202 all the same, with a single part that bears no id and says why.
//!
//! Rules for faults and the log see the batch, not what is in it.

mod parts;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, web};

use super::{Context, Operation, read_body};
use crate::authorization;
use crate::request::{Api, Call};
use crate::server;
use crate::service_error::ServiceError;
use parts::Part;

const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
const MAX_PARTS: usize = 256;
const VERSION: &str = "x-ms-version";

pub(super) async fn submit(
    context: &Context,
    payload: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let boundary = boundary(&context.call)?;
    let length = context.call.header("content-length").ok_or_else(ServiceError::missing_content_length)?;
    if length.parse().is_ok_and(|length: usize| length > MAX_BODY_BYTES) {
        return Err(ServiceError::request_body_too_large());
    }
    let body = read_body(payload, MAX_BODY_BYTES).await?;
    context.counters.add_ingress(body.len() as u64);
    let mut reply = Reply::new();
    match requests(context, &body, &boundary) {
        Ok(requests) => {
            for request in requests {
                let id = request.content_id.clone();
                let headers = request.call.headers.clone();
                let outcome = serve(context, request, payload).await;
                reply.add(id.as_deref(), &headers, outcome).await;
            }
        }
        Err(error) => reply.add(None, &context.call.headers, Err(error)).await,
    }
    Ok(reply.finish())
}

fn boundary(call: &Call) -> Result<String, ServiceError> {
    let name = "Content-Type";
    let mut given = call.header(name).ok_or_else(|| ServiceError::missing_header(name))?.split(';');
    let mixed = given.next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("multipart/mixed"));
    let boundary = given.find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    });
    match boundary.filter(|boundary| mixed && !boundary.is_empty()) {
        Some(boundary) => Ok(boundary.to_owned()),
        None => Err(ServiceError::invalid_header(name, "expected multipart/mixed with a boundary")),
    }
}

/// One request of the batch, understood.
struct Request {
    content_id: Option<String>,
    operation: Operation,
    call: Call,
}

/// All of them, or why the batch as a whole is refused.
fn requests(context: &Context, body: &[u8], boundary: &str) -> Result<Vec<Request>, ServiceError> {
    let body = std::str::from_utf8(body).map_err(|_| ServiceError::invalid_input())?;
    let parts = parts::parse(body, boundary).ok_or_else(ServiceError::invalid_input)?;
    if parts.len() > MAX_PARTS {
        return Err(ServiceError::too_many_in_batch());
    }
    let requests = parts.into_iter().map(|part| request(context, part)).collect::<Result<Vec<_>, _>>()?;
    let first = requests.first().ok_or_else(ServiceError::invalid_input)?.operation;
    match requests.iter().all(|request| request.operation == first) {
        true => Ok(requests),
        false => Err(ServiceError::batch_of_several_kinds()),
    }
}

fn request(context: &Context, part: Part) -> Result<Request, ServiceError> {
    let Part { content_id, method, target, headers } = part;
    let known = |name: &str| context.service.accounts.get(name).is_some();
    let call = context.call.inside(method, &target, headers, known)?;
    let of_batch = &context.call.location;
    let elsewhere = call.location.account != of_batch.account
        || (of_batch.filesystem.is_some() && call.location.filesystem != of_batch.filesystem);
    if elsewhere {
        return Err(ServiceError::invalid_input());
    }
    match Operation::of(&call)? {
        operation @ (Operation::PathDelete | Operation::BlobSetTier) => {
            Ok(Request { content_id, operation, call })
        }
        _ => Err(ServiceError::invalid_input()),
    }
}

async fn serve(
    batch: &Context,
    request: Request,
    nothing: &mut web::Payload,
) -> Result<HttpResponse, ServiceError> {
    let Request { operation, mut call, .. } = request;
    let Context { account, service, counters, .. } = batch;
    let outcome = async {
        let caller = authorization::authenticate(&call, account, service).await?;
        // All of a batch is of the batch's version, which is not among what the parts have signed.
        if let Some(version) = batch.call.headers.get(VERSION) {
            call.headers.insert(HeaderName::from_static(VERSION), version.clone());
        }
        counters.add_request(operation.name());
        let (account, service, counters) = (account.clone(), service.clone(), counters.clone());
        let context = Context { call, account, caller, service, counters };
        Box::pin(super::run(operation, context, nothing)).await
    }
    .await;
    if let Err(ServiceError { status, .. }) = &outcome {
        counters.add_status(status.as_u16());
    }
    outcome
}

struct Reply {
    boundary: String,
    body: Vec<u8>,
}

impl Reply {
    fn new() -> Self {
        Self { boundary: format!("batchresponse_{}", uuid::Uuid::new_v4()), body: Vec::new() }
    }

    /// `headers`: of the request that is answered.
    async fn add(
        &mut self,
        id: Option<&str>,
        headers: &HeaderMap,
        outcome: Result<HttpResponse, ServiceError>,
    ) {
        let request_id = uuid::Uuid::new_v4().to_string();
        let mut response = outcome
            .unwrap_or_else(|error| server::error_response(&error, Api::Blob, &Method::POST, &request_id));
        server::stamp(&mut response, &request_id, headers);
        let id = id.map(|id| format!("Content-ID: {id}\r\n")).unwrap_or_default();
        let head = format!("--{}\r\nContent-Type: application/http\r\n{id}\r\n", self.boundary);
        self.body.extend_from_slice(head.as_bytes());
        let (head, body) = response.into_parts();
        let status = format!("HTTP/1.1 {} {}\r\n", head.status().as_u16(), head.head().reason());
        self.body.extend_from_slice(status.as_bytes());
        for (name, value) in head.headers() {
            self.header(name, value);
        }
        let body = actix_web::body::to_bytes(body).await.unwrap_or_default();
        if !body.is_empty() {
            self.body.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        self.body.extend_from_slice(b"\r\n");
        self.body.extend_from_slice(&body);
        self.body.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.body.extend_from_slice(name.as_str().as_bytes());
        self.body.extend_from_slice(b": ");
        self.body.extend_from_slice(value.as_bytes());
        self.body.extend_from_slice(b"\r\n");
    }

    fn finish(mut self) -> HttpResponse {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        HttpResponse::build(StatusCode::ACCEPTED)
            .content_type(format!("multipart/mixed; boundary={}", self.boundary))
            .body(self.body)
    }
}
