//! Shared access signatures, made here from what the service's documentation says that they sign.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::client::{ACCOUNT, Fixture, KEY};

const VERSION: &str = "2023-11-03";
pub const END: &str = "2099-01-01T00:00:00Z";

pub fn sign(key: &[u8], text: &str) -> String {
    let signature = BASE64.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()));
    utf8_percent_encode(&signature, NON_ALPHANUMERIC).to_string()
}

pub fn account_signature(letters: &str, services: &str, types: &str, end: &str) -> String {
    account_signature_of((ACCOUNT, KEY), letters, services, types, end)
}

/// `account`: its name and key.
pub fn account_signature_of(
    (account, key): (&str, &[u8]),
    letters: &str,
    services: &str,
    types: &str,
    end: &str,
) -> String {
    let text = format!("{account}\n{letters}\n{services}\n{types}\n\n{end}\n\n\n{VERSION}\n\n");
    let signature = sign(key, &text);
    format!("sv={VERSION}&ss={services}&srt={types}&sp={letters}&se={end}&sig={signature}")
}

pub struct Resource<'a> {
    pub letters: &'a str,
    pub kind: &'a str,
    pub path: &'a str,
    pub extra: &'a str,
}

/// `extra`: more parameters, of which only `si`, `sip` and `spr` are signed.
pub fn service_signature(resource: &Resource<'_>) -> String {
    let Resource { letters, kind, path, extra } = resource;
    let part = |name: &str| {
        let found = extra.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.unwrap_or("").to_owned()
    };
    let (identifier, address, protocol) = (part("si"), part("sip"), part("spr"));
    let end = if identifier.is_empty() { END } else { "" };
    let text = format!(
        "{letters}\n\n{end}\n/blob/{ACCOUNT}/{path}\n{identifier}\n{address}\n{protocol}\n{VERSION}\n{kind}\n\n\n\n\n\n\n"
    );
    let signature = sign(KEY, &text);
    let limits = if identifier.is_empty() { format!("&sp={letters}&se={end}") } else { String::new() };
    format!("sv={VERSION}&sr={kind}{limits}&{extra}&sig={signature}")
}

pub fn service(letters: &str, kind: &str, path: &str) -> String {
    service_signature(&Resource { letters, kind, path, extra: "" })
}

#[tokio::test]
async fn an_accounts_signature_reaches_what_its_letters_and_types_name() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let send = |signature: String, method: Method, target: &'static str| async move {
        client.send_with(&signature, method, target, &[], b"").await
    };
    let all = || account_signature("rwdlac", "b", "sco", END);
    assert_eq!(send(all(), Method::GET, "lake/file").await.expect(200).text(), "content");
    send(all(), Method::PUT, "second?resource=filesystem").await.expect(201);
    send(all(), Method::GET, "?comp=list").await.expect(200);
    send(all(), Method::PUT, "lake/new?resource=file").await.expect(201);

    let reads = || account_signature("rl", "b", "sco", END);
    send(reads(), Method::GET, "lake/file").await.expect(200);
    let denied = "AuthorizationPermissionMismatch";
    send(reads(), Method::PUT, "lake/other?resource=file").await.refused(403, denied);
    send(reads(), Method::DELETE, "lake/file?recursive=false").await.refused(403, denied);
    send(reads(), Method::DELETE, "second?resource=filesystem").await.refused(403, denied);
    let objects = || account_signature("rl", "b", "o", END);
    send(objects(), Method::GET, "lake/file").await.expect(200);
    let mismatch = "AuthorizationResourceTypeMismatch";
    send(objects(), Method::GET, "lake?resource=filesystem&recursive=true").await.refused(403, mismatch);
    send(objects(), Method::GET, "?comp=list").await.refused(403, mismatch);
    let queues = account_signature("rl", "q", "sco", END);
    send(queues, Method::GET, "lake/file").await.refused(403, "AuthorizationServiceMismatch");
    let over = account_signature("rl", "b", "sco", "2020-01-01");
    let reply = send(over, Method::GET, "lake/file").await.refused(403, "AuthenticationFailed");
    assert!(reply.text().contains("not valid in the specified time frame"), "{}", reply.text());
    let more = reads().replace("sp=rl", "sp=rlw");
    let reply =
        send(more, Method::PUT, "lake/other?resource=file").await.refused(403, "AuthenticationFailed");
    assert!(reply.text().contains("String to sign used was"), "{}", reply.text());
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_resources_signature_reaches_only_that_resource() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for directory in ["lake/in", "lake/in/deep", "lake/out"] {
        client.put(&format!("{directory}?resource=directory"), &[]).await.expect(201);
    }
    client.write("lake/in/deep/file", b"inside").await;
    client.write("lake/out/file", b"outside").await;
    let get = |signature: String, target: &'static str| async move {
        client.send_with(&signature, Method::GET, target, &[], b"").await
    };
    let failed = "AuthenticationFailed";

    let file = || service("r", "b", "lake/in/deep/file");
    assert_eq!(get(file(), "lake/in/deep/file").await.expect(200).text(), "inside");
    get(file(), "lake/out/file").await.refused(403, failed);

    let directory = || format!("sdd=1&{}", service("rl", "d", "lake/in"));
    get(directory(), "lake/in/deep/file").await.expect(200);
    get(directory(), "lake?resource=filesystem&recursive=true&directory=in/deep").await.expect(200);
    get(directory(), "lake?resource=filesystem&recursive=true&directory=out").await.refused(403, failed);
    get(directory(), "lake?resource=filesystem&recursive=true").await.refused(403, failed);
    get(directory(), "lake/out/file").await.refused(403, failed);
    // Two segments are not what was signed.
    let deeper = format!("sdd=2&{}", service("rl", "d", "lake/in"));
    get(deeper, "lake/in/deep/file").await.refused(403, failed);

    let lake = || service("rwdlc", "c", "lake");
    get(lake(), "lake/out/file").await.expect(200);
    get(lake(), "lake?resource=filesystem&recursive=true").await.expect(200);
    let whole = client.send_with(&lake(), Method::DELETE, "lake?resource=filesystem", &[], b"").await;
    whole.refused(403, "AuthorizationFailure");
    get(lake(), "?comp=list").await.refused(403, failed);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_may_only_create_overwrites_nothing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    client.write("lake/file", b"content").await;
    let creates = service("rc", "c", "lake");
    let send = |target: &'static str, headers: &'static [(&str, &str)], body: &'static [u8]| {
        client.send_with(&creates, Method::PUT, target, headers, body)
    };
    let overwrites = "UnauthorizedBlobOverwrite";
    let blob: &[(&str, &str)] = &[("x-ms-blob-type", "BlockBlob")];
    send("lake/file?resource=file", &[], b"").await.refused(403, overwrites);
    send("lake/dir?resource=directory", &[], b"").await.refused(403, overwrites);
    send("lake/file", blob, b"other").await.refused(403, overwrites);
    // Who wants to overwrite nothing is told what is there.
    send("lake/file?resource=file", &[("if-none-match", "*")], b"").await.refused(409, "PathAlreadyExists");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "content");
    // Blocks are writes, also of something new.
    let denied = "AuthorizationPermissionMismatch";
    send("lake/blocks?comp=block&blockid=MQ%3D%3D", &[], b"block").await.refused(403, denied);

    send("lake/new?resource=file", &[], b"").await.expect(201);
    send("lake/blob", blob, b"new").await.expect(201);
    send("lake/blob", blob, b"other").await.refused(403, overwrites);
    assert_eq!(client.get("lake/blob", &[]).await.expect(200).text(), "new");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_rename_needs_its_source_too() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for directory in ["lake/in", "lake/out"] {
        client.put(&format!("{directory}?resource=directory"), &[]).await.expect(201);
    }
    client.write("lake/in/a", b"1").await;
    client.write("lake/out/b", b"2").await;
    let within = || format!("sdd=1&{}", service("rwm", "d", "lake/in"));
    let rename = |signature: String, to: &'static str, from: String| async move {
        client.send_with(&signature, Method::PUT, to, &[("x-ms-rename-source", &from)], b"").await
    };
    rename(within(), "lake/in/c", "/lake/in/a".to_owned()).await.expect(201);
    rename(within(), "lake/in/d", "/lake/out/b".to_owned()).await.refused(403, "AuthorizationFailure");
    rename(within(), "lake/out/c", "/lake/in/c".to_owned()).await.refused(403, "AuthenticationFailed");
    // The source may have a signature of its own.
    let other = format!("/lake/out/b?sdd=1&{}", service("rd", "d", "lake/out"));
    rename(within(), "lake/in/d", other).await.expect(201);
    let powerless = format!("/lake/in/d?{}", service("r", "b", "lake/in/d"));
    rename(within(), "lake/in/e", powerless).await.refused(403, "AuthorizationPermissionMismatch");
    let unable = format!("sdd=1&{}", service("rw", "d", "lake/in"));
    rename(unable, "lake/in/e", "/lake/in/d".to_owned())
        .await
        .refused(403, "AuthorizationPermissionMismatch");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_needs_its_source_too() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for directory in ["lake/in", "lake/out"] {
        client.put(&format!("{directory}?resource=directory"), &[]).await.expect(201);
    }
    client.write("lake/in/a", b"1").await;
    client.write("lake/out/b", b"2").await;
    let within = |letters: &str| format!("sdd=1&{}", service(letters, "d", "lake/in"));
    let copy = |signature: String, from: String| async move {
        let source = format!("{}/{ACCOUNT}/{from}", client.url);
        let headers = [("x-ms-copy-source", source.as_str())];
        client.send_with(&signature, Method::PUT, "lake/in/copy", &headers, b"").await
    };
    copy(within("rw"), "lake/in/a".to_owned()).await.expect(202);
    copy(within("w"), "lake/in/a".to_owned()).await.refused(403, "AuthorizationPermissionMismatch");
    copy(within("rw"), "lake/out/b".to_owned()).await.refused(403, "AuthorizationFailure");
    let signed = |letters: &str| format!("lake/out/b?{}", service(letters, "b", "lake/out/b"));
    copy(within("rw"), signed("r")).await.expect(202);
    copy(within("rw"), signed("w")).await.refused(403, "AuthorizationPermissionMismatch");
    assert_eq!(client.get("lake/in/copy", &[]).await.expect(200).text(), "2");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn signatures_are_bound_to_protocol_and_address() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let get = |extra: &'static str| async move {
        let signature = service_signature(&Resource { letters: "r", kind: "b", path: "lake/file", extra });
        client.send_with(&signature, Method::GET, "lake/file", &[], b"").await
    };
    get("spr=https,http").await.expect(200);
    get("spr=https").await.refused(403, "AuthorizationProtocolMismatch");
    get("sip=127.0.0.1").await.expect(200);
    get("sip=127.0.0.0-127.0.0.9").await.expect(200);
    get("sip=10.0.0.0-10.255.255.255").await.refused(403, "AuthorizationSourceIPMismatch");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_policy_of_the_filesystem_limits_signatures_and_ends_them() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let signature =
        || service_signature(&Resource { letters: "", kind: "c", path: "lake", extra: "si=readers" });
    let get = || async { client.send_with(&signature(), Method::GET, "lake/file", &[], b"").await };
    get().await.refused(403, "AuthenticationFailed");
    let policy = "<SignedIdentifiers><SignedIdentifier><Id>readers</Id><AccessPolicy><Expiry>2099-01-01</Expiry>\
                  <Permission>r</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>";
    let acl = "lake?restype=container&comp=acl";
    client.send(Method::PUT, acl, &[], policy.as_bytes().to_vec()).await.expect(200);
    get().await.expect(200);
    let write = client.send_with(&signature(), Method::DELETE, "lake/file?recursive=false", &[], b"").await;
    write.refused(403, "AuthorizationPermissionMismatch");
    let kept = fixture.restart().await;
    let reply = kept.client.get(acl, &[]).await.expect(200);
    assert!(
        reply.text().contains("<Id>readers</Id><AccessPolicy><Expiry>2099-01-01</Expiry>"),
        "{}",
        reply.text()
    );
    kept.client.send(Method::PUT, acl, &[], b"<SignedIdentifiers />".to_vec()).await.expect(200);
    let ended = kept.client.send_with(&signature(), Method::GET, "lake/file", &[], b"").await;
    ended.refused(403, "AuthenticationFailed");
    kept.client
        .send(Method::PUT, acl, &[], b"<SignedIdentifiers>".to_vec())
        .await
        .refused(400, "InvalidXmlDocument");
    let public = [("x-ms-blob-public-access", "blob")];
    kept.client.send(Method::PUT, acl, &public, Vec::new()).await.refused(409, "PublicAccessNotPermitted");
    kept.running.stop().await.unwrap();
}
