//! Rules 37 to 46: PUT.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::exchange::{Exchange, Purpose};
use crate::profile::Verb;
use crate::shape::{self, said};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    37, "PUT creates with 201 and replaces with 200; PUT, GET, PATCH and lists have one schema", "LNT RPC-Async-V1-01/Put-V1-11/-29/-12; COV RPC008/RPC015", active statuses;
    38, "PUT replaces: what it leaves out is back at its default", "RES; COV RPC009", active replaces;
    39, "A body that is empty or not an object is refused", "LNT RPC-Put-V1-28", active body_required;
    40, "The same PUT twice has no second effect and is answered 200", "COV 3.1", active idempotent;
    41, "What GET gave can be PUT; another provisioningState is refused", "ASY", active round_trip;
    42, "PUT of a parent makes no tracked child", "COV RPC011.a", active no_implicit_children;
    43, "PUT below a parent that does not exist is answered 404 ParentResourceNotFound", "RES", active missing_parent;
    44, "The answer holds what was sent, with id, name, type and provisioningState", "RES", active answer_is_whole;
    45, "403 is for an untrusted caller only", "RES", afterwards no_403;
    46, "A subscription or group that does not exist is answered 404", "RES", active missing_scope;
}

async fn statuses(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let made = trial.make(kind).await?;
        made.put.status_is(&[201], "PUT of what does not exist")?;
        let id = &made.resource.id;
        let again = trial.write(id, &made.resource.body).await?;
        again.status_is(&[200], "PUT of what exists")?;
        let got = trial.read(id).await?;
        let mut others = vec![made.put.json.clone(), again.json.clone()];
        if kind.has(Verb::List) {
            let collection = id.rsplit_once('/').map_or("", |(collection, _)| collection);
            let item = item_of(trial, collection, id).await?;
            let item = item.ok_or_else(|| got.failure("the resource in the list of its collection"))?;
            for (one, other, where_) in [(&got.json, &item, "GET"), (&item, &got.json, "the list")] {
                let more = missing_members(one, other);
                got.wants(more.is_none(), format!("one schema; only {where_} has {}", said(&more)))?;
            }
            others.push(item);
        }
        for other in others {
            let clash = shape::clash(&got.json, &other, "");
            got.wants(clash.is_none(), format!("one schema; {} has two types: {other}", said(&clash)))?;
        }
    }
    Ok(())
}

/// A member at the top or of `properties` that only the first has.
fn missing_members(one: &Value, other: &Value) -> Option<String> {
    for pointer in ["", "/properties"] {
        let other = other.pointer(pointer);
        let names =
            one.pointer(pointer).and_then(Value::as_object).into_iter().flat_map(|members| members.keys());
        if let Some(name) =
            names.into_iter().find(|name| other.and_then(|other| other.get(name.as_str())).is_none())
        {
            return Some(format!("{pointer}/{name}"));
        }
    }
    None
}

async fn item_of(trial: &Trial, collection: &str, id: &str) -> Outcome<Option<Value>> {
    let mut page = trial.client.get(collection).send().await?;
    loop {
        page.status_is(&[200], "GET of a collection")?;
        let items = page.json.get("value").and_then(Value::as_array);
        let is_it = |item: &&Value| {
            item.get("id").and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(id))
        };
        if let Some(item) = items.into_iter().flatten().find(is_it) {
            return Ok(Some(item.clone()));
        }
        let Some(next) = page.text("/nextLink") else { return Ok(None) };
        page = trial.client.follow(next, Purpose::Resource).send().await?;
    }
}

async fn replaces(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put) {
        let tags = kind.tracked.then(|| "/tags".to_owned());
        for pointer in tags.iter().chain(&kind.optional) {
            some = true;
            let resource = trial.plan(kind).await?;
            let full = match pointer.as_str() {
                "/tags" => shape::with(&resource.body, pointer, json!({"a": "b"})),
                _ => resource.body.clone(),
            };
            trial.write(&resource.id, &full).await?;
            let before = trial.read(&resource.id).await?.json.pointer(pointer).cloned();
            trial.write(&resource.id, &shape::without(&full, pointer).0).await?;
            let got = trial.read(&resource.id).await?;
            let changed = before.is_some() && got.json.pointer(pointer) != before.as_ref();
            got.wants(changed, format!("{pointer} at its default, no longer {}", said(&before)))?;
        }
    }
    if some { Ok(()) } else { not_applicable("nothing in the profile may be left out") }
}

async fn body_required(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        for bad in ["", "[]", "null", "\"text\"", "7"] {
            let put = trial.client.put(&resource.id, &json!({})).raw("application/json", bad);
            put.send().await?.refused(&[400], "a body that is not an object")?;
        }
        trial.client.get(&resource.id).send().await?.refused(&[404], "nothing was made by refused PUTs")?;
    }
    Ok(())
}

async fn idempotent(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let made = trial.make(kind).await?.resource;
        let before = trial.read(&made.id).await?;
        let again = trial.write(&made.id, &made.body).await?;
        again.status_is(&[200], "the same PUT again")?;
        let after = trial.read(&made.id).await?;
        after.wants(after.header("etag") == before.header("etag"), "the same etag after the same PUT")?;
        if kind.has(Verb::List) {
            let collection = made.id.rsplit_once('/').map_or("", |(collection, _)| collection);
            let ids = trial.list(collection).await?;
            let count = ids.iter().filter(|id| id.eq_ignore_ascii_case(&made.id)).count();
            after.wants(count == 1, format!("the list to have it once, not {count} times"))?;
        }
    }
    Ok(())
}

async fn round_trip(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let made = trial.make(kind).await?.resource;
        let got = trial.read(&made.id).await?;
        let mut body = got.json.clone();
        for pointer in &kind.secrets {
            let secret = made.body.pointer(pointer).cloned().unwrap_or_default();
            body = shape::with(&body, pointer, secret);
        }
        let put = trial.client.put(&made.id, &body).odd().send().await?;
        put.status_is(&[200], "PUT of what GET gave")?;
        trial.settle(&put).await?;
        if got.state().is_none() {
            continue;
        }
        let other = shape::with(&body, "/properties/provisioningState", json!("Failed"));
        let put = trial.client.put(&made.id, &other).send().await?;
        put.refused(&[400], "PUT of another provisioningState")?;
    }
    Ok(())
}

async fn no_implicit_children(trial: &Trial) -> Outcome {
    let (parent, _) = trial.family()?;
    let mut some = false;
    let made = trial.make(parent).await?.resource;
    for child in trial.children(parent).filter(|child| child.tracked && child.has(Verb::List)) {
        some = true;
        let page = trial.client.get(&trial.collection(child, Some(&made.id))).send().await?;
        page.wants(page.json.get("value") == Some(&json!([])), "no children of a parent that was just made")?;
    }
    if some { Ok(()) } else { not_applicable("no tracked type is below another") }
}

async fn missing_parent(trial: &Trial) -> Outcome {
    let (parent, child) = trial.family()?;
    let nowhere = trial.plan(parent).await?.id;
    let existing = trial.standing(child).await?;
    let put = trial
        .client
        .put(&format!("{nowhere}/{}/{}", child.last(), trial.name()), &existing.body)
        .send()
        .await?;
    put.refused(&[404], "PUT below a parent that does not exist")?;
    put.wants(put.code() == Some("ParentResourceNotFound"), "the code ParentResourceNotFound")
}

async fn answer_is_whole(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let made = trial.make(kind).await?;
        let mut sent = made.resource.body.clone();
        for hidden in kind.secrets.iter().map(String::as_str).chain(["/location"]) {
            sent = shape::without(&sent, hidden).0;
        }
        let put = &made.put;
        let lost = shape::missing(&sent, &put.json, "");
        put.wants(lost.is_none(), format!("what was sent in the answer; {} is not", said(&lost)))?;
        for pointer in ["/id", "/name", "/type", "/properties/provisioningState"] {
            put.wants(put.text(pointer).is_some(), format!("{pointer} in the answer"))?;
        }
    }
    Ok(())
}

fn no_403(_trial: &Trial, exchanges: &[Arc<Exchange>]) -> Outcome {
    let found = exchanges.iter().find(|one| one.status == 403 && one.purpose != Purpose::Stranger);
    found.map_or(Ok(()), |one| Err(one.failure("no 403 for a caller who is trusted")))
}

async fn missing_scope(trial: &Trial) -> Outcome {
    if trial.client.is_provider() {
        return not_applicable("a provider is asked only for groups that exist: ARM answers for the others");
    }
    let kind = trial.tracked()?;
    let resource = trial.plan(kind).await?;
    let profile = &trial.profile;
    let nowhere = uuid::Uuid::new_v4().to_string();
    let in_group = format!("/resourceGroups/{}/", profile.resource_group);
    for path in [
        resource.id.replace(&profile.subscription, &nowhere),
        resource.id.replace(&in_group, &format!("/resourceGroups/{}/", trial.name())),
    ] {
        let put = trial.client.put(&path, &resource.body).send().await?;
        put.refused(&[404], "a subscription or group that does not exist")?;
        trial
            .client
            .get(&path)
            .send()
            .await?
            .refused(&[404], "a subscription or group that does not exist")?;
    }
    Ok(())
}
