//! Makes the set of running migrations what desired state says, level-driven: each look compares the whole of both.
//!
//! Woken by changes of desired state and twice a second; never by the order in which things happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livedata_engine::{Input, Phase, Policy};
use livedata_filesystem::{Condition, Target, TargetPath};
use livedata_model::command::CommandKind;
use livedata_model::path::RESERVED;
use livedata_model::pattern::Pattern;
use livedata_model::report::{FailedPaths, MigrationReport};
use livedata_model::spec::{Body, Item, MigrationSpec, MigratorSpec, Mode, RunState, TargetSpec};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::feed::Feed;
use crate::host::Host;
use crate::ledger::Ledger;
use crate::migration::{self, Migration, Plan, Traffic, View};
use crate::preflight;
use crate::reports::{Blocked, Lister, Reporter, Situation, Squeeze};
use crate::support;
use crate::wiring::{self, SharedLimits};

/// How often running migrations are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub struct Supervisor {
    ledger: Arc<Mutex<Ledger>>,
    changed: Arc<Notify>,
    reports: watch::Sender<Arc<Vec<MigrationReport>>>,
    failed_paths: watch::Sender<Arc<Vec<FailedPaths>>>,
    disowned: watch::Receiver<bool>,
    host: Host,
    limits: SharedLimits,
    migrations: BTreeMap<String, Supervised>,
    /// By source; each for as long as a migration follows it.
    feeds: BTreeMap<String, Arc<Feed>>,
    /// What feeds were told to keep events for.
    consumers: BTreeSet<String>,
    /// What is found out about these sources.
    preflights: BTreeMap<String, preflight::Watcher>,
    squeeze: Squeeze,
    /// Since the ledger could not be written.
    ledger_backoff: Backoff,
}

/// Where the supervisor puts what the provider is to hear.
pub struct Outlets {
    pub reports: watch::Sender<Arc<Vec<MigrationReport>>>,
    pub failed_paths: watch::Sender<Arc<Vec<FailedPaths>>>,
}

/// One migration of desired state.
#[derive(Default)]
struct Supervised {
    running: Option<Running>,
    /// While nothing runs: what its journal said when we last looked.
    resting: Option<View>,
    looked: bool,
    /// Since its journal, or that of its feed, failed.
    backoff: Backoff,
    /// Why it could not be started then, if the view does not say so.
    failure: Option<Blocked>,
    /// Where its data comes from and goes to, if known: the journal is of that and of nothing else.
    route: Option<String>,
    /// Of this incarnation of it.
    traffic: Option<(String, Arc<Traffic>)>,
    reporter: Reporter,
    failed_paths: Lister,
    /// To clean up behind it once it is removed.
    leftovers: Option<(Arc<dyn Target>, TargetPath)>,
}

impl Supervised {
    /// One that is made anew under its old id has an account of its own.
    fn traffic(&mut self, incarnation: &str) -> &Arc<Traffic> {
        let known = self.traffic.take().filter(|(known, _)| known == incarnation);
        let begun = || (incarnation.to_owned(), Arc::new(Traffic::since(crate::clock::now_ms())));
        &self.traffic.insert(known.unwrap_or_else(begun)).1
    }
}

struct Running {
    migration: Migration,
    view: watch::Receiver<View>,
    /// What it was started with: when that changes, it is started anew.
    recipe: Recipe,
    /// Where the migrator's paths begin at the source.
    source_base: String,
    feed: Option<Arc<Feed>>,
    /// It is to stop once what is on its way has arrived.
    drains: bool,
}

#[derive(Clone, Eq, PartialEq)]
struct Recipe {
    source: (String, Option<String>),
    target: TargetSpec,
    migration: MigrationSpec,
    coordinator_epoch: u64,
}

impl Recipe {
    /// Migrations with the same one share a feed: what a NameNode tells depends on who asks.
    fn feed_key(&self) -> String {
        let (uri, user) = &self.source;
        digest(&format!("{uri}\n{}", user.as_deref().unwrap_or_default()))
    }

    /// A migration that was deleted and made anew under its old id while the agent was away shows as another body. What the
    /// old one did says nothing about the new one, even if it reads and writes at the same places.
    fn route(&self) -> String {
        let Self { source, target, migration, .. } = self;
        digest(&format!(
            "{}\n{}\n{}\n{}\n{}\n{}\n{}",
            migration.incarnation,
            migration.reset_count,
            source.0,
            migration.source_path,
            target.account,
            target.container,
            migration.target_path
        ))
    }
}

/// Desired state, sorted by kind.
struct Desired {
    migrator: Option<MigratorSpec>,
    targets: BTreeMap<String, TargetSpec>,
    /// Or why one is not acted on. Resources of other kinds that are not acted on stand here, too: each has its report.
    migrations: BTreeMap<String, (u64, Result<MigrationSpec, String>)>,
    coordinator_epoch: u64,
    /// The migrator has another agent, or none: nothing may reach the target any more.
    disowned: bool,
}

impl Desired {
    /// `None` while its target is not known.
    fn recipe(&self, spec: &MigrationSpec) -> Option<Recipe> {
        let (migrator, target) = self.migrator.as_ref().zip(self.targets.get(&spec.target))?;
        Some(Recipe {
            source: (migrator.source_uri.clone(), migrator.source_user.clone()),
            target: target.clone(),
            migration: spec.clone(),
            coordinator_epoch: self.coordinator_epoch,
        })
    }

    /// What feeds know the migrations by; `None` while that is not known of all.
    fn consumers(&self) -> Option<BTreeSet<String>> {
        let specs = self.migrations.iter().filter_map(|(id, (_, spec))| Some((id, spec.as_ref().ok()?)));
        specs.map(|(id, spec)| Some(consumer(id, &self.recipe(spec)?.route()))).collect()
    }
}

impl Supervisor {
    /// While `disowned` holds nothing runs, whatever the ledger says.
    pub fn new(
        ledger: Arc<Mutex<Ledger>>,
        changed: Arc<Notify>,
        outlets: Outlets,
        disowned: watch::Receiver<bool>,
        host: Host,
    ) -> Self {
        let Outlets { reports, failed_paths } = outlets;
        let supervisor = Self {
            ledger,
            changed,
            reports,
            failed_paths,
            disowned,
            host,
            limits: SharedLimits::new(),
            migrations: BTreeMap::new(),
            feeds: BTreeMap::new(),
            preflights: BTreeMap::new(),
            squeeze: Squeeze::default(),
            consumers: BTreeSet::new(),
            ledger_backoff: Backoff::default(),
        };
        supervisor.remove_orphans();
        supervisor
    }

    /// Runs until cancelled; then everything is stopped where it is.
    pub async fn run(mut self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            self.look(&cancel).await;
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.changed.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        for (_, supervised) in std::mem::take(&mut self.migrations) {
            if let Some(running) = supervised.running {
                running.migration.stop().await;
            }
        }
    }

    async fn look(&mut self, cancel: &CancellationToken) {
        let no_room = self.look_at_ledger().await;
        let desired = self.desired();
        if let Some(migrator) = &desired.migrator {
            self.limits.set_rate(migrator.max_bytes_per_second);
        }
        let (now, waited) = self.limits.waited();
        let limits = self.squeeze.look(now, waited);
        self.remove_undesired(&desired).await;
        self.forget_consumers(&desired);
        self.carry_out_commands(&desired).await;
        let mut slots = desired
            .migrator
            .as_ref()
            .and_then(|migrator| migrator.max_running_migrations)
            .map_or(usize::MAX, |limit| limit as usize);
        let (mut reports, mut lists) = (Vec::new(), Vec::new());
        for (id, (generation, spec)) in &desired.migrations {
            let mut supervised = self.migrations.remove(id).unwrap_or_default();
            let blocked = match spec {
                Ok(spec) => self.steer(&mut supervised, id, spec, &desired, &mut slots, cancel).await.err(),
                Err(why) => Some(Blocked::NotSupported(why.clone())),
            };
            let view = supervised.running.as_ref().map(|running| running.view.borrow().clone());
            let view = view.or_else(|| supervised.resting.clone());
            let preflight = supervised
                .running
                .as_ref()
                .filter(|running| running.feed.is_some())
                .and_then(|running| self.preflights.get(&running.recipe.feed_key()))
                .map(preflight::Watcher::findings);
            let bandwidth_limit = desired
                .migrator
                .as_ref()
                .and_then(|migrator| migrator.max_bytes_per_second)
                .filter(|_| limits);
            let sent = spec.as_ref().ok().map(|spec| supervised.traffic(&spec.incarnation).so_far());
            reports.push(supervised.reporter.report(&Situation {
                id,
                generation: *generation,
                run_state: spec.as_ref().map_or(RunState::Stopped, |spec| spec.run),
                started: spec.as_ref().is_ok_and(|spec| spec.start_count > 0),
                view: view.as_ref(),
                route: supervised.route.as_deref(),
                sent,
                drains: supervised.running.as_ref().is_some_and(|running| running.drains),
                feed: supervised.running.as_ref().and_then(|running| running.feed.as_deref()),
                blocked: blocked.as_ref(),
                ignored: spec.as_ref().ok().and_then(support::ignored_of_migration),
                preflight: preflight.as_deref().map_or(&[], Vec::as_slice),
                bandwidth_limit,
                no_room: no_room.as_deref(),
                now_ms: crate::clock::now_ms(),
            }));
            if let Ok(spec) = spec {
                lists.push(supervised.failed_paths.list(id, spec, view.as_ref()));
            }
            self.migrations.insert(id.clone(), supervised);
        }
        replace(&self.reports, reports);
        replace(&self.failed_paths, lists);
        let followed: BTreeSet<String> = self
            .migrations
            .values()
            .filter_map(|supervised| supervised.running.as_ref())
            .filter(|running| running.feed.is_some())
            .map(|running| running.recipe.feed_key())
            .collect();
        self.feeds.retain(|key, _| followed.contains(key));
        self.preflights.retain(|key, _| followed.contains(key));
    }

    /// Why what comes from the provider cannot be stored. Now and then it is tried.
    async fn look_at_ledger(&mut self) -> Option<String> {
        let trouble =
            || self.ledger.lock().unwrap_or_else(PoisonError::into_inner).trouble().map(str::to_owned);
        let known = trouble()?;
        if self.ledger_backoff.waits(Instant::now()) {
            return Some(known);
        }
        let ledger = Arc::clone(&self.ledger);
        let written = tokio::task::spawn_blocking(move || {
            ledger.lock().unwrap_or_else(PoisonError::into_inner).write_again()
        });
        if let Ok(Ok(())) = written.await {
            self.ledger_backoff = Backoff::default();
            tracing::info!("the agent's folder can be written again");
        } else {
            tracing::error!(error = known, "what the provider sends cannot be stored");
            self.ledger_backoff.failed(Instant::now());
        }
        trouble()
    }

    /// What operators want done once. A command is done when the engine has it on disk, or when there is no engine for it.
    async fn carry_out_commands(&mut self, desired: &Desired) {
        let commands = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).commands();
        for command in commands {
            let known = desired.migrations.get(&command.migration).and_then(|(_, spec)| spec.as_ref().ok());
            let current = known.is_some_and(|spec| command.is_for(spec) && spec.run == RunState::Running);
            let running =
                self.migrations.get(&command.migration).and_then(|supervised| supervised.running.as_ref());
            let done = match (current, running) {
                (false, _) => true,
                // It waits for its turn, for its target: the command waits with it.
                (true, None) => false,
                (true, Some(running)) => {
                    let base = &running.source_base;
                    let input = match &command.kind {
                        CommandKind::Rescan { path } => {
                            Some(Input::Rescan { path: wiring::source_path(base, path) })
                        }
                        CommandKind::RetryFailed => Some(Input::RetryFailed),
                        CommandKind::ApproveDeletes => Some(Input::ApproveDeletes),
                        CommandKind::Unknown => None,
                    };
                    match input {
                        Some(input) => running.migration.tell(input).await,
                        None => true,
                    }
                }
            };
            if !done {
                continue;
            }
            tracing::info!(migration = command.migration, kind = ?command.kind, heeded = current, "command");
            let ledger = Arc::clone(&self.ledger);
            let written = tokio::task::spawn_blocking(move || {
                ledger.lock().unwrap_or_else(PoisonError::into_inner).command_done(&command.id)
            });
            if let Ok(Err(error)) = written.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the command will be done once more"
                );
            }
        }
    }

    fn desired(&self) -> Desired {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut desired = Desired {
            migrator: None,
            targets: BTreeMap::new(),
            migrations: BTreeMap::new(),
            coordinator_epoch: ledger.coordinator_epoch(),
            disowned: *self.disowned.borrow(),
        };
        for Item { id, generation, mut body, .. } in ledger.items().cloned() {
            if let (Body::Migration(spec), true) = (&mut body, desired.disowned) {
                spec.run = RunState::Stopped;
            }
            match body {
                Body::Migrator(mut spec) => {
                    if let Some(why) = support::of_migrator(&spec) {
                        desired.migrations.insert(id, (generation, Err(why)));
                    }
                    if spec.source_uri.is_empty() {
                        spec.source_uri = self.host.default_source.clone().unwrap_or_default();
                    }
                    desired.migrator = Some(spec);
                }
                Body::Target(spec) => drop(desired.targets.insert(id, spec)),
                Body::Migration(spec) => drop(desired.migrations.insert(id, (generation, Ok(spec)))),
                other => drop(desired.migrations.insert(id, (generation, Err(support::of_kind(&other))))),
            }
        }
        desired
    }

    /// Journals of migrations that were removed while no supervisor ran.
    fn remove_orphans(&self) {
        let desired = self.desired();
        // Nothing known, as after the ledger was moved away, is not the same as nothing desired.
        if desired.migrator.is_none() {
            return;
        }
        let wanted: BTreeSet<PathBuf> =
            desired.migrations.keys().map(|id| folder_of(&self.host.folder, id)).collect();
        let Ok(entries) = std::fs::read_dir(self.host.folder.join("migrations")) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| !wanted.contains(path)) {
            if let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(%error, path = %path.display(), "the journal of a removed migration stays");
            }
        }
    }

    /// Data at the target stays; the journal and what was half copied go.
    async fn remove_undesired(&mut self, desired: &Desired) {
        let gone: Vec<String> =
            self.migrations.keys().filter(|id| !desired.migrations.contains_key(*id)).cloned().collect();
        for id in gone {
            let Some(supervised) = self.migrations.remove(&id) else { continue };
            if let Some(running) = supervised.running {
                running.migration.stop().await;
            }
            if let Some((target, staging)) = supervised.leftovers {
                tokio::spawn(async move {
                    if let Err(error) = target.delete(&staging, true, &Condition::Any).await {
                        tracing::info!(
                            error = &error as &dyn std::error::Error,
                            "the staging folder of a removed migration stays"
                        );
                    }
                });
            }
            if let Err(error) = std::fs::remove_dir_all(folder_of(&self.host.folder, &id))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, migration = id, "the journal of a removed migration stays");
            }
            tracing::info!(migration = id, "removed");
        }
    }

    /// Feeds keep events for those that are still to take them, whether they run or not, and for nobody else.
    fn forget_consumers(&mut self, desired: &Desired) {
        let Some(consumers) = desired.consumers().filter(|consumers| *consumers != self.consumers) else {
            return;
        };
        self.feeds.values().for_each(|feed| feed.keep_only(&consumers));
        self.consumers = consumers;
    }

    /// Starts, restarts or stops one migration, or says what keeps it from running.
    async fn steer(
        &mut self,
        supervised: &mut Supervised,
        id: &str,
        spec: &MigrationSpec,
        desired: &Desired,
        slots: &mut usize,
        cancel: &CancellationToken,
    ) -> Result<(), Blocked> {
        let recipe = desired.recipe(spec);
        if let Some(running) = &mut supervised.running {
            let settled = is_settled(running.view.borrow().phase);
            let ended = running.migration.has_ended();
            let unchanged = recipe.as_ref() == Some(&running.recipe);
            let drains = running.drains || spec.run == RunState::Stopped && !desired.disowned;
            if !settled && !ended && (drains || spec.run == RunState::Running && unchanged) {
                supervised.backoff.goes_on(Instant::now());
                *slots = slots.saturating_sub(1);
                if drains {
                    running.migration.drain();
                    running.drains = true;
                }
                return Ok(());
            }
            if let Some(running) = supervised.running.take() {
                let (last, drained) = (running.view.clone(), running.drains);
                running.migration.stop().await;
                let journal_failed = ended && !settled && !drained;
                supervised.resting = Some(last.borrow().clone().at_rest(journal_failed));
                supervised.looked = true;
                if journal_failed {
                    supervised.backoff.failed(Instant::now());
                    supervised.failure = None;
                }
            }
        }
        if let Some(route) = recipe.as_ref().map(Recipe::route) {
            if supervised.route.as_ref() != Some(&route) {
                (supervised.resting, supervised.looked) = (None, false);
            }
            if !supervised.looked {
                let journal = folder_of(&self.host.folder, id).join(&route).join(JOURNAL);
                let source_path = spec.source_path.clone();
                // It checks the whole journal, which may be large.
                let peeked =
                    tokio::task::spawn_blocking(move || migration::peek(&journal, &source_path)).await;
                supervised.resting = peeked.ok().flatten().or(supervised.resting.take());
                supervised.looked = true;
            }
            supervised.route = Some(route);
        }
        if spec.run != RunState::Running {
            supervised.backoff = Backoff::default();
            return Ok(());
        }
        let cannot = support::of_migration(spec)
            .or_else(|| desired.targets.get(&spec.target).and_then(support::of_target));
        if let Some(why) = cannot {
            return Err(Blocked::NotSupported(why));
        }
        let done = supervised
            .resting
            .as_ref()
            .is_some_and(|view| view.start >= spec.start_count && is_settled(view.phase));
        if done {
            return Ok(());
        }
        if supervised.backoff.waits(Instant::now()) {
            return supervised.failure.clone().map_or(Ok(()), Err);
        }
        if *slots == 0 {
            return Err(Blocked::WaitingForTurn);
        }
        let (Some(recipe), Some(migrator)) = (recipe, &desired.migrator) else {
            return Err(Blocked::TargetNotReady("its target has not reached this agent yet".into()));
        };
        let started = self.start(supervised, id, recipe, migrator, cancel);
        *slots -= usize::from(started.is_ok());
        if let Err(failure @ (Blocked::NoRoom(_) | Blocked::JournalUnusable(_))) = &started {
            supervised.failure = Some(failure.clone());
            supervised.backoff.failed(Instant::now());
        }
        started
    }

    fn start(
        &mut self,
        supervised: &mut Supervised,
        id: &str,
        recipe: Recipe,
        migrator: &MigratorSpec,
        cancel: &CancellationToken,
    ) -> Result<(), Blocked> {
        let (source, base) = wiring::source(migrator, &self.host).map_err(Blocked::SourceNotReady)?;
        let target =
            wiring::target(&recipe.target, &self.limits, &self.host).map_err(Blocked::TargetNotReady)?;
        let route = recipe.route();
        let folder = folder_of(&self.host.folder, id).join(&route);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Blocked::NoRoom(format!("{} cannot be made: {error}", folder.display())))?;
        remove_siblings(&folder);
        let ours = TargetPath::new(&format!("{RESERVED}/{}", migrator.guid));
        let (staging_root, coordinator_epoch) = (ours.join("staging"), recipe.coordinator_epoch);
        let leftovers = staging_root.join(&format!("{coordinator_epoch}/{}", digest(id)));
        let staging = leftovers.join(&route);
        let trash = ours.join(&format!("trash/{}", digest(id)));
        let source_path = wiring::source_path(&base, &recipe.migration.source_path);
        let feed = match recipe.migration.mode {
            Mode::Live => Some(self.feed(&recipe, migrator, cancel)?),
            Mode::OneTime | Mode::Recurring => None,
        };
        let plan = Plan {
            name: id.rsplit('/').next().unwrap_or(id).to_owned(),
            journal: folder.join(JOURNAL),
            source,
            policy: policy(&recipe.migration, &source_path)?,
            source_path,
            target: Arc::clone(&target),
            target_path: TargetPath::new(&recipe.migration.target_path),
            staging_root,
            coordinator_epoch,
            staging: staging.clone(),
            leftovers,
            trash,
            start: recipe.migration.start_count,
            traffic: Arc::clone(supervised.traffic(&recipe.migration.incarnation)),
            feed: feed.clone(),
            consumer: consumer(id, &route),
        };
        let view = View::before_start(supervised.resting.clone());
        let migration = Migration::start(plan, view, cancel.child_token())
            .map_err(|error| Blocked::NoRoom(format!("no thread for it: {error}")))?;
        tracing::info!(migration = id, start = recipe.migration.start_count, "running");
        supervised.leftovers = Some((target, staging));
        let view = migration.view();
        supervised.running =
            Some(Running { view, migration, recipe, source_base: base, feed, drains: false });
        Ok(())
    }

    /// The changes of the source, read once for all migrations that follow it.
    fn feed(
        &mut self,
        recipe: &Recipe,
        migrator: &MigratorSpec,
        cancel: &CancellationToken,
    ) -> Result<Arc<Feed>, Blocked> {
        let key = recipe.feed_key();
        if let Some(feed) = self.feeds.get(&key) {
            return Ok(Arc::clone(feed));
        }
        let open = wiring::feed(migrator, &self.host).map_err(Blocked::SourceNotReady)?;
        let folder = self.host.folder.join("feeds").join(&key);
        let feed =
            Feed::start(open, &folder, cancel.child_token()).map_err(|fault| match fault.disk_full {
                true => Blocked::NoRoom(fault.message),
                false => Blocked::JournalUnusable(fault.message),
            })?;
        let feed = Arc::new(feed);
        if let Some(look) = wiring::preflight(migrator, &self.host) {
            let watcher = preflight::Watcher::start(look, cancel.child_token());
            self.preflights.insert(key.clone(), watcher);
        }
        self.feeds.insert(key, Arc::clone(&feed));
        Ok(feed)
    }
}

/// A migration that was reset, or made anew, is another one to its feed.
fn consumer(id: &str, route: &str) -> String {
    format!("{id} {route}")
}

fn is_settled(phase: Phase) -> bool {
    phase != Phase::Idle && !phase.is_active()
}

fn policy(spec: &MigrationSpec, root_path: &str) -> Result<Policy, Blocked> {
    let barriers = spec.barriers.iter().map(|text| Pattern::parse(text)).collect::<Result<_, _>>();
    Ok(Policy {
        deletes: spec.delete_policy,
        drift: spec.drift_policy,
        mass_delete_limit: spec.mass_delete_limit,
        trash_retention_ms: i64::try_from(spec.trash_retention_seconds.saturating_mul(1_000))
            .unwrap_or(i64::MAX),
        // The provider has checked them; one of a newer provider may say more than we understand.
        barriers: barriers
            .map_err(|error| Blocked::NotSupported(format!("a pattern in barriers: {error}")))?,
        ..Policy::new(root_path)
    })
}

fn replace<T: PartialEq>(sender: &watch::Sender<Arc<Vec<T>>>, now: Vec<T>) {
    sender.send_if_modified(|known| {
        let changed = **known != now;
        if changed {
            *known = Arc::new(now);
        }
        changed
    });
}

const JOURNAL: &str = "journal.db";

/// Journals of migrations of the same id that are no more.
fn remove_siblings(folder: &Path) {
    let siblings = folder.parent().and_then(|parent| std::fs::read_dir(parent).ok());
    for path in siblings.into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path != folder
            && let Err(error) = std::fs::remove_dir_all(&path)
        {
            tracing::warn!(%error, path = %path.display(), "the journal of an earlier migration stays");
        }
    }
}

/// A folder name for a resource id, which may be longer than a file name may be.
fn folder_of(folder: &Path, id: &str) -> PathBuf {
    folder.join("migrations").join(digest(id))
}

/// UUID version 5: stable, short, safe in file names.
fn digest(id: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, id.as_bytes()).simple().to_string()
}
