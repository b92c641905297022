//! Who asks: identities of Microsoft Entra ID, by azure_identity, which keeps tokens and renews them before they end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_core::cloud::CustomConfiguration;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request, RetryOptions, Transport as CoreTransport,
};
use azure_core_021::auth::AccessToken;
use azure_core_021::error::{Error as ManagementError, ErrorKind as ManagementErrorKind};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use serde::Deserialize;
use url::Url;

/// Time for one request of a token.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Whose token goes with a look-up.
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

/// The identity's credential, as `azure_mgmt_storage` takes it.
pub(crate) fn credential(
    identity: Identity,
    authority: &Url,
    tls: rustls::ClientConfig,
) -> azure_core::Result<Arc<dyn azure_core_021::auth::TokenCredential>> {
    let builder =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(REQUEST_TIMEOUT);
    let builder = match &identity {
        // Its tokens come from an address of this machine, without TLS, which no proxy knows.
        Identity::Managed { .. } => builder.no_proxy(),
        _ => builder.tls_backend_preconfigured(tls),
    };
    let http =
        builder.build().map_err(|error| Error::with_error(ErrorKind::Other, error, "no HTTP client"))?;
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = authority.to_string();
    let client_options = ClientOptions {
        transport: Some(CoreTransport::new(Arc::new(TokenTransport(http)))),
        cloud: Some(Arc::new(cloud.into())),
        // Whoever asks for an account decides about repeating.
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
    Ok(Arc::new(Bridge(made)))
}

/// A credential of azure_core 1 where azure_core 0.21 wants its own kind.
#[derive(Debug)]
struct Bridge(Arc<dyn TokenCredential>);

#[async_trait]
impl azure_core_021::auth::TokenCredential for Bridge {
    async fn get_token(&self, scopes: &[&str]) -> azure_core_021::Result<AccessToken> {
        let token = self.0.get_token(scopes, None).await.map_err(refusal)?;
        Ok(AccessToken::new(token.token.secret().to_owned(), token.expires_on))
    }

    /// Nothing to clear: a token is kept until shortly before it ends, and rights are looked up with each request.
    async fn clear_cache(&self) -> azure_core_021::Result<()> {
        Ok(())
    }
}

/// An authority that knows us and says no is the same as a 401 of the service itself.
fn refusal(error: Error) -> ManagementError {
    let cause = error.downcast_ref::<Error>().unwrap_or(&error);
    match cause.kind() {
        ErrorKind::HttpResponse { status, .. } if status.is_client_error() => ManagementError::message(
            ManagementErrorKind::http_response(azure_core_021::StatusCode::Unauthorized, None),
            format!("no token was granted: {cause}"),
        ),
        // Set up in a way that can never work, e.g. a token file that is not there.
        ErrorKind::Credential => ManagementError::message(
            ManagementErrorKind::http_response(azure_core_021::StatusCode::Unauthorized, None),
            format!("no token could be asked for: {cause}"),
        ),
        _ => ManagementError::new(ManagementErrorKind::Io, error),
    }
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
struct TokenTransport(reqwest::Client);

#[async_trait]
impl HttpClient for TokenTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let io = |error: reqwest::Error| {
            Error::with_error(ErrorKind::Io, error.without_url(), "the authority did not answer")
        };
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "requests of tokens are not streamed"));
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| Error::with_error(ErrorKind::Other, error, "not an HTTP method"))?;
        let mut outgoing = self.0.request(method, request.url().clone()).body(body.clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let response = outgoing.send().await.map_err(io)?;
        let status = response.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body = response.bytes().await.map_err(io)?;
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
