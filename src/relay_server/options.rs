//! What a relay is started with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use livedata_relay::authorization::{CLOCK_LEEWAY_SECONDS, Rules};
use url::Url;

#[derive(Clone)]
pub struct Options {
    /// Port 0 takes any free port.
    pub listen: SocketAddr,
    /// `wss://host:port` under which listeners reach this very process; rendezvous addresses begin with it. Port 0
    /// stands for the port that was bound.
    pub public_url: Url,
    pub tls: Arc<rustls::ServerConfig>,
    pub rules: Rules,
    pub limits: Limits,
}

/// The numbers of Azure Relay where it has one.
#[derive(Debug, Clone)]
pub struct Limits {
    pub listeners_per_path: usize,
    pub rendezvous_timeout: Duration,
    pub ping_interval: Duration,
    /// How far the clocks of clients may be off.
    pub clock_leeway_seconds: u64,
    /// Upgrades that one source address may make at once, and per second in the long run. A stream takes two. A client
    /// without back-off can otherwise use up all file descriptors of the relay.
    pub upgrade_burst: u32,
    pub upgrades_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            listeners_per_path: 25,
            rendezvous_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_secs(20),
            clock_leeway_seconds: CLOCK_LEEWAY_SECONDS,
            upgrade_burst: 1000,
            upgrades_per_second: 100.0,
        }
    }
}
