//! Prefix and page position as one range of keys, so that an index walk touches only what it returns. (`LIKE` would
//! treat `%` and `_` in keys as wildcards.)

/// Keys `>= start` and `< end`; no end: up to the last key.
#[derive(Debug, Eq, PartialEq)]
pub struct Range {
    pub start: String,
    pub end: Option<String>,
}

pub fn of(prefix: &str, after: Option<&str>) -> Range {
    let start = match after {
        // The least string greater than `after`.
        Some(after) if after >= prefix => format!("{after}\0"),
        _ => prefix.to_owned(),
    };
    Range { start, end: successor(prefix) }
}

/// The least string greater than every string with this prefix. UTF-8 sorts by bytes as it does by code points, so the
/// last character that has a next one is raised.
fn successor(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_next_possible_prefix() {
        assert_eq!(successor("a/b"), Some("a/c".into()));
        assert_eq!(successor("ä"), Some("å".into()));
        assert_eq!(successor("a\u{10ffff}"), Some("b".into()));
        assert_eq!(successor("\u{d7ff}"), Some("\u{e000}".into()), "surrogates are no characters");
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }

    #[test]
    fn a_page_begins_behind_its_position() {
        assert_eq!(of("a/", None), Range { start: "a/".into(), end: Some("a0".into()) });
        assert_eq!(of("a/", Some("a/7")).start, "a/7\0");
        assert_eq!(of("b/", Some("a/7")).start, "b/", "a position before the prefix changes nothing");
    }
}
