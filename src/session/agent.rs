//! The agent's end of a session.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use livedata_model::command::Command;
use livedata_model::message::{
    CommandAck, Echo, FailedPathsPart, Hello, Known, ListenToken, Message, PROTOCOL, Report, Sync, SyncAck,
    Welcome,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::channel::name_of;
use crate::clock::wall_ms;
use crate::liveness::SILENCE;
use crate::outbox::{Outbox, drive};
use crate::reporting::{REPORT_EVERY, Reporting};
use crate::{Channel, End, Error, HandlerError, Incoming, NotNow, handshake};

/// How long the provider may take to answer the hello.
const WELCOME_WITHIN: Duration = Duration::from_secs(20);

/// When a handler that could not store something is asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the agent does with its session. An error ends the session, and the caller opens a new one; but [`NotNow`] of `apply` and
/// `commands` does not: the reports of an agent whose disk is full are worth hearing.
///
/// `welcomed`, `apply`, `commands` and `listen_token` never overlap, and echoes wait for them: the provider gives up an agent that
/// takes more than fifteen seconds.
#[async_trait]
pub trait AgentHandler: Send + std::marker::Sync + 'static {
    /// What this agent is and has. `protocol_min`, `protocol_max` and `clock_ms` are filled in afterwards.
    async fn hello(&self) -> Hello;

    /// The session is on, its epoch higher than that of the hello. Both epochs are on disk when this returns, unless the disk
    /// failed: that alone need not end a session, because the provider gives no epoch twice.
    async fn welcomed(&self, welcome: &Welcome) -> Result<(), HandlerError>;

    /// Takes a change of desired state, which is on disk when this returns; it is then acknowledged. Items of which the
    /// agent has a higher generation are left alone and returned, with the agent's generation.
    async fn apply(&self, sync: Sync) -> Result<Vec<Known>, HandlerError>;

    /// Takes commands, which are on disk when this returns, and returns the ids of those that are, now or before, and of those
    /// that are done or are for nothing that is there. An id that is in no later list will never come again. Commands of an
    /// unknown kind are left out and come again in the next session.
    async fn commands(&self, commands: Vec<Command>) -> Result<Vec<String>, HandlerError>;

    /// Every migration, for the start of the session. `sequence` is filled in afterwards.
    async fn full_report(&self) -> Report;

    /// Waits until something changed and reports it. Asked for again only when the provider has the last report; dropped
    /// at the end of the session, and the next one begins with a full report.
    async fn next_report(&self) -> Report;

    /// Waits until there is a part of a list of failed paths to tell, all lists anew in each session. Asked for again only when
    /// the provider has the last part; dropped at the end of the session. `sequence` is filled in afterwards.
    async fn next_failed_paths(&self) -> FailedPathsPart;

    /// A new token for the relay.
    async fn listen_token(&self, token: ListenToken) -> Result<(), HandlerError>;
}

/// Holds the agent's end until the session is over.
pub async fn run(
    channel: Channel,
    handler: Arc<dyn AgentHandler>,
    cancel: CancellationToken,
) -> Result<End, Error> {
    let (incoming, outgoing) = channel.split();
    drive(outgoing, |outbox| converse(incoming, outbox, handler, cancel)).await
}

async fn converse(
    mut incoming: Incoming,
    outbox: Outbox,
    handler: Arc<dyn AgentHandler>,
    cancel: CancellationToken,
) -> Result<End, Error> {
    let (protocol_min, protocol_max) = PROTOCOL;
    let hello = Hello { protocol_min, protocol_max, clock_ms: wall_ms(), ..handler.hello().await };
    outbox.post(Message::Hello(hello.clone()))?;
    let answer = tokio::select! {
        () = cancel.cancelled() => return Ok(End::Cancelled),
        answer = timeout(WELCOME_WITHIN, incoming.recv()) => answer,
    };
    let welcome = match answer {
        Err(_) => return Err(Error::NoAnswer { awaited: "Welcome", seconds: WELCOME_WITHIN.as_secs() }),
        Ok(received) => match received? {
            None => return Ok(End::Closed),
            Some(Message::Refused(refused)) => return Ok(End::Refused(refused)),
            Some(Message::Welcome(welcome)) => welcome,
            Some(other) => return Err(Error::Unexpected { expected: "Welcome", received: name_of(&other) }),
        },
    };
    handshake::check_welcome(&hello, &welcome)?;
    handler.welcomed(&welcome).await.map_err(Error::Handler)?;
    let (reports, failed_paths) = (Reporting::default(), Reporting::default());
    let (postponed, again_at) = (VecDeque::new(), Instant::now());
    Session { reports, failed_paths, outbox, handler: handler.as_ref(), postponed, again_at }
        .go_on(incoming, cancel)
        .await
}

/// What is awaited of a handler; it outlives the turns of the loop, so that a handler half-way is not started anew.
type Awaited<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// Never, while nothing is awaited.
async fn ready<T>(awaited: &mut Awaited<'_, T>) -> T {
    match awaited.as_mut() {
        Some(awaited) => awaited.await,
        None => std::future::pending().await,
    }
}

struct Session<'a> {
    reports: Reporting,
    failed_paths: Reporting,
    outbox: Outbox,
    handler: &'a dyn AgentHandler,
    /// What could not be stored, in the order in which it came.
    postponed: VecDeque<Message>,
    again_at: Instant,
}

impl<'a> Session<'a> {
    async fn go_on(mut self, mut incoming: Incoming, cancel: CancellationToken) -> Result<End, Error> {
        let handler = self.handler;
        let silence = sleep(SILENCE);
        tokio::pin!(silence);
        let mut next_report: Awaited<'a, Report> = Some(handler.full_report());
        let mut next_part: Awaited<'a, FailedPathsPart> = Some(handler.next_failed_paths());
        let mut not_before = Instant::now();
        loop {
            if next_part.is_none() && self.failed_paths.is_idle() {
                next_part = Some(handler.next_failed_paths());
            }
            if next_report.is_none() && self.reports.is_idle() {
                next_report = Some(Box::pin(async move {
                    sleep_until(not_before).await;
                    handler.next_report().await
                }));
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(End::Cancelled),
                received = incoming.recv() => match received? {
                    None => return Ok(End::Closed),
                    Some(message) => {
                        self.receive(message).await?;
                        silence.as_mut().reset(Instant::now() + SILENCE);
                    }
                },
                () = &mut silence => return Ok(End::Silent),
                () = sleep_until(self.again_at), if !self.postponed.is_empty() => {
                    for message in std::mem::take(&mut self.postponed) {
                        self.receive(message).await?;
                    }
                }
                report = ready(&mut next_report) => {
                    next_report = None;
                    not_before = Instant::now() + REPORT_EVERY;
                    let sequence = self.reports.send();
                    self.outbox.post(Message::Report(Report { sequence, ..report }))?;
                }
                part = ready(&mut next_part) => {
                    next_part = None;
                    let sequence = self.failed_paths.send();
                    self.outbox.post(Message::FailedPathsPart(FailedPathsPart { sequence, ..part }))?;
                }
            }
        }
    }

    fn postpone(&mut self, message: Message, error: HandlerError) -> Result<(), Error> {
        if !error.is::<NotNow>() {
            return Err(Error::Handler(error));
        }
        tracing::warn!(error = error.as_ref() as &dyn std::error::Error, "asking again");
        self.postponed.push_back(message);
        self.again_at = Instant::now() + AGAIN_AFTER;
        Ok(())
    }

    async fn receive(&mut self, message: Message) -> Result<(), Error> {
        match message {
            Message::Sync(sync) => {
                let revision = sync.revision;
                match self.handler.apply(sync.clone()).await {
                    Ok(stale) => self.outbox.post(Message::SyncAck(SyncAck { revision, stale })),
                    Err(error) => self.postpone(Message::Sync(sync), error),
                }
            }
            Message::Commands(list) => match self.handler.commands(list.commands.clone()).await {
                Ok(ids) => self.outbox.post(Message::CommandAck(CommandAck { ids })),
                Err(error) => self.postpone(Message::Commands(list), error),
            },
            Message::Echo(Echo { sent_ms, .. }) => {
                self.outbox.post(Message::EchoReply(Echo { sent_ms, clock_ms: wall_ms() }))
            }
            Message::ReportAck(ack) => self.reports.acknowledged(ack.sequence),
            Message::FailedPathsAck(ack) => self.failed_paths.acknowledged(ack.sequence),
            Message::ListenToken(token) => self.handler.listen_token(token).await.map_err(Error::Handler),
            Message::Unknown(kind) => {
                tracing::debug!(kind, "a message of a newer provider is ignored");
                Ok(())
            }
            other => Err(Error::Unexpected {
                expected: "Sync, Commands, Echo, ReportAck, FailedPathsAck or ListenToken",
                received: name_of(&other),
            }),
        }
    }
}
