//! The client against a real HTTP server on the loopback address.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use livedata_entra::Identity;
use livedata_pki::{Authority, trust};
use livedata_storage_account::{
    Cloud, LookUpError, ManagementClient, NetworkRules, Settings, StorageAccounts,
};
use url::Url;

struct Azure {
    address: String,
    /// Of its certificate: tokens are asked for over TLS only.
    authority: Authority,
    tokens: Arc<AtomicUsize>,
    server: actix_web::dev::ServerHandle,
}

async fn token(form: String, minted: web::Data<AtomicUsize>) -> HttpResponse {
    let proofs = ["client_secret=right%26secret", "client_assertion=right-assertion"];
    if !proofs.iter().any(|proof| form.contains(proof)) {
        // As Entra ID writes it, with escapes.
        let description = "AADSTS7000215: Invalid client secret.\r\nTrace ID: 1";
        let refusal = serde_json::json!({"error": "invalid_client", "error_description": description});
        return HttpResponse::Unauthorized().json(refusal);
    }
    assert!(
        form.contains("grant_type=client_credentials")
            && form.contains("scope=https%3A%2F%2Faudience%2F.default")
    );
    minted.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok()
        .json(serde_json::json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "t0k"}))
}

async fn account(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    assert_eq!(request.headers().get("authorization").unwrap(), "Bearer t0k");
    assert!(request.query_string().contains("api-version=2023-05-01"));
    let arm_error = |code: &str| serde_json::json!({"error": {"code": code, "message": "no"}});
    match name.as_str() {
        "secret" => HttpResponse::Forbidden().json(arm_error("AuthorizationFailed")),
        "broken" => HttpResponse::ServiceUnavailable().json(arm_error("ServerBusy")),
        "walled" => HttpResponse::Ok().json(serde_json::json!({
            "id": "/subscriptions/s/resourceGroups/g 1/providers/Microsoft.Storage/storageAccounts/walled",
            "name": "walled", "type": "Microsoft.Storage/storageAccounts", "location": "uksouth", "kind": "StorageV2",
            "properties": {
                "isHnsEnabled": true,
                "publicNetworkAccess": "Disabled",
                "networkAcls": {
                    "bypass": "AzureServices", "defaultAction": "Deny",
                    "ipRules": [{ "value": "203.0.113.0/24", "action": "Allow" }],
                    "virtualNetworkRules": [{ "id": "/subscriptions/s/subnets/a", "action": "Allow" }]
                },
                "privateEndpointConnections": [
                    { "properties": { "privateLinkServiceConnectionState": { "status": "Approved" } } },
                    { "properties": { "privateLinkServiceConnectionState": { "status": "Pending" } } }
                ]
            }
        })),
        "lake" | "flat" => HttpResponse::Ok().json(serde_json::json!({
            "id": format!("/subscriptions/s/resourceGroups/g 1/providers/Microsoft.Storage/storageAccounts/{name}"),
            "name": name.as_str(), "type": "Microsoft.Storage/storageAccounts", "location": "westus", "kind": "StorageV2",
            "properties": {
                "isHnsEnabled": name.as_str() == "lake",
                "primaryEndpoints": {"dfs": format!("https://{name}.dfs.example/")}
            }
        })),
        _ => HttpResponse::NotFound().json(arm_error("ResourceNotFound")),
    }
}

async fn container(name: web::Path<String>) -> HttpResponse {
    match name.as_str() {
        "data" => HttpResponse::Ok().json(serde_json::json!({
            "id": "/c", "name": "data", "type": "t", "properties": { "publicAccess": "None" }
        })),
        "gone" => HttpResponse::Ok().json(serde_json::json!({
            "id": "/c", "name": "gone", "type": "t", "properties": { "deleted": true }
        })),
        "secret" => {
            HttpResponse::Forbidden().json(serde_json::json!({"error": {"code": "AuthorizationFailed"}}))
        }
        _ => HttpResponse::NotFound().json(serde_json::json!({"error": {"code": "ContainerNotFound"}})),
    }
}

fn azure() -> Azure {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path(), "Test").unwrap();
    let tls = authority.issue_server(&["localhost"], &[]).unwrap().server_config(None).unwrap();
    let tokens = Arc::new(AtomicUsize::new(0));
    let minted = web::Data::from(Arc::clone(&tokens));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(minted.clone())
            .route("/tenant/oauth2/v2.0/token", web::post().to(token))
            .route(
                "/subscriptions/s/resourceGroups/g 1/providers/Microsoft.Storage/storageAccounts/{name}",
                web::get().to(account),
            )
            .route(
                "/subscriptions/s/resourceGroups/g 1/providers/Microsoft.Storage/storageAccounts/lake/blobServices/default/containers/{name}",
                web::get().to(container),
            )
    })
    .workers(1)
    .disable_signals()
    .bind_rustls_0_23(("127.0.0.1", 0), tls)
    .unwrap();
    let address = format!("https://localhost:{}", server.addrs()[0].port());
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Azure { address, authority, tokens, server: handle }
}

fn client_of(azure: &Azure, identity: Identity) -> Result<ManagementClient, LookUpError> {
    let address = Url::parse(&azure.address).unwrap();
    ManagementClient::new(Settings {
        cloud: Cloud {
            endpoint: address.clone(),
            authority: address,
            audience: "https://audience".into(),
            storage_suffix: "example".into(),
        },
        identity,
        tls: trust::only(azure.authority.certificate_pem()).unwrap(),
    })
}

fn client(azure: &Azure, secret: &str) -> ManagementClient {
    let identity = Identity::ServicePrincipal {
        tenant_id: "tenant".into(),
        client_id: "client".into(),
        client_secret: secret.into(),
    };
    client_of(azure, identity).unwrap()
}

#[actix_web::test]
async fn an_account_is_read_and_the_token_reused() {
    let azure = azure();
    let client = client(&azure, "right&secret");
    let lake = client.get("s", "g 1", "lake").await.unwrap();
    assert_eq!(
        (lake.kind.as_str(), lake.hierarchical_namespace, lake.location.as_str()),
        ("StorageV2", true, "westus")
    );
    assert_eq!(lake.dfs_endpoint.unwrap().as_str(), "https://lake.dfs.example/");
    assert!(lake.id.ends_with("/storageAccounts/lake"));
    assert!(!client.get("s", "g 1", "flat").await.unwrap().hierarchical_namespace);
    assert_eq!(azure.tokens.load(Ordering::SeqCst), 1);
    azure.server.stop(false).await;
}

#[actix_web::test]
async fn absent_denied_and_unavailable_are_told_apart() {
    let azure = azure();
    let known = client(&azure, "right&secret");
    assert!(matches!(known.get("s", "g 1", "nowhere").await, Err(LookUpError::NotFound)));
    assert!(matches!(known.get("s", "g 1", "secret").await, Err(LookUpError::Denied(_))));
    assert!(matches!(known.get("s", "g 1", "broken").await, Err(LookUpError::Unavailable(_))));
    let stranger = client(&azure, "wrong");
    match stranger.get("s", "g 1", "lake").await {
        Err(LookUpError::Denied(why)) => {
            assert!(why.contains("AADSTS7000215: Invalid client secret."), "{why}")
        }
        other => panic!("{other:?}"),
    }
    azure.server.stop(false).await;
    let closed = Azure { address: "https://127.0.0.1:1".into(), tokens: Arc::default(), ..azure };
    assert!(matches!(client(&closed, "x").get("s", "g", "a").await, Err(LookUpError::Unavailable(_))));
}

#[actix_web::test]
async fn network_rules_and_region_are_read() {
    let azure = azure();
    let client = client(&azure, "right&secret");
    let walled = client.get("s", "g 1", "walled").await.unwrap();
    let rules = NetworkRules {
        public_access_disabled: true,
        deny_by_default: true,
        addresses: vec!["203.0.113.0/24".into()],
        subnets: vec!["/subscriptions/s/subnets/a".into()],
        private_endpoints: 1,
    };
    assert_eq!((walled.network, walled.location.as_str()), (rules, "uksouth"));
    assert_eq!(client.get("s", "g 1", "lake").await.unwrap().network, NetworkRules::default());
    azure.server.stop(false).await;
}

/// A service account's token, as Kubernetes writes it, is exchanged for one of Entra ID's.
#[actix_web::test]
async fn a_workload_proves_itself_by_its_token_file() {
    let azure = azure();
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "right-assertion").unwrap();
    let identity = |token_file| Identity::Workload {
        tenant_id: Some("tenant".into()),
        client_id: Some("client".into()),
        token_file: Some(token_file),
    };
    let client = client_of(&azure, identity(token_file)).unwrap();
    assert!(client.get("s", "g 1", "lake").await.unwrap().hierarchical_namespace);
    // Told at the start, where somebody looks.
    let without = client_of(&azure, identity(folder.path().join("none"))).err().unwrap();
    assert!(without.to_string().contains("identity cannot be used"), "{without}");
    azure.server.stop(false).await;
}

#[actix_web::test]
async fn a_container_is_found_or_not() {
    let azure = azure();
    let client = client(&azure, "right&secret");
    for (name, is_there) in [("data", true), ("gone", false), ("nowhere", false)] {
        assert_eq!(client.has_container("s", "g 1", "lake", name).await.unwrap(), is_there, "{name}");
    }
    assert!(matches!(client.has_container("s", "g 1", "lake", "secret").await, Err(LookUpError::Denied(_))));
    azure.server.stop(false).await;
}
