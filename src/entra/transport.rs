//! The last step of `azure_core`'s pipeline, over the workspace's own HTTP client: small requests and small answers.

use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request};
use bytes::{Bytes, BytesMut};

/// Longest answer accepted: a token or a wrapped key is a few kilobytes.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// Time for one request including its body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Follows no redirects: a bearer token is for one host.
#[derive(Clone, Debug)]
pub struct Transport(reqwest::Client);

impl Transport {
    pub fn new(tls: rustls::ClientConfig) -> azure_core::Result<Self> {
        Self::build(reqwest::Client::builder().tls_backend_preconfigured(tls))
    }

    pub(crate) fn to_this_machine() -> azure_core::Result<Self> {
        Self::build(reqwest::Client::builder().no_proxy())
    }

    fn build(builder: reqwest::ClientBuilder) -> azure_core::Result<Self> {
        let client = builder.redirect(reqwest::redirect::Policy::none()).timeout(REQUEST_TIMEOUT).build();
        client.map(Self).map_err(|error| Error::with_error(ErrorKind::Other, error, "no HTTP client"))
    }

    /// One try. Errors name no address: it may hold what nobody else shall see.
    pub(crate) async fn send(&self, request: &Request) -> azure_core::Result<(u16, Headers, Bytes)> {
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "bodies are not streamed here"));
        };
        let method = reqwest::Method::from_bytes(request.method().as_str().as_bytes())
            .map_err(|error| Error::with_error(ErrorKind::Other, error, "not an HTTP method"))?;
        let mut outgoing = self.0.request(method, request.url().clone()).body(body.clone());
        for (name, value) in request.headers().iter() {
            outgoing = outgoing.header(name.as_str(), value.as_str());
        }
        let mut response = outgoing.send().await.map_err(|error| no_answer(error, request))?;
        let status = response.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| no_answer(error, request))? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                let message = format!("the answer is longer than {MAX_RESPONSE_BYTES} bytes");
                return Err(Error::with_message(ErrorKind::Io, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, headers, body.freeze()))
    }
}

fn no_answer(error: reqwest::Error, request: &Request) -> Error {
    let host = request.url().host_str().unwrap_or_default().to_owned();
    Error::with_error(ErrorKind::Io, error.without_url(), format!("{host} did not answer"))
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, body) = self.send(request).await?;
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}
