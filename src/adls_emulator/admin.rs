//! The admin endpoint: accounts, keys, counters and [`knobs`] as JSON, for whoever holds the admin token.
//!
//! `PUT|GET|DELETE /accounts/{name}`, `GET /accounts`, `POST /accounts/{name}/regenerateKey` with `{"keyName": "key1"}`,
//! `GET /accounts/{name}/filesystems/{filesystem}`, `GET /counters`, `GET|PUT /accounts/{name}/roles` with `[{"principalId": object id, "role": "Reader"|"Contributor"|"Owner"}]`
//! (the data roles of Azure RBAC on the account), `GET|PUT /tokenIssuers` with `{"issuer": …, "audiences": […], "keys": […]}`.
//! `GET /health` is for everybody.

mod knobs;

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Responder as _, web};
use serde::{Deserialize, Serialize};

use crate::account::{self, Account};
use crate::authorization::{Issuer, Role};
use crate::faults::Limits;
use crate::index;
use crate::server::Service;
use crate::service_error::ServiceError;

const MAX_RETENTION_DAYS: u32 = 365;

pub(crate) struct Admin {
    pub token: String,
    /// Scheme, host and port of the storage endpoint.
    pub storage_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountRequest {
    #[serde(default = "yes")]
    hierarchical_namespace: bool,
    #[serde(default = "default_kind")]
    kind: String,
    /// For how many days deleted paths can be brought back; zero for not at all. What is set stays when it is left out.
    delete_retention_days: Option<u32>,
}

fn yes() -> bool {
    true
}

fn default_kind() -> String {
    "StorageV2".to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegenerateRequest {
    key_name: String,
}

/// A data role on an account, of a user, group or service principal by its object id.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleAssignment {
    principal_id: String,
    role: Role,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountReply {
    name: String,
    kind: String,
    hierarchical_namespace: bool,
    keys: Vec<KeyReply>,
    endpoints: EndpointsReply,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyReply {
    key_name: &'static str,
    value: String,
}

#[derive(Serialize)]
struct EndpointsReply {
    dfs: String,
    blob: String,
}

pub(crate) async fn handle(
    request: HttpRequest,
    body: web::Bytes,
    admin: web::Data<Admin>,
    service: web::Data<Service>,
) -> HttpResponse {
    let outcome = serve(&request, &body, &admin, &service).await;
    outcome.unwrap_or_else(|error| {
        let body = serde_json::json!({ "error": { "code": error.code, "message": error.message } });
        HttpResponse::build(error.status).json(body)
    })
}

async fn serve(
    request: &HttpRequest,
    body: &[u8],
    admin: &Admin,
    service: &Service,
) -> Result<HttpResponse, ServiceError> {
    if request.method() == Method::GET && request.path() == "/health" {
        // Whatever is wrong with the index is an error here.
        service.index.read(index::next_expiry).await?;
        return Ok(HttpResponse::Ok().json(serde_json::json!({ "status": "serving" })));
    }
    if !authorised(request, &admin.token) {
        let message = "The Authorization header is not 'Bearer' with this emulator's admin token.";
        return Err(ServiceError::new(StatusCode::UNAUTHORIZED, "Unauthorized", message));
    }
    let segments: Vec<&str> = request.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let ok = |account: &Account| HttpResponse::Ok().json(describe(account, admin));
    match (request.method().as_str(), segments.as_slice()) {
        ("GET", ["counters"]) => Ok(HttpResponse::Ok().json(service.counters.to_json())),
        ("GET", ["tokenIssuers"]) => Ok(HttpResponse::Ok().json(&*service.issuers.all())),
        ("PUT", ["tokenIssuers"]) => {
            service.issuers.save(&service.index, parse::<Issuer>(body)?).await?;
            Ok(HttpResponse::Ok().finish())
        }
        ("GET", ["accounts", name, "roles"]) => {
            let name = require(service, name)?.name.clone();
            let roles = service.index.read(move |connection| index::roles(connection, &name)).await?;
            let assignments: Vec<RoleAssignment> =
                roles.into_iter().map(|(principal_id, role)| RoleAssignment { principal_id, role }).collect();
            Ok(HttpResponse::Ok().json(assignments))
        }
        ("PUT", ["accounts", name, "roles"]) => {
            let name = require(service, name)?.name.clone();
            let roles: Vec<(String, Role)> = parse::<Vec<RoleAssignment>>(body)?
                .into_iter()
                .map(|assignment| (assignment.principal_id, assignment.role))
                .collect();
            service.index.write(move |writing| index::save_roles(writing, &name, &roles)).await?;
            Ok(HttpResponse::Ok().finish())
        }
        ("GET", ["accounts"]) => {
            let accounts: Vec<_> =
                service.accounts.all().iter().map(|account| describe(account, admin)).collect();
            Ok(HttpResponse::Ok().json(serde_json::json!({ "accounts": accounts })))
        }
        ("GET", ["accounts", name]) => Ok(ok(&*require(service, name)?)),
        ("GET", ["accounts", name, "filesystems", filesystem]) => {
            let (account, wanted) = (require(service, name)?.name.clone(), (*filesystem).to_owned());
            let found = service
                .index
                .read(move |connection| index::filesystem(connection, &account, &wanted))
                .await?;
            Ok(HttpResponse::Ok().json(serde_json::json!({
                "name": found.name,
                "etag": found.etag_text(),
                "lastModifiedMs": found.modified_ms,
            })))
        }
        ("PUT", ["accounts", name]) => put(request, body, admin, service, name).await,
        ("DELETE", ["accounts", name]) => {
            if service.accounts.get(name).is_none() {
                return Ok(HttpResponse::NoContent().finish());
            }
            service.accounts.remove(&service.index, name).await?;
            service.counters.forget(name);
            service.faults.set_limits(name, Limits::default());
            service.deletions.forget(name);
            service.garbage.notify_one();
            Ok(HttpResponse::Ok().finish())
        }
        ("POST", ["accounts", name, "regenerateKey"]) => {
            let account = require(service, name)?;
            let which = match parse::<RegenerateRequest>(body)?.key_name.as_str() {
                "key1" => 0,
                "key2" => 1,
                _ => return Err(bad_request("keyName must be key1 or key2".to_owned())),
            };
            Ok(ok(&*service.accounts.regenerate_key(&service.index, &account, which).await?))
        }
        (_, ["faults" | "requests" | "clock", ..] | ["accounts", _, "limits" | "traffic" | "deletions"]) => {
            knobs::serve(request, &segments, body, service)
        }
        _ => Err(no_such_call(request)),
    }
}

fn no_such_call(request: &HttpRequest) -> ServiceError {
    let message = format!("The admin endpoint has no {} {}.", request.method(), request.path());
    ServiceError::new(StatusCode::NOT_FOUND, "NotFound", message)
}

async fn put(
    request: &HttpRequest,
    body: &[u8],
    admin: &Admin,
    service: &Service,
    name: &str,
) -> Result<HttpResponse, ServiceError> {
    if !account::is_valid_name(name) {
        return Err(bad_request(format!("'{name}' is not 3 to 24 lower-case letters and digits")));
    }
    let wanted: AccountRequest = parse(if body.is_empty() { b"{}" } else { body })?;
    if wanted.delete_retention_days.is_some_and(|days| days > MAX_RETENTION_DAYS) {
        return Err(bad_request(format!("deleteRetentionDays must be 0 to {MAX_RETENTION_DAYS}")));
    }
    if let Some(account) = service.accounts.get(name) {
        if account.hierarchical_namespace != wanted.hierarchical_namespace || account.kind != wanted.kind {
            let message = format!(
                "The account '{name}' exists with another kind or hierarchicalNamespace; delete it first."
            );
            return Err(ServiceError::new(StatusCode::CONFLICT, "AccountExists", message));
        }
        keep_deleted(service, name, wanted.delete_retention_days).await?;
        return Ok(HttpResponse::Ok().json(describe(&account, admin)));
    }
    let account = Account {
        name: name.to_owned(),
        kind: wanted.kind,
        hierarchical_namespace: wanted.hierarchical_namespace,
        keys: [account::new_key()?, account::new_key()?],
    };
    let account = service.accounts.save(&service.index, account).await?;
    keep_deleted(service, name, wanted.delete_retention_days).await?;
    let reply = web::Json(describe(&account, admin)).customize().with_status(StatusCode::CREATED);
    Ok(reply.respond_to(request).map_into_boxed_body())
}

async fn keep_deleted(service: &Service, account: &str, days: Option<u32>) -> Result<(), ServiceError> {
    let (Some(days), account) = (days, account.to_owned()) else {
        return Ok(());
    };
    let keep = move |writing: &mut index::Writing<'_>| {
        let mut properties = index::service_properties(writing.connection, &account)?;
        properties.delete_retention_days = days;
        index::save_service_properties(writing, &account, &properties)
    };
    service.index.write(keep).await
}

fn authorised(request: &HttpRequest, token: &str) -> bool {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("");
    let given = header.strip_prefix("Bearer ").unwrap_or("");
    aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok()
}

fn require(service: &Service, name: &str) -> Result<std::sync::Arc<Account>, ServiceError> {
    service.accounts.get(name).ok_or_else(ServiceError::account_not_found)
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body)
        .map_err(|error| bad_request(format!("the body is not what is expected: {error}")))
}

fn bad_request(message: String) -> ServiceError {
    ServiceError::new(StatusCode::BAD_REQUEST, "BadRequest", message)
}

fn describe(account: &Account, admin: &Admin) -> AccountReply {
    let [key1, key2] = account.key_texts();
    let url = format!("{}/{}", admin.storage_url, account.name);
    AccountReply {
        name: account.name.clone(),
        kind: account.kind.clone(),
        hierarchical_namespace: account.hierarchical_namespace,
        keys: vec![KeyReply { key_name: "key1", value: key1 }, KeyReply { key_name: "key2", value: key2 }],
        endpoints: EndpointsReply { dfs: url.clone(), blob: url },
    }
}
