//! The engine's [`State`] as statements.

use livedata_engine::{Edge, FailedEdge, InFlight, Mark, Node, NodeKind, Run, State};
use livedata_model::node::NodeId;
use rusqlite::{OptionalExtension as _, params};

use super::{Error, JournalState, rows};

const IN_FLIGHT: &str = "node, version, length, staging, offset_1, crc32c_1, offset_2, crc32c_2, \
                         staged_etag, staged_crc32c, staged_permissions, staged_modified_ms";

impl State for JournalState<'_> {
    type Error = Error;

    fn run(&mut self) -> Result<Run, Error> {
        Ok(self.run.clone())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), Error> {
        self.run_changed |= self.run != *run;
        self.run = run.clone();
        Ok(())
    }

    fn node(&mut self, id: &NodeId) -> Result<Option<Node>, Error> {
        let mut query = self.connection.prepare_cached(
            "SELECT parent, name, version, length, crc32c, etag, permissions, modified_ms, run FROM node WHERE id = ?",
        )?;
        Ok(query.query_row([id.as_bytes()], rows::node).optional()?)
    }

    fn put_node(&mut self, id: &NodeId, node: &Node) -> Result<(), Error> {
        let (version, length, crc32c, etag) = match &node.kind {
            NodeKind::Directory => (None, None, None, None),
            NodeKind::File { version, length_bytes, crc32c, etag } => {
                (Some(version.as_bytes()), Some(*length_bytes), Some(*crc32c), Some(etag.as_str()))
            }
        };
        // Replaces the row of the same id, and one of another id at the same edge: an edge leads to one node.
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?
            .execute(params![
                id.as_bytes(),
                node.parent.directory.as_bytes(),
                node.parent.name,
                version,
                length,
                crc32c,
                etag,
                node.permissions,
                node.modified_ms,
                node.run
            ])?;
        Ok(())
    }

    fn remove_node(&mut self, id: &NodeId) -> Result<(), Error> {
        self.connection.prepare_cached("DELETE FROM node WHERE id = ?")?.execute([id.as_bytes()])?;
        Ok(())
    }

    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Error> {
        let mut query =
            self.connection.prepare_cached("SELECT id FROM node WHERE parent = ? AND name = ?")?;
        Ok(query
            .query_row(params![edge.directory.as_bytes(), edge.name], |row| rows::node_id(row, 0))
            .optional()?)
    }

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Error> {
        let mut query =
            self.connection.prepare_cached("SELECT generation FROM mark WHERE directory = ? AND name = ?")?;
        Ok(query
            .query_row(params![edge.directory.as_bytes(), edge.name], |row| {
                Ok(Mark { generation: row.get(0)? })
            })
            .optional()?)
    }

    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Error> {
        self.connection.prepare_cached("INSERT OR REPLACE INTO mark VALUES (?, ?, ?)")?.execute(params![
            edge.directory.as_bytes(),
            edge.name,
            mark.generation
        ])?;
        Ok(())
    }

    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM mark WHERE directory = ? AND name = ?")?
            .execute(params![edge.directory.as_bytes(), edge.name])?;
        Ok(())
    }

    fn marks(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<Edge>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let edges = match after {
            None => self
                .connection
                .prepare_cached("SELECT directory, name FROM mark ORDER BY directory, name LIMIT ?")?
                .query_map([limit], |row| rows::edge(row, 0))?
                .collect::<Result<_, _>>()?,
            Some(edge) => self
                .connection
                .prepare_cached(
                    "SELECT directory, name FROM mark WHERE (directory, name) > (?, ?) ORDER BY directory, name LIMIT ?",
                )?
                .query_map(params![edge.directory.as_bytes(), edge.name, limit], |row| rows::edge(row, 0))?
                .collect::<Result<_, _>>()?,
        };
        Ok(edges)
    }

    fn put_front(&mut self, directory: &NodeId, after: Option<&str>) -> Result<(), Error> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO front VALUES (?, ?)")?
            .execute(params![directory.as_bytes(), after])?;
        Ok(())
    }

    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM front WHERE directory = ?")?
            .execute([directory.as_bytes()])?;
        Ok(())
    }

    fn fronts(&mut self, limit: usize) -> Result<Vec<(NodeId, Option<String>)>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = self
            .connection
            .prepare_cached("SELECT directory, after FROM front ORDER BY directory LIMIT ?")?;
        let fronts = query.query_map([limit], |row| Ok((rows::node_id(row, 0)?, row.get(1)?)))?;
        Ok(fronts.collect::<Result<_, _>>()?)
    }

    fn in_flight(&mut self, edge: &Edge) -> Result<Option<InFlight>, Error> {
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT {IN_FLIGHT} FROM in_flight WHERE directory = ? AND name = ?"))?;
        Ok(query
            .query_row(params![edge.directory.as_bytes(), edge.name], |row| rows::in_flight(row, 0))
            .optional()?)
    }

    fn put_in_flight(&mut self, edge: &Edge, copy: &InFlight) -> Result<(), Error> {
        let (first, second) = (copy.checkpoints.first(), copy.checkpoints.get(1));
        let staged = copy.staged.as_ref();
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO in_flight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                edge.directory.as_bytes(),
                edge.name,
                copy.node.as_bytes(),
                copy.version.as_bytes(),
                copy.length_bytes,
                copy.staging,
                first.map(|point| point.offset),
                first.map(|point| point.crc32c),
                second.map(|point| point.offset),
                second.map(|point| point.crc32c),
                staged.map(|staged| &staged.etag),
                staged.map(|staged| staged.crc32c),
                staged.map(|staged| staged.permissions),
                staged.map(|staged| staged.modified_ms)
            ])?;
        Ok(())
    }

    fn remove_in_flight(&mut self, edge: &Edge) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM in_flight WHERE directory = ? AND name = ?")?
            .execute(params![edge.directory.as_bytes(), edge.name])?;
        Ok(())
    }

    fn all_in_flight(&mut self) -> Result<Vec<(Edge, InFlight)>, Error> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT directory, name, {IN_FLIGHT} FROM in_flight ORDER BY directory, name"
        ))?;
        let copies = query.query_map([], |row| Ok((rows::edge(row, 0)?, rows::in_flight(row, 2)?)))?;
        Ok(copies.collect::<Result<_, _>>()?)
    }

    fn move_intent(&mut self) -> Result<Option<(NodeId, Edge)>, Error> {
        let mut query = self.connection.prepare_cached("SELECT node, directory, name FROM move_intent")?;
        Ok(query.query_row([], |row| Ok((rows::node_id(row, 0)?, rows::edge(row, 1)?))).optional()?)
    }

    fn put_move_intent(&mut self, intent: Option<&(NodeId, Edge)>) -> Result<(), Error> {
        self.connection.prepare_cached("DELETE FROM move_intent")?.execute([])?;
        if let Some((id, edge)) = intent {
            self.connection.prepare_cached("INSERT INTO move_intent VALUES (?, ?, ?)")?.execute(params![
                id.as_bytes(),
                edge.directory.as_bytes(),
                edge.name
            ])?;
        }
        Ok(())
    }

    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<(), Error> {
        tracing::warn!(path = failed.path, reason = failed.reason, "given up for this run");
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO failed (directory, name, path, reason) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![edge.directory.as_bytes(), edge.name, failed.path, failed.reason])?;
        Ok(())
    }

    fn clear_failed(&mut self) -> Result<(), Error> {
        self.connection.prepare_cached("DELETE FROM failed")?.execute([])?;
        Ok(())
    }
}
