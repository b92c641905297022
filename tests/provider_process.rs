//! The provider as a process of its own, killed with kill -9 while people work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use livedata_workload::SourceSide;
use serde_json::{Value, json};

use crate::site::{Process, Site, directory, until};

/// How often the provider dies.
const DEATHS: usize = 5;
const CLIENTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_leaves_nothing_half_done_and_loses_nothing_it_confirmed() {
    let (site, mut provider) = Site::start_with_provider_apart().await;
    let (site, ending) = (Arc::new(site), Arc::new(AtomicBool::new(false)));
    let written = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(work(client, Arc::clone(&site), Arc::clone(&ending), Arc::clone(&written)))
        })
        .collect();
    for death in 1..=DEATHS {
        let enough = until(async || (written.load(Ordering::SeqCst) >= death * CLIENTS / 2).then_some(()));
        enough.await.unwrap();
        // Not always at the same point of what the clients do.
        tokio::time::sleep(Duration::from_millis(70 * death as u64)).await;
        provider.kill().await;
        provider = site.start_provider().await;
    }
    ending.store(true, Ordering::SeqCst);
    let mut confirmed = Vec::new();
    for client in clients {
        confirmed.extend(client.await.unwrap());
    }
    let group = site.arm().id("/resourceGroups/rg/providers/LiveData.Platform/migrators");
    let all = until(async || {
        let all = all(&site, &group).await;
        let ended = |found: &Value| found["properties"]["provisioningState"] == "Succeeded";
        all.iter().all(ended).then_some(all)
    });
    let all = all.await.unwrap();
    for (name, tag) in confirmed {
        let found = all.iter().find(|found| found["name"] == name.as_str());
        let found = found.unwrap_or_else(|| panic!("{name} was confirmed and is gone"));
        assert_eq!(found["tags"]["round"], tag.as_str(), "{name}: what was confirmed last is what is there");
    }
    // What is left works: a migration from end to end.
    let source = site.beside("source").join("lake");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("file"), "content").unwrap();
    let migrator = site.make_migrator("last", directory(&site.beside("source")), None).await;
    let _agent = site.install_agent(&migrator).await;
    let migration = site.start_migration(&migrator, "lake", "/lake").await;
    site.wait(&migration, "Completed", |status| status["state"] == "Completed").await;
    assert!(site.compare(SourceSide::Directory(source), "lake").await.equal());
    drop(provider);
}

/// Makes and changes migrators of its own until it is told to end, trying again what failed; names and the tag that was
/// confirmed last.
async fn work(
    client: usize,
    site: Arc<Site>,
    ending: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
) -> Vec<(String, String)> {
    let mut confirmed = Vec::new();
    for number in 0.. {
        let name = format!("c{client}-{number}");
        let id = site.migrator_id(&name);
        for round in ["one", "two"] {
            let body = json!({
                "location": "westeurope", "tags": { "round": round },
                "properties": { "source": directory(&site.beside("source")) }
            });
            let writing = async {
                while site.arm().put(&id, &body).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            // The provider comes back each time.
            tokio::time::timeout(Duration::from_secs(150), writing).await.unwrap();
            written.fetch_add(1, Ordering::SeqCst);
        }
        confirmed.push((name, "two".to_owned()));
        if ending.load(Ordering::SeqCst) {
            return confirmed;
        }
    }
    confirmed
}

/// All pages.
async fn all(site: &Site, collection: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut page = site.arm().get(collection).await.unwrap();
    loop {
        found.append(page["value"].as_array_mut().unwrap());
        let Some(next) = page["nextLink"].as_str().map(str::to_owned) else { return found };
        page = site.arm().get_url(&next).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_folder_lacks_or_says_wrongly_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let start = async || {
        let mut process = Process::start(crate::site::LIVEDATA, &["provider", "--data", &data], &[]);
        let (status, said) = process.finish().await;
        assert!(!status.success());
        said
    };
    let said = start().await;
    assert!(said.contains("provider.json cannot be read"), "{said}");
    std::fs::write(folder.path().join("provider.json"), "{ \"arm\": 1 }").unwrap();
    let said = start().await;
    assert!(said.contains("provider.json is not a provider's configuration"), "{said}");
}
