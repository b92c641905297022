//! The time series behind the metrics: a point for each minute, made from what agents report.
//!
//! Every ten seconds each migration that an agent is at work on gives one sample: how far its counters have moved since the
//! last one, and its gauges as they stand. A minute is kept as sum, least, greatest and number of its samples, from which every
//! aggregation over any time grain follows.
//!
//! *What survives.* The hour that is going on is in memory and is stored once a minute, and at the end in good order; kill -9
//! loses what was sampled since. Points are kept for [`KEPT`]. Each provider process writes records of its own, which a reader adds up: so a
//! session may move from one provider to another within an hour, and no write needs to know what another has written.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use livedata_model::report::{Load, MigrationReport};
use livedata_model::state::MigrationState;
use livedata_store::{Change, Store};
use time::{Duration, OffsetDateTime};

use super::baseline::{Baseline, Movement};
use super::catalogue::Quantity;
use crate::document;
use crate::errors::Outcome;

/// Keys `{hours since 1970, 10 digits}|{GUID of the resource}|{provider process}`.
pub const COLLECTION: &str = "metric_points";
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
}

#[derive(Default)]
struct Inner {
    /// By the migrator's GUID.
    sessions: HashMap<String, Session>,
    hours: HashMap<(i64, String), Hour>,
    /// Not stored yet.
    changed: HashSet<(i64, String)>,
}

/// What the agent of one migrator said last.
#[derive(Default)]
struct Session {
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
        Self { writer: uuid::Uuid::new_v4().simple().to_string(), inner: Mutex::default() }
    }

    /// Every change is complete before the next statement can fail.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn connected(&self, migrator: &str, connected: bool) {
        let mut inner = self.lock();
        let session = inner.sessions.entry(migrator.to_owned()).or_default();
        session.connected = connected;
        session.round_trip_ms = None;
    }

    /// Nobody will hear of this migrator again.
    pub fn forget(&self, migrator: &str) {
        self.lock().sessions.remove(migrator);
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

    /// Whether a report of this migration can be compared with an earlier one.
    pub fn follows(&self, migrator: &str, migration: &str) -> bool {
        self.lock().sessions.get(migrator).is_some_and(|session| session.migrations.contains_key(migration))
    }

    /// `before`: what stood in the store, when this process has not heard of the migration yet.
    pub fn reported(
        &self,
        migrator: &str,
        migration: &str,
        report: &MigrationReport,
        before: Option<&MigrationReport>,
    ) {
        let mut inner = self.lock();
        let session = inner.sessions.entry(migrator.to_owned()).or_default();
        let (mut moved, baseline) = match session.migrations.remove(migration) {
            Some(Followed { moved, baseline, .. }) => (moved, Some(baseline)),
            None => (Movement::new(), before.map(Baseline::of)),
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
        }
    }

    /// One sample of everything that agents are at work on.
    pub fn sample(&self, now: OffsetDateTime) {
        let minute = now.unix_timestamp().div_euclid(60);
        let mut guard = self.lock();
        let inner = &mut *guard;
        let mut points: Vec<(String, Quantity, f64)> = Vec::new();
        for (migrator, session) in inner.sessions.iter_mut().filter(|(_, session)| session.connected) {
            let mut whole: BTreeMap<Quantity, f64> = BTreeMap::new();
            let mut running = 0.0;
            for (migration, followed) in &mut session.migrations {
                let moved = std::mem::take(&mut followed.moved);
                if followed.last.state.is_settled() && moved.is_empty() {
                    continue;
                }
                running += f64::from(u8::from(matches!(
                    followed.last.state,
                    MigrationState::Running | MigrationState::Live
                )));
                for quantity in COUNTERS {
                    let by = moved.get(&quantity).copied().unwrap_or(0.0);
                    points.push((migration.clone(), quantity, by));
                    *whole.entry(quantity).or_default() += by;
                }
                for (quantity, value) in gauges(&followed.last) {
                    points.push((migration.clone(), quantity, value));
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
            points.extend(whole.into_iter().map(|(quantity, value)| (migrator.clone(), quantity, value)));
            points.push((migrator.clone(), Quantity::MigrationsRunning, running));
            if let Some(load) = session.load.take() {
                let percent = |permille: u32| f64::from(permille) / 10.0;
                points.push((migrator.clone(), Quantity::AgentLoad, percent(load.process_permille)));
                points.push((migrator.clone(), Quantity::MachineLoad, percent(load.machine_permille)));
            }
            if let Some(ms) = session.round_trip_ms {
                points.push((migrator.clone(), Quantity::RoundTrip, ms as f64));
            }
        }
        for (guid, quantity, value) in points {
            let key = (minute.div_euclid(MINUTES), guid);
            let hour = inner.hours.entry(key.clone()).or_default();
            let within = u8::try_from(minute.rem_euclid(MINUTES)).unwrap_or(0);
            let point = hour.entry(quantity as u16).or_default().entry(within);
            point
                .and_modify(|kept| *kept = stored(of_stored(*kept).and(Point::of(value))))
                .or_insert_with(|| stored(Point::of(value)));
            inner.changed.insert(key);
        }
    }

    /// Stores what was sampled since the last time, in one transaction. What cannot be stored stays due.
    pub async fn store(&self, store: &dyn Store, now: OffsetDateTime) -> Outcome<()> {
        let (change, stored) = {
            let mut inner = self.lock();
            let changed = std::mem::take(&mut inner.changed);
            let mut change = Change::new();
            for (key, hour) in changed.iter().filter_map(|key| inner.hours.get_key_value(key)) {
                change = document::put(change, COLLECTION, &self.key(key), hour)?;
            }
            (change, changed)
        };
        if !change.writes.is_empty()
            && let Err(error) = store.commit(change).await
        {
            self.lock().changed.extend(stored);
            return Err(error.into());
        }
        let mut guard = self.lock();
        let inner = &mut *guard;
        let hour = now.unix_timestamp().div_euclid(60 * MINUTES);
        inner.hours.retain(|key, _| key.0 >= hour || inner.changed.contains(key));
        Ok(())
    }

    fn key(&self, (hour, guid): &(i64, String)) -> String {
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
        let mut add = |number: i64, hour: &Hour| {
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
            let open = self.lock().hours.get(&key).cloned();
            let own = self.key(&key);
            for record in store.list(COLLECTION, &format!("{number:010}|{guid}|"), None, MOST_WRITERS).await?
            {
                // What is in memory is all of it.
                if open.is_none() || record.key != own {
                    add(number, &serde_json::from_slice(&record.body)?);
                }
            }
            if let Some(open) = &open {
                add(number, open);
            }
        }
        Ok(found)
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
