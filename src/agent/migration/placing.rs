//! Renames at the target: a copy becomes visible, something moves, something goes out of the way. Whatever an answer says or
//! whether there is one, what stands at the destination decides.

use livedata_engine::{Edge, Expected, Failure, MoveOutcome, PublishOutcome, Staged, There};
use livedata_filesystem::{Condition, Entry, Error, ErrorKind, Etag, NodeId, Result, TargetPath};

use super::executor::{Context, failure, stale};
use super::origin::origin;
use super::patience::{Side, persist};

impl Context {
    /// The staged copy becomes visible, if the source still has what was copied and nothing else is in the way.
    pub(super) async fn publish(
        &self,
        edge: &Edge,
        entry: &Entry,
        (from, staged): (&TargetPath, &Staged),
        to: &TargetPath,
        expected: &Expected,
        replaces: Option<&NodeId>,
    ) -> PublishOutcome {
        match self.look_up(edge).await {
            Ok(Some(now)) if (&now.id, &now.kind) == (&entry.id, &entry.kind) => {}
            Ok(_) => return PublishOutcome::SourceChanged,
            Err(error) if error.kind() == ErrorKind::Gone => return PublishOutcome::SourceChanged,
            Err(error) => return PublishOutcome::Failed(failure(&error)),
        }
        if self.lives(replaces).await {
            return PublishOutcome::Lives;
        }
        let etag = Etag(staged.etag.clone());
        let target = &self.plan.target;
        let condition = condition(expected);
        let renamed =
            persist(&self.views, Side::Target, || target.rename(from, to, &condition, Some(&etag))).await;
        let Err(error) = renamed else { return PublishOutcome::Done };
        let there = match self.there(to).await {
            Ok(there) => there,
            Err(error) => return PublishOutcome::Failed(failure(&error)),
        };
        match (there, error.kind()) {
            (Some(there), _) if there.etag == etag.0 => PublishOutcome::Done,
            (Some(there), ErrorKind::Conflict) => PublishOutcome::Occupied(there),
            (None, ErrorKind::Conflict) if *expected != Expected::Absent => {
                self.nothing_there(from, &error).await
            }
            (_, ErrorKind::Gone) => match self.there(from).await {
                Ok(Some(_)) => PublishOutcome::NoParent,
                _ => PublishOutcome::Failed(stale(&error)),
            },
            _ => PublishOutcome::Failed(failure(&error)),
        }
    }

    /// Something was expected at the destination, and nothing is there any more.
    async fn nothing_there(&self, from: &TargetPath, error: &Error) -> PublishOutcome {
        match self.there(from).await {
            Ok(Some(_)) => PublishOutcome::Occupied(NOTHING),
            _ => PublishOutcome::Failed(stale(error)),
        }
    }

    /// Moves a file or a directory, recognised by its etag or by the source's id among its properties.
    pub(super) async fn rename(
        &self,
        node: &NodeId,
        (from, to): (&TargetPath, &TargetPath),
        etag: Option<Etag>,
        expected: &Expected,
        replaces: Option<&NodeId>,
    ) -> MoveOutcome {
        if self.lives(replaces).await {
            return MoveOutcome::Lives;
        }
        let target = &self.plan.target;
        let condition = condition(expected);
        let moved =
            persist(&self.views, Side::Target, || target.rename(from, to, &condition, etag.as_ref())).await;
        let Err(error) = moved else { return MoveOutcome::Done };
        let (at_from, at_to) = match (self.there(from).await, self.there(to).await) {
            (Ok(at_from), Ok(at_to)) => (at_from, at_to),
            (Err(error), _) | (_, Err(error)) => return MoveOutcome::Failed(failure(&error)),
        };
        // An earlier process may have moved it already, or an earlier try of this one.
        let arrived = at_to.as_ref().is_some_and(|there| match &etag {
            Some(etag) => there.etag == etag.0,
            None => there.is_directory && there.node.as_ref() == Some(node),
        });
        match (at_from, at_to, error.kind()) {
            (None, Some(_), _) if arrived => MoveOutcome::Done,
            (None, _, _) => MoveOutcome::Gone,
            (Some(there), _, ErrorKind::Conflict) if etag.is_some_and(|etag| etag.0 != there.etag) => {
                MoveOutcome::Differs(there)
            }
            (Some(_), Some(there), ErrorKind::Conflict) => MoveOutcome::Occupied(there),
            (Some(_), None, ErrorKind::Conflict) => MoveOutcome::Occupied(NOTHING),
            (Some(_), _, ErrorKind::Gone) => MoveOutcome::NoParent,
            _ => MoveOutcome::Failed(failure(&error)),
        }
    }

    pub(super) async fn set_aside(
        &self,
        from: &TargetPath,
        to: &TargetPath,
    ) -> std::result::Result<(), Failure> {
        let target = &self.plan.target;
        let moved =
            persist(&self.views, Side::Target, || target.rename(from, to, &Condition::Absent, None)).await;
        match moved {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Conflict => Err(stale(&error)),
            Err(error) => Err(failure(&error)),
        }
    }

    pub(super) async fn delete(
        &self,
        path: &TargetPath,
        recursive: bool,
    ) -> std::result::Result<(), Failure> {
        let target = &self.plan.target;
        persist(&self.views, Side::Target, || target.delete(path, recursive, &Condition::Any))
            .await
            .map_err(|error| failure(&error))
    }

    pub(super) async fn there(&self, path: &TargetPath) -> Result<Option<There>> {
        let found = persist(&self.views, Side::Target, || self.plan.target.properties(path)).await?;
        let tree = self.tree().await?;
        Ok(found.map(|found| {
            let (node, version) = origin(&found.properties, tree);
            There {
                is_directory: found.is_directory,
                etag: found.etag.0,
                length_bytes: found.length_bytes,
                node,
                version,
            }
        }))
    }

    /// Whether what would be replaced is the copy of something that still exists; a source that cannot tell is taken to
    /// say yes, so that the copy is kept.
    async fn lives(&self, replaced: Option<&NodeId>) -> bool {
        let Some(replaced) = replaced else { return false };
        let alive = self.at_source(|| self.plan.source.is_alive(replaced)).await;
        !matches!(alive, Ok(Some(false)))
    }
}

/// In the way was something that has gone.
const NOTHING: There =
    There { is_directory: false, etag: String::new(), length_bytes: 0, node: None, version: None };

fn condition(expected: &Expected) -> Condition {
    match expected {
        Expected::Absent => Condition::Absent,
        Expected::Etag(etag) => Condition::Unchanged(Etag(etag.clone())),
    }
}
