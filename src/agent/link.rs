//! The way to the provider: listens at the relay, lets the provider in, holds one session at a time.
//!
//! Whoever comes through the relay has to show the provider's certificate before anything is read from it. A new session
//! ends the one before: the provider opens one only when it has given the old one up. Losing the link stops nothing but
//! the reports; migrations go on from what is on disk.

mod access;
mod failed_paths;
mod handler;
mod load;

use std::sync::Arc;

use livedata_relay::{Backoff, Endpoint, Error, ErrorKind, Event, Incoming, Listening};
use livedata_session::enrolment::RelayAccess;
use livedata_session::{Channel, End, agent, tls};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;

pub use access::Access;
pub use handler::Shared;

use handler::SessionHandler;

/// Callers whose certificates are being judged at the same time; more are not answered.
const HANDSHAKES: usize = 4;
/// Between two requests for another relay, when the present one cannot even be tried.
const SETUP_PAUSE: Duration = Duration::from_secs(30);

/// Runs until cancelled.
pub async fn run(shared: Shared, cancel: CancellationToken) {
    let link = Link { door: Arc::new(Semaphore::new(HANDSHAKES)), shared, cancel };
    let (admitted, mut channels) = mpsc::channel(1);
    let mut session: Option<Session> = None;
    while !link.cancel.is_cancelled() {
        let place = link.shared.access.relay();
        match access::endpoint(&place) {
            Ok(endpoint) => link.listen(&place, endpoint, &admitted, &mut channels, &mut session).await,
            Err(error) => {
                tracing::error!(error = error.as_ref(), "the relay's address or authority cannot be used");
                tokio::select! {
                    () = link.cancel.cancelled() => {}
                    () = link.ask_for_another_place() => {}
                }
            }
        }
    }
    if let Some(session) = session {
        session.end().await;
    }
}

struct Link {
    shared: Shared,
    door: Arc<Semaphore>,
    cancel: CancellationToken,
}

/// A conversation with the provider.
struct Session {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Session {
    async fn end(self) {
        self.cancel.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task of a session broke");
        }
    }
}

impl Link {
    async fn ask_for_another_place(&self) {
        if let Err(error) = self.shared.access.renew().await {
            tracing::warn!(error = error.as_ref(), "the provider named no other relay");
        }
        sleep(SETUP_PAUSE).await;
    }

    /// Listens at one place, until cancelled, or until the place is another or a new token is worth a try.
    async fn listen(
        &self,
        place: &RelayAccess,
        endpoint: Endpoint,
        admitted: &mpsc::Sender<Channel>,
        channels: &mut mpsc::Receiver<Channel>,
        session: &mut Option<Session>,
    ) {
        let access = Arc::clone(&self.shared.access);
        let tokens = move || {
            let access = Arc::clone(&access);
            async move { access.grant().await.map_err(Error::TokenSource) }
        };
        let mut listening = Listening::new(endpoint, tokens, Backoff::default());
        loop {
            tokio::select! {
                () = self.cancel.cancelled() => return,
                Some(channel) = channels.recv() => *session = Some(self.converse(channel, session.take())),
                event = listening.next() => match event {
                    Event::Connected => {
                        self.shared.access.token_taken();
                        tracing::info!(relay = place.url, "listening at the relay");
                    }
                    Event::Incoming(incoming) => self.admit(incoming, admitted),
                    Event::Disconnected { error, retry_in } => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            retry_in_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
                            "not connected to the relay"
                        );
                        // A relay whose keys were exchanged: the next token is got at once, not after a long pause.
                        let another_token =
                            error.kind() == ErrorKind::Denied && self.shared.access.token_refused();
                        if another_token || !self.shared.access.is_at(place) {
                            return;
                        }
                    }
                },
            }
        }
    }

    /// Judges a caller beside everything else: one that dawdles must not keep the provider out.
    fn admit(&self, incoming: Incoming, admitted: &mpsc::Sender<Channel>) {
        // Nobody but the provider should come, and it comes back by itself. To dial out for a refusal would let the relay
        // decide how many connections this machine opens.
        let Ok(place) = Arc::clone(&self.door).try_acquire_owned() else {
            tracing::debug!("too many callers at once; one is not answered");
            return;
        };
        let (access, admitted) = (Arc::clone(&self.shared.access), admitted.clone());
        let cancel = self.cancel.clone();
        tokio::spawn(async move {
            let _place = place;
            let judged = async {
                let stream = incoming.accept().await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                    tls::accept_as_agent(stream, &access.enrolled().identity).await?,
                )
            };
            tokio::select! {
                () = cancel.cancelled() => {}
                judged = judged => match judged {
                    // An error means that the link is ending.
                    Ok(channel) => drop(admitted.send(channel).await),
                    Err(error) => tracing::warn!(error = error.as_ref(), "a caller was refused"),
                },
            }
        });
    }

    /// Begins when the session before has ended. What that one had under way may still come late; the ledger refuses it.
    fn converse(&self, channel: Channel, before: Option<Session>) -> Session {
        let cancel = self.cancel.child_token();
        let handler = Arc::new(SessionHandler::new(self.shared.clone()));
        let ending = cancel.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                before.end().await;
            }
            match agent::run(channel, handler, ending).await {
                Ok(End::Cancelled) => {}
                Ok(End::Refused(refused)) => tracing::warn!(
                    code = refused.code,
                    message = refused.message,
                    "the provider refused the session"
                ),
                Ok(end) => tracing::info!(?end, "the session ended; the provider opens the next"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the session broke; the provider opens the next"
                ),
            }
        });
        Session { cancel, task }
    }
}
