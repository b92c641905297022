//! Which role each operation takes of an identity to which the lists grant nothing.

use reqwest::Method;

use crate::client::{ACCOUNT, Fixture};
use crate::identities::{ALICE, BOB, STAFF, Tokens, give};

const ROLES: [&str; 4] = ["Delegator", "Reader", "Contributor", "Owner"];

#[tokio::test]
async fn each_operation_takes_its_role_or_a_higher_one() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let alice = Tokens::trusted_by(&fixture).await.of(ALICE, &[]);
    let permissions: &[(&str, &str)] = &[("x-ms-permissions", "0640")];
    let owner: &[(&str, &str)] = &[("x-ms-owner", BOB)];
    for (least, method, target, headers) in [
        ("Reader", Method::GET, "?comp=list", &[][..]),
        ("Reader", Method::GET, "?resource=account", &[]),
        ("Reader", Method::HEAD, "some?resource=filesystem", &[]),
        ("Reader", Method::GET, "some?resource=filesystem&recursive=true", &[]),
        ("Reader", Method::GET, "some/file", &[]),
        ("Contributor", Method::PUT, "new?resource=filesystem", &[]),
        ("Contributor", Method::DELETE, "some?resource=filesystem", &[]),
        ("Contributor", Method::PATCH, "some?resource=filesystem", &[]),
        ("Contributor", Method::PUT, "some/new?resource=file", &[]),
        ("Contributor", Method::DELETE, "some/file?recursive=false", &[]),
        ("Contributor", Method::PATCH, "some/file?action=setProperties", &[]),
        ("Owner", Method::GET, "some?restype=container&comp=acl", &[]),
        ("Owner", Method::PUT, "some?restype=container&comp=acl", &[]),
        ("Owner", Method::PATCH, "some/file?action=setAccessControl", permissions),
        ("Owner", Method::PUT, "some/gift?resource=file", owner),
    ] {
        let enough = ROLES.iter().position(|role| *role == least).unwrap();
        for (rank, role) in ROLES.iter().enumerate() {
            client.delete("new?resource=filesystem", &[]).await;
            client.put("some?resource=filesystem", &[]).await;
            client.put("some/file?resource=file", &[("x-ms-permissions", "0600")]).await.expect(201);
            give(&fixture, &[(ALICE, role)]).await;
            let reply = client.send_as(&alice, method.clone(), target, headers, b"").await;
            let told = format!("{method} {target} as {role}: {} {}", reply.status, reply.text());
            assert_eq!(reply.status.is_success(), rank >= enough, "{told}");
            assert!(reply.status.is_success() || reply.status == 403, "{told}");
        }
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn who_contributes_does_not_change_the_access_of_others_recursively() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let alice = Tokens::trusted_by(&fixture).await.of(ALICE, &[]);
    client.patch("lake?action=setAccessControl", &[("x-ms-permissions", "0711")], b"").await.expect(200);
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    let target = "lake/dir?action=setAccessControlRecursive&mode=set&forceFlag=true";
    let list = [("x-ms-acl", "user::rwx,group::rwx,other::rwx")];
    for (role, changed) in [("Contributor", 0), ("Owner", 1)] {
        give(&fixture, &[(ALICE, role)]).await;
        let tally = client.send_as(&alice, Method::PATCH, target, &list, b"").await.expect(200).json();
        assert_eq!(tally["directoriesSuccessful"], changed, "{role}: {tally}");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn permissions_without_a_list_are_those_of_owner_group_and_others() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let tokens = Tokens::trusted_by(&fixture).await;
    client.patch("lake?action=setAccessControl", &[("x-ms-permissions", "0711")], b"").await.expect(200);
    let (owner, group) = (("x-ms-owner", ALICE), ("x-ms-group", STAFF));
    let readers = [tokens.of(ALICE, &[]), tokens.of(BOB, &[STAFF]), tokens.of(BOB, &[])];
    for (mode, expected) in [("0400", [200, 403, 403]), ("0040", [403, 200, 403]), ("0004", [403, 403, 200])]
    {
        let headers = [owner, group, ("x-ms-permissions", mode), ("x-ms-umask", "0000")];
        client.put("lake/file?resource=file", &headers).await.expect(201);
        for (reader, expected) in readers.iter().zip(expected) {
            let reply = client.send_as(reader, Method::GET, "lake/file", &[], b"").await;
            assert_eq!(reply.status, expected, "{mode}");
        }
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_made_belongs_to_who_made_it_and_to_the_group_of_its_directory() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let alice = Tokens::trusted_by(&fixture).await.of(ALICE, &[]);
    give(&fixture, &[(ALICE, "Contributor")]).await;
    client.put("lake/dir?resource=directory", &[("x-ms-group", STAFF)]).await.expect(201);
    client.send_as(&alice, Method::PUT, "lake/dir/made/on/way?resource=file", &[], b"").await.expect(201);
    for path in ["made", "made/on", "made/on/way"] {
        let target = format!("lake/dir/{path}?action=getAccessControl");
        let found = client.head(&target, &[]).await.expect(200);
        assert_eq!((found.header("x-ms-owner"), found.header("x-ms-group")), (ALICE, STAFF), "{path}");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_by_lists_needs_its_source_too() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let alice = Tokens::trusted_by(&fixture).await.of(ALICE, &[]);
    client.patch("lake?action=setAccessControl", &[("x-ms-permissions", "0711")], b"").await.expect(200);
    let open = [("x-ms-permissions", "0777"), ("x-ms-umask", "0000")];
    client.put("lake/open?resource=directory", &open).await.expect(201);
    client.write("lake/open/source", b"content").await;
    let source = format!("{}/{ACCOUNT}/lake/open/source", client.url);
    for (mode, expected) in [("0770", 403), ("0774", 202)] {
        let target = "lake/open/source?action=setAccessControl";
        client.patch(target, &[("x-ms-permissions", mode)], b"").await.expect(200);
        let from = [("x-ms-copy-source", source.as_str())];
        client.send_as(&alice, Method::PUT, "lake/open/copy", &from, b"").await.expect(expected);
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_without_an_end_is_none() {
    let fixture = Fixture::in_memory().await;
    let tokens = Tokens::trusted_by(&fixture).await;
    give(&fixture, &[(ALICE, "Reader")]).await;
    let claims = serde_json::json!({
        "iss": "https://login.example/tenant/v2.0", "aud": "https://storage.azure.com", "exp": 4_070_908_800_u64, "oid": ALICE,
    });
    let ask = async |claims: serde_json::Value| {
        fixture.client.send_as(&tokens.with(claims), Method::GET, "?comp=list", &[], b"").await
    };
    ask(claims.clone()).await.expect(200);
    for claim in ["exp", "iss", "aud"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(claim);
        ask(without).await.refused(401, "InvalidAuthenticationInfo");
    }
    fixture.running.stop().await.unwrap();
}
