//! The provider and the front door, held against the contract of ARM by `livedata conformance`.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use livedata_demo::environment;
use livedata_pki::{Authority, trust};
use serde_json::{Value, json};

use crate::site::{LIVEDATA, Site};

struct Held {
    status: ExitStatus,
    said: String,
    score: Value,
}

impl Held {
    /// Numbers of the rules of which this is true.
    fn rules(&self, is: impl Fn(&Value) -> bool) -> Vec<u64> {
        let rules = self.score["rules"].as_array().unwrap().iter();
        rules.filter(|rule| is(rule)).map(|rule| rule["number"].as_u64().unwrap()).collect()
    }

    /// What fails is what the profile says, no less: a rule that begins to pass is taken from the profile.
    #[track_caller]
    fn assert(&self) {
        let said = &self.said;
        assert_eq!(self.rules(|_| true), (1..=124).collect::<Vec<u64>>());
        assert_eq!(
            self.rules(|rule| rule["verdict"] == "failed"),
            self.rules(|rule| rule["deviation"].is_string() || rule["open"].is_string()),
            "left: rules that fail; right: deviations and open rules of the profile\n{said}"
        );
        let good = self.rules(|rule| rule["verdict"] == "failed" && rule["deviation"].is_null()).is_empty();
        assert_eq!(self.status.success(), good, "{said}");
        assert!(!said.contains("left behind"), "{said}");
        // A check that has nothing to check is no check.
        assert!(self.rules(|rule| rule["verdict"] == "passed").len() > 85, "{said}");
    }
}

fn path_of(profile: &str) -> PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&root).join("api/conformance").join(profile)
}

/// A site with what the profile needs.
async fn furnished() -> Site {
    let site = Site::compatible().await;
    for group in ["conformance", "conformance-other"] {
        let id = site.arm().id(&format!("/resourcegroups/{group}"));
        site.arm().put(&id, &json!({"location": "westeurope"})).await.unwrap();
    }
    site
}

async fn hold(site: &Site, profile: &str, arguments: &[&str]) -> Held {
    let json = site.beside("score.json");
    let record = record_folder(site, profile);
    let account = "/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake";
    let output = tokio::process::Command::new(LIVEDATA)
        .args(["conformance", "--profile"])
        .arg(path_of(profile))
        .args(["--set", &format!("subscription={}", environment::SUBSCRIPTION)])
        .args(["--set", &format!("storage-account-id={}", site.arm().id(account))])
        .args(["--set", &format!("storage-key={}", site.account_key().await)])
        .arg("--ca")
        .arg(site.data().join("servers/ca.pem"))
        .arg("--json")
        .arg(&json)
        .arg("--record")
        .arg(&record)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let key = site.account_key().await;
    let score = std::fs::read_to_string(&json).unwrap_or_else(|_| panic!("no score was written:\n{said}"));
    assert!(!said.contains(&key) && !score.contains(&key), "the storage key is in the report");
    check_record(&record, &key);
    Held { status: output.status, said, score: serde_json::from_str(&score).unwrap() }
}

/// `LIVEDATA_RECORD` names a folder that keeps it: `cargo xtask prove traffic` holds it against the documents.
fn record_folder(site: &Site, profile: &str) -> PathBuf {
    match std::env::var_os("LIVEDATA_RECORD") {
        Some(folder) => Path::new(&folder).join(profile.trim_end_matches(".toml")),
        None => site.beside("record"),
    }
}

/// Every call is there in the form that `oav validate-traffic` reads, without secrets.
fn check_record(folder: &Path, key: &str) {
    let mut calls = 0;
    let files = ["described", "odd"].map(|part| std::fs::read_dir(folder.join(part)).unwrap());
    for entry in files.into_iter().flatten() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(key), "the storage key is in the record");
        let call: Value = serde_json::from_str(&text).unwrap();
        let (request, response) = (&call["liveRequest"], &call["liveResponse"]);
        assert!(request["url"].as_str().unwrap().starts_with("https://management.azure.com/"), "{text}");
        assert!(request["method"].is_string() && request["headers"].is_object(), "{text}");
        assert!(response["statusCode"].as_str().unwrap().parse::<u16>().is_ok(), "{text}");
        assert!(response["headers"].is_object(), "{text}");
        calls += 1;
    }
    assert!(calls > 300, "only {calls} calls were recorded");
}

const OURS: &str = "livedata-2026-11-01-preview.toml";
const PUBLIC: &str = "livedata-2023-11-01-preview.toml";

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_keeps_the_contract_of_arm() {
    hold_provider(OURS, &[]).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_version_keeps_the_contract_of_arm_but_for_what_its_document_says() {
    hold_provider(PUBLIC, &["--set", "namespace=Wandisco.Fusion"]).await.assert();
}

async fn hold_provider(profile: &str, more: &[&str]) -> Held {
    let site = furnished().await;
    let doors = Authority::load_or_create(&site.data().join("front-doors"), "").unwrap();
    let door = doors.issue_client("conformance", "urn:livedata:front-door").unwrap();
    door.save(&site.beside("door"), "door").unwrap();
    let ports = std::fs::read_to_string(site.data().join("ports.json")).unwrap();
    let ports: Value = serde_json::from_str(&ports).unwrap();
    let endpoint = format!("https://localhost:{}", ports["provider"]);
    let (certificate, key) = (site.beside("door/door.pem"), site.beside("door/door.key"));
    let arguments = [
        "--endpoint",
        &endpoint,
        "--client-certificate",
        certificate.to_str().unwrap(),
        "--client-key",
        key.to_str().unwrap(),
    ];
    hold(&site, profile, &[&arguments, more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_front_door_the_contract_of_arm_is_kept() {
    let site = furnished().await;
    let sign_in = environment::sign_in(&site.data()).unwrap();
    let http =
        reqwest::Client::builder().tls_backend_preconfigured(trust::only(&sign_in.authority_pem).unwrap());
    let base = sign_in.front_door.as_str().trim_end_matches('/').to_owned();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &sign_in.client_id)
        .append_pair("client_secret", &sign_in.client_secret)
        .append_pair("scope", &format!("{base}//.default"))
        .finish();
    let request = http.build().unwrap().post(format!("{base}/{}/oauth2/v2.0/token", sign_in.tenant));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let reply: Value = request.send().await.unwrap().json().await.unwrap();
    let token = site.beside("token");
    std::fs::write(&token, reply["access_token"].as_str().unwrap()).unwrap();
    let arguments =
        ["--endpoint", &base, "--bearer-token-file", token.to_str().unwrap(), "--set", "speaks=front-door"];
    hold(&site, OURS, &arguments).await.assert();
}
