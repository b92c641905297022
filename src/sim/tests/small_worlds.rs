//! Everything that can happen in small worlds: with all rules nothing goes wrong, and without one of them something does.
//!
//! `LIVEDATA_SIM_OPERATIONS=N` lets N more operations go on at once (`cargo xtask prove small-worlds`: 1);
//! `LIVEDATA_SIM_SEARCH` looks for the worlds in which something goes wrong without a rule, and prints the table;
//! `LIVEDATA_SIM_RULE` names one rule.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its way to fail")]

use std::time::Instant;

use livedata_engine::Rule;
use livedata_sim::Workers;
use livedata_sim::hdfs::Hdfs;
use livedata_sim::small::{Action, Kind, Moment, OUTSIDE, REST, ROOT, Small};
use stateright::{Checker, HasDiscoveries, Model};

const EVERYTHING: &[Kind] = &[
    Kind::Create,
    Kind::MakeDirectory,
    Kind::Write,
    Kind::Rename,
    Kind::Cross,
    Kind::Delete,
    Kind::Permit,
    Kind::Purge,
];

/// A directory `a` with a file `a`.
fn one_of_each(hdfs: &mut Hdfs) {
    let directory = hdfs.add(ROOT, "a", false);
    hdfs.create(directory, "a");
}

fn two_directories(hdfs: &mut Hdfs) {
    for name in ["a", "b"] {
        hdfs.add(ROOT, name, false);
    }
}

fn two_files(hdfs: &mut Hdfs) {
    for name in ["a", "b"] {
        hdfs.create(ROOT, name);
    }
}

/// A job's output that is complete, and a name outside.
fn vouched_for(hdfs: &mut Hdfs) {
    let directory = hdfs.add(ROOT, "a", false);
    hdfs.create(directory, "b");
    hdfs.create(directory, "_SUCCESS");
    hdfs.add(OUTSIDE, "x", false);
}

const WORLD: Small = Small {
    name: "everything",
    make: one_of_each,
    settled: true,
    names: &["a", "b"],
    kinds: EVERYTHING,
    changes: 2,
    races: true,
    crashes: 0,
    lost: 0,
    operations: 2,
    without: None,
    workers: Workers {
        publish_blindly: false,
        unconditionally: false,
        position_after_scan: false,
        cursor_alone: false,
    },
};

const WORLDS: &[Small] = &[
    WORLD,
    Small { name: "everything, and a crash", changes: 1, crashes: 1, lost: 1, ..WORLD },
    Small { name: "names, and a crash", kinds: &[Kind::Rename, Kind::Delete], crashes: 1, ..WORLD },
    Small {
        name: "contents, and a crash",
        kinds: &[Kind::Create, Kind::Write, Kind::Delete],
        crashes: 1,
        ..WORLD
    },
    Small { name: "two files", make: two_files, kinds: &[Kind::Write, Kind::Rename, Kind::Create], ..WORLD },
    Small { name: "three names", kinds: &[Kind::Rename, Kind::Create], names: &["a", "b", "c"], ..WORLD },
    Small {
        name: "two directories",
        make: two_directories,
        kinds: &[Kind::Rename, Kind::Purge],
        changes: 3,
        races: false,
        operations: 1,
        ..WORLD
    },
    Small {
        name: "first scan",
        settled: false,
        operations: 1,
        kinds: &[Kind::Rename, Kind::Delete],
        ..WORLD
    },
    Small {
        name: "first scan, and a crash",
        settled: false,
        changes: 1,
        crashes: 1,
        kinds: &[Kind::Rename, Kind::Write],
        ..WORLD
    },
    Small {
        name: "a job's output",
        make: vouched_for,
        names: &["b", "_SUCCESS"],
        kinds: &[Kind::Create, Kind::Rename],
        ..WORLD
    },
];

/// Without the rule something goes wrong in this world: this does not hold.
const KILLED: &[(Rule, &str, &str)] = &[
    (Rule::DeepFollowsRename, "two directories", WATERMARK),
    (Rule::MarkBothNames, "everything", WATERMARK),
    (Rule::MarkUnlisted, "everything", WATERMARK),
    (Rule::EdgeLock, "everything", EQUAL),
    (Rule::NodeLock, "everything", EQUAL),
    (Rule::IdentityFence, "everything", WATERMARK),
    (Rule::GenerationCheck, "everything", WATERMARK),
    (Rule::GapRescan, "everything", WATERMARK),
    (Rule::Claims, "first scan", WATERMARK),
    (Rule::Trash, "everything", "no copy of what lives is destroyed"),
    (Rule::InFlightVersion, "everything", "no file is torn"),
    (Rule::MoveIntent, "names, and a crash", EQUAL),
    (Rule::MakeIntent, "first scan, and a crash", WATERMARK),
    (Rule::PublicationProbe, "contents, and a crash", EQUAL),
];

const WATERMARK: &str = "the watermark is true";
const EQUAL: &str = "at rest both sides are equal";

fn world(name: &str) -> Small {
    WORLDS.iter().find(|world| world.name == name).unwrap().clone()
}

/// Exhausts a world, or stops at the first thing that goes wrong: the property that does not hold, and how it came to that.
/// With one thread what is found first is always the same.
fn explore(world: Small, threads: usize) -> Option<(&'static str, String)> {
    let (name, started) = (world.name, Instant::now());
    let checker =
        world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    let (moments, different) = (checker.state_count(), checker.unique_state_count());
    let (depth, seconds) = (checker.max_depth(), started.elapsed().as_secs_f64());
    println!("  {name:<24} {moments:>9} moments, {different:>8} different, {depth:>3} deep, {seconds:.1} s");
    let mut discoveries = checker.discoveries();
    let rest = discoveries.remove(REST);
    match discoveries.into_iter().min_by_key(|(property, _)| *property) {
        Some((property, path)) => Some((property, tell(path.into_vec()))),
        None => {
            assert!(rest.is_some(), "{name}: nothing of interest happens");
            None
        }
    }
}

fn tell(path: Vec<(Moment, Option<Action>)>) -> String {
    let line = |(moment, action): (Moment, Option<Action>)| match action {
        Some(Action::Execute { effect, meanwhile, lost }) => {
            let meanwhile = meanwhile.map_or(String::new(), |change| format!(", meanwhile {change:?}"));
            let lost = if lost { ", and the answer is lost" } else { "" };
            format!("    {:?}{meanwhile}{lost}\n", moment.pending[effect])
        }
        Some(action) => format!("    {action:?}\n"),
        None => format!("    {:?}\n", moment.wrong),
    };
    path.into_iter().map(line).collect()
}

#[test]
fn nothing_goes_wrong_in_small_worlds() {
    let more: usize = std::env::var("LIVEDATA_SIM_OPERATIONS").map_or(0, |more| more.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for world in WORLDS {
        let wrong = explore(Small { operations: world.operations + more, ..world.clone() }, threads);
        assert!(
            wrong.is_none(),
            "{}: {}\n{}",
            world.name,
            wrong.as_ref().unwrap().0,
            wrong.as_ref().unwrap().1
        );
    }
}

#[test]
fn without_a_rule_something_goes_wrong_in_a_small_world() {
    if std::env::var_os("LIVEDATA_SIM_SEARCH").is_some() {
        return search();
    }
    let mut survivors = Vec::new();
    for (rule, name, property) in KILLED {
        let wrong = explore(Small { without: Some(*rule), ..world(name) }, 1).map(|(wrong, _)| wrong);
        if wrong != Some(*property) {
            survivors.push(format!("{rule:?} in '{name}', not '{property}': {wrong:?}"));
        }
    }
    assert!(survivors.is_empty(), "{survivors:#?}");
    let workers = Workers { publish_blindly: true, ..Workers::default() };
    let wrong = explore(Small { workers, ..world("contents, and a crash") }, 1);
    assert_eq!(wrong.map(|(wrong, _)| wrong), Some("no file is torn"), "R5: a look before the publication");
}

fn search() {
    let only = std::env::var("LIVEDATA_SIM_RULE").ok();
    let wanted = |rule: &Rule| only.as_ref().is_none_or(|only| *only == format!("{rule:?}"));
    for rule in Rule::ALL.into_iter().filter(wanted) {
        let wrong = WORLDS.iter().find_map(|world| {
            let (property, how) = explore(Small { without: Some(rule), ..world.clone() }, 1)?;
            Some((world.name, property, how))
        });
        match wrong {
            Some((name, property, how)) => println!("(Rule::{rule:?}, {name:?}, {property:?}),\n{how}"),
            None => println!("// {rule:?}: none"),
        }
    }
}
