use reqwest::Method;

use crate::client::{Client, Fixture, Reply};

const A: &str = "8d0b6d5e-3b47-4d5a-9d4e-0d9f1ad4f8a5";
const B: &str = "0f6bb6a5-7f34-4f3b-8e9f-6f2f0d3c5a11";
const XML: (&str, &str) = ("accept", "application/xml");

async fn lease(client: &Client, path: &str, headers: &[(&str, &str)]) -> Reply {
    client.send(Method::POST, path, headers, Vec::new()).await
}

async fn acquire(client: &Client, path: &str, id: &str, duration: &str) -> Reply {
    let action = ("x-ms-lease-action", "acquire");
    let headers = [action, ("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", duration)];
    lease(client, path, &headers).await
}

async fn state(client: &Client, path: &str) -> (String, String, String) {
    let head = client.head(path, &[]).await.expect(200);
    let header = |name: &str| head.header(name).to_owned();
    (header("x-ms-lease-status"), header("x-ms-lease-state"), header("x-ms-lease-duration"))
}

fn told(status: &str, state: &str, duration: &str) -> (String, String, String) {
    (status.to_owned(), state.to_owned(), duration.to_owned())
}

#[tokio::test]
async fn a_lease_from_acquiring_to_releasing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let written = client.write("lake/file", b"x").await;
    assert_eq!(state(client, "lake/file").await, told("unlocked", "available", ""));
    let acquired = acquire(client, "lake/file", A, "15").await.expect(201);
    assert_eq!((acquired.header("x-ms-lease-id"), acquired.etag()), (A, written.etag()));
    assert_eq!(state(client, "lake/file").await, told("locked", "leased", "fixed"));
    acquire(client, "lake/file", B, "15").await.refused(409, "LeaseAlreadyPresent");
    acquire(client, "lake/file", A, "-1").await.expect(201);
    assert_eq!(state(client, "lake/file").await, told("locked", "leased", "infinite"));
    let act = |action, id| [("x-ms-lease-action", action), ("x-ms-lease-id", id)];
    let renewed = lease(client, "lake/file", &act("renew", A)).await.expect(200);
    assert_eq!(renewed.header("x-ms-lease-id"), A);
    let mismatch = "LeaseIdMismatchWithLeaseOperation";
    lease(client, "lake/file", &act("renew", B)).await.refused(409, mismatch);
    let change = [act("change", A)[0], act("change", A)[1], ("x-ms-proposed-lease-id", B)];
    assert_eq!(lease(client, "lake/file", &change).await.expect(200).header("x-ms-lease-id"), B);
    lease(client, "lake/file", &act("release", A)).await.refused(409, mismatch);
    lease(client, "lake/file", &act("release", B)).await.expect(200);
    assert_eq!(state(client, "lake/file").await, told("unlocked", "available", ""));
    lease(client, "lake/file", &act("release", B)).await.refused(409, "LeaseNotPresentWithLeaseOperation");
    let of_the_service = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "-1")];
    let acquired = lease(client, "lake/file", &of_the_service).await.expect(201);
    lease(client, "lake/file", &act("release", acquired.header("x-ms-lease-id"))).await.expect(200);
    assert_eq!(client.head("lake/file", &[]).await.expect(200).etag(), written.etag());
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_broken_lease_guards_until_its_period_is_over() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    acquire(client, "lake/file", A, "60").await.expect(201);
    let action = ("x-ms-lease-action", "break");
    let whole = lease(client, "lake/file", &[action]).await.expect(202);
    assert!((55..=60).contains(&whole.header("x-ms-lease-time").parse::<u32>().unwrap()));
    assert_eq!(state(client, "lake/file").await, told("locked", "breaking", ""));
    acquire(client, "lake/file", B, "15").await.refused(409, "LeaseAlreadyPresent");
    acquire(client, "lake/file", A, "15").await.refused(409, "LeaseIsBreakingAndCannotBeAcquired");
    let renew = [("x-ms-lease-action", "renew"), ("x-ms-lease-id", A)];
    lease(client, "lake/file", &renew).await.refused(409, "LeaseIsBrokenAndCannotBeRenewed");
    client.delete("lake/file?recursive=false", &[]).await.refused(412, "LeaseIdMissing");
    let soon = lease(client, "lake/file", &[action, ("x-ms-lease-break-period", "1")]).await.expect(202);
    assert_eq!(soon.header("x-ms-lease-time"), "1");
    while state(client, "lake/file").await != told("unlocked", "broken", "") {
        tokio::task::yield_now().await;
    }
    let with_it = [("x-ms-lease-id", A)];
    client.patch("lake/file?action=append&position=1", &with_it, b"y").await.refused(412, "LeaseLost");
    client.get("lake/file", &with_it).await.refused(412, "LeaseLost");
    client.patch("lake/file?action=append&position=1&flush=true", &[], b"y").await.expect(202);
    assert_eq!(state(client, "lake/file").await, told("unlocked", "available", ""));
    client.get("lake/file", &with_it).await.refused(412, "LeaseNotPresent");
    acquire(client, "lake/file", A, "-1").await.expect(201);
    let at_once = lease(client, "lake/file", &[action]).await.expect(202);
    assert_eq!(at_once.header("x-ms-lease-time"), "0");
    acquire(client, "lake/file", B, "15").await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn bad_lease_requests_are_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let missing = "MissingRequiredHeader";
    lease(client, "lake/file", &[]).await.refused(400, missing);
    lease(client, "lake/file", &[("x-ms-lease-action", "acquire")]).await.refused(400, missing);
    for action in ["renew", "release", "change"] {
        lease(client, "lake/file", &[("x-ms-lease-action", action)]).await.refused(400, missing);
    }
    let change = [("x-ms-lease-action", "change"), ("x-ms-lease-id", A)];
    lease(client, "lake/file", &change).await.refused(400, missing);
    let invalid = "InvalidHeaderValue";
    lease(client, "lake/file", &[("x-ms-lease-action", "keep")]).await.refused(400, invalid);
    for duration in ["14", "61", "0", "long"] {
        acquire(client, "lake/file", A, duration).await.refused(400, invalid);
    }
    acquire(client, "lake/file", "not-a-guid", "15").await.refused(400, invalid);
    for period in ["61", "-1", "soon"] {
        let headers = [("x-ms-lease-action", "break"), ("x-ms-lease-break-period", period)];
        lease(client, "lake/file", &headers).await.refused(400, invalid);
    }
    acquire(client, "lake/none", A, "15").await.refused(404, "PathNotFound");
    acquire(client, "none/file", A, "15").await.refused(404, "FilesystemNotFound");
    acquire(client, "lake/", A, "15").await.refused(400, "InvalidUri");
    let stale = [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15"), ("if-match", "\"0x1\"")];
    lease(client, "lake/file", &stale).await.refused(412, "ConditionNotMet");
    client.get("lake/file", &[("x-ms-lease-id", "x")]).await.refused(400, invalid);
    fixture.running.stop().await.unwrap();
}

/// Every change of a leased file: refused without the lease and with another, done with it.
#[tokio::test]
async fn a_leased_file_is_written_only_with_the_lease() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"0123456789").await;
    client.patch("lake/file?action=append&position=10", &[], b"more").await.expect(202);
    acquire(client, "lake/file", A, "-1").await.expect(201);
    let xml = b"<BlockList></BlockList>".as_slice();
    let properties = ("x-ms-properties", "a=MQ==");
    let mode = ("x-ms-permissions", "0600");
    let block_blob = ("x-ms-blob-type", "BlockBlob");
    let elsewhere = ("x-ms-rename-source", "/lake/other");
    let on_blob = true;
    // The last ones replace the file, which keeps its lease.
    type Header = Option<(&'static str, &'static str)>;
    type Write = (&'static str, &'static str, Header, &'static [u8], u16, bool);
    let writes: [Write; 13] = [
        ("PATCH", "lake/file?action=append&position=14", None, b"x", 202, false),
        ("PATCH", "lake/file?action=flush&position=14", None, b"", 200, false),
        ("PATCH", "lake/file?action=append&position=14&flush=true", None, b"x", 202, false),
        ("PATCH", "lake/file?action=setProperties", Some(properties), b"", 200, false),
        ("PATCH", "lake/file?action=setAccessControl", Some(mode), b"", 200, false),
        ("PUT", "lake/file?comp=metadata", Some(("x-ms-meta-a", "1")), b"", 200, on_blob),
        ("PUT", "lake/file?comp=properties", None, b"", 200, on_blob),
        ("PUT", "lake/file", Some(block_blob), b"x", 201, on_blob),
        ("PUT", "lake/file?comp=block&blockid=YQ%3D%3D", None, b"x", 201, on_blob),
        ("PUT", "lake/file?comp=blocklist", None, xml, 201, on_blob),
        ("PUT", "lake/file?resource=file", None, b"", 201, false),
        ("PUT", "lake/file", Some(elsewhere), b"", 201, false),
        ("DELETE", "lake/file?recursive=false", None, b"", 200, false),
    ];
    for (method, target, header, body, status, blob) in writes {
        if header == Some(elsewhere) {
            client.write("lake/other", b"other").await;
        }
        let before = client.head("lake/file", &[]).await.expect(200).etag().to_owned();
        let send = async |id: Option<&str>| {
            let mut headers: Vec<(&str, &str)> = header.into_iter().collect();
            headers.extend(id.map(|id| ("x-ms-lease-id", id)));
            client.send(method.parse().unwrap(), target, &headers, body.to_vec()).await
        };
        send(None).await.refused(412, "LeaseIdMissing");
        let mismatch = if blob { "LeaseIdMismatchWithBlobOperation" } else { "LeaseIdMismatch" };
        send(Some(B)).await.refused(412, mismatch);
        assert_eq!(client.head("lake/file", &[]).await.expect(200).etag(), before, "{target}");
        send(Some(A)).await.expect(status);
        if header == Some(elsewhere) {
            // A lease goes with what it was acquired on, and this file came from elsewhere without one.
            acquire(client, "lake/file", A, "-1").await.expect(201);
        }
        if method != "DELETE" {
            assert_eq!(state(client, "lake/file").await.1, "leased", "{target}");
        }
    }
    client.head("lake/file", &[]).await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_named_must_be_there() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let named = [("x-ms-lease-id", A)];
    client.head("lake/file", &named).await.refused(412, "LeaseNotPresent");
    client.get("lake/file", &named).await.refused(412, "LeaseNotPresent");
    client.get("lake/file", &[XML, named[0]]).await.refused(412, "LeaseNotPresentWithBlobOperation");
    client.put("lake/file?resource=file", &named).await.refused(412, "LeaseNotPresent");
    client.put("lake/new?resource=file", &named).await.refused(412, "LeaseNotPresent");
    client.head("lake/new", &[]).await.expect(404);
    acquire(client, "lake/file", A, "-1").await.expect(201);
    client.get("lake/file", &named).await.expect(200);
    client.get("lake/file", &[]).await.expect(200);
    client.get("lake/file", &[("x-ms-lease-id", B)]).await.refused(412, "LeaseIdMismatch");
    let braced = format!("{{{}}}", A.to_uppercase());
    client.head("lake/file", &[("x-ms-lease-id", &braced)]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_leased_source_is_renamed_with_its_lease_and_keeps_it() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    acquire(client, "lake/file", A, "-1").await.expect(201);
    let source = ("x-ms-rename-source", "/lake/file");
    client.put("lake/moved", &[source]).await.refused(412, "LeaseIdMissing");
    let other = ("x-ms-source-lease-id", B);
    client.put("lake/moved", &[source, other]).await.refused(412, "LeaseIdMismatch");
    client.put("lake/moved", &[source, ("x-ms-source-lease-id", A)]).await.expect(201);
    assert_eq!(state(client, "lake/moved").await, told("locked", "leased", "infinite"));
    client.write("lake/dir/leased", b"x").await;
    acquire(client, "lake/dir/leased", A, "-1").await.expect(201);
    acquire(client, "lake/dir", B, "-1").await.expect(201);
    client.write("lake/dir/free", b"a lease guards its own path only").await;
    client.put("lake/elsewhere", &[("x-ms-rename-source", "/lake/dir")]).await.refused(412, "LeaseIdMissing");
    let whole = [("x-ms-rename-source", "/lake/dir"), ("x-ms-source-lease-id", B)];
    client.put("lake/elsewhere", &whole).await.expect(201);
    assert_eq!(state(client, "lake/elsewhere/leased").await.1, "leased");
    client.delete("lake/elsewhere?recursive=true", &[]).await.refused(412, "LeaseIdMissing");
    client.delete("lake/elsewhere?recursive=true", &[("x-ms-lease-id", B)]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn leases_are_acquired_renewed_and_released_with_the_data() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let create = [("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "15")];
    client.put("lake/born?resource=file", &create).await.expect(201);
    assert_eq!(state(client, "lake/born").await, told("locked", "leased", "fixed"));
    client.put("lake/bad?resource=file", &create[..1]).await.refused(400, "MissingRequiredHeader");

    client.put("lake/file?resource=file", &[]).await.expect(201);
    let acquire = [create[0], create[1], ("x-ms-lease-action", "acquire")];
    client.patch("lake/file?action=append&position=0", &acquire, b"0").await.expect(202);
    assert_eq!(state(client, "lake/file").await, told("locked", "leased", "fixed"));
    client.patch("lake/file?action=append&position=1", &[], b"1").await.refused(412, "LeaseIdMissing");
    let renew = [("x-ms-lease-id", A), ("x-ms-lease-action", "auto-renew")];
    let renewed = client.patch("lake/file?action=append&position=1", &renew, b"1").await.expect(202);
    assert_eq!(renewed.header("x-ms-lease-renewed"), "true");
    let release = [("x-ms-lease-id", A), ("x-ms-lease-action", "release")];
    client
        .patch("lake/file?action=append&position=2", &release, b"2")
        .await
        .refused(400, "InvalidHeaderValue");
    // Nothing is released when the flush itself is refused.
    client
        .patch("lake/file?action=flush&position=9", &release, b"")
        .await
        .refused(400, "InvalidFlushPosition");
    assert_eq!(state(client, "lake/file").await.1, "leased");
    client.patch("lake/file?action=flush&position=2", &release, b"").await.expect(200);
    assert_eq!(state(client, "lake/file").await, told("unlocked", "available", ""));

    let both = [("x-ms-proposed-lease-id", B), ("x-ms-lease-action", "acquire-release")];
    client.patch("lake/file?action=append&position=2", &both, b"2").await.refused(400, "InvalidHeaderValue");
    client.patch("lake/file?action=append&position=2&flush=true", &both, b"2").await.expect(202);
    assert_eq!(state(client, "lake/file").await, told("unlocked", "available", ""));
    client.patch("lake/file?action=flush&position=3", &acquire, b"").await.expect(200);
    client.patch("lake/file?action=flush&position=3", &both, b"").await.refused(409, "LeaseAlreadyPresent");
    let unknown = [("x-ms-lease-id", A), ("x-ms-lease-action", "borrow")];
    client.patch("lake/file?action=flush&position=3", &unknown, b"").await.refused(400, "InvalidHeaderValue");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "012");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn blobs_and_containers_are_leased_too() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "-1")];
    client.put("lake/file?comp=lease", &acquire).await.expect(201);
    assert_eq!(state(client, "lake/file").await.1, "leased");
    let listed = client.get("lake?restype=container&comp=list", &[]).await.expect(200).text();
    let shown = "<LeaseStatus>locked</LeaseStatus><LeaseState>leased</LeaseState><LeaseDuration>infinite<";
    assert!(listed.contains(shown), "{listed}");
    let text = client.delete("lake/file", &[]).await.refused(412, "LeaseIdMissing").text();
    assert!(text.contains("There is currently a lease on the blob"), "{text}");

    let container = "lake?restype=container";
    client.put(&format!("{container}&comp=lease"), &acquire).await.expect(201);
    assert!(client.get("?comp=list", &[]).await.expect(200).text().contains(shown));
    assert_eq!(
        client.head("lake?resource=filesystem", &[]).await.expect(200).header("x-ms-lease-state"),
        "leased"
    );
    client.write("lake/other", b"a leased container can be written").await;
    client.delete(container, &[]).await.refused(412, "LeaseIdMissing");
    client.delete("lake?resource=filesystem", &[]).await.refused(412, "LeaseIdMissing");
    let mismatch = "LeaseIdMismatchWithContainerOperation";
    client.delete(container, &[("x-ms-lease-id", B)]).await.refused(412, mismatch);
    client.head(container, &[("x-ms-lease-id", B)]).await.refused(412, mismatch);
    let named = [("x-ms-lease-id", A), ("x-ms-meta-a", "1")];
    client.put(&format!("{container}&comp=metadata"), &named).await.expect(200);
    client.delete(container, &named[..1]).await.expect(202);
    client.put("next?restype=container", &[]).await.expect(201);
    let not_present = "LeaseNotPresentWithContainerOperation";
    client.delete("next?restype=container", &named[..1]).await.refused(412, not_present);
    fixture.running.stop().await.unwrap();
}
