//! Carries out effects, one task each, and answers with inputs. How many run at once is the engine's limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livedata_engine::{
    Applied, AttributesOutcome, Cause, Edge, Effect, Failure, FailureKind, Input, MakeOutcome, Place,
    PublishOutcome, UNKNOWN, attributes,
};
use livedata_filesystem::{
    Attributes, Condition, Entry, EntryKind, Error, ErrorKind, Etag, Extras, TargetPath, xattr_properties,
};
use livedata_model::feed::Position;
use tokio::sync::{OnceCell, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::origin::properties;
use super::patience::{self, Pauses, Side, persist};
use super::principals::Principals;
use super::transfer::Transfer;
use super::view::{Fault, View};
use super::{Plan, Told};
use crate::feed::JournalFault;

/// Of a path that cannot be read, while others can.
const TRIES_OF_A_PATH: u32 = 5;

/// Many paths that may not be read cost one look at the root in this time.
const SEEN_OPEN_FOR: Duration = Duration::from_secs(1);

/// Between two tries to read the event journal.
const FEED_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Executor {
    context: Arc<Context>,
    cancel: CancellationToken,
}

/// What a task needs to carry out an effect.
pub(super) struct Context {
    pub plan: Plan,
    pub views: watch::Sender<View>,
    answers: mpsc::Sender<Told>,
    principals: Arc<Principals>,
    /// Copies that wait for their checkpoint to become durable.
    checkpoints: Mutex<HashMap<Edge, oneshot::Sender<()>>>,
    /// The folder for what is removed is there.
    trash_is_made: OnceCell<()>,
    tree: OnceCell<Option<String>>,
    /// When the root of the migration was seen to be readable.
    seen_open: tokio::sync::Mutex<Option<Instant>>,
}

impl Executor {
    pub fn new(
        plan: Plan,
        answers: mpsc::Sender<Told>,
        views: watch::Sender<View>,
        principals: Arc<Principals>,
        cancel: CancellationToken,
    ) -> Self {
        let (checkpoints, trash_is_made, tree, seen_open) = Default::default();
        let context = Arc::new(Context {
            plan,
            views,
            answers,
            principals,
            checkpoints,
            trash_is_made,
            tree,
            seen_open,
        });
        Self { context, cancel }
    }

    /// Looks for the root, which begins the run for this start or refuses it.
    pub fn resolve_root(&self, start: u64) {
        let context = Arc::clone(&self.context);
        self.spawn(async move { Some(context.root(start).await) });
    }

    pub fn execute_all(&self, effects: Vec<Effect>) {
        effects.into_iter().for_each(|effect| self.execute(effect));
    }

    fn execute(&self, effect: Effect) {
        match effect {
            Effect::Flush { edge, .. } => self.context.checkpoint_is_durable(&edge),
            Effect::CaughtUp => {
                tracing::info!(migration = self.context.plan.name, "everything has arrived; changes follow")
            }
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
                    let _ = answers.send(Told::from(input)).await;
                }
            };
            // Dropping the work in the middle is what a crash would do to it.
            cancel.run_until_cancelled(answered).await;
        });
    }
}

impl Context {
    /// R0: the position of the feed first, then the look.
    async fn root(&self, start: u64) -> Input {
        let path = &self.plan.source_path;
        let position = match &self.plan.feed {
            None => None,
            Some(feed) => match persist(&self.views, Side::Source, || feed.position()).await {
                Ok(position) => Some(position.0),
                Err(error) => {
                    let why = error.message();
                    let reason = match error.kind() {
                        ErrorKind::Denied => {
                            format!("NotSuperuser: the changes of the source may not be read: {why}")
                        }
                        _ => format!("the changes of the source cannot be read: {why}"),
                    };
                    return Input::Refuse { start, missing: false, reason };
                }
            },
        };
        match self.at_source(|| self.plan.source.resolve(path)).await {
            Ok(root) if root.kind == EntryKind::Directory => Input::Start { start, root, position },
            Ok(other) => {
                let reason = if other.kind == EntryKind::Symlink {
                    "at the source it is a symbolic link, which is not followed"
                } else {
                    "at the source it is not a directory"
                };
                Input::Refuse { start, missing: false, reason: reason.to_owned() }
            }
            Err(error) if error.kind() == ErrorKind::Gone => {
                Input::Refuse { start, missing: true, reason: "it does not exist at the source".to_owned() }
            }
            Err(error) => {
                let reason = format!("it cannot be looked up at the source: {}", error.message());
                Input::Refuse { start, missing: false, reason }
            }
        }
    }

    /// Asks the source. What cannot be read is a finding of its path, after some tries if another may succeed; but as long as
    /// the root of the migration cannot be read either, it is the source that is waited for.
    pub(super) async fn at_source<T, Attempt>(&self, mut attempt: impl FnMut() -> Attempt) -> Result<T, Error>
    where
        Attempt: Future<Output = Result<T, Error>>,
    {
        let (mut tries, mut pauses) = (0, Pauses::new());
        loop {
            let error = match persist(&self.views, Side::Source, &mut attempt).await {
                Ok(answer) => {
                    patience::clear_shut(&self.views);
                    return Ok(answer);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unreadable) => error,
                Err(error) => return Err(error),
            };
            if let Some(shut) = self.shut().await {
                patience::report_shut(&self.views, &self.plan.source_path, &shut);
                tries = 0;
            } else {
                patience::clear_shut(&self.views);
                tries += 1;
                if error.kind() == ErrorKind::Denied || tries == TRIES_OF_A_PATH {
                    return Err(error);
                }
            }
            pauses.pause(None).await;
        }
    }

    /// Why the root of the migration cannot be read at present. That it is not there whoever looks at it finds out.
    async fn shut(&self) -> Option<Error> {
        let mut open = self.seen_open.lock().await;
        if open.is_some_and(|open| open.elapsed() < SEEN_OPEN_FOR) {
            return None;
        }
        let source = &self.plan.source;
        let looked = async {
            let root = source.resolve(&self.plan.source_path).await?;
            source.list(&root.id, None).await
        };
        let error = looked.await.err().filter(|error| {
            error.kind().is_retryable() || matches!(error.kind(), ErrorKind::Denied | ErrorKind::Unreadable)
        });
        *open = error.is_none().then(Instant::now);
        error
    }

    async fn carry_out(&self, effect: Effect) -> Option<Input> {
        let source = &self.plan.source;
        Some(match effect {
            Effect::Survey { directory, place, after } => {
                let page = self.survey(&place, after.as_deref()).await;
                Input::Surveyed { directory, place, page: page.map_err(|error| failure(&error)) }
            }
            Effect::Resolve { start } => self.root(start).await,
            Effect::List { directory, after, ticket } => {
                let page = self.at_source(|| source.list(&directory, after.as_deref())).await;
                if let Ok(page) = &page {
                    self.principals.note(&page.entries);
                }
                let page = page.map(|page| (page.entries, page.next)).map_err(|error| failure(&error));
                Input::Listed { directory, ticket, page, position: self.position().await }
            }
            Effect::LookUp { edge } => {
                let found = self.look_closely(&edge).await.map_err(|error| failure(&error));
                if let Ok(found) = &found {
                    self.principals.note(found);
                }
                Input::Looked { edge, found, position: self.position().await }
            }
            Effect::LookCloser { edge, entry } => {
                let found = self.extras(&edge, &entry).await.map_err(|error| failure(&error));
                if let Ok(extras) = &found {
                    self.principals.note_extras(extras);
                }
                Input::LookedCloser {
                    found: found.map(|extras| Entry { extras: Some(extras), ..entry }),
                    edge,
                }
            }
            Effect::MakeDirectory { edge, entry, path } => {
                let outcome = match self.make_directory(&edge, &entry, &self.final_path(&path)).await {
                    Ok(outcome) => outcome,
                    Err(error) => MakeOutcome::Failed(failure(&error)),
                };
                Input::DirectoryMade { edge, entry, outcome }
            }
            Effect::SetAttributes { edge, entry, path, etag } => {
                let outcome = self.set_attributes(&edge, &entry, &self.final_path(&path), etag).await;
                let outcome = outcome.unwrap_or_else(|error| AttributesOutcome::Failed(failure(&error)));
                Input::AttributesSet { edge, entry, outcome }
            }
            Effect::Copy { edge, entry, staging, checkpoints } => {
                let staging = self.plan.staging.join(&staging);
                let outcome = Transfer::new(self, &edge, &entry, &staging).run(&checkpoints).await;
                Input::Copied { edge, entry, outcome: outcome.map_err(|error| failure(&error)) }
            }
            Effect::Publish { edge, entry, staging, staged, path, expected, replaces } => {
                let staging = self.plan.staging.join(&staging);
                let path = self.final_path(&path);
                let outcome = self
                    .publish(&edge, &entry, (&staging, &staged), &path, &expected, replaces.as_ref())
                    .await;
                if matches!(outcome, PublishOutcome::Done) {
                    self.plan.traffic.published();
                }
                Input::Published { edge, entry, outcome }
            }
            Effect::Move { node, from, to, etag, expected, replaces } => {
                let (from, to) = (self.place(&from), self.place(&to));
                self.make_trash(&to).await;
                let outcome =
                    self.rename(&node, (&from, &to), etag.map(Etag), &expected, replaces.as_ref()).await;
                Input::Moved { node, outcome }
            }
            Effect::SetAside { edge, path, to } => {
                let (from, place) = (self.final_path(&path), self.place(&to));
                self.make_trash(&place).await;
                let outcome = self.set_aside(&from, &place).await;
                Input::SetAside { edge, to, outcome }
            }
            Effect::Probe { node, path } => {
                Input::Probed { node, there: self.there(&self.final_path(&path)).await.ok().flatten() }
            }
            Effect::Purge { node, at } => {
                let outcome = self.delete(&self.place(&at), true).await;
                Input::Purged { node, outcome }
            }
            Effect::Discard { staging } => {
                // What stays is in our own folder and goes with it.
                let _ = self.delete(&self.plan.staging.join(&staging), false).await;
                Input::Discarded { staging }
            }
            Effect::ReadFeed { after } => Input::Fed(self.read_feed(after).await?),
            Effect::Flush { .. } | Effect::CaughtUp | Effect::Finished => return None,
        })
    }

    async fn read_feed(&self, after: u64) -> Option<livedata_filesystem::Reading> {
        let feed = self.plan.feed.as_ref()?;
        let mut failed = false;
        loop {
            match feed.after(&self.plan.consumer, Position(after)).await {
                Ok(reading) => {
                    if failed {
                        self.views.send_modify(View::journals_work);
                    }
                    return Some(reading);
                }
                Err(JournalFault { disk_full, message }) => {
                    failed = true;
                    tracing::error!(message, "waiting and trying again");
                    let fault = if disk_full { Fault::DiskFull } else { Fault::JournalUnusable };
                    self.views.send_modify(|view| {
                        view.journals_work();
                        view.faults.insert(fault, message);
                    });
                    tokio::time::sleep(FEED_PAUSE).await;
                }
            }
        }
    }

    /// Of the source, asked for after a look was answered; 0 without a feed.
    async fn position(&self) -> u64 {
        let Some(feed) = &self.plan.feed else { return 0 };
        loop {
            match persist(&self.views, Side::Source, || feed.position()).await {
                Ok(position) => return position.0,
                // The feed says so in its status; without it nothing is certain of this look.
                Err(error) => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the source does not say where it is"
                    );
                    tokio::time::sleep(FEED_PAUSE).await;
                }
            }
        }
    }

    async fn make_directory(
        &self,
        edge: &Edge,
        entry: &Entry,
        path: &TargetPath,
    ) -> Result<MakeOutcome, Error> {
        let target = &self.plan.target;
        let (attributes, applied) = self.attributes(edge, entry).await?;
        if !path.is_root() {
            let made = persist(&self.views, Side::Target, || {
                target.create_directory(path, &attributes, &Condition::Absent)
            })
            .await;
            match made {
                Ok(_) => return Ok(MakeOutcome::Done(applied)),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
            match persist(&self.views, Side::Target, || target.properties(path)).await? {
                Some(there) if !there.is_directory => return Ok(MakeOutcome::Occupied),
                Some(_) => {}
                // It was taken away, or the store means something else: in its own words, if it says so again.
                None => {
                    let again = || target.create_directory(path, &attributes, &Condition::Absent);
                    persist(&self.views, Side::Target, again).await?;
                    return Ok(MakeOutcome::Done(applied));
                }
            }
        }
        persist(&self.views, Side::Target, || target.set_attributes(path, &attributes, &Condition::Any))
            .await?;
        Ok(MakeOutcome::Done(applied))
    }

    async fn set_attributes(
        &self,
        edge: &Edge,
        entry: &Entry,
        path: &TargetPath,
        etag: Option<String>,
    ) -> Result<AttributesOutcome, Error> {
        let target = &self.plan.target;
        let (attributes, applied) = self.attributes(edge, entry).await?;
        let condition = etag.map_or(Condition::Any, |etag| Condition::Unchanged(Etag(etag)));
        let set =
            persist(&self.views, Side::Target, || target.set_attributes(path, &attributes, &condition)).await;
        match set {
            Ok(Etag(etag)) => Ok(AttributesOutcome::Done { etag, applied }),
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Gone) => {
                Ok(match self.there(path).await? {
                    Some(there) => AttributesOutcome::Differs(there),
                    None => AttributesOutcome::Gone,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// What the target is to have of an entry, and what is said of it once it has that: extended attributes that do not fit are
    /// left out, all of them, and everything else is not.
    pub(super) async fn attributes(
        &self,
        edge: &Edge,
        entry: &Entry,
    ) -> Result<(Attributes, Applied), Error> {
        let extras = self.extras(edge, entry).await?;
        self.principals.note_extras(&extras);
        let mut properties = properties(entry, self.tree().await?);
        let left_out = match xattr_properties::properties_of(&extras.xattrs) {
            Ok(xattrs) => {
                properties.extend(xattrs);
                None
            }
            Err(too_large) => Some(format!("all of it is there but its extended attributes: {too_large}")),
        };
        let attributes =
            Attributes { permissions: Some(entry.permissions), acl: extras.acl.clone(), properties };
        let seen = Entry { extras: Some(extras), ..entry.clone() };
        let digest = attributes::digest(&seen).filter(|_| left_out.is_none()).unwrap_or(UNKNOWN);
        Ok((attributes, Applied { digest, left_out }))
    }

    /// What copies say that they are of, in the words of [`super::origin`]: of one directory of one source, for what another
    /// directory left at the same place is not ours. Asked for once.
    pub(super) async fn tree(&self) -> Result<Option<&str>, Error> {
        Ok(self.tree.get_or_try_init(|| self.name_tree()).await?.as_deref())
    }

    async fn name_tree(&self) -> Result<Option<String>, Error> {
        let Some(namespace) = self.at_source(|| self.plan.source.namespace()).await? else {
            return Ok(None);
        };
        match self.at_source(|| self.plan.source.resolve(&self.plan.source_path)).await {
            Ok(root) => Ok(Some(format!("{namespace} {}", root.id.to_hex()))),
            // It went while nobody looked. That is for the engine to find; what is still copied says of nothing that it is its.
            Err(error) if error.kind() == ErrorKind::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn extras(&self, edge: &Edge, entry: &Entry) -> Result<Extras, Error> {
        match &entry.extras {
            Some(extras) => Ok(extras.clone()),
            None => self.at_source(|| self.plan.source.extras(entry, &edge.directory)).await,
        }
    }

    /// With everything that takes part in equality. (Nothing is equal to a file that is open for writing.)
    async fn look_closely(&self, edge: &Edge) -> Result<Option<Entry>, Error> {
        let Some(mut entry) = self.look_up(edge).await? else { return Ok(None) };
        if matches!(entry.kind, EntryKind::Directory | EntryKind::File { open_for_write: false, .. }) {
            entry.extras = match self.extras(edge, &entry).await {
                Ok(extras) => Some(extras),
                // It went between the two questions: this is not to say that nothing came in its place.
                Err(error) if error.kind() == ErrorKind::Gone => {
                    return Box::pin(self.look_closely(edge)).await;
                }
                Err(error) => return Err(error),
            };
        }
        Ok(Some(entry))
    }

    pub(super) async fn look_up(&self, edge: &Edge) -> Result<Option<Entry>, Error> {
        let source = &self.plan.source;
        if !edge.is_root() {
            return self.at_source(|| source.look_up(&edge.directory, &edge.name)).await;
        }
        match self.at_source(|| source.resolve(&self.plan.source_path)).await {
            Ok(root) => Ok(Some(root)),
            Err(error) if error.kind() == ErrorKind::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A rename does not make the folder that it leads into.
    async fn make_trash(&self, to: &TargetPath) {
        let trash = &self.plan.trash;
        if !to.as_str().starts_with(trash.as_str()) {
            return;
        }
        let made = self.trash_is_made.get_or_try_init(|| async {
            let (target, plain) = (&self.plan.target, Attributes::default());
            let made = persist(&self.views, Side::Target, || {
                target.create_directory(trash, &plain, &Condition::Absent)
            });
            match made.await {
                Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
                _ => Ok(()),
            }
        });
        if let Err(error) = made.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "no folder for what is removed");
        }
    }

    pub(super) fn place(&self, place: &Place) -> TargetPath {
        match place {
            Place::Tree(path) => self.final_path(path),
            Place::Trash(path) => self.plan.trash.join(path),
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
        let input = Input::Flushing { edge: edge.clone(), offset, crc32c };
        let _ = self.answers.send(Told::from(input)).await;
        let _ = wait.await;
    }

    pub(super) async fn flushed(&self, edge: &Edge, offset: u64) {
        let _ = self.answers.send(Told::from(Input::Flushed { edge: edge.clone(), offset })).await;
    }

    fn checkpoint_is_durable(&self, edge: &Edge) {
        if let Some(waiting) = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner).remove(edge) {
            let _ = waiting.send(());
        }
    }
}

pub(super) fn failure(error: &Error) -> Failure {
    let kind = match error.kind() {
        ErrorKind::Gone | ErrorKind::Changed => FailureKind::Stale,
        ErrorKind::Denied => FailureKind::Final(Cause::Denied),
        ErrorKind::Conflict => FailureKind::Final(Cause::Obstructed),
        ErrorKind::NameRefused => FailureKind::Final(Cause::NameRefused),
        ErrorKind::TooLarge => FailureKind::Final(Cause::AttributesTooLarge),
        // The first three are waited for as long as they last.
        ErrorKind::Throttled { .. }
        | ErrorKind::Unreachable
        | ErrorKind::Unusable
        | ErrorKind::Unreadable
        | ErrorKind::Fatal => FailureKind::Final(Cause::Other),
    };
    Failure { kind, reason: error.message().to_owned() }
}

pub(super) fn stale(error: &Error) -> Failure {
    Failure { kind: FailureKind::Stale, reason: error.message().to_owned() }
}
