//! [`StorageAccounts`] on `azure_mgmt_storage`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_021::auth::TokenCredential;
use azure_core_021::error::ErrorKind;
use azure_core_021::{RetryOptions, StatusCode, TransportOptions};
use azure_mgmt_storage::package_2023_05::{Client, models};
use url::Url;

use crate::credential::ClientCredentials;
use crate::transport::Transport;
use crate::{Account, LookUpError, StorageAccounts};

/// Where the resource manager is and who asks it.
pub struct Settings {
    /// E.g. `https://management.azure.com`.
    pub endpoint: Url,
    /// E.g. `https://login.microsoftonline.com`.
    pub authority: Url,
    pub tenant: String,
    pub client_id: String,
    pub client_secret: String,
    /// Audience of the tokens; the scope asked for is `{audience}/.default`.
    pub audience: String,
    /// Trust in the servers of both addresses.
    pub tls: rustls::ClientConfig,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

/// Looks storage accounts up by their ARM documents.
pub struct ManagementClient {
    client: Client,
    credential: Arc<ClientCredentials>,
}

impl ManagementClient {
    /// Contacts nobody yet.
    pub fn new(settings: Settings) -> Result<Self, LookUpError> {
        let unusable =
            |what: &str, why: &dyn fmt::Display| LookUpError::Unavailable(format!("{what}: {why}"));
        let transport = Transport::new(settings.tls)
            .map_err(|error| unusable("the HTTP client cannot be set up", &error))?;
        let mut token_endpoint = settings.authority;
        token_endpoint
            .path_segments_mut()
            .map_err(|()| unusable("the authority is not an http address", &""))?
            .pop_if_empty()
            .extend([settings.tenant.as_str(), "oauth2", "v2.0", "token"]);
        let credential = Arc::new(ClientCredentials::new(
            transport.clone(),
            token_endpoint,
            settings.client_id,
            settings.client_secret,
        ));
        let scope = format!("{}/.default", settings.audience);
        let shared: Arc<dyn TokenCredential> = Arc::<ClientCredentials>::clone(&credential);
        let client = Client::builder(shared)
            .endpoint(settings.endpoint)
            .scopes(&[scope.as_str()])
            .retry(RetryOptions::none())
            .transport(TransportOptions::new(Arc::new(transport)))
            .build()
            .map_err(|error| unusable("the management client cannot be set up", &error))?;
        Ok(Self { client, credential })
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
        match found {
            Ok(document) => account(document),
            Err(error) => {
                let error = look_up_error(&error);
                if matches!(error, LookUpError::Denied(_)) {
                    // A token may have been revoked, or rights granted since: the next look-up asks for a new one.
                    let _ = self.credential.clear_cache().await;
                }
                Err(error)
            }
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

fn account(document: models::StorageAccount) -> Result<Account, LookUpError> {
    let incomplete = |what: &str| LookUpError::Unavailable(format!("the account's document lacks {what}"));
    let properties = document.properties.ok_or_else(|| incomplete("properties"))?;
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
        hierarchical_namespace: properties.is_hns_enabled.unwrap_or(false),
        location: document.tracked_resource.location,
        dfs_endpoint,
    })
}
