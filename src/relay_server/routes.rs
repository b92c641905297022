//! The three upgrades: listen, connect, accept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{HttpRequest, HttpResponse, rt, web};
use livedata_relay::address::{ACTION, Action, ID, PREFIX, RENDEZVOUS, TOKEN_HEADER, Target, normal_path};
use livedata_relay::authorization::{Refusal, Right};
use livedata_relay::frames::{Accept, RemoteEndpoint};
use tokio::time::timeout;
use uuid::Uuid;

use crate::control::Control;
use crate::hub::{Answer, Hub};
use crate::leg::{LONGEST_FRAME_BYTES, Link, Side, pump};

/// What a full path and a stopping relay tell clients to wait.
const BUSY_RETRY: Duration = Duration::from_secs(10);

/// Answers every request to this server.
pub(crate) async fn upgrade(
    request: HttpRequest,
    payload: web::Payload,
    hub: web::Data<Hub>,
) -> HttpResponse {
    serve(&request, payload, hub.into_inner()).await.unwrap_or_else(|refused| refused)
}

async fn serve(
    request: &HttpRequest,
    payload: web::Payload,
    hub: Arc<Hub>,
) -> Result<HttpResponse, HttpResponse> {
    if let Err(wait) = hub.admit(request.peer_addr().map(|address| address.ip())) {
        return Err(busy(StatusCode::TOO_MANY_REQUESTS, "too many upgrades from this address", wait));
    }
    if hub.stopping.is_cancelled() {
        return Err(busy(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping", BUSY_RETRY));
    }
    let uri = request.uri();
    let target = Target::parse(uri.path(), uri.query().unwrap_or_default())
        .map_err(|bad| plain(StatusCode::NOT_FOUND, bad.to_string()))?;
    if !header_value(request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        let message = "only for WebSocket requests; does a proxy remove the Upgrade header?";
        return Err(plain(StatusCode::BAD_REQUEST, message));
    }
    match target.action {
        Action::Listen => listen(request, payload, hub, target),
        Action::Connect => connect(request, payload, hub, target).await,
        Action::Accept => accept(request, payload, &hub, target),
    }
}

fn listen(
    request: &HttpRequest,
    payload: web::Payload,
    hub: Arc<Hub>,
    target: Target,
) -> Result<HttpResponse, HttpResponse> {
    let path = normal_path(&target.raw_path);
    let host = header_value(request, "host").unwrap_or_default().to_owned();
    let authorized = hub.authorize(token(request, &target), Right::Listen, &host, &path).map_err(refused)?;
    if path.is_empty() {
        return Err(plain(StatusCode::NOT_FOUND, "the address names no path to listen on"));
    }
    let registration = hub.register(&path).ok_or_else(|| {
        busy(StatusCode::TOO_MANY_REQUESTS, "this path has as many listeners as it may have", BUSY_RETRY)
    })?;
    let (response, session, stream) = actix_ws::handle(request, payload).map_err(bad_upgrade)?;
    let control = Control { hub, registration, path, host, ends_at_seconds: authorized.ends_at_seconds };
    rt::spawn(control.run(session, stream));
    Ok(response)
}

/// The sender's 101 is late: it comes when a listener has taken the stream.
async fn connect(
    request: &HttpRequest,
    payload: web::Payload,
    hub: Arc<Hub>,
    target: Target,
) -> Result<HttpResponse, HttpResponse> {
    let path = normal_path(&target.raw_path);
    let host = header_value(request, "host").unwrap_or_default();
    hub.authorize(token(request, &target), Right::Send, host, &path).map_err(refused)?;

    let mut waiting = hub
        .wait()
        .ok_or_else(|| plain(StatusCode::INTERNAL_SERVER_ERROR, "the system gives no random numbers"))?;
    let id = target.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let message = Accept {
        address: rendezvous_address(&hub, &target, &id, &waiting.secret),
        connect_headers: forwarded_headers(request),
        remote_endpoint: request
            .peer_addr()
            .map(|peer| RemoteEndpoint { address: peer.ip().to_string(), port: peer.port() }),
        id,
    };
    let message = message.to_json().map_err(|e| {
        plain(StatusCode::INTERNAL_SERVER_ERROR, format!("the request cannot be passed on: {e}"))
    })?;

    let met = async {
        loop {
            let Some(listener) = hub.choose(&path) else {
                return Err(plain(StatusCode::NOT_FOUND, "nobody listens on this path"));
            };
            // Fails when the listener went away since it was chosen; it is not chosen again.
            if listener.send(message.clone()).await.is_ok() {
                break;
            }
        }
        (&mut waiting.answer)
            .await
            .map_err(|_| plain(StatusCode::BAD_GATEWAY, "the listener's answer broke off"))
    };
    let answer = tokio::select! {
        met = timeout(hub.limits.rendezvous_timeout, met) => {
            met.unwrap_or_else(|_| Err(plain(StatusCode::GATEWAY_TIMEOUT, "the listener did not answer in time")))?
        }
        () = hub.stopping.cancelled() => {
            return Err(busy(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping", BUSY_RETRY));
        }
    };
    match answer {
        Answer::Accepted { link, protocol } => {
            let protocols: Vec<&str> = protocol.iter().map(String::as_str).collect();
            let (response, session, stream) =
                actix_ws::handle_with_protocols(request, payload, &protocols).map_err(bad_upgrade)?;
            let stream = stream.max_frame_size(LONGEST_FRAME_BYTES);
            rt::spawn(pump(Side::Sender, session, stream, link, hub.stopping.clone()));
            Ok(response)
        }
        Answer::Rejected { status, description } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
            let via = format!("1.1 {}", hub.public_url.host_str().unwrap_or_default());
            // `Via` tells the sender that this is the listener's word and not ours.
            Err(HttpResponse::build(status)
                .insert_header((header::VIA, via))
                .content_type(ContentType::plaintext())
                .body(description))
        }
    }
}

/// No token here: the secret in the address is the proof.
fn accept(
    request: &HttpRequest,
    payload: web::Payload,
    hub: &Hub,
    target: Target,
) -> Result<HttpResponse, HttpResponse> {
    let unknown = || plain(StatusCode::FORBIDDEN, "this rendezvous address is unknown, used or too old");
    let secret = target.rendezvous.as_deref().ok_or_else(unknown)?;
    if let Some((status, description)) = target.refusal {
        if !(400..600).contains(&status) {
            return Err(plain(StatusCode::BAD_REQUEST, "sb-hc-statusCode must be between 400 and 599"));
        }
        let sender = hub.meet(secret).ok_or_else(unknown)?;
        // A sender that has left needs no answer.
        let _ = sender.send(Answer::Rejected { status, description });
        return Err(plain(StatusCode::GONE, "the sender was told"));
    }

    let protocol = header_value(request, "sec-websocket-protocol")
        .and_then(|offer| offer.split(',').next())
        .map(|protocol| protocol.trim().to_owned());
    let protocols: Vec<&str> = protocol.iter().map(String::as_str).collect();
    // Before the secret is spent: a malformed upgrade must not use it up.
    let (response, session, stream) =
        actix_ws::handle_with_protocols(request, payload, &protocols).map_err(bad_upgrade)?;
    let (ours, theirs) = Link::pair();
    hub.meet(secret)
        .and_then(|sender| sender.send(Answer::Accepted { link: theirs, protocol }).ok())
        .ok_or_else(unknown)?;
    let stream = stream.max_frame_size(LONGEST_FRAME_BYTES);
    rt::spawn(pump(Side::Listener, session, stream, ours, hub.stopping.clone()));
    Ok(response)
}

fn rendezvous_address(hub: &Hub, target: &Target, id: &str, secret: &str) -> String {
    let mut url = hub.public_url.clone();
    url.set_path(&format!("/{PREFIX}/{}", target.raw_path));
    url.set_query(Some(&target.application_query).filter(|query| !query.is_empty()).map(String::as_str));
    url.query_pairs_mut()
        .append_pair(ACTION, Action::Accept.as_str())
        .append_pair(ID, id)
        .append_pair(RENDEZVOUS, secret);
    url.to_string()
}

/// Everything the sender sent, without its token and without extensions, which are negotiated by leg and not supported.
fn forwarded_headers(request: &HttpRequest) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (name, value) in request.headers() {
        let hidden = [TOKEN_HEADER, "sec-websocket-extensions"]
            .iter()
            .any(|one| name.as_str().eq_ignore_ascii_case(one));
        if let Ok(value) = value.to_str()
            && !hidden
        {
            headers.entry(title_case(name.as_str())).or_insert_with(|| value.to_owned());
        }
    }
    headers
}

/// `sec-websocket-key` to `Sec-Websocket-Key`, except for the one part that listeners look up in its own spelling.
fn title_case(name: &str) -> String {
    let part = |part: &str| match part {
        "websocket" => "WebSocket".to_owned(),
        other => {
            let (first, rest) = other.split_at_checked(1).unwrap_or((other, ""));
            first.to_ascii_uppercase() + rest
        }
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

fn token<'a>(request: &'a HttpRequest, target: &'a Target) -> Option<&'a str> {
    target.token.as_deref().or_else(|| header_value(request, TOKEN_HEADER))
}

fn header_value<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn refused(refusal: Refusal) -> HttpResponse {
    match refusal {
        Refusal::Unauthorized(reason) => plain(StatusCode::UNAUTHORIZED, reason),
        Refusal::Forbidden(reason) => plain(StatusCode::FORBIDDEN, reason),
    }
}

fn bad_upgrade(error: actix_web::Error) -> HttpResponse {
    plain(StatusCode::BAD_REQUEST, error.to_string())
}

fn plain(status: StatusCode, text: impl Into<String>) -> HttpResponse {
    HttpResponse::build(status).content_type(ContentType::plaintext()).body(text.into())
}

fn busy(status: StatusCode, text: &str, wait: Duration) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::RETRY_AFTER, wait.as_secs().max(1).to_string()))
        .content_type(ContentType::plaintext())
        .body(text.to_owned())
}
