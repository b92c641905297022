//! The token endpoint: client credentials of a service principal for an access token of one hour.
//!
//! Refusals have the shape of Microsoft Entra, not of ARM: that is what MSAL shows to its user.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use livedata_arm::ArmError;
use serde_json::json;
use time::Duration;
use uuid::Uuid;

use super::discovery::{check_tenant, issuer};
use super::{Claims, CloudDescription};
use crate::app::App;
use crate::clock;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};

/// The resource that storage clients ask tokens for, in every cloud.
const STORAGE: &str = "https://storage.azure.com";
const TOKEN_LIFE: Duration = Duration::hours(1);

pub(super) struct TenantNotFound;

pub(super) fn tenant_not_found(tenant: &str) -> Reply {
    let text = format!("Tenant '{tenant}' not found. Check that the tenant id is the one of this cloud.");
    refused(400, "invalid_tenant", 90002, &text)
}

pub(crate) fn token(app: &App, request: &Incoming, tenant: &str) -> Outcome {
    if request.method != Method::Post {
        return Err(method_not_allowed(request));
    }
    if let Err(TenantNotFound) = check_tenant(app, tenant) {
        return Ok(tenant_not_found(tenant));
    }
    let form: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let field =
        |name: &str| form.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());

    if field("grant_type") != "client_credentials" {
        let text = "Only the grant type 'client_credentials' is served: sign in as a service principal with a secret.";
        return Ok(refused(400, "unsupported_grant_type", 70003, text));
    }
    let client_id = field("client_id");
    let Some(principal) =
        app.service_principals.iter().find(|principal| principal.client_id.eq_ignore_ascii_case(client_id))
    else {
        let text = format!(
            "Application with identifier '{client_id}' was not found in the directory of this cloud."
        );
        return Ok(refused(400, "unauthorized_client", 700016, &text));
    };
    if !same_secret(&principal.client_secret, field("client_secret")) {
        let text = format!("Invalid client secret provided for app '{client_id}'.");
        return Ok(refused(401, "invalid_client", 7000215, &text));
    }
    let Some(audience) = audience(app, field("scope")) else {
        let text = format!("The scope '{}' names no resource of this cloud.", field("scope"));
        return Ok(refused(400, "invalid_resource", 500011, &text));
    };

    let now = clock::now();
    let claims = Claims {
        aud: audience,
        iss: issuer(app),
        iat: now.unix_timestamp(),
        nbf: now.unix_timestamp(),
        exp: (now + TOKEN_LIFE).unix_timestamp(),
        appid: principal.client_id.clone(),
        idtyp: "app".to_owned(),
        oid: principal.client_id.clone(),
        sub: principal.client_id.clone(),
        tid: app.tenant_id.clone(),
        uti: Uuid::new_v4().simple().to_string(),
        ver: "2.0".to_owned(),
    };
    let access_token = app.signing_key.sign(&claims).map_err(|error| {
        tracing::error!(%error, "a token could not be signed");
        ArmError::new(
            500,
            "InternalServerError",
            "The token could not be signed. See the log of the front door.",
        )
    })?;
    let life = TOKEN_LIFE.whole_seconds();
    let granted = json!({
        "token_type": "Bearer",
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": access_token,
    });
    Ok(Reply::json(200, &granted).with("cache-control", "no-store").with("pragma", "no-cache"))
}

/// Compares digests, so that neither the time taken nor the length tells anything about the secret.
fn same_secret(expected: &str, given: &str) -> bool {
    let expected = digest(&SHA256, expected.as_bytes());
    let given = digest(&SHA256, given.as_bytes());
    verify_slices_are_equal(expected.as_ref(), given.as_ref()).is_ok()
}

/// `https://host//.default` asks for `https://host/`, `https://host/.default` for `https://host`.
///
/// Tokens for storage open the storage emulator, and nothing here.
fn audience(app: &App, scope: &str) -> Option<String> {
    let resource = scope.split(' ').find_map(|one| one.strip_suffix("/.default"))?;
    let cloud = CloudDescription { name: &app.cloud_name, public_url: &app.public_url };
    let arm = [cloud.audience(), app.public_url.clone()];
    let storage = [STORAGE.to_owned(), format!("{STORAGE}/")];
    arm.into_iter().chain(storage).find(|known| known.eq_ignore_ascii_case(resource))
}

fn refused(status: u16, error: &str, code: u32, text: &str) -> Reply {
    let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
    let timestamp = clock::rfc3339(clock::now());
    let body = json!({
        "error": error,
        "error_description":
            format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"),
        "error_codes": [code],
        "timestamp": timestamp,
        "trace_id": trace.to_string(),
        "correlation_id": correlation.to_string(),
    });
    Reply::json(status, &body)
}
