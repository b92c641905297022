//! The transport of `azure_core` 0.21 over the workspace's own HTTP client.

use std::time::Duration;

use async_trait::async_trait;
use azure_core_021::error::{Error, ErrorKind};
use azure_core_021::headers::{HeaderName, HeaderValue, Headers};
use azure_core_021::{Body, HttpClient, Request, Response, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::stream;

/// Longest document accepted from the service: an account is a few kilobytes.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Time for one request including its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) struct Transport(reqwest::Client);

impl Transport {
    /// Redirects are not followed: the bearer token is for one host.
    pub(crate) fn new(tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map(Self)
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core_021::Result<Response> {
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
        let mut outgoing = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        outgoing = match request.body() {
            Body::Bytes(bytes) => outgoing.body(bytes.clone()),
            Body::SeekableStream(_) => {
                return Err(Error::message(
                    ErrorKind::Other,
                    "streamed request bodies are not supported here",
                ));
            }
        };
        let response = outgoing.send().await.map_err(|error| Error::new(ErrorKind::Io, error))?;
        let status = StatusCode::try_from(response.status().as_u16())
            .map_err(|error| Error::message(ErrorKind::DataConversion, error.to_string()))?;
        let headers: std::collections::HashMap<HeaderName, HeaderValue> = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?.to_owned();
                Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value)))
            })
            .collect();
        let body = collect(response).await?;
        let whole = stream::once(futures::future::ready(Ok(body)));
        Ok(Response::new(status, Headers::from(headers), Box::pin(whole)))
    }
}

/// The whole body, or an error when it is longer than an answer of this service can be.
async fn collect(mut response: reqwest::Response) -> azure_core_021::Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Error::new(ErrorKind::Io, error))? {
        if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
            return Err(Error::message(
                ErrorKind::Io,
                format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
