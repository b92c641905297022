//! The two handlers as tests need them: they tell a channel what they were called with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use livedata_model::command::{Command, CommandKind};
use livedata_model::message::{FailedPathsPart, Hello, Known, ListenToken, Refused, Report, Sync, Welcome};
use livedata_model::report::AgentReport;
use livedata_model::spec::{Body, Item, MigratorSpec, Secret, SourceKind};
use livedata_session::agent::AgentHandler;
use livedata_session::provider::{Desired, ProviderHandler};
use livedata_session::{HandlerError, NotNow};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as AsyncMutex, watch};

pub const TOKEN_LIFE_SECONDS: u64 = 3600;

#[derive(Debug, PartialEq)]
pub enum ProviderEvent {
    Admitted(Vec<(String, u64)>),
    Reported(Report),
    Acknowledged(String, u64),
    Stale(String, u64),
    Taken(Vec<String>),
    /// Migration and part.
    FailedPaths(String, u32),
    Alive,
}

pub struct Provider {
    /// The epoch that the next session gets; `None`: no session.
    pub epoch: Option<u64>,
    pub desired: watch::Sender<Arc<Desired>>,
    events: UnboundedSender<ProviderEvent>,
}

impl Provider {
    pub fn new(epoch: Option<u64>, desired: Vec<Item>) -> (Arc<Self>, UnboundedReceiver<ProviderEvent>) {
        let (events, seen) = unbounded_channel();
        let desired = Desired { items: desired, ..Desired::default() };
        (Arc::new(Self { epoch, desired: watch::Sender::new(Arc::new(desired)), events }), seen)
    }

    pub fn want(&self, items: Vec<Item>) {
        self.want_with(items, &[]);
    }

    pub fn want_with(&self, items: Vec<Item>, commands: &[&str]) {
        let commands = commands.iter().map(|id| command(id)).collect();
        self.desired.send_replace(Arc::new(Desired { items, commands, ..Desired::default() }));
    }

    fn tell(&self, event: ProviderEvent) {
        // A test that has seen enough has dropped the other end.
        let _ = self.events.send(event);
    }
}

#[async_trait]
impl ProviderHandler for Provider {
    async fn admit(&self, hello: &Hello) -> Result<Welcome, Refused> {
        self.tell(ProviderEvent::Admitted(pairs(&hello.known)));
        let session_epoch = self
            .epoch
            .ok_or_else(|| Refused { code: "Detached".into(), message: "The agent was removed.".into() })?;
        Ok(Welcome { protocol: 0, session_epoch, coordinator_epoch: 1, clock_ms: 0 })
    }

    fn desired(&self) -> watch::Receiver<Arc<Desired>> {
        self.desired.subscribe()
    }

    async fn reported(&self, report: Report) -> Result<(), HandlerError> {
        self.tell(ProviderEvent::Reported(report));
        Ok(())
    }

    async fn acknowledged(&self, id: &str, generation: u64) -> Result<(), HandlerError> {
        self.tell(ProviderEvent::Acknowledged(id.to_owned(), generation));
        Ok(())
    }

    async fn stale(&self, id: &str, agent_generation: u64) -> Result<(), HandlerError> {
        self.tell(ProviderEvent::Stale(id.to_owned(), agent_generation));
        Ok(())
    }

    async fn taken(&self, commands: Vec<String>) -> Result<(), HandlerError> {
        self.tell(ProviderEvent::Taken(commands));
        Ok(())
    }

    async fn failed_paths(&self, part: FailedPathsPart) -> Result<(), HandlerError> {
        self.tell(ProviderEvent::FailedPaths(part.migration, part.part));
        Ok(())
    }

    fn alive(&self, _round_trip_ms: u64, _clock_skew_ms: i64) {
        self.tell(ProviderEvent::Alive);
    }

    fn listen_token(&self) -> ListenToken {
        let expires = SystemTime::now() + Duration::from_secs(TOKEN_LIFE_SECONDS);
        let expires_at = expires.duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap();
        ListenToken { token: Secret("token".into()), expires_at }
    }
}

#[derive(Debug, PartialEq)]
pub enum AgentEvent {
    Welcomed(u64),
    /// Ids and generations of the upserts, and the removals.
    Applied(Vec<(String, u64)>, Vec<String>),
    /// All that were in the list, and those of them that were not on the disk yet.
    Commanded(Vec<String>, Vec<String>),
    Token(String),
}

pub struct Agent {
    pub disk: Mutex<BTreeMap<String, u64>>,
    pub disk_is_full: AtomicBool,
    /// So many times it is, and says so.
    pub has_no_room: AtomicUsize,
    /// Ids of commands on the disk.
    pub commands: Mutex<BTreeSet<String>>,
    /// The session ends when commands are on the disk, before they are acknowledged.
    pub loses_acknowledgements: AtomicBool,
    paths: AsyncMutex<UnboundedReceiver<FailedPathsPart>>,
    pub failed_paths: UnboundedSender<FailedPathsPart>,
    pub epoch: u64,
    pub full_report: Report,
    /// What `next_report` waits for.
    changes: AsyncMutex<UnboundedReceiver<Report>>,
    pub change: UnboundedSender<Report>,
    events: UnboundedSender<AgentEvent>,
}

impl Agent {
    pub fn new(epoch: u64, disk: &[(&str, u64)]) -> (Arc<Self>, UnboundedReceiver<AgentEvent>) {
        Self::with_report(epoch, disk, report("full"))
    }

    pub fn with_report(
        epoch: u64,
        disk: &[(&str, u64)],
        full_report: Report,
    ) -> (Arc<Self>, UnboundedReceiver<AgentEvent>) {
        let (events, seen) = unbounded_channel();
        let (change, changes) = unbounded_channel();
        let disk = disk.iter().map(|(id, generation)| ((*id).to_owned(), *generation)).collect();
        let changes = AsyncMutex::new(changes);
        let (failed_paths, paths) = unbounded_channel();
        let agent = Self {
            disk: Mutex::new(disk),
            disk_is_full: AtomicBool::new(false),
            has_no_room: AtomicUsize::new(0),
            commands: Mutex::default(),
            loses_acknowledgements: AtomicBool::new(false),
            paths: AsyncMutex::new(paths),
            failed_paths,
            epoch,
            full_report,
            changes,
            change,
            events,
        };
        (Arc::new(agent), seen)
    }

    fn find_room(&self) -> Result<(), NotNow> {
        let left = self.has_no_room.load(Relaxed);
        self.has_no_room.store(left.saturating_sub(1), Relaxed);
        if left > 0 { Err(NotNow("no space left on device".into())) } else { Ok(()) }
    }

    fn tell(&self, event: AgentEvent) {
        // A test that has seen enough has dropped the other end.
        let _ = self.events.send(event);
    }
}

#[async_trait]
impl AgentHandler for Agent {
    async fn hello(&self) -> Hello {
        let disk = self.disk.lock().unwrap();
        Hello {
            protocol_min: 0,
            protocol_max: 0,
            agent_version: "0.1.0".into(),
            instance_id: "one".into(),
            boot_id: "boot".into(),
            known: disk
                .iter()
                .map(|(id, generation)| Known { id: id.clone(), generation: *generation })
                .collect(),
            clock_ms: 0,
            session_epoch: self.epoch,
        }
    }

    async fn welcomed(&self, welcome: &Welcome) -> Result<(), HandlerError> {
        self.tell(AgentEvent::Welcomed(welcome.session_epoch));
        Ok(())
    }

    async fn apply(&self, sync: Sync) -> Result<Vec<Known>, HandlerError> {
        if self.disk_is_full.load(Relaxed) {
            return Err("the device is gone".into());
        }
        self.find_room()?;
        let mut disk = self.disk.lock().unwrap();
        let mut stale = Vec::new();
        let upserts: Vec<_> = sync.upserts.iter().map(|item| (item.id.clone(), item.generation)).collect();
        for (id, generation) in &upserts {
            match disk.get(id) {
                Some(held) if held > generation => stale.push(Known { id: id.clone(), generation: *held }),
                _ => {
                    disk.insert(id.clone(), *generation);
                }
            }
        }
        for id in &sync.removals {
            disk.remove(id);
        }
        drop(disk);
        self.tell(AgentEvent::Applied(upserts, sync.removals));
        Ok(stale)
    }

    async fn commands(&self, commands: Vec<Command>) -> Result<Vec<String>, HandlerError> {
        self.find_room()?;
        let ids: Vec<String> = commands.into_iter().map(|command| command.id).collect();
        let new = {
            let mut held = self.commands.lock().unwrap();
            ids.iter().filter(|id| held.insert((*id).clone())).cloned().collect()
        };
        self.tell(AgentEvent::Commanded(ids.clone(), new));
        if self.loses_acknowledgements.load(Relaxed) {
            return Err("the power went".into());
        }
        Ok(ids)
    }

    async fn next_failed_paths(&self) -> FailedPathsPart {
        match self.paths.lock().await.recv().await {
            Some(part) => part,
            None => std::future::pending().await,
        }
    }

    async fn full_report(&self) -> Report {
        self.full_report.clone()
    }

    async fn next_report(&self) -> Report {
        match self.changes.lock().await.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    async fn listen_token(&self, token: ListenToken) -> Result<(), HandlerError> {
        self.tell(AgentEvent::Token(token.token.0));
        Ok(())
    }
}

pub fn item(id: &str, generation: u64) -> Item {
    sized_item(id, generation, 1)
}

pub fn sized_item(id: &str, generation: u64, bytes: usize) -> Item {
    let spec = MigratorSpec::new("g", SourceKind::Hdfs, "x".repeat(bytes));
    Item { id: id.into(), generation, body: Body::Migrator(spec), trace: None }
}

fn command(id: &str) -> Command {
    Command {
        id: id.into(),
        migration: "/m".into(),
        incarnation: "one".into(),
        reset_count: 0,
        kind: CommandKind::RetryFailed,
        trace: None,
    }
}

pub fn part(migration: &str, part: u32) -> FailedPathsPart {
    FailedPathsPart {
        sequence: 0,
        migration: migration.into(),
        incarnation: "one".into(),
        start: 1,
        revision: 1,
        part,
        parts: 2,
        entries: vec![],
        truncated: false,
    }
}

pub fn report(version: &str) -> Report {
    Report {
        sequence: 0,
        agent: AgentReport { version: version.into(), conditions: vec![], source: None, load: None },
        migrations: vec![],
    }
}

fn pairs(known: &[Known]) -> Vec<(String, u64)> {
    known.iter().map(|known| (known.id.clone(), known.generation)).collect()
}
