//! Sealing keys that a key of Azure Key Vault wraps.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use livedata_pki::{Authority, Identity, file};
use livedata_provider::rotation;
use livedata_provider_service::{
    AzureIdentity, CloudAddresses, Error, FRONT_DOOR_URI, ProviderConfig, Running, keys_and_store, start,
};
use livedata_store::Store;
use livedata_store::sealed::SealingKeys;
use livedata_store::sqlite::SqliteStore;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::vault::{Counts, TENANT, Vault};

struct Site {
    home: TempDir,
    servers: Authority,
    front_door: Identity,
    vault: Vault,
}

/// A provider's answer.
struct Reply {
    status: u16,
    text: String,
}

impl Site {
    fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let home = tempfile::tempdir().unwrap();
        let authority = |name: &str| Authority::load_or_create(&home.path().join(name), name).unwrap();
        let (servers, callers) = (authority("servers"), authority("callers"));
        let vault = Vault::start(&servers);
        let folder = home.path().join("provider");
        crate::config(None).save(&folder).unwrap();
        servers.issue_server(&["localhost"], &[]).unwrap().save(&folder, "server").unwrap();
        file::write(&folder.join("authorities.pem"), servers.certificate_pem(), file::PUBLIC).unwrap();
        file::write(&folder.join("front-doors.pem"), callers.certificate_pem(), file::PUBLIC).unwrap();
        let front_door = callers.issue_client("door", FRONT_DOOR_URI).unwrap();
        let site = Self { home, servers, front_door, vault };
        site.configure(|config| {
            config.key_vault_key = Some(site.vault.key());
            config.azure.cloud = None;
            config.azure.addresses = Some(CloudAddresses {
                endpoint: site.vault.address(),
                authority: site.vault.address(),
                audience: "https://management.example".to_owned(),
                storage_suffix: "example".to_owned(),
            });
            config.azure.identity = AzureIdentity::ServicePrincipal {
                tenant_id: TENANT.to_owned(),
                client_id: "the provider".to_owned(),
                client_secret: "its secret".to_owned(),
            };
        });
        site
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("provider")
    }

    fn configure(&self, change: impl FnOnce(&mut ProviderConfig)) {
        let mut config = ProviderConfig::load(&self.folder()).unwrap();
        change(&mut config);
        config.save(&self.folder()).unwrap();
    }

    fn key_file(&self) -> PathBuf {
        self.folder().join("sealing.key")
    }

    /// What stands in the file, without remarks.
    fn lines(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.key_file()).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    async fn call(&self, running: &Running, method: reqwest::Method, path: &str, body: Value) -> Reply {
        let tls = self.front_door.client_config(self.servers.certificate_pem()).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap();
        let port = running.provider.arm_address.port();
        let version = if path == SUBSCRIPTION { "2.0" } else { "2026-11-01-preview" };
        let url = format!("https://localhost:{port}{path}?api-version={version}");
        let sent =
            http.request(method, url).header("content-type", "application/json").body(body.to_string());
        let response = sent.send().await.unwrap();
        Reply { status: response.status().as_u16(), text: response.text().await.unwrap() }
    }

    async fn make_migrator(&self, running: &Running) {
        let subscription = json!({"state": "Registered", "properties": {"tenantId": TENANT}});
        let made = self.call(running, reqwest::Method::PUT, SUBSCRIPTION, subscription).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let migrator = json!({"location": "westeurope", "properties": {"source": {"kind": "Hdfs", "uri": "hdfs://nn.example:8020"}}});
        let made = self.call(running, reqwest::Method::PUT, MIGRATOR, migrator).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }

    /// Seals something: an agent, with its token.
    async fn put_secret(&self, running: &Running, token: &str) -> Reply {
        let agent = json!({"properties": {"host": "worker", "port": 1433, "accessToken": token}});
        let path = format!("{MIGRATOR}/dataTransferAgents/a");
        loop {
            let reply = self.call(running, reqwest::Method::PUT, &path, agent.clone()).await;
            // An operation is still running.
            if reply.status != 409 {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.folder().join("provider.db")).await.unwrap()
    }

    /// As if the file had been changed some time ago.
    fn make_older(&self) {
        let file = std::fs::File::options().append(true).open(self.key_file()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
    }
}

const SUBSCRIPTION: &str = "/subscriptions/s";
const MIGRATOR: &str = "/subscriptions/s/resourceGroups/g/providers/LiveData.Platform/migrators/m";

fn told<T>(result: Result<T, Error>) -> String {
    let error = result.err().unwrap();
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        told = format!("{told}: {error}");
        source = error.source();
    }
    told
}

async fn keys(folder: &Path) -> SealingKeys {
    let (keys, _) = keys_and_store(folder).unwrap();
    keys.refresh().await.unwrap();
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_on_disk_opens_only_with_the_vault() {
    let site = Site::new();
    let running = start(&site.folder()).await.unwrap();
    site.make_migrator(&running).await;
    assert_eq!(site.put_secret(&running, "a token").await.status, 201);
    let etag = |reply: Reply| serde_json::from_str::<Value>(&reply.text).unwrap()["etag"].clone();
    let first = etag(site.put_secret(&running, "a token").await);
    running.stop().await;
    let lines = site.lines();
    assert_eq!((lines.len(), lines[0].len()), (1, 3), "{lines:?}");
    assert_eq!(lines[0][2], format!("{}/0", site.vault.key()), "the version is named");
    assert_eq!(
        (site.vault.counts().wrapped, site.vault.counts().unwrapped),
        (1, 2),
        "seen to open, and opened"
    );

    // What was sealed opens after a start, for then the vault unwraps: the same secret again changes nothing.
    let running = start(&site.folder()).await.unwrap();
    assert_eq!(etag(site.put_secret(&running, "a token").await), first);
    assert_ne!(etag(site.put_secret(&running, "another").await), first);
    running.stop().await;

    // Neither without it, nor with another key, whose vault is not sent a token.
    site.configure(|config| config.key_vault_key = None);
    let refused = told(start(&site.folder()).await);
    assert!(
        refused.contains("wrapped by a key of Azure Key Vault") && refused.contains("keyVaultKey"),
        "{refused}"
    );
    let other = Vault::start(&site.servers);
    site.configure(|config| config.key_vault_key = Some(other.key()));
    let (elsewhere, _) = keys_and_store(&site.folder()).unwrap();
    let refused = elsewhere.refresh().await.unwrap_err().to_string();
    assert!(
        refused.contains(site.vault.key().as_str()) && refused.contains(other.key().as_str()),
        "{refused}"
    );
    assert_eq!(other.counts(), Counts::default());

    // A key of another vault takes over when the former one is known still.
    site.configure(|config| config.former_key_vault_keys = vec![site.vault.key()]);
    let admin = keys(&site.folder()).await;
    let store: &dyn Store = &site.store().await;
    let done = rotation::rotate(store, &admin).await.unwrap();
    assert_eq!((done.secrets, done.rewrapped), (1, 1));
    assert_eq!(site.lines().last().unwrap()[2], format!("{}/0", other.key()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_that_is_away_keeps_nobody_from_everything_else() {
    let site = Site::new();
    // Without any key there is nothing to begin with.
    site.vault.refuse(Some((403, "Forbidden")));
    let refused = told(start(&site.folder()).await);
    assert!(refused.contains("Key Vault Crypto Service Encryption User"), "{refused}");
    assert!(!site.key_file().exists());
    site.vault.refuse(None);
    let running = start(&site.folder()).await.unwrap();
    site.make_migrator(&running).await;
    running.stop().await;

    site.vault.refuse(Some((503, "ServiceUnavailable")));
    let running = start(&site.folder()).await.unwrap();
    let got = site.call(&running, reqwest::Method::GET, MIGRATOR, json!({})).await;
    assert_eq!(got.status, 200, "{}", got.text);
    let refused = site.put_secret(&running, "a token").await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    site.vault.refuse(None);
    let again = async {
        while site.put_secret(&running, "a token").await.status != 201 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), again).await.unwrap();
    // It is asked no more: who runs goes on while it is away.
    let asked = site.vault.counts();
    site.vault.refuse(Some((503, "ServiceUnavailable")));
    assert_eq!(site.put_secret(&running, "another token").await.status, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.vault.counts(), asked);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_keys_give_way_to_wrapped_ones_and_those_to_newer_ones() {
    let site = Site::new();
    site.configure(|config| config.key_vault_key = None);
    let running = start(&site.folder()).await.unwrap();
    site.make_migrator(&running).await;
    assert_eq!(site.put_secret(&running, "a token").await.status, 201);
    running.stop().await;
    let plain = SealingKeys::load(site.key_file()).unwrap().ids()[0];

    site.configure(|config| config.key_vault_key = Some(site.vault.key()));
    let running = start(&site.folder()).await.unwrap();
    let opens = async |keys: &SealingKeys| {
        let store: &dyn Store = &site.store().await;
        rotation::rotate(store, keys).await.unwrap()
    };
    let admin = keys(&site.folder()).await;
    assert_eq!(admin.unwrapped_in_file(), [plain]);
    let done = opens(&admin).await;
    assert_eq!((done.secrets, done.rewrapped, done.unneeded), (1, 1, vec![plain]));
    site.make_older();
    rotation::remove(&site.store().await, &admin, plain).await.unwrap();
    assert!(admin.unwrapped_in_file().is_empty());
    assert_eq!(site.lines().iter().map(Vec::len).collect::<Vec<_>>(), [3]);

    // A newer version of the vault's key wraps what is made from now on, and what was there opens still.
    site.vault.renew();
    let (admin, again) = (keys(&site.folder()).await, keys(&site.folder()).await);
    let done = opens(&admin).await;
    assert_eq!((done.secrets, done.rewrapped), (1, 1));
    let by: Vec<String> = site.lines().iter().map(|line| line[2].clone()).collect();
    assert_eq!(by, [format!("{}/0", site.vault.key()), format!("{}/1", site.vault.key())]);
    // Another process: it has the old one, and has the new one unwrapped before it seals with it.
    assert_eq!(again.open_ids().len(), 1);
    assert!(again.seal("context", b"secret").unwrap_err().to_string().contains("being unwrapped"));
    again.refresh().await.unwrap();
    assert_eq!(again.open_ids(), admin.open_ids());
    let sealed = again.seal("context", b"secret").unwrap();
    assert_eq!(admin.open("context", &sealed).unwrap(), b"secret");
    // The provider that runs has followed, or does.
    let stored = async {
        while site.put_secret(&running, "yet another").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), stored).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_by_hand_or_cannot_be_is_told() {
    let site = Site::new();
    start(&site.folder()).await.unwrap().stop().await;
    let good = std::fs::read_to_string(site.key_file()).unwrap();
    let line = site.lines().remove(0);
    let other = SealingKeys::load_or_create(site.home.path().join("other")).unwrap().ids()[0].to_string();
    for (from, to, expected) in [
        (line[0].as_str(), other.as_str(), "is not key"),
        (line[1].as_str(), "AAAA", "cannot unwrap"),
        ("/keys/livedata/0", "/keys/livedata/7", "404, KeyNotFound"),
        ("/keys/livedata/0", "/keys/livedata", "is wrapped by"),
    ] {
        std::fs::write(site.key_file(), good.replace(from, to)).unwrap();
        let (keys, _) = keys_and_store(&site.folder()).unwrap();
        let error = keys.refresh().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(keys.open_ids().is_empty() && keys.newest().is_err());
    }
    std::fs::write(site.key_file(), &good).unwrap();
    // A process that has the key does not go on with a line that opens no more.
    let (keys, _) = keys_and_store(&site.folder()).unwrap();
    keys.refresh().await.unwrap();
    keys.seal("context", b"secret").unwrap();
    std::fs::write(site.key_file(), good.replace(line[1].as_str(), "AAAA")).unwrap();
    let refused = keys.seal("context", b"secret").unwrap_err().to_string();
    assert!(refused.contains("being unwrapped"), "{refused}");
    keys.refresh().await.unwrap_err();
    assert!(keys.seal("context", b"secret").unwrap_err().to_string().contains("cannot unwrap"));
    std::fs::write(site.key_file(), &good).unwrap();

    for address in [
        "http://localhost/keys/livedata",
        "https://localhost/secrets/livedata",
        "https://localhost/",
        "https://localhost/keys/livedata/1/2",
    ] {
        site.configure(|config| config.key_vault_key = Some(address.parse().unwrap()));
        let refused = told(keys_and_store(&site.folder()));
        assert!(refused.contains("https://VAULT/keys/NAME"), "{refused}");
    }
    // In a cloud that has a name a mistyped host is sent nothing.
    site.configure(|config| {
        config.azure.cloud = Some("AzureCloud".to_owned());
        config.azure.addresses = None;
    });
    for (address, good) in [
        ("https://contoso.vault.azure.net/keys/livedata", true),
        ("https://contoso.managedhsm.azure.net/keys/livedata", true),
        ("https://contoso.vault.azure.cm/keys/livedata", false),
        ("https://vault.azure.net/keys/livedata", false),
    ] {
        site.configure(|config| config.key_vault_key = Some(address.parse().unwrap()));
        match (keys_and_store(&site.folder()), good) {
            (Ok(_), true) => {}
            (refused, false) => assert!(told(refused).contains("is in no vault of a cloud")),
            (refused, true) => panic!("{}", told(refused)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_put_under_a_key_that_does_not_open() {
    let site = Site::new();
    let running = start(&site.folder()).await.unwrap();
    site.make_migrator(&running).await;
    assert_eq!(site.put_secret(&running, "a token").await.status, 201);
    running.stop().await;
    let admin = keys(&site.folder()).await;
    let first = admin.ids()[0];
    // Who may wrap and not unwrap makes no key.
    site.vault.refuse_unwrap(true);
    let refused = admin.add_next().await.unwrap_err().to_string();
    assert!(refused.contains("cannot unwrap"), "{refused}");
    assert_eq!((admin.ids(), admin.next()), (vec![first], None));
    site.vault.refuse_unwrap(false);
    // One that another process has made is not gone on with before it opens here.
    let next = admin.add_next().await.unwrap();
    let (late, _) = keys_and_store(&site.folder()).unwrap();
    site.vault.refuse(Some((503, "ServiceUnavailable")));
    late.refresh().await.unwrap_err();
    let store: &dyn Store = &site.store().await;
    let refused = rotation::rotate(store, &late).await.unwrap_err();
    assert!(matches!(refused, rotation::RotationError::Keys(_)), "{refused:?}");
    assert_eq!(late.next(), Some(next), "it does not seal");
    site.vault.refuse(None);
    late.refresh().await.unwrap();
    let done = rotation::rotate(store, &late).await.unwrap();
    assert_eq!((done.key, done.resumed, done.rewrapped), (next, true, 1));
}
