//! `YYYY-MM-DD` with an optional `-preview`, `-alpha`, `-beta`, `-rc` or `-privatepreview` (rule 7).

use std::fmt;
use std::str::FromStr;

/// A syntactically valid api-version. Whether anybody serves it is another question.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct ApiVersion(String);

impl ApiVersion {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not an api-version: expected YYYY-MM-DD with an optional -preview suffix")]
pub struct ParseApiVersionError(String);

impl FromStr for ApiVersion {
    type Err = ParseApiVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let date = ["-privatepreview", "-preview", "-alpha", "-beta", "-rc"]
            .iter()
            .find_map(|suffix| lower.strip_suffix(suffix))
            .unwrap_or(&lower);
        let digits_and_dashes = date.len() == 10
            && date.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        if digits_and_dashes { Ok(Self(lower)) } else { Err(ParseApiVersionError(text.to_owned())) }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_dates_with_known_suffixes_only() {
        for good in ["2026-11-01", "2026-11-01-preview", "2026-11-01-PREVIEW", "2020-01-01-rc"] {
            assert!(good.parse::<ApiVersion>().is_ok(), "{good}");
        }
        for bad in ["", "2026", "2026-11-1", "2026/11/01", "2026-11-01-nightly", "latest"] {
            assert!(bad.parse::<ApiVersion>().is_err(), "{bad}");
        }
    }
}
