//! What a source told, on disk until every migration has taken it.
//!
//! One SQLite file. A crash may lose its last transactions but never what is before them: the reader then reads them again.
//! A consumer that asks for what is not there any more gets a gap.
//!
//! Its positions are the source's as long as that has one history. When another begins, maybe with lower numbers, or when
//! the one there was goes back, the journal's positions jump ahead, and a distance from the source's is kept. So they
//! only grow, and whoever holds one of before gets the gap, whenever it asks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use livedata_filesystem::{Change, Event, Position, Reading};
use rusqlite::{Connection, OptionalExtension as _, params};

pub use crate::database::Error;

/// Of one answer to a consumer, besides events of the same position.
const EVENTS_PER_READ: i64 = 1_000;

/// Beyond this many events, consumers that do not run are not waited for: they will look at everything.
const MOST_EVENTS: u64 = 20_000_000;

/// By which positions jump: more than a source may have been ahead of its reader.
const JUMP: u64 = 1_000_000;

const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE feed (read_to INTEGER, starts_after INTEGER, history TEXT, distance INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO feed (read_to) VALUES (NULL);
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY, position INTEGER NOT NULL, kind INTEGER NOT NULL,
    path TEXT NOT NULL, other TEXT, modified_ms INTEGER
) STRICT;
CREATE INDEX event_by_position ON event (position);
CREATE TABLE clock (position INTEGER PRIMARY KEY, read_ms INTEGER NOT NULL) STRICT;
CREATE TABLE consumer (name TEXT PRIMARY KEY, taken INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Schema 1 knew of one history.
const FROM_SCHEMA_1: &str = "
ALTER TABLE feed ADD COLUMN history TEXT;
ALTER TABLE feed ADD COLUMN distance INTEGER NOT NULL DEFAULT 0;
";

/// What to tell the operator of an error of the event journal in `folder`.
pub fn told(error: &Error, folder: &Path) -> String {
    const WITHOUT: &str =
        "every migration of this source looks at everything once then, and copies nothing that is equal";
    error.told("what was read of a source's changes", &path_in(folder), WITHOUT)
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("events.db")
}

pub struct EventJournal {
    connection: Connection,
    read_to: Option<Position>,
    history: Option<String>,
    /// Of a position here from the source's.
    distance: u64,
    /// What is after this position is here.
    starts_after: Position,
}

const TOUCHED: i64 = 0;
const TIMES_SET: i64 = 1;
const RENAMED: i64 = 2;
const UNWATCHED: i64 = 3;
/// `path` is the reason, `position` where it ends.
const GAP: i64 = 4;

impl EventJournal {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::Folder)?;
        let connection = Connection::open(path_in(folder))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What a power failure takes away is read again.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.set_prepared_statement_cache_capacity(32);
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Error::Damaged(verdict));
        }
        match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
            // Whole or not at all, also after a crash.
            version @ (0 | 1) => {
                let statements = if version == 0 { SCHEMA } else { FROM_SCHEMA_1 };
                let versioned =
                    format!("BEGIN; {statements} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;");
                connection.execute_batch(&versioned)?;
            }
            SCHEMA_VERSION => {}
            found => return Err(Error::Version { found, known: SCHEMA_VERSION }),
        }
        let (read_to, starts_after, history, distance): (Option<u64>, Option<u64>, _, _) = connection
            .query_row("SELECT read_to, starts_after, history, distance FROM feed", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let starts_after = Position(starts_after.unwrap_or(0));
        Ok(Self { connection, read_to: read_to.map(Position), history, distance, starts_after })
    }

    /// What the source's positions belong to.
    pub fn history(&self) -> Option<&str> {
        self.history.as_deref()
    }

    /// A position of the source as one of the journal.
    pub fn of_source(&self, position: Position) -> Position {
        Position(position.0 + self.distance)
    }

    pub fn at_source(&self, position: Position) -> Position {
        Position(position.0.saturating_sub(self.distance))
    }

    /// From now on the source has this history, and is here in it.
    pub fn follow(&mut self, history: &str, now: Position) -> Result<(), Error> {
        match self.read_to {
            None => self.begin(now)?,
            // Before it had a name.
            Some(_) if self.history.is_none() => {}
            Some(read_to) => self.jump(read_to, now, "the source is another one, or was formatted anew")?,
        }
        self.connection.execute("UPDATE feed SET history = ?", [history])?;
        self.history = Some(history.to_owned());
        Ok(())
    }

    fn jump(&mut self, read_to: Position, now: Position, reason: &str) -> Result<(), Error> {
        let here = Position(now.0.max(read_to.0 + JUMP));
        let distance = here.0 - now.0;
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO event (position, kind, path) VALUES (?, ?, ?)",
            params![here.0, GAP, reason],
        )?;
        transaction.execute("UPDATE feed SET read_to = ?, distance = ?", params![here.0, distance])?;
        transaction.commit()?;
        (self.read_to, self.distance) = (Some(here), distance);
        Ok(())
    }

    pub fn read_to(&self) -> Option<Position> {
        self.read_to
    }

    /// The source is here now, and nothing is known of what was before.
    pub fn begin(&mut self, now: Position) -> Result<(), Error> {
        self.connection.execute("UPDATE feed SET read_to = ?, starts_after = ?", params![now.0, now.0])?;
        (self.read_to, self.starts_after) = (Some(now), now);
        Ok(())
    }

    /// As the source told it. `now_ms`: when it was read, milliseconds since 1970.
    pub fn append(&mut self, reading: &Reading, now_ms: i64) -> Result<(), Error> {
        if let (Reading::Gap { resume_at, reason }, Some(read_to)) = (reading, self.read_to)
            && self.of_source(*resume_at) < read_to
        {
            return self.jump(read_to, *resume_at, reason);
        }
        let distance = self.distance;
        let of_source = |position: &Position| Position(position.0 + distance);
        let transaction = self.connection.transaction()?;
        let read_to = match reading {
            Reading::Events { events, read_to } => {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO event (position, kind, path, other, modified_ms) VALUES (?, ?, ?, ?, ?)",
                )?;
                for Event { position, change } in events {
                    let (kind, path, other, modified_ms) = match change {
                        Change::Touched { path } => (TOUCHED, path, None, None),
                        Change::TimesSet { path, modified_ms } => (TIMES_SET, path, None, Some(*modified_ms)),
                        Change::Renamed { from, to } => (RENAMED, from, Some(to), None),
                        Change::Unwatched { path } => (UNWATCHED, path, None, None),
                    };
                    insert.execute(params![of_source(position).0, kind, path, other, modified_ms])?;
                }
                if let Some(first) = events.first() {
                    transaction.execute(
                        "INSERT OR IGNORE INTO clock VALUES (?, ?)",
                        params![of_source(&first.position).0, now_ms],
                    )?;
                }
                of_source(read_to)
            }
            Reading::Gap { resume_at, reason } => {
                transaction.execute(
                    "INSERT INTO event (position, kind, path) VALUES (?, ?, ?)",
                    params![of_source(resume_at).0, GAP, reason],
                )?;
                of_source(resume_at)
            }
        };
        transaction.execute("UPDATE feed SET read_to = ?", params![read_to.0])?;
        transaction.commit()?;
        self.read_to = Some(read_to);
        Ok(())
    }

    /// What comes after a position; `None`: nothing yet. Notes that the consumer has taken everything up to it.
    pub fn read(&mut self, consumer: &str, after: Position) -> Result<Option<Reading>, Error> {
        self.taken(consumer, after)?;
        let Some(read_to) = self.read_to else { return Ok(None) };
        if after < self.starts_after {
            let reason = "the agent did not keep what came after".to_owned();
            return Ok(Some(Reading::Gap { resume_at: read_to, reason }));
        }
        let mut query = self.connection.prepare_cached(
            "SELECT position, kind, path, other, modified_ms FROM event WHERE position > ? ORDER BY sequence LIMIT ?",
        )?;
        let mut rows = query.query(params![after.0, EVENTS_PER_READ + 1])?;
        let (mut events, mut whole) = (Vec::new(), true);
        while let Some(row) = rows.next()? {
            let position = Position(row.get(0)?);
            let path: String = row.get(2)?;
            let change = match row.get::<_, i64>(1)? {
                GAP if events.is_empty() => {
                    return Ok(Some(Reading::Gap { resume_at: position, reason: path }));
                }
                GAP => {
                    whole = false;
                    break;
                }
                TIMES_SET => Change::TimesSet { path, modified_ms: row.get(4)? },
                RENAMED => Change::Renamed { from: path, to: row.get(3)? },
                UNWATCHED => Change::Unwatched { path },
                _ => Change::Touched { path },
            };
            events.push(Event { position, change });
        }
        if events.len() > usize::try_from(EVENTS_PER_READ).unwrap_or(usize::MAX) {
            whole = false;
            // Events of one position belong together: the last one may have more of it. A position that does not fit is read
            // to its end.
            let last = events.last().map(|event| event.position);
            let complete = events.iter().filter(|event| Some(event.position) != last).count();
            if complete == 0 {
                return self.read_position(last.unwrap_or(after)).map(Some);
            }
            events.truncate(complete);
        }
        let reached = match events.last() {
            Some(last) if !whole => last.position,
            _ => read_to,
        };
        Ok((!events.is_empty() || reached > after).then_some(Reading::Events { events, read_to: reached }))
    }

    /// All events of one position.
    fn read_position(&self, position: Position) -> Result<Reading, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT kind, path, other, modified_ms FROM event WHERE position = ? AND kind <> ? ORDER BY sequence",
        )?;
        let events = query.query_map(params![position.0, GAP], |row| {
            let path: String = row.get(1)?;
            let change = match row.get::<_, i64>(0)? {
                TIMES_SET => Change::TimesSet { path, modified_ms: row.get(3)? },
                RENAMED => Change::Renamed { from: path, to: row.get(2)? },
                UNWATCHED => Change::Unwatched { path },
                _ => Change::Touched { path },
            };
            Ok(Event { position, change })
        })?;
        Ok(Reading::Events { events: events.collect::<Result<_, _>>()?, read_to: position })
    }

    fn taken(&mut self, consumer: &str, up_to: Position) -> Result<(), Error> {
        let known: Option<u64> = self
            .connection
            .prepare_cached("SELECT taken FROM consumer WHERE name = ?")?
            .query_row([consumer], |row| row.get(0))
            .optional()?;
        if known == Some(up_to.0) {
            return Ok(());
        }
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO consumer VALUES (?, ?)")?
            .execute(params![consumer, up_to.0])?;
        self.drop_taken(Some(up_to))
    }

    /// Those who are not among these take nothing any more.
    pub fn keep_only(&mut self, consumers: &BTreeSet<String>) -> Result<(), Error> {
        let known: Vec<String> = self
            .connection
            .prepare_cached("SELECT name FROM consumer")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for gone in known.iter().filter(|name| !consumers.contains(*name)) {
            self.connection.execute("DELETE FROM consumer WHERE name = ?", [gone])?;
        }
        self.drop_taken(None)
    }

    /// Drops what nobody needs; `reader`: the one that is reading, which is waited for in any case.
    fn drop_taken(&mut self, reader: Option<Position>) -> Result<(), Error> {
        let lowest: Option<u64> = self
            .connection
            .prepare_cached("SELECT min(taken) FROM consumer")?
            .query_row([], |row| row.get(0))?;
        let Some(mut lowest) = lowest else { return Ok(()) };
        if lowest <= self.starts_after.0 {
            let kept: u64 = self
                .connection
                .prepare_cached("SELECT coalesce(max(sequence) - min(sequence), 0) FROM event")?
                .query_row([], |row| row.get(0))?;
            match reader {
                Some(reader) if kept > MOST_EVENTS => lowest = reader.0,
                _ => return Ok(()),
            }
        }
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("DELETE FROM event WHERE position <= ?")?.execute([lowest])?;
        // The clock keeps one more, so that the age of what is left is known.
        transaction
            .prepare_cached(
                "DELETE FROM clock WHERE position < (SELECT max(position) FROM clock WHERE position <= ?)",
            )?
            .execute([lowest])?;
        transaction.prepare_cached("UPDATE feed SET starts_after = ?")?.execute([lowest])?;
        transaction.commit()?;
        self.starts_after = Position(lowest);
        Ok(())
    }

    pub fn first_after_ms(&self, position: Position) -> Result<Option<i64>, Error> {
        let first: Option<u64> = self
            .connection
            .prepare_cached("SELECT min(position) FROM event WHERE position > ?")?
            .query_row([position.0], |row| row.get(0))?;
        let Some(first) = first else { return Ok(None) };
        Ok(self
            .connection
            .prepare_cached("SELECT read_ms FROM clock WHERE position <= ? ORDER BY position DESC LIMIT 1")?
            .query_row([first], |row| row.get(0))
            .optional()?)
    }
}
