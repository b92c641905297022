//! Tokens, roles, access control lists and user delegation keys.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::json;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture, Reply};

const ISSUER: &str = "https://login.example/tenant/v2.0";
pub const ALICE: &str = "a11ce000-0000-4000-8000-000000000001";
pub const BOB: &str = "b0b00000-0000-4000-8000-000000000002";
pub const STAFF: &str = "57aff000-0000-4000-8000-000000000003";

pub struct Tokens {
    key: EncodingKey,
    kid: String,
}

impl Tokens {
    pub async fn trusted_by(fixture: &Fixture) -> Self {
        let tokens = Self::new("first");
        let mut document = Jwk::from_encoding_key(&tokens.key, Algorithm::ES256).unwrap();
        document.common.key_id = Some(tokens.kid.clone());
        let issuer = json!({ "issuer": ISSUER, "keys": [document] }).to_string();
        fixture.client.admin(Method::PUT, "/tokenIssuers", ADMIN_TOKEN, &issuer).await.expect(200);
        tokens
    }

    fn new(kid: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self { key: EncodingKey::from_ec_der(der.as_ref()), kid: kid.to_owned() }
    }

    pub fn of(&self, object_id: &str, groups: &[&str]) -> String {
        self.with(json!({
            "iss": ISSUER, "aud": "https://storage.azure.com", "exp": 4_070_908_800_u64, "nbf": 0,
            "oid": object_id, "tid": "tenant", "groups": groups,
        }))
    }

    pub fn with(&self, claims: serde_json::Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

pub async fn give(fixture: &Fixture, roles: &[(&str, &str)]) {
    let roles: Vec<_> =
        roles.iter().map(|(principal, role)| json!({ "principalId": principal, "role": role })).collect();
    let path = format!("/accounts/{ACCOUNT}/roles");
    let body = serde_json::Value::from(roles).to_string();
    fixture.client.admin(Method::PUT, &path, ADMIN_TOKEN, &body).await.expect(200);
}

const DENIED: &str = "AuthorizationPermissionMismatch";

#[tokio::test]
async fn tokens_are_checked() {
    let fixture = Fixture::start().await;
    let list = |token: String| {
        let client = &fixture.client;
        async move { client.send_as(&token, Method::GET, "?comp=list", &[], b"").await }
    };
    let refused = "InvalidAuthenticationInfo";
    list(Tokens::new("first").of(ALICE, &[])).await.refused(401, refused);
    let tokens = Tokens::trusted_by(&fixture).await;
    give(&fixture, &[(ALICE, "Reader")]).await;
    list(tokens.of(ALICE, &[])).await.expect(200);
    // Somebody else's key under the same name, another name, another audience, another issuer, over, not yet.
    list(Tokens::new("first").of(ALICE, &[])).await.refused(401, refused);
    list(Tokens::new("second").of(ALICE, &[])).await.refused(401, refused);
    let good =
        json!({ "iss": ISSUER, "aud": "https://storage.azure.com/", "exp": 4_070_908_800_u64, "oid": ALICE });
    list(tokens.with(good.clone())).await.expect(200);
    for (claim, value) in [
        ("aud", json!("https://management.azure.com")),
        ("iss", json!("https://login.example/another/v2.0")),
        ("exp", json!(1)),
        ("nbf", json!(4_070_908_000_u64)),
        ("oid", json!(null)),
    ] {
        let mut claims = good.clone();
        claims[claim] = value;
        let reply = list(tokens.with(claims)).await.refused(401, refused);
        assert!(reply.header("www-authenticate").starts_with("Bearer authorization_uri="), "{claim}");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn roles_cover_without_lists() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/dir?resource=directory", &[("x-ms-permissions", "0700")]).await.expect(201);
    client.write("lake/dir/file", b"content").await;
    let tokens = Tokens::trusted_by(&fixture).await;
    let alice = tokens.of(ALICE, &[STAFF]);
    let send = |method: Method, target: &'static str, headers: &'static [(&'static str, &'static str)]| {
        let alice = alice.clone();
        async move { client.send_as(&alice, method, target, headers, b"").await }
    };
    let acl: &[(&str, &str)] = &[("x-ms-permissions", "0711")];
    send(Method::GET, "lake/dir/file", &[]).await.refused(403, DENIED);
    send(Method::PUT, "second?resource=filesystem", &[]).await.refused(403, DENIED);
    give(&fixture, &[(ALICE, "Reader")]).await;
    send(Method::GET, "lake/dir/file", &[]).await.expect(200);
    send(Method::PUT, "lake/dir/new?resource=file", &[]).await.refused(403, DENIED);
    // By a group.
    give(&fixture, &[(ALICE, "Reader"), (STAFF, "Contributor")]).await;
    send(Method::PUT, "lake/dir/new?resource=file", &[]).await.expect(201);
    send(Method::PUT, "second?resource=filesystem", &[]).await.expect(201);
    send(Method::PATCH, "lake/dir/file?action=setAccessControl", acl).await.refused(403, DENIED);
    let given: &[(&str, &str)] = &[("x-ms-owner", BOB)];
    send(Method::PUT, "lake/dir/gift?resource=file", given).await.refused(403, DENIED);
    give(&fixture, &[(ALICE, "Owner")]).await;
    send(Method::PATCH, "lake/dir/file?action=setAccessControl", acl).await.expect(200);
    send(Method::PUT, "lake/dir/gift?resource=file", given).await.expect(201);
    let made = client.head("lake/dir/new?action=getAccessControl", &[]).await.expect(200);
    assert_eq!((made.header("x-ms-owner"), made.header("x-ms-group")), (ALICE, "$superuser"));
    // Kept, and gone with the account only.
    let kept = fixture.restart().await;
    kept.client.send_as(&alice, Method::GET, "lake/dir/file", &[], b"").await.expect(200);
    kept.running.stop().await.unwrap();
}

/// `/top` (711) with `file` and the directory `shared` (by `list`), in which `a` is Alice's.
async fn lake(fixture: &Fixture, list: &str) {
    let client = &fixture.client;
    client.patch("lake?action=setAccessControl", &[("x-ms-permissions", "0711")], b"").await.expect(200);
    client
        .put("lake/top?resource=directory", &[("x-ms-permissions", "0711"), ("x-ms-umask", "0000")])
        .await
        .expect(201);
    client.write("lake/top/file", b"content").await;
    client.put("lake/top/shared?resource=directory", &[("x-ms-acl", list)]).await.expect(201);
    client
        .put("lake/top/shared/a?resource=file", &[("x-ms-owner", ALICE), ("x-ms-permissions", "0640")])
        .await
        .expect(201);
}

#[tokio::test]
async fn lists_decide_where_no_role_does() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    let list = format!("user::rwx,user:{BOB}:r-x,group::---,group:{STAFF}:rwx,mask::rwx,other::---");
    lake(&fixture, &list).await;
    let client = &fixture.client;
    let send = |token: String, method: Method, target: &'static str| async move {
        client.send_as(&token, method, target, &[], b"").await
    };
    let (alice, bob, member) = (tokens.of(ALICE, &[]), tokens.of(BOB, &[STAFF]), tokens.of(ALICE, &[STAFF]));
    let listing = "lake?resource=filesystem&recursive=false&directory=top/shared";

    // Others may pass through `top`, but see nothing of it, and nothing of `shared`.
    send(alice.clone(), Method::HEAD, "lake/top/file").await.expect(200);
    send(alice.clone(), Method::GET, "lake/top/file").await.refused(403, DENIED);
    send(alice.clone(), Method::GET, "lake?resource=filesystem&recursive=false&directory=top")
        .await
        .refused(403, DENIED);
    send(alice.clone(), Method::GET, listing).await.refused(403, DENIED);
    // Its own file is behind a directory that does not let it through.
    send(alice.clone(), Method::GET, "lake/top/shared/a").await.refused(403, DENIED);
    // A named user's entry counts, also where a group of his would give more.
    send(bob.clone(), Method::GET, listing).await.expect(200);
    send(bob.clone(), Method::PUT, "lake/top/shared/b?resource=file").await.refused(403, DENIED);
    send(bob.clone(), Method::GET, "lake/top/shared/a").await.refused(403, DENIED);
    // A group's.
    send(member.clone(), Method::GET, "lake/top/shared/a").await.expect(200);
    send(member.clone(), Method::PUT, "lake/top/shared/new?resource=file").await.expect(201);
    send(member.clone(), Method::DELETE, "lake/top/shared/new?recursive=false").await.expect(200);
    send(member.clone(), Method::DELETE, "lake/top/file?recursive=false").await.refused(403, DENIED);
    send(member.clone(), Method::DELETE, "lake/top/shared?recursive=true").await.refused(403, DENIED);
    // The mask.
    let masked = list.replace("mask::rwx", "mask::r-x");
    client.patch("lake/top/shared?action=setAccessControl", &[("x-ms-acl", &masked)], b"").await.expect(200);
    send(member.clone(), Method::PUT, "lake/top/shared/new?resource=file").await.refused(403, DENIED);
    send(member.clone(), Method::GET, listing).await.expect(200);
    // The recursive listing goes into directories that refuse.
    client
        .put("lake/top/shared/closed?resource=directory", &[("x-ms-permissions", "0700")])
        .await
        .expect(201);
    send(member.clone(), Method::GET, listing).await.expect(200);
    send(member, Method::GET, "lake?resource=filesystem&recursive=true&directory=top/shared")
        .await
        .refused(403, DENIED);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn owners_change_access_and_sticky_directories_keep_what_is_others() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    lake(&fixture, "user::rwx,group::---,other::rwx").await;
    let client = &fixture.client;
    let (alice, bob) = (tokens.of(ALICE, &[STAFF]), tokens.of(BOB, &[]));
    let set = |token: String, name: &'static str, value: &'static str| async move {
        let target = "lake/top/shared/a?action=setAccessControl";
        client.send_as(&token, Method::PATCH, target, &[(name, value)], b"").await
    };
    set(bob.clone(), "x-ms-permissions", "0666").await.refused(403, DENIED);
    set(alice.clone(), "x-ms-permissions", "0600").await.expect(200);
    set(alice.clone(), "x-ms-group", STAFF).await.expect(200);
    set(alice.clone(), "x-ms-group", BOB).await.refused(403, DENIED);
    set(alice.clone(), "x-ms-owner", BOB).await.refused(403, DENIED);

    let sticky = [("x-ms-permissions", "1777")];
    client.patch("lake/top/shared?action=setAccessControl", &sticky, b"").await.expect(200);
    let rename = [("x-ms-rename-source", "/lake/top/shared/a")];
    let moved = "lake/top/shared/moved";
    client.send_as(&bob, Method::PUT, moved, &rename, b"").await.refused(403, DENIED);
    client
        .send_as(&bob, Method::DELETE, "lake/top/shared/a?recursive=false", &[], b"")
        .await
        .refused(403, DENIED);
    client.send_as(&alice, Method::PUT, moved, &rename, b"").await.expect(201);
    let away = [("x-ms-rename-source", "/lake/top/shared/moved")];
    client.send_as(&alice, Method::PUT, "lake/top/out", &away, b"").await.refused(403, DENIED);
    client
        .send_as(&alice, Method::DELETE, "lake/top/shared/moved?recursive=false", &[], b"")
        .await
        .expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_rename_enters_and_replaces_only_where_its_caller_may_write() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    lake(&fixture, "user::rwx,group::---,other::rwx").await;
    let client = &fixture.client;
    let make = async |path: &str, owner: &str, mode: &str, kind: &str| {
        let headers = [("x-ms-owner", owner), ("x-ms-permissions", mode), ("x-ms-umask", "0000")];
        client.put(&format!("lake/top/{path}?resource={kind}"), &headers).await.expect(201);
    };
    make("closed", ALICE, "0755", "directory").await;
    make("closed/file", ALICE, "0666", "file").await;
    make("shared/b", BOB, "0600", "file").await;
    let bob = tokens.of(BOB, &[]);
    let rename = async |to: &str| {
        let source = [("x-ms-rename-source", "/lake/top/shared/b")];
        client.send_as(&bob, Method::PUT, to, &source, b"").await
    };
    // Into a directory, beside what is in it, and in place of it, though that may be written.
    rename("lake/top/closed").await.refused(403, DENIED);
    rename("lake/top/closed/new").await.refused(403, DENIED);
    rename("lake/top/closed/file").await.refused(403, DENIED);
    rename("lake/top/shared/a").await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_there_is_overwritten_only_by_who_may_write_it() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    lake(&fixture, "user::rwx,group::---,other::rwx").await;
    let client = &fixture.client;
    let (alice, bob) = (tokens.of(ALICE, &[STAFF]), tokens.of(BOB, &[]));
    let make = |token: &str, target: &'static str, headers: &'static [(&str, &str)]| {
        let token = token.to_owned();
        async move { client.send_as(&token, Method::PUT, target, headers, b"").await }
    };
    let closed = &[("x-ms-permissions", "0700"), ("x-ms-umask", "0000")];
    make(&alice, "lake/top/shared/mine?resource=directory", closed).await.expect(201);
    let refused = "UnauthorizedBlobOverwrite";
    make(&bob, "lake/top/shared/mine?resource=directory", &[]).await.refused(403, refused);
    let absent = &[("if-none-match", "*")];
    make(&bob, "lake/top/shared/mine?resource=directory", absent).await.refused(409, "PathAlreadyExists");
    make(&alice, "lake/top/shared/mine?resource=directory", &[]).await.expect(201);
    make(&alice, "lake/top/shared/file?resource=file", closed).await.expect(201);
    let before = client.head("lake/top/shared/file", &[]).await.expect(200);
    make(&bob, "lake/top/shared/file?resource=file", &[]).await.refused(403, refused);
    let after = client.head("lake/top/shared/file", &[]).await.expect(200);
    assert_eq!(before.header("etag"), after.header("etag"));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_recursive_change_of_access_is_decided_path_by_path() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    lake(&fixture, "user::rwx,group::---,other::rwx").await;
    let client = &fixture.client;
    let (alice, bob) = (tokens.of(ALICE, &[STAFF]), tokens.of(BOB, &[]));
    let open = [("x-ms-permissions", "0777"), ("x-ms-umask", "0000")];
    for (token, target) in [
        (&alice, "lake/top/shared/t?resource=directory"),
        (&alice, "lake/top/shared/t/a?resource=file"),
        (&bob, "lake/top/shared/t/b?resource=file"),
        (&alice, "lake/top/shared/t/c?resource=file"),
    ] {
        client.send_as(token, Method::PUT, target, &open, b"").await.expect(201);
    }
    let entry = [("x-ms-acl", "user:carol:r--")];
    let change = |token: &str, more: String| {
        let target = format!("lake/top/shared/t?action=setAccessControlRecursive&mode=modify{more}");
        let token = token.to_owned();
        async move { client.send_as(&token, Method::PATCH, &target, &entry, b"").await.expect(200) }
    };
    let counts = |reply: &Reply| {
        let tally = reply.json();
        let number = |name: &str| tally[name].as_u64().unwrap();
        (number("directoriesSuccessful"), number("filesSuccessful"), number("failureCount"))
    };
    // Stops at what is Bob's, and begins there again when Bob asks.
    let stopped = change(&alice, String::new()).await;
    assert_eq!(counts(&stopped), (1, 1, 1));
    let failed = &stopped.json()["failedEntries"][0];
    assert_eq!((&failed["name"], &failed["type"]), (&"top/shared/t/b".into(), &"FILE".into()));
    assert!(failed["errorMessage"].as_str().unwrap().contains("not authorized"), "{failed}");
    let continuation = format!("&continuation={}", stopped.header("x-ms-continuation"));
    assert_eq!(counts(&change(&bob, continuation).await), (0, 1, 1));
    let forced = change(&alice, "&forceFlag=true".to_owned()).await;
    assert_eq!((counts(&forced), forced.header("x-ms-continuation")), ((1, 2, 1), ""));
    // Nothing of the first path: there is no place to go on from.
    let foreign = change(&bob, String::new()).await;
    assert_eq!((counts(&foreign), foreign.header("x-ms-continuation")), ((0, 0, 1), ""));
    give(&fixture, &[(BOB, "Owner")]).await;
    assert_eq!(counts(&change(&bob, String::new()).await), (1, 3, 0));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn check_access_tells_what_the_lists_say() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    lake(&fixture, &format!("user::rwx,user:{BOB}:r-x,group::---,other::---")).await;
    let bob = tokens.of(BOB, &[]);
    let check = |action: &'static str| {
        let (bob, client) = (bob.clone(), &fixture.client);
        async move {
            let target = format!("lake/top/shared?action=checkAccess&fsAction={action}");
            client.send_as(&bob, Method::HEAD, &target, &[], b"").await
        }
    };
    for allowed in ["r--", "--x", "r-x", "---"] {
        check(allowed).await.expect(200);
    }
    check("-w-").await.refused(403, DENIED);
    check("rwx").await.refused(403, DENIED);
    check("all").await.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

/// What stands between tags.
pub fn element(reply: &Reply, name: &str) -> String {
    let text = reply.text();
    let (_, after) = text.split_once(&format!("<{name}>")).unwrap();
    after.split_once('<').unwrap().0.to_owned()
}

/// A signature with the key that `key` brought, for a file.
fn delegated(key: &Reply, letters: &str, path: &str, users: [&str; 2]) -> String {
    const VERSION: &str = "2023-11-03";
    let end = "2099-01-01T00:00:00Z";
    let names = ["SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion"];
    let parts = names.map(|name| element(key, name));
    let [vouched, checked] = users;
    let text = format!(
        "{letters}\n\n{end}\n/blob/{ACCOUNT}/{path}\n{}\n{vouched}\n{checked}\n\n\n\n{VERSION}\nb\n\n\n\n\n\n\n",
        parts.join("\n")
    );
    let secret = BASE64.decode(element(key, "Value")).unwrap();
    let signature = BASE64.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes()));
    let mut query = format!("sv={VERSION}&sr=b&sp={letters}&se={end}");
    for (name, value) in ["skoid", "sktid", "skt", "ske", "sks", "skv"].iter().zip(&parts) {
        query.push_str(&format!("&{name}={value}"));
    }
    for (name, value) in ["saoid", "suoid"].iter().zip(users).filter(|(_, value)| !value.is_empty()) {
        query.push_str(&format!("&{name}={value}"));
    }
    format!("{query}&sig={}", utf8_percent_encode(&signature, NON_ALPHANUMERIC))
}

#[tokio::test]
async fn a_user_delegation_key_signs_no_more_than_its_user_may() {
    let fixture = Fixture::start().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    give(&fixture, &[(ALICE, "Contributor")]).await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let ask = |token: String, body: String| async move {
        let target = "?restype=service&comp=userdelegationkey";
        client.send_as(&token, Method::POST, target, &[], body.as_bytes()).await
    };
    let soon = iso_in(3600);
    let info = format!("<KeyInfo><Start></Start><Expiry>{soon}</Expiry></KeyInfo>");
    ask(tokens.of(BOB, &[]), info.clone()).await.refused(403, DENIED);
    // The smallest role is enough for a key, and for nothing else.
    give(&fixture, &[(ALICE, "Contributor"), (BOB, "Delegator")]).await;
    ask(tokens.of(BOB, &[]), info.clone()).await.expect(200);
    let bob = tokens.of(BOB, &[]);
    client.send_as(&bob, Method::GET, "lake/file", &[], b"").await.refused(403, DENIED);
    let key = ask(tokens.of(ALICE, &[]), info.clone()).await.expect(200);
    assert_eq!(element(&key, "SignedOid"), ALICE);
    let far = format!("<KeyInfo><Start></Start><Expiry>{}</Expiry></KeyInfo>", iso_in(8 * 86_400));
    ask(tokens.of(ALICE, &[]), far).await.refused(400, "InvalidXmlNodeValue");
    let by_key =
        client.send(Method::POST, "?restype=service&comp=userdelegationkey", &[], info.into_bytes()).await;
    by_key.refused(403, "AuthenticationFailed");

    let send = |signature: String, method: Method, target: &'static str| async move {
        client.send_with(&signature, method, target, &[], b"").await
    };
    let signature = |letters: &str| delegated(&key, letters, "lake/file", ["", ""]);
    send(signature("r"), Method::GET, "lake/file").await.expect(200);
    send(signature("r"), Method::DELETE, "lake/file?recursive=false").await.refused(403, DENIED);
    send(signature("r").replace(ALICE, BOB), Method::GET, "lake/file")
        .await
        .refused(403, "AuthenticationFailed");
    // Vouched for: the file is Bob's. To be checked: the lists have to let Bob through.
    let new = |users| delegated(&key, "rcw", "lake/new", users);
    send(new([BOB, ""]), Method::PUT, "lake/new?resource=file").await.expect(201);
    let made = client.head("lake/new?action=getAccessControl", &[]).await.expect(200);
    assert_eq!(made.header("x-ms-owner"), BOB);
    send(delegated(&key, "r", "lake/file", ["", BOB]), Method::GET, "lake/file").await.refused(403, DENIED);
    // What the user may not do any more, no signature with the user's key may.
    give(&fixture, &[(ALICE, "Reader")]).await;
    send(signature("rd"), Method::GET, "lake/file").await.expect(200);
    send(signature("rd"), Method::DELETE, "lake/file?recursive=false").await.refused(403, DENIED);
    give(&fixture, &[]).await;
    send(signature("rd"), Method::GET, "lake/file").await.refused(403, DENIED);
    fixture.running.stop().await.unwrap();
}

/// ISO 8601, so many seconds from now.
pub fn iso_in(seconds: i64) -> String {
    let time = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let time = time.replace_nanosecond(0).unwrap();
    time.format(&time::format_description::well_known::Rfc3339).unwrap()
}
