//! The stored form of a storage account.

use livedata_arm::{ArmError, Tags};
use serde::{Deserialize, Serialize};

use super::document::Settings;
use crate::app::App;
use crate::reply::{Refusal, arm_error};

/// Collection; keys are account names, which are unique over all groups.
pub(super) const ACCOUNTS: &str = "front-door.storage-accounts";
const PAGE: usize = 500;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountRecord {
    pub name: String,
    pub resource_group: String,
    pub location: String,
    pub tags: Tags,
    pub kind: String,
    pub sku: String,
    pub hierarchical_namespace: bool,
    pub settings: Settings,
    pub created_at: String,
    /// When the key was last made anew; `None`: with the account.
    pub key1_created_at: Option<String>,
    pub key2_created_at: Option<String>,
}

impl AccountRecord {
    pub fn is_in(&self, group: &str) -> bool {
        self.resource_group.eq_ignore_ascii_case(group)
    }

    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// By its name in any casing; with the version of the record.
pub(super) async fn find(app: &App, name: &str) -> Result<Option<(u64, AccountRecord)>, ArmError> {
    let record = app.store.get(ACCOUNTS, &name.to_lowercase()).await.map_err(arm_error)?;
    record.map(|record| read(&record.body).map(|account| (record.version, account))).transpose()
}

pub(super) async fn existing(app: &App, group: &str, name: &str) -> Result<(u64, AccountRecord), Refusal> {
    match find(app, name).await? {
        Some((version, account)) if account.is_in(group) => Ok((version, account)),
        Some(_) | None => {
            let message = format!(
                "The Resource 'Microsoft.Storage/storageAccounts/{name}' under resource group '{group}' was not found."
            );
            Err(ArmError::new(404, "ResourceNotFound", message).into())
        }
    }
}

pub(super) async fn all(app: &App) -> Result<Vec<AccountRecord>, ArmError> {
    let mut accounts = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = app.store.list(ACCOUNTS, "", after.as_deref(), PAGE).await.map_err(arm_error)?;
        after = page.last().map(|record| record.key.clone());
        let full = page.len() == PAGE;
        for record in page {
            accounts.push(read(&record.body)?);
        }
        if !full {
            return Ok(accounts);
        }
    }
}

pub(super) fn check_name(name: &str) -> Result<(), ArmError> {
    let letters = name.bytes().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    if letters && (3..=24).contains(&name.len()) {
        return Ok(());
    }
    let message =
        format!("{name} is not a valid storage account name. It has 3 to 24 lower-case letters and digits.");
    Err(ArmError::new(400, "AccountNameInvalid", message))
}

pub(super) fn taken(name: &str) -> ArmError {
    ArmError::new(
        409,
        "StorageAccountAlreadyTaken",
        format!("The storage account named {name} is already taken."),
    )
}

fn read(body: &[u8]) -> Result<AccountRecord, ArmError> {
    serde_json::from_slice(body).map_err(|error| arm_error(livedata_store::Error::Damaged(error.to_string())))
}
