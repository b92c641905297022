//! Conditional requests on resources (rules 105–109).

/// `If-Match` and `If-None-Match` of one request, as given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Preconditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
}

impl Preconditions {
    /// Whether a write may go on, given the stored etag (`None`: no such resource).
    pub fn hold(&self, stored: Option<&str>) -> bool {
        let matches = |wanted: &str, stored: &str| {
            wanted
                .split(',')
                .map(str::trim)
                .any(|one| one == "*" || one.trim_matches('"') == stored.trim_matches('"'))
        };
        let if_match =
            self.if_match.as_deref().is_none_or(|wanted| stored.is_some_and(|etag| matches(wanted, etag)));
        let if_none_match = self
            .if_none_match
            .as_deref()
            .is_none_or(|wanted| !stored.is_some_and(|etag| matches(wanted, etag)));
        if_match && if_none_match
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(if_match: Option<&str>, if_none_match: Option<&str>) -> Preconditions {
        Preconditions { if_match: if_match.map(Into::into), if_none_match: if_none_match.map(Into::into) }
    }

    #[test]
    fn table_of_the_contract() {
        assert!(conditions(None, None).hold(None));
        assert!(conditions(None, Some("*")).hold(None));
        assert!(!conditions(Some("*"), None).hold(None));
        assert!(!conditions(Some("\"1\""), None).hold(None));
        assert!(!conditions(None, Some("*")).hold(Some("1")));
        assert!(conditions(Some("*"), None).hold(Some("1")));
        assert!(conditions(Some("\"1\""), None).hold(Some("1")));
        assert!(!conditions(Some("\"2\""), None).hold(Some("1")));
    }
}
