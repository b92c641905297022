//! A key of Azure Key Vault, or of a managed HSM, that wraps the keys of secrets: what lies on disk opens only with its help.
//!
//! Keys are wrapped by RSA-OAEP with SHA-256 (`RSA-OAEP-256`), and the vault's key never leaves it. What was wrapped names the
//! version of the vault's key that wrapped it, so a newer version changes nothing for what is there.
//!
//! Only two operations are asked for, `wrapKey` and `unwrapKey`: the role *Key Vault Crypto Service Encryption User* has them.
//! Source: REST reference of Key Vault, [wrap key](https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key) and
//! [unwrap key](https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, RetryOptions, Transport as CoreTransport};
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyClientWrapKeyOptions, KeyOperationParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceId};
use livedata_entra::{Identity, Transport};
use livedata_store::sealed::{Wrapped, WrappingKey};
use livedata_store::{Error, Result};
use url::Url;

/// Where vaults are in the clouds that have names: a vault asks for tokens of its own cloud, or is none.
const CLOUDS: [&str; 6] = [
    ".vault.azure.net",
    ".managedhsm.azure.net",
    ".vault.usgovcloudapi.net",
    ".managedhsm.usgovcloudapi.net",
    ".vault.azure.cn",
    ".managedhsm.azure.cn",
];

/// Which key, and who asks for it.
pub struct Settings {
    /// `https://VAULT/keys/NAME`, of its newest version; or `https://VAULT/keys/NAME/VERSION`.
    pub key: Url,
    pub identity: Identity,
    /// Where tokens come from, e.g. `https://login.microsoftonline.com`.
    pub authority: Url,
    /// Trust in the servers of both addresses.
    pub tls: rustls::ClientConfig,
}

/// Why a key cannot be used, whatever the vault says.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    #[error("{0} is not the address of a key in Azure Key Vault: it is https://VAULT/keys/NAME")]
    NoKey(Url),
    #[error("the identity that asks Azure Key Vault cannot be used: {0}")]
    Identity(#[source] azure_core::Error),
    #[error("the client of Azure Key Vault cannot be set up: {0}")]
    Client(#[source] azure_core::Error),
}

pub struct KeyVaultKey {
    client: KeyClient,
    key: ResourceId,
}

impl KeyVaultKey {
    /// Contacts nobody yet.
    pub fn new(settings: Settings) -> std::result::Result<Self, SetUpError> {
        let Settings { key: address, identity, authority, tls } = settings;
        let key = (address.scheme() == "https" && address.query().is_none() && address.username().is_empty())
            .then(|| ResourceId::try_from(&address).ok())
            .flatten()
            .ok_or_else(|| SetUpError::NoKey(address.clone()))?;
        let credential =
            livedata_entra::credential(identity, &authority, tls.clone()).map_err(SetUpError::Identity)?;
        let transport = Transport::new(tls).map_err(SetUpError::Client)?;
        let host = address.host_str().unwrap_or_default().to_ascii_lowercase();
        let options = KeyClientOptions {
            client_options: ClientOptions {
                transport: Some(CoreTransport::new(Arc::new(transport))),
                // Whoever asks decides about repeating.
                retry: RetryOptions::none(),
                ..ClientOptions::default()
            },
            // A token is for whom the vault names. Elsewhere nothing is known to hold that against.
            verify_challenge_resource: Some(CLOUDS.iter().any(|cloud| host.ends_with(cloud))),
            ..KeyClientOptions::default()
        };
        let client = KeyClient::new(&key.vault_url, credential, Some(options)).map_err(SetUpError::Client)?;
        Ok(Self { client, key })
    }

    fn failed(&self, what: &str, error: &azure_core::Error) -> Error {
        let (told, advice) = match error.kind() {
            ErrorKind::HttpResponse { status, error_code, .. } => {
                let status = u16::from(*status);
                let advice = match status {
                    401 | 403 => {
                        "; give the provider's identity the role Key Vault Crypto Service Encryption User on it"
                    }
                    404 => "; if it was deleted, recover it: what it wrapped opens with nothing else",
                    _ => "",
                };
                (format!(" ({status}, {})", error_code.as_deref().unwrap_or("no code")), advice)
            }
            _ => (String::new(), ""),
        };
        Error::Unavailable(format!(
            "Azure Key Vault's key {} cannot {what}: {error}{told}{advice}",
            self.key.source_id
        ))
    }
}

fn parameters(value: Vec<u8>) -> KeyOperationParameters {
    KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value: Some(value),
        ..KeyOperationParameters::default()
    }
}

#[async_trait]
impl WrappingKey for KeyVaultKey {
    async fn wrap(&self, key: &[u8]) -> Result<Wrapped> {
        let failed = |error: azure_core::Error| self.failed("wrap", &error);
        let options = KeyClientWrapKeyOptions {
            key_version: self.key.version.clone(),
            ..KeyClientWrapKeyOptions::default()
        };
        let parameters = parameters(key.to_vec()).try_into().map_err(failed)?;
        let answer = self.client.wrap_key(&self.key.name, parameters, Some(options)).await.map_err(failed)?;
        let answer = answer.into_model().map_err(failed)?;
        match (answer.kid, answer.result) {
            (Some(by), Some(bytes)) => Ok(Wrapped { by, bytes }),
            _ => {
                Err(Error::Unavailable(format!("{} has answered without a wrapped key", self.key.vault_url)))
            }
        }
    }

    /// Only by the key that is set up here, in any of its versions: a token is sent to no other address.
    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Vec<u8>> {
        let by: Option<ResourceId> = wrapped.by.parse().ok();
        let ours = |id: &ResourceId| id.vault_url == self.key.vault_url && id.name == self.key.name;
        let Some(ResourceId { version: Some(version), .. }) = by.filter(ours) else {
            return Err(Error::Unavailable(format!(
                "a sealing key is wrapped by {}, and this provider is set up with {}: give it the key that wrapped",
                wrapped.by, self.key.source_id
            )));
        };
        let failed = |error: azure_core::Error| self.failed("unwrap", &error);
        let parameters = parameters(wrapped.bytes.clone()).try_into().map_err(failed)?;
        let answer =
            self.client.unwrap_key(&self.key.name, &version, parameters, None).await.map_err(failed)?;
        answer.into_model().map_err(failed)?.result.ok_or_else(|| {
            Error::Unavailable(format!("{} has answered without an unwrapped key", self.key.vault_url))
        })
    }
}

impl fmt::Debug for KeyVaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyVaultKey").field(&self.key.source_id).finish()
    }
}
