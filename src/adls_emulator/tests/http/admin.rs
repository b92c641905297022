use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use livedata_adls_emulator::{Emulator, EmulatorError, ErrorKind, Options, Storage};
use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Fixture};

#[tokio::test]
async fn accounts_are_made_read_and_removed() {
    let fixture = Fixture::start().await;
    let admin = |method, path: &'static str, body: &'static str| {
        fixture.client.admin(method, path, ADMIN_TOKEN, body)
    };
    let flat = r#"{"hierarchicalNamespace":false,"kind":"StorageV2"}"#;
    let made = admin(Method::PUT, "/accounts/another1", flat).await.expect(201).json();
    assert_eq!(made["name"], "another1");
    assert_eq!(made["keys"].as_array().unwrap().len(), 2);
    assert_eq!(BASE64.decode(made["keys"][0]["value"].as_str().unwrap()).unwrap().len(), 64);
    assert_ne!(made["keys"][0]["value"], made["keys"][1]["value"]);
    assert_eq!(made["endpoints"]["dfs"], format!("{}/another1", fixture.running.storage_url()));
    assert_eq!(admin(Method::PUT, "/accounts/another1", flat).await.expect(200).json(), made);
    assert_eq!(admin(Method::GET, "/accounts/another1", "").await.expect(200).json(), made);
    let all = admin(Method::GET, "/accounts", "").await.expect(200).json();
    assert_eq!(all["accounts"].as_array().unwrap().len(), 2);
    let other = r#"{"hierarchicalNamespace":true,"kind":"StorageV2"}"#;
    admin(Method::PUT, "/accounts/another1", other).await.expect(409);
    admin(Method::PUT, "/accounts/NOT_VALID", flat).await.expect(400);
    admin(Method::PUT, "/accounts/another2", "{").await.expect(400);
    admin(Method::DELETE, "/accounts/another1", "").await.expect(200);
    admin(Method::DELETE, "/accounts/another1", "").await.expect(204);
    admin(Method::GET, "/accounts/another1", "").await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_token_is_refused() {
    let fixture = Fixture::start().await;
    for token in ["", "wrong", "the admin token of the test"] {
        fixture.client.admin(Method::GET, "/counters", token, "").await.expect(401);
        fixture.client.admin(Method::DELETE, "/accounts/testaccount", token, "").await.expect(401);
    }
    fixture.client.get("?resource=account", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_regenerated_key_replaces_only_itself() {
    let fixture = Fixture::start().await;
    let path = format!("/accounts/{ACCOUNT}/regenerateKey");
    let regenerate = |body: &'static str| fixture.client.admin(Method::POST, &path, ADMIN_TOKEN, body);
    let second = regenerate(r#"{"keyName":"key2"}"#).await.expect(200).json();
    fixture.client.get("?resource=account", &[]).await.expect(200);
    regenerate(r#"{"keyName":"key1"}"#).await.expect(200);
    fixture.client.get("?resource=account", &[]).await.refused(403, "AuthenticationFailed");
    regenerate(r#"{"keyName":"key3"}"#).await.expect(400);
    let mut with_second = Client::to(&fixture.running);
    with_second.key = BASE64.decode(second["keys"][1]["value"].as_str().unwrap()).unwrap();
    with_second.get("?resource=account", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_removed_account_comes_back_empty() {
    let fixture = Fixture::start().await;
    fixture.client.write("lake/dir/file", b"content").await;
    let path = format!("/accounts/{ACCOUNT}");
    fixture.client.admin(Method::DELETE, &path, ADMIN_TOKEN, "").await.expect(200);
    fixture.client.get("lake/dir/file", &[]).await.refused(404, "ResourceNotFound");
    let fixture = fixture.restart().await;
    let listed = fixture.client.get("?resource=account", &[]).await.expect(200).json();
    assert_eq!(listed["filesystems"], serde_json::json!([]));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn requests_and_bytes_are_counted() {
    let fixture = Fixture::start().await;
    fixture.client.write("lake/file", &[7; 1000]).await;
    fixture.client.get("lake/file", &[("range", "bytes=0-99")]).await.expect(206);
    fixture.client.get("lake/none", &[]).await.expect(404);
    fixture.client.write("lake/dir/file", b"").await;
    for (from, to, status) in [("dir", "there", 201), ("file", "there/other", 201), ("none", "there", 404)] {
        let source = format!("/lake/{from}");
        fixture.client.put(&format!("lake/{to}"), &[("x-ms-rename-source", &source)]).await.expect(status);
    }
    let counters = fixture.client.admin(Method::GET, "/counters", ADMIN_TOKEN, "").await.expect(200).json();
    let account = &counters["accounts"][ACCOUNT];
    assert_eq!(account["requests"]["PathAppend"], 1);
    assert_eq!(account["requests"]["PathRead"], 2);
    assert_eq!(account["ingress_bytes"], 1000);
    assert_eq!(account["egress_bytes"], 100);
    assert_eq!(account["client_errors"], 2);
    assert_eq!((&account["files_renamed"], &account["directories_renamed"]), (&1.into(), &1.into()));
    assert_eq!(account["server_errors"], 0);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_folder_serves_one_emulator() {
    let fixture = Fixture::start().await;
    let address = "127.0.0.1:0".parse().unwrap();
    let options = |token: &str| Options {
        storage: Storage::Folder(fixture.folder.path().to_owned()),
        storage_address: address,
        admin_address: address,
        admin_token: token.to_owned(),
        accounts: Vec::new(),
        ..Options::default()
    };
    let error = Emulator::start(options("secret")).await.err().unwrap();
    assert!(matches!(error, EmulatorError::DataFolderInUse { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let error = Emulator::start(options("")).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_hierarchical_namespace_there_are_no_paths() {
    let fixture = Fixture::start().await;
    let path = format!("/accounts/{ACCOUNT}");
    fixture.client.admin(Method::DELETE, &path, ADMIN_TOKEN, "").await.expect(200);
    let flat = r#"{"hierarchicalNamespace":false,"kind":"StorageV2"}"#;
    let made = fixture.client.admin(Method::PUT, &path, ADMIN_TOKEN, flat).await.expect(201).json();
    let mut client = Client::to(&fixture.running);
    client.key = BASE64.decode(made["keys"][0]["value"].as_str().unwrap()).unwrap();
    let created = client.put("lake?resource=filesystem", &[]).await.expect(201);
    assert_eq!(created.header("x-ms-namespace-enabled"), "false");
    client.head("lake/?action=getAccessControl", &[]).await.refused(400, "HierarchicalNamespaceNotEnabled");
    client.put("lake/file?resource=file", &[]).await.refused(400, "HierarchicalNamespaceNotEnabled");
    fixture.running.stop().await.unwrap();
}
