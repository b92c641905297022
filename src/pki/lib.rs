//! Certificate authorities of our own, what they issue, and who is trusted.
//!
//! * [`Authority`]: a self-signed authority in a folder, made on first use; issues servers, clients, and certificates
//!   for keys that never leave their owner ([`IdentityRequest`]).
//! * [`Identity`]: a certificate chain and its key; makes the rustls configurations that present it.
//! * [`Clients`]: whom a server lets in: who was certified, or whose very certificate is published ([`PublishedCertificates`]).
//! * [`trust`]: configurations without a certificate of one's own: trusting one authority, or one pinned by fingerprint.
//! * [`file`]: how keys and their like are written: whole or absent, 0600.
//! * [`inspect`]: what a certificate says: its names, its fingerprint, whether an authority issued it.
//!
//! All keys are ECDSA P-256. Private keys are written with mode 0600 and are never printed. Every configuration uses the
//! aws-lc-rs provider explicitly and offers no ALPN protocol: whoever speaks HTTP/2 over it sets `alpn_protocols`.
//! Nothing here revokes: an identity is shut out by the program that would admit it.
//!
//! Start reading at [`Authority`].

mod authority;
mod error;
pub mod file;
mod identity;
pub mod inspect;
mod peer_uri;
mod pinned;
mod published;
mod request;
pub mod trust;

pub use authority::Authority;
pub use error::{Error, Kind};
pub use identity::Identity;
pub use peer_uri::WrongPeer;
pub use published::{Admission, Clients, PublishedCertificates, Stale};
pub use request::{IdentityRequest, request_fingerprint};
