//! Bodies that arrive or leave at a ceiling, or break off.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody as _, SizedStream};
use actix_web::dev;
use actix_web::error::PayloadError;
use actix_web::{FromRequest as _, HttpRequest, web};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::connection::Connection;
use super::effect::Effect;

/// What passes a ceiling in one piece. Requests come in pieces of about this size; replies are cut.
const PIECE_BYTES: usize = 32 * 1024;

/// Where a body breaks off, and the connection with it.
pub(super) struct Broken {
    left_bytes: u64,
    connection: Option<Connection>,
}

impl Broken {
    pub(super) fn new(after_bytes: u64, connection: Option<Connection>) -> Self {
        Self { left_bytes: after_bytes, connection }
    }

    /// How many of `bytes` more still pass.
    fn allow(&mut self, bytes: usize) -> usize {
        let allowed = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(bytes);
        self.left_bytes -= allowed as u64;
        allowed
    }

    fn reset(&self) {
        self.connection.iter().for_each(Connection::reset);
    }
}

#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

async fn pass(ceilings: &[Arc<Effect>], way: Way, bytes: usize) {
    for ceiling in ceilings {
        let Effect::Bandwidth(bandwidth) = &**ceiling else { continue };
        let pacer = match way {
            Way::In => bandwidth.ingress(),
            Way::Out => bandwidth.egress(),
        };
        if let Some((pacer, rate)) = pacer {
            pacer.pass(bytes, rate).await;
        }
    }
}

/// Puts the ceilings, or where it breaks, between the request's body and whoever reads it.
pub(super) async fn change_request(
    request: &HttpRequest,
    payload: &mut web::Payload,
    ceilings: Vec<Arc<Effect>>,
    broken: Option<Broken>,
) {
    // The only way to make a `web::Payload` is to extract it; that does not fail.
    let Ok(nothing) = web::Payload::from_request(request, &mut dev::Payload::None).await else { return };
    let body = std::mem::replace(payload, nothing).into_inner();
    let state = (Some(body), ceilings, broken);
    let changed = futures::stream::unfold(state, |(body, ceilings, mut broken)| async move {
        let mut body = body?;
        let chunk = match body.next().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(error), (None, ceilings, broken))),
        };
        pass(&ceilings, Way::In, chunk.len()).await;
        if let Some(broken) = &mut broken
            && broken.allow(chunk.len()) < chunk.len()
        {
            broken.reset();
            return Some((Err(PayloadError::Incomplete(None)), (None, ceilings, None)));
        }
        Some((Ok(chunk), (Some(body), ceilings, broken)))
    });
    let changed: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(changed);
    let mut changed = dev::Payload::Stream { payload: changed };
    if let Ok(changed) = web::Payload::from_request(request, &mut changed).await {
        *payload = changed;
    }
}

/// The same for the body of a reply.
pub(super) fn change_reply(
    body: BoxBody,
    bytes: u64,
    ceilings: Vec<Arc<Effect>>,
    broken: Option<Broken>,
) -> BoxBody {
    let state = (Some(body), Bytes::new(), ceilings, broken);
    let changed = futures::stream::unfold(state, |(body, mut waiting, ceilings, mut broken)| async move {
        let mut body = body?;
        while waiting.is_empty() {
            match std::future::poll_fn(|context| body.as_pin_mut().poll_next(context)).await? {
                Ok(chunk) => waiting = chunk,
                Err(error) => {
                    let error = std::io::Error::other(error.to_string());
                    return Some((Err(error), (None, waiting, ceilings, broken)));
                }
            }
        }
        let mut length = waiting.len().min(PIECE_BYTES);
        if let Some(broken) = &mut broken {
            length = broken.allow(length);
            if length == 0 {
                // What was let through so far is sent first.
                tokio::task::yield_now().await;
                broken.reset();
                let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
                return Some((Err(error), (None, waiting, ceilings, None)));
            }
        }
        let piece = waiting.split_to(length);
        pass(&ceilings, Way::Out, piece.len()).await;
        Some((Ok(piece), (Some(body), waiting, ceilings, broken)))
    });
    BoxBody::new(SizedStream::new(bytes, changed))
}
