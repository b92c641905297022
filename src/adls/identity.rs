//! Identities of Microsoft Entra ID, by azure_identity: whose token goes with a request.
//!
//! Tokens are asked for over the same network as the service, except that a managed identity's come from the machine itself
//! and no proxy is asked. They are kept and renewed before they expire (azure_core's bearer token policy does that).

use std::path::PathBuf;
use std::sync::Arc;

use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::{ClientOptions, Transport as CoreTransport};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use livedata_filesystem::{Error, ErrorKind, Result};
use url::Url;

use crate::network::Route;
use crate::transport::Transport;
use crate::{Credential, Network};

/// What tokens are asked for: storage, whatever the account.
pub(crate) const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

#[derive(Clone, Debug)]
pub enum Identity {
    /// That of the machine or service that this runs on; with a client id one of those that were assigned to it.
    Managed { client_id: Option<String> },
    /// That of a Kubernetes service account, which Entra ID trusts. What is `None` comes from the variables
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`, which the cluster sets.
    Workload { tenant_id: Option<String>, client_id: Option<String>, token_file: Option<PathBuf> },
    /// That of an application, which proves itself by a secret.
    ClientSecret { tenant_id: String, client_id: String, secret: Secret },
}

impl Identity {
    /// Asks for no token yet. `authority`: where tokens come from, if that is not the public cloud. `Fatal` if the
    /// configuration cannot work.
    pub fn credential(self, network: &Network, authority: Option<&Url>) -> Result<Credential> {
        let subject = match &self {
            Self::Managed { .. } => "managed identity",
            Self::Workload { .. } => "workload identity",
            Self::ClientSecret { .. } => "client secret",
        };
        let network = match &self {
            Self::Managed { .. } => Network { route: Route::Direct, ..network.clone() },
            _ => network.elsewhere(),
        };
        let failed = |message: String| Error::new(ErrorKind::Fatal, "set up identity", subject, message);
        let transport = Transport::new(&network, None).map_err(|error| {
            failed(format!("the HTTP client cannot be set up: check proxy and authorities: {error}"))
        })?;
        let client_options = ClientOptions {
            transport: Some(CoreTransport::new(Arc::new(transport))),
            cloud: authority.map(|authority| {
                let mut cloud = CustomConfiguration::default();
                cloud.authority_host = authority.to_string();
                Arc::new(cloud.into())
            }),
            ..ClientOptions::default()
        };
        let made = self.build(client_options).map_err(|error| failed(error.to_string()))?;
        Ok(Credential::Token(made))
    }

    fn build(self, client_options: ClientOptions) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match self {
            Self::Managed { client_id } => {
                let user_assigned_id = client_id.map(UserAssignedId::ClientId);
                let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(options))?
            }
            Self::Workload { tenant_id, client_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    tenant_id,
                    client_id,
                    token_file_path: token_file,
                }))?
            }
            Self::ClientSecret { tenant_id, client_id, secret } => {
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(&tenant_id, client_id, secret, Some(options))?
            }
        })
    }
}
