//! Listing paths, a page at a time, in depth-first order with the names of one directory sorted by their bytes.
//!
//! A page costs what it holds plus the depth of where it starts: the continuation is the path that the next page begins
//! with, and the walk starts at that place, also when the path is gone by then.

use std::collections::VecDeque;

use rusqlite::{Connection, params};

use super::node::{COLUMNS, Node};
use super::tree;
use crate::clock;
use crate::service_error::ServiceError;

/// Rows read ahead per directory: few enough that a walk through many small directories reads little in vain.
const READ_AHEAD: usize = 256;

pub(crate) struct Page {
    /// Path relative to the directory that is listed, and the node.
    pub entries: Vec<(String, Node)>,
    /// The path that the next page begins with, relative to the directory; `None` after the last page.
    pub next: Option<String>,
}

struct Level {
    directory: i64,
    /// Ends with `/` unless empty.
    prefix: String,
    /// Only names that begin with it.
    named: String,
    /// Only this name and later ones.
    from: String,
    after: String,
    buffer: VecDeque<Node>,
    exhausted: bool,
}

impl Level {
    fn new(directory: i64, prefix: String, after: String) -> Self {
        let (named, from) = (String::new(), String::new());
        Self { directory, prefix, named, from, after, buffer: VecDeque::new(), exhausted: false }
    }

    fn next(&mut self, connection: &Connection, wanted: usize) -> Result<Option<Node>, ServiceError> {
        let now_ms = clock::now_ms();
        while self.buffer.is_empty() && !self.exhausted {
            let limit = wanted.clamp(1, READ_AHEAD);
            let sql = format!(
                "SELECT {COLUMNS} FROM nodes WHERE parent = ?1 AND name > ?2 AND name >= ?4 ORDER BY name LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let limit_value = i64::try_from(limit).unwrap_or(i64::MAX);
            let values = params![self.directory, self.after, limit_value, self.from];
            let (mut rows, mut expired) = (0, None);
            for row in statement.query_map(values, Node::from_row)? {
                let node = row?;
                if !node.name.starts_with(&self.named) {
                    break;
                }
                rows += 1;
                if node.is_expired(now_ms) {
                    expired = Some(node.name);
                } else {
                    expired = None;
                    self.buffer.push_back(node);
                }
            }
            self.exhausted = rows < limit;
            if let Some(last) = expired.as_ref().or(self.buffer.back().map(|node| &node.name)) {
                self.after.clone_from(last);
            }
        }
        Ok(self.buffer.pop_front())
    }
}

/// `named`: how the names of the directory's own children begin. `from`: where to begin, relative to the directory and
/// whether or not something is there; empty for its first child.
pub(crate) fn list_paths(
    connection: &Connection,
    directory: i64,
    named: &str,
    recursive: bool,
    from: &str,
    limit: usize,
) -> Result<Page, ServiceError> {
    let mut levels = starting_levels(connection, directory, from)?;
    if let Some(level) = levels.first_mut()
        && !named.is_empty()
    {
        named.clone_into(&mut level.named);
        if level.from.as_str() < named {
            named.clone_into(&mut level.from);
        }
    }
    let mut entries: Vec<(String, Node)> = Vec::new();
    while let Some(level) = levels.last_mut() {
        // One more than fits, to know whether there is a next page.
        let Some(node) = level.next(connection, limit + 1 - entries.len())? else {
            levels.pop();
            continue;
        };
        let path = format!("{}{}", level.prefix, node.name);
        if entries.len() == limit {
            return Ok(Page { entries, next: Some(path) });
        }
        if recursive && node.kind.is_directory() {
            levels.push(Level::new(node.id, format!("{path}/"), String::new()));
        }
        entries.push((path, node));
    }
    Ok(Page { entries, next: None })
}

/// Those above the path on the way to it start behind the step down.
fn starting_levels(connection: &Connection, directory: i64, from: &str) -> Result<Vec<Level>, ServiceError> {
    let mut levels = Vec::new();
    let (mut parent, mut prefix) = (directory, String::new());
    let mut names = from.split('/').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            let level = Level::new(parent, prefix, String::new());
            levels.push(Level { from: name.to_owned(), ..level });
            break;
        }
        levels.push(Level::new(parent, prefix.clone(), name.to_owned()));
        match tree::child(connection, parent, name)? {
            Some(entry) if entry.kind.is_directory() => parent = entry.id,
            _ => break,
        }
        prefix = format!("{prefix}{name}/");
    }
    Ok(levels)
}
