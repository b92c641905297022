//! Wire form of a metadata migration in `2026-11-01-preview`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::MetadataMigration;
use super::model::Given;
use crate::observed::WireCondition;
use crate::view::View;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: String,
        db_name_pattern: String,
        table_name_pattern: String,
        target_id: String,
        auto_start: bool,
        databricks_target_properties: Databricks,
        status: Value,
    }
}

wire_type! {
    pub struct Databricks {
        fs_mount_point: String,
        convert_to_delta_lake: bool,
        delete_after_conversion: bool,
        catalog: String,
        default_fs_override: String,
    }
}

pub fn into_given(wire: Properties) -> Given {
    let databricks = serde_json::to_value(wire.databricks_target_properties).ok();
    let databricks: BTreeMap<String, Value> =
        databricks.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    Given {
        database_pattern: wire.db_name_pattern,
        table_pattern: wire.table_name_pattern,
        target_id: wire.target_id,
        auto_start: wire.auto_start,
        databricks: databricks
            .into_iter()
            .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
            .collect(),
    }
}

pub fn of_model(view: &View, migration: &MetadataMigration, conditions: &[WireCondition]) -> Properties {
    let setting = |name: &str| migration.databricks.get(name).cloned();
    let flag = |name: &str| setting(name).map(|text| text == "true");
    Properties {
        db_name_pattern: Some(migration.database_pattern.clone()),
        table_name_pattern: Some(migration.table_pattern.clone()),
        target_id: migration.target_id.as_deref().map(|id| view.show(id)),
        auto_start: Some(migration.auto_start),
        status: Some(json!({ "state": migration.state(), "conditions": conditions })),
        databricks_target_properties: (!migration.databricks.is_empty()).then(|| Databricks {
            fs_mount_point: setting("fsMountPoint"),
            convert_to_delta_lake: flag("convertToDeltaLake"),
            delete_after_conversion: flag("deleteAfterConversion"),
            catalog: setting("catalog"),
            default_fs_override: setting("defaultFsOverride"),
        }),
        ..Properties::default()
    }
}
