//! The client against a real HTTP server on the loopback address.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use livedata_storage_account::{LookUpError, ManagementClient, Settings, StorageAccounts};
use url::Url;

struct Azure {
    address: String,
    tokens: Arc<AtomicUsize>,
    server: actix_web::dev::ServerHandle,
}

async fn token(form: String, minted: web::Data<AtomicUsize>) -> HttpResponse {
    if !form.contains("client_secret=right%26secret") {
        return HttpResponse::Unauthorized().json(serde_json::json!({"error": "invalid_client"}));
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

fn azure() -> Azure {
    let tokens = Arc::new(AtomicUsize::new(0));
    let minted = web::Data::from(Arc::clone(&tokens));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(minted.clone())
            .route("/authority/tenant/oauth2/v2.0/token", web::post().to(token))
            .route(
                "/subscriptions/s/resourceGroups/g 1/providers/Microsoft.Storage/storageAccounts/{name}",
                web::get().to(account),
            )
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = format!("http://{}", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Azure { address, tokens, server: handle }
}

fn client(azure: &Azure, secret: &str) -> ManagementClient {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    ManagementClient::new(Settings {
        endpoint: Url::parse(&azure.address).unwrap(),
        authority: Url::parse(&format!("{}/authority", azure.address)).unwrap(),
        tenant: "tenant".into(),
        client_id: "client".into(),
        client_secret: secret.into(),
        audience: "https://audience".into(),
        tls,
    })
    .unwrap()
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
    assert!(matches!(stranger.get("s", "g 1", "lake").await, Err(LookUpError::Denied(_))));
    azure.server.stop(false).await;
    let closed = Azure { address: "http://127.0.0.1:1".into(), tokens: Arc::default(), server: azure.server };
    assert!(matches!(client(&closed, "x").get("s", "g", "a").await, Err(LookUpError::Unavailable(_))));
}
