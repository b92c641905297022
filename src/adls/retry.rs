//! The tries of one operation: how long to pause, when to stop, and what the final error says.

use std::time::Duration;

use livedata_filesystem::{Condition, Error, ErrorKind};
use tokio::time::Instant;

use crate::RetryBudget;
use crate::fault::{Code, Fault};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// An operation that did not succeed, with what a caller in this crate needs to find out what became of it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    pub code: Code,
    /// Some try may have taken effect although its answer did not arrive.
    pub outcome_unknown: bool,
}

impl Failure {
    /// The condition that failed held for an earlier try, whose answer was lost and which may have made it fail.
    pub(crate) fn may_be_our_own(&self, condition: &Condition) -> bool {
        self.outcome_unknown && self.error.kind() == ErrorKind::Conflict && *condition != Condition::Any
    }

    /// What to report when a look at what became of the operation failed as well: if an answer was lost, the truth is
    /// that nobody knows, whatever the last try said.
    pub(crate) fn unresolved(self, operation: &'static str, subject: String, look: Error) -> Error {
        if !self.outcome_unknown {
            return self.error;
        }
        let message =
            "an answer was lost and looking at the result failed too, so it is not known whether it happened";
        Error::new(ErrorKind::Unreachable, operation, subject, message).with_source(look)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Counts tries and time. One per operation.
#[derive(Debug)]
pub(crate) struct Tries {
    budget: RetryBudget,
    operation: &'static str,
    subject: String,
    begun: Instant,
    failed: u32,
    outcome_unknown: bool,
}

impl Tries {
    pub(crate) fn new(budget: RetryBudget, operation: &'static str, subject: String) -> Self {
        Self { budget, operation, subject, begun: Instant::now(), failed: 0, outcome_unknown: false }
    }

    /// Returns after a pause if another try is allowed, otherwise with the final error.
    pub(crate) async fn after(&mut self, fault: Fault) -> Result<(), Failure> {
        self.failed += 1;
        self.outcome_unknown |= fault.outcome_unknown;
        let asked = match fault.kind {
            ErrorKind::Throttled { retry_after } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let pause = pause(self.failed, random_fraction()).max(asked);
        let spent = self.begun.elapsed();
        if !fault.retryable || self.failed >= self.budget.tries || spent + pause > self.budget.elapsed {
            return Err(self.give_up(fault, spent));
        }
        tracing::debug!(
            operation = self.operation,
            path = self.subject,
            tries = self.failed,
            pause_ms = pause.as_millis() as u64,
            reason = fault.message,
            "trying again"
        );
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn give_up(&self, fault: Fault, spent: Duration) -> Failure {
        let mut message = fault.message;
        if self.failed > 1 || fault.retryable {
            let tries = if self.failed == 1 { "try" } else { "tries" };
            message.push_str(&format!(
                "; gave up after {} {tries} in {:.1} s",
                self.failed,
                spent.as_secs_f64()
            ));
        }
        let mut error = Error::new(fault.kind, self.operation, self.subject.clone(), message);
        if let Some(source) = fault.source {
            error = error.with_source(source);
        }
        Failure { error, code: fault.code, outcome_unknown: self.outcome_unknown }
    }
}

/// Doubles from try to try, up to a ceiling; the upper half is left to chance so that many clients do not come back at once.
fn pause(failed: u32, fraction: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.5 + fraction / 2.0)
}

/// In `[0, 1]`.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the pause is the longest one: still right, only less spread out.
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::*;

    fn busy(retry_after: Option<&'static str>) -> Fault {
        let mut headers = Headers::new();
        headers.insert("x-ms-error-code", "ServerBusy");
        if let Some(value) = retry_after {
            headers.insert("retry-after", value);
        }
        Fault::answered(503, &headers, b"")
    }

    fn tries(tries: u32, seconds: u64) -> Tries {
        Tries::new(RetryBudget { tries, elapsed: Duration::from_secs(seconds) }, "flush", "data/a".to_owned())
    }

    #[test]
    fn pauses_double_with_jitter_up_to_a_ceiling() {
        assert_eq!(pause(1, 0.0), Duration::from_millis(100));
        assert_eq!(pause(1, 1.0), Duration::from_millis(200));
        assert_eq!(pause(4, 1.0), Duration::from_millis(1_600));
        assert_eq!(pause(40, 1.0), LONGEST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_tries_ends_it() {
        let mut tries = tries(3, 3_600);
        tries.after(busy(None)).await.unwrap();
        tries.after(busy(None)).await.unwrap();
        let failure = tries.after(busy(None)).await.unwrap_err();
        let text = failure.error.to_string();
        assert!(text.starts_with("flush data/a: the storage service answered 503 ServerBusy"), "{text}");
        assert!(text.contains("gave up after 3 tries in 0."), "{text}");
        assert!(!failure.outcome_unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn elapsed_time_ends_it_without_a_pointless_pause() {
        let begun = Instant::now();
        let mut tries = tries(1_000, 10);
        let failure = loop {
            if let Err(failure) = tries.after(busy(Some("3"))).await {
                break failure;
            }
        };
        assert_eq!(begun.elapsed().as_secs(), 9);
        assert!(failure.error.to_string().contains("gave up after 4 tries in 9.0 s"), "{}", failure.error);
        assert_eq!(failure.error.kind(), ErrorKind::Throttled { retry_after: Some(Duration::from_secs(3)) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final_and_remembers_lost_answers() {
        let mut tries = tries(5, 60);
        let lost = azure_core::Error::with_message(azure_core::error::ErrorKind::Io, "reset");
        tries.after(Fault::unanswered(lost)).await.unwrap();
        let failure = tries.after(Fault::answered(409, &Headers::new(), b"")).await.unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Conflict);
        assert!(failure.outcome_unknown);
    }
}
