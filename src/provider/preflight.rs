//! `POST …/deployments/{name}/preflight` (rule 117): what of a template would be refused, before anything of it is made. Best effort:
//! what cannot be judged yet, because the template decides it later, is passed over.

use livedata_arm::{ArmError, ResourceId, ResourceType};
use serde_json::{Map, Value, json};

use crate::core::Core;
use crate::errors::Outcome;
use crate::registry;
use crate::request::{Request, Response};
use crate::view::Version;

pub async fn check(core: &Core, request: &Request, subscription: &str, group: &str) -> Outcome<Response> {
    let body = request.document()?;
    let resources = body.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut errors = Vec::new();
    for resource in &resources {
        let Some(resource) = resource.as_object() else { continue };
        if let Err(error) = judge(core, request, subscription, group, resource).await? {
            errors.push(error);
        }
    }
    Ok(Response::json(
        200,
        match ArmError::several(errors) {
            None => json!({ "status": "Succeeded" }),
            Some(error) => json!({ "status": "Failed", "error": error.body().error }),
        },
    ))
}

async fn judge(
    core: &Core,
    request: &Request,
    subscription: &str,
    group: &str,
    resource: &Map<String, Value>,
) -> Outcome<Result<(), ArmError>> {
    let text = |name: &str| resource.get(name).and_then(Value::as_str);
    let (Some(full), Some(name), Some(version)) = (text("type"), text("name"), text("apiVersion")) else {
        return Ok(Ok(()));
    };
    if has_expressions(&Value::Object(resource.clone())) {
        return Ok(Ok(()));
    }
    let Some((namespace, path)) = full.split_once('/') else { return Ok(Ok(())) };
    let types: Vec<&str> = path.split('/').collect();
    let names: Vec<&str> = name.split('/').collect();
    let found = core.namespaces.find(namespace).zip(registry::find(&types)).zip(Version::parse(version));
    let Some(((namespace, kind), version)) = found.filter(|_| types.len() == names.len()) else {
        return Ok(Ok(()));
    };
    let description = kind.description();
    if let Some(last) = names.last().filter(|last| !description.names.allow(last)) {
        let message = format!("'{last}' cannot be a resource name: use {}.", description.names.rule());
        return Ok(Err(crate::errors::INVALID_RESOURCE_NAME.error(message)));
    }
    let id = ResourceId {
        subscription: subscription.to_owned(),
        resource_group: group.to_owned(),
        resource_type: ResourceType {
            namespace: core.namespaces.own.to_string(),
            types: description.path.iter().map(|kind| (*kind).to_owned()).collect(),
        },
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    // What belongs to the template, and not to the resource.
    const OF_THE_TEMPLATE: [&str; 7] =
        ["apiVersion", "dependsOn", "comments", "condition", "copy", "scope", "dependencies"];
    let mut document = resource.clone();
    document.retain(|name, _| !OF_THE_TEMPLATE.contains(&name.as_str()));
    let view = core.namespaces.view(namespace, version);
    let request = Request { view, ..request.clone() };
    kind.validate(core, &request, &id, &document).await
}

/// Template language: a text in brackets, unless it begins with two of them.
fn has_expressions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with('[') && !text.starts_with("[[") && text.ends_with(']'),
        Value::Array(elements) => elements.iter().any(has_expressions),
        Value::Object(object) => object.values().any(has_expressions),
        _ => false,
    }
}
