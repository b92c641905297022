//! The embedded relay: Azure Relay Hybrid Connections (`listen`, `connect`, `accept`, reject) on our own port.
//!
//! It brings a sender and a listener together and copies frames between them. It stores nothing, logs no payload and is
//! trusted with nothing but availability: both sides run TLS inside the stream.
//!
//! Promises:
//! - A sender gets its 101 only after a listener took the stream; otherwise an HTTP status that tells why.
//! - A rendezvous address works once and for 30 s.
//! - Frames cross with bounded queues: a slow reader slows its writer down, not the relay.
//! - A listener that does not answer two pings is dropped; an expired token ends its control channel with 1008. Streams
//!   that are open stay open: authorisation is decided when they are made, as on Azure.
//!
//! A hybrid connection needs no registration. Any path for which a validly signed Listen token exists can be listened
//! on: whoever holds the key decides which agents there are, and a second list of paths could only disagree with it.
//! A sender to a path without listener gets 404.
//!
//! Close codes: 1000 and others chosen by one side are passed to the other; 1001 when the sender vanished or the relay
//! stops; 1008 expired or bad renewal token; 1011 when the listener's side of a stream broke.
//!
//! Not here: the HTTP `request` mode, several relay nodes. Ping and Pong on streams go through to the other side; a
//! stream whose peer vanished without closing TCP is noticed by the session inside it.
//!
//! Start reading at [`RelayServer::start`], then `routes.rs`.

mod command;
mod config;
mod control;
mod hub;
mod leg;
mod options;
mod routes;
mod server;
mod throttle;

pub use command::{Args, RunError, run};
pub use config::{ConfigError, RelayConfig, certificate_path, config_path, key_path, load_tls};
pub use livedata_relay::authorization::{Key, Right, Rule, Rules};
pub use options::{Limits, Options};
pub use server::{RelayServer, Running, StartError};
