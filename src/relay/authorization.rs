//! Who may listen and send: rules with keys, and the decision for one token.
//!
//! A grant is the intersection of the rule's scope and the token's own resource. The order of checks decides the status
//! that a client sees: what proves nothing is 401 ([`Refusal::Unauthorized`]), what proves the wrong thing is 403.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address::{Resource, normal_path, path_covers};
use crate::sas::SharedAccessSignature;

/// Azure tolerates clocks that are about this far apart.
pub const CLOCK_LEEWAY_SECONDS: u64 = 300;
/// A token is refused when it would live longer than this: it could not be withdrawn without changing the key.
pub const LONGEST_LIFE_SECONDS: u64 = 24 * 3600;

/// What a rule allows. `Manage` includes the other two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Right {
    Listen,
    Send,
    Manage,
}

/// The text of a shared key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A named pair of keys. Both are accepted, so that one can be replaced while clients still use the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub name: String,
    pub primary_key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_key: Option<Key>,
    pub rights: Vec<Right>,
    /// The rule holds for this path and below; for all paths when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_path: Option<String>,
}

impl Rule {
    fn has_signed(&self, token: &SharedAccessSignature) -> bool {
        // Both are computed, so that the time taken does not tell which key was used.
        let primary = token.is_signed_with(&self.primary_key.0);
        let secondary = self.secondary_key.as_ref().is_some_and(|key| token.is_signed_with(&key.0));
        primary | secondary
    }

    fn allows(&self, right: Right) -> bool {
        self.rights.iter().any(|held| *held == right || *held == Right::Manage)
    }
}

/// All rules of one relay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(pub Vec<Rule>);

/// Why a token does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Unauthorized(String),
    #[error("{0}")]
    Forbidden(String),
}

/// What a valid token gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    pub key_name: String,
    /// From here on the token counts as expired, leeway included (Unix time).
    pub ends_at_seconds: u64,
}

/// The instant of the decision and how far the client's clock may be off.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    pub now_seconds: u64,
    pub leeway_seconds: u64,
}

impl Rules {
    /// Decides whether `token` gives `right` at `path`, asked for under any of `hosts`.
    pub fn authorize(
        &self,
        token: Option<&str>,
        right: Right,
        hosts: &[&str],
        path: &str,
        time: Time,
    ) -> Result<Authorized, Refusal> {
        let unauthorized = |reason: &str| Refusal::Unauthorized(reason.to_owned());
        let token = token.ok_or_else(|| unauthorized("no token was sent"))?;
        let token = SharedAccessSignature::parse(token).map_err(|e| unauthorized(&e.to_string()))?;
        let Some(rule) = self.0.iter().find(|rule| rule.name == token.key_name && rule.has_signed(&token))
        else {
            return Err(unauthorized("the signature fits no key"));
        };
        let ends_at_seconds = token.expires_at_seconds.saturating_add(time.leeway_seconds);
        if ends_at_seconds <= time.now_seconds {
            return Err(unauthorized("the token has expired"));
        }
        let latest =
            time.now_seconds.saturating_add(LONGEST_LIFE_SECONDS).saturating_add(time.leeway_seconds);
        if token.expires_at_seconds > latest {
            return Err(unauthorized("the token lives longer than 24 hours"));
        }

        let forbidden = |reason: &str| Refusal::Forbidden(reason.to_owned());
        if !rule.allows(right) {
            return Err(forbidden("the rule of this token does not hold this right"));
        }
        if let Some(scope) = &rule.scope_path
            && !path_covers(&normal_path(scope), &normal_path(path))
        {
            return Err(forbidden("the rule of this token is for another path"));
        }
        if !hosts.iter().any(|host| token.resource().covers(&Resource::new(host, path))) {
            return Err(forbidden("the token is for another resource"));
        }
        Ok(Authorized { key_name: token.key_name, ends_at_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    const NOW: u64 = 1_795_420_000;
    const TIME: Time = Time { now_seconds: NOW, leeway_seconds: CLOCK_LEEWAY_SECONDS };

    fn rules() -> Rules {
        let rule = |name: &str, rights: &[Right], scope: Option<&str>| Rule {
            name: name.to_owned(),
            primary_key: Key("first".to_owned()),
            secondary_key: Some(Key("second".to_owned())),
            rights: rights.to_vec(),
            scope_path: scope.map(str::to_owned),
        };
        Rules(vec![
            rule("listener", &[Right::Listen], None),
            rule("sender", &[Right::Send], None),
            rule("owner", &[Right::Manage], None),
            rule("one", &[Right::Listen], Some("Agents/One")),
        ])
    }

    fn decide(
        sr: &str,
        name: &str,
        key: &str,
        ends: u64,
        right: Right,
        path: &str,
    ) -> Result<Authorized, Refusal> {
        let token = Token::sign(sr, name, key, ends);
        rules().authorize(Some(token.expose()), right, &["relay.example:9443"], path, TIME)
    }

    fn status(result: Result<Authorized, Refusal>) -> u16 {
        match result {
            Ok(_) => 200,
            Err(Refusal::Unauthorized(_)) => 401,
            Err(Refusal::Forbidden(_)) => 403,
        }
    }

    #[test]
    fn either_key_works_and_no_other() {
        for (key, expected) in [("first", 200), ("second", 200), ("third", 401), ("", 401)] {
            let result = decide("http://relay.example/", "listener", key, NOW + 60, Right::Listen, "a");
            assert_eq!(status(result), expected, "{key}");
        }
        let unknown = decide("http://relay.example/", "nobody", "first", NOW + 60, Right::Listen, "a");
        assert_eq!(status(unknown), 401);
        assert_eq!(status(rules().authorize(None, Right::Listen, &["relay.example"], "a", TIME)), 401);
        assert_eq!(status(rules().authorize(Some(""), Right::Listen, &["relay.example"], "a", TIME)), 401);
    }

    #[test]
    fn the_right_must_be_held_and_manage_holds_all() {
        for (name, right, expected) in [
            ("listener", Right::Listen, 200),
            ("listener", Right::Send, 403),
            ("sender", Right::Listen, 403),
            ("sender", Right::Send, 200),
            ("owner", Right::Listen, 200),
            ("owner", Right::Send, 200),
        ] {
            let result = decide("http://relay.example/", name, "first", NOW + 60, right, "a");
            assert_eq!(status(result), expected, "{name} {right:?}");
        }
    }

    #[test]
    fn expiry_has_the_leeway_and_not_more() {
        for (ends, expected) in [
            (NOW + 1, 200),
            (NOW - 299, 200),
            (NOW - 300, 401),
            (NOW - 301, 401),
            (NOW + 24 * 3600 + 300, 200),
            (NOW + 24 * 3600 + 301, 401),
            (u64::MAX, 401),
        ] {
            let result = decide("http://relay.example/", "listener", "first", ends, Right::Listen, "a");
            assert_eq!(status(result), expected, "{ends}");
        }
    }

    #[test]
    fn the_path_must_be_inside_token_and_rule() {
        for (sr, name, path, expected) in [
            ("http://relay.example/agents/one/", "listener", "agents/one", 200),
            ("http://relay.example/agents/one/", "listener", "agents/one/session", 200),
            ("http://relay.example/agents/one/", "listener", "agents/one2", 403),
            ("http://relay.example/agents/one/", "listener", "agents", 403),
            ("http://other.example/agents/one/", "listener", "agents/one", 403),
            ("http://relay.example/", "one", "agents/one", 200),
            ("http://relay.example/", "one", "AGENTS/one", 200),
            ("http://relay.example/", "one", "agents/one2", 403),
            ("http://relay.example:443/agents/one", "one", "agents/one", 200),
        ] {
            let result = decide(sr, name, "first", NOW + 60, Right::Listen, path);
            assert_eq!(status(result), expected, "{sr} {name} {path}");
        }
    }

    #[test]
    fn keys_do_not_show_themselves() {
        assert!(!format!("{:?}", rules()).contains("first"));
    }
}
