//! Commands that wait for agents: stored together with their operation, removed when the agent has them on its disk.
//!
//! Keys are `{migration}|{20 digits}`: the number is the version that the migration's record gets in the same transaction, or
//! the next one after what waits, so that the commands of one migration stand in the order in which they were given.

use livedata_model::cbor;
use livedata_model::command::{Command, CommandKind};
use livedata_store::{Change, Error};

use crate::core::Core;
use crate::document::Loaded;
use crate::errors::{self, Outcome};
use crate::resources::live_data_migrations::Migration;

pub const COLLECTION: &str = "commands";

/// How many may wait for one agent: a list of them must fit in one message, whatever paths they have.
const MOST: usize = 256;

/// Puts a command into the change that raises the version of its migration's record by one.
pub async fn give(
    core: &Core,
    loaded: &Loaded<Migration>,
    kind: CommandKind,
    trace: Option<String>,
    change: Change,
) -> Outcome<Change> {
    let migration = loaded.document.key();
    let waiting =
        core.store.list(COLLECTION, &prefix(crate::core::migrator_key(&migration)), None, MOST).await?;
    if waiting.len() >= MOST {
        let message = format!(
            "{MOST} commands wait for the agent of this migrator; it takes no more until it is there."
        );
        return Err(errors::TOO_MANY_COMMANDS.error(message).into());
    }
    let command = Command {
        id: uuid::Uuid::new_v4().to_string(),
        migration: migration.clone(),
        incarnation: loaded.document.guid.clone(),
        reset_count: loaded.document.spec.reset_count,
        kind,
        trace,
    };
    // Versions begin anew when a migrator moves; what waits stands before what comes.
    let last = waiting.iter().filter_map(|waiting| waiting.key.strip_prefix(&format!("{migration}|")));
    let last = last.filter_map(|number| number.parse::<u64>().ok()).max().unwrap_or(0);
    let key = format!("{migration}|{:020}", loaded.version.max(last) + 1);
    Ok(change.put(COLLECTION, key, cbor::encode(&command)))
}

/// What waits for the agent of a migrator.
pub async fn of(core: &Core, migrator: &str) -> Outcome<Vec<Command>> {
    Ok(keyed(core, &prefix(migrator)).await?.into_iter().map(|(_, command)| command).collect())
}

/// The agent of this migrator has them.
pub async fn taken(core: &Core, migrator: &str, ids: &[String]) -> Outcome<()> {
    let mut change = Change::new();
    for (key, command) in keyed(core, &prefix(migrator)).await? {
        if ids.contains(&command.id) {
            change = change.remove(COLLECTION, key);
        }
    }
    if !change.writes.is_empty() {
        core.store.commit(change).await?;
        core.desired_changed(migrator);
    }
    Ok(())
}

/// Those of one migration, in the change that removes or resets it.
pub async fn erase(core: &Core, migration: &str, mut change: Change) -> Outcome<Change> {
    for record in core.store.list(COLLECTION, &format!("{migration}|"), None, usize::MAX).await? {
        change = change.remove(COLLECTION, record.key);
    }
    Ok(change)
}

fn prefix(migrator: &str) -> String {
    format!("{migrator}/")
}

async fn keyed(core: &Core, prefix: &str) -> Outcome<Vec<(String, Command)>> {
    let records = core.store.list(COLLECTION, prefix, None, 2 * MOST).await?;
    let decoded = records.into_iter().map(|record| match cbor::decode(&record.body) {
        Ok(command) => Ok((record.key, command)),
        Err(error) => Err(Error::Damaged(error.to_string()).into()),
    });
    decoded.collect()
}
