//! Patterns of files: `*` stands for any part of one segment, `?` for one character of it, all else for itself.
//!
//! A pattern of `n` segments is held against the last `n` segments of a path: `_SUCCESS` means every file of that name,
//! `_delta_log/*.json` every JSON file in a directory `_delta_log`. Cases differ, as they do at both sides.

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    #[error("it is empty")]
    Empty,
    #[error("it begins or ends with '/' or has an empty segment; it is held against the end of a path")]
    EmptySegment,
    #[error("'.' and '..' are no segments of a path")]
    Relative,
    #[error("'**' is not a wildcard; '*' stays within a segment")]
    TwoStars,
    #[error("it has a character that is reserved: one of [ ] {{ }} \\ ! or NUL")]
    Reserved,
    #[error("it would match every file")]
    Everything,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Pattern(Vec<String>);

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        // They have a meaning in other dialects: whoever writes them would be surprised.
        if text.contains(['[', ']', '{', '}', '\\', '!', '\0']) {
            return Err(PatternError::Reserved);
        }
        let segments: Vec<String> = text.split('/').map(str::to_owned).collect();
        if segments.iter().any(String::is_empty) {
            return Err(PatternError::EmptySegment);
        }
        if segments.iter().any(|segment| matches!(segment.as_str(), "." | "..")) {
            return Err(PatternError::Relative);
        }
        if text.contains("**") {
            return Err(PatternError::TwoStars);
        }
        if segments.iter().all(|segment| segment == "*") {
            return Err(PatternError::Everything);
        }
        Ok(Self(segments))
    }

    /// `path`: segments separated by `/`; where it begins does not matter.
    pub fn matches(&self, path: &str) -> bool {
        let mut given = path.rsplit('/');
        let mut wanted = self.0.iter().rev();
        wanted.all(|pattern| given.next().is_some_and(|segment| segment_matches(pattern, segment)))
    }
}

/// The last star takes one character more whenever the rest does not fit: at most length times length steps.
fn segment_matches(pattern: &str, segment: &str) -> bool {
    let (pattern, segment): (Vec<char>, Vec<char>) = (pattern.chars().collect(), segment.chars().collect());
    let (mut at, mut seen, mut star) = (0, 0, None);
    while let Some(letter) = segment.get(seen) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, seen) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_is_what_counts() {
        for (pattern, path, expected) in [
            ("_SUCCESS", "/out/_SUCCESS", true),
            ("_SUCCESS", "_SUCCESS", true),
            ("_SUCCESS", "/out/_success", false),
            ("_SUCCESS", "/_SUCCESS/part-0", false),
            ("_committed_*", "t/_committed_17", true),
            ("_committed_*", "t/x_committed_17", false),
            ("_delta_log/*.json", "/t/_delta_log/00.json", true),
            ("_delta_log/*.json", "/t/_delta_log/a/00.json", false),
            ("_delta_log/*.json", "00.json", false),
            ("v?.metadata.json", "metadata/v1.metadata.json", true),
            ("v?.metadata.json", "metadata/v10.metadata.json", false),
            ("v?.metadata.json", "metadata/v.metadata.json", false),
            ("*a*b", "xaxxabxb", true),
            ("*a*b", "xaxxabx", false),
            ("ä?", "äö", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_would_surprise_is_refused() {
        for (text, error) in [
            ("", PatternError::Empty),
            ("/a", PatternError::EmptySegment),
            ("a//b", PatternError::EmptySegment),
            ("a/", PatternError::EmptySegment),
            ("../a", PatternError::Relative),
            ("**/a", PatternError::TwoStars),
            ("[ab]", PatternError::Reserved),
            ("a{b,c}", PatternError::Reserved),
            ("a\\b", PatternError::Reserved),
            ("*", PatternError::Everything),
            ("*/*", PatternError::Everything),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }
}
