use std::path::Path;

use super::*;
use crate::lake::{self, Shape};

fn shape() -> Shape {
    Shape { seed: 5, files: 150, directories: 60, total_bytes: 300_000, largest_bytes: 50_000 }
}

fn plan(seed: u64, operations: Option<u64>) -> Plan {
    Plan { seed, writers: 3, operations, operations_per_second: None, stop: Arc::default() }
}

async fn churned(folder: &Path, plan: &Plan) -> Churned {
    let [scope, outside] = ["lake", "outside"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    lake::make(Path::new(&scope), &shape()).unwrap();
    churn(&Local, &scope, &outside, plan).await.unwrap()
}

/// Everything with its content; a writer's mistake about what is there would have failed.
async fn tree(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let root = folder.to_str().unwrap();
    let found = Local.walk(root).await.unwrap();
    let state = |found: Found| {
        let content = (!found.is_directory).then(|| std::fs::read(&found.path).unwrap());
        assert_eq!(content.as_ref().map_or(0, Vec::len) as u64, found.bytes);
        (found.path[root.len()..].to_owned(), content)
    };
    found.into_iter().map(state).collect()
}

#[tokio::test]
async fn every_kind_happens_and_the_seed_decides_what() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let first = churned(folders[0].path(), &plan(7, Some(3000))).await;
    println!("{first}");
    assert_eq!(first.operation_count(), 3000);
    assert!(first.changes > 3000, "{first}");
    let expected = [
        "append",
        "chmod",
        "commit",
        "create",
        "delete directory",
        "delete file",
        "make directory",
        "move in",
        "move out",
        "overwrite",
        "recreate",
        "rename directory",
        "rename file",
        "rename onto",
        "setfacl",
        "setxattr",
        "swap",
        "table version",
        "truncate",
    ];
    assert_eq!(first.operations.keys().copied().collect::<Vec<_>>(), expected);
    let same = churned(folders[1].path(), &plan(7, Some(3000))).await;
    let other = churned(folders[2].path(), &plan(8, Some(3000))).await;
    let mut trees = Vec::new();
    for folder in &folders {
        trees.push(tree(folder.path()).await);
    }
    assert_eq!((&first.operations, first.changes), (&same.operations, same.changes));
    assert!(trees[0] == trees[1], "the same seed is the same lake");
    assert!(trees[0] != trees[2] && first.operations != other.operations, "another seed is another");

    let inside =
        |part: &str| trees[0].keys().filter(|path| path.starts_with("/lake") && path.contains(part)).count();
    for part in ["/_SUCCESS", "/_delta_log/00000000000000000001.json", "/in-", "größe+"] {
        assert!(inside(part) > 0, "nothing with {part}");
    }
    assert_eq!(inside("_temporary"), 0, "commits end");
}

#[tokio::test]
async fn it_keeps_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { operations_per_second: Some(300.0), ..plan(1, Some(90)) };
    let churned = churned(folder.path(), &plan).await;
    // The first of each writer waits for nothing.
    assert!(churned.elapsed >= Duration::from_millis(290), "{churned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(1, None);
    let stop = plan.stop.clone();
    let path = folder.path().to_owned();
    let running = tokio::spawn(async move { churned(&path, &plan).await });
    let home = folder.path().join("lake/writer-0-0");
    while !std::fs::read_dir(&home).is_ok_and(|mut entries| entries.next().is_some()) {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::Relaxed);
    assert!(running.await.unwrap().operation_count() > 0);
}

#[tokio::test]
async fn a_change_that_fails_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = churn(&Local, file.to_str().unwrap(), "/nowhere", &plan(1, Some(1))).await.unwrap_err();
    assert!(error.to_string().contains("list") && error.to_string().contains("file"), "{error}");
}

/// Each run knows what is there and takes it on, whoever left it.
#[tokio::test]
async fn a_lake_may_be_changed_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let [scope, outside] =
        ["lake", "outside"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    lake::make(Path::new(&scope), &shape()).unwrap();
    for (seed, writers) in [(1, 3), (1, 5), (2, 2), (1, 3)] {
        let plan = Plan { writers, ..plan(seed, Some(800)) };
        churn(&Local, &scope, &outside, &plan).await.unwrap();
    }
}
