//! The controller's part of a target: the storage account is looked up within the PUT's operation.

use livedata_arm::{ArmError, ResourceId};
use livedata_storage_account::{Account, LookUpError};
use time::{Duration, OffsetDateTime};

use super::{Found, Target, Tristate};
use crate::core::Core;
use crate::errors::{self, Outcome};
use crate::kind::Settled;

/// Answers that do not come are waited for this long.
const WITHIN: Duration = Duration::seconds(30);

/// One call does not hold up the resource for longer.
const ONE_TRY: std::time::Duration = std::time::Duration::from_secs(12);

const TARGET: &str = "properties.storageAccountId";

pub async fn settle(core: &Core, target: &Target, since: OffsetDateTime) -> Outcome<Settled<Target>> {
    let Ok(id) = target.storage_account_id.parse::<ResourceId>() else {
        return Ok(Settled::Failed(errors::INVALID_PROPERTY_VALUE.at(TARGET, "This is not a resource id.")));
    };
    let asked = core.storage_accounts.get(&id.subscription, &id.resource_group, id.name());
    let looked_up = tokio::time::timeout(ONE_TRY, asked)
        .await
        .unwrap_or_else(|_| Err(LookUpError::Unavailable("no answer came".to_owned())));
    let found = match looked_up {
        Ok(account) => match usable(&account) {
            Ok(()) => Found {
                reachable: Tristate::True,
                hierarchical_namespace: Tristate::True,
                dfs_endpoint: account.dfs_endpoint.map(String::from),
                reason: "StorageAccountFound".to_owned(),
                message: "The storage account exists and has a hierarchical namespace.".to_owned(),
                at_ms: core.clock.now_ms(),
            },
            Err(error) => return Ok(Settled::Failed(error)),
        },
        Err(LookUpError::NotFound) => {
            let message = format!("The storage account '{}' was not found.", target.storage_account_id);
            return Ok(Settled::Failed(errors::STORAGE_ACCOUNT_NOT_FOUND.at(TARGET, message)));
        }
        Err(LookUpError::Denied(why)) => Found {
            reachable: Tristate::Unknown,
            hierarchical_namespace: Tristate::Unknown,
            dfs_endpoint: None,
            reason: "ReadDenied".to_owned(),
            message: format!(
                "The provider may not read the storage account ({why}). Grant it the role Reader, then PUT the target again."
            ),
            at_ms: core.clock.now_ms(),
        },
        Err(LookUpError::Unavailable(why)) if core.clock.now() - since < WITHIN => {
            tracing::info!(account = target.storage_account_id, why, "storage account not looked up yet");
            return Ok(Settled::NotYet);
        }
        Err(LookUpError::Unavailable(why)) => {
            let message = format!("The storage account could not be looked up within 30 seconds: {why}.");
            return Ok(Settled::Failed(errors::STORAGE_ACCOUNT_UNAVAILABLE.at(TARGET, message)));
        }
    };
    let found = keep_time(target.found.as_ref(), found);
    Ok(Settled::Applied(Target { found: Some(found), ..target.clone() }))
}

fn usable(account: &Account) -> Result<(), ArmError> {
    if account.kind != "StorageV2" {
        let message = format!("The storage account is of kind {}; StorageV2 is required.", account.kind);
        return Err(errors::STORAGE_ACCOUNT_KIND_NOT_SUPPORTED.at(TARGET, message));
    }
    if !account.hierarchical_namespace {
        let message = "The storage account has no hierarchical namespace (isHnsEnabled is false).";
        return Err(errors::HIERARCHICAL_NAMESPACE_REQUIRED.at(TARGET, message));
    }
    Ok(())
}

/// The time moves only when the answer does; an unchanged answer leaves desired state as it is.
fn keep_time(before: Option<&Found>, mut now: Found) -> Found {
    if let Some(before) = before {
        let at_ms = std::mem::replace(&mut now.at_ms, before.at_ms);
        if now != *before {
            now.at_ms = at_ms;
        }
    }
    now
}
