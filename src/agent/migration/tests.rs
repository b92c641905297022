//! A source that changes at the worst moment: when a copy is complete and about to be published.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::StreamExt as _;
use livedata_adls::{AccountKey, AdlsTarget, Config, Credential, Filesystem};
use livedata_adls_emulator::{Emulator, Options};
use livedata_filesystem::local::LocalSource;
use livedata_filesystem::{ByteStream, Entry, Extras, Page, Result};
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

/// Migrates a folder with one file, which changes in the moment before it is published; both sides are equal afterwards.
async fn arrives_as_it_is_now(change: Change) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(lake.join("file"), "the old content").unwrap();
    let emulator = Emulator::start(Options {
        data_folder: folder.path().join("emulator"),
        storage_address: "127.0.0.1:0".parse().unwrap(),
        admin_address: "127.0.0.1:0".parse().unwrap(),
        admin_token: "admin".into(),
        storage_tls: None,
        accounts: vec![format!("lake={KEY}").parse().unwrap()],
    })
    .await
    .unwrap();
    let endpoint: url::Url = format!("{}/lake", emulator.storage_url()).parse().unwrap();
    let credential = Credential::SharedKey(AccountKey::from_base64(KEY).unwrap());
    let filesystem = Filesystem::new(Config::new(endpoint.clone(), "lake", "data", credential)).unwrap();
    filesystem.create_filesystem().await.unwrap();

    let source = Meddling {
        inner: LocalSource::new(lake.clone()),
        file: lake.join("file"),
        change: Mutex::new(Some(change)),
        read: Arc::default(),
    };
    let plan = Plan {
        name: "test".into(),
        journal: folder.path().join("journal.db"),
        source: Arc::new(source),
        source_path: "/".into(),
        target: Arc::new(AdlsTarget::new(filesystem)),
        target_path: TargetPath::new("lake"),
        staging: TargetPath::new(".livedata/test/staging"),
        trash: TargetPath::new(".livedata/test/trash"),
        policy: Policy::new("/"),
        feed: None,
        consumer: "test".into(),
        start: 1,
    };
    let migration = Migration::start(plan, CancellationToken::new()).unwrap();
    let mut view = migration.view();
    let completed = view.wait_for(|view| view.phase == Phase::Completed);
    tokio::time::timeout(std::time::Duration::from_secs(60), completed).await.unwrap().unwrap();
    migration.stop().await;
    let target = TargetSide::new(reqwest::Client::new(), endpoint, "lake", KEY, "data", "lake").unwrap();
    let report = compare(&SourceSide::Directory(lake), &target).await.unwrap();
    assert!(report.equal(), "{report}");
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
