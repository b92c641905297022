//! `Microsoft.Storage/storageAccounts`: a tiny provider of the front door's own. Accounts live in the storage emulator;
//! here is what ARM knows of them. Keys stay in the emulator and are asked for when somebody lists them.

mod account;
mod document;
mod emulator;

use livedata_arm::ArmError;
use livedata_store::Change;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use emulator::Emulator;

use crate::app::App;
use crate::clock;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};
use crate::sign_in::token_issuer;
use crate::subscriptions::normalised;
use account::{ACCOUNTS, AccountRecord};
use document::AccountDocument;

pub(crate) const NAMESPACE: &str = "Microsoft.Storage";
pub(crate) const RESOURCE_TYPE: &str = "storageAccounts";
/// The version whose document shape is served, whatever version a client asks for.
pub(crate) const API_VERSION: &str = "2023-05-01";

pub(crate) fn serves(namespace: &str) -> bool {
    namespace.eq_ignore_ascii_case(NAMESPACE)
}

/// `rest` is the path after the namespace.
pub(crate) async fn answer(app: &App, request: &Incoming, group: Option<&str>, rest: &[&str]) -> Outcome {
    let lower: Vec<String> = rest.iter().map(|segment| segment.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match (group, lower.as_slice()) {
        (_, ["storageaccounts"]) if request.method == Method::Get => {
            Ok(Reply::json(200, &json!({ "value": documents(app, group).await? })))
        }
        (Some(group), ["storageaccounts", _]) => one(app, request, group, rest.last().unwrap_or(&"")).await,
        (Some(group), ["storageaccounts", name, "listkeys"]) if request.method == Method::Post => {
            let (_, account) = account::existing(app, group, name).await?;
            keys(&account, &app.emulator.keys(&account.name).await?)
        }
        (Some(group), ["storageaccounts", name, "regeneratekey"]) if request.method == Method::Post => {
            regenerate_key(app, request, group, name).await
        }
        (Some(group), ["storageaccounts", name, "blobservices", "default", "containers", _])
            if request.method == Method::Get =>
        {
            container(app, group, name, rest.last().unwrap_or(&"")).await
        }
        (None, ["checknameavailability"]) if request.method == Method::Post => {
            name_availability(app, request).await
        }
        (_, ["storageaccounts", ..] | ["checknameavailability"]) => Err(method_not_allowed(request)),
        _ => {
            let message =
                format!("'{NAMESPACE}' has only the resource type '{RESOURCE_TYPE}' in this cloud.");
            Err(ArmError::new(404, "InvalidResourceType", message).into())
        }
    }
}

/// Accounts of a group, or all.
pub(crate) async fn documents(app: &App, group: Option<&str>) -> Result<Vec<Value>, ArmError> {
    let accounts = account::all(app).await?;
    let wanted = |account: &&AccountRecord| group.is_none_or(|group| account.is_in(group));
    Ok(accounts.iter().filter(wanted).map(|account| document::show(app, account)).collect())
}

pub(crate) async fn delete_all_in(app: &App, group: &str) -> Result<(), ArmError> {
    for account in account::all(app).await?.iter().filter(|account| account.is_in(group)) {
        delete(app, account).await?;
    }
    Ok(())
}

async fn one(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    match request.method {
        Method::Get => {
            Ok(Reply::json(200, &document::show(app, &account::existing(app, group, name).await?.1)))
        }
        Method::Head => {
            let found = account::find(app, name).await?.is_some_and(|(_, account)| account.is_in(group));
            Ok(Reply::empty(if found { 204 } else { 404 }))
        }
        Method::Put => put(app, request, group, name).await,
        Method::Patch => patch(app, request, group, name).await,
        Method::Delete => match account::find(app, name).await? {
            Some((_, account)) if account.is_in(group) => {
                delete(app, &account).await?;
                Ok(Reply::empty(200))
            }
            Some(_) | None => Ok(Reply::empty(204)),
        },
        Method::Post | Method::Other => Err(method_not_allowed(request)),
    }
}

/// Creating again what exists is an update. The emulator comes first and takes the same call twice, so a crash between
/// the two leaves nothing that repeating the PUT does not mend.
async fn put(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    let document: AccountDocument = request.json()?;
    let stored = account::find(app, name).await?;
    let (version, mut account) = match stored {
        Some((_, account)) if !account.is_in(group) => return Err(account::taken(name).into()),
        Some((version, account)) => {
            refuse_moved(&document, &account)?;
            (Some(version), account)
        }
        None => {
            account::check_name(name)?;
            (None, document.new_account(group, name)?)
        }
    };
    document.apply(&mut account)?;
    app.emulator.create(&account.name, &account.kind, account.hierarchical_namespace).await?;
    app.emulator.trust(&token_issuer(app)).await?;
    // Whoever may sign in here is owner of the subscription, and has its data too: there are no data roles to assign yet.
    let owners = app.service_principals.iter().map(|principal| principal.client_id.as_str());
    app.emulator.give_data_to(&account.name, owners).await?;
    save(app, &account, version).await?;
    Ok(Reply::json(200, &document::show(app, &account)))
}

async fn patch(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    let document: AccountDocument = request.json()?;
    let (version, mut account) = account::existing(app, group, name).await?;
    refuse_moved(&document, &account)?;
    document.apply(&mut account)?;
    save(app, &account, Some(version)).await?;
    Ok(Reply::json(200, &document::show(app, &account)))
}

fn refuse_moved(document: &AccountDocument, account: &AccountRecord) -> Result<(), ArmError> {
    if document
        .location
        .as_deref()
        .is_some_and(|location| normalised(location) != normalised(&account.location))
    {
        let message = format!(
            "The storage account '{}' exists in location '{}', which cannot change.",
            account.name, account.location
        );
        return Err(ArmError::new(409, "InvalidResourceLocation", message).at("location"));
    }
    if document.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case(&account.kind)) {
        let message = "kind cannot be changed after the storage account was created.";
        return Err(ArmError::new(409, "PropertyCannotBeChanged", message).at("kind"));
    }
    if document.hierarchical_namespace().is_some_and(|wanted| wanted != account.hierarchical_namespace) {
        let message = "isHnsEnabled cannot be changed after the storage account was created.";
        return Err(ArmError::new(409, "PropertyCannotBeChanged", message).at("properties.isHnsEnabled"));
    }
    Ok(())
}

async fn delete(app: &App, account: &AccountRecord) -> Result<(), ArmError> {
    app.emulator.delete(&account.name).await?;
    let change = Change::new().remove(ACCOUNTS, account.name.clone());
    app.store.commit(change).await.map_err(crate::reply::arm_error)
}

async fn save(app: &App, account: &AccountRecord, version: Option<u64>) -> Result<(), livedata_store::Error> {
    let key = account.name.clone();
    app.store
        .commit(Change::new().expect(ACCOUNTS, key.clone(), version).put(ACCOUNTS, key, account.body()))
        .await
}

/// A container as it is; containers are made and removed by the data endpoints.
async fn container(app: &App, group: &str, account: &str, name: &str) -> Outcome {
    let (_, account) = account::existing(app, group, account).await?;
    match app.emulator.container(&account.name, name).await? {
        Some(container) => Ok(Reply::json(200, &document::show_container(app, &account, &container))),
        None => {
            let message = "The specified container does not exist.";
            Err(ArmError::new(404, "ContainerNotFound", message).into())
        }
    }
}

#[derive(Deserialize)]
struct NameToCheck {
    name: String,
}

/// `az storage account create` asks this first.
async fn name_availability(app: &App, request: &Incoming) -> Outcome {
    let wanted: NameToCheck = request.json()?;
    let refused = match account::check_name(&wanted.name) {
        Err(error) => Some(("AccountNameInvalid", error.message)),
        Ok(()) if account::find(app, &wanted.name).await?.is_some() => {
            Some(("AlreadyExists", account::taken(&wanted.name).message))
        }
        Ok(()) => None,
    };
    let answer = match refused {
        None => json!({ "nameAvailable": true }),
        Some((reason, message)) => json!({ "nameAvailable": false, "reason": reason, "message": message }),
    };
    Ok(Reply::json(200, &answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegenerateKey {
    key_name: String,
}

async fn regenerate_key(app: &App, request: &Incoming, group: &str, name: &str) -> Outcome {
    let wanted: RegenerateKey = request.json()?;
    if !matches!(wanted.key_name.as_str(), "key1" | "key2") {
        let message = "keyName is 'key1' or 'key2'.";
        return Err(ArmError::invalid("keyName", "InvalidKeyName", message).into());
    }
    let (version, mut account) = account::existing(app, group, name).await?;
    let values = app.emulator.regenerate_key(&account.name, &wanted.key_name).await?;
    let now = Some(clock::rfc3339(clock::now()));
    if wanted.key_name == "key1" {
        account.key1_created_at = now;
    } else {
        account.key2_created_at = now;
    }
    save(app, &account, Some(version)).await?;
    keys(&account, &values)
}

fn keys(account: &AccountRecord, values: &[String]) -> Outcome {
    let created = [&account.key1_created_at, &account.key2_created_at];
    let keys: Vec<Value> = ["key1", "key2"]
        .into_iter()
        .zip(values)
        .zip(created)
        .map(|((name, value), created)| {
            let created = created.as_ref().unwrap_or(&account.created_at);
            json!({ "keyName": name, "value": value, "permissions": "Full", "creationTime": created })
        })
        .collect();
    Ok(Reply::json(200, &json!({ "keys": keys })).with("cache-control", "no-store"))
}
