//! The side that opens streams: the control plane.

use std::time::Duration;

use uuid::Uuid;

use crate::address::{Action, open_address};
use crate::endpoint::{Endpoint, without_query};
use crate::error::Result;
use crate::handshake::{Answer, Upgrade, upgrade};
use crate::sas::Token;
use crate::stream::{self, RelayStream};

/// A relay waits 30 s for the listener before it answers 504; this must be longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Opens streams to whoever listens at an endpoint.
pub struct Sender;

impl Sender {
    /// Opens a stream to a listener at `endpoint`. `suffix` is appended to the path and is visible to the listener.
    ///
    /// Fails with `NoListener`, `Unauthorized`, `Forbidden`, `Rejected` (the listener's own status), `Timeout` (the
    /// listener was told and did not come), `Unavailable` or `Unreachable`.
    pub async fn connect(endpoint: &Endpoint, suffix: &str, token: &Token) -> Result<RelayStream> {
        let id = Uuid::new_v4().to_string();
        let url = open_address(&endpoint.url, &endpoint.path, suffix, Action::Connect, &id);
        let answer = upgrade(Upgrade {
            url: &url,
            tls: &endpoint.tls,
            token: Some(token),
            open_timeout: endpoint.open_timeout,
            answer_timeout: ANSWER_TIMEOUT,
            config: stream::socket_config(),
        })
        .await?;
        match answer {
            Answer::Open(socket) => Ok(RelayStream::new(*socket, endpoint.frame_bytes)),
            Answer::Refused(refused) => Err(refused.into_error(without_query(&url))),
        }
    }
}
