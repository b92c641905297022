//! What an agent is told to do once: by an action, over the store, at least once, in order.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use livedata_model::command::CommandKind;
use livedata_model::condition::{Condition, Truth};
use livedata_model::report::MigrationReport;
use livedata_model::spec::{MigrationSpec, RunState};
use livedata_model::state::MigrationState;
use reqwest::Method;
use serde_json::json;

use crate::live::Scene;
use crate::session::{enrol, install};
use crate::world::{Client, Reply};

impl Scene {
    /// The migration is started, and reported to be live and to hold deletes.
    async fn live() -> Self {
        let scene = Self::new().await;
        scene.act("start").await;
        let (generation, _) = scene.told("to run", |spec| spec.run == RunState::Running).await;
        let conditions = vec![Condition {
            kind: "DeletesHeld".into(),
            status: Truth::True,
            reason: "Count".into(),
            message: "12,000 deletes wait".into(),
            last_transition_ms: 1,
        }];
        scene.say(MigrationReport { conditions, ..scene.report(generation, MigrationState::Live) }).await;
        scene
    }

    async fn waiting(&self) -> usize {
        self.world.store.list("commands", "", None, 1000).await.unwrap().len()
    }

    async fn post(&self, action: &str, body: serde_json::Value) -> Reply {
        self.client.send(Method::POST, &format!("{}/{action}", self.migration), Some(&body)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_the_agent_in_order_and_are_then_forgotten() {
    let scene = Scene::live().await;
    let before = scene.client.get(&scene.migration).await.body;
    let accepted = scene.post("rescan", json!({"path": "/data/a//b/"})).await;
    assert_eq!((accepted.status, &accepted.body), (202, &json!(null)));
    // It is over with the request: the command is stored.
    let status = accepted.header("azure-asyncoperation").strip_prefix("https://arm.example:8443").unwrap();
    let status =
        Reply::of(scene.client.http.get(format!("{}{status}", scene.client.base)).send().await.unwrap())
            .await;
    Client::made(&status.body);
    let result = accepted.header("location").strip_prefix("https://arm.example:8443").unwrap();
    let result = scene.client.http.get(format!("{}{result}", scene.client.base)).send().await.unwrap();
    assert_eq!(result.status(), 204);
    for action in ["rescan", "retryFailed", "approveDeletes"] {
        scene.act(action).await;
    }
    let commands = scene.installed.wait_for_commands(4).await;
    let kinds: Vec<_> = commands.iter().map(|command| command.kind.clone()).collect();
    let rescan = |path: &str| CommandKind::Rescan { path: path.into() };
    let expected =
        [rescan("/data/a/b"), rescan("/data"), CommandKind::RetryFailed, CommandKind::ApproveDeletes];
    assert_eq!(kinds, expected);
    let (_, spec) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    assert!(commands.iter().all(|command| command.migration == scene.id() && command.is_for(&spec)));
    while scene.waiting().await > 0 {
        tokio::task::yield_now().await;
    }
    // Nothing of the resource has changed.
    let after = scene.client.get(&scene.migration).await.body;
    assert_eq!((&after["etag"], &after["properties"]), (&before["etag"], &before["properties"]));
    assert_eq!(scene.installed.agent.commands.lock().unwrap().len(), 4);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_which_the_acknowledgement_is_lost_comes_again_and_is_done_once() {
    let scene = Scene::live().await;
    scene.installed.agent.loses_first_list.store(true, Ordering::SeqCst);
    scene.act("retryFailed").await;
    scene.installed.wait_for_commands(1).await;
    while scene.waiting().await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*scene.installed.agent.lists.lock().unwrap(), 2);
    assert_eq!(scene.installed.agent.commands.lock().unwrap().len(), 1);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_for_an_agent_that_is_away_over_a_restart_up_to_a_limit() {
    let mut scene = Scene::live().await;
    let Scene { installed, .. } = scene;
    installed.stop().await;
    let disconnected = |reply: &Reply| {
        let conditions = reply.body["properties"]["status"]["conditions"].as_array().unwrap();
        conditions.iter().any(|one| one["type"] == "AgentDisconnected")
    };
    scene.client.wait(&scene.migration, "that the agent is away", disconnected).await;
    let rescan = format!("{}/rescan", scene.migration);
    for number in 0..256 {
        let body = json!({"path": format!("/data/{number}")});
        let accepted = scene.client.send(Method::POST, &rescan, Some(&body)).await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
    }
    scene.client.post(&rescan).await.assert_error(409, "TooManyCommands");
    scene.running.stop().await;
    scene.running = scene.world.start().await;
    scene.client = scene.world.client(&scene.running);
    // Another agent takes over, and has nothing on its disk: desired state comes first.
    let enrolled = enrol(&scene.world, &scene.client, &scene.migrator, "two").await;
    let installed = install(&scene.world, enrolled, BTreeMap::new());
    let commands = installed.wait_for_commands(256).await;
    for (number, command) in commands.iter().enumerate() {
        assert_eq!(command.kind, CommandKind::Rescan { path: format!("/data/{number}") });
    }
    installed.stop().await;
    scene.running.stop().await;
    scene.relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_same_moment_are_all_kept() {
    let scene = Scene::live().await;
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, address) = (scene.client.clone(), format!("{}/retryFailed", scene.migration));
        posts.spawn(async move { client.post(&address).await.status });
    }
    assert_eq!(posts.join_all().await, [202; 8]);
    scene.installed.wait_for_commands(8).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_go_with_their_migration() {
    let scene = Scene::live().await;
    let Scene { world, relay, running, client, installed, migration, .. } = scene;
    installed.stop().await;
    let accepted = client.post(&format!("{migration}/rescan")).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    assert_eq!(world.store.list("commands", "", None, 10).await.unwrap().len(), 1);
    let deleted = client.delete(&migration).await;
    Client::made(&client.finish(&deleted).await);
    assert!(world.store.list("commands", "", None, 10).await.unwrap().is_empty());
    client.post(&format!("{migration}/rescan")).await.assert_error(404, "ResourceNotFound");
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_refused_with_bad_input_and_change_nothing() {
    let scene = Scene::live().await;
    let before = scene.world.resources().await;
    let value = "InvalidPropertyValue";
    for (action, body, code, target) in [
        ("rescan", json!({"path": "data"}), "PathNotAbsolute", "path"),
        ("rescan", json!({"path": "/data/../x"}), "InvalidPath", "path"),
        ("rescan", json!({"path": "/"}), "PathOutsideMigration", "path"),
        ("rescan", json!({"path": "/database"}), "PathOutsideMigration", "path"),
        ("rescan", json!({"path": 1}), value, "path"),
        ("rescan", json!({"path": "/data", "depth": 1}), "UnknownProperty", "depth"),
        ("retryFailed", json!({"path": "/data"}), "UnknownProperty", "path"),
        ("approveDeletes", json!({"count": 1}), "UnknownProperty", "count"),
        ("reset", json!({"force": true}), "UnknownProperty", "force"),
        ("listFailedPaths", json!({"path": "/data"}), "UnknownProperty", "path"),
    ] {
        let refused = scene.post(action, body).await;
        refused.assert_error(400, code);
        assert_eq!(refused.body["error"]["target"], target);
    }
    scene.post("rescan", json!([])).await.assert_error(400, "InvalidRequestContent");
    let rescan = format!("{}/rescan", scene.migration);
    scene.client.get(&rescan).await.assert_error(405, "MethodNotAllowed");
    let nobody = format!("{}/liveDataMigrations/none/rescan", scene.migrator);
    scene.client.post(&nobody).await.assert_error(404, "ResourceNotFound");
    assert_eq!((scene.world.resources().await, scene.waiting().await), (before, 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_for_migrations_that_go_on() {
    let scene = Scene::new().await;
    let refused = async |state: &str| {
        for action in ["rescan", "retryFailed", "approveDeletes"] {
            let refused = scene.client.post(&format!("{}/{action}", scene.migration)).await;
            refused.assert_error(409, "MigrationNotRunning");
            let message = refused.body["error"]["message"].as_str().unwrap();
            assert!(message.contains(state) && message.contains("start"), "{message}");
        }
    };
    refused("NotScheduled").await;
    scene.act("start").await;
    let (generation, first) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    // Nothing is held, so there is nothing that could be approved.
    scene.say(scene.report(generation, MigrationState::Running)).await;
    let approve = format!("{}/approveDeletes", scene.migration);
    scene.client.post(&approve).await.assert_error(409, "NoDeletesHeld");
    scene.say(scene.report(generation, MigrationState::Failed)).await;
    refused("Failed").await;
    scene.act("start").await;
    let start = |spec: &MigrationSpec| spec.run == RunState::Running && spec.start_count > first.start_count;
    let (generation, _) = scene.told("to run again", start).await;
    scene.say(scene.report(generation, MigrationState::Live)).await;
    scene.act("stop").await;
    refused("Stopping").await;
    let (generation, _) = scene.told("to stop", |spec| spec.run == RunState::Stopped).await;
    scene.say(scene.report(generation, MigrationState::Stopped)).await;
    refused("Stopped").await;
    assert_eq!(scene.waiting().await, 0);
    scene.end().await;
}
