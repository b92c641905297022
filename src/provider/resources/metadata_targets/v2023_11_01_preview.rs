//! Wire form of a metadata target in `2023-11-01-preview`: the properties of all kinds; `metadataTargetKind` says which count.

use std::collections::BTreeMap;

use livedata_arm::ArmError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::MetadataTarget;
use super::model::Kind;
use crate::errors;
use crate::view::View;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        metadata_target_kind: Kind,
        provisioning_state: String,
        data_target_id: String,
        default_fs_override: String,
        sql_server_id: String,
        sql_database: String,
        sql_user: String,
        sql_password: String,
        hdi_version: String,
        jdbc_server_hostname: String,
        jdbc_port: i32,
        jdbc_http_path: String,
        access_token: String,
        fs_mount_point: String,
        convert_to_delta_lake: bool,
        delete_after_conversion: bool,
        catalog: String,
        account_identifier: String,
        stage_database: String,
        stage_schema: String,
        stage: String,
        warehouse: String,
        schema: String,
        role: String,
        snowflake_auth_kind: SnowflakeAuthKind,
        user: String,
        password: String,
        private_key_file: String,
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum SnowflakeAuthKind {
    Basic,
    PrivateKey,
}

const KIND: &str = "metadataTargetKind";
const UPDATE_KIND: &str = "metadataTargetUpdateKind";

/// A PATCH says of which kind its credentials are, in words of its own.
pub fn patch(stored: &MetadataTarget, properties: &mut Map<String, Value>) -> Result<(), ArmError> {
    if properties.is_empty() {
        return Ok(());
    }
    let expected = match stored.kind {
        Kind::AzureSql => "AzureSqlAuth",
        Kind::Databricks => "DatabricksAuth",
        Kind::Snowflake => "SnowflakeAuth",
    };
    let target = format!("properties.{UPDATE_KIND}");
    match properties.remove(UPDATE_KIND) {
        Some(Value::String(given)) if given == expected => Ok(()),
        Some(given) => {
            let message =
                format!("This is a metadata target of another kind than {given}: {expected} fits it.");
            Err(errors::INVALID_PROPERTY_VALUE.at(target, message))
        }
        None => {
            let message = format!("The property '{target}' is required; for this target it is {expected}.");
            Err(errors::MISSING_REQUIRED_PROPERTY.at(target, message))
        }
    }
}

pub fn of_model(view: &View, target: &MetadataTarget) -> Properties {
    let mut whole = Map::from_iter([(KIND.to_owned(), serde_json::json!(target.kind))]);
    for (name, text) in &target.settings {
        whole.insert(name.clone(), json_of(name, text));
    }
    // What was stored is what was read from this form.
    let mut wire: Properties = serde_json::from_value(Value::Object(whole)).unwrap_or_default();
    wire.metadata_target_kind = Some(target.kind);
    wire.data_target_id = target.data_target_id.as_deref().map(|id| view.show(id));
    wire
}

/// The settings that are there, apart from kind, data target and secrets.
pub fn settings(wire: &Properties) -> BTreeMap<String, String> {
    let Ok(Value::Object(whole)) = serde_json::to_value(wire) else { return BTreeMap::new() };
    const APART: [&str; 6] =
        [KIND, "provisioningState", "dataTargetId", "sqlPassword", "accessToken", "password"];
    let settings = whole.into_iter().filter(|(name, _)| !APART.contains(&name.as_str()));
    settings
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect()
}

fn json_of(name: &str, text: &str) -> Value {
    match name {
        "jdbcPort" | "convertToDeltaLake" | "deleteAfterConversion" => {
            serde_json::from_str(text).unwrap_or(Value::Null)
        }
        _ => Value::String(text.to_owned()),
    }
}
