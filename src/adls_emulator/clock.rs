//! The one place where the emulator reads the time, and the forms in which the service writes it.
//!
//! `now` is the machine's time, by which signatures, ETags and records go. `now_ms` is the emulated service's, by which paths are
//! changed, leases run out and files expire: the admin endpoint moves it, for all emulators of a process together.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// Ticks of 100 ns from the year 1 to 1970, the origin of the service's ETags.
const TICKS_TO_UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// For measuring how long something takes.
pub(crate) fn instant() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// How far the service's time is ahead of the machine's.
static OFFSET_MS: AtomicI64 = AtomicI64::new(0);

pub(crate) fn offset_ms() -> i64 {
    OFFSET_MS.load(Ordering::Relaxed)
}

pub(crate) fn set_offset_ms(offset_ms: i64) {
    OFFSET_MS.store(offset_ms, Ordering::Relaxed);
}

pub(crate) fn now_ms() -> i64 {
    machine_ms().saturating_add(offset_ms())
}

pub(crate) fn machine_ms() -> i64 {
    to_ms(now())
}

fn to_ms(time: SystemTime) -> i64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

fn from_ms(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// The smallest ETag number that may be given out now. ETags only grow, also when the machine's clock is set back.
pub(crate) fn etag_floor() -> i64 {
    machine_ms().saturating_mul(10_000).saturating_add(TICKS_TO_UNIX_EPOCH)
}

/// The time as HTTP headers carry it (RFC 1123, whole seconds).
pub(crate) fn http_date(ms: i64) -> String {
    httpdate::fmt_http_date(from_ms(ms))
}

/// `None` when it is not an HTTP date.
pub(crate) fn parse_http_date(text: &str) -> Option<i64> {
    httpdate::parse_http_date(text).ok().map(to_ms)
}

/// ISO 8601 in UTC, as error messages carry it.
pub(crate) fn iso_now() -> String {
    iso_of(now())
}

pub(crate) fn iso(ms: i64) -> String {
    iso_of(from_ms(ms))
}

fn iso_of(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|_| httpdate::fmt_http_date(time))
}

/// Ticks since the year 1601 (Windows file time), the form of `creationTime` in path lists.
pub(crate) fn file_time(ms: i64) -> i64 {
    ms.saturating_mul(10_000).saturating_add(116_444_736_000_000_000)
}

/// A time in UTC as signatures write it: a date, or one with hours and minutes, with or without seconds and fractions.
pub(crate) fn parse_iso(text: &str) -> Option<OffsetDateTime> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 if text.ends_with('Z') => format!("{}:00Z", text.trim_end_matches('Z')),
        _ => text.to_owned(),
    };
    OffsetDateTime::parse(&full, &time::format_description::well_known::Rfc3339).ok()
}

/// `2026-11-26T07:30:00Z`.
pub(crate) fn iso_seconds(time: OffsetDateTime) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_signatures() {
        for text in ["2026-11-26T07:30:00Z", "2026-11-26T07:30Z", "2026-11-26T07:30:00.0000000Z"] {
            assert_eq!(iso_seconds(parse_iso(text).unwrap()), "2026-11-26T07:30:00Z", "{text}");
        }
        assert_eq!(iso_seconds(parse_iso("2026-11-26").unwrap()), "2026-11-26T00:00:00Z");
        for text in ["", "soon", "2026-11-26T07", "2026-13-01"] {
            assert!(parse_iso(text).is_none(), "{text}");
        }
    }
}
