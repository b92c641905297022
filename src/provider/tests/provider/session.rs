//! From install key to progress in a GET, with the real relay and the agent's real end of the session. The agent itself is
//! a few lines: it keeps what it is told and reports what a test gives it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use livedata_model::command::Command;
use livedata_model::message::{FailedPathsPart, Hello, Known, ListenToken, Report, Sync, Welcome};
use livedata_model::report::{AgentReport, MigrationReport, Progress};
use livedata_model::spec::{Body, Item, RunState};
use livedata_model::state::MigrationState;
use livedata_relay::{Backoff, Endpoint, Event, Grant, Listening, Token};
use livedata_relay_server::{Key, Limits, RelayServer, Right, Rule, Rules};
use livedata_session::agent::{self, AgentHandler};
use livedata_session::enrolment::{Enrolled, InstallKey, client};
use livedata_session::{HandlerError, tls};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::world::{ACCOUNT_KEY, Client, World, migration_body, migrator};

pub async fn relay(world: &mut World) -> livedata_relay_server::Running {
    let rule = |name: &str, right| Rule {
        name: name.into(),
        primary_key: Key(format!("{name}-key")),
        secondary_key: None,
        rights: vec![right],
        scope_path: None,
    };
    let running = RelayServer::start(livedata_relay_server::Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: "wss://localhost:0".parse().unwrap(),
        tls: Arc::new(world.server_identity().server_config(None).unwrap()),
        rules: Rules(vec![rule("send", Right::Send), rule("listen", Right::Listen)]),
        limits: Limits::default(),
    })
    .await
    .unwrap();
    world.relay.url = format!("wss://localhost:{}", running.local_address().port()).parse().unwrap();
    running
}

/// What the agent holds, and what it is to report.
pub struct Agent {
    instance: String,
    pub items: Mutex<BTreeMap<String, Item>>,
    told: watch::Sender<u64>,
    epoch: Mutex<(u64, u64)>,
    reports: tokio::sync::Mutex<mpsc::UnboundedReceiver<MigrationReport>>,
    /// In the order of their arrival, each once.
    pub commands: Mutex<Vec<Command>>,
    /// How often commands came, and whether the first time ends the session before they are acknowledged.
    pub lists: Mutex<u32>,
    pub loses_first_list: AtomicBool,
    failed_paths: tokio::sync::Mutex<mpsc::UnboundedReceiver<FailedPathsPart>>,
}

#[async_trait]
impl AgentHandler for Agent {
    async fn hello(&self) -> Hello {
        Hello {
            protocol_min: 0,
            protocol_max: 0,
            agent_version: "9.9.9".into(),
            instance_id: self.instance.clone(),
            boot_id: "boot".into(),
            known: known(&self.items.lock().unwrap()),
            clock_ms: 0,
            session_epoch: self.epoch.lock().unwrap().0,
        }
    }

    async fn welcomed(&self, welcome: &Welcome) -> Result<(), HandlerError> {
        *self.epoch.lock().unwrap() = (welcome.session_epoch, welcome.coordinator_epoch);
        Ok(())
    }

    async fn apply(&self, sync: Sync) -> Result<Vec<Known>, HandlerError> {
        let mut items = self.items.lock().unwrap();
        let mut stale = Vec::new();
        for item in sync.upserts {
            match items.get(&item.id) {
                Some(newer) if newer.generation > item.generation => {
                    stale.push(Known { id: item.id, generation: newer.generation });
                }
                _ => drop(items.insert(item.id.clone(), item)),
            }
        }
        items.retain(|id, _| !sync.removals.contains(id));
        drop(items);
        self.told.send_modify(|count| *count += 1);
        Ok(stale)
    }

    async fn commands(&self, commands: Vec<Command>) -> Result<Vec<String>, HandlerError> {
        let ids = commands.iter().map(|command| command.id.clone()).collect();
        {
            let (items, mut held) = (self.items.lock().unwrap(), self.commands.lock().unwrap());
            for command in commands {
                assert!(
                    items.contains_key(&command.migration),
                    "a command before its migration: {command:?}"
                );
                if held.iter().all(|known| known.id != command.id) {
                    held.push(command);
                }
            }
            *self.lists.lock().unwrap() += 1;
        }
        self.told.send_modify(|count| *count += 1);
        if self.loses_first_list.swap(false, std::sync::atomic::Ordering::SeqCst) {
            return Err("the power went".into());
        }
        Ok(ids)
    }

    async fn next_failed_paths(&self) -> FailedPathsPart {
        match self.failed_paths.lock().await.recv().await {
            Some(part) => part,
            None => std::future::pending().await,
        }
    }

    async fn full_report(&self) -> Report {
        report(Vec::new())
    }

    async fn next_report(&self) -> Report {
        match self.reports.lock().await.recv().await {
            Some(migration) => report(vec![migration]),
            None => std::future::pending().await,
        }
    }

    async fn listen_token(&self, _token: ListenToken) -> Result<(), HandlerError> {
        Ok(())
    }
}

fn known(items: &BTreeMap<String, Item>) -> Vec<Known> {
    items.values().map(|item| Known { id: item.id.clone(), generation: item.generation }).collect()
}

fn report(migrations: Vec<MigrationReport>) -> Report {
    Report {
        sequence: 0,
        agent: AgentReport { version: "9.9.9".into(), conditions: Vec::new(), source: None, load: None },
        migrations,
    }
}

/// An enrolled agent that listens at the relay.
pub struct Installed {
    pub agent: Arc<Agent>,
    pub reports: mpsc::UnboundedSender<MigrationReport>,
    pub failed_paths: mpsc::UnboundedSender<FailedPathsPart>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

pub async fn enrol(world: &World, client: &Client, migrator: &str, instance: &str) -> Enrolled {
    let minted = client.post(&format!("{migrator}/listInstallKey")).await;
    let key = InstallKey::from_text(minted.body["installKey"].as_str().unwrap()).unwrap();
    let folder = world.folder.path().join(instance);
    std::fs::create_dir(&folder).unwrap();
    client::enrol(&key, &folder, instance, "9.9.9").await.unwrap()
}

pub fn install(world: &World, enrolled: Enrolled, items: BTreeMap<String, Item>) -> Installed {
    let (reports, due) = mpsc::unbounded_channel();
    let (failed_paths, paths_due) = mpsc::unbounded_channel();
    let agent = Arc::new(Agent {
        instance: enrolled.name.instance_id().to_owned(),
        items: Mutex::new(items),
        told: watch::Sender::new(0),
        epoch: Mutex::default(),
        reports: tokio::sync::Mutex::new(due),
        commands: Mutex::default(),
        lists: Mutex::default(),
        loses_first_list: AtomicBool::new(false),
        failed_paths: tokio::sync::Mutex::new(paths_due),
    });
    let cancel = CancellationToken::new();
    let endpoint = Endpoint::new(
        enrolled.relay.url.parse().unwrap(),
        enrolled.relay.path.clone(),
        Arc::clone(&world.relay.tls),
    );
    let task = tokio::spawn(listen(endpoint, enrolled, Arc::clone(&agent), cancel.clone()));
    Installed { agent, reports, failed_paths, cancel, task }
}

async fn listen(endpoint: Endpoint, enrolled: Enrolled, agent: Arc<Agent>, cancel: CancellationToken) {
    let token = enrolled.relay.listen_token.0.clone();
    let grant = move || {
        let token = Token::new(token.clone());
        async move { Ok(Grant { token, lifetime: Duration::from_secs(3600) }) }
    };
    let mut listening = Listening::new(endpoint, grant, Backoff::default());
    let mut conversations = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            event = listening.next() => if let Event::Incoming(incoming) = event {
                let (identity, agent, cancel) = (enrolled.identity.clone(), Arc::clone(&agent), cancel.clone());
                conversations.spawn(async move {
                    let Ok(stream) = incoming.accept().await else { return };
                    let Ok(channel) = tls::accept_as_agent(stream, &identity).await else { return };
                    let _ = agent::run(channel, agent, cancel).await;
                });
            },
        }
    }
    while conversations.join_next().await.is_some() {}
}

impl Installed {
    pub async fn wait(&self, what: &str, expected: impl Fn(&BTreeMap<String, Item>) -> bool) {
        let mut told = self.agent.told.subscribe();
        let waiting = async {
            while !expected(&self.agent.items.lock().unwrap()) {
                told.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err() {
            panic!("the agent was never told {what}: {:?}", self.agent.items.lock().unwrap());
        }
    }

    /// Waits until the agent has had so many commands.
    pub async fn wait_for_commands(&self, count: usize) -> Vec<Command> {
        let mut told = self.agent.told.subscribe();
        let waiting = async {
            while self.agent.commands.lock().unwrap().len() < count {
                told.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
        let commands = self.agent.commands.lock().unwrap().clone();
        assert!(waited.is_ok(), "only {commands:?}");
        commands
    }

    /// Raised by each session.
    pub fn session_epoch(&self) -> u64 {
        self.agent.epoch.lock().unwrap().0
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

pub fn phase(expected: &'static str) -> impl Fn(&crate::world::Reply) -> bool {
    move |reply| reply.body["properties"]["status"]["phase"] == expected
}

#[tokio::test(flavor = "multi_thread")]
async fn desired_state_reaches_the_agent_and_its_progress_a_get() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let installed = install(&world, enrol(&world, &client, &m, "one").await, BTreeMap::new());
    client.wait(&m, "Up", phase("Up")).await;
    let status = client.wait(&m, "a round trip", |reply| {
        reply.body["properties"]["status"]["roundTripMilliseconds"].is_u64()
    });
    assert_eq!(status.await.body["properties"]["status"]["agentVersion"], "9.9.9");

    let migration = format!("{m}/liveDataMigrations/x");
    let id = migration.to_lowercase();
    client.make(&migration, &migration_body(&target, "/data")).await;
    let started = client.post(&format!("{migration}/start")).await;
    Client::made(&client.finish(&started).await);
    installed
        .wait("to run", |items| {
            matches!(items.get(&id).map(|item| &item.body), Some(Body::Migration(spec)) if spec.run == RunState::Running)
        })
        .await;
    {
        let items = installed.agent.items.lock().unwrap();
        let Body::Target(told) = &items[&target.to_lowercase()].body else { panic!("{items:?}") };
        assert_eq!((told.account.as_str(), told.container.as_str()), ("lake", "data"));
        assert_eq!(told.endpoint, "https://lake.dfs.example");
        assert_eq!(told.credential.secret.0, ACCOUNT_KEY);
    }

    let generation = installed.agent.items.lock().unwrap()[&id].generation;
    let mut told = MigrationReport {
        id: id.clone(),
        observed_generation: generation,
        state: MigrationState::Running,
        progress: Progress { files_migrated: 7, bytes_migrated: 700, ..Progress::default() },
        conditions: Vec::new(),
        last_error: None,
        estimated_seconds: Some(60),
        lag: None,
        run: None,
        sent: None,
    };
    installed.reports.send(told.clone()).unwrap();
    let shown = client.wait(&migration, "progress", |reply| {
        reply.body["properties"]["status"]["progress"]["bytesMigrated"] == 700
    });
    let shown = shown.await.body["properties"].clone();
    assert_eq!(
        (&shown["status"]["state"], &shown["observedGeneration"]),
        (&json!("Running"), &json!(generation))
    );
    assert!(shown["status"]["estimatedCompletion"].is_string());
    assert_eq!(shown["status"]["conditions"], json!([]));
    // Another agent's migration cannot be spoken for.
    let foreign = format!("{}/livedatamigrations/y", migrator("n").to_lowercase());
    installed.reports.send(MigrationReport { id: foreign.clone(), ..told.clone() }).unwrap();
    told.state = MigrationState::Completed;
    told.last_error = Some("/data/x: permission denied".into());
    installed.reports.send(told).unwrap();
    client
        .wait(&migration, "Completed", |reply| reply.body["properties"]["status"]["state"] == "Completed")
        .await;
    assert!(world.store.get("observed_migrations", &foreign).await.unwrap().is_none());

    // A finished migration runs again, and a deleted one is taken away from the agent.
    let again = client.post(&format!("{migration}/start")).await;
    Client::made(&client.finish(&again).await);
    assert_eq!(client.get(&migration).await.body["properties"]["status"]["state"], "Scheduled");
    let deleted = client.delete(&migration).await;
    Client::made(&client.finish(&deleted).await);
    installed.wait("that the migration is gone", |items| !items.contains_key(&id)).await;
    installed.stop().await;
    client.wait(&m, "Down", phase("Down")).await;
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_reported_survives_a_restart_and_says_that_the_agent_is_away() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    let installed = install(&world, enrol(&world, &client, &m, "one").await, BTreeMap::new());
    let id = migration.to_lowercase();
    installed.wait("the migration", |items| items.contains_key(&id)).await;
    let told = MigrationReport {
        observed_generation: installed.agent.items.lock().unwrap()[&id].generation,
        id,
        state: MigrationState::Failed,
        progress: Progress { files_failed: 3, ..Progress::default() },
        conditions: Vec::new(),
        last_error: Some("/data is not there".into()),
        estimated_seconds: None,
        lag: None,
        run: None,
        sent: None,
    };
    installed.reports.send(told).unwrap();
    client.wait(&migration, "Failed", |reply| reply.body["properties"]["status"]["state"] == "Failed").await;
    installed.stop().await;
    running.stop().await;
    relay.stop().await.unwrap();

    let running = world.start().await;
    let client = world.client(&running);
    let status = client.get(&migration).await.body["properties"]["status"].clone();
    assert_eq!((&status["state"], &status["lastError"]), (&json!("Failed"), &json!("/data is not there")));
    assert_eq!(status["progress"]["filesFailed"], 3);
    assert_eq!(status["conditions"][0]["type"], "AgentDisconnected");
    let down = client.wait(&m, "why", |reply| {
        reply.body["properties"]["status"]["conditions"][0]["reason"] == "RelayUnreachable"
    });
    assert_eq!(down.await.body["properties"]["status"]["phase"], "Down");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sas_token_is_named_in_the_migrators_conditions() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    world.relay.send_rule.key = "guessed".into();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    enrol(&world, &client, &m, "one").await;
    let denied = client.wait(&m, "the refusal", |reply| {
        reply.body["properties"]["status"]["conditions"][0]["reason"] == "RelayDenied"
    });
    assert_eq!(denied.await.body["properties"]["status"]["phase"], "Connecting");
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_another_migrators_agent_is_refused() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, n) = (client.make_migrator("m").await, client.make_migrator("n").await);
    let mine = enrol(&world, &client, &m, "one").await;
    let mut other = enrol(&world, &client, &n, "two").await;
    // The other agent has got hold of the way to listen for the first migrator.
    other.relay = mine.relay.clone();
    let intruder = install(&world, other, BTreeMap::new());
    client
        .wait(&m, "the refusal", |reply| {
            reply.body["properties"]["status"]["conditions"][0]["reason"] == "WrongAgent"
        })
        .await;
    assert!(intruder.agent.items.lock().unwrap().is_empty());
    intruder.stop().await;
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_newer_items_than_the_store_is_overtaken() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let enrolled = enrol(&world, &client, &m, "one").await;
    let id = target.to_lowercase();
    let newer = Item { id: id.clone(), generation: 50, body: Body::Unknown, trace: None };
    let installed = install(&world, enrolled, BTreeMap::from([(id.clone(), newer)]));
    installed.wait("the target", |items| matches!(&items[&id].body, Body::Target(_))).await;
    assert_eq!(installed.agent.items.lock().unwrap()[&id].generation, 51);
    installed.stop().await;
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_migrator_ends_its_session() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let installed = install(&world, enrol(&world, &client, &m, "one").await, BTreeMap::new());
    client.wait(&m, "Up", phase("Up")).await;
    let deleted = client.delete(&m).await;
    Client::made(&client.finish(&deleted).await);
    assert!(world.store.get("agents", &m.to_lowercase()).await.unwrap().is_none());
    // A new migrator of that name knows nothing of the old one's agent.
    client.make_migrator("m").await;
    client.wait(&m, "NotInstalled", phase("NotInstalled")).await;
    installed.stop().await;
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_reaches_the_agent_and_what_it_cannot_do_is_said_of_each() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let installed = install(&world, enrol(&world, &client, &m, "one").await, BTreeMap::new());
    let template = format!("{m}/exclusionTemplates/temporary");
    let pattern =
        |pattern: &str| json!({"properties": {"exclusionKind": "PatternExclusion", "pattern": pattern}});
    client.make(&template, &pattern("*.tmp")).await;
    let migration = format!("{m}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["exclusions"] = json!([{"name": "temporary"}]);
    body["properties"]["priority"] = json!("High");
    client.make(&migration, &body).await;
    let documents = [
        ("pathMappings", json!({"sourcePath": "/a", "targetId": target, "targetPath": "/x"})),
        ("dataTransferAgents", json!({"host": "h", "port": 1, "accessToken": "sesame-agent"})),
        (
            "metadataTargets",
            json!({
                "metadataTargetKind": "AzureSqlMetadataTarget", "sqlDatabase": "d", "sqlPassword": "sesame-sql",
                "sqlServerId": "/subscriptions/s1/resourceGroups/g/providers/Microsoft.Sql/servers/s"
            }),
        ),
        ("metadataMigrations", json!({"dbNamePattern": "*", "tableNamePattern": "*", "autoStart": true})),
        ("verifications", json!({"migrationId": migration, "level": "Checksum"})),
    ];
    for (kind, properties) in &documents {
        client.make(&format!("{m}/{kind}/one"), &json!({ "properties": properties })).await;
    }
    let count = 3 + documents.len();
    installed.wait("everything", |items| items.len() == count).await;
    {
        let items = installed.agent.items.lock().unwrap();
        let of = |kind: &str| &items[&format!("{m}/{kind}/one").to_lowercase()].body;
        let Body::PathMapping(mapping) = of("pathMappings") else { panic!("{items:?}") };
        assert_eq!(
            (mapping.source_path.as_str(), mapping.target.as_str()),
            ("/a", target.to_lowercase().as_str())
        );
        let Body::DataTransferAgent(agent) = of("dataTransferAgents") else { panic!("{items:?}") };
        assert_eq!(agent.access_token.as_ref().unwrap().0, "sesame-agent");
        let Body::MetadataTarget(metadata) = of("metadataTargets") else { panic!("{items:?}") };
        assert_eq!(metadata.secrets[0].value.0, "sesame-sql");
        let Body::MetadataMigration(tables) = of("metadataMigrations") else { panic!("{items:?}") };
        assert_eq!((tables.run, tables.start_count), (RunState::Running, 1));
        let Body::Verification(verification) = of("verifications") else { panic!("{items:?}") };
        assert_eq!(verification.migration, migration.to_lowercase());
        let Body::Migration(told) = &items[&migration.to_lowercase()].body else { panic!("{items:?}") };
        assert_eq!(told.exclusions[0].pattern.as_deref(), Some("*.tmp"));
        assert_eq!(told.priority, livedata_model::rules::Priority::High);
    }
    // A rule that changes is told with the migration that uses it.
    client.make(&template, &pattern("*.bak")).await;
    let id = migration.to_lowercase();
    installed
        .wait("the new rule", |items| {
            matches!(&items[&id].body, Body::Migration(told) if told.exclusions[0].pattern.as_deref() == Some("*.bak"))
        })
        .await;
    // What the agent says of one is shown there.
    let path = format!("{m}/verifications/one");
    let condition = livedata_model::condition::Condition {
        kind: "NotSupportedByAgent".into(),
        status: livedata_model::condition::Truth::True,
        reason: "Unknown".into(),
        message: "this agent cannot run verifications yet".into(),
        last_transition_ms: 1,
    };
    installed
        .reports
        .send(MigrationReport {
            id: path.to_lowercase(),
            observed_generation: 1,
            state: MigrationState::NotScheduled,
            progress: Progress::default(),
            conditions: vec![condition],
            last_error: None,
            estimated_seconds: None,
            lag: None,
            run: None,
            sent: None,
        })
        .unwrap();
    client
        .wait(&path, "the condition", |reply| {
            reply.body["properties"]["status"]["conditions"][0]["type"] == "NotSupportedByAgent"
        })
        .await;
    // A migration of a subscription that is suspended rests, and goes on afterwards.
    let started = client.post(&format!("{migration}/start")).await;
    Client::made(&client.finish(&started).await);
    for (state, expected) in [("Suspended", RunState::Stopped), ("Registered", RunState::Running)] {
        let address = format!("{}/subscriptions/s1?api-version=2.0", client.base);
        client.http.put(address).json(&json!({ "state": state })).send().await.unwrap();
        installed
            .wait(state, |items| matches!(&items[&id].body, Body::Migration(told) if told.run == expected))
            .await;
    }
    installed.stop().await;
    running.stop().await;
    relay.stop().await.unwrap();
}
