//! Real `az` against `livedata dev`: what a user types, what it prints, how it exits.
//!
//! `az resource create` and `update` of azure-cli 2.91.0 know no `--no-wait` (only `delete` and `invoke-action` do), so the PUT
//! that nobody waits for is sent with `az rest`, and then waited for with `az resource wait`.

use std::path::PathBuf;
use std::time::Duration;

use livedata_demo::environment::{SUBSCRIPTION, TENANT, USER};
use livedata_workload::SourceSide;
use livedata_workload::lake::{self, Shape};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::site::{LIVEDATA_AGENT, Process, Site};

const MIGRATORS: [&str; 6] = ["-g", "rg", "--namespace", "LiveData.Platform", "--resource-type", "migrators"];
const TARGETS: [&str; 8] =
    ["-g", "rg", "--namespace", "LiveData.Platform", "--parent", "migrators/m", "--resource-type", "targets"];
const MIGRATIONS: [&str; 8] = [
    "-g",
    "rg",
    "--namespace",
    "LiveData.Platform",
    "--parent",
    "migrators/m",
    "--resource-type",
    "liveDataMigrations",
];
/// What a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// `az` with the environment that `livedata dev` has made ready.
struct Az {
    data: PathBuf,
}

struct Said {
    code: i32,
    output: String,
    errors: String,
}

impl Said {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{}{}", self.output, self.errors);
        serde_json::from_str(&self.output).unwrap_or_else(|error| panic!("{error}: {}", self.output))
    }

    #[track_caller]
    fn done(&self) {
        assert_eq!(self.code, 0, "{}{}", self.output, self.errors);
    }
}

impl Az {
    /// Through a shell, as the first of the printed commands says.
    async fn run(&self, arguments: &[&str]) -> Said {
        let az =
            std::env::var("LIVEDATA_AZ").unwrap_or_else(|_| panic!("LIVEDATA_AZ must name the Azure CLI"));
        let running = Command::new("sh")
            .args(["-c", ". \"$0\"; exec \"$@\""])
            .arg(self.data.join("azure").join("environment"))
            .arg(az)
            .args(arguments)
            .env_remove("AZURE_CONFIG_DIR")
            .env_remove("REQUESTS_CA_BUNDLE")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, running).await;
        let output = output.unwrap_or_else(|_| panic!("az {arguments:?} does not end")).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (code, output, errors) =
            (output.status.code().unwrap(), text(output.stdout), text(output.stderr));
        println!("az {} -> {code}", arguments.join(" "));
        Said { code, output, errors }
    }

    async fn resource(&self, verb: &str, kind: &[&str], more: &[&str]) -> Said {
        self.run(&[&["resource", verb], kind, more].concat()).await
    }

    async fn sign_in(&self) -> Said {
        let password = format!("@{}", self.data.join("azure").join("password").display());
        self.run(&["login", "--service-principal", "-u", USER, "-p", &password, "--tenant", TENANT]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_job_by_az() {
    let site = Site::bare(&[]).await;
    let az = Az { data: site.data() };
    let lake = lake::make(
        &site.beside("source").join("lake"),
        &Shape { files: 60, directories: 8, total_bytes: 4 << 20, largest_bytes: 1 << 20, seed: 4 },
    )
    .unwrap();

    assert_eq!(az.sign_in().await.json()[0]["id"], SUBSCRIPTION);
    let group = az.run(&["group", "create", "-n", "rg", "-l", "westeurope"]).await.json();
    assert_eq!(group["properties"]["provisioningState"], "Succeeded");
    az.run(&["provider", "register", "-n", "LiveData.Platform", "--wait"]).await.done();
    let provider = az.run(&["provider", "show", "-n", "LiveData.Platform"]).await.json();
    assert_eq!(provider["registrationState"], "Registered");

    // A storage account with a container, by the general command and by the special ones.
    let account = json!({"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
        "properties": {"isHnsEnabled": true}})
    .to_string();
    let storage = ["-g", "rg", "--namespace", "Microsoft.Storage", "--resource-type", "storageAccounts"];
    let made =
        az.resource("create", &storage, &["-n", "lake", "--is-full-object", "-p", &account]).await.json();
    assert_eq!(made["properties"]["isHnsEnabled"], true);
    let account_id = made["id"].as_str().unwrap().to_owned();
    let keys = az.run(&["storage", "account", "keys", "list", "-g", "rg", "-n", "lake"]).await.json();
    let key = keys[0]["value"].as_str().unwrap();
    let blob = made["properties"]["primaryEndpoints"]["blob"].as_str().unwrap();
    let connection =
        format!("DefaultEndpointsProtocol=http;AccountName=lake;AccountKey={key};BlobEndpoint={blob}");
    let container =
        az.run(&["storage", "container", "create", "-n", "data", "--connection-string", &connection]).await;
    assert_eq!(container.json()["created"], true);

    // The migrator: sent without waiting, then waited for.
    let migrator_id =
        format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/LiveData.Platform/migrators/m");
    let url = |id: &str| format!("{id}?api-version=2026-11-01-preview");
    let uri = url::Url::from_directory_path(site.beside("source")).unwrap();
    let body = json!({"location": "westeurope", "tags": {"team": "lake"},
        "properties": {"source": {"kind": "LocalDirectory", "uri": uri}}})
    .to_string();
    let sent =
        az.run(&["rest", "--method", "put", "--url", &url(&migrator_id), "--body", &body]).await.json();
    assert_eq!(sent["properties"]["provisioningState"], "Accepted");
    az.resource("wait", &MIGRATORS, &["-n", "m", "--created", "--interval", "1", "--timeout", "60"])
        .await
        .done();

    let target = json!({"storageAccountId": account_id, "storageContainer": "data",
        "credential": {"kind": "AccountKey", "accountKey": key}})
    .to_string();
    let target = az.resource("create", &TARGETS, &["-n", "t", "-p", &target]).await;
    assert!(!target.output.contains(key), "the account key is shown again");
    let target = target.json();
    assert_eq!(target["properties"]["provisioningState"], "Succeeded");
    let target_id = target["id"].as_str().unwrap();
    let migration = json!({"path": "/lake", "targetId": target_id, "mode": "OneTime"}).to_string();
    let migration = az.resource("create", &MIGRATIONS, &["-n", "x", "-p", &migration]).await.json();
    assert_eq!(migration["properties"]["status"]["state"], "NotScheduled");

    // The agent, with the key as a user gets it.
    let minted =
        az.run(&["rest", "--method", "post", "--url", &url(&format!("{migrator_id}/listInstallKey"))]).await;
    let minted = minted.json();
    let key_file = site.beside("key");
    std::fs::write(&key_file, minted["installKey"].as_str().unwrap()).unwrap();
    let (key_file, folder) = (key_file.display().to_string(), site.beside("agent").display().to_string());
    let enrol = ["enrol", "--data", &folder, "--install-key-file", &key_file];
    let (status, said) = Process::start(LIVEDATA_AGENT, &enrol, &[]).finish().await;
    assert!(status.success(), "{said}");
    let _agent = site.run_agent("agent");
    let up = ["-n", "m", "--custom", "properties.status.phase=='Up'", "--interval", "1", "--timeout", "60"];
    az.resource("wait", &MIGRATORS, &up).await.done();

    az.resource("invoke-action", &MIGRATIONS, &["-n", "x", "--action", "start"]).await.done();
    let completed =
        ["-n", "x", "--custom", "properties.status.state=='Completed'", "--interval", "1", "--timeout", "90"];
    az.resource("wait", &MIGRATIONS, &completed).await.done();
    let shown = az.resource("show", &MIGRATIONS, &["-n", "x"]).await.json();
    assert_eq!(shown["properties"]["status"]["progress"]["filesMigrated"], lake.files);
    assert_eq!(shown["properties"]["status"]["progress"]["bytesMigrated"], lake.bytes);
    let compared = site.compare(SourceSide::Directory(site.beside("source").join("lake")), "lake").await;
    assert!(compared.equal(), "{compared}");

    metrics_by_az(&az, shown["id"].as_str().unwrap(), lake.files, lake.bytes).await;

    // Looking around and changing things.
    let listed = az.run(&["resource", "list", "-g", "rg", "--query", "sort([].type)"]).await.json();
    assert_eq!(listed, json!(["LiveData.Platform/migrators", "Microsoft.Storage/storageAccounts"]));
    let of_type =
        ["resource", "list", "--resource-type", "LiveData.Platform/migrators", "--query", "[].name"];
    assert_eq!(az.run(&of_type).await.json(), json!(["m"]));
    let update = [
        "-n",
        "m",
        "--set",
        "properties.maxRunningMigrations=3",
        "--query",
        "properties.maxRunningMigrations",
    ];
    assert_eq!(az.resource("update", &MIGRATORS, &update).await.json(), 3);
    az.resource("invoke-action", &MIGRATIONS, &["-n", "x", "--action", "stop"]).await.done();

    // A target that is in use stays; what is deleted is gone.
    let refused = az.resource("delete", &TARGETS, &["-n", "t"]).await;
    assert_eq!(refused.code, 1, "{}{}", refused.output, refused.errors);
    az.resource("delete", &MIGRATIONS, &["-n", "x", "--no-wait"]).await.done();
    az.resource("wait", &MIGRATIONS, &["-n", "x", "--deleted", "--interval", "1", "--timeout", "60"])
        .await
        .done();
    az.resource("delete", &TARGETS, &["-n", "t"]).await.done();
    az.resource("delete", &MIGRATORS, &["-n", "m"]).await.done();
    assert_eq!(az.resource("show", &MIGRATORS, &["-n", "m"]).await.code, 3);
    moves_by_az(&az, &body).await;
    az.run(&["group", "delete", "-n", "rg", "--yes"]).await.done();
    assert_eq!(az.run(&["group", "exists", "-n", "rg"]).await.json(), false);
}

/// A migrator that has no agent goes to another resource group.
async fn moves_by_az(az: &Az, body: &str) {
    let made =
        az.resource("create", &MIGRATORS, &["-n", "wanderer", "--is-full-object", "-p", body]).await.json();
    az.run(&["group", "create", "-n", "elsewhere", "-l", "westeurope"]).await.done();
    let id = made["id"].as_str().unwrap();
    az.run(&["resource", "move", "--destination-group", "elsewhere", "--ids", id]).await.done();
    assert_eq!(az.resource("show", &MIGRATORS, &["-n", "wanderer"]).await.code, 3);
    let there = id.replace("/resourceGroups/rg/", "/resourceGroups/elsewhere/");
    let moved = az.run(&["resource", "show", "--ids", &there]).await.json();
    assert_eq!((&moved["id"], &moved["tags"]), (&json!(there), &made["tags"]));
    az.run(&["group", "delete", "-n", "elsewhere", "--yes"]).await.done();
    assert_eq!(az.run(&["resource", "show", "--ids", &there]).await.code, 3);
}

/// What the agent reported, as dashboards and alerts read it.
async fn metrics_by_az(az: &Az, migration: &str, files: usize, bytes: u64) {
    let list = ["monitor", "metrics", "list", "--resource", migration];
    let names = ["--metrics", "FileMigrationCount", "BytesMigratedByMigration", "--aggregation", "Total"];
    let asked = [&list[..], &names, &["--interval", "PT1M", "--offset", "1h"]].concat();
    // Samples are taken every ten seconds.
    let found = crate::site::until(async || {
        let metrics = az.run(&asked).await.json();
        let total = |at: usize| -> f64 {
            let data = metrics["value"][at]["timeseries"][0]["data"].as_array().unwrap();
            data.iter().filter_map(|datum| datum["total"].as_f64()).sum()
        };
        ((total(0), total(1)) == (files as f64, bytes as f64)).then(|| metrics.clone())
    });
    let metrics = found.await.unwrap_or_else(|| panic!("the metrics never came to {files} and {bytes}"));
    assert_eq!(metrics["value"][1]["unit"], "Bytes");
    let definitions = ["monitor", "metrics", "list-definitions", "--resource", migration];
    let names = az.run(&[&definitions[..], &["--query", "[].name.value"]].concat()).await.json();
    for name in ["TotalBytesTransferred", "LagInSeconds"] {
        assert!(names.as_array().unwrap().contains(&json!(name)), "{names}");
    }
    let refused = az.run(&[&list[..], &["--metrics", "NoSuchMetric"]].concat()).await;
    assert_ne!(refused.code, 0, "{}", refused.output);
    assert!(refused.errors.contains("Valid metrics: BytesMigratedByMigration"), "{}", refused.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_types_of_a_custom_provider_by_az() {
    let site = Site::start_with(&["--custom-provider"]).await;
    let az = Az { data: site.data() };
    az.sign_in().await.done();
    let namespaces = az.run(&["provider", "list", "--query", "[].namespace"]).await.json();
    assert!(namespaces.as_array().unwrap().contains(&json!("Microsoft.CustomProviders")), "{namespaces}");
    let endpoint = std::fs::read_to_string(site.data().join("custom-provider.url")).unwrap();
    let routes = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| json!({"name": name, "endpoint": endpoint.trim()})).collect()
    };
    let declared = json!({"location": "westeurope", "properties": {
        "resourceTypes": routes(&["migrators", "targets", "liveDataMigrations"]),
        "actions": routes(&["liveDataMigrations/start", "liveDataMigrations/stop", "liveDataMigrations/rescan"]),
    }})
    .to_string();
    let providers =
        ["-g", "rg", "--namespace", "Microsoft.CustomProviders", "--resource-type", "resourceProviders"];
    let provider =
        az.resource("create", &providers, &["-n", "lake", "--is-full-object", "-p", &declared]).await.json();
    assert_eq!(provider["properties"]["provisioningState"], "Succeeded");

    let below = |kind: &'static str| {
        let mut words = vec!["-g", "rg", "--namespace", "Microsoft.CustomProviders"];
        words.extend(["--parent", "resourceProviders/lake", "--resource-type", kind]);
        words.extend(["--api-version", "2018-09-01-preview"]);
        words
    };
    let (migrators, targets, migrations) =
        (below("migrators"), below("targets"), below("liveDataMigrations"));
    // `az` wants a location in every whole object.
    let whole = |body: &Value| ["--is-full-object".to_owned(), "-p".to_owned(), body.to_string()];
    let create = async |kind: &[&str], name: &str, body: &Value| {
        let [whole, flag, body] = whole(body);
        az.resource("create", kind, &["-n", name, &whole, &flag, &body]).await
    };
    let migrator = json!({"location": "westeurope",
        "properties": {"source": {"kind": "Hdfs", "uri": "hdfs://nn.example:8020"}}});
    let made = create(&migrators, "m", &migrator).await.json();
    assert_eq!(made["properties"]["provisioningState"], "Succeeded", "az follows it to its end");
    assert_eq!(made["type"], "Microsoft.CustomProviders/resourceProviders/migrators");
    create(&migrators, "m2", &migrator).await.done();
    let account = site.arm().id("/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake");
    let key = site.account_key().await;
    let target = |migrator: &str| {
        json!({"location": "westeurope", "properties": {"migratorName": migrator, "storageAccountId": account, "storageContainer": "data",
            "credential": {"kind": "AccountKey", "accountKey": key}}})
    };
    let made = create(&targets, "t", &target("m")).await;
    assert!(!made.output.contains(&key), "the account key is shown again");
    let made = made.json();
    assert_eq!(
        (&made["properties"]["provisioningState"], &made["properties"]["migratorName"]),
        (&json!("Succeeded"), &json!("m"))
    );
    let migration = json!({"location": "westeurope",
        "properties": {"migratorName": "m", "path": "/lake", "targetId": made["id"]}});
    let made = create(&migrations, "x", &migration).await.json();
    assert_eq!(made["properties"]["targetId"], migration["properties"]["targetId"]);

    az.resource("invoke-action", &migrations, &["-n", "x", "--action", "start"]).await.done();
    let ids = ["--ids", made["id"].as_str().unwrap(), "--api-version", "2018-09-01-preview"];
    let shown = az.run(&[&["resource", "show"], &ids[..]].concat()).await.json();
    assert_eq!((&shown["id"], &shown["name"]), (&made["id"], &json!("x")));
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");
    assert_ne!(shown["properties"]["generation"], made["properties"]["generation"], "it was started");

    let refused = |said: Said, code: i32, error: &str| {
        assert_eq!(said.code, code, "{}{}", said.output, said.errors);
        assert!(said.errors.contains(error), "{error}: {}", said.errors);
    };
    refused(create(&targets, "t", &target("m2")).await, 1, "CustomResourceNameInUse");
    // It is in use.
    refused(az.resource("delete", &targets, &["-n", "t"]).await, 1, "failed to be deleted");
    az.resource("show", &targets, &["-n", "t"]).await.done();
    let undeclared = az.resource("invoke-action", &migrations, &["-n", "x", "--action", "reset"]).await;
    refused(undeclared, 3, "InvalidResourceType");
    for (kind, name) in [(&migrations, "x"), (&targets, "t"), (&migrators, "m")] {
        az.resource("delete", kind, &["-n", name]).await.done();
        refused(az.resource("show", kind, &["-n", name]).await, 3, "ResourceNotFound");
    }
    az.resource("delete", &providers, &["-n", "lake"]).await.done();
    refused(az.resource("show", &migrators, &["-n", "m2"]).await, 3, "ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_by_az_and_changes_nothing() {
    let site = Site::start().await;
    let az = Az { data: site.data() };
    let wrong =
        az.run(&["login", "--service-principal", "-u", USER, "-p", "wrong", "--tenant", TENANT]).await;
    assert_eq!(wrong.code, 1, "{}", wrong.errors);
    az.sign_in().await.done();

    let refused = |said: Said, code: i32, error: &str| {
        assert_eq!(said.code, code, "{}{}", said.output, said.errors);
        assert!(said.errors.contains(error), "{error}: {}", said.errors);
    };
    let properties = json!({"source": {"kind": "Hdfs"}}).to_string();
    let create = ["-n", "m", "-p", &properties];
    refused(az.resource("create", &MIGRATORS, &create).await, 1, "MissingRequiredProperty");
    refused(az.resource("show", &MIGRATORS, &["-n", "m"]).await, 3, "ResourceNotFound");
    let version = ["-n", "m", "--api-version", "2001-01-01"];
    refused(az.resource("show", &MIGRATORS, &version).await, 1, "InvalidApiVersionParameter");

    site.make_migrator("m", json!({"kind": "Hdfs", "uri": "hdfs://nn.example:8020"}), None).await;
    let target = format!("{}/targets/t", site.migrator_id("m"));
    let relative = json!({"path": "not/absolute", "targetId": target}).to_string();
    refused(az.resource("create", &MIGRATIONS, &["-n", "x", "-p", &relative]).await, 1, "PathNotAbsolute");
    let account =
        site.arm().id("/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/nosuchaccount");
    let absent = json!({"storageAccountId": account, "storageContainer": "data",
        "credential": {"kind": "AccountKey", "accountKey": "a2V5"}})
    .to_string();
    refused(az.resource("create", &TARGETS, &["-n", "t2", "-p", &absent]).await, 1, "StorageAccountNotFound");
    refused(az.resource("show", &MIGRATIONS, &["-n", "x"]).await, 3, "ResourceNotFound");
}
