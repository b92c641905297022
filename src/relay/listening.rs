//! Keeps a listener connected: reconnects, renews tokens, tells what happens.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, Sleep, sleep};

use crate::backoff::{Backoff, Ending};
use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::listener::{Incoming, Listener};
use crate::sas::Token;

/// A token and how long it will be good for. It is replaced at two thirds of that.
#[derive(Debug, Clone)]
pub struct Grant {
    pub token: Token,
    pub lifetime: Duration,
}

/// What [`Listening::next`] reports.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "events are few and moved once; a box would cost more than it saves"
)]
pub enum Event {
    Connected,
    Incoming(Incoming),
    /// The channel is gone, or could not be opened. The next attempt follows by itself.
    Disconnected {
        error: Error,
        retry_in: Duration,
    },
}

type TokenSource = Arc<dyn Fn() -> BoxFuture<'static, Result<Grant>> + Send + Sync>;

/// A listener that comes back for ever. Azure closes every listener about once a day, so losing the channel is normal.
pub struct Listening {
    endpoint: Endpoint,
    tokens: TokenSource,
    backoff: Backoff,
    failures: u32,
    state: State,
}

enum State {
    Connecting(BoxFuture<'static, Result<(Listener, Duration)>>),
    Online(Box<Online>),
    Waiting(Pin<Box<Sleep>>),
}

struct Online {
    listener: Listener,
    since: Instant,
    renewal: BoxFuture<'static, Result<Grant>>,
}

impl Listening {
    /// `tokens` is asked before each connection and again before each expiry; map its failures to
    /// [`Error::TokenSource`]. Nothing happens before the first [`Listening::next`].
    pub fn new<Tokens, Answer>(endpoint: Endpoint, tokens: Tokens, backoff: Backoff) -> Self
    where
        Tokens: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<Grant>> + Send + 'static,
    {
        let tokens: TokenSource = Arc::new(move || Box::pin(tokens()));
        let state = State::Connecting(connect(endpoint.clone(), Arc::clone(&tokens)));
        Self { endpoint, tokens, backoff, failures: 0, state }
    }

    /// Waits for the next event. Cancel-safe. To stop, drop this.
    pub async fn next(&mut self) -> Event {
        loop {
            match &mut self.state {
                State::Waiting(pause) => {
                    pause.await;
                    self.state = State::Connecting(connect(self.endpoint.clone(), Arc::clone(&self.tokens)));
                }
                State::Connecting(attempt) => match attempt.await {
                    Ok((listener, lifetime)) => {
                        let renewal = renew_after(lifetime, Arc::clone(&self.tokens));
                        self.state =
                            State::Online(Box::new(Online { listener, since: Instant::now(), renewal }));
                        return Event::Connected;
                    }
                    Err(error) => return self.failed(error, None),
                },
                State::Online(online) => {
                    let outcome = tokio::select! {
                        incoming = online.listener.next() => incoming.map(Some),
                        grant = &mut online.renewal => match grant {
                            Ok(grant) => {
                                online.renewal = renew_after(grant.lifetime, Arc::clone(&self.tokens));
                                online.listener.renew_token(&grant.token).map(|()| None)
                            }
                            Err(error) => {
                                // A third of the token's life is left to get a new one.
                                tracing::warn!(%error, path = self.endpoint.path, "no new relay token yet");
                                let again = self.backoff.longest.min(Duration::from_secs(10));
                                online.renewal = fetch_after(again, Arc::clone(&self.tokens));
                                Ok(None)
                            }
                        },
                    };
                    match outcome {
                        Ok(Some(incoming)) => return Event::Incoming(incoming),
                        Ok(None) => {}
                        Err(error) => {
                            let lived = online.since.elapsed();
                            return self.failed(error, Some(lived));
                        }
                    }
                }
            }
        }
    }

    fn failed(&mut self, error: Error, lived: Option<Duration>) -> Event {
        let ending = match error.kind() {
            _ if lived.is_some_and(|lived| lived >= self.backoff.healthy_after) => Ending::HealthySession,
            ErrorKind::Denied | ErrorKind::Gone | ErrorKind::Fatal => Ending::Refusal,
            ErrorKind::Retryable | ErrorKind::Throttled | ErrorKind::Rejected => Ending::Failure,
        };
        self.failures = if ending == Ending::HealthySession { 0 } else { self.failures.saturating_add(1) };
        let retry_in = self.backoff.delay(ending, self.failures, error.retry_after(), random_fraction());
        self.state = State::Waiting(Box::pin(sleep(retry_in)));
        Event::Disconnected { error, retry_in }
    }
}

fn connect(endpoint: Endpoint, tokens: TokenSource) -> BoxFuture<'static, Result<(Listener, Duration)>> {
    Box::pin(async move {
        let grant = tokens().await?;
        let listener = Listener::connect(endpoint, &grant.token).await?;
        Ok((listener, grant.lifetime))
    })
}

fn renew_after(lifetime: Duration, tokens: TokenSource) -> BoxFuture<'static, Result<Grant>> {
    // The floor keeps a token source that hands out dead tokens from being asked without pause.
    fetch_after(lifetime.mul_f64(2.0 / 3.0).max(Duration::from_millis(500)), tokens)
}

fn fetch_after(pause: Duration, tokens: TokenSource) -> BoxFuture<'static, Result<Grant>> {
    Box::pin(async move {
        sleep(pause).await;
        tokens().await
    })
}

/// In `0.0..1.0`; spreads many listeners, so its quality does not matter beyond that.
fn random_fraction() -> f64 {
    let bits = (uuid::Uuid::new_v4().as_u128() >> 96) as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
