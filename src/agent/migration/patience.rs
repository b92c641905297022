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
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt().await {
            Err(error) if error.kind().is_retryable() || error.kind() == ErrorKind::Unusable => {
                report(views, side, &error);
                let asked = match error.kind() {
                    ErrorKind::Throttled { retry_after } => retry_after,
                    _ => None,
                };
                tokio::time::sleep(asked.unwrap_or(pause).mul_f64(0.75 + jitter() / 2.0)).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
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
