//! What runs inside a relayed stream, and how an agent comes to be allowed there.
//!
//! The relay is untrusted: it may refuse service and nothing else. Inside each of its streams runs TLS 1.3 with both
//! sides' certificates from the provider's own authority ([`AgentAuthority`]). The agent is the TLS server, known by
//! `urn:livedata:migrator:<guid>:agent:<instance id>`; the provider is `urn:livedata:provider`.
//!
//! * [`tls`] makes a [`Channel`] out of a byte stream: frames of `model::message`, u32 big-endian length before CBOR.
//! * [`provider::run`] and [`agent::run`] hold the two ends of a conversation until it is over, each over a handler of
//!   the caller's. Their decisions are state machines without sockets or clocks: `handshake` (versions, session
//!   epochs), `synchroniser` (which items to send), `commander` (which commands), `liveness` (echoes), `reporting`.
//! * [`enrolment`]: the way from an install key to a certificate, and to a new listen token after a long absence.
//!
//! Promises: desired state and commands are acknowledged only when they are on the agent's disk; what the agent has is not
//! sent again; a command comes after the desired state that it relies on, in each session until it is acknowledged; an
//! agent never goes back to a session older than one it has seen; a peer that stops answering is noticed within twenty
//! seconds; neither side waits for the other to read before it reads itself.
//!
//! Start reading at [`provider::run`].

pub mod agent;
mod authority;
mod channel;
mod clock;
mod commander;
mod end;
pub mod enrolment;
mod error;
mod handshake;
mod liveness;
mod name;
mod outbox;
pub mod provider;
mod reporting;
mod synchroniser;
pub mod tls;

pub use authority::{AgentAuthority, AgentIdentity, ProviderIdentity};
pub use channel::{Channel, Incoming, Outgoing, Transport};
pub use end::End;
pub use error::{Error, HandlerError, Kind, NotNow};
pub use name::{AgentName, PROVIDER_URI};
