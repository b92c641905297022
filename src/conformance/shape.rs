//! Questions about JSON documents.

use std::fmt::Display;

use serde_json::{Map, Value};

/// For messages.
pub fn said(found: &Option<impl Display>) -> String {
    found.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

/// The document without the member that a pointer leads to, and whether it was there.
pub fn without(document: &Value, pointer: &str) -> (Value, bool) {
    let mut document = document.clone();
    let Some((parent, name)) = pointer.rsplit_once('/') else { return (document, false) };
    let removed = document
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .is_some_and(|parent| parent.remove(name).is_some());
    (document, removed)
}

/// The document with a value at the pointer; objects on the way are made.
pub fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    let mut at = &mut document;
    for name in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(members) = at.as_object_mut() else { return document };
        at = members.entry(name).or_insert(Value::Null);
    }
    *at = value;
    document
}

/// A document that has nothing but a value at the pointer: a merge patch.
pub fn only(pointer: &str, value: Value) -> Value {
    with(&Value::Object(Map::new()), pointer, value)
}

/// JSON path of the first leaf of `wanted` that `found` has not, or has otherwise.
pub fn missing(wanted: &Value, found: &Value, path: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, wanted)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match found.get(name) {
                Some(found) => missing(wanted, found, &path),
                None => (!wanted.is_null()).then_some(path),
            }
        }),
        (wanted, found) => (wanted != found).then(|| path.to_owned()),
    }
}

/// JSON path of the first member that two documents both have with values of different kinds.
pub fn clash(one: &Value, other: &Value, path: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one.iter().find_map(|(name, one)| {
            let other = other.get(name)?;
            clash(one, other, &format!("{path}/{name}"))
        }),
        (Value::Null, _) | (_, Value::Null) => None,
        (one, other) => {
            (std::mem::discriminant(one) != std::mem::discriminant(other)).then(|| path.to_owned())
        }
    }
}

/// Every object in a document, itself included.
pub fn objects<'a>(document: &'a Value, found: &mut Vec<&'a Map<String, Value>>) {
    match document {
        Value::Object(members) => {
            found.push(members);
            members.values().for_each(|member| objects(member, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| objects(element, found)),
        _ => {}
    }
}

/// RFC 7396.
pub fn merged(document: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = document.as_object().cloned().unwrap_or_default();
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let present = members.get(name).cloned().unwrap_or(Value::Null);
            members.insert(name.clone(), merged(&present, change));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_missing_and_what_clashes() {
        let found = json!({"a": {"b": 1, "c": "x"}, "d": [1]});
        assert_eq!(missing(&json!({"a": {"b": 1}}), &found, ""), None);
        assert_eq!(missing(&json!({"a": {"b": 2}}), &found, ""), Some("a.b".into()));
        assert_eq!(missing(&json!({"a": {"e": 2}}), &found, ""), Some("a.e".into()));
        assert_eq!(clash(&json!({"a": {"b": "1"}}), &found, ""), Some("/a/b".into()));
        assert_eq!(clash(&json!({"a": {"z": "1"}, "d": null}), &found, ""), None);
    }

    #[test]
    fn changes_documents() {
        let document = json!({"a": {"b": 1, "c": "x"}});
        assert_eq!(without(&document, "/a/b"), (json!({"a": {"c": "x"}}), true));
        assert!(!without(&document, "/a/z").1);
        assert_eq!(with(&document, "/a/d/e", json!(2)), json!({"a": {"b": 1, "c": "x", "d": {"e": 2}}}));
        assert_eq!(only("/p/q", json!(1)), json!({"p": {"q": 1}}));
        assert_eq!(merged(&document, &json!({"a": {"b": null, "f": 3}})), json!({"a": {"c": "x", "f": 3}}));
    }
}
