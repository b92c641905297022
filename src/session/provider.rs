//! The provider's end of a session.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use livedata_model::command::Command;
use livedata_model::message::{
    Echo, FailedPathsAck, FailedPathsPart, Hello, ListenToken, Message, Refused, Report, ReportAck, Welcome,
};
use livedata_model::spec::Item;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::channel::name_of;
use crate::clock::{wall_ms, wall_seconds};
use crate::commander::Commander;
use crate::liveness::{ECHO_EVERY, Liveness, Tick, clock_skew_ms};
use crate::outbox::{Outbox, drive};
use crate::synchroniser::{News, Synchroniser};
use crate::{Channel, End, Error, HandlerError, Incoming, handshake};

/// How long the agent may take for its first message.
const HELLO_WITHIN: Duration = Duration::from_secs(20);

/// Bounds for what counts as a token's life: one that is shorter is renewed late rather than without pause, one that is
/// longer is renewed once a day.
const TOKEN_LIFE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(36 * 3600));

/// What the agent is told.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Desired {
    /// The whole of its desired state, in the order in which it shall arrive: what others refer to comes first. A generation
    /// never goes back, not even when an item is deleted and made again under the same id.
    pub items: Vec<Item>,
    /// Ids of items that are desired as well, only that what they are is not known for the moment: the agent keeps what it has.
    pub withheld: Vec<String>,
    /// What it has not taken yet, in the order in which it was given. Everything that a command relies on is in `items`.
    pub commands: Vec<Command>,
}

/// What the provider does with one agent's session. An error ends the session; the agent comes back with a new one.
///
/// Calls of one session never overlap. While one runs the session does not read, so that a call of more than ten seconds
/// delays the notice of a dead peer, but is not itself mistaken for one.
#[async_trait]
pub trait ProviderHandler: Send + Sync + 'static {
    /// Whether the agent may have a session. The epoch in the welcome must be new and higher than `hello.session_epoch`,
    /// and the session that had the agent before must be cancelled. `protocol` and `clock_ms` are filled in afterwards.
    async fn admit(&self, hello: &Hello) -> Result<Welcome, Refused>;

    /// The session ends when the sender is dropped and the agent has what was desired last.
    fn desired(&self) -> watch::Receiver<Arc<Desired>>;

    /// A report of the agent. It is acknowledged when this returns.
    async fn reported(&self, report: Report) -> Result<(), HandlerError>;

    /// The agent has the desired generation of this item on its disk, from this session or an earlier one.
    async fn acknowledged(&self, id: &str, generation: u64) -> Result<(), HandlerError>;

    /// The agent has a higher generation of this item than is desired and will not obey until desired state has overtaken
    /// it: the provider's database is older than the agent's disk.
    async fn stale(&self, id: &str, agent_generation: u64) -> Result<(), HandlerError>;

    /// These commands are on the agent's disk, or done: they need not be sent in another session.
    async fn taken(&self, commands: Vec<String>) -> Result<(), HandlerError>;

    /// A part of a list of failed paths. It is acknowledged when this returns. An agent begins each session with the whole
    /// lists; parts that do not follow each other are to be dropped.
    async fn failed_paths(&self, part: FailedPathsPart) -> Result<(), HandlerError>;

    /// The agent answered an echo. `clock_skew_ms`: how far its wall clock is ahead of this one.
    fn alive(&self, round_trip_ms: u64, clock_skew_ms: i64);

    /// Mints the agent's next token for the relay: at the start of the session, then when two thirds of its life are over.
    fn listen_token(&self) -> ListenToken;
}

/// Holds the provider's end until the session is over.
pub async fn run(
    channel: Channel,
    handler: Arc<dyn ProviderHandler>,
    cancel: CancellationToken,
) -> Result<End, Error> {
    let (incoming, outgoing) = channel.split();
    drive(outgoing, |outbox| converse(incoming, outbox, handler, cancel)).await
}

async fn converse(
    mut incoming: Incoming,
    outbox: Outbox,
    handler: Arc<dyn ProviderHandler>,
    cancel: CancellationToken,
) -> Result<End, Error> {
    let first = tokio::select! {
        () = cancel.cancelled() => return Ok(End::Cancelled),
        first = timeout(HELLO_WITHIN, incoming.recv()) => first,
    };
    let hello = match first {
        Err(_) => return Err(Error::NoAnswer { awaited: "Hello", seconds: HELLO_WITHIN.as_secs() }),
        Ok(received) => match received? {
            None => return Ok(End::Closed),
            Some(Message::Hello(hello)) => hello,
            Some(other) => return Err(Error::Unexpected { expected: "Hello", received: name_of(&other) }),
        },
    };
    let admitted = match handshake::negotiate(&hello) {
        Ok(protocol) => {
            handler.admit(&hello).await.map(|welcome| Welcome { protocol, clock_ms: wall_ms(), ..welcome })
        }
        Err(refused) => Err(refused),
    };
    match admitted {
        Ok(welcome) => outbox.post(Message::Welcome(welcome))?,
        Err(refused) => {
            outbox.post(Message::Refused(refused.clone()))?;
            return Ok(End::Refused(refused));
        }
    }
    let session = Session {
        synchroniser: Synchroniser::new(hello.known),
        commander: Commander::default(),
        liveness: Liveness::default(),
        started: Instant::now(),
        outbox,
        handler,
    };
    session.go_on(incoming, cancel).await
}

struct Session {
    synchroniser: Synchroniser,
    commander: Commander,
    liveness: Liveness,
    started: Instant,
    outbox: Outbox,
    handler: Arc<dyn ProviderHandler>,
}

impl Session {
    async fn go_on(mut self, mut incoming: Incoming, cancel: CancellationToken) -> Result<End, Error> {
        let mut desired = self.handler.desired();
        let mut echo = interval(ECHO_EVERY);
        echo.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let token_due = sleep(Duration::ZERO);
        tokio::pin!(token_due);
        let mut leaving = false;
        self.synchronise(&mut desired).await?;
        loop {
            if leaving && self.synchroniser.is_settled() {
                return Ok(End::Cancelled);
            }
            // In this order, so that a busy peer cannot keep the owner waiting, and so that what has already arrived counts
            // before an echo is called missed.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(End::Cancelled),
                () = &mut token_due => {
                    let next = self.send_token()?;
                    token_due.as_mut().reset(Instant::now() + next);
                }
                changed = desired.changed(), if !leaving => match changed {
                    Ok(()) => self.synchronise(&mut desired).await?,
                    Err(_) => leaving = true,
                },
                received = incoming.recv() => match received? {
                    None => return Ok(End::Closed),
                    Some(message) => {
                        if self.receive(message).await? {
                            self.synchronise(&mut desired).await?;
                        }
                    }
                },
                _ = echo.tick() => match self.liveness.tick(self.now_ms()) {
                    Tick::Dead => return Ok(End::Silent),
                    Tick::Send { sent_ms } => {
                        self.outbox.post(Message::Echo(Echo { sent_ms, clock_ms: wall_ms() }))?;
                    }
                },
            }
        }
    }

    /// Tells the handler what the agent has, and the agent what it lacks. Commands wait until it lacks nothing else.
    async fn synchronise(&mut self, desired: &mut watch::Receiver<Arc<Desired>>) -> Result<(), Error> {
        let desired = Arc::clone(&desired.borrow_and_update());
        for news in self.synchroniser.news(&desired.items) {
            match news {
                News::Acknowledged { id, generation } => self.handler.acknowledged(&id, generation).await,
                News::Stale { id, agent_generation } => {
                    tracing::warn!(id, agent_generation, "the agent has a newer generation than is desired");
                    self.handler.stale(&id, agent_generation).await
                }
            }
            .map_err(Error::Handler)?;
        }
        if let Some(delta) = self.synchroniser.next(&desired.items, &desired.withheld) {
            return self.outbox.post(Message::Sync(delta));
        }
        if self.synchroniser.is_settled()
            && let Some(commands) = self.commander.next(&desired.commands)
        {
            return self.outbox.post(Message::Commands(commands));
        }
        Ok(())
    }

    /// Whether there may be more to synchronise.
    async fn receive(&mut self, message: Message) -> Result<bool, Error> {
        if !matches!(message, Message::EchoReply(_)) {
            self.liveness.heard();
        }
        match message {
            Message::SyncAck(ack) => {
                self.synchroniser.acknowledged(ack)?;
                return Ok(true);
            }
            Message::CommandAck(ack) => {
                let taken = self.commander.acknowledged(ack)?;
                self.handler.taken(taken).await.map_err(Error::Handler)?;
                return Ok(true);
            }
            Message::FailedPathsPart(part) => {
                let sequence = part.sequence;
                self.handler.failed_paths(part).await.map_err(Error::Handler)?;
                self.outbox.post(Message::FailedPathsAck(FailedPathsAck { sequence }))?;
            }
            Message::Report(report) => {
                let sequence = report.sequence;
                self.handler.reported(report).await.map_err(Error::Handler)?;
                self.outbox.post(Message::ReportAck(ReportAck { sequence }))?;
            }
            Message::EchoReply(reply) => {
                if let Some(round_trip_ms) = self.liveness.answered(reply.sent_ms, self.now_ms()) {
                    self.handler
                        .alive(round_trip_ms, clock_skew_ms(reply.clock_ms, wall_ms(), round_trip_ms));
                }
            }
            Message::Unknown(kind) => tracing::debug!(kind, "a message of a newer agent is ignored"),
            other => {
                return Err(Error::Unexpected {
                    expected: "SyncAck, CommandAck, Report, FailedPathsPart or EchoReply",
                    received: name_of(&other),
                });
            }
        }
        Ok(false)
    }

    /// Returns when the next one is due.
    fn send_token(&self) -> Result<Duration, Error> {
        let token = self.handler.listen_token();
        let life = u64::try_from(token.expires_at.saturating_sub(wall_seconds())).unwrap_or(0);
        self.outbox.post(Message::ListenToken(token))?;
        let (shortest, longest) = TOKEN_LIFE;
        Ok(Duration::from_secs(life).clamp(shortest, longest) * 2 / 3)
    }

    /// Milliseconds of a clock that never jumps.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
