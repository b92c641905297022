//! The one place where this crate asks for the time of day. Pauses and budgets use tokio's clock, which tests can pause.

use std::time::SystemTime;

/// Requests are dated with it, and `Retry-After` dates are compared with it.
pub(crate) fn time_of_day() -> SystemTime {
    SystemTime::now()
}
