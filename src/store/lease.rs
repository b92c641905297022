//! Work that is divided among the providers on one store: each *unit* is one provider's at a time, under a lease.
//!
//! A unit's record in [`LEASES`] names its holder. It is written only when the unit changes hands, so its version is the
//! lease's *fencing number*: [`Fenced`] makes every write of a holder expect it, and what a holder writes that has slept through
//! the end of its lease is refused, whatever it believes.
//!
//! Each provider has one record in [`HOLDERS`] that it writes at every [`Party::turn`], with what the others shall know of it. No
//! clock is compared with another: a holder is given up when its record has had the same version for [`Terms::lasts`], on the
//! clock of who looks. Who removes the record expects that very version, so a holder that is still there keeps it; units whose
//! holder has no record are free. A holder counts from before its own write, so it stops believing in its leases before anybody
//! can take them.
//!
//! Units are shared evenly: who has more than its share gives some away, one turn after another provider has come.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::fnv::Fnv;
use crate::{Change, Error, Record, Result, Store};

/// Keys are units.
pub const LEASES: &str = "leases";
/// Keys are ids of providers' runs; bodies are what they say of themselves.
pub const HOLDERS: &str = "lease_holders";

/// More than this many providers cannot share the work.
pub const UNITS: u32 = 16;
const MOST_HOLDERS: usize = 1000;

#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long a holder that is not heard of is waited for. Several turns must fit into it.
    pub lasts: Duration,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Unit(u32);

impl Unit {
    /// The same in every provider of every version.
    pub fn of(text: &str) -> Self {
        let mut hasher = Fnv::default();
        hasher.write(text.as_bytes());
        Self(u32::try_from(hasher.finish() % u64::from(UNITS)).unwrap_or(0))
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..UNITS).map(Self)
    }

    fn key(self) -> String {
        format!("{:02}", self.0)
    }

    /// Holds as long as the unit has not changed hands.
    pub fn fence(self, number: u64, change: Change) -> Change {
        change.expect(LEASES, self.key(), Some(number))
    }
}

/// Body of a lease. Without a holder it was given away.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    holder: Option<String>,
}

/// What a provider may count on until a moment.
#[derive(Clone, Debug, Default)]
pub struct Held {
    numbers: BTreeMap<Unit, u64>,
    until: Option<Instant>,
}

impl Held {
    /// The fencing number, if the unit is held.
    pub fn number(&self, unit: Unit, now: Instant) -> Option<u64> {
        self.until.filter(|until| now < *until)?;
        self.numbers.get(&unit).copied()
    }

    /// All units that are held.
    pub fn numbers(&self) -> &BTreeMap<Unit, u64> {
        &self.numbers
    }
}

/// One provider's part.
#[derive(Debug)]
pub struct Party {
    terms: Terms,
    /// Another one after it was given up.
    id: Option<String>,
    /// When the others' records were first seen as they are.
    seen: HashMap<String, Seen>,
    held: Held,
    /// When the others' records were last looked at.
    looked: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Seen {
    version: u64,
    since: Instant,
    says: Vec<u8>,
}

impl Party {
    pub fn new(terms: Terms) -> Self {
        Self { terms, id: None, seen: HashMap::new(), held: Held::default(), looked: None }
    }

    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Says that this provider is there, takes what is free, gives away what is more than its share. To be called a few times
    /// in [`Terms::lasts`]. After an error what was held is, until its time has run out.
    pub async fn turn(&mut self, store: &dyn Store, now: Instant, says: &[u8]) -> Result<()> {
        let (id, version) = self.beat(store, now, says).await?;
        let holders = store.list(HOLDERS, "", None, MOST_HOLDERS).await?;
        self.watch(&holders, &id, now);
        self.bury(store, now).await?;
        let leases = store.list(LEASES, "", None, UNITS as usize).await?;
        let mut table = Table::read(&leases, &id)?;
        let share = (UNITS as usize).div_ceil(1 + self.seen.len());
        if table.mine.len() > share {
            table.give_away(store, share).await?;
        } else if table.mine.len() < share {
            let change = Change::new().expect(HOLDERS, id.as_str(), Some(version));
            table.take(store, &id, share, change, |holder| !self.seen.contains_key(holder)).await?;
        }
        self.held = Held { numbers: table.mine, until: Some(now + self.terms.lasts) };
        Ok(())
    }

    /// What the other holders said last.
    pub fn others(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.seen.iter().map(|(id, seen)| (id.as_str(), seen.says.as_slice()))
    }

    /// Gives everything back, so that nobody has to wait.
    pub async fn leave(&mut self, store: &dyn Store) -> Result<()> {
        let Some(id) = self.id.take() else { return Ok(()) };
        self.held = Held::default();
        // Whose record is gone holds nothing.
        store.commit(Change::new().remove(HOLDERS, id)).await
    }

    /// Id and version of this provider's record.
    async fn beat(&mut self, store: &dyn Store, now: Instant, says: &[u8]) -> Result<(String, u64)> {
        if let Some(id) = &self.id {
            // Only this provider writes it; others may have removed it.
            if let Some(found) = store.get(HOLDERS, id).await? {
                let change = Change::new().expect(HOLDERS, id.as_str(), Some(found.version));
                match store.commit(change.put(HOLDERS, id.as_str(), says)).await {
                    Ok(()) => {
                        self.held.until = Some(now + self.terms.lasts);
                        return Ok((id.clone(), found.version + 1));
                    }
                    Err(Error::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            tracing::warn!("this provider was not heard of for too long; others do its work, it begins anew");
        }
        self.held = Held::default();
        let id = uuid::Uuid::new_v4().to_string();
        store
            .commit(Change::new().expect(HOLDERS, id.as_str(), None).put(HOLDERS, id.as_str(), says))
            .await?;
        self.id = Some(id.clone());
        Ok((id, 1))
    }

    fn watch(&mut self, holders: &[Record], me: &str, now: Instant) {
        let before = std::mem::take(&mut self.seen);
        // While this provider could not look, the others may not have been able to write either: their time begins anew.
        let was_blind =
            self.looked.is_none_or(|looked| now.saturating_duration_since(looked) > self.terms.lasts / 2);
        self.looked = Some(now);
        for record in holders.iter().filter(|record| record.key != me) {
            let same = before.get(&record.key).filter(|seen| seen.version == record.version && !was_blind);
            let since = same.map_or(now, |seen| seen.since);
            let seen = Seen { version: record.version, since, says: record.body.clone() };
            self.seen.insert(record.key.clone(), seen);
        }
    }

    /// Removes the records of holders that are given up.
    async fn bury(&mut self, store: &dyn Store, now: Instant) -> Result<()> {
        let given_up = |seen: &Seen| now.saturating_duration_since(seen.since) >= self.terms.lasts;
        let gone: Vec<(String, u64)> = self
            .seen
            .iter()
            .filter(|(_, seen)| given_up(seen))
            .map(|(id, seen)| (id.clone(), seen.version))
            .collect();
        for (id, version) in gone {
            let change = Change::new().expect(HOLDERS, id.as_str(), Some(version));
            match store.commit(change.remove(HOLDERS, id.as_str())).await {
                Ok(()) => _ = self.seen.remove(&id),
                // It is still there, or another one was faster: that is seen at the next turn.
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The leases as they were read.
struct Table {
    mine: BTreeMap<Unit, u64>,
    others: BTreeMap<Unit, (Option<u64>, Option<String>)>,
}

impl Table {
    fn read(records: &[Record], me: &str) -> Result<Self> {
        let mut table = Self { mine: BTreeMap::new(), others: BTreeMap::new() };
        for unit in Unit::all() {
            let key = unit.key();
            let Some(record) = records.iter().find(|record| record.key == key) else {
                table.others.insert(unit, (None, None));
                continue;
            };
            let lease: Lease = serde_json::from_slice(&record.body)
                .map_err(|error| Error::Damaged(format!("lease {key}: {error}")))?;
            match lease.holder {
                Some(holder) if holder == me => _ = table.mine.insert(unit, record.version),
                holder => _ = table.others.insert(unit, (Some(record.version), holder)),
            }
        }
        Ok(table)
    }

    /// All that is beyond the share.
    async fn give_away(&mut self, store: &dyn Store, share: usize) -> Result<()> {
        let mut change = Change::new();
        for unit in self.mine.keys().copied().skip(share).collect::<Vec<_>>() {
            if let Some(number) = self.mine.remove(&unit) {
                change = put(unit.fence(number, change), unit, None)?;
            }
        }
        match store.commit(change).await {
            // Somebody has taken one: that is seen at the next turn.
            Err(Error::Conflict { .. }) => Ok(()),
            done => done,
        }
    }

    /// As much as the share allows of what nobody holds, or somebody who is `gone`.
    async fn take(
        &mut self,
        store: &dyn Store,
        me: &str,
        share: usize,
        mut change: Change,
        gone: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let mut taken = BTreeMap::new();
        for (unit, (version, holder)) in &self.others {
            if self.mine.len() + taken.len() == share {
                break;
            }
            if let Some(holder) = holder {
                if !gone(holder) {
                    continue;
                }
                // It may have come since the list was read.
                change = change.expect(HOLDERS, holder.as_str(), None);
            }
            change = put(change.expect(LEASES, unit.key(), *version), *unit, Some(me))?;
            taken.insert(*unit, version.unwrap_or(0) + 1);
        }
        if taken.is_empty() {
            return Ok(());
        }
        match store.commit(change).await {
            Ok(()) => {
                self.mine.extend(taken);
                Ok(())
            }
            // Another one was faster, or has come.
            Err(Error::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What all holders say that are heard of within the time, which it takes if one does not satisfy who asks: then it may be dead.
pub async fn living(
    store: &dyn Store,
    terms: Terms,
    satisfies: impl Fn(&[u8]) -> bool,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = store.list(HOLDERS, "", None, MOST_HOLDERS).await?;
    if !found.iter().all(|record| satisfies(&record.body)) {
        tokio::time::sleep(terms.lasts).await;
        let before = std::mem::replace(&mut found, store.list(HOLDERS, "", None, MOST_HOLDERS).await?);
        let is_dead = |record: &Record| {
            before.iter().any(|was| (&was.key, was.version) == (&record.key, record.version))
        };
        found.retain(|record| !is_dead(record));
    }
    Ok(found.into_iter().map(|record| (record.key, record.body)).collect())
}

fn put(change: Change, unit: Unit, holder: Option<&str>) -> Result<Change> {
    let lease = Lease { holder: holder.map(str::to_owned) };
    let body = serde_json::to_vec(&lease).map_err(|error| Error::Damaged(error.to_string()))?;
    Ok(change.put(LEASES, unit.key(), body))
}

/// A store as the holder of a unit writes it.
pub struct Fenced {
    store: Arc<dyn Store>,
    unit: Unit,
    number: u64,
}

impl Fenced {
    pub fn new(store: Arc<dyn Store>, unit: Unit, number: u64) -> Self {
        Self { store, unit, number }
    }
}

#[async_trait]
impl Store for Fenced {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.store.get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        self.store.list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.store.commit(self.unit.fence(self.number, change)).await
    }
}
