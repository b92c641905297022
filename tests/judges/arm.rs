//! The resource provider behind the front door, driven by what others wrote.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use livedata_demo::environment::{self, SUBSCRIPTION, TENANT, USER};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::site::{ACCOUNT, Site};

const PATIENCE: Duration = Duration::from_secs(900);

async fn run(site: &Site, arguments: &[&str], variables: &[(&str, String)]) -> String {
    let sign_in = environment::sign_in(&site.data()).unwrap();
    let endpoint = sign_in.front_door.as_str().trim_end_matches('/').to_owned();
    let running = Command::new(super::tool("LIVEDATA_JUDGE_ARM_PYTHON"))
        .args(arguments)
        .env("LIVEDATA_ENDPOINT", endpoint)
        .env("LIVEDATA_TENANT", TENANT)
        .env("LIVEDATA_SUBSCRIPTION", SUBSCRIPTION)
        .env("LIVEDATA_CLIENT_ID", USER)
        .env("LIVEDATA_CLIENT_SECRET", sign_in.client_secret)
        .env("LIVEDATA_ACCOUNT", ACCOUNT)
        .env("REQUESTS_CA_BUNDLE", site.data().join("servers").join("ca.pem"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    let output = output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn microsofts_client_follows_long_running_operations_of_both_namespaces() {
    let site = Site::compatible().await;
    let script = super::file("arm/long_running.py");
    let said = run(&site, &[script.to_str().unwrap()], &[]).await;
    assert_eq!(said.matches("followed to the end").count(), 2, "{said}");
}

/// Whatever fits the description, or nearly does, is answered: never with a failure of the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_with_our_openapi_finds_no_failure_of_the_server() {
    let site = Site::start().await;
    // What generated requests may find, so that some of them get further than 404.
    let migrator =
        site.make_migrator("migrator1", json!({"kind": "Hdfs", "uri": "hdfs://nn:8020"}), None).await;
    site.arm()
        .put(
            &format!("{migrator}/liveDataMigrations/migration1"),
            &json!({"properties": {
                "path": "/data", "targetId": format!("{migrator}/targets/t")
            }}),
        )
        .await
        .unwrap();
    let token = site.arm().token().await.unwrap();
    let endpoint = environment::sign_in(&site.data()).unwrap().front_door.to_string();
    let description = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("api/openapi/LiveData.Platform/preview/2026-11-01-preview/openapi.json");
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("openapi.json");
    let document = resolved(&description);
    let methods =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().keys());
    let operations = methods.filter(|method| *method != "parameters").count();
    std::fs::write(&whole, document.to_string()).unwrap();
    for seed in ["1", "2", "3"] {
        let arguments = [
            "-m",
            "schemathesis.cli",
            "run",
            whole.to_str().unwrap(),
            "--url",
            &endpoint,
            "--tls-verify",
            &site.data().join("servers").join("ca.pem").display().to_string(),
            "--header",
            &format!("Authorization: Bearer {token}"),
            "--checks",
            "not_a_server_error",
            "--mode",
            "all",
            "--max-examples",
            "12",
            "--phases",
            "examples,fuzzing",
            "--seed",
            seed,
            "--no-color",
        ]
        .map(str::to_owned);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = run(&site, &arguments, &[]).await;
        // All of them, and nothing was left out.
        assert!(said.contains(&format!("Tested: {operations}")), "{said}");
    }
}

/// In one file with the common types that it refers to, and with what is there in the place of free choices, so that requests get
/// further than to a refusal.
fn resolved(description: &Path) -> Value {
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let mut whole = read(description);
    let mut files = BTreeSet::new();
    inside(&mut whole, &mut files);
    assert_eq!(files.len(), 1, "{files:?}");
    for file in files {
        let mut common = read(&description.parent().unwrap().join(file));
        inside(&mut common, &mut BTreeSet::new());
        for section in ["definitions", "parameters"] {
            let more = common[section].as_object().unwrap().clone();
            if whole.get(section).is_none() {
                whole[section] = json!({});
            }
            for (name, value) in more {
                whole[section].as_object_mut().unwrap().entry(name).or_insert(value);
            }
        }
    }
    whole
}

/// Makes all references internal, and takes note of the files that they led to.
fn inside(value: &mut Value, files: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(text)) = object.get_mut("$ref")
                && let Some((file, pointer)) = text.clone().split_once('#')
                && !file.is_empty()
            {
                files.insert(file.to_owned());
                *text = format!("#{pointer}");
            }
            object.remove("x-ms-examples");
            let fixed = match object.get("name").and_then(Value::as_str) {
                Some("subscriptionId") => Some(vec![SUBSCRIPTION]),
                Some("resourceGroupName") => Some(vec!["rg"]),
                Some("api-version") => Some(vec!["2026-11-01-preview"]),
                Some("migratorName") => Some(vec!["migrator1", "another"]),
                _ => None,
            };
            if let (Some(fixed), true) = (fixed, object.contains_key("in")) {
                object.insert("enum".to_owned(), json!(fixed));
            }
            object.values_mut().for_each(|value| inside(value, files));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| inside(value, files)),
        _ => {}
    }
}
