//! What every request and every controller works with.

use std::sync::Arc;

use livedata_storage_account::StorageAccounts;
use livedata_store::Store;
use livedata_store::sealed::SealingKey;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::enrolment::KeyIssuer;
use crate::observed::Observed;

pub struct Core {
    pub store: Arc<dyn Store>,
    pub sealing_key: SealingKey,
    pub namespace: String,
    pub retry_after_seconds: u32,
    pub storage_accounts: Arc<dyn StorageAccounts>,
    pub clock: Clock,
    /// What agents have reported, and which of them are connected.
    pub observed: Observed,
    pub key_issuer: KeyIssuer,
    /// There is work in the store.
    pub work: Notify,
    /// Grows when desired state or the set of agents may have changed.
    pub desired: watch::Sender<u64>,
}

impl Core {
    /// Wakes the controllers.
    pub fn nudge(&self) {
        self.work.notify_one();
    }

    /// Wakes the sessions.
    pub fn desired_changed(&self) {
        self.desired.send_modify(|count| *count += 1);
    }
}
