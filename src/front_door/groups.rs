//! Resource groups.
//!
//! A group that is being deleted stays visible in state `Deleting`; `deletion` empties and then removes it.

mod deletion;
mod record;

use std::sync::Arc;

use livedata_arm::{ArmError, Tags};
use livedata_store::Change;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use deletion::{deletion_result, resume};
pub(crate) use record::{GROUPS, GroupRecord, existing, find, group_key};

use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};
use crate::resources::Filter;
use crate::sign_in::Caller;
use crate::subscriptions::normalised;
use record::GroupState;

/// What a client may send in PUT and PATCH; anything else in the document is read-only and echoed back by `az`.
#[derive(Deserialize)]
struct GroupDocument {
    location: Option<String>,
    tags: Option<Tags>,
}

pub(crate) async fn list(app: &App, request: &Incoming) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    let filter = Filter::parse(request.parameter("$filter").unwrap_or(""))?;
    let groups = record::all(app).await?;
    let value: Vec<Value> =
        groups.iter().map(|group| group.document(app)).filter(|group| filter.admits(group)).collect();
    Ok(Reply::json(200, &json!({ "value": value })))
}

pub(crate) async fn one(app: &Arc<App>, request: &Incoming, caller: &Caller, name: &str) -> Outcome {
    match request.method {
        Method::Get => Ok(Reply::json(200, &existing(app, name).await?.document(app))),
        Method::Head => {
            let found = record::find(app, name).await?.is_some();
            Ok(Reply::empty(if found { 204 } else { 404 }))
        }
        Method::Put => put(app, request, name).await,
        Method::Patch => patch(app, request, name).await,
        Method::Delete => delete(app, caller, name).await,
        Method::Post | Method::Other => Err(method_not_allowed(request)),
    }
}

async fn put(app: &App, request: &Incoming, name: &str) -> Outcome {
    record::check_name(name)?;
    let document: GroupDocument = request.json()?;
    let Some(location) = document.location.filter(|location| !location.trim().is_empty()) else {
        let message = "The location property is required for a resource group.";
        return Err(ArmError::invalid("location", "LocationRequired", message).into());
    };
    let stored = record::find(app, name).await?;
    let (status, version, name) = match &stored {
        None => (201, None, name.to_owned()),
        Some((version, group)) => {
            group.refuse_while_deleting()?;
            if normalised(&group.location) != normalised(&location) {
                let message = format!(
                    "Invalid resource group location '{location}'. The resource group already exists in location '{}'.",
                    group.location
                );
                return Err(ArmError::new(409, "InvalidResourceGroupLocation", message)
                    .at("location")
                    .into());
            }
            (200, Some(*version), group.name.clone())
        }
    };
    let group =
        GroupRecord { name, location, tags: document.tags.unwrap_or_default(), state: GroupState::Succeeded };
    save(app, &group, version).await?;
    Ok(Reply::json(status, &group.document(app)))
}

async fn patch(app: &App, request: &Incoming, name: &str) -> Outcome {
    let document: GroupDocument = request.json()?;
    let Some((version, mut group)) = record::find(app, name).await? else {
        return Err(record::not_found(name).into());
    };
    group.refuse_while_deleting()?;
    if let Some(tags) = document.tags {
        group.tags = tags;
    }
    save(app, &group, Some(version)).await?;
    Ok(Reply::json(200, &group.document(app)))
}

async fn delete(app: &Arc<App>, caller: &Caller, name: &str) -> Outcome {
    let operation = deletion::begin(app, caller, name).await?;
    Ok(still_deleting(app, &operation))
}

/// 202 with where to ask again.
fn still_deleting(app: &App, operation: &str) -> Reply {
    let location = format!(
        "{}/subscriptions/{}/operationresults/{operation}?api-version=2024-11-01",
        app.public_url, app.subscription_id
    );
    Reply::empty(202).with("location", location).with("retry-after", app.retry_after_seconds.to_string())
}

async fn save(app: &App, group: &GroupRecord, version: Option<u64>) -> Result<(), livedata_store::Error> {
    let key = group_key(app, &group.name);
    app.store.commit(Change::new().expect(GROUPS, key.clone(), version).put(GROUPS, key, group.body())).await
}
