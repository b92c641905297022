//! How an agent comes to an identity, and back to the relay after a long absence.
//!
//! Everything goes over HTTPS from the agent to the provider's enrolment listener, whose authority the agent knows by a
//! fingerprint from its install key.
//!
//! * `POST /agent/v1/enrol` ([`EnrolmentRequest`] → [`EnrolmentReply`]): the agent shows that it knows the install key's
//!   secret by a MAC over its certificate request; the secret itself never travels, and whoever holds the connection
//!   cannot put another key in. The key is spent by the first good request; the same agent key may repeat it, so that a
//!   lost reply or a crash costs nothing.
//! * `POST /agent/v1/token` ([`TokenRequest`] → [`RelayAccess`]): a new listen token against a signature by the agent's key.
//!
//! Refusals are [`Rejection`]s with an HTTP status and a body in ARM's shape. The server's side is pure functions over
//! values that the caller stores ([`IssuedKey`]); the agent's side is [`client`].

pub mod client;
mod enrolled;
mod install_key;
mod rejection;
mod request;
mod token;

pub use enrolled::{Enrolled, Server};
pub use install_key::{InstallKey, KeyError, Verifier};
pub use rejection::{ErrorReply, Rejection};
pub use request::{EnrolmentReply, EnrolmentRequest, IssuedKey, RelayAccess, issue};
pub use token::{TokenRequest, check_token_request};

pub const ENROL_PATH: &str = "/agent/v1/enrol";
pub const TOKEN_PATH: &str = "/agent/v1/token";
