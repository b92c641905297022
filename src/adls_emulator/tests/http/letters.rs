//! What letters of a signature each operation takes, and what else a signature may be bound to.

use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture, Reply};
use crate::signatures::{Resource, account_signature, service, service_signature, sign};

struct Operation {
    method: Method,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    /// Each of these is enough as a whole.
    letters: &'static [&'static str],
}

fn operation(method: Method, target: &'static str, letters: &'static [&'static str]) -> Operation {
    Operation { method, target, headers: &[], body: b"", letters }
}

impl Operation {
    fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    fn body(self, body: &'static [u8]) -> Self {
        Self { body, ..self }
    }
}

const OWNER: (&str, &str) = ("x-ms-owner", "alice");
const PERMISSIONS: (&str, &str) = ("x-ms-permissions", "0640");
const LIST: (&str, &str) = ("x-ms-acl", "user:alice:r--");

fn operations() -> Vec<Operation> {
    let set_access = "lake/d/f?action=setAccessControl";
    vec![
        operation(Method::GET, "lake/d/f", &["r"]),
        operation(Method::HEAD, "lake/d/f", &["r"]),
        operation(Method::HEAD, "lake/d/f?action=getStatus", &["r", "e"]),
        operation(Method::HEAD, "lake/d/f?action=getAccessControl", &["r", "e"]),
        operation(Method::GET, "lake?resource=filesystem&recursive=true", &["l"]),
        operation(Method::GET, "lake?restype=container&comp=list", &["l"]),
        operation(Method::PATCH, "lake/d/f?action=append&position=7", &["w", "a"]).body(b"more"),
        operation(Method::PATCH, "lake/d/f?action=flush&position=7", &["w", "a"]),
        operation(Method::PATCH, "lake/d/f?action=setProperties", &["w"]),
        operation(Method::POST, "lake/d/f", &["w"])
            .with(&[("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15")]),
        operation(Method::PUT, "lake/d/f?comp=expiry", &["w"]).with(&[("x-ms-expiry-option", "NeverExpire")]),
        operation(Method::PUT, "lake/d/f?comp=metadata", &["w"]),
        operation(Method::PUT, "lake/d/f?resource=file", &["w"]),
        operation(Method::PUT, "lake/d/new?resource=file", &["w", "c"]),
        operation(Method::PUT, "lake/d/new?resource=directory", &["w", "c"]),
        operation(Method::PUT, "lake/d/new?resource=file", &["wo", "co"]).with(&[OWNER]),
        operation(Method::PUT, "lake/d/new", &["w", "c"]).with(&[("x-ms-blob-type", "BlockBlob")]).body(b"x"),
        operation(Method::PUT, "lake/d/new", &["w", "c"]).with(&[("x-ms-blob-type", "AppendBlob")]),
        operation(Method::PUT, "lake/d/log?comp=appendblock", &["w", "a"]).body(b"x"),
        operation(Method::PUT, "lake/d/log?comp=seal", &["w"]),
        operation(Method::PUT, "lake/d/new?comp=block&blockid=YQ%3D%3D", &["w"]).body(b"x"),
        operation(Method::PUT, "lake/d/new", &["m", "wd"]).with(&[("x-ms-rename-source", "/lake/d/f")]),
        operation(Method::DELETE, "lake/d/f?recursive=false", &["d"]),
        operation(Method::PATCH, set_access, &["p"]).with(&[PERMISSIONS]),
        operation(Method::PATCH, set_access, &["o"]).with(&[OWNER]),
        operation(Method::PATCH, set_access, &["op"]).with(&[OWNER, PERMISSIONS]),
        operation(Method::PATCH, "lake/d?action=setAccessControlRecursive&mode=modify", &["p"]).with(&[LIST]),
    ]
}

async fn ask(fixture: &Fixture, signature: &str, operation: &Operation) -> Reply {
    let client = &fixture.client;
    client.delete("lake/d?recursive=true", &[]).await;
    client.write("lake/d/f", b"content").await;
    client.put("lake/d/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
    let Operation { method, target, headers, body, .. } = operation;
    client.send_with(signature, method.clone(), target, headers, body).await
}

#[tokio::test]
async fn each_operation_takes_its_letters_and_no_others() {
    let fixture = Fixture::in_memory().await;
    for operation in operations() {
        let told = format!("{} {} {:?}", operation.method, operation.target, operation.headers);
        for letters in operation.letters {
            let done = ask(&fixture, &service(letters, "c", "lake"), &operation).await;
            assert!(done.status.is_success(), "{told} with {letters}: {} {}", done.status, done.text());
        }
        // Any one, and all but those that are needed.
        let all = "racwdlmeopx";
        let singles =
            all.chars().map(String::from).filter(|letter| !operation.letters.contains(&letter.as_str()));
        let others: String =
            all.chars().filter(|letter| !operation.letters.concat().contains(*letter)).collect();
        for letters in singles.chain([others]) {
            let refused = ask(&fixture, &service(&letters, "c", "lake"), &operation).await;
            assert_eq!(refused.status, 403, "{told} with {letters}");
        }
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn resource_types_are_those_of_what_is_asked_for() {
    let fixture = Fixture::in_memory().await;
    fixture.client.write("lake/d/f", b"content").await;
    for (target, needed) in [
        ("?comp=list", 's'),
        ("?resource=account", 's'),
        ("lake?resource=filesystem&recursive=true", 'c'),
        ("lake/d/f", 'o'),
    ] {
        for kind in ['s', 'c', 'o'] {
            let signature = account_signature("rl", "b", &kind.to_string(), "2099-01-01");
            let reply = fixture.client.send_with(&signature, Method::GET, target, &[], b"").await;
            let expected = if kind == needed { 200 } else { 403 };
            assert_eq!(reply.status, expected, "{target} with {kind}: {}", reply.text());
        }
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn signatures_begin_at_their_start_and_either_key_makes_them() {
    const VERSION: &str = "2023-11-03";
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let account = client.admin(Method::GET, &format!("/accounts/{ACCOUNT}"), ADMIN_TOKEN, "").await;
    let account = account.expect(200).json();
    let get = async |key: usize, start: &str| {
        use base64::Engine as _;
        let key = account["keys"][key]["value"].as_str().unwrap();
        let key = base64::engine::general_purpose::STANDARD.decode(key).unwrap();
        let end = "2099-01-01T00:00:00Z";
        let text = format!("r\n{start}\n{end}\n/blob/{ACCOUNT}/lake/file\n\n\n\n{VERSION}\nb\n\n\n\n\n\n\n");
        let signature = sign(&key, &text);
        let query = format!("sv={VERSION}&sr=b&sp=r&st={start}&se={end}&sig={signature}");
        client.send_with(&query, Method::GET, "lake/file", &[], b"").await
    };
    for key in [0, 1] {
        get(key, "2020-01-01T00:00:00Z").await.expect(200);
        let early = get(key, "2098-01-01T00:00:00Z").await.refused(403, "AuthenticationFailed");
        assert!(early.text().contains("not valid in the specified time frame"), "{}", early.text());
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_policy_says_when_its_signatures_begin() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let signature =
        service_signature(&Resource { letters: "", kind: "c", path: "lake", extra: "si=readers" });
    for (start, expected) in [("2020-01-01", 200), ("2098-01-01", 403)] {
        let policy = format!(
            "<SignedIdentifiers><SignedIdentifier><Id>readers</Id><AccessPolicy><Start>{start}</Start>\
             <Expiry>2099-01-01</Expiry><Permission>r</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>"
        );
        let target = "lake?restype=container&comp=acl";
        client.send(Method::PUT, target, &[], policy.into_bytes()).await.expect(200);
        let reply = client.send_with(&signature, Method::GET, "lake/file", &[], b"").await;
        assert_eq!(reply.status, expected, "{start}: {}", reply.text());
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_filesystem_has_no_more_than_five_policies() {
    let fixture = Fixture::in_memory().await;
    let put = async |count: usize| {
        let policies: String = (0..count)
            .map(|number| {
                format!("<SignedIdentifier><Id>{number}</Id><AccessPolicy></AccessPolicy></SignedIdentifier>")
            })
            .collect();
        let body = format!("<SignedIdentifiers>{policies}</SignedIdentifiers>").into_bytes();
        fixture.client.send(Method::PUT, "lake?restype=container&comp=acl", &[], body).await
    };
    put(5).await.expect(200);
    put(6).await.refused(400, "InvalidXmlNodeValue");
    fixture.running.stop().await.unwrap();
}
