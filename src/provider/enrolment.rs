//! The enrolment listener: how agents get their certificate, and a listen token after a long absence. The requests are
//! judged by [`livedata_session::enrolment`]; here are the records.

use bytes::Bytes;
use livedata_arm::ProvisioningState;
use livedata_model::message::ListenToken;
use livedata_model::spec::Secret;
use livedata_relay::{Endpoint, Token};
use livedata_session::enrolment::{
    ENROL_PATH, EnrolmentRequest, Rejection, RelayAccess, TOKEN_PATH, TokenRequest, check_token_request,
    issue,
};
use livedata_store::Change;
use serde::de::DeserializeOwned;
use time::Duration;

use crate::agents;
use crate::core::Core;
use crate::document;
use crate::errors::{self, Failure, Outcome};
use crate::install_keys::{self, StoredKey};
use crate::request::{Method, Response};
use crate::resources::migrators::{self, Migrator};

/// How long an agent may listen with one token; sessions renew it.
const TOKEN_LIFE: Duration = Duration::hours(1);

const TRIES: usize = 8;

pub async fn dispatch(core: &Core, method: Option<Method>, segments: &[String], body: &Bytes) -> Response {
    let path = format!("/{}", segments.join("/"));
    let known = [ENROL_PATH, TOKEN_PATH].contains(&path.as_str());
    let answer = match (path.as_str(), method) {
        (ENROL_PATH, Some(Method::Post)) => enrol(core, body).await,
        (TOKEN_PATH, Some(Method::Post)) => renew_token(core, body).await,
        _ if known => Err(errors::METHOD_NOT_ALLOWED.error("This address takes POST only.").into()),
        _ => Err(errors::ROUTE_NOT_FOUND.error(format!("There is nothing at '{path}'.")).into()),
    };
    answer.unwrap_or_else(|failure| Response::error(&failure.into()))
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Outcome<T> {
    serde_json::from_slice(body).map_err(|error| Rejection::BadRequest(error.to_string()).into())
}

async fn enrol(core: &Core, body: &Bytes) -> Outcome<Response> {
    let request: EnrolmentRequest = parse(body)?;
    for _ in 1..TRIES {
        match try_enrol(core, &request).await {
            Err(failure) if failure.is_conflict() => {}
            done => return done,
        }
    }
    try_enrol(core, &request).await
}

/// Spends the key and makes the agent the migrator's, in one transaction. Of two agents with one key one wins.
async fn try_enrol(core: &Core, request: &EnrolmentRequest) -> Outcome<Response> {
    let record = core.store.get(install_keys::COLLECTION, &request.key_id).await?;
    let record = record.ok_or(Rejection::InstallKeyInvalid)?;
    let stored: StoredKey = serde_json::from_slice(&record.body)?;
    let applicant = stored.open(core, &request.key_id)?.admit(request, core.clock.now().unix_timestamp())?;

    let migrator =
        document::load::<Migrator>(core.store.as_ref(), migrators::COLLECTION, &stored.migrator).await?;
    let migrator = migrator.filter(|migrator| {
        let document = &migrator.document;
        document.guid == stored.migrator_guid && document.provisioning != ProvisioningState::Deleting
    });
    let migrator = migrator.ok_or(Rejection::InstallKeyInvalid)?;
    // Before anything is stored: a request that cannot be certified must not spend the key.
    let reply =
        issue(&core.authority, request, &stored.migrator_guid, relay_access(core, &stored.migrator_guid))?;

    let change = Change::new()
        .expect(install_keys::COLLECTION, record.key.as_str(), Some(record.version))
        .expect(migrators::COLLECTION, stored.migrator.as_str(), Some(migrator.version));
    let spent = stored.spent(applicant);
    let change = document::put(change, install_keys::COLLECTION, &record.key, &spent)?;
    let (guid, instance) = (&spent.migrator_guid, &request.instance_id);
    let change = agents::take_over(core, &spent.migrator, guid, instance, change).await?;
    core.store.commit(change).await?;
    tracing::info!(migrator = spent.migrator, instance, "an agent has enrolled");
    core.agents_changed.notify_one();
    Ok(Response::json(200, serde_json::to_value(reply)?))
}

async fn renew_token(core: &Core, body: &Bytes) -> Outcome<Response> {
    let request: TokenRequest = parse(body)?;
    let name = check_token_request(&request, &core.authority, core.clock.now().unix_timestamp())?;
    let welcome = agents::all(core).await?.into_iter().any(|(_, agent)| {
        agent.migrator_guid == name.migrator_guid() && agent.instance_id == name.instance_id()
    });
    if !welcome {
        return Err(Failure::from(Rejection::AgentUnknown));
    }
    Ok(Response::json(200, serde_json::to_value(relay_access(core, name.migrator_guid()))?))
}

fn relay_access(core: &Core, migrator_guid: &str) -> RelayAccess {
    let ListenToken { token, expires_at } = listen_token(core, migrator_guid);
    RelayAccess {
        url: core.relay.url.to_string(),
        ca_pem: core.relay.ca_pem.clone(),
        path: relay_path(migrator_guid),
        listen_token: token,
        listen_token_expires_at: expires_at,
    }
}

/// Where the agent of a migrator listens.
pub fn relay_path(migrator_guid: &str) -> String {
    format!("agents/{migrator_guid}")
}

pub fn listen_token(core: &Core, migrator_guid: &str) -> ListenToken {
    let endpoint = Endpoint::new(core.relay.url.clone(), relay_path(migrator_guid), core.relay.tls.clone());
    let expires_at = (core.clock.now() + TOKEN_LIFE).unix_timestamp();
    let rule = &core.relay.listen_rule;
    let expires = u64::try_from(expires_at).unwrap_or(0);
    let token = Token::sign(&endpoint.resource(), &rule.name, &rule.key, expires);
    ListenToken { token: Secret(token.expose().to_owned()), expires_at }
}
