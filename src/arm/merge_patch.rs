//! JSON merge patch, RFC 7396.

use serde_json::Value;

/// Applies `patch` to `document`: `null` deletes, absent keeps, arrays replace.
pub fn apply(document: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = document else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            apply(fields.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn example_of_the_rfc() {
        let mut document = json!({"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["a","b"],"content":"x"});
        apply(
            &mut document,
            &json!({"title":"Hello!","phone":"1","author":{"familyName":null},"tags":["a"]}),
        );
        assert_eq!(
            document,
            json!({"title":"Hello!","author":{"givenName":"John"},"tags":["a"],"content":"x","phone":"1"})
        );
    }
}
