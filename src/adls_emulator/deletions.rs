//! How slowly an account deletes, where that is asked for: knobs of the admin endpoint, gone with the process.
//!
//! By itself the emulator is done with a deletion when it answers. The service takes its time, and what comes meanwhile finds it
//! out: a filesystem of the same name cannot be made for half a minute at least, and a large directory takes several requests.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct DeletionKnobs {
    /// By the service's clock: so long a deleted filesystem's name is taken.
    pub filesystem_seconds: u32,
    /// What one request removes of a directory, if it asks for pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths_per_request: Option<NonZeroUsize>,
}

#[derive(Default)]
pub(crate) struct Deletions {
    accounts: Mutex<HashMap<String, OfAccount>>,
}

#[derive(Default)]
struct OfAccount {
    knobs: DeletionKnobs,
    /// Filesystems with the times until which their names are taken.
    until_ms: HashMap<String, i64>,
}

impl Deletions {
    fn with<T>(&self, account: &str, use_it: impl FnOnce(&mut OfAccount) -> T) -> Option<T> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(account).map(use_it)
    }

    pub(crate) fn knobs(&self, account: &str) -> DeletionKnobs {
        self.with(account, |account| account.knobs).unwrap_or_default()
    }

    pub(crate) fn set(&self, account: &str, knobs: DeletionKnobs) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.entry(account.to_owned()).or_default().knobs = knobs;
    }

    /// Also ends every deletion of the account.
    pub(crate) fn forget(&self, account: &str) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// A filesystem was deleted.
    pub(crate) fn note(&self, account: &str, filesystem: &str, now_ms: i64) {
        self.with(account, |account| {
            if account.knobs.filesystem_seconds > 0 {
                let until_ms = now_ms.saturating_add(i64::from(account.knobs.filesystem_seconds) * 1000);
                account.until_ms.insert(filesystem.to_owned(), until_ms);
            }
        });
    }

    pub(crate) fn is_being_deleted(&self, account: &str, filesystem: &str, now_ms: i64) -> bool {
        let look = |account: &mut OfAccount| account.until_ms.get(filesystem).is_some_and(|at| *at > now_ms);
        self.with(account, look).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_until_its_time_is_over() {
        let deletions = Deletions::default();
        deletions.note("acct", "early", 1_000);
        deletions.set("acct", DeletionKnobs { filesystem_seconds: 30, paths_per_request: None });
        deletions.note("acct", "fs", 1_000);
        for (account, name, now_ms, expected) in [
            ("acct", "fs", 30_999, true),
            ("acct", "fs", 31_000, false),
            ("acct", "other", 1_000, false),
            ("acct", "early", 1_000, false),
            ("other", "fs", 1_000, false),
        ] {
            assert_eq!(
                deletions.is_being_deleted(account, name, now_ms),
                expected,
                "{account} {name} {now_ms}"
            );
        }
    }
}
