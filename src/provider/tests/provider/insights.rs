//! Azure Monitor's metrics of our resources, from an agent's report to the answer that `az monitor metrics` reads.

use std::collections::BTreeMap;

use livedata_model::report::{MigrationReport, Progress};
use livedata_model::state::MigrationState;
use reqwest::Method;
use serde_json::{Value, json};

use crate::session::{enrol, install, relay};
use crate::world::{Client, Reply, World, migration_body, migrator};

const METRICS: &str = "providers/Microsoft.Insights/metrics?api-version=2018-01-01";
const DEFINITIONS: &str = "providers/microsoft.insights/metricDefinitions?api-version=2018-01-01";

fn total(reply: &Reply, at: usize) -> f64 {
    let series = reply.body["value"][at]["timeseries"][0]["data"].as_array().cloned().unwrap_or_default();
    series.iter().filter_map(|datum| datum["total"].as_f64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_reports_is_a_metric_and_survives_a_restart() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    let enrolled = enrol(&world, &client, &m, "agent-1").await;
    let installed = install(&world, enrolled, BTreeMap::new());
    let id = migration.to_lowercase();
    installed.wait("of the migration", |items| items.contains_key(&id)).await;
    let progress = Progress {
        directories_scanned: 2,
        files_scanned: 9,
        files_migrated: 7,
        bytes_migrated: 700,
        bytes_per_second: 70,
        files_excluded: 1,
        ..Progress::default()
    };
    installed
        .reports
        .send(MigrationReport {
            id,
            observed_generation: 9,
            state: MigrationState::Running,
            progress,
            conditions: Vec::new(),
            last_error: None,
            estimated_seconds: None,
            lag: None,
            run: None,
            sent: None,
        })
        .unwrap();
    let names = "FileMigrationCount,bytesMigratedByMigration,NumberOfExcludedPaths,DirectoriesCreatedCount";
    let asked = format!("{migration}/{METRICS}&metricnames={names}&interval=PT5M&aggregation=total,count");
    let shown = client.wait(&asked, "7 files", |reply| total(reply, 0) == 7.0).await;
    assert_eq!((total(&shown, 1), total(&shown, 2)), (700.0, 1.0), "{}", shown.body);
    let body = &shown.body;
    assert_eq!((&body["interval"], &body["resourceregion"]), (&json!("PT5M"), &json!("westus")));
    assert_eq!(body["namespace"], "LiveData.Platform/migrators/liveDataMigrations");
    let metric = &body["value"][1];
    assert_eq!(
        metric["id"],
        format!("{migration}/providers/Microsoft.Insights/metrics/BytesMigratedByMigration")
    );
    assert_eq!(
        (&metric["name"]["value"], &metric["unit"], &metric["errorCode"]),
        (&json!("BytesMigratedByMigration"), &json!("Bytes"), &json!("Success"))
    );
    let data = metric["timeseries"][0]["data"].as_array().unwrap();
    assert!((12..=13).contains(&data.len()), "one hour: {data:?}");
    assert!(data.iter().all(|datum| datum["timeStamp"].as_str().unwrap().ends_with(":00Z")), "{data:?}");
    // Nothing measures it: not a series of zeros.
    assert_eq!(body["value"][3]["timeseries"], json!([]));
    // Of the migrator, by the public name and under the public namespace.
    let public = m.replace("LiveData.Platform", "Wandisco.Fusion");
    let whole = client.get(&format!("{public}/{METRICS}&metricnames=TotalMigratedDataInBytes")).await;
    assert_eq!(total(&whole, 0), 700.0, "{}", whole.body);
    assert_eq!(whole.body["namespace"], "Wandisco.Fusion/migrators");
    let rate = format!("{m}/{METRICS}&metricnames=BytesPerSecond&aggregation=maximum&interval=FULL");
    assert_eq!(client.get(&rate).await.body["value"][0]["timeseries"][0]["data"][0]["maximum"], 70.0);

    installed.stop().await;
    running.stop().await;
    let running = world.start().await;
    let client = world.client(&running);
    assert_eq!(total(&client.get(&asked).await, 1), 700.0);
    // One that is made anew under the same name has its own.
    Client::made(&client.finish(&client.delete(&migration).await).await);
    client.get(&asked).await.assert_error(404, "ResourceNotFound");
    client.make(&migration, &migration_body(&target, "/data")).await;
    assert_eq!(total(&client.get(&asked).await, 1), 0.0);
    running.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_name_the_public_metrics_and_ours() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let listed = client.get(&format!("{m}/{DEFINITIONS}")).await;
    assert_eq!(listed.status, 200, "{}", listed.body);
    let all = listed.body["value"].as_array().unwrap();
    let names: Vec<&str> = all.iter().map(|one| one["name"]["value"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["BytesPerSecond", "DirectoriesCreatedCount"]);
    assert!(names.contains(&"LagInSeconds"), "{names:?}");
    let first = &all[0];
    assert_eq!(
        (&first["primaryAggregationType"], &first["unit"]),
        (&json!("Average"), &json!("BytesPerSecond"))
    );
    assert_eq!(first["metricAvailabilities"][0], json!({"timeGrain": "PT1M", "retention": "P7D"}));
    assert_eq!(first["resourceId"], m);
    // A type that has none.
    assert_eq!(client.get(&format!("{target}/{DEFINITIONS}")).await.body, json!({"value": []}));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_refused_with_a_word() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let now = "2026-11-26T12:00:00Z";
    for (query, target) in [
        ("metricnames=Nothing", "metricnames"),
        ("metricnames=BytesPerSecond,", "metricnames"),
        ("interval=PT2M", "interval"),
        ("interval=often", "interval"),
        ("aggregation=Median", "aggregation"),
        ("timespan=yesterday", "timespan"),
        ("timespan=2026-11-26T12:00:00Z/2026-11-26T11:00:00Z", "timespan"),
        ("timespan=2000-01-01T00:00:00Z/2026-01-01T00:00:00Z", "timespan"),
        ("$filter=MigrationName eq '*'", "$filter"),
        ("top=0", "top"),
        ("top=many", "top"),
        ("orderby=size", "orderby"),
        ("resultType=Everything", "resultType"),
        ("metricnamespace=Microsoft.Compute/virtualMachines", "metricnamespace"),
    ] {
        let reply = client.get(&format!("{m}/{METRICS}&{query}")).await;
        reply.assert_error(400, "BadRequest");
        assert_eq!(reply.body["error"]["target"], target, "{query}: {}", reply.body);
    }
    // The valid ones are named.
    let message = client.get(&format!("{m}/{METRICS}&metricnames=Nothing")).await;
    let message = message.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Valid metrics: BytesPerSecond,"), "{message}");
    client.get(&format!("{target}/{METRICS}")).await.assert_error(400, "BadRequest");
    // What is old, or not yet, has no values and is no error.
    for span in
        ["2001-01-01T00:00:00Z/2001-01-01T01:00:00Z".to_owned(), format!("{now}/2100-01-01T00:00:00Z")]
    {
        let reply = client.get(&format!("{m}/{METRICS}&interval=FULL&timespan={span}&top=10")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let data = reply.body["value"][0]["timeseries"][0]["data"].clone();
        assert_eq!(data.as_array().map(Vec::len), Some(1), "{data}");
        assert_eq!(data[0].get("average"), None, "{data}");
    }
    let metadata = client.get(&format!("{m}/{METRICS}&resultType=metadata")).await;
    assert_eq!(metadata.body["value"][0]["timeseries"], json!([{"metadatavalues": []}]));

    let version = |version: &str| METRICS.replace("2018-01-01", version);
    for good in ["2021-05-01", "2023-10-01", "2024-02-01"] {
        assert_eq!(client.get(&format!("{m}/{}", version(good))).await.status, 200, "{good}");
    }
    client
        .get(&format!("{m}/{}", version("2018-01-02")))
        .await
        .assert_error(400, "InvalidApiVersionParameter");
    client.get(&format!("{m}/{}", version(""))).await.assert_error(400, "MissingApiVersionParameter");
    client.get(&format!("{}/{METRICS}", migrator("none"))).await.assert_error(404, "ResourceNotFound");
    client.get(&format!("{m}/targets/{METRICS}")).await.assert_error(404, "RouteNotFound");
    client.get(&format!("{m}/nothings/x/{METRICS}")).await.assert_error(404, "InvalidResourceType");
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        let body: Value = json!({});
        let reply = client.send(method.clone(), &format!("{m}/{METRICS}"), Some(&body)).await;
        reply.assert_error(405, "MethodNotAllowed");
        assert_eq!(reply.header("allow"), "GET, HEAD", "{method}");
    }
    running.stop().await;
}
