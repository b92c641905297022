//! Durations as ARM documents have them (ISO 8601), in whole seconds.
//!
//! Weeks, days, hours, minutes and seconds. Years and months have no fixed length and fractions no use here: both are
//! refused.

const UNITS_OF_DATE: [(char, u64); 2] = [('W', 7 * 86_400), ('D', 86_400)];
const UNITS_OF_TIME: [(char, u64); 3] = [('H', 3600), ('M', 60), ('S', 1)];

/// `None`: not such a duration, or longer than can be counted.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.strip_prefix('P')?;
    let (date, time) = match text.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None if text.is_empty() => return None,
        None => (text, ""),
    };
    sum(date, &UNITS_OF_DATE)?.checked_add(sum(time, &UNITS_OF_TIME)?)
}

/// Each unit at most once, in this order.
fn sum(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut seconds: u64 = 0;
    for (unit, length) in units {
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, rest) = text.split_at(digits);
        if let Some(rest) = rest.strip_prefix(*unit) {
            seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(*length)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(seconds)
}

/// The one form that durations are sent in: no weeks, no zero parts, `PT0S` for nothing.
pub fn format(seconds: u64) -> String {
    let mut text = String::from("P");
    let mut rest = seconds;
    let mut part = |text: &mut String, unit: char, length: u64| {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    };
    part(&mut text, 'D', 86_400);
    if seconds == 0 || !seconds.is_multiple_of(86_400) {
        text.push('T');
    }
    for (unit, length) in UNITS_OF_TIME {
        part(&mut text, unit, length);
    }
    if seconds == 0 {
        text.push_str("0S");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, seconds, written) in [
            ("PT0S", 0, "PT0S"),
            ("P0D", 0, "PT0S"),
            ("P7D", 604_800, "P7D"),
            ("P1W", 604_800, "P7D"),
            ("PT1H", 3600, "PT1H"),
            ("PT90M", 5400, "PT1H30M"),
            ("P1DT2H3M4S", 93_784, "P1DT2H3M4S"),
            ("PT86400S", 86_400, "P1D"),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(format(seconds), written);
            assert_eq!(parse(written), Some(seconds), "{written}");
        }
    }

    #[test]
    fn what_is_not_one_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "1H",
            "7",
            "P7",
            "PT1",
            "P1Y",
            "P1M",
            "PT1.5S",
            "P-1D",
            "PT1M1H",
            "P1DT",
            "p7d",
            "P 7D",
            "PT1H1H",
            "P1S",
            "PT1D",
            "PD",
            "P99999999999999999999D",
            "P9999999999999999D",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
