//! The wire form of a storage account, after api-version 2023-05-01 of the public service.

use livedata_arm::{ArmError, Tags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::AccountRecord;
use super::emulator::Container;
use super::{NAMESPACE, RESOURCE_TYPE};
use crate::app::App;
use crate::clock;

const KINDS: [&str; 5] = ["Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage"];
/// Those that may have a hierarchical namespace.
const HIERARCHICAL_KINDS: [&str; 2] = ["StorageV2", "BlockBlobStorage"];

/// What clients may send; read-only properties that they echo back are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountDocument {
    pub location: Option<String>,
    tags: Option<Tags>,
    pub kind: Option<String>,
    sku: Option<Sku>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Sku {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    is_hns_enabled: Option<bool>,
    #[serde(flatten)]
    settings: Settings,
}

/// Properties that are kept and shown without any effect on the emulator.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_tier: Option<AccessTier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum_tls_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_blob_public_access: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_shared_key_access: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supports_https_traffic_only: Option<bool>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum AccessTier {
    Hot,
    Cool,
    Cold,
    Premium,
}

impl AccountDocument {
    pub fn hierarchical_namespace(&self) -> Option<bool> {
        self.properties.as_ref().and_then(|properties| properties.is_hns_enabled)
    }

    /// Kind and SKU have defaults, because `az resource create` with plain `--properties` cannot send them.
    pub fn new_account(&self, group: &str, name: &str) -> Result<AccountRecord, ArmError> {
        let Some(location) = self.location.clone().filter(|location| !location.trim().is_empty()) else {
            let message = "The location property is required for a storage account.";
            return Err(ArmError::invalid("location", "LocationRequired", message));
        };
        Ok(AccountRecord {
            name: name.to_owned(),
            resource_group: group.to_owned(),
            location,
            tags: Tags::new(),
            kind: "StorageV2".to_owned(),
            sku: "Standard_LRS".to_owned(),
            hierarchical_namespace: self.hierarchical_namespace().unwrap_or(false),
            settings: Settings { access_tier: Some(AccessTier::Hot), ..Settings::default() },
            created_at: clock::rfc3339(clock::now()),
            key1_created_at: None,
            key2_created_at: None,
        })
    }

    /// Takes over what the document says; what it leaves out stays, as the service does it.
    pub fn apply(self, account: &mut AccountRecord) -> Result<(), ArmError> {
        if let Some(kind) = self.kind {
            let Some(known) = KINDS.iter().find(|known| known.eq_ignore_ascii_case(&kind)) else {
                let message = format!("The kind '{kind}' is not one of {}.", KINDS.join(", "));
                return Err(ArmError::invalid("kind", "InvalidAccountKind", message));
            };
            account.kind = (*known).to_owned();
        }
        if account.hierarchical_namespace && !HIERARCHICAL_KINDS.contains(&account.kind.as_str()) {
            let message =
                format!("An account of kind '{}' cannot have a hierarchical namespace.", account.kind);
            return Err(ArmError::invalid("properties.isHnsEnabled", "InvalidAccountKind", message));
        }
        if let Some(tags) = self.tags {
            account.tags = tags;
        }
        if let Some(sku) = self.sku {
            account.sku = sku.name;
        }
        if let Some(Properties { settings, .. }) = self.properties {
            let kept = &mut account.settings;
            kept.access_tier = settings.access_tier.or(kept.access_tier);
            kept.minimum_tls_version = settings.minimum_tls_version.or(kept.minimum_tls_version.take());
            kept.allow_blob_public_access =
                settings.allow_blob_public_access.or(kept.allow_blob_public_access);
            kept.allow_shared_key_access = settings.allow_shared_key_access.or(kept.allow_shared_key_access);
            kept.supports_https_traffic_only =
                settings.supports_https_traffic_only.or(kept.supports_https_traffic_only);
        }
        Ok(())
    }
}

pub(super) fn show(app: &App, account: &AccountRecord) -> Value {
    let endpoint = app.emulator.endpoint_of(&account.name);
    let created = &account.created_at;
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "isHnsEnabled": account.hierarchical_namespace,
        "creationTime": created,
        "primaryLocation": account.location,
        "statusOfPrimary": "available",
        "primaryEndpoints": { "dfs": endpoint, "blob": endpoint },
        "keyCreationTime": {
            "key1": account.key1_created_at.as_ref().unwrap_or(created),
            "key2": account.key2_created_at.as_ref().unwrap_or(created),
        },
        // `az storage account update` fails without it.
        "encryption": { "keySource": "Microsoft.Storage" },
        "privateEndpointConnections": [],
    });
    if let (Value::Object(shown), Ok(Value::Object(settings))) =
        (&mut properties, serde_json::to_value(&account.settings))
    {
        shown.extend(settings);
    }
    json!({
        "id": format!(
            "/subscriptions/{}/resourceGroups/{}/providers/{NAMESPACE}/{RESOURCE_TYPE}/{}",
            app.subscription_id, account.resource_group, account.name
        ),
        "name": account.name,
        "type": format!("{NAMESPACE}/{RESOURCE_TYPE}"),
        "location": account.location,
        "tags": account.tags,
        "kind": account.kind,
        "sku": { "name": account.sku, "tier": if account.sku.starts_with("Premium") { "Premium" } else { "Standard" } },
        "properties": properties,
    })
}

/// After the same version, as far as the emulator has what it tells of.
pub(super) fn show_container(app: &App, account: &AccountRecord, container: &Container) -> Value {
    let id = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/{NAMESPACE}/{RESOURCE_TYPE}/{}/blobServices/default/containers/{}",
        app.subscription_id, account.resource_group, account.name, container.name
    );
    json!({
        "id": id,
        "name": container.name,
        "type": format!("{NAMESPACE}/{RESOURCE_TYPE}/blobServices/containers"),
        "etag": container.etag,
        "properties": {
            "publicAccess": "None",
            "lastModifiedTime": clock::rfc3339(clock::of_ms(container.last_modified_ms)),
            "hasImmutabilityPolicy": false,
            "hasLegalHold": false,
        },
    })
}
