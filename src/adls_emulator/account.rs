//! Storage accounts: their keys and the book of them that requests are authenticated against.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::EmulatorError;
use crate::index::{self, Index};
use crate::service_error::ServiceError;

const KEY_BYTES: usize = 64;

/// An account with a key of the caller's choice, made at start when it is missing. Written `name=base64key`.
#[derive(Clone)]
pub struct AccountKey {
    pub name: String,
    pub key: Vec<u8>,
}

impl std::fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::str::FromStr for AccountKey {
    type Err = EmulatorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |name: &str, reason: &str| EmulatorError::InvalidAccount {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let (name, key) = text.split_once('=').ok_or_else(|| invalid("", "write it as name=base64key"))?;
        if !is_valid_name(name) {
            return Err(invalid(name, "a name has 3 to 24 lower-case letters and digits"));
        }
        let key = BASE64.decode(key).map_err(|_| invalid(name, "the key is not base64"))?;
        if key.is_empty() {
            return Err(invalid(name, "the key is empty"));
        }
        Ok(Self { name: name.to_owned(), key })
    }
}

pub(crate) fn is_valid_name(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

pub(crate) struct Account {
    pub name: String,
    pub kind: String,
    pub hierarchical_namespace: bool,
    pub keys: [Vec<u8>; 2],
}

impl Account {
    pub(crate) fn key_texts(&self) -> [String; 2] {
        [BASE64.encode(&self.keys[0]), BASE64.encode(&self.keys[1])]
    }

    fn with_keys(&self, keys: [Vec<u8>; 2]) -> Self {
        Self {
            name: self.name.clone(),
            kind: self.kind.clone(),
            hierarchical_namespace: self.hierarchical_namespace,
            keys,
        }
    }
}

pub(crate) fn new_key() -> Result<Vec<u8>, ServiceError> {
    let mut key = vec![0; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|error| ServiceError::internal(&error))?;
    Ok(key)
}

/// All accounts, in memory; every change is committed to the index before it counts here.
pub(crate) struct AccountBook {
    by_name: RwLock<HashMap<String, Arc<Account>>>,
}

impl AccountBook {
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        let by_name = accounts.into_iter().map(|account| (account.name.clone(), Arc::new(account))).collect();
        Self { by_name: RwLock::new(by_name) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Account>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> =
            self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub(crate) async fn save(&self, index: &Index, account: Account) -> Result<Arc<Account>, ServiceError> {
        let account = Arc::new(account);
        let saved = account.clone();
        index.write(move |writing| index::save_account(writing, &saved)).await?;
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.insert(account.name.clone(), account.clone());
        Ok(account)
    }

    /// Replaces `key1` (`which` 0) or `key2` (1).
    pub(crate) async fn regenerate_key(
        &self,
        index: &Index,
        account: &Account,
        which: usize,
    ) -> Result<Arc<Account>, ServiceError> {
        let mut keys = account.keys.clone();
        if let Some(key) = keys.get_mut(which) {
            *key = new_key()?;
        }
        self.save(index, account.with_keys(keys)).await
    }

    pub(crate) async fn remove(&self, index: &Index, name: &str) -> Result<(), ServiceError> {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let name = name.to_owned();
        index.write(move |writing| index::forget_account(writing, &name)).await
    }
}
