//! What is at the source, as far as listings have found it in this run.
//!
//! Of each directory counts what its last whole listing found, or, before there is one, what its first has found so far. So
//! nothing is counted twice, however often a directory is looked at and in how many processes. What changes between listings
//! is not counted; what is removed at the target is not either.

use livedata_engine::State as _;
use livedata_model::node::{Entry, EntryKind, NodeId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Error, JournalState};

/// Sums over directories.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Listed as a whole.
    pub directories: u64,
    /// Everything in them but directories.
    pub files: u64,
    pub bytes: u64,
    /// Symbolic links: recorded, not followed.
    pub excluded: u64,
}

pub const SCHEMA: &str = "
CREATE TABLE listing (
    directory BLOB PRIMARY KEY, whole INTEGER NOT NULL,
    files INTEGER NOT NULL, bytes INTEGER NOT NULL, excluded INTEGER NOT NULL,
    new_files INTEGER NOT NULL, new_bytes INTEGER NOT NULL, new_excluded INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const COLUMNS: &str = "whole, files, bytes, excluded, new_files, new_bytes, new_excluded";

/// Of one directory. Both: without directories.
#[derive(Default)]
struct Listing {
    /// It has been listed as a whole, and this was found.
    whole: Option<Found>,
    /// By the listing that is not over.
    new: Found,
}

impl Listing {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let found = |first: usize| -> rusqlite::Result<Found> {
            let (files, bytes, excluded) = (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
            Ok(Found { directories: 0, files, bytes, excluded })
        };
        let is_whole: bool = row.get(0)?;
        Ok(Self { whole: if is_whole { Some(found(1)?) } else { None }, new: found(4)? })
    }

    fn counts(&self) -> Found {
        self.whole.map_or(self.new, |whole| Found { directories: 1, ..whole })
    }
}

impl Found {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut found = Self::default();
        let mut all = connection.prepare(&format!("SELECT {COLUMNS} FROM listing"))?;
        for listing in all.query_map([], Listing::read)? {
            found.add(listing?.counts());
        }
        Ok(found)
    }

    fn add(&mut self, more: Self) {
        self.directories += more.directories;
        self.files += more.files;
        self.bytes += more.bytes;
        self.excluded += more.excluded;
    }

    fn remove(&mut self, less: Self) {
        self.directories = self.directories.saturating_sub(less.directories);
        self.files = self.files.saturating_sub(less.files);
        self.bytes = self.bytes.saturating_sub(less.bytes);
        self.excluded = self.excluded.saturating_sub(less.excluded);
    }

    fn meet(&mut self, entry: &Entry) {
        match &entry.kind {
            EntryKind::Directory => return,
            EntryKind::File { length_bytes, .. } => self.bytes += length_bytes,
            EntryKind::Symlink => self.excluded += 1,
            EntryKind::Unsupported { .. } => {}
        }
        self.files += 1;
    }
}

impl JournalState<'_> {
    pub fn found(&self) -> Found {
        self.found
    }

    /// A page of a listing, before the engine has it: what is at its beginning is known by what the engine waits for.
    pub fn listed(&mut self, directory: &NodeId, entries: &[Entry], is_last: bool) -> Result<(), Error> {
        let Some(front) = self.front(directory)? else { return Ok(()) };
        if self.node(directory)?.is_none() {
            return Ok(());
        }
        let known = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM listing WHERE directory = ?"))?
            .query_row([directory.as_bytes()], Listing::read)
            .optional()?;
        let mut listing = known.unwrap_or_default();
        self.found.remove(listing.counts());
        if front.after.is_none() {
            listing.new = Found::default();
        }
        entries.iter().for_each(|entry| listing.new.meet(entry));
        if is_last {
            listing.whole = Some(std::mem::take(&mut listing.new));
        }
        self.found.add(listing.counts());
        let (whole, new) = (listing.whole.unwrap_or_default(), listing.new);
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO listing VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                directory.as_bytes(),
                listing.whole.is_some(),
                whole.files,
                whole.bytes,
                whole.excluded,
                new.files,
                new.bytes,
                new.excluded
            ])?;
        Ok(())
    }

    /// A directory goes, with everything below.
    pub(super) fn forget_listings(&mut self, directory: &NodeId) -> Result<(), Error> {
        let mut forget = self.connection.prepare_cached(&format!(
            "WITH RECURSIVE below(id) AS (
                SELECT ? UNION ALL SELECT node.id FROM node JOIN below ON node.parent = below.id
             ) DELETE FROM listing WHERE directory IN (SELECT id FROM below) RETURNING {COLUMNS}"
        ))?;
        for listing in forget.query_map([directory.as_bytes()], Listing::read)? {
            self.found.remove(listing?.counts());
        }
        Ok(())
    }

    /// A run counts anew.
    pub(super) fn forget_all_listings(&mut self) -> Result<(), Error> {
        self.connection.execute("DELETE FROM listing", [])?;
        self.found = Found::default();
        Ok(())
    }
}
