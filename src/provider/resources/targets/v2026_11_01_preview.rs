//! Wire form of a target in `2026-11-01-preview`. `credential.accountKey` is read and never written.

use livedata_model::spec::{CredentialKind, Secret};
use serde_json::{Map, Value, json};

use super::Target;
use crate::clock::rfc3339_of_ms;
use crate::document::Document;
use crate::wire::{Findings, Reader};

/// `properties` as given; required ones that are absent have become findings.
pub struct Wire {
    pub storage_account_id: Option<String>,
    pub storage_container: Option<String>,
    pub storage_endpoint: Option<String>,
    pub credential_kind: Option<CredentialKind>,
    pub account_key: Option<Secret>,
    pub findings: Findings,
}

pub fn read(mut properties: Reader<'_>) -> Wire {
    properties.read_only(&["status"]);
    let mut wire = Wire {
        storage_account_id: properties.required_text("storageAccountId"),
        storage_container: properties.required_text("storageContainer"),
        storage_endpoint: properties.text("storageEndpoint"),
        credential_kind: None,
        account_key: None,
        findings: properties.findings().clone(),
    };
    if properties.required("credential")
        && let Some(mut credential) = properties.object("credential")
    {
        if credential.required("kind") {
            wire.credential_kind = credential.word("kind", &[("AccountKey", CredentialKind::AccountKey)]);
        }
        wire.account_key = credential.text("accountKey").map(Secret);
        credential.finish();
    }
    properties.finish();
    wire
}

pub fn write(document: &Document<Target>) -> Map<String, Value> {
    let target = &document.spec;
    let mut properties = Map::from_iter([
        ("storageAccountId".to_owned(), json!(target.storage_account_id)),
        ("storageContainer".to_owned(), json!(target.storage_container)),
        ("credential".to_owned(), json!({ "kind": CredentialKind::AccountKey.as_str() })),
        ("status".to_owned(), json!({ "conditions": conditions(target) })),
    ]);
    if let Some(endpoint) = &target.storage_endpoint {
        properties.insert("storageEndpoint".to_owned(), json!(endpoint));
    }
    properties
}

/// As far as the look-up tells.
fn conditions(target: &Target) -> Vec<Value> {
    let Some(found) = &target.found else { return Vec::new() };
    [("Reachable", found.reachable), ("HierarchicalNamespace", found.hierarchical_namespace)]
        .into_iter()
        .map(|(kind, status)| {
            json!({
                "type": kind,
                "status": format!("{status:?}"),
                "reason": found.reason,
                "message": found.message,
                "lastTransitionTime": rfc3339_of_ms(found.at_ms)
            })
        })
        .collect()
}
