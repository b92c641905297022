//! `listFailedPaths`: what the agent has listed, in pages.

use livedata_model::message::FailedPathsPart;
use livedata_model::report::{FailedPath, FailureKind};
use livedata_model::spec::{MigrationSpec, RunState};
use livedata_model::state::MigrationState;
use serde_json::{Value, json};

use crate::live::Scene;
use crate::world::Client;

fn part(
    scene: &Scene,
    spec: &MigrationSpec,
    (revision, part, parts): (u64, u32, u32),
    names: std::ops::Range<u32>,
) -> FailedPathsPart {
    let entry = |n| FailedPath {
        path: format!("/data/{n:04}"),
        kind: FailureKind::Denied,
        reason: format!("permission denied ({revision})"),
        at_ms: 1_000,
    };
    FailedPathsPart {
        sequence: 0,
        migration: scene.id(),
        incarnation: spec.incarnation.clone(),
        start: spec.start_count,
        revision,
        part,
        parts,
        entries: names.map(entry).collect(),
        truncated: false,
    }
}

impl Scene {
    fn list(&self) -> String {
        format!("{}/listFailedPaths", self.migration)
    }

    /// The whole list, and how many pages it had.
    async fn failed_paths(&self, query: &str) -> (Vec<Value>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        let mut next = Some(format!("{}{query}", self.list()));
        while let Some(path) = next {
            let page = self.client.post(&path).await;
            assert_eq!(page.status, 200, "{}", page.body);
            all.extend(page.body["value"].as_array().unwrap().iter().cloned());
            pages += 1;
            next = page.body.get("nextLink").map(|link| {
                let link = link.as_str().unwrap();
                assert!(link.contains("api-version"), "{link}");
                link.strip_prefix("https://arm.example:8443").unwrap().to_owned()
            });
        }
        (all, pages)
    }

    async fn wait_for_failed(&self, count: usize) -> Vec<Value> {
        let waiting = async {
            loop {
                let (all, _) = self.failed_paths("").await;
                if all.len() == count {
                    return all;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.unwrap()
    }

    async fn started(&self) -> MigrationSpec {
        self.act("start").await;
        let (generation, spec) = self.told("to run", |spec| spec.run == RunState::Running).await;
        self.say(self.report(generation, MigrationState::Running)).await;
        spec
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_parts_is_shown_in_pages_and_replaces_the_one_before() {
    let scene = Scene::new().await;
    assert_eq!(scene.client.post(&scene.list()).await.body, json!({"value": []}));
    let spec = scene.started().await;
    let send = |part| scene.installed.failed_paths.send(part).unwrap();
    send(part(&scene, &spec, (1, 0, 2), 100..250));
    send(part(&scene, &spec, (1, 1, 2), 0..100));
    let all = scene.wait_for_failed(250).await;
    let names: Vec<_> = all.iter().map(|one| one["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, (0..250).map(|n| format!("/data/{n:04}")).collect::<Vec<_>>());
    let first = json!({
        "path": "/data/0000", "kind": "Denied", "reason": "permission denied (1)", "at": "1970-01-01T00:00:01Z"
    });
    assert_eq!(all[0], first);
    assert_eq!(scene.failed_paths("").await.1, 3);
    let (few, pages) = scene.failed_paths("?%24top=90").await;
    assert_eq!((few.len(), pages), (250, 3));
    let filled = scene.client.post(&scene.list()).await;
    assert!(filled.body.get("truncated").is_none());

    // A part that is missing makes the whole list nothing; the next whole one counts.
    send(part(&scene, &spec, (2, 0, 3), 0..1));
    send(part(&scene, &spec, (2, 2, 3), 2..3));
    send(FailedPathsPart { truncated: true, ..part(&scene, &spec, (3, 0, 1), 7..9) });
    let all = scene.wait_for_failed(2).await;
    assert_eq!((&all[0]["path"], &all[1]["reason"]), (&json!("/data/0007"), &json!("permission denied (3)")));
    assert_eq!(scene.client.post(&scene.list()).await.body["truncated"], true);
    send(part(&scene, &spec, (4, 0, 1), 0..0));
    scene.wait_for_failed(0).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_bounded_and_only_of_the_migration_that_is_there() {
    let scene = Scene::new().await;
    let spec = scene.started().await;
    let send = |part| scene.installed.failed_paths.send(part).unwrap();
    let foreign = scene.id().replace("/migrators/m/", "/migrators/n/");
    send(FailedPathsPart { migration: foreign.clone(), ..part(&scene, &spec, (1, 0, 1), 0..3) });
    send(FailedPathsPart { incarnation: "earlier".into(), ..part(&scene, &spec, (1, 0, 1), 0..3) });
    let mut long = part(&scene, &spec, (2, 0, 2), 0..6_000);
    long.entries[0].path = "x".repeat(10_000);
    long.entries[1].reason = "ä".repeat(2_000);
    send(long);
    send(part(&scene, &spec, (2, 1, 2), 6_000..12_000));
    let all = scene.wait_for_failed(10_000).await;
    assert_eq!(all[0]["path"], "/data/0001");
    assert!(all[0]["reason"].as_str().unwrap().len() <= 1024);
    assert_eq!(scene.client.post(&scene.list()).await.body["truncated"], true);
    assert!(scene.world.store.get("failed_path_lists", &foreign).await.unwrap().is_none());

    for (query, target) in [("$top=0", "$top"), ("$top=x", "$top"), ("$skipToken=abc", "$skipToken")] {
        let refused = scene.client.post(&format!("{}?{query}", scene.list())).await;
        refused.assert_error(400, "InvalidQueryParameter");
        assert_eq!(refused.body["error"]["target"], target);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_outlives_the_session_and_goes_with_a_reset_and_with_its_migration() {
    let mut scene = Scene::new().await;
    let spec = scene.started().await;
    scene.installed.failed_paths.send(part(&scene, &spec, (1, 0, 1), 0..3)).unwrap();
    scene.wait_for_failed(3).await;
    // It survives a restart, and a start, until the agent has another one.
    scene.running.stop().await;
    scene.running = scene.world.start().await;
    scene.client = scene.world.client(&scene.running);
    assert_eq!(scene.wait_for_failed(3).await.len(), 3);
    scene.act("stop").await;
    let (generation, _) = scene.told("to stop", |spec| spec.run == RunState::Stopped).await;
    scene.say(scene.report(generation, MigrationState::Stopped)).await;
    assert_eq!(scene.failed_paths("").await.0.len(), 3);
    scene.act("reset").await;
    assert_eq!(scene.client.post(&scene.list()).await.body, json!({"value": []}));
    // The next run has a list of its own.
    let spec = scene.started().await;
    scene.installed.failed_paths.send(part(&scene, &spec, (5, 0, 1), 5..6)).unwrap();
    scene.wait_for_failed(1).await;
    let deleted = scene.client.delete(&scene.migration).await;
    Client::made(&scene.client.finish(&deleted).await);
    for collection in ["failed_paths", "failed_path_lists"] {
        assert!(scene.world.store.list(collection, "", None, 10).await.unwrap().is_empty(), "{collection}");
    }
    scene.end().await;
}
