//! What is stored of a body, and what is fixed.

use serde_json::{Map, Value, json};

use crate::http::Response;
use crate::server::{NAMESPACE, Refusal, Thing};

pub fn merge(document: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = document.as_object().cloned().unwrap_or_default();
    for (name, change) in changes {
        match change {
            Value::Null => drop(members.remove(name)),
            change => {
                let merged = merge(members.get(name).unwrap_or(&Value::Null), change);
                members.insert(name.clone(), merged);
            }
        }
    }
    Value::Object(members)
}

/// What is stored of a body.
pub fn checked(kind: &str, body: &Value, stored: Option<&Thing>) -> Result<Value, Refusal> {
    let tracked = kind == "boxes";
    let (required, known): (&[&str], &[&str]) = match tracked {
        true => {
            (&["size", "label"], &["size", "label", "color", "marks", "locationData", "provisioningState"])
        }
        false if kind == "boxes/lids" => (&["item"], &["item", "provisioningState"]),
        false => (&["text"], &["text", "password", "partner", "provisioningState"]),
    };
    let empty = Map::new();
    let properties = body["properties"].as_object().unwrap_or(&empty);
    let mut wrong: Vec<String> = Vec::new();
    let missing = required.iter().filter(|name| properties.get(**name).is_none_or(Value::is_null));
    wrong.extend(missing.map(|name| format!("properties.{name}")));
    let unknown = properties.keys().filter(|name| !known.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| format!("properties.{name}")));
    if properties.get("size").is_some_and(|size| !size.is_u64()) {
        wrong.push("properties.size".into());
    }
    if properties.get("partner").and_then(Value::as_str).is_some_and(|id| !id.contains("/providers/")) {
        wrong.push("properties.partner".into());
    }
    let state = properties.get("provisioningState").and_then(Value::as_str);
    if let (Some(state), Some(stored)) = (state, stored)
        && state != stored.state
    {
        wrong.push("properties.provisioningState".into());
    }
    let location = |body: &Value| body["location"].as_str().map(|text| text.replace(' ', "").to_lowercase());
    if tracked {
        let tags = body["tags"].as_object().into_iter().flat_map(|tags| tags.keys());
        let bad =
            |name: &&String| name.contains(|letter: char| "<>%&\\?/".contains(letter) || letter.is_control());
        wrong.extend(tags.filter(bad).map(|_| "tags".to_owned()));
        if location(body).is_none() || stored.is_some_and(|stored| location(&stored.body) != location(body)) {
            wrong.push("location".into());
        }
    }
    if body.get("kind").is_some_and(|kind| kind != "Wooden") {
        wrong.push("kind".into());
    }
    if !wrong.is_empty() {
        return Err((400, "InvalidProperty", "The document is wrong.".into(), Some(wrong.join(","))));
    }
    let mut kept = json!({ "properties": properties });
    if let Some(properties) = kept["properties"].as_object_mut() {
        properties.remove("provisioningState");
        if tracked {
            properties.entry("color").or_insert("none".into());
            properties.entry("marks").or_insert(json!([]));
        }
    }
    if tracked {
        kept["location"] = stored.map_or(&body["location"], |stored| &stored.body["location"]).clone();
        for member in ["kind", "sku"].into_iter().filter(|member| body.get(member).is_some()) {
            kept[member] = body[member].clone();
        }
        kept["tags"] = body.get("tags").filter(|tags| tags.is_object()).cloned().unwrap_or(json!({}));
    }
    Ok(kept)
}

pub fn operations() -> Response {
    let mut names = vec!["register/action".to_owned()];
    for kind in ["boxes", "boxes/items", "boxes/lids"] {
        names.extend(["read", "write", "delete"].map(|verb| format!("{kind}/{verb}")));
    }
    names.extend(["open", "shake", "seal"].map(|action| format!("boxes/{action}/action")));
    let entry = |name: &String| {
        json!({
            "name": format!("{NAMESPACE}/{name}"), "isDataAction": false, "origin": "user,system",
            "display": {"provider": "Things", "resource": "Boxes", "operation": name, "description": name}
        })
    };
    Response::new(200, Some(json!({ "value": names.iter().map(entry).collect::<Vec<_>>() })))
}
