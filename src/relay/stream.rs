//! A relayed byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::handshake::WebSocket;

const LONGEST_FRAME_BYTES: usize = 1 << 20;
/// Other clients may write messages of any length; this one cuts its own.
const LONGEST_MESSAGE_BYTES: usize = 16 << 20;

/// How the WebSocket under a stream is configured.
pub(crate) fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(32 * 1024)
        // Every message goes to the socket at once; the library would otherwise collect 128 KiB first.
        .write_buffer_size(0)
        .max_frame_size(Some(LONGEST_FRAME_BYTES))
        .max_message_size(Some(LONGEST_MESSAGE_BYTES))
}

/// Bytes to and from the other side of a relay. Reliable and ordered, with back-pressure.
///
/// - Message boundaries carry no meaning: a relay may cut or join messages.
/// - What was written is on its way for sure only after `flush`, as with any buffered writer.
/// - `shutdown` closes both directions (a WebSocket cannot be closed by half). A close by the other side with code 1000
///   or none reads as end of file; any other code, and a connection that ends without a close, reads as an error.
pub struct RelayStream {
    socket: WebSocket,
    unread: Bytes,
    frame_bytes: usize,
    ended: bool,
    closing: bool,
}

impl RelayStream {
    pub(crate) fn new(socket: WebSocket, frame_bytes: usize) -> Self {
        Self { socket, unread: Bytes::new(), frame_bytes: frame_bytes.max(1), ended: false, closing: false }
    }
}

impl AsyncRead for RelayStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.unread.is_empty() {
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut this.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(data))) => this.unread = data,
                Some(Ok(Message::Text(text))) => this.unread = text.into(),
                Some(Ok(Message::Close(frame))) => {
                    this.ended = true;
                    // The library has queued its own close; the next poll puts it on the wire. Whether that succeeds
                    // does not matter any more.
                    let _ = Pin::new(&mut this.socket).poll_next(cx);
                    if let Some(error) = close_error(frame) {
                        return Poll::Ready(Err(error));
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None if this.closing => this.ended = true,
                Some(Err(error)) => {
                    this.ended = true;
                    return Poll::Ready(Err(io_error(error)));
                }
                None => {
                    this.ended = true;
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
        let count = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..count]);
        this.unread.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RelayStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.closing {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(Pin::new(&mut this.socket).poll_ready(cx)).map_err(io_error)?;
        let count = data.len().min(this.frame_bytes);
        if count > 0 {
            let message = Message::Binary(Bytes::copy_from_slice(&data[..count]));
            Pin::new(&mut this.socket).start_send(message).map_err(io_error)?;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(Ok(()));
        }
        if !this.closing {
            ready!(Pin::new(&mut this.socket).poll_ready(cx)).map_err(io_error)?;
            this.closing = true;
            let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            match Pin::new(&mut this.socket).start_send(Message::Close(Some(close))) {
                // The other side was faster.
                Err(
                    SocketError::ConnectionClosed | SocketError::AlreadyClosed | SocketError::Protocol(_),
                ) => {
                    return Poll::Ready(Ok(()));
                }
                other => other.map_err(io_error)?,
            }
        }
        Pin::new(&mut this.socket).poll_flush(cx).map_err(io_error)
    }
}

fn close_error(frame: Option<CloseFrame>) -> Option<io::Error> {
    let frame = frame.filter(|frame| !matches!(frame.code, CloseCode::Normal | CloseCode::Status))?;
    Some(io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("the relay closed the stream with code {}: {}", u16::from(frame.code), frame.reason),
    ))
}

/// What a WebSocket failure looks like to somebody who only knows streams.
pub(crate) fn io_error(error: SocketError) -> io::Error {
    match error {
        SocketError::Io(error) => error,
        SocketError::ConnectionClosed | SocketError::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::dial::Transport;

    /// Two streams that talk WebSocket over memory: what the relay does in between is not part of these tests.
    async fn pair() -> (RelayStream, RelayStream) {
        let (one, two) = tokio::io::duplex(8 * 1024);
        let stream = async |end, role| {
            let transport: Transport = Box::new(end);
            let socket = WebSocketStream::from_raw_socket(transport, role, Some(socket_config())).await;
            RelayStream::new(socket, 1024)
        };
        (stream(one, Role::Client).await, stream(two, Role::Server).await)
    }

    #[tokio::test]
    async fn bytes_arrive_whole_and_in_order() {
        let (mut one, mut two) = pair().await;
        let sent: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            one.write_all(&sent).await.unwrap();
            one.shutdown().await.unwrap();
        });
        let mut received = Vec::new();
        two.read_to_end(&mut received).await.unwrap();
        writer.await.unwrap();
        assert_eq!(received, expected);
    }

    #[tokio::test]
    async fn a_writer_waits_for_a_slow_reader() {
        let (mut one, _two) = pair().await;
        let mut written = 0;
        futures::future::poll_fn(|cx| {
            loop {
                match Pin::new(&mut one).poll_write(cx, &[0; 1024]) {
                    Poll::Ready(result) => written += result.unwrap(),
                    Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
        assert!(written <= 10 * 1024, "{written} bytes were taken although nobody reads");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_not_an_end_of_file() {
        let (mut one, two) = pair().await;
        drop(two);
        assert!(one.read_u8().await.is_err());
        let mut rest = Vec::new();
        assert_eq!(one.read_to_end(&mut rest).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_close_by_the_relay_keeps_its_reason() {
        let (mut one, mut two) = pair().await;
        let frame = CloseFrame { code: CloseCode::Policy, reason: "the token has expired".into() };
        Pin::new(&mut two.socket).start_send(Message::Close(Some(frame))).unwrap();
        two.flush().await.unwrap();
        let error = one.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(error.to_string().contains("1008: the token has expired"), "{error}");
    }
}
