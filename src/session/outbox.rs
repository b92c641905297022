//! Writing beside reading.
//!
//! If each side wrote before it read on, two full pipes would wait for each other for ever. So a conversation posts its
//! messages here, never waiting, and [`drive`] writes them while the conversation goes on. What a well-behaved peer leaves
//! waiting is bounded by the protocol (one delta, one report, a few echoes); a peer that lets more pile up is cut off.

use std::future::Future;
use std::time::Duration;

use livedata_model::message::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::{End, Error, Outgoing};

const WAITING_MESSAGES: usize = 64;
const WRITE_WITHIN: Duration = Duration::from_secs(30);
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Outbox(mpsc::Sender<Message>);

impl Outbox {
    pub(crate) fn post(&self, message: Message) -> Result<(), Error> {
        // A closed queue means that writing failed, which `drive` reports; until then it is the same to the caller.
        self.0.try_send(message).map_err(|_| Error::PeerNotReading)
    }
}

/// Runs a conversation and its writer side by side. When the conversation is over, what it has posted still goes out and
/// the stream is closed in good order, if the peer lets that happen soon.
pub(crate) async fn drive<Conversation>(
    mut outgoing: Outgoing,
    converse: impl FnOnce(Outbox) -> Conversation,
) -> Result<End, Error>
where
    Conversation: Future<Output = Result<End, Error>>,
{
    let (sender, mut queue) = mpsc::channel(WAITING_MESSAGES);
    // The conversation owns the only sender: its end is the end of the queue.
    let conversation = converse(Outbox(sender));
    let writer = async {
        while let Some(message) = queue.recv().await {
            timeout(WRITE_WITHIN, outgoing.send(&message)).await.map_err(|_| Error::PeerNotReading)??;
        }
        outgoing.close().await
    };
    tokio::pin!(conversation, writer);
    tokio::select! {
        biased;
        written = &mut writer => match written {
            Err(error) => Err(error),
            // The queue ended, so the conversation has: take its result.
            Ok(()) => conversation.await,
        },
        end = &mut conversation => {
            // A peer that is gone cannot be said goodbye to, and that changes nothing about how it ended.
            if !matches!(end, Ok(End::Silent) | Err(Error::Connection(_))) {
                let _ = timeout(CLOSE_WITHIN, writer).await;
            }
            end
        }
    }
}
