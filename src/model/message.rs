//! Messages of the agent session, protocol version 1.
//!
//! The provider opens the stream through the relay; inside it the agent is the TLS server. After the handshake the agent
//! says [`Hello`], the provider answers [`Welcome`] or [`Refused`] and sends the first [`Sync`]; from then on either side
//! sends when it has something. Every loss is repaired by the next session: the agent's `known` list tells the provider
//! what to send, reports are whole pictures, not increments, and commands are sent until they are acknowledged.

use crate::cbor::{DecodeError, Wire};
use crate::command::Command;
use crate::report::{AgentReport, FailedPath, MigrationReport};
use crate::spec::{Item, Secret};
use crate::wire_struct;

/// Range of protocol versions that this build speaks.
pub const PROTOCOL: (u16, u16) = (1, 1);

/// Largest encoded message; longer ones are a protocol violation. The longest is a [`Hello`]: room for some 30,000 items.
pub const MAX_MESSAGE_BYTES: usize = 8 * 1024 * 1024;

wire_struct! {
    /// Agent → provider, first message.
    pub struct Hello {
        1 => protocol_min: u16,
        2 => protocol_max: u16,
        3 => agent_version: String,
        /// Made once per installation of the agent.
        4 => instance_id: String,
        /// Made at each start of the process.
        5 => boot_id: String,
        6 => known: Vec<Known>,
        /// The agent's clock, milliseconds since 1970.
        7 => clock_ms: i64,
        /// The highest session epoch that the agent has seen; the provider must offer a higher one.
        8 => session_epoch: u64,
    }
}

wire_struct! {
    /// An item that the agent holds on disk.
    pub struct Known {
        1 => id: String,
        2 => generation: u64,
    }
}

wire_struct! {
    /// Provider → agent: the session is on.
    pub struct Welcome {
        1 => protocol: u16,
        /// Fences sessions: an agent takes nothing more from one with a lower number.
        2 => session_epoch: u64,
        /// Names the staging folder; changes only when ownership passes to another agent identity.
        3 => coordinator_epoch: u64,
        4 => clock_ms: i64,
    }
}

wire_struct! {
    /// Provider → agent: this session will not be; the reason is for the agent's log.
    pub struct Refused {
        1 => code: String,
        2 => message: String,
    }
}

wire_struct! {
    /// Provider → agent: changes of desired state. Upserts carry everything of an item.
    pub struct Sync {
        /// Grows within a session; the acknowledgement repeats it.
        1 => revision: u64,
        2 => upserts: Vec<Item>,
        3 => removals: Vec<String>,
    }
}

wire_struct! {
    /// Agent → provider: everything up to `revision` is on the agent's disk.
    pub struct SyncAck {
        1 => revision: u64,
        /// Items refused because the agent has a higher generation.
        2 => stale: Vec<Known>,
    }
}

wire_struct! {
    /// Agent → provider: a whole picture of the migrations that changed since the last report (all of them in the first).
    pub struct Report {
        1 => sequence: u64,
        2 => agent: AgentReport,
        3 => migrations: Vec<MigrationReport>,
    }
}

wire_struct! {
    pub struct ReportAck {
        1 => sequence: u64,
    }
}

wire_struct! {
    /// Provider → agent each few seconds; the agent answers with the same `sent_ms`. Proves the whole path alive.
    pub struct Echo {
        /// The provider's monotonic clock, milliseconds.
        1 => sent_ms: u64,
        /// The sender's wall clock, milliseconds since 1970.
        2 => clock_ms: i64,
    }
}

wire_struct! {
    /// Provider → agent: the token for the relay's `listen`, before the old one expires.
    pub struct ListenToken {
        1 => token: Secret,
        /// Seconds since 1970.
        2 => expires_at: i64,
    }
}

wire_struct! {
    /// Provider → agent: every command that the agent has not acknowledged, in the order in which they were given. The agent
    /// has the desired state that they rely on. One that is not in here the provider has forgotten.
    pub struct Commands {
        1 => commands: Vec<Command>,
    }
}

wire_struct! {
    /// Agent → provider, once for each [`Commands`]: these are on the agent's disk, or done. A command that is not named is
    /// of a kind that the agent does not know; the next session brings it again.
    pub struct CommandAck {
        1 => ids: Vec<String>,
    }
}

wire_struct! {
    /// Agent → provider: a part of the whole list of the paths that one migration has given up
    /// ([`crate::report::FailedPaths`]). Parts come in order; only together they mean something.
    pub struct FailedPathsPart {
        /// Grows within a session; the acknowledgement repeats it.
        1 => sequence: u64,
        2 => migration: String,
        3 => incarnation: String,
        4 => start: u64,
        5 => revision: u64,
        /// From 0.
        6 => part: u32,
        /// At least 1.
        7 => parts: u32,
        8 => entries: Vec<FailedPath>,
        9 => truncated: bool,
    }
}

wire_struct! {
    pub struct FailedPathsAck {
        1 => sequence: u64,
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    Hello(Hello),
    Welcome(Welcome),
    Refused(Refused),
    Sync(Sync),
    SyncAck(SyncAck),
    Report(Report),
    ReportAck(ReportAck),
    Echo(Echo),
    EchoReply(Echo),
    ListenToken(ListenToken),
    Commands(Commands),
    CommandAck(CommandAck),
    FailedPathsPart(FailedPathsPart),
    FailedPathsAck(FailedPathsAck),
    /// A kind from a newer peer: ignored.
    Unknown(u64),
}

/// A message is an array of its kind and its body.
impl Wire for Message {
    fn to_value(&self) -> ciborium::Value {
        let (kind, body) = match self {
            Self::Hello(body) => (1u64, body.to_value()),
            Self::Welcome(body) => (2, body.to_value()),
            Self::Refused(body) => (3, body.to_value()),
            Self::Sync(body) => (4, body.to_value()),
            Self::SyncAck(body) => (5, body.to_value()),
            Self::Report(body) => (6, body.to_value()),
            Self::ReportAck(body) => (7, body.to_value()),
            Self::Echo(body) => (8, body.to_value()),
            Self::EchoReply(body) => (9, body.to_value()),
            Self::ListenToken(body) => (10, body.to_value()),
            Self::Commands(body) => (11, body.to_value()),
            Self::CommandAck(body) => (12, body.to_value()),
            Self::FailedPathsPart(body) => (13, body.to_value()),
            Self::FailedPathsAck(body) => (14, body.to_value()),
            Self::Unknown(kind) => (*kind, ciborium::Value::Null),
        };
        ciborium::Value::Array(vec![kind.to_value(), body])
    }

    fn from_value(value: ciborium::Value) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Type { expected: "an array of message kind and body" };
        let Ok(parts) = value.into_array() else { return Err(wrong) };
        let Ok([kind, body]) = <[ciborium::Value; 2]>::try_from(parts) else { return Err(wrong) };
        Ok(match u64::from_value(kind)? {
            1 => Self::Hello(Hello::from_value(body)?),
            2 => Self::Welcome(Welcome::from_value(body)?),
            3 => Self::Refused(Refused::from_value(body)?),
            4 => Self::Sync(Sync::from_value(body)?),
            5 => Self::SyncAck(SyncAck::from_value(body)?),
            6 => Self::Report(Report::from_value(body)?),
            7 => Self::ReportAck(ReportAck::from_value(body)?),
            8 => Self::Echo(Echo::from_value(body)?),
            9 => Self::EchoReply(Echo::from_value(body)?),
            10 => Self::ListenToken(ListenToken::from_value(body)?),
            11 => Self::Commands(Commands::from_value(body)?),
            12 => Self::CommandAck(CommandAck::from_value(body)?),
            13 => Self::FailedPathsPart(FailedPathsPart::from_value(body)?),
            14 => Self::FailedPathsAck(FailedPathsAck::from_value(body)?),
            other => Self::Unknown(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{decode, encode};
    use crate::command::CommandKind;
    use crate::report::FailureKind;
    use crate::spec::{Body, DeletePolicy, DriftPolicy, MassDeleteLimit, MigrationSpec, Mode, RunState};

    fn sync() -> Message {
        Message::Sync(Sync {
            revision: 7,
            upserts: vec![Item {
                id: "/subscriptions/s".into(),
                generation: 3,
                body: Body::Migration(MigrationSpec {
                    target_path: "/".into(),
                    run: RunState::Running,
                    start_count: 1,
                    delete_policy: DeletePolicy::Keep,
                    drift_policy: DriftPolicy::Halt,
                    mass_delete_limit: MassDeleteLimit { count: 1, percent: 2, window_seconds: 3 },
                    trash_retention_seconds: 0,
                    barriers: vec!["_SUCCESS".into()],
                    reset_count: 4,
                    ..MigrationSpec::new("/t", "/data", Mode::OneTime, "one")
                }),
                trace: Some("00-0-0-01".into()),
            }],
            removals: vec!["/gone".into()],
        })
    }

    #[test]
    fn round_trip() {
        assert_eq!(decode::<Message>(&encode(&sync())), Ok(sync()));
    }

    #[test]
    fn unknown_kinds_and_keys_are_ignored() {
        let newer = ciborium::Value::Array(vec![
            8u64.to_value(),
            ciborium::Value::Map(vec![
                (99u64.to_value(), true.to_value()),
                (2u64.to_value(), 5i64.to_value()),
                (1u64.to_value(), 4u64.to_value()),
            ]),
        ]);
        assert_eq!(Message::from_value(newer), Ok(Message::Echo(Echo { sent_ms: 4, clock_ms: 5 })));
        let kind = ciborium::Value::Array(vec![77u64.to_value(), ciborium::Value::Null]);
        assert_eq!(Message::from_value(kind), Ok(Message::Unknown(77)));
    }

    #[test]
    fn what_an_older_provider_says_of_a_migration_means_the_defaults() {
        let Message::Sync(Sync { upserts, .. }) = sync() else { panic!() };
        let Body::Migration(spec) = &upserts[0].body else { panic!() };
        let ciborium::Value::Map(mut fields) = spec.to_value() else { panic!() };
        // The keys that there were before there were policies.
        fields.retain(|(key, _)| key.as_integer().is_some_and(|key| key <= 7.into()));
        let expected = MigrationSpec {
            delete_policy: DeletePolicy::Mirror,
            drift_policy: DriftPolicy::Overwrite,
            mass_delete_limit: MassDeleteLimit { count: 10_000, percent: 25, window_seconds: 3600 },
            trash_retention_seconds: 7 * 24 * 3600,
            barriers: vec![],
            reset_count: 0,
            ..spec.clone()
        };
        assert_eq!(MigrationSpec::from_value(ciborium::Value::Map(fields)), Ok(expected));
    }

    #[test]
    fn commands_and_lists_of_failed_paths_cross() {
        let command = Command {
            id: "c".into(),
            migration: "/m".into(),
            incarnation: "one".into(),
            reset_count: 0,
            kind: CommandKind::Rescan { path: "/data".into() },
            trace: None,
        };
        let path = FailedPath {
            path: "/data/x".into(),
            kind: FailureKind::OpenForWrite,
            reason: "it is open for writing".into(),
            at_ms: 7,
        };
        for message in [
            Message::Commands(Commands { commands: vec![command] }),
            Message::CommandAck(CommandAck { ids: vec!["c".into()] }),
            Message::FailedPathsPart(FailedPathsPart {
                sequence: 1,
                migration: "/m".into(),
                incarnation: "one".into(),
                start: 2,
                revision: 3,
                part: 0,
                parts: 1,
                entries: vec![path],
                truncated: true,
            }),
            Message::FailedPathsAck(FailedPathsAck { sequence: 1 }),
        ] {
            assert_eq!(decode::<Message>(&encode(&message)), Ok(message));
        }
    }

    #[test]
    fn a_missing_required_field_is_named() {
        let echo = ciborium::Value::Array(vec![8u64.to_value(), ciborium::Value::Map(vec![])]);
        assert_eq!(Message::from_value(echo), Err(DecodeError::Missing { structure: "Echo", field: 1 }));
    }

    #[test]
    fn secrets_do_not_print() {
        let token = Message::ListenToken(ListenToken { token: Secret("hush".into()), expires_at: 1 });
        assert!(!format!("{token:?}").contains("hush"));
    }
}
