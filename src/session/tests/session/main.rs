//! Sessions and enrolment from outside: real TLS over memory and sockets, both ends in one process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

mod conversation;
mod ends;
mod enrolment;
mod tls;
mod world;
