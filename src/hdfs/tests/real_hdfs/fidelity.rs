//! The simulated HDFS, on which the migration engine is tested, and a real one: the same random histories, and nothing
//! that differs. After each operation its result, every few operations all listings, at the end what the feed told.
//!
//! | variable | what |
//! |---|---|
//! | `LIVEDATA_FIDELITY_SEEDS`, `LIVEDATA_FIDELITY_FROM` | how many histories, and the seed of the first |
//! | `LIVEDATA_FIDELITY_RECORD` | a folder for what the NameNode told, as it came, of each seed |

mod applications;
mod compared;

use std::collections::BTreeMap;

use futures::StreamExt;
use livedata_filesystem::{Change, ChangeFeed, Event, Position, Reading};
use livedata_sim::hdfs::clients::{Clients, Operation, Refusal, Release, history};

use crate::cluster::{Cluster, Folder};
use applications::Applications;
use compared::Pairs;

const SEEDS: u64 = 12;
/// Of operations between two looks at everything.
const BETWEEN_LOOKS: usize = 10;
/// Most of the time of a history goes by waiting for a DataNode.
const AT_A_TIME: usize = 12;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect(name))
}

#[tokio::test]
async fn the_simulated_hdfs_does_what_a_real_one_does() {
    let cluster = Cluster::from_environment();
    let release = Release::of(cluster.hadoop_version());
    let (from, seeds) = (number("LIVEDATA_FIDELITY_FROM", 0), number("LIVEDATA_FIDELITY_SEEDS", SEEDS));
    let at_a_time = if std::env::var_os("LIVEDATA_FIDELITY_RECORD").is_some() { 1 } else { AT_A_TIME };
    let histories = futures::stream::iter(from..from + seeds)
        .map(|seed| one(&cluster, release, seed))
        .buffer_unordered(at_a_time);
    let figures: Vec<Figures> = histories.collect().await;

    let mut sum = Figures::default();
    for one in &figures {
        sum.events += one.events;
        sum.wrong.extend(one.wrong.iter().cloned());
        for (what, results) in &one.results {
            let all = sum.results.entry(what.clone()).or_default();
            *all = (all.0 + results.0, all.1 + results.1);
        }
    }
    println!("Hadoop {}, seeds {from} to {}", cluster.hadoop_version(), from + seeds - 1);
    for (what, (done, refused)) in &sum.results {
        println!("{what:<20} {done:>6} done {refused:>6} refused");
    }
    println!("{} events", sum.events);
    assert!(sum.wrong.is_empty(), "{}", sum.wrong.join("\n"));
    if seeds >= SEEDS {
        for (what, (done, refused)) in &sum.results {
            assert!(*done > 0 && *refused > 0, "{what}: too few histories to tell");
        }
    }
}

#[derive(Default)]
struct Figures {
    /// By kind of operation: how many were done, and refused.
    results: BTreeMap<String, (u64, u64)>,
    events: usize,
    wrong: Vec<String>,
}

/// Ends at the first difference.
async fn one(cluster: &Cluster, release: Release, seed: u64) -> Figures {
    let mut figures = Figures::default();
    if let Err(difference) = play(cluster, release, seed, &mut figures).await {
        figures.wrong.push(format!("seed {seed}: {difference}"));
    }
    figures
}

async fn play(cluster: &Cluster, release: Release, seed: u64, figures: &mut Figures) -> Result<(), String> {
    let folder = Folder::create(cluster).await;
    let feed = cluster.feed(&cluster.superuser_name);
    for scope in ["in", "out"] {
        cluster.superuser.mkdirs(&folder.path(scope), 0o755, false).await.unwrap();
    }
    let begin = feed.position().await.unwrap();
    let mut simulated = Clients::new(release);
    let begin_simulated = simulated.hdfs.txid;
    let mut real = Applications::new(cluster, &folder);
    let mut pairs = Pairs::new(cluster.source(&cluster.superuser_name), &folder);

    let mut done: Vec<Operation> = Vec::new();
    let trace = |done: &[Operation], what: String| {
        let lines: Vec<String> = done.iter().map(|operation| format!("    {operation:?}")).collect();
        format!("{what}, after\n{}", lines.join("\n"))
    };
    for operation in history(release, seed) {
        done.push(operation.clone());
        let expected = simulated.perform(&operation);
        let found = real.perform(&operation).await;
        let results = figures.results.entry(kind(&operation)).or_default();
        if expected.is_ok() {
            results.0 += 1
        } else {
            results.1 += 1
        }
        let any_reason = expected == Err(Refusal::NotDirectory) && !release.names_files_in_the_way;
        let same = expected == found.as_ref().map_err(|refused| refused.kind).copied();
        if !(same || any_reason && found.is_err()) {
            return Err(trace(&done, format!("simulated {expected:?}, real {found:?}")));
        }
        if done.len().is_multiple_of(BETWEEN_LOOKS) {
            pairs.compare(&simulated.hdfs, false).await.map_err(|what| trace(&done, what))?;
        }
    }
    pairs.compare(&simulated.hdfs, true).await.map_err(|what| trace(&done, what))?;

    let end = feed.position().await.unwrap();
    let told = told(&feed, begin, end, &folder).await;
    let expected = match simulated.hdfs.read_all(begin_simulated) {
        Some(Reading::Events { events, .. }) => by_transaction(events, ""),
        Some(gap) => return Err(format!("{gap:?}")),
        None => Vec::new(),
    };
    figures.events += told.iter().map(Vec::len).sum::<usize>();
    let differs = told.iter().zip(&expected).position(|(told, expected)| told != expected);
    if told.len() != expected.len() || differs.is_some() {
        let at = differs.unwrap_or(told.len().min(expected.len()));
        let what = format!(
            "transaction {at}: simulated {:?}, real {:?} (of {} and {})",
            expected.get(at),
            told.get(at),
            expected.len(),
            told.len()
        );
        return Err(trace(&done, what));
    }
    if let Some(folder) = std::env::var_os("LIVEDATA_FIDELITY_RECORD") {
        let file = format!("hadoop-{}-seed-{seed}.bin", cluster.hadoop_version());
        std::fs::write(std::path::Path::new(&folder).join(file), feed.record(begin, end).await.unwrap())
            .unwrap();
    }
    Ok(())
}

fn kind(operation: &Operation) -> String {
    let shown = format!("{operation:?}");
    shown.split(' ').next().unwrap_or_default().to_owned()
}

/// Changes below the folder, with paths as the simulated name space has them.
async fn told<Feed: ChangeFeed>(
    feed: &Feed,
    mut after: Position,
    end: Position,
    folder: &Folder,
) -> Vec<Vec<Change>> {
    let mut all = Vec::new();
    while after < end {
        match feed.read(after).await.unwrap() {
            Reading::Events { events, read_to } => {
                assert!(read_to > after);
                all.extend(events);
                after = read_to;
            }
            gap @ Reading::Gap { .. } => panic!("{gap:?}"),
        }
    }
    by_transaction(all, folder.root())
}

/// Transaction ids differ: the real log has transactions that nobody is told of.
fn by_transaction(events: Vec<Event>, root: &str) -> Vec<Vec<Change>> {
    let mut all: Vec<(Position, Vec<Change>)> = Vec::new();
    for Event { position, change } in events {
        let below =
            |path: &str| path.strip_prefix(root).filter(|rest| rest.starts_with('/')).map(str::to_owned);
        let change = match &change {
            Change::Touched { path } => below(path).map(|path| Change::Touched { path }),
            Change::TimesSet { path, modified_ms } => {
                below(path).map(|path| Change::TimesSet { path, modified_ms: *modified_ms })
            }
            Change::Renamed { from, to } => {
                below(from).zip(below(to)).map(|(from, to)| Change::Renamed { from, to })
            }
            Change::Unwatched { path } => panic!("{path} is unwatched"),
        };
        let Some(change) = change else { continue };
        match all.last_mut() {
            Some((last, changes)) if *last == position => changes.push(change),
            _ => all.push((position, vec![change])),
        }
    }
    all.into_iter().map(|(_, changes)| changes).collect()
}
