//! `livedata store`: what an operator does to the store of a provider as a whole.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use livedata_provider::rotation;
use livedata_store::maintenance::{self, Location};
use livedata_store::sealed::{KeyId, SealingKeys};

/// Migrate, back up and restore the store of a provider, and replace the key of its secrets
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct At {
    /// The store: an SQLite file (of `livedata dev`: FOLDER/provider.db), or postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "FILE|ADDRESS", env = "LIVEDATA_STORE", hide_env_values = true)]
    store: String,
}

impl At {
    /// Read here and not by the parser of arguments, which repeats what it cannot read, passwords too.
    fn location(&self) -> anyhow::Result<Location> {
        Ok(self.store.parse()?)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a store to the schema of this version; one that is not there is made
    Migrate {
        #[command(flatten)]
        at: At,
        /// Only say what would be done
        #[arg(long)]
        check: bool,
    },
    /// Write all of a store, as it is at one moment, into a file; providers go on meanwhile
    Backup {
        #[command(flatten)]
        at: At,
        /// Must not exist
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Write all of a backup into an empty store, or nothing
    Restore {
        #[command(flatten)]
        at: At,
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Put all secrets under a new key, while providers run; killed in the middle, run it again
    RotateKey {
        #[command(flatten)]
        at: At,
        /// The file of keys (of `livedata dev`: FOLDER/sealing.key)
        #[arg(long, value_name = "FILE")]
        sealing_key: PathBuf,
        /// Take an older key, which no secret needs any more, out of the file instead
        #[arg(long, value_name = "KEY")]
        remove: Option<KeyId>,
    },
}

pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Migrate { at, check } => migrate(&at.location()?, check).await,
        Command::Backup { at, to } => {
            let store = at.location()?;
            let contents = maintenance::backup(&store, &to).await?;
            println!(
                "{}: {} records of {}, SHA-256 {}\nThe sealing key is not in it: without a copy of its file, kept apart, the secrets in it are lost.",
                to.display(),
                contents.records,
                store,
                contents.checksum
            );
            Ok(())
        }
        Command::Restore { at, from } => {
            let store = at.location()?;
            let contents = maintenance::restore(&store, &from).await?;
            println!("{store}: {} records restored from {}", contents.records, from.display());
            Ok(())
        }
        Command::RotateKey { at, sealing_key, remove: None } => rotate(&at.location()?, &sealing_key).await,
        Command::RotateKey { at, sealing_key, remove: Some(key) } => {
            let (store, keys) = (existing(&at.location()?).await?, SealingKeys::load(&sealing_key)?);
            rotation::remove(store.as_ref(), &keys, key).await?;
            println!(
                "{}: key {key} is removed; backups from before the rotation need it: keep a copy with them",
                sealing_key.display()
            );
            Ok(())
        }
    }
}

async fn migrate(store: &Location, check: bool) -> anyhow::Result<()> {
    let schema = if check {
        match maintenance::schema(store).await {
            Err(maintenance::Error::NoStore(_)) => {
                println!("{store}: there is no store yet; `livedata store migrate` makes it");
                return Ok(());
            }
            schema => schema?,
        }
    } else {
        maintenance::migrate(store).await?
    };
    let to = schema.wanted;
    let what = match (schema.found, check) {
        (Some(from), _) if schema.is_current() => format!("schema {from} is this version's; nothing to do"),
        (Some(from), false) => format!("migrated from schema {from} to schema {to}"),
        (Some(from), true) => {
            format!("schema {from}; `livedata store migrate` brings it to schema {to}: take a backup first")
        }
        (None, false) => format!("made, with schema {to}"),
        (None, true) => format!("no schema yet; `livedata store migrate` makes schema {to}"),
    };
    println!("{store}: {what}");
    Ok(())
}

async fn rotate(store: &Location, sealing_key: &std::path::Path) -> anyhow::Result<()> {
    let (opened, keys) = (existing(store).await?, SealingKeys::load(sealing_key)?);
    let done = rotation::rotate(opened.as_ref(), &keys).await?;
    let begun = if done.resumed { "goes on; its key is" } else { "made key" };
    println!("{}: this rotation {begun} {}", sealing_key.display(), done.key);
    println!("{store}: {} secrets, {} of them put under it now", done.secrets, done.rewrapped);
    for key in done.unneeded {
        println!(
            "No secret needs key {key} any more. When every provider has the new file, and two minutes have passed, the same command with --remove {key}"
        );
    }
    Ok(())
}

/// A wrong address does not make a store.
async fn existing(location: &Location) -> anyhow::Result<std::sync::Arc<dyn livedata_store::Store>> {
    let schema = maintenance::schema(location).await?;
    schema.found.with_context(|| format!("there is no store in {location}: check its address"))?;
    Ok(location.open().await?)
}
