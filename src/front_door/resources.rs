//! `resources` of a subscription or group: asks every registered provider that can have matching ones. No index.

mod filter;

use livedata_arm::ArmError;
use serde_json::{Map, Value, json};

pub(crate) use filter::Filter;

use crate::app::App;
use crate::custom_providers;
use crate::dispatch::method_not_allowed;
use crate::forward::OnBehalfOf;
use crate::groups;
use crate::registration;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};
use crate::sign_in::Caller;
use crate::storage;

/// What a generic list shows of a resource; `properties` are the provider's business.
const SHOWN: [&str; 10] =
    ["id", "name", "type", "location", "tags", "kind", "sku", "plan", "identity", "managedBy"];

pub(crate) async fn list(app: &App, request: &Incoming, caller: &Caller, group: Option<&str>) -> Outcome {
    if request.method != Method::Get {
        return Err(method_not_allowed(request));
    }
    let filter = Filter::parse(request.parameter("$filter").unwrap_or(""))?;
    let expand = request.parameter("$expand").unwrap_or("");
    // Only the name of a group that is there becomes part of a path at a provider, never a text from a filter.
    let group = match group.or(filter.resource_group()) {
        None => None,
        Some(name) => match groups::find(app, name).await? {
            Some((_, group)) => Some(group.name),
            None => return Ok(Reply::json(200, &json!({ "value": [] }))),
        },
    };
    let behalf = OnBehalfOf::of(request, caller, app);
    let mut found = Vec::new();
    let namespaces = app.upstreams.iter().map(|upstream| upstream.namespace.as_str());
    for namespace in namespaces.chain([storage::NAMESPACE, custom_providers::NAMESPACE]) {
        if filter.can_match_namespace(namespace) {
            found.extend(of_namespace(app, namespace, group.as_deref(), &behalf).await?);
        }
    }
    let value: Vec<Value> = found
        .iter()
        .filter(|resource| filter.admits(resource))
        .map(|resource| generic(resource, expand))
        .collect();
    Ok(Reply::json(200, &json!({ "value": value })))
}

/// Every top-level resource of one namespace; none when it is not registered (rule 66).
pub(crate) async fn of_namespace(
    app: &App,
    namespace: &str,
    group: Option<&str>,
    behalf: &OnBehalfOf,
) -> Result<Vec<Value>, ArmError> {
    if storage::serves(namespace) {
        return storage::documents(app, group).await;
    }
    if custom_providers::serves(namespace) {
        return custom_providers::documents(app, group).await;
    }
    let mut found = Vec::new();
    let Some(upstream) = app.upstream(namespace) else { return Ok(found) };
    if !registration::is_registered(app, namespace).await? {
        return Ok(found);
    }
    for provided in upstream.resource_types.iter().filter(|provided| provided.is_tracked()) {
        if let Some(version) = provided.preferred_api_version() {
            found.extend(upstream.list(app, group, &provided.resource_type, version, behalf).await?);
        }
    }
    Ok(found)
}

fn generic(resource: &Value, expand: &str) -> Value {
    let mut shown = Map::new();
    for name in SHOWN {
        if let Some(value) = resource.get(name) {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    let extra = [
        ("provisioningState", resource.pointer("/properties/provisioningState")),
        ("createdTime", resource.pointer("/systemData/createdAt")),
        ("changedTime", resource.pointer("/systemData/lastModifiedAt")),
    ];
    for (name, value) in extra {
        let asked = expand.split(',').any(|one| one.trim().eq_ignore_ascii_case(name));
        if let (true, Some(value)) = (asked, value) {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(shown)
}
