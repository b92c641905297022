use livedata_model::report::{Progress, Sent};
use livedata_store::memory::MemoryStore;
use time::macros::datetime;

use super::*;

const NOON: OffsetDateTime = datetime!(2026-11-26 12:00 UTC);

fn report(state: MigrationState, files: u64, bytes: u64) -> MigrationReport {
    MigrationReport {
        id: "/m".into(),
        observed_generation: 1,
        state,
        progress: Progress {
            directories_scanned: 1,
            files_scanned: files,
            files_migrated: files,
            bytes_migrated: bytes,
            bytes_per_second: bytes,
            ..Progress::default()
        },
        conditions: Vec::new(),
        last_error: None,
        estimated_seconds: None,
        lag: None,
        run: None,
        sent: None,
    }
}

fn of_run(run: &str, files: u64, bytes: u64) -> MigrationReport {
    MigrationReport {
        run: Some(run.to_owned()),
        sent: sent(1, 0),
        ..report(MigrationState::Running, files, bytes)
    }
}

fn sent(since_ms: i64, bytes: u64) -> Option<Sent> {
    Some(Sent { since_ms, bytes, files: 0 })
}

fn sums(points: &BTreeMap<u16, Minutes>, quantity: Quantity) -> Vec<f64> {
    points.get(&(quantity as u16)).into_iter().flatten().map(|(_, point)| point.sum).collect()
}

async fn all(series: &Series, store: &dyn Store, guid: &str) -> BTreeMap<u16, Minutes> {
    let minute = NOON.unix_timestamp() / 60;
    series.read(store, guid, minute - 120, minute + 120).await.unwrap()
}

#[tokio::test]
async fn counters_are_movements_and_gauges_are_held() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.reported("r", "m", &report(MigrationState::Running, 10, 100), None);
    series.sample(NOON);
    // Nothing was said meanwhile.
    series.sample(NOON + Duration::seconds(10));
    series.reported("r", "m", &report(MigrationState::Live, 12, 130), None);
    series.sample(NOON + Duration::MINUTE);
    series.reported("r", "m", &report(MigrationState::Live, 12, 150), None);
    series.sample(NOON + Duration::MINUTE);
    let points = all(&series, &store, "m").await;
    assert_eq!(sums(&points, Quantity::FilesMigrated), [10.0, 2.0]);
    assert_eq!(sums(&points, Quantity::BytesMigrated), [100.0, 50.0]);
    assert_eq!(sums(&points, Quantity::BytesOfInitialScan), [100.0, 30.0]);
    assert_eq!(sums(&points, Quantity::BytesLive), [0.0, 20.0]);
    let rate = points[&(Quantity::BytesPerSecond as u16)][&(NOON.unix_timestamp() / 60)];
    assert_eq!((rate.sum, rate.count, rate.greatest), (200.0, 2, 100.0));
    assert_eq!(sums(&all(&series, &store, "r").await, Quantity::MigrationsRunning), [2.0, 2.0]);
}

#[tokio::test]
async fn a_new_run_counts_from_nothing_and_what_goes_back_is_taken_back() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.reported("r", "m", &report(MigrationState::Running, 10, 100), None);
    series.reported("r", "m", &report(MigrationState::Running, 10, 60), None);
    series.sample(NOON);
    series.reported("r", "m", &report(MigrationState::Running, 3, 30), None);
    series.sample(NOON + Duration::MINUTE);
    let points = all(&series, &store, "m").await;
    assert_eq!(sums(&points, Quantity::BytesMigrated), [60.0, 30.0]);
    assert_eq!(sums(&points, Quantity::BytesTransferred), [100.0, 30.0]);
    assert_eq!(sums(&points, Quantity::FilesMigrated), [10.0, 3.0]);
}

#[tokio::test]
async fn a_run_that_is_over_and_begun_again_between_two_samples_counts_from_nothing() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    for report in [of_run("j/1", 10, 100), of_run("j/2", 15, 150), of_run("j/2", 16, 160)] {
        series.reported("r", "m", &report, None);
    }
    series.sample(NOON);
    let points = all(&series, &store, "m").await;
    assert_eq!(sums(&points, Quantity::FilesMigrated), [26.0]);
    assert_eq!(sums(&points, Quantity::BytesMigrated), [260.0]);
    // One of a journal that was lost has the name of the one before.
    series.reported("r", "m", &of_run("j/2", 3, 30), None);
    series.sample(NOON);
    assert_eq!(sums(&all(&series, &store, "m").await, Quantity::FilesMigrated), [29.0]);
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_for_a_while_is_no_new_run() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.reported("r", "m", &of_run("j/1", 10, 100), None);
    let silent = MigrationReport { run: None, ..of_run("", 0, 0) };
    series.reported("r", "m", &silent, None);
    series.sample(NOON);
    series.reported("r", "m", &silent, None);
    series.reported("r", "m", &of_run("j/1", 12, 120), None);
    series.sample(NOON);
    assert_eq!(sums(&all(&series, &store, "m").await, Quantity::FilesMigrated), [12.0]);
}

#[tokio::test]
async fn a_restart_counts_nothing_twice_and_readers_add_up_what_processes_wrote() {
    let store = MemoryStore::new();
    let first = Series::new();
    first.connected("r", true);
    first.reported("r", "m", &report(MigrationState::Running, 10, 100), None);
    first.sample(NOON);
    first.store(&store, NOON).await.unwrap();
    let second = Series::new();
    second.connected("r", true);
    assert!(!second.follows("r", "m"));
    let before = report(MigrationState::Running, 10, 100);
    second.reported("r", "m", &report(MigrationState::Running, 11, 105), Some(&before));
    second.sample(NOON);
    second.store(&store, NOON).await.unwrap();
    for reader in [&first, &second, &Series::new()] {
        assert_eq!(sums(&all(reader, &store, "m").await, Quantity::BytesMigrated), [105.0]);
    }
}

#[tokio::test]
async fn an_older_agent_that_is_upgraded_or_comes_back_goes_on_with_its_run() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    let older = |files, bytes| report(MigrationState::Running, files, bytes);
    let silent = MigrationReport { run: None, sent: sent(7, 5_000), ..of_run("", 0, 0) };
    let told = |report: MigrationReport| series.reported("r", "m", &report, None);
    told(older(10, 100));
    told(silent);
    // What went over the network before nobody has counted.
    told(MigrationReport { sent: sent(7, 5_000), ..of_run("j/1", 12, 120) });
    told(MigrationReport { sent: sent(7, 5_010), ..of_run("j/1", 13, 130) });
    told(older(14, 140));
    told(older(4, 40));
    series.sample(NOON);
    let points = all(&series, &store, "m").await;
    assert_eq!(sums(&points, Quantity::FilesMigrated), [18.0]);
    assert_eq!(sums(&points, Quantity::BytesTransferred), [100.0 + 10.0 + 10.0 + 40.0]);
}

#[tokio::test]
async fn what_is_sent_counts_through_all_runs_and_anew_with_each_process() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    let at = |state, since_ms, bytes| MigrationReport {
        state,
        sent: sent(since_ms, bytes),
        ..of_run("j/1", 10, 100)
    };
    use MigrationState::{Live, Running, Stopped, Stopping};
    for report in [
        at(Running, 7, 100),
        // Some of it twice.
        at(Live, 7, 180),
        at(Live, 7, 280),
        // What is on its way still arrives.
        at(Stopping, 7, 285),
        at(Stopped, 7, 288),
        MigrationReport { run: None, ..at(Running, 9, 2) },
        at(Live, 9, 50),
        MigrationReport { run: Some("j/2".into()), ..at(Live, 9, 51) },
    ] {
        series.reported("r", "m", &report, None);
    }
    series.sample(NOON);
    let points = all(&series, &store, "m").await;
    assert_eq!(sums(&points, Quantity::BytesTransferred), [288.0 + 51.0]);
    assert_eq!(sums(&points, Quantity::BytesLive), [100.0 + 5.0 + 3.0 + 1.0]);
    assert_eq!(sums(&points, Quantity::BytesOfInitialScan), [200.0]);
}

#[tokio::test]
async fn an_agent_that_is_away_or_idle_gives_no_points() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.reported("r", "m", &report(MigrationState::Completed, 10, 100), None);
    series.sample(NOON);
    series.sample(NOON + Duration::MINUTE);
    assert_eq!(sums(&all(&series, &store, "m").await, Quantity::FilesMigrated), [10.0]);
    series.connected("r", false);
    series.sample(NOON + Duration::minutes(2));
    assert_eq!(sums(&all(&series, &store, "r").await, Quantity::MigrationsRunning), [0.0, 0.0]);
}

#[tokio::test]
async fn a_load_is_sampled_once() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.load("r", Load { process_permille: 125, machine_permille: 500 });
    series.sample(NOON);
    series.sample(NOON + Duration::MINUTE);
    let points = all(&series, &store, "r").await;
    assert_eq!(sums(&points, Quantity::AgentLoad), [12.5]);
    assert_eq!(sums(&points, Quantity::MachineLoad), [50.0]);
}

#[tokio::test]
async fn hours_leave_memory_when_they_are_stored_and_the_store_when_they_are_old() {
    let (series, store) = (Series::new(), MemoryStore::new());
    series.connected("r", true);
    series.sample(NOON - Duration::MINUTE);
    series.sample(NOON);
    series.store(&store, NOON).await.unwrap();
    assert_eq!(series.lock().hours.len(), 1);
    assert_eq!(sums(&all(&series, &store, "r").await, Quantity::MigrationsRunning), [0.0, 0.0]);
    assert!(!remove_expired(&store, NOON + KEPT).await.unwrap());
    assert_eq!(sums(&all(&series, &store, "r").await, Quantity::MigrationsRunning), [0.0]);
    remove_expired(&store, NOON + KEPT + Duration::HOUR).await.unwrap();
    assert!(store.list(COLLECTION, "", None, 10).await.unwrap().is_empty());
}
