//! OpenID Connect discovery and the public half of the signing key.

use serde_json::{Value, json};

use super::token::{TenantNotFound, tenant_not_found};
use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};

pub(crate) fn discovery(app: &App, request: &Incoming, tenant: &str) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    if let Err(TenantNotFound) = check_tenant(app, tenant) {
        return Ok(tenant_not_found(tenant));
    }
    let base = format!("{}/{}", app.public_url, app.tenant_id);
    Ok(Reply::json(
        200,
        &json!({
            "issuer": issuer(app),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": ["token"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": null,
        }),
    ))
}

pub(crate) fn signing_keys(app: &App, request: &Incoming, tenant: &str) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    if let Err(TenantNotFound) = check_tenant(app, tenant) {
        return Ok(tenant_not_found(tenant));
    }
    Ok(Reply::json(200, &json!({ "keys": [app.signing_key.public_key()] })))
}

/// What a service needs to know to take the tokens of this cloud.
pub(crate) fn token_issuer(app: &App) -> Value {
    json!({ "issuer": issuer(app), "keys": [app.signing_key.public_key()] })
}

pub(super) fn issuer(app: &App) -> String {
    format!("{}/{}/v2.0", app.public_url, app.tenant_id)
}

/// The tenant itself, or one of the words that stand for "whichever tenant".
pub(super) fn check_tenant(app: &App, tenant: &str) -> Result<(), TenantNotFound> {
    let known = [app.tenant_id.as_str(), "common", "organizations"];
    if known.iter().any(|name| name.eq_ignore_ascii_case(tenant)) { Ok(()) } else { Err(TenantNotFound) }
}
