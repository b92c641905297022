//! Live migrations, as their agent reports them: states, lag, reset.

use std::collections::BTreeMap;

use livedata_model::report::{Lag, MigrationReport, Progress};
use livedata_model::spec::{Body, MigrationSpec, Mode, RunState};
use livedata_model::state::MigrationState;
use reqwest::Method;
use serde_json::json;

use crate::session::{Installed, enrol, install, relay};
use crate::world::{Client, World, migration_body};

/// A provider with a migrator, its agent, and a live migration that nobody has started.
pub struct Scene {
    pub world: World,
    pub relay: livedata_relay_server::Running,
    pub running: livedata_provider::Running,
    pub client: Client,
    pub installed: Installed,
    pub migrator: String,
    pub migration: String,
}

impl Scene {
    pub async fn new() -> Self {
        let mut world = World::new();
        let relay = relay(&mut world).await;
        let running = world.start().await;
        let client = world.client(&running);
        let (migrator, target) = client.make_pair("m").await;
        let migration = format!("{migrator}/liveDataMigrations/x");
        let mut body = migration_body(&target, "/data");
        body["properties"]["mode"] = json!("Live");
        client.make(&migration, &body).await;
        let installed = install(&world, enrol(&world, &client, &migrator, "one").await, BTreeMap::new());
        Self { world, relay, running, client, installed, migrator, migration }
    }

    pub fn id(&self) -> String {
        self.migration.to_lowercase()
    }

    /// An action that changes intent, followed to its end.
    pub async fn act(&self, action: &str) {
        let accepted = self.client.post(&format!("{}/{action}", self.migration)).await;
        assert_eq!(accepted.status, 202, "{action}: {}", accepted.body);
        Client::made(&self.client.finish(&accepted).await);
    }

    /// Waits until the agent has a spec like that; returns its generation.
    pub async fn told(&self, what: &str, expected: impl Fn(&MigrationSpec) -> bool) -> (u64, MigrationSpec) {
        let id = self.id();
        self.installed
            .wait(what, |items| {
                matches!(items.get(&id).map(|item| &item.body), Some(Body::Migration(spec)) if expected(spec))
            })
            .await;
        let items = self.installed.agent.items.lock().unwrap();
        let item = &items[&id];
        let Body::Migration(spec) = &item.body else { panic!("{item:?}") };
        (item.generation, spec.clone())
    }

    pub fn report(&self, generation: u64, state: MigrationState) -> MigrationReport {
        MigrationReport {
            id: self.id(),
            observed_generation: generation,
            state,
            progress: Progress { files_migrated: 7, ..Progress::default() },
            conditions: Vec::new(),
            last_error: None,
            estimated_seconds: Some(60),
            lag: None,
            run: None,
            sent: None,
        }
    }

    /// The agent says this; waits until a GET shows it.
    pub async fn say(&self, report: MigrationReport) {
        let state = report.state.as_str();
        self.installed.reports.send(report).unwrap();
        self.shows(state).await;
    }

    pub async fn shows(&self, state: &str) -> serde_json::Value {
        let shown = self
            .client
            .wait(&self.migration, state, |reply| reply.body["properties"]["status"]["state"] == state);
        shown.await.body["properties"]["status"].clone()
    }

    pub async fn end(self) {
        self.installed.stop().await;
        self.running.stop().await;
        self.relay.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_migration_catches_up_is_stopped_and_goes_on() {
    let scene = Scene::new().await;
    scene.act("start").await;
    assert_eq!(scene.shows("Scheduled").await["lag"], json!(null));
    let (generation, spec) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    assert_eq!((spec.mode, spec.start_count > 0), (Mode::Live, true));

    scene.say(scene.report(generation, MigrationState::Running)).await;
    let status = scene.shows("Running").await;
    assert!(status["estimatedCompletion"].is_string(), "{status}");
    let lag = Lag { transactions: 5, seconds: 2, watermark: 900 };
    scene.say(MigrationReport { lag: Some(lag), ..scene.report(generation, MigrationState::Live) }).await;
    let status = scene.shows("Live").await;
    assert_eq!(status["lag"], json!({"transactions": 5, "seconds": 2, "watermark": 900}));
    assert!(status.get("estimatedCompletion").is_none(), "what is live is never complete: {status}");

    // A policy may be changed meanwhile, and reaches the agent; the state stays.
    let patch = json!({"properties": {"deletePolicy": "Keep"}});
    let patched = scene.client.send(Method::PATCH, &scene.migration, Some(&patch)).await;
    Client::made(&scene.client.finish(&patched).await);
    scene.shows("Live").await;
    let (_, spec) = scene.told("the policy", |spec| spec.delete_policy.as_str() == "Keep").await;
    assert_eq!(spec.run, RunState::Running);

    // Events were lost: it scans again.
    scene.say(scene.report(generation, MigrationState::Running)).await;
    scene.say(scene.report(generation, MigrationState::Live)).await;

    scene.act("stop").await;
    scene.shows("Stopping").await;
    let (generation, stopped) = scene.told("to stop", |spec| spec.run == RunState::Stopped).await;
    scene.say(scene.report(generation, MigrationState::Stopping)).await;
    scene.say(scene.report(generation, MigrationState::Stopped)).await;

    scene.act("start").await;
    scene.shows("Scheduled").await;
    let (generation, again) = scene.told("to run again", |spec| spec.run == RunState::Running).await;
    assert_eq!((again.reset_count, again.start_count > stopped.start_count), (0, true));
    scene.say(scene.report(generation, MigrationState::Live)).await;
    scene.say(scene.report(generation, MigrationState::Failed)).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_makes_a_settled_migration_as_new() {
    let scene = Scene::new().await;
    let reset = format!("{}/reset", scene.migration);
    scene.act("start").await;
    let refused = scene.client.post(&reset).await;
    refused.assert_error(409, "MigrationNotStopped");
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("Scheduled"), "{}", refused.body);
    let (generation, _) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    scene.say(scene.report(generation, MigrationState::Live)).await;
    scene.client.post(&reset).await.assert_error(409, "MigrationNotStopped");
    scene.act("stop").await;
    scene.client.post(&reset).await.assert_error(409, "MigrationNotStopped");
    let (generation, before) = scene.told("to stop", |spec| spec.run == RunState::Stopped).await;
    scene.say(scene.report(generation, MigrationState::Stopped)).await;

    scene.act("reset").await;
    // Before the agent has said anything to it.
    let status = scene.shows("NotScheduled").await;
    assert_eq!(status["progress"]["filesMigrated"], 0);
    let (generation, now) = scene.told("the reset", |spec| spec.reset_count > 0).await;
    assert_eq!((now.run, now.start_count), (RunState::Stopped, 0));
    assert!(now.reset_count > before.start_count && now.reset_count <= generation);
    scene.say(scene.report(generation, MigrationState::NotScheduled)).await;

    scene.act("start").await;
    let (_, started) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    assert!(started.start_count > started.reset_count && started.reset_count == now.reset_count);
    scene.client.post(&reset).await.assert_error(409, "MigrationNotStopped");
    // A finished one needs no stop.
    let (generation, _) = scene.told("to run", |spec| spec.run == RunState::Running).await;
    scene.say(scene.report(generation, MigrationState::Failed)).await;
    scene.act("reset").await;
    scene.shows("NotScheduled").await;
    scene.told("the second reset", |spec| spec.reset_count > now.reset_count).await;
    scene.end().await;
}
