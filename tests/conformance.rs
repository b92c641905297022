//! The provider and the front door, held against the contract of ARM by `livedata conformance`.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use livedata_demo::environment;
use livedata_pki::{Authority, trust};
use serde_json::{Value, json};

use crate::site::{LIVEDATA, Site};

/// What the profile says will fail.
struct Expected {
    deviations: Vec<u64>,
    open: Vec<u64>,
}

struct Held {
    status: ExitStatus,
    said: String,
    score: Value,
}

impl Held {
    fn failed(&self) -> Vec<u64> {
        let rules = self.score["rules"].as_array().unwrap();
        let failed = rules.iter().filter(|rule| rule["verdict"] == "failed");
        failed.map(|rule| rule["number"].as_u64().unwrap()).collect()
    }

    /// What fails is what the profile says, no less: a rule that begins to pass is taken from the profile.
    #[track_caller]
    fn assert(&self, profile: &str, speaks: &str) {
        assert_eq!(self.score["rules"].as_array().unwrap().len(), 124);
        let expected = expected(profile, speaks);
        let mut known = [expected.deviations.clone(), expected.open.clone()].concat();
        known.sort_unstable();
        known.dedup();
        assert_eq!(
            self.failed(),
            known,
            "left: rules that fail; right: deviations and open rules of {profile}\n{}",
            self.said
        );
        let good = self.failed().iter().all(|rule| expected.deviations.contains(rule));
        assert_eq!(self.status.success(), good, "{}", self.said);
        assert!(!self.said.contains("left behind"), "{}", self.said);
    }
}

fn path_of(profile: &str) -> PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&root).join("api/conformance").join(profile)
}

fn expected(profile: &str, speaks: &str) -> Expected {
    let document: Value = toml::from_str(&std::fs::read_to_string(path_of(profile)).unwrap()).unwrap();
    let rules = |list: &str| -> Vec<u64> {
        let entries = document[list].as_array().into_iter().flatten();
        let here = entries.filter(|entry| entry.get("speaks").is_none_or(|only| only == speaks));
        here.flat_map(|entry| entry["rules"].as_array().unwrap()).map(|rule| rule.as_u64().unwrap()).collect()
    };
    Expected { deviations: rules("deviations"), open: rules("open") }
}

/// A site with what the profile needs.
async fn furnished() -> Site {
    let site = Site::start().await;
    for group in ["conformance", "conformance-other"] {
        let id = site.arm().id(&format!("/resourcegroups/{group}"));
        site.arm().put(&id, &json!({"location": "westeurope"})).await.unwrap();
    }
    site
}

async fn hold(site: &Site, profile: &str, arguments: &[&str]) -> Held {
    let json = site.beside("score.json");
    let record = site.beside("record");
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

/// Every call is there in the form that `oav validate-traffic` reads, without secrets.
fn check_record(folder: &Path, key: &str) {
    let mut calls = 0;
    let files = ["taken", "refused"].map(|part| std::fs::read_dir(folder.join(part)).unwrap());
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

const PROFILE: &str = "livedata-2026-11-01-preview.toml";

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_keeps_the_contract_of_arm() {
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
    hold(&site, PROFILE, &arguments).await.assert(PROFILE, "provider");
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
    hold(&site, PROFILE, &arguments).await.assert(PROFILE, "front-door");
}
