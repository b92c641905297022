use reqwest::Method;

use crate::client::Fixture;

#[tokio::test]
async fn a_file_is_gone_when_its_time_is_over() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/dir/file", b"content").await;
    client.put("lake/dir/born?resource=file", &expire("RelativeToNow", "200")).await.expect(201);
    let before = client.head("lake/dir/file", &[]).await.expect(200);
    assert_eq!(before.header("x-ms-expiry-time"), "");
    let set = client.put("lake/dir/file?comp=expiry", &expire("RelativeToNow", "200")).await.expect(200);
    assert_ne!(set.etag(), before.etag());
    for path in ["lake/dir/file", "lake/dir/born"] {
        while client.head(path, &[]).await.status == 200 {
            tokio::task::yield_now().await;
        }
        client.get(path, &[]).await.refused(404, "PathNotFound");
        client.patch(&format!("{path}?action=flush&position=0"), &[], b"").await.refused(404, "PathNotFound");
    }
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(listed["paths"].as_array().unwrap().len(), 1);
    client.put("lake/dir/file?resource=file", &[("if-none-match", "*")]).await.expect(201);
    client.write("lake/other", b"renamed").await;
    client
        .put("lake/dir/born", &[("x-ms-rename-source", "/lake/other"), ("if-none-match", "*")])
        .await
        .expect(201);
    assert_eq!(client.get("lake/dir/born", &[]).await.expect(200).text(), "renamed");
    fixture.running.stop().await.unwrap();
}

fn expire<'a>(option: &'a str, time: &'a str) -> [(&'a str, &'a str); 2] {
    [("x-ms-expiry-option", option), ("x-ms-expiry-time", time)]
}

#[tokio::test]
async fn the_content_of_expired_files_is_removed_from_the_disk() {
    let fixture = Fixture::start().await;
    for number in 0..5 {
        let path = format!("lake/file{number}");
        fixture.client.write(&path, b"content").await;
        fixture.client.put(&format!("{path}?comp=expiry"), &expire("RelativeToNow", "1")).await.expect(200);
    }
    let files = || {
        let fans = std::fs::read_dir(fixture.folder.path().join("content")).unwrap();
        fans.map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    while files() > 0 {
        tokio::task::yield_now().await;
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_with_only_expired_files_counts_as_empty() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/dir/file?resource=file", &expire("RelativeToNow", "1")).await.expect(201);
    while client.head("lake/dir/file", &[]).await.status == 200 {
        tokio::task::yield_now().await;
    }
    client.delete("lake/dir?recursive=false", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_options() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let far = "Fri, 01 Jan 2100 00:00:00 GMT";
    let set = async |option: &str, time: Option<&str>| {
        let mut headers = vec![("x-ms-expiry-option", option)];
        headers.extend(time.map(|time| ("x-ms-expiry-time", time)));
        client.put("lake/file?comp=expiry", &headers).await
    };
    let shown =
        async || client.head("lake/file", &[]).await.expect(200).header("x-ms-expiry-time").to_owned();
    set("Absolute", Some(far)).await.expect(200);
    assert_eq!(shown().await, far);
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    // Windows file time.
    assert_eq!(listed["paths"][0]["expiryTime"], "157469184000000000");
    let blobs = client.get("lake?restype=container&comp=list", &[]).await.expect(200).text();
    assert!(blobs.contains(&format!("<Expiry-Time>{far}</Expiry-Time>")), "{blobs}");
    set("NeverExpire", None).await.expect(200);
    assert_eq!(shown().await, "");
    for option in ["RelativeToCreation", "RelativeToNow"] {
        set(option, Some("3600000")).await.expect(200);
        assert_ne!(shown().await, "", "{option}");
    }
    for (option, time, code) in [
        ("Sometime", Some("1"), "InvalidHeaderValue"),
        ("RelativeToNow", None, "MissingRequiredHeader"),
        ("RelativeToNow", Some(far), "InvalidHeaderValue"),
        ("RelativeToNow", Some("-5"), "InvalidHeaderValue"),
        ("RelativeToCreation", Some("0"), "InvalidHeaderValue"),
        ("Absolute", Some("3600000"), "InvalidHeaderValue"),
        ("Absolute", Some("Thu, 01 Jan 2015 00:00:00 GMT"), "InvalidHeaderValue"),
        ("NeverExpire", Some("1"), "InvalidHeaderValue"),
    ] {
        set(option, time).await.refused(400, code);
    }
    client.put("lake/file?comp=expiry", &[]).await.refused(400, "MissingRequiredHeader");
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    let never = [("x-ms-expiry-option", "NeverExpire")];
    client.put("lake/dir?comp=expiry", &never).await.refused(409, "ResourceTypeMismatch");
    client
        .put("lake/dir2?resource=directory", &expire("RelativeToNow", "9"))
        .await
        .refused(400, "UnsupportedHeader");
    client.put("lake/none?comp=expiry", &never).await.refused(404, "BlobNotFound");
    client
        .put("lake/f2?resource=file", &[("x-ms-expiry-time", "5")])
        .await
        .refused(400, "MissingRequiredHeader");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_leased_file_expires_only_by_its_holder() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let lease = "2b5b5b5a-0000-4000-8000-000000000001";
    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "-1"), ("x-ms-proposed-lease-id", lease)];
    client.send(Method::POST, "lake/file", &acquire, Vec::new()).await.expect(201);
    let soon = ("x-ms-expiry-option", "RelativeToNow");
    let time = ("x-ms-expiry-time", "3600000");
    let target = "lake/file?comp=expiry";
    client.put(target, &[soon, time]).await.refused(412, "LeaseIdMissing");
    let other = ("x-ms-lease-id", "2b5b5b5a-0000-4000-8000-000000000002");
    client.put(target, &[soon, time, other]).await.expect(412);
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("x-ms-expiry-time"), "");
    client.put(target, &[soon, time, ("x-ms-lease-id", lease)]).await.expect(200);
    assert_ne!(client.head("lake/file", &[]).await.expect(200).header("x-ms-expiry-time"), "");
    fixture.running.stop().await.unwrap();
}
