//! `livedata store`: what an operator does to the store of a provider as a whole.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Subcommand;
use livedata_provider::rotation;
use livedata_store::Store;
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
    /// Write a backup into an empty store, but the commands that waited for their agents: all of it, or nothing
    Restore {
        #[command(flatten)]
        at: At,
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Put all secrets under a new key, while providers run; killed in the middle, run it again
    RotateKey {
        #[command(flatten)]
        of: Of,
        /// Take an older key, which no secret needs any more, out of the file instead
        #[arg(long, value_name = "KEY")]
        remove: Option<KeyId>,
    },
}

/// Whose keys.
#[derive(Debug, clap::Args)]
struct Of {
    /// The folder of `livedata provider`, whose configuration says all that the next two do, and which key of Azure Key Vault
    /// wraps the keys
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["store", "sealing_key"])]
    data: Option<PathBuf>,
    /// The store: an SQLite file (of `livedata dev`: FOLDER/provider.db), or postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(
        long,
        value_name = "FILE|ADDRESS",
        env = "LIVEDATA_STORE",
        hide_env_values = true,
        required_unless_present = "data"
    )]
    store: Option<String>,
    /// The file of keys (of `livedata dev`: FOLDER/sealing.key)
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    sealing_key: Option<PathBuf>,
}

impl Of {
    fn load(self) -> anyhow::Result<(SealingKeys, Location)> {
        match (self.data, self.store, self.sealing_key) {
            (Some(folder), _, _) => {
                let (keys, store) = livedata_provider_service::keys_and_store(&folder)?;
                Ok((keys, store.parse()?))
            }
            (None, Some(store), Some(file)) => Ok((SealingKeys::load(file)?, store.parse()?)),
            _ => anyhow::bail!("give --data, or --store and --sealing-key"),
        }
    }
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
            let done = maintenance::restore(&store, &from, &[livedata_provider::COMMANDS]).await?;
            println!(
                "{store}: {} records restored from {}",
                done.contents.records - done.left_out,
                from.display()
            );
            if done.left_out > 0 {
                println!(
                    "{} commands (rescan, approveDeletes, …) waited for their agents at that moment and are left out, for nobody knows \
                     whether they have had them since: give those that are still wanted again. What is shown as held by a migration is what \
                     was held then: approve nothing before its agent is connected.",
                    done.left_out
                );
            }
            Ok(())
        }
        Command::RotateKey { of, remove } => {
            let (keys, location) = of.load()?;
            // One that cannot be unwrapped any more is replaced like any other; the first secret that needs it is named.
            if let Err(error) = keys.refresh().await {
                eprintln!("warning: {error}");
            }
            let store = existing(&location).await?;
            match remove {
                None => rotate(&location, store.as_ref(), &keys).await,
                Some(key) => {
                    rotation::remove(store.as_ref(), &keys, key).await?;
                    println!(
                        "{}: key {key} is removed; backups from before the rotation need it: keep a copy with them",
                        keys.path().display()
                    );
                    Ok(())
                }
            }
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

async fn rotate(location: &Location, store: &dyn Store, keys: &SealingKeys) -> anyhow::Result<()> {
    let done = rotation::rotate(store, keys).await?;
    let begun = if done.resumed { "goes on; its key is" } else { "made key" };
    println!("{}: this rotation {begun} {}", keys.path().display(), done.key);
    println!("{location}: {} secrets, {} of them put under it now", done.secrets, done.rewrapped);
    if keys.unwrapped_in_file().contains(&done.key) {
        println!(
            "Key {} was made before Azure Key Vault was set up and lies in the file as it is: run the same command again for one that is wrapped.",
            done.key
        );
    }
    for key in done.unneeded {
        println!(
            "No secret needs key {key} any more. When every provider has the new file, and two minutes have passed, the same command with --remove {key}"
        );
    }
    Ok(())
}

/// A wrong address does not make a store.
async fn existing(location: &Location) -> anyhow::Result<Arc<dyn Store>> {
    let schema = maintenance::schema(location).await?;
    schema.found.with_context(|| format!("there is no store in {location}: check its address"))?;
    Ok(location.open().await?)
}
