//! Secrets of the environment, random, made once.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// Of the service principal that people sign in with.
    pub user: String,
    /// Of the provider's own service principal.
    pub provider: String,
    pub storage_admin: String,
    pub relay_send: String,
    pub relay_listen: String,
    /// The path that custom providers know.
    #[serde(default)]
    pub custom_provider: String,
}

impl Secrets {
    pub(super) const FILE: &str = "secrets.json";

    pub fn load_or_create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        if let Some(mut secrets) = super::read_json::<Self>(&path)? {
            // A folder may be older than this secret.
            if secrets.custom_provider.is_empty() {
                secrets.custom_provider = random();
                super::write_json(&path, &secrets)?;
            }
            return Ok(secrets);
        }
        let secrets = Self {
            user: random(),
            provider: random(),
            storage_admin: random(),
            relay_send: random(),
            relay_listen: random(),
            custom_provider: random(),
        };
        super::write_json(&path, &secrets)?;
        Ok(secrets)
    }
}

/// 244 random bits.
fn random() -> String {
    let half = || uuid::Uuid::new_v4().simple().to_string();
    half() + &half()
}
