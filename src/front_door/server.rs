//! From socket to [`Incoming`] and from [`Reply`] to socket: the only file that knows the web framework's requests.

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use futures::StreamExt;
use livedata_arm::ArmError;
use livedata_telemetry::trace;
use tracing::Instrument as _;

use crate::app::App;
use crate::dispatch;
use crate::reply::Reply;
use crate::request::{Incoming, MAX_BODY_BYTES, Method, body_too_long};

pub(crate) async fn serve(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let incoming = read(&request, payload).await;
    let span = tracing::info_span!(
        "arm",
        otel.kind = "server",
        method = request.method().as_str(),
        path = request.path()
    );
    if let Ok(incoming) = &incoming {
        trace::continue_from(&span, incoming.header(trace::TRACEPARENT));
    }
    let reply = dispatch::answer(&app.into_inner(), incoming).instrument(span).await;
    respond(reply, request.method().as_str() == "HEAD")
}

async fn read(request: &HttpRequest, mut payload: web::Payload) -> Result<Incoming, ArmError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ArmError::new(
                400,
                "InvalidRequestContent",
                format!("The request body could not be read: {error}."),
            )
        })?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(body_too_long());
        }
        body.extend_from_slice(&chunk);
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let method = Method::parse(request.method().as_str());
    Incoming::new(method, target, headers(request.headers()), body.freeze())
}

/// Headers whose values are not text mean nothing to ARM.
fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn respond(reply: Reply, head: bool) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::build(status);
    for (name, value) in reply.headers {
        response.append_header((name, value));
    }
    if head || reply.body.is_empty() { response.finish() } else { response.body(reply.body) }
}
