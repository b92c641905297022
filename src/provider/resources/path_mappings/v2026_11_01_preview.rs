//! Wire form of a path mapping in `2026-11-01-preview`.

use serde_json::{Value, json};

use super::PathMapping;
use super::model::Given;
use crate::observed::WireCondition;
use crate::view::View;
use crate::wire_type;

wire_type! {
    pub struct Properties {
        provisioning_state: String,
        source_file_system: String,
        source_path: String,
        target_id: String,
        target_path: String,
        description: String,
        status: Value,
    }
}

pub fn into_given(wire: Properties) -> Given {
    Given {
        source_path: wire.source_path,
        target_id: wire.target_id,
        target_path: wire.target_path,
        source_file_system: wire.source_file_system,
        description: wire.description,
    }
}

pub fn of_model(view: &View, mapping: &PathMapping, conditions: &[WireCondition]) -> Properties {
    Properties {
        source_file_system: mapping.source_file_system.clone(),
        source_path: Some(mapping.source_path.clone()),
        target_id: Some(view.show(&mapping.target_id)),
        target_path: Some(mapping.target_path.clone()),
        description: mapping.description.clone(),
        status: Some(json!({ "conditions": conditions })),
        ..Properties::default()
    }
}
