//! What a metadata migration must satisfy by itself.

use super::MetadataMigrationInput;
use super::model::Given;
use crate::errors;
use crate::view::View;
use crate::wire::Findings;

pub fn check(view: &View, given: Given, findings: &Findings) -> Option<MetadataMigrationInput> {
    let database_pattern = pattern("properties.dbNamePattern", given.database_pattern, findings);
    let table_pattern = pattern("properties.tableNamePattern", given.table_pattern, findings);
    let target_id = given.target_id.and_then(|id| {
        let read = view.resource_id(&id);
        if read.is_none() {
            let message = format!("'{id}' is not the full resource id of a metadata target.");
            findings.add(&errors::INVALID_PROPERTY_VALUE, "properties.targetId", message);
        }
        read
    });
    Some(MetadataMigrationInput {
        database_pattern: database_pattern?,
        table_pattern: table_pattern?,
        target_id,
        auto_start: given.auto_start.unwrap_or(false),
        databricks: given.databricks,
    })
}

/// Names of Hive, with `*` for any part of one and `|` between alternatives.
fn pattern(target: &str, given: Option<String>, findings: &Findings) -> Option<String> {
    let given = findings.required(target, given)?;
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'*' | b'|' | b'%' | b'-');
    let good = (1..=1024).contains(&given.len()) && given.bytes().all(letter) && !given.contains("||");
    if !good {
        let message = format!(
            "'{given}' is not a pattern of names: use letters, digits and '_', '*' for any part, '|' between alternatives."
        );
        findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    }
    Some(given)
}
