//! `Expect: 100-continue`: a client that sends the head of an upload and waits, as Hadoop's driver does under throttling.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::Fixture;

const TARGET: &str = "lake/file?action=append&position=0&flush=true";

struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Socket {
    async fn to(fixture: &Fixture) -> Self {
        let stream = TcpStream::connect(fixture.running.storage_address()).await.unwrap();
        Self { stream, read: Vec::new() }
    }

    /// The next head, with the body that it announces.
    async fn answer(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "closed without an answer");
        };
        let head = String::from_utf8(self.read[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let past = end + length.map_or(0, |length| length.parse::<usize>().unwrap());
        while self.read.len() < past {
            assert!(self.stream.read_buf(&mut self.read).await.unwrap() > 0, "an answer is cut");
        }
        self.read.drain(..past);
        head
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }
}

fn expecting(fixture: &Fixture, target: &str, length: usize) -> Vec<u8> {
    let head = fixture.client.signed_head("PATCH", target, length);
    head.replacen("\r\nhost:", "\r\nexpect: 100-continue\r\nhost:", 1).into_bytes()
}

#[tokio::test]
async fn the_body_is_asked_for_and_taken() {
    let fixture = Fixture::start().await;
    fixture.client.put("lake/file?resource=file", &[]).await.expect(201);
    let content: Vec<u8> = (0..400_000_u32).map(|at| (at % 251) as u8).collect();
    let mut socket = Socket::to(&fixture).await;
    socket.send(&expecting(&fixture, TARGET, content.len())).await;
    // Nothing of the body has been sent yet.
    assert_eq!(socket.answer().await, "http/1.1 100 continue\r\n\r\n");
    socket.send(&content).await;
    let done = socket.answer().await;
    assert!(done.starts_with("http/1.1 202"), "{done}");
    assert!(fixture.client.get("lake/file", &[]).await.expect(200).body == content);
    fixture.running.stop().await.unwrap();
}

/// The web server asks for every body that is announced so, before anybody looks at the request; the refusal comes after it.
/// The service itself may refuse instead of asking. What counts for a client is the same: one answer, and a connection that
/// can be used on.
#[tokio::test]
async fn what_is_refused_leaves_nothing_and_the_connection_goes_on() {
    let fixture = Fixture::start().await;
    let mut socket = Socket::to(&fixture).await;
    socket.send(&expecting(&fixture, TARGET, 400_000)).await;
    assert_eq!(socket.answer().await, "http/1.1 100 continue\r\n\r\n");
    socket.send(&vec![7; 400_000]).await;
    let refused = socket.answer().await;
    assert!(refused.starts_with("http/1.1 404"), "{refused}");
    assert!(refused.contains("x-ms-error-code: pathnotfound"), "{refused}");
    fixture.client.head("lake/file", &[]).await.expect(404);
    fixture.client.put("lake/file?resource=file", &[]).await.expect(201);
    socket.send(&expecting(&fixture, TARGET, 5)).await;
    assert_eq!(socket.answer().await, "http/1.1 100 continue\r\n\r\n");
    socket.send(b"hello").await;
    assert!(socket.answer().await.starts_with("http/1.1 202"));
    assert_eq!(fixture.client.get("lake/file", &[]).await.expect(200).text(), "hello");
    fixture.running.stop().await.unwrap();
}
