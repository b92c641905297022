//! Who answers a request: sign-in routes in the open, everything else for an authenticated caller.

use std::sync::Arc;

use livedata_arm::{ArmError, headers};
use uuid::Uuid;

use crate::app::App;
use crate::reply::{Outcome, Refusal, Reply};
use crate::request::{Incoming, Method};
use crate::route::{Route, Scoped};
use crate::sign_in::Caller;
use crate::{
    custom_providers, forward, groups, moves, registration, resources, sign_in, storage, subscriptions,
};

/// Answers, with the headers that every answer carries (rules 95, 96). A request that could not be read is refused.
pub(crate) async fn answer(app: &Arc<App>, request: Result<Incoming, ArmError>) -> Reply {
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let reply = Refusal::from(error).into_reply();
            return reply.with(headers::REQUEST_ID, Uuid::new_v4().to_string());
        }
    };
    let mut reply = match route(app, &request).await {
        Ok(reply) => reply,
        Err(refusal) => {
            let error = &refusal.error;
            tracing::info!(method = ?request.method, path = %request.path, status = error.status, code = %error.code,
                correlation = %request.correlation_id, "refused");
            refusal.into_reply()
        }
    };
    reply.headers.retain(|(name, _)| name != headers::CORRELATION_REQUEST_ID);
    if !reply.headers.iter().any(|(name, _)| name == headers::REQUEST_ID) {
        reply = reply.with(headers::REQUEST_ID, Uuid::new_v4().to_string());
    }
    let echo = request
        .header(headers::RETURN_CLIENT_REQUEST_ID)
        .is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    if echo && !reply.headers.iter().any(|(name, _)| name == headers::CLIENT_REQUEST_ID) {
        reply = reply.with(headers::CLIENT_REQUEST_ID, request.client_request_id.clone());
    }
    reply.with(headers::CORRELATION_REQUEST_ID, request.correlation_id)
}

async fn route(app: &Arc<App>, request: &Incoming) -> Outcome {
    let route = Route::parse(&request.segments).ok_or_else(|| {
        ArmError::new(404, "NotFound", format!("There is nothing at '{}'. Check the path.", request.path))
    })?;
    match route {
        Route::Metadata => return sign_in::metadata(app, request),
        Route::Discovery { tenant } => return sign_in::discovery(app, request, tenant),
        Route::SigningKeys { tenant } => return sign_in::signing_keys(app, request, tenant),
        Route::Token { tenant } => return sign_in::token(app, request, tenant),
        _ => {}
    }
    let caller = sign_in::authenticate(app, request)?;
    request.api_version()?;
    match route {
        Route::Subscriptions => subscriptions::list(app, request),
        Route::Tenants => subscriptions::tenants(app, request),
        Route::TenantLevel { namespace } => {
            forward::forward(app, request, &caller, upstream(app, namespace)?).await
        }
        Route::In { subscription, what } => {
            if !subscription.eq_ignore_ascii_case(&app.subscription_id) {
                let message = format!("The subscription '{subscription}' could not be found.");
                return Err(ArmError::new(404, "SubscriptionNotFound", message).into());
            }
            scoped(app, request, &caller, what).await
        }
        Route::Metadata | Route::Discovery { .. } | Route::SigningKeys { .. } | Route::Token { .. } => {
            Err(method_not_allowed(request))
        }
    }
}

async fn scoped(app: &Arc<App>, request: &Incoming, caller: &Caller, what: Scoped<'_>) -> Outcome {
    match what {
        Scoped::Subscription => subscriptions::show(app, request),
        Scoped::Locations => subscriptions::locations(app, request),
        Scoped::Groups => groups::list(app, request).await,
        Scoped::Group { group } => groups::one(app, request, caller, group).await,
        Scoped::DeletionResult { operation } => groups::deletion_result(app, request, operation).await,
        Scoped::Resources => resources::list(app, request, caller, None).await,
        Scoped::GroupResources { group } => {
            groups::existing(app, group).await?;
            resources::list(app, request, caller, Some(group)).await
        }
        Scoped::Move { group } => moves::answer(app, request, caller, group).await,
        Scoped::Providers => registration::list(app, request).await,
        Scoped::Provider { namespace } => registration::show(app, request, namespace).await,
        Scoped::Register { namespace } => registration::register(app, request, namespace).await,
        Scoped::Unregister { namespace } => registration::unregister(app, request, caller, namespace).await,
        Scoped::Provided { group, namespace, rest } => {
            provided(app, request, caller, group, namespace, &rest).await
        }
    }
}

async fn provided(
    app: &Arc<App>,
    request: &Incoming,
    caller: &Caller,
    group: Option<&str>,
    namespace: &str,
    rest: &[&str],
) -> Outcome {
    let known = storage::serves(namespace)
        || custom_providers::serves(namespace)
        || app.upstream(namespace).is_some();
    if !known {
        return Err(registration::unknown_namespace(namespace).into());
    }
    if let Some(group) = group {
        let group = groups::existing(app, group).await?;
        if request.method == Method::Put {
            group.refuse_while_deleting()?;
        }
    }
    if request.method.is_write() {
        registration::require(app, namespace).await?;
    }
    if storage::serves(namespace) {
        return storage::answer(app, request, group, rest).await;
    }
    if custom_providers::serves(namespace) {
        return custom_providers::answer(app, request, group, rest).await;
    }
    forward::forward(app, request, caller, upstream(app, namespace)?).await
}

fn upstream<'a>(app: &'a App, namespace: &str) -> Result<&'a crate::upstream::Upstream, Refusal> {
    app.upstream(namespace).ok_or_else(|| registration::unknown_namespace(namespace).into())
}

pub(crate) fn method_not_allowed(request: &Incoming) -> Refusal {
    let message = format!("'{}' does not take this method.", request.path);
    ArmError::new(405, "MethodNotAllowed", message).into()
}
