//! Messages over a stream with a known peer: each is a u32 big-endian length and that many bytes of CBOR.

use bytes::Bytes;
use futures::{SinkExt, StreamExt as _};
use livedata_model::cbor;
use livedata_model::message::{MAX_MESSAGE_BYTES, Message};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec, LengthDelimitedCodecError};

use crate::{Error, tls};

/// A byte stream as the relay gives it.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

type Boxed = Box<dyn Transport>;

/// Both directions. Made by [`crate::tls`] only: whoever holds one knows the peer.
pub struct Channel {
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Channel {
    pub(crate) fn over(stream: impl Transport + 'static) -> Self {
        let (read, write) = tokio::io::split(Box::new(stream) as Boxed);
        Self {
            incoming: Incoming { frames: FramedRead::new(read, codec()) },
            outgoing: Outgoing { frames: FramedWrite::new(write, codec()) },
        }
    }

    /// See [`Outgoing::send`].
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.outgoing.send(message).await
    }

    /// See [`Incoming::recv`].
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.incoming.recv().await
    }

    pub fn split(self) -> (Incoming, Outgoing) {
        (self.incoming, self.outgoing)
    }
}

pub struct Incoming {
    frames: FramedRead<ReadHalf<Boxed>, LengthDelimitedCodec>,
}

impl Incoming {
    /// The next message; `None` when the peer closed in good order. A stream that ends inside a frame, or without the
    /// farewell of TLS, is an error: somebody cut it. May be dropped and called again without losing anything.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        match self.frames.next().await {
            None => Ok(None),
            Some(Err(error)) => Err(failure(error)),
            Some(Ok(frame)) => cbor::decode(&frame).map(Some).map_err(Error::Malformed),
        }
    }
}

pub struct Outgoing {
    frames: FramedWrite<WriteHalf<Boxed>, LengthDelimitedCodec>,
}

impl Outgoing {
    /// Returns when the message has left for the transport. Do not drop it half-way: the message may be lost.
    pub async fn send(&mut self, message: &Message) -> Result<(), Error> {
        self.frames.send(Bytes::from(cbor::encode(message))).await.map_err(failure)
    }

    /// Ends the stream in good order.
    pub async fn close(&mut self) -> Result<(), Error> {
        SinkExt::<Bytes>::close(&mut self.frames).await.map_err(failure)
    }
}

/// The kind of a message, for errors: never its content.
pub(crate) fn name_of(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "Hello",
        Message::Welcome(_) => "Welcome",
        Message::Refused(_) => "Refused",
        Message::Sync(_) => "Sync",
        Message::SyncAck(_) => "SyncAck",
        Message::Report(_) => "Report",
        Message::ReportAck(_) => "ReportAck",
        Message::Echo(_) => "Echo",
        Message::EchoReply(_) => "EchoReply",
        Message::ListenToken(_) => "ListenToken",
        Message::Commands(_) => "Commands",
        Message::CommandAck(_) => "CommandAck",
        Message::FailedPathsPart(_) => "FailedPathsPart",
        Message::FailedPathsAck(_) => "FailedPathsAck",
        Message::Unknown(_) => "a message of an unknown kind",
    }
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(4).max_frame_length(MAX_MESSAGE_BYTES).new_codec()
}

fn failure(error: std::io::Error) -> Error {
    if error.get_ref().is_some_and(|inner| inner.is::<LengthDelimitedCodecError>()) {
        return Error::TooLong;
    }
    tls::from_io(error)
}

#[cfg(test)]
mod tests {
    use livedata_model::message::{Echo, Refused};
    use tokio::io::{AsyncWriteExt as _, DuplexStream};

    use super::*;

    fn pair() -> (DuplexStream, Channel) {
        let (ours, theirs) = tokio::io::duplex(4096);
        (ours, Channel::over(theirs))
    }

    #[tokio::test]
    async fn a_message_crosses_and_a_clean_end_is_none() {
        let (near, mut far) = pair();
        let mut near = Channel::over(near);
        let echo = Message::Echo(Echo { sent_ms: 1, clock_ms: 2 });
        near.send(&echo).await.unwrap();
        assert_eq!(far.recv().await.unwrap(), Some(echo));
        near.split().1.close().await.unwrap();
        assert_eq!(far.recv().await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_length_is_big_endian() {
        let (mut near, mut far) = pair();
        let body = cbor::encode(&Message::Echo(Echo { sent_ms: 1, clock_ms: 2 }));
        near.write_all(&[&[0, 0, 0, u8::try_from(body.len()).unwrap()], body.as_slice()].concat())
            .await
            .unwrap();
        assert!(matches!(far.recv().await, Ok(Some(Message::Echo(_)))));
    }

    #[tokio::test]
    async fn a_frame_beyond_the_maximum_is_refused_on_its_length_alone() {
        let (mut near, mut far) = pair();
        near.write_u32(u32::try_from(MAX_MESSAGE_BYTES).unwrap() + 1).await.unwrap();
        assert!(matches!(far.recv().await, Err(Error::TooLong)));

        let (_near, mut far) = pair();
        let long = Refused { code: "x".into(), message: "x".repeat(MAX_MESSAGE_BYTES) };
        assert!(matches!(far.send(&Message::Refused(long)).await, Err(Error::TooLong)));
    }

    #[tokio::test]
    async fn a_truncated_frame_is_an_error() {
        for cut in [vec![0, 0], vec![0, 0, 0, 9, 1, 2]] {
            let (mut near, mut far) = pair();
            near.write_all(&cut).await.unwrap();
            drop(near);
            assert!(matches!(far.recv().await, Err(Error::Connection(_))));
        }
    }

    #[tokio::test]
    async fn junk_is_an_error() {
        let (mut near, mut far) = pair();
        near.write_all(&[0, 0, 0, 2, 0xff, 0xff]).await.unwrap();
        assert!(matches!(far.recv().await, Err(Error::Malformed(_))));
    }
}
