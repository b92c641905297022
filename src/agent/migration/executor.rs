//! Carries out effects, one task each, and answers with inputs. How many run at once is the engine's limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use livedata_engine::{Edge, Effect, Expected, Failure, FailureKind, Input, PublishOutcome, Staged};
use livedata_filesystem::{Attributes, Condition, Entry, EntryKind, Error, ErrorKind, Etag, TargetPath};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::Plan;
use super::patience::{Side, persist};
use super::transfer::Transfer;
use super::view::View;

pub(super) struct Executor {
    context: Arc<Context>,
    cancel: CancellationToken,
}

/// What a task needs to carry out an effect.
pub(super) struct Context {
    pub plan: Plan,
    pub views: watch::Sender<View>,
    answers: mpsc::Sender<Input>,
    /// Copies that wait for their checkpoint to become durable.
    checkpoints: Mutex<HashMap<Edge, oneshot::Sender<()>>>,
}

impl Executor {
    pub fn new(
        plan: Plan,
        answers: mpsc::Sender<Input>,
        views: watch::Sender<View>,
        cancel: CancellationToken,
    ) -> Self {
        let context = Arc::new(Context { plan, views, answers, checkpoints: Mutex::default() });
        Self { context, cancel }
    }

    /// Looks for the root, which begins the run for this start or refuses it.
    pub fn resolve_root(&self, start: u64) {
        let context = Arc::clone(&self.context);
        self.spawn(async move { Some(context.root(start).await) });
    }

    pub fn execute(&self, effect: Effect) {
        match effect {
            Effect::Flush { edge, .. } => self.context.checkpoint_is_durable(&edge),
            Effect::Finished => tracing::info!(migration = self.context.plan.name, "the run is complete"),
            effect => {
                let context = Arc::clone(&self.context);
                self.spawn(async move { context.carry_out(effect).await });
            }
        }
    }

    fn spawn(&self, work: impl Future<Output = Option<Input>> + Send + 'static) {
        let (cancel, answers) = (self.cancel.clone(), self.context.answers.clone());
        tokio::spawn(async move {
            let answered = async {
                if let Some(input) = work.await {
                    // A closed queue means that the migration stops.
                    let _ = answers.send(input).await;
                }
            };
            // Dropping the work in the middle is what a crash would do to it.
            cancel.run_until_cancelled(answered).await;
        });
    }
}

impl Context {
    async fn root(&self, start: u64) -> Input {
        let path = &self.plan.source_path;
        match persist(&self.views, Side::Source, || self.plan.source.resolve(path)).await {
            Ok(root) if root.kind == EntryKind::Directory => Input::Start { start, root },
            Ok(other) => {
                let what = if other.kind == EntryKind::Symlink {
                    "a symbolic link, which is not followed"
                } else {
                    "not a directory"
                };
                let reason = format!("'{path}' at the source is {what}");
                Input::Refuse { start, missing: false, reason }
            }
            Err(error) if error.kind() == ErrorKind::Gone => Input::Refuse {
                start,
                missing: true,
                reason: format!("'{path}' does not exist at the source"),
            },
            Err(error) => Input::Refuse { start, missing: false, reason: error.to_string() },
        }
    }

    async fn carry_out(&self, effect: Effect) -> Option<Input> {
        let (source, target) = (&self.plan.source, &self.plan.target);
        Some(match effect {
            Effect::List { directory, after } => {
                let page =
                    persist(&self.views, Side::Source, || source.list(&directory, after.as_deref())).await;
                Input::Listed {
                    directory,
                    page: page.map(|page| (page.entries, page.next)).map_err(|error| failure(&error)),
                }
            }
            Effect::LookUp { edge } => {
                let found = self.look_up(&edge).await.map_err(|error| failure(&error));
                Input::Looked { edge, found }
            }
            Effect::MakeDirectory { edge, entry, path } => {
                let outcome = self
                    .make_directory(&entry, &self.final_path(&path))
                    .await
                    .map_err(|error| failure(&error));
                Input::DirectoryMade { edge, entry, outcome }
            }
            Effect::SetAttributes { edge, entry, path } => {
                let (path, attributes) = (self.final_path(&path), attributes_of(&entry));
                let outcome =
                    persist(&self.views, Side::Target, || target.set_attributes(&path, &attributes)).await;
                Input::AttributesSet {
                    edge,
                    entry,
                    outcome: outcome.map(|etag| etag.0).map_err(|error| failure(&error)),
                }
            }
            Effect::Copy { edge, entry, staging, checkpoints } => {
                let staging = self.plan.staging.join(&staging);
                let outcome = Transfer::new(self, &edge, &entry, &staging).run(&checkpoints).await;
                Input::Copied { edge, entry, outcome: outcome.map_err(|error| failure(&error)) }
            }
            Effect::Publish { edge, entry, staging, staged, path, expected } => {
                let outcome = self.publish(&edge, &entry, &staging, &staged, &path, &expected).await;
                Input::Published { edge, entry, outcome }
            }
            Effect::Move { from, to, etag } => {
                let outcome =
                    self.move_path(&self.final_path(&from), &self.final_path(&to), etag.map(Etag)).await;
                Input::Moved { outcome }
            }
            Effect::Discard { staging } => {
                let path = self.plan.staging.join(&staging);
                // Best effort: what stays is in our own folder and goes with it.
                let _ = target.delete(&path, false, &Condition::Any).await;
                return None;
            }
            Effect::Flush { .. } | Effect::Finished => return None,
        })
    }

    /// The staged copy becomes visible, if the source still has what was copied and nothing else is in the way.
    async fn publish(
        &self,
        edge: &Edge,
        entry: &Entry,
        staging: &str,
        staged: &Staged,
        path: &str,
        expected: &Expected,
    ) -> PublishOutcome {
        match self.look_up(edge).await {
            Ok(Some(now)) if (&now.id, &now.kind) == (&entry.id, &entry.kind) => {}
            Ok(now) => return PublishOutcome::SourceChanged(now),
            Err(error) if error.kind() == ErrorKind::Gone => return PublishOutcome::SourceChanged(None),
            Err(error) => return PublishOutcome::Failed(failure(&error)),
        }
        let (from, to) = (self.plan.staging.join(staging), self.final_path(path));
        let condition = match expected {
            Expected::Absent => Condition::Absent,
            Expected::Etag(etag) => Condition::Unchanged(Etag(etag.clone())),
        };
        let etag = Etag(staged.etag.clone());
        let target = &self.plan.target;
        let renamed =
            persist(&self.views, Side::Target, || target.rename(&from, &to, &condition, Some(&etag))).await;
        let Err(error) = renamed else { return PublishOutcome::Done };
        // Whatever the reason, what stands at the destination decides: an earlier process may have been here.
        match persist(&self.views, Side::Target, || target.properties(&to)).await {
            Ok(Some(there)) if there.etag == etag => PublishOutcome::Done,
            Ok(Some(there)) if error.kind() == ErrorKind::Conflict => {
                PublishOutcome::Occupied((!there.is_directory).then_some(there.etag.0))
            }
            Ok(None) if error.kind() == ErrorKind::Conflict => PublishOutcome::Failed(stale(&error)),
            _ => PublishOutcome::Failed(failure(&error)),
        }
    }

    async fn move_path(&self, from: &TargetPath, to: &TargetPath, etag: Option<Etag>) -> Result<(), Failure> {
        let target = &self.plan.target;
        let moved =
            persist(&self.views, Side::Target, || target.rename(from, to, &Condition::Absent, etag.as_ref()))
                .await;
        let Err(error) = moved else { return Ok(()) };
        if error.kind() == ErrorKind::Gone {
            // An earlier process may have moved it already.
            let there = persist(&self.views, Side::Target, || target.properties(to)).await;
            return match there {
                Ok(Some(there)) if etag.as_ref().map_or(there.is_directory, |etag| there.etag == *etag) => {
                    Ok(())
                }
                _ => Err(failure(&error)),
            };
        }
        let refused_for_etag = error.kind() == ErrorKind::Conflict && etag.is_some();
        Err(if refused_for_etag { stale(&error) } else { failure(&error) })
    }

    async fn make_directory(&self, entry: &Entry, path: &TargetPath) -> Result<(), Error> {
        let (target, attributes) = (&self.plan.target, attributes_of(entry));
        if !path.is_root() {
            let made = persist(&self.views, Side::Target, || {
                target.create_directory(path, &attributes, &Condition::Absent)
            })
            .await;
            match made {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
            let there = persist(&self.views, Side::Target, || target.properties(path)).await?;
            if there.is_some_and(|there| !there.is_directory) {
                let what = "a file stands where the source has a directory; move it away and start the migration again";
                return Err(Error::new(ErrorKind::Fatal, "make directory", path.as_str(), what));
            }
        }
        persist(&self.views, Side::Target, || target.set_attributes(path, &attributes)).await.map(|_| ())
    }

    pub(super) async fn look_up(&self, edge: &Edge) -> Result<Option<Entry>, Error> {
        let source = &self.plan.source;
        if !edge.is_root() {
            return persist(&self.views, Side::Source, || source.look_up(&edge.directory, &edge.name)).await;
        }
        match persist(&self.views, Side::Source, || source.resolve(&self.plan.source_path)).await {
            Ok(root) => Ok(Some(root)),
            Err(error) if error.kind() == ErrorKind::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn final_path(&self, path: &str) -> TargetPath {
        self.plan.target_path.join(path)
    }

    /// Announces a flush position and waits until the journal holds it.
    pub(super) async fn announce_flush(&self, edge: &Edge, offset: u64, crc32c: u32) {
        let (durable, wait) = oneshot::channel();
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).insert(edge.clone(), durable);
        // Both fail only when the migration stops, and then this task is dropped.
        let _ = self.answers.send(Input::Flushing { edge: edge.clone(), offset, crc32c }).await;
        let _ = wait.await;
    }

    pub(super) async fn flushed(&self, edge: &Edge, offset: u64) {
        let _ = self.answers.send(Input::Flushed { edge: edge.clone(), offset }).await;
    }

    fn checkpoint_is_durable(&self, edge: &Edge) {
        if let Some(waiting) = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(edge) {
            let _ = waiting.send(());
        }
    }
}

/// What the target keeps of an entry: its permissions, and as properties where it came from.
pub(super) fn attributes_of(entry: &Entry) -> Attributes {
    let mut properties = std::collections::BTreeMap::from([
        ("livedata_source_id".to_owned(), entry.id.to_hex()),
        ("livedata_modified_ms".to_owned(), entry.modified_ms.to_string()),
    ]);
    if let EntryKind::File { version, .. } = &entry.kind {
        properties.insert("livedata_version".to_owned(), version.to_hex());
    }
    Attributes { permissions: Some(entry.permissions), properties, ..Attributes::default() }
}

fn failure(error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Gone | ErrorKind::Changed => FailureKind::Stale,
        _ => FailureKind::Final,
    };
    Failure { kind, reason: error.message().to_owned() }
}

fn stale(error: &Error) -> Failure {
    Failure { kind: FailureKind::Stale, reason: error.message().to_owned() }
}
