//! Waiting for a source or a target that is away for a while. A migration that runs for weeks outlives restarts of a
//! NameNode, throttling by a storage account and the rotation of its keys: those are conditions to report, not failures of
//! the paths that happened to be under way.

use std::future::Future;
use std::time::Duration;

use livedata_filesystem::{Error, ErrorKind, Result};
use tokio::sync::watch;

use super::view::{Fault, View};

/// Which side an attempt speaks to.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Source,
    Target,
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Longer each time.
pub struct Pauses(Duration);

impl Pauses {
    pub fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// `asked`: by who is to be left in peace.
    pub async fn pause(&mut self, asked: Option<Duration>) {
        tokio::time::sleep(asked.unwrap_or(self.0).mul_f64(0.75 + jitter() / 2.0)).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// Tries until it works or fails for another reason than absence. The fault stands in the view meanwhile.
/// The caller bounds it by cancelling.
pub async fn persist<T, Attempt>(
    views: &watch::Sender<View>,
    side: Side,
    mut attempt: impl FnMut() -> Attempt,
) -> Result<T>
where
    Attempt: Future<Output = Result<T>>,
{
    let mut pauses = Pauses::new();
    loop {
        match attempt().await {
            Err(error) if error.kind().is_retryable() || error.kind() == ErrorKind::Unusable => {
                report(views, side, &error);
                let asked = match error.kind() {
                    ErrorKind::Throttled { retry_after } => retry_after,
                    _ => None,
                };
                pauses.pause(asked).await;
            }
            outcome => {
                clear(views, side);
                return outcome;
            }
        }
    }
}

fn report(views: &watch::Sender<View>, side: Side, error: &Error) {
    let fault = match (side, error.kind()) {
        (Side::Source, _) => Fault::SourceUnreachable,
        (Side::Target, ErrorKind::Throttled { .. }) => Fault::TargetThrottled,
        (Side::Target, ErrorKind::Unusable) => Fault::TargetRefuses,
        (Side::Target, _) => Fault::TargetUnreachable,
    };
    // A NameNode that was away and is in safe mode now is away for another reason: the last one is told.
    let told = views.borrow().faults.get(&fault).cloned();
    if told.as_deref() == Some(error.message()) {
        return;
    }
    if told.is_none() {
        tracing::warn!(error = error as &dyn std::error::Error, ?fault, "waiting and trying again");
    }
    views.send_modify(|view| {
        view.faults.insert(fault, error.message().to_owned());
    });
}

/// The root of the migration cannot be read: for so long nothing that is said about a path below it counts.
pub fn report_shut(views: &watch::Sender<View>, root: &str, error: &Error) {
    let message = format!(
        "{root}: it cannot be read at the source: {}. The migration waits and goes on by itself; if it was not allowed, let the \
         agent's user read it.",
        error.message()
    );
    views.send_if_modified(|view| {
        let known = view.faults.insert(Fault::SourceShut, message.clone());
        if known.is_none() {
            tracing::warn!(error = error as &dyn std::error::Error, "waiting until the source can be read");
        }
        known.as_ref() != Some(&message)
    });
}

pub fn clear_shut(views: &watch::Sender<View>) {
    views.send_if_modified(|view| view.faults.remove(&Fault::SourceShut).is_some());
}

fn clear(views: &watch::Sender<View>, side: Side) {
    let ours: &[Fault] = match side {
        Side::Source => &[Fault::SourceUnreachable],
        Side::Target => &[Fault::TargetUnreachable, Fault::TargetRefuses, Fault::TargetThrottled],
    };
    views.send_if_modified(|view| {
        let before = view.faults.len();
        view.faults.retain(|fault, _| !ours.contains(fault));
        view.faults.len() != before
    });
}

/// In `[0, 1)`; spreads retries, nothing depends on its quality.
fn jitter() -> f64 {
    (uuid::Uuid::new_v4().as_u128() >> 96) as f64 / f64::from(u32::MAX)
}
