//! The client over real sockets: against a listener, against the emulator, and against the emulator through a proxy that
//! loses answers.

#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod authorization;
mod emulator;
mod grants;
mod histories;
mod leases;
mod lossy_proxy;
mod lost_answers;
mod networks;
mod peers;
mod signatures;
mod wire;
