//! What every request, controller and session works with.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use livedata_session::AgentAuthority;
use livedata_storage_account::StorageAccounts;
use livedata_store::Store;
use livedata_store::sealed::SealingKeys;
use tokio::sync::{Notify, watch};

use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::insights::series::Series;
use crate::install_keys::Contact;
use crate::leases::{Leases, Owner};
use crate::meters::Requests;
use crate::observed::Observed;
use crate::options::RelaySettings;
use crate::view::Namespaces;

/// `store` is the provider's, or that of a resource's owner ([`Core::owned`]).
#[derive(Clone)]
pub struct Core {
    pub store: Arc<dyn Store>,
    shared: Arc<Shared>,
}

impl Deref for Core {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

pub struct Shared {
    pub leases: Leases,
    pub sealing_keys: SealingKeys,
    pub namespaces: Namespaces,
    pub retry_after_seconds: u32,
    pub storage_accounts: Arc<dyn StorageAccounts>,
    pub clock: Clock,
    pub observed: Observed,
    pub contact: Contact,
    pub authority: Arc<AgentAuthority>,
    pub relay: RelaySettings,
    /// There is work in the store.
    pub work: Notify,
    /// An agent was enrolled, or its migrator is gone.
    pub agents_changed: Notify,
    pub sessions: Nudges,
    /// Behind the metrics of resources.
    pub series: Series,
    pub requests: Requests,
    pub operations_in_progress: AtomicU64,
    pub audit: Option<AuditLog>,
}

impl Core {
    pub fn new(store: Arc<dyn Store>, shared: Shared) -> Self {
        Self { store, shared: Arc::new(shared) }
    }

    /// To work for the resource with this key: every write holds only as long as the resource stays this provider's. `None`:
    /// it is another provider's.
    pub fn owned(&self, owner: Owner) -> Option<Arc<Self>> {
        let store = owner.store(&self.store)?;
        Some(Arc::new(self.reading(store)))
    }

    /// The same, on another view of the store.
    #[must_use]
    pub fn reading(&self, store: Arc<dyn Store>) -> Self {
        Self { store, shared: Arc::clone(&self.shared) }
    }

    /// Wakes the controllers.
    pub fn nudge(&self) {
        self.work.notify_one();
    }

    /// What an agent is told may have changed; `key` is that of its migrator or of a child.
    pub fn desired_changed(&self, key: &str) {
        self.sessions.bump(migrator_key(key));
        if migrator_key(key) == key {
            self.agents_changed.notify_one();
        }
    }

    /// The same of all agents.
    pub fn all_desired_changed(&self) {
        self.sessions.bump_all();
    }
}

/// One counter for each migrator that has a session.
#[derive(Default)]
pub struct Nudges(Mutex<HashMap<String, watch::Sender<u64>>>);

impl Nudges {
    /// Sees every change from now on.
    pub fn of(&self, migrator: &str) -> watch::Receiver<u64> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.entry(migrator.to_owned()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    fn bump(&self, migrator: &str) {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = counters.get(migrator) {
            counter.send_modify(|count| *count += 1);
            if counter.receiver_count() == 0 {
                counters.remove(migrator);
            }
        }
    }

    fn bump_all(&self) {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for counter in counters.values() {
            counter.send_modify(|count| *count += 1);
        }
    }
}

/// The key of the migrator that a resource is or belongs to:
/// `/subscriptions/{s}/resourcegroups/{g}/providers/{ns}/migrators/{name}`.
pub fn migrator_key(key: &str) -> &str {
    key.match_indices('/').nth(8).map_or(key, |(end, _)| key.get(..end).unwrap_or(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_lead_to_their_migrator() {
        let migrator = "/subscriptions/s/resourcegroups/g/providers/n/migrators/m";
        assert_eq!(migrator_key(migrator), migrator);
        assert_eq!(migrator_key(&format!("{migrator}/targets/t")), migrator);
    }
}
