//! Signatures made with a user delegation key that name users or directories.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::client::{ACCOUNT, Fixture, Reply};
use crate::identities::{ALICE, BOB, Tokens, element, give, iso_in};

/// With fields for a user that a signature is bound to.
const VERSION: &str = "2025-07-05";
const END: &str = "2099-01-01T00:00:00Z";

struct World {
    fixture: Fixture,
    tokens: Tokens,
}

impl World {
    /// Alice may do everything with files, Bob nothing.
    async fn new() -> Self {
        let fixture = Fixture::in_memory().await;
        let tokens = Tokens::trusted_by(&fixture).await;
        give(&fixture, &[(ALICE, "Contributor")]).await;
        Self { fixture, tokens }
    }

    /// For users of a tenant, or for everybody.
    async fn key(&self, tenant: &str) -> Reply {
        let tenant = match tenant {
            "" => String::new(),
            tenant => format!("<DelegatedUserTid>{tenant}</DelegatedUserTid>"),
        };
        let body = format!("<KeyInfo><Start></Start><Expiry>{}</Expiry>{tenant}</KeyInfo>", iso_in(3600));
        let (target, token) = ("?restype=service&comp=userdelegationkey", self.tokens.of(ALICE, &[]));
        self.fixture.client.send_as(&token, Method::POST, target, &[], body.as_bytes()).await.expect(200)
    }

    async fn get(&self, signature: &str, target: &str) -> Reply {
        self.fixture.client.send_with(signature, Method::GET, target, &[], b"").await
    }
}

/// `users`: parameters of these, which are signed in this order whether or not they are there.
const USERS: [&str; 5] = ["saoid", "suoid", "scid", "skdutid", "sduoid"];

fn signature(key: &Reply, letters: &str, (kind, path): (&str, &str), users: &[(&str, &str)]) -> String {
    let names = ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion"];
    let parts = names.map(|name| element(key, name));
    let user = |wanted: &str| users.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| *value);
    let users = USERS.map(|name| (name, user(name)));
    let named = users.map(|(_, value)| value).join("\n");
    let text = format!(
        "{letters}\n\n{END}\n/blob/{ACCOUNT}/{path}\n{}\n{named}\n\n\n{VERSION}\n{kind}\n\n\n\n\n\n\n",
        parts.join("\n")
    );
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &BASE64.decode(element(key, "Value")).unwrap());
    let signature = BASE64.encode(hmac::sign(&secret, text.as_bytes()));
    let mut query = format!("sv={VERSION}&sr={kind}&sp={letters}&se={END}");
    if kind == "d" {
        query.push_str(&format!("&sdd={}", path.split('/').count() - 1));
    }
    let key_names = ["skoid", "sktid", "skt", "ske", "sks", "skv"];
    let pairs = key_names.iter().zip(&parts).map(|(name, value)| (*name, value.as_str()));
    for (name, value) in pairs.chain(users).filter(|(_, value)| !value.is_empty()) {
        query.push_str(&format!("&{name}={value}"));
    }
    format!("{query}&sig={}", utf8_percent_encode(&signature, NON_ALPHANUMERIC))
}

#[tokio::test]
async fn the_lists_let_through_whom_the_delegator_has_checked() {
    let world = World::new().await;
    let client = &world.fixture.client;
    client.write("lake/file", b"content").await;
    let key = world.key("").await;
    let checked = signature(&key, "rw", ("b", "lake/file"), &[("suoid", BOB)]);
    world.get(&checked, "lake/file").await.refused(403, "AuthorizationPermissionMismatch");
    let readable = format!("user::rw-,user:{BOB}:r--,group::---,mask::r--,other::---");
    client.patch("lake/file?action=setAccessControl", &[("x-ms-acl", &readable)], b"").await.expect(200);
    client.patch("lake?action=setAccessControl", &[("x-ms-permissions", "0711")], b"").await.expect(200);
    assert_eq!(world.get(&checked, "lake/file").await.expect(200).text(), "content");
    // The letters would allow it, and Alice may; the list does not.
    let append = "lake/file?action=append&position=7";
    let refused = client.send_with(&checked, Method::PATCH, append, &[], b"x").await;
    refused.refused(403, "AuthorizationPermissionMismatch");
    let both = signature(&key, "r", ("b", "lake/file"), &[("saoid", BOB), ("suoid", BOB)]);
    world.get(&both, "lake/file").await.refused(403, "AuthenticationFailed");
    world.fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_is_signed_for_with_all_below_it() {
    let world = World::new().await;
    let client = &world.fixture.client;
    for path in ["lake/in/deep/file", "lake/out/file"] {
        client.write(path, b"content").await;
    }
    let key = world.key("").await;
    let directory = signature(&key, "rl", ("d", "lake/in"), &[]);
    world.get(&directory, "lake/in/deep/file").await.expect(200);
    world.get(&directory, "lake?resource=filesystem&recursive=true&directory=in").await.expect(200);
    world.get(&directory, "lake/out/file").await.refused(403, "AuthenticationFailed");
    world
        .get(&directory.replace("sdd=1", "sdd=2"), "lake/in/deep/file")
        .await
        .refused(403, "AuthenticationFailed");
    let delete =
        client.send_with(&directory, Method::DELETE, "lake/in/deep/file?recursive=false", &[], b"").await;
    delete.refused(403, "AuthorizationPermissionMismatch");
    world.fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_signature_that_is_bound_to_a_user_needs_that_users_token() {
    let world = World::new().await;
    let client = &world.fixture.client;
    client.write("lake/file", b"content").await;
    let key = world.key("tenant").await;
    assert_eq!(element(&key, "SignedDelegatedUserTid"), "tenant");
    let bound =
        |tenant: &str| signature(&key, "r", ("b", "lake/file"), &[("skdutid", tenant), ("sduoid", BOB)]);
    let show = async |signature: &str, token: &str| {
        let target = format!("lake/file?{signature}");
        client.send_as(token, Method::GET, &target, &[], b"").await
    };
    let bob = world.tokens.of(BOB, &[]);
    assert_eq!(show(&bound("tenant"), &bob).await.expect(200).text(), "content");
    world.get(&bound("tenant"), "lake/file").await.refused(403, "AuthenticationFailed");
    show(&bound("tenant"), &world.tokens.of(ALICE, &[])).await.refused(403, "AuthenticationFailed");
    show(&bound("tenant"), "no token").await.refused(401, "InvalidAuthenticationInfo");
    // The key is for users of one tenant.
    show(&bound("other"), &bob).await.refused(403, "AuthenticationFailed");
    show(&bound(""), &bob).await.refused(403, "AuthenticationFailed");
    let stranger = serde_json::json!({
        "iss": "https://login.example/tenant/v2.0", "aud": "https://storage.azure.com", "exp": 4_070_908_800_u64,
        "oid": BOB, "tid": "other",
    });
    show(&bound("tenant"), &world.tokens.with(stranger)).await.refused(403, "AuthenticationFailed");
    world.fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_count_yet_signs_nothing() {
    let world = World::new().await;
    world.fixture.client.write("lake/file", b"content").await;
    let body = format!("<KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>", iso_in(3600), iso_in(7200));
    let (target, token) = ("?restype=service&comp=userdelegationkey", world.tokens.of(ALICE, &[]));
    let key =
        world.fixture.client.send_as(&token, Method::POST, target, &[], body.as_bytes()).await.expect(200);
    let early = signature(&key, "r", ("b", "lake/file"), &[]);
    let refused = world.get(&early, "lake/file").await.refused(403, "AuthenticationFailed");
    assert!(refused.text().contains("not valid in the specified time frame"), "{}", refused.text());
    world.fixture.running.stop().await.unwrap();
}
