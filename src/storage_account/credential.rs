//! Credentials of azure_core 1 where azure_core 0.21 wants its own kind.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::{Error, ErrorKind};
use azure_core_021::auth::AccessToken;
use azure_core_021::error::{Error as ManagementError, ErrorKind as ManagementErrorKind};

/// As `azure_mgmt_storage` takes it.
#[derive(Debug)]
pub(crate) struct Bridge(pub Arc<dyn TokenCredential>);

#[async_trait]
impl azure_core_021::auth::TokenCredential for Bridge {
    async fn get_token(&self, scopes: &[&str]) -> azure_core_021::Result<AccessToken> {
        let token = self.0.get_token(scopes, None).await.map_err(refusal)?;
        Ok(AccessToken::new(token.token.secret().to_owned(), token.expires_on))
    }

    /// Nothing to clear: a token is kept until shortly before it ends, and rights are looked up with each request.
    async fn clear_cache(&self) -> azure_core_021::Result<()> {
        Ok(())
    }
}

/// An authority that knows us and says no is the same as a 401 of the service itself.
fn refusal(error: Error) -> ManagementError {
    let cause = error.downcast_ref::<Error>().unwrap_or(&error);
    match cause.kind() {
        ErrorKind::HttpResponse { status, .. } if status.is_client_error() => ManagementError::message(
            ManagementErrorKind::http_response(azure_core_021::StatusCode::Unauthorized, None),
            format!("no token was granted: {cause}"),
        ),
        // Set up in a way that can never work, e.g. a token file that is not there.
        ErrorKind::Credential => ManagementError::message(
            ManagementErrorKind::http_response(azure_core_021::StatusCode::Unauthorized, None),
            format!("no token could be asked for: {cause}"),
        ),
        _ => ManagementError::new(ManagementErrorKind::Io, error),
    }
}
