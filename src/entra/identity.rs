//! Who asks: identities of Microsoft Entra ID, by azure_identity, which keeps tokens and renews them before they end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, Transport as CoreTransport,
};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use serde::Deserialize;
use url::Url;

use crate::transport::Transport;

/// Whose token goes with a request.
#[derive(Clone)]
pub enum Identity {
    /// An application, which proves itself by a secret.
    ServicePrincipal { tenant_id: String, client_id: String, client_secret: String },
    /// That of the machine or service that this runs on; with a client id one of those that were assigned to it.
    Managed { client_id: Option<String> },
    /// That of a Kubernetes service account, which Entra ID trusts. What is `None` comes from the variables
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_FEDERATED_TOKEN_FILE`, which the cluster sets.
    Workload { tenant_id: Option<String>, client_id: Option<String>, token_file: Option<PathBuf> },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ServicePrincipal { .. } => "ServicePrincipal",
            Self::Managed { .. } => "Managed",
            Self::Workload { .. } => "Workload",
        })
    }
}

/// The identity's credential. Asks for no token yet. `authority`: where tokens come from, e.g. `https://login.microsoftonline.com`.
pub fn credential(
    identity: Identity,
    authority: &Url,
    tls: rustls::ClientConfig,
) -> azure_core::Result<Arc<dyn TokenCredential>> {
    let transport = match &identity {
        // Its tokens come from an address of this machine, without TLS, which no proxy knows.
        Identity::Managed { .. } => Transport::to_this_machine()?,
        _ => Transport::new(tls)?,
    };
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.to_string();
    let client_options = ClientOptions {
        transport: Some(CoreTransport::new(Arc::new(TokenTransport(transport)))),
        cloud: Some(Arc::new(cloud.into())),
        // Whoever asks decides about repeating.
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    };
    let made: Arc<dyn TokenCredential> = match identity {
        Identity::ServicePrincipal { tenant_id, client_id, client_secret } => {
            let options = ClientSecretCredentialOptions { client_options };
            ClientSecretCredential::new(&tenant_id, client_id, Secret::new(client_secret), Some(options))?
        }
        Identity::Managed { client_id } => {
            let user_assigned_id = client_id.map(UserAssignedId::ClientId);
            let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
            ManagedIdentityCredential::new(Some(options))?
        }
        Identity::Workload { tenant_id, client_id, token_file } => {
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                tenant_id,
                client_id,
                token_file_path: token_file,
            }))?
        }
    };
    Ok(made)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

/// Carries requests of tokens. A refusal becomes an error here, with the authority's reason: azure_identity 1.0 cannot read
/// one whose description holds an escape, as Entra ID's do.
#[derive(Debug)]
struct TokenTransport(Transport);

#[async_trait]
impl HttpClient for TokenTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, body) = self.0.send(request).await?;
        if matches!(status, 400 | 401 | 403) {
            let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
            let kind =
                ErrorKind::HttpResponse { status: status.into(), error_code: None, raw_response: None };
            let why = format!("{} {}", refusal.error, refusal.error_description.replace(['\r', '\n'], " "));
            return Err(Error::with_message(kind, format!("status {status}: {}", why.trim())));
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}
