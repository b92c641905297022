//! Counts per account since the start: requests by operation, body bytes each way, refusals, what was renamed.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::clock;
use crate::index::NodeKind;
use crate::traffic::{Traffic, TrafficReply, Way};

#[derive(Default)]
pub(crate) struct Counters {
    by_account: Mutex<HashMap<String, Arc<AccountCounters>>>,
}

#[derive(Default)]
pub(crate) struct AccountCounters {
    requests: Mutex<BTreeMap<&'static str, u64>>,
    ingress_bytes: AtomicU64,
    egress_bytes: AtomicU64,
    client_errors: AtomicU64,
    server_errors: AtomicU64,
    files_renamed: AtomicU64,
    directories_renamed: AtomicU64,
    traffic: Mutex<Traffic>,
}

#[derive(Serialize)]
struct Snapshot {
    requests: BTreeMap<&'static str, u64>,
    ingress_bytes: u64,
    egress_bytes: u64,
    client_errors: u64,
    server_errors: u64,
    /// Renames that were done, and not those that were only asked for.
    files_renamed: u64,
    /// Each with everything below it.
    directories_renamed: u64,
}

impl Counters {
    pub(crate) fn of(&self, account: &str) -> Arc<AccountCounters> {
        let mut by_account = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        match by_account.get(account) {
            Some(counters) => counters.clone(),
            None => by_account.entry(account.to_owned()).or_default().clone(),
        }
    }

    pub(crate) fn forget(&self, account: &str) {
        self.by_account.lock().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// `{"accounts": {name: {"requests": {operation: n}, "ingress_bytes": n, …}}}`
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let by_account = self.by_account.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts: BTreeMap<&String, Snapshot> =
            by_account.iter().map(|(name, counters)| (name, counters.snapshot())).collect();
        serde_json::json!({ "accounts": accounts })
    }
}

impl AccountCounters {
    pub(crate) fn add_request(&self, operation: &'static str) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(operation).or_default() += 1;
    }

    pub(crate) fn add_ingress(&self, bytes: u64) {
        self.ingress_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.lock_traffic().add(Way::Ingress, clock::machine_ms(), bytes);
    }

    pub(crate) fn add_egress(&self, bytes: u64) {
        self.egress_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.lock_traffic().add(Way::Egress, clock::machine_ms(), bytes);
    }

    fn lock_traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn traffic(&self) -> TrafficReply {
        self.lock_traffic().describe()
    }

    pub(crate) fn forget_traffic(&self) {
        *self.lock_traffic() = Traffic::default();
    }

    pub(crate) fn add_rename(&self, kind: NodeKind) {
        let renamed = if kind.is_directory() { &self.directories_renamed } else { &self.files_renamed };
        renamed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_status(&self, status: u16) {
        match status {
            400..=499 => self.client_errors.fetch_add(1, Ordering::Relaxed),
            500..=599 => self.server_errors.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            requests: self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ingress_bytes: self.ingress_bytes.load(Ordering::Relaxed),
            egress_bytes: self.egress_bytes.load(Ordering::Relaxed),
            client_errors: self.client_errors.load(Ordering::Relaxed),
            server_errors: self.server_errors.load(Ordering::Relaxed),
            files_renamed: self.files_renamed.load(Ordering::Relaxed),
            directories_renamed: self.directories_renamed.load(Ordering::Relaxed),
        }
    }
}
