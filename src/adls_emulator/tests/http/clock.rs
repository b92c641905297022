//! What goes by the service's clock, which the admin endpoint sets: leases run out, files expire, changes get their time.
//!
//! Each test has the emulator in a process of its own, whose clock nobody else goes by. Real time goes on meanwhile, so the
//! clock is set far from every border.

use std::time::{Duration, SystemTime};

use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Reply};
use crate::durability::Process;

const A: &str = "8d0b6d5e-3b47-4d5a-9d4e-0d9f1ad4f8a5";
const B: &str = "0f6bb6a5-7f34-4f3b-8e9f-6f2f0d3c5a11";

async fn start(folder: &tempfile::TempDir) -> Process {
    let process = Process::start(folder.path());
    process.client.put("lake?resource=filesystem", &[]).await.expect(201);
    process.client.write("lake/file", b"content").await;
    process
}

/// From now on the service is so many seconds ahead of this machine.
async fn ahead(client: &Client, seconds: u64) {
    let clock = format!("{{\"offsetMs\":{}}}", seconds * 1000);
    client.admin(Method::PUT, "/clock", ADMIN_TOKEN, &clock).await.expect(200);
}

async fn lease(client: &Client, headers: &[(&str, &str)]) -> Reply {
    client.send(Method::POST, "lake/file", headers, Vec::new()).await
}

async fn acquire(client: &Client, id: &str, seconds: &str) -> Reply {
    let action = ("x-ms-lease-action", "acquire");
    lease(client, &[action, ("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", seconds)]).await
}

async fn renew(client: &Client, id: &str) -> Reply {
    lease(client, &[("x-ms-lease-action", "renew"), ("x-ms-lease-id", id)]).await
}

/// Status and state, of a path or a filesystem.
async fn state(client: &Client, target: &str) -> [String; 2] {
    let head = client.head(target, &[]).await.expect(200);
    ["x-ms-lease-status", "x-ms-lease-state"].map(|name| head.header(name).to_owned())
}

#[tokio::test]
async fn a_lease_that_ran_out_is_renewed_by_its_holder_or_acquired_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    acquire(client, A, "15").await.expect(201);
    ahead(client, 16).await;
    assert_eq!(state(client, "lake/file").await, ["unlocked", "expired"]);
    // Nobody wrote or acquired in between.
    renew(client, A).await.expect(200);
    assert_eq!(state(client, "lake/file").await, ["locked", "leased"]);
    acquire(client, B, "15").await.refused(409, "LeaseAlreadyPresent");
    client
        .patch("lake/file?action=append&position=7&flush=true", &[], b"x")
        .await
        .refused(412, "LeaseIdMissing");

    ahead(client, 32).await;
    acquire(client, B, "60").await.expect(201);
    renew(client, A).await.refused(409, "LeaseIdMismatchWithLeaseOperation");
    let held = [("x-ms-lease-id", B)];
    client.patch("lake/file?action=append&position=7&flush=true", &held, b"x").await.expect(202);

    ahead(client, 93).await;
    client
        .patch("lake/file?action=append&position=8&flush=true", &held, b"y")
        .await
        .refused(412, "LeaseLost");
    // Written without it: there is nothing left to renew.
    client.patch("lake/file?action=append&position=8&flush=true", &[], b"y").await.expect(202);
    assert_eq!(state(client, "lake/file").await, ["unlocked", "available"]);
    renew(client, B).await.refused(409, "LeaseNotPresentWithLeaseOperation");
    process.kill();
}

#[tokio::test]
async fn a_broken_lease_guards_for_its_period_and_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    acquire(client, A, "60").await.expect(201);
    let broken = [("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "40")];
    assert_eq!(lease(client, &broken).await.expect(202).header("x-ms-lease-time"), "40");
    ahead(client, 10).await;
    assert_eq!(state(client, "lake/file").await, ["locked", "breaking"]);
    acquire(client, B, "15").await.refused(409, "LeaseAlreadyPresent");
    ahead(client, 41).await;
    assert_eq!(state(client, "lake/file").await, ["unlocked", "broken"]);
    renew(client, A).await.refused(409, "LeaseIsBrokenAndCannotBeRenewed");
    acquire(client, B, "15").await.expect(201);
    process.kill();
}

#[tokio::test]
async fn the_lease_of_a_filesystem_runs_out_too() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    let acquire = async |id: &str| {
        let action = ("x-ms-lease-action", "acquire");
        let headers = [action, ("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", "15")];
        client.put("lake?restype=container&comp=lease", &headers).await
    };
    acquire(A).await.expect(201);
    acquire(B).await.refused(409, "LeaseAlreadyPresent");
    client.delete("lake?restype=container", &[]).await.refused(412, "LeaseIdMissing");
    ahead(client, 16).await;
    assert_eq!(state(client, "lake?restype=container").await, ["unlocked", "expired"]);
    acquire(B).await.expect(201);
    ahead(client, 32).await;
    client.delete("lake?restype=container", &[]).await.expect(202);
    process.kill();
}

#[tokio::test]
async fn files_expire() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    let hour = [("x-ms-expiry-option", "RelativeToNow"), ("x-ms-expiry-time", "3600000")];
    client.put("lake/file?comp=expiry", &hour).await.expect(200);
    client.put("lake/born?resource=file", &hour).await.expect(201);
    client.write("lake/stays", b"x").await;
    ahead(client, 3000).await;
    client.head("lake/file", &[]).await.expect(200);
    ahead(client, 3601).await;
    client.get("lake/file", &[]).await.refused(404, "PathNotFound");
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    let names: Vec<_> = listed["paths"].as_array().unwrap().iter().map(|path| &path["name"]).collect();
    assert_eq!(names, ["stays"]);
    process.kill();
}

#[tokio::test]
async fn changes_of_content_and_properties_have_their_time_and_leases_and_access_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    let modified = async || {
        let head = client.head("lake/file", &[]).await.expect(200);
        let told = httpdate::parse_http_date(head.header("last-modified")).unwrap();
        (told, head.etag().to_owned())
    };
    let later =
        |than: SystemTime, now: SystemTime| now.duration_since(than).unwrap() >= Duration::from_secs(900);
    let first = modified().await;
    ahead(client, 1000).await;
    client.patch("lake/file?action=append&position=7", &[], b" more").await.expect(202);
    assert_eq!(modified().await, first, "nothing of an append is seen");
    let flushed = client.patch("lake/file?action=flush&position=12", &[], b"").await.expect(200);
    let second = modified().await;
    assert!(later(first.0, second.0) && first.1 != second.1, "{first:?} {second:?}");
    assert_eq!(httpdate::parse_http_date(flushed.header("last-modified")).unwrap(), second.0);

    ahead(client, 2000).await;
    let properties = [("x-ms-properties", "a=MQ==")];
    client.patch("lake/file?action=setProperties", &properties, b"").await.expect(200);
    let third = modified().await;
    assert!(later(second.0, third.0) && second.1 != third.1, "{second:?} {third:?}");

    ahead(client, 3000).await;
    acquire(client, A, "60").await.expect(201);
    lease(client, &[("x-ms-lease-action", "break"), ("x-ms-lease-break-period", "0")]).await.expect(202);
    assert_eq!(modified().await, third, "a lease changes nothing of the file");
    let permissions = [("x-ms-permissions", "0600")];
    client.patch("lake/file?action=setAccessControl", &permissions, b"").await.expect(200);
    let fourth = modified().await;
    assert_eq!(fourth.0, third.0, "the time is that of the content");
    assert_ne!(fourth.1, third.1);
    process.kill();
}

#[tokio::test]
async fn the_name_of_a_deleted_filesystem_is_free_after_the_time_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let process = start(&folder).await;
    let client = &process.client;
    let knob = format!("/accounts/{ACCOUNT}/deletions");
    let slow = "{\"filesystemSeconds\": 1000}";
    client.admin(Method::PUT, &knob, ADMIN_TOKEN, slow).await.expect(200);
    client.delete("lake?resource=filesystem", &[]).await.expect(202);
    client.put("lake?resource=filesystem", &[]).await.refused(409, "FilesystemBeingDeleted");
    ahead(client, 1001).await;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.get("lake/file", &[]).await.refused(404, "PathNotFound");
}
