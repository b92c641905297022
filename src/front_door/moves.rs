//! `POST …/resourceGroups/{group}/moveResources` and `…/validateMoveResources`: the group that is moved to is looked at here, the
//! rest is the word of the provider whose resources they are.

use livedata_arm::{ArmError, ResourceId};
use serde::Deserialize;

use crate::app::App;
use crate::dispatch::method_not_allowed;
use crate::reply::{Outcome, Refusal, Reply};
use crate::request::{Incoming, Method};
use crate::sign_in::Caller;
use crate::{forward, groups, registration};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Move {
    target_resource_group: String,
    resources: Vec<String>,
}

pub(crate) async fn answer(app: &App, request: &Incoming, caller: &Caller, group: &str) -> Outcome {
    if request.method != Method::Post {
        return Err(method_not_allowed(request));
    }
    groups::existing(app, group).await?.refuse_while_deleting()?;
    let wanted: Move = request.json()?;
    let to = target(app, &wanted.target_resource_group)?;
    groups::existing(app, &to).await?.refuse_while_deleting()?;
    let mut namespaces = Vec::new();
    for id in &wanted.resources {
        let id: ResourceId =
            id.parse().map_err(|_| refused(format!("'{id}' is not the id of a resource.")))?;
        namespaces.push(id.resource_type.namespace);
    }
    let Some(first) = namespaces.first() else {
        return Err(refused("Give the ids of the resources that move.".to_owned()));
    };
    let upstream = app.upstream(first).ok_or_else(|| {
        refused(format!(
            "Resources of '{first}' cannot be moved in this cloud; those of registered providers can."
        ))
    })?;
    let same = |other: &String| app.upstream(other).is_some_and(|other| other.is_same_provider(upstream));
    if let Some(other) = namespaces.iter().find(|other| !same(other)) {
        return Err(refused(format!(
            "Resources of '{first}' and of '{other}' are of different providers: move them one after the other."
        )));
    }
    registration::require(app, &upstream.namespace).await?;
    // The client's version is that of resource groups, which the provider does not know.
    let version = upstream.resource_types.iter().flat_map(|known| &known.api_versions).max();
    let target = format!("{}?api-version={}", request.path, version.map_or("", String::as_str));
    let reply = forward::forward_to(app, request, caller, upstream, &target).await?;
    // A provider may say 200; clients of ARM know 202 and 204.
    Ok(if reply.status == 200 { Reply { status: 204, body: bytes::Bytes::new(), ..reply } } else { reply })
}

/// The name of the group in `/subscriptions/{id}/resourceGroups/{name}`.
fn target(app: &App, id: &str) -> Result<String, Refusal> {
    let segments: Vec<&str> = id.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        [s, subscription, g, name]
            if s.eq_ignore_ascii_case("subscriptions") && g.eq_ignore_ascii_case("resourceGroups") =>
        {
            if subscription.eq_ignore_ascii_case(&app.subscription_id) {
                return Ok((*name).to_owned());
            }
            let message = format!("The subscription '{subscription}' could not be found.");
            Err(ArmError::new(404, "SubscriptionNotFound", message).into())
        }
        _ => Err(refused(format!("targetResourceGroup '{id}' is not the id of a resource group."))),
    }
}

fn refused(message: String) -> Refusal {
    ArmError::new(400, "InvalidMoveRequest", message).into()
}
