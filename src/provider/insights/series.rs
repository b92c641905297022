//! The time series behind the metrics: a point for each minute, made from what agents report.
//!
//! Every ten seconds each migration that an agent is at work on gives one sample: how far its counters have moved since the
//! last one, and its gauges as they stand. A minute is kept as sum, least, greatest and number of its samples, from which every
//! aggregation over any time grain follows.
//!
//! *What survives.* The hour that is going on is in memory and is stored once a minute, and at the end in good order. Points are kept
//! for [`KEPT`]. Each provider process writes records of its own, which a reader adds up: so a session may move from one
//! provider to another within an hour.
//!
//! *Counted once.* One transaction stores points and up to where they count ([`Baselines`], a record for each migrator), and does so
//! only if that record is as this process left it. Whoever begins a session writes it anew, so that nobody else can store points that count from
//! there, and counts on from what it says: what was sampled elsewhere and not stored, by a process that was killed or has lost the migrator,
//! is counted again and its points are dropped. With them go their samples of gauges, of a minute at most.

mod claim;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use livedata_model::cbor;
use livedata_model::report::{Load, MigrationReport};
use livedata_model::state::MigrationState;
use livedata_store::{Change, Error, Store};
use time::{Duration, OffsetDateTime};

use super::baseline::{Baseline, Baselines, Movement};
use super::catalogue::Quantity;
use crate::document;
use crate::errors::Outcome;

/// Keys `{hours since 1970, 10 digits}|{GUID of the resource}|{provider process}`.
pub const COLLECTION: &str = "metric_points";
/// [`Baselines`], CBOR, by the migrator's GUID.
pub const BASELINES: &str = "metric_baselines";
pub const KEPT: Duration = Duration::days(7);
const MINUTES: i64 = 60;
/// Provider processes that may have written one hour of one resource.
const MOST_WRITERS: usize = 1000;

/// What was sampled within a minute, or within several.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub sum: f64,
    pub least: f64,
    pub greatest: f64,
    pub count: u64,
}

impl Point {
    fn of(value: f64) -> Self {
        Self { sum: value, least: value, greatest: value, count: 1 }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
            count: self.count + other.count,
        }
    }
}

/// As it is stored: by quantity, the minutes of the hour with sum, least, greatest and count.
type Hour = BTreeMap<u16, BTreeMap<u8, (f64, f64, f64, u64)>>;

/// The minutes since 1970 that have points.
pub type Minutes = BTreeMap<i64, Point>;

pub struct Series {
    /// Of this process.
    writer: String,
    inner: Mutex<Inner>,
    /// Held by who writes baselines, so that a version that has changed is another process's doing.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    /// By the migrator's GUID: of those whose counters this process counts.
    sessions: HashMap<String, Session>,
    /// As they are stored.
    hours: HashMap<Key, Hour>,
    /// Being stored.
    pending: Samples,
    /// Sampled since.
    fresh: Samples,
}

/// The number of the hour, and the GUID of the resource.
type Key = (i64, String);

/// With the GUID of the migrator.
type Samples = HashMap<Key, (String, Hour)>;

/// What the agent of one migrator said last.
#[derive(Default)]
struct Session {
    /// Of the stored [`Baselines`].
    version: u64,
    /// Up to where the samples count, by the migration's GUID.
    counted: BTreeMap<String, Baseline>,
    /// Whether a migration that is not in `counted` is one that nobody has counted.
    complete: bool,
    connected: bool,
    round_trip_ms: Option<u64>,
    /// Told since the last sample.
    load: Option<Load>,
    /// By the migration's GUID.
    migrations: HashMap<String, Followed>,
}

struct Followed {
    last: MigrationReport,
    /// Up to where `moved` counts.
    baseline: Baseline,
    /// How far the counters have moved since the last sample.
    moved: Movement,
}

impl Series {
    pub fn new() -> Self {
        let writer = uuid::Uuid::new_v4().simple().to_string();
        Self { writer, inner: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Every change is complete before the next statement can fail.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session with the migrator's agent is over.
    pub fn disconnected(&self, migrator: &str) {
        if let Some(session) = self.lock().sessions.get_mut(migrator) {
            session.connected = false;
            session.round_trip_ms = None;
        }
    }

    /// Nobody will hear of this migrator again.
    pub fn forget(&self, migrator: &str) {
        let mut inner = self.lock();
        inner.sessions.remove(migrator);
        inner.drop_samples(migrator);
    }

    pub fn round_trip(&self, migrator: &str, ms: u64) {
        if let Some(session) = self.lock().sessions.get_mut(migrator) {
            session.round_trip_ms = Some(ms);
        }
    }

    pub fn load(&self, migrator: &str, load: Load) {
        if let Some(session) = self.lock().sessions.get_mut(migrator) {
            session.load = Some(load);
        }
    }

    /// Whether it is known up to where this migration has been counted, even if that is nowhere.
    pub fn follows(&self, migrator: &str, migration: &str) -> bool {
        self.lock().sessions.get(migrator).is_some_and(|session| {
            session.complete
                || session.counted.contains_key(migration)
                || session.migrations.contains_key(migration)
        })
    }

    /// Within a session. `before`: what was reported last, when that is all that is known of what has been counted.
    pub fn reported(
        &self,
        migrator: &str,
        migration: &str,
        report: &MigrationReport,
        before: Option<&MigrationReport>,
    ) {
        let mut inner = self.lock();
        let Some(session) = inner.sessions.get_mut(migrator) else { return };
        let (mut moved, baseline) = match session.migrations.remove(migration) {
            Some(Followed { moved, baseline, .. }) => (moved, Some(baseline)),
            None => {
                let counted = session.counted.get(migration).cloned();
                (Movement::new(), counted.or_else(|| before.map(Baseline::of)))
            }
        };
        let (baseline, movement) = Baseline::advance(baseline, report);
        for (quantity, by) in movement {
            *moved.entry(quantity).or_default() += by;
        }
        let followed = Followed { last: report.clone(), baseline, moved };
        session.migrations.insert(migration.to_owned(), followed);
    }

    /// Only these migrations of the migrator are there still.
    pub fn keep(&self, migrator: &str, is_there: impl Fn(&str) -> bool) {
        if let Some(session) = self.lock().sessions.get_mut(migrator) {
            session.migrations.retain(|migration, _| is_there(migration));
            session.counted.retain(|migration, _| is_there(migration));
        }
    }

    /// One sample of everything that agents are at work on.
    pub fn sample(&self, now: OffsetDateTime) {
        let minute = now.unix_timestamp().div_euclid(60);
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut points: Vec<(&str, String, Quantity, f64)> = Vec::new();
        for (migrator, session) in inner.sessions.iter_mut().filter(|(_, session)| session.connected) {
            let mut whole: BTreeMap<Quantity, f64> = BTreeMap::new();
            let mut running = 0.0;
            for (migration, followed) in &mut session.migrations {
                let moved = std::mem::take(&mut followed.moved);
                session.counted.insert(migration.clone(), followed.baseline.clone());
                if followed.last.state.is_settled() && moved.is_empty() {
                    continue;
                }
                running += f64::from(u8::from(matches!(
                    followed.last.state,
                    MigrationState::Running | MigrationState::Live
                )));
                for quantity in COUNTERS {
                    let by = moved.get(&quantity).copied().unwrap_or(0.0);
                    points.push((migrator, migration.clone(), quantity, by));
                    *whole.entry(quantity).or_default() += by;
                }
                for (quantity, value) in gauges(&followed.last) {
                    points.push((migrator, migration.clone(), quantity, value));
                    match quantity {
                        Quantity::BytesPerSecond | Quantity::FilesPerSecond => {
                            *whole.entry(quantity).or_default() += value;
                        }
                        // The one that is furthest behind.
                        Quantity::LagSeconds | Quantity::LagTransactions => {
                            let most = whole.entry(quantity).or_default();
                            *most = most.max(value);
                        }
                        _ => {}
                    }
                }
            }
            let mut push = |quantity, value| points.push((migrator, migrator.clone(), quantity, value));
            whole.into_iter().for_each(|(quantity, value)| push(quantity, value));
            push(Quantity::MigrationsRunning, running);
            if let Some(load) = session.load.take() {
                let percent = |permille: u32| f64::from(permille) / 10.0;
                push(Quantity::AgentLoad, percent(load.process_permille));
                push(Quantity::MachineLoad, percent(load.machine_permille));
            }
            if let Some(ms) = session.round_trip_ms {
                push(Quantity::RoundTrip, ms as f64);
            }
        }
        let within = u8::try_from(minute.rem_euclid(MINUTES)).unwrap_or(0);
        for (migrator, guid, quantity, value) in points {
            let key = (minute.div_euclid(MINUTES), guid);
            let (_, hour) = inner.fresh.entry(key).or_insert_with(|| (migrator.to_owned(), Hour::new()));
            add(hour, quantity as u16, within, Point::of(value));
        }
    }

    /// Stores what was sampled since the last time, in one transaction. What cannot be stored stays due; what is another
    /// process's to count is dropped.
    pub async fn store(&self, store: &dyn Store, now: OffsetDateTime) -> Outcome<()> {
        let _turn = self.turn.lock().await;
        let mut lost = BTreeSet::new();
        loop {
            let (change, migrators) = self.due(&lost)?;
            if migrators.is_empty() {
                break;
            }
            match store.commit(change).await {
                Err(Error::Conflict { collection, key })
                    if collection == BASELINES && lost.insert(key.clone()) =>
                {
                    lost.extend(self.counted_elsewhere(store, migrators).await?);
                }
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.lock().stored(&migrators, now);
                    break;
                }
            }
        }
        for migrator in lost {
            tracing::info!(migrator, "its migrations are counted from what is stored");
            self.begin_anew(store, &migrator).await?;
        }
        Ok(())
    }

    /// What is to be stored, and of which migrators it is; these not.
    fn due(&self, without: &BTreeSet<String>) -> Outcome<(Change, BTreeSet<String>)> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        // What is pending from before was not heard to be stored.
        for (key, (migrator, samples)) in std::mem::take(&mut inner.fresh) {
            let (_, pending) = inner.pending.entry(key).or_insert_with(|| (migrator, Hour::new()));
            merge(pending, &samples);
        }
        let (mut change, mut migrators) = (Change::new(), BTreeSet::new());
        for (key, (migrator, samples)) in &inner.pending {
            if without.contains(migrator) {
                continue;
            }
            let mut hour = inner.hours.get(key).cloned().unwrap_or_default();
            merge(&mut hour, samples);
            change = document::put(change, COLLECTION, &self.key(key), &hour)?;
            migrators.insert(migrator.clone());
        }
        for (migrator, session) in migrators.iter().filter_map(|known| inner.sessions.get_key_value(known)) {
            let baselines = cbor::encode(&Baselines::of(&session.counted));
            change = change.expect(BASELINES, migrator.as_str(), Some(session.version)).put(
                BASELINES,
                migrator.as_str(),
                baselines,
            );
        }
        Ok((change, migrators))
    }

    fn key(&self, (hour, guid): &Key) -> String {
        format!("{hour:010}|{guid}|{}", self.writer)
    }

    /// The points of a resource from the minute `first` to before `end`.
    pub async fn read(
        &self,
        store: &dyn Store,
        guid: &str,
        first: i64,
        end: i64,
    ) -> Outcome<BTreeMap<u16, Minutes>> {
        let mut found: BTreeMap<u16, Minutes> = BTreeMap::new();
        let mut take = |number: i64, hour: &Hour| {
            for (quantity, minutes) in hour {
                for (within, point) in minutes {
                    let minute = number * MINUTES + i64::from(*within);
                    if (first..end).contains(&minute) {
                        let point = of_stored(*point);
                        let kept = found.entry(*quantity).or_default().entry(minute);
                        kept.and_modify(|kept| *kept = kept.and(point)).or_insert(point);
                    }
                }
            }
        };
        for number in first.div_euclid(MINUTES)..=(end - 1).div_euclid(MINUTES) {
            let key = (number, guid.to_owned());
            let open = self.lock().open(&key);
            let own = self.key(&key);
            for record in store.list(COLLECTION, &format!("{number:010}|{guid}|"), None, MOST_WRITERS).await?
            {
                // What is in memory is all of it.
                if open.is_none() || record.key != own {
                    take(number, &serde_json::from_slice(&record.body)?);
                }
            }
            if let Some(open) = &open {
                take(number, open);
            }
        }
        Ok(found)
    }
}

impl Inner {
    /// What is known here of an hour that is going on.
    fn open(&self, key: &Key) -> Option<Hour> {
        let parts =
            [self.hours.get(key), self.pending.get(key).map(samples), self.fresh.get(key).map(samples)];
        parts.into_iter().flatten().cloned().reduce(|mut hour, more| {
            merge(&mut hour, &more);
            hour
        })
    }

    /// What was pending of these migrators is stored.
    fn stored(&mut self, migrators: &BTreeSet<String>, now: OffsetDateTime) {
        for (key, (_, samples)) in self.pending.extract_if(|_, (migrator, _)| migrators.contains(migrator)) {
            merge(self.hours.entry(key).or_default(), &samples);
        }
        for (_, session) in self.sessions.iter_mut().filter(|(migrator, _)| migrators.contains(*migrator)) {
            session.version += 1;
            session.complete = true;
        }
        let hour = now.unix_timestamp().div_euclid(60 * MINUTES);
        let Self { hours, pending, fresh, .. } = self;
        hours.retain(|key, _| key.0 >= hour || pending.contains_key(key) || fresh.contains_key(key));
    }

    /// What was sampled of a migrator and is not stored.
    fn drop_samples(&mut self, dropped: &str) {
        for samples in [&mut self.pending, &mut self.fresh] {
            samples.retain(|_, (migrator, _)| migrator != dropped);
        }
    }
}

fn samples((_, hour): &(String, Hour)) -> &Hour {
    hour
}

fn add(hour: &mut Hour, quantity: u16, within: u8, point: Point) {
    let kept = hour.entry(quantity).or_default().entry(within);
    kept.and_modify(|kept| *kept = stored(of_stored(*kept).and(point))).or_insert_with(|| stored(point));
}

fn merge(hour: &mut Hour, more: &Hour) {
    for (quantity, minutes) in more {
        for (within, point) in minutes {
            add(hour, *quantity, *within, of_stored(*point));
        }
    }
}

fn stored(point: Point) -> (f64, f64, f64, u64) {
    (point.sum, point.least, point.greatest, point.count)
}

fn of_stored((sum, least, greatest, count): (f64, f64, f64, u64)) -> Point {
    Point { sum, least, greatest, count }
}

const COUNTERS: [Quantity; 10] = [
    Quantity::BytesMigrated,
    Quantity::BytesTransferred,
    Quantity::BytesOfInitialScan,
    Quantity::BytesLive,
    Quantity::FilesMigrated,
    Quantity::PathsExcluded,
    Quantity::PathsFailed,
    Quantity::DirectoriesScanned,
    Quantity::FilesScanned,
    Quantity::BytesScanned,
];

fn gauges(report: &MigrationReport) -> Vec<(Quantity, f64)> {
    let mut gauges = vec![
        (Quantity::BytesPerSecond, report.progress.bytes_per_second as f64),
        (Quantity::FilesPerSecond, report.progress.files_per_second as f64),
    ];
    if let Some(lag) = &report.lag {
        gauges.push((Quantity::LagSeconds, lag.seconds as f64));
        gauges.push((Quantity::LagTransactions, lag.transactions as f64));
        gauges.push((Quantity::Watermark, lag.watermark as f64));
    }
    if let Some(seconds) = report.estimated_seconds {
        gauges.push((Quantity::SecondsRemaining, seconds as f64));
    }
    gauges
}

/// Removes a batch of points that are older than [`KEPT`]; `true`: there may be more.
pub async fn remove_expired(store: &dyn Store, now: OffsetDateTime) -> Outcome<bool> {
    const BATCH: usize = 200;
    let limit = format!("{:010}|", (now - KEPT).unix_timestamp().div_euclid(60 * MINUTES));
    let oldest = store.list(COLLECTION, "", None, BATCH).await?;
    let mut change = Change::new();
    let expired = oldest.into_iter().filter(|record| record.key < limit);
    for record in expired {
        change = change.remove(COLLECTION, record.key);
    }
    let removed = change.writes.len();
    if removed > 0 {
        store.commit(change).await?;
    }
    Ok(removed == BATCH)
}

#[cfg(test)]
mod tests;
