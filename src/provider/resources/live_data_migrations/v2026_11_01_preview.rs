//! Wire form of a migration in `2026-11-01-preview`.

use livedata_model::spec::Mode;
use serde_json::{Map, Value, json};

use super::Migration;
use crate::document::Document;
use crate::observed::MigrationStatus;
use crate::wire::{Findings, Reader};

/// `properties` as given; required ones that are absent have become findings.
pub struct Wire {
    pub path: Option<String>,
    pub target_id: Option<String>,
    pub target_path: Option<String>,
    pub mode: Option<Mode>,
    pub auto_start: Option<bool>,
    pub findings: Findings,
}

pub fn read(mut properties: Reader<'_>) -> Wire {
    properties.read_only(&["status", "generation", "observedGeneration"]);
    let wire = Wire {
        path: properties.required_text("path"),
        target_id: properties.required_text("targetId"),
        target_path: properties.text("targetPath"),
        mode: properties.word(
            "mode",
            &[("Live", Mode::Live), ("OneTime", Mode::OneTime), ("Recurring", Mode::Recurring)],
        ),
        auto_start: properties.boolean("autoStart"),
        findings: properties.findings().clone(),
    };
    properties.finish();
    wire
}

pub fn write(document: &Document<Migration>, status: &MigrationStatus) -> Map<String, Value> {
    let migration = &document.spec;
    Map::from_iter([
        ("path".to_owned(), json!(migration.path)),
        ("targetId".to_owned(), json!(migration.target_id)),
        ("targetPath".to_owned(), json!(migration.target_path)),
        ("mode".to_owned(), json!(migration.mode.as_str())),
        ("autoStart".to_owned(), json!(migration.auto_start)),
        ("generation".to_owned(), json!(document.generation)),
        ("observedGeneration".to_owned(), json!(status.observed_generation)),
        ("status".to_owned(), json!(status)),
    ])
}
