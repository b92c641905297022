//! A key of Azure Key Vault, or of a managed HSM, that wraps the keys of secrets: what lies on disk opens only with its help.
//!
//! Keys are wrapped by RSA-OAEP with SHA-256 (`RSA-OAEP-256`), and the vault's key never leaves it. What was wrapped names the
//! version of the vault's key that wrapped it, so a newer version changes nothing for what is there.
//!
//! Only two operations are asked for, `wrapKey` and `unwrapKey`: the role *Key Vault Crypto Service Encryption User* has them, of
//! a managed HSM its local role *Managed HSM Crypto Service Encryption User*.
//! Source: REST reference of Key Vault, [wrap key](https://learn.microsoft.com/rest/api/keyvault/keys/wrap-key/wrap-key) and
//! [unwrap key](https://learn.microsoft.com/rest/api/keyvault/keys/unwrap-key/unwrap-key).

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, RetryOptions, Transport as CoreTransport};
use azure_security_keyvault_keys::models::{
    EncryptionAlgorithm, KeyClientWrapKeyOptions, KeyOperationParameters, KeyOperationResult,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceId};
use livedata_entra::{Identity, Transport};
use livedata_store::sealed::{Wrapped, WrappingKey};
use livedata_store::{Error, Result};
use url::Url;

/// Where vaults are in the clouds that have names.
const VAULTS: [&str; 3] = [".vault.azure.net", ".vault.usgovcloudapi.net", ".vault.azure.cn"];
/// And managed HSMs.
const HSMS: [&str; 3] = [".managedhsm.azure.net", ".managedhsm.usgovcloudapi.net", ".managedhsm.azure.cn"];

/// Which key, and who asks for it.
pub struct Settings {
    /// `https://VAULT/keys/NAME`, of its newest version; or `https://VAULT/keys/NAME/VERSION`.
    pub key: Url,
    /// Keys that wrapped before: they unwrap, and wrap no more.
    pub former: Vec<Url>,
    pub identity: Identity,
    /// Where tokens come from, e.g. `https://login.microsoftonline.com`.
    pub authority: Url,
    /// In a cloud that has a name vaults have names in it, too, and a token is given to no other host, nor for another service than
    /// the vault's own. Elsewhere nothing is known to hold an address against.
    pub named_cloud: bool,
    /// Trust in the servers of all these addresses.
    pub tls: rustls::ClientConfig,
}

/// Why a key cannot be used, whatever the vault says.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    #[error("{0} is not the address of a key in Azure Key Vault: it is https://VAULT/keys/NAME")]
    NoKey(Url),
    #[error(
        "{0} is in no vault of a cloud that has a name: it is https://NAME.vault.azure.net/keys/KEY, or the like; other clouds are set up \
         with azure.addresses"
    )]
    NoVault(Url),
    #[error("the identity that asks Azure Key Vault cannot be used: {0}")]
    Identity(#[source] azure_core::Error),
    #[error("the client of Azure Key Vault cannot be set up: {0}")]
    Client(#[source] azure_core::Error),
}

pub struct KeyVaultKey {
    wraps: Key,
    former: Vec<Key>,
}

/// A key and who speaks to its vault.
struct Key {
    client: KeyClient,
    id: ResourceId,
    is_hsm: bool,
}

impl KeyVaultKey {
    /// Contacts nobody yet.
    pub fn new(settings: Settings) -> std::result::Result<Self, SetUpError> {
        let Settings { key, former, identity, authority, named_cloud, tls } = settings;
        let credential =
            livedata_entra::credential(identity, &authority, tls.clone()).map_err(SetUpError::Identity)?;
        let transport = Arc::new(Transport::new(tls).map_err(SetUpError::Client)?);
        let open = |address: &Url| Key::new(address, named_cloud, &credential, &transport);
        Ok(Self {
            wraps: open(&key)?,
            former: former.iter().map(open).collect::<std::result::Result<_, _>>()?,
        })
    }

    fn find(&self, id: &ResourceId) -> Option<&Key> {
        std::iter::once(&self.wraps).chain(&self.former).find(|key| key.is(id))
    }
}

impl Key {
    fn new(
        address: &Url,
        named_cloud: bool,
        credential: &Arc<dyn TokenCredential>,
        transport: &Arc<Transport>,
    ) -> std::result::Result<Self, SetUpError> {
        let no_key = || SetUpError::NoKey(address.clone());
        let is_plain = address.scheme() == "https"
            && address.query().is_none()
            && address.fragment().is_none()
            && address.username().is_empty()
            && address.path_segments().is_some_and(|segments| segments.count() <= 3);
        let id = is_plain.then(|| ResourceId::try_from(address).ok()).flatten().ok_or_else(no_key)?;
        let host = address.host_str().unwrap_or_default();
        let is_hsm = HSMS.iter().any(|cloud| host.ends_with(cloud));
        if named_cloud && !is_hsm && !VAULTS.iter().any(|cloud| host.ends_with(cloud)) {
            return Err(SetUpError::NoVault(address.clone()));
        }
        let options = KeyClientOptions {
            client_options: ClientOptions {
                transport: Some(CoreTransport::new(Arc::clone(transport) as Arc<_>)),
                // Whoever asks decides about repeating.
                retry: RetryOptions::none(),
                ..ClientOptions::default()
            },
            verify_challenge_resource: Some(named_cloud),
            ..KeyClientOptions::default()
        };
        let client = KeyClient::new(&id.vault_url, Arc::clone(credential), Some(options))
            .map_err(SetUpError::Client)?;
        Ok(Self { client, id, is_hsm })
    }

    /// In whatever version. Names of keys are not case-sensitive.
    fn is(&self, id: &ResourceId) -> bool {
        id.vault_url.eq_ignore_ascii_case(&self.id.vault_url) && id.name.eq_ignore_ascii_case(&self.id.name)
    }

    async fn wrap(&self, key: &[u8]) -> azure_core::Result<KeyOperationResult> {
        let options = KeyClientWrapKeyOptions {
            key_version: self.id.version.clone(),
            ..KeyClientWrapKeyOptions::default()
        };
        let parameters = parameters(key).try_into()?;
        self.client.wrap_key(&self.id.name, parameters, Some(options)).await?.into_model()
    }

    async fn unwrap(&self, version: &str, wrapped: &[u8]) -> azure_core::Result<KeyOperationResult> {
        let parameters = parameters(wrapped).try_into()?;
        self.client.unwrap_key(&self.id.name, version, parameters, None).await?.into_model()
    }

    fn failed(&self, what: &str, error: &azure_core::Error) -> Error {
        let mut told = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(error) = source {
            let cause = error.to_string();
            if !told.contains(&cause) {
                told = format!("{told}: {cause}");
            }
            source = error.source();
        }
        if let ErrorKind::HttpResponse { status, error_code, .. } = error.kind() {
            let status = u16::from(*status);
            told = format!("{told} ({status}, {})", error_code.as_deref().unwrap_or("no code"));
            told.push_str(&self.advice(what, status));
        }
        Error::KeyUnavailable(format!("Azure Key Vault's key {} cannot {what}: {told}", self.id.source_id))
    }

    fn advice(&self, what: &str, status: u16) -> String {
        let role = if self.is_hsm {
            "the HSM's local role Managed HSM Crypto Service Encryption User"
        } else {
            "the role Key Vault Crypto Service Encryption User (or the access policies wrapKey and unwrapKey)"
        };
        match (status, what) {
            (401 | 403, _) => format!(
                "; check that the provider's identity has {role} on it, that the vault's firewall lets the provider in, and that \
                 the key is enabled"
            ),
            (404, "unwrap") => {
                "; if it was deleted, recover it: what it wrapped opens with nothing else".to_owned()
            }
            (404, _) => "; check its address, and make the key if there is none yet (RSA)".to_owned(),
            _ => String::new(),
        }
    }

    fn incomplete(&self) -> Error {
        Error::KeyUnavailable(format!("{} has answered without what was asked for", self.id.vault_url))
    }
}

fn parameters(value: &[u8]) -> KeyOperationParameters {
    KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value: Some(value.to_vec()),
        ..KeyOperationParameters::default()
    }
}

#[async_trait]
impl WrappingKey for KeyVaultKey {
    async fn wrap(&self, key: &[u8]) -> Result<Wrapped> {
        let answer = self.wraps.wrap(key).await.map_err(|error| self.wraps.failed("wrap", &error))?;
        match (answer.kid, answer.result) {
            (Some(by), Some(bytes)) => Ok(Wrapped { by, bytes }),
            _ => Err(self.wraps.incomplete()),
        }
    }

    /// Only by a key that is set up here, in any of its versions: a token is sent to no other address.
    async fn unwrap(&self, wrapped: &Wrapped) -> Result<Vec<u8>> {
        let by: Option<ResourceId> = wrapped.by.parse().ok();
        let found = by.as_ref().and_then(|id| Some((self.find(id)?, id.version.as_deref()?)));
        let Some((key, version)) = found else {
            return Err(Error::KeyUnavailable(format!(
                "a sealing key is wrapped by {}, and this provider is set up with {}: name the key that wrapped among \
                 `formerKeyVaultKeys`",
                wrapped.by, self.wraps.id.source_id
            )));
        };
        let answer =
            key.unwrap(version, &wrapped.bytes).await.map_err(|error| key.failed("unwrap", &error))?;
        answer.result.ok_or_else(|| key.incomplete())
    }
}

impl fmt::Debug for KeyVaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyVaultKey").field(&self.wraps.id.source_id).finish()
    }
}
