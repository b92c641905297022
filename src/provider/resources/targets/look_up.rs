//! The controller's part of a target: the storage account is looked up within the PUT's operation.

use livedata_arm::{ArmError, ResourceId};
use livedata_storage_account::{Account, LookUpError, NetworkRules};
use time::{Duration, OffsetDateTime};

use super::{Finding, Found, Target, Tristate};
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
                container: Some(container(core, &id, &target.storage_container).await),
                reachable: Tristate::True,
                hierarchical_namespace: Tristate::True,
                network: Some(network_access(&account.network)),
                location: Some(account.location),
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
            location: None,
            network: None,
            container: None,
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

/// The container need not be there yet, and who may read the account may not always read this.
async fn container(core: &Core, account: &ResourceId, name: &str) -> Finding {
    let asked = core.storage_accounts.has_container(
        &account.subscription,
        &account.resource_group,
        account.name(),
        name,
    );
    let found = tokio::time::timeout(ONE_TRY, asked)
        .await
        .unwrap_or_else(|_| Err(LookUpError::Unavailable("no answer came".to_owned())));
    let (status, reason, message) = match found {
        Ok(true) => (Tristate::True, "ContainerFound", format!("The container '{name}' exists.")),
        Ok(false) => (
            Tristate::False,
            "ContainerNotFound",
            format!("The storage account has no container '{name}'. Create it, then PUT the target again."),
        ),
        Err(why) => (
            Tristate::Unknown,
            "ContainerNotLookedUp",
            format!("The container '{name}' was not looked up: {why}."),
        ),
    };
    Finding { status, reason: reason.to_owned(), message }
}

/// Where an agent is seen from is known to nobody here: what the rules decide by its address stays open.
fn network_access(rules: &NetworkRules) -> Finding {
    let (status, reason, message) = match rules {
        NetworkRules { public_access_disabled: true, private_endpoints: 0, .. } => (
            Tristate::False,
            "PublicAccessDisabled",
            "The storage account is closed to public networks and has no approved private endpoint: no agent can reach it. \
             Approve a private endpoint in the agent's network, or enable public network access."
                .to_owned(),
        ),
        NetworkRules { public_access_disabled: true, private_endpoints, .. } => (
            Tristate::Unknown,
            "PrivateEndpointsOnly",
            format!(
                "The storage account can be reached through its {private_endpoints} private endpoints only; the agent's \
                 network must resolve the account's name to one of them."
            ),
        ),
        NetworkRules { deny_by_default: true, addresses, subnets, private_endpoints, .. } => (
            Tristate::Unknown,
            "FirewallEnabled",
            format!(
                "The storage account's firewall admits {} address ranges, {} subnets and {private_endpoints} private \
                 endpoints only; the agent must come from one of them.",
                addresses.len(),
                subnets.len()
            ),
        ),
        NetworkRules { .. } => {
            (Tristate::True, "OpenToAllNetworks", "The storage account admits all networks.".to_owned())
        }
    };
    Finding { status, reason: reason.to_owned(), message }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_network_rules_leave_open_is_said_to_be_open() {
        let address = || vec!["203.0.113.0/24".to_owned()];
        let closed = NetworkRules { public_access_disabled: true, ..NetworkRules::default() };
        for (rules, status, words) in [
            (NetworkRules::default(), Tristate::True, "all networks"),
            (closed.clone(), Tristate::False, "no approved private endpoint"),
            (
                NetworkRules { private_endpoints: 2, ..closed.clone() },
                Tristate::Unknown,
                "its 2 private endpoints",
            ),
            // What is closed is not opened by a rule.
            (NetworkRules { addresses: address(), ..closed }, Tristate::False, "closed to public networks"),
            (
                NetworkRules { deny_by_default: true, addresses: address(), ..NetworkRules::default() },
                Tristate::Unknown,
                "1 address ranges, 0 subnets",
            ),
        ] {
            let access = network_access(&rules);
            assert_eq!(access.status, status, "{rules:?}");
            assert!(access.message.contains(words), "{}", access.message);
        }
    }
}
