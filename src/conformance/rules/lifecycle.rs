//! Rules 110 to 118 and 120: subscriptions, the list of operations, names, moves, preflight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::profile::{Kind, Verb};
use crate::shape;
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    110, "PUT of a subscription takes every state in any order, with unknown properties, and answers 200 with the body", "SUB", active subscription_states;
    111, "Warned and Suspended allow GET and DELETE, Unregistered GET; Deleted takes the resources away", "SUB", active states_bind;
    112, "A subscription that was never seen is as if unregistered: 400 InvalidSubscriptionState", "HCP", active never_seen;
    113, "The list of operations is the same everywhere and has every route, and register/action", "PRX; HCP", active operations_are_whole;
    114, "An operation has display.{provider, resource, operation, description}, isDataAction and origin; its name is ns/type/…/verb", "PRX", active operation_entries;
    115, "checkNameAvailability tells whether a name can be had, or why not", "PRX", active name_availability;
    116, "Resources move to another group with their children, or are refused: 400 same group, 409 name taken", "RES; CAC; COV RPC003", active moves;
    117, "Preflight is answered 200 with status Succeeded or Failed; template language is let pass", "HCP; RP", active preflight;
    118, "The end of an operation is notified where ARM asks for that", "HCP", elsewhere "opt-in, and takes an address of ours that the endpoint can reach";
    120, "Resources of customers in internal subscriptions have the tag resourceCreatedFor", "ADD", elsewhere "no client sees an internal subscription";
}

fn provider_only(trial: &Trial) -> Outcome {
    if trial.client.is_provider() {
        return Ok(());
    }
    not_applicable("between ARM and the provider; a client of ARM does not see it")
}

/// Tells the provider the state of a subscription.
pub async fn set_state(trial: &Trial, subscription: &str, state: &str) -> Outcome<Arc<Exchange>> {
    let body = json!({
        "state": state, "registrationDate": "2026-01-01T00:00:00Z",
        "properties": {"tenantId": uuid::Uuid::nil(), "locationPlacementId": "Public_2014-09-01", "quotaId": "Internal_2014-09-01"}
    });
    trial.client.put(&format!("/subscriptions/{subscription}"), &body).version("2.0").send().await
}

async fn subscription_states(trial: &Trial) -> Outcome {
    provider_only(trial)?;
    let subscription = uuid::Uuid::new_v4().to_string();
    for state in [
        "Unregistered",
        "Registered",
        "Registered",
        "Suspended",
        "Warned",
        "Deleted",
        "Registered",
        "Unregistered",
    ] {
        let put = set_state(trial, &subscription, state).await?;
        put.status_is(&[200], "every state of a subscription, in any order")?;
        put.wants(put.text("/state") == Some(state), "the body as it was sent")?;
    }
    let body = json!({"state": "Registered", "properties": {"somethingNew": {"a": [1]}}});
    let put =
        trial.client.put(&format!("/subscriptions/{subscription}"), &body).version("2.0").send().await?;
    put.status_is(&[200], "unknown properties of a subscription")
}

/// The first tracked type's body, for another subscription.
async fn elsewhere(trial: &Trial, subscription: &str) -> Outcome<(String, Value)> {
    let planned = trial.plan(trial.tracked()?).await?;
    let moved = |text: &str| text.replace(&trial.profile.subscription, subscription);
    let body = serde_json::from_str(&moved(&planned.body.to_string())).unwrap_or(planned.body);
    Ok((moved(&planned.id), body))
}

async fn states_bind(trial: &Trial) -> Outcome {
    provider_only(trial)?;
    let subscription = uuid::Uuid::new_v4().to_string();
    let (id, body) = elsewhere(trial, &subscription).await?;
    set_state(trial, &subscription, "Registered").await?.status_is(&[200], "PUT of a subscription")?;
    trial.write(&id, &body).await?;
    for (state, refusals) in [("Warned", &[409][..]), ("Suspended", &[409]), ("Unregistered", &[400, 409])] {
        set_state(trial, &subscription, state).await?;
        trial
            .client
            .get(&id)
            .send()
            .await?
            .status_is(&[200], &format!("GET in a subscription that is {state}"))?;
        let changed = shape::with(&body, "/tags", json!({"state": state}));
        let put = trial.client.put(&id, &changed).send().await?;
        put.refused(refusals, &format!("PUT in a subscription that is {state}"))?;
        if state == "Unregistered" {
            trial
                .client
                .delete(&id)
                .send()
                .await?
                .refused(refusals, "DELETE in a subscription that is Unregistered")?;
        }
    }
    set_state(trial, &subscription, "Registered").await?;
    trial.write(&id, &shape::with(&body, "/tags", json!({"state": "Registered"}))).await?;
    let (other, _) = elsewhere(trial, &subscription).await?;
    trial.write(&other, &body).await?;
    set_state(trial, &subscription, "Suspended").await?;
    let deleted = trial.client.delete(&other).send().await?;
    deleted.status_is(&[200, 202], "DELETE in a subscription that is Suspended")?;
    trial.settle(&deleted).await?;
    set_state(trial, &subscription, "Deleted").await?;
    let deadline = Instant::now() + trial.limit();
    loop {
        let got = trial.client.get(&id).send().await?;
        if got.status == 404 || got.code() == Some("InvalidSubscriptionState") {
            return Ok(());
        }
        got.wants(Instant::now() < deadline, "what was in a deleted subscription to go away by itself")?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn never_seen(trial: &Trial) -> Outcome {
    provider_only(trial)?;
    let (id, body) = elsewhere(trial, &uuid::Uuid::new_v4().to_string()).await?;
    let put = trial.client.put(&id, &body).send().await?;
    put.refused(&[400], "PUT in a subscription that was never registered")?;
    put.wants(put.code() == Some("InvalidSubscriptionState"), "the code InvalidSubscriptionState")
}

fn names_of(list: &Exchange) -> Vec<String> {
    let entries = list.json.get("value").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.get("name")?.as_str()?.to_lowercase())).collect()
}

async fn operations_are_whole(trial: &Trial) -> Outcome {
    let namespace = &trial.profile.namespace;
    let path = format!("/providers/{namespace}/operations");
    let list = trial.client.get(&path).send().await?;
    list.status_is(&[200], "the list of operations")?;
    for version in &trial.profile.other_versions {
        let other = trial.client.get(&path).version(version).send().await?;
        other.wants(other.json == list.json, "the same list in every version")?;
    }
    let mut wanted = vec!["register/action".to_owned()];
    for kind in trial.kinds() {
        for (verbs, word) in [
            (&[Verb::Get, Verb::List][..], "read"),
            (&[Verb::Put, Verb::Patch], "write"),
            (&[Verb::Delete], "delete"),
        ] {
            if verbs.iter().any(|verb| kind.has(*verb)) {
                wanted.push(format!("{}/{word}", kind.path));
            }
        }
        wanted.extend(kind.actions.iter().map(|action| format!("{}/{}/action", kind.path, action.name)));
    }
    let names = names_of(&list);
    for name in wanted {
        let full = format!("{namespace}/{name}");
        list.wants(names.contains(&full.to_lowercase()), format!("{full} in the list of operations"))?;
    }
    Ok(())
}

async fn operation_entries(trial: &Trial) -> Outcome {
    let namespace = &trial.profile.namespace;
    let list = trial.client.get(&format!("/providers/{namespace}/operations")).send().await?;
    list.status_is(&[200], "the list of operations")?;
    let entries = list.json.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
    list.wants(!entries.is_empty(), "operations in `value`")?;
    for entry in entries {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
        let name = text("/name").unwrap_or_default();
        for pointer in
            ["/display/provider", "/display/resource", "/display/operation", "/display/description"]
        {
            list.wants(text(pointer).is_some_and(|text| !text.is_empty()), format!("{pointer} of '{name}'"))?;
        }
        list.wants(
            entry.get("isDataAction").is_some_and(Value::is_boolean),
            format!("isDataAction of '{name}'"),
        )?;
        let origin = matches!(text("/origin"), Some("user" | "system" | "user,system"));
        list.wants(origin, format!("origin of '{name}': user, system or user,system"))?;
        let segments: Vec<&str> = name.split('/').collect();
        let verb =
            segments.last().is_some_and(|verb| matches!(*verb, "read" | "write" | "delete" | "action"));
        let ours = segments.first().is_some_and(|first| first.eq_ignore_ascii_case(namespace));
        list.wants(verb && ours && segments.len() >= 3, format!("'{name}' to be namespace/type/…/verb"))?;
    }
    Ok(())
}

async fn name_availability(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let root = trial.in_subscription(&trial.profile.subscription);
    let existing = trial.standing(kind).await?;
    for scope in [root.clone(), format!("{root}/locations/{}", trial.profile.location)] {
        let ask = async |name: &str| {
            let body = json!({"name": name, "type": trial.type_of(kind)});
            let answer =
                trial.client.post(&format!("{scope}/checkNameAvailability")).json(&body).send().await?;
            answer.status_is(&[200], "checkNameAvailability")?;
            let told = answer.json.get("nameAvailable").is_some_and(Value::is_boolean);
            answer.wants(told, "nameAvailable: true or false")?;
            Ok::<_, crate::verdict::Stop>(answer)
        };
        let free = ask(&trial.name()).await?;
        free.wants(
            free.json.get("nameAvailable") == Some(&json!(true)),
            "a name that nothing has, available",
        )?;
        let bad = ask("a<b>").await?;
        let refused =
            bad.json.get("nameAvailable") == Some(&json!(false)) && bad.text("/reason") == Some("Invalid");
        bad.wants(
            refused && bad.text("/message").is_some(),
            "nameAvailable: false, reason: Invalid, a message",
        )?;
        let taken = ask(&existing.name).await?;
        let available = taken.json.get("nameAvailable") == Some(&json!(true));
        let reason = taken.text("/reason") == Some("AlreadyExists");
        // Where names are unique in their group only, the name can be had in another.
        taken.wants(available || reason, "reason: AlreadyExists")?;
    }
    Ok(())
}

async fn moves(trial: &Trial) -> Outcome {
    let Some(other) = &trial.profile.other_resource_group else {
        return not_applicable("the profile has no other-resource-group");
    };
    let kind = trial.tracked()?;
    let from = trial.group();
    let to = format!("/subscriptions/{}/resourceGroups/{other}", trial.profile.subscription);
    let ask = async |action: &str, id: &str, to: &str| {
        let body = json!({"targetResourceGroup": to, "resources": [id]});
        trial.client.post(&format!("{from}/{action}")).json(&body).send().await
    };
    let made = trial.make(kind).await?.resource;
    let child = match trial.children(kind).find(|child| child.has(Verb::Put)) {
        Some(child) => Some(trial.make_under(child, Some(&made.id)).await?.resource.id),
        None => None,
    };
    let there = |id: &str| id.replace(&from, &to);
    ask("validateMoveResources", &made.id, &from).await?.refused(&[400], "a move into the same group")?;
    ask("moveResources", &made.id, &from).await?.refused(&[400], "a move into the same group")?;
    let taken = trial.make(kind).await?.resource;
    trial.write(&there(&taken.id), &taken.body).await?;
    ask("moveResources", &taken.id, &to).await?.refused(&[409], "a move to where the name is taken")?;
    let deleted = trial.client.delete(&there(&taken.id)).send().await?;
    trial.settle(&deleted).await?;

    let valid = ask("validateMoveResources", &made.id, &to).await?;
    valid.status_is(&[202, 204], "a move that can be made")?;
    trial.settle(&valid).await?;
    trial.read(&made.id).await?;
    let moved = ask("moveResources", &made.id, &to).await?;
    moved.status_is(&[200, 202, 204], "a move")?;
    trial.settle(&moved).await?;
    trial.client.get(&made.id).send().await?.refused(&[404], "what was moved, where it was")?;
    let got = trial.read(&there(&made.id)).await?;
    got.wants(got.text("/id").is_some_and(|id| id.eq_ignore_ascii_case(&there(&made.id))), "the new `id`")?;
    if let Some(child) = child {
        trial.read(&there(&child)).await?;
    }
    let deleted = trial.client.delete(&there(&made.id)).send().await?;
    trial.settle(&deleted).await
}

/// A resource as it stands in a template.
fn in_template(trial: &Trial, kind: &Kind, name: &str, body: &Value) -> Value {
    let head = json!({
        "name": name, "type": trial.type_of(kind), "location": trial.profile.location, "apiVersion": trial.profile.api_version
    });
    shape::merged(body, &head)
}

async fn preflight(trial: &Trial) -> Outcome {
    provider_only(trial)?;
    let kind = trial.tracked()?;
    let planned = trial.plan(kind).await?;
    let path = format!(
        "{}/providers/{}/deployments/{}/preflight",
        trial.group(),
        trial.profile.namespace,
        trial.name()
    );
    let valid = in_template(trial, kind, &planned.name, &planned.body);
    let templated = shape::with(&valid, "/properties/conformanceTemplate", json!("[parameters('x')]"));
    let invalid = kind.invalid_body.as_ref().map(|body| in_template(trial, kind, &planned.name, body));
    let cases = [
        (Some(valid), "Succeeded"),
        (Some(templated), "Succeeded"),
        (Some(json!({"name": 7})), "Succeeded"),
        (invalid, "Failed"),
    ];
    for (resource, status) in cases {
        let Some(resource) = resource else { continue };
        let answer = trial.client.post(&path).json(&json!({"resources": [resource]})).send().await?;
        answer.status_is(&[200], "preflight, whatever it finds")?;
        answer.wants(answer.text("/status") == Some(status), format!("status: {status}"))?;
        let told = answer.code().is_some();
        answer.wants(told == (status == "Failed"), "an `error` when Failed")?;
    }
    trial.client.get(&planned.id).send().await?.refused(&[404], "preflight makes nothing")
}
