//! The stored form of a custom provider.

use livedata_arm::{ArmError, Tags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{NAMESPACE, RESOURCE_TYPE};
use crate::app::App;
use crate::reply::{Refusal, arm_error};

/// Collection; keys are `{group}/{name}` in lower case.
pub(super) const PROVIDERS: &str = "front-door.custom-providers";
const PAGE: usize = 500;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomProvider {
    pub name: String,
    pub resource_group: String,
    pub location: String,
    pub tags: Tags,
    pub properties: Properties,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Properties {
    pub actions: Vec<Route>,
    pub resource_types: Vec<Route>,
    pub validations: Vec<Validation>,
}

/// A resource type, or an action, and who answers for it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    pub name: String,
    pub routing_type: RoutingType,
    pub endpoint: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum RoutingType {
    Proxy,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Validation {
    #[serde(default)]
    pub validation_type: ValidationType,
    pub specification: String,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) enum ValidationType {
    #[default]
    Swagger,
}

impl CustomProvider {
    pub fn key(&self) -> String {
        key(&self.resource_group, &self.name)
    }

    pub fn id(&self, app: &App) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/{NAMESPACE}/{RESOURCE_TYPE}/{}",
            app.subscription_id, self.resource_group, self.name
        )
    }

    pub fn document(&self, app: &App) -> Value {
        let mut properties = serde_json::to_value(&self.properties).unwrap_or_default();
        if let Value::Object(properties) = &mut properties {
            properties.insert("provisioningState".to_owned(), "Succeeded".into());
        }
        json!({
            "id": self.id(app),
            "name": self.name,
            "type": format!("{NAMESPACE}/{RESOURCE_TYPE}"),
            "location": self.location,
            "tags": self.tags,
            "properties": properties,
        })
    }

    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// With the version of the record.
pub(super) async fn find(
    app: &App,
    group: &str,
    name: &str,
) -> Result<Option<(u64, CustomProvider)>, ArmError> {
    let record = app.store.get(PROVIDERS, &key(group, name)).await.map_err(arm_error)?;
    record.map(|record| read(&record.body).map(|provider| (record.version, provider))).transpose()
}

pub(super) async fn existing(app: &App, group: &str, name: &str) -> Result<(u64, CustomProvider), Refusal> {
    find(app, group, name).await?.ok_or_else(|| {
        let message = format!(
            "The Resource '{NAMESPACE}/{RESOURCE_TYPE}/{name}' under resource group '{group}' was not found."
        );
        ArmError::new(404, "ResourceNotFound", message).into()
    })
}

/// Of a group, or of all.
pub(super) async fn all(app: &App, group: Option<&str>) -> Result<Vec<CustomProvider>, ArmError> {
    let prefix = group.map_or_else(String::new, |group| key(group, ""));
    let mut providers = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = app.store.list(PROVIDERS, &prefix, after.as_deref(), PAGE).await.map_err(arm_error)?;
        after = page.last().map(|record| record.key.clone());
        let full = page.len() == PAGE;
        for record in page {
            providers.push(read(&record.body)?);
        }
        if !full {
            return Ok(providers);
        }
    }
}

pub(super) fn check_name(name: &str) -> Result<(), ArmError> {
    let letters = !name.contains(['<', '>', '%', '&', ':', '\\', '?', '/']);
    if letters && (3..=64).contains(&name.chars().count()) {
        return Ok(());
    }
    let message = format!(
        "'{name}' cannot be a custom provider's name: 3 to 64 characters without < > % & : \\ ? / can."
    );
    Err(ArmError::new(400, "InvalidResourceName", message))
}

fn key(group: &str, name: &str) -> String {
    format!("{group}/{name}").to_lowercase()
}

fn read(body: &[u8]) -> Result<CustomProvider, ArmError> {
    serde_json::from_slice(body).map_err(|error| arm_error(livedata_store::Error::Damaged(error.to_string())))
}
