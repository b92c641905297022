//! One side of a spliced stream.
//!
//! The two sides may live on different workers, whose WebSocket types cannot change threads. So each side pumps its own
//! socket to and from a pair of bounded queues of messages (a [`Link`]), and back-pressure needs no further care: a full
//! queue stops the reading of its source. Frames keep their type and fragmentation; they are masked anew by nature.

use std::cell::RefCell;
use std::time::Duration;

use actix_ws::{CloseCode, CloseReason, Message, MessageStream, ProtocolError, Session};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) const LONGEST_FRAME_BYTES: usize = 1 << 20;
/// Messages between the two sides, each way. With 32 KiB frames this is a quarter of a megabyte.
const QUEUED_MESSAGES: usize = 8;
/// How long a side that sent its close may wait for the answer to come back through the other side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The queues that one leg sees.
pub(crate) struct Link {
    to_other: mpsc::Sender<Message>,
    from_other: mpsc::Receiver<Message>,
}

impl Link {
    pub fn pair() -> (Self, Self) {
        let (to_second, from_first) = mpsc::channel(QUEUED_MESSAGES);
        let (to_first, from_second) = mpsc::channel(QUEUED_MESSAGES);
        (
            Self { to_other: to_second, from_other: from_second },
            Self { to_other: to_first, from_other: from_first },
        )
    }
}

/// Whose leg it is, which decides what the other side is told when this one vanishes.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Sender,
    Listener,
}

impl Side {
    fn vanished(self) -> CloseReason {
        match self {
            Self::Sender => (CloseCode::Away, "the sender is gone").into(),
            Self::Listener => (CloseCode::Error, "the listener is gone").into(),
        }
    }
}

/// Copies frames until either side closes or vanishes, or the relay stops.
pub(crate) async fn pump(
    side: Side,
    session: Session,
    stream: MessageStream,
    link: Link,
    stopping: CancellationToken,
) {
    let Link { to_other, from_other } = link;
    // What was last told to this side; its silence afterwards is an answer, not a loss.
    let told = RefCell::new(None);
    let copy = async {
        let inbound = inbound(side, session.clone(), stream, to_other, &told);
        let outbound = outbound(session.clone(), from_other, &told);
        let mut inbound = std::pin::pin!(inbound);
        let mut outbound = std::pin::pin!(outbound);
        tokio::select! {
            () = &mut inbound => {
                // The other side answers a close, after what it still had to say.
                let _ = timeout(CLOSE_TIMEOUT, &mut outbound).await;
            }
            () = &mut outbound => {
                let _ = timeout(CLOSE_TIMEOUT, &mut inbound).await;
            }
        }
    };
    tokio::select! {
        () = copy => {}
        () = stopping.cancelled() => {
            let reason = (CloseCode::Away, "the relay is stopping").into();
            let _ = timeout(CLOSE_TIMEOUT, session.close(Some(reason))).await;
        }
    }
}

async fn inbound(
    side: Side,
    session: Session,
    mut stream: MessageStream,
    to_other: mpsc::Sender<Message>,
    told: &RefCell<Option<CloseReason>>,
) {
    let close = loop {
        match stream.recv().await {
            Some(Ok(Message::Close(reason))) => break reason,
            Some(Ok(Message::Nop)) => {}
            Some(Ok(message)) => {
                if to_other.send(message).await.is_err() {
                    return;
                }
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a relayed stream broke");
                let reason: Option<CloseReason> = match error {
                    ProtocolError::Io(_) => None,
                    ProtocolError::Overflow => Some((CloseCode::Size, "a frame is longer than 1 MiB").into()),
                    _ => Some((CloseCode::Protocol, "a frame broke the protocol").into()),
                };
                if reason.is_some() {
                    let _ = session.close(reason).await;
                }
                break Some(side.vanished());
            }
            None => {
                let answered = told.borrow_mut().take();
                break Some(answered.unwrap_or_else(|| side.vanished()));
            }
        }
    };
    let _ = to_other.send(Message::Close(close)).await;
}

async fn outbound(
    mut session: Session,
    mut from_other: mpsc::Receiver<Message>,
    told: &RefCell<Option<CloseReason>>,
) {
    while let Some(message) = from_other.recv().await {
        let sent = match message {
            Message::Text(text) => session.text(text).await,
            Message::Binary(data) => session.binary(data).await,
            Message::Continuation(item) => session.continuation(item).await,
            Message::Ping(data) => session.ping(&data).await,
            Message::Pong(data) => session.pong(&data).await,
            Message::Close(reason) => {
                told.replace(Some(reason.clone().unwrap_or_else(|| CloseCode::Normal.into())));
                let _ = session.close(reason).await;
                return;
            }
            Message::Nop => Ok(()),
        };
        if sent.is_err() {
            return;
        }
    }
    let reason = (CloseCode::Error, "the other side of the stream failed inside the relay").into();
    let _ = session.close(Some(reason)).await;
}
