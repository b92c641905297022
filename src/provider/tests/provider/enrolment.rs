//! Install keys and tokens over the enrolment listener.

use std::sync::atomic::Ordering;

use livedata_pki::IdentityRequest;
use livedata_provider::Running;
use livedata_session::enrolment::{EnrolmentRequest, InstallKey, TokenRequest};
use serde_json::{Value, json};

use crate::world::{Client, Reply, World, migrator};

async fn mint(client: &Client, migrator: &str) -> InstallKey {
    let minted = client.post(&format!("{migrator}/listInstallKey")).await;
    assert!(minted.body["expiresAt"].as_str().unwrap().ends_with('Z'));
    InstallKey::from_text(minted.body["installKey"].as_str().unwrap()).unwrap()
}

async fn post(world: &World, running: &Running, path: &str, body: &Value) -> Reply {
    let address = format!("https://localhost:{}{path}", running.enrolment_address.port());
    Reply::of(world.client_without_certificate().post(address).json(body).send().await.unwrap()).await
}

fn applicant(world: &World, name: &str) -> IdentityRequest {
    IdentityRequest::load_or_create(&world.folder.path().join(name)).unwrap()
}

fn request(world: &World, key: &InstallKey, instance: &str) -> Value {
    let der = applicant(world, &format!("{instance}.key")).der().to_vec();
    serde_json::to_value(EnrolmentRequest::new(key, &der, instance, "0.1.0")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_and_renews_its_token() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let key = mint(&client, &m).await;
    let reply = post(&world, &running, "/agent/v1/enrol", &request(&world, &key, "one")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let guid = reply.body["migratorGuid"].as_str().unwrap().to_owned();
    assert_eq!(reply.body["relay"]["path"], format!("agents/{guid}"));
    assert!(reply.body["relay"]["listenToken"].as_str().unwrap().starts_with("SharedAccessSignature "));
    client.wait(&m, "Connecting", |reply| reply.body["properties"]["status"]["phase"] == "Connecting").await;

    let chain = reply.body["certificateChainPem"].as_str().unwrap().to_owned();
    let identity = applicant(&world, "one.key").complete(chain).unwrap();
    let token = |seconds| {
        let now = time::OffsetDateTime::now_utc().unix_timestamp() + seconds;
        serde_json::to_value(TokenRequest::new(&identity, now).unwrap()).unwrap()
    };
    let renewed = post(&world, &running, "/agent/v1/token", &token(0)).await;
    assert_eq!(
        (renewed.status, &renewed.body["path"]),
        (200, &reply.body["relay"]["path"]),
        "{}",
        renewed.body
    );
    post(&world, &running, "/agent/v1/token", &token(-3600)).await.assert_error(401, "ClockSkewed");

    // Another installation takes over: the first is no longer welcome, and the staging folder changes.
    let second = mint(&client, &m).await;
    let taken = post(&world, &running, "/agent/v1/enrol", &request(&world, &second, "two")).await;
    assert_eq!(taken.status, 200);
    post(&world, &running, "/agent/v1/token", &token(0)).await.assert_error(401, "AgentUnknown");
    let record = world.store.get("agents", &m.to_lowercase()).await.unwrap().unwrap();
    let record: Value = serde_json::from_slice(&record.body).unwrap();
    assert_eq!((&record["coordinator_epoch"], &record["instance_id"]), (&json!(2), &json!("two")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn install_key_wrong_used_or_expired() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let key = mint(&client, &m).await;
    let enrol = async |body: Value| post(&world, &running, "/agent/v1/enrol", &body).await;

    let before = world.resources().await;
    let mut wrong = request(&world, &key, "one");
    wrong["mac"] = json!("AAAA");
    enrol(wrong).await.assert_error(401, "InstallKeyInvalid");
    let mut unknown = request(&world, &key, "one");
    unknown["keyId"] = json!("nobody");
    enrol(unknown).await.assert_error(401, "InstallKeyInvalid");
    enrol(json!({"keyId": 1})).await.assert_error(400, "BadRequest");
    // A name that cannot stand in a certificate does not spend the key.
    let der = applicant(&world, "one.key").der().to_vec();
    let unnameable = EnrolmentRequest::new(&key, &der, "a b", "0.1.0");
    enrol(serde_json::to_value(unnameable).unwrap()).await.assert_error(400, "BadRequest");
    assert_eq!(world.resources().await, before);

    assert_eq!(enrol(request(&world, &key, "one")).await.status, 200);
    assert_eq!(enrol(request(&world, &key, "one")).await.status, 200, "a lost reply may be asked for again");
    let before = world.resources().await;
    enrol(request(&world, &key, "two")).await.assert_error(409, "InstallKeyUsed");

    let late = mint(&client, &m).await;
    world.ahead.store(3601, Ordering::SeqCst);
    enrol(request(&world, &late, "two")).await.assert_error(410, "InstallKeyExpired");
    assert_eq!(world.resources().await, before);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_enrols_one_agent_even_when_two_ask_at_once() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    for round in 0..5 {
        let key = mint(&client, &m).await;
        let (one, two) =
            (request(&world, &key, &format!("one-{round}")), request(&world, &key, &format!("two-{round}")));
        let (one, two) = tokio::join!(
            post(&world, &running, "/agent/v1/enrol", &one),
            post(&world, &running, "/agent/v1/enrol", &two)
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_deleted_migrator_is_invalid_also_for_one_of_the_same_name() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let key = mint(&client, &m).await;
    let deleted = client.delete(&m).await;
    Client::made(&client.finish(&deleted).await);
    let body = request(&world, &key, "one");
    post(&world, &running, "/agent/v1/enrol", &body).await.assert_error(401, "InstallKeyInvalid");
    client.make_migrator("m").await;
    post(&world, &running, "/agent/v1/enrol", &body).await.assert_error(401, "InstallKeyInvalid");
    client.post(&format!("{}/listInstallKey", migrator("none"))).await.assert_error(404, "ResourceNotFound");
    assert_eq!(client.post(&format!("{m}/getInstallKey")).await.status, 200, "the old name");
    running.stop().await;
}
