//! Listing paths, a page at a time, in depth-first order with the names of one directory sorted by their bytes.
//!
//! A page costs what it holds plus the depth of where it starts: the continuation is the last path given out, and the walk
//! starts right after that place, also when the path is gone by then.

use std::collections::VecDeque;

use rusqlite::{Connection, params};

use super::node::{COLUMNS, Node};
use super::tree;
use crate::service_error::ServiceError;

/// Rows read ahead per directory: few enough that a walk through many small directories reads little in vain.
const READ_AHEAD: usize = 256;

pub(crate) struct Page {
    /// Path relative to the directory that is listed, and the node.
    pub entries: Vec<(String, Node)>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<String>,
}

struct Level {
    directory: i64,
    /// Ends with `/` unless empty.
    prefix: String,
    /// Only names that begin with it.
    named: String,
    after: String,
    buffer: VecDeque<Node>,
    exhausted: bool,
}

impl Level {
    fn new(directory: i64, prefix: String, after: String) -> Self {
        Self { directory, prefix, named: String::new(), after, buffer: VecDeque::new(), exhausted: false }
    }

    fn next(&mut self, connection: &Connection, wanted: usize) -> Result<Option<Node>, ServiceError> {
        if self.buffer.is_empty() && !self.exhausted {
            let limit = wanted.clamp(1, READ_AHEAD);
            let sql = format!(
                "SELECT {COLUMNS} FROM nodes WHERE parent = ?1 AND name > ?2 AND name >= ?4 ORDER BY name LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let limit_value = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = params![self.directory, self.after, limit_value, self.named];
            for row in statement.query_map(values, Node::from_row)? {
                let node = row?;
                if !node.name.starts_with(&self.named) {
                    break;
                }
                self.buffer.push_back(node);
            }
            self.exhausted = self.buffer.len() < limit;
            if let Some(last) = self.buffer.back() {
                self.after.clone_from(&last.name);
            }
        }
        Ok(self.buffer.pop_front())
    }
}

/// `named`: how the names of the directory's own children begin.
pub(crate) fn list_paths(
    connection: &Connection,
    directory: i64,
    named: &str,
    recursive: bool,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, ServiceError> {
    let mut levels = starting_levels(connection, directory, recursive, after)?;
    if let Some(level) = levels.first_mut() {
        level.named = named.to_owned();
    }
    let mut entries: Vec<(String, Node)> = Vec::new();
    while let Some(level) = levels.last_mut() {
        // One more than fits, to know whether there is a next page.
        let Some(node) = level.next(connection, limit + 1 - entries.len())? else {
            levels.pop();
            continue;
        };
        if entries.len() == limit {
            let next = entries.last().map(|(path, _)| path.clone());
            return Ok(Page { entries, next });
        }
        let path = format!("{}{}", level.prefix, node.name);
        if recursive && node.kind.is_directory() {
            levels.push(Level::new(node.id, format!("{path}/"), String::new()));
        }
        entries.push((path, node));
    }
    Ok(Page { entries, next: None })
}

fn starting_levels(
    connection: &Connection,
    directory: i64,
    recursive: bool,
    after: Option<&str>,
) -> Result<Vec<Level>, ServiceError> {
    let Some(after) = after else {
        return Ok(vec![Level::new(directory, String::new(), String::new())]);
    };
    let mut levels = Vec::new();
    let (mut parent, mut prefix) = (directory, String::new());
    for name in after.split('/') {
        levels.push(Level::new(parent, prefix.clone(), name.to_owned()));
        match tree::child(connection, parent, name)? {
            Some(entry) if entry.kind.is_directory() => parent = entry.id,
            _ => return Ok(levels),
        }
        prefix = format!("{prefix}{name}/");
    }
    if recursive {
        levels.push(Level::new(parent, prefix, String::new()));
    }
    Ok(levels)
}
