//! The stored form of a resource group and the rules about its name.

use livedata_arm::{ArmError, Tags};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::reply::{Refusal, arm_error};

/// Collection; keys are `{subscription}/{name}` in lower case.
pub(crate) const GROUPS: &str = "front-door.resource-groups";
const MAX_NAME_LENGTH: usize = 90;
const PAGE: usize = 500;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupRecord {
    /// In the casing of its creation.
    pub name: String,
    pub location: String,
    pub tags: Tags,
    pub state: GroupState,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) enum GroupState {
    Succeeded,
    /// Holds the id of the operation that empties and removes it.
    Deleting {
        operation: String,
    },
}

impl GroupRecord {
    pub fn document(&self, app: &App) -> Value {
        let state = match self.state {
            GroupState::Succeeded => "Succeeded",
            GroupState::Deleting { .. } => "Deleting",
        };
        json!({
            "id": format!("/subscriptions/{}/resourceGroups/{}", app.subscription_id, self.name),
            "name": self.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": self.location,
            "tags": self.tags,
            "properties": { "provisioningState": state },
        })
    }

    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn refuse_while_deleting(&self) -> Result<(), ArmError> {
        match self.state {
            GroupState::Succeeded => Ok(()),
            GroupState::Deleting { .. } => {
                let message =
                    format!("The resource group '{}' is being deleted. Wait until it is gone.", self.name);
                Err(ArmError::new(409, "ResourceGroupBeingDeleted", message))
            }
        }
    }
}

pub(crate) fn group_key(app: &App, name: &str) -> String {
    format!("{}/{name}", app.subscription_id).to_lowercase()
}

/// With the version of the record.
pub(crate) async fn find(app: &App, name: &str) -> Result<Option<(u64, GroupRecord)>, ArmError> {
    let record = app.store.get(GROUPS, &group_key(app, name)).await.map_err(arm_error)?;
    record.map(|record| read(&record.body).map(|group| (record.version, group))).transpose()
}

pub(crate) async fn existing(app: &App, name: &str) -> Result<GroupRecord, Refusal> {
    match find(app, name).await? {
        Some((_, group)) => Ok(group),
        None => Err(not_found(name).into()),
    }
}

pub(crate) async fn all(app: &App) -> Result<Vec<GroupRecord>, ArmError> {
    let prefix = group_key(app, "");
    let mut groups = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = app.store.list(GROUPS, &prefix, after.as_deref(), PAGE).await.map_err(arm_error)?;
        after = page.last().map(|record| record.key.clone());
        let full = page.len() == PAGE;
        for record in page {
            groups.push(read(&record.body)?);
        }
        if !full {
            return Ok(groups);
        }
    }
}

pub(crate) fn not_found(name: &str) -> ArmError {
    ArmError::new(404, "ResourceGroupNotFound", format!("Resource group '{name}' could not be found."))
}

pub(crate) fn check_name(name: &str) -> Result<(), ArmError> {
    let letters = name.chars().all(|letter| letter.is_alphanumeric() || "-_().".contains(letter));
    if !name.is_empty() && name.chars().count() <= MAX_NAME_LENGTH && letters && !name.ends_with('.') {
        return Ok(());
    }
    let message = format!(
        "The resource group name '{name}' is not allowed: at most {MAX_NAME_LENGTH} letters, digits and -_(). are, and no full stop at the end."
    );
    Err(ArmError::new(400, "InvalidResourceGroupName", message))
}

fn read(body: &[u8]) -> Result<GroupRecord, ArmError> {
    serde_json::from_slice(body).map_err(|error| arm_error(livedata_store::Error::Damaged(error.to_string())))
}
