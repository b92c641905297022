//! `livedata store`, run as an operator runs it, on the store of a control plane that is at work.

use std::path::Path;

use livedata_store::Store as _;
use livedata_store::sqlite::SqliteStore;
use livedata_testkit::SmallDisk;
use serde_json::{Value, json};

use crate::site::{LIVEDATA, Process, Site, until};

/// What it said, and whether it went well.
async fn store(arguments: &[&str]) -> (bool, String) {
    let mut process = Process::start(LIVEDATA, &[&["store"], arguments].concat(), &[]);
    let (status, said) = process.finish().await;
    (status.success(), said)
}

async fn done(arguments: &[&str]) -> String {
    let (good, said) = store(arguments).await;
    assert!(good, "{arguments:?}: {said}");
    said
}

async fn refused(arguments: &[&str]) -> String {
    let (good, said) = store(arguments).await;
    assert!(!good, "{arguments:?}: {said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn make_target(site: &Site) -> (String, Value) {
    let source = json!({"kind": "LocalDirectory", "uri": "file:///srv"});
    let target = format!("{}/targets/t", site.make_migrator("m", source, None).await);
    let made = site.arm().get(&target).await.unwrap();
    (target, made)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_backed_up_while_a_control_plane_runs_comes_back_after_a_loss() {
    let mut site = Site::start().await;
    let (target, made) = make_target(&site).await;
    // A command waits for an agent that is not there.
    let migration = site.start_migration(target.split("/targets/").next().unwrap(), "lake", "/lake").await;
    site.arm().post(&format!("{migration}/rescan")).await.unwrap();
    let (database, backup) = (site.data().join("provider.db"), site.beside("backup"));
    let said = done(&["backup", "--store", text(&database), "--to", text(&backup)]).await;
    assert!(said.contains("records") && said.contains("The sealing key is not in it"), "{said}");
    let said = refused(&["backup", "--store", text(&database), "--to", text(&backup)]).await;
    assert!(said.contains("exists already"), "{said}");
    let said = refused(&["restore", "--store", text(&database), "--from", text(&backup)]).await;
    assert!(said.contains("holds records already"), "{said}");

    site.terminate().await;
    for name in ["provider.db", "provider.db-wal", "provider.db-shm"] {
        let _ = std::fs::remove_file(site.data().join(name));
    }
    let bad = site.beside("bad");
    let whole = std::fs::read(&backup).unwrap();
    std::fs::write(&bad, &whole[..whole.len() - 1]).unwrap();
    let said = refused(&["restore", "--store", text(&database), "--from", text(&bad)]).await;
    assert!(said.contains("cut short") && said.contains("nothing was written"), "{said}");
    assert!(!database.exists());
    let said = done(&["restore", "--store", text(&database), "--from", text(&backup)]).await;
    assert!(said.contains("1 commands (rescan"), "{said}");
    let restored = SqliteStore::open(&database).await.unwrap();
    assert!(restored.list("commands", "", None, 10).await.unwrap().is_empty());
    drop(restored);
    site.bring_up().await;
    assert_eq!(site.arm().get(&target).await.unwrap()["etag"], made["etag"]);
    // Its secret, too, opens: the same one again changes nothing.
    let body = json!({"properties": {"credential": {"accountKey": site.account_key().await}}});
    assert_eq!(site.arm().patch(&target, &body).await.unwrap()["etag"], made["etag"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_says_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let said = done(&["migrate", "--check", "--store", text(&path)]).await;
    assert!(said.contains("there is no store yet") && !path.exists(), "{said}");
    let said = done(&["migrate", "--store", text(&path)]).await;
    assert!(said.contains("made, with schema 1"), "{said}");
    for arguments in [&["migrate", "--check"][..], &["migrate"]] {
        let said = done(&[arguments, &["--store", text(&path)]].concat()).await;
        assert!(said.contains("schema 1 is this version's; nothing to do"), "{said}");
    }
    let said = refused(&["migrate", "--store", "mysql://me:secret@db/x"]).await;
    assert!(said.contains("postgres://USER") && !said.contains("secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_secrets_is_replaced_while_a_control_plane_runs() {
    let mut site = Site::start().await;
    let (target, made) = make_target(&site).await;
    let (database, keys) = (site.data().join("provider.db"), site.data().join("sealing.key"));
    let at = ["--store", text(&database), "--sealing-key", text(&keys)];
    let rotate = |more: &[&str]| [&["rotate-key"], &at[..], more].concat().join("\n");
    let run = async |more: &[&str]| store(&rotate(more).split('\n').collect::<Vec<_>>()).await;

    let (good, said) = run(&[]).await;
    assert!(good && said.contains("1 secrets, 1 of them put under it now"), "{said}");
    let old = said.split("--remove ").nth(1).unwrap().trim().to_owned();
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!(lines(&keys), 3, "a line that says what it is, and two keys");
    // Who runs takes no notice.
    let body = json!({"properties": {"credential": {"accountKey": site.account_key().await}}});
    assert_eq!(site.arm().patch(&target, &body).await.unwrap()["etag"], made["etag"]);

    // The provider's folder says all that.
    let provider = site.data().join("provider");
    let (good, said) = store(&["rotate-key", "--data", text(&provider), "--remove", &old]).await;
    assert!(!good && said.contains("wait"), "{said}");
    let file = std::fs::File::options().append(true).open(&keys).unwrap();
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(300);
    file.set_modified(earlier).unwrap();
    let (good, said) = run(&["--remove", &old]).await;
    assert!(good && said.contains("keep a copy"), "{said}");
    assert_eq!(lines(&keys), 2);
    site.kill().await;
    site.bring_up().await;
    assert_eq!(site.arm().patch(&target, &body).await.unwrap()["etag"], made["etag"]);
}

/// The store's disk is a file system of its own that has no room left.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_reads_go_on_and_so_does_everything_when_there_is_room() {
    let disk = SmallDisk::new(8);
    let site = Site::start_with(&["--store", text(&disk.path().join("provider.db"))]).await;
    let body = json!({"location": "westeurope", "tags": {"t": "x".repeat(200)},
        "properties": {"source": {"kind": "LocalDirectory", "uri": "file:///srv"}}});
    let mut made = vec![site.migrator_id("first")];
    site.arm().put(&made[0], &body).await.unwrap();
    // Some operations are under way when the room ends.
    let ballast = disk.fill();
    let file = std::fs::File::options().write(true).open(&ballast).unwrap();
    file.set_len(file.metadata().unwrap().len() - (1 << 20)).unwrap();
    // Its room is free only when nobody has it open.
    drop(file);
    let refused = loop {
        let id = site.migrator_id(&format!("m{}", made.len()));
        match site.arm().begin_put(&id, &body).await {
            Ok(_) => made.push(id),
            Err(refused) => break refused,
        }
        assert!(made.len() < 10_000, "the disk is not full");
    };
    assert!(made.len() > 5, "{}", made.len());
    assert_eq!(refused.code(), Some("ServiceUnavailable"), "{refused}");
    assert!(refused.to_string().contains("The provider's store is full"), "{refused}");
    assert_eq!(site.arm().get(&made[0]).await.unwrap()["name"], "first");
    let late = site.migrator_id("late");
    site.arm().begin_put(&late, &body).await.unwrap_err();

    std::fs::remove_file(ballast).unwrap();
    made.push(late);
    until(async || site.arm().put(made.last().unwrap(), &body).await.ok()).await.unwrap();
    for id in &made {
        let state = async || site.arm().get(id).await.unwrap()["properties"]["provisioningState"].clone();
        let succeeded = until(async || (state().await == "Succeeded").then_some(())).await;
        assert!(succeeded.is_some(), "{id} is {}", state().await);
    }
}
