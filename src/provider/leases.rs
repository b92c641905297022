//! This provider's part of the work, where several share a store: what hangs below a migrator is one unit
//! ([`livedata_store::lease`]), so its operations are ended and its agent is spoken to by one provider at a time. Requests are
//! answered by all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livedata_store::lease::{Fenced, Held, Party, Terms, Unit};
use livedata_store::sealed::KeyId;
use livedata_store::{Change, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::core::{Core, migrator_key};

const TURN: Duration = Duration::from_secs(2);
pub const TERMS: Terms = Terms { lasts: Duration::from_secs(10) };

/// What a provider tells of itself to the others on its store, and to a rotation of keys. Unknown fields are of newer versions.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Says {
    /// Id of the key that seals what this provider stores now.
    seals_with: Option<String>,
    /// How long it has been that one here.
    for_seconds: u64,
    /// Ids of all keys that this provider has.
    keys: Vec<String>,
}

impl Says {
    fn of(core: &Core) -> Self {
        match core.sealing_keys.newest() {
            Ok((key, since)) => {
                let keys = core.sealing_keys.open_ids().iter().map(KeyId::to_string).collect();
                Self { seals_with: Some(key.to_string()), for_seconds: since.as_secs(), keys }
            }
            Err(error) => {
                tracing::error!(%error, "nothing can be sealed; requests that bring secrets are refused");
                Self::default()
            }
        }
    }

    /// Nothing, if it was said by a version that says something else.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether only this key has sealed there for so long.
    pub fn seals_with(&self, key: KeyId, at_least: Duration) -> bool {
        self.key() == Some(key) && self.for_seconds >= at_least.as_secs()
    }

    pub fn key(&self) -> Option<KeyId> {
        self.seals_with.as_deref().and_then(|key| key.parse().ok())
    }

    pub fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().filter_map(|key| key.parse().ok())
    }
}

/// Whose a resource is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Owner {
    /// Nobody else is on this store.
    Alone,
    /// This provider, under a lease with this fencing number.
    Here(Unit, u64),
    Elsewhere,
}

pub struct Leases {
    /// `None`: nobody else is on this store.
    held: Option<Mutex<Held>>,
    /// A write was refused because of a lease.
    doubted: Notify,
    foreign_keys: Mutex<Vec<KeyId>>,
}

impl Leases {
    pub fn new(shared: bool) -> Self {
        Self { held: shared.then(Mutex::default), doubted: Notify::new(), foreign_keys: Mutex::default() }
    }

    pub fn shared(&self) -> bool {
        self.held.is_some()
    }

    /// `key`: of a migrator or of what hangs below it. A lease that could not be renewed in time counts as another's.
    pub fn owner(&self, key: &str) -> Owner {
        let Some(held) = &self.held else { return Owner::Alone };
        let unit = Unit::of(migrator_key(key));
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.number(unit, Instant::now()).map_or(Owner::Elsewhere, |number| Owner::Here(unit, number))
    }

    /// Whether another provider has the resource, as far as was last seen.
    pub fn moved(&self, key: &str) -> bool {
        let Some(held) = &self.held else { return false };
        let held = held.lock().unwrap_or_else(PoisonError::into_inner);
        !held.numbers().contains_key(&Unit::of(migrator_key(key)))
    }

    /// Whether the resource has not changed hands since it had this owner, as far as was last seen.
    pub fn is_still(&self, owner: Owner) -> bool {
        match (owner, &self.held) {
            (Owner::Alone, _) => true,
            (Owner::Here(unit, number), Some(held)) => {
                let held = held.lock().unwrap_or_else(PoisonError::into_inner);
                held.numbers().get(&unit) == Some(&number)
            }
            _ => false,
        }
    }

    /// What is believed may be over: looked up at once.
    pub fn doubt(&self) {
        self.doubted.notify_one();
    }

    fn foreign_keys(&self, keys: Vec<KeyId>) {
        let mut known = self.foreign_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != keys && !keys.is_empty() {
            let keys = list(&keys);
            tracing::error!(
                keys,
                "another provider on this store seals with keys that are not in this provider's file: its resources' secrets do \
                 not open here until the file is the same"
            );
        }
        *known = keys;
    }

    /// Keys of others, as text, that this provider lacks.
    pub fn lacking_keys(&self) -> Option<String> {
        let keys = self.foreign_keys.lock().unwrap_or_else(PoisonError::into_inner);
        (!keys.is_empty()).then(|| list(&keys))
    }

    /// The units that are held under another number than before, or not any more, or only now.
    fn set(&self, now: &Held) -> BTreeSet<Unit> {
        let Some(held) = &self.held else { return BTreeSet::new() };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let changed =
            Unit::all().filter(|unit| held.numbers().get(unit) != now.numbers().get(unit)).collect();
        *held = now.clone();
        changed
    }
}

fn list(keys: &[KeyId]) -> String {
    keys.iter().map(KeyId::to_string).collect::<Vec<_>>().join(", ")
}

impl Owner {
    /// A change that holds only as long as the resource stays here. `None`: it is not here.
    pub fn fence(self, change: Change) -> Option<Change> {
        match self {
            Self::Alone => Some(change),
            Self::Here(unit, number) => Some(unit.fence(number, change)),
            Self::Elsewhere => None,
        }
    }

    /// A store on which every write is fenced so.
    pub fn store(self, store: &Arc<dyn Store>) -> Option<Arc<dyn Store>> {
        match self {
            Self::Alone => Some(Arc::clone(store)),
            Self::Here(unit, number) => Some(Arc::new(Fenced::new(Arc::clone(store), unit, number))),
            Self::Elsewhere => None,
        }
    }
}

/// The keys with which others on this store seal and that this provider does not have: their secrets are closed to it.
fn foreign_keys(core: &Core, party: &Party) -> Vec<KeyId> {
    let known = core.sealing_keys.ids();
    let said = party.others().filter_map(|(_, says)| Says::read(says).key());
    said.filter(|key| !known.contains(key)).collect()
}

/// Takes part until it is cancelled, and then gives everything back.
pub async fn keep(core: Arc<Core>, cancel: CancellationToken) {
    if !core.leases.shared() {
        return;
    }
    let mut party = Party::new(TERMS);
    let mut tick = interval(TURN);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = core.leases.doubted.notified() => {}
            _ = tick.tick() => {}
        }
        let now = Instant::now();
        let turn = match serde_json::to_vec(&Says::of(&core)) {
            Ok(says) => party.turn(core.store.as_ref(), now, &says).await,
            Err(error) => Err(livedata_store::Error::Damaged(error.to_string())),
        };
        match turn {
            Ok(()) => core.leases.foreign_keys(foreign_keys(&core, &party)),
            Err(error) => tracing::warn!(%error, "leases cannot be renewed; the next turn tries again"),
        }
        let changed = core.leases.set(party.held());
        if !changed.is_empty() {
            // What was heard from these agents may be older than what others have stored since.
            core.observed.forget_all(|key| changed.contains(&Unit::of(migrator_key(key))));
            tracing::info!(units = party.held().numbers().len(), "this provider's share of the work");
            core.nudge();
            core.agents_changed.notify_one();
        }
    }
    core.leases.set(&Held::default());
    if let Err(error) = party.leave(core.store.as_ref()).await {
        tracing::warn!(%error, "leases cannot be given back; they end by themselves");
    }
}
