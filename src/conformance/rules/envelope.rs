//! Rules 19 to 29 and 36: what a resource's document holds.

use serde_json::{Map, Value, json};

use crate::profile::{Kind, Verb};
use crate::shape::{self, said};
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    19, "Every resource has id, name and type; the id is the path, unencoded, without host or version", "RES; COV RPC016", active identity;
    20, "What is the provider's own stands under `properties` only, and names of the envelope never there", "RES", active envelope_members;
    21, "Tracked resources have a required location and tags; proxy resources have neither", "RES; ADD; LNT RPC-Put-V1-07/-31", active tracked_and_proxy;
    22, "A location compares ignoring case and blanks, and never changes", "RES; LNT RPC-Put-V1-14", active location;
    23, "Tags keep their casing; names with < > % & \\ ? / or controls are refused", "RES", active tags;
    24, "A kind is checked and kept", "RES", active kind_is_kept;
    25, "sku, plan, managedBy and identity stand at the top; a plan has name, publisher and product", "RES", active top_level;
    26, "Unknown properties are refused with their path, or ignored: one of the two everywhere", "LNT RPC-Put-V1-23", active unknown_properties;
    27, "References to resources are full ids, and checked", "COV 2.4", active references;
    28, "Secrets are never returned by GET, PUT, PATCH or a list", "COV RPC012; LNT RPC-Put-V1-13", active secrets;
    29, "A parent's document does not hold its children", "COV RPC019", active no_children;
    36, "On-premises resources say in `properties.locationData` where they are", "CAC", active location_data;
}

async fn identity(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let id = trial.standing(kind).await?.id.clone();
        let got = trial.read(&id).await?;
        let full = trial.type_of(kind);
        let name = id.rsplit('/').next();
        got.wants(
            got.text("/id").is_some_and(|found| found.eq_ignore_ascii_case(&id)),
            format!("`id`: {id}"),
        )?;
        got.wants(got.text("/name") == name, format!("`name`: {}", said(&name)))?;
        let same = got.text("/type").is_some_and(|found| found.eq_ignore_ascii_case(&full));
        got.wants(same, format!("`type`: {full}"))?;
        if kind.has(Verb::List) {
            let collection = id.rsplit_once('/').map_or("", |(collection, _)| collection);
            let page = trial.client.get(collection).send().await?;
            for item in page.json.get("value").and_then(Value::as_array).into_iter().flatten() {
                let whole = ["id", "name", "type"]
                    .iter()
                    .all(|member| item.get(member).is_some_and(Value::is_string));
                page.wants(whole, "id, name and type in every item of the list")?;
            }
        }
    }
    Ok(())
}

const ENVELOPE: [&str; 16] = [
    "id",
    "name",
    "type",
    "location",
    "tags",
    "properties",
    "systemData",
    "etag",
    "kind",
    "sku",
    "plan",
    "identity",
    "managedBy",
    "zones",
    "extendedLocation",
    "scale",
];

async fn envelope_members(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let none = Map::new();
        let members = got.json.as_object().unwrap_or(&none);
        let own = members.keys().find(|name| !ENVELOPE.contains(&name.as_str()));
        got.wants(
            own.is_none(),
            format!("no member of the provider's own at the top, unlike {}", said(&own)),
        )?;
        let properties = members.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let repeated = properties.keys().find(|name| {
            matches!(
                name.as_str(),
                "id" | "name" | "type" | "location" | "tags" | "systemData" | "etag" | "managedBy" | "zones"
            )
        });
        got.wants(
            repeated.is_none(),
            format!("no member of the envelope in `properties`, unlike {}", said(&repeated)),
        )?;
    }
    Ok(())
}

async fn tracked_and_proxy(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let (has_location, has_tags) = (got.json.get("location").is_some(), got.json.get("tags").is_some());
        if !kind.tracked {
            got.wants(!has_location && !has_tags, "neither `location` nor `tags` in a proxy resource")?;
            continue;
        }
        got.wants(has_location, "`location` in a tracked resource")?;
        let resource = trial.plan(kind).await?;
        let (body, _) = shape::without(&resource.body, "/location");
        let put = trial.client.put(&resource.id, &body).send().await?;
        put.refused(&[400], "a tracked resource without location")?;
    }
    Ok(())
}

fn with_location(body: &Value, location: &str) -> Value {
    shape::with(body, "/location", location.into())
}

async fn location(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put).filter(|kind| kind.tracked) {
        let made = trial.make(kind).await?.resource;
        let given = &trial.profile.location;
        let (start, end) = given.split_at_checked(4).unwrap_or((given, ""));
        let same = format!("{} {}", start.to_uppercase(), end.to_uppercase());
        let put = trial.client.put(&made.id, &with_location(&made.body, &same)).send().await?;
        put.status_is(&[200], "the same location in other casing with a blank")?;
        trial.settle(&put).await?;
        if let Some(other) = &trial.profile.other_location {
            let put = trial.client.put(&made.id, &with_location(&made.body, other)).send().await?;
            put.refused(&[400, 409], "another location than at creation")?;
        }
    }
    Ok(())
}

async fn tags(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put).filter(|kind| kind.tracked) {
        let resource = trial.plan(kind).await?;
        let tags = json!({"CamelCase": "VaLue", "lower": ""});
        trial.write(&resource.id, &shape::with(&resource.body, "/tags", tags.clone())).await?;
        let got = trial.read(&resource.id).await?;
        got.wants(got.json.get("tags") == Some(&tags), format!("`tags` as they were given: {tags}"))?;
        for bad in ["a<b", "a>b", "a%b", "a&b", "a\\b", "a?b", "a/b", "a\u{1}b"] {
            let body = shape::with(&resource.body, "/tags", json!({ bad: "x" }));
            let put = trial.client.put(&resource.id, &body).send().await?;
            put.refused(&[400], "a tag whose name has a character that is not allowed")?;
        }
    }
    Ok(())
}

async fn kind_is_kept(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put).filter(|kind| kind.body.get("kind").is_some()) {
        some = true;
        let resource = trial.plan(kind).await?;
        let put = trial
            .client
            .put(&resource.id, &shape::with(&resource.body, "/kind", json!("no such kind")))
            .send()
            .await?;
        put.refused(&[400], "a kind that does not exist")?;
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        got.wants(got.json.get("kind") == resource.body.get("kind"), "`kind` as it was given")?;
    }
    if some { Ok(()) } else { not_applicable("no body of the profile has a kind") }
}

async fn top_level(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        for member in ["sku", "plan", "managedBy", "identity"] {
            let inside = got.json.pointer(&format!("/properties/{member}")).is_some();
            got.wants(!inside, format!("no `{member}` in `properties`"))?;
            let kept = kind.body.get(member).is_none() || got.json.get(member).is_some();
            got.wants(kept, format!("`{member}` at the top"))?;
        }
        for part in ["name", "publisher", "product"].iter().filter(|_| kind.body.get("plan").is_some()) {
            let resource = trial.plan(kind).await?;
            let (body, _) = shape::without(&resource.body, &format!("/plan/{part}"));
            let put = trial.client.put(&resource.id, &body).send().await?;
            put.refused(&[400], "a plan that is not whole")?;
        }
    }
    Ok(())
}

async fn unknown_properties(trial: &Trial) -> Outcome {
    let mut refuses = None;
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        let body = shape::with(&resource.body, "/properties/conformanceUnknown", json!(1));
        let put = trial.client.put(&resource.id, &body).odd().send().await?;
        put.status_is(&[200, 201, 400], "an unknown property is ignored or refused")?;
        if put.status == 400 {
            let names = put
                .json
                .pointer("/error")
                .is_some_and(|error| error.to_string().contains("conformanceUnknown"));
            put.wants(names, "the refusal to name the property")?;
            let target =
                put.text("/error/target").is_some_and(|target| target.contains("conformanceUnknown"));
            put.wants(target, "`error.target` to be the property's path")?;
        } else {
            trial.settle(&put).await?;
            let got = trial.read(&resource.id).await?;
            let stored = got.json.pointer("/properties/conformanceUnknown").is_some();
            got.wants(!stored, "a property that is ignored not to be stored")?;
        }
        let same = *refuses.get_or_insert(put.status == 400) == (put.status == 400);
        put.wants(same, "the same treatment as for the other types")?;
    }
    Ok(())
}

async fn references(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put) {
        for pointer in &kind.references {
            some = true;
            let resource = trial.plan(kind).await?;
            for bad in ["not-an-id", "/subscriptions/x", "https://example.com/"] {
                let body = shape::with(&resource.body, pointer, bad.into());
                let put = trial.client.put(&resource.id, &body).send().await?;
                put.refused(&[400], "a reference that is not a full id")?;
            }
        }
    }
    if some { Ok(()) } else { not_applicable("the profile names no references") }
}

/// The secrets of a body.
fn secrets_of(kind: &Kind, body: &Value) -> Vec<String> {
    let found = kind.secrets.iter().filter_map(|pointer| body.pointer(pointer)?.as_str());
    found.map(str::to_owned).collect()
}

async fn secrets(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put).filter(|kind| !kind.secrets.is_empty()) {
        some = true;
        let made = trial.make(kind).await?;
        let secrets = secrets_of(kind, &made.resource.body);
        let id = &made.resource.id;
        let collection = id.rsplit_once('/').map_or("", |(collection, _)| collection);
        let mut answers = vec![made.put, trial.read(id).await?, trial.client.get(collection).send().await?];
        if let Some(patch) = kind.patch.as_ref().filter(|_| kind.has(Verb::Patch)) {
            let patched = trial.client.patch(id, patch).send().await?;
            answers.extend(trial.client.finish(&patched, trial.limit()).await?);
            answers.push(patched);
        }
        for answer in answers {
            let text = String::from_utf8_lossy(&answer.body);
            let told = secrets.iter().any(|secret| text.contains(secret.as_str()));
            answer.wants(!told, "no secret in an answer")?;
        }
    }
    if some { Ok(()) } else { not_applicable("the profile names no secrets") }
}

async fn no_children(trial: &Trial) -> Outcome {
    let (parent, _) = trial.family()?;
    let id = &trial.standing(parent).await?.id;
    for child in trial.children(parent).filter(|child| child.has(Verb::Put)) {
        trial.standing(child).await?;
    }
    let got = trial.read(id).await?;
    let (below, mut objects) = (format!("{}/", id.to_lowercase()), Vec::new());
    shape::objects(&got.json, &mut objects);
    let embedded = objects.iter().any(|object| {
        object.get("id").and_then(Value::as_str).is_some_and(|id| id.to_lowercase().starts_with(&below))
    });
    got.wants(!embedded, "no document of a child in its parent's")
}

async fn location_data(trial: &Trial) -> Outcome {
    let mut some = false;
    for kind in trial.with(Verb::Put).filter(|kind| kind.on_premises) {
        some = true;
        let resource = trial.plan(kind).await?;
        let place = json!({"name": "Cellar", "city": "Sheffield", "district": "South Yorkshire", "countryOrRegion": "United Kingdom"});
        trial
            .write(&resource.id, &shape::with(&resource.body, "/properties/locationData", place.clone()))
            .await?;
        let got = trial.read(&resource.id).await?;
        got.wants(
            got.json.pointer("/properties/locationData") == Some(&place),
            format!("locationData: {place}"),
        )?;
    }
    if some { Ok(()) } else { not_applicable("no type of the profile is on premises") }
}
