use crate::client::{Client, Fixture};

const BASE: &str = "user::rwx,group::r-x,other::---";

async fn acl(client: &Client, path: &str) -> String {
    let reply = client.head(&format!("lake/{path}?action=getAccessControl"), &[]).await.expect(200);
    reply.header("x-ms-acl").to_owned()
}

async fn tree(client: &Client) {
    for path in ["dir/a/1", "dir/a/2", "dir/b/1", "dir/file"] {
        client.write(&format!("lake/{path}"), b"x").await;
    }
    client.put("lake/dir/empty?resource=directory", &[]).await.expect(201);
    client.write("lake/outside", b"x").await;
}

#[tokio::test]
async fn lists_below_a_directory_are_set_modified_and_cut() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    tree(client).await;
    let before = client.head("lake/dir/a/1", &[]).await.expect(200);
    let change = async |mode: &str, acl: &str| {
        let target = format!("lake/dir?action=setAccessControlRecursive&mode={mode}");
        let reply = client.patch(&target, &[("x-ms-acl", acl)], b"").await.expect(200);
        assert_eq!(reply.header("x-ms-continuation"), "");
        reply.json()
    };
    let all = serde_json::json!({
        "directoriesSuccessful": 4, "filesSuccessful": 4, "failureCount": 0, "failedEntries": []
    });
    let with_default = format!("{BASE},default:user:al:rwx");
    assert_eq!(change("set", &with_default).await, all);
    let default =
        "default:user::rwx,default:user:al:rwx,default:group::r-x,default:mask::rwx,default:other::---";
    assert_eq!(acl(client, "dir/empty").await, format!("{BASE},{default}"));
    assert_eq!(acl(client, "dir/a/1").await, BASE);
    assert_eq!(change("modify", "user:bob:r--").await, all);
    assert_eq!(
        acl(client, "dir").await,
        format!("user::rwx,user:bob:r--,group::r-x,mask::r-x,other::---,{default}")
    );
    assert_eq!(acl(client, "dir/b/1").await, "user::rwx,user:bob:r--,group::r-x,mask::r-x,other::---");
    assert_eq!(change("remove", "user:bob,default:user:al,default:mask").await, all);
    assert_eq!(acl(client, "dir/b/1").await, BASE);
    let plain_default = "default:user::rwx,default:group::r-x,default:other::---";
    assert_eq!(acl(client, "dir/b").await, format!("{BASE},{plain_default}"));
    assert_eq!(acl(client, "outside").await, "user::rw-,group::r--,other::---");
    let after = client.head("lake/dir/a/1", &[]).await.expect(200);
    assert_ne!(after.etag(), before.etag());
    assert_eq!(after.header("last-modified"), before.header("last-modified"));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn each_path_is_changed_once_whatever_the_size_of_the_pages() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    tree(client).await;
    for records in 1..=9 {
        let (mut token, mut pages, mut changed) = (String::new(), 0, 0);
        loop {
            let go_on = if token.is_empty() { String::new() } else { format!("&continuation={token}") };
            let target =
                format!("lake/dir?action=setAccessControlRecursive&mode=modify&maxRecords={records}{go_on}");
            let entry = format!("user:round{records}:r--");
            let reply = client.patch(&target, &[("x-ms-acl", entry.as_str())], b"").await.expect(200);
            let tally = reply.json();
            let done = |name: &str| tally[name].as_u64().unwrap();
            let now = done("directoriesSuccessful") + done("filesSuccessful");
            assert!(now <= records, "{now} of {records}");
            changed += now;
            pages += 1;
            token = reply.header("x-ms-continuation").to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((changed, pages), (8, 8_u64.div_ceil(records)), "pages of {records}");
        for path in ["dir", "dir/a/2", "dir/empty", "dir/file"] {
            assert!(acl(client, path).await.contains(&format!("user:round{records}:r--")), "{path}");
        }
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn paths_that_cannot_be_changed_are_told_of() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    tree(client).await;
    let many: Vec<String> = (0..28).map(|n| format!("user:u{n}:r--")).collect();
    let full = format!("user::rw-,group::r--,other::---,{}", many.join(","));
    let full = [("x-ms-acl", full.as_str())];
    client.patch("lake/dir/a/2?action=setAccessControl", &full, b"").await.expect(200);
    let modify = "lake/dir?action=setAccessControlRecursive&mode=modify";
    let entry = [("x-ms-acl", "user:x:r--,user:y:r--")];
    let stopped = client.patch(modify, &entry, b"").await.expect(200);
    let tally = stopped.json();
    assert_eq!((&tally["failureCount"], &tally["filesSuccessful"]), (&1.into(), &1.into()));
    // One goes on where it stopped, which fails again.
    let again = format!("{modify}&continuation={}", stopped.header("x-ms-continuation"));
    let again = client.patch(&again, &entry, b"").await.expect(200).json();
    assert_eq!((&again["failureCount"], &again["filesSuccessful"]), (&1.into(), &0.into()));
    let forced = client.patch(&format!("{modify}&forceFlag=true"), &entry, b"").await.expect(200).json();
    assert_eq!((&forced["failureCount"], &forced["filesSuccessful"]), (&1.into(), &3.into()));
    let failed = &forced["failedEntries"][0];
    assert_eq!((&failed["name"], &failed["type"]), (&"dir/a/2".into(), &"FILE".into()));
    assert!(failed["errorMessage"].as_str().unwrap().contains("32 entries"), "{failed}");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_alone_and_bad_requests() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    tree(client).await;
    let recursive = "action=setAccessControlRecursive";
    let entry = [("x-ms-acl", "user:al:r--")];
    let file = client.patch(&format!("lake/dir/file?{recursive}&mode=modify"), &entry, b"").await.expect(200);
    assert_eq!(file.json()["filesSuccessful"], 1);
    for (query, headers, code) in [
        ("", &entry[..], "MissingRequiredQueryParameter"),
        ("&mode=replace", &entry, "InvalidQueryParameterValue"),
        ("&mode=modify", &[], "MissingRequiredHeader"),
        ("&mode=set", &entry, "InvalidHeaderValue"),
        ("&mode=modify", &[("x-ms-acl", "user:al")], "InvalidHeaderValue"),
        ("&mode=remove", &entry, "InvalidHeaderValue"),
        ("&mode=modify&maxRecords=0", &entry, "OutOfRangeQueryParameterValue"),
        ("&mode=modify&continuation=ZGly", &entry, "InvalidQueryParameterValue"),
        ("&mode=modify&forceFlag=maybe", &entry, "InvalidQueryParameterValue"),
    ] {
        client.patch(&format!("lake/dir?{recursive}{query}"), headers, b"").await.refused(400, code);
    }
    client
        .patch(&format!("lake/none?{recursive}&mode=modify"), &entry, b"")
        .await
        .refused(404, "PathNotFound");
    assert_eq!(acl(client, "dir").await, "user::rwx,group::r-x,other::---");
    fixture.running.stop().await.unwrap();
}

/// Also when the caller allows more than that.
#[tokio::test]
async fn one_call_changes_two_thousand_paths() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    for number in 0..2000 {
        client.put(&format!("lake/dir/{number}?resource=file"), &[]).await.expect(201);
    }
    let entry = [("x-ms-acl", "user:al:r--")];
    for records in ["", "&maxRecords=2000", "&maxRecords=5000"] {
        let change = format!("lake/dir?action=setAccessControlRecursive&mode=modify{records}");
        let first = client.patch(&change, &entry, b"").await.expect(200);
        let tally = first.json();
        let done = (&tally["directoriesSuccessful"], &tally["filesSuccessful"]);
        assert_eq!(done, (&1.into(), &1999.into()), "{records}");
        let rest = format!("{change}&continuation={}", first.header("x-ms-continuation"));
        let rest = client.patch(&rest, &entry, b"").await.expect(200);
        assert_eq!(
            (rest.json()["filesSuccessful"].as_u64(), rest.header("x-ms-continuation")),
            (Some(1), "")
        );
    }
    fixture.running.stop().await.unwrap();
}
