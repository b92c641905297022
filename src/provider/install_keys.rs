//! Install keys: minted by `listInstallKey`, good for one agent within one hour. Only their verifier is stored, sealed.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livedata_arm::ProvisioningState;
use livedata_session::enrolment::{InstallKey, IssuedKey, Verifier};
use livedata_store::{Change, Store};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use url::Url;

use crate::clock::rfc3339;
use crate::core::Core;
use crate::document::{self, Loaded};
use crate::errors::{self, Outcome};
use crate::moves;
use crate::resources::migrators::{COLLECTION as MIGRATORS, Migrator};
use crate::secrets;

/// By key id.
pub const COLLECTION: &str = "install_keys";

const GOOD_FOR: Duration = Duration::hours(1);
/// Used and expired keys are remembered this long, so that their use is told from that of an unknown key.
const REMEMBERED: Duration = Duration::days(7);

/// What keys tell agents.
#[derive(Clone, Debug)]
pub struct Contact {
    pub enrolment_url: Url,
    /// Of the authority of the enrolment listener's certificate.
    pub authority_fingerprint: String,
    pub relay_url: Url,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredKey {
    pub migrator: String,
    pub migrator_guid: String,
    /// Base64 of the sealed verifier.
    sealed_verifier: String,
    /// Seconds since 1970.
    expires_at: i64,
    spent_by: Option<String>,
}

/// A fresh key and the end of its life. Nothing is minted for a migrator that is being deleted.
pub async fn mint(core: &Core, migrator: &Loaded<Migrator>) -> Outcome<(String, String)> {
    let document = &migrator.document;
    if document.provisioning == ProvisioningState::Deleting {
        return Err(errors::ANOTHER_OPERATION_IN_PROGRESS
            .error(format!("The migrator '{}' is being deleted.", document.id))
            .into());
    }
    let Contact { enrolment_url, authority_fingerprint, relay_url } = core.contact.clone();
    let key = InstallKey::mint(enrolment_url, authority_fingerprint, relay_url, document.guid.clone())?;
    let expires_at = core.clock.now() + GOOD_FOR;
    let sealed = secrets::sealed(core, &context(&key.key_id), key.verifier().as_bytes())?;
    let stored = StoredKey {
        migrator: document.key(),
        migrator_guid: document.guid.clone(),
        sealed_verifier: STANDARD.encode(sealed),
        expires_at: expires_at.unix_timestamp(),
        spent_by: None,
    };
    let change = Change::new().expect(MIGRATORS, document.key(), Some(migrator.version)).expect(
        COLLECTION,
        key.key_id.as_str(),
        None,
    );
    let change = moves::resting(core, &document.key(), change).await?;
    core.store.commit(document::put(change, COLLECTION, &key.key_id, &stored)?).await?;
    Ok((key.to_text(), rfc3339(expires_at)))
}

/// Revokes the keys of a migrator that have enrolled nobody. One that is being spent at the same moment is a conflict.
pub async fn revoke_unused(core: &Core, migrator: &Loaded<Migrator>) -> Outcome<()> {
    const PAGE: usize = 200;
    let mut change = Change::new();
    let mut after: Option<String> = None;
    loop {
        let page = core.store.list(COLLECTION, "", after.as_deref(), PAGE).await?;
        for record in &page {
            let key: StoredKey = serde_json::from_slice(&record.body)?;
            if key.migrator_guid == migrator.document.guid && key.spent_by.is_none() {
                change = change.expect(COLLECTION, record.key.as_str(), Some(record.version));
                change = change.remove(COLLECTION, record.key.as_str());
            }
        }
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        if after.is_none() {
            break;
        }
    }
    if !change.writes.is_empty() {
        core.store.commit(change).await?;
    }
    Ok(())
}

/// Keys of migrators that go by other keys from now on.
pub async fn moved(core: &Core, keys: &BTreeMap<String, String>, mut change: Change) -> Outcome<Change> {
    const PAGE: usize = 200;
    let mut after: Option<String> = None;
    loop {
        let page = core.store.list(COLLECTION, "", after.as_deref(), PAGE).await?;
        for record in &page {
            let key: StoredKey = serde_json::from_slice(&record.body)?;
            if let Some(to) = keys.get(&key.migrator) {
                change = change.expect(COLLECTION, record.key.as_str(), Some(record.version));
                let moved = StoredKey { migrator: to.clone(), ..key };
                change = document::put(change, COLLECTION, &record.key, &moved)?;
            }
        }
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        if after.is_none() {
            return Ok(change);
        }
    }
}

impl StoredKey {
    pub fn spent(self, by: String) -> Self {
        Self { spent_by: Some(by), ..self }
    }

    /// What its verifier is bound to, and the verifier.
    pub fn sealed(&self, key_id: &str) -> (String, &str) {
        (context(key_id), &self.sealed_verifier)
    }

    /// In the form in which a request is judged.
    pub fn open(&self, core: &Core, key_id: &str) -> Outcome<IssuedKey> {
        let damaged =
            || livedata_store::Error::Damaged("a sealed install key is not what was stored".to_owned());
        let sealed = STANDARD.decode(&self.sealed_verifier).map_err(|_| damaged())?;
        let plain = core.sealing_keys.open(&context(key_id), &sealed)?;
        let bytes: [u8; 32] = plain.try_into().map_err(|_| damaged())?;
        Ok(IssuedKey {
            verifier: Verifier::from_bytes(bytes),
            expires_at: self.expires_at,
            spent_by: self.spent_by.clone(),
        })
    }
}

fn context(key_id: &str) -> String {
    format!("install key {key_id}")
}

/// Removes keys that nobody needs to be told about any more.
pub async fn remove_expired(store: &dyn Store, now: OffsetDateTime) -> Outcome<()> {
    const PAGE: usize = 200;
    let mut after: Option<String> = None;
    loop {
        let page = store.list(COLLECTION, "", after.as_deref(), PAGE).await?;
        let mut change = Change::new();
        for record in &page {
            let key: StoredKey = serde_json::from_slice(&record.body)?;
            if key.expires_at < (now - REMEMBERED).unix_timestamp() {
                change = change.remove(COLLECTION, record.key.as_str());
            }
        }
        if !change.writes.is_empty() {
            store.commit(change).await?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}
