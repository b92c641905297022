use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use base64::Engine as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

use crate::world::{Answer, CLIENT_ID, CLIENT_SECRET, SUBSCRIPTION, TENANT, World, read};

async fn subscriptions_with(world: &World, token: Option<&str>) -> Answer {
    let mut request = world.client.get(format!("{}/subscriptions?api-version=2022-12-01", world.url()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    read(request.send().await.unwrap()).await
}

async fn open_get(world: &World, path: &str) -> Answer {
    read(world.client.get(format!("{}{path}", world.url())).send().await.unwrap()).await
}

fn claims_of(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(middle).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Signs claims with the front door's own key.
fn signed(world: &World, claims: &Value) -> String {
    let pem = std::fs::read(world.folder.path().join("front-door/token-signing-key.pem")).unwrap();
    let key = EncodingKey::from_rsa_pem(&pem).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), claims, &key).unwrap()
}

#[tokio::test]
async fn metadata_has_the_shape_of_its_version() {
    let world = World::new().await;
    let object = open_get(&world, "/metadata/endpoints?api-version=2022-09-01").await;
    assert_eq!(object.status, 200);
    assert_eq!(object.body["name"], "TestCloud");
    assert_eq!(object.body["resourceManager"], world.url());
    assert_eq!(object.body["authentication"]["audiences"][0], format!("{}/", world.url()));
    assert!(object.body["suffixes"]["storage"].is_string());
    let array = open_get(&world, "/metadata/endpoints?api-version=2019-05-01").await;
    assert_eq!(array.body[0], object.body);
    let missing = open_get(&world, "/metadata/endpoints").await;
    assert_eq!((missing.status, missing.code()), (400, "MissingApiVersionParameter"));
}

#[tokio::test]
async fn a_token_can_be_checked_by_others_with_the_published_key() {
    let world = World::new().await;
    for tenant in [TENANT, "common", "organizations"] {
        let found = open_get(&world, &format!("/{tenant}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(found.status, 200, "{tenant}");
        assert!(found.body["token_endpoint"].as_str().unwrap().ends_with("/oauth2/v2.0/token"));
        let keys = found.body["jwks_uri"].as_str().unwrap().strip_prefix(&world.url()).unwrap().to_owned();
        let keys = open_get(&world, &keys).await;
        let key: jsonwebtoken::jwk::Jwk = serde_json::from_value(keys.body["keys"][0].clone()).unwrap();
        let header = jsonwebtoken::decode_header(&world.token).unwrap();
        assert_eq!(header.kid, key.common.key_id);
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[format!("{}/", world.url())]);
        validation.set_issuer(&[found.body["issuer"].as_str().unwrap()]);
        let decoded =
            jsonwebtoken::decode::<Value>(&world.token, &DecodingKey::from_jwk(&key).unwrap(), &validation);
        assert_eq!(decoded.unwrap().claims["appid"], CLIENT_ID);
    }
    assert_eq!(open_get(&world, "/nobody/v2.0/.well-known/openid-configuration").await.status, 400);
}

#[tokio::test]
async fn signing_in_gives_a_token_for_an_hour_that_opens_the_subscription() {
    let world = World::new().await;
    let granted = world.sign_in(CLIENT_ID, CLIENT_SECRET).await;
    assert_eq!(
        (granted.status, &granted.body["token_type"], &granted.body["expires_in"]),
        (200, &json!("Bearer"), &json!(3600))
    );
    let listed = subscriptions_with(&world, granted.body["access_token"].as_str()).await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.body["value"][0]["subscriptionId"], SUBSCRIPTION);
    assert!(listed.header("x-ms-request-id").is_some());
    let tenants = world.client.get(format!("{}/tenants?api-version=2022-12-01", world.url()));
    let tenants = read(tenants.bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!(tenants.body["value"][0]["tenantId"], TENANT);
    assert_eq!(world.get("/locations").await.body["value"][0]["name"], "westeurope");
}

#[tokio::test]
async fn who_is_not_known_gets_no_token() {
    let world = World::new().await;
    let scope = format!("{}/.default", world.url());
    for (tenant, client, secret, scope, status, error) in [
        (TENANT, CLIENT_ID, "wrong", scope.as_str(), 401, "invalid_client"),
        (TENANT, CLIENT_ID, "", scope.as_str(), 401, "invalid_client"),
        (TENANT, "somebody", CLIENT_SECRET, scope.as_str(), 400, "unauthorized_client"),
        ("elsewhere", CLIENT_ID, CLIENT_SECRET, scope.as_str(), 400, "invalid_tenant"),
        (TENANT, CLIENT_ID, CLIENT_SECRET, "https://elsewhere.example/.default", 400, "invalid_resource"),
    ] {
        let refused = world.token_request(tenant, client, secret, scope).await;
        assert_eq!((refused.status, refused.body["error"].as_str().unwrap()), (status, error));
        assert!(refused.body["error_description"].as_str().unwrap().starts_with("AADSTS"));
        assert!(!refused.body.to_string().contains(CLIENT_SECRET));
        assert!(refused.body.get("access_token").is_none());
    }
}

#[tokio::test]
async fn a_request_without_a_good_token_is_turned_away() {
    let world = World::new().await;
    let good = claims_of(&world.token);
    let with = |changes: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    assert_eq!(subscriptions_with(&world, Some(&signed(&world, &good))).await.status, 200);

    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let pem = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
    let foreign = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let forged = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &good, &foreign).unwrap();
    let symmetric =
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &good, &EncodingKey::from_secret(b"guess"))
            .unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", world.token.split('.').nth(1).unwrap());
    let long_ago = json!({"nbf": 1_000_000_000, "exp": 1_000_003_600});
    let cases = [
        (None, "AuthenticationFailed"),
        (Some("nonsense".to_owned()), "InvalidAuthenticationToken"),
        (Some(forged), "InvalidAuthenticationToken"),
        (Some(symmetric), "InvalidAuthenticationToken"),
        (Some(unsigned), "InvalidAuthenticationToken"),
        (Some(signed(&world, &with(long_ago))), "ExpiredAuthenticationToken"),
        (
            Some(signed(&world, &with(json!({"nbf": 4_000_000_000_u64, "exp": 4_000_003_600_u64})))),
            "InvalidAuthenticationToken",
        ),
        (
            Some(signed(&world, &with(json!({"aud": "https://elsewhere.example"})))),
            "InvalidAuthenticationTokenAudience",
        ),
        (
            Some(signed(&world, &with(json!({"iss": "https://elsewhere.example"})))),
            "InvalidAuthenticationTokenTenant",
        ),
    ];
    for (token, code) in cases {
        let refused = subscriptions_with(&world, token.as_deref()).await;
        assert_eq!((refused.status, refused.code()), (401, code));
        assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer authorization_uri="));
        assert_eq!(refused.header("x-ms-error-code"), Some(code));
    }
    assert_eq!(world.provider.count(), 0);
}

#[tokio::test]
async fn the_signing_key_is_private_and_survives_a_restart() {
    let mut world = World::new().await;
    let path = world.folder.path().join("front-door/token-signing-key.pem");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    world.close().await;
    world.open().await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
