//! Wire form of a target in `2026-11-01-preview`. The secrets of `credential` are read and never written.

use livedata_model::spec::{CredentialKind, Secret};
use serde_json::{Map, Value, json};

use super::model::{CredentialInput, secret_property};
use super::{Finding, Target};
use crate::clock::rfc3339_of_ms;
use crate::document::Document;
use crate::errors;
use crate::wire::{Findings, Reader};

/// `properties` as given; required ones that are absent have become findings.
pub struct Wire {
    pub storage_account_id: Option<String>,
    pub storage_container: Option<String>,
    pub storage_endpoint: Option<String>,
    pub credential: Option<CredentialInput>,
    pub findings: Findings,
}

const KINDS: [(&str, CredentialKind); 5] = [
    ("AccountKey", CredentialKind::AccountKey),
    ("SharedAccessSignature", CredentialKind::SharedAccessSignature),
    ("ServicePrincipal", CredentialKind::ServicePrincipal),
    ("ManagedIdentity", CredentialKind::ManagedIdentity),
    ("WorkloadIdentity", CredentialKind::WorkloadIdentity),
];

pub fn read(mut properties: Reader<'_>) -> Wire {
    properties.read_only(&["status"]);
    let mut wire = Wire {
        storage_account_id: properties.required_text("storageAccountId"),
        storage_container: properties.required_text("storageContainer"),
        storage_endpoint: properties.text("storageEndpoint"),
        credential: None,
        findings: properties.findings().clone(),
    };
    if properties.required("credential")
        && let Some(mut credential) = properties.object("credential")
    {
        wire.credential = read_credential(&mut credential);
        credential.finish();
    }
    properties.finish();
    wire
}

fn read_credential(credential: &mut Reader<'_>) -> Option<CredentialInput> {
    let kind = credential.required("kind").then(|| credential.word("kind", &KINDS)).flatten();
    let secrets = [
        ("accountKey", credential.text("accountKey")),
        ("sharedAccessSignature", credential.text("sharedAccessSignature")),
        ("clientSecret", credential.text("clientSecret")),
    ];
    let (client_id, tenant_id) = (credential.text("clientId"), credential.text("tenantId"));
    let authority = credential.text("authorityHost");
    let kind = kind?;
    let mut secret = None;
    for (name, given) in secrets {
        match given {
            Some(given) if secret_property(kind) == Some(name) => secret = Some(Secret(given)),
            Some(_) => {
                let message =
                    format!("A credential of kind {} has no '{name}': leave it out.", kind.as_str());
                let target = credential.target(name);
                credential.findings().add(&errors::INVALID_PROPERTY_VALUE, target, message);
            }
            None => {}
        }
    }
    Some(CredentialInput { kind, secret, client_id, tenant_id, authority })
}

pub fn write(document: &Document<Target>, conditions: Vec<Value>) -> Map<String, Value> {
    let target = &document.spec;
    let mut credential = Map::from_iter([("kind".to_owned(), json!(target.credential.kind.as_str()))]);
    for (name, value) in [
        ("clientId", &target.credential.client_id),
        ("tenantId", &target.credential.tenant_id),
        ("authorityHost", &target.credential.authority),
    ] {
        if let Some(value) = value {
            credential.insert(name.to_owned(), json!(value));
        }
    }
    let mut status = Map::from_iter([("conditions".to_owned(), Value::Array(conditions))]);
    if let Some(location) = target.found.as_ref().and_then(|found| found.location.as_ref()) {
        status.insert("accountLocation".to_owned(), json!(location));
    }
    let mut properties = Map::from_iter([
        ("storageAccountId".to_owned(), json!(target.storage_account_id)),
        ("storageContainer".to_owned(), json!(target.storage_container)),
        ("credential".to_owned(), Value::Object(credential)),
        ("status".to_owned(), Value::Object(status)),
    ]);
    if let Some(endpoint) = &target.storage_endpoint {
        properties.insert("storageEndpoint".to_owned(), json!(endpoint));
    }
    properties
}

/// As far as the look-up tells.
pub fn conditions(target: &Target) -> Vec<Value> {
    let Some(found) = &target.found else { return Vec::new() };
    let finding = |kind, finding: &'_ Option<Finding>| {
        finding.as_ref().map(|found| (kind, found.status, found.reason.clone(), found.message.clone()))
    };
    let account = |kind, status| (kind, status, found.reason.clone(), found.message.clone());
    [
        Some(account("Reachable", found.reachable)),
        Some(account("HierarchicalNamespace", found.hierarchical_namespace)),
        finding("NetworkAccess", &found.network),
        finding("ContainerExists", &found.container),
    ]
    .into_iter()
    .flatten()
    .map(|(kind, status, reason, message)| {
        json!({
            "type": kind,
            "status": format!("{status:?}"),
            "reason": reason,
            "message": message,
            "lastTransitionTime": rfc3339_of_ms(found.at_ms)
        })
    })
    .collect()
}
