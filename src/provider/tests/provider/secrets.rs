//! Secrets are nowhere in the clear: not in replies, not in the store's file, not in logs.

use std::io::Write;
use std::sync::{Arc, Mutex};

use livedata_session::enrolment::InstallKey;
use livedata_store::sqlite::SqliteStore;

use crate::world::{ACCOUNT_KEY, PATH_SECRET, World, migration_body};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_reply_no_log_and_not_in_the_sqlite_file() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process: this binary's other tests only add to the log.
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("provider.db");
    let store = Arc::new(SqliteStore::open(&file).await.unwrap());
    let world = World { custom_provider: true, ..World::on(store) };
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    client.make(&format!("{m}/liveDataMigrations/x"), &migration_body(&target, "/data")).await;
    let minted = client.post(&format!("{m}/listInstallKey")).await;
    assert_eq!(minted.status, 200, "{}", minted.body);
    let key = InstallKey::from_text(minted.body["installKey"].as_str().unwrap()).unwrap();
    assert_eq!(key.url.port(), Some(running.enrolment_address.port()));
    let verifier = key.verifier();

    for path in [target.clone(), format!("{m}/targets"), m.clone(), format!("{m}/liveDataMigrations")] {
        assert!(!client.get(&path).await.body.to_string().contains(ACCOUNT_KEY), "{path}");
    }
    let custom = running.custom_provider_address.unwrap().port();
    let http = world.client_without_certificate();
    for path in [PATH_SECRET.to_owned(), format!("{PATH_SECRET}/more")] {
        http.get(format!("https://localhost:{custom}/{path}")).send().await.unwrap();
    }
    running.stop().await;
    drop(world);
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let has = |bytes: &[u8], secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
    assert!(has(&stored, b"livedatamigrations/x"), "this does not look at the store's file");
    let logged = log.0.lock().unwrap().clone();
    assert!(has(&logged, b"answered"), "this does not look at the log");
    for (what, secret) in [
        ("account key", ACCOUNT_KEY.as_bytes()),
        ("install key", minted.body["installKey"].as_str().unwrap().as_bytes()),
        ("verifier", verifier.as_bytes().as_slice()),
    ] {
        assert!(!has(&stored, secret), "the {what} is in the store's file");
        assert!(!has(&logged, secret), "the {what} is in the log");
    }
    // The client of this test logs where it goes.
    let ours = String::from_utf8_lossy(&logged)
        .lines()
        .filter(|line| line.contains("livedata_provider"))
        .collect::<String>();
    assert!(ours.contains("answered") && !ours.contains(PATH_SECRET), "the secret path is in the log");
}
