//! The one place that asks for the time of day.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// RFC 3339 in UTC, as ARM documents carry times.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    // Formatting fails only for years outside 0..=9999, which a clock does not give.
    at.format(&Rfc3339).unwrap_or_default()
}

/// From milliseconds since 1970.
pub(crate) fn of_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
