//! How a conversation ends when nothing is broken.

use livedata_model::message::Refused;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// The caller asked for it, or the source of desired state is gone.
    Cancelled,
    /// The peer closed the stream in good order.
    Closed,
    /// The provider did not admit the agent.
    Refused(Refused),
    /// Nothing was heard from the peer although the stream stands.
    Silent,
}
