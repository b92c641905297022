//! Against the emulator. What is to be found is written by the project's own client; what finds it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use livedata_adls::{
    Access, AccountKey as ClientKey, AfterAppend, Config, CreateOptions, Credential, Filesystem, ResourceKind,
};
use livedata_adls_emulator::{Emulator, Options, Running, Storage};
use livedata_filesystem::{Condition, TargetPath, Upload};

use super::*;
use crate::lake::{self, Shape};

/// Base64 of "key of these tests".
const KEY: &str = "a2V5IG9mIHRoZXNlIHRlc3Rz";
const CONTAINER: &str = "container";

/// A small lake on disk and the same at a target.
pub(crate) struct Pair {
    folder: tempfile::TempDir,
    emulator: Running,
    client: Filesystem,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(Options {
            storage: Storage::Folder(folder.path().join("emulator")),
            storage_address: ([127, 0, 0, 1], 0).into(),
            admin_address: ([127, 0, 0, 1], 0).into(),
            admin_token: "admin".to_owned(),
            accounts: vec![format!("account={KEY}").parse().unwrap()],
            ..Options::default()
        })
        .await
        .unwrap();
        let endpoint = format!("{}/account", emulator.storage_url()).parse().unwrap();
        let credential = Credential::SharedKey(ClientKey::from_base64(KEY).unwrap());
        let client = Filesystem::new(Config::new(endpoint, "account", CONTAINER, credential)).unwrap();
        client.create_filesystem().await.unwrap();
        Self { folder, emulator, client }
    }

    /// Makes the lake and uploads it below this directory.
    async fn filled(directory: &str) -> Self {
        let pair = Self::start().await;
        let shape =
            Shape { seed: 3, files: 60, directories: 40, total_bytes: 400_000, largest_bytes: 300_000 };
        lake::make(&pair.local(), &shape).unwrap();
        if !directory.is_empty() {
            pair.create(directory, ResourceKind::Directory, 0o755).await;
        }
        for (path, entry) in local::walk(&pair.local()).unwrap() {
            let target = format!("{directory}/{path}");
            match entry.kind {
                tree::Kind::Directory => {
                    pair.create(&target, ResourceKind::Directory, entry.permissions).await
                }
                _ => {
                    pair.write(&target, &fs::read(pair.local().join(&path)).unwrap(), entry.permissions).await
                }
            }
        }
        pair
    }

    fn local(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn source(&self) -> SourceSide {
        SourceSide::Directory(self.local())
    }

    pub(crate) fn target(&self, directory: &str) -> TargetSide {
        self.target_with(KEY, CONTAINER, directory)
    }

    fn target_with(&self, key: &str, container: &str, directory: &str) -> TargetSide {
        let endpoint = format!("{}/account/", self.emulator.storage_url()).parse().unwrap();
        TargetSide::new(reqwest::Client::new(), endpoint, "account", key, container, directory).unwrap()
    }

    async fn create(&self, path: &str, kind: ResourceKind, permissions: u16) {
        let options =
            CreateOptions { access: Some(Access::Permissions(permissions)), ..CreateOptions::default() };
        self.client.create(&TargetPath::new(path), kind, &options, &Condition::Any).await.unwrap();
    }

    pub(crate) async fn write(&self, path: &str, content: &[u8], permissions: u16) {
        self.create(path, ResourceKind::File, permissions).await;
        let upload = Upload { position: 0, data: content.to_vec().into() };
        self.client.append(&TargetPath::new(path), upload, AfterAppend::FlushAndClose).await.unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn finds_equal_what_is_equal() {
    let pair = Pair::filled("migrated data/100%").await;
    let report = compare(&pair.source(), &pair.target("/migrated data/100%/")).await.unwrap();
    assert!(report.equal(), "{report}");
    assert_eq!((report.directories, report.files), (40, 60));
    assert!(report.bytes > 350_000);
}

#[tokio::test]
async fn finds_every_kind_of_difference() {
    let pair = Pair::filled("t").await;
    let local = pair.local();
    // On the source's side, so that nothing but the comparison tells of it.
    let permissions = |path: &str| fs::metadata(local.join(path)).unwrap().permissions().mode() & 0o777;
    let same_size = |path: &str| {
        let mut content = fs::read(local.join(path)).unwrap();
        *content.last_mut().unwrap() ^= 1;
        let mode = permissions(path);
        set_mode(&local.join(path), 0o600);
        fs::write(local.join(path), content).unwrap();
        set_mode(&local.join(path), mode);
    };
    same_size("backup.tar");
    same_size("customers/caf\u{e9}/menu.json");
    fs::write(local.join("new file"), "").unwrap();
    fs::create_dir(local.join("new directory")).unwrap();
    fs::remove_file(local.join("odd names/a b")).unwrap();
    fs::remove_dir(local.join("empty/also empty")).unwrap();
    fs::write(local.join("README"), "longer or shorter").unwrap();
    set_mode(&local.join("README"), permissions("README") ^ 0o040);
    set_mode(&local.join("deep/a"), 0o1701);
    let mode = permissions(".hidden");
    fs::remove_file(local.join(".hidden")).unwrap();
    fs::create_dir(local.join(".hidden")).unwrap();
    set_mode(&local.join(".hidden"), mode);
    std::os::unix::fs::symlink("README", local.join("link")).unwrap();

    let report = compare(&pair.source(), &pair.target("t")).await.unwrap();
    let found: Vec<(&str, String)> = report
        .differences
        .iter()
        .map(|difference| {
            let what = match &difference.what {
                What::Size { source, .. } => format!("size {source}"),
                What::Permissions { source, .. } if difference.path == "deep/a" => format!("mode {source:o}"),
                What::Permissions { source, target } => format!("mode bits {:o}", source ^ target),
                what => format!("{what:?}"),
            };
            (difference.path.as_str(), what)
        })
        .collect();
    let expected = [
        (".hidden", "Kind { source: \"directory\", target: \"file\" }"),
        ("README", "mode bits 40"),
        ("README", "size 17"),
        ("backup.tar", "Content"),
        ("customers/caf\u{e9}/menu.json", "Content"),
        ("deep/a", "mode 1701"),
        ("empty/also empty", "OnlyAtTarget(\"directory\")"),
        ("link", "OnlyAtSource(\"special file\")"),
        ("new directory", "OnlyAtSource(\"directory\")"),
        ("new file", "OnlyAtSource(\"file\")"),
        ("odd names/a b", "OnlyAtTarget(\"file\")"),
    ];
    assert_eq!(found, expected.map(|(path, what)| (path, what.to_owned())));
    assert_eq!(report.difference_count, expected.len() as u64);
    assert!(!report.equal());
}

#[tokio::test]
async fn leaves_out_what_the_migration_keeps_for_itself() {
    let pair = Pair::filled("").await;
    pair.write(".livedata/staging/1/part", b"staged", 0o600).await;
    let report = compare(&pair.source(), &pair.target("")).await.unwrap();
    assert!(report.equal(), "{report}");
    pair.write("a/.livedata/file", b"not at the root", 0o600).await;
    let report = compare(&pair.source(), &pair.target("/")).await.unwrap();
    let paths: Vec<&str> = report.differences.iter().map(|difference| difference.path.as_str()).collect();
    assert_eq!(paths, ["a", "a/.livedata", "a/.livedata/file"]);
}

#[tokio::test]
async fn small_pages_make_the_same_tree() {
    let pair = Pair::filled("t").await;
    let target = pair.target("t");
    let whole = target.walk(PAGE).await.unwrap();
    assert_eq!(whole.len(), 100);
    for page in [1, 7, 100] {
        assert_eq!(target.walk(page).await.unwrap(), whole, "pages of {page}");
    }
}

#[tokio::test]
async fn a_side_that_cannot_be_read_is_an_error() {
    let pair = Pair::filled("t").await;
    let source = pair.source();
    let reason = async |source: &SourceSide, target: TargetSide| {
        let error = compare(source, &target).await.unwrap_err();
        match error {
            Error::Source { path, reason } => format!("source {path}: {reason}"),
            Error::Target { path, reason } => format!("target {path}: {reason}"),
            Error::Interrupted(reason) => reason,
        }
    };
    let wrong_key = pair.target_with("d3Jvbmc=", CONTAINER, "t");
    assert!(reason(&source, wrong_key).await.contains("AuthenticationFailed"));
    assert!(reason(&source, pair.target_with(KEY, "absent", "t")).await.contains("FilesystemNotFound"));
    assert!(reason(&source, pair.target("absent")).await.contains("PathNotFound"));
    let file = reason(&source, pair.target("t/README")).await;
    assert!(file.contains("t/README"), "{file}");
    let absent = SourceSide::Directory(pair.folder.path().join("absent"));
    assert!(reason(&absent, pair.target("t")).await.starts_with("source"));
    let key = TargetSide::new(reqwest::Client::new(), "http://h/".parse().unwrap(), "a", "!", "c", "");
    assert!(key.is_err(), "a key that is not base64");
    assert!(!format!("{:?}", pair.target("t")).contains(KEY));
}
