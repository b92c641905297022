//! What a Hadoop 2.7 told of one of the histories by which the simulated HDFS is held against real ones.
//!
//! `fixtures/hadoop-2.7.7-seed-N.bin` came from Hadoop 2.7.7 as Maven has it, on Java 17, by
//!
//! ```text
//! cargo xtask hadoop up --version 2.7.7 --dir DIR
//! LIVEDATA_TEST_HDFS=DIR/cluster.json LIVEDATA_FIDELITY_RECORD=src/hdfs/feed/tests/fixtures \
//!     LIVEDATA_FIDELITY_FROM=N LIVEDATA_FIDELITY_SEEDS=1 \
//!     cargo test --workspace --features livedata-hdfs/real-hdfs --test real_hdfs -- fidelity::
//! ```
//!
//! It is to be recorded again when the histories change: the answers to `getEditsFromTxid`, each behind its length.

use livedata_sim::hdfs::clients::{Clients, Release, history};

use super::*;

const TOLD: [(u64, &[u8]); 3] = [
    (3, include_bytes!("fixtures/hadoop-2.7.7-seed-3.bin")),
    (6, include_bytes!("fixtures/hadoop-2.7.7-seed-6.bin")),
    (7, include_bytes!("fixtures/hadoop-2.7.7-seed-7.bin")),
];

fn by_transaction(events: impl IntoIterator<Item = Event>) -> Vec<Vec<Change>> {
    let mut all = BTreeMap::<Position, Vec<Change>>::new();
    for event in events {
        all.entry(event.position).or_default().push(event.change);
    }
    all.into_values().collect()
}

/// Paths of the recording are below a folder of its own.
fn below(change: Change, folder: &str) -> Change {
    let path = |path: String| path.strip_prefix(folder).unwrap().to_owned();
    match change {
        Change::Touched { path: at } => Change::Touched { path: path(at) },
        Change::TimesSet { path: at, modified_ms } => Change::TimesSet { path: path(at), modified_ms },
        Change::Renamed { from, to } => Change::Renamed { from: path(from), to: path(to) },
        Change::Unwatched { path: at } => Change::Unwatched { path: path(at) },
    }
}

fn simulated(release: Release, seed: u64) -> Vec<Event> {
    let mut clients = Clients::new(release);
    let begin = clients.hdfs.txid;
    for operation in history(release, seed) {
        // Refusals are no transactions.
        let _ = clients.perform(&operation);
    }
    let Some(Reading::Events { events, .. }) = clients.hdfs.read_all(begin) else { panic!() };
    events
}

#[test]
fn hadoop_2_7_tells_what_the_simulated_one_tells() {
    let release = Release::of("2.7.7");
    let mut truncations = 0;
    for (seed, mut answers) in TOLD {
        let mut told = Vec::new();
        while !answers.is_empty() {
            let answer = GetEditsFromTxidResponse::decode_length_delimited(&mut answers).unwrap();
            told.extend(translate::events(&answer.list).unwrap());
        }
        let Change::Touched { path } = &told[0].change else { panic!() };
        let folder = path.split('/').nth(1).map(|folder| format!("/{folder}")).unwrap();
        let told = told.into_iter().map(|event| Event { change: below(event.change, &folder), ..event });
        let expected = simulated(release, seed);
        let telling = simulated(Release { tells_truncate: true, ..release }, seed);
        truncations += telling.len() - expected.len();
        assert_eq!(by_transaction(told), by_transaction(expected), "seed {seed}");
    }
    assert!(truncations > 0, "in none of these histories the release matters");
}
