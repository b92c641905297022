//! The token that lets this agent listen at the relay: kept on disk, renewed within sessions, and over HTTPS after an
//! absence that outlived it or when the relay no longer takes it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livedata_model::message::ListenToken;
use livedata_relay::{Endpoint, Grant, Token};
use livedata_session::enrolment::{Enrolled, RelayAccess, client};

/// A token with less life than this is not worth a connection.
const SHORTEST_LIFE_SECONDS: i64 = 30;

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub struct Access {
    folder: PathBuf,
    enrolled: Enrolled,
    state: Mutex<State>,
}

struct State {
    relay: RelayAccess,
    /// The relay has said no to this token: not to be shown again.
    refused: bool,
}

impl Access {
    pub fn new(folder: PathBuf, enrolled: Enrolled) -> Arc<Self> {
        let state = Mutex::new(State { relay: enrolled.relay.clone(), refused: false });
        Arc::new(Self { folder, enrolled, state })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enrolled(&self) -> &Enrolled {
        &self.enrolled
    }

    /// Where to listen now; it may change with a renewal.
    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        let relay = self.state().relay.clone();
        Ok(Endpoint::new(relay.url.parse()?, relay.path.clone(), Arc::new(relay.trust()?)))
    }

    /// Whether `endpoint` is still the place to listen at.
    pub fn is_at(&self, endpoint: &Endpoint) -> bool {
        let state = self.state();
        endpoint.path == state.relay.path && state.relay.url.parse().is_ok_and(|url| endpoint.url == url)
    }

    /// The relay refused the present token.
    pub fn token_refused(&self) {
        self.state().refused = true;
    }

    /// The present token, or a new one if that is spent.
    pub async fn grant(&self) -> Result<Grant, Failure> {
        let (mut relay, refused) = {
            let state = self.state();
            (state.relay.clone(), state.refused)
        };
        if refused || seconds_left(relay.listen_token_expires_at) < SHORTEST_LIFE_SECONDS {
            relay = client::renew_token(&self.enrolled).await?;
            tracing::info!("a new relay token came over HTTPS");
            self.keep(relay.clone()).await?;
        }
        let left = u64::try_from(seconds_left(relay.listen_token_expires_at)).unwrap_or(0);
        Ok(Grant { token: Token::new(relay.listen_token.0), lifetime: Duration::from_secs(left) })
    }

    /// A token that came within a session.
    pub async fn renewed(&self, token: ListenToken) -> Result<(), Failure> {
        let mut relay = self.state().relay.clone();
        (relay.listen_token, relay.listen_token_expires_at) = (token.token, token.expires_at);
        self.keep(relay).await
    }

    /// On disk first: what is in memory only would be lost with the process.
    async fn keep(&self, relay: RelayAccess) -> Result<(), Failure> {
        let enrolled = Enrolled { relay: relay.clone(), ..self.enrolled.clone() };
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || enrolled.save(&folder)).await??;
        *self.state() = State { relay, refused: false };
        Ok(())
    }
}

fn seconds_left(expires_at: i64) -> i64 {
    expires_at - crate::clock::now_ms() / 1000
}
