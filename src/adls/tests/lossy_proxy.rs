//! A proxy between client and service that spoils chosen exchanges: it forwards a request, so that the service acts on
//! it, and then withholds the answer; or it answers in the service's place; or it damages a body. Those that are told, or, once
//! it is disturbed, any.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What to do with one exchange.
#[derive(Clone, Copy, Debug)]
pub enum Spoil {
    /// The service carries it out; the client never hears of it.
    LoseAnswer,
    /// The service never sees it; the client gets this status line and these headers.
    AnswerInstead(&'static str),
    /// One bit of the body is flipped on the way.
    DamageBody,
    /// The service never sees it; the connection ends.
    Drop,
}

/// Of a service that has too much to do.
pub const BUSY: Spoil = Spoil::AnswerInstead("503 Busy\r\nx-ms-error-code: ServerBusy");

#[derive(Debug)]
struct Order {
    /// What the request line must contain.
    pattern: &'static str,
    spoil: Spoil,
}

#[derive(Default)]
struct State {
    orders: Vec<Order>,
    request_lines: Vec<String>,
    /// Random numbers; 0: it is not disturbed.
    disturbed: u64,
    disturbances: u64,
}

impl State {
    /// Something happens to 15 of 100 exchanges, the same to the same requests.
    fn disturbance(&mut self) -> Option<Spoil> {
        if self.disturbed == 0 {
            return None;
        }
        // xorshift64, <https://doi.org/10.18637/jss.v008.i14>.
        self.disturbed ^= self.disturbed << 13;
        self.disturbed ^= self.disturbed >> 7;
        self.disturbed ^= self.disturbed << 17;
        let spoil = match self.disturbed % 100 {
            0..6 => Spoil::LoseAnswer,
            6..11 => Spoil::Drop,
            11..14 => BUSY,
            14 => Spoil::AnswerInstead("500 Timeout\r\nx-ms-error-code: OperationTimedOut"),
            _ => return None,
        };
        self.disturbances += 1;
        Some(spoil)
    }
}

pub struct LossyProxy {
    address: std::net::SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl LossyProxy {
    pub async fn start(upstream: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(exchange(client, upstream, Arc::clone(&shared)));
            }
        });
        Self { address, state, accepting }
    }

    /// The endpoint for an account, path style.
    pub fn endpoint(&self, account: &str) -> Url {
        format!("http://{}/{account}", self.address).parse().unwrap()
    }

    /// Spoils the next request whose request line contains `pattern`, once per call, in order.
    pub fn spoil(&self, pattern: &'static str, spoil: Spoil) {
        self.state.lock().unwrap().orders.push(Order { pattern, spoil });
    }

    /// From now on things happen to any exchange; the seed decides which.
    pub fn disturb(&self, seed: u64) {
        self.state.lock().unwrap().disturbed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    }

    pub fn disturbances(&self) -> u64 {
        self.state.lock().unwrap().disturbances
    }

    /// The request lines since the last call. Every ordered spoil must have happened.
    pub fn take_requests(&self) -> Vec<String> {
        let mut state = self.state.lock().unwrap();
        assert!(state.orders.is_empty(), "never came to pass: {:?}", state.orders);
        std::mem::take(&mut state.request_lines)
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request and one answer; then the connection ends.
async fn exchange(mut client: TcpStream, upstream: std::net::SocketAddr, state: Arc<Mutex<State>>) {
    let Some((head, mut body)) = read_request(&mut client).await else { return };
    let line = head.lines().next().unwrap().to_owned();
    let spoil = {
        let mut state = state.lock().unwrap();
        let at = state.orders.iter().position(|order| line.contains(order.pattern));
        state.request_lines.push(line);
        match at {
            Some(at) => Some(state.orders.remove(at).spoil),
            None => state.disturbance(),
        }
    };
    if let Some(Spoil::Drop) = spoil {
        return;
    }
    if let Some(Spoil::AnswerInstead(answer)) = spoil {
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = client.write_all(answer.as_bytes()).await;
        return;
    }
    if let Some(Spoil::DamageBody) = spoil {
        body[0] ^= 1;
    }
    let mut service = TcpStream::connect(upstream).await.unwrap();
    let head = head.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    service.write_all(head.as_bytes()).await.unwrap();
    service.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    service.read_to_end(&mut answer).await.unwrap();
    if !matches!(spoil, Some(Spoil::LoseAnswer)) {
        let _ = client.write_all(&answer).await;
    }
}

/// Head and body; `None` once there is no more.
pub async fn read_request(client: &mut (impl AsyncRead + Unpin)) -> Option<(String, Vec<u8>)> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut received).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = received.split_off(end);
    let head = String::from_utf8(received).unwrap();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}
