//! Secrets of resources: sealed before they are stored, bound to their resource, never written to a client.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livedata_model::spec::Secret;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::errors::Outcome;

/// Base64 of a sealed secret.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

/// What a secret is and whose: moved to another record it does not open.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub what: &'static str,
    pub guid: &'a str,
}

impl Context<'_> {
    pub fn text(self) -> String {
        format!("{} {}", self.what, self.guid)
    }
}

/// What is given, sealed; an equal secret keeps its sealed form, so that a repeated PUT changes nothing. Without a new one
/// the stored one stays.
pub fn seal(
    core: &Core,
    context: Context<'_>,
    given: Option<Secret>,
    kept: Option<&Sealed>,
) -> Outcome<Option<Sealed>> {
    let Some(given) = given else { return Ok(kept.cloned()) };
    // One that cannot be opened is replaced: that is how a user gets out of a lost key.
    if let Some(kept) = kept
        && open(core, context, kept).is_ok_and(|plain| plain == given)
    {
        return Ok(Some(kept.clone()));
    }
    let sealed = sealed(core, &context.text(), given.0.as_bytes())?;
    Ok(Some(Sealed(STANDARD.encode(sealed))))
}

/// Refused while the keys cannot be used, whatever is wrong with them: that passes.
pub fn sealed(core: &Core, context: &str, plain: &[u8]) -> Outcome<Vec<u8>> {
    core.sealing_keys.seal(context, plain).map_err(|error| match error {
        // Of the file, not of a secret.
        livedata_store::Error::Damaged(told) => livedata_store::Error::KeyUnavailable(told).into(),
        error => error.into(),
    })
}

/// The secret in the clear: for the session, and for nothing else.
pub fn open(core: &Core, context: Context<'_>, sealed: &Sealed) -> Outcome<Secret> {
    let damaged = || livedata_store::Error::Damaged("a sealed secret is not what was stored".to_owned());
    let sealed = STANDARD.decode(&sealed.0).map_err(|_| damaged())?;
    let plain = core.sealing_keys.open(&context.text(), &sealed)?;
    Ok(Secret(String::from_utf8(plain).map_err(|_| damaged())?))
}

/// Follows the file of sealing keys until it is cancelled: has keys in it unwrapped, and tells agents what could not be read
/// before.
pub async fn keep_keys(core: Arc<Core>, cancel: CancellationToken) {
    const EVERY: Duration = Duration::from_secs(2);
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = core.sealing_keys.open_ids();
    let mut told = None;
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => {}
        }
        let refreshed = tokio::select! {
            () = cancel.cancelled() => return,
            refreshed = core.sealing_keys.refresh() => refreshed,
        };
        // What an authority says has the time in it, and is another one each time.
        let trouble = refreshed.as_ref().err().map(|_| core.sealing_keys.closed_ids());
        if trouble != told {
            match refreshed {
                Err(error) => {
                    tracing::error!(%error, "sealing keys cannot be used; what they seal is withheld from agents")
                }
                Ok(()) => tracing::info!("all sealing keys can be used again"),
            }
            told = trouble;
        }
        let now = core.sealing_keys.open_ids();
        if now != known {
            core.all_desired_changed();
            known = now;
        }
    }
}
