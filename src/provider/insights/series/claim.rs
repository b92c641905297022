//! Who counts a migrator's migrations, and from where.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use livedata_model::cbor;
use livedata_store::{Change, Error, Record, Store};

use super::{BASELINES, COLLECTION, Followed, Hour, Inner, Key, Series, Session};
use crate::errors::Outcome;
use crate::insights::baseline::{Baseline, Baselines};

impl Series {
    /// A session with the migrator's agent begins: from now on this process counts. What the agent reports within it counts from what
    /// is stored, unless this process has counted all the while.
    pub async fn connected(&self, store: &dyn Store, migrator: &str) -> Outcome<()> {
        let _turn = self.turn.lock().await;
        let found = store.get(BASELINES, migrator).await?;
        if let Some(session) = self.lock().sessions.get_mut(migrator)
            && found.as_ref().is_some_and(|found| found.version == session.version)
        {
            session.connected = true;
            return Ok(());
        }
        let (version, baselines) = claim(store, migrator, found).await?;
        let hours = self.hours_of_pending(store, migrator).await?;
        let mut inner = self.lock();
        inner.drop_unstored(migrator, hours);
        let session = Session { connected: true, ..Session::of(version, baselines) };
        inner.sessions.insert(migrator.to_owned(), session);
        Ok(())
    }

    /// Those of these migrators whose record is not as this process left it.
    pub(super) async fn counted_elsewhere(
        &self,
        store: &dyn Store,
        migrators: BTreeSet<String>,
    ) -> Outcome<Vec<String>> {
        let mut elsewhere = Vec::new();
        for migrator in migrators {
            let found = store.get(BASELINES, &migrator).await?.map(|found| found.version);
            if self.lock().sessions.get(&migrator).is_some_and(|session| found != Some(session.version)) {
                elsewhere.push(migrator);
            }
        }
        Ok(elsewhere)
    }

    /// Another process has counted meanwhile, or it is not known whether this one has stored. Within a session it goes on from what
    /// is stored.
    pub(super) async fn begin_anew(&self, store: &dyn Store, migrator: &str) -> Outcome<()> {
        let is_connected = self.lock().sessions.get(migrator).is_some_and(|session| session.connected);
        // Without a record the migrator is gone.
        let found = store.get(BASELINES, migrator).await?.filter(|_| is_connected);
        let claimed = match found {
            Some(found) => Some(claim(store, migrator, Some(found)).await?),
            None => None,
        };
        let hours = self.hours_of_pending(store, migrator).await?;
        let mut guard = self.lock();
        let inner = &mut *guard;
        inner.drop_unstored(migrator, hours);
        let Some((version, baselines)) = claimed else {
            inner.sessions.remove(migrator);
            return Ok(());
        };
        let Some(session) = inner.sessions.get_mut(migrator) else { return Ok(()) };
        let Session { counted, complete, .. } = Session::of(version, baselines);
        for (migration, Followed { last, baseline, moved }) in &mut session.migrations {
            (*baseline, *moved) = Baseline::advance(counted.get(migration).cloned(), last);
        }
        (session.version, session.counted, session.complete) = (version, counted, complete);
        Ok(())
    }

    /// As they are stored, which may be more than this process has heard of.
    async fn hours_of_pending(&self, store: &dyn Store, migrator: &str) -> Outcome<StoredHours> {
        let pending: Vec<Key> = {
            let inner = self.lock();
            let own = inner.pending.iter().filter(|(_, (of, _))| of == migrator);
            own.map(|(key, _)| key.clone()).collect()
        };
        let mut hours = Vec::new();
        for key in pending {
            let record = store.get(COLLECTION, &self.key(&key)).await?;
            hours.push((key, record.map(|record| serde_json::from_slice(&record.body)).transpose()?));
        }
        Ok(hours)
    }
}

type StoredHours = Vec<(Key, Option<Hour>)>;

impl Inner {
    /// Somebody else counts from where the points that are not stored do.
    fn drop_unstored(&mut self, migrator: &str, hours: StoredHours) {
        self.drop_samples(migrator);
        for (key, hour) in hours {
            match hour {
                Some(hour) => self.hours.insert(key, hour),
                None => self.hours.remove(&key),
            };
        }
    }
}

impl Session {
    fn of(version: u64, baselines: Baselines) -> Self {
        let complete = baselines.counted.is_some();
        let counted = baselines.counted.into_iter().flatten();
        let counted = counted.map(|counted| (counted.migration, counted.baseline)).collect();
        Self { version, counted, complete, ..Self::default() }
    }
}

/// Writes what was found as it was, but under another version: whoever had the old one stores nothing any more.
async fn claim(store: &dyn Store, migrator: &str, found: Option<Record>) -> Outcome<(u64, Baselines)> {
    let baselines = match &found {
        Some(found) => cbor::decode(&found.body).map_err(|error| Error::Damaged(error.to_string()))?,
        None => Baselines::default(),
    };
    let version = found.map(|found| found.version);
    let change = Change::new().expect(BASELINES, migrator, version);
    store.commit(change.put(BASELINES, migrator, cbor::encode(&baselines))).await?;
    Ok((version.unwrap_or(0) + 1, baselines))
}
