//! The one internal model of a target.

use livedata_model::spec::{CredentialKind, Secret};
use serde::{Deserialize, Serialize};

use crate::secrets::Sealed;

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// ARM id of the storage account, as given.
    pub storage_account_id: String,
    pub storage_container: String,
    /// The user's own word on the DFS endpoint; goes before what the look-up finds.
    pub storage_endpoint: Option<String>,
    #[serde(flatten)]
    pub credential: Credential,
    /// What the last look-up of the account told.
    pub found: Option<Found>,
}

impl Target {
    pub fn account_name(&self) -> &str {
        self.storage_account_id.rsplit('/').next().unwrap_or("")
    }
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Absent in what was stored when there were account keys only.
    #[serde(rename = "credential_kind", default = "account_key")]
    pub kind: CredentialKind,
    /// The key, the signature or the client's secret, if the kind has one.
    #[serde(rename = "sealed_account_key", default)]
    pub sealed: Option<Sealed>,
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub tenant_id: Option<String>,
    /// `https://login.microsoftonline.com` if absent.
    #[serde(default)]
    pub authority: Option<String>,
}

fn account_key() -> CredentialKind {
    CredentialKind::AccountKey
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub reachable: Tristate,
    pub hierarchical_namespace: Tristate,
    pub dfs_endpoint: Option<String>,
    /// The region, once the account was read.
    #[serde(default)]
    pub location: Option<String>,
    /// What the account's network rules, and a look for its container, tell.
    #[serde(default)]
    pub network: Option<Finding>,
    #[serde(default)]
    pub container: Option<Finding>,
    /// One PascalCase word and a sentence, for the conditions.
    pub reason: String,
    pub message: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// One condition's worth.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub status: Tristate,
    pub reason: String,
    pub message: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Tristate {
    True,
    False,
    Unknown,
}

/// A target's document, checked by itself. Secrets are in the clear here, and nowhere later.
pub struct TargetInput {
    pub storage_account_id: String,
    pub storage_container: String,
    pub storage_endpoint: Option<String>,
    pub credential: CredentialInput,
}

pub struct CredentialInput {
    pub kind: CredentialKind,
    /// `None`: keep the stored one, if it is of the same kind.
    pub secret: Option<Secret>,
    pub client_id: Option<String>,
    pub tenant_id: Option<String>,
    pub authority: Option<String>,
}

/// The property that holds the secret of a kind, if it has one.
pub fn secret_property(kind: CredentialKind) -> Option<&'static str> {
    match kind {
        CredentialKind::AccountKey => Some("accountKey"),
        CredentialKind::SharedAccessSignature => Some("sharedAccessSignature"),
        CredentialKind::ServicePrincipal => Some("clientSecret"),
        CredentialKind::ManagedIdentity | CredentialKind::WorkloadIdentity | CredentialKind::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_when_there_were_account_keys_only_is_read() {
        let stored = r#"{"storage_account_id": "/a", "storage_container": "c", "storage_endpoint": null,
            "sealed_account_key": "abc", "found": null}"#;
        let target: Target = serde_json::from_str(stored).unwrap();
        assert_eq!(target.credential.kind, CredentialKind::AccountKey);
        assert_eq!(target.credential.sealed, Some(Sealed("abc".into())));
        let again: Target = serde_json::from_str(&serde_json::to_string(&target).unwrap()).unwrap();
        assert_eq!(again, target);
    }
}
