//! The parts on their own, and whole copies of one file from a local directory to the emulator through a target that counts
//! and that can hold an append back.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use livedata_adls::{AccountKey, AdlsTarget, Config, Credential, Filesystem};
use livedata_adls_emulator::{Emulator, Options, Running, Storage};
use livedata_engine::Phase;
use livedata_filesystem::chaos::{Chaos, Rates};
use livedata_filesystem::local::LocalSource;
use livedata_filesystem::{
    AclEntry, AclKind, Attributes, NodeId, Page, Source, Target, TargetEntry, TargetPage,
};
use livedata_workload::{SourceSide, TargetSide, compare};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::migration::view::Fault;
use crate::migration::{Migration, Plan, Traffic};
use livedata_engine::Policy;
use livedata_filesystem::{EntryKind, Extras, xattr_properties};

mod resuming;

const KEY: &str = "bGl2ZWRhdGEgdGVzdHMgdXNlIHRoaXMga2V5IGFuZCBub2JvZHkgZWxzZSBldmVyIGRvZXM=";

#[test]
fn a_prefix_grows_without_gaps_and_its_checksum_is_that_of_its_bytes() {
    let data: Vec<u8> = (0..1_000_u32).map(|at| (at * 7 % 251) as u8).collect();
    let stripe = |range: Range<usize>| Stripe {
        offset: range.start as u64,
        length: range.len() as u64,
        crc32c: checksum(&data[range]),
    };
    let mut prefix = Prefix { reached: Checkpoint { offset: 0, crc32c: 0 }, beyond: BTreeMap::new() };
    for (part, reached) in [(300..600, 0), (900..1_000, 0), (0..300, 600), (600..900, 1_000)] {
        prefix.add(stripe(part));
        let expected = Checkpoint { offset: reached as u64, crc32c: checksum(&data[..reached]) };
        assert_eq!(prefix.reached, expected);
    }
}

#[test]
fn stripes_are_whole_appends_for_every_lane() {
    assert_eq!(stripe_bytes(1), APPEND_BYTES);
    assert_eq!(stripe_bytes(4 * APPEND_BYTES), APPEND_BYTES);
    assert_eq!(stripe_bytes(4 * APPEND_BYTES + 1), 2 * APPEND_BYTES);
    assert_eq!(stripe_bytes(u64::MAX / 2), STRIPE_BYTES);
}

/// The local directory; can end one stream early or break some, and says of everything that it has these extras.
struct Cut {
    inner: LocalSource,
    extras: Extras,
    /// The first stream that is opened at this offset ends right away.
    at: Mutex<Option<u64>>,
    /// So many streams break before they bring anything.
    broken: Arc<AtomicU32>,
}

#[async_trait]
impl Source for Cut {
    async fn resolve(&self, path: &str) -> Result<Entry> {
        self.inner.resolve(path).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        self.inner.list(directory, after).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        self.inner.look_up(directory, name).await
    }

    async fn extras(&self, entry: &Entry, _: &NodeId) -> Result<Extras> {
        // Of files: the root has to arrive for anything to.
        Ok(if entry.kind == EntryKind::Directory { Extras::default() } else { self.extras.clone() })
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
        let cut = self.at.lock().unwrap().take_if(|at| *at == offset).is_some();
        if cut {
            return Ok(futures::stream::empty().boxed());
        }
        let fewer = |left: u32| left.checked_sub(1);
        if self.broken.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok() {
            let error = Error::new(ErrorKind::Unreachable, "read", "file", "no DataNode delivered it");
            return Ok(futures::stream::iter([Err(error)]).boxed());
        }
        self.inner.open(file, at, offset, length_bytes).await
    }
}

/// The emulator; counts, and holds appends back as told.
struct Observed {
    inner: AdlsTarget,
    requests: Mutex<Vec<String>>,
    appended_bytes: AtomicU64,
    /// Where appends are under way.
    under_way: Mutex<Vec<TargetPath>>,
    /// Appends at or beyond this position wait; the first one below it too, until one beyond it was answered.
    hold: watch::Sender<Hold>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Hold {
    #[default]
    Nothing,
    /// The append at 0 waits until another one was answered.
    FirstUntilAnother,
    /// Appends from this position on are never answered.
    From(u64),
}

impl Observed {
    fn note(&self, request: &str) {
        self.requests.lock().unwrap().push(request.to_owned());
    }
}

#[async_trait]
impl Target for Observed {
    async fn create_directory(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.inner.create_directory(path, with, on).await
    }

    async fn create_file(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        assert!(!self.under_way.lock().unwrap().contains(path), "an append of an earlier copy is under way");
        self.note("create file");
        self.inner.create_file(path, with, on).await
    }

    async fn append(&self, path: &TargetPath, upload: Upload, flush: bool) -> Result<Option<Etag>> {
        let (position, length) = (upload.position, upload.data.len() as u64);
        let mut hold = self.hold.subscribe();
        let may_go = |hold: &Hold| match *hold {
            Hold::Nothing => true,
            Hold::FirstUntilAnother => position > 0,
            Hold::From(from) => position < from,
        };
        hold.wait_for(may_go).await.unwrap();
        self.note(if flush { "append and flush" } else { "append" });
        self.under_way.lock().unwrap().push(path.clone());
        let answer = self.inner.append(path, upload, flush).await;
        {
            let mut under_way = self.under_way.lock().unwrap();
            let ours = under_way.iter().position(|other| other == path).unwrap();
            under_way.swap_remove(ours);
        }
        self.appended_bytes.fetch_add(length, Ordering::SeqCst);
        self.hold.send_if_modified(|hold| {
            let other = *hold == Hold::FirstUntilAnother;
            if other {
                *hold = Hold::Nothing;
            }
            other
        });
        answer
    }

    async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag> {
        self.note("flush");
        self.inner.flush(path, length_bytes, flush).await
    }

    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        self.note("rename");
        self.inner.rename(from, to, condition, source_etag).await
    }

    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        self.inner.properties(path).await
    }

    async fn list(&self, directory: &TargetPath, after: Option<&str>) -> Result<TargetPage> {
        self.inner.list(directory, after).await
    }

    async fn set_attributes(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        self.inner.set_attributes(path, attributes, condition).await
    }

    async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()> {
        self.inner.delete(path, recursive, condition).await
    }
}

struct World {
    folder: tempfile::TempDir,
    endpoint: url::Url,
    target: Arc<Observed>,
    extras: Extras,
    broken: Arc<AtomicU32>,
    traffic: Arc<Traffic>,
    emulator: Running,
}

impl World {
    /// A lake of one file.
    async fn new(length: u64, hold: Hold) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lake")).unwrap();
        // No two appends of it are alike.
        let data: Vec<u8> =
            (0..length / 8).flat_map(|at| at.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        std::fs::write(folder.path().join("lake/file"), data).unwrap();
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
        let target = Arc::new(Observed {
            inner: AdlsTarget::new(filesystem),
            requests: Mutex::default(),
            appended_bytes: AtomicU64::new(0),
            under_way: Mutex::default(),
            hold: watch::Sender::new(hold),
        });
        let (extras, broken) = (Extras::default(), Arc::default());
        let traffic = Arc::new(Traffic::since(0));
        Self { folder, endpoint, target, extras, broken, traffic, emulator }
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn start(&self, cut: Option<u64>) -> Migration {
        self.start_with(self.target.clone(), cut)
    }

    fn start_with(&self, target: Arc<dyn Target>, cut: Option<u64>) -> Migration {
        let inner = LocalSource::new(self.lake());
        let (extras, broken) = (self.extras.clone(), Arc::clone(&self.broken));
        self.start_between(Arc::new(Cut { inner, extras, at: Mutex::new(cut), broken }), target)
    }

    fn start_between(&self, source: Arc<dyn Source>, target: Arc<dyn Target>) -> Migration {
        let plan = Plan {
            name: "test".into(),
            journal: self.folder.path().join("journal.db"),
            source,
            source_path: "/".into(),
            target,
            target_path: TargetPath::new("lake"),
            staging_root: TargetPath::new("staging"),
            coordinator_epoch: 1,
            staging: TargetPath::new(".livedata/test/staging"),
            leftovers: TargetPath::new(".livedata/test/leftovers"),
            trash: TargetPath::new(".livedata/test/trash"),
            policy: Policy::new("/"),
            feed: None,
            consumer: "test".into(),
            start: 1,
            traffic: Arc::clone(&self.traffic),
        };
        Migration::start(plan, crate::migration::View::default(), CancellationToken::new()).unwrap()
    }

    async fn finish(&self, migration: Migration) {
        let mut view = migration.view();
        let completed = view.wait_for(|view| view.phase == Phase::Completed);
        tokio::time::timeout(std::time::Duration::from_secs(120), completed).await.unwrap().unwrap();
        migration.stop().await;
        let client = reqwest::Client::new();
        let target = TargetSide::new(client, self.endpoint.clone(), "lake", KEY, "data", "lake").unwrap();
        let report = compare(&SourceSide::Directory(self.lake()), &target).await.unwrap();
        assert!(report.equal(), "{report}");
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.target.requests.lock().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_takes_two_requests_and_a_rename() {
    let world = World::new(APPEND_BYTES, Hold::Nothing).await;
    world.finish(world.start(None)).await;
    assert_eq!(world.requests(), ["create file", "append and flush", "rename"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_arrives_out_of_order_and_whole() {
    let world = World::new(2 * APPEND_BYTES + 1_000, Hold::FirstUntilAnother).await;
    world.finish(world.start(None)).await;
    assert_eq!(world.requests(), ["create file", "append", "append", "append", "flush", "rename"]);
    assert_eq!((world.traffic.so_far().bytes, world.traffic.so_far().files), (2 * APPEND_BYTES + 1_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_killed_sends_little_again() {
    let length = 2 * UNFLUSHED_BYTES;
    let world = World::new(length, Hold::From(UNFLUSHED_BYTES)).await;
    let migration = world.start(None);
    let mut view = migration.view();
    // Everything that may be sent before the held appends has been flushed, as far as it is contiguous.
    let flushed = view.wait_for(|view| view.bytes_in_flight >= FLUSH_EVERY_BYTES);
    tokio::time::timeout(std::time::Duration::from_secs(60), flushed).await.unwrap().unwrap();
    migration.stop().await;
    let flushes = world.requests().iter().filter(|request| *request == "flush").count();
    assert!(flushes >= 1);
    world.target.hold.send_replace(Hold::Nothing);
    world.finish(world.start(None)).await;
    assert!(!world.requests().contains(&"create file".to_owned()), "it began anew");
    let sent = world.target.appended_bytes.load(Ordering::SeqCst);
    assert!(sent <= length + UNFLUSHED_BYTES, "{sent} bytes were sent for a file of {length}");
    let told = world.traffic.so_far();
    assert!(told.bytes > length, "{told:?}: what was sent again is sent, too");
    assert_eq!((told.bytes, told.files), (sent, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_ends_early_ends_the_copy_and_leaves_no_request_under_way() {
    let world = World::new(5 * APPEND_BYTES, Hold::Nothing).await;
    world.finish(world.start(Some(2 * APPEND_BYTES))).await;
    let created = world.requests().iter().filter(|request| *request == "create file").count();
    assert_eq!(created, 2, "the copy that met the early end, and the one after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_break_before_they_bring_anything_are_waited_for_and_told() {
    let world = World::new(1_000, Hold::Nothing).await;
    world.broken.store(2, Ordering::SeqCst);
    let migration = world.start(None);
    let mut view = migration.view();
    let told = view.wait_for(|view| view.faults.contains_key(&Fault::SourceUnreachable));
    let told = tokio::time::timeout(std::time::Duration::from_secs(60), told).await;
    assert!(told.unwrap().is_ok());
    world.finish(migration).await;
    assert_eq!(world.requests(), ["create file", "append and flush", "rename"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_and_refusals_change_nothing_but_the_time() {
    let world = World::new(3 * APPEND_BYTES, Hold::Nothing).await;
    for number in 0..20 {
        let directory = world.lake().join(format!("directory {}", number % 3));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(number.to_string()), vec![number; 1_000]).unwrap();
    }
    let rates = Rates { unreachable: 0.05, lost_replies: 0.15, throttled: 0.05 };
    let pause = Some(std::time::Duration::from_millis(1));
    let chaos = Arc::new(Chaos::new(world.target.clone(), 4, rates, pause));
    world.finish(world.start_with(chaos.clone(), None)).await;
    assert!(chaos.faults() > 5, "only {} calls failed", chaos.faults());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_listing_shows_arrives_with_the_file() {
    let mut world = World::new(1_000, Hold::Nothing).await;
    let entry = |kind, permissions| AclEntry { is_default: false, kind, name: None, permissions };
    world.extras = Extras {
        acl: vec![entry(AclKind::Group, 7), entry(AclKind::Mask, 4)],
        xattrs: [("user.origin".to_owned(), b"\xff\0".to_vec())].into(),
    };
    world.finish(world.start(None)).await;
    assert_eq!(world.requests(), ["create file", "append and flush", "rename"]);
    let (target, path) = (&world.target.inner, TargetPath::new("lake/file"));
    let list = target.filesystem().access_control(&path).await.unwrap().list.unwrap();
    assert!(list.contains("group::rwx,mask::r--"), "{list}");
    let properties = target.properties(&path).await.unwrap().unwrap().properties;
    assert_eq!(xattr_properties::xattrs_of(&properties), world.extras.xattrs);
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_attributes_that_do_not_fit_are_left_out_and_named_and_the_rest_arrives() {
    let mut world = World::new(1_000, Hold::Nothing).await;
    world.extras.xattrs.insert("user.big".to_owned(), vec![0; 10_000]);
    let migration = world.start(None);
    let view = migration.view();
    world.finish(migration).await;
    let failed = view.borrow().failed.clone();
    let [failed] = failed.as_slice() else { panic!("{failed:?}") };
    assert!(failed.path.ends_with("file") && failed.reason.contains("user.big"), "{failed:?}");
    assert_eq!(failed.cause, livedata_engine::Cause::AttributesTooLarge);
    let there = world.target.inner.properties(&TargetPath::new("lake/file")).await.unwrap().unwrap();
    assert!(xattr_properties::xattrs_of(&there.properties).is_empty());
}
