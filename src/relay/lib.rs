//! Azure Relay Hybrid Connections, client side: how a control plane reaches an agent that only dials out.
//!
//! A *listener* (the agent) keeps one control channel open to a relay. A *sender* (the control plane) asks the relay for
//! a stream to the listener's path; the relay tells the listener a one-time rendezvous address; the listener opens it
//! and both hold a [`RelayStream`], an ordinary `AsyncRead + AsyncWrite`. The same code speaks to Azure and to the
//! embedded relay; only the configuration in [`Endpoint`] differs.
//!
//! Promises:
//! - The protocol core ([`sas`], [`authorization`], [`address`], [`frames`]) owns no socket and no clock.
//! - No task is spawned: a listener does its work (keepalive, token renewal, reading) inside [`Listener::next`] or
//!   [`Listening::next`], both safe to cancel, so they must be polled while the channel shall live.
//! - A stream has back-pressure from end to end and never relies on WebSocket message boundaries.
//! - The relay is not trusted with content: callers run TLS inside the stream. Tokens never appear in `Debug` or logs.
//!
//! Not here: the HTTP `request` mode, outbound proxies, Microsoft Entra tokens (a [`Token`] may hold one).
//!
//! Tests that only need two connected byte streams use `tokio::io::duplex`; a [`RelayStream`] adds nothing to it that a
//! caller can see.
//!
//! Start reading at [`Listening`] (agent) and [`Sender`] (control plane), then [`sas`].

pub mod address;
pub mod authorization;
mod backoff;
mod dial;
mod endpoint;
mod error;
pub mod frames;
mod handshake;
mod listener;
mod listening;
pub mod sas;
mod sender;
mod stream;

pub use backoff::Backoff;
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, Result};
pub use listener::{Incoming, Listener};
pub use listening::{Event, Grant, Listening};
pub use sas::Token;
pub use sender::Sender;
pub use stream::RelayStream;
