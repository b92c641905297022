//! The WebSocket upgrade, client side.
//!
//! Written here and not left to the WebSocket library because a refusal carries its meaning in the reason phrase (Azure
//! puts its tracking id there), in `Via` and in the body, and the library drops the first and the last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::{Position, Url};

use crate::address::TOKEN_HEADER;
use crate::dial::{Transport, dial};
use crate::endpoint::without_query;
use crate::error::{Error, Result};
use crate::sas::Token;

const LONGEST_HEAD_BYTES: usize = 16 * 1024;
const LONGEST_BODY_BYTES: usize = 4 * 1024;

pub(crate) type WebSocket = WebSocketStream<Transport>;

/// How the relay answered when it did not open a WebSocket.
pub(crate) struct Refused {
    pub status: u16,
    /// The body when it is text, else the reason phrase.
    pub description: String,
    /// The answer was made by the listener and passed on.
    pub by_listener: bool,
    pub retry_after: Option<Duration>,
}

pub(crate) enum Answer {
    Open(Box<WebSocket>),
    Refused(Refused),
}

/// What differs between the uses of an upgrade.
pub(crate) struct Upgrade<'a> {
    pub url: &'a Url,
    pub tls: &'a Arc<rustls::ClientConfig>,
    pub token: Option<&'a Token>,
    pub open_timeout: Duration,
    /// How long the relay may take to answer after the request was sent.
    pub answer_timeout: Duration,
    pub config: WebSocketConfig,
}

pub(crate) async fn upgrade(request: Upgrade<'_>) -> Result<Answer> {
    let endpoint = without_query(request.url);
    let expired = |step, waited| Error::TimedOut { endpoint: endpoint.clone(), step, waited };
    let transport = timeout(request.open_timeout, dial(request.url, request.tls))
        .await
        .map_err(|_| expired("connecting", request.open_timeout))??;
    timeout(request.answer_timeout, exchange(&request, &endpoint, transport))
        .await
        .map_err(|_| expired("upgrading to a WebSocket", request.answer_timeout))?
}

async fn exchange(request: &Upgrade<'_>, endpoint: &str, mut transport: Transport) -> Result<Answer> {
    let not_a_relay = |reason: String| Error::NotARelay { endpoint: endpoint.to_owned(), reason };
    let unreachable = |source: io::Error| Error::Unreachable { endpoint: endpoint.to_owned(), source };

    let key = generate_key();
    transport.write_all(request_head(request, &key)?.as_bytes()).await.map_err(unreachable)?;
    transport.flush().await.map_err(unreachable)?;

    let mut received = Vec::with_capacity(1024);
    let head_bytes = loop {
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if received.len() > LONGEST_HEAD_BYTES {
            return Err(not_a_relay("its answer has too long a head".to_owned()));
        }
        if transport.read_buf(&mut received).await.map_err(unreachable)? == 0 {
            return Err(unreachable(io::ErrorKind::UnexpectedEof.into()));
        }
    };
    let mut rest = received.split_off(head_bytes);
    let head = Head::parse(&String::from_utf8_lossy(&received))
        .ok_or_else(|| not_a_relay("its answer is not HTTP/1.1".to_owned()))?;

    if head.status == 101 {
        if head.header("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_str()) {
            return Err(not_a_relay("Sec-WebSocket-Accept is missing or wrong".to_owned()));
        }
        let socket =
            WebSocketStream::from_partially_read(transport, rest, Role::Client, Some(request.config)).await;
        return Ok(Answer::Open(Box::new(socket)));
    }

    let body_bytes =
        head.number("content-length").map_or(0, |length| length as usize).min(LONGEST_BODY_BYTES);
    while rest.len() < body_bytes {
        // The status is known; a body that breaks off only costs its text.
        if !matches!(transport.read_buf(&mut rest).await, Ok(count) if count > 0) {
            break;
        }
    }
    rest.truncate(body_bytes);
    let body = String::from_utf8(rest).unwrap_or_default();
    let description = if body.trim().is_empty() { &head.reason } else { body.trim() };
    Ok(Answer::Refused(Refused {
        status: head.status,
        description: description.to_owned(),
        by_listener: head.header("via").is_some(),
        retry_after: head.number("retry-after").map(Duration::from_secs),
    }))
}

fn request_head(request: &Upgrade<'_>, key: &str) -> Result<String> {
    let url = request.url;
    let mut head = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        target = &url[Position::BeforePath..Position::AfterQuery],
        host = &url[Position::BeforeHost..Position::AfterPort],
    );
    if let Some(token) = request.token {
        if token.expose().chars().any(char::is_control) {
            return Err(Error::Unauthorized {
                endpoint: without_query(url),
                description: "the token contains a control character".to_owned(),
            });
        }
        head.push_str(&format!("{TOKEN_HEADER}: {}\r\n", token.expose()));
    }
    head.push_str("\r\n");
    Ok(head)
}

struct Head {
    status: u16,
    reason: String,
    headers: Vec<(String, String)>,
}

impl Head {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut status_line = lines.next()?.splitn(3, ' ');
        if status_line.next()? != "HTTP/1.1" {
            return None;
        }
        let status = status_line.next()?.parse().ok()?;
        let reason = status_line.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { status, reason, headers })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.parse().ok()
    }
}

impl Refused {
    /// The error for anything that is not an answer to a rejection.
    pub fn into_error(self, endpoint: String) -> Error {
        let Self { status, description, by_listener, retry_after } = self;
        match status {
            _ if by_listener => Error::Rejected { endpoint, status, description },
            401 => Error::Unauthorized { endpoint, description },
            403 => Error::Forbidden { endpoint, description },
            404 => Error::NoListener { endpoint, description },
            408 | 504 => Error::Timeout { endpoint, description },
            429 | 500 | 502 | 503 => Error::Unavailable { endpoint, status, description, retry_after },
            300..=399 | 400 | 405 | 426 => Error::NotARelay {
                endpoint,
                reason: format!("it answered with status {status}: {description}"),
            },
            _ => Error::Rejected { endpoint, status, description },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_head_is_read_with_its_reason() {
        let head =
            Head::parse("HTTP/1.1 401 Bad token. TrackingId:42\r\nRetry-After: 7\r\nVIA: x\r\n\r\n").unwrap();
        assert_eq!((head.status, head.reason.as_str()), (401, "Bad token. TrackingId:42"));
        assert_eq!(head.number("retry-after"), Some(7));
        assert_eq!(head.header("via"), Some("x"));
        assert!(Head::parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
    }

    #[test]
    fn statuses_become_errors_that_a_caller_can_act_on() {
        let kind = |status, by_listener, retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            Refused { status, description: String::new(), by_listener, retry_after }
                .into_error(String::new())
                .kind()
        };
        assert_eq!(kind(401, false, None), ErrorKind::Denied);
        assert_eq!(kind(403, false, None), ErrorKind::Denied);
        assert_eq!(kind(404, false, None), ErrorKind::Gone);
        assert_eq!(kind(404, true, None), ErrorKind::Rejected);
        assert_eq!(kind(409, false, None), ErrorKind::Rejected);
        assert_eq!(kind(429, false, Some(1)), ErrorKind::Throttled);
        assert_eq!(kind(503, false, None), ErrorKind::Retryable);
        assert_eq!(kind(504, false, None), ErrorKind::Retryable);
    }
}
