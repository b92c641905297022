//! The side that is reached: one control channel.

mod incoming;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{Sink, Stream};
use tokio::time::{Instant, Sleep, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use uuid::Uuid;

use crate::address::{Action, open_address};
use crate::endpoint::{Endpoint, without_query};
use crate::error::{Error, Result};
use crate::frames::{RenewToken, ToListener};
use crate::handshake::{Answer, Upgrade, WebSocket, upgrade};
use crate::sas::Token;
use crate::stream::io_error;

pub use incoming::Incoming;

/// Azure sends at most 64 KiB of body and 32 KiB of headers over a control channel.
const LONGEST_MESSAGE_BYTES: usize = 256 * 1024;

/// An open control channel. It lives as long as [`Listener::next`] is polled.
pub struct Listener {
    endpoint: Endpoint,
    socket: WebSocket,
    outgoing: VecDeque<Message>,
    unflushed: bool,
    keepalive: Pin<Box<Sleep>>,
    /// Armed by the first Ping: a relay that never pings may be silent for hours.
    silence: Option<Pin<Box<Sleep>>>,
}

impl Listener {
    /// Opens the control channel. `token` must hold the Listen right for the endpoint's path.
    pub async fn connect(endpoint: Endpoint, token: &Token) -> Result<Self> {
        let id = Uuid::new_v4().to_string();
        let url = open_address(&endpoint.url, &endpoint.path, "", Action::Listen, &id);
        let answer = upgrade(Upgrade {
            url: &url,
            tls: &endpoint.tls,
            token: Some(token),
            open_timeout: endpoint.open_timeout,
            answer_timeout: endpoint.open_timeout,
            config: WebSocketConfig::default()
                .read_buffer_size(4 * 1024)
                .write_buffer_size(0)
                .max_frame_size(Some(LONGEST_MESSAGE_BYTES))
                .max_message_size(Some(LONGEST_MESSAGE_BYTES)),
        })
        .await?;
        match answer {
            Answer::Open(socket) => Ok(Self {
                keepalive: Box::pin(sleep(endpoint.keepalive)),
                endpoint,
                socket: *socket,
                outgoing: VecDeque::new(),
                unflushed: false,
                silence: None,
            }),
            Answer::Refused(refused) => Err(refused.into_error(without_query(&url))),
        }
    }

    /// Waits for the next sender. An error means that the channel is dead. Cancel-safe.
    pub async fn next(&mut self) -> Result<Incoming> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Replaces the token before it expires. It is sent by the next poll of [`Listener::next`]; the relay does not
    /// confirm a good one and ends the channel (1008) for a bad one.
    pub fn renew_token(&mut self, token: &Token) -> Result<()> {
        let renewal = RenewToken { token: token.expose().to_owned() };
        self.outgoing.push_back(Message::text(renewal.to_json().map_err(Error::BadMessage)?));
        Ok(())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming>> {
        loop {
            if self.keepalive.as_mut().poll(cx).is_ready() {
                self.outgoing.push_back(Message::Pong(Vec::new().into()));
                self.keepalive.as_mut().reset(Instant::now() + self.endpoint.keepalive);
                continue;
            }
            self.poll_send(cx).map_err(|e| Error::ChannelLost(io_error(e)))?;
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => {
                    return Poll::Ready(Err(Error::ChannelLost(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(Error::ChannelLost(io_error(error))));
                }
                Poll::Ready(Some(Ok(message))) => {
                    self.heard(matches!(message, Message::Ping(_)));
                    if let Some(incoming) = self.read(cx, message)? {
                        return Poll::Ready(Ok(incoming));
                    }
                }
            }
        }
        let dead = self.silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready());
        if dead { Poll::Ready(Err(Error::Silent(self.endpoint.silence_limit))) } else { Poll::Pending }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
    ) -> std::result::Result<(), tokio_tungstenite::tungstenite::Error> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.socket).poll_ready(cx)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {
                    if let Some(message) = self.outgoing.pop_front() {
                        Pin::new(&mut self.socket).start_send(message)?;
                        self.unflushed = true;
                    }
                }
            }
        }
        if self.unflushed && Pin::new(&mut self.socket).poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    fn heard(&mut self, is_ping: bool) {
        let deadline = Instant::now() + self.endpoint.silence_limit;
        match &mut self.silence {
            Some(silence) => silence.as_mut().reset(deadline),
            None if is_ping => self.silence = Some(Box::pin(sleep(self.endpoint.silence_limit))),
            None => {}
        }
    }

    fn read(&mut self, cx: &mut Context<'_>, message: Message) -> Result<Option<Incoming>> {
        match message {
            Message::Text(text) => match ToListener::from_json(&text).map_err(Error::BadMessage)? {
                ToListener::Accept(accept) => Incoming::new(accept, self.endpoint.clone()).map(Some),
                ToListener::Unknown(key) => {
                    tracing::info!(
                        key,
                        path = self.endpoint.path,
                        "the relay sent a control message of an unknown kind"
                    );
                    Ok(None)
                }
            },
            Message::Close(frame) => {
                // Puts the queued answer on the wire; the channel is over either way.
                let _ = Pin::new(&mut self.socket).poll_next(cx);
                let (code, reason) = frame
                    .map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
                Err(Error::Closed { code, reason })
            }
            // Answers to Pings are made by the WebSocket library.
            _ => Ok(None),
        }
    }
}
