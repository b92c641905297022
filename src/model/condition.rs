//! Conditions: what is the matter with a resource, in a form that people and programs can read.

use crate::{wire_struct, wire_words};

wire_words! {
    /// Whether a condition holds. `Unknown` is an honest answer.
    pub enum Truth unknown Unknown {
        1 => True,
        2 => False,
        3 => Unknown,
    }
}

wire_struct! {
    /// One entry of `status.conditions[]`.
    pub struct Condition {
        /// E.g. `SourceRootMissing`, `SourceUnreachable`; the list is in `docs/errors.md`.
        1 => kind: String,
        2 => status: Truth,
        /// One PascalCase word.
        3 => reason: String,
        /// A sentence for the operator: what happened, to what, what to do next.
        4 => message: String,
        /// Milliseconds since 1970.
        5 => last_transition_ms: i64,
    }
}

/// Sets or clears conditions of one resource, keeping the time of the last real change.
pub fn set(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|known| known.kind == new.kind) {
        Some(known) if known.status == new.status => {
            known.reason = new.reason;
            known.message = new.message;
        }
        Some(known) => *known = new,
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_moves_only_with_the_status() {
        let at = |status, message: &str, time| Condition {
            kind: "SourceUnreachable".into(),
            status,
            reason: "Refused".into(),
            message: message.into(),
            last_transition_ms: time,
        };
        let mut conditions = Vec::new();
        set(&mut conditions, at(Truth::True, "a", 1));
        set(&mut conditions, at(Truth::True, "b", 2));
        assert_eq!((conditions[0].last_transition_ms, conditions[0].message.as_str()), (1, "b"));
        set(&mut conditions, at(Truth::False, "c", 3));
        assert_eq!(conditions[0].last_transition_ms, 3);
        assert_eq!(conditions.len(), 1);
    }
}
