//! `provider.json`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use livedata_entra::Identity;
use livedata_pki::file;
use livedata_provider::Rule;
use livedata_storage_account::Cloud;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::Error;

/// What a provider is started with. Paths are below its folder.
///
/// ```json
/// { "arm": { "listen": "0.0.0.0:8444", "certificatesFrom": "https://admin.management.azure.com/" },
///   "enrolment": { "listen": "0.0.0.0:8445", "url": "https://provider.example:8445/" },
///   "store": "postgres://livedata:…@db.example/livedata",
///   "relay": { "url": "wss://contoso.servicebus.windows.net",
///              "sendRule": { "name": "provider", "key": "…" }, "listenRule": { "name": "agents", "key": "…" } },
///   "azure": { "cloud": "AzureCloud", "identity": { "kind": "ManagedIdentity" } } }
/// ```
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderConfig {
    #[serde(default = "default_namespace")]
    pub namespace: String,
    #[serde(default)]
    pub compat: Compat,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, or a file.
    #[serde(default = "default_store")]
    pub store: String,
    #[serde(default = "default_sealing_key")]
    pub sealing_key: PathBuf,
    /// `https://VAULT.vault.azure.net/keys/NAME`: a key of Azure Key Vault that wraps the keys in that file. `None`: they lie there as
    /// they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_vault_key: Option<Url>,
    /// Keys of Azure Key Vault that wrapped some of them before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_key_vault_keys: Vec<Url>,
    #[serde(default = "default_agent_authority")]
    pub agent_authority: PathBuf,
    pub arm: Arm,
    pub enrolment: Enrolment,
    /// `None`: the dialect of custom providers is not spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_providers: Option<CustomProviders>,
    pub relay: Relay,
    pub azure: Azure,
    /// What clients are asked to wait before they look at an operation again; ARM wants 10 to 600 seconds.
    #[serde(default = "default_retry_after")]
    pub retry_after_seconds: u32,
    /// `None`: nobody can ask for health and metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Who changed what.
    #[serde(default = "default_audit_log")]
    pub audit_log: PathBuf,
}

/// In plain HTTP, and to everybody who reaches it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    pub listen: SocketAddr,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Compat {
    /// Serves the public namespace `Wandisco.Fusion`, too.
    #[serde(default)]
    pub wandisco_fusion: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arm {
    pub listen: SocketAddr,
    /// Where Azure Resource Manager publishes the certificates of its calls: `https://admin.management.azure.com/`, in the
    /// government's cloud `https://admin.management.usgovcloudapi.net/`, elsewhere port 24582 of the resource manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates_from: Option<Url>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrolment {
    pub listen: SocketAddr,
    /// How agents reach it.
    pub url: Url,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomProviders {
    pub listen: SocketAddr,
    /// The one segment of the path that callers must know.
    pub secret: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relay {
    /// `wss://HOST[:PORT]`.
    pub url: Url,
    pub send_rule: RelayRule,
    pub listen_rule: RelayRule,
}

/// A shared access rule.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelayRule {
    pub name: String,
    pub key: String,
}

impl From<RelayRule> for Rule {
    fn from(rule: RelayRule) -> Self {
        Self { name: rule.name, key: rule.key }
    }
}

/// Where storage accounts are looked up, and as whom.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Azure {
    /// One that `az cloud list` knows [`Cloud::names`]; or `addresses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<CloudAddresses>,
    pub identity: AzureIdentity,
}

/// A cloud that has no name here: Azure Stack, a front door.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudAddresses {
    /// The resource manager.
    pub endpoint: Url,
    pub authority: Url,
    /// Of the tokens.
    pub audience: String,
    /// Of the names of storage accounts' endpoints: `{account}.dfs.{suffix}`.
    #[serde(default = "default_storage_suffix")]
    pub storage_suffix: String,
}

/// Whose rights a look-up has: the role Reader on the accounts is enough. The same one asks Azure Key Vault.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum AzureIdentity {
    ServicePrincipal {
        tenant_id: String,
        client_id: String,
        client_secret: String,
    },
    ManagedIdentity {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
    },
    WorkloadIdentity {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_id: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_file: Option<PathBuf>,
    },
}

impl From<AzureIdentity> for Identity {
    fn from(identity: AzureIdentity) -> Self {
        match identity {
            AzureIdentity::ServicePrincipal { tenant_id, client_id, client_secret } => {
                Self::ServicePrincipal { tenant_id, client_id, client_secret }
            }
            AzureIdentity::ManagedIdentity { client_id } => Self::Managed { client_id },
            AzureIdentity::WorkloadIdentity { tenant_id, client_id, token_file } => {
                Self::Workload { tenant_id, client_id, token_file }
            }
        }
    }
}

fn default_namespace() -> String {
    "LiveData.Platform".to_owned()
}

fn default_store() -> String {
    "provider.db".to_owned()
}

fn default_sealing_key() -> PathBuf {
    "sealing.key".into()
}

fn default_agent_authority() -> PathBuf {
    "agents".into()
}

fn default_storage_suffix() -> String {
    "core.windows.net".to_owned()
}

fn default_audit_log() -> PathBuf {
    "audit.log".into()
}

fn default_retry_after() -> u32 {
    10
}

impl Azure {
    pub(crate) fn cloud(&self) -> Result<Cloud, Error> {
        match (&self.cloud, &self.addresses) {
            (None, Some(CloudAddresses { endpoint, authority, audience, storage_suffix })) => Ok(Cloud {
                endpoint: endpoint.clone(),
                authority: authority.clone(),
                audience: audience.clone(),
                storage_suffix: storage_suffix.clone(),
            }),
            (Some(_), Some(_)) => Err(Error::Config(
                "azure has either a cloud or addresses, not both: leave one away".to_owned(),
            )),
            (name, None) => {
                let name = name.as_deref().unwrap_or("AzureCloud");
                Cloud::named(name).ok_or_else(|| {
                    let known = Cloud::names().collect::<Vec<_>>().join(", ");
                    Error::Config(format!(
                        "azure.cloud \"{name}\" is not known; it is one of {known}, or give azure.addresses"
                    ))
                })
            }
        }
    }
}

impl ProviderConfig {
    const FILE: &str = "provider.json";

    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        let text = std::fs::read(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        // What serde says may quote a secret.
        let config: Self = serde_json::from_slice(&text).map_err(|error| Error::Format {
            path,
            line: error.line(),
            column: error.column(),
        })?;
        match config.retry_after_seconds {
            1..=600 => Ok(config),
            other => Err(Error::Config(format!("retryAfterSeconds is 1 to 600, not {other}"))),
        }
    }

    /// Replaces the file whole, readable for its owner only.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(Self::FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Config(format!("the configuration cannot be written: {error}")))?;
        Ok(file::write(&path, &text, file::PRIVATE)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: &str = r#"{ "arm": { "listen": "0.0.0.0:8444", "certificatesFrom": "https://admin.management.azure.com/" },
        "enrolment": { "listen": "0.0.0.0:8445", "url": "https://provider.example:8445/" },
        "store": "postgres://livedata:p@db.example/livedata",
        "relay": { "url": "wss://contoso.servicebus.windows.net",
                   "sendRule": { "name": "provider", "key": "k" }, "listenRule": { "name": "agents", "key": "k" } },
        "azure": { "cloud": "AzureCloud", "identity": { "kind": "ManagedIdentity" } } }"#;

    fn load(text: &str) -> Result<ProviderConfig, Error> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(ProviderConfig::FILE), text).unwrap();
        ProviderConfig::load(folder.path())
    }

    #[test]
    fn the_documented_form_is_read_and_what_is_saved_is_loaded() {
        let config = load(DOCUMENTED).unwrap();
        assert_eq!((config.retry_after_seconds, config.namespace.as_str()), (10, "LiveData.Platform"));
        assert_eq!(config.azure.cloud().unwrap(), Cloud::named("AzureCloud").unwrap());
        let folder = tempfile::tempdir().unwrap();
        config.save(folder.path()).unwrap();
        let again = ProviderConfig::load(folder.path()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), serde_json::to_value(&config).unwrap());
    }

    #[test]
    fn mistakes_are_told() {
        let cause = |result: Result<ProviderConfig, Error>| match result {
            Err(other) => other.to_string(),
            Ok(config) => {
                config.azure.cloud().map(|_| String::new()).unwrap_or_else(|error| error.to_string())
            }
        };
        for (from, to, told) in [
            ("\"arm\":", "\"armm\":", "see line 1, column 8"),
            ("AzureCloud", "AzureGermanCloud", "AzureCloud, AzureUSGovernment, AzureChinaCloud"),
            ("ManagedIdentity", "Password", "see line 6"),
            ("{ \"name\": \"agents\", \"key\": \"k\" }", "\"sesame\"", "see line 5"),
            ("\"store\":", "\"retryAfterSeconds\": 0, \"store\":", "1 to 600"),
            ("\"store\":", "\"keyVaultKey\": \"a vault\", \"store\":", "see line 3"),
        ] {
            let told_really = cause(load(&DOCUMENTED.replace(from, to)));
            assert!(told_really.contains(told) && !told_really.contains("sesame"), "{told_really}");
        }
    }
}
