//! The token that lets this agent listen at the relay: kept on disk, renewed within sessions, and over HTTPS after an
//! absence that outlived it or when the relay no longer takes it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use livedata_model::message::ListenToken;
use livedata_relay::{Endpoint, Grant, Token};
use livedata_session::enrolment::{Enrolled, RelayAccess, client};
use tokio::sync::watch;

/// A token with less life than this is not worth a connection.
const SHORTEST_LIFE_SECONDS: i64 = 30;
/// The provider's word for an agent that it does not have, or no longer.
const AGENT_UNKNOWN: &str = "AgentUnknown";

type Failure = Box<dyn std::error::Error + Send + Sync>;

pub struct Access {
    folder: PathBuf,
    enrolled: Enrolled,
    state: Mutex<State>,
    /// Held while the enrolment is written.
    saving: tokio::sync::Mutex<()>,
    /// Whether the provider said that this agent is nobody's.
    disowned: watch::Sender<bool>,
}

struct State {
    relay: RelayAccess,
    /// A token that the relay has refused: not to be shown again.
    refused: Option<String>,
    /// Whether the provider has been heard since this process started.
    heard: bool,
}

impl Access {
    pub fn new(folder: PathBuf, enrolled: Enrolled) -> Arc<Self> {
        let state = Mutex::new(State { relay: enrolled.relay.clone(), refused: None, heard: false });
        let (saving, disowned) = (tokio::sync::Mutex::new(()), watch::Sender::new(false));
        Arc::new(Self { folder, enrolled, state, saving, disowned })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn enrolled(&self) -> &Enrolled {
        &self.enrolled
    }

    /// While this is true nothing may be copied: the migrator was deleted, or another agent has taken it over.
    pub fn disowned(&self) -> watch::Receiver<bool> {
        self.disowned.subscribe()
    }

    /// The provider has welcomed this agent.
    pub fn owned(&self) {
        self.disowned.send_replace(false);
    }

    /// Where to listen now; it may change with a renewal.
    pub fn relay(&self) -> RelayAccess {
        self.state().relay.clone()
    }

    /// Whether what was given by [`Access::relay`] is still the place to listen at.
    pub fn is_at(&self, place: &RelayAccess) -> bool {
        let now = &self.state().relay;
        (&now.url, &now.path, &now.ca_pem) == (&place.url, &place.path, &place.ca_pem)
    }

    /// The relay refused the present token. Whether it is the first that it refuses: then another may do.
    pub fn token_refused(&self) -> bool {
        let mut state = self.state();
        let token = state.relay.listen_token.0.clone();
        state.refused.replace(token).is_none()
    }

    /// The relay took the present token.
    pub fn token_taken(&self) {
        self.state().refused = None;
    }

    /// The present token, or a new one if that is spent. A process that has just started asks for a new one in any case: if
    /// this agent has lost its migrator while it was away, that is how it learns it. When nobody answers there the old one
    /// will do, as long as it lives.
    pub async fn grant(&self) -> Result<Grant, Failure> {
        let (mut relay, refused, heard) = {
            let state = self.state();
            let refused = state.refused.as_ref() == Some(&state.relay.listen_token.0);
            (state.relay.clone(), refused, state.heard)
        };
        let spent = refused || seconds_left(relay.listen_token_expires_at) < SHORTEST_LIFE_SECONDS;
        if spent || !heard {
            match self.renew().await {
                Ok(renewed) => relay = renewed,
                Err(error) if spent || *self.disowned.borrow() => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        error = error.as_ref(),
                        "no new relay token; the present one is still good"
                    );
                }
            }
        }
        let left = u64::try_from(seconds_left(relay.listen_token_expires_at)).unwrap_or(0);
        Ok(Grant { token: Token::new(relay.listen_token.0), lifetime: Duration::from_secs(left) })
    }

    /// Asks for a new token over HTTPS, and with it where to listen.
    pub async fn renew(&self) -> Result<RelayAccess, Failure> {
        let relay = match client::renew_token(&self.enrolled).await {
            Ok(relay) => relay,
            Err(error) => {
                if let client::Error::Rejected { code, .. } = &error
                    && code == AGENT_UNKNOWN
                {
                    tracing::error!("the provider does not know this agent (any more): its migrations stop");
                    self.disowned.send_replace(true);
                }
                return Err(error.into());
            }
        };
        // What cannot be used must not take the place of what can.
        endpoint(&relay)?;
        tracing::info!("a new relay token came over HTTPS");
        self.owned();
        self.state().heard = true;
        self.keep(|present| *present = relay.clone()).await;
        Ok(relay)
    }

    /// A token that came within a session.
    pub async fn renewed(&self, token: ListenToken) {
        self.keep(|relay| {
            (relay.listen_token, relay.listen_token_expires_at) = (token.token, token.expires_at);
        })
        .await;
    }

    /// In memory and on disk. A disk that is full costs no more than a request over HTTPS after the next start.
    async fn keep(&self, change: impl FnOnce(&mut RelayAccess)) {
        let _one_at_a_time = self.saving.lock().await;
        let relay = {
            let mut state = self.state();
            change(&mut state.relay);
            state.relay.clone()
        };
        let (enrolled, folder) = (Enrolled { relay, ..self.enrolled.clone() }, self.folder.clone());
        let saved = tokio::task::spawn_blocking(move || enrolled.save_relay(&folder)).await;
        if let Ok(Err(error)) = saved {
            tracing::error!(error = &error as &dyn std::error::Error, "the relay token cannot be stored");
        }
    }
}

pub fn endpoint(relay: &RelayAccess) -> Result<Endpoint, Failure> {
    Ok(Endpoint::new(relay.url.parse()?, relay.path.clone(), Arc::new(relay.trust()?)))
}

fn seconds_left(expires_at: i64) -> i64 {
    expires_at - crate::clock::now_ms() / 1000
}
