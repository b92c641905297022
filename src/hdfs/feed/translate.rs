//! From a transaction's events to changes.
//!
//! | event | change |
//! |---|---|
//! | CREATE, CLOSE, APPEND, TRUNCATE, UNLINK | touched. CREATE may have replaced a file, without an UNLINK. An UNLINK is of the root of what was removed |
//! | METADATA of times | times set; nothing where only the access time was: reading a file does that |
//! | METADATA of anything else | touched |
//! | RENAME | renamed. The destination may have been replaced, without an UNLINK |
//!
//! One transaction has several events where files were concatenated: APPEND and CLOSE of the file that grew, UNLINK of
//! those that went into it.
//!
//! An event of a type that this table does not know comes from a Hadoop newer than 3.4. What it changed cannot be told,
//! and to pass over it could lose a change, so it counts as if anything might have changed. That costs the consumer a
//! scan, and this process' log says why.

use livedata_filesystem::{Change, Event};
use prost::Message;

use crate::proto::{
    self, CreateEvent, EVENT_APPEND, EVENT_CLOSE, EVENT_CREATE, EVENT_METADATA, EVENT_RENAME, EVENT_TRUNCATE,
    EVENT_UNLINK, EventsList, METADATA_TIMES, MetadataEvent, PathEvent, RenameEvent,
};

/// `Err` says why the answer is of no use.
pub fn events(list: &EventsList) -> Result<Vec<Event>, String> {
    if !list.events_without_txid.is_empty() {
        return Err(
            "it tells events without their transactions, as Hadoop before 2.7 does: that is too old".into()
        );
    }
    let mut events = Vec::new();
    for batch in &list.batches {
        for event in &batch.events {
            let change = change(event)
                .map_err(|reason| format!("transaction {} cannot be understood: {reason}", batch.txid))?;
            events.extend(change.map(|change| Event { position: super::position(batch.txid), change }));
        }
    }
    Ok(events)
}

fn change(event: &proto::Event) -> Result<Option<Change>, String> {
    Ok(Some(match event.event_type {
        EVENT_CREATE => touched(decode::<CreateEvent>(event)?.path)?,
        EVENT_CLOSE | EVENT_APPEND | EVENT_TRUNCATE | EVENT_UNLINK => {
            touched(decode::<PathEvent>(event)?.path)?
        }
        EVENT_METADATA => {
            let update: MetadataEvent = decode(event)?;
            match update.modification_time {
                Some(-1) if update.update_type == METADATA_TIMES => return Ok(None),
                Some(modified_ms) if update.update_type == METADATA_TIMES => {
                    Change::TimesSet { path: absolute(update.path)?, modified_ms }
                }
                _ => touched(update.path)?,
            }
        }
        EVENT_RENAME => {
            let rename: RenameEvent = decode(event)?;
            if rename.source == rename.destination {
                // Hadoop logs the rename of a file to its own name, which does nothing.
                touched(rename.source)?
            } else {
                Change::Renamed { from: absolute(rename.source)?, to: absolute(rename.destination)? }
            }
        }
        unknown => {
            tracing::warn!(
                event_type = unknown,
                "the NameNode told of an event that is not known here: everything is looked at again"
            );
            Change::Unwatched { path: "/".into() }
        }
    }))
}

fn decode<Contents: Message + Default>(event: &proto::Event) -> Result<Contents, String> {
    Contents::decode(&event.contents[..]).map_err(|error| format!("event type {}: {error}", event.event_type))
}

fn touched(path: String) -> Result<Change, String> {
    Ok(Change::Touched { path: absolute(path)? })
}

/// A field that is missing decodes as an empty path.
fn absolute(path: String) -> Result<String, String> {
    if path.starts_with('/') { Ok(path) } else { Err(format!("`{path}` is no path")) }
}
