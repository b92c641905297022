//! Which commands the agent has not taken: the provider's side of commands, without socket or clock.
//!
//! Invariants: one list is under way at a time; each list has everything that is not acknowledged, so that an agent may
//! forget what is in none; what the agent has acknowledged is not sent again, even while the handler still has it; what it
//! did not acknowledge, because it does not know the kind, is not pressed upon it within the session.

use std::collections::HashSet;

use livedata_model::command::Command;
use livedata_model::message::{CommandAck, Commands};

use crate::Error;

#[derive(Default)]
pub(crate) struct Commander {
    under_way: Option<HashSet<String>>,
    taken: HashSet<String>,
    not_known: HashSet<String>,
}

impl Commander {
    /// The next list; `None` while one is under way or when it would have nothing new.
    pub(crate) fn next(&mut self, wanted: &[Command]) -> Option<Commands> {
        if self.under_way.is_some() {
            return None;
        }
        let is_wanted = |id: &String| wanted.iter().any(|command| command.id == *id);
        self.taken.retain(is_wanted);
        self.not_known.retain(is_wanted);
        let commands: Vec<Command> =
            wanted.iter().filter(|command| !self.taken.contains(&command.id)).cloned().collect();
        if commands.iter().all(|command| self.not_known.contains(&command.id)) {
            return None;
        }
        self.under_way = Some(commands.iter().map(|command| command.id.clone()).collect());
        Some(Commands { commands })
    }

    /// Which of the list under way the agent has taken.
    pub(crate) fn acknowledged(&mut self, ack: CommandAck) -> Result<Vec<String>, Error> {
        let Some(mut sent) = self.under_way.take() else {
            return Err(Error::Unexpected {
                expected: "no acknowledgement of commands, as none are under way",
                received: "CommandAck",
            });
        };
        let taken: Vec<String> = ack.ids.into_iter().filter(|id| sent.remove(id)).collect();
        self.taken.extend(taken.iter().cloned());
        self.not_known.extend(sent);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::command::CommandKind;

    use super::*;

    fn commands(ids: &[&str]) -> Vec<Command> {
        let command = |id: &&str| Command {
            id: (*id).to_owned(),
            migration: "/m".into(),
            incarnation: "one".into(),
            reset_count: 0,
            kind: CommandKind::RetryFailed,
            trace: None,
        };
        ids.iter().map(command).collect()
    }

    fn ack(ids: &[&str]) -> CommandAck {
        CommandAck { ids: ids.iter().map(|id| (*id).to_owned()).collect() }
    }

    fn sent(commander: &mut Commander, wanted: &[&str]) -> Option<Vec<String>> {
        let list = commander.next(&commands(wanted))?;
        Some(list.commands.into_iter().map(|command| command.id).collect())
    }

    #[test]
    fn one_list_at_a_time_and_what_was_taken_is_not_sent_again() {
        let mut commander = Commander::default();
        assert_eq!(sent(&mut commander, &[]), None);
        assert_eq!(sent(&mut commander, &["a"]).unwrap(), ["a"]);
        assert_eq!(sent(&mut commander, &["a", "b"]), None);
        assert_eq!(commander.acknowledged(ack(&["a", "never sent"])).unwrap(), ["a"]);
        assert_eq!(sent(&mut commander, &["a", "b"]).unwrap(), ["b"]);
        assert_eq!(commander.acknowledged(ack(&["b"])).unwrap(), ["b"]);
        assert_eq!(sent(&mut commander, &["a", "b"]), None);
        assert!(commander.acknowledged(ack(&["b"])).is_err());
    }

    #[test]
    fn what_the_agent_does_not_know_stands_in_later_lists_and_makes_none_itself() {
        let mut commander = Commander::default();
        assert_eq!(sent(&mut commander, &["new kind"]).unwrap(), ["new kind"]);
        assert_eq!(commander.acknowledged(ack(&[])).unwrap(), Vec::<String>::new());
        assert_eq!(sent(&mut commander, &["new kind"]), None);
        assert_eq!(sent(&mut commander, &["new kind", "a"]).unwrap(), ["new kind", "a"]);
    }
}
