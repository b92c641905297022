//! The resource types beside migrators, targets and migrations, in our version.

use serde_json::{Value, json};

use crate::world::{Client, World, migration_body};

/// A type, a good document, and a change of it that is allowed.
fn documents(target: &str, migration: &str) -> Vec<(&'static str, Value, Value)> {
    vec![
        (
            "pathMappings",
            json!({"sourcePath": "/a", "targetId": target, "targetPath": "/x", "description": "d"}),
            json!({"targetPath": "/y"}),
        ),
        (
            "exclusionTemplates",
            json!({"exclusionKind": "PatternExclusion", "pattern": "*.tmp", "patternType": "Glob"}),
            json!({"pattern": "*.bak"}),
        ),
        (
            "dataTransferAgents",
            json!({"host": "copier.example", "port": 1433, "capacity": 8, "bandwidthPolicy": {"maxBytesPerSecond": 1000}}),
            json!({"capacity": 16}),
        ),
        (
            "metadataTargets",
            json!({
                "metadataTargetKind": "DatabricksMetadataTarget", "jdbcServerHostname": "h", "jdbcPort": 443,
                "jdbcHttpPath": "/sql", "accessToken": "sesame-databricks", "convertToDeltaLake": true, "dataTargetId": target
            }),
            json!({"jdbcPort": 8443}),
        ),
        (
            "metadataMigrations",
            json!({"dbNamePattern": "sales*", "tableNamePattern": "*", "databricksTargetProperties": {"catalog": "c"}}),
            json!({"tableNamePattern": "orders"}),
        ),
        (
            "verifications",
            json!({"migrationId": migration, "level": "Checksum", "sample": 10, "originalPaths": ["/data/a"]}),
            json!({}),
        ),
    ]
}

async fn migration(client: &Client) -> (String, String, String) {
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    (m, target, migration)
}

/// What was sent is what is shown, but secrets.
#[track_caller]
fn shows(shown: &Value, sent: &Value) {
    for (name, value) in sent.as_object().unwrap() {
        match name.as_str() {
            "accessToken" | "sqlPassword" | "password" => assert_eq!(shown.get(name), None, "{shown}"),
            _ => assert_eq!(shown.get(name), Some(value), "{name}: {shown}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_is_made_read_listed_changed_and_removed() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target, migration) = migration(&client).await;
    for (kind, properties, patch) in documents(&target, &migration) {
        let path = format!("{m}/{kind}/one-1");
        let body = json!({ "properties": properties });
        let made = client.make(&path, &body).await;
        assert_eq!(
            (made.status, &made.body["type"]),
            (201, &json!(format!("LiveData.Platform/migrators/{kind}")))
        );
        let got = client.get(&path).await;
        shows(&got.body["properties"], &properties);
        assert_eq!((got.body.get("tags"), got.body.get("location")), (None, None), "{}", got.body);
        let conditions = &got.body["properties"]["status"]["conditions"];
        assert!(conditions.is_array(), "{}", got.body);

        let again = client.put(&path, &body).await;
        assert_eq!((again.status, again.headers.get("azure-asyncoperation")), (200, None), "{kind}");
        assert_eq!(again.header("etag"), got.header("etag"), "{kind}");
        let back = client.put(&path, &got.body).await;
        assert_eq!(
            back.header("etag"),
            got.header("etag"),
            "{kind}: a GET that is PUT changes nothing: {}",
            back.body
        );

        let patched = client.patch(&path, &json!({ "properties": patch })).await;
        if patch.as_object().unwrap().is_empty() {
            assert_eq!(patched.status, 200, "{}", patched.body);
        } else {
            assert_eq!(patched.status, 202, "{kind}: {}", patched.body);
            Client::made(&client.finish(&patched).await);
            shows(&client.get(&path).await.body["properties"], &patch);
        }
        let list = client.get(&format!("{m}/{kind}")).await;
        assert_eq!(list.body["value"].as_array().map(Vec::len), Some(1), "{}", list.body);
        let deleted = client.delete(&path).await;
        assert_eq!(deleted.status, 202, "{kind}: {}", deleted.body);
        Client::made(&client.finish(&deleted).await);
        client.get(&path).await.assert_error(404, "ResourceNotFound");
        assert_eq!(client.delete(&path).await.status, 204);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrator_takes_all_of_them_with_it() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target, migration) = migration(&client).await;
    let kinds = documents(&target, &migration);
    for (kind, properties, _) in &kinds {
        client.make(&format!("{m}/{kind}/one-1"), &json!({ "properties": properties })).await;
    }
    let deleted = client.delete(&m).await;
    Client::made(&client.finish(&deleted).await);
    client.make_migrator("m").await;
    for (kind, ..) in &kinds {
        assert_eq!(client.get(&format!("{m}/{kind}")).await.body["value"], json!([]), "{kind}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_wrong_are_refused_and_change_nothing() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target, migration) = migration(&client).await;
    let value = "InvalidPropertyValue";
    let missing = "MissingRequiredProperty";
    let sql = "/subscriptions/s1/resourceGroups/g/providers/Microsoft.Sql/servers/s";
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("pathMappings/a", json!({"targetId": target, "targetPath": "/x"}), missing, "properties.sourcePath"),
        (
            "pathMappings/a",
            json!({"sourcePath": "a", "targetId": target, "targetPath": "/x"}),
            "PathNotAbsolute",
            "properties.sourcePath",
        ),
        (
            "pathMappings/a",
            json!({"sourcePath": "/a", "targetId": "t", "targetPath": "/x"}),
            value,
            "properties.targetId",
        ),
        (
            "pathMappings/a",
            json!({"sourcePath": "/a", "targetId": format!("{target}x"), "targetPath": "/x"}),
            "TargetNotFound",
            "properties.targetId",
        ),
        (
            "pathMappings/a",
            json!({"sourcePath": "/a", "targetId": target, "targetPath": "/x", "colour": 1}),
            "UnknownProperty",
            "properties.colour",
        ),
        ("exclusionTemplates/a", json!({"pattern": "x"}), missing, "properties.exclusionKind"),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "Whim", "pattern": "x"}),
            value,
            "properties.exclusionKind",
        ),
        ("exclusionTemplates/a", json!({"exclusionKind": "PatternExclusion"}), missing, "properties.pattern"),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "PatternExclusion", "pattern": "(", "patternType": "Regex"}),
            value,
            "properties.pattern",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "PatternExclusion", "pattern": "[a"}),
            value,
            "properties.pattern",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "FileSizeExclusion", "maxFileSizeBytes": -1}),
            value,
            "properties.maxFileSizeBytes",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "FileSizeExclusion", "maxFileSizeBytes": 1, "pattern": "x"}),
            value,
            "properties.pattern",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "DateExclusion", "dateForExclusion": "yesterday"}),
            value,
            "properties.dateForExclusion",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "AgeExclusion", "timeValue": 0, "timeUnit": "Days"}),
            value,
            "properties.timeValue",
        ),
        (
            "exclusionTemplates/a",
            json!({"exclusionKind": "AgeExclusion", "timeValue": 1, "timeUnit": "Years"}),
            value,
            "properties.timeUnit",
        ),
        ("dataTransferAgents/a", json!({"port": 1}), missing, "properties.host"),
        ("dataTransferAgents/a", json!({"host": "a b", "port": 1}), value, "properties.host"),
        ("dataTransferAgents/a", json!({"host": "a", "port": 65536}), value, "properties.port"),
        (
            "dataTransferAgents/a",
            json!({"host": "a", "port": 1, "capacity": 0}),
            value,
            "properties.capacity",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": sql}),
            missing,
            "properties.sqlDatabase",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": target, "sqlDatabase": "d"}),
            value,
            "properties.sqlServerId",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": sql, "sqlDatabase": "d", "catalog": "c"}),
            value,
            "properties.catalog",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": sql, "sqlDatabase": "d", "hdiVersion": "3.6"}),
            value,
            "properties.hdiVersion",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "DatabricksMetadataTarget", "jdbcServerHostname": "h", "jdbcPort": 443, "jdbcHttpPath": "/"}),
            missing,
            "properties.accessToken",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "SnowflakeMetadataTarget", "accountIdentifier": "a", "stage": "s", "warehouse": "w", "snowflakeAuthKind": "PrivateKey", "user": "u"}),
            missing,
            "properties.privateKeyFile",
        ),
        (
            "metadataTargets/a",
            json!({"metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": sql, "sqlDatabase": "d", "dataTargetId": format!("{target}x")}),
            "TargetNotFound",
            "properties.dataTargetId",
        ),
        ("metadataMigrations/a", json!({"dbNamePattern": "a"}), missing, "properties.tableNamePattern"),
        (
            "metadataMigrations/a",
            json!({"dbNamePattern": "a;b", "tableNamePattern": "*"}),
            value,
            "properties.dbNamePattern",
        ),
        (
            "metadataMigrations/a",
            json!({"dbNamePattern": "a", "tableNamePattern": "*", "targetId": target}),
            "MetadataTargetNotFound",
            "properties.targetId",
        ),
        ("verifications/abc", json!({}), missing, "properties.migrationId"),
        ("verifications/abc", json!({"migrationId": target}), "MigrationNotFound", "properties.migrationId"),
        ("verifications/abc", json!({"migrationId": migration, "sample": 101}), value, "properties.sample"),
        (
            "verifications/abc",
            json!({"migrationId": migration, "level": "Glance"}),
            value,
            "properties.level",
        ),
        (
            "verifications/abc",
            json!({"migrationId": migration, "originalPaths": ["/elsewhere"]}),
            "PathOutsideMigration",
            "properties.originalPaths[0]",
        ),
        (
            "verifications/abc",
            json!({"migrationId": migration, "ignoreAfterTimestamp": "noon"}),
            value,
            "properties.ignoreAfterTimestamp",
        ),
        ("verifications/ab", json!({"migrationId": migration}), "InvalidResourceName", ""),
        ("verifications/1ab", json!({"migrationId": migration}), "InvalidResourceName", ""),
        ("dataTransferAgents/a", json!({"host": "a\u{0}", "port": 1}), value, "properties.host"),
    ];
    let before = world.resources().await;
    for (path, properties, code, target) in cases {
        let reply = client.put(&format!("{m}/{path}"), &json!({ "properties": properties })).await;
        let error = &reply.body["error"];
        let (code_found, target_found) = match error["details"].as_array() {
            // Several findings may be about one property.
            Some(details) if details.iter().any(|one| one["code"] == code && one["target"] == target) => {
                (code, target)
            }
            _ => (error["code"].as_str().unwrap_or(""), error["target"].as_str().unwrap_or("")),
        };
        assert_eq!(
            (reply.status, code_found, target_found),
            (400, code, target),
            "{path} {properties}: {error}"
        );
        client.get(&format!("{m}/{path}")).await;
    }
    assert_eq!(world.resources().await, before);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_mapping_decides_where_a_migration_writes() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let mapping = |source: &str, to: &str| json!({"properties": {"sourcePath": source, "targetId": target, "targetPath": to}});
    client.make(&format!("{m}/pathMappings/wide"), &mapping("/data", "/lake")).await;
    client.make(&format!("{m}/pathMappings/narrow"), &mapping("/data/raw", "/bronze")).await;
    for (name, path, expected) in
        [("a", "/data/raw/2026", "/bronze/2026"), ("b", "/data/x", "/lake/x"), ("c", "/other", "/other")]
    {
        let made =
            client.make(&format!("{m}/liveDataMigrations/{name}"), &migration_body(&target, path)).await;
        assert_eq!(made.body["properties"]["targetPath"], expected, "{}", made.body);
        // Without the target path it is the same document.
        let again =
            client.put(&format!("{m}/liveDataMigrations/{name}"), &migration_body(&target, path)).await;
        assert_eq!((again.status, &again.body["properties"]["targetPath"]), (200, &json!(expected)));
    }
    // However the target's id is written, it is that target; and no mapping leads into what is ours.
    let sloppy = format!("{}/", target.replace("/targets/", "//Targets/"));
    let body = json!({"properties": {"sourcePath": "/sloppy", "targetId": sloppy, "targetPath": "/"}});
    client.put(&format!("{m}/pathMappings/sloppy"), &body).await.assert_error(400, "PathMappingCollision");
    client.make(&format!("{m}/pathMappings/deep"), &mapping("/deep", "/lake2")).await;
    let mut own = migration_body(&target, "/data/own");
    own["properties"]["targetPath"] = json!("/mine");
    let made = client.make(&format!("{m}/liveDataMigrations/d"), &own).await;
    assert_eq!(made.body["properties"]["targetPath"], "/mine");

    // A mapping that changes leaves migrations where they are, until they are reset with it.
    client.make(&format!("{m}/pathMappings/wide"), &mapping("/data", "/elsewhere")).await;
    let path = format!("{m}/liveDataMigrations/b");
    assert_eq!(client.get(&path).await.body["properties"]["targetPath"], "/lake/x");
    let reset = client
        .send(reqwest::Method::POST, &format!("{path}/reset"), Some(&json!({"resetPathMapping": true})))
        .await;
    Client::made(&client.finish(&reset).await);
    assert_eq!(client.get(&path).await.body["properties"]["targetPath"], "/elsewhere/x");
    // Its old area is free again, its new one is not.
    let mut there = migration_body(&target, "/free");
    there["properties"]["targetPath"] = json!("/lake/x");
    client.make(&format!("{m}/liveDataMigrations/e"), &there).await;
    there["properties"]["targetPath"] = json!("/elsewhere/x/y");
    client.put(&format!("{m}/liveDataMigrations/f"), &there).await.assert_error(409, "TargetAreaInUse");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn path_mappings_that_would_meet_are_refused_and_hold_their_target() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let mapping = |source: &str, to: &str| json!({"properties": {"sourcePath": source, "targetId": target, "targetPath": to}});
    client.make(&format!("{m}/pathMappings/one"), &mapping("/a", "/x")).await;
    let met = client.put(&format!("{m}/pathMappings/two"), &mapping("/b", "/x/y")).await;
    met.assert_error(400, "PathMappingCollision");
    assert!(met.body["error"]["message"].as_str().unwrap().contains("/pathMappings/one"), "{}", met.body);
    // Of many at the same moment exactly one is stored.
    let paths: Vec<String> = (0..8).map(|n| format!("{m}/pathMappings/race{n}")).collect();
    let bodies: Vec<Value> = (0..8).map(|n| mapping(&format!("/r{n}"), "/race")).collect();
    let puts = paths.iter().zip(&bodies).map(|(path, body)| client.put(path, body));
    let statuses: Vec<u16> = futures::future::join_all(puts).await.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 7, "{statuses:?}");

    client.delete(&target).await.assert_error(409, "TargetInUse");
    for name in ["one", "race0", "race1", "race2", "race3", "race4", "race5", "race6", "race7"] {
        let deleted = client.delete(&format!("{m}/pathMappings/{name}")).await;
        if deleted.status == 202 {
            Client::made(&client.finish(&deleted).await);
        }
    }
    let deleted = client.delete(&target).await;
    Client::made(&client.finish(&deleted).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exclusion_is_there_before_a_migration_names_it_and_stays_while_it_does() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["exclusions"] = json!([{"name": "Temporary"}]);
    let refused = client.put(&migration, &body).await;
    refused.assert_error(400, "ExclusionTemplateNotFound");
    assert_eq!(refused.body["error"]["target"], "properties.exclusions[0].name");
    let template = format!("{m}/exclusionTemplates/temporary");
    let pattern =
        |pattern: &str| json!({"properties": {"exclusionKind": "PatternExclusion", "pattern": pattern}});
    client.make(&template, &pattern("*.tmp")).await;
    client.make(&migration, &body).await;
    client.delete(&template).await.assert_error(409, "ExclusionTemplateInUse");
    // A changed rule is a changed migration: its agent is told.
    let before = client.get(&migration).await.body["properties"]["generation"].as_u64().unwrap();
    client.make(&template, &pattern("*.bak")).await;
    let after = client.get(&migration).await.body["properties"]["generation"].as_u64().unwrap();
    assert!(after > before, "{before} {after}");
    body["properties"]["exclusions"] = json!([]);
    client.make(&migration, &body).await;

    let deleted = client.delete(&template).await;
    Client::made(&client.finish(&deleted).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_started_stopped_and_cancelled() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, _, migration) = migration(&client).await;
    let metadata = format!("{m}/metadataMigrations/h");
    client.make(&metadata, &json!({"properties": {"dbNamePattern": "*", "tableNamePattern": "*"}})).await;
    let state = |reply: crate::world::Reply| reply.body["properties"]["status"]["state"].clone();
    assert_eq!(state(client.get(&metadata).await), "Created");
    for (action, expected) in [("start", "Created"), ("stop", "Stopped"), ("stop", "Stopped")] {
        let done = client.post(&format!("{metadata}/{action}")).await;
        assert_eq!(done.status, 202, "{}", done.body);
        Client::made(&client.finish(&done).await);
        assert_eq!(state(client.get(&metadata).await), expected, "{action}");
    }
    let verification = format!("{m}/verifications/check");
    client.make(&verification, &json!({"properties": {"migrationId": migration}})).await;
    assert_eq!(state(client.get(&verification).await), "Queued");
    let fixed = client
        .put(&verification, &json!({"properties": {"migrationId": migration, "level": "ReadBack"}}))
        .await;
    fixed.assert_error(400, "PropertyChangeNotAllowed");
    let cancelled = client.post(&format!("{verification}/cancel")).await;
    Client::made(&client.finish(&cancelled).await);
    assert_eq!(state(client.get(&verification).await), "Cancelled");
    client.post(&format!("{verification}/cancel")).await.assert_error(409, "VerificationEnded");
    client.post(&format!("{verification}/start")).await.assert_error(404, "InvalidResourceType");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_largest_documents_is_one_that_arm_lets_through() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let long = "n".repeat(256);
    let mapping = json!({"kind": "User", "source": long, "target": long});
    for n in 0..60 {
        let mut body = migration_body(&target, &format!("/data/{n}"));
        body["properties"]["identityMapping"] = json!(vec![mapping.clone(); 256]);
        let put = client.put(&format!("{m}/liveDataMigrations/x{n}"), &body).await;
        assert_eq!(put.status, 201, "{}", put.body);
    }
    let (mut path, mut seen) = (format!("{m}/liveDataMigrations"), 0);
    loop {
        let page = client.get(&path).await;
        assert!(page.body.to_string().len() < 8 * 1024 * 1024);
        seen += page.body["value"].as_array().unwrap().len();
        let Some(next) = page.body["nextLink"].as_str() else { break };
        let (_, token) = next.split_once("skipToken=").unwrap();
        path = format!("{m}/liveDataMigrations?$skipToken={token}");
    }
    assert_eq!(seen, 60);
    running.stop().await;
}
