//! The operations against the emulator, and the conformance suite.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use livedata_adls::{
    Access, AccessControlChange, AccountKey, AdlsTarget, AfterAppend, Config, CreateOptions, Credential,
    Filesystem, ListOptions, Range, ResourceKind, Throttle,
};
use livedata_adls_emulator::{Emulator, Options, Running, Storage};
use livedata_filesystem::throttle::Bandwidth;
use livedata_filesystem::{
    AclEntry, AclKind, Attributes, Condition, ErrorKind, Target as _, TargetPath, Upload, conformance,
};
use livedata_pki::Authority;

use crate::lossy_proxy::LossyProxy;

/// Of every operation in these tests.
pub const TRIES: u32 = 4;
/// What it calls itself where it speaks TLS.
pub const HOST: &str = "account.dfs.test";
/// Base64 of "key of these tests".
pub const KEY: &str = "a2V5IG9mIHRoZXNlIHRlc3Rz";

/// An emulator with one empty container, and a client that reaches it through a proxy.
pub struct Service {
    pub proxy: LossyProxy,
    pub filesystem: Filesystem,
    config: Config,
    emulator: Running,
    _folder: tempfile::TempDir,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With an authority it speaks TLS, and the client goes straight to it.
    pub async fn start_with(authority: Option<&Authority>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let server =
            authority.map(|authority| authority.issue_server(&[HOST], &[[127, 0, 0, 1].into()]).unwrap());
        let emulator = Emulator::start(Options {
            storage: Storage::Folder(folder.path().join("emulator")),
            storage_address: ([127, 0, 0, 1], 0).into(),
            admin_address: ([127, 0, 0, 1], 0).into(),
            admin_token: "admin".to_owned(),
            storage_tls: server.map(|server| server.server_config(None).unwrap()),
            accounts: vec![format!("account={KEY}").parse().unwrap()],
            ..Options::default()
        })
        .await
        .unwrap();
        let proxy = LossyProxy::start(emulator.storage_address()).await;
        let key = AccountKey::from_base64(KEY).unwrap();
        let endpoint = match authority {
            None => proxy.endpoint("account"),
            Some(_) => format!("{}/account", emulator.storage_url()).parse().unwrap(),
        };
        let mut config = Config::new(endpoint, "account", "container", Credential::SharedKey(key));
        config.network.authorities_pem = authority.map(|authority| authority.certificate_pem().to_owned());
        config.retry.tries = TRIES;
        let filesystem = Filesystem::new(config.clone()).unwrap();
        filesystem.create_filesystem().await.unwrap();
        Self { proxy, filesystem, config, emulator, _folder: folder }
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.emulator.storage_address()
    }

    /// The account's keys, the first one new.
    pub async fn regenerate_first_key(&self) -> [String; 2] {
        let admin = format!("http://{}/accounts/account/regenerateKey", self.emulator.admin_address());
        let request = reqwest::Client::new().post(admin).bearer_auth("admin").body(r#"{"keyName":"key1"}"#);
        let reply: serde_json::Value =
            serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        [0, 1].map(|at| reply["keys"][at]["value"].as_str().unwrap().to_owned())
    }

    /// Another way to the same service, through a proxy of its own.
    pub async fn another_way(&self, change: impl FnOnce(&mut Config)) -> (LossyProxy, Filesystem) {
        let proxy = LossyProxy::start(self.emulator.storage_address()).await;
        let filesystem = self.with(|config| {
            config.endpoint = proxy.endpoint("account");
            change(config);
        });
        (proxy, filesystem)
    }

    pub fn with(&self, change: impl FnOnce(&mut Config)) -> Filesystem {
        self.try_with(change).unwrap()
    }

    pub fn try_with(&self, change: impl FnOnce(&mut Config)) -> livedata_filesystem::Result<Filesystem> {
        let mut config = self.config.clone();
        change(&mut config);
        Filesystem::new(config)
    }
}

pub async fn read_all(filesystem: &Filesystem, path: &TargetPath) -> Vec<u8> {
    read(filesystem, path, None).await
}

async fn read(filesystem: &Filesystem, path: &TargetPath, range: Option<Range>) -> Vec<u8> {
    let content = filesystem.read(path, range, &Condition::Any).await.unwrap();
    content
        .bytes
        .try_fold(Vec::new(), async |mut all, piece| {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
        .unwrap()
}

pub async fn write(filesystem: &Filesystem, path: &TargetPath, data: &[u8]) {
    filesystem.create(path, ResourceKind::File, &CreateOptions::default(), &Condition::Any).await.unwrap();
    let upload = Upload { position: 0, data: data.to_vec().into() };
    filesystem.append(path, upload, AfterAppend::FlushAndClose).await.unwrap();
}

pub struct Subject(pub AdlsTarget);

#[async_trait]
impl conformance::ReadableTarget for Subject {
    type Target = AdlsTarget;

    fn target(&self) -> &AdlsTarget {
        &self.0
    }

    async fn content(&self, path: &TargetPath) -> Vec<u8> {
        read_all(self.0.filesystem(), path).await
    }
}

#[tokio::test]
async fn the_client_conforms() {
    let service = Service::start().await;
    let subject = Subject(AdlsTarget::new(service.filesystem.clone()));
    conformance::target(&subject, &TargetPath::new("conformance")).await;
}

#[tokio::test]
async fn a_container_is_made_and_looked_at() {
    let service = Service::start().await;
    let other = service.with(|config| config.filesystem = "other".to_owned());
    assert_eq!(other.filesystem_properties().await.unwrap(), None);
    other.create_filesystem().await.unwrap();
    assert!(other.filesystem_properties().await.unwrap().unwrap().hierarchical_namespace);
    assert_eq!(other.create_filesystem().await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_missing_container_is_a_mistake_of_the_configuration() {
    let service = Service::start().await;
    let missing = service.with(|config| config.filesystem = "missing".to_owned());
    let error = missing.properties(&TargetPath::new("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert!(error.to_string().contains("create it or correct the target"), "{error}");
}

#[tokio::test]
async fn a_wrong_key_is_denied_once_and_says_so() {
    let service = Service::start().await;
    let wrong = AccountKey::from_base64("d3Jvbmc=").unwrap();
    let denied = service.with(|config| config.credential = Credential::SharedKey(wrong));
    service.proxy.take_requests();
    let error = denied.properties(&TargetPath::new("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert!(error.to_string().contains("the account key or the account name is wrong"), "{error}");
    assert_eq!(service.proxy.take_requests().len(), 1, "a refusal is not repeated");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_after_all_tries() {
    let service = Service::start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = service.with(|config| config.endpoint = format!("http://{free}/account").parse().unwrap());
    let error = nobody.properties(&TargetPath::new("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("gave up after 4 tries in "), "{error}");
}

#[tokio::test]
async fn the_root_is_a_directory_with_attributes() {
    let service = Service::start().await;
    let target = AdlsTarget::new(service.filesystem.clone());
    let root = TargetPath::new("/");
    assert!(target.properties(&root).await.unwrap().unwrap().is_directory);
    let attributes = Attributes {
        permissions: Some(0o711),
        acl: Vec::new(),
        properties: [("id".to_owned(), "1".to_owned())].into(),
    };
    let etag = target.set_attributes(&root, &attributes, &Condition::Any).await.unwrap();
    let found = service.filesystem.access_control(&root).await.unwrap();
    assert_eq!(found.permissions.as_deref(), Some("rwx--x--x"));
    assert_eq!(found.etag, Some(etag));
    let error = target.delete(&root, true, &Condition::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
}

#[tokio::test]
async fn names_that_the_service_would_change_are_refused() {
    let service = Service::start().await;
    service.proxy.take_requests();
    for path in ["a/name.", "a/../b"] {
        let error = service.filesystem.properties(&TargetPath::new(path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NameRefused, "{error}");
    }
    assert!(service.proxy.take_requests().is_empty());
}

#[tokio::test]
async fn listings_come_in_pages() {
    let service = Service::start().await;
    let names = ["a b", "b%41", "c+d=&", "größe", "sub/one", "sub/two"];
    for name in names {
        write(&service.filesystem, &TargetPath::new("list").join(name), name.as_bytes()).await;
    }
    for (recursive, expected) in [
        (false, vec!["a b", "b%41", "c+d=&", "größe", "sub"]),
        (true, vec!["a b", "b%41", "c+d=&", "größe", "sub", "sub/one", "sub/two"]),
    ] {
        let options = ListOptions { recursive, page_size: Some(2) };
        let mut listing = service.filesystem.list(&TargetPath::new("list"), options);
        let mut found = Vec::new();
        let mut pages = 0;
        while let Some(page) = listing.next_page().await.unwrap() {
            assert!(page.len() <= 2);
            pages += 1;
            found.extend(page);
        }
        assert!(pages >= expected.len().div_ceil(2), "{pages}");
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let paths: Vec<&str> =
            found.iter().map(|entry| entry.path.as_str().strip_prefix("list/").unwrap()).collect();
        assert_eq!(paths, expected);
        for entry in &found {
            let looked = service.filesystem.properties(&entry.path).await.unwrap().unwrap();
            assert_eq!(entry.is_directory, looked.is_directory);
            assert_eq!(entry.length_bytes, looked.length_bytes);
            assert_eq!(entry.etag, looked.etag, "listed etags can be used in conditions");
        }
    }
    let mut missing = service.filesystem.list(&TargetPath::new("missing"), ListOptions::default());
    assert_eq!(missing.next_page().await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn ranges_and_conditions_of_reads() {
    let service = Service::start().await;
    let path = TargetPath::new("file");
    write(&service.filesystem, &path, b"0123456789").await;
    let range = |offset, length_bytes| Some(Range { offset, length_bytes });
    assert_eq!(read(&service.filesystem, &path, range(2, 3)).await, b"234");
    assert_eq!(read(&service.filesystem, &path, range(8, 100)).await, b"89");
    let etag = service.filesystem.properties(&path).await.unwrap().unwrap().etag;
    let unchanged = Condition::Unchanged(etag);
    service.filesystem.read(&path, None, &unchanged).await.unwrap();
    write(&service.filesystem, &path, b"other").await;
    let kind = |result: livedata_filesystem::Result<livedata_adls::Content>| result.err().unwrap().kind();
    assert_eq!(kind(service.filesystem.read(&path, None, &unchanged).await), ErrorKind::Conflict);
    assert_eq!(kind(service.filesystem.read(&path, range(50, 1), &Condition::Any).await), ErrorKind::Changed);
    assert_eq!(kind(service.filesystem.read(&path, range(0, 0), &Condition::Any).await), ErrorKind::Fatal);
    let missing = TargetPath::new("missing");
    assert_eq!(kind(service.filesystem.read(&missing, None, &Condition::Any).await), ErrorKind::Gone);
}

#[tokio::test]
async fn permissions_are_taken_exactly() {
    let service = Service::start().await;
    for (bits, text) in [(0o777, "rwxrwxrwx"), (0o640, "rw-r-----"), (0o1777, "rwxrwxrwt"), (0, "---------")]
    {
        let path = TargetPath::new("modes").join(&format!("{bits:o}"));
        let options = CreateOptions { access: Some(Access::Permissions(bits)), ..CreateOptions::default() };
        service
            .filesystem
            .create(&path, ResourceKind::Directory, &options, &Condition::Absent)
            .await
            .unwrap();
        let found = service.filesystem.access_control(&path).await.unwrap();
        assert_eq!(found.permissions.as_deref(), Some(text));
        assert!(found.owner.is_some() && found.group.is_some());
    }
}

fn default_entry(kind: AclKind, name: Option<&str>, permissions: u8) -> AclEntry {
    AclEntry { is_default: true, kind, name: name.map(str::to_owned), permissions }
}

#[tokio::test]
async fn access_control_entries_are_set_with_the_file_in_one_request() {
    let service = Service::start().await;
    let target = AdlsTarget::new(service.filesystem.clone());
    let path = TargetPath::new("file");
    let mask =
        |permissions| AclEntry { is_default: false, ..default_entry(AclKind::Mask, None, permissions) };
    let group = AclEntry { is_default: false, ..default_entry(AclKind::Group, None, 7) };
    let alice = AclEntry { is_default: false, ..default_entry(AclKind::User, Some("alice"), 7) };
    let attributes = Attributes {
        permissions: Some(0o640),
        acl: vec![alice, group, mask(4)],
        properties: [("id".to_owned(), "1".to_owned())].into(),
    };
    service.proxy.take_requests();
    let etag = target.create_file(&path, &attributes, &Condition::Absent).await.unwrap();
    assert_eq!(service.proxy.take_requests().len(), 1);
    let list = || async { service.filesystem.access_control(&path).await.unwrap().list.unwrap() };
    assert_eq!(list().await, "user::rw-,group::rwx,mask::r--,other::---");
    let found = target.properties(&path).await.unwrap().unwrap();
    assert_eq!((found.etag, found.properties), (etag, attributes.properties));
    let without = Attributes { permissions: Some(0o604), ..Attributes::default() };
    target.set_attributes(&path, &without, &Condition::Any).await.unwrap();
    assert_eq!(list().await, "user::rw-,group::---,other::r--", "entries that the source no longer has go");
}

#[tokio::test]
async fn directories_have_what_they_are_given_and_nothing_of_their_parent() {
    let service = Service::start().await;
    let target = AdlsTarget::new(service.filesystem.clone());
    let (parent, child) = (TargetPath::new("parent"), TargetPath::new("parent/child"));
    let entries = [(AclKind::User, 7), (AclKind::Group, 5), (AclKind::Other, 1)];
    let acl = entries.map(|(kind, permissions)| default_entry(kind, None, permissions)).to_vec();
    let inherited = Attributes { permissions: Some(0o1777), acl, ..Attributes::default() };
    let etag = target.create_directory(&parent, &inherited, &Condition::Absent).await.unwrap();
    let found = service.filesystem.access_control(&parent).await.unwrap();
    assert_eq!(found.permissions.as_deref(), Some("rwxrwxrwt+"));
    assert_eq!(found.etag, Some(etag));
    let defaults = "default:user::rwx,default:group::r-x,default:other::--x";
    assert_eq!(found.list.unwrap(), format!("user::rwx,group::rwx,other::rwx,{defaults}"));
    let plain = Attributes { permissions: Some(0o750), ..Attributes::default() };
    target.create_directory(&child, &plain, &Condition::Absent).await.unwrap();
    let found = service.filesystem.access_control(&child).await.unwrap();
    assert_eq!(found.list.as_deref(), Some("user::rwx,group::r-x,other::---"));
}

#[tokio::test]
async fn access_control_is_changed_in_part() {
    let service = Service::start().await;
    let path = TargetPath::new("file");
    write(&service.filesystem, &path, b"x").await;
    let change = AccessControlChange { owner: Some("alice".to_owned()), ..AccessControlChange::default() };
    service.filesystem.set_access_control(&path, &change, &Condition::Any).await.unwrap();
    let list = "user::rw-,user:bob:r--,group::r--,mask::r--,other::---";
    let change = AccessControlChange { access: Some(Access::List(list.to_owned())), ..Default::default() };
    let etag = service.filesystem.set_access_control(&path, &change, &Condition::Any).await.unwrap();
    let found = service.filesystem.access_control(&path).await.unwrap();
    assert_eq!(found.owner.as_deref(), Some("alice"));
    assert_eq!(found.list.as_deref(), Some(list));
    assert_eq!(found.etag, Some(etag));
}

#[tokio::test]
async fn large_and_throttled_bodies_arrive_whole() {
    let service = Service::start().await;
    let cap = Arc::new(Bandwidth::new(Some(8 * 1024 * 1024)));
    let throttled =
        service.with(|config| config.throttle = Some(Throttle::new(cap, tokio::time::Instant::now())));
    let data: Vec<u8> = (0..1_000_003_u32).map(|index| (index % 251) as u8).collect();
    for filesystem in [&service.filesystem, &throttled] {
        let path = TargetPath::new("large");
        write(filesystem, &path, &data).await;
        assert!(read_all(filesystem, &path).await == data);
    }
}
