//! Requests at their times over connections that stay open, whatever the answers do.
//!
//! Each request has a time at which it is due; what it took is counted from there, also when all connections were busy then:
//! a server that stands still for a second is late for all that was due in that second (coordinated omission is not left out).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A request, written before the clock starts, and the status that answers it.
pub struct Ask {
    text: Vec<u8>,
    status: u16,
}

impl Ask {
    pub fn new(method: &str, path: &str, body: Option<&str>, status: u16) -> Self {
        let body = body.unwrap_or_default();
        let length = match body.len() {
            0 => String::new(),
            length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
        };
        let text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n{body}");
        Self { text: text.into_bytes(), status }
    }
}

/// What the requests took.
pub struct Taken {
    /// Sorted.
    latencies: Vec<Duration>,
    pub elapsed: Duration,
}

impl Taken {
    /// The latency below which this share of them is.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        let index = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(index.min(last)).copied().unwrap_or_default()
    }

    pub fn count(&self) -> usize {
        self.latencies.len()
    }
}

/// Where and as whom.
#[derive(Clone)]
pub struct Peer {
    pub port: u16,
    pub tls: Arc<rustls::ClientConfig>,
}

/// `rate` a second; `None`: each as soon as a connection is free.
pub async fn run(peer: &Peer, asks: Vec<Ask>, connections: usize, rate: Option<u32>) -> Result<Taken> {
    let mut lanes = Vec::new();
    for _ in 0..connections {
        lanes.push(Lane::open(peer).await?);
    }
    let (asks, next) = (Arc::new(asks), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let pace = rate.map(|rate| Pace { begun, rate, due: Arc::new(Semaphore::new(0)) });
    if let Some(pace) = pace.clone() {
        let count = asks.len();
        std::thread::spawn(move || pace.keep(count));
    }
    let running: Vec<_> = lanes
        .into_iter()
        .map(|lane| tokio::spawn(work(lane, Arc::clone(&asks), Arc::clone(&next), pace.clone())))
        .collect();
    let mut latencies = Vec::with_capacity(asks.len());
    for lane in running {
        latencies.extend(lane.await??);
    }
    let elapsed = begun.elapsed();
    latencies.sort_unstable();
    ensure!(latencies.len() == asks.len(), "not all requests were answered");
    Ok(Taken { latencies, elapsed })
}

/// When requests are due. A thread of its own sleeps until each: tokio's timers go by whole milliseconds.
#[derive(Clone)]
struct Pace {
    begun: Instant,
    rate: u32,
    /// A permit for each request that is due.
    due: Arc<Semaphore>,
}

impl Pace {
    fn of(&self, number: usize) -> Instant {
        self.begun + Duration::from_secs_f64(number as f64 / f64::from(self.rate))
    }

    #[expect(clippy::disallowed_methods, reason = "a thread that does nothing but wait for times")]
    fn keep(&self, count: usize) {
        for number in 0..count {
            std::thread::sleep(self.of(number).saturating_duration_since(Instant::now()));
            self.due.add_permits(1);
        }
        // Whoever finds nothing left to ask ends by itself.
        self.due.close();
    }
}

async fn work(
    mut lane: Lane,
    asks: Arc<Vec<Ask>>,
    next: Arc<AtomicUsize>,
    pace: Option<Pace>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        if let Some(pace) = &pace
            && let Ok(due) = pace.due.acquire().await
        {
            due.forget();
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(ask) = asks.get(number) else { return Ok(latencies) };
        let due = pace.as_ref().map_or_else(Instant::now, |pace| pace.of(number));
        lane.ask(ask).await?;
        latencies.push(due.elapsed());
    }
}

struct Lane {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

impl Lane {
    async fn open(peer: &Peer) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", peer.port)).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::clone(&peer.tls)).connect(name, socket).await?;
        Ok(Self { stream, received: Vec::new() })
    }

    async fn ask(&mut self, ask: &Ask) -> Result<()> {
        self.stream.write_all(&ask.text).await?;
        self.received.clear();
        let head_end = loop {
            if let Some(at) = self.received.windows(4).position(|part| part == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.received[..head_end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let field = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        };
        let length = head.lines().find_map(field).unwrap_or(0);
        while self.received.len() < head_end + length {
            self.more().await?;
        }
        if status.context("that is no answer")? != ask.status {
            bail!(
                "{} was answered with {}: {}",
                String::from_utf8_lossy(&ask.text).lines().next().unwrap_or_default(),
                head.lines().next().unwrap_or_default(),
                String::from_utf8_lossy(&self.received[head_end..])
            );
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.received).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }
}
