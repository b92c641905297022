//! [`StorageAccounts`] on `azure_mgmt_storage`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_021::error::ErrorKind;
use azure_core_021::{RetryOptions, StatusCode, TransportOptions};
use azure_mgmt_storage::package_2023_05::{Client, models};
use livedata_entra::Identity;
use url::Url;

use crate::credential::Bridge;
use crate::transport::Transport;
use crate::{Account, Cloud, LookUpError, NetworkRules, StorageAccounts};

/// Where the resource manager is and who asks it.
pub struct Settings {
    pub cloud: Cloud,
    pub identity: Identity,
    /// Trust in the servers of both addresses.
    pub tls: rustls::ClientConfig,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("cloud", &self.cloud).finish_non_exhaustive()
    }
}

/// Looks storage accounts up by their ARM documents.
pub struct ManagementClient {
    client: Client,
    storage_suffix: String,
}

impl ManagementClient {
    /// Contacts nobody yet.
    pub fn new(settings: Settings) -> Result<Self, LookUpError> {
        let unusable =
            |what: &str, why: &dyn fmt::Display| LookUpError::Unavailable(format!("{what}: {why}"));
        let Cloud { endpoint, authority, audience, storage_suffix } = settings.cloud;
        let transport = Transport::new(settings.tls.clone())
            .map_err(|error| unusable("the HTTP client cannot be set up", &error))?;
        let credential = livedata_entra::credential(settings.identity, &authority, settings.tls)
            .map_err(|error| unusable("the identity cannot be used", &error))?;
        let scope = format!("{audience}/.default");
        let client = Client::builder(Arc::new(Bridge(credential)))
            .endpoint(endpoint)
            .scopes(&[scope.as_str()])
            .retry(RetryOptions::none())
            .transport(TransportOptions::new(Arc::new(transport)))
            .build()
            .map_err(|error| unusable("the management client cannot be set up", &error))?;
        Ok(Self { client, storage_suffix })
    }
}

#[async_trait]
impl StorageAccounts for ManagementClient {
    async fn get(
        &self,
        subscription: &str,
        resource_group: &str,
        name: &str,
    ) -> Result<Account, LookUpError> {
        let found =
            self.client.storage_accounts_client().get_properties(resource_group, name, subscription).await;
        found.map_err(|error| look_up_error(&error)).and_then(account)
    }

    fn storage_suffix(&self) -> &str {
        &self.storage_suffix
    }

    async fn has_container(
        &self,
        subscription: &str,
        resource_group: &str,
        name: &str,
        container: &str,
    ) -> Result<bool, LookUpError> {
        let containers = self.client.blob_containers_client();
        match containers.get(resource_group, name, container, subscription).await {
            // One that was deleted and can be restored is told of, too.
            Ok(found) => Ok(found.properties.is_none_or(|properties| properties.deleted != Some(true))),
            Err(error) => match look_up_error(&error) {
                LookUpError::NotFound => Ok(false),
                other => Err(other),
            },
        }
    }
}

fn look_up_error(error: &azure_core_021::Error) -> LookUpError {
    match error.kind() {
        ErrorKind::HttpResponse { status: StatusCode::NotFound, .. } => LookUpError::NotFound,
        ErrorKind::HttpResponse { status: StatusCode::Unauthorized | StatusCode::Forbidden, error_code } => {
            LookUpError::Denied(error_code.clone().unwrap_or_else(|| error.to_string()))
        }
        _ => LookUpError::Unavailable(error.to_string()),
    }
}

/// An account without rules admits everybody.
fn network_rules(properties: &models::StorageAccountProperties) -> NetworkRules {
    let approved = properties.private_endpoint_connections.iter().filter(|connection| {
        let state = connection.properties.as_ref().map(|found| &found.private_link_service_connection_state);
        matches!(
            state.and_then(|state| state.status.as_ref()),
            Some(models::PrivateEndpointServiceConnectionStatus::Approved)
        )
    });
    let rules = properties.network_acls.as_ref();
    NetworkRules {
        public_access_disabled: matches!(
            properties.public_network_access,
            Some(models::PublicNetworkAccess::Disabled)
        ),
        deny_by_default: rules
            .is_some_and(|rules| rules.default_action == models::network_rule_set::DefaultAction::Deny),
        addresses: rules.iter().flat_map(|rules| &rules.ip_rules).map(|rule| rule.value.clone()).collect(),
        subnets: rules
            .iter()
            .flat_map(|rules| &rules.virtual_network_rules)
            .map(|rule| rule.id.clone())
            .collect(),
        private_endpoints: approved.count(),
    }
}

fn account(document: models::StorageAccount) -> Result<Account, LookUpError> {
    let incomplete = |what: &str| LookUpError::Unavailable(format!("the account's document lacks {what}"));
    let properties = document.properties.ok_or_else(|| incomplete("properties"))?;
    let network = network_rules(&properties);
    let dfs_endpoint = properties
        .primary_endpoints
        .and_then(|endpoints| endpoints.dfs)
        .map(|endpoint| {
            Url::parse(&endpoint).map_err(|_| incomplete("a usable properties.primaryEndpoints.dfs"))
        })
        .transpose()?;
    let kind = match document.kind.ok_or_else(|| incomplete("kind"))? {
        models::storage_account::Kind::UnknownValue(other) => other,
        models::storage_account::Kind::Storage => "Storage".to_owned(),
        models::storage_account::Kind::StorageV2 => "StorageV2".to_owned(),
        models::storage_account::Kind::BlobStorage => "BlobStorage".to_owned(),
        models::storage_account::Kind::FileStorage => "FileStorage".to_owned(),
        models::storage_account::Kind::BlockBlobStorage => "BlockBlobStorage".to_owned(),
    };
    Ok(Account {
        id: document.tracked_resource.resource.id.ok_or_else(|| incomplete("id"))?,
        kind,
        network,
        hierarchical_namespace: properties.is_hns_enabled.unwrap_or(false),
        location: document.tracked_resource.location,
        dfs_endpoint,
    })
}
