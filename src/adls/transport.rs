//! The last step of the pipeline: a request becomes bytes on a connection.
//!
//! Bodies go out in pieces of at most 64 KiB, slices of the caller's buffer. With a [`Throttle`] each piece is booked and
//! waited for before the socket sees it, so a cap holds on the wire and not only over whole requests. A request is given
//! up when nothing has moved for [`SILENCE`]; time spent waiting for bandwidth does not count as silence, which is why
//! reqwest's own time-outs are not used.

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream, Stream};
use livedata_filesystem::throttle::GRANT_BYTES;
use tokio::time::Instant;

use crate::{Network, Throttle};

/// Longest time without any progress: above the service's own limit for one operation (30 s for metadata, more for data).
const SILENCE: Duration = Duration::from_secs(90);
const CONNECT: Duration = Duration::from_secs(15);
/// Below the four minutes after which load balancers in front of the service drop idle connections without a word.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// Whoever waits for bandwidth asks again after this time: the cap may have been raised meanwhile.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Transport {
    client: reqwest::Client,
    throttle: Option<Throttle>,
}

impl Transport {
    pub(crate) fn new(
        network: &Network,
        throttle: Option<Throttle>,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE_CONNECTION)
            .redirect(reqwest::redirect::Policy::none())
            // The storage service speaks HTTP/1.1 only; one request per connection is also what spreads load there.
            .http1_only()
            .tcp_nodelay(true);
        Ok(Self { client: network.apply(builder)?.build()?, throttle })
    }

    fn body(&self, data: Bytes, watch: Arc<Watch>) -> reqwest::Body {
        if data.len() as u64 <= GRANT_BYTES && self.throttle.is_none() {
            reqwest::Body::from(data)
        } else {
            reqwest::Body::wrap_stream(pieces(data, self.throttle.clone(), watch))
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let data = match request.body() {
            Body::Bytes(data) => data.clone(),
            Body::SeekableStream(_) => {
                return Err(Error::with_message(
                    ErrorKind::Other,
                    "this client only sends bodies that are in memory",
                ));
            }
        };
        let mut outgoing = self.client.request(method(request.method())?, request.url().clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let watch = Arc::new(Watch::new());
        if !data.is_empty() {
            // The request carries its content-length, which is signed; without it a streamed body would go out chunked.
            outgoing = outgoing.body(self.body(data, Arc::clone(&watch)));
        }
        let response = watch.guard(outgoing.send()).await?.map_err(|error| {
            let kind = if error.is_connect() {
                ErrorKind::Connection
            } else if error.is_builder() {
                ErrorKind::Other
            } else {
                ErrorKind::Io
            };
            // Its query may hold a signature.
            Error::with_error(kind, error.without_url(), "the request failed")
        })?;
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(AsyncRawResponse::new(response.status().as_u16().into(), headers, reply_body(response)))
    }
}

fn method(method: Method) -> azure_core::Result<reqwest::Method> {
    reqwest::Method::from_bytes(method.as_str().as_bytes())
        .map_err(|error| Error::with_error(ErrorKind::Other, error, "not an HTTP method"))
}

/// The body in grants, each handed out when its time has come.
fn pieces(
    data: Bytes,
    throttle: Option<Throttle>,
    watch: Arc<Watch>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((data, throttle, watch), async |(mut rest, throttle, watch)| {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(rest.len().min(GRANT_BYTES as usize));
        if let Some(throttle) = &throttle {
            grant(throttle, piece.len() as u64, &watch).await;
        }
        watch.moved();
        Some((Ok(piece), (rest, throttle, watch)))
    })
}

/// Returns when so many bytes may go.
async fn grant(throttle: &Throttle, bytes: u64, watch: &Watch) {
    let ticket = throttle.book(bytes);
    loop {
        let wait = throttle.wait(ticket).min(ASK_AGAIN);
        if wait.is_zero() {
            return;
        }
        watch.moved();
        tokio::time::sleep(wait).await;
    }
}

fn reply_body(response: reqwest::Response) -> BoxStream<'static, azure_core::Result<Bytes>> {
    let bytes = Box::pin(response.bytes_stream());
    stream::unfold(Some(bytes), async |bytes| {
        let mut bytes = bytes?;
        match tokio::time::timeout(SILENCE, bytes.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(bytes))),
            Ok(Some(Err(error))) => {
                let error = Error::with_error(ErrorKind::Io, error.without_url(), "the reply broke off");
                Some((Err(error), None))
            }
            Err(_) => Some((Err(silence("in the middle of a reply")), None)),
        }
    })
    .boxed()
}

fn silence(when: &str) -> Error {
    let message = format!("nothing arrived for {} s {when}", SILENCE.as_secs());
    Error::with_message(ErrorKind::Io, message)
}

/// When a request counts as stuck: each piece that moves puts it off.
#[derive(Debug)]
struct Watch(Mutex<Instant>);

impl Watch {
    fn new() -> Self {
        Self(Mutex::new(Instant::now() + SILENCE))
    }

    /// Something moved, or waits for bandwidth.
    fn moved(&self) {
        *self.lock() = Instant::now() + SILENCE;
    }

    async fn guard<T>(&self, request: impl Future<Output = T>) -> azure_core::Result<T> {
        let mut request = std::pin::pin!(request);
        loop {
            let deadline = *self.lock();
            if let Ok(answer) = tokio::time::timeout_at(deadline, &mut request).await {
                return Ok(answer);
            }
            if *self.lock() <= Instant::now() {
                return Err(silence("after the request"));
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        // A poisoned lock only means that a holder panicked around one plain assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use livedata_filesystem::throttle::Bandwidth;

    use super::*;

    async fn collect(data: Bytes, throttle: Option<Throttle>) -> Vec<(Duration, Bytes)> {
        let begun = Instant::now();
        let watch = Arc::new(Watch::new());
        pieces(data, throttle, watch).map(|piece| (begun.elapsed(), piece.unwrap())).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_are_slices_of_at_most_a_grant() {
        let data = Bytes::from(vec![7; 150_000]);
        let sent = collect(data.clone(), None).await;
        let lengths: Vec<usize> = sent.iter().map(|(_, piece)| piece.len()).collect();
        assert_eq!(lengths, [65_536, 65_536, 18_928]);
        assert_eq!(sent[1].1.as_ptr(), data[65_536..].as_ptr(), "slices, not copies");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cap_spaces_the_pieces() {
        let cap = Throttle::new(Arc::new(Bandwidth::new(Some(65_536))), Instant::now());
        let sent = collect(Bytes::from(vec![7; 4 * 65_536]), Some(cap)).await;
        let seconds: Vec<u64> = sent.iter().map(|(at, _)| at.as_millis() as u64 / 1000).collect();
        assert_eq!(seconds, [0, 1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_bandwidth_is_not_silence() {
        let begun = Instant::now();
        let throttle = Throttle::new(Arc::new(Bandwidth::new(Some(10))), begun);
        let watch = Watch::new();
        let answer = watch
            .guard(async {
                for _ in 0..3 {
                    grant(&throttle, 10_000, &watch).await;
                }
                "done"
            })
            .await;
        assert_eq!(answer.unwrap(), "done");
        assert_eq!(begun.elapsed().as_secs(), 2_000, "much longer than what counts as silence");
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_cap_frees_those_that_wait() {
        let begun = Instant::now();
        let cap = Arc::new(Bandwidth::new(Some(1)));
        let throttle = Throttle::new(Arc::clone(&cap), begun);
        let sending = tokio::spawn(collect(Bytes::from(vec![7; 2 * 65_536]), Some(throttle)));
        tokio::time::sleep(Duration::from_secs(10)).await;
        cap.set_rate(begun.elapsed(), None);
        let sent = sending.await.unwrap();
        assert_eq!(sent.len(), 2);
        assert!(sent[1].0 <= Duration::from_secs(11), "not after 18 hours: {:?}", sent[1].0);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_request() {
        let begun = Instant::now();
        let answer = Watch::new().guard(futures::future::pending::<()>()).await;
        assert!(matches!(answer.unwrap_err().kind(), ErrorKind::Io));
        assert_eq!(begun.elapsed().as_secs(), SILENCE.as_secs());
    }
}
