//! The one subscription and the one tenant of this cloud.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Reply};
use crate::request::{Incoming, Method};

pub(crate) fn list(app: &App, request: &Incoming) -> Outcome {
    only_get(request)?;
    Ok(Reply::json(200, &json!({ "value": [document(app)], "count": { "type": "Total", "value": 1 } })))
}

pub(crate) fn show(app: &App, request: &Incoming) -> Outcome {
    only_get(request)?;
    Ok(Reply::json(200, &document(app)))
}

pub(crate) fn tenants(app: &App, request: &Incoming) -> Outcome {
    only_get(request)?;
    let tenant = json!({
        "id": format!("/tenants/{}", app.tenant_id),
        "tenantId": app.tenant_id,
        "displayName": app.cloud_name,
        "tenantCategory": "Home",
    });
    Ok(Reply::json(200, &json!({ "value": [tenant] })))
}

/// The locations that any registered provider serves.
pub(crate) fn locations(app: &App, request: &Incoming) -> Outcome {
    only_get(request)?;
    let mut by_name = BTreeMap::new();
    let served = app.upstreams.iter().flat_map(|upstream| &upstream.resource_types);
    for display_name in served.flat_map(|provided| &provided.locations) {
        by_name.entry(normalised(display_name)).or_insert(display_name);
    }
    let value: Vec<Value> = by_name
        .iter()
        .map(|(name, display_name)| {
            json!({
                "id": format!("/subscriptions/{}/locations/{name}", app.subscription_id),
                "name": name,
                "type": "Region",
                "displayName": display_name,
                "regionalDisplayName": display_name,
                "metadata": { "regionType": "Physical", "regionCategory": "Other" },
            })
        })
        .collect();
    Ok(Reply::json(200, &json!({ "value": value })))
}

/// `West Europe` and `westeurope` are one location (rule 22).
pub(crate) fn normalised(location: &str) -> String {
    location.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

fn document(app: &App) -> Value {
    json!({
        "id": format!("/subscriptions/{}", app.subscription_id),
        "subscriptionId": app.subscription_id,
        "tenantId": app.tenant_id,
        "displayName": app.subscription_name,
        "state": "Enabled",
        "subscriptionPolicies": { "locationPlacementId": "Local", "quotaId": "Local", "spendingLimit": "Off" },
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    })
}

fn only_get(request: &Incoming) -> Result<(), crate::reply::Refusal> {
    if request.method == Method::Get { Ok(()) } else { Err(method_not_allowed(request)) }
}
