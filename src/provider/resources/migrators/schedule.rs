//! Times of the week with a bandwidth limit of their own: their words in documents.

use livedata_model::spec::BandwidthWindow;
use serde_json::{Value, json};

pub const MOST_WINDOWS: usize = 64;

/// ISO 8601: Monday is 1.
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

pub fn day(text: &str) -> Option<u16> {
    let at = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text))?;
    u16::try_from(at + 1).ok()
}

/// `HH:MM`
pub fn minute(text: &str) -> Result<u16, &'static str> {
    const EXPECTED: &str = "a time of day, as 07:30 is";
    let (hours, minutes) = text.split_once(':').ok_or(EXPECTED)?;
    let number = |digits: &str, most: u16| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|number| two && *number < most).ok_or(EXPECTED)
    };
    Ok(number(hours, 24)? * 60 + number(minutes, 60)?)
}

/// The agent looks the name up in its own copy of the database; here it must only have the form of one.
pub fn time_zone(text: &str) -> Result<String, &'static str> {
    let word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
    };
    let good = text.len() <= 64 && (1..=3).contains(&text.split('/').count()) && text.split('/').all(word);
    if good { Ok(text.to_owned()) } else { Err("a name of the IANA time zone database, as Europe/Berlin is") }
}

pub fn write(window: &BandwidthWindow) -> Value {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let days: Vec<&str> =
        window.days.iter().filter_map(|day| DAYS.get(usize::from(*day).checked_sub(1)?)).copied().collect();
    json!({
        "days": days,
        "from": time(window.from_minute),
        "to": time(window.to_minute),
        "timeZone": window.time_zone,
        "maxBytesPerSecond": window.max_bytes_per_second
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_zones() {
        assert_eq!((minute("00:00"), minute("23:59")), (Ok(0), Ok(1439)));
        for bad in ["24:00", "7:30", "07:60", "0730", "", "-1:00", "+1:00"] {
            assert!(minute(bad).is_err(), "{bad}");
        }
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"] {
            assert!(time_zone(good).is_ok(), "{good}");
        }
        for bad in ["", "Europe/", "a b", "../etc"] {
            assert!(time_zone(bad).is_err(), "{bad}");
        }
        assert_eq!((day("monday"), day("Sunday"), day("Someday")), (Some(1), Some(7), None));
    }
}
