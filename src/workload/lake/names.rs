//! The names in the lake.

use std::collections::HashSet;

use super::content::Random;

/// Parents stand before what they hold. Never a name with `:`, which HDFS refuses, nor with `\` or a trailing dot, which
/// Azure Storage rewrites.
const SPECIAL: [&str; 22] = [
    "customers",
    "customers/München",
    "customers/caf\u{e9}",
    "customers/cafe\u{301}",
    "customers/日本",
    "customers/日本/東京",
    "odd names",
    "odd names/100% done #1",
    "odd names/a+b&c=d;e,f",
    "odd names/%41%2F",
    "odd names/what? [why] {how}",
    "odd names/it's ~ @home! $5 (new) ^_^",
    "odd names/🐘 hadoop",
    "empty",
    "empty/also empty",
    "deep",
    "deep/a",
    "deep/a/b",
    "deep/a/b/c",
    "deep/a/b/c/d",
    "deep/a/b/c/d/e",
    "deep/a/b/c/d/e/f",
];

const SPECIAL_FILES: [&str; 24] = [
    "backup.tar",
    "README",
    ".hidden",
    "customers/M\u{fc}ller.csv",
    "customers/Mu\u{308}ller.csv",
    "customers/caf\u{e9}/menu.json",
    "customers/cafe\u{301}/menu.json",
    "customers/日本/東京/顧客.avro",
    "odd names/100%.csv",
    "odd names/100%25.csv",
    "odd names/a b",
    "odd names/a+b",
    "odd names/a%20b",
    "odd names/#1 & #2?.txt",
    "odd names/two  spaces",
    "odd names/ leading space",
    "odd names/100% done #1/part one.csv",
    "odd names/a+b&c=d;e,f/x=1&y=2.csv",
    "odd names/%41%2F/%00",
    "odd names/what? [why] {how}/*.csv",
    "odd names/it's ~ @home! $5 (new) ^_^/\"quoted\".txt",
    "odd names/🐘 hadoop/🐘.orc",
    "deep/a/b/c/d/e/f/leaf.txt",
    "odd names/_SUCCESS",
];

const TABLES: [&str; 4] = ["sales", "clicks", "warehouse/orders.db/order lines", "sensors"];

/// Exactly `count` directories, parents first.
pub fn directories(count: usize) -> Vec<String> {
    let mut found: Vec<String> = SPECIAL.iter().map(|name| (*name).to_owned()).take(count).collect();
    let mut known: HashSet<String> = found.iter().cloned().collect();
    let mut day = 0;
    while found.len() < count {
        for table in TABLES {
            for path in parents(&partition(table, day)) {
                if found.len() < count && known.insert(path.clone()) {
                    found.push(path);
                }
            }
        }
        day += 1;
    }
    found
}

/// A year of twelve months of 28 days.
fn partition(table: &str, day: usize) -> String {
    format!("{table}/year={}/month={:02}/day={:02}", 2024 + day / 336, day / 28 % 12 + 1, day % 28 + 1)
}

/// `a/b/c` gives `a`, `a/b`, `a/b/c`.
fn parents(path: &str) -> Vec<String> {
    path.match_indices('/')
        .map(|(end, _)| end)
        .chain([path.len()])
        .map(|end| path[..end].to_owned())
        .collect()
}

/// Exactly `count` files below the root or in `directories`. The first is the large one.
pub fn files(count: usize, directories: &[String], random: &mut Random) -> Vec<String> {
    let known: HashSet<&str> = directories.iter().map(String::as_str).collect();
    let exists = |file: &&&str| file.rsplit_once('/').is_none_or(|(folder, _)| known.contains(folder));
    let mut files: Vec<String> =
        SPECIAL_FILES.iter().filter(exists).map(|name| (*name).to_owned()).take(count).collect();

    let tables: Vec<&String> = directories.iter().filter(|path| path.contains("/day=")).collect();
    for number in 0..count - files.len() {
        let Some(folder) = tables.get(number % tables.len().max(1)) else {
            files.push(format!("part-{number:05}.csv"));
            continue;
        };
        files.push(match number / tables.len() {
            0 => format!("{folder}/_SUCCESS"),
            _ => format!("{folder}/part-{number:05}-{:08x}.snappy.parquet", random.next() >> 32),
        });
    }
    files
}

/// Marker files have no content; `_SUCCESS` is what Hadoop's jobs write last.
pub fn is_empty_file(path: &str) -> bool {
    path.ends_with("_SUCCESS") || path.ends_with("/%00") || path.ends_with(" leading space")
}
