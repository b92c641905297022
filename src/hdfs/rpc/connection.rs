//! One connection: a task that writes and reads, and a table of the calls that wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::frame::{self, ClientId, Protocol};
use crate::error::RpcError;

/// Frames accepted but not yet written; more callers than this wait their turn.
const WRITE_QUEUE_FRAMES: usize = 64;
const READ_BUFFER_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connect: Duration,
    /// From handing a call over to its answer. A NameNode that collects garbage may stay silent for many seconds.
    pub call: Duration,
    /// After so long without a byte from the server a connection with waiting calls is pinged (the failing write shows
    /// that the peer is gone), and one without is closed.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(30),
            silence: Duration::from_secs(20),
        }
    }
}

#[derive(Debug)]
pub struct Connection {
    client: ClientId,
    next_call_id: AtomicI32,
    waiting: Arc<Waiting>,
    frames: mpsc::Sender<Bytes>,
    call_limit: Duration,
    /// The task ends with the connection.
    _task: JoinSet<()>,
}

impl Connection {
    pub async fn open(address: &str, client: ClientId, user: &str, limits: Limits) -> Result<Self, RpcError> {
        let failed = |reason: String| RpcError::Connect { address: address.to_owned(), reason };
        let stream = timeout(limits.connect, TcpStream::connect(address))
            .await
            .map_err(|_| failed(format!("no answer within {} s", limits.connect.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;

        let (read, write) = stream.into_split();
        let (frames, queue) = mpsc::channel(WRITE_QUEUE_FRAMES);
        let waiting = Arc::new(Waiting::default());
        let writing = write_frames(write, frame::opening(client, user), queue);
        let reading = read_answers(read, frames.downgrade(), client, limits.silence, waiting.clone());
        let mut task = JoinSet::new();
        let table = waiting.clone();
        task.spawn(async move {
            // Whichever ends first ends the other, and with it the socket.
            let reason = tokio::select! {
                reason = writing => reason,
                reason = reading => reason,
            };
            table.close(&reason);
        });
        Ok(Self {
            client,
            next_call_id: AtomicI32::new(0),
            waiting,
            frames,
            call_limit: limits.call,
            _task: task,
        })
    }

    /// Whether a call has a chance. `false` is final.
    pub fn is_open(&self) -> bool {
        self.waiting.lock().open
    }

    /// The encoded answer message. Dropping the future forgets the call; its answer is then ignored.
    pub async fn call(
        &self,
        protocol: Protocol,
        method: &str,
        body: &impl Message,
    ) -> Result<Bytes, RpcError> {
        // Ids of one connection come round after 2^31 calls, when their first users have long been answered.
        let call_id = self.next_call_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let entry = self.waiting.enter(call_id)?;
        let frame = frame::request(self.client, call_id, protocol, method, body);
        let answered = async {
            // When the queue is closed, the task that closed it has told `entry` why.
            let _ = self.frames.send(frame).await;
            entry.answer().await
        };
        timeout(self.call_limit, answered)
            .await
            .unwrap_or(Err(RpcError::TimedOut { seconds: self.call_limit.as_secs() }))
    }
}

#[derive(Debug, Default)]
struct Waiting(Mutex<Calls>);

#[derive(Debug)]
struct Calls {
    open: bool,
    by_id: HashMap<i32, oneshot::Sender<Result<Bytes, RpcError>>>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { open: true, by_id: HashMap::new() }
    }
}

impl Waiting {
    fn lock(&self) -> std::sync::MutexGuard<'_, Calls> {
        // The table is consistent between any two statements that touch it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, call_id: i32) -> Result<Entry, RpcError> {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.lock();
        if !calls.open {
            return Err(lost("it was already closed"));
        }
        calls.by_id.insert(call_id, sender);
        drop(calls);
        Ok(Entry { waiting: self.clone(), call_id, receiver })
    }

    fn settle(&self, call_id: i32, outcome: Result<Bytes, RpcError>) {
        if let Some(sender) = self.lock().by_id.remove(&call_id) {
            // Nobody listens when the caller gave up in this very moment.
            let _ = sender.send(outcome);
        }
    }

    fn close(&self, reason: &RpcError) {
        let mut calls = self.lock();
        calls.open = false;
        for (_, sender) in calls.by_id.drain() {
            let _ = sender.send(Err(reason.clone()));
        }
    }

    /// Closes unless somebody waits; both under one lock, so that no call slips in between.
    fn close_if_unused(&self) -> bool {
        let mut calls = self.lock();
        if calls.by_id.is_empty() {
            calls.open = false;
        }
        !calls.open
    }
}

/// A call's place in the table; leaving it forgets the call.
struct Entry {
    waiting: Arc<Waiting>,
    call_id: i32,
    receiver: oneshot::Receiver<Result<Bytes, RpcError>>,
}

impl Entry {
    async fn answer(mut self) -> Result<Bytes, RpcError> {
        (&mut self.receiver).await.unwrap_or_else(|_| Err(lost("its task ended")))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.waiting.lock().by_id.remove(&self.call_id);
    }
}

fn lost(reason: impl ToString) -> RpcError {
    RpcError::Lost { reason: reason.to_string() }
}

/// The only writer: a caller that is dropped half way can never leave half a frame on the wire.
async fn write_frames(
    mut write: OwnedWriteHalf,
    opening: Bytes,
    mut queue: mpsc::Receiver<Bytes>,
) -> RpcError {
    let mut next = Some(opening);
    while let Some(frame) = next {
        if let Err(error) = write.write_all(&frame).await {
            return lost(error);
        }
        next = queue.recv().await;
    }
    lost("it is not used any more")
}

async fn read_answers(
    mut read: OwnedReadHalf,
    frames: mpsc::WeakSender<Bytes>,
    client: ClientId,
    silence: Duration,
    waiting: Arc<Waiting>,
) -> RpcError {
    let mut received = BytesMut::with_capacity(READ_BUFFER_BYTES);
    loop {
        match frame::take_frame(&mut received) {
            Err(error) => return error,
            Ok(None) => {}
            Ok(Some(frame)) => match frame::parse_answer(frame) {
                Err(error) => return error,
                Ok(answer) => match answer.outcome {
                    Err(error) if answer.is_fatal => return error,
                    outcome => {
                        waiting.settle(answer.call_id, outcome);
                        continue;
                    }
                },
            },
        }
        received.reserve(READ_BUFFER_BYTES);
        match timeout(silence, read.read_buf(&mut received)).await {
            Ok(Ok(0)) => return lost("the NameNode closed it"),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return lost(error),
            Err(_) if waiting.close_if_unused() => return lost("it was not used for a while"),
            Err(_) => {
                // A full queue means that writing has come to a halt: then a ping would tell nothing new.
                if let Some(frames) = frames.upgrade() {
                    let _ = frames.try_send(frame::ping(client));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
