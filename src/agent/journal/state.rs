//! The engine's [`State`] as statements.

use livedata_engine::{Edge, FailedEdge, Front, InFlight, Intent, Mark, Node, NodeKind, Run, State};
use livedata_model::node::NodeId;
use rusqlite::{OptionalExtension as _, Params, Row, params};

use super::rows::{FAILED, IN_FLIGHT, MARK, NODE};
use super::{Error, JournalState, rows};
use crate::migration::Principal;

impl JournalState<'_> {
    fn execute(&mut self, statement: &str, params: impl Params) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(statement)?.execute(params)?)
    }

    fn find<T>(
        &mut self,
        query: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.connection.prepare_cached(query)?.query_row(params, read).optional()?)
    }

    fn list<T>(
        &mut self,
        query: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        Ok(self.connection.prepare_cached(query)?.query_map(params, read)?.collect::<Result<_, _>>()?)
    }

    /// Marked edges in the order of a column, then edge.
    fn marks_by(
        &mut self,
        column: &str,
        up_to: u64,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Error> {
        let order = format!("ORDER BY {column}, directory, name LIMIT ?");
        let columns = format!("directory, name, {MARK}");
        // The largest position is as good as none, and fits a signed integer.
        let (limit, up_to) = (limit_of(limit), i64::try_from(up_to).unwrap_or(i64::MAX));
        match after {
            None => self.list(
                &format!("SELECT {columns} FROM mark WHERE {column} <= ? {order}"),
                params![up_to, limit],
                rows::marked,
            ),
            Some((value, edge)) => self.list(
                &format!(
                    "SELECT {columns} FROM mark WHERE ({column}, directory, name) > (?, ?, ?) AND {column} <= ? {order}"
                ),
                params![value, edge.directory.as_bytes(), edge.name, up_to, limit],
                rows::marked,
            ),
        }
    }
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Paths that others changed at the target: enough to find out who.
const DRIFT_KEPT: i64 = 5;

impl JournalState<'_> {
    /// What others changed there is looked at anew. `path` is below the migration's root; `None`: everything.
    pub fn forget_drift(&mut self, path: Option<&str>) -> Result<(), Error> {
        match path.filter(|path| !path.is_empty()) {
            None => self.execute("DELETE FROM drift", [])?,
            Some(path) => self.execute(
                "DELETE FROM drift WHERE path = ?1 OR substr(path, 1, length(?1) + 1) = ?1 || '/'",
                [path],
            )?,
        };
        Ok(())
    }

    pub fn put_principal(&mut self, principal: &Principal) -> Result<(), Error> {
        self.execute(
            "INSERT OR IGNORE INTO principal VALUES (?, ?)",
            params![principal.is_group, principal.name],
        )?;
        Ok(())
    }
}

impl State for JournalState<'_> {
    type Error = Error;

    fn run(&mut self) -> Result<Run, Error> {
        Ok(self.run.clone())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), Error> {
        if self.run.number != run.number {
            self.forget_all_listings()?;
        }
        self.run_changed |= self.run != *run;
        self.run = run.clone();
        Ok(())
    }

    fn node(&mut self, id: &NodeId) -> Result<Option<Node>, Error> {
        self.find(&format!("SELECT {NODE} FROM node WHERE id = ?"), [id.as_bytes()], rows::node)
    }

    fn put_node(&mut self, id: &NodeId, node: &Node) -> Result<(), Error> {
        let (version, length, crc32c, etag) = match &node.kind {
            NodeKind::Directory => (None, None, None, None),
            NodeKind::File { version, length_bytes, crc32c, etag } => {
                (Some(version.as_bytes()), Some(*length_bytes), *crc32c, Some(etag.as_str()))
            }
        };
        // Replaces the row of the same id, and one of another id at the same edge: an edge leads to one node.
        self.execute(
            "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                id.as_bytes(),
                node.parent.directory.as_bytes(),
                node.parent.name,
                version,
                length,
                crc32c,
                etag,
                rows::stored(node.attributes),
                node.modified_ms,
                node.run,
                node.seen
            ],
        )?;
        if node.parent.is_trash() && node.kind == NodeKind::Directory {
            self.forget_listings(id)?;
        }
        Ok(())
    }

    fn remove_subtree(&mut self, id: &NodeId) -> Result<(), Error> {
        if self.node(id)?.is_some_and(|node| node.kind == NodeKind::Directory) {
            self.forget_listings(id)?;
        }
        self.execute(
            "WITH RECURSIVE below(id) AS (
                SELECT ? UNION ALL SELECT node.id FROM node JOIN below ON node.parent = below.id
             ) DELETE FROM node WHERE id IN (SELECT id FROM below)",
            [id.as_bytes()],
        )?;
        Ok(())
    }

    fn count_subtree(&mut self, id: &NodeId, cap: u64) -> Result<u64, Error> {
        let count = self.find(
            "WITH RECURSIVE below(id) AS (
                SELECT ? UNION ALL SELECT node.id FROM node JOIN below ON node.parent = below.id LIMIT ?
             ) SELECT count(*) FROM below",
            params![id.as_bytes(), i64::try_from(cap).unwrap_or(i64::MAX)],
            |row| row.get(0),
        )?;
        Ok(count.unwrap_or(0))
    }

    fn count_nodes(&mut self) -> Result<u64, Error> {
        Ok(self.find("SELECT count(*) FROM node", [], |row| row.get(0))?.unwrap_or(0))
    }

    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Error> {
        self.find(
            "SELECT id FROM node WHERE parent = ? AND name = ?",
            params![edge.directory.as_bytes(), edge.name],
            |row| rows::node_id(row, 0),
        )
    }

    fn children(
        &mut self,
        directory: &NodeId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, NodeId)>, Error> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, rows::node_id(row, 1)?));
        match after {
            None => self.list(
                "SELECT name, id FROM node WHERE parent = ? ORDER BY name LIMIT ?",
                params![directory.as_bytes(), limit_of(limit)],
                read,
            ),
            Some(after) => self.list(
                "SELECT name, id FROM node WHERE parent = ? AND name > ? ORDER BY name LIMIT ?",
                params![directory.as_bytes(), after, limit_of(limit)],
                read,
            ),
        }
    }

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Error> {
        self.find(
            &format!("SELECT {MARK} FROM mark WHERE directory = ? AND name = ?"),
            params![edge.directory.as_bytes(), edge.name],
            |row| rows::mark(row, 0),
        )
    }

    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Error> {
        self.execute(
            "INSERT OR REPLACE INTO mark VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                edge.directory.as_bytes(),
                edge.name,
                mark.generation,
                mark.queued,
                mark.first,
                mark.last,
                mark.deep
            ],
        )?;
        Ok(())
    }

    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Error> {
        self.execute(
            "DELETE FROM mark WHERE directory = ? AND name = ?",
            params![edge.directory.as_bytes(), edge.name],
        )?;
        Ok(())
    }

    fn marks_after(&mut self, after: Option<&(u64, Edge)>, limit: usize) -> Result<Vec<(Edge, Mark)>, Error> {
        self.marks_by("queued", u64::MAX, after, limit)
    }

    fn marks_up_to(
        &mut self,
        position: u64,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Error> {
        self.marks_by("first", position, after, limit)
    }

    fn count_marks(&mut self) -> Result<u64, Error> {
        Ok(self.find("SELECT count(*) FROM mark", [], |row| row.get(0))?.unwrap_or(0))
    }

    fn put_front(&mut self, directory: &NodeId, front: &Front) -> Result<(), Error> {
        self.execute(
            "INSERT OR REPLACE INTO front VALUES (?, ?, ?)",
            params![directory.as_bytes(), front.after, front.first],
        )?;
        Ok(())
    }

    fn front(&mut self, directory: &NodeId) -> Result<Option<Front>, Error> {
        self.find("SELECT after, first FROM front WHERE directory = ?", [directory.as_bytes()], |row| {
            rows::front(row, 0)
        })
    }

    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Error> {
        self.execute("DELETE FROM front WHERE directory = ?", [directory.as_bytes()])?;
        Ok(())
    }

    fn fronts(&mut self, after: Option<&NodeId>, limit: usize) -> Result<Vec<(NodeId, Front)>, Error> {
        let after = after.map_or(&[][..], NodeId::as_bytes);
        self.list(
            "SELECT directory, after, first FROM front WHERE directory > ? ORDER BY directory LIMIT ?",
            params![after, limit_of(limit)],
            |row| Ok((rows::node_id(row, 0)?, rows::front(row, 1)?)),
        )
    }

    fn lowest_first(&mut self) -> Result<Option<u64>, Error> {
        let lowest = self.find(
            "SELECT min(first) FROM (SELECT min(first) AS first FROM mark UNION ALL SELECT min(first) FROM front)",
            [],
            |row| row.get(0),
        )?;
        Ok(lowest.flatten())
    }

    fn in_flight(&mut self, node: &NodeId) -> Result<Option<InFlight>, Error> {
        self.find(&format!("SELECT {IN_FLIGHT} FROM in_flight WHERE node = ?"), [node.as_bytes()], |row| {
            rows::in_flight(row, 0)
        })
    }

    fn put_in_flight(&mut self, node: &NodeId, copy: &InFlight) -> Result<(), Error> {
        let (first, second) = (copy.checkpoints.first(), copy.checkpoints.get(1));
        let staged = copy.staged.as_ref();
        self.execute(
            "INSERT OR REPLACE INTO in_flight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                node.as_bytes(),
                copy.edge.directory.as_bytes(),
                copy.edge.name,
                copy.version.as_bytes(),
                copy.length_bytes,
                copy.staging,
                first.map(|point| point.offset),
                first.map(|point| point.crc32c),
                second.map(|point| point.offset),
                second.map(|point| point.crc32c),
                staged.map(|staged| &staged.etag),
                staged.map(|staged| staged.crc32c),
                staged.map(|staged| rows::stored(staged.attributes)),
                staged.map(|staged| staged.modified_ms)
            ],
        )?;
        Ok(())
    }

    fn remove_in_flight(&mut self, node: &NodeId) -> Result<(), Error> {
        self.execute("DELETE FROM in_flight WHERE node = ?", [node.as_bytes()])?;
        Ok(())
    }

    fn all_in_flight(&mut self) -> Result<Vec<(NodeId, InFlight)>, Error> {
        self.list(&format!("SELECT node, {IN_FLIGHT} FROM in_flight ORDER BY node"), [], |row| {
            Ok((rows::node_id(row, 0)?, rows::in_flight(row, 1)?))
        })
    }

    fn put_garbage(&mut self, staging: &str) -> Result<(), Error> {
        self.execute("INSERT OR REPLACE INTO garbage VALUES (?)", [staging])?;
        Ok(())
    }

    fn remove_garbage(&mut self, staging: &str) -> Result<(), Error> {
        self.execute("DELETE FROM garbage WHERE staging = ?", [staging])?;
        Ok(())
    }

    fn all_garbage(&mut self) -> Result<Vec<String>, Error> {
        self.list("SELECT staging FROM garbage ORDER BY staging", [], |row| row.get(0))
    }

    fn intent(&mut self, node: &NodeId) -> Result<Option<Intent>, Error> {
        self.find("SELECT is_move, directory, name FROM intent WHERE node = ?", [node.as_bytes()], |row| {
            rows::intent(row, 0)
        })
    }

    fn put_intent(&mut self, node: &NodeId, intent: &Intent) -> Result<(), Error> {
        let (is_move, edge) = match intent {
            Intent::Make { at } => (false, at),
            Intent::Move { to } => (true, to),
        };
        self.execute(
            "INSERT OR REPLACE INTO intent VALUES (?, ?, ?, ?)",
            params![node.as_bytes(), is_move, edge.directory.as_bytes(), edge.name],
        )?;
        Ok(())
    }

    fn remove_intent(&mut self, node: &NodeId) -> Result<(), Error> {
        self.execute("DELETE FROM intent WHERE node = ?", [node.as_bytes()])?;
        Ok(())
    }

    fn all_intents(&mut self) -> Result<Vec<(NodeId, Intent)>, Error> {
        self.list("SELECT node, is_move, directory, name FROM intent ORDER BY node", [], |row| {
            Ok((rows::node_id(row, 0)?, rows::intent(row, 1)?))
        })
    }

    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<bool, Error> {
        tracing::warn!(path = failed.path, reason = failed.reason, "given up");
        let known = self.failed_at(edge)?.is_some();
        self.execute(
            "INSERT OR REPLACE INTO failed (directory, name, path, cause, reason, first, deep, at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                edge.directory.as_bytes(),
                edge.name,
                failed.path,
                failed.cause.number(),
                failed.reason,
                failed.first,
                failed.deep,
                crate::clock::now_ms()
            ],
        )?;
        Ok(!known)
    }

    fn failed_at(&mut self, edge: &Edge) -> Result<Option<FailedEdge>, Error> {
        self.find(
            &format!("SELECT {FAILED} FROM failed WHERE directory = ? AND name = ?"),
            params![edge.directory.as_bytes(), edge.name],
            |row| rows::failed(row, 0),
        )
    }

    fn remove_failed(&mut self, edge: &Edge) -> Result<bool, Error> {
        let removed = self.execute(
            "DELETE FROM failed WHERE directory = ? AND name = ?",
            params![edge.directory.as_bytes(), edge.name],
        )?;
        Ok(removed > 0)
    }

    fn failed(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<(Edge, FailedEdge)>, Error> {
        let read = |row: &Row<'_>| Ok((rows::edge(row, 0)?, rows::failed(row, 2)?));
        match after {
            None => self.list(
                &format!("SELECT directory, name, {FAILED} FROM failed ORDER BY directory, name LIMIT ?"),
                [limit_of(limit)],
                read,
            ),
            Some(edge) => self.list(
                &format!(
                    "SELECT directory, name, {FAILED} FROM failed WHERE (directory, name) > (?, ?) \
                     ORDER BY directory, name LIMIT ?"
                ),
                params![edge.directory.as_bytes(), edge.name, limit_of(limit)],
                read,
            ),
        }
    }

    fn clear_failed(&mut self) -> Result<(), Error> {
        self.execute("DELETE FROM failed", [])?;
        Ok(())
    }

    fn note_drift(&mut self, path: &str) -> Result<(), Error> {
        tracing::warn!(path, "changed at the target by somebody else");
        let now_ms = crate::clock::now_ms();
        self.execute("INSERT OR REPLACE INTO drift (path, at_ms) VALUES (?, ?)", params![path, now_ms])?;
        self.execute(
            "DELETE FROM drift WHERE sequence <= (SELECT max(sequence) FROM drift) - ?",
            [DRIFT_KEPT],
        )?;
        Ok(())
    }
}
