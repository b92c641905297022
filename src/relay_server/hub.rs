//! What all workers share: who listens, and which senders wait to be met.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use livedata_relay::address::path_covers;
use livedata_relay::authorization::{Authorized, Refusal, Right, Rules, Time};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::leg::Link;
use crate::options::Limits;
use crate::throttle::Throttle;

/// Accept messages that may wait for one listener to read them.
const CONTROL_QUEUE: usize = 32;

pub(crate) struct Hub {
    pub public_url: Url,
    pub limits: Limits,
    pub stopping: CancellationToken,
    rules: Rules,
    throttle: Mutex<Throttle>,
    listeners: Mutex<HashMap<String, Vec<Listener>>>,
    rendezvous: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
}

#[derive(Clone)]
struct Listener {
    id: Uuid,
    control: mpsc::Sender<String>,
}

/// What a waiting sender is told.
pub(crate) enum Answer {
    Accepted { link: Link, protocol: Option<String> },
    Rejected { status: u16, description: String },
}

/// A listener's place in the hub; dropping it takes the listener out.
pub(crate) struct Registration {
    hub: Arc<Hub>,
    path: String,
    id: Uuid,
    /// Accept messages to pass on.
    pub commands: mpsc::Receiver<String>,
}

/// A sender's wait for a listener; dropping it makes the rendezvous address worthless.
pub(crate) struct Waiting {
    hub: Arc<Hub>,
    pub secret: String,
    pub answer: oneshot::Receiver<Answer>,
}

impl Hub {
    pub fn new(public_url: Url, rules: Rules, limits: Limits, stopping: CancellationToken) -> Self {
        Self {
            throttle: Mutex::new(Throttle::new(limits.upgrade_burst, limits.upgrades_per_second)),
            public_url,
            limits,
            stopping,
            rules,
            listeners: Mutex::default(),
            rendezvous: Mutex::default(),
        }
    }

    pub fn admit(&self, source: Option<IpAddr>) -> Result<(), Duration> {
        match source {
            Some(source) => lock(&self.throttle).take(source, Instant::now()),
            None => Ok(()),
        }
    }

    /// `host` is what the client called us; a token for that name is as good as one for the public name.
    pub fn authorize(
        &self,
        token: Option<&str>,
        right: Right,
        host: &str,
        path: &str,
    ) -> Result<Authorized, Refusal> {
        let hosts = [host, self.public_url.host_str().unwrap_or_default()];
        let time = Time { now_seconds: unix_seconds(), leeway_seconds: self.limits.clock_leeway_seconds };
        self.rules.authorize(token, right, &hosts, path, time)
    }

    /// `None` when the path has as many listeners as it may have. `path` is in normal form.
    pub fn register(self: &Arc<Self>, path: &str) -> Option<Registration> {
        let mut listeners = lock(&self.listeners);
        let here = listeners.entry(path.to_owned()).or_default();
        if here.len() >= self.limits.listeners_per_path {
            return None;
        }
        let (control, commands) = mpsc::channel(CONTROL_QUEUE);
        let id = Uuid::new_v4();
        here.push(Listener { id, control });
        Some(Registration { hub: Arc::clone(self), path: path.to_owned(), id, commands })
    }

    /// A listener for `path` by the longest path that somebody listens on; at random when there are several.
    pub fn choose(&self, path: &str) -> Option<mpsc::Sender<String>> {
        let listeners = lock(&self.listeners);
        let mut candidate = Some(path);
        while let Some(current) = candidate {
            if let Some(here) = listeners.get(current).filter(|_| path_covers(current, path)) {
                let open: Vec<&Listener> = here.iter().filter(|one| !one.control.is_closed()).collect();
                if !open.is_empty() {
                    let pick = Uuid::new_v4().as_u128() as usize % open.len();
                    return Some(open[pick].control.clone());
                }
            }
            candidate = match current {
                "" => None,
                _ => Some(current.rsplit_once('/').map_or("", |(parent, _)| parent)),
            };
        }
        None
    }

    /// Opens a rendezvous under a fresh secret. `None` when the system has no randomness to give.
    pub fn wait(self: &Arc<Self>) -> Option<Waiting> {
        let mut bytes = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (sender, answer) = oneshot::channel();
        lock(&self.rendezvous).insert(secret.clone(), sender);
        Some(Waiting { hub: Arc::clone(self), secret, answer })
    }

    /// The sender behind a rendezvous address. Each secret gives it once.
    pub fn meet(&self, secret: &str) -> Option<oneshot::Sender<Answer>> {
        lock(&self.rendezvous).remove(secret)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut listeners = lock(&self.hub.listeners);
        if let Some(here) = listeners.get_mut(&self.path) {
            here.retain(|one| one.id != self.id);
            if here.is_empty() {
                listeners.remove(&self.path);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.hub.rendezvous).remove(&self.secret);
    }
}

pub(crate) fn unix_seconds() -> u64 {
    // A clock before 1970 makes every token valid for longer than a day, which is refused.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A panic elsewhere leaves these maps whole: every critical section is a single insertion, removal or look-up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(limits: Limits) -> Arc<Hub> {
        let url = Url::parse("wss://localhost").unwrap();
        Arc::new(Hub::new(url, Rules::default(), limits, CancellationToken::new()))
    }

    #[test]
    fn the_longest_path_with_a_listener_wins() {
        let hub = hub(Limits::default());
        let mut short = hub.register("a").unwrap();
        let long = hub.register("a/b").unwrap();
        assert!(hub.choose("a/b/c").unwrap().same_channel(&hub.choose("a/b").unwrap()));
        assert!(!hub.choose("a/bc").unwrap().same_channel(&hub.choose("a/b").unwrap()));
        drop(long);
        hub.choose("a/b/c").unwrap().try_send("for a".to_owned()).unwrap();
        assert_eq!(short.commands.try_recv().unwrap(), "for a");
        drop(short);
        assert!(hub.choose("a/b/c").is_none());
    }

    #[test]
    fn a_path_is_full_at_its_limit_and_frees_places() {
        let hub = hub(Limits { listeners_per_path: 2, ..Limits::default() });
        let first = hub.register("a").unwrap();
        let _second = hub.register("a").unwrap();
        assert!(hub.register("a").is_none());
        assert!(hub.register("b").is_some());
        drop(first);
        assert!(hub.register("a").is_some());
    }

    #[test]
    fn a_rendezvous_serves_once_and_ends_with_its_sender() {
        let hub = hub(Limits::default());
        let waiting = hub.wait().unwrap();
        assert!(hub.meet("guess").is_none());
        assert!(hub.meet(&waiting.secret).is_some());
        assert!(hub.meet(&waiting.secret).is_none());
        let secret = hub.wait().unwrap().secret.clone();
        assert!(hub.meet(&secret).is_none());
    }
}
