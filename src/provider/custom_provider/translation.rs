//! Documents of custom resources into those of ours, and back.

use livedata_arm::{ArmError, ResourceId};
use serde_json::{Map, Value};

use super::address::CustomProvider;
use super::names;
use crate::core::Core;
use crate::errors::{self, Outcome};

pub const MIGRATOR_NAME: &str = "properties.migratorName";
const PROPERTY: &str = "migratorName";

/// `properties.migratorName`, which only custom resources have.
pub fn take_migrator(document: &mut Map<String, Value>) -> Result<String, ArmError> {
    let properties = document.get_mut("properties").and_then(Value::as_object_mut);
    match properties.and_then(|properties| properties.remove(PROPERTY)) {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        None | Some(Value::Null) => Err(errors::MISSING_REQUIRED_PROPERTY.at(
            MIGRATOR_NAME,
            format!("'{MIGRATOR_NAME}' is required: the name of the migrator that this is for."),
        )),
        Some(_) => {
            Err(errors::INVALID_PROPERTY_VALUE
                .at(MIGRATOR_NAME, format!("'{MIGRATOR_NAME}' must be a name.")))
        }
    }
}

/// The name of the migrator that a resource hangs below; of a migrator, its own.
pub fn migrator_of(id: &ResourceId) -> &str {
    id.names.first().map_or("", String::as_str)
}

/// Ids of this provider's custom resources become those of the resources. Others stay, also such that lead nowhere.
pub async fn take_references(
    core: &Core,
    provider: &CustomProvider,
    document: &mut Map<String, Value>,
) -> Outcome<()> {
    for reference in references(document) {
        let key = normal(reference);
        if key.starts_with(&provider.prefix())
            && let Some(found) = names::find(core, &key).await?
        {
            *reference = found.id.to_string();
        }
    }
    Ok(())
}

/// A resource of ours becomes a custom resource.
pub async fn show(
    core: &Core,
    provider: &CustomProvider,
    id: &ResourceId,
    resource: &mut Map<String, Value>,
) -> Outcome<()> {
    for reference in references(resource) {
        let Ok(parsed) = reference.parse::<ResourceId>() else { continue };
        if parsed.resource_type.namespace.eq_ignore_ascii_case(&core.namespaces.own)
            && let Some(key) = names::of(core, &parsed.key()).await?
            && key.starts_with(&provider.prefix())
        {
            *reference = provider.id_of(&parsed);
        }
    }
    resource.insert("id".to_owned(), Value::String(provider.id_of(id)));
    resource.insert("type".to_owned(), Value::String(CustomProvider::type_of(id)));
    if id.names.len() > 1
        && let Some(Value::Object(properties)) = resource.get_mut("properties")
    {
        properties.insert(PROPERTY.to_owned(), Value::String(migrator_of(id).to_owned()));
    }
    Ok(())
}

/// Whether nobody has to look again.
pub fn is_terminal(resource: &Map<String, Value>) -> bool {
    let state = resource.get("properties").and_then(|properties| properties.get("provisioningState"));
    state.and_then(Value::as_str).is_none_or(|state| matches!(state, "Succeeded" | "Failed" | "Canceled"))
}

/// Replaces an id in everything that an error says.
pub fn rename(error: &mut Value, from: &str, to: &str) {
    match error {
        Value::String(text) => *text = text.replace(from, to),
        Value::Array(list) => list.iter_mut().for_each(|one| rename(one, from, to)),
        Value::Object(object) => object.values_mut().for_each(|one| rename(one, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The properties that hold ids of resources: their names end in `Id`.
fn references(document: &mut Map<String, Value>) -> Vec<&mut String> {
    let mut found = Vec::new();
    if let Some(properties) = document.get_mut("properties") {
        collect(properties, &mut found);
    }
    found
}

fn collect<'a>(value: &'a mut Value, found: &mut Vec<&'a mut String>) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(|one| collect(one, found)),
        Value::Object(object) => {
            for (name, value) in object {
                if !name.ends_with("Id") || !value.is_string() {
                    collect(value, found);
                } else if let Value::String(text) = value {
                    found.push(text);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// As a key has it: one slash between the parts, none at the end.
fn normal(id: &str) -> String {
    let mut key = String::with_capacity(id.len());
    for segment in id.split('/').filter(|segment| !segment.is_empty()) {
        key.push('/');
        key.push_str(segment);
    }
    key.to_lowercase()
}
