//! Passing a request on to the provider it is for.
//!
//! Only headers of a fixed list go through, in both directions. Everything that says who calls (`authorization`,
//! `x-ms-arm-*`, `x-ms-client-tenant-id`, …) is this front door's own word, so nothing a client sends can pass for it.

use livedata_arm::{SystemData, headers};
use livedata_telemetry::trace;
use tracing::Span;
use uuid::Uuid;

use crate::app::App;
use crate::clock;
use crate::dispatch::method_not_allowed;
use crate::registration;
use crate::reply::{Outcome, Refusal, Reply};
use crate::request::{Incoming, Method};
use crate::sign_in::Caller;
use crate::upstream::Upstream;

const PASSED_TO_PROVIDER: [&str; 9] = [
    "accept",
    "accept-language",
    "content-type",
    "if-match",
    "if-none-match",
    "prefer",
    "tracestate",
    "user-agent",
    headers::RETURN_CLIENT_REQUEST_ID,
];
const PASSED_TO_CLIENT: [&str; 6] =
    ["content-type", "content-language", "location", headers::ASYNC_OPERATION, "retry-after", "etag"];

/// In whose name, and for which request, a provider is called.
pub(crate) struct OnBehalfOf {
    app_id: String,
    tenant_id: String,
    public_url: String,
    correlation_id: String,
    client_request_id: String,
}

impl OnBehalfOf {
    pub fn of(request: &Incoming, caller: &Caller, app: &App) -> Self {
        Self {
            app_id: caller.app_id.clone(),
            tenant_id: app.tenant_id.clone(),
            public_url: app.public_url.clone(),
            correlation_id: request.correlation_id.clone(),
            client_request_id: request.client_request_id.clone(),
        }
    }

    /// Work that outlived the request that asked for it.
    pub fn background(app_id: &str, app: &App) -> Self {
        Self {
            app_id: app_id.to_owned(),
            tenant_id: app.tenant_id.clone(),
            public_url: app.public_url.clone(),
            correlation_id: Uuid::new_v4().to_string(),
            client_request_id: Uuid::new_v4().to_string(),
        }
    }

    /// The headers that ARM adds. `target` is path and query as the client sent them.
    pub fn headers(&self, target: &str, changes: bool) -> Vec<(String, String)> {
        let mut added = vec![
            (headers::REFERER.to_owned(), format!("{}{target}", self.public_url)),
            (headers::CORRELATION_REQUEST_ID.to_owned(), self.correlation_id.clone()),
            (headers::CLIENT_REQUEST_ID.to_owned(), self.client_request_id.clone()),
            (headers::HOME_TENANT_ID.to_owned(), self.tenant_id.clone()),
            (headers::CLIENT_TENANT_ID.to_owned(), self.tenant_id.clone()),
        ];
        if changes {
            let system_data = serde_json::to_string(&self.system_data()).unwrap_or_default();
            added.push((headers::SYSTEM_DATA.to_owned(), system_data));
        }
        added
    }

    fn system_data(&self) -> SystemData {
        let (by, kind, at) = (self.app_id.clone(), "Application".to_owned(), clock::rfc3339(clock::now()));
        SystemData {
            created_by: Some(by.clone()),
            created_by_type: Some(kind.clone()),
            created_at: Some(at.clone()),
            last_modified_by: Some(by),
            last_modified_by_type: Some(kind),
            last_modified_at: Some(at),
        }
    }
}

pub(crate) async fn forward(app: &App, request: &Incoming, caller: &Caller, upstream: &Upstream) -> Outcome {
    let target = if request.query.is_empty() {
        request.path.clone()
    } else {
        format!("{}?{}", request.path, request.query)
    };
    forward_to(app, request, caller, upstream, &target).await
}

/// To another address than the client's; `target` is path and query.
pub(crate) async fn forward_to(
    app: &App,
    request: &Incoming,
    caller: &Caller,
    upstream: &Upstream,
    target: &str,
) -> Outcome {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Post => reqwest::Method::POST,
        Method::Delete => reqwest::Method::DELETE,
        Method::Other => return Err(method_not_allowed(request)),
    };
    let changes = !matches!(request.method, Method::Get | Method::Head);
    let mut sent = OnBehalfOf::of(request, caller, app).headers(&request.target, changes);
    for name in PASSED_TO_PROVIDER {
        if let Some(value) = request.header(name) {
            sent.push((name.to_owned(), value.to_owned()));
        }
    }
    let trace = trace::traceparent(&Span::current(), request.header(trace::TRACEPARENT));
    sent.extend(trace.map(|trace| (trace::TRACEPARENT.to_owned(), trace)));
    registration::introduce(app, upstream).await?;
    let answer = upstream.call(method, target, sent, request.body.clone()).await.map_err(|error| {
        let again = app.retry_after_seconds.to_string();
        if error.status == 503 { Refusal::from(error).with("retry-after", again) } else { error.into() }
    })?;
    let passed = |name: &str| PASSED_TO_CLIENT.contains(&name) || name.starts_with("x-ms-");
    let headers = answer.headers.into_iter().filter(|(name, _)| passed(name)).collect();
    Ok(Reply { status: answer.status, headers, body: answer.body })
}
