//! The text frames of a control channel: one JSON object with exactly one top-level key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Relay to listener: a sender waits; open `address`, unchanged and without a token, to meet it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accept {
    pub address: String,
    #[serde(default)]
    pub id: String,
    /// All headers of the sender's request except its token.
    #[serde(default)]
    pub connect_headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_endpoint: Option<RemoteEndpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteEndpoint {
    pub address: String,
    pub port: u16,
}

/// Listener to relay: use this token from now on. There is no reply; a bad token closes the channel with 1008.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewToken {
    pub token: String,
}

/// What a listener may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToListener {
    Accept(Accept),
    /// A key that this side does not know. Newer relays may send more than we understand.
    Unknown(String),
}

/// What a relay may be told.
#[derive(Clone, PartialEq, Eq)]
pub enum ToRelay {
    RenewToken(RenewToken),
    Unknown(String),
}

impl Accept {
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Envelope { key: "accept", value: self })
    }
}

impl RenewToken {
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Envelope { key: "renewToken", value: self })
    }
}

impl ToListener {
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let (key, value) = open(text)?;
        match key.as_str() {
            "accept" => Ok(Self::Accept(serde_json::from_value(value)?)),
            _ => Ok(Self::Unknown(key)),
        }
    }
}

impl ToRelay {
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let (key, value) = open(text)?;
        match key.as_str() {
            "renewToken" => Ok(Self::RenewToken(serde_json::from_value(value)?)),
            _ => Ok(Self::Unknown(key)),
        }
    }
}

struct Envelope<'a, T> {
    key: &'static str,
    value: &'a T,
}

impl<T: Serialize> Serialize for Envelope<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.key, self.value)])
    }
}

fn open(text: &str) -> Result<(String, serde_json::Value), serde_json::Error> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    let mut entries = object.into_iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(serde::de::Error::custom("a control message has exactly one top-level key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_in_the_form_of_azure_is_read() {
        let text = r#"{"accept":{"address":"wss://h/$hc/p?sb-hc-action=accept","id":"42",
            "connectHeaders":{"Host":"h","Sec-WebSocket-Key":"k"},
            "remoteEndpoint":{"address":"::1","port":7},"later":true}}"#;
        let ToListener::Accept(accept) = ToListener::from_json(text).unwrap() else {
            panic!("not an accept")
        };
        assert_eq!(accept.id, "42");
        assert_eq!(accept.connect_headers["Host"], "h");
        assert_eq!(accept.remote_endpoint, Some(RemoteEndpoint { address: "::1".to_owned(), port: 7 }));
        assert_eq!(ToListener::from_json(&accept.to_json().unwrap()).unwrap(), ToListener::Accept(accept));
    }

    #[test]
    fn an_address_alone_is_enough() {
        let text = r#"{"accept":{"address":"wss://h/"}}"#;
        assert!(matches!(ToListener::from_json(text), Ok(ToListener::Accept(_))));
    }

    #[test]
    fn unknown_keys_are_named_and_broken_messages_refused() {
        assert_eq!(
            ToListener::from_json(r#"{"request":{"address":"x"}}"#).unwrap(),
            ToListener::Unknown("request".to_owned())
        );
        for text in ["", "[]", "{}", r#"{"accept":{}}"#, r#"{"accept":{"address":"a"},"b":1}"#] {
            assert!(ToListener::from_json(text).is_err(), "{text}");
        }
        let renewal = RenewToken { token: "t".to_owned() };
        assert_eq!(renewal.to_json().unwrap(), r#"{"renewToken":{"token":"t"}}"#);
        assert!(
            ToRelay::from_json(r#"{"renewToken":{"token":"t"}}"#).unwrap() == ToRelay::RenewToken(renewal)
        );
    }
}
