//! Tokens by the OAuth 2.0 client credentials grant at `{authority}/{tenant}/oauth2/v2.0/token`.

use std::fmt;

use async_trait::async_trait;
use azure_core_021::StatusCode;
use azure_core_021::auth::{AccessToken, TokenCredential};
use azure_core_021::error::{Error, ErrorKind};
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;
use url::Url;

use crate::transport::Transport;

/// A cached token is renewed this long before it ends.
const RENEW_BEFORE: Duration = Duration::minutes(5);

pub(crate) struct ClientCredentials {
    transport: Transport,
    token_endpoint: Url,
    client_id: String,
    client_secret: String,
    /// Holding it while a token is fetched makes concurrent callers share one request.
    cached: Mutex<Option<AccessToken>>,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct TokenReply {
    access_token: String,
    /// Seconds.
    expires_in: i64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl ClientCredentials {
    pub(crate) fn new(
        transport: Transport,
        token_endpoint: Url,
        client_id: String,
        client_secret: String,
    ) -> Self {
        Self { transport, token_endpoint, client_id, client_secret, cached: Mutex::new(None) }
    }

    async fn fetch(&self, scope: &str) -> azure_core_021::Result<AccessToken> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &self.client_id)
            .append_pair("client_secret", &self.client_secret)
            .append_pair("scope", scope)
            .finish();
        let response = self
            .transport
            .client()
            .post(self.token_endpoint.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .map_err(|error| Error::new(ErrorKind::Io, error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| Error::new(ErrorKind::Io, error))?;
        if status.is_client_error() {
            return Err(refused(&body));
        }
        if !status.is_success() {
            return Err(Error::message(ErrorKind::Io, format!("the token endpoint answered {status}")));
        }
        let reply: TokenReply =
            serde_json::from_slice(&body).map_err(|error| Error::new(ErrorKind::DataConversion, error))?;
        Ok(AccessToken::new(
            reply.access_token,
            OffsetDateTime::now_utc() + Duration::seconds(reply.expires_in),
        ))
    }
}

/// The authority knows us and says no: the same as a 401 of the service itself.
fn refused(body: &[u8]) -> Error {
    let why = serde_json::from_slice::<Refusal>(body).map_or_else(
        |_| "no reason given".to_owned(),
        |refusal| format!("{}: {}", refusal.error, refusal.error_description),
    );
    Error::message(
        ErrorKind::http_response(StatusCode::Unauthorized, None),
        format!("no token was granted ({why})"),
    )
}

#[async_trait]
impl TokenCredential for ClientCredentials {
    async fn get_token(&self, scopes: &[&str]) -> azure_core_021::Result<AccessToken> {
        let mut cached = self.cached.lock().await;
        if let Some(token) = cached.as_ref()
            && token.expires_on - RENEW_BEFORE > OffsetDateTime::now_utc()
        {
            return Ok(token.clone());
        }
        let token = self.fetch(&scopes.join(" ")).await?;
        *cached = Some(token.clone());
        Ok(token)
    }

    async fn clear_cache(&self) -> azure_core_021::Result<()> {
        *self.cached.lock().await = None;
        Ok(())
    }
}
