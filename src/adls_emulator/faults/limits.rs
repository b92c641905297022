//! The limits of an account, as the service has them: what is over them is answered with `ServerBusy`.

use std::num::NonZeroU64;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::effect::FailureKind;
use crate::clock;
use crate::service_error::ServiceError;

/// What is not said is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Limits {
    requests_per_second: Option<NonZeroU64>,
    ingress_bits_per_second: Option<NonZeroU64>,
    egress_bits_per_second: Option<NonZeroU64>,
}

pub(super) struct AccountLimits {
    pub(super) limits: Limits,
    requests: Option<Bucket>,
    ingress: Option<Bucket>,
    egress: Option<Bucket>,
}

impl AccountLimits {
    pub(super) fn new(limits: Limits) -> Self {
        let now = clock::instant();
        let bucket = |per_second: Option<NonZeroU64>, unit: f64| {
            per_second.map(|per_second| Bucket::new(per_second.get() as f64 / unit, now))
        };
        Self {
            limits,
            requests: bucket(limits.requests_per_second, 1.0),
            ingress: bucket(limits.ingress_bits_per_second, 8.0),
            egress: bucket(limits.egress_bits_per_second, 8.0),
        }
    }

    /// `body_bytes`: of the request.
    pub(super) fn admit(&self, body_bytes: u64) -> Result<(), ServiceError> {
        take(self.requests.as_ref(), 1, FailureKind::OperationsOverLimit)?;
        take(self.ingress.as_ref(), body_bytes, FailureKind::IngressOverLimit)
    }

    /// `body_bytes`: of the reply.
    pub(super) fn admit_reply(&self, body_bytes: u64) -> Result<(), ServiceError> {
        take(self.egress.as_ref(), body_bytes, FailureKind::EgressOverLimit)
    }
}

fn take(bucket: Option<&Bucket>, amount: u64, over: FailureKind) -> Result<(), ServiceError> {
    match bucket {
        Some(bucket) if amount > 0 && !bucket.take(clock::instant(), amount as f64) => Err(over.error()),
        _ => Ok(()),
    }
}

/// A token bucket that holds one second's worth. What is larger than the whole bucket is let through when it is full, and paid
/// back: a body of 100 MB is possible under 10 MB/s, every ten seconds.
struct Bucket {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    fn new(per_second: f64, now: Instant) -> Self {
        Self { per_second, state: Mutex::new((per_second, now)) }
    }

    fn take(&self, now: Instant, amount: f64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = *state;
        let passed = now.saturating_duration_since(at).as_secs_f64();
        let tokens = (tokens + passed * self.per_second).min(self.per_second);
        let admitted = tokens >= amount.min(self.per_second);
        *state = (if admitted { tokens - amount } else { tokens }, now);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_refills_and_large_amounts_are_paid_back() {
        let start = clock::instant();
        let bucket = Bucket::new(10.0, start);
        let at = |ms| start + Duration::from_millis(ms);
        assert!((0..10).all(|_| bucket.take(start, 1.0)));
        assert!(!bucket.take(start, 1.0));
        assert!(!bucket.take(at(99), 1.0));
        assert!(bucket.take(at(200), 1.0));
        // Full again, and then thirty tokens for a bucket of ten.
        assert!(bucket.take(at(5000), 30.0));
        assert!(!bucket.take(at(7000), 1.0));
        assert!(bucket.take(at(7101), 1.0));
    }
}
