//! What was acknowledged is there after a stop and after `kill -9`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::client::{Client, Fixture, start_in};

const FOLDER_VARIABLE: &str = "ADLS_EMULATOR_TEST_FOLDER";

/// The emulator in a process of its own: this test binary again, running only `serve_until_killed`.
pub struct Process {
    child: Child,
    pub client: Client,
    /// Stays open: the test harness in the process says so when a test runs for long, and would end if nobody listened.
    _output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(folder: &std::path::Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), folder)
    }

    /// `program`: this test binary, or what becomes it with the arguments that follow.
    pub fn start_by(mut program: Command, folder: &std::path::Path) -> Self {
        let mut child = program
            .args(["--exact", "durability::serve_until_killed", "--nocapture"])
            .env(FOLDER_VARIABLE, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (storage, admin) = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "it ended before it served");
            let urls = line.split_once("serving ").and_then(|(_, urls)| urls.trim_end().split_once(' '));
            if let Some((storage, admin)) = urls {
                break (storage.to_owned(), admin.to_owned());
            }
        };
        Self { child, client: Client::at(&storage, &admin), _output: output }
    }

    /// The most that it has had resident so far.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// The files as the process sees them.
    pub fn root(&self) -> std::path::PathBuf {
        format!("/proc/{}/root", self.child.id()).into()
    }

    /// SIGKILL.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// No test of its own: the others start it as a process, tell it the folder, and kill it.
#[tokio::test]
async fn serve_until_killed() {
    let Ok(folder) = std::env::var(FOLDER_VARIABLE) else {
        return;
    };
    let running = start_in(folder.as_ref()).await;
    println!("serving {} http://{}", running.storage_url(), running.admin_address());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_stop_keeps_everything() {
    let fixture = Fixture::start().await;
    let acl = [("x-ms-acl", "user::rwx,user:alice:r-x,group::r-x,other::---")];
    fixture.client.write("lake/dir/file", b"content").await;
    fixture.client.patch("lake/dir/file?action=setAccessControl", &acl, b"").await.expect(200);
    let before = fixture.client.head("lake/dir/file?action=getAccessControl", &[]).await.expect(200);
    let fixture = fixture.restart().await;
    let after = fixture.client.head("lake/dir/file?action=getAccessControl", &[]).await.expect(200);
    for name in ["etag", "last-modified", "x-ms-acl", "x-ms-permissions", "x-ms-owner"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
    assert_eq!(fixture.client.get("lake/dir/file", &[]).await.expect(200).text(), "content");
    fixture.client.write("lake/dir/new", b"x").await;
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn data_appended_before_a_kill_can_be_flushed_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.patch("lake/file?action=append&position=5", &[], b"56789").await.expect(202);
    client.patch("lake/file?action=append&position=0", &[], b"01234").await.expect(202);
    client.patch("lake/file?action=append&position=3", &[], b"xy").await.expect(202);
    client.put("lake/other?resource=file", &[]).await.expect(201);
    client.put("lake/renamed", &[("x-ms-rename-source", "/lake/other")]).await.expect(201);
    process.kill();

    let process = Process::start(folder.path());
    let client = &process.client;
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("content-length"), "0");
    client.head("lake/renamed", &[]).await.expect(200);
    client.head("lake/other", &[]).await.expect(404);
    client.patch("lake/file?action=flush&position=11", &[], b"").await.refused(400, "InvalidFlushPosition");
    client.patch("lake/file?action=flush&position=10", &[], b"").await.expect(200);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "012xy56789");
    process.kill();
}

#[tokio::test]
async fn data_retained_by_a_flush_survives_a_kill_and_a_repeated_flush() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.patch("lake/file?action=append&position=8", &[], b"89").await.expect(202);
    client.patch("lake/file?action=append&position=0", &[], b"0123456").await.expect(202);
    // Overlaps what is there and reaches over the flush position, so one of its halves is committed from a spool file.
    client.patch("lake/file?action=append&position=2", &[], b"abcdef").await.expect(202);
    let flush = "lake/file?action=flush&position=5&retainUncommittedData=true";
    client.patch(flush, &[], b"").await.expect(200);
    process.kill();

    let process = Process::start(folder.path());
    let client = &process.client;
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "01abc");
    client.patch(flush, &[], b"").await.expect(200);
    client.patch("lake/file?action=flush&position=10", &[], b"").await.expect(200);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "01abcdef89");
    process.kill();
}

#[tokio::test]
async fn blocks_put_before_a_kill_can_be_listed_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    let put = async |client: &Client, target: &str, body: &[u8]| {
        client.send(reqwest::Method::PUT, target, &[], body.to_vec()).await.expect(201)
    };
    put(client, "lake/file?comp=block&blockid=YQ%3D%3D", b"first").await;
    process.kill();

    let process = Process::start(folder.path());
    let client = &process.client;
    client.head("lake/file", &[]).await.expect(404);
    let list = b"<BlockList><Latest>YQ==</Latest></BlockList>";
    let listed = put(client, "lake/file?comp=blocklist", list).await.etag().to_owned();
    process.kill();

    let process = Process::start(folder.path());
    let read = process.client.get("lake/file", &[]).await.expect(200);
    assert_eq!((read.text().as_str(), read.etag()), ("first", listed.as_str()));
    process.kill();
}

#[tokio::test]
async fn leases_acquired_before_a_kill_guard_after_it() {
    let id = "8d0b6d5e-3b47-4d5a-9d4e-0d9f1ad4f8a5";
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.write("lake/file", b"x").await;
    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", id), ("x-ms-lease-duration", "-1")];
    client.send(reqwest::Method::POST, "lake/file", &acquire, Vec::new()).await.expect(201);
    client.put("lake?restype=container&comp=lease", &acquire).await.expect(201);
    process.kill();

    let process = Process::start(folder.path());
    let client = &process.client;
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("x-ms-lease-duration"), "infinite");
    client.delete("lake/file?recursive=false", &[]).await.refused(412, "LeaseIdMissing");
    client.delete("lake?restype=container", &[]).await.refused(412, "LeaseIdMissing");
    client.delete("lake/file?recursive=false", &[("x-ms-lease-id", id)]).await.expect(200);
    process.kill();
}

#[tokio::test]
async fn whatever_a_kill_interrupts_what_was_acknowledged_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..3_usize {
        let process = Process::start(folder.path());
        if round == 0 {
            process.client.put("lake?resource=filesystem", &[]).await.expect(201);
        }
        let mut writes = Vec::new();
        for number in 0..60 {
            let path = format!("lake/round{round}/file{number}");
            let content = vec![u8::try_from(number).unwrap(); 1000 * (number + 1)];
            process.client.put(&format!("{path}?resource=file"), &[]).await.expect(201);
            let target = format!("{path}?action=append&position=0&flush=true");
            if number < 40 {
                process.client.patch(&target, &[], &content).await.expect(202);
                acknowledged.push((path, content));
            } else {
                // Still on its way when the process dies.
                let client = Client::at(&process.client.url, &process.client.admin_url);
                writes.push(tokio::spawn(async move { client.patch(&target, &[], &content).await }));
            }
        }
        process.kill();
        for write in writes {
            // Cut or not: only what was acknowledged has to be there.
            drop(write.await);
        }
        let process = Process::start(folder.path());
        for (path, content) in &acknowledged {
            assert!(process.client.get(path, &[]).await.expect(200).body == *content, "{path}");
        }
        let listed =
            process.client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
        assert_eq!(listed["paths"].as_array().unwrap().len(), (round + 1) * 61);
        process.kill();
    }
}

#[tokio::test]
async fn the_content_of_what_was_deleted_is_removed_from_the_disk() {
    let fixture = Fixture::start().await;
    for number in 0..1200 {
        fixture
            .client
            .put(&format!("lake/dir/sub{}/f{number}?resource=file", number % 7), &[])
            .await
            .expect(201);
    }
    for number in 0..5 {
        fixture.client.write(&format!("lake/dir/written{number}"), b"content").await;
    }
    fixture.client.delete("lake/dir?recursive=true", &[]).await.expect(200);
    let files = || {
        let fans = std::fs::read_dir(fixture.folder.path().join("content")).unwrap();
        fans.map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    while files() > 0 {
        // Any request: the sweeper's steps take turns with it.
        fixture.client.head("lake?resource=filesystem", &[]).await.expect(200);
    }
    fixture.running.stop().await.unwrap();
}
