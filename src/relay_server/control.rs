//! A listener's control channel.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessage, CloseCode, CloseReason, MessageStream, Session};
use livedata_relay::authorization::Right;
use livedata_relay::frames::ToRelay;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::hub::{Hub, Registration, unix_seconds};

const LONGEST_MESSAGE_BYTES: usize = 256 * 1024;
/// A listener that takes no bytes for this long is dead, whatever its pongs say.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const MISSED_PINGS: u32 = 2;

/// One listener, for as long as its channel is open.
pub(crate) struct Control {
    pub hub: Arc<Hub>,
    pub registration: Registration,
    /// Normal form.
    pub path: String,
    /// What the listener called this relay.
    pub host: String,
    pub ends_at_seconds: u64,
}

/// Why a channel ends; `None` when the listener is not there to be told.
type End = Option<CloseReason>;

impl Control {
    pub async fn run(mut self, mut session: Session, stream: MessageStream) {
        tracing::info!(path = self.path, "listener connected");
        let end = self.serve(&mut session, stream).await;
        // Out of the hub first, so that no sender is sent to a closing channel.
        let Self { registration, path, .. } = self;
        drop(registration);
        match end {
            Some(reason) => {
                tracing::info!(
                    path,
                    code = u16::from(reason.code),
                    reason = reason.description,
                    "listener closed"
                );
                let _ = timeout(WRITE_TIMEOUT, session.close(Some(reason))).await;
            }
            None => tracing::info!(path, "listener gone"),
        }
    }

    async fn serve(&mut self, session: &mut Session, stream: MessageStream) -> End {
        let mut stream = stream
            .max_frame_size(LONGEST_MESSAGE_BYTES)
            .aggregate_continuations()
            .max_continuation_size(LONGEST_MESSAGE_BYTES);
        let stopping = self.hub.stopping.clone();
        let mut pings =
            interval_at(Instant::now() + self.hub.limits.ping_interval, self.hub.limits.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        let mut expiry = Box::pin(sleep(self.life_left()));
        loop {
            tokio::select! {
                () = stopping.cancelled() => return Some((CloseCode::Away, "the relay is stopping").into()),
                () = &mut expiry => return Some((CloseCode::Policy, "the token has expired").into()),
                _ = pings.tick() => {
                    if unanswered >= MISSED_PINGS {
                        return Some((CloseCode::Away, "two pings were not answered").into());
                    }
                    unanswered += 1;
                    written(session.ping(b"")).await?;
                }
                command = self.registration.commands.recv() => match command {
                    Some(accept) => written(session.text(accept)).await?,
                    None => return Some((CloseCode::Error, "the relay lost this listener").into()),
                },
                message = stream.recv() => {
                    // Any sign of life will do: some clients answer pings late but send pongs of their own.
                    unanswered = 0;
                    match message {
                        Some(Ok(AggregatedMessage::Text(text))) => {
                            if let Err(reason) = self.read(&text) {
                                return Some(reason);
                            }
                            expiry.as_mut().reset(Instant::now() + self.life_left());
                        }
                        Some(Ok(AggregatedMessage::Ping(data))) => written(session.pong(&data)).await?,
                        Some(Ok(AggregatedMessage::Pong(_))) => {}
                        Some(Ok(AggregatedMessage::Binary(_))) => {
                            tracing::info!(path = self.path, "a listener sent a binary message, which is ignored");
                        }
                        Some(Ok(AggregatedMessage::Close(reason))) => {
                            return Some(reason.unwrap_or_else(|| CloseCode::Normal.into()));
                        }
                        Some(Err(error)) => {
                            tracing::info!(path = self.path, %error, "a control channel broke");
                            return Some((CloseCode::Protocol, "the frame cannot be read").into());
                        }
                        None => return None,
                    }
                }
            }
        }
    }

    fn read(&mut self, text: &str) -> Result<(), CloseReason> {
        match ToRelay::from_json(text) {
            Ok(ToRelay::RenewToken(renewal)) => {
                match self.hub.authorize(Some(&renewal.token), Right::Listen, &self.host, &self.path) {
                    Ok(authorized) => {
                        self.ends_at_seconds = authorized.ends_at_seconds;
                        Ok(())
                    }
                    Err(refusal) => Err((CloseCode::Policy, refusal.to_string()).into()),
                }
            }
            Ok(ToRelay::Unknown(key)) => {
                tracing::info!(path = self.path, key, "a listener sent a control message of an unknown kind");
                Ok(())
            }
            Err(_) => Err((CloseCode::Invalid, "the control message cannot be read").into()),
        }
    }

    fn life_left(&self) -> Duration {
        Duration::from_secs(self.ends_at_seconds.saturating_sub(unix_seconds()))
    }
}

/// `None` when the listener takes no more bytes.
async fn written(write: impl Future<Output = Result<(), actix_ws::Closed>>) -> Option<()> {
    timeout(WRITE_TIMEOUT, write).await.ok()?.ok()
}
