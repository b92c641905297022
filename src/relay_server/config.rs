//! The relay's files in a data directory: `relay.json` ([`RelayConfig`]), `relay.pem` (certificate chain, leaf first) and
//! `relay.key` (its private key), both PEM.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use livedata_relay::authorization::Rules;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use url::Url;

/// `relay.json`:
///
/// ```json
/// { "listen": "0.0.0.0:9443",
///   "publicUrl": "wss://relay.example:9443",
///   "rules": [ { "name": "provider", "primaryKey": "…", "rights": ["Listen", "Send"], "scopePath": "agents" } ] }
/// ```
///
/// `secondaryKey` and `scopePath` may be left out. It holds keys, so it is written readable for its owner only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelayConfig {
    pub listen: SocketAddr,
    pub public_url: Url,
    pub rules: Rules,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read or write {path}; check that the data directory was initialised and is yours")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a relay configuration; correct or remove it")]
    Format {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} does not hold what a relay needs in PEM form")]
    Pem {
        path: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("certificate {certificate} and key {key} cannot be used together")]
    Tls {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

pub fn config_path(data: &Path) -> PathBuf {
    data.join("relay.json")
}

pub fn certificate_path(data: &Path) -> PathBuf {
    data.join("relay.pem")
}

pub fn key_path(data: &Path) -> PathBuf {
    data.join("relay.key")
}

impl RelayConfig {
    pub fn load(data: &Path) -> Result<Self, ConfigError> {
        let path = config_path(data);
        let text = fs::read(&path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
        serde_json::from_slice(&text).map_err(|source| ConfigError::Format { path, source })
    }

    /// Replaces the file whole: it is written beside and renamed.
    pub fn save(&self, data: &Path) -> Result<(), ConfigError> {
        let path = config_path(data);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| ConfigError::Format { path: path.clone(), source })?;
        let beside = data.join("relay.json.new");
        write_private(&beside, &text)
            .and_then(|()| fs::rename(&beside, &path))
            .map_err(|source| ConfigError::File { path, source })
    }
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads certificate and key. Needs the process-wide rustls provider.
pub fn load_tls(data: &Path) -> Result<Arc<rustls::ServerConfig>, ConfigError> {
    let (certificate, key) = (certificate_path(data), key_path(data));
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |source| ConfigError::Pem { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(|items| items.collect::<Result<Vec<_>, _>>())
        .map_err(pem(&certificate))?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(pem(&key))?;
    rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map(Arc::new)
        .map_err(|source| ConfigError::Tls { certificate, key, source })
}

#[cfg(test)]
mod tests {
    use livedata_relay::authorization::{Key, Right, Rule};

    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_private() {
        let data = tempfile::tempdir().unwrap();
        let config = RelayConfig {
            listen: "127.0.0.1:9443".parse().unwrap(),
            public_url: Url::parse("wss://localhost:9443").unwrap(),
            rules: Rules(vec![Rule {
                name: "provider".to_owned(),
                primary_key: Key("k".to_owned()),
                secondary_key: None,
                rights: vec![Right::Listen, Right::Send],
                scope_path: Some("agents".to_owned()),
            }]),
        };
        config.save(data.path()).unwrap();
        config.save(data.path()).unwrap();
        assert_eq!(RelayConfig::load(data.path()).unwrap(), config);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(config_path(data.path())).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn the_documented_form_is_read() {
        let data = tempfile::tempdir().unwrap();
        let text = r#"{ "listen": "0.0.0.0:9443", "publicUrl": "wss://relay.example:9443",
            "rules": [ { "name": "provider", "primaryKey": "k", "rights": ["Listen", "Send"] } ] }"#;
        fs::write(config_path(data.path()), text).unwrap();
        let config = RelayConfig::load(data.path()).unwrap();
        assert_eq!(config.rules.0[0].rights, [Right::Listen, Right::Send]);
        fs::write(config_path(data.path()), "{}").unwrap();
        assert!(matches!(RelayConfig::load(data.path()), Err(ConfigError::Format { .. })));
    }
}
