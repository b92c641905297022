//! What the actions of a migration are given.

use livedata_arm::ArmError;
use livedata_model::path;
use livedata_model::rules::ActionPolicy;
use serde::de::DeserializeOwned;
use serde_json::Map;

use super::Migration;
use super::v2023_11_01_preview as public;
use super::v2026_11_01_preview::ACTIONS;
use super::validation::canonical;
use crate::errors;
use crate::request::Request;
use crate::wire::{Findings, Reader};

/// An action without input: no body, or an empty object.
pub fn none(request: &Request) -> Result<(), ArmError> {
    read(request, |_, _| ())
}

/// What `reset` may be told, in the words of either version.
pub struct Reset {
    pub reset_path_mapping: bool,
    pub action: Option<ActionPolicy>,
}

pub fn reset(request: &Request) -> Result<Reset, ArmError> {
    if request.view.version.is_public() {
        let wire: public::Reset = typed(request)?;
        let reset_path_mapping = wire.reset_path_mapping.unwrap_or(false);
        let action = wire.target_action_policy.map(|policy| match policy {
            public::TargetActionPolicy::Overwrite => ActionPolicy::Overwrite,
            public::TargetActionPolicy::SkipIfSizeMatch => ActionPolicy::SkipIfSizeMatch,
        });
        return Ok(Reset { reset_path_mapping, action });
    }
    read(request, |reader, _| Reset {
        reset_path_mapping: reader.boolean("resetPathMapping").unwrap_or(false),
        action: reader.word("actionPolicy", &ACTIONS),
    })
}

/// `{"path": …}`: the migration's own path if there is none.
pub fn rescan(request: &Request, migration: &Migration) -> Result<String, ArmError> {
    let path = read(request, |reader, findings| {
        let given = reader.text("path")?;
        let path = canonical(&given, "path", findings)?;
        if !path::is_inside(&migration.path, &path) {
            let message = format!("'{path}' is not inside '{}', the path of the migration.", migration.path);
            findings.add(&errors::PATH_OUTSIDE_MIGRATION, "path", message);
        }
        Some(path)
    })?;
    Ok(path.unwrap_or_else(|| migration.path.clone()))
}

fn typed<T: DeserializeOwned + Default>(request: &Request) -> Result<T, ArmError> {
    let body = if request.body.is_empty() { Map::new() } else { request.document()? };
    let findings = Findings::default();
    let read = Reader::new("", &body, &findings).typed();
    findings.verdict()?;
    Ok(read.unwrap_or_default())
}

fn read<T>(request: &Request, take: impl FnOnce(&mut Reader<'_>, &Findings) -> T) -> Result<T, ArmError> {
    let body = if request.body.is_empty() { Map::new() } else { request.document()? };
    let findings = Findings::default();
    let mut reader = Reader::new("", &body, &findings);
    let taken = take(&mut reader, &findings);
    reader.finish();
    findings.verdict()?;
    Ok(taken)
}
