//! What an agent is to do once. Everything else it is told is what should be ([`crate::spec`]).
//!
//! A command is for one life of one migration: it means nothing to a migration that was made anew under the same id, or
//! that was reset after it was given.

use crate::cbor::{DecodeError, Wire};
use crate::spec::MigrationSpec;
use crate::wire_struct;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Command {
    /// Random. An agent that has done a command does nothing when it comes again.
    pub id: String,
    /// Id of the migration.
    pub migration: String,
    /// Both as in the migration's spec when the command was given.
    pub incarnation: String,
    pub reset_count: u64,
    pub kind: CommandKind,
    /// W3C `traceparent` of the request that gave it, for the agent's spans.
    pub trace: Option<String>,
}

impl Command {
    /// Whether a migration that should be so is the one that the command was given for.
    pub fn is_for(&self, spec: &MigrationSpec) -> bool {
        (self.incarnation.as_str(), self.reset_count) == (spec.incarnation.as_str(), spec.reset_count)
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CommandKind {
    /// Look at everything below `path` again. Canonical, at the source: the migration's own path or one inside it.
    Rescan { path: String },
    /// Try what was given up again.
    RetryFailed,
    /// Do the deletes that are held.
    ApproveDeletes,
    /// A kind from a newer provider. Never sent.
    Unknown,
}

wire_struct! {
    pub struct CommandOnWire {
        1 => id: String,
        2 => migration: String,
        3 => incarnation: String,
        4 => reset_count: u64,
        5 => rescan: Option<String>,
        6 => retry_failed: Option<bool>,
        7 => approve_deletes: Option<bool>,
        8 => trace: Option<String>,
    }
}

impl Wire for Command {
    fn to_value(&self) -> ciborium::Value {
        let mut wire = CommandOnWire {
            id: self.id.clone(),
            migration: self.migration.clone(),
            incarnation: self.incarnation.clone(),
            reset_count: self.reset_count,
            rescan: None,
            retry_failed: None,
            approve_deletes: None,
            trace: self.trace.clone(),
        };
        match &self.kind {
            CommandKind::Rescan { path } => wire.rescan = Some(path.clone()),
            CommandKind::RetryFailed => wire.retry_failed = Some(true),
            CommandKind::ApproveDeletes => wire.approve_deletes = Some(true),
            CommandKind::Unknown => {}
        }
        wire.to_value()
    }

    fn from_value(value: ciborium::Value) -> Result<Self, DecodeError> {
        let wire = CommandOnWire::from_value(value)?;
        let kind = match (wire.rescan, wire.retry_failed, wire.approve_deletes) {
            (Some(path), _, _) => CommandKind::Rescan { path },
            (None, Some(true), _) => CommandKind::RetryFailed,
            (None, _, Some(true)) => CommandKind::ApproveDeletes,
            _ => CommandKind::Unknown,
        };
        let CommandOnWire { id, migration, incarnation, reset_count, trace, .. } = wire;
        Ok(Self { id, migration, incarnation, reset_count, kind, trace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{Value, decode, encode};

    #[test]
    fn round_trip_and_a_kind_of_a_newer_provider() {
        let of = |kind| Command {
            id: "c".into(),
            migration: "/m".into(),
            incarnation: "one".into(),
            reset_count: 3,
            kind,
            trace: Some("00-0-0-01".into()),
        };
        let rescan = CommandKind::Rescan { path: "/data".into() };
        for kind in [rescan, CommandKind::RetryFailed, CommandKind::ApproveDeletes] {
            assert_eq!(decode(&encode(&of(kind.clone()))), Ok(of(kind)));
        }
        let Value::Map(mut fields) = of(CommandKind::Unknown).to_value() else { panic!() };
        fields.push((99u64.to_value(), true.to_value()));
        assert_eq!(Command::from_value(Value::Map(fields)), Ok(of(CommandKind::Unknown)));
    }
}
