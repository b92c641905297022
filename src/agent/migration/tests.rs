//! A source that changes at the worst moment, when a copy is complete and about to be published; and one that is stopped while
//! copies are on their way.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use livedata_adls::{AccountKey, AdlsTarget, Config, Credential, Filesystem};
use livedata_adls_emulator::{Emulator, Options, Storage};
use livedata_filesystem::local::LocalSource;
use livedata_filesystem::{ByteStream, Condition, Entry, Error, ErrorKind, Extras, Page, Result};
use livedata_model::node::NodeId;
use livedata_workload::{SourceSide, TargetSide, compare};

use super::*;

const KEY: &str = "bGl2ZWRhdGEgdGVzdHMgdXNlIHRoaXMga2V5IGFuZCBub2JvZHkgZWxzZSBldmVyIGRvZXM=";

/// What happens to the file, once, after it was read.
type Change = fn(&Path);

struct Meddling {
    inner: LocalSource,
    file: PathBuf,
    change: Mutex<Option<Change>>,
    read: Arc<AtomicBool>,
}

#[async_trait]
impl Source for Meddling {
    async fn resolve(&self, path: &str) -> Result<Entry> {
        self.inner.resolve(path).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        self.inner.list(directory, after).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        if self.read.load(Ordering::SeqCst)
            && let Some(change) = self.change.lock().unwrap().take()
        {
            change(&self.file);
        }
        self.inner.look_up(directory, name).await
    }

    async fn extras(&self, entry: &Entry, directory: &NodeId) -> Result<Extras> {
        self.inner.extras(entry, directory).await
    }

    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>> {
        self.inner.is_alive(node).await
    }

    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        let read = Arc::clone(&self.read);
        let stream = self.inner.open(file, at, offset, length_bytes).await?;
        Ok(stream.inspect(move |_| read.store(true, Ordering::SeqCst)).boxed())
    }
}

/// Reads wait until somebody opens the gate.
struct Gated {
    inner: LocalSource,
    gate: tokio::sync::Semaphore,
    opened: Arc<Mutex<BTreeMap<NodeId, u32>>>,
}

#[async_trait]
impl Source for Gated {
    async fn resolve(&self, path: &str) -> Result<Entry> {
        self.inner.resolve(path).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        self.inner.list(directory, after).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        self.inner.look_up(directory, name).await
    }

    async fn extras(&self, entry: &Entry, directory: &NodeId) -> Result<Extras> {
        self.inner.extras(entry, directory).await
    }

    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>> {
        self.inner.is_alive(node).await
    }

    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        *self.opened.lock().unwrap().entry(file.clone()).or_default() += 1;
        self.gate.acquire().await.unwrap().forget();
        self.inner.open(file, at, offset, length_bytes).await
    }
}

/// What a source answers instead of looking, depending on what it is asked.
type Fault = fn(&Asked<'_>) -> Option<ErrorKind>;

enum Asked<'a> {
    Root,
    List,
    LookUp(&'a str),
    Read(&'a str),
}

/// Fails as long as it is told to.
struct Failing {
    inner: LocalSource,
    fault: watch::Sender<Option<Fault>>,
    /// How often it did.
    failed: watch::Sender<usize>,
}

impl Failing {
    fn new(lake: PathBuf, fault: Fault) -> Arc<Self> {
        let fault = watch::Sender::new(Some(fault));
        Arc::new(Self { inner: LocalSource::new(lake), fault, failed: watch::Sender::new(0) })
    }

    fn heals(&self) {
        self.fault.send_replace(None);
    }

    fn meet(&self, asked: &Asked<'_>) -> Result<()> {
        let fault = *self.fault.borrow();
        match fault.and_then(|fault| fault(asked)) {
            None => Ok(()),
            Some(kind) => {
                self.failed.send_modify(|failed| *failed += 1);
                Err(Error::new(kind, "read", "it", "the test says so"))
            }
        }
    }
}

#[async_trait]
impl Source for Failing {
    async fn resolve(&self, path: &str) -> Result<Entry> {
        self.meet(&Asked::Root)?;
        self.inner.resolve(path).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        self.meet(&Asked::List)?;
        self.inner.list(directory, after).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        self.meet(&Asked::LookUp(name))?;
        self.inner.look_up(directory, name).await
    }

    async fn extras(&self, entry: &Entry, directory: &NodeId) -> Result<Extras> {
        self.inner.extras(entry, directory).await
    }

    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>> {
        self.inner.is_alive(node).await
    }

    /// It can be opened, and the bytes do not come.
    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        match self.meet(&Asked::Read(at.1)) {
            Ok(()) => self.inner.open(file, at, offset, length_bytes).await,
            Err(error) => Ok(futures::stream::iter([Err(error)]).boxed()),
        }
    }
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Until the migration's view is so.
async fn becomes(view: &mut watch::Receiver<View>, what: &str, holds: impl FnMut(&View) -> bool) -> View {
    let found =
        tokio::time::timeout(PATIENCE, view.wait_for(holds)).await.map(|view| view.map(|view| view.clone()));
    match found {
        Ok(Ok(view)) => view,
        _ => panic!("never {what}: {:?}", view.borrow()),
    }
}

/// A lake, a real target, and the plan of a migration between them.
struct Scene {
    folder: tempfile::TempDir,
    _emulator: livedata_adls_emulator::Running,
    endpoint: url::Url,
    filesystem: Filesystem,
    traffic: Arc<Traffic>,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        let emulator = Emulator::start(Options {
            storage: Storage::Folder(folder.path().join("emulator")),
            storage_address: "127.0.0.1:0".parse().unwrap(),
            admin_address: "127.0.0.1:0".parse().unwrap(),
            admin_token: "admin".into(),
            accounts: vec![format!("lake={KEY}").parse().unwrap()],
            ..Options::default()
        })
        .await
        .unwrap();
        let endpoint: url::Url = format!("{}/lake", emulator.storage_url()).parse().unwrap();
        let credential = Credential::SharedKey(AccountKey::from_base64(KEY).unwrap());
        let filesystem = Filesystem::new(Config::new(endpoint.clone(), "lake", "data", credential)).unwrap();
        filesystem.create_filesystem().await.unwrap();
        let traffic = Arc::new(Traffic::since(0));
        Self { folder, _emulator: emulator, endpoint, filesystem, traffic }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn plan(&self, source: Arc<dyn Source>) -> Plan {
        Plan {
            name: "test".into(),
            journal: self.folder.path().join("journal.db"),
            source,
            source_path: "/".into(),
            target: Arc::new(AdlsTarget::new(self.filesystem.clone())),
            target_path: TargetPath::new("lake"),
            staging_root: TargetPath::new(".livedata/test/staging"),
            coordinator_epoch: 1,
            staging: TargetPath::new(".livedata/test/staging/1/test"),
            leftovers: TargetPath::new(".livedata/test/leftovers"),
            trash: TargetPath::new(".livedata/test/trash"),
            policy: Policy::new("/"),
            feed: None,
            consumer: "test".into(),
            start: 1,
            traffic: Arc::clone(&self.traffic),
        }
    }

    async fn completes(&self, source: Arc<dyn Source>) {
        self.completes_with(self.plan(source)).await;
    }

    async fn completes_with(&self, plan: Plan) {
        let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
        let mut view = migration.view();
        let completed = view.wait_for(|view| view.phase == Phase::Completed);
        tokio::time::timeout(std::time::Duration::from_secs(60), completed).await.unwrap().unwrap();
        migration.stop().await;
        let target =
            TargetSide::new(reqwest::Client::new(), self.endpoint.clone(), "lake", KEY, "data", "lake");
        let report = compare(&SourceSide::Directory(self.lake()), &target.unwrap()).await.unwrap();
        assert!(report.equal(), "{report}");
    }

    /// Names of files below a directory of the container.
    async fn files(&self, directory: &str) -> Vec<String> {
        let options = livedata_adls::ListOptions { recursive: true, ..Default::default() };
        let mut listing = self.filesystem.list(&TargetPath::new(directory), options);
        let mut files = Vec::new();
        while let Some(page) = listing.next_page().await.unwrap() {
            files.extend(
                page.into_iter()
                    .filter(|entry| !entry.is_directory)
                    .map(|entry| entry.path.as_str().to_owned()),
            );
        }
        files
    }
}

/// Migrates a folder with one file, which changes in the moment before it is published; both sides are equal afterwards.
async fn arrives_as_it_is_now(change: Change) {
    let scene = Scene::new().await;
    let file = scene.lake().join("file");
    std::fs::write(&file, "the old content").unwrap();
    let source = Meddling {
        inner: LocalSource::new(scene.lake()),
        file,
        change: Mutex::new(Some(change)),
        read: Arc::default(),
    };
    scene.completes(Arc::new(source)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_at_a_stop_arrives_and_nothing_is_read_twice() {
    let scene = Scene::new().await;
    let count: usize = 200;
    for number in 0..count {
        std::fs::write(scene.lake().join(format!("file-{number}")), format!("content {number}")).unwrap();
    }
    let opened: Arc<Mutex<BTreeMap<NodeId, u32>>> = Arc::default();
    let inner = || LocalSource::new(scene.lake());
    let (gate, gated) = (tokio::sync::Semaphore::new(0), Arc::clone(&opened));
    let source = Arc::new(Gated { inner: inner(), gate, opened: gated });
    let plan = scene.plan(Arc::clone(&source) as Arc<dyn Source>);
    let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
    let patience = std::time::Duration::from_secs(60);
    let under_way = async {
        while opened.lock().unwrap().len() < Limits::default().copies {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, under_way).await.unwrap();
    migration.drain();
    source.gate.add_permits(count);
    let mut view = migration.view();
    let ended = async { while view.changed().await.is_ok() {} };
    tokio::time::timeout(patience, ended).await.unwrap();
    migration.stop().await;
    let begun = opened.lock().unwrap().len();
    assert!(begun < count, "nothing new is begun");
    assert_eq!(scene.files("lake").await.len(), begun, "what was begun has arrived");
    assert_eq!(scene.files(".livedata/test/staging/1").await, [""; 0]);

    source.gate.add_permits(count);
    scene.completes(source).await;
    let opened = opened.lock().unwrap();
    assert_eq!((opened.len(), opened.values().sum::<u32>()), (count, count as u32), "each was read once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_rewritten_before_its_publication_arrives_with_its_new_content() {
    arrives_as_it_is_now(|file| std::fs::write(file, "something else entirely").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_deleted_before_its_publication_does_not_arrive() {
    arrives_as_it_is_now(|file| std::fs::remove_file(file).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_before_its_publication_arrives_as_its_replacement() {
    arrives_as_it_is_now(|file| {
        let beside = file.with_file_name("beside");
        std::fs::write(&beside, "the replacement").unwrap();
        std::fs::rename(beside, file).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_again_is_sent_again_and_counts_again_in_what_is_sent() {
    let scene = Scene::new().await;
    std::fs::write(scene.lake().join("file"), "first").unwrap();
    let lake = scene.lake();
    let open: crate::feed::Open = Box::new(move || {
        let lake = lake.clone();
        Box::pin(async move {
            let feed = livedata_filesystem::LocalFeed::start(lake, Default::default()).await?;
            Ok(Arc::new(feed) as Arc<dyn livedata_filesystem::ChangeFeed>)
        })
    });
    let feed = Feed::start(open, &scene.folder.path().join("feed"), CancellationToken::new()).unwrap();
    let plan = Plan { feed: Some(Arc::new(feed)), ..scene.plan(Arc::new(LocalSource::new(scene.lake()))) };
    let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
    let mut view = migration.view();
    let sent = || (scene.traffic.so_far().bytes, scene.traffic.so_far().files);
    becomes(&mut view, "Live", |view| view.phase == Phase::Live).await;
    assert_eq!(sent(), (5, 1));
    std::fs::write(scene.lake().join("file"), "the second").unwrap();
    let again = async {
        while sent() != (15, 2) {
            view.changed().await.unwrap();
        }
    };
    assert!(tokio::time::timeout(PATIENCE, again).await.is_ok(), "{:?}", sent());
    let counters = view.borrow().counters;
    assert_eq!((counters.files_migrated, counters.bytes_migrated), (1, 5), "as it was first found equal");
    drop(view);
    migration.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_journal_that_can_be_read_again_is_not_said_to_be_unusable_any_more() {
    let scene = Scene::new().await;
    let (lake, kept) = (scene.lake(), scene.folder.path().join("feed"));
    let open: crate::feed::Open = Box::new(move || {
        let lake = lake.clone();
        Box::pin(async move {
            let feed = livedata_filesystem::LocalFeed::start(lake, Default::default()).await?;
            Ok(Arc::new(feed) as Arc<dyn livedata_filesystem::ChangeFeed>)
        })
    });
    let feed = Feed::start(open, &kept, CancellationToken::new()).unwrap();
    let source = Arc::new(LocalSource::new(scene.lake()));
    let plan = Plan { feed: Some(Arc::new(feed)), ..scene.plan(source) };
    let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
    let mut view = migration.view();
    becomes(&mut view, "Live", |view| view.phase == Phase::Live).await;

    let other = rusqlite::Connection::open(kept.join("events.db")).unwrap();
    other.busy_timeout(PATIENCE).unwrap();
    other.execute_batch("ALTER TABLE event RENAME TO away").unwrap();
    std::fs::write(scene.lake().join("late"), "late").unwrap();
    let unusable = view::Fault::JournalUnusable;
    let said = becomes(&mut view, "unusable", |view| view.faults.contains_key(&unusable)).await;
    assert!(said.faults[&unusable].contains("events.db"), "{said:?}");
    other.execute_batch("ALTER TABLE away RENAME TO event").unwrap();
    becomes(&mut view, "over", |view| view.faults.is_empty() && view.counters.files_migrated == 1).await;
    drop(view);
    migration.stop().await;
    assert_eq!(scene.files("lake").await, ["lake/late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_a_finding_and_the_others_arrive() {
    for fault in [
        (|asked| matches!(asked, Asked::Read("bad")).then_some(ErrorKind::Unreadable)) as Fault,
        // Seen in its directory, and not to be looked at when it is published.
        |asked| matches!(asked, Asked::LookUp("bad")).then_some(ErrorKind::Unreadable),
    ] {
        let scene = Scene::new().await;
        for name in ["bad", "good", "other"] {
            std::fs::write(scene.lake().join(name), name).unwrap();
        }
        let source = Failing::new(scene.lake(), fault);
        let plan = scene.plan(Arc::clone(&source) as Arc<dyn Source>);
        let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
        let mut view = migration.view();
        let view = becomes(&mut view, "Completed", |view| view.phase == Phase::Completed).await;
        migration.stop().await;
        let failed: Vec<_> = view.failed.iter().map(|failed| failed.path.as_str()).collect();
        assert_eq!((failed, view.faults.len()), (vec!["/bad"], 0));
        assert!(view.failed[0].reason.contains("the test says so"), "{view:?}");
        assert!(*source.failed.borrow() > 3, "it was tried again");
        assert_eq!(scene.files("lake").await, ["lake/good", "lake/other"]);
    }
}

/// The source fails for a while, so many times; nothing is given up, and the migration goes on by itself.
async fn waits_until_it_can_be_read(fault: Fault, times: usize) {
    let scene = Scene::new().await;
    std::fs::write(scene.lake().join("file"), "content").unwrap();
    let source = Failing::new(scene.lake(), fault);
    let plan = scene.plan(Arc::clone(&source) as Arc<dyn Source>);
    let migration = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
    let mut view = migration.view();
    let shut = becomes(&mut view, "shut", |view| view.faults.contains_key(&view::Fault::SourceShut)).await;
    assert!(shut.faults[&view::Fault::SourceShut].contains("the test says so"), "{shut:?}");
    let mut failed = source.failed.subscribe();
    tokio::time::timeout(PATIENCE, failed.wait_for(|failed| *failed >= times)).await.unwrap().unwrap();
    source.heals();
    let view = becomes(&mut view, "Completed", |view| view.phase == Phase::Completed).await;
    migration.stop().await;
    assert_eq!((view.counters.files_failed, view.faults.len()), (0, 0), "{view:?}");
    assert_eq!(scene.files("lake").await, ["lake/file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_may_not_be_read_for_a_while_is_waited_for() {
    tokio::join!(
        waits_until_it_can_be_read(|_| Some(ErrorKind::Denied), 4),
        // It can be seen, and not be listed.
        waits_until_it_can_be_read(|asked| (!matches!(asked, Asked::Root)).then_some(ErrorKind::Denied), 4),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_which_nothing_can_be_read_is_waited_for() {
    // More often than a path would be tried.
    tokio::join!(
        waits_until_it_can_be_read(|_| Some(ErrorKind::Unreadable), 12),
        waits_until_it_can_be_read(
            |asked| (!matches!(asked, Asked::Root)).then_some(ErrorKind::Unreadable),
            12
        ),
    );
}

/// The earlier one has staged everything when it is replaced, and does not know.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_replaced_publishes_nothing_any_more() {
    let scene = Scene::new().await;
    for name in ["first", "second"] {
        std::fs::write(scene.lake().join(name), name).unwrap();
    }
    let opened: Arc<Mutex<BTreeMap<NodeId, u32>>> = Arc::default();
    let gate = tokio::sync::Semaphore::new(0);
    let gated = Gated { inner: LocalSource::new(scene.lake()), gate, opened: Arc::clone(&opened) };
    let gated = Arc::new(gated);
    let plan = scene.plan(Arc::clone(&gated) as Arc<dyn Source>);
    let replaced = Migration::start(plan, View::default(), CancellationToken::new()).unwrap();
    let patience = std::time::Duration::from_secs(60);
    let both = async {
        while opened.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(patience, both).await.unwrap();

    let plan = Plan {
        journal: scene.folder.path().join("other.db"),
        coordinator_epoch: 2,
        staging: TargetPath::new(".livedata/test/staging/2/test"),
        ..scene.plan(Arc::new(LocalSource::new(scene.lake())))
    };
    scene.completes_with(plan).await;
    // Whatever appears now, the earlier one has published.
    for name in ["lake/first", "lake/second"] {
        scene.filesystem.delete(&TargetPath::new(name), false, &Condition::Any).await.unwrap();
    }
    gated.gate.add_permits(100);
    let mut view = replaced.view();
    let ended = view.wait_for(|view| !view.phase.is_active() && view.phase != Phase::Idle);
    tokio::time::timeout(patience, ended).await.unwrap().unwrap();
    replaced.stop().await;
    assert_eq!(scene.files("lake").await, [""; 0]);
    assert_eq!(
        scene.files(".livedata/test/staging").await,
        [".livedata/test/staging/1"],
        "a file, and nothing else"
    );
}
