//! The paths that migrations have given up, as their agents list them.
//!
//! One record for each path, with key `{migration}|{path}`: a page costs what it shows, and pages go on where the last one
//! ended even when the list changes between them. A list replaces the one before in one transaction.

use std::collections::BTreeMap;

use livedata_model::cbor;
use livedata_model::message::FailedPathsPart;
use livedata_model::report::{FailedPath, MOST_FAILED_PATHS};
use livedata_model::wire_struct;
use livedata_store::{Change, Error, Store};
use serde_json::{Map, Value, json};

use crate::clock::rfc3339_of_ms;
use crate::core::Core;
use crate::document::{self, Document};
use crate::errors::Outcome;
use crate::request::Request;
use crate::resources::live_data_migrations::{self, Migration};
use crate::verbs::list::{key_of, next_link, page_size};

/// CBOR of a [`FailedPath`].
const PATHS: &str = "failed_paths";
/// CBOR of a [`Head`], by the migration's key.
const HEADS: &str = "failed_path_lists";

/// Bounds that keep a page below the 8 MB that ARM lets through (rule 100), even if every byte has to be escaped.
const LONGEST_PATH_BYTES: usize = 8 * 1024;
const LONGEST_REASON_BYTES: usize = 1024;

wire_struct! {
    pub struct Head {
        1 => incarnation: String,
        2 => start: u64,
        3 => truncated: bool,
    }
}

/// A whole list.
pub struct List {
    migration: String,
    head: Head,
    entries: BTreeMap<String, FailedPath>,
}

/// Puts the parts of one session's lists together. One list at a time is told.
#[derive(Default)]
pub struct Assembly(Option<(u64, u32, List)>);

impl Assembly {
    /// The list, with its last part. Parts of which one is missing come to nothing.
    pub fn add(&mut self, part: FailedPathsPart) -> Option<List> {
        let FailedPathsPart {
            migration, incarnation, start, revision, part, parts, entries, truncated, ..
        } = part;
        let begun = self.0.take();
        let mut list = if part == 0 {
            List { migration, head: Head { incarnation, start, truncated }, entries: BTreeMap::new() }
        } else {
            let (_, _, list) = begun.filter(|(known, next, list)| {
                (*known, *next, list.migration.as_str()) == (revision, part, migration.as_str())
            })?;
            list
        };
        for mut entry in entries {
            let is_long = entry.path.len() > LONGEST_PATH_BYTES;
            if is_long || list.entries.len() >= MOST_FAILED_PATHS {
                list.head.truncated = true;
                continue;
            }
            entry.reason.truncate(entry.reason.floor_char_boundary(LONGEST_REASON_BYTES));
            list.entries.insert(entry.path.clone(), entry);
        }
        if part + 1 >= parts {
            return Some(list);
        }
        self.0 = Some((revision, part + 1, list));
        None
    }
}

/// Replaces a migration's list, if the migration is still there. Others may change it meanwhile.
pub async fn store(store: &dyn Store, list: &List) -> Outcome<()> {
    const TRIES: usize = 16;
    for _ in 1..TRIES {
        match replace(store, list).await {
            Err(failure) if failure.is_conflict() => {}
            done => return done,
        }
    }
    replace(store, list).await
}

/// Writes what differs. Nothing is left behind by a deletion at the same moment.
async fn replace(store: &dyn Store, list: &List) -> Outcome<()> {
    let List { migration, head, entries } = list;
    let owner = document::load::<Migration>(store, live_data_migrations::COLLECTION, migration).await?;
    let Some(owner) = owner.filter(|owner| owner.document.guid == head.incarnation) else { return Ok(()) };
    let (prefix, head) = (prefix(migration), cbor::encode(head));
    let mut entries: BTreeMap<&str, Vec<u8>> =
        entries.iter().map(|(path, entry)| (path.as_str(), cbor::encode(entry))).collect();
    let mut change =
        Change::new().expect(live_data_migrations::COLLECTION, migration.as_str(), Some(owner.version));
    for record in store.list(PATHS, &prefix, None, usize::MAX).await? {
        let path = record.key.get(prefix.len()..).unwrap_or_default();
        match entries.get(path) {
            Some(entry) if *entry == record.body => drop(entries.remove(path)),
            Some(_) => {}
            None => change = change.remove(PATHS, record.key),
        }
    }
    for (path, entry) in entries {
        change = change.put(PATHS, format!("{prefix}{path}"), entry);
    }
    let before = store.get(HEADS, migration).await?;
    if before.is_none_or(|before| before.body != head) {
        change = change.put(HEADS, migration.as_str(), head);
    }
    if !change.writes.is_empty() {
        store.commit(change).await?;
    }
    Ok(())
}

/// Whatever there is of a migration that goes away.
pub async fn erase(store: &dyn Store, migration: &str, mut change: Change) -> Outcome<Change> {
    for record in store.list(PATHS, &prefix(migration), None, usize::MAX).await? {
        change = change.remove(PATHS, record.key);
    }
    Ok(change.remove(HEADS, migration))
}

fn prefix(migration: &str) -> String {
    format!("{migration}|")
}

/// The answer of `listFailedPaths`: `value`, `nextLink` if there is more (to be POSTed, as the first request), and
/// `truncated` if the agent knows of more than it tells. What was given up before a reset, or by an earlier migration of
/// this name, is not shown.
pub async fn page(core: &Core, document: &Document<Migration>, request: &Request) -> Outcome<Value> {
    let migration = document.key();
    let prefix = prefix(&migration);
    let size = page_size(request)?;
    let after = request.parameter("$skipToken").map(|token| key_of(token, &prefix)).transpose()?;
    let head: Option<Head> = match core.store.get(HEADS, &migration).await? {
        Some(record) => Some(read(&record.body)?),
        None => None,
    };
    let head =
        head.filter(|head| head.incarnation == document.guid && head.start > document.spec.reset_count);
    let mut records = match &head {
        Some(_) => core.store.list(PATHS, &prefix, after.as_deref(), size + 1).await?,
        None => Vec::new(),
    };
    let more = records.len() > size;
    records.truncate(size);
    let mut value = Vec::with_capacity(records.len());
    for record in &records {
        let FailedPath { path, kind, reason, at_ms } = read(&record.body)?;
        let at = rfc3339_of_ms(at_ms);
        value.push(json!({"path": path, "kind": kind.as_str(), "reason": reason, "at": at}));
    }
    let mut answer = Map::from_iter([("value".to_owned(), Value::Array(value))]);
    if let Some(last) = records.last().filter(|_| more) {
        answer.insert("nextLink".to_owned(), Value::String(next_link(request, &last.key)));
    }
    if head.is_some_and(|head| head.truncated) {
        answer.insert("truncated".to_owned(), Value::Bool(true));
    }
    Ok(Value::Object(answer))
}

fn read<T: cbor::Wire>(body: &[u8]) -> Outcome<T> {
    cbor::decode(body).map_err(|error| Error::Damaged(error.to_string()).into())
}
