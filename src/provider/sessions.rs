//! Keeps a session with every enrolled agent: through the relay, TLS inside, desired state out, reports in.

mod handler;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use livedata_relay::{Endpoint, ErrorKind, Sender, Token};
use livedata_session::provider::Desired;
use livedata_session::{AgentName, ProviderIdentity, provider, tls};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::agents::{self, Agent};
use crate::core::Core;
use crate::desired;
use crate::enrolment::relay_path;
use crate::errors::Outcome;
use crate::leases::Owner;
use crate::observed::Trouble;
use handler::SessionHandler;

/// How often the list of agents is read although nobody said that it changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two tries to reach an agent: from one to five seconds.
const SHORTEST_PAUSE_MS: u64 = 1_000;
const LONGEST_PAUSE_MS: u64 = 5_000;
/// A send token is used at once.
const SEND_TOKEN_SECONDS: i64 = 300;

/// How long an agent that is dismissed may take to say that it has heard it.
const FAREWELL: Duration = Duration::from_secs(10);

/// Where providers share a store, how often an agent's desired state is read although nobody here has changed it.
const READ_EVERY: Duration = Duration::from_secs(5);

/// One agent's task.
struct Kept {
    owner: Owner,
    agent: (String, String),
    /// The migrator is gone, or another agent has taken it over.
    dismissed: CancellationToken,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

pub async fn run(core: Arc<Core>, identity: ProviderIdentity, cancel: CancellationToken) {
    let identity = Arc::new(identity);
    let mut kept: HashMap<String, Kept> = HashMap::new();
    let mut tick = interval(if core.leases.shared() { READ_EVERY } else { LOOK_EVERY });
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            () = core.agents_changed.notified() => {}
            _ = tick.tick() => {}
        }
        match agents::all(&core).await {
            Ok(agents) => adjust(&core, &identity, &cancel, &mut kept, agents).await,
            Err(error) => {
                tracing::warn!(%error, "the list of agents cannot be read; the next tick tries again")
            }
        }
    }
    let mut ending = JoinSet::new();
    for (_, one) in kept {
        one.cancel.cancel();
        ending.spawn(one.task);
    }
    while ending.join_next().await.is_some() {}
}

/// One task for each agent there is, none for others. An agent that took over gets a task of its own, after the end of
/// its predecessor's.
async fn adjust(
    core: &Arc<Core>,
    identity: &Arc<ProviderIdentity>,
    cancel: &CancellationToken,
    kept: &mut HashMap<String, Kept>,
    agents: Vec<(String, Agent)>,
) {
    let wanted: HashMap<String, (String, String)> = agents
        .into_iter()
        .map(|(migrator, agent)| (migrator, (agent.migrator_guid, agent.instance_id)))
        .collect();
    let moved = |one: &Kept| !core.leases.is_still(one.owner);
    let stale: Vec<String> = kept
        .iter()
        .filter(|(migrator, one)| wanted.get(*migrator) != Some(&one.agent) || moved(one))
        .map(|(key, _)| key.clone())
        .collect();
    let leaving: Vec<Kept> = stale.iter().filter_map(|migrator| kept.remove(migrator)).collect();
    // All of them first: they say goodbye at the same time.
    for one in &leaving {
        // An agent that another provider speaks to is not dismissed.
        if moved(one) { one.cancel.cancel() } else { one.dismissed.cancel() }
    }
    for one in leaving {
        if let Err(error) = one.task.await {
            tracing::error!(%error, "the task of a session broke");
        }
    }
    for (migrator, agent) in wanted {
        if kept.contains_key(&migrator) {
            continue;
        }
        let owner = core.leases.owner(&migrator);
        let Some(owned) = core.owned(owner) else { continue };
        let name = match AgentName::new(&agent.0, &agent.1) {
            Ok(name) => name,
            Err(error) => {
                tracing::error!(migrator, %error, "an enrolled agent has an unusable name");
                continue;
            }
        };
        let (cancel, dismissed) = (cancel.child_token(), CancellationToken::new());
        let keeper = Keeper {
            core: owned,
            owner,
            identity: Arc::clone(identity),
            migrator: migrator.clone(),
            name,
            dismissed: dismissed.clone(),
            cancel: cancel.clone(),
        };
        kept.insert(migrator, Kept { owner, agent, dismissed, cancel, task: tokio::spawn(keeper.keep()) });
    }
}

/// Holds sessions with one agent, one after the other.
struct Keeper {
    core: Arc<Core>,
    /// What `core` writes under.
    owner: Owner,
    identity: Arc<ProviderIdentity>,
    migrator: String,
    name: AgentName,
    dismissed: CancellationToken,
    cancel: CancellationToken,
}

impl Keeper {
    async fn keep(self) {
        while !self.cancel.is_cancelled() && !self.dismissed.is_cancelled() {
            if self.may_dial().await {
                let ended = tokio::select! {
                    () = self.cancel.cancelled() => break,
                    () = self.dismissed.cancelled() => break,
                    channel = self.connect() => match channel {
                        Ok(channel) => self.converse(channel).await,
                        Err(trouble) => Err(trouble),
                    },
                };
                self.note(ended).await;
            }
            let pause = Duration::from_millis(pause_ms());
            tokio::select! {
                () = self.cancel.cancelled() => break,
                () = self.dismissed.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        self.disconnected(None).await;
        // The migrator may be gone, and then nobody shall know of its agent any more.
        if let Ok(None) = agents::load(&self.core, &self.migrator).await {
            self.core.observed.forget(&self.migrator);
            self.core.series.forget(self.name.migrator_guid());
        }
    }

    fn is_owner(&self) -> bool {
        self.core.leases.owner(&self.migrator) == self.owner
    }

    /// Who has lost the store has lost its leases, soon if not now: dialling would take the session from whoever has them then.
    async fn may_dial(&self) -> bool {
        if !self.core.leases.shared() {
            return true;
        }
        self.is_owner() && agents::load(&self.core, &self.migrator).await.is_ok() && self.is_owner()
    }

    async fn connect(&self) -> Result<livedata_session::Channel, Trouble> {
        let relay = &self.core.relay;
        let path = relay_path(self.name.migrator_guid());
        let endpoint = Endpoint::new(relay.url.clone(), path, Arc::clone(&relay.tls));
        let expires = self.core.clock.now().unix_timestamp() + SEND_TOKEN_SECONDS;
        let rule = &relay.send_rule;
        let token =
            Token::sign(&endpoint.resource(), &rule.name, &rule.key, u64::try_from(expires).unwrap_or(0));
        let stream = Sender::connect(&endpoint, "", &token).await.map_err(|error| {
            let reason = match error.kind() {
                ErrorKind::Gone => "NoListener",
                ErrorKind::Denied => "RelayDenied",
                ErrorKind::Rejected => "RejectedByAgent",
                ErrorKind::Fatal => "RelayMisconfigured",
                ErrorKind::Retryable | ErrorKind::Throttled => "RelayUnreachable",
            };
            self.trouble(reason, &error)
        })?;
        tls::open_as_provider(stream, &self.identity, &self.name).await.map_err(|error| {
            let reason = match error {
                livedata_session::Error::WrongAgent { .. } => "WrongAgent",
                _ => "NoSession",
            };
            self.trouble(reason, &error)
        })
    }

    fn trouble(&self, reason: &'static str, error: &dyn std::error::Error) -> Trouble {
        Trouble { reason, message: with_sources(error), since_ms: self.core.clock.now_ms() }
    }

    /// One session from its welcome to its end, desired state following the store all the while.
    async fn converse(&self, channel: livedata_session::Channel) -> Result<(), Trouble> {
        // Before the first read, so that no change falls between.
        let mut nudges = self.core.sessions.of(&self.migrator);
        let first = desired::of(&self.core, &self.migrator, self.name.migrator_guid())
            .await
            .map_err(|error| self.trouble("NoSession", &error))?;
        self.tell_of_withheld(&first);
        let (desired, receiver) = watch::channel(Arc::new(first));
        let handler = Arc::new(SessionHandler::new(&self.core, &self.migrator, &self.name, receiver));
        let session = provider::run(channel, handler, self.cancel.clone());
        tokio::pin!(session);
        let mut look = interval(READ_EVERY);
        loop {
            tokio::select! {
                _ = look.tick(), if self.core.leases.shared() => {
                    if !self.is_owner() {
                        return Ok(());
                    }
                    if let Err(error) = self.refresh(&desired).await {
                        tracing::warn!(migrator = self.migrator, %error, "desired state cannot be read");
                    }
                }
                () = self.dismissed.cancelled() => {
                    // The agent stops what it does and cleans up. One that is away learns it when it asks for a token.
                    desired.send_replace(Arc::default());
                    drop(desired);
                    // An error means that time is up.
                    let _ = timeout(FAREWELL, &mut session).await;
                    return Ok(());
                }
                ended = &mut session => return match ended {
                    Ok(livedata_session::End::Cancelled) => Ok(()),
                    Ok(end) => Err(Trouble {
                        reason: "SessionEnded",
                        message: format!("The session with the agent ended: {end:?}."),
                        since_ms: self.core.clock.now_ms(),
                    }),
                    Err(error) => Err(self.trouble("SessionBroken", &error)),
                },
                changed = nudges.changed() => {
                    if changed.is_err() {
                        nudges = self.core.sessions.of(&self.migrator);
                    }
                    if let Err(error) = self.refresh(&desired).await {
                        tracing::warn!(migrator = self.migrator, %error, "desired state cannot be read");
                        nudges.mark_changed();
                        sleep(Duration::from_millis(SHORTEST_PAUSE_MS)).await;
                    }
                }
            }
        }
    }

    async fn refresh(&self, desired: &watch::Sender<Arc<Desired>>) -> Outcome<()> {
        let news = desired::of(&self.core, &self.migrator, self.name.migrator_guid()).await?;
        desired.send_if_modified(|now| {
            let differs = **now != news;
            if now.withheld != news.withheld {
                self.tell_of_withheld(&news);
            }
            if differs {
                *now = Arc::new(news);
            }
            differs
        });
        Ok(())
    }

    fn tell_of_withheld(&self, desired: &Desired) {
        if !desired.withheld.is_empty() {
            tracing::error!(
                migrator = self.migrator,
                resources = desired.withheld.join(", "),
                "secrets cannot be opened: the agent is not told what these resources have become, and keeps what it has of them"
            );
        }
    }

    async fn note(&self, ended: Result<(), Trouble>) {
        if let Err(trouble) = &ended {
            tracing::info!(
                migrator = self.migrator,
                reason = trouble.reason,
                message = trouble.message,
                "no session with the agent"
            );
        }
        self.disconnected(ended.err()).await;
    }

    async fn disconnected(&self, trouble: Option<Trouble>) {
        self.core.series.connected(self.name.migrator_guid(), false);
        let now_ms = self.core.clock.now_ms();
        let update = self.core.observed.update_agent(self.core.store.as_ref(), &self.migrator, |agent| {
            if agent.connected {
                agent.connected = false;
                agent.since_ms = now_ms;
            }
            // The time of a trouble is that of its beginning.
            let since_ms = agent
                .trouble
                .as_ref()
                .zip(trouble.as_ref())
                .and_then(|(before, now)| (before.reason == now.reason).then_some(before.since_ms));
            agent.trouble =
                trouble.map(|trouble| Trouble { since_ms: since_ms.unwrap_or(trouble.since_ms), ..trouble });
        });
        if let Err(error) = update.await {
            tracing::warn!(migrator = self.migrator, %error, "the state of an agent cannot be read");
        }
    }
}

/// Random, so that agents that were lost together do not come back together.
fn pause_ms() -> u64 {
    let random = uuid::Uuid::new_v4().as_u128() as u64;
    SHORTEST_PAUSE_MS + random % (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS)
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
