//! This provider's part of the work, where several share a store: what hangs below a migrator is one unit
//! ([`livedata_store::lease`]), so its operations are ended and its agent is spoken to by one provider at a time. Requests are
//! answered by all.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livedata_store::lease::{Fenced, Held, Party, Terms, Unit};
use livedata_store::{Change, Store};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::core::{Core, migrator_key};

const TURN: Duration = Duration::from_secs(2);
const LASTS: Duration = Duration::from_secs(10);

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
}

impl Leases {
    pub fn new(shared: bool) -> Self {
        Self { held: shared.then(Mutex::default), doubted: Notify::new() }
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

    /// Whether something changed.
    fn set(&self, now: &Held) -> bool {
        let Some(held) = &self.held else { return false };
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = held.numbers() != now.numbers();
        *held = now.clone();
        differs
    }
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

/// Takes part until it is cancelled, and then gives everything back.
pub async fn keep(core: Arc<Core>, cancel: CancellationToken) {
    if !core.leases.shared() {
        return;
    }
    let mut party = Party::new(Terms { lasts: LASTS });
    let mut tick = interval(TURN);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = core.leases.doubted.notified() => {}
            _ = tick.tick() => {}
        }
        if let Err(error) = party.turn(core.store.as_ref(), Instant::now()).await {
            tracing::warn!(%error, "leases cannot be renewed; the next turn tries again");
        }
        if core.leases.set(party.held()) {
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
