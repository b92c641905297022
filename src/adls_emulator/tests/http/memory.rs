//! How much memory large files take.

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::durability::Process;

const APPEND: usize = 8 * 1024 * 1024;
const APPENDS: usize = 64;
/// The most that the process may ever have had, with everything that this test binary brings along.
const BOUND_KIB: u64 = 100 * 1024;

/// 512 MiB through a process that keeps files on disk, in and out, and a block of an append blob that is nearly as large as one may be.
#[tokio::test]
async fn memory_does_not_grow_with_the_size_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let part = |number: usize| -> Vec<u8> { (0..APPEND).map(|at| ((at + number * 7) % 251) as u8).collect() };
    for number in 0..APPENDS {
        let target = format!("lake/file?action=append&position={}", number * APPEND);
        client.patch(&target, &[], &part(number)).await.expect(202);
    }
    let flush = format!("lake/file?action=flush&position={}", APPENDS * APPEND);
    client.patch(&flush, &[], b"").await.expect(200);
    client.put("lake/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
    let block = vec![b'-'; 12 * APPEND];
    client.send(Method::PUT, "lake/log?comp=appendblock", &[], block).await.expect(201);

    // By a socket, so that this side does not hold it all either.
    let address = client.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(client.signed_head("GET", "lake/file", 0).as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let mut read = vec![0; APPEND];
    for number in 0..APPENDS {
        socket.read_exact(&mut read).await.unwrap();
        assert!(read == part(number), "part {number}");
    }
    let peak = process.peak_memory_kib();
    assert!(peak < BOUND_KIB, "{peak} KiB");
    process.kill();
}
